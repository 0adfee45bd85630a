/* `quarantine.list`, `.show`, `.retry`, `.drop`. */
#include <inttypes.h>
#include <string.h>

#include "noded/command_fields.h"
#include "noded/command_handlers.h"
#include "noded/command_write.h"
#include "storage/neighbours.h"

/* Addresses of the neighbours, copied on the core thread; number n at n - 1. */
struct neighbours_copy {
  struct address *addresses;
  uint16_t count;
};

struct quarantine_state {
  uint64_t number;
  struct neighbours_copy neighbours;
  /* while reading */
  struct store *store;
  const struct store_txn *txn;
  struct bytes rows;
  struct writer writer;
  uint32_t count;
  bool found;
};

/* For commands of one number; list has none. */
static struct quarantine_state *state_make(struct command_call *call)
{
  struct quarantine_state *state =
      call->state != NULL ? call->state : command_alloc(call, sizeof(*state));
  call->state = state;
  return state;
}

bool command_quarantine_number_args(struct command_call *call, struct reader *args)
{
  struct quarantine_state *state = state_make(call);
  if (state == NULL) {
    return false;
  }
  const struct field fields[] = {
      {.name = "number",
       .type = FIELD_UINT,
       .out = &state->number,
       .max = UINT32_MAX,
       .required = true},
  };
  return fields_read(call, args, fields, 1);
}

static bool neighbours_take(struct command_call *call, struct neighbours_copy *out)
{
  const struct store *store = core_store(call->context->core);
  uint16_t count = store_neighbour_count(store);
  out->addresses = command_alloc(call, (size_t)count * sizeof(*out->addresses) + 1);
  if (out->addresses == NULL) {
    return false;
  }
  for (uint16_t i = 0; i < count; i++) {
    const struct neighbour *neighbour = store_neighbour(store, (uint16_t)(i + 1));
    if (neighbour != NULL) {
      out->addresses[i] = neighbour->address;
    }
  }
  out->count = count;
  return true;
}

static const char *neighbour_text(const struct neighbours_copy *neighbours, uint16_t number)
{
  return number == NEIGHBOUR_NONE || number > neighbours->count
             ? ""
             : neighbours->addresses[number - 1].text;
}

/* The origin's address: of its log, or of the certificate that the commit kept names. */
static struct address origin_address(const struct quarantine_state *state,
                                     const struct quarantine_entry *entry)
{
  struct log_head head;
  struct commit_header header;
  struct hash id;
  struct certificate certificate;
  struct address none;
  memset(&none, 0, sizeof(none));
  if (store_log_find(state->store, &entry->log, &head)) {
    return head.address;
  }
  if (entry->octets.size > 0 && commit_read_header(entry->octets, &header, &id) == STATUS_OK &&
      store_certificate_get(state->txn, &header.certificate, &certificate) == STATUS_OK &&
      memcmp(certificate.key.octets, header.origin.octets, KEY_SIZE) == 0) {
    return certificate.address;
  }
  return none;
}

#define ENTRY_PAIRS (9 + WRITE_LOG_PAIRS)

static void write_entry(struct quarantine_state *state, const struct quarantine_entry *entry)
{
  struct writer *writer = &state->writer;
  struct address origin = origin_address(state, entry);
  write_uint(writer, "number", entry->number);
  write_text(writer, "neighbour", neighbour_text(&state->neighbours, entry->neighbour));
  write_text(writer, "address", origin.text);
  write_log_id(writer, &entry->log);
  write_uint(writer, "seq", entry->seq);
  write_text(writer, "verdict", verdict_name(entry->verdict));
  write_text(writer, "reason", verdict_text(entry->verdict));
  write_int(writer, "first_at", entry->first_at.ms);
  write_int(writer, "last_at", entry->last_at.ms);
  write_uint(writer, "count", entry->count);
}

static bool on_entry(void *context, const struct quarantine_entry *entry)
{
  struct quarantine_state *state = context;
  writer_map(&state->writer, ENTRY_PAIRS);
  write_entry(state, entry);
  state->count++;
  return state->rows.size < COMMAND_PAGE_BYTES;
}

static bool on_refused(void *context, const struct refused_entry *entry)
{
  struct quarantine_state *state = context;
  struct writer *writer = &state->writer;
  writer_map(writer, 4 + WRITE_LOG_PAIRS);
  write_text(writer, "neighbour", neighbour_text(&state->neighbours, entry->neighbour));
  write_log_id(writer, &entry->log);
  write_uint(writer, "seq", entry->seq);
  write_text(writer, "verdict", verdict_name(entry->verdict));
  write_int(writer, "at", entry->at.ms);
  state->count++;
  return state->rows.size < COMMAND_PAGE_BYTES / 4;
}

/* One key with the array of rows gathered since the last. */
static enum status rows_flush(struct quarantine_state *state, struct writer *out, const char *key)
{
  enum status status = writer_finish(&state->writer);
  writer_text(out, key);
  writer_array(out, state->count);
  writer_raw(out, bytes_as_view(&state->rows));
  bytes_clear(&state->rows);
  writer_init(&state->writer, &state->rows);
  state->count = 0;
  return status;
}

static enum status list_write(struct command_call *call, struct quarantine_state *state)
{
  struct writer writer;
  writer_init(&state->writer, &state->rows);
  writer_init(&writer, &call->result);
  writer_map(&writer, 2);
  enum status status = store_quarantine_each(state->txn, on_entry, state);
  if (status == STATUS_OK) {
    status = rows_flush(state, &writer, "entries");
  }
  if (status == STATUS_OK) {
    status = store_refused_each(state->txn, on_refused, state);
  }
  if (status == STATUS_OK) {
    status = rows_flush(state, &writer, "refused");
  }
  return status == STATUS_OK ? writer_finish(&writer) : status;
}

static bool on_wanted(void *context, const struct quarantine_entry *entry)
{
  struct quarantine_state *state = context;
  if (entry->number != state->number) {
    return true;
  }
  state->found = true;
  writer_map(&state->writer, ENTRY_PAIRS + 1);
  write_entry(state, entry);
  write_bin(&state->writer, "octets", entry->octets);
  return false;
}

static enum status show_write(struct command_call *call, struct quarantine_state *state)
{
  writer_init(&state->writer, &call->result);
  enum status status = store_quarantine_each(state->txn, on_wanted, state);
  if (status == STATUS_OK && !state->found) {
    command_refuse(call, STATUS_NOT_FOUND, "no quarantine entry %" PRIu64, state->number);
    status = STATUS_NOT_FOUND;
  }
  return status == STATUS_OK ? writer_finish(&state->writer) : status;
}

static void quarantine_read(struct command_call *call,
                            enum status (*write)(struct command_call *, struct quarantine_state *))
{
  struct quarantine_state *state = call->state;
  struct store_txn *txn = NULL;
  state->store = core_store(call->context->core);
  enum status status = store_read_begin(state->store, &txn);
  if (status == STATUS_OK) {
    state->txn = txn;
    status = write(call, state);
    store_read_end(txn);
  }
  bytes_close(&state->rows);
  command_finish(call, status);
}

static void list_read(struct command_call *call)
{
  quarantine_read(call, list_write);
}

static void show_read(struct command_call *call)
{
  quarantine_read(call, show_write);
}

static void read_after_neighbours(struct command_call *call,
                                  void (*step)(struct command_call *call))
{
  struct quarantine_state *state = state_make(call);
  if (state == NULL || !neighbours_take(call, &state->neighbours)) {
    command_finish(call, call->status);
    return;
  }
  command_go(call, COMMAND_ON_READER, step);
}

void command_quarantine_list_run(struct command_call *call)
{
  read_after_neighbours(call, list_read);
}

void command_quarantine_show_run(struct command_call *call)
{
  read_after_neighbours(call, show_read);
}

struct retry_state {
  struct core_retry retry; /* first, so that it leads back */
  struct command_call *call;
};

static void retry_answer(struct core_retry *retry, enum status status, const char *key,
                         uint64_t count)
{
  struct command_call *call = ((struct retry_state *)retry)->call;
  struct writer writer;
  if (status == STATUS_NOT_FOUND) {
    command_refuse(call, status, "no quarantine entry %" PRIu32, retry->number);
  } else if (status != STATUS_OK) {
    command_refuse(call, status, "%s", status_text(status));
  }
  writer_init(&writer, &call->result);
  writer_map(&writer, 1);
  write_uint(&writer, key, count);
  command_finish_writer(call, &writer);
}

static void on_retried(struct core *core, struct core_retry *retry, enum status status)
{
  (void)core;
  retry_answer(retry, status, "retried", retry->retried);
}

static void on_dropped(struct core *core, struct core_retry *retry, enum status status)
{
  (void)core;
  retry_answer(retry, status, "dropped", status == STATUS_OK);
}

static struct core_retry *retry_make(struct command_call *call,
                                     void (*done)(struct core *, struct core_retry *, enum status))
{
  const struct quarantine_state *numbered = call->state;
  struct retry_state *state = command_alloc(call, sizeof(*state));
  if (state == NULL) {
    return NULL;
  }
  state->call = call;
  state->retry.number = (uint32_t)numbered->number;
  state->retry.done = done;
  return &state->retry;
}

void command_quarantine_retry_run(struct command_call *call)
{
  struct core_retry *retry = retry_make(call, on_retried);
  if (retry == NULL) {
    command_finish(call, call->status);
    return;
  }
  core_retry(call->context->core, retry);
}

void command_quarantine_drop_run(struct command_call *call)
{
  struct core_retry *drop = retry_make(call, on_dropped);
  if (drop == NULL) {
    command_finish(call, call->status);
    return;
  }
  core_drop(call->context->core, drop);
}
