// links: noded_lib
/* A node's directory: what is loaded, and what each fault is told as. */
#include "noded/identity.h"

#include <fcntl.h>
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "record/codec.h"

static char directory[64];

struct pair {
  struct node_key key;
  uint8_t secret[64];
};

static struct pair root_pair;
static struct pair node_pair;

static void pair_make(struct pair *pair)
{
  crypto_sign_keypair(pair->key.octets, pair->secret);
}

static void file_make(const char *name, const void *data, size_t size, mode_t mode)
{
  char path[128];
  snprintf(path, sizeof(path), "%s/%s", directory, name);
  unlink(path);
  int file = open(path, O_WRONLY | O_CREAT | O_TRUNC, mode);
  assert_true(file >= 0);
  assert_int_equal(fchmod(file, mode), 0);
  assert_int_equal(write(file, data, size), size);
  close(file);
}

static void file_drop(const char *name)
{
  char path[128];
  snprintf(path, sizeof(path), "%s/%s", directory, name);
  unlink(path);
}

static void certificate_make(const struct pair *subject, const char *address,
                             const struct pair *issuer, struct bytes *out)
{
  struct certificate_draft draft = {.key = subject->key, .epoch = 1, .not_after = 4000000000};
  assert_int_equal(address_parse(bytes_view_text(address), true, &draft.address), STATUS_OK);
  assert_int_equal(certificate_write(&draft, issuer->secret, out), STATUS_OK);
}

static void chain_make(const struct pair *subject, const struct pair *issuer)
{
  struct bytes root = {0};
  struct bytes leaf = {0};
  struct bytes chain = {0};
  struct writer writer;
  certificate_make(issuer, "", issuer, &root);
  certificate_make(subject, "310104", issuer, &leaf);
  writer_init(&writer, &chain);
  writer_array(&writer, 2);
  writer_raw(&writer, bytes_as_view(&root));
  writer_raw(&writer, bytes_as_view(&leaf));
  assert_int_equal(writer_finish(&writer), STATUS_OK);
  file_make("chain.cert", chain.data, chain.size, 0644);
  bytes_close(&root);
  bytes_close(&leaf);
  bytes_close(&chain);
}

static void key_make(const uint8_t secret[64], mode_t mode)
{
  char hex[130];
  bytes_to_hex(bytes_view_of(secret, 64), hex);
  hex[128] = '\n';
  file_make("node.key", hex, 129, mode);
}

static int set_up(void **state)
{
  (void)state;
  struct bytes root = {0};
  if (sodium_init() < 0) {
    return -1;
  }
  snprintf(directory, sizeof(directory), "/tmp/identity_test.XXXXXX");
  if (mkdtemp(directory) == NULL) {
    return -1;
  }
  pair_make(&root_pair);
  pair_make(&node_pair);
  key_make(node_pair.secret, 0600);
  certificate_make(&root_pair, "", &root_pair, &root);
  file_make("root.cert", root.data, root.size, 0644);
  chain_make(&node_pair, &root_pair);
  bytes_close(&root);
  return 0;
}

static int tear_down(void **state)
{
  (void)state;
  file_drop("node.key");
  file_drop("root.cert");
  file_drop("chain.cert");
  return rmdir(directory);
}

static void expect(enum status wanted, const char *words)
{
  char reason[IDENTITY_REASON_MAX];
  struct core_identity identity;
  enum status status = identity_load(directory, &identity, reason);
  if (status != wanted || strstr(reason, words) == NULL) {
    fail_msg("%s: %s", status_text(status), reason);
  }
  static const struct core_identity empty;
  if (status != STATUS_OK) {
    assert_memory_equal(&identity, &empty, sizeof(empty));
  } else {
    identity_close(&identity);
  }
}

static void test_good(void **state)
{
  (void)state;
  char reason[IDENTITY_REASON_MAX];
  struct core_identity identity;
  assert_int_equal(identity_load(directory, &identity, reason), STATUS_OK);
  assert_string_equal(identity.address.text, "310104");
  assert_memory_equal(identity.key.octets, node_pair.key.octets, 32);
  assert_memory_equal(identity.secret_key, node_pair.secret, 64);
  assert_int_equal(identity_expires_at(&identity), 4000000000);
  identity_close(&identity);
}

static void test_key_faults(void **state)
{
  (void)state;
  uint8_t secret[64];
  memcpy(secret, node_pair.secret, 64);
  key_make(secret, 0640);
  expect(STATUS_NOT_ALLOWED, "mode 0640");
  secret[63] ^= 1;
  key_make(secret, 0600);
  expect(STATUS_MALFORMED, "is damaged");
  file_make("node.key", "abcd\n", 5, 0600);
  expect(STATUS_MALFORMED, "is damaged");
  file_make("node.key", "", 0, 0600);
  expect(STATUS_MALFORMED, "is damaged");
  file_drop("node.key");
  expect(STATUS_NOT_FOUND, "nodectl init");
}

static void test_root_faults(void **state)
{
  (void)state;
  file_make("root.cert", "garbage", 7, 0644);
  expect(STATUS_MALFORMED, "no root certificate");
  file_drop("root.cert");
  expect(STATUS_NOT_FOUND, "root.cert");
}

static void test_chain_faults(void **state)
{
  (void)state;
  struct pair other;
  char big[CERTIFICATE_CHAIN_MAX * CERTIFICATE_BYTES_MAX + 17] = {0};
  pair_make(&other);
  chain_make(&other, &root_pair);
  expect(STATUS_WRONG_NODE, "another key");
  chain_make(&node_pair, &other);
  expect(STATUS_BAD_SIGNATURE, "doesn't lead");
  file_make("chain.cert", "\x90", 1, 0644);
  expect(STATUS_MALFORMED, "chain.cert");
  file_make("chain.cert", big, sizeof(big), 0644);
  expect(STATUS_MALFORMED, "at most");
  file_drop("chain.cert");
  expect(STATUS_NOT_FOUND, "isn't certified yet");
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_good, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_key_faults, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_root_faults, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_chain_faults, set_up, tear_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
