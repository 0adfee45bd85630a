#include "noded/command.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "noded/command_fields.h"
#include "noded/command_handlers.h"
#include "noded/log_text.h"
#include "record/check.h"

#define ENVELOPE_MAX 2048 /* what the reply's envelope takes beside the result */
#define KEEP_BYTES_MAX (256 * 1024)

static const struct command commands[] = {
    {"append", command_append_args, COMMAND_ON_CORE, command_append_run},
    {"backup", command_backup_args, COMMAND_ON_CORE, command_backup_run},
    {"case", command_case_args, COMMAND_ON_CORE, command_case_run},
    {"cases", command_cases_args, COMMAND_ON_CORE, command_cases_run},
    {"certify", command_certify_args, COMMAND_ON_CORE, command_certify_run},
    {"inbox", command_inbox_args, COMMAND_ON_READER, command_inbox_run},
    {"log.export", command_log_export_args, COMMAND_ON_READER, command_log_export_run},
    {"log.import", command_log_import_args, COMMAND_ON_CORE, command_log_import_run},
    {"log.list", command_log_list_args, COMMAND_ON_READER, command_log_list_run},
    {"log.show", command_log_show_args, COMMAND_ON_READER, command_log_show_run},
    {"log.verify", command_no_args, COMMAND_ON_READER, command_log_verify_run},
    {"quarantine.drop", command_quarantine_number_args, COMMAND_ON_CORE,
     command_quarantine_drop_run},
    {"quarantine.list", command_no_args, COMMAND_ON_CORE, command_quarantine_list_run},
    {"quarantine.retry", command_quarantine_number_args, COMMAND_ON_CORE,
     command_quarantine_retry_run},
    {"quarantine.show", command_quarantine_number_args, COMMAND_ON_CORE,
     command_quarantine_show_run},
    {"shutdown", command_no_args, COMMAND_ON_READER, command_shutdown_run},
    {"snapshot", command_snapshot_args, COMMAND_ON_CORE, command_snapshot_run},
    {"status", command_no_args, COMMAND_ON_CORE, command_status_run},
    {"tree", command_tree_args, COMMAND_ON_CORE, command_tree_run},
    {"trim", command_trim_args, COMMAND_ON_CORE, command_trim_run},
    {"unhide", command_unhide_args, COMMAND_ON_CORE, command_unhide_run},
};

const struct command *command_find(struct bytes_view name)
{
  for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
    if (bytes_view_equal(name, bytes_view_text(commands[i].name))) {
      return &commands[i];
    }
  }
  return NULL;
}

const char *command_status_name(enum status status)
{
  static const char *const names[] = {
#define X(name, text) #name,
      STATUS_TABLE(X)
#undef X
  };
  static _Thread_local char lower[32];
  const char *name = names[status] + strlen("STATUS_");
  size_t size = 0;
  while (name[size] != 0 && size < sizeof(lower) - 1) {
    lower[size] = (char)(name[size] == '_' ? '_' : name[size] | 0x20);
    size++;
  }
  lower[size] = 0;
  return lower;
}

void command_call_reset(struct command_call *call)
{
  if (call->arena.used > KEEP_BYTES_MAX) {
    arena_close(&call->arena);
  } else {
    arena_reset(&call->arena);
  }
  if (call->result.capacity > KEEP_BYTES_MAX) {
    bytes_close(&call->result);
  }
  bytes_clear(&call->result);
  call->arena.limit = COMMAND_ARENA_MAX;
  call->command = NULL;
  call->status = STATUS_OK;
  call->reason[0] = 0;
  call->shut_down = false;
  call->state = NULL;
  call->step = NULL;
  call->next = NULL;
  atomic_store(&call->holds, 1);
}

void command_call_close(struct command_call *call)
{
  arena_close(&call->arena);
  bytes_close(&call->result);
}

bool command_refuse(struct command_call *call, enum status status, const char *format, ...)
{
  CHECK(status != STATUS_OK);
  if (call->status == STATUS_OK) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(call->reason, sizeof(call->reason), format, arguments);
    va_end(arguments);
    call->status = status;
  }
  return false;
}

void command_refuse_at(struct command_call *call, const char *format, ...)
{
  char what[COMMAND_REASON_MAX];
  memcpy(what, call->reason, sizeof(what));
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(call->reason, sizeof(call->reason), format, arguments);
  va_end(arguments);
  size_t size = strlen(call->reason);
  snprintf(call->reason + size, sizeof(call->reason) - size, "%s", what);
}

static void run_on_core(struct core *core, struct core_task *task)
{
  (void)core;
  struct command_call *call = (struct command_call *)task;
  call->step(call);
}

void command_go(struct command_call *call, enum command_place place,
                void (*step)(struct command_call *call))
{
  call->step = step;
  if (place == COMMAND_ON_CORE) {
    call->task.run = run_on_core;
    core_post(call->context->core, &call->task);
  } else {
    command_readers_post(call->context->readers, call);
  }
}

void command_finish(struct command_call *call, enum status status)
{
  if (status != STATUS_OK) {
    command_refuse(call, status, "%s", status_text(status));
  }
  call->finished(call);
}

void command_finish_writer(struct command_call *call, const struct writer *writer)
{
  command_finish(call, call->status == STATUS_OK ? writer_finish(writer) : call->status);
}

void command_hold(struct command_call *call)
{
  atomic_fetch_add(&call->holds, 1);
}

void command_release(struct command_call *call)
{
  if (atomic_fetch_sub(&call->holds, 1) == 1) {
    call->released(call);
  }
}

void *command_alloc(struct command_call *call, size_t size)
{
  void *memory = arena_alloc(&call->arena, size);
  if (memory == NULL) {
    command_refuse(call, STATUS_NO_MEMORY, "the request needs more memory than one may take");
    return NULL;
  }
  return memset(memory, 0, size);
}

bool command_no_args(struct command_call *call, struct reader *args)
{
  return fields_read(call, args, NULL, 0);
}

/* The args' place in the request, read at once when the command is known by then, else at the
 * end. */
struct envelope {
  uint64_t version;
  struct bytes_view name;
  struct bytes_view args;
  bool args_read;
};

static bool args_take(struct command_call *call, struct reader *reader, void *out)
{
  struct envelope *envelope = out;
  call->command = command_find(envelope->name);
  if (call->command == NULL) {
    if (!reader_skip(reader, true, &envelope->args)) {
      return command_refuse(call, STATUS_MALFORMED, "the args are not well-formed msgpack");
    }
    return true;
  }
  envelope->args_read = true;
  return call->command->read_args(call, reader);
}

static bool request_read(struct command_call *call, struct bytes_view request)
{
  static const uint8_t no_args[] = {0x80};
  struct envelope envelope = {.args = bytes_view_of(no_args, 1)};
  const struct field fields[] = {
      {.name = "v",
       .type = FIELD_UINT,
       .out = &envelope.version,
       .max = UINT64_MAX,
       .required = true},
      {.name = "command", .type = FIELD_TEXT, .out = &envelope.name, .required = true},
      {.name = "args", .type = FIELD_NESTED, .out = &envelope, .nested = args_take},
  };
  struct reader reader = reader_of(request);
  if (!fields_read(call, &reader, fields, 3)) {
    return false;
  }
  if (!reader_at_end(&reader)) {
    return command_refuse(call, STATUS_MALFORMED, "octets follow the request");
  }
  if (envelope.version != 1) {
    return command_refuse(call, STATUS_WRONG_VERSION, "this daemon speaks version 1");
  }
  call->command = command_find(envelope.name);
  if (call->command == NULL) {
    return command_refuse(call, STATUS_INVALID_ARGUMENT, "no command '%.*s'",
                          envelope.name.size > 64 ? 64 : (int)envelope.name.size,
                          (const char *)envelope.name.data);
  }
  struct reader args = reader_of(envelope.args);
  return envelope.args_read || call->command->read_args(call, &args);
}

void command_start(struct command_call *call, struct bytes_view request)
{
  if (request_read(call, request) && !command_is_hidden(call)) {
    command_go(call, call->command->place, call->command->run);
  } else {
    command_finish(call, call->status);
  }
}

enum status command_write_reply(const struct command_call *call, struct bytes *out)
{
  static const uint8_t nil[] = {0xc0};
  char clean[COMMAND_REASON_MAX]; /* a cut may have fallen into a character */
  struct writer writer;
  enum status status = call->status;
  const char *reason = call->reason;
  if (status == STATUS_OK && call->result.size + ENVELOPE_MAX > COMMAND_REPLY_MAX) {
    status = STATUS_TOO_LARGE;
    reason = "the result doesn't fit into one reply of 4 MiB: ask for less";
  }
  log_text_clean(bytes_view_text(status == STATUS_OK ? "" : reason), clean, sizeof(clean));
  writer_init(&writer, out);
  writer_map(&writer, 4);
  writer_text(&writer, "v");
  writer_uint(&writer, 1);
  writer_text(&writer, "status");
  writer_text(&writer, command_status_name(status));
  writer_text(&writer, "reason");
  writer_text(&writer, clean);
  writer_text(&writer, "result");
  bool empty = status != STATUS_OK || call->result.size == 0;
  writer_raw(&writer, empty ? bytes_view_of(nil, 1) : bytes_as_view(&call->result));
  return writer_finish(&writer);
}
