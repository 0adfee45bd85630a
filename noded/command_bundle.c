/* `log.export` and `log.import`: bundles (DESIGN section 3), in pieces that fit a reply. */
#include <string.h>

#include "noded/command_export.h"
#include "noded/command_fields.h"
#include "noded/command_handlers.h"
#include "noded/command_write.h"

#define IMPORT_MAX (3 * 1024 * 1024)

static bool cursor_read(struct command_call *call, struct reader *reader, void *out)
{
  struct export_state *state = out;
  uint64_t log = 0;
  const struct field fields[] = {
      {.name = "log",
       .type = FIELD_UINT,
       .out = &log,
       .min = 1,
       .max = UINT32_MAX,
       .required = true},
      {.name = "seq",
       .type = FIELD_UINT,
       .out = &state->from.seq,
       .max = UINT64_MAX,
       .required = true},
  };
  bool read = fields_read(call, reader, fields, 2);
  state->from.log = (uint32_t)log;
  return read;
}

bool command_log_export_args(struct command_call *call, struct reader *args)
{
  struct export_state *state = command_alloc(call, sizeof(*state));
  uint64_t log = 0;
  if (state == NULL) {
    return false;
  }
  call->state = state;
  const struct field fields[] = {
      {.name = "log", .type = FIELD_UINT, .out = &log, .max = UINT32_MAX},
      {.name = "from",
       .type = FIELD_NESTED,
       .out = state,
       .given = &state->with_from,
       .nested = cursor_read},
      {.name = "subject",
       .type = FIELD_SUBJECT,
       .out = &state->subject,
       .given = &state->with_subject},
  };
  bool read = fields_read(call, args, fields, 3);
  state->log = (uint32_t)log;
  return read;
}

static void export_write(struct command_call *call, const struct export_state *state)
{
  static const uint8_t nil[] = {0xc0};
  struct writer writer;
  writer_init(&writer, &call->result);
  writer_map(&writer, 2);
  write_bin(&writer, "octets", bytes_as_view(&state->octets));
  writer_text(&writer, "next");
  if (state->more) {
    writer_map(&writer, 2);
    write_uint(&writer, "log", state->next.log);
    write_uint(&writer, "seq", state->next.seq);
  } else {
    writer_raw(&writer, bytes_view_of(nil, 1));
  }
  command_finish_writer(call, &writer);
}

void command_log_export_run(struct command_call *call)
{
  struct export_state *state = call->state;
  struct store *store = core_store(call->context->core);
  struct store_txn *txn = NULL;
  struct log_head head;
  enum status status = STATUS_OK;
  if (state->log != 0 && !store_log_at(store, state->log, &head)) {
    command_refuse(call, STATUS_NOT_FOUND, "no log %u here", (unsigned)state->log);
    command_finish(call, STATUS_NOT_FOUND);
    return;
  }
  status = store_read_begin(store, &txn);
  if (status == STATUS_OK) {
    status = export_piece(store, txn, core_get_identity(call->context->core), state);
    store_read_end(txn);
  }
  if (status == STATUS_NOT_FOUND) {
    command_refuse(call, status, "no such case here");
  } else if (status != STATUS_OK) {
    command_refuse(call, status, "the logs can't be exported: %s", status_text(status));
  }
  export_write(call, state);
  export_close(state);
}

struct import_state {
  struct core_import import; /* first, so that it leads back */
  struct command_call *call;
};

bool command_log_import_args(struct command_call *call, struct reader *args)
{
  struct import_state *state = command_alloc(call, sizeof(*state));
  if (state == NULL) {
    return false;
  }
  state->call = call;
  call->state = state;
  const struct field fields[] = {
      {.name = "octets",
       .type = FIELD_OCTETS,
       .out = &state->import.octets,
       .min = 1,
       .max = IMPORT_MAX,
       .required = true},
  };
  return fields_read(call, args, fields, 1);
}

static void on_imported(struct core *core, struct core_import *import, enum status status)
{
  (void)core;
  struct command_call *call = ((struct import_state *)import)->call;
  struct writer writer;
  if (status != STATUS_OK) {
    command_refuse(call, status, "%s",
                   import->reason[0] != 0 ? import->reason : status_text(status));
  }
  writer_init(&writer, &call->result);
  writer_map(&writer, 5);
  write_uint(&writer, "taken", import->taken);
  write_uint(&writer, "duplicate", import->duplicate);
  write_uint(&writer, "refused", import->refused);
  write_uint(&writer, "certificates", import->certificates);
  writer_text(&writer, "refusals");
  writer_array(&writer, import->refusal_count);
  writer_raw(&writer, bytes_as_view(&import->refusals));
  bytes_close(&import->refusals);
  command_finish_writer(call, &writer);
}

void command_log_import_run(struct command_call *call)
{
  struct import_state *state = call->state;
  state->import.done = on_imported;
  core_import(call->context->core, &state->import);
}
