// links: record PkgConfig::CJSON
#include "vectors.h"

#include "record/bundle.h"

static enum bundle_entry entry_type(const cJSON *entry)
{
  bool commit = strcmp(vectors_text(entry, "type"), "commit") == 0;
  return commit ? BUNDLE_COMMIT : BUNDLE_CERTIFICATE;
}

static void test_written_and_read_as_in_the_vectors(void **state)
{
  (void)state;
  cJSON *root = vectors_load("bundles.json");
  struct bytes expected = vectors_octets(root, "octets");
  struct bytes out = {0};
  struct bytes_view rest = bytes_as_view(&expected);
  enum bundle_entry type = BUNDLE_END;
  struct bytes_view view;
  assert_int_equal(bundle_write_head(&out), STATUS_OK);
  assert_int_equal(bundle_read_head(&rest), STATUS_OK);
  const cJSON *entry = NULL;
  cJSON_ArrayForEach(entry, vectors_get(root, "entries"))
  {
    struct bytes octets = vectors_octets(entry, "octets");
    assert_int_equal(bundle_write(entry_type(entry), bytes_as_view(&octets), &out), STATUS_OK);
    assert_int_equal(bundle_read(&rest, &type, &view), STATUS_OK);
    assert_int_equal(type, entry_type(entry));
    assert_true(bytes_view_equal(view, bytes_as_view(&octets)));
    bytes_close(&octets);
  }
  assert_true(bytes_view_equal(bytes_as_view(&out), bytes_as_view(&expected)));
  assert_int_equal(bundle_read(&rest, &type, &view), STATUS_OK);
  assert_int_equal(type, BUNDLE_END);
  assert_int_equal(bundle_write(BUNDLE_END, view, &out), STATUS_INVALID_ARGUMENT);
  bytes_close(&out);
  bytes_close(&expected);
  cJSON_Delete(root);
}

/* How many entries come before the end; -1 when the bundle is malformed. */
static int entries_count(struct bytes_view rest)
{
  enum bundle_entry type = BUNDLE_END;
  struct bytes_view view;
  int count = 0;
  if (bundle_read_head(&rest) != STATUS_OK) {
    return -1;
  }
  for (;;) {
    if (bundle_read(&rest, &type, &view) != STATUS_OK) {
      return -1;
    }
    if (type == BUNDLE_END) {
      return count;
    }
    count++;
  }
}

static void test_unknown_entries_are_skipped(void **state)
{
  (void)state;
  cJSON *root = vectors_load("bundles.json");
  struct bytes octets = vectors_octets(root, "with_unknown");
  assert_int_equal(entries_count(bytes_as_view(&octets)), 1);
  bytes_close(&octets);
  cJSON_Delete(root);
}

/* Cut off between two entries a bundle is whole; anywhere else it is refused. */
static void test_cut_off(void **state)
{
  (void)state;
  cJSON *root = vectors_load("bundles.json");
  struct bytes octets = vectors_octets(root, "octets");
  int whole = 0;
  for (size_t size = 0; size <= octets.size; size++) {
    uint8_t *part = malloc(size + 1);
    memcpy(part, octets.data, size);
    whole += entries_count(bytes_view_of(part, size)) >= 0;
    free(part);
  }
  assert_int_equal(whole, 1 + cJSON_GetArraySize(vectors_get(root, "entries")));
  bytes_close(&octets);
  cJSON_Delete(root);
}

static void test_heads(void **state)
{
  (void)state;
  cJSON *root = vectors_load("bundles.json");
  const cJSON *entry = NULL;
  cJSON_ArrayForEach(entry, vectors_get(root, "heads"))
  {
    struct bytes octets = vectors_octets(entry, "octets");
    struct bytes_view rest = bytes_as_view(&octets);
    enum status expected = strcmp(vectors_text(entry, "status"), "wrong_version") == 0
                               ? STATUS_WRONG_VERSION
                               : STATUS_MALFORMED;
    assert_int_equal(bundle_read_head(&rest), expected);
    bytes_close(&octets);
  }
  cJSON_Delete(root);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_written_and_read_as_in_the_vectors),
      cmocka_unit_test(test_unknown_entries_are_skipped),
      cmocka_unit_test(test_cut_off),
      cmocka_unit_test(test_heads),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
