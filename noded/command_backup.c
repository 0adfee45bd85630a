/* `backup`: begun on the core thread, copied on a reader thread, confirmed on the core thread. */
#include "noded/backup.h"
#include "noded/command_fields.h"
#include "noded/command_handlers.h"
#include "noded/command_write.h"
#include "noded/log.h"

#define PATH_SIZE_MAX 3000

struct backup_state {
  struct core_backup backup; /* first, so that it leads back */
  struct command_call *call;
  struct backup_manifest manifest;
  const char *path;
  bool with_key;
};

bool command_backup_args(struct command_call *call, struct reader *args)
{
  struct backup_state *state = command_alloc(call, sizeof(*state));
  if (state == NULL) {
    return false;
  }
  state->call = call;
  call->state = state;
  const struct field fields[] = {
      {.name = "path",
       .type = FIELD_NAME,
       .out = &state->path,
       .min = 2,
       .max = PATH_SIZE_MAX,
       .required = true},
      {.name = "with_key", .type = FIELD_BOOL, .out = &state->with_key},
  };
  return fields_read(call, args, fields, 2);
}

static void answer(struct command_call *call, struct backup_state *state, bool confirmed)
{
  const struct backup_manifest *manifest = &state->manifest;
  struct writer writer;
  struct log_field fields[] = {log_text("path", state->path), log_uint("bytes", manifest->octets),
                               log_uint("findings", manifest->findings)};
  log_write(confirmed ? LOG_INFO : LOG_WARN, "backup", fields, 3);
  writer_init(&writer, &call->result);
  writer_map(&writer, 9);
  write_text(&writer, "path", state->path);
  write_int(&writer, "at", manifest->at_ms);
  write_uint(&writer, "size", manifest->octets);
  write_uint(&writer, "logs", manifest->counts.logs);
  write_uint(&writer, "commits", manifest->counts.commits);
  write_uint(&writer, "records", manifest->counts.records);
  write_uint(&writer, "findings", manifest->findings);
  write_bool(&writer, "confirmed", confirmed);
  write_bool(&writer, "secret_key", manifest->secret_key);
  backup_manifest_close(&state->manifest);
  atomic_store(&call->context->copying, false);
  command_finish_writer(call, &writer);
}

static void on_confirmed(struct core *core, struct core_backup *backup, enum status status)
{
  struct backup_state *state = (struct backup_state *)backup;
  (void)core;
  if (status != STATUS_OK) {
    command_refuse(state->call, status, "%s is whole, but could not be confirmed: %s", state->path,
                   status_text(status));
  }
  answer(state->call, state, status == STATUS_OK);
}

static void backup_confirm(struct command_call *call)
{
  struct backup_state *state = call->state;
  state->backup.octets = state->manifest.octets;
  state->backup.done = on_confirmed;
  core_backup_confirm(call->context->core, &state->backup);
}

static void backup_copy(struct command_call *call)
{
  struct backup_state *state = call->state;
  struct core *core = call->context->core;
  char reason[BACKUP_REASON_MAX] = "";
  const struct backup_settings settings = {
      .store = core_store(core),
      .directory = core_directory(core),
      .path = state->path,
      .at_ms = state->backup.at_ms,
      .with_key = state->with_key,
  };
  enum status status = backup_write(&settings, &state->manifest, reason);
  if (status == STATUS_OK && state->manifest.findings == 0) {
    command_go(call, COMMAND_ON_CORE, backup_confirm);
    return;
  }
  core_backup_drop(&state->backup);
  if (status == STATUS_OK) {
    answer(call, state, false);
    return;
  }
  atomic_store(&call->context->copying, false);
  command_refuse(call, status, "%s", reason);
  command_finish(call, status);
}

/* One at a time: it keeps old pages of the store alive, and a reader thread. */
void command_backup_run(struct command_call *call)
{
  struct backup_state *state = call->state;
  if (atomic_exchange(&call->context->copying, true)) {
    command_refuse(call, STATUS_BUSY, "a backup or a snapshot is being written already");
    command_finish(call, STATUS_BUSY);
    return;
  }
  enum status status = core_backup_begin(call->context->core, &state->backup);
  if (status != STATUS_OK) {
    atomic_store(&call->context->copying, false);
    command_finish(call, status);
    return;
  }
  command_go(call, COMMAND_ON_READER, backup_copy);
}
