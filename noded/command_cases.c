/* `cases`, `case`, `inbox`. */
#include <stdio.h>

#include "noded/command_case_read.h"
#include "noded/command_fields.h"
#include "noded/command_handlers.h"
#include "noded/command_write.h"

#define PAGE_MAX 1000
#define PAGE_DEFAULT 100
#define SCAN_MAX 5000 /* subjects looked at for one page of a filtered list */

struct cases_state {
  struct parent_wait wait;
  const struct address *self;
  uint64_t limit;
  bool with_after;
  struct subject after;
  bool with_state;
  enum case_state wanted;
  struct bytes_view prefix;
  /* while reading */
  const struct store_txn *txn;
  struct arena arena; /* of one case */
  struct bytes rows;
  struct writer writer;
  uint32_t count;
  uint32_t scanned;
  struct subject last;
  bool more;
  enum status status;
};

static bool state_name_read(struct command_call *call, struct reader *reader, void *out)
{
  struct bytes_view name;
  if (reader_str(reader, &name) && case_state_find(name, out)) {
    return true;
  }
  return command_refuse(call, STATUS_INVALID_ARGUMENT,
                        "must be a case's state, such as reported, dispatched, closed");
}

bool command_cases_args(struct command_call *call, struct reader *args)
{
  struct cases_state *state = command_alloc(call, sizeof(*state));
  if (state == NULL) {
    return false;
  }
  call->state = state;
  state->limit = PAGE_DEFAULT;
  state->prefix = bytes_view_text(CASE_KIND_PREFIX);
  const struct field fields[] = {
      {.name = "limit", .type = FIELD_UINT, .out = &state->limit, .min = 1, .max = PAGE_MAX},
      {.name = "after", .type = FIELD_SUBJECT, .out = &state->after, .given = &state->with_after},
      {.name = "state",
       .type = FIELD_NESTED,
       .out = &state->wanted,
       .given = &state->with_state,
       .nested = state_name_read},
      {.name = "kind_prefix", .type = FIELD_TEXT, .out = &state->prefix},
  };
  return fields_read(call, args, fields, 4);
}

static bool case_is_wanted(const struct cases_state *state, const struct case_records *records)
{
  if (records->founding == NULL) {
    return false;
  }
  struct bytes_view kind = records->founding->record.header.kind;
  struct bytes_view start = bytes_view_of(kind.data, state->prefix.size);
  return kind.size >= state->prefix.size && bytes_view_equal(start, state->prefix) &&
         (!state->with_state || records->fold.state == state->wanted);
}

static bool on_subject(void *context, const struct subject_info *info)
{
  struct cases_state *state = context;
  struct case_records records;
  if (state->count == state->limit || state->scanned == SCAN_MAX ||
      state->rows.size > COMMAND_PAGE_BYTES) {
    state->more = true;
    return false;
  }
  arena_reset(&state->arena);
  state->status = case_records_read(state->txn, &info->subject, &state->arena, &records);
  if (state->status != STATUS_OK) {
    return false;
  }
  if (case_is_wanted(state, &records)) {
    write_case(&state->writer, info, &records, &state->wait, state->self);
    state->count++;
  }
  state->scanned++;
  state->last = info->subject;
  return true;
}

static void cases_read(struct command_call *call)
{
  struct cases_state *state = call->state;
  struct store_txn *txn = NULL;
  struct writer writer;
  enum status status = store_read_begin(core_store(call->context->core), &txn);
  if (status == STATUS_OK) {
    state->txn = txn;
    state->arena.limit = COMMAND_ARENA_MAX;
    writer_init(&state->writer, &state->rows);
    status =
        store_subject_each(txn, state->with_after ? &state->after : NULL, true, on_subject, state);
    store_read_end(txn);
  }
  status = status == STATUS_OK ? state->status : status;
  status = status == STATUS_OK ? writer_finish(&state->writer) : status;
  if (status != STATUS_OK) {
    command_refuse(call, status, "the cases can't be read: %s", status_text(status));
  }
  writer_init(&writer, &call->result);
  writer_map(&writer, 2);
  writer_text(&writer, "cases");
  writer_array(&writer, state->count);
  writer_raw(&writer, bytes_as_view(&state->rows));
  if (state->more) {
    write_subject(&writer, "next", &state->last);
  } else {
    write_text(&writer, "next", "");
  }
  bytes_close(&state->rows);
  arena_close(&state->arena);
  command_finish_writer(call, &writer);
}

void command_cases_run(struct command_call *call)
{
  struct cases_state *state = call->state;
  state->self = &core_get_identity(call->context->core)->address;
  parent_wait_read(call->context->core, &state->wait);
  command_go(call, COMMAND_ON_READER, cases_read);
}

struct case_state_of_call {
  struct parent_wait wait;
  struct subject subject;
};

bool command_case_args(struct command_call *call, struct reader *args)
{
  struct case_state_of_call *state = command_alloc(call, sizeof(*state));
  if (state == NULL) {
    return false;
  }
  call->state = state;
  const struct field fields[] = {
      {.name = "subject", .type = FIELD_SUBJECT, .out = &state->subject, .required = true},
  };
  return fields_read(call, args, fields, 1);
}

static void write_audience(struct writer *writer, const struct audience *audience)
{
  writer_text(writer, "audience");
  writer_array(writer, (uint32_t)audience->count);
  for (size_t i = 0; i < audience->count; i++) {
    const struct audience_entry *entry = &audience->entries[i];
    char text[ADDRESS_TEXT_MAX + 3];
    snprintf(text, sizeof(text), "%s%s", entry->address.text, entry->subtree ? "/*" : "");
    writer_text(writer, text);
  }
}

static enum status case_write(struct command_call *call, const struct store_txn *txn)
{
  struct case_state_of_call *state = call->state;
  struct subject_info info;
  struct case_records records;
  struct audience audience = {0};
  struct writer writer;
  enum status status = store_subject_get(txn, &state->subject, &info);
  if (status == STATUS_OK) {
    status = case_records_read(txn, &state->subject, &call->arena, &records);
  }
  if (status == STATUS_OK) {
    status = store_subject_audience(txn, &state->subject, &audience);
  }
  if (status != STATUS_OK) {
    goto out;
  }
  writer_init(&writer, &call->result);
  writer_map(&writer, 3);
  writer_text(&writer, "case");
  write_case(&writer, &info, &records, &state->wait,
             &core_get_identity(call->context->core)->address);
  write_audience(&writer, &audience);
  writer_text(&writer, "records");
  writer_array(&writer, (uint32_t)records.count);
  for (size_t i = 0; i < records.count; i++) {
    write_record(&writer, records.held[records.events[i].tag]);
  }
  status = writer_finish(&writer);
out:
  audience_close(&audience);
  return status;
}

static void case_read(struct command_call *call)
{
  struct store_txn *txn = NULL;
  enum status status = store_read_begin(core_store(call->context->core), &txn);
  if (status == STATUS_OK) {
    status = case_write(call, txn);
    store_read_end(txn);
  }
  if (status == STATUS_NOT_FOUND) {
    command_refuse(call, status, "no such case here");
  }
  command_finish(call, status);
}

void command_case_run(struct command_call *call)
{
  struct case_state_of_call *state = call->state;
  parent_wait_read(call->context->core, &state->wait);
  command_go(call, COMMAND_ON_READER, case_read);
}

struct inbox_state {
  uint64_t after;
  uint64_t limit;
  struct bytes rows;
  struct writer writer;
  uint32_t count;
  uint64_t last;
};

bool command_inbox_args(struct command_call *call, struct reader *args)
{
  struct inbox_state *state = command_alloc(call, sizeof(*state));
  if (state == NULL) {
    return false;
  }
  call->state = state;
  state->limit = PAGE_DEFAULT;
  const struct field fields[] = {
      {.name = "after", .type = FIELD_UINT, .out = &state->after, .max = UINT64_MAX},
      {.name = "limit", .type = FIELD_UINT, .out = &state->limit, .min = 1, .max = PAGE_MAX},
  };
  return fields_read(call, args, fields, 2);
}

static bool on_inbox(void *context, const struct inbox_entry *entry)
{
  struct inbox_state *state = context;
  if (state->rows.size > COMMAND_PAGE_BYTES) {
    return false;
  }
  writer_map(&state->writer, 2);
  write_uint(&state->writer, "number", entry->number);
  writer_text(&state->writer, "record");
  write_record(&state->writer, &entry->record);
  state->last = entry->number;
  state->count++;
  return true;
}

void command_inbox_run(struct command_call *call)
{
  struct inbox_state *state = call->state;
  struct store_txn *txn = NULL;
  struct writer writer;
  state->last = state->after;
  writer_init(&state->writer, &state->rows);
  enum status status = store_read_begin(core_store(call->context->core), &txn);
  if (status == STATUS_OK) {
    status = store_inbox_each(txn, state->after, state->limit, &call->arena, on_inbox, state);
    store_read_end(txn);
  }
  status = status == STATUS_OK ? writer_finish(&state->writer) : status;
  if (status != STATUS_OK) {
    command_refuse(call, status, "the inbox can't be read: %s", status_text(status));
  }
  writer_init(&writer, &call->result);
  writer_map(&writer, 2);
  writer_text(&writer, "entries");
  writer_array(&writer, state->count);
  writer_raw(&writer, bytes_as_view(&state->rows));
  write_uint(&writer, "next", state->last);
  bytes_close(&state->rows);
  command_finish_writer(call, &writer);
}
