// links: record PkgConfig::CJSON sodium
#include "vectors.h"

#include <sodium.h>

#include "random_source.h"
#include "record/codec.h"
#include "record/commit.h"

static void valid_judge(const cJSON *entry)
{
  struct arena arena = {0};
  struct bytes octets = vectors_octets(entry, "octets");
  struct hash id = vectors_hash(entry, "id");
  struct hash root = vectors_hash(entry, "root");
  struct hash leaves[COMMIT_RECORDS_MAX];
  uint8_t shown[COMMIT_BITMAP_SIZE] = {0};
  size_t leaf_count = vectors_hashes(entry, "leaves", leaves, COMMIT_RECORDS_MAX);
  size_t count = (size_t)vectors_number(entry, "count");
  struct commit commit;
  struct commit_header header;
  struct hash header_id;
  vectors_exact(vectors_get(entry, "shown"), shown, (count + 7) / 8);
  enum verdict verdict = commit_read(bytes_as_view(&octets), &arena, &commit);
  if (verdict != VERDICT_OK) {
    fail_msg("commit %s: %s", vectors_text(entry, "name"), verdict_name(verdict));
  }
  assert_true(hash_equal(&commit.id, &id) && hash_equal(&commit.header.root, &root));
  assert_int_equal(commit.header.count, count);
  assert_int_equal(commit.shown_count, leaf_count);
  assert_memory_equal(commit.shown, shown, COMMIT_BITMAP_SIZE);
  assert_int_equal(commit.items_hidden, cJSON_IsTrue(vectors_get(entry, "items_hidden")));
  if (leaf_count > 0) {
    assert_memory_equal(commit.leaves, leaves, leaf_count * sizeof(leaves[0]));
  }
  assert_int_equal(commit_check_signature(&commit), VERDICT_OK);
  assert_int_equal(commit_read_header(bytes_as_view(&octets), &header, &header_id), STATUS_OK);
  assert_true(hash_equal(&header_id, &id) && header.seq == commit.header.seq);
  assert_int_equal(commit_read_trusted(bytes_as_view(&octets), &arena, &commit), VERDICT_OK);
  assert_null(commit.leaves);
  assert_true(hash_equal(&commit.id, &id));
  arena_close(&arena);
  bytes_close(&octets);
}

static void test_valid(void **state)
{
  (void)state;
  cJSON *root = vectors_load("commits.json");
  const cJSON *entry = NULL;
  cJSON_ArrayForEach(entry, vectors_get(root, "valid"))
  {
    valid_judge(entry);
  }
  cJSON_Delete(root);
}

static void test_judged(void **state)
{
  (void)state;
  cJSON *root = vectors_load("commits.json");
  const cJSON *entry = NULL;
  cJSON_ArrayForEach(entry, vectors_get(root, "judged"))
  {
    struct arena arena = {0};
    struct bytes octets = vectors_octets(entry, "octets");
    struct commit commit;
    enum verdict verdict = commit_read(bytes_as_view(&octets), &arena, &commit);
    if (verdict == VERDICT_OK) {
      verdict = commit_check_signature(&commit);
    }
    if (strcmp(verdict_name(verdict), vectors_text(entry, "verdict")) != 0) {
      fail_msg("commit %s: %s", vectors_text(entry, "name"), verdict_name(verdict));
    }
    arena_close(&arena);
    bytes_close(&octets);
  }
  cJSON_Delete(root);
}

static void test_cut_off(void **state)
{
  (void)state;
  cJSON *root = vectors_load("commits.json");
  const cJSON *entry = NULL;
  cJSON_ArrayForEach(entry, vectors_get(root, "valid"))
  {
    struct bytes octets = vectors_octets(entry, "octets");
    struct arena arena = {0};
    for (size_t size = 0; size < octets.size && octets.size < 2000; size++) {
      uint8_t *part = malloc(size + 1);
      struct commit commit;
      memcpy(part, octets.data, size);
      assert_int_equal(commit_read(bytes_view_of(part, size), &arena, &commit), VERDICT_MALFORMED);
      arena_reset(&arena);
      free(part);
    }
    arena_close(&arena);
    bytes_close(&octets);
  }
  cJSON_Delete(root);
}

/* A changed bit anywhere is malformed, or gives another root, or breaks the signature. */
static void test_every_octet_counts(void **state)
{
  (void)state;
  cJSON *root = vectors_load("commits.json");
  const cJSON *entry = cJSON_GetArrayItem(vectors_get(root, "valid"), 33);
  struct bytes octets = vectors_octets(entry, "octets");
  struct arena arena = {0};
  for (size_t i = 0; i < octets.size; i++) {
    struct commit commit;
    octets.data[i] ^= 4;
    enum verdict verdict = commit_read(bytes_as_view(&octets), &arena, &commit);
    if (verdict == VERDICT_OK) {
      verdict = commit_check_signature(&commit);
    }
    assert_int_not_equal(verdict, VERDICT_OK);
    arena_reset(&arena);
    octets.data[i] ^= 4;
  }
  arena_close(&arena);
  bytes_close(&octets);
  cJSON_Delete(root);
}

static void test_arena_that_is_out(void **state)
{
  (void)state;
  cJSON *root = vectors_load("commits.json");
  const cJSON *entry = cJSON_GetArrayItem(vectors_get(root, "valid"), 33);
  struct bytes octets = vectors_octets(entry, "octets");
  size_t limit = 16;
  for (;; limit += 16) {
    struct arena arena = {.limit = limit};
    struct commit commit;
    enum verdict verdict = commit_read(bytes_as_view(&octets), &arena, &commit);
    arena_close(&arena);
    if (verdict == VERDICT_OK) {
      break;
    }
    assert_int_equal(verdict, VERDICT_MALFORMED);
    assert_true(limit < 100000);
  }
  assert_true(limit > 16);
  bytes_close(&octets);
  cJSON_Delete(root);
}

/* A key and a builder for commits of our own. */
struct author {
  struct node_key key;
  uint8_t secret_key[64];
  struct commit_builder builder;
  struct random_source source;
};

static void author_start(struct author *author, const char *test)
{
  static const uint8_t seed[32] = {7};
  memset(author, 0, sizeof(*author));
  crypto_sign_seed_keypair(author->key.octets, author->secret_key, seed);
  author->source = random_source_start(test);
}

static struct bytes record_make(struct random_source *source, size_t items, size_t value_size)
{
  static uint8_t value[33000];
  char names[RECORD_ITEMS_MAX][24];
  struct item_draft drafts[RECORD_ITEMS_MAX];
  value[0] = 0xc5;
  value[1] = (uint8_t)((value_size - 3) >> 8);
  value[2] = (uint8_t)(value_size - 3);
  for (size_t i = 0; i < items; i++) {
    snprintf(names[i], sizeof(names[i]), "%zu", i);
    drafts[i].name = names[i];
    drafts[i].value = bytes_view_of(value, value_size);
    drafts[i].see = (uint8_t)(1 + random_below(source, SEE_ALL));
    random_fill(source, drafts[i].salt, SALT_SIZE);
  }
  struct record_draft draft = {.kind = "report",
                               .hlc = random_next(source),
                               .author = "op",
                               .item_count = (uint8_t)items,
                               .items = drafts};
  struct bytes out = {0};
  assert_int_equal(record_write(&draft, &out), STATUS_OK);
  return out;
}

/* A commit of `count` records of up to four items. */
static struct bytes commit_make(struct author *author, size_t count)
{
  struct bytes out = {0};
  struct commit_header header = {.origin = author->key, .lane = 1, .seq = 1};
  commit_builder_reset(&author->builder);
  for (size_t i = 0; i < count; i++) {
    struct bytes record = record_make(&author->source, 1 + random_below(&author->source, 4), 259);
    enum status status = commit_builder_add(&author->builder, bytes_as_view(&record));
    bytes_close(&record);
    if (status == STATUS_TOO_LARGE) {
      break;
    }
    assert_int_equal(status, STATUS_OK);
  }
  assert_int_equal(commit_builder_finish(&author->builder, &header, author->secret_key, &out, NULL),
                   STATUS_OK);
  return out;
}

static struct commit commit_of(const struct bytes *octets, struct arena *arena)
{
  struct commit commit;
  enum verdict verdict = commit_read(bytes_as_view(octets), arena, &commit);
  if (verdict != VERDICT_OK) {
    fail_msg("commit: %s", verdict_name(verdict));
  }
  return commit;
}

static void test_builder(void **state)
{
  (void)state;
  struct author author;
  struct arena arena = {0};
  author_start(&author, __func__);
  for (size_t count = 1; count < 40; count++) {
    struct bytes out = commit_make(&author, count);
    struct commit commit = commit_of(&out, &arena);
    assert_int_equal(commit.header.count, count);
    assert_true(commit_complete(&commit));
    assert_int_equal(commit.see_all, author.builder.see_all);
    assert_int_equal(commit_check_signature(&commit), VERDICT_OK);
    bytes_close(&out);
    arena_reset(&arena);
  }
  commit_builder_close(&author.builder);
  arena_close(&arena);
}

/* At 256 records, and at the octets that any showing may take, the builder asks for the next. */
static void test_builder_limits(void **state)
{
  (void)state;
  struct author author;
  struct arena arena = {0};
  struct bytes out = {0};
  author_start(&author, __func__);
  struct commit_header header = {.origin = author.key, .seq = 1};
  struct bytes small = record_make(&author.source, 1, 259);
  struct bytes large = record_make(&author.source, 1, 32000);
  assert_int_equal(commit_builder_finish(&author.builder, &header, author.secret_key, &out, NULL),
                   STATUS_INVALID_ARGUMENT);
  assert_int_equal(commit_builder_add(&author.builder, bytes_view_text("junk")), STATUS_MALFORMED);
  assert_int_equal(commit_builder_add(&author.builder, bytes_as_view(&large)), STATUS_OK);
  assert_int_equal(commit_builder_add(&author.builder, bytes_as_view(&large)), STATUS_TOO_LARGE);
  size_t added = 1;
  while (commit_builder_add(&author.builder, bytes_as_view(&small)) == STATUS_OK) {
    added++;
  }
  assert_int_equal(commit_builder_finish(&author.builder, &header, author.secret_key, &out, NULL),
                   STATUS_OK);
  assert_true(out.size <= COMMIT_BYTES_MAX && out.size > COMMIT_BYTES_MAX - 600);
  struct commit commit = commit_of(&out, &arena);
  assert_int_equal(commit.header.count, added);
  bytes_close(&small);
  bytes_close(&large);

  struct item_draft item = {.name = "", .value = bytes_view_of("\0", 1), .see = 1};
  struct record_draft draft = {.kind = "k", .author = "", .item_count = 1, .items = &item};
  assert_int_equal(record_write(&draft, &small), STATUS_OK);
  commit_builder_reset(&author.builder);
  for (size_t i = 0; i < COMMIT_RECORDS_MAX; i++) {
    assert_int_equal(commit_builder_add(&author.builder, bytes_as_view(&small)), STATUS_OK);
  }
  assert_int_equal(commit_builder_add(&author.builder, bytes_as_view(&small)), STATUS_TOO_LARGE);
  bytes_clear(&out);
  assert_int_equal(commit_builder_finish(&author.builder, &header, author.secret_key, &out, NULL),
                   STATUS_OK);
  commit = commit_of(&out, &arena);
  assert_int_equal(commit.header.count, COMMIT_RECORDS_MAX);
  header.seq = 0;
  assert_int_equal(commit_builder_finish(&author.builder, &header, author.secret_key, &out, NULL),
                   STATUS_INVALID_ARGUMENT);
  header.seq = 1;
  header.origin.octets[0] ^= 1;
  assert_int_equal(commit_builder_finish(&author.builder, &header, author.secret_key, &out, NULL),
                   STATUS_INVALID_ARGUMENT);
  bytes_close(&small);
  bytes_close(&out);
  commit_builder_close(&author.builder);
  arena_close(&arena);
}

static void keep_make(struct random_source *source, uint8_t keep[COMMIT_BITMAP_SIZE])
{
  uint64_t density = 1 + random_below(source, 8);
  memset(keep, 0, COMMIT_BITMAP_SIZE);
  for (size_t i = 0; i < COMMIT_RECORDS_MAX; i++) {
    if (random_below(source, density) == 0) {
      bitmap_set(keep, i);
    }
  }
}

/* What `commit` shows, item by item, in a form that can be compared and united. */
struct revealed {
  uint8_t items[COMMIT_RECORDS_MAX][RECORD_ITEMS_MAX];
};

static void reveal(const struct commit *commit, struct revealed *out)
{
  for (size_t i = 0; i < commit->shown_count; i++) {
    struct bytes_view rest = commit->records[i].items_octets;
    struct item item;
    out->items[commit->indexes[i]][RECORD_ITEMS_MAX - 1] |= 2; /* the record itself */
    for (size_t place = 0; record_item_next(&rest, &item); place++) {
      out->items[commit->indexes[i]][place] |= item.shown;
    }
  }
}

static struct bytes partial_make(struct author *author, const struct commit *commit,
                                 struct arena *arena)
{
  uint8_t keep[COMMIT_BITMAP_SIZE];
  struct bytes out = {0};
  unsigned class_bit = 1u << random_below(&author->source, 5);
  keep_make(&author->source, keep);
  assert_int_equal(commit_write_partial(commit, keep, class_bit, arena, &out), STATUS_OK);
  return out;
}

/* Partial showings of one commit verify, and merge in any order to what both reveal; the leaves
 * are the same whether the commit was verified or came from the store. */
static void test_partial_and_merge(void **state)
{
  (void)state;
  static struct revealed expected;
  static struct revealed found;
  struct author author;
  struct arena arena = {0};
  author_start(&author, __func__);
  for (size_t round = 0; round < 150; round++) {
    struct bytes whole = commit_make(&author, 1 + random_below(&author.source, 60));
    struct commit commit = commit_of(&whole, &arena);
    struct commit trusted;
    assert_int_equal(commit_read_trusted(bytes_as_view(&whole), &arena, &trusted), VERDICT_OK);
    struct bytes one = partial_make(&author, &commit, &arena);
    struct bytes two = partial_make(&author, &trusted, &arena);
    struct commit a = commit_of(&one, &arena);
    struct commit b = commit_of(&two, &arena);
    assert_true(hash_equal(&a.id, &commit.id));
    assert_int_equal(commit_check_signature(&a), VERDICT_OK);
    struct bytes both[2] = {{0}, {0}};
    uint8_t gained[2][COMMIT_BITMAP_SIZE];
    assert_int_equal(commit_merge(&a, &b, &arena, &both[0], gained[0]), STATUS_OK);
    assert_int_equal(commit_merge(&b, &a, &arena, &both[1], gained[1]), STATUS_OK);
    assert_true(bytes_view_equal(bytes_as_view(&both[0]), bytes_as_view(&both[1])));
    memset(&expected, 0, sizeof(expected));
    memset(&found, 0, sizeof(found));
    reveal(&a, &expected);
    reveal(&b, &expected);
    struct commit merged = commit_of(&both[0], &arena);
    reveal(&merged, &found);
    assert_memory_equal(&found, &expected, sizeof(found));
    struct bytes again = {0};
    assert_int_equal(commit_merge(&merged, &a, &arena, &again, gained[0]), STATUS_OK);
    assert_true(bytes_view_equal(bytes_as_view(&again), bytes_as_view(&both[0])));
    uint8_t none[COMMIT_BITMAP_SIZE] = {0};
    assert_memory_equal(gained[0], none, sizeof(none));
    bytes_close(&again);
    bytes_close(&both[0]);
    bytes_close(&both[1]);
    bytes_close(&one);
    bytes_close(&two);
    bytes_close(&whole);
    arena_reset(&arena);
  }
  commit_builder_close(&author.builder);
  arena_close(&arena);
}

static void test_gained_names_what_is_new(void **state)
{
  (void)state;
  struct author author;
  struct arena arena = {0};
  struct bytes out = {0};
  struct bytes joined = {0};
  uint8_t keep[COMMIT_BITMAP_SIZE] = {0};
  uint8_t gained[COMMIT_BITMAP_SIZE];
  author_start(&author, __func__);
  struct bytes whole = commit_make(&author, 20);
  struct commit commit = commit_of(&whole, &arena);
  for (size_t i = 0; i < 20; i += 3) {
    bitmap_set(keep, i);
  }
  assert_int_equal(commit_write_partial(&commit, keep, SEE_ALL, &arena, &out), STATUS_OK);
  struct commit part = commit_of(&out, &arena);
  assert_int_equal(commit_merge(&part, &commit, &arena, &joined, gained), STATUS_OK);
  assert_true(bytes_view_equal(bytes_as_view(&joined), bytes_as_view(&whole)));
  for (size_t i = 0; i < COMMIT_RECORDS_MAX; i++) {
    assert_int_equal(bitmap_get(gained, i), i < 20 && i % 3 != 0);
  }
  struct bytes other_octets = commit_make(&author, 20);
  struct commit other = commit_of(&other_octets, &arena);
  size_t size = joined.size;
  assert_int_equal(commit_merge(&part, &other, &arena, &joined, gained), STATUS_INVALID_ARGUMENT);
  assert_int_equal(joined.size, size);
  bytes_close(&other_octets);
  bytes_close(&joined);
  bytes_close(&out);
  bytes_close(&whole);
  commit_builder_close(&author.builder);
  arena_close(&arena);
}

static void test_nothing_kept(void **state)
{
  (void)state;
  struct author author;
  struct arena arena = {0};
  struct bytes out = {0};
  uint8_t none[COMMIT_BITMAP_SIZE] = {0};
  author_start(&author, __func__);
  struct bytes whole = commit_make(&author, 9);
  struct commit commit = commit_of(&whole, &arena);
  assert_int_equal(commit_write_partial(&commit, none, SEE_ALL, &arena, &out), STATUS_OK);
  struct commit empty = commit_of(&out, &arena);
  assert_int_equal(empty.shown_count, 0);
  assert_int_equal(empty.hash_count, 1);
  struct hash hash = commit_hash_at(&empty, 0);
  assert_true(hash_equal(&hash, &commit.header.root));
  struct bytes again = {0};
  assert_int_equal(commit_write_partial(&empty, none, SEE_GRID, &arena, &again), STATUS_OK);
  assert_true(bytes_view_equal(bytes_as_view(&again), bytes_as_view(&out)));
  struct arena out_of_room = {.limit = 64};
  size_t size = out.size;
  assert_int_equal(commit_write_partial(&commit, none, SEE_ALL, &out_of_room, &out),
                   STATUS_NO_MEMORY);
  assert_int_equal(out.size, size);
  bytes_close(&again);
  bytes_close(&out);
  bytes_close(&whole);
  commit_builder_close(&author.builder);
  arena_close(&arena);
  arena_close(&out_of_room);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_valid),
      cmocka_unit_test(test_judged),
      cmocka_unit_test(test_cut_off),
      cmocka_unit_test(test_every_octet_counts),
      cmocka_unit_test(test_arena_that_is_out),
      cmocka_unit_test(test_builder),
      cmocka_unit_test(test_builder_limits),
      cmocka_unit_test(test_partial_and_merge),
      cmocka_unit_test(test_gained_names_what_is_new),
      cmocka_unit_test(test_nothing_kept),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
