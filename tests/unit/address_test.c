#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "record/address.h"

static struct address place(const char *text)
{
  struct address address;
  if (address_parse(bytes_view_text(text), true, &address) != STATUS_OK) {
    fail_msg("address %s", text);
  }
  return address;
}

#define LONGEST                                                                                    \
  "0123456789abcdef/0123456789abcdef/0123456789abcdef/0123456789abcdef/@0123456789abcdef"

static void test_well_formed(void **state)
{
  (void)state;
  struct address address = place("310104/012/003/05");
  assert_int_equal(address.segments, 4);
  assert_false(address.unit);
  assert_string_equal(address.text, "310104/012/003/05");
  address = place("310104/@fire_1-A");
  assert_int_equal(address.segments, 1);
  assert_true(address.unit);
  assert_int_equal(strlen(LONGEST), ADDRESS_TEXT_MAX);
  assert_int_equal(place(LONGEST).size, ADDRESS_TEXT_MAX);
}

static void test_malformed(void **state)
{
  (void)state;
  static const char *const bad[] = {
      "/",
      "1/",
      "/1",
      "1//2",
      "1/2/3/4/5",
      "@u",
      "1/@",
      "1/@u/2",
      "1@u",
      "1/@@u",
      "1/u@",
      "1/*",
      "*",
      "1 ",
      "1/\xc3\xa9",
      "1.2",
      "0123456789abcdefg",
      "1/@0123456789abcdefg",
      LONGEST "/",
      LONGEST "x",
  };
  struct address address;
  for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
    struct bytes_view text = bytes_view_text(bad[i]);
    uint8_t *exact = malloc(text.size);
    memcpy(exact, text.data, text.size);
    if (address_parse(bytes_view_of(exact, text.size), true, &address) != STATUS_MALFORMED) {
      fail_msg("address %s", bad[i]);
    }
    free(exact);
  }
  assert_int_equal(address_parse(bytes_view_text(""), false, &address), STATUS_MALFORMED);
  assert_int_equal(address_parse(bytes_view_of("1\0", 2), false, &address), STATUS_MALFORMED);
}

static void test_targets(void **state)
{
  (void)state;
  struct address address;
  bool subtree = false;
  assert_int_equal(address_parse_target(bytes_view_text("1/2/*"), &address, &subtree), STATUS_OK);
  assert_true(subtree);
  assert_string_equal(address.text, "1/2");
  assert_int_equal(address_parse_target(bytes_view_text("1/@u"), &address, &subtree), STATUS_OK);
  assert_false(subtree);
  static const char *const bad[] = {"", "/*", "*", "1*", "1/**", "1/*/*", "1/@u/*", "1/2/"};
  for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
    assert_int_equal(address_parse_target(bytes_view_text(bad[i]), &address, &subtree),
                     STATUS_MALFORMED);
  }
}

static void test_tiers_and_classes(void **state)
{
  (void)state;
  static const struct {
    const char *text;
    enum tier tier;
    unsigned see;
    const char *name;
  } cases[] = {
      {"", TIER_NONE, 0, "root"},
      {"1", TIER_DISTRICT, SEE_DISTRICT, "district"},
      {"1/2", TIER_STREET, SEE_STREET, "street"},
      {"1/2/3", TIER_COMMUNITY, SEE_COMMUNITY, "community"},
      {"1/2/3/4", TIER_GRID, SEE_GRID, "grid"},
      {"1/@u", TIER_DISTRICT, SEE_UNIT, "unit"},
      {"1/2/3/4/@u", TIER_GRID, SEE_UNIT, "unit"},
  };
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    struct address address = place(cases[i].text);
    assert_int_equal(address_tier(&address), cases[i].tier);
    assert_int_equal(address_class(&address), cases[i].see);
    assert_string_equal(address_class_name(&address), cases[i].name);
  }
}

static void test_parents(void **state)
{
  (void)state;
  static const char *const way[] = {"1/2/3/4/@u", "1/2/3/4", "1/2/3", "1/2", "1", ""};
  struct address address = place(way[0]);
  for (size_t i = 1; i < sizeof(way) / sizeof(way[0]); i++) {
    struct address expected = place(way[i]);
    struct address child = address;
    assert_true(address_parent(&address, &address));
    assert_memory_equal(&address, &expected, sizeof(expected));
    assert_true(address_is_child(&child, &address));
    assert_false(address_is_child(&address, &child));
    assert_false(address_is_child(&address, &address));
  }
  assert_false(address_parent(&address, &address));
  struct address grid = place("1/2/3/4");
  struct address street = place("1/2");
  assert_false(address_is_child(&grid, &street));
}

static void test_subtrees(void **state)
{
  (void)state;
  static const struct {
    const char *address;
    const char *top;
    bool within;
  } cases[] = {
      {"1/2/3", "1/2", true},  {"1/2", "1/2", true},   {"1/2/@u", "1/2", true}, {"1", "", true},
      {"", "", true},          {"1/23", "1/2", false}, {"1/2", "1/2/3", false}, {"", "1", false},
      {"1/2-a", "1/2", false}, {"2/2", "1", false},
  };
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    struct address address = place(cases[i].address);
    struct address top = place(cases[i].top);
    assert_int_equal(address_within(&address, &top), cases[i].within);
  }
}

static void test_steps(void **state)
{
  (void)state;
  struct address unit = place("1/2/3/@u");
  static const char *const way[] = {"", "1", "1/2", "1/2/3", "1/2/3/@u"};
  for (size_t i = 0; i + 1 < sizeof(way) / sizeof(way[0]); i++) {
    struct address top = place(way[i]);
    struct address expected = place(way[i + 1]);
    struct address step = address_step_toward(&top, &unit);
    assert_memory_equal(&step, &expected, sizeof(expected));
  }
}

static void test_order(void **state)
{
  (void)state;
  struct address a = place("1/2");
  struct address b = place("1/2/3");
  struct address c = place("1/a");
  assert_true(address_compare(&a, &b) < 0 && address_compare(&b, &c) < 0);
  assert_int_equal(address_compare(&c, &c), 0);
  assert_false(address_equal(&a, &b));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_well_formed), cmocka_unit_test(test_malformed),
      cmocka_unit_test(test_targets),     cmocka_unit_test(test_tiers_and_classes),
      cmocka_unit_test(test_parents),     cmocka_unit_test(test_subtrees),
      cmocka_unit_test(test_steps),       cmocka_unit_test(test_order),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
