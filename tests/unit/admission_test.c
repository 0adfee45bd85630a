// links: noded_lib
/* Admission of children that connect: order, bounds, pace, and slow ones that hold nobody up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "noded/admission.h"

#define AT_ONCE 4
#define PER_SECOND 10
#define MANY 200

static struct admission admission;
static struct admission_entry entries[MANY];

static struct mono_ms at(int64_t ms)
{
  return (struct mono_ms){1000000 + ms};
}

static int open_empty(void **state)
{
  (void)state;
  memset(entries, 0, sizeof(entries));
  admission_init(&admission, AT_ONCE, PER_SECOND);
  assert_null(admission_next(&admission, at(0)));
  assert_true(admission_deadline(&admission) == INT64_MAX);
  return 0;
}

static unsigned join_all(unsigned count)
{
  unsigned joined = 0;
  for (unsigned i = 0; i < count; i++) {
    joined += admission_join(&admission, &entries[i], at(0));
  }
  return joined;
}

static void test_line_is_bounded(void **state)
{
  (void)state;
  assert_int_equal(join_all(MANY), PER_SECOND * ADMISSION_LINE_S);
  assert_int_equal(entries[MANY - 1].place, ADMISSION_NOWHERE);
  admission_leave(&admission, &entries[0]);
  assert_true(admission_join(&admission, &entries[MANY - 1], at(0)));
}

/* In order of coming, never more than the slots at once, never faster than the pace. */
static void test_order_slots_and_pace(void **state)
{
  unsigned next = 0;
  int64_t now = 0;
  (void)state;
  join_all(60);
  for (; next < 60 && now < 60000; now++) {
    struct admission_entry *entry;
    while ((entry = admission_next(&admission, at(now))) != NULL) {
      assert_ptr_equal(entry, &entries[next]);
      next++;
      assert_true(admission.slot_count <= AT_ONCE);
      if (next > 2) {
        admission_leave(&admission, &entries[next - 3]); /* two stay under way */
      }
    }
    assert_true(next <= AT_ONCE + (unsigned)(now * PER_SECOND / 1000) + 1);
  }
  assert_int_equal(next, 60);
  assert_in_range(now, 5000, 6000); /* 56 after the first 4 */
  struct admission_figures figures;
  assert_true(admission_line_passed(&admission, &figures));
  assert_int_equal(figures.admitted, 60);
  assert_int_equal(figures.line_max, 60);
  assert_int_equal(figures.at_once_max, 3);
  assert_in_range(figures.wait_ms_max, 5000, 6000);
  assert_false(admission_line_passed(&admission, &figures));
}

/* Silent ones keep their connection, but the next in line go on. */
static void test_slow_ones_hold_nobody_up(void **state)
{
  (void)state;
  join_all(10);
  for (unsigned i = 0; i < AT_ONCE; i++) {
    assert_ptr_equal(admission_next(&admission, at(0)), &entries[i]);
  }
  assert_null(admission_next(&admission, at(ADMISSION_SLOT_MS - 1)));
  assert_true(admission_deadline(&admission) == at(ADMISSION_SLOT_MS).ms);
  assert_ptr_equal(admission_next(&admission, at(ADMISSION_SLOT_MS)), &entries[AT_ONCE]);
  assert_int_equal(entries[0].place, ADMISSION_NOWHERE);
  admission_leave(&admission, &entries[0]);
  assert_int_equal(admission.slot_count, 1);
}

/* Whoever sleeps until the deadline finds somebody to admit. */
static void test_deadline_is_enough(void **state)
{
  int64_t now = at(0).ms;
  unsigned admitted = 0;
  (void)state;
  join_all(50);
  for (unsigned turn = 0; turn < 100 && admitted < 50; turn++) {
    struct admission_entry *entry;
    while ((entry = admission_next(&admission, (struct mono_ms){now})) != NULL) {
      admission_leave(&admission, entry);
      admitted++;
    }
    int64_t deadline = admission_deadline(&admission);
    assert_true(deadline > now);
    now = deadline;
  }
  assert_int_equal(admitted, 50);
}

static void test_gone_while_waiting(void **state)
{
  (void)state;
  join_all(10);
  admission_leave(&admission, &entries[0]);
  admission_leave(&admission, &entries[0]);
  admission_leave(&admission, &entries[5]);
  assert_int_equal(admission.line_count, 8);
  assert_ptr_equal(admission_next(&admission, at(0)), &entries[1]);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup(test_line_is_bounded, open_empty),
      cmocka_unit_test_setup(test_order_slots_and_pace, open_empty),
      cmocka_unit_test_setup(test_slow_ones_hold_nobody_up, open_empty),
      cmocka_unit_test_setup(test_deadline_is_enough, open_empty),
      cmocka_unit_test_setup(test_gone_while_waiting, open_empty),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
