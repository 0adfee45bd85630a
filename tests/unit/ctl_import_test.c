/* Tables: rows, map, drafts. */
// links: ctl_lib
#include "ctl_test.h"

#include <locale.h>
#include <sodium.h>

#include "import_row.h"
#include "import_time.h"

/* All rows as "line:field|field" or "line!error", a line each. */
static char *rows_text(const char *text, size_t size)
{
  struct csv_rows *rows = malloc(sizeof *rows);
  struct csv_row row;
  char *out = NULL;
  size_t out_size = 0;
  FILE *file = open_memstream(&out, &out_size);
  assert_int_equal(csv_rows_open(bytes_view_of(text, size), ',', rows), STATUS_OK);
  while (csv_rows_next(rows, &row)) {
    fprintf(file, "%d%s", (int)row.line, row.error != NULL ? "!" : ":");
    if (row.error != NULL)
      fputs(row.error, file);
    for (size_t i = 0; i < row.count; i++)
      fprintf(file, "%s%.*s", i > 0 ? "|" : "", (int)row.fields[i].size,
              row.fields[i].size > 0 ? (const char *)row.fields[i].data : "");
    fputc('\n', file);
  }
  fclose(file);
  csv_rows_close(rows);
  free(rows);
  return out;
}

static void expect_rows(const char *text, const char *expected)
{
  char *rows = rows_text(text, strlen(text));
  assert_string_equal(rows, expected);
  free(rows);
}

static void rows_of_every_form(void **state)
{
  (void)state;
  expect_rows("", "");
  expect_rows("\n\n  \n", "");
  expect_rows("a,b\n1,2\n", "1:a|b\n2:1|2\n");
  expect_rows("a,b\r\n1,2\r\n", "1:a|b\n2:1|2\n");
  expect_rows("a,b\r1,2\r", "1:a|b\n2:1|2\n");
  expect_rows("a,b\n1,2", "1:a|b\n2:1|2\n");
  expect_rows("\xef\xbb\xbf"
              "a,b\n",
              "1:a|b\n");
  expect_rows("a,\"b,c\"\n\"say \"\"hi\"\"\",\n", "1:a|b,c\n2:say \"hi\"|\n");
  expect_rows("a,\"two\nlines\"\nx,y\n", "1:a|two\nlines\n3:x|y\n");
  expect_rows("a,\"two\r\n\r\nlines\"\r\nx,y\r\n", "1:a|two\r\n\r\nlines\n4:x|y\n");
  expect_rows("a\n\n\nb\n", "1:a\n4:b\n");
}

static void bad_rows_cost_one_line(void **state)
{
  (void)state;
  expect_rows("a,b\n1,x\"y\n3,4\n", "1:a|b\n2!a quote stands where none may\n3:3|4\n");
  expect_rows("a,b\n1,\"x\"y\n3,4\n", "1:a|b\n2!a quote stands where none may\n3:3|4\n");
  expect_rows("a,b\n1,\"open\n3,4\n5,6\n", "1:a|b\n2!a quote is not closed\n3:3|4\n4:5|6\n");
  expect_rows("a,b\n\"", "1:a|b\n2!a quote is not closed\n");
}

static void rows_are_bounded(void **state)
{
  size_t size = CSV_ROW_BYTES_MAX + 100;
  char *text = malloc(size + 16);
  (void)state;
  /* One line more than the limit within an open quote. */
  memset(text, 'x', size);
  text[0] = '"';
  for (size_t i = 100; i < size; i += 100)
    text[i] = '\n';
  memcpy(text + size - 3, "\nz\n", 3);
  char *rows = rows_text(text, size);
  assert_memory_equal(rows, "1!larger than 1 MiB", 19);
  assert_non_null(strstr(rows, ":z\n"));
  free(rows);
  /* As many columns as are allowed, and one more. */
  memset(text, ',', CSV_COLUMNS_MAX);
  text[CSV_COLUMNS_MAX - 1] = '\n';
  rows = rows_text(text, CSV_COLUMNS_MAX);
  assert_int_equal(rows[1], ':');
  free(rows);
  text[CSV_COLUMNS_MAX - 1] = ',';
  text[CSV_COLUMNS_MAX] = '\n';
  memcpy(text + CSV_COLUMNS_MAX + 1, "a\n", 2);
  rows = rows_text(text, CSV_COLUMNS_MAX + 3);
  assert_string_equal(rows, "1!too many columns\n2:a\n");
  free(rows);
  free(text);
}

static void times_in_zones(void **state)
{
  static const char format[] = "%m/%d/%Y %I:%M:%S %p";
  int64_t ms;
  (void)state;
  assert_true(import_time_read("06/26/2018 10:58:54 AM", format, "UTC", &ms));
  assert_true(ms == 1530010734000);
  assert_true(import_time_read("06/26/2018 12:00:00 AM", format, NULL, &ms));
  assert_true(ms == 1529971200000);
  assert_true(import_time_read("06/26/2018 10:58:54 AM", format, "Asia/Shanghai", &ms));
  assert_true(ms == 1530010734000 - 8 * 3600 * 1000);
  if (import_zone_exists("America/New_York")) {
    assert_true(import_time_read("06/26/2018 10:58:54 AM", format, "America/New_York", &ms));
    assert_true(ms == 1530010734000 + 4 * 3600 * 1000);
    assert_true(import_time_read("01/26/2018 10:58:54 AM", format, "America/New_York", &ms));
    assert_true(ms == 1516964334000 + 5 * 3600 * 1000);
    /* The clock is put forward over this hour. */
    assert_true(import_time_read("03/11/2018 02:30:00 AM", format, "America/New_York", &ms));
  }
  assert_true(import_time_read("2018-06-26T10:58:54+0200", "%Y-%m-%dT%H:%M:%S%z", NULL, &ms));
  assert_true(ms == 1530010734000 - 2 * 3600 * 1000);
  assert_false(import_time_read("02/30/2018 10:58:54 AM", format, NULL, &ms));
  assert_false(import_time_read("06/26/2018 10:58:54 AM x", format, NULL, &ms));
  assert_false(import_time_read("06/26/2018", format, NULL, &ms));
  assert_false(import_time_read("", format, NULL, &ms));
  assert_false(import_zone_exists("Mars/Olympus"));
  assert_false(import_zone_exists("../../../etc/passwd"));
  import_zone_reset();
}

static const char *const columns[] = {"id", "created", "what", "where", "lat"};
#define COLUMN_COUNT (sizeof columns / sizeof columns[0])

static const char good_map[] = "version: 1\n"
                               "kind: case.report\n"
                               "lane: bulk\n"
                               "up: 4\n"
                               "author: importer\n"
                               "category: what\n"
                               "filter: {where: here}\n"
                               "time:\n"
                               "  - {field: at, column: created, format: \"%Y-%m-%d\"}\n"
                               "body:\n"
                               "  - {field: id, column: id, type: integer}\n"
                               "  - {field: lat, column: lat, type: float}\n"
                               "items:\n"
                               "  - {name: address, column: where, see: [grid, community]}\n";

/* Reads a map from text; NULL with the reason where it is refused. */
static struct import_map *read_map(const char *text, char reason[IMPORT_REASON_MAX])
{
  char directory[64], path[128];
  struct import_map *map = NULL;
  make_directory(directory);
  snprintf(path, sizeof path, "%s/map", directory);
  write_text_file(path, text);
  enum status status = import_map_read(path, columns, COLUMN_COUNT, &map, reason);
  assert_int_equal(status == STATUS_OK, map != NULL);
  memmove(reason, strstr(reason, "/map") != NULL ? strstr(reason, "/map") + 1 : reason,
          strlen(strstr(reason, "/map") != NULL ? strstr(reason, "/map") + 1 : reason) + 1);
  remove_directory(directory);
  return map;
}

static void map_is_read(void **state)
{
  char reason[IMPORT_REASON_MAX];
  (void)state;
  struct import_map *map = read_map(good_map, reason);
  assert_non_null(map);
  assert_string_equal(map->kind, "case.report");
  assert_int_equal(map->lane_given, LANE_BULK + 1);
  assert_int_equal(map->up_given, 5);
  assert_int_equal(map->category, 3);
  assert_string_equal(map->filter[3], "here");
  assert_null(map->filter[0]);
  assert_int_equal(map->time_count, 1);
  assert_int_equal(map->body_count, 2);
  assert_int_equal(map->items[0].see, SEE_GRID | SEE_COMMUNITY);
  import_map_free(map, COLUMN_COUNT);
}

static void expect_map_error(const char *text, const char *expected)
{
  char reason[IMPORT_REASON_MAX];
  assert_null(read_map(text, reason));
  assert_string_equal(reason, expected);
}

#define HEAD "version: 1\nkind: case.report\n"
static void map_errors_name_the_line(void **state)
{
  (void)state;
  expect_map_error("", "map:1: the map is empty");
  expect_map_error(HEAD "categry: what\n", "map:3: Unexpected key: categry");
  expect_map_error(HEAD "category: wat\n", "map:3: Invalid ENUM value: wat");
  expect_map_error(HEAD "filter:\n  whre: here\n", "map:4: Unexpected key: whre");
  expect_map_error(HEAD "body:\n  - {field: a, column: id}\n  - {field: b, column: idd}\n",
                   "map:5: Invalid ENUM value: idd");
  expect_map_error(HEAD "lane: slow\n", "map:3: Invalid ENUM value: slow");
  expect_map_error(HEAD "up: 5\n", "map:3: Invalid ENUM value: 5");
  expect_map_error("version: 2\nkind: a\n", "map:1: Invalid ENUM value: 2");
  expect_map_error("version: 1\n", "map:1: Missing required mapping field: kind");
  expect_map_error(HEAD "body:\n  - {field: a, column: id}\n  - {field: a, column: lat}\n",
                   "map:4: 'a' stands twice");
  expect_map_error(HEAD "items:\n  - {name: a, column: id}\n  - {name: a, column: lat}\n",
                   "map:5: 'a' stands twice");
  expect_map_error(HEAD "time:\n  - {field: at, column: created, format: \"%Y\", zone: No/Where}\n",
                   "map:4: there is no time zone 'No/Where' on this device");
}

/* The draft of one row as JSON, or "skipped", or the reason of its refusal. */
static char *draft_text(const char *row_text)
{
  char reason[IMPORT_REASON_MAX], why[IMPORT_ROW_REASON_MAX];
  struct csv_rows *rows = malloc(sizeof *rows);
  struct csv_row row;
  struct draft draft;
  struct bytes out = {0};
  char *text = NULL;
  struct import_map *map = read_map(good_map, reason);
  assert_non_null(map);
  assert_int_equal(csv_rows_open(bytes_view_text(row_text), ',', rows), STATUS_OK);
  assert_true(csv_rows_next(rows, &row));
  draft_init(&draft, map->kind);
  switch (import_row_draft(map, &row, columns, COLUMN_COUNT, &draft, &out, why)) {
  case IMPORT_ROW_SKIPPED:
    text = strdup("skipped");
    break;
  case IMPORT_ROW_REFUSED:
    text = strdup(why);
    assert_int_equal(out.size, 0);
    break;
  case IMPORT_ROW_DRAFT: {
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);
    msgpack_unpacked unpacked;
    msgpack_unpacked_init(&unpacked);
    assert_int_equal(msgpack_unpack_next(&unpacked, (const char *)out.data, out.size, NULL),
                     MSGPACK_UNPACK_SUCCESS);
    msgpack_object_print(file, unpacked.data);
    fclose(file);
    msgpack_unpacked_destroy(&unpacked);
  }
  }
  draft_close(&draft);
  bytes_close(&out);
  csv_rows_close(rows);
  free(rows);
  import_map_free(map, COLUMN_COUNT);
  return text;
}

static void expect_draft(const char *row, const char *expected)
{
  char *text = draft_text(row);
  assert_string_equal(text, expected);
  free(text);
}

static void rows_become_drafts(void **state)
{
  (void)state;
  expect_draft(
      "7,2018-06-26,Noise,here,40.5\n",
      "{\"kind\"=>\"case.report\", \"lane\"=>\"bulk\", \"up\"=>4, \"author\"=>\"importer\","
      " \"items\"=>[{\"name\"=>\"\", \"see\"=>31, \"value\"=>{\"at\"=>1529971200000,"
      " \"category\"=>\"Noise\", \"id\"=>7, \"lat\"=>40.500000}},"
      " {\"name\"=>\"address\", \"see\"=>3, \"value\"=>\"here\"}]}");
  /* What is empty is left out. */
  expect_draft(
      ",,,here,\n",
      "{\"kind\"=>\"case.report\", \"lane\"=>\"bulk\", \"up\"=>4, \"author\"=>\"importer\","
      " \"items\"=>[{\"name\"=>\"\", \"see\"=>31, \"value\"=>{}},"
      " {\"name\"=>\"address\", \"see\"=>3, \"value\"=>\"here\"}]}");
  expect_draft("7,2018-06-26,Noise,there,40.5\n", "skipped");
}

static void bad_rows_say_why(void **state)
{
  (void)state;
  expect_draft("7,2018-06-26\n", "2 columns, where the table has 5");
  expect_draft("7,26.6.2018,Noise,here,1\n",
               "column 'created': not a time of the map's format: '26.6.2018'");
  expect_draft("x7,2018-06-26,Noise,here,1\n", "column 'id': not a whole number: 'x7'");
  expect_draft("7,2018-06-26,Noise,here,nan\n", "column 'lat': not a number: 'nan'");
  expect_draft("7,2018-06-26,\xff\xfe,here,1\n", "column 'what': not UTF-8: '\?\?'");
  expect_draft("7,2018-06-26,\xc0\x80,here,1\n", "column 'what': not UTF-8: '\?\?'");
  expect_draft("99999999999999999999,2018-06-26,a,here,1\n",
               "column 'id': not a whole number: '99999999999999999999'");
}

static void a_record_has_its_limit(void **state)
{
  char *row = malloc(40 * 1024);
  (void)state;
  memcpy(row, "7,2018-06-26,", 13);
  memset(row + 13, 'x', 33 * 1024);
  snprintf(row + 13 + 33 * 1024, 16, ",here,1\n");
  char *text = draft_text(row);
  assert_non_null(strstr(text, "and a record holds 32768"));
  free(text);
  memset(row + 13, 'x', 32 * 1024);
  snprintf(row + 13 + 31 * 1024, 16, ",here,1\n");
  text = draft_text(row);
  assert_non_null(strstr(text, "\"kind\""));
  free(text);
  free(row);
}

static void items_of_the_command_line(void **state)
{
  struct draft_item item;
  (void)state;
  assert_true(draft_parse_item("a=b", &item));
  assert_string_equal(item.name, "a");
  assert_int_equal(item.see, SEE_ALL);
  assert_true(draft_parse_item("a=b:grid+community", &item));
  assert_int_equal(item.see, SEE_GRID | SEE_COMMUNITY);
  assert_int_equal(item.value.size, 1);
  assert_true(draft_parse_item("at=12:30", &item));
  assert_int_equal(item.value.size, 5);
  assert_true(draft_parse_item("a=grid:grid:all", &item));
  assert_int_equal(item.value.size, 9);
  assert_int_equal(item.see, SEE_ALL);
  assert_true(draft_parse_item("a=", &item));
  assert_int_equal(item.value.size, 0);
  assert_true(draft_parse_item("a=x:grid+", &item));
  assert_int_equal(item.value.size, 7);
  assert_false(draft_parse_item("=b", &item));
  assert_false(draft_parse_item("a", &item));
}

int main(void)
{
  setlocale(LC_CTYPE, "C.UTF-8");
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(rows_of_every_form),
      cmocka_unit_test(bad_rows_cost_one_line),
      cmocka_unit_test(rows_are_bounded),
      cmocka_unit_test(times_in_zones),
      cmocka_unit_test(map_is_read),
      cmocka_unit_test(map_errors_name_the_line),
      cmocka_unit_test(rows_become_drafts),
      cmocka_unit_test(bad_rows_say_why),
      cmocka_unit_test(a_record_has_its_limit),
      cmocka_unit_test(items_of_the_command_line),
  };
  return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
