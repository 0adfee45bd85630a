// links: record PkgConfig::CJSON
#include "vectors.h"

#include "record/codec.h"

/* Whether the hex is one whole value, inside item values or elsewhere. */
static bool value_taken(const cJSON *hex, bool values)
{
  struct bytes octets = vectors_octets_of(hex);
  struct reader reader = reader_of(bytes_as_view(&octets));
  struct bytes_view view;
  bool taken = reader_skip(&reader, values, &view) && reader_at_end(&reader);
  if (taken) {
    assert_ptr_equal(view.data, octets.data);
    assert_int_equal(view.size, octets.size);
  }
  bytes_close(&octets);
  return taken;
}

static void values_judge(const cJSON *root, const char *field, bool everywhere, bool inside)
{
  const cJSON *hex = NULL;
  cJSON_ArrayForEach(hex, vectors_get(root, field))
  {
    if (value_taken(hex, false) != everywhere || value_taken(hex, true) != inside) {
      fail_msg("value %s in %s", hex->valuestring, field);
    }
  }
}

static void test_values(void **state)
{
  (void)state;
  cJSON *root = vectors_load("values.json");
  values_judge(root, "everywhere", true, true);
  values_judge(root, "item_values", false, true);
  values_judge(root, "nowhere", false, false);
  cJSON_Delete(root);
}

/* Every value cut off anywhere is refused. */
static void test_values_cut_off(void **state)
{
  (void)state;
  cJSON *root = vectors_load("values.json");
  const cJSON *hex = NULL;
  cJSON_ArrayForEach(hex, vectors_get(root, "everywhere"))
  {
    struct bytes whole = vectors_octets_of(hex);
    for (size_t size = 0; size < whole.size; size++) {
      uint8_t *part = malloc(size + 1);
      memcpy(part, whole.data, size);
      struct reader reader = reader_of(bytes_view_of(part, size));
      assert_false(reader_skip(&reader, true, NULL));
      free(part);
    }
    bytes_close(&whole);
  }
  cJSON_Delete(root);
}

static void test_written_is_read(void **state)
{
  (void)state;
  static const uint64_t naturals[] = {0,     127,   128,        255,           256,
                                      65535, 65536, 4294967295, 4294967296ULL, UINT64_MAX};
  static const int64_t integers[] = {0,         -1,       -32,    -33,       -128,
                                     -129,      -32768,   -32769, INT32_MIN, (int64_t)INT32_MIN - 1,
                                     INT64_MIN, INT64_MAX};
  struct bytes out = {0};
  struct writer writer;
  writer_init(&writer, &out);
  for (size_t i = 0; i < 10; i++) {
    writer_uint(&writer, naturals[i]);
  }
  for (size_t i = 0; i < 12; i++) {
    writer_int(&writer, integers[i]);
  }
  writer_array(&writer, 2);
  writer_bool(&writer, true);
  writer_bool(&writer, false);
  writer_map(&writer, 1);
  writer_text(&writer, "k");
  writer_bin(&writer, "\0\1\2", 3);
  writer_raw(&writer, bytes_view_of("\x07", 1));
  assert_int_equal(writer_finish(&writer), STATUS_OK);

  struct reader reader = reader_of(bytes_as_view(&out));
  for (size_t i = 0; i < 10; i++) {
    uint64_t value = 0;
    assert_true(reader_uint(&reader, &value));
    assert_true(value == naturals[i]);
  }
  for (size_t i = 0; i < 12; i++) {
    int64_t value = 0;
    assert_true(reader_int(&reader, &value));
    assert_true(value == integers[i]);
  }
  uint32_t count = 0;
  bool yes = false;
  bool no = true;
  struct bytes_view text;
  const uint8_t *octets = NULL;
  uint64_t last = 0;
  assert_true(reader_peek_array(&reader));
  assert_true(reader_array(&reader, &count) && count == 2);
  assert_true(reader_bool(&reader, &yes) && yes);
  assert_true(reader_bool(&reader, &no) && !no);
  assert_true(reader_map(&reader, &count) && count == 1);
  assert_true(reader_peek_str(&reader));
  assert_true(reader_str(&reader, &text) && bytes_view_equal(text, bytes_view_text("k")));
  assert_true(reader_peek_bin(&reader));
  assert_true(reader_bin_exact(&reader, 3, &octets) && octets[2] == 2);
  assert_true(reader_uint_max(&reader, 7, &last) && last == 7);
  assert_true(reader_at_end(&reader));
  assert_false(reader_peek_array(&reader) || reader_peek_bin(&reader) || reader_peek_str(&reader));
  bytes_close(&out);
}

static void test_readers_refuse(void **state)
{
  (void)state;
  uint64_t natural = 0;
  int64_t integer = 0;
  bool flag = false;
  uint32_t count = 0;
  struct bytes_view view;
  const uint8_t *octets = NULL;
  struct reader nothing = reader_of((struct bytes_view){0});
  assert_false(reader_uint(&nothing, &natural) || reader_int(&nothing, &integer));
  assert_false(reader_bool(&nothing, &flag) || reader_array(&nothing, &count));
  assert_false(reader_map(&nothing, &count) || reader_str(&nothing, &view));
  assert_false(reader_bin(&nothing, &view) || reader_bin_exact(&nothing, 0, &octets));
  assert_false(reader_skip(&nothing, true, NULL));
  struct reader reader = reader_of(bytes_view_of("\x08", 1));
  assert_false(reader_uint_max(&reader, 7, &natural));
  reader = reader_of(bytes_view_of("\xcf\x80\0\0\0\0\0\0\0", 9));
  assert_false(reader_int(&reader, &integer));
  reader = reader_of(bytes_view_of("\xc4\x02\0\0", 4));
  assert_false(reader_bin_exact(&reader, 3, &octets));
  reader = reader_of(bytes_view_of("\xc0", 1));
  assert_false(reader_bool(&reader, &flag));
}

/* `depth` arrays within each other. */
static bool depth_taken(size_t depth)
{
  uint8_t octets[64];
  memset(octets, 0x91, sizeof(octets));
  octets[depth] = 0x01;
  struct reader reader = reader_of(bytes_view_of(octets, depth + 1));
  return reader_skip(&reader, false, NULL) && reader_at_end(&reader);
}

static void test_depth(void **state)
{
  (void)state;
  assert_true(depth_taken(CODEC_DEPTH_MAX));
  assert_false(depth_taken(CODEC_DEPTH_MAX + 1));
  assert_false(depth_taken(63));
}

static void test_failed_append_is_reported(void **state)
{
  (void)state;
  struct bytes full = {.size = SIZE_MAX / 2, .capacity = SIZE_MAX / 2};
  struct writer writer;
  writer_init(&writer, &full);
  writer_uint(&writer, 1);
  writer_text(&writer, "text");
  assert_int_equal(writer_finish(&writer), STATUS_NO_MEMORY);
  assert_int_equal(full.size, SIZE_MAX / 2);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_values),          cmocka_unit_test(test_values_cut_off),
      cmocka_unit_test(test_written_is_read), cmocka_unit_test(test_readers_refuse),
      cmocka_unit_test(test_depth),           cmocka_unit_test(test_failed_append_is_reported),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
