// links: casework
/* The fold of a case: order, order independence, marked records, unknown kinds, bodies. */
#include "casework/case_fold.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "record/codec.h"

static struct case_event event_of(const char *kind, uint32_t gen, uint64_t hlc)
{
  struct case_event event = {.gen = gen, .hlc = hlc, .kind = bytes_view_text(kind)};
  return event;
}

static void test_life_of_a_case(void **state)
{
  (void)state;
  struct case_event events[] = {
      event_of("case.report", 1, 100),   event_of("case.accept", 2, 200),
      event_of("case.dispatch", 3, 300), event_of("case.take", 4, 400),
      event_of("case.resolve", 5, 500),  event_of("case.close", 6, 600),
  };
  static const char *const names[] = {"reported",    "accepted", "dispatched",
                                      "in_progress", "resolved", "closed"};
  struct case_summary summary;
  case_fold(events, 0, &summary);
  assert_int_equal(summary.state, CASE_UNKNOWN);
  for (size_t i = 0; i < 6; i++) {
    case_fold(events, i + 1, &summary);
    assert_string_equal(case_state_name(summary.state), names[i]);
    assert_int_equal(summary.first_hlc, 100);
    assert_int_equal(summary.changed_hlc, (i + 1) * 100);
  }
}

static void test_unknown_and_marked_change_nothing(void **state)
{
  (void)state;
  struct case_event events[] = {
      event_of("case.report", 1, 1), event_of("case.comment", 2, 2),
      event_of("case.later", 3, 3),  event_of("policy.publish", 4, 4),
      event_of("case.close", 5, 5),
  };
  events[4].marked = true;
  struct case_summary summary;
  case_fold(events, 5, &summary);
  assert_int_equal(summary.state, CASE_REPORTED);
  assert_int_equal(summary.changed_hlc, 1);
  events[4].marked = false;
  case_fold(events, 5, &summary);
  assert_int_equal(summary.state, CASE_CLOSED);
}

/* gen goes before hlc: a wrong clock can't turn cause and effect around. */
static void test_order_of_keys(void **state)
{
  (void)state;
  struct case_event a = event_of("case.close", 2, 10);
  struct case_event b = event_of("case.report", 1, 999);
  assert_true(case_event_compare(&a, &b) > 0);
  struct case_event low = event_of("case.report", 1, 1);
  struct case_event high = low;
  assert_int_equal(case_event_compare(&low, &high), 0);
  high.index = 1;
  assert_true(case_event_compare(&low, &high) < 0);
  low.seq = 1;
  assert_true(case_event_compare(&low, &high) > 0);
  high.lane = 1;
  assert_true(case_event_compare(&low, &high) < 0);
  low.store.octets[15] = 1;
  assert_true(case_event_compare(&low, &high) > 0);
  high.origin.octets[31] = 1;
  assert_true(case_event_compare(&low, &high) < 0);
  low.hlc = 2;
  assert_true(case_event_compare(&low, &high) > 0);
  high.gen = 2;
  assert_true(case_event_compare(&low, &high) < 0);
}

static void shuffle(struct case_event *events, size_t count, uint64_t *seed)
{
  for (size_t i = count - 1; i > 0; i--) {
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    size_t j = (size_t)((*seed >> 33) % (i + 1));
    struct case_event swap = events[i];
    events[i] = events[j];
    events[j] = swap;
  }
}

static void test_order_independence_at_the_maximum(void **state)
{
  (void)state;
  static const char *const kinds[] = {"case.report", "case.accept", "case.dispatch",
                                      "case.take",   "case.urge",   "case.suspend",
                                      "case.resume", "case.reopen", "case.resolve"};
  struct case_event *events = calloc(CASE_EVENTS_MAX, sizeof(*events));
  assert_non_null(events);
  uint64_t seed = 20240229;
  for (size_t i = 0; i < CASE_EVENTS_MAX; i++) {
    events[i] = event_of(kinds[(i * 7) % 9], 1 + (uint32_t)(i / 3), 1000 + i / 2);
    events[i].seq = i;
    events[i].tag = i;
  }
  struct case_summary expected;
  case_fold(events, CASE_EVENTS_MAX, &expected);
  for (int round = 0; round < 20; round++) {
    shuffle(events, CASE_EVENTS_MAX, &seed);
    struct case_summary got;
    case_fold(events, CASE_EVENTS_MAX, &got);
    if (got.state != expected.state || got.changed_hlc != expected.changed_hlc ||
        got.first_hlc != expected.first_hlc || events[got.first].tag != 0) {
      fail_msg("round %d differs, seed 20240229", round);
    }
  }
  case_events_sort(events, CASE_EVENTS_MAX);
  for (size_t i = 0; i < CASE_EVENTS_MAX; i++) {
    assert_int_equal(events[i].tag, i);
  }
  free(events);
}

static void test_state_names(void **state)
{
  (void)state;
  enum case_state found = CASE_UNKNOWN;
  assert_true(case_state_find(bytes_view_text("in_progress"), &found));
  assert_int_equal(found, CASE_IN_PROGRESS);
  assert_false(case_state_find(bytes_view_text("in progress"), &found));
  assert_string_equal(case_state_name((enum case_state)99), "unknown");
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
      cmocka_unit_test(test_life_of_a_case),
      cmocka_unit_test(test_unknown_and_marked_change_nothing),
      cmocka_unit_test(test_order_of_keys),
      cmocka_unit_test(test_order_independence_at_the_maximum),
      cmocka_unit_test(test_state_names),
      cmocka_unit_test(test_body_text),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
