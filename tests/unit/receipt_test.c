// links: record PkgConfig::CJSON sodium
#include "vectors.h"

#include <sodium.h>

#include "record/receipt.h"

static void test_judged(void **state)
{
  (void)state;
  cJSON *root = vectors_load("receipts.json");
  struct hash root_id = vectors_hash(root, "root_id");
  const cJSON *entry = NULL;
  cJSON_ArrayForEach(entry, vectors_get(root, "judged"))
  {
    struct bytes octets = vectors_octets(entry, "octets");
    struct receipt receipt;
    enum verdict verdict = receipt_verify(bytes_as_view(&octets), &root_id, &receipt);
    if (strcmp(verdict_name(verdict), vectors_text(entry, "verdict")) != 0) {
      fail_msg("receipt %s: %s", vectors_text(entry, "name"), verdict_name(verdict));
    }
    bytes_close(&octets);
  }
  cJSON_Delete(root);
}

/* The vectors' file with what a receipt is made of. */
struct parts {
  cJSON *root;
  struct hash root_id;
  struct bytes commit;
  struct bytes partial;
  struct bytes certificates[5];
  struct bytes cosignatures[3];
  struct bytes_view certificate_views[5];
  struct bytes_view cosignature_views[3];
};

static void parts_load(struct parts *parts)
{
  memset(parts, 0, sizeof(*parts));
  parts->root = vectors_load("receipts.json");
  parts->root_id = vectors_hash(parts->root, "root_id");
  parts->commit = vectors_octets(parts->root, "commit");
  parts->partial = vectors_octets(parts->root, "partial_commit");
  for (int i = 0; i < 5; i++) {
    const cJSON *hex = cJSON_GetArrayItem(vectors_get(parts->root, "certificates"), i);
    parts->certificates[i] = vectors_octets_of(hex);
    parts->certificate_views[i] = bytes_as_view(&parts->certificates[i]);
  }
  for (int i = 0; i < 3; i++) {
    const cJSON *entry = cJSON_GetArrayItem(vectors_get(parts->root, "cosignatures"), i);
    parts->cosignatures[i] = vectors_octets(entry, "octets");
    parts->cosignature_views[i] = bytes_as_view(&parts->cosignatures[i]);
  }
}

static void parts_close(struct parts *parts)
{
  for (int i = 0; i < 5; i++) {
    bytes_close(&parts->certificates[i]);
  }
  for (int i = 0; i < 3; i++) {
    bytes_close(&parts->cosignatures[i]);
  }
  bytes_close(&parts->commit);
  bytes_close(&parts->partial);
  cJSON_Delete(parts->root);
}

/* Written from the complete commit, and from one that withholds all the others, a receipt has the
 * octets of the vectors. */
static void test_written_as_in_the_vectors(void **state)
{
  (void)state;
  struct parts parts;
  struct arena arena = {0};
  struct commit complete;
  struct commit partial;
  parts_load(&parts);
  assert_int_equal(commit_read(bytes_as_view(&parts.commit), &arena, &complete), VERDICT_OK);
  assert_int_equal(commit_read_trusted(bytes_as_view(&parts.partial), &arena, &partial),
                   VERDICT_OK);
  const cJSON *entry = NULL;
  cJSON_ArrayForEach(entry, vectors_get(parts.root, "receipts"))
  {
    struct bytes expected = vectors_octets(entry, "octets");
    uint16_t index = (uint16_t)vectors_number(entry, "index");
    const struct commit *commits[2] = {&complete, &partial};
    for (size_t i = 0; i < 2; i++) {
      struct bytes out = {0};
      enum status status = receipt_write(commits[i], index, parts.certificate_views, 5,
                                         parts.cosignature_views, 3, &arena, &out);
      if (bitmap_get(commits[i]->shown, index)) {
        assert_int_equal(status, STATUS_OK);
        assert_true(bytes_view_equal(bytes_as_view(&out), bytes_as_view(&expected)));
      } else {
        assert_int_equal(status, STATUS_INVALID_ARGUMENT);
      }
      bytes_close(&out);
    }
    bytes_close(&expected);
  }
  parts_close(&parts);
  arena_close(&arena);
}

static void test_what_a_receipt_says(void **state)
{
  (void)state;
  struct parts parts;
  parts_load(&parts);
  const cJSON *entry = cJSON_GetArrayItem(vectors_get(parts.root, "receipts"), 3);
  struct hash commit_id = vectors_hash(parts.root, "commit_id");
  struct bytes octets = vectors_octets(entry, "octets");
  struct receipt receipt;
  assert_int_equal(receipt_verify(bytes_as_view(&octets), &parts.root_id, &receipt), VERDICT_OK);
  assert_true(hash_equal(&receipt.commit_id, &commit_id));
  assert_int_equal(receipt.index, 3);
  assert_true(bytes_view_equal(receipt.record.kind, bytes_view_text("report")));
  assert_string_equal(receipt.origin.text, "310104/012/003/05");
  assert_int_equal(receipt.certificate_count, 5);
  assert_int_equal(receipt.cosignature_count, 3);
  assert_int_equal(receipt.cosignatures[2].at.ms, 1750000000003);
  bytes_close(&octets);
  parts_close(&parts);
}

static void test_every_octet_counts(void **state)
{
  (void)state;
  struct parts parts;
  parts_load(&parts);
  const cJSON *entry = cJSON_GetArrayItem(vectors_get(parts.root, "receipts"), 1);
  struct bytes octets = vectors_octets(entry, "octets");
  struct receipt receipt;
  for (size_t i = 0; i < octets.size; i++) {
    octets.data[i] ^= 1;
    assert_int_not_equal(receipt_verify(bytes_as_view(&octets), &parts.root_id, &receipt),
                         VERDICT_OK);
    octets.data[i] ^= 1;
  }
  for (size_t size = 0; size < octets.size; size++) {
    uint8_t *part = malloc(size + 1);
    memcpy(part, octets.data, size);
    assert_int_equal(receipt_verify(bytes_view_of(part, size), &parts.root_id, &receipt),
                     VERDICT_MALFORMED);
    free(part);
  }
  parts.root_id.octets[0] ^= 1;
  assert_int_equal(receipt_verify(bytes_as_view(&octets), &parts.root_id, &receipt),
                   VERDICT_BAD_CHAIN);
  bytes_close(&octets);
  parts_close(&parts);
}

static void test_cosignatures(void **state)
{
  (void)state;
  struct parts parts;
  parts_load(&parts);
  struct hash commit_id = vectors_hash(parts.root, "commit_id");
  const cJSON *entry = NULL;
  cJSON_ArrayForEach(entry, vectors_get(parts.root, "cosignatures"))
  {
    uint8_t seed[32];
    uint8_t secret_key[64];
    struct node_key key;
    struct bytes expected = vectors_octets(entry, "octets");
    struct bytes shown = vectors_octets(entry, "shown");
    struct wall_ms at = {(int64_t)vectors_number(entry, "unix_ms")};
    struct bytes out = {0};
    struct cosignature cosignature;
    vectors_exact(vectors_get(entry, "seed"), seed, sizeof(seed));
    crypto_sign_seed_keypair(key.octets, secret_key, seed);
    assert_int_equal(
        cosignature_write(&key, secret_key, &commit_id, at, bytes_as_view(&shown), &out),
        STATUS_OK);
    assert_true(bytes_view_equal(bytes_as_view(&out), bytes_as_view(&expected)));
    assert_int_equal(cosignature_read(bytes_as_view(&out), &cosignature), STATUS_OK);
    assert_int_equal(cosignature_check(&cosignature, &commit_id), VERDICT_OK);
    cosignature.at.ms++;
    assert_int_equal(cosignature_check(&cosignature, &commit_id), VERDICT_BAD_SIGNATURE);
    for (size_t size = 0; size < out.size; size++) {
      assert_int_equal(cosignature_read(bytes_view_of(out.data, size), &cosignature),
                       STATUS_MALFORMED);
    }
    struct bytes_view none = {0};
    uint8_t many[COMMIT_BITMAP_SIZE + 1] = {0};
    assert_int_equal(cosignature_write(&key, secret_key, &commit_id, at, none, &out),
                     STATUS_INVALID_ARGUMENT);
    assert_int_equal(cosignature_write(&key, secret_key, &commit_id, at,
                                       bytes_view_of(many, sizeof(many)), &out),
                     STATUS_INVALID_ARGUMENT);
    bytes_close(&out);
    bytes_close(&shown);
    bytes_close(&expected);
  }
  parts_close(&parts);
}

/* A cosignature that does not speak of the record is left out of its receipt. */
static void test_only_cosignatures_that_show_the_record(void **state)
{
  (void)state;
  struct parts parts;
  struct arena arena = {0};
  struct commit commit;
  struct receipt receipt;
  struct bytes other = {0};
  struct bytes out = {0};
  uint8_t secret_key[64];
  struct node_key key;
  uint8_t seed[32];
  uint8_t shown = 0x1b;
  parts_load(&parts);
  const cJSON *entry = cJSON_GetArrayItem(vectors_get(parts.root, "cosignatures"), 0);
  vectors_exact(vectors_get(entry, "seed"), seed, sizeof(seed));
  crypto_sign_seed_keypair(key.octets, secret_key, seed);
  assert_int_equal(commit_read(bytes_as_view(&parts.commit), &arena, &commit), VERDICT_OK);
  assert_int_equal(cosignature_write(&key, secret_key, &commit.id, (struct wall_ms){1},
                                     bytes_view_of(&shown, 1), &other),
                   STATUS_OK);
  struct bytes_view cosignatures[2] = {bytes_as_view(&other), parts.cosignature_views[1]};
  assert_int_equal(
      receipt_write(&commit, 2, parts.certificate_views, 5, cosignatures, 2, &arena, &out),
      STATUS_OK);
  assert_int_equal(receipt_verify(bytes_as_view(&out), &parts.root_id, &receipt), VERDICT_OK);
  assert_int_equal(receipt.cosignature_count, 1);
  bytes_close(&out);
  bytes_close(&other);
  parts_close(&parts);
  arena_close(&arena);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_judged),
      cmocka_unit_test(test_written_as_in_the_vectors),
      cmocka_unit_test(test_what_a_receipt_says),
      cmocka_unit_test(test_every_octet_counts),
      cmocka_unit_test(test_cosignatures),
      cmocka_unit_test(test_only_cosignatures_that_show_the_record),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
