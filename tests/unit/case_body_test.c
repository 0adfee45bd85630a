// links: casework
/* Bodies of case events: limits, control characters, what each step needs, writing and reading. */
#include "casework/case_body.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A map of one name and a text of `size` times `octet`. */
static bool text_passes(enum case_step step, const char *name, size_t size, const char *unit)
{
  struct bytes octets = {0};
  struct bytes text = {0};
  struct writer writer;
  struct case_body body;
  for (size_t i = 0; i < size; i++) {
    assert_int_equal(bytes_append(&text, unit, strlen(unit)), STATUS_OK);
  }
  writer_init(&writer, &octets);
  writer_map(&writer, 1);
  writer_text(&writer, name);
  writer_str(&writer, bytes_as_view(&text));
  assert_int_equal(writer_finish(&writer), STATUS_OK);
  const char *wrong = NULL;
  bool passes = case_body_read(step, bytes_as_view(&octets), &body, &wrong);
  if (!passes) {
    assert_string_equal(wrong, name);
    assert_int_equal(body.text.size + body.category.size, 0);
  }
  bytes_close(&octets);
  bytes_close(&text);
  return passes;
}

static void test_limits_of_texts(void **state)
{
  (void)state;
  static const struct {
    const char *name;
    size_t max;
  } limits[] = {{"text", CASE_TEXT_MAX},
                {"category", CASE_CATEGORY_MAX},
                {"place", CASE_PLACE_MAX},
                {"channel", CASE_CHANNEL_MAX}};
  for (size_t i = 0; i < 4; i++) {
    assert_true(text_passes(CASE_STEP_REPORT, limits[i].name, limits[i].max, "x"));
    assert_false(text_passes(CASE_STEP_REPORT, limits[i].name, limits[i].max + 1, "x"));
    assert_true(text_passes(CASE_STEP_COMMENT, limits[i].name, limits[i].max + (i > 0),
                            "x")); /* no name of a comment: passed over */
  }
}

static void test_control_characters(void **state)
{
  (void)state;
  static const char *const bad[] = {"\x1b[2J", "\x01", "\x7f", "\xc2\x9b", "\r"};
  for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
    assert_false(text_passes(CASE_STEP_COMMENT, "text", 1, bad[i]));
    assert_false(text_passes(CASE_STEP_REPORT, "category", 1, bad[i]));
  }
  assert_true(text_passes(CASE_STEP_COMMENT, "text", 1, "two\n\tlines"));
  assert_false(text_passes(CASE_STEP_REPORT, "place", 1, "two\nlines"));
  assert_true(text_passes(CASE_STEP_REPORT, "category", 1, "\xe6\xb6\x88\xe9\x98\xb2"));
  assert_false(text_passes(CASE_STEP_REPORT, "category", 1, "\xe6\xb6")); /* no UTF-8 */
}

static void check_round(struct case_body body, bool good)
{
  struct bytes octets = {0};
  struct case_body back;
  assert_int_equal(bytes_append(&octets, "kept", 4), STATUS_OK);
  assert_int_equal(case_body_write(&body, &octets), good ? STATUS_OK : STATUS_INVALID_ARGUMENT);
  if (!good) {
    assert_int_equal(octets.size, 4);
    bytes_close(&octets);
    return;
  }
  enum case_step step = body.step >= CASE_STEP_EXTEND_ASK ? CASE_STEP_EXTEND : body.step;
  struct bytes_view written = bytes_view_of(octets.data + 4, octets.size - 4);
  assert_true(case_body_read(step, written, &back, NULL));
  assert_int_equal(back.step, body.step);
  assert_true(bytes_view_equal(back.text, body.text));
  assert_true(bytes_view_equal(back.place, body.place));
  assert_int_equal(back.until, body.until);
  assert_int_equal(back.score, body.score);
  assert_int_equal(back.policy, body.policy);
  assert_memory_equal(&back.other, &body.other, sizeof(back.other));
  for (size_t size = 0; size < written.size; size++) {
    assert_false(case_body_read(step, bytes_view_of(written.data, size), &back, NULL));
  }
  bytes_close(&octets);
}

static void test_what_each_step_needs(void **state)
{
  (void)state;
  struct case_body report = {.step = CASE_STEP_REPORT,
                             .text = bytes_view_text("no water"),
                             .category = bytes_view_text("water"),
                             .place = bytes_view_text("gate 3"),
                             .policy = 7};
  check_round(report, true);
  check_round((struct case_body){.step = CASE_STEP_RATE, .score = CASE_SCORE_MAX}, true);
  check_round((struct case_body){.step = CASE_STEP_RATE, .score = CASE_SCORE_MAX + 1}, false);
  check_round((struct case_body){.step = CASE_STEP_RATE}, false);
  check_round((struct case_body){.step = CASE_STEP_MERGE}, false);
  check_round((struct case_body){.step = CASE_STEP_LINK, .with_other = true, .other = {{1, 2}}},
              true);
  check_round((struct case_body){.step = CASE_STEP_EXTEND}, false);
  check_round((struct case_body){.step = CASE_STEP_EXTEND_ASK, .until = UINT64_MAX >> 16}, true);
  check_round((struct case_body){.step = CASE_STEP_EXTEND_GRANT, .until = UINT64_MAX}, false);
  check_round((struct case_body){.step = CASE_STEP_EXTEND_REFUSE}, true);
  check_round((struct case_body){.step = CASE_STEP_AMEND}, false);
  check_round((struct case_body){.step = CASE_STEP_AMEND, .place = bytes_view_text("gate 4")},
              true);
  check_round((struct case_body){.step = CASE_STEP_ACCEPT}, true);
}

static void test_wrong_types_and_twice(void **state)
{
  (void)state;
  static const char *const bad[] = {
      "\x81\xa4text\x01", "\x82\xa4text\xa1x\xa4text\xa1y", "\x01", "\x90", "", "\x80\x80",
  };
  struct case_body body;
  for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
    assert_false(case_body_read(CASE_STEP_COMMENT, bytes_view_text(bad[i]), &body, NULL));
  }
  assert_true(case_body_read(CASE_STEP_COMMENT, bytes_view_of("\x80", 1), &body, NULL));
}

static void test_body_text(void **state)
{
  (void)state;
  struct bytes body = {0};
  struct writer writer;
  writer_init(&writer, &body);
  writer_map(&writer, 3);
  writer_uint(&writer, 7);
  writer_bool(&writer, true);
  writer_text(&writer, "text");
  writer_text(&writer, "category");
  writer_text(&writer, "category");
  writer_text(&writer, "hydrant");
  assert_int_equal(writer_finish(&writer), STATUS_OK);
  struct bytes_view found;
  assert_true(case_body_text(bytes_as_view(&body), "category", &found));
  assert_true(bytes_view_equal(found, bytes_view_text("hydrant")));
  assert_false(case_body_text(bytes_as_view(&body), "absent", &found));
  for (size_t size = 0; size < body.size; size++) {
    assert_false(case_body_text(bytes_view_of(body.data, size), "category", &found));
  }
  bytes_close(&body);
  assert_false(case_body_text(bytes_view_text("\x01"), "category", &found));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_limits_of_texts),
      cmocka_unit_test(test_control_characters),
      cmocka_unit_test(test_what_each_step_needs),
      cmocka_unit_test(test_wrong_types_and_twice),
      cmocka_unit_test(test_body_text),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
