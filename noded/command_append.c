/* `append`: drafts are read where they stand in the request, without an object tree, because a
 * batch holds up to 4,096 of them. */
#include <inttypes.h>
#include <string.h>

#include "noded/command_fields.h"
#include "noded/command_handlers.h"
#include "noded/command_write.h"
#include "noded/log.h"

#define APPEND_DRAFTS_MAX 4096

struct append_state {
  struct core_append append; /* first, so that it leads back */
  struct command_call *call;
  struct core_draft *drafts;
  bool wait;
  bool done; /* before core_append returned */
  bool answered;
};

static bool item_read(struct command_call *call, struct reader *reader, struct item_draft *item)
{
  uint64_t see = SEE_ALL;
  const struct field fields[] = {
      {.name = "name",
       .type = FIELD_NAME,
       .out = &item->name,
       .max = RECORD_ITEM_NAME_MAX,
       .required = true},
      {.name = "value", .type = FIELD_VALUE, .out = &item->value, .required = true},
      {.name = "see", .type = FIELD_UINT, .out = &see, .min = 1, .max = SEE_ALL},
  };
  if (!fields_read(call, reader, fields, 3)) {
    return false;
  }
  item->see = (uint8_t)see;
  return true;
}

/* An array's count, which the octets left must at least have room for. */
static bool count_read(struct command_call *call, struct reader *reader, uint32_t max,
                       uint32_t *count)
{
  if (!reader_array(reader, count) || *count > (size_t)(reader->end - reader->at)) {
    return command_refuse(call, STATUS_INVALID_ARGUMENT, "must be an array");
  }
  if (*count > max) {
    return command_refuse(call, STATUS_INVALID_ARGUMENT, "holds %" PRIu32 ", at most %" PRIu32,
                          *count, max);
  }
  return true;
}

static bool items_read(struct command_call *call, struct reader *reader, void *out)
{
  struct core_draft *draft = out;
  uint32_t count = 0;
  if (!count_read(call, reader, RECORD_ITEMS_MAX, &count)) {
    return false;
  }
  struct item_draft *items = command_alloc(call, count * sizeof(*items) + 1);
  for (uint32_t i = 0; items != NULL && i < count; i++) {
    if (!item_read(call, reader, &items[i])) {
      command_refuse_at(call, "[%" PRIu32 "]: ", i);
      return false;
    }
  }
  draft->items = items;
  draft->item_count = (uint8_t)count;
  return items != NULL;
}

static bool down_read(struct command_call *call, struct reader *reader, void *out)
{
  struct core_draft *draft = out;
  uint32_t count = 0;
  if (!count_read(call, reader, RECORD_DOWN_MAX, &count)) {
    return false;
  }
  const char **down = command_alloc(call, count * sizeof(*down) + 1);
  for (uint32_t i = 0; down != NULL && i < count; i++) {
    if (!field_read_name(call, reader, 1, ADDRESS_TEXT_MAX + 2, &down[i])) {
      command_refuse_at(call, "[%" PRIu32 "]: ", i);
      return false;
    }
  }
  draft->down = down;
  draft->down_count = (uint8_t)count;
  return down != NULL;
}

static bool lane_read(struct command_call *call, struct reader *reader, void *out)
{
  uint8_t *lane = out;
  struct bytes_view name;
  if (reader_str(reader, &name)) {
    for (unsigned i = 0; i < LANE_COUNT; i++) {
      if (bytes_view_equal(name, bytes_view_text(lane_name(i)))) {
        *lane = (uint8_t)i;
        return true;
      }
    }
  }
  return command_refuse(call, STATUS_INVALID_ARGUMENT, "must be urgent, normal or bulk");
}

static bool draft_read(struct command_call *call, struct reader *reader, struct core_draft *draft)
{
  bool with_subject = false;
  bool with_up = false;
  uint64_t up = 0;
  const struct field fields[] = {
      {.name = "kind",
       .type = FIELD_NAME,
       .out = &draft->kind,
       .min = 1,
       .max = RECORD_KIND_MAX,
       .required = true},
      {.name = "subject", .type = FIELD_SUBJECT, .out = &draft->subject, .given = &with_subject},
      {.name = "lane", .type = FIELD_NESTED, .out = &draft->lane, .nested = lane_read},
      {.name = "up", .type = FIELD_UINT, .out = &up, .max = TIER_DISTRICT, .given = &with_up},
      {.name = "down", .type = FIELD_NESTED, .out = draft, .nested = down_read},
      {.name = "author", .type = FIELD_NAME, .out = &draft->author, .max = RECORD_AUTHOR_MAX},
      {.name = "items", .type = FIELD_NESTED, .out = draft, .nested = items_read, .required = true},
  };
  draft->lane = LANE_NORMAL;
  draft->author = "";
  if (!fields_read(call, reader, fields, 7)) {
    return false;
  }
  if (draft->item_count == 0) {
    return command_refuse(call, STATUS_INVALID_ARGUMENT, "items: a record holds at least one");
  }
  draft->found = !with_subject;
  draft->up = (uint8_t)(with_up ? up : draft->found ? TIER_DISTRICT : 0);
  return true;
}

static bool drafts_read(struct command_call *call, struct reader *reader, void *out)
{
  struct append_state *state = out;
  uint32_t count = 0;
  if (!count_read(call, reader, APPEND_DRAFTS_MAX, &count)) {
    return false;
  }
  if (count == 0) {
    return command_refuse(call, STATUS_INVALID_ARGUMENT, "must hold at least one draft");
  }
  state->drafts = command_alloc(call, count * sizeof(*state->drafts));
  state->append.appended = command_alloc(call, count * sizeof(*state->append.appended));
  if (state->drafts == NULL || state->append.appended == NULL) {
    return false;
  }
  for (uint32_t i = 0; i < count; i++) {
    if (!draft_read(call, reader, &state->drafts[i])) {
      command_refuse_at(call, "[%" PRIu32 "]: ", i);
      return false;
    }
  }
  state->append.drafts = state->drafts;
  state->append.count = count;
  return true;
}

bool command_append_args(struct command_call *call, struct reader *args)
{
  struct append_state *state = command_alloc(call, sizeof(*state));
  if (state == NULL) {
    return false;
  }
  state->call = call;
  state->wait = true;
  call->state = state;
  const struct field fields[] = {
      {.name = "records",
       .type = FIELD_NESTED,
       .out = state,
       .nested = drafts_read,
       .required = true},
      {.name = "wait", .type = FIELD_BOOL, .out = &state->wait},
  };
  return fields_read(call, args, fields, 2);
}

static void write_appended(struct writer *writer, const struct core_append *append, size_t count)
{
  writer_map(writer, 1);
  writer_text(writer, "records");
  writer_array(writer, (uint32_t)count);
  for (size_t i = 0; i < count; i++) {
    const struct core_appended *record = &append->appended[i];
    writer_map(writer, 6);
    write_subject(writer, "subject", &record->subject);
    write_uint(writer, "log", record->log);
    write_uint(writer, "seq", record->seq);
    write_uint(writer, "index", record->index);
    write_uint(writer, "hlc", record->hlc);
    write_uint(writer, "gen", record->gen);
  }
}

static void append_answer(struct append_state *state, enum status status, size_t count)
{
  struct command_call *call = state->call;
  struct writer writer;
  state->answered = true;
  if (status != STATUS_OK) {
    const struct core_append *append = &state->append;
    const char *reason = append->reason[0] != 0 ? append->reason : status_text(status);
    if (append->bad < append->count) {
      command_refuse(call, status, "records[%zu]: %s", append->bad, reason);
    } else {
      command_refuse(call, status, "%s", reason); /* no one draft is at fault */
    }
    command_finish(call, status);
    return;
  }
  writer_init(&writer, &call->result);
  write_appended(&writer, &state->append, count);
  command_finish_writer(call, &writer);
}

/* With `wait` false the answer went out before; a refusal that comes after it is for the log. */
static void on_appended(struct core *core, struct core_append *append, enum status status)
{
  (void)core;
  struct append_state *state = (struct append_state *)append;
  struct command_call *call = state->call;
  bool answered = state->answered;
  state->done = true;
  if (!answered) {
    append_answer(state, status, append->count);
  } else if (status != STATUS_OK) {
    const struct log_field fields[] = {log_text("status", command_status_name(status)),
                                       log_uint("position", append->bad),
                                       log_text("reason", append->reason)};
    log_write(LOG_WARN, "append_refused", fields, 3);
  }
  command_release(call);
}

void command_append_run(struct command_call *call)
{
  struct append_state *state = call->state;
  bool wait = state->wait;
  state->append.done = on_appended;
  command_hold(call);
  command_hold(call);
  core_append(call->context->core, &state->append);
  if (!wait && !state->done) {
    append_answer(state, STATUS_OK, 0);
  }
  command_release(call);
}
