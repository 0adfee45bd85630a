/* `snapshot`: begun on the core thread, written on a reader thread. */
#include "noded/command_fields.h"
#include "noded/command_handlers.h"
#include "noded/command_write.h"
#include "noded/log.h"
#include "noded/snapshot.h"

#define PATH_SIZE_MAX 3000

struct snapshot_state {
  struct core_snapshot snapshot; /* first, so that it leads back */
  struct command_call *call;
  const char *path;
  const char *child;
};

bool command_snapshot_args(struct command_call *call, struct reader *args)
{
  struct snapshot_state *state = command_alloc(call, sizeof(*state));
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
      {.name = "child",
       .type = FIELD_NAME,
       .out = &state->child,
       .min = 1,
       .max = ADDRESS_TEXT_MAX,
       .required = true},
  };
  if (!fields_read(call, args, fields, 2)) {
    return false;
  }
  return address_parse(bytes_view_text(state->child), false, &state->snapshot.child) == STATUS_OK ||
         command_refuse(call, STATUS_INVALID_ARGUMENT, "'%s' is no address", state->child);
}

static void answer(struct command_call *call, const struct snapshot_state *state,
                   const struct snapshot_result *result)
{
  struct writer writer;
  struct log_field fields[] = {log_text("path", state->path), log_text("child", state->child),
                               log_uint("bytes", result->octets),
                               log_uint("commits", result->commits)};
  log_write(LOG_INFO, "snapshot", fields, 4);
  writer_init(&writer, &call->result);
  writer_map(&writer, 10);
  write_text(&writer, "path", state->path);
  write_text(&writer, "child", state->child);
  write_int(&writer, "at", state->snapshot.head.at.ms);
  write_uint(&writer, "size", result->octets);
  write_uint(&writer, "commits", result->commits);
  write_uint(&writer, "records", result->records);
  write_uint(&writer, "certificates", result->certificates);
  write_uint(&writer, "floors", result->floors);
  write_uint(&writer, "tombstones", result->tombstones);
  writer_text(&writer, "positions");
  writer_array(&writer, LANE_COUNT);
  for (unsigned lane = 0; lane < LANE_COUNT; lane++) {
    writer_uint(&writer, state->snapshot.head.lanes[lane].position);
  }
  command_finish_writer(call, &writer);
}

static void snapshot_make(struct command_call *call)
{
  const struct snapshot_state *state = call->state;
  struct core *core = call->context->core;
  char reason[SNAPSHOT_REASON_MAX] = "";
  struct snapshot_result result;
  const struct snapshot_settings settings = {
      .store = core_store(core),
      .identity = core_get_identity(core),
      .path = state->path,
      .neighbour = state->snapshot.neighbour,
      .head = state->snapshot.head,
  };
  enum status status = snapshot_write(&settings, &result, reason);
  atomic_store(&call->context->copying, false);
  if (status == STATUS_OK) {
    answer(call, state, &result);
    return;
  }
  command_refuse(call, status, "%s", reason[0] != 0 ? reason : status_text(status));
  command_finish(call, status);
}

static void on_begun(struct core *core, struct core_snapshot *snapshot, enum status status)
{
  const struct snapshot_state *state = (struct snapshot_state *)snapshot;
  struct command_call *call = state->call;
  if (status == STATUS_OK) {
    command_go(call, COMMAND_ON_READER, snapshot_make);
    return;
  }
  atomic_store(&call->context->copying, false);
  const char *self = core_get_identity(core)->address.text;
  if (status == STATUS_NOT_FOUND &&
      address_is_child(&snapshot->child, &core_get_identity(core)->address)) {
    command_refuse(call, status,
                   "%s has never linked to this node: it gets everything when it does",
                   state->child);
  } else if (status == STATUS_NOT_FOUND) {
    command_refuse(call, status,
                   "%s is not a child of %s: ask the node directly above it for its snapshot",
                   state->child, self);
  } else if (status == STATUS_BUSY) {
    command_refuse(call, status, "what waits for %s is just being dropped: try again",
                   state->child);
  }
  command_finish(call, status);
}

/* One at a time, and not beside a backup: both take a reader thread for long. */
void command_snapshot_run(struct command_call *call)
{
  struct snapshot_state *state = call->state;
  if (atomic_exchange(&call->context->copying, true)) {
    command_refuse(call, STATUS_BUSY, "a backup or a snapshot is being written already");
    command_finish(call, STATUS_BUSY);
    return;
  }
  state->snapshot.done = on_begun;
  core_snapshot(call->context->core, &state->snapshot);
}
