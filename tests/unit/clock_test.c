#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "record/clock.h"

static struct wall_ms at(int64_t ms)
{
  return (struct wall_ms){ms};
}

static void test_stamps_rise_whatever_the_wall_says(void **state)
{
  (void)state;
  struct clock_hlc clock = {0};
  static const int64_t walls[] = {1000, 1000, 999, 0, -5, 1001, 1001, INT64_MIN, 2000};
  uint64_t last = 0;
  for (size_t i = 0; i < sizeof(walls) / sizeof(walls[0]); i++) {
    uint64_t stamp = clock_hlc_next(&clock, at(walls[i]));
    assert_true(stamp > last);
    assert_true(walls[i] < 0 || clock_hlc_ms(stamp) >= (uint64_t)walls[i]);
    last = stamp;
  }
  assert_true(last == (uint64_t)2000 << 16);
}

static void test_full_counter_carries(void **state)
{
  (void)state;
  struct clock_hlc clock = {.last = (uint64_t)1000 << 16 | 65535};
  assert_true(clock_hlc_next(&clock, at(1000)) == (uint64_t)1001 << 16);
  assert_true(clock_hlc_next(&clock, at(1000)) == ((uint64_t)1001 << 16 | 1));
}

static void test_merge_within_a_day(void **state)
{
  (void)state;
  struct clock_hlc clock = {0};
  uint64_t edge = (uint64_t)(5000 + CLOCK_AHEAD_MAX_MS) << 16 | 65535;
  assert_true(clock_hlc_merge(&clock, edge, at(5000)));
  assert_true(clock_hlc_next(&clock, at(5000)) == edge + 1);
  assert_true(clock_hlc_merge(&clock, 1, at(5000)));
  assert_true(clock.last == edge + 1);
}

static void test_merge_refuses_what_is_too_far_ahead(void **state)
{
  (void)state;
  struct clock_hlc clock = {.last = 77};
  uint64_t beyond = (uint64_t)(5000 + CLOCK_AHEAD_MAX_MS + 1) << 16;
  assert_false(clock_hlc_merge(&clock, beyond, at(5000)));
  assert_false(clock_hlc_merge(&clock, UINT64_MAX, at(5000)));
  assert_false(clock_hlc_merge(&clock, UINT64_MAX, at(INT64_MIN)));
  assert_true(clock.last == 77);
}

static void test_absurd_walls_are_bounded(void **state)
{
  (void)state;
  struct clock_hlc clock = {0};
  uint64_t first = clock_hlc_next(&clock, at(INT64_MAX));
  assert_true(clock_hlc_next(&clock, at(INT64_MAX)) == first + 1);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_stamps_rise_whatever_the_wall_says),
      cmocka_unit_test(test_full_counter_carries),
      cmocka_unit_test(test_merge_within_a_day),
      cmocka_unit_test(test_merge_refuses_what_is_too_far_ahead),
      cmocka_unit_test(test_absurd_walls_are_bounded),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
