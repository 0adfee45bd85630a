/* `trim`. */
#include "noded/command_fields.h"
#include "noded/command_handlers.h"
#include "noded/command_write.h"

#define TRIM_DAYS_MAX 36500

struct trim_state {
  struct core_trim trim; /* first, so that it leads back */
  struct command_call *call;
};

bool command_trim_args(struct command_call *call, struct reader *args)
{
  struct trim_state *state = command_alloc(call, sizeof(*state));
  if (state == NULL) {
    return false;
  }
  state->call = call;
  call->state = state;
  const struct field fields[] = {
      {.name = "days",
       .type = FIELD_UINT,
       .out = &state->trim.days,
       .max = TRIM_DAYS_MAX,
       .given = &state->trim.has_days},
      {.name = "dry_run", .type = FIELD_BOOL, .out = &state->trim.dry},
  };
  return fields_read(call, args, fields, 2);
}

static void on_trim(struct core *core, struct core_trim *trim, enum status status)
{
  (void)core;
  struct command_call *call = ((struct trim_state *)trim)->call;
  const struct trim_result *result = &trim->result;
  struct writer writer;
  if (status != STATUS_OK) {
    command_refuse(call, status, "%s", trim->reason);
  }
  writer_init(&writer, &call->result);
  writer_map(&writer, 10);
  write_bool(&writer, "dry_run", trim->dry);
  write_uint(&writer, "items", result->items);
  write_uint(&writer, "commits", result->commits);
  write_uint(&writer, "records", result->records);
  write_uint(&writer, "stay_young", result->stay_young);
  write_uint(&writer, "stay_open", result->stay_open);
  write_uint(&writer, "stay_few", result->stay_few);
  write_uint(&writer, "stay_unproven", result->stay_unproven);
  write_uint(&writer, "stay_waiting", result->stay_waiting);
  write_text(&writer, "reason", trim->reason);
  command_finish_writer(call, &writer);
}

void command_trim_run(struct command_call *call)
{
  struct trim_state *state = call->state;
  state->trim.done = on_trim;
  core_trim(call->context->core, &state->trim);
}
