// links: record PkgConfig::CJSON sodium
#include "vectors.h"

#include <sodium.h>

#include "record/certificate.h"

static void entry_judge(const cJSON *entry)
{
  struct bytes octets = vectors_octets(entry, "octets");
  struct hash id = vectors_hash(entry, "id");
  struct hash key = vectors_hash(entry, "key");
  struct hash issuer = vectors_hash(entry, "issuer");
  struct certificate certificate;
  assert_int_equal(certificate_read(bytes_as_view(&octets), &certificate), STATUS_OK);
  assert_true(hash_equal(&certificate.id, &id));
  assert_memory_equal(certificate.key.octets, key.octets, KEY_SIZE);
  assert_memory_equal(certificate.issuer.octets, issuer.octets, KEY_SIZE);
  assert_string_equal(certificate.address.text, vectors_text(entry, "address"));
  assert_int_equal(certificate.epoch, vectors_number(entry, "epoch"));
  uint64_t start = vectors_number(entry, "not_before");
  uint64_t end = vectors_number(entry, "not_after");
  assert_int_equal(certificate.not_before, start);
  assert_int_equal(certificate.not_after, end);
  assert_int_equal(certificate_check_time(&certificate, start - 1), VERDICT_EXPIRED);
  assert_int_equal(certificate_check_time(&certificate, start), VERDICT_OK);
  assert_int_equal(certificate_check_time(&certificate, end), VERDICT_OK);
  assert_int_equal(certificate_check_time(&certificate, end + 1), VERDICT_EXPIRED);
  bytes_close(&octets);
}

static void test_entries(void **state)
{
  (void)state;
  cJSON *root = vectors_load("certificates.json");
  const cJSON *entry = NULL;
  cJSON_ArrayForEach(entry, vectors_get(root, "certificates"))
  {
    entry_judge(entry);
  }
  cJSON_Delete(root);
}

/* Ed25519 is deterministic: what we sign is what the vectors have, octet for octet. */
static void test_written_as_in_the_vectors(void **state)
{
  (void)state;
  cJSON *root = vectors_load("certificates.json");
  const cJSON *seeds = vectors_get(root, "seeds");
  const cJSON *entry = NULL;
  int place = 0;
  cJSON_ArrayForEach(entry, vectors_get(root, "certificates"))
  {
    uint8_t seed[32];
    uint8_t public_key[32];
    uint8_t secret_key[64];
    struct certificate_draft draft = {.epoch = vectors_number(entry, "epoch"),
                                      .not_before = vectors_number(entry, "not_before"),
                                      .not_after = vectors_number(entry, "not_after")};
    vectors_exact(cJSON_GetArrayItem(seeds, place == 0 ? 0 : place - 1), seed, sizeof(seed));
    crypto_sign_seed_keypair(public_key, secret_key, seed);
    vectors_exact(vectors_get(entry, "key"), draft.key.octets, KEY_SIZE);
    struct bytes_view text = bytes_view_text(vectors_text(entry, "address"));
    assert_int_equal(address_parse(text, true, &draft.address), STATUS_OK);
    struct bytes expected = vectors_octets(entry, "octets");
    struct bytes out = {0};
    assert_int_equal(certificate_write(&draft, secret_key, &out), STATUS_OK);
    assert_true(bytes_view_equal(bytes_as_view(&out), bytes_as_view(&expected)));
    draft.not_before = draft.not_after + 1;
    assert_int_equal(certificate_write(&draft, secret_key, &out), STATUS_INVALID_ARGUMENT);
    assert_int_equal(out.size, expected.size);
    bytes_close(&out);
    bytes_close(&expected);
    place++;
  }
  cJSON_Delete(root);
}

static void test_chains(void **state)
{
  (void)state;
  cJSON *root = vectors_load("certificates.json");
  struct hash root_id = vectors_hash(root, "root_id");
  const cJSON *entry = NULL;
  cJSON_ArrayForEach(entry, vectors_get(root, "chains"))
  {
    struct bytes octets = vectors_octets(entry, "octets");
    struct certificate chain[CERTIFICATE_CHAIN_MAX];
    size_t count = 99;
    enum verdict verdict = certificate_read_chain(bytes_as_view(&octets), &root_id, chain, &count);
    if (strcmp(verdict_name(verdict), vectors_text(entry, "verdict")) != 0) {
      fail_msg("chain %s: %s", vectors_text(entry, "name"), verdict_name(verdict));
    }
    assert_int_equal(count > 0, verdict == VERDICT_OK);
    assert_int_equal(bytes_append(&octets, "\0", 1), STATUS_OK);
    assert_int_not_equal(certificate_read_chain(bytes_as_view(&octets), &root_id, chain, &count),
                         VERDICT_OK);
    bytes_close(&octets);
  }
  cJSON_Delete(root);
}

static void test_invalid(void **state)
{
  (void)state;
  cJSON *root = vectors_load("certificates.json");
  const cJSON *entry = NULL;
  cJSON_ArrayForEach(entry, vectors_get(root, "invalid"))
  {
    struct bytes octets = vectors_octets(entry, "octets");
    struct certificate certificate;
    if (certificate_read(bytes_as_view(&octets), &certificate) != STATUS_MALFORMED) {
      fail_msg("certificate %s", vectors_text(entry, "name"));
    }
    bytes_close(&octets);
  }
  cJSON_Delete(root);
}

/* A changed bit anywhere is malformed, or breaks the chain or the signature. */
static void test_every_octet_is_signed(void **state)
{
  (void)state;
  cJSON *root = vectors_load("certificates.json");
  const cJSON *entries = vectors_get(root, "certificates");
  struct bytes above = vectors_octets(cJSON_GetArrayItem(entries, 0), "octets");
  struct bytes octets = vectors_octets(cJSON_GetArrayItem(entries, 1), "octets");
  struct certificate issuer;
  struct certificate certificate;
  assert_int_equal(certificate_read(bytes_as_view(&above), &issuer), STATUS_OK);
  for (size_t i = 0; i < octets.size; i++) {
    octets.data[i] ^= 0x10;
    enum status status = certificate_read(bytes_as_view(&octets), &certificate);
    assert_true(status == STATUS_MALFORMED ||
                certificate_check(&certificate, &issuer) != VERDICT_OK);
    octets.data[i] ^= 0x10;
  }
  assert_int_equal(certificate_read(bytes_as_view(&octets), &certificate), STATUS_OK);
  assert_int_equal(certificate_check(&certificate, &issuer), VERDICT_OK);
  bytes_close(&above);
  bytes_close(&octets);
  cJSON_Delete(root);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_entries),
      cmocka_unit_test(test_written_as_in_the_vectors),
      cmocka_unit_test(test_chains),
      cmocka_unit_test(test_invalid),
      cmocka_unit_test(test_every_octet_is_signed),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
