// links: record PkgConfig::CJSON
#include "vectors.h"

#include "random_source.h"
#include "record/codec.h"
#include "record/record.h"

static struct bytes commitments_of(const struct record *record)
{
  struct bytes out = {0};
  struct bytes_view rest = record->items_octets;
  struct item item;
  while (record_item_next(&rest, &item)) {
    struct hash hash = item.shown ? item_commitment(item.octets) : item.commitment;
    assert_int_equal(bytes_append(&out, hash.octets, HASH_SIZE), STATUS_OK);
  }
  assert_int_equal(rest.size, 0);
  return out;
}

static void valid_judge(const cJSON *entry)
{
  struct bytes octets = vectors_octets(entry, "octets");
  struct bytes header = vectors_octets(entry, "header");
  struct hash expected = vectors_hash(entry, "leaf");
  struct record record;
  struct record again;
  struct hash leaf;
  struct hash commitments[RECORD_ITEMS_MAX];
  if (record_read_leaf(bytes_as_view(&octets), &record, &leaf) != STATUS_OK) {
    fail_msg("record %s", vectors_text(entry, "name"));
  }
  assert_int_equal(record_read(bytes_as_view(&octets), &again), STATUS_OK);
  assert_true(hash_equal(&leaf, &expected));
  assert_true(bytes_view_equal(record.header_octets, bytes_as_view(&header)));
  assert_int_equal(record.see_all, vectors_number(entry, "see_all"));
  assert_int_equal(record.size_max, vectors_number(entry, "size_max"));
  assert_int_equal(record.hidden_count, cJSON_GetArraySize(vectors_get(entry, "hidden")));
  size_t count = vectors_hashes(entry, "commitments", commitments, RECORD_ITEMS_MAX);
  struct bytes found = commitments_of(&record);
  assert_int_equal(found.size, count * HASH_SIZE);
  assert_memory_equal(found.data, commitments, found.size);
  struct bytes_view rest = record.header.down;
  struct address target;
  bool subtree = false;
  size_t targets = 0;
  while (record_down_next(&rest, &target, &subtree)) {
    targets++;
  }
  assert_int_equal(targets, record.header.down_count);
  bytes_close(&found);
  bytes_close(&header);
  bytes_close(&octets);
}

static void test_valid(void **state)
{
  (void)state;
  cJSON *root = vectors_load("records.json");
  const cJSON *entry = NULL;
  cJSON_ArrayForEach(entry, vectors_get(root, "valid"))
  {
    valid_judge(entry);
  }
  cJSON_Delete(root);
}

static void test_invalid(void **state)
{
  (void)state;
  cJSON *root = vectors_load("records.json");
  const cJSON *entry = NULL;
  cJSON_ArrayForEach(entry, vectors_get(root, "invalid"))
  {
    struct bytes octets = vectors_octets(entry, "octets");
    struct record record;
    enum status expected = strcmp(vectors_text(entry, "status"), "too_large") == 0
                               ? STATUS_TOO_LARGE
                               : STATUS_MALFORMED;
    enum status status = record_read(bytes_as_view(&octets), &record);
    if (status != expected) {
      fail_msg("record %s: %s", vectors_text(entry, "name"), status_text(status));
    }
    bytes_close(&octets);
  }
  cJSON_Delete(root);
}

static void test_cut_off(void **state)
{
  (void)state;
  cJSON *root = vectors_load("records.json");
  const cJSON *entry = NULL;
  cJSON_ArrayForEach(entry, vectors_get(root, "valid"))
  {
    struct bytes octets = vectors_octets(entry, "octets");
    size_t step = octets.size > 2000 ? 97 : 1;
    for (size_t size = 0; size < octets.size; size += step) {
      uint8_t *part = malloc(size + 1);
      memcpy(part, octets.data, size);
      struct record record;
      assert_int_equal(record_read(bytes_view_of(part, size), &record), STATUS_MALFORMED);
      free(part);
    }
    bytes_close(&octets);
  }
  cJSON_Delete(root);
}

/* A changed octet is refused or gives another leaf: nothing in a record is unsigned slack. */
static void test_every_octet_counts(void **state)
{
  (void)state;
  cJSON *root = vectors_load("records.json");
  const cJSON *entry = NULL;
  cJSON_ArrayForEach(entry, vectors_get(root, "valid"))
  {
    struct bytes octets = vectors_octets(entry, "octets");
    struct hash expected = vectors_hash(entry, "leaf");
    for (size_t i = 0; i < octets.size && octets.size < 1000; i++) {
      for (unsigned bit = 0; bit < 8; bit++) {
        struct record record;
        struct hash leaf;
        octets.data[i] ^= (uint8_t)(1u << bit);
        enum status status = record_read_leaf(bytes_as_view(&octets), &record, &leaf);
        assert_true(status != STATUS_OK || !hash_equal(&leaf, &expected));
        octets.data[i] ^= (uint8_t)(1u << bit);
      }
    }
    bytes_close(&octets);
  }
  cJSON_Delete(root);
}

/* A draft with `count` items; the values are one octet, or large ones as `size` says. */
struct drafted {
  struct item_draft items[RECORD_ITEMS_MAX + 1];
  char names[RECORD_ITEMS_MAX + 1][16];
  uint8_t value[40000];
  struct record_draft draft;
};

static void draft_make(struct random_source *source, unsigned count, struct drafted *out)
{
  static const char *const down[] = {"1/2/@fire", "1/2/3/*"};
  memset(out->value, 0, sizeof(out->value));
  for (unsigned i = 0; i < count; i++) {
    struct item_draft *item = &out->items[i];
    if (i == 0) {
      out->names[i][0] = '\0';
    } else {
      snprintf(out->names[i], sizeof(out->names[i]), "n%u", i);
    }
    item->name = out->names[i];
    item->value = bytes_view_of(out->value, 1);
    item->see = (uint8_t)(1 + random_below(source, SEE_ALL));
    random_fill(source, item->salt, SALT_SIZE);
  }
  out->draft = (struct record_draft){.kind = "report",
                                     .gen = 1,
                                     .hlc = random_next(source),
                                     .up = 4,
                                     .down_count = 2,
                                     .down = down,
                                     .author = "op",
                                     .item_count = (uint8_t)count,
                                     .items = out->items};
  random_fill(source, out->draft.subject.octets, SUBJECT_SIZE);
}

static struct record record_of(const struct bytes *octets, struct hash *leaf)
{
  struct record record;
  assert_int_equal(record_read_leaf(bytes_as_view(octets), &record, leaf), STATUS_OK);
  return record;
}

static void test_written_is_read(void **state)
{
  (void)state;
  static struct drafted drafted;
  struct random_source source = random_source_start(__func__);
  for (unsigned count = 1; count <= RECORD_ITEMS_MAX; count++) {
    struct bytes out = {0};
    struct hash leaf;
    struct item item;
    draft_make(&source, count, &drafted);
    assert_int_equal(record_write(&drafted.draft, &out), STATUS_OK);
    struct record record = record_of(&out, &leaf);
    assert_true(record.header.hlc == drafted.draft.hlc);
    assert_memory_equal(record.header.subject.octets, drafted.draft.subject.octets, SUBJECT_SIZE);
    assert_int_equal(record.item_count, count);
    assert_true(record_item_find(&record, drafted.names[count - 1], &item));
    assert_memory_equal(item.salt.data, drafted.items[count - 1].salt, SALT_SIZE);
    assert_int_equal(item.see, drafted.items[count - 1].see);
    assert_false(record_item_find(&record, "absent", &item));
    bytes_close(&out);
  }
}

static void draft_refused(const struct record_draft *draft, enum status expected)
{
  struct bytes out = {0};
  assert_int_equal(bytes_append(&out, "kept", 4), STATUS_OK);
  assert_int_equal(record_write(draft, &out), expected);
  assert_int_equal(out.size, 4);
  assert_memory_equal(out.data, "kept", 4);
  bytes_close(&out);
}

static void test_bad_drafts_are_refused(void **state)
{
  (void)state;
  static struct drafted drafted;
  struct random_source source = random_source_start(__func__);
  static const char *const bad_down[] = {"1/2/", "1"};
  draft_make(&source, RECORD_ITEMS_MAX + 1, &drafted);
  draft_refused(&drafted.draft, STATUS_INVALID_ARGUMENT);
  draft_make(&source, 2, &drafted);
  drafted.draft.item_count = 0;
  draft_refused(&drafted.draft, STATUS_INVALID_ARGUMENT);
  draft_make(&source, 2, &drafted);
  drafted.draft.kind = "";
  draft_refused(&drafted.draft, STATUS_INVALID_ARGUMENT);
  draft_make(&source, 2, &drafted);
  drafted.draft.gen = RECORD_GEN_MAX + 1;
  draft_refused(&drafted.draft, STATUS_INVALID_ARGUMENT);
  draft_make(&source, 2, &drafted);
  drafted.draft.down = bad_down;
  draft_refused(&drafted.draft, STATUS_INVALID_ARGUMENT);
  draft_make(&source, 2, &drafted);
  drafted.items[1].name = "";
  draft_refused(&drafted.draft, STATUS_INVALID_ARGUMENT);
  draft_make(&source, 2, &drafted);
  drafted.items[1].see = 0;
  draft_refused(&drafted.draft, STATUS_INVALID_ARGUMENT);
  draft_make(&source, 2, &drafted);
  drafted.items[1].value.size = 0;
  draft_refused(&drafted.draft, STATUS_INVALID_ARGUMENT);
  draft_make(&source, 2, &drafted);
  drafted.value[0] = 0xc5;
  drafted.value[1] = 33000 >> 8;
  drafted.value[2] = 33000 & 255;
  drafted.items[1].value.size = 33003;
  draft_refused(&drafted.draft, STATUS_TOO_LARGE);
}

/* Hiding by class keeps the leaf, shows exactly what the class may see, and is stable. */
static void test_classes(void **state)
{
  (void)state;
  static struct drafted drafted;
  struct random_source source = random_source_start(__func__);
  for (unsigned round = 0; round < 200; round++) {
    struct bytes out = {0};
    struct hash leaf;
    draft_make(&source, 1 + (unsigned)random_below(&source, 8), &drafted);
    assert_int_equal(record_write(&drafted.draft, &out), STATUS_OK);
    struct record record = record_of(&out, &leaf);
    for (unsigned class_bit = 1; class_bit <= SEE_UNIT; class_bit *= 2) {
      struct bytes part = {0};
      struct hash same;
      assert_int_equal(record_write_for_class(&record, class_bit, &part), STATUS_OK);
      struct record hidden = record_of(&part, &same);
      assert_true(hash_equal(&leaf, &same));
      struct bytes_view rest = hidden.items_octets;
      struct item item;
      for (unsigned i = 0; record_item_next(&rest, &item); i++) {
        assert_int_equal(item.shown, (drafted.items[i].see & class_bit) != 0);
      }
      assert_int_equal(hidden.size_max <= record.size_max, 1);
      bytes_close(&part);
    }
    struct bytes all = {0};
    assert_int_equal(record_write_for_class(&record, SEE_ALL, &all), STATUS_OK);
    assert_true(bytes_view_equal(bytes_as_view(&all), bytes_as_view(&out)));
    bytes_close(&all);
    bytes_close(&out);
  }
}

/* A showing of `record` with a random subset of its items; the subset's bits. */
static uint64_t show_some(struct random_source *source, const struct record *record,
                          struct bytes *out)
{
  uint64_t shown = random_next(source) & random_next(source);
  struct bytes current = {0};
  assert_int_equal(bytes_append(&current, record->octets.data, record->octets.size), STATUS_OK);
  for (unsigned i = 0; i < record->item_count; i++) {
    if (!(shown >> i & 1)) {
      struct hash leaf;
      struct record from = record_of(&current, &leaf);
      bytes_clear(out);
      assert_int_equal(record_write_erased(&from, i, out), STATUS_OK);
      bytes_clear(&current);
      assert_int_equal(bytes_append(&current, out->data, out->size), STATUS_OK);
    }
  }
  bytes_clear(out);
  assert_int_equal(bytes_append(out, current.data, current.size), STATUS_OK);
  bytes_close(&current);
  return shown & (record->item_count == 64 ? UINT64_MAX : ((uint64_t)1 << record->item_count) - 1);
}

static uint64_t shown_of(const struct record *record)
{
  struct bytes_view rest = record->items_octets;
  struct item item;
  uint64_t shown = 0;
  for (unsigned i = 0; record_item_next(&rest, &item); i++) {
    shown |= (uint64_t)item.shown << i;
  }
  return shown;
}

/* The union shows what either shows, whichever comes first, and reports a gain exactly then. */
static void test_merge(void **state)
{
  (void)state;
  static struct drafted drafted;
  struct random_source source = random_source_start(__func__);
  for (unsigned round = 0; round < 200; round++) {
    struct bytes whole = {0};
    struct bytes parts[2] = {{0}, {0}};
    struct bytes unions[2] = {{0}, {0}};
    struct hash leaf;
    struct hash same;
    draft_make(&source, 1 + (unsigned)random_below(&source, RECORD_ITEMS_MAX), &drafted);
    assert_int_equal(record_write(&drafted.draft, &whole), STATUS_OK);
    struct record record = record_of(&whole, &leaf);
    uint64_t shown[2];
    for (unsigned i = 0; i < 2; i++) {
      shown[i] = show_some(&source, &record, &parts[i]);
    }
    for (unsigned i = 0; i < 2; i++) {
      bool gained = false;
      struct record a = record_of(&parts[i], &same);
      struct record b = record_of(&parts[1 - i], &same);
      assert_int_equal(record_merge(&a, &b, &unions[i], &gained), STATUS_OK);
      struct record both = record_of(&unions[i], &same);
      assert_true(hash_equal(&leaf, &same));
      assert_true(shown_of(&both) == (shown[0] | shown[1]));
      assert_int_equal(gained, (shown[1 - i] & ~shown[i]) != 0);
    }
    assert_true(bytes_view_equal(bytes_as_view(&unions[0]), bytes_as_view(&unions[1])));
    for (unsigned i = 0; i < 2; i++) {
      bytes_close(&parts[i]);
      bytes_close(&unions[i]);
    }
    bytes_close(&whole);
  }
}

/* One item of a record by hand, or its commitment. */
static void item_by_hand(struct writer *writer, bool shown, const char *name, size_t size)
{
  static uint8_t value[20000];
  static const uint8_t salt[SALT_SIZE];
  struct bytes item = {0};
  struct writer inner;
  value[0] = 0xc5;
  value[1] = (uint8_t)((size - 3) >> 8);
  value[2] = (uint8_t)(size - 3);
  writer_init(&inner, &item);
  writer_array(&inner, 4);
  writer_bin(&inner, salt, SALT_SIZE);
  writer_text(&inner, name);
  writer_bin(&inner, value, size);
  writer_uint(&inner, SEE_ALL);
  assert_int_equal(writer_finish(&inner), STATUS_OK);
  if (shown) {
    writer_raw(writer, bytes_as_view(&item));
  } else {
    struct hash hash = item_commitment(bytes_as_view(&item));
    writer_bin(writer, hash.octets, HASH_SIZE);
  }
  bytes_close(&item);
}

/* Two items of one record, as an origin could send them to two neighbours. */
static struct bytes record_by_hand(bool first, bool second, const char *second_name, size_t size)
{
  struct bytes header = {0};
  struct bytes out = {0};
  struct writer writer;
  writer_init(&writer, &header);
  writer_array(&writer, 8);
  writer_uint(&writer, 1);
  writer_text(&writer, "report");
  writer_bin(&writer, "0123456789abcdef", SUBJECT_SIZE);
  writer_uint(&writer, 1);
  writer_uint(&writer, 1);
  writer_uint(&writer, 0);
  writer_array(&writer, 0);
  writer_text(&writer, "");
  writer_init(&writer, &out);
  writer_array(&writer, 2);
  writer_bin(&writer, header.data, header.size);
  writer_array(&writer, 2);
  item_by_hand(&writer, first, "a", size);
  item_by_hand(&writer, second, second_name, size);
  assert_int_equal(writer_finish(&writer), STATUS_OK);
  bytes_close(&header);
  return out;
}

/* Each half is fine and the whole isn't: the merge keeps what it had and stays well-formed. */
static void merge_of_hostile_halves(const char *second_name, size_t size)
{
  struct bytes one = record_by_hand(true, false, second_name, size);
  struct bytes two = record_by_hand(false, true, second_name, size);
  struct bytes out = {0};
  struct hash leaf;
  struct hash same;
  bool gained = true;
  struct record a = record_of(&one, &leaf);
  struct record b = record_of(&two, &same);
  assert_true(hash_equal(&leaf, &same));
  assert_int_equal(record_merge(&a, &b, &out, &gained), STATUS_OK);
  assert_false(gained);
  assert_true(bytes_view_equal(bytes_as_view(&out), bytes_as_view(&one)));
  bytes_close(&out);
  bytes_close(&one);
  bytes_close(&two);
}

static void test_merge_of_hostile_halves(void **state)
{
  (void)state;
  merge_of_hostile_halves("a", 500);
  merge_of_hostile_halves("b", 17000);
}

static void test_erased_position_beyond_the_items(void **state)
{
  (void)state;
  struct bytes one = record_by_hand(true, false, "b", 500);
  struct bytes out = {0};
  struct hash leaf;
  struct record record = record_of(&one, &leaf);
  assert_int_equal(record_write_erased(&record, 2, &out), STATUS_OK);
  assert_int_equal(record_write_erased(&record, UINT32_MAX, &out), STATUS_OK);
  assert_int_equal(out.size, 2 * one.size);
  bytes_close(&out);
  bytes_close(&one);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_valid),
      cmocka_unit_test(test_invalid),
      cmocka_unit_test(test_cut_off),
      cmocka_unit_test(test_every_octet_counts),
      cmocka_unit_test(test_written_is_read),
      cmocka_unit_test(test_bad_drafts_are_refused),
      cmocka_unit_test(test_classes),
      cmocka_unit_test(test_merge),
      cmocka_unit_test(test_merge_of_hostile_halves),
      cmocka_unit_test(test_erased_position_beyond_the_items),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
