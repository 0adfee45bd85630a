// links: record PkgConfig::CJSON
#include "vectors.h"

#include "random_source.h"
#include "record/commit.h"
#include "record/hash.h"

#define COUNT_MAX COMMIT_RECORDS_MAX

static void leaves_make(size_t count, struct hash *leaves)
{
  for (size_t i = 0; i < count; i++) {
    char text[64];
    snprintf(text, sizeof(text), "leaf %zu of %zu", i, count);
    leaves[i] = hash_plain(bytes_view_text(text));
  }
}

static void partials_judge(const cJSON *tree, const struct hash *leaves, size_t count,
                           const struct hash *root)
{
  const cJSON *partial = NULL;
  cJSON_ArrayForEach(partial, vectors_get(tree, "partial"))
  {
    uint8_t shown[COMMIT_BITMAP_SIZE] = {0};
    uint8_t all[COMMIT_BITMAP_SIZE] = {0};
    struct hash expected[COUNT_MAX];
    struct hash hashes[COUNT_MAX];
    struct hash found;
    vectors_exact(vectors_get(partial, "shown"), shown, (count + 7) / 8);
    size_t hash_count = vectors_hashes(partial, "hashes", expected, COUNT_MAX);
    for (size_t i = 0; i < count; i++) {
      bitmap_set(all, i);
    }
    assert_int_equal(merkle_partial_count(shown, count), hash_count);
    merkle_hide(all, leaves, count, NULL, shown, hashes);
    assert_memory_equal(hashes, expected, hash_count * sizeof(hashes[0]));
    assert_int_equal(merkle_partial_root(shown, leaves, count, expected, hash_count, &found),
                     STATUS_OK);
    assert_true(hash_equal(&found, root));
    assert_int_equal(merkle_partial_root(shown, leaves, count, expected, hash_count + 1, &found),
                     STATUS_MALFORMED);
  }
}

static void paths_judge(const cJSON *tree, const struct hash *leaves, size_t count,
                        const struct hash *root)
{
  const cJSON *entry = NULL;
  cJSON_ArrayForEach(entry, vectors_get(tree, "paths"))
  {
    struct hash expected[MERKLE_PATH_MAX];
    struct hash path[MERKLE_PATH_MAX];
    struct hash found;
    size_t index = (size_t)vectors_number(entry, "index");
    size_t length = vectors_hashes(entry, "path", expected, MERKLE_PATH_MAX);
    assert_int_equal(merkle_path(leaves, count, index, path), length);
    assert_memory_equal(path, expected, length * sizeof(path[0]));
    assert_int_equal(merkle_path_root(&leaves[index], index, count, path, length, &found),
                     STATUS_OK);
    assert_true(hash_equal(&found, root));
    assert_int_equal(merkle_path_root(&leaves[index], count, count, path, length, &found),
                     STATUS_MALFORMED);
    if (length > 0) {
      enum status status = merkle_path_root(&leaves[index], index, count, path, length - 1, &found);
      assert_true(status == STATUS_MALFORMED || !hash_equal(&found, root));
    }
  }
}

static void test_vectors(void **state)
{
  (void)state;
  cJSON *trees = vectors_load("merkle.json");
  const cJSON *tree = NULL;
  cJSON_ArrayForEach(tree, trees)
  {
    size_t count = (size_t)vectors_number(tree, "count");
    struct hash leaves[COUNT_MAX];
    struct hash root = vectors_hash(tree, "root");
    leaves_make(count, leaves);
    struct hash found = merkle_root(leaves, count);
    assert_true(hash_equal(&found, &root));
    partials_judge(tree, leaves, count, &root);
    paths_judge(tree, leaves, count, &root);
  }
  cJSON_Delete(trees);
}

/* A tree of random size and three random showings, each a subset of the bits before. */
struct trees {
  size_t count;
  struct hash leaves[COUNT_MAX];
  uint8_t all[COMMIT_BITMAP_SIZE];
  uint8_t a[COMMIT_BITMAP_SIZE];
  uint8_t b[COMMIT_BITMAP_SIZE];
  uint8_t both[COMMIT_BITMAP_SIZE];
};

static void trees_make(struct random_source *source, struct trees *trees)
{
  memset(trees, 0, sizeof(*trees));
  trees->count = 1 + random_below(source, COUNT_MAX);
  uint64_t density = 1 + random_below(source, 20);
  for (size_t i = 0; i < trees->count; i++) {
    random_fill(source, trees->leaves[i].octets, HASH_SIZE);
    bitmap_set(trees->all, i);
    if (random_below(source, density) == 0) {
      bitmap_set(trees->a, i);
    }
    if (random_below(source, density) == 0) {
      bitmap_set(trees->b, i);
    }
  }
  for (size_t i = 0; i < COMMIT_BITMAP_SIZE; i++) {
    trees->both[i] = trees->a[i] | trees->b[i];
  }
}

/* Merging two showings, and hiding in two steps, gives what hiding at once from the whole does. */
static void test_merge_and_hide_agree(void **state)
{
  (void)state;
  struct random_source source = random_source_start(__func__);
  for (size_t round = 0; round < 500; round++) {
    struct trees trees;
    struct hash a[COUNT_MAX];
    struct hash b[COUNT_MAX];
    struct hash both[COUNT_MAX];
    struct hash merged[COUNT_MAX];
    struct hash again[COUNT_MAX];
    struct hash root;
    trees_make(&source, &trees);
    merkle_hide(trees.all, trees.leaves, trees.count, NULL, trees.a, a);
    merkle_hide(trees.all, trees.leaves, trees.count, NULL, trees.b, b);
    merkle_hide(trees.all, trees.leaves, trees.count, NULL, trees.both, both);
    size_t count = merkle_partial_count(trees.both, trees.count);
    merkle_merge(trees.a, a, trees.b, b, trees.leaves, trees.count, merged);
    assert_memory_equal(merged, both, count * sizeof(both[0]));
    merkle_merge(trees.b, b, trees.a, a, trees.leaves, trees.count, merged);
    assert_memory_equal(merged, both, count * sizeof(both[0]));
    merkle_hide(trees.both, trees.leaves, trees.count, both, trees.a, again);
    assert_memory_equal(again, a, merkle_partial_count(trees.a, trees.count) * sizeof(a[0]));
    struct hash whole = merkle_root(trees.leaves, trees.count);
    assert_int_equal(merkle_partial_root(trees.both, trees.leaves, trees.count, both, count, &root),
                     STATUS_OK);
    assert_true(hash_equal(&root, &whole));
  }
}

static void test_every_path_leads_to_the_root(void **state)
{
  (void)state;
  struct hash leaves[COUNT_MAX];
  for (size_t count = 1; count <= COUNT_MAX; count += count < 20 ? 1 : 59) {
    leaves_make(count, leaves);
    struct hash root = merkle_root(leaves, count);
    for (size_t i = 0; i < count; i++) {
      struct hash path[MERKLE_PATH_MAX];
      struct hash found;
      size_t length = merkle_path(leaves, count, i, path);
      assert_int_equal(merkle_path_root(&leaves[i], i, count, path, length, &found), STATUS_OK);
      assert_true(hash_equal(&found, &root));
    }
  }
}

/* Each domain gives another hash of the same octets, and none that of no prefix. */
static void test_domains_differ(void **state)
{
  (void)state;
  static const enum hash_domain domains[] = {HASH_LEAF, HASH_NODE,    HASH_ITEM,  HASH_COMMIT,
                                             HASH_TAG,  HASH_SUBJECT, HASH_DIGEST};
  struct bytes_view text = bytes_view_text("same");
  struct hash seen[8];
  for (size_t i = 0; i < 7; i++) {
    seen[i] = hash_of(domains[i], text);
  }
  seen[7] = hash_plain(text);
  for (size_t i = 0; i < 8; i++) {
    assert_false(hash_is_zero(&seen[i]));
    for (size_t j = 0; j < i; j++) {
      assert_false(hash_equal(&seen[i], &seen[j]));
    }
  }
  struct hash zero = {0};
  assert_true(hash_is_zero(&zero));
}

/* The header's length is part of the leaf: octets can't move between header and commitments. */
static void test_leaf_binds_the_header(void **state)
{
  (void)state;
  uint8_t octets[96];
  memset(octets, 5, sizeof(octets));
  struct hash commitments[2];
  memset(commitments, 5, sizeof(commitments));
  struct hash one = hash_leaf(bytes_view_of(octets, 32), commitments, 2);
  struct hash two = hash_leaf(bytes_view_of(octets, 64), commitments, 1);
  assert_false(hash_equal(&one, &two));
}

static void test_tag_chains(void **state)
{
  (void)state;
  uint8_t tag[16] = {0};
  uint8_t octets[1 + 16 + 32] = {HASH_TAG};
  struct hash id = hash_plain(bytes_view_text("commit"));
  memcpy(octets + 17, id.octets, 32);
  struct hash expected = hash_plain(bytes_view_of(octets, sizeof(octets)));
  hash_tag_next(tag, &id);
  assert_memory_equal(tag, expected.octets, 16);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_vectors),
      cmocka_unit_test(test_merge_and_hide_agree),
      cmocka_unit_test(test_every_path_leads_to_the_root),
      cmocka_unit_test(test_domains_differ),
      cmocka_unit_test(test_leaf_binds_the_header),
      cmocka_unit_test(test_tag_chains),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
