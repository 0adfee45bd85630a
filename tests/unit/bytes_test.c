#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "record/bytes.h"

static void test_views(void **state)
{
  (void)state;
  struct bytes_view empty = {0};
  assert_true(bytes_view_equal(empty, bytes_view_text("")));
  assert_true(bytes_view_equal(bytes_view_text("abc"), bytes_view_of("abcd", 3)));
  assert_false(bytes_view_equal(bytes_view_text("abc"), bytes_view_text("abd")));
  assert_true(bytes_view_compare(bytes_view_text("ab"), bytes_view_text("abc")) < 0);
  assert_true(bytes_view_compare(bytes_view_text("b"), bytes_view_text("abc")) > 0);
  assert_true(bytes_view_compare(bytes_view_text("\xff"), bytes_view_text("a")) > 0);
  assert_int_equal(bytes_view_compare(empty, empty), 0);
}

static void test_buffer_grows_and_keeps(void **state)
{
  (void)state;
  struct bytes bytes = {0};
  for (unsigned i = 0; i < 1000; i++) {
    uint8_t octets[3] = {(uint8_t)i, (uint8_t)(i >> 8), 7};
    assert_int_equal(bytes_append(&bytes, octets, 3), STATUS_OK);
  }
  assert_int_equal(bytes.size, 3000);
  assert_int_equal(bytes.data[3 * 777], 777 & 255);
  assert_int_equal(bytes_append(&bytes, NULL, 0), STATUS_OK);
  size_t capacity = bytes.capacity;
  bytes_clear(&bytes);
  assert_int_equal(bytes.size, 0);
  assert_int_equal(bytes.capacity, capacity);
  assert_int_equal(bytes_reserve(&bytes, SIZE_MAX), STATUS_NO_MEMORY);
  assert_int_equal(bytes_reserve(&bytes, SIZE_MAX / 2 + 1), STATUS_NO_MEMORY);
  assert_int_equal(bytes.capacity, capacity);
  bytes_close(&bytes);
  assert_null(bytes.data);
}

static void test_hex(void **state)
{
  (void)state;
  char text[9];
  uint8_t octets[4] = {0};
  bytes_to_hex(bytes_view_of("\x00\x7f\xa5\xff", 4), text);
  assert_string_equal(text, "007fa5ff");
  assert_int_equal(bytes_from_hex("007FA5ff", octets, 4), STATUS_OK);
  assert_memory_equal(octets, "\x00\x7f\xa5\xff", 4);
  assert_int_equal(bytes_from_hex("", octets, 0), STATUS_OK);
  const char *const bad[] = {"", "007fa5f", "007fa5ff0", "007fa5ff00", "007fa5fg", "-07fa5ff"};
  for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
    assert_int_equal(bytes_from_hex(bad[i], octets, 4), STATUS_MALFORMED);
  }
}

static void test_arena_aligned_and_separate(void **state)
{
  (void)state;
  struct arena arena = {0};
  uint8_t *places[200];
  for (size_t i = 0; i < 200; i++) {
    places[i] = arena_alloc(&arena, i * 13);
    assert_non_null(places[i]);
    assert_int_equal((uintptr_t)places[i] % 16, 0);
    memset(places[i], (int)i, i * 13);
  }
  for (size_t i = 1; i < 200; i++) {
    assert_int_equal(places[i][0], i);
    assert_int_equal(places[i][i * 13 - 1], i);
  }
  const char *copy = arena_copy(&arena, "kept", 5);
  assert_string_equal(copy, "kept");
  assert_non_null(arena_alloc(&arena, 5000000));
  arena_reset(&arena);
  assert_int_equal(arena.used, 0);
  assert_non_null(arena.blocks);
  assert_non_null(arena_alloc(&arena, 5000000));
  arena_close(&arena);
  arena_close(&arena);
}

static void test_arena_limit(void **state)
{
  (void)state;
  struct arena arena = {.limit = 64};
  assert_non_null(arena_alloc(&arena, 33));
  assert_int_equal(arena.used, 48);
  assert_null(arena_alloc(&arena, 17));
  assert_non_null(arena_alloc(&arena, 16));
  assert_null(arena_alloc(&arena, 0));
  assert_null(arena_copy(&arena, "x", 1));
  assert_null(arena_alloc(&arena, SIZE_MAX));
  arena_reset(&arena);
  assert_non_null(arena_alloc(&arena, 64));
  arena_close(&arena);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_views),       cmocka_unit_test(test_buffer_grows_and_keeps),
      cmocka_unit_test(test_hex),         cmocka_unit_test(test_arena_aligned_and_separate),
      cmocka_unit_test(test_arena_limit),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
