/* `log.list`, `log.show`, `log.verify`. */
#include <inttypes.h>
#include <string.h>

#include "noded/command_fields.h"
#include "noded/command_handlers.h"
#include "noded/command_write.h"
#include "storage/verify.h"

#define PAGE_MAX 1000
#define PAGE_DEFAULT 100
#define FINDINGS_MAX 1000
#define FINDING_SIZE_MAX 1024

struct list_state {
  uint64_t after;
  uint64_t limit;
};

bool command_log_list_args(struct command_call *call, struct reader *args)
{
  struct list_state *state = command_alloc(call, sizeof(*state));
  if (state == NULL) {
    return false;
  }
  call->state = state;
  state->limit = PAGE_DEFAULT;
  const struct field fields[] = {
      {.name = "after", .type = FIELD_UINT, .out = &state->after, .max = UINT32_MAX},
      {.name = "limit", .type = FIELD_UINT, .out = &state->limit, .min = 1, .max = PAGE_MAX},
  };
  return fields_read(call, args, fields, 2);
}

static void write_log(struct writer *writer, const struct log_head *head)
{
  writer_map(writer, 8 + WRITE_LOG_PAIRS);
  write_uint(writer, "number", head->number);
  write_text(writer, "address", head->address.text);
  write_log_id(writer, &head->id);
  write_uint(writer, "seq", head->seq);
  write_hex(writer, "id", head->commit_id.octets, HASH_SIZE);
  write_uint(writer, "commits", head->commits);
  write_bool(writer, "gapless", head->gapless);
  write_int(writer, "arrived_at", head->arrived_at.ms);
  write_uint(writer, "floor", head->floor);
}

void command_log_list_run(struct command_call *call)
{
  const struct list_state *state = call->state;
  const struct store *store = core_store(call->context->core);
  uint32_t last = store_log_count(store);
  uint64_t left = last > state->after ? last - state->after : 0;
  uint32_t count = (uint32_t)(left < state->limit ? left : state->limit);
  struct writer writer;
  writer_init(&writer, &call->result);
  writer_map(&writer, 2);
  writer_text(&writer, "logs");
  writer_array(&writer, count);
  for (uint32_t i = 0; i < count; i++) {
    struct log_head head;
    uint32_t number = (uint32_t)state->after + 1 + i;
    if (!store_log_at(store, number, &head)) {
      memset(&head, 0, sizeof(head)); /* its transaction was undone meanwhile */
      head.number = number;
    }
    write_log(&writer, &head);
  }
  write_uint(&writer, "next", count < left ? state->after + count : 0);
  command_finish_writer(call, &writer);
}

struct show_state {
  uint64_t log;
  uint64_t seq;
};

bool command_log_show_args(struct command_call *call, struct reader *args)
{
  struct show_state *state = command_alloc(call, sizeof(*state));
  if (state == NULL) {
    return false;
  }
  call->state = state;
  const struct field fields[] = {
      {.name = "log",
       .type = FIELD_UINT,
       .out = &state->log,
       .min = 1,
       .max = UINT32_MAX,
       .required = true},
      {.name = "seq",
       .type = FIELD_UINT,
       .out = &state->seq,
       .min = 1,
       .max = UINT64_MAX,
       .required = true},
  };
  return fields_read(call, args, fields, 2);
}

/* Looks for a record's own entry in its subject, which knows when it came and whether it is
 * marked. */
struct lookup {
  struct record_ref wanted;
  struct held_record *out;
  unsigned left; /* records still looked at */
};

#define LOOKUP_MAX 256

static bool on_lookup(void *context, const struct held_record *record)
{
  struct lookup *lookup = context;
  if (record->ref.log == lookup->wanted.log && record->ref.seq == lookup->wanted.seq &&
      record->ref.index == lookup->wanted.index) {
    lookup->out->ref.marked = record->ref.marked;
    lookup->out->arrived_at = record->arrived_at;
    return false;
  }
  return --lookup->left > 0;
}

static enum status record_complete(const struct store_txn *txn, struct held_record *held)
{
  struct arena arena = {.limit = COMMAND_ARENA_MAX};
  struct lookup lookup = {.wanted = held->ref, .out = held, .left = LOOKUP_MAX};
  enum status status =
      store_subject_records(txn, &held->record.header.subject, &arena, on_lookup, &lookup);
  arena_close(&arena);
  return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}

static void write_header(struct writer *writer, const struct commit *commit,
                         const struct address *address)
{
  const struct commit_header *header = &commit->header;
  const struct log_id id = {header->origin, header->store, header->lane};
  write_log_id(writer, &id);
  write_text(writer, "address", address->text);
  write_uint(writer, "seq", header->seq);
  write_hex(writer, "prev", header->prev.octets, HASH_SIZE);
  write_uint(writer, "hlc", header->hlc);
  write_hex(writer, "certificate", header->certificate.octets, HASH_SIZE);
  write_uint(writer, "count", header->count);
  write_hex(writer, "root", header->root.octets, HASH_SIZE);
  write_hex(writer, "id", commit->id.octets, HASH_SIZE);
  write_uint(writer, "shown", commit->shown_count);
}

static enum status commit_show(struct command_call *call, const struct store_txn *txn)
{
  const struct show_state *state = call->state;
  struct bytes_view octets;
  struct commit commit;
  struct log_head head;
  struct writer writer;
  enum status status =
      store_commit_load(txn, (uint32_t)state->log, state->seq, &call->arena, &octets);
  if (status != STATUS_OK) {
    return status;
  }
  if (commit_read_trusted(octets, &call->arena, &commit) != VERDICT_OK) {
    return STATUS_CORRUPT;
  }
  if (!store_log_at(core_store(call->context->core), (uint32_t)state->log, &head)) {
    return STATUS_NOT_FOUND;
  }
  writer_init(&writer, &call->result);
  writer_map(&writer, 10 + WRITE_LOG_PAIRS);
  write_header(&writer, &commit, &head.address);
  writer_text(&writer, "records");
  writer_array(&writer, commit.shown_count);
  for (size_t i = 0; status == STATUS_OK && i < commit.shown_count; i++) {
    struct held_record held = {
        .ref = {(uint32_t)state->log, state->seq, (uint8_t)commit.indexes[i], false},
        .commit = commit.header,
        .commit_id = commit.id,
        .origin = head.address,
        .record = commit.records[i],
    };
    status = record_complete(txn, &held);
    write_record(&writer, &held);
  }
  return status == STATUS_OK ? writer_finish(&writer) : status;
}

void command_log_show_run(struct command_call *call)
{
  const struct show_state *state = call->state;
  struct store_txn *txn = NULL;
  enum status status = store_read_begin(core_store(call->context->core), &txn);
  if (status == STATUS_OK) {
    status = commit_show(call, txn);
    store_read_end(txn);
  }
  if (status == STATUS_NOT_FOUND) {
    command_refuse(call, status, "log %" PRIu64 " holds no commit %" PRIu64 " here", state->log,
                   state->seq);
  }
  command_finish(call, status);
}

struct verify_state {
  struct bytes rows;
  struct writer writer;
  uint32_t count;
};

static void on_finding(void *context, const char *text)
{
  struct verify_state *state = context;
  if (state->count < FINDINGS_MAX) {
    struct bytes_view view = bytes_view_text(text);
    view.size = view.size > FINDING_SIZE_MAX ? FINDING_SIZE_MAX : view.size;
    writer_str(&state->writer, view);
    state->count++;
  }
}

/* One at a time: it reads everything, and a second one would take the last reader thread. */
void command_log_verify_run(struct command_call *call)
{
  struct verify_state state = {.count = 0};
  struct verify_report report = {0};
  struct store_txn *txn = NULL;
  struct writer writer;
  if (atomic_exchange(&call->context->verifying, true)) {
    command_refuse(call, STATUS_BUSY, "a log verify is running already");
    command_finish(call, STATUS_BUSY);
    return;
  }
  writer_init(&state.writer, &state.rows);
  enum status status = store_read_begin(core_store(call->context->core), &txn);
  if (status == STATUS_OK) {
    status = store_verify(txn, &report, on_finding, &state);
    store_read_end(txn);
  }
  atomic_store(&call->context->verifying, false);
  status = status == STATUS_OK ? writer_finish(&state.writer) : status;
  if (status != STATUS_OK) {
    command_refuse(call, status, "verify could not read everything: %s", status_text(status));
  }
  writer_init(&writer, &call->result);
  writer_map(&writer, 7);
  write_uint(&writer, "logs", report.logs);
  write_uint(&writer, "commits", report.commits);
  write_uint(&writer, "records", report.records);
  write_uint(&writer, "subjects", report.subjects);
  write_uint(&writer, "outbox_entries", report.outbox_entries);
  write_uint(&writer, "finding_count", report.findings);
  writer_text(&writer, "findings");
  writer_array(&writer, state.count);
  writer_raw(&writer, bytes_as_view(&state.rows));
  bytes_close(&state.rows);
  command_finish_writer(call, &writer);
}
