#include "noded/command_fields.h"

#include <inttypes.h>
#include <string.h>

#include "record/check.h"

static bool text_read(struct command_call *call, struct reader *reader, struct bytes_view *out)
{
  if (!reader_str(reader, out)) {
    return command_refuse(call, STATUS_INVALID_ARGUMENT, "must be a text");
  }
  return true;
}

bool field_read_name(struct command_call *call, struct reader *reader, uint64_t min, uint64_t max,
                     const char **out)
{
  struct bytes_view view;
  if (!text_read(call, reader, &view)) {
    return false;
  }
  if (view.size < min || view.size > max) {
    return command_refuse(call, STATUS_INVALID_ARGUMENT,
                          "must be a text of %" PRIu64 " to %" PRIu64 " octets", min, max);
  }
  if (view.size > 0 && memchr(view.data, 0, view.size) != NULL) {
    return command_refuse(call, STATUS_INVALID_ARGUMENT, "must not hold a zero octet");
  }
  char *copy = arena_alloc(&call->arena, view.size + 1);
  if (copy == NULL) {
    return command_refuse(call, STATUS_NO_MEMORY, "needs more memory than a request may take");
  }
  if (view.size > 0) {
    memcpy(copy, view.data, view.size);
  }
  copy[view.size] = 0;
  *out = copy;
  return true;
}

static bool uint_read(struct command_call *call, struct reader *reader, const struct field *field)
{
  uint64_t *out = field->out;
  if (!reader_uint(reader, out) || *out < field->min || *out > field->max) {
    return command_refuse(call, STATUS_INVALID_ARGUMENT,
                          "must be a whole number from %" PRIu64 " to %" PRIu64, field->min,
                          field->max);
  }
  return true;
}

static bool octets_read(struct command_call *call, struct reader *reader, const struct field *field)
{
  struct bytes_view *out = field->out;
  if (!reader_bin(reader, out)) {
    return command_refuse(call, STATUS_INVALID_ARGUMENT, "must be octets (bin)");
  }
  if (out->size < field->min || out->size > field->max) {
    return command_refuse(call, STATUS_INVALID_ARGUMENT,
                          "must be %" PRIu64 " to %" PRIu64 " octets", field->min, field->max);
  }
  return true;
}

static bool subject_read(struct command_call *call, struct reader *reader, struct subject *out)
{
  char text[SUBJECT_TEXT_SIZE];
  struct bytes_view view;
  if (!text_read(call, reader, &view)) {
    return false;
  }
  if (view.size == SUBJECT_TEXT_SIZE - 1) {
    memcpy(text, view.data, view.size);
    text[view.size] = 0;
    if (memchr(text, 0, view.size) == NULL && subject_from_text(text, out) == STATUS_OK) {
      return true;
    }
  }
  return command_refuse(call, STATUS_INVALID_ARGUMENT, "must be a subject (26 letters and digits)");
}

static bool field_read(struct command_call *call, struct reader *reader, const struct field *field)
{
  switch (field->type) {
  case FIELD_UINT:
    return uint_read(call, reader, field);
  case FIELD_BOOL:
    return reader_bool(reader, field->out) ||
           command_refuse(call, STATUS_INVALID_ARGUMENT, "must be true or false");
  case FIELD_TEXT:
    return text_read(call, reader, field->out);
  case FIELD_NAME:
    return field_read_name(call, reader, field->min, field->max, field->out);
  case FIELD_OCTETS:
    return octets_read(call, reader, field);
  case FIELD_SUBJECT:
    return subject_read(call, reader, field->out);
  case FIELD_VALUE:
    return reader_skip(reader, true, field->out) ||
           command_refuse(call, STATUS_INVALID_ARGUMENT, "is not well-formed msgpack");
  case FIELD_NESTED:
    return field->nested(call, reader, field->out);
  }
  return false;
}

static size_t field_find(const struct field *fields, size_t count, struct bytes_view name)
{
  for (size_t i = 0; i < count; i++) {
    const char *text = fields[i].name;
    if (strlen(text) == name.size && memcmp(text, name.data, name.size) == 0) {
      return i;
    }
  }
  return count;
}

/* The name of an unknown field, as far as it can be shown. */
static bool refuse_unknown(struct command_call *call, struct bytes_view name)
{
  int size = name.size > 40 ? 40 : (int)name.size;
  return command_refuse(call, STATUS_INVALID_ARGUMENT, "'%.*s' is not known here", size,
                        (const char *)name.data);
}

bool fields_read(struct command_call *call, struct reader *reader, const struct field *fields,
                 size_t count)
{
  uint32_t pairs = 0;
  bool seen[FIELDS_MAX] = {false};
  CHECK(count <= FIELDS_MAX);
  if (!reader_map(reader, &pairs)) {
    return command_refuse(call, STATUS_INVALID_ARGUMENT, "must be a map");
  }
  for (uint32_t i = 0; i < pairs; i++) {
    struct bytes_view name;
    if (!reader_str(reader, &name)) {
      return command_refuse(call, STATUS_INVALID_ARGUMENT, "is cut off, or a key is no text");
    }
    size_t at = field_find(fields, count, name);
    if (at == count) {
      return refuse_unknown(call, name);
    }
    if (seen[at]) {
      return command_refuse(call, STATUS_INVALID_ARGUMENT, "'%s' stands twice", fields[at].name);
    }
    seen[at] = true;
    if (!field_read(call, reader, &fields[at])) {
      command_refuse_at(call, "%s: ", fields[at].name);
      return false;
    }
  }
  for (size_t i = 0; i < count; i++) {
    if (fields[i].given != NULL) {
      *fields[i].given = seen[i];
    }
    if (fields[i].required && !seen[i]) {
      return command_refuse(call, STATUS_INVALID_ARGUMENT, "'%s' is missing", fields[i].name);
    }
  }
  return true;
}
