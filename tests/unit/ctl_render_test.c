/* Output for people, against golden files; JSON; the small formats. */
// links: ctl_lib
#include "ctl_test.h"

#include <locale.h>
#include <sodium.h>
#include <time.h>

#include "json.h"
#include "render.h"
#include "value.h"

/* Renders tests/golden/ctl/INPUT.json and compares with NAME.txt. */
static void golden(const char *input, const char *name, bool color,
                   void (*render)(const struct ctl_view *, const msgpack_object *))
{
  char path[512];
  msgpack_sbuffer octets;
  msgpack_unpacked unpacked;
  char *text = NULL;
  size_t size = 0;
  snprintf(path, sizeof path, "%s/golden/ctl/%s.json", TESTS_DIR, input);
  char *json = read_text_file(path);
  assert_non_null(json);
  json_to_msgpack(json, &octets);
  msgpack_unpacked_init(&unpacked);
  assert_int_equal(msgpack_unpack_next(&unpacked, octets.data, octets.size, NULL),
                   MSGPACK_UNPACK_SUCCESS);
  struct ctl_view view = {open_memstream(&text, &size), color, TEST_NOW_MS};
  render(&view, &unpacked.data);
  fclose(view.out);
  assert_golden(name, text);
  free(text);
  free(json);
  msgpack_unpacked_destroy(&unpacked);
  msgpack_sbuffer_destroy(&octets);
}

static void with_rows(const struct ctl_view *view, const msgpack_object *result, const char *array,
                      void (*render)(const struct ctl_view *, const struct rows *))
{
  struct rows rows = {0};
  rows_add(&rows, value_get(result, array), SIZE_MAX);
  render(view, &rows);
  rows_close(&rows);
}

static void show_cases(const struct ctl_view *view, const msgpack_object *result)
{
  with_rows(view, result, "cases", render_cases);
}

static void show_inbox(const struct ctl_view *view, const msgpack_object *result)
{
  with_rows(view, result, "entries", render_inbox);
}

static void show_logs(const struct ctl_view *view, const msgpack_object *result)
{
  with_rows(view, result, "logs", render_logs);
}

static void show_quarantine(const struct ctl_view *view, const msgpack_object *result)
{
  struct rows entries = {0}, refused = {0};
  rows_add(&entries, value_get(result, "entries"), SIZE_MAX);
  rows_add(&refused, value_get(result, "refused"), SIZE_MAX);
  render_quarantine(view, &entries, &refused);
  rows_close(&entries);
  rows_close(&refused);
}

static void results_read_as_before(void **state)
{
  (void)state;
  golden("status", "status", false, render_status);
  golden("status", "status-color", true, render_status);
  golden("tree", "tree", false, render_tree);
  golden("tree", "tree-color", true, render_tree);
  golden("cases", "cases", false, show_cases);
  golden("case", "case", false, render_case);
  golden("inbox", "inbox", false, show_inbox);
  golden("logs", "logs", false, show_logs);
  golden("commit", "commit", false, render_commit);
  golden("verify", "verify", false, render_report);
  golden("quarantine", "quarantine", false, show_quarantine);
}

/* Whatever a daemon of another version says, nothing may break. */
static void results_of_no_known_form_do_no_harm(void **state)
{
  static const char circle[] =
      "{\"rows\":[{\"address\":\"a\"},{\"address\":\"a/b\",\"parent\":\"a/b\"},"
      "{\"address\":\"a/c\",\"parent\":\"a/d\"},{\"address\":\"a/d\",\"parent\":\"a/c\"}]}";
  const char *const texts[] = {
      "{}",
      "[]",
      "null",
      "7",
      "{\"rows\":[{},{},7,null]}",
      circle,
      "{\"rows\":[{\"address\":\"a\",\"up\":7,\"down\":{\"a\":1}}]}",
      "{\"case\":7,\"records\":[{\"items\":[7,{\"name\":\"\",\"value\":7}],\"down\":[7]}]}",
  };
  (void)state;
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
    msgpack_sbuffer octets;
    msgpack_unpacked unpacked;
    char *text = NULL;
    size_t size = 0;
    json_to_msgpack(texts[i], &octets);
    msgpack_unpacked_init(&unpacked);
    assert_int_equal(msgpack_unpack_next(&unpacked, octets.data, octets.size, NULL),
                     MSGPACK_UNPACK_SUCCESS);
    struct ctl_view view = {open_memstream(&text, &size), true, TEST_NOW_MS};
    render_status(&view, &unpacked.data);
    render_tree(&view, &unpacked.data);
    render_case(&view, &unpacked.data);
    render_commit(&view, &unpacked.data);
    render_report(&view, &unpacked.data);
    show_cases(&view, &unpacked.data);
    show_inbox(&view, &unpacked.data);
    show_logs(&view, &unpacked.data);
    show_quarantine(&view, &unpacked.data);
    fclose(view.out);
    free(text);
    msgpack_unpacked_destroy(&unpacked);
    msgpack_sbuffer_destroy(&octets);
  }
}

/* A node below may send rows that double one another; the tree stays as large as its addresses. */
static void doubled_rows_show_once(void **state)
{
  msgpack_sbuffer octets;
  msgpack_unpacked unpacked;
  char *text = NULL, *json = text_copy("{\"rows\":[{\"address\":\"a\"}");
  size_t size = 0, lines = 0;
  (void)state;
  for (int i = 0; i < 200; i++)
    for (int k = 1; k <= 8; k++)
      json = text_add(json, ",{\"address\":\"a%.*s\",\"parent\":\"a%.*s\"}", 2 * k,
                      "/b/b/b/b/b/b/b/b", 2 * k - 2, "/b/b/b/b/b/b/b/b");
  json = text_add(json, "]}");
  json_to_msgpack(json, &octets);
  free(json);
  msgpack_unpacked_init(&unpacked);
  assert_int_equal(msgpack_unpack_next(&unpacked, octets.data, octets.size, NULL),
                   MSGPACK_UNPACK_SUCCESS);
  struct ctl_view view = {open_memstream(&text, &size), false, TEST_NOW_MS};
  render_tree(&view, &unpacked.data);
  fclose(view.out);
  for (const char *at = text; (at = strchr(at, '\n')) != NULL; at++)
    lines++;
  assert_int_equal(lines, 1 + 9);
  free(text);
  msgpack_unpacked_destroy(&unpacked);
  msgpack_sbuffer_destroy(&octets);
}

static void small_formats(void **state)
{
  char out[TEXT_SHORT_MAX];
  (void)state;
  assert_string_equal(text_duration(-5, out), "0s");
  assert_string_equal(text_duration(59999, out), "59s");
  assert_string_equal(text_duration(60000, out), "1m 0s");
  assert_string_equal(text_duration(3600000, out), "1h 0m");
  assert_string_equal(text_duration(INT64_MAX, out), "106751991167d 7h");
  assert_string_equal(text_ago(0, 5, out), "never");
  assert_string_equal(text_ago(1000, 2000, out), "now");
  assert_string_equal(text_ago(1000, 9000, out), "8s ago");
  assert_string_equal(text_ago(190000, 1000, out), "in 3m 9s");
  assert_string_equal(text_size(999, out), "999 B");
  assert_string_equal(text_size(1000, out), "1.0 kB");
  assert_string_equal(text_size(9949, out), "9.9 kB");
  assert_string_equal(text_size(31400, out), "31 kB");
  assert_string_equal(text_size(999600, out), "1.0 MB");
  assert_string_equal(text_size(UINT64_MAX, out), "18 EB");
  assert_string_equal(text_count(0, out), "0");
  assert_string_equal(text_count(999, out), "999");
  assert_string_equal(text_count(UINT64_MAX, out), "18,446,744,073,709,551,615");
  assert_string_equal(text_time(TEST_NOW_MS, out), "2018-06-26 10:58:54");
  assert_string_equal(text_time(0, out), "-");
  assert_string_equal(text_time(INT64_MAX, out), "292278994-08-17 07:12:55");
}

static void widths(void **state)
{
  (void)state;
  assert_int_equal(text_width("abc"), 3);
  assert_int_equal(text_width("消防栓"), 6);
  assert_int_equal(text_width("é"), 1);
  assert_int_equal(text_width("e\xcc\x81"), 1);
  assert_int_equal(text_width("├─ "), 3);
  char text[32] = "消防栓漏水";
  text_cut(text, 10);
  assert_string_equal(text, "消防栓漏水");
  text_cut(text, 8);
  assert_string_equal(text, "消防栓…");
  snprintf(text, sizeof text, "abcdef");
  text_cut(text, 4);
  assert_string_equal(text, "abc…");
  text_cut(text, 1);
  assert_string_equal(text, "…");
}

static void terminals_are_not_steered(void **state)
{
  static const char hostile[] = "a\033[2Jb\ac\xc2\x9b"
                                "d\xe2\x80\xae"
                                "e\nf\tg\xff\xc0\xaf";
  (void)state;
  char *text = text_clean(bytes_view_of(hostile, sizeof hostile - 1));
  assert_string_equal(text, "a?[2Jb?c?d?e f g?\?\?");
  free(text);
  assert_true(text_is_utf8(bytes_view_text("消 é \xf4\x8f\xbf\xbf")));
  assert_false(text_is_utf8(bytes_view_text("\xf4\x90\x80\x80")));
  assert_false(text_is_utf8(bytes_view_text("\xed\xa0\x80")));
  assert_false(text_is_utf8(bytes_view_text("\xe2\x82")));
}

static void json_is_exact(void **state)
{
  msgpack_sbuffer octets;
  msgpack_packer packer;
  msgpack_unpacked unpacked;
  char *text = NULL;
  size_t size = 0;
  (void)state;
  msgpack_sbuffer_init(&octets);
  msgpack_packer_init(&packer, &octets, msgpack_sbuffer_write);
  msgpack_pack_array(&packer, 9);
  msgpack_pack_uint64(&packer, UINT64_MAX);
  msgpack_pack_int64(&packer, INT64_MIN);
  msgpack_pack_uint64(&packer, (uint64_t)1 << 53);
  msgpack_pack_uint64(&packer, 100270783462400001);
  msgpack_pack_bin_with_body(&packer, "\x00\xff", 2);
  msgpack_pack_str_with_body(&packer, "a\"\n", 3);
  msgpack_pack_nil(&packer);
  msgpack_pack_double(&packer, 40.5);
  msgpack_pack_map(&packer, 2);
  msgpack_pack_int(&packer, 7);
  msgpack_pack_true(&packer);
  msgpack_pack_str_with_body(&packer, "k", 1);
  msgpack_pack_array(&packer, 0);
  msgpack_unpacked_init(&unpacked);
  assert_int_equal(msgpack_unpack_next(&unpacked, octets.data, octets.size, NULL),
                   MSGPACK_UNPACK_SUCCESS);
  FILE *out = open_memstream(&text, &size);
  assert_true(json_print(out, json_of(&unpacked.data)));
  fclose(out);
  assert_string_equal(text, "[18446744073709551615,-9223372036854775808,9007199254740992,"
                            "100270783462400001,\"00ff\",\"a\\\"\\n\",null,40.5,"
                            "{\"7\":true,\"k\":[]}]\n");
  free(text);
  msgpack_unpacked_destroy(&unpacked);
  msgpack_sbuffer_destroy(&octets);
}

int main(void)
{
  setlocale(LC_CTYPE, "C.UTF-8");
  setenv("TZ", "UTC0", 1);
  tzset();
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(results_read_as_before),
      cmocka_unit_test(results_of_no_known_form_do_no_harm),
      cmocka_unit_test(doubled_rows_show_once),
      cmocka_unit_test(small_formats),
      cmocka_unit_test(widths),
      cmocka_unit_test(terminals_are_not_steered),
      cmocka_unit_test(json_is_exact),
  };
  return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
