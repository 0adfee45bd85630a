// links: record PkgConfig::CJSON
#include "vectors.h"

#include "random_source.h"
#include "record/audience.h"
#include "record/codec.h"

#define RECORDS_MAX 64

/* One record as far as audiences are concerned. */
struct widening {
  struct address author;
  struct record_header header;
  struct bytes down;
};

static struct address place(const char *text)
{
  struct address address;
  assert_int_equal(address_parse(bytes_view_text(text), false, &address), STATUS_OK);
  return address;
}

static void widening_make(struct widening *out, const char *author, unsigned up,
                          const char *const *down, size_t count)
{
  struct writer writer;
  *out = (struct widening){.author = place(author)};
  writer_init(&writer, &out->down);
  for (size_t i = 0; i < count; i++) {
    writer_text(&writer, down[i]);
  }
  assert_int_equal(writer_finish(&writer), STATUS_OK);
  out->header.up = (uint8_t)up;
  out->header.down = bytes_as_view(&out->down);
  out->header.down_count = (uint8_t)count;
}

/* Adds all records until nothing changes, in the order given. */
static void audience_settle(struct audience *audience, const struct widening *records,
                            const size_t *order, size_t count)
{
  bool changed = true;
  while (changed) {
    changed = false;
    for (size_t i = 0; i < count; i++) {
      const struct widening *record = &records[order[i]];
      bool effective = false;
      bool grew = false;
      unsigned refused = 0;
      size_t before = audience->count;
      assert_int_equal(audience_add_record(audience, &record->author, &record->header, &effective,
                                           &refused, &grew),
                       STATUS_OK);
      assert_int_equal(effective, audience_has_writer(audience, &record->author));
      assert_int_equal(grew, audience->count > before);
      changed = changed || grew;
    }
  }
}

static struct bytes audience_octets(const struct audience *audience)
{
  struct bytes out = {0};
  assert_int_equal(audience_write(audience, &out), STATUS_OK);
  return out;
}

static struct bytes expected_octets(const cJSON *texts)
{
  struct bytes out = {0};
  struct writer writer;
  const cJSON *text = NULL;
  writer_init(&writer, &out);
  writer_array(&writer, (uint32_t)cJSON_GetArraySize(texts));
  cJSON_ArrayForEach(text, texts)
  {
    writer_text(&writer, text->valuestring);
  }
  assert_int_equal(writer_finish(&writer), STATUS_OK);
  return out;
}

static size_t records_load(const cJSON *entry, struct widening *records)
{
  size_t count = 0;
  const cJSON *record = NULL;
  cJSON_ArrayForEach(record, vectors_get(entry, "records"))
  {
    const char *down[RECORD_DOWN_MAX];
    size_t down_count = 0;
    const cJSON *target = NULL;
    cJSON_ArrayForEach(target, vectors_get(record, "down"))
    {
      down[down_count++] = target->valuestring;
    }
    widening_make(&records[count++], vectors_text(record, "author"),
                  (unsigned)vectors_number(record, "up"), down, down_count);
  }
  return count;
}

static void test_vectors(void **state)
{
  (void)state;
  cJSON *root = vectors_load("audiences.json");
  const cJSON *entry = NULL;
  cJSON_ArrayForEach(entry, root)
  {
    struct widening records[RECORDS_MAX];
    size_t order[RECORDS_MAX];
    struct audience audience = {0};
    struct audience again = {0};
    struct address founder = place(vectors_text(entry, "founder"));
    size_t count = records_load(entry, records);
    for (size_t i = 0; i < count; i++) {
      order[i] = i;
    }
    assert_int_equal(audience_found(&audience, &founder), STATUS_OK);
    audience_settle(&audience, records, order, count);
    struct bytes expected = expected_octets(vectors_get(entry, "audience"));
    struct bytes found = audience_octets(&audience);
    if (!bytes_view_equal(bytes_as_view(&found), bytes_as_view(&expected))) {
      fail_msg("audience %s: %.*s", vectors_text(entry, "name"), (int)found.size, found.data);
    }
    assert_int_equal(audience_read(bytes_as_view(&found), &again), STATUS_OK);
    struct bytes same = audience_octets(&again);
    assert_true(bytes_view_equal(bytes_as_view(&same), bytes_as_view(&found)));
    for (size_t i = 0; i < count; i++) {
      bytes_close(&records[i].down);
    }
    bytes_close(&same);
    bytes_close(&found);
    bytes_close(&expected);
    audience_close(&audience);
    audience_close(&again);
  }
  cJSON_Delete(root);
}

#define PLACE_SIZE 64

/* A random place in a tree of three children at each level, units included; sometimes, where
 * asked for, all that lies below it. */
static void place_make(struct random_source *source, bool subtrees, char out[PLACE_SIZE])
{
  static const char *const names[] = {"a", "a-", "b"};
  uint64_t depth = random_below(source, 4);
  size_t size = (size_t)snprintf(out, PLACE_SIZE, "d");
  for (uint64_t i = 0; i < depth; i++) {
    const char *name = names[random_below(source, 3)];
    size += (size_t)snprintf(out + size, PLACE_SIZE - size, "/%s", name);
  }
  uint64_t end = random_below(source, 12);
  if (end < 3) {
    snprintf(out + size, PLACE_SIZE - size, "/@u");
  } else if (end < 6 && subtrees) {
    snprintf(out + size, PLACE_SIZE - size, "/*");
  }
}

static void widening_random(struct random_source *source, struct widening *out)
{
  char texts[5][PLACE_SIZE];
  const char *down[4];
  size_t count = random_below(source, 5);
  for (size_t i = 0; i < 5; i++) {
    place_make(source, i < 4, texts[i]);
  }
  for (size_t i = 0; i < count; i++) {
    down[i] = texts[i];
  }
  widening_make(out, texts[4], (unsigned)random_below(source, 5), down, count);
}

static void shuffle(struct random_source *source, size_t *order, size_t count)
{
  for (size_t i = count; i > 1; i--) {
    size_t j = random_below(source, i);
    size_t kept = order[i - 1];
    order[i - 1] = order[j];
    order[j] = kept;
  }
}

/* Whatever the order of arrival, the fixed point has the same octets. */
static void test_order_does_not_matter(void **state)
{
  (void)state;
  struct random_source source = random_source_start(__func__);
  for (size_t round = 0; round < 300; round++) {
    struct widening records[RECORDS_MAX];
    size_t order[RECORDS_MAX];
    struct bytes first = {0};
    char founder_text[PLACE_SIZE];
    size_t count = 1 + random_below(&source, 30);
    place_make(&source, false, founder_text);
    struct address founder = place(founder_text);
    for (size_t i = 0; i < count; i++) {
      widening_random(&source, &records[i]);
      order[i] = i;
    }
    for (size_t try = 0; try < 4; try++) {
      struct audience audience = {0};
      shuffle(&source, order, count);
      assert_int_equal(audience_found(&audience, &founder), STATUS_OK);
      audience_settle(&audience, records, order, count);
      struct bytes octets = audience_octets(&audience);
      if (try == 0) {
        first = octets;
      } else {
        assert_true(bytes_view_equal(bytes_as_view(&octets), bytes_as_view(&first)));
        bytes_close(&octets);
      }
      audience_close(&audience);
    }
    for (size_t i = 0; i < count; i++) {
      bytes_close(&records[i].down);
    }
    bytes_close(&first);
  }
}

/* The full members are connected, and readers are those within them or a subtree. */
static void test_members_are_connected(void **state)
{
  (void)state;
  struct random_source source = random_source_start(__func__);
  static const size_t order[RECORDS_MAX] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
  for (size_t round = 0; round < 300; round++) {
    struct widening records[10];
    struct audience audience = {0};
    struct address founder = place("d/a/a/b");
    for (size_t i = 0; i < 10; i++) {
      widening_random(&source, &records[i]);
    }
    assert_int_equal(audience_found(&audience, &founder), STATUS_OK);
    audience_settle(&audience, records, order, 10);
    size_t without_parent = 0;
    for (size_t i = 0; i < audience.count; i++) {
      const struct audience_entry *entry = &audience.entries[i];
      struct address parent;
      assert_true(audience_has_reader(&audience, &entry->address));
      if (!entry->subtree) {
        assert_true(address_parent(&entry->address, &parent));
        without_parent += !audience_has_writer(&audience, &parent);
      }
    }
    assert_int_equal(without_parent, 1);
    for (size_t i = 0; i < 10; i++) {
      bytes_close(&records[i].down);
    }
    audience_close(&audience);
  }
}

static void test_refused_targets_are_counted(void **state)
{
  (void)state;
  static const char *const down[] = {"d/t", "d/s/*", "d/s/c/g", "d", "d/t/*"};
  struct audience audience = {0};
  struct widening record;
  struct address author = place("d/s/c");
  bool effective = false;
  bool grew = false;
  unsigned refused = 0;
  widening_make(&record, "d/s/c", 0, down, 5);
  assert_int_equal(
      audience_add_record(&audience, &author, &record.header, &effective, &refused, &grew),
      STATUS_OK);
  assert_false(effective || grew);
  assert_int_equal(audience_found(&audience, &author), STATUS_OK);
  assert_int_equal(
      audience_add_record(&audience, &author, &record.header, &effective, &refused, &grew),
      STATUS_OK);
  assert_true(effective && grew);
  assert_int_equal(refused, 3);
  bytes_close(&record.down);
  audience_close(&audience);
}

static void test_reach(void **state)
{
  (void)state;
  static const char *const texts[] = {"d", "d/s", "d/s-1/*", "d/s/c/@u", "d/t/c/*"};
  static const struct {
    const char *top;
    bool reached;
    bool reads;
    bool writes;
  } cases[] = {
      {"d", true, true, true},          {"d/s", true, true, true},
      {"d/s/c", true, false, false},    {"d/s/c/@u", true, true, true},
      {"d/s/c/g", false, false, false}, {"d/s-1", true, true, false},
      {"d/s-1/c/g", true, true, false}, {"d/s-1/@u", true, true, false},
      {"d/s-", false, false, false},    {"d/t", true, false, false},
      {"d/t/c", true, true, false},     {"d/t/c1", false, false, false},
      {"d/u", false, false, false},     {"e", false, false, false},
  };
  struct bytes octets = {0};
  struct audience audience = {0};
  struct writer writer;
  writer_init(&writer, &octets);
  writer_array(&writer, 5);
  for (size_t i = 0; i < 5; i++) {
    writer_text(&writer, texts[i]);
  }
  assert_int_equal(audience_read(bytes_as_view(&octets), &audience), STATUS_OK);
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    struct address top = place(cases[i].top);
    if (audience_reaches(&audience, &top) != cases[i].reached ||
        audience_has_reader(&audience, &top) != cases[i].reads ||
        audience_has_writer(&audience, &top) != cases[i].writes) {
      fail_msg("reach of %s", cases[i].top);
    }
  }
  struct address root;
  assert_int_equal(address_parse(bytes_view_text(""), true, &root), STATUS_OK);
  assert_true(audience_reaches(&audience, &root));
  struct audience empty = {0};
  assert_false(audience_reaches(&empty, &root));
  bytes_close(&octets);
  audience_close(&audience);
}

static void test_read_refuses(void **state)
{
  (void)state;
  static const struct bytes_view bad[] = {
      {(const uint8_t *)"", 0},
      {(const uint8_t *)"\x91\xa0", 2},
      {(const uint8_t *)"\x92\xa1\x62\xa1\x61", 5},
      {(const uint8_t *)"\x92\xa1\x61\xa1\x61", 5},
      {(const uint8_t *)"\x91\xa1\x61\xa1", 4},
      {(const uint8_t *)"\x92\xa1\x61", 3},
      {(const uint8_t *)"\xdd\xff\xff\xff\xff", 5},
      {(const uint8_t *)"\xdc\x10\x01\xa1\x61", 5},
  };
  for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
    struct audience audience = {0};
    assert_int_equal(audience_read(bad[i], &audience), STATUS_MALFORMED);
    assert_int_equal(audience.count, 0);
    audience_close(&audience);
  }
}

/* At the limit nothing more joins, and what is there stays whole. */
static void test_limit(void **state)
{
  (void)state;
  struct audience audience = {0};
  struct address author = place("d");
  struct widening record;
  enum status status = STATUS_OK;
  bool effective = false;
  bool grew = false;
  unsigned refused = 0;
  assert_int_equal(audience_found(&audience, &author), STATUS_OK);
  for (unsigned i = 0; status == STATUS_OK && i < 3000; i++) {
    char text[64];
    const char *down[1] = {text};
    snprintf(text, sizeof(text), "d/%u/x", i);
    widening_make(&record, "d", 0, down, 1);
    status = audience_add_record(&audience, &author, &record.header, &effective, &refused, &grew);
    bytes_close(&record.down);
  }
  assert_int_equal(status, STATUS_TOO_LARGE);
  assert_false(grew);
  assert_int_equal(audience.count, AUDIENCE_MEMBERS_MAX - 1);
  struct bytes octets = audience_octets(&audience);
  struct audience again = {0};
  assert_int_equal(audience_read(bytes_as_view(&octets), &again), STATUS_OK);
  bytes_close(&octets);
  audience_close(&again);
  audience_close(&audience);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_vectors),
      cmocka_unit_test(test_order_does_not_matter),
      cmocka_unit_test(test_members_are_connected),
      cmocka_unit_test(test_refused_targets_are_counted),
      cmocka_unit_test(test_reach),
      cmocka_unit_test(test_read_refuses),
      cmocka_unit_test(test_limit),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
