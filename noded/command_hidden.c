/* `unhide`, and what is refused while items are hidden. */
#include "noded/command_fields.h"
#include "noded/command_handlers.h"
#include "noded/command_write.h"

struct unhide_state {
  struct core_unhide unhide; /* first, so that it leads back */
  struct command_call *call;
  bool was_hidden;
  bool sure;
};

bool command_unhide_args(struct command_call *call, struct reader *args)
{
  struct unhide_state *state = command_alloc(call, sizeof(*state));
  if (state == NULL) {
    return false;
  }
  state->call = call;
  call->state = state;
  const struct field fields[] = {
      {.name = "without_tombstones", .type = FIELD_BOOL, .out = &state->sure, .required = true},
  };
  return fields_read(call, args, fields, 1) &&
         (state->sure || command_refuse(call, STATUS_INVALID_ARGUMENT,
                                        "it goes without the parent's tombstones: say so"));
}

static void on_unhidden(struct core *core, struct core_unhide *unhide, enum status status)
{
  const struct unhide_state *state = (struct unhide_state *)unhide;
  struct command_call *call = state->call;
  struct writer writer;
  (void)core;
  if (status != STATUS_OK) {
    command_finish(call, status);
    return;
  }
  writer_init(&writer, &call->result);
  writer_map(&writer, 1);
  write_bool(&writer, "was_hidden", state->was_hidden);
  command_finish_writer(call, &writer);
}

void command_unhide_run(struct command_call *call)
{
  struct unhide_state *state = call->state;
  struct core *core = call->context->core;
  state->was_hidden = core_is_hidden(core);
  state->unhide.done = on_unhidden;
  if (state->was_hidden) {
    core_unhide(core, &state->unhide);
  } else {
    on_unhidden(core, &state->unhide, STATUS_OK);
  }
}

bool command_is_hidden(struct command_call *call)
{
  static const char *const names[] = {"case",     "cases",           "inbox",   "log.export",
                                      "log.show", "quarantine.show", "snapshot"};
  for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
    if (bytes_view_equal(bytes_view_text(names[i]), bytes_view_text(call->command->name)) &&
        core_is_hidden(call->context->core)) {
      command_refuse(call, STATUS_NOT_ALLOWED,
                     "this node was restored and shows no item before it has its parent's "
                     "tombstones: something may have been erased since. It asks for them when "
                     "the link is up; see nodectl unhide");
      return true;
    }
  }
  return false;
}
