#include "casework/case_body.h"

#include <string.h>

/* C0 but for tab and line feed, DEL, and C1 (as UTF-8) would steer a terminal. */
static bool text_is_clean(struct bytes_view text)
{
  for (size_t i = 0; i < text.size; i++) {
    uint8_t octet = text.data[i];
    if ((octet < 0x20 && octet != '\t' && octet != '\n') || octet == 0x7f) {
      return false;
    }
    if (octet == 0xc2 && i + 1 < text.size && text.data[i + 1] < 0xa0) {
      return false;
    }
  }
  return true;
}

static bool line_is_clean(struct bytes_view text)
{
  return text_is_clean(text) && (text.size == 0 || (memchr(text.data, '\n', text.size) == NULL &&
                                                    memchr(text.data, '\t', text.size) == NULL));
}

static bool read_text(struct reader *reader, size_t size_max, struct bytes_view *out)
{
  return reader_str(reader, out) && out->size <= size_max && text_is_clean(*out);
}

static bool read_line(struct reader *reader, size_t size_max, struct bytes_view *out)
{
  return reader_str(reader, out) && out->size <= size_max && line_is_clean(*out);
}

static bool read_subject(struct reader *reader, struct case_body *body)
{
  struct bytes_view view;
  char text[SUBJECT_TEXT_SIZE] = {0};
  if (!reader_str(reader, &view) || view.size != SUBJECT_TEXT_SIZE - 1) {
    return false;
  }
  memcpy(text, view.data, view.size);
  body->with_other = true;
  return subject_from_text(text, &body->other) == STATUS_OK;
}

static const char *const extend_words[] = {"ask", "grant", "refuse"};

static bool read_extend(struct reader *reader, struct case_body *body)
{
  struct bytes_view word;
  if (!reader_str(reader, &word)) {
    return false;
  }
  for (int i = 0; i < 3; i++) {
    if (bytes_view_equal(word, bytes_view_text(extend_words[i]))) {
      body->step = (enum case_step)(CASE_STEP_EXTEND_ASK + i);
      return true;
    }
  }
  return false;
}

enum field { TEXT, CATEGORY, PLACE, CHANNEL, POLICY, UNTIL, SCORE, CASE, STEP, FIELD_COUNT };

static const char *const field_names[FIELD_COUNT] = {
    "text", "category", "place", "channel", "policy", "until", "score", "case", "step",
};

#define FOR(step) (1u << CASE_STEP_##step)
/* The steps in whose bodies a name means something; elsewhere it is passed over. */
static const uint32_t field_steps[FIELD_COUNT] = {
    [TEXT] = UINT32_MAX,
    [CATEGORY] = FOR(REPORT) | FOR(AMEND),
    [PLACE] = FOR(REPORT) | FOR(AMEND),
    [CHANNEL] = FOR(REPORT),
    [POLICY] = FOR(REPORT) | FOR(AMEND),
    [UNTIL] = FOR(EXTEND) | FOR(SUSPEND),
    [SCORE] = FOR(RATE),
    [CASE] = FOR(MERGE) | FOR(LINK),
    [STEP] = FOR(EXTEND),
};

static enum field field_find(enum case_step step, struct bytes_view name)
{
  enum field field = TEXT;
  while (field < FIELD_COUNT && !bytes_view_equal(name, bytes_view_text(field_names[field]))) {
    field++;
  }
  return field < FIELD_COUNT && (field_steps[field] & (1u << step)) ? field : FIELD_COUNT;
}

static bool field_read(enum field field, struct reader *reader, struct case_body *out)
{
  uint64_t score = 0;
  switch (field) {
  case TEXT:
    return read_text(reader, CASE_TEXT_MAX, &out->text);
  case CATEGORY:
    return read_line(reader, CASE_CATEGORY_MAX, &out->category);
  case PLACE:
    return read_line(reader, CASE_PLACE_MAX, &out->place);
  case CHANNEL:
    return read_line(reader, CASE_CHANNEL_MAX, &out->channel);
  case POLICY:
    return reader_uint_max(reader, UINT32_MAX, &out->policy);
  case UNTIL:
    return reader_uint_max(reader, UINT64_MAX >> 16, &out->until);
  case SCORE:
    if (!reader_uint_max(reader, CASE_SCORE_MAX, &score) || score == 0) {
      return false;
    }
    out->score = (uint8_t)score;
    return true;
  case CASE:
    return read_subject(reader, out);
  case STEP:
    return read_extend(reader, out);
  default:
    return reader_skip(reader, true, NULL);
  }
}

static const char *field_missing(enum case_step step, const struct case_body *body)
{
  switch (step) {
  case CASE_STEP_RATE:
    return body->score == 0 ? "score" : NULL;
  case CASE_STEP_MERGE:
  case CASE_STEP_LINK:
    return body->with_other ? NULL : "case";
  case CASE_STEP_EXTEND:
    return body->step == CASE_STEP_EXTEND ? "step" : NULL;
  case CASE_STEP_AMEND:
    return body->category.size + body->place.size + body->policy > 0 ? NULL : "category or place";
  default:
    return NULL;
  }
}

static bool body_read(enum case_step step, struct bytes_view octets, struct case_body *out,
                      const char **wrong)
{
  struct reader reader = reader_of(octets);
  uint32_t count = 0, seen = 0;
  *wrong = "";
  if (!reader_map(&reader, &count)) {
    return false;
  }
  for (uint32_t i = 0; i < count; i++) {
    struct bytes_view name;
    *wrong = "";
    if (!reader_peek_str(&reader)) {
      if (!reader_skip(&reader, true, NULL) || !reader_skip(&reader, true, NULL)) {
        return false;
      }
      continue;
    }
    if (!reader_str(&reader, &name)) {
      return false;
    }
    enum field field = field_find(step, name);
    *wrong = field < FIELD_COUNT ? field_names[field] : "";
    if ((field < FIELD_COUNT && (seen & (1u << field))) || !field_read(field, &reader, out)) {
      return false;
    }
    seen |= 1u << field;
  }
  *wrong = reader_at_end(&reader) ? field_missing(step, out) : "";
  return *wrong == NULL;
}

bool case_body_read(enum case_step step, struct bytes_view octets, struct case_body *out,
                    const char **wrong)
{
  const char *ignored;
  memset(out, 0, sizeof(*out));
  out->step = step;
  if (body_read(step, octets, out, wrong == NULL ? &ignored : wrong)) {
    return true;
  }
  memset(out, 0, sizeof(*out));
  out->step = step;
  return false;
}

static void write_line(struct writer *writer, enum field field, struct bytes_view text)
{
  if (text.size > 0) {
    writer_text(writer, field_names[field]);
    writer_str(writer, text);
  }
}

static void write_number(struct writer *writer, enum field field, uint64_t number)
{
  if (number > 0) {
    writer_text(writer, field_names[field]);
    writer_uint(writer, number);
  }
}

enum status case_body_write(const struct case_body *body, struct bytes *out)
{
  struct writer writer;
  struct case_body back;
  size_t start = out->size;
  bool extends = body->step >= CASE_STEP_EXTEND_ASK;
  unsigned count = (body->text.size > 0) + (body->category.size > 0) + (body->place.size > 0) +
                   (body->channel.size > 0) + (body->policy > 0) + (body->until > 0) +
                   (body->score > 0) + body->with_other + extends;
  writer_init(&writer, out);
  writer_map(&writer, count);
  write_line(&writer, TEXT, body->text);
  write_line(&writer, CATEGORY, body->category);
  write_line(&writer, PLACE, body->place);
  write_line(&writer, CHANNEL, body->channel);
  write_number(&writer, POLICY, body->policy);
  write_number(&writer, UNTIL, body->until);
  write_number(&writer, SCORE, body->score);
  if (body->with_other) {
    char text[SUBJECT_TEXT_SIZE];
    subject_to_text(&body->other, text);
    writer_text(&writer, field_names[CASE]);
    writer_text(&writer, text);
  }
  if (extends) {
    writer_text(&writer, field_names[STEP]);
    writer_text(&writer, extend_words[body->step - CASE_STEP_EXTEND_ASK]);
  }
  enum status status = writer_finish(&writer);
  enum case_step step = extends ? CASE_STEP_EXTEND : body->step;
  if (status == STATUS_OK &&
      !case_body_read(step, bytes_view_of(out->data + start, out->size - start), &back, NULL)) {
    status = STATUS_INVALID_ARGUMENT;
  }
  if (status != STATUS_OK) {
    out->size = start;
  }
  return status;
}

bool case_body_text(struct bytes_view body, const char *name, struct bytes_view *out)
{
  struct reader reader = reader_of(body);
  uint32_t count = 0;
  if (!reader_map(&reader, &count)) {
    return false;
  }
  struct bytes_view wanted = bytes_view_text(name);
  for (uint32_t i = 0; i < count; i++) {
    struct bytes_view key;
    if (!reader_peek_str(&reader)) {
      if (!reader_skip(&reader, true, NULL) || !reader_skip(&reader, true, NULL)) {
        return false;
      }
      continue;
    }
    if (!reader_str(&reader, &key)) {
      return false;
    }
    if (bytes_view_equal(key, wanted)) {
      return reader_peek_str(&reader) && reader_str(&reader, out);
    }
    if (!reader_skip(&reader, true, NULL)) {
      return false;
    }
  }
  return false;
}
