// links: noded_lib
/* Log lines: both formats, hostile values, limits, rate, threads. */
#include "noded/log.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cjson/cJSON.h>
#include <pthread.h>
#include <cmocka.h>

static int descriptor = -1;
static char file_name[64];
static char text[1 << 20];

static int set_up(void **state)
{
  (void)state;
  snprintf(file_name, sizeof(file_name), "/tmp/log_test.XXXXXX");
  descriptor = mkostemp(file_name, O_APPEND);
  log_set_output(descriptor);
  log_configure(LOG_FORMAT_LOGFMT, LOG_INFO);
  return descriptor < 0 ? -1 : 0;
}

static int tear_down(void **state)
{
  (void)state;
  log_set_output(STDERR_FILENO);
  close(descriptor);
  return unlink(file_name);
}

/* What was written so far, from the line's `event` on. */
static const char *written(void)
{
  ssize_t size = pread(descriptor, text, sizeof(text) - 1, 0);
  assert_true(size >= 0);
  text[size] = 0;
  return text;
}

static const char *from_level(void)
{
  const char *found = strstr(written(), "level=");
  assert_non_null(found);
  return found;
}

static void test_logfmt(void **state)
{
  (void)state;
  static const uint8_t key[] = {0xab, 0x01};
  const struct log_field fields[] = {
      log_text("address", "310104/012"), log_text("reason", "no \"such\" host\n"),
      log_uint("records", UINT64_MAX),   log_int("ahead_ms", -5),
      log_bool("urgent", true),          log_hex("key", key, sizeof(key)),
      log_text("empty", NULL),
  };
  log_write(LOG_WARN, "link_down", fields, 7);
  assert_string_equal(from_level(),
                      "level=warn event=link_down address=310104/012 "
                      "reason=\"no \\\"such\\\" host\\n\" records=18446744073709551615 "
                      "ahead_ms=-5 urgent=true key=ab01 empty=\"\"\n");
  assert_int_equal(strncmp(text, "time=20", 7), 0);
}

static void test_json(void **state)
{
  (void)state;
  const struct log_field fields[] = {log_text("reason", "a\x01\xff\"\xe4\xb8\xad"),
                                     log_uint("big", UINT64_MAX)};
  log_configure(LOG_FORMAT_JSON, LOG_INFO);
  log_write(LOG_ERROR, "json_line", fields, 2);
  cJSON *line = cJSON_Parse(written());
  assert_non_null(line);
  assert_string_equal(cJSON_GetObjectItem(line, "level")->valuestring, "error");
  assert_string_equal(cJSON_GetObjectItem(line, "event")->valuestring, "json_line");
  assert_string_equal(cJSON_GetObjectItem(line, "reason")->valuestring, "a\x01?\"\xe4\xb8\xad");
  assert_non_null(strstr(text, "\"big\":18446744073709551615"));
  cJSON_Delete(line);
}

static void test_level_filter(void **state)
{
  (void)state;
  log_event(LOG_DEBUG, "hidden");
  assert_string_equal(written(), "");
  assert_false(log_enabled(LOG_DEBUG));
  log_configure(LOG_FORMAT_LOGFMT, LOG_DEBUG);
  log_event(LOG_DEBUG, "shown");
  assert_string_equal(from_level(), "level=debug event=shown\n");
}

/* However long and however hostile, one line of at most LOG_LINE_MAX octets. */
static void test_limits(void **state)
{
  (void)state;
  char *big = malloc(100000);
  struct log_field fields[LOG_FIELDS_MAX + 4];
  assert_non_null(big);
  for (size_t i = 0; i < 100000; i++) {
    big[i] = (char)(i * 31);
  }
  for (size_t i = 0; i < LOG_FIELDS_MAX + 4; i++) {
    fields[i] = log_view("value", bytes_view_of(big, 100000));
  }
  for (int format = 0; format < 2; format++) {
    log_configure((enum log_format)format, LOG_INFO);
    log_write(LOG_INFO, "limits", fields, LOG_FIELDS_MAX + 4);
  }
  size_t lines = 0;
  const char *start = written();
  for (const char *end = strchr(start, '\n'); end != NULL; end = strchr(start, '\n')) {
    assert_true(end - start < LOG_LINE_MAX);
    lines++;
    start = end + 1;
  }
  assert_int_equal(lines, 2);
  assert_int_equal(*start, 0);
  free(big);
}

static size_t count_of(const char *needle)
{
  size_t count = 0;
  for (const char *at = strstr(written(), needle); at != NULL; at = strstr(at + 1, needle)) {
    count++;
  }
  return count;
}

static void test_rate(void **state)
{
  (void)state;
  for (int i = 0; i < 1000; i++) {
    log_event(LOG_WARN, "flood");
  }
  log_event(LOG_WARN, "calm");
  size_t lines = count_of("event=flood");
  assert_true(lines >= LOG_RATE_MAX && lines <= 3 * LOG_RATE_MAX);
  assert_int_equal(count_of("event=calm"), 1);
  usleep(1100 * 1000);
  log_event(LOG_WARN, "flood");
  assert_non_null(strstr(written(), "suppressed=9"));
}

/* More kinds than the table has places: all still written. */
static void test_kinds_past_the_table(void **state)
{
  (void)state;
  static char names[LOG_KINDS_MAX + 50][16];
  for (size_t i = 0; i < LOG_KINDS_MAX + 50; i++) {
    snprintf(names[i], sizeof(names[i]), "kind_%zu", i);
    log_event(LOG_INFO, names[i]);
  }
  assert_int_equal(count_of("event=kind_"), LOG_KINDS_MAX + 50);
}

static void *write_many(void *context)
{
  (void)context;
  const struct log_field field = log_text("text", "0123456789");
  for (int i = 0; i < 500; i++) {
    log_write(LOG_DEBUG, "threads", &field, 1);
  }
  return NULL;
}

static void test_threads_dont_mix_lines(void **state)
{
  (void)state;
  pthread_t threads[4];
  log_configure(LOG_FORMAT_LOGFMT, LOG_DEBUG);
  for (int i = 0; i < 4; i++) {
    assert_int_equal(pthread_create(&threads[i], NULL, write_many, NULL), 0);
  }
  for (int i = 0; i < 4; i++) {
    pthread_join(threads[i], NULL);
  }
  assert_int_equal(count_of(" level=debug event=threads text=0123456789\n"), 2000);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_logfmt, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_json, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_level_filter, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_limits, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_rate, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_kinds_past_the_table, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_threads_dont_mix_lines, set_up, tear_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
