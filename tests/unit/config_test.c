// links: noded_lib
/* The configuration: defaults, every key, and what each mistake is told as. */
#include "noded/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char directory[64];
static char path[128];

static int set_up(void **state)
{
  (void)state;
  snprintf(directory, sizeof(directory), "/tmp/config_test.XXXXXX");
  if (mkdtemp(directory) == NULL) {
    return -1;
  }
  snprintf(path, sizeof(path), "%s/noded.yaml", directory);
  return 0;
}

static int tear_down(void **state)
{
  (void)state;
  unlink(path);
  return rmdir(directory);
}

static void file_make(const char *text, size_t size)
{
  FILE *file = fopen(path, "w");
  assert_non_null(file);
  assert_int_equal(fwrite(text, 1, size, file), size);
  assert_int_equal(fclose(file), 0);
}

/* Reads the text as a config; `expected` is what must come after "file:" in the reason. */
static void expect_problem(const char *text, enum status wanted, const char *expected)
{
  char reason[CONFIG_REASON_MAX];
  char whole[CONFIG_REASON_MAX + sizeof(path)];
  struct config config;
  file_make(text, strlen(text));
  enum status status = config_read(path, NULL, &config, reason);
  snprintf(whole, sizeof(whole), "%s:%s", path, expected);
  assert_string_equal(reason, whole);
  assert_int_equal(status, wanted);
  assert_null(config.directory);
}

static void test_defaults(void **state)
{
  (void)state;
  char reason[CONFIG_REASON_MAX];
  char wanted[128];
  struct config config;
  file_make("", 0);
  assert_int_equal(config_read(path, NULL, &config, reason), STATUS_OK);
  assert_string_equal(config.directory, directory);
  snprintf(wanted, sizeof(wanted), "%s/store", directory);
  assert_string_equal(config.store_path, wanted);
  snprintf(wanted, sizeof(wanted), "ipc://%s/admin.sock", directory);
  assert_string_equal(config.admin_url, wanted);
  assert_null(config.parent_url);
  assert_int_equal(config.listen_count, 0);
  assert_int_equal(config.log_format, LOG_FORMAT_LOGFMT);
  assert_int_equal(config.log_level, LOG_INFO);
  assert_true(config.map_bytes == 64ull << 30);
  assert_true(config.quota_bytes == 0);
  assert_int_equal(config.children_max, 1024);
  assert_int_equal(config.handshakes_max, 32);
  assert_int_equal(config.admit_per_second, 100);
  assert_true(config.window_bytes == 4096 * 1024);
  assert_true(config.rate_bytes_s == 0);
  assert_int_equal(config.idle_ms, 60000);
  assert_int_equal(config.dead_ms, 150000);
  assert_int_equal(config.retry_min_ms, 100);
  assert_int_equal(config.retry_max_ms, 30000);
  config_close(&config);
}

static void test_every_key(void **state)
{
  (void)state;
  static const char text[] = "parent: tcp://[::1]:7000\n"
                             "listen: [ 'tcp://*:7001', ipc://below.sock, ipc:///run/x.sock ]\n"
                             "admin: ipc:///run/a.sock\n"
                             "store: {path: /data/s, map_gib: 1024, quota_mib: 16}\n"
                             "log:\n  format: json\n  level: debug\n"
                             "limits:\n  children: 4095\n  window_kib: 64\n  rate_kbit: 8\n"
                             "  handshakes: 1024\n  admit_per_second: 1\n"
                             "link:\n  idle_seconds: 1\n  dead_seconds: 2\n  retry_min_ms: 10\n"
                             "  retry_max_ms: 10\n";
  char reason[CONFIG_REASON_MAX];
  char wanted[128];
  struct config config;
  file_make(text, sizeof(text) - 1);
  assert_int_equal(config_read(path, "/", &config, reason), STATUS_OK);
  assert_string_equal(config.directory, "/");
  config_close(&config);
  assert_int_equal(config_read(path, NULL, &config, reason), STATUS_OK);
  assert_string_equal(config.parent_url, "tcp://[::1]:7000");
  assert_int_equal(config.listen_count, 3);
  assert_string_equal(config.listen[0], "tcp://*:7001");
  snprintf(wanted, sizeof(wanted), "ipc://%s/below.sock", directory);
  assert_string_equal(config.listen[1], wanted);
  assert_string_equal(config.listen[2], "ipc:///run/x.sock");
  assert_string_equal(config.admin_url, "ipc:///run/a.sock");
  assert_string_equal(config.store_path, "/data/s");
  assert_true(config.map_bytes == 1024ull << 30);
  assert_true(config.quota_bytes == 16 << 20);
  assert_int_equal(config.log_format, LOG_FORMAT_JSON);
  assert_int_equal(config.log_level, LOG_DEBUG);
  assert_int_equal(config.children_max, 4095);
  assert_int_equal(config.handshakes_max, 1024);
  assert_int_equal(config.admit_per_second, 1);
  assert_true(config.window_bytes == 65536);
  assert_true(config.rate_bytes_s == 1000);
  assert_int_equal(config.dead_ms, 2000);
  assert_int_equal(config.retry_max_ms, 10);
  config_close(&config);
}

static void test_typos_are_named_with_their_line(void **state)
{
  (void)state;
  const enum status bad = STATUS_INVALID_ARGUMENT;
  expect_problem("parent: tcp://a:1\n# listen\nlisen: [tcp://b:2]\n", bad,
                 "3: unexpected key 'lisen' (did you mean 'listen'?)");
  expect_problem("log:\n  level: info\nlimits:\n  # how many\n  childen: 5\n", bad,
                 "5: unexpected key 'childen' (did you mean 'children'?)");
  expect_problem("\nweather: fine\n", bad, "2: unexpected key 'weather'");
  expect_problem("limits: {level: 5}\n", bad, "1: unexpected key 'level'");
  expect_problem("parent: tcp://a:1\n\nparent: tcp://b:1\n", bad, "3: 'parent' stands twice");
}

static void test_values_out_of_range(void **state)
{
  (void)state;
  const enum status bad = STATUS_INVALID_ARGUMENT;
  expect_problem("limits:\n  children: 4096\n", bad,
                 "2: limits.children: '4096' must be a number from 1 to 4095");
  expect_problem("limits:\n  handshakes: 0\n", bad,
                 "2: limits.handshakes: '0' must be a number from 1 to 1024");
  expect_problem("limits:\n  admit_per_second: 10001\n", bad,
                 "2: limits.admit_per_second: '10001' must be a number from 1 to 10000");
  expect_problem("limits:\n  children: -5\n", bad,
                 "2: limits.children: '-5' must be a number from 1 to 4095");
  expect_problem("limits:\n  children: 5k\n", bad,
                 "2: limits.children: '5k' must be a number from 1 to 4095");
  expect_problem("limits:\n  children:\n", bad,
                 "2: limits.children: '' must be a number from 1 to 4095");
  expect_problem("store:\n  path: x\n  quota_mib: 3\n", bad,
                 "3: store.quota_mib: '3' must be a number from 4 to 1048576, or 0 for none");
  expect_problem("store: {map_gib: 99999999999999999999999999}\n", bad,
                 "1: store.map_gib: '99999999999999999999999999' must be a number from 1 to 1024");
  expect_problem("link:\n  dead_seconds: 60\n", bad,
                 "2: link.dead_seconds (60) must be above link.idle_seconds (60), or every quiet "
                 "link is cut");
  expect_problem("log:\n  format: xml\n", bad, "2: log.format: 'xml' must be one of: logfmt, json");
  expect_problem("limits: [1]\n", bad, "1: 'limits' needs a section of key: value lines");
  expect_problem("listen: tcp://a:1\n", bad, "1: 'listen' needs a list [...]");
  expect_problem("- a\n", bad, " the file needs a section of key: value lines");
}

static void test_urls(void **state)
{
  (void)state;
  const enum status bad = STATUS_INVALID_ARGUMENT;
  expect_problem("parent: http://a:1\n", bad,
                 "1: parent: 'http://a:1' must begin with tcp:// or ipc://");
  expect_problem("parent: tcp://a\n", bad,
                 "1: parent: 'tcp://a' needs a port from 1 to 65535: tcp://host:port");
  expect_problem("parent: tcp://a:65536\n", bad,
                 "1: parent: 'tcp://a:65536' needs a port from 1 to 65535: tcp://host:port");
  expect_problem("parent: tcp://*:1\n", bad,
                 "1: parent: 'tcp://*:1' needs a host name or address: tcp://host:port");
  expect_problem("parent: tcp://a b:1\n", bad,
                 "1: parent: 'tcp://a b:1' needs a host name or address: tcp://host:port");
  expect_problem("listen:\n  - tcp://a:1\n  - ipc://\n", bad,
                 "3: listen: 'ipc://' needs a path: ipc://path");
  expect_problem("listen:\n  - tcp://a:1\n  - tcp://a:1\n", bad,
                 "2: listen: 'tcp://a:1' stands twice");
  expect_problem("admin: tcp://a:1\n", bad, "1: admin: 'tcp://a:1' must be an ipc:// url");
}

static void test_listens_at_the_maximum(void **state)
{
  (void)state;
  char text[512] = "listen:\n";
  char reason[CONFIG_REASON_MAX];
  struct config config;
  for (int i = 0; i < CONFIG_LISTEN_MAX; i++) {
    size_t size = strlen(text);
    snprintf(text + size, sizeof(text) - size, "  - tcp://127.0.0.1:%d\n", 7000 + i);
  }
  file_make(text, strlen(text));
  assert_int_equal(config_read(path, NULL, &config, reason), STATUS_OK);
  assert_int_equal(config.listen_count, CONFIG_LISTEN_MAX);
  config_close(&config);
  size_t size = strlen(text);
  snprintf(text + size, sizeof(text) - size, "  - tcp://127.0.0.1:9999\n");
  expect_problem(text, STATUS_INVALID_ARGUMENT, "10: 'listen' holds at most 8 values");
}

static void test_socket_path_too_long(void **state)
{
  (void)state;
  char text[256];
  char reason[CONFIG_REASON_MAX];
  struct config config;
  snprintf(text, sizeof(text), "admin: ipc:///%0106d\n", 0);
  file_make(text, strlen(text));
  assert_int_equal(config_read(path, NULL, &config, reason), STATUS_OK);
  config_close(&config);
  snprintf(text, sizeof(text), "admin: ipc:///%0107d\n", 0);
  file_make(text, strlen(text));
  assert_int_equal(config_read(path, NULL, &config, reason), STATUS_INVALID_ARGUMENT);
  assert_non_null(strstr(reason, "108 octets"));
}

static void test_broken_files(void **state)
{
  (void)state;
  char reason[CONFIG_REASON_MAX];
  struct config config;
  expect_problem("parent: tcp://a:1\n---\nlisten: []\n", STATUS_INVALID_ARGUMENT,
                 " more than one YAML document ('---'): keep one");
  expect_problem("parent: &x tcp://a:1\nlisten: [*x]\n", STATUS_INVALID_ARGUMENT,
                 "2: YAML aliases (*name) are not supported here");
  file_make("parent: {\n", 10);
  assert_int_equal(config_read(path, NULL, &config, reason), STATUS_INVALID_ARGUMENT);
  file_make("parent: a\n\tb: c\n", 16);
  assert_int_equal(config_read(path, NULL, &config, reason), STATUS_INVALID_ARGUMENT);
  assert_non_null(strstr(reason, "not YAML: "));
  file_make("parent\0: a", 10);
  assert_int_equal(config_read(path, NULL, &config, reason), STATUS_MALFORMED);
  assert_int_equal(config_read("/nonexistent/noded.yaml", NULL, &config, reason), STATUS_NOT_FOUND);
  assert_string_equal(reason,
                      "/nonexistent/noded.yaml: can't be opened: No such file or directory");
  assert_int_equal(config_read("/tmp", NULL, &config, reason), STATUS_MALFORMED);
}

/* Many problems at once: whole lines, never past the buffer. */
static void test_many_problems_fit(void **state)
{
  (void)state;
  char text[2048] = "listen:\n";
  char reason[CONFIG_REASON_MAX];
  struct config config;
  for (int i = 0; i < CONFIG_LISTEN_MAX; i++) {
    size_t size = strlen(text);
    snprintf(text + size, sizeof(text) - size, "  - tcp://%0100d\n", i);
  }
  snprintf(text + strlen(text), 400, "limits: {children: x, window_kib: x, rate_kbit: x}\n");
  file_make(text, strlen(text));
  assert_int_equal(config_read(path, NULL, &config, reason), STATUS_INVALID_ARGUMENT);
  assert_true(strlen(reason) < CONFIG_REASON_MAX);
  assert_null(strstr(reason, "\n\n"));
  assert_non_null(strstr(reason, ":10: limits.children"));
}

static void test_every_cut_of_the_example(void **state)
{
  (void)state;
  char text[8192];
  char reason[CONFIG_REASON_MAX];
  struct config config;
  FILE *file = fopen(TESTS_DIR "/../noded/noded.example.yaml", "r");
  assert_non_null(file);
  size_t size = fread(text, 1, sizeof(text), file);
  fclose(file);
  file_make(text, size);
  enum status status = config_read(path, NULL, &config, reason);
  if (status != STATUS_OK) {
    fail_msg("%s", reason);
  }
  assert_int_equal(config.listen_count, 2);
  assert_true(config.map_bytes == 64ull << 30 && config.window_bytes == 4096 * 1024);
  assert_int_equal(config.retry_max_ms, 30000);
  config_close(&config);
  for (size_t cut = 0; cut < size; cut += 7) {
    file_make(text, cut);
    if (config_read(path, NULL, &config, reason) == STATUS_OK) {
      config_close(&config);
    } else {
      assert_true(reason[0] != 0);
    }
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_defaults),
      cmocka_unit_test(test_every_key),
      cmocka_unit_test(test_typos_are_named_with_their_line),
      cmocka_unit_test(test_values_out_of_range),
      cmocka_unit_test(test_urls),
      cmocka_unit_test(test_listens_at_the_maximum),
      cmocka_unit_test(test_socket_path_too_long),
      cmocka_unit_test(test_broken_files),
      cmocka_unit_test(test_many_problems_fit),
      cmocka_unit_test(test_every_cut_of_the_example),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
