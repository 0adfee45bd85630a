#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "record/status.h"

/* The name in output is the constant's, in lower case. */
static void name_check(const char *constant, const char *name)
{
  const char *tail = constant + strlen("VERDICT_");
  assert_int_equal(strlen(tail), strlen(name));
  for (size_t i = 0; name[i] != '\0'; i++) {
    assert_int_equal(name[i], tail[i] == '_' ? '_' : tail[i] - 'A' + 'a');
  }
}

static void test_names_and_texts(void **state)
{
  (void)state;
#define X(name, text)                                                                              \
  name_check(#name, verdict_name(name));                                                           \
  assert_string_equal(verdict_text(name), text);
  VERDICT_TABLE(X)
#undef X
#define X(name, text) assert_string_equal(status_text(name), text);
  STATUS_TABLE(X)
#undef X
}

int main(void)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_names_and_texts)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
