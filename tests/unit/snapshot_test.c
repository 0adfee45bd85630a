// links: record PkgConfig::CJSON sodium
#include "vectors.h"

#include "record/bundle.h"
#include "record/snapshot.h"

#define PROOF "\x92\x01\x02"

struct made {
  struct bytes octets;
  size_t end_at; /* where the last entry begins */
  struct snapshot_head head;
  uint8_t secret_key[64];
  struct hash leaf;
  struct subject subject;
};

static void make(struct made *made)
{
  struct snapshot_hash hash;
  struct hash sum;
  const struct bytes_view proofs[] = {bytes_view_of(PROOF, 3), bytes_view_of(PROOF, 3)};
  memset(made, 0, sizeof(*made));
  assert_int_equal(crypto_sign_keypair(made->head.parent.octets, made->secret_key), 0);
  assert_int_equal(address_parse(bytes_view_text("d/s/c"), false, &made->head.child), STATUS_OK);
  memset(made->head.store.octets, 7, STORE_ID_SIZE);
  memset(made->leaf.octets, 8, HASH_SIZE);
  memset(made->subject.octets, 9, SUBJECT_SIZE);
  made->head.at.ms = 1500000000000;
  for (unsigned i = 0; i < LANE_COUNT; i++) {
    made->head.lanes[i].position = 1000 * i;
    memset(made->head.lanes[i].tag, (int)i, 16);
  }
  assert_int_equal(bundle_write_head(&made->octets), STATUS_OK);
  assert_int_equal(snapshot_write_head(&made->head, &made->octets), STATUS_OK);
  assert_int_equal(snapshot_write_tombstone(&made->leaf, 63, &made->subject, &made->octets),
                   STATUS_OK);
  assert_int_equal(snapshot_write_floor(bytes_view_of("\x90", 1), proofs, 2, &made->octets),
                   STATUS_OK);
  assert_int_equal(bundle_write(BUNDLE_COMMIT, bytes_view_of("\x91\x05", 2), &made->octets),
                   STATUS_OK);
  made->end_at = made->octets.size;
  snapshot_hash_init(&hash);
  snapshot_hash_add(&hash, bytes_as_view(&made->octets));
  sum = snapshot_hash_final(&hash);
  assert_int_equal(snapshot_write_end(&sum, made->secret_key, &made->octets), STATUS_OK);
}

static void next(struct bytes_view *rest, enum snapshot_type type, struct snapshot_entry *entry)
{
  assert_int_equal(snapshot_read(rest, entry), STATUS_OK);
  assert_int_equal(entry->type, type);
}

static void test_read_as_written(void **state)
{
  (void)state;
  struct made made;
  struct snapshot_entry entry;
  struct snapshot_hash hash;
  make(&made);
  struct bytes_view rest = bytes_as_view(&made.octets);
  assert_int_equal(bundle_read_head(&rest), STATUS_OK);
  next(&rest, SNAPSHOT_HEAD, &entry);
  assert_true(address_equal(&entry.head.child, &made.head.child));
  assert_memory_equal(&entry.head.parent, &made.head.parent, KEY_SIZE);
  assert_memory_equal(&entry.head.store, &made.head.store, STORE_ID_SIZE);
  assert_int_equal(entry.head.at.ms, made.head.at.ms);
  assert_memory_equal(&entry.head.lanes, &made.head.lanes, sizeof(made.head.lanes));
  next(&rest, SNAPSHOT_TOMBSTONE, &entry);
  assert_memory_equal(&entry.leaf, &made.leaf, HASH_SIZE);
  assert_int_equal(entry.position, 63);
  assert_memory_equal(&entry.subject, &made.subject, SUBJECT_SIZE);
  next(&rest, SNAPSHOT_FLOOR, &entry);
  assert_true(bytes_view_equal(entry.octets, bytes_view_of("\x90", 1)));
  assert_int_equal(entry.proof_count, 2);
  assert_true(bytes_view_equal(entry.proofs[1], bytes_view_of(PROOF, 3)));
  next(&rest, SNAPSHOT_COMMIT, &entry);
  assert_true(bytes_view_equal(entry.octets, bytes_view_of("\x91\x05", 2)));
  next(&rest, SNAPSHOT_END, &entry);
  snapshot_hash_init(&hash);
  snapshot_hash_add(&hash, bytes_view_of(made.octets.data, 3)); /* in pieces */
  snapshot_hash_add(&hash, bytes_view_of(made.octets.data + 3, made.end_at - 3));
  struct hash sum = snapshot_hash_final(&hash);
  assert_int_equal(snapshot_check(&sum, entry.signature, &made.head.parent), VERDICT_OK);
  sum.octets[0] ^= 1;
  assert_int_equal(snapshot_check(&sum, entry.signature, &made.head.parent), VERDICT_BAD_SIGNATURE);
  next(&rest, SNAPSHOT_NOTHING, &entry);
  bytes_close(&made.octets);
}

/* Readers that know bundles alone see the commit, and nothing else. */
static void test_is_a_bundle(void **state)
{
  (void)state;
  struct made made;
  enum bundle_entry type;
  struct bytes_view view;
  make(&made);
  struct bytes_view rest = bytes_as_view(&made.octets);
  assert_int_equal(bundle_read_head(&rest), STATUS_OK);
  assert_int_equal(bundle_read(&rest, &type, &view), STATUS_OK);
  assert_int_equal(type, BUNDLE_COMMIT);
  assert_int_equal(bundle_read(&rest, &type, &view), STATUS_OK);
  assert_int_equal(type, BUNDLE_END);
  bytes_close(&made.octets);
}

/* Cut anywhere it is malformed, or its end is missing. The octets are copied, so that reading
 * past them is seen by the sanitizers. */
static void test_cut_anywhere(void **state)
{
  (void)state;
  struct made made;
  make(&made);
  for (size_t size = 0; size < made.octets.size; size++) {
    uint8_t *copy = malloc(size + 1);
    assert_non_null(copy);
    memcpy(copy, made.octets.data, size);
    struct bytes_view rest = bytes_view_of(copy, size);
    struct snapshot_entry entry = {.type = SNAPSHOT_HEAD};
    enum status status = bundle_read_head(&rest);
    while (status == STATUS_OK && entry.type != SNAPSHOT_NOTHING) {
      status = snapshot_read(&rest, &entry);
      assert_int_not_equal(status == STATUS_OK && entry.type == SNAPSHOT_END, true);
    }
    free(copy);
  }
  bytes_close(&made.octets);
}

static enum status read_one(const char *octets, size_t size)
{
  struct snapshot_entry entry;
  struct bytes_view rest = bytes_view_of(octets, size);
  return snapshot_read(&rest, &entry);
}

static void test_malformed(void **state)
{
  (void)state;
  struct bytes out = {0};
  struct snapshot_entry entry;
  struct hash leaf = {{1}};
  struct subject subject = {{2}};
  const struct bytes_view proofs[SNAPSHOT_PROOFS_MAX + 1] = {{0}};
  assert_int_equal(read_one("\x91\xa5other", 7), STATUS_OK); /* passed over */
  assert_int_equal(read_one("\x92\xa5other", 7), STATUS_MALFORMED);
  assert_int_equal(read_one("\x93\xa6"
                            "commit\x90\x90",
                            10),
                   STATUS_MALFORMED);
  assert_int_equal(read_one("\x92\xac"
                            "snapshot-end\xc4\x01\x00",
                            17),
                   STATUS_MALFORMED);
  assert_int_equal(read_one("\x90", 1), STATUS_MALFORMED);
  assert_int_equal(read_one("\x05", 1), STATUS_MALFORMED);
  assert_int_equal(snapshot_write_tombstone(&leaf, 64, &subject, &out), STATUS_OK);
  struct bytes_view rest = bytes_as_view(&out);
  assert_int_equal(snapshot_read(&rest, &entry), STATUS_MALFORMED);
  bytes_clear(&out);
  assert_int_equal(
      snapshot_write_floor(bytes_view_of("\x90", 1), proofs, SNAPSHOT_PROOFS_MAX + 1, &out),
      STATUS_INVALID_ARGUMENT);
  assert_int_equal(out.size, 0);
  bytes_close(&out);
}

static void head_of(const cJSON *root, struct snapshot_head *head)
{
  const cJSON *entry = NULL;
  size_t lane = 0;
  assert_int_equal(address_parse(bytes_view_text(vectors_text(root, "child")), false, &head->child),
                   STATUS_OK);
  vectors_exact(vectors_get(root, "parent"), head->parent.octets, KEY_SIZE);
  vectors_exact(vectors_get(root, "store"), head->store.octets, STORE_ID_SIZE);
  head->at.ms = (int64_t)vectors_number(root, "unix_ms");
  cJSON_ArrayForEach(entry, vectors_get(root, "lanes"))
  {
    head->lanes[lane].position = vectors_number(entry, "position");
    vectors_exact(vectors_get(entry, "tag"), head->lanes[lane].tag, 16);
    lane++;
  }
  assert_int_equal(lane, LANE_COUNT);
}

static void write_entries(const cJSON *root, struct bytes *out)
{
  struct bytes floor = vectors_octets(root, "floor");
  struct bytes commit = vectors_octets(root, "commit");
  struct bytes proofs[2] = {{0}};
  struct bytes_view views[2];
  struct subject subject;
  const cJSON *stone = vectors_get(root, "tombstone");
  struct hash leaf = vectors_hash(stone, "leaf");
  const cJSON *entry = NULL;
  size_t count = 0;
  cJSON_ArrayForEach(entry, vectors_get(root, "certificates"))
  {
    struct bytes octets = vectors_octets_of(entry);
    assert_int_equal(bundle_write(BUNDLE_CERTIFICATE, bytes_as_view(&octets), out), STATUS_OK);
    bytes_close(&octets);
  }
  vectors_exact(vectors_get(stone, "subject"), subject.octets, SUBJECT_SIZE);
  assert_int_equal(
      snapshot_write_tombstone(&leaf, (unsigned)vectors_number(stone, "position"), &subject, out),
      STATUS_OK);
  cJSON_ArrayForEach(entry, vectors_get(root, "proofs"))
  {
    proofs[count] = vectors_octets_of(entry);
    views[count] = bytes_as_view(&proofs[count]);
    count++;
  }
  assert_int_equal(snapshot_write_floor(bytes_as_view(&floor), views, count, out), STATUS_OK);
  assert_int_equal(bundle_write(BUNDLE_COMMIT, bytes_as_view(&commit), out), STATUS_OK);
  bytes_close(&proofs[0]);
  bytes_close(&proofs[1]);
  bytes_close(&floor);
  bytes_close(&commit);
}

/* An independent program wrote the same octets. */
static void test_as_in_the_vectors(void **state)
{
  (void)state;
  cJSON *root = vectors_load("snapshots.json");
  struct bytes expected = vectors_octets(root, "octets");
  struct bytes out = {0};
  struct snapshot_head head;
  struct snapshot_hash hashing;
  uint8_t seed[32];
  uint8_t public_key[32];
  uint8_t secret_key[64];
  head_of(root, &head);
  assert_int_equal(bundle_write_head(&out), STATUS_OK);
  assert_int_equal(snapshot_write_head(&head, &out), STATUS_OK);
  write_entries(root, &out);
  assert_int_equal(out.size, vectors_number(root, "signed"));
  snapshot_hash_init(&hashing);
  snapshot_hash_add(&hashing, bytes_as_view(&out));
  struct hash hash = snapshot_hash_final(&hashing);
  vectors_exact(vectors_get(root, "seed"), seed, sizeof(seed));
  assert_int_equal(crypto_sign_seed_keypair(public_key, secret_key, seed), 0);
  assert_int_equal(snapshot_write_end(&hash, secret_key, &out), STATUS_OK);
  assert_true(bytes_view_equal(bytes_as_view(&out), bytes_as_view(&expected)));
  bytes_close(&out);
  bytes_close(&expected);
  cJSON_Delete(root);
}

static void test_entries_of_the_vectors(void **state)
{
  (void)state;
  cJSON *root = vectors_load("snapshots.json");
  const cJSON *entry = NULL;
  cJSON_ArrayForEach(entry, vectors_get(root, "entries"))
  {
    struct bytes octets = vectors_octets(entry, "octets");
    struct bytes_view rest = bytes_as_view(&octets);
    struct snapshot_entry read;
    bool good = snapshot_read(&rest, &read) == STATUS_OK;
    if (good != (strcmp(vectors_text(entry, "status"), "ok") == 0)) {
      fail_msg("entry %s", vectors_text(entry, "name"));
    }
    bytes_close(&octets);
  }
  cJSON_Delete(root);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_read_as_written),   cmocka_unit_test(test_is_a_bundle),
      cmocka_unit_test(test_cut_anywhere),      cmocka_unit_test(test_malformed),
      cmocka_unit_test(test_as_in_the_vectors), cmocka_unit_test(test_entries_of_the_vectors),
  };
  return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
