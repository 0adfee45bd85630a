/* The request file, a node's files, init and certify. */
// links: ctl_lib
#include "ctl_test.h"

#include <sodium.h>
#include <sys/stat.h>
#include <unistd.h>

#include "admin/node_files.h"
#include "admin/request.h"
#include "record/certificate.h"

static void make_request(struct node_key *key, struct bytes *out)
{
  uint8_t secret_key[64];
  struct address address;
  crypto_sign_keypair(key->octets, secret_key);
  assert_int_equal(address_parse(bytes_view_text("310104/012"), false, &address), STATUS_OK);
  assert_int_equal(request_write(key, secret_key, &address, out), STATUS_OK);
}

static void request_round_trip(void **state)
{
  struct node_key key;
  struct bytes octets = {0};
  struct request read;
  (void)state;
  make_request(&key, &octets);
  assert_true(octets.size <= REQUEST_BYTES_MAX);
  assert_int_equal(request_read(bytes_as_view(&octets), &read), STATUS_OK);
  assert_memory_equal(read.key.octets, key.octets, KEY_SIZE);
  assert_string_equal(read.address.text, "310104/012");
  bytes_close(&octets);
}

static void request_any_changed_octet_is_refused(void **state)
{
  struct node_key key;
  struct bytes octets = {0};
  struct request read;
  (void)state;
  make_request(&key, &octets);
  for (size_t i = 0; i < octets.size; i++) {
    octets.data[i] ^= 1;
    assert_int_not_equal(request_read(bytes_as_view(&octets), &read), STATUS_OK);
    octets.data[i] ^= 1;
    assert_int_not_equal(request_read(bytes_view_of(octets.data, i), &read), STATUS_OK);
  }
  assert_int_equal(bytes_append(&octets, "", 1), STATUS_OK);
  assert_int_equal(request_read(bytes_as_view(&octets), &read), STATUS_MALFORMED);
  bytes_close(&octets);
}

static void request_of_another_key_is_not_written(void **state)
{
  uint8_t secret_key[64];
  struct node_key key, other;
  struct address address;
  struct bytes octets = {0};
  (void)state;
  crypto_sign_keypair(key.octets, secret_key);
  memset(other.octets, 7, sizeof other.octets);
  assert_int_equal(address_parse(bytes_view_text("1"), false, &address), STATUS_OK);
  assert_int_equal(request_write(&other, secret_key, &address, &octets), STATUS_INVALID_ARGUMENT);
  assert_int_equal(octets.size, 0);
}

static void key_file_is_private_and_kept(void **state)
{
  char directory[64], path[PATH_MAX];
  uint8_t public_key[32], key[64], read[64];
  struct stat info;
  (void)state;
  make_directory(directory);
  assert_int_equal(node_file_path(directory, NODE_FILE_KEY, path), STATUS_OK);
  crypto_sign_keypair(public_key, key);
  assert_int_equal(node_key_write(path, key), STATUS_OK);
  assert_int_equal(stat(path, &info), 0);
  assert_int_equal(info.st_mode & 0777, 0600);
  assert_int_equal(info.st_size, 129);
  assert_int_equal(node_key_read(path, read), STATUS_OK);
  assert_memory_equal(read, key, sizeof key);
  assert_int_equal(node_key_write(path, key), STATUS_EXISTS);
  assert_int_equal(chmod(path, 0640), 0);
  assert_int_equal(node_key_read(path, read), STATUS_NOT_ALLOWED);
  remove_directory(directory);
}

static void key_file_with_unmatched_halves_is_refused(void **state)
{
  char directory[64], path[PATH_MAX];
  uint8_t public_key[32], key[64], read[64];
  (void)state;
  make_directory(directory);
  assert_int_equal(node_file_path(directory, NODE_FILE_KEY, path), STATUS_OK);
  crypto_sign_keypair(public_key, key);
  key[40] ^= 1;
  assert_int_equal(node_key_write(path, key), STATUS_OK);
  assert_int_equal(node_key_read(path, read), STATUS_MALFORMED);
  write_text_file(path, "abc\n");
  assert_int_equal(node_key_read(path, read), STATUS_MALFORMED);
  assert_int_equal(unlink(path), 0);
  assert_int_equal(node_key_read(path, read), STATUS_NOT_FOUND);
  remove_directory(directory);
}

static void files_are_replaced_whole(void **state)
{
  char directory[64], path[PATH_MAX];
  struct bytes read = {0};
  (void)state;
  make_directory(directory);
  assert_int_equal(node_file_path(directory, "file", path), STATUS_OK);
  assert_int_equal(node_file_write(path, bytes_view_text("one"), 0600, false), STATUS_OK);
  assert_int_equal(node_file_write(path, bytes_view_text("two"), 0600, false), STATUS_EXISTS);
  assert_int_equal(node_file_write(path, bytes_view_text("three"), 0600, true), STATUS_OK);
  assert_int_equal(node_file_read(path, 5, &read), STATUS_OK);
  assert_true(bytes_view_equal(bytes_as_view(&read), bytes_view_text("three")));
  bytes_close(&read);
  assert_int_equal(node_file_read(path, 4, &read), STATUS_TOO_LARGE);
  bytes_close(&read);
  assert_int_equal(node_file_write("/no/such/place", bytes_view_text(""), 0600, true),
                   STATUS_NOT_FOUND);
  remove_directory(directory);
}

/* DIRECTORY/NAME in one of a few buffers. */
static const char *in(const char *directory, const char *name)
{
  static char paths[8][PATH_MAX];
  static size_t next;
  char *path = paths[next++ % 8];
  struct bytes_view parts[] = {bytes_view_text(directory), bytes_view_text("/"),
                               bytes_view_text(name), bytes_view_of("", 1)};
  size_t size = 0;
  for (size_t i = 0; i < 4; i++) {
    memcpy(path + size, parts[i].data, parts[i].size);
    size += parts[i].size;
  }
  return path;
}

static void expect(struct run run, enum ctl_exit code, const char *words)
{
  if (run.code != code || strstr(code == CTL_DONE ? run.out : run.err, words) == NULL)
    fail_msg("exit %d, expected %d with '%s'\nout: %s\nerr: %s", run.code, code, words, run.out,
             run.err);
  run_close(&run);
}

static void init_and_certify_offline(void **state)
{
  char top[64];
  (void)state;
  make_directory(top);
  const char *root = in(top, "root"), *child = in(top, "child"), *street = in(top, "street");
  const char *certificate = in(root, "root.cert"), *request = in(child, "request");
  const char *chain = in(top, "chain");
  expect(run_ctl("--dir", root, "init", "--root", "310104", "--listen", "tcp://0.0.0.0:1", NULL),
         CTL_DONE, "node 310104, key ");
  expect(run_ctl("--dir", root, "init", "--root", "310104", NULL), CTL_REFUSED, "never replaces");
  expect(run_ctl("--dir", child, "init", "--child", "310104", "--root-cert", certificate, NULL),
         CTL_DONE, "Next: the parent signs");
  expect(
      run_ctl("--dir", street, "init", "--child", "310104/012", "--root-cert", certificate, NULL),
      CTL_DONE, "310104/012");
  expect(run_ctl("--dir", root, "certify", "--offline", request, "-o", chain, NULL), CTL_DONE,
         "certified 310104");
  expect(run_ctl("--dir", root, "certify", "--offline", in(street, "request"), NULL), CTL_REFUSED,
         "certifies its district only");
  expect(run_ctl("--dir", street, "init", "--install", chain, NULL), CTL_REFUSED,
         "certifies another key");
  expect(run_ctl("--dir", child, "init", "--install", chain, NULL), CTL_DONE, "in place");
  expect(run_ctl("--dir", child, "init", "--install", in(root, "chain.cert"), NULL), CTL_REFUSED,
         "certifies another key");
  expect(run_ctl("--dir", child, "init", "--install", certificate, NULL), CTL_REFUSED, "malformed");
  remove_directory(top);
}

/* The chain of a replaced key gets the next epoch, so that it holds against the one before. */
static void offline_certificate_counts_epochs(void **state)
{
  char top[64];
  struct bytes root_octets = {0}, chain_octets = {0};
  struct certificate root, chain[CERTIFICATE_CHAIN_MAX];
  size_t count;
  (void)state;
  make_directory(top);
  const char *root_directory = in(top, "root"), *child = in(top, "child");
  const char *certificate = in(root_directory, "root.cert"), *path = in(top, "chain");
  expect(run_ctl("--dir", root_directory, "init", "--root", "1", NULL), CTL_DONE, "");
  expect(run_ctl("--dir", child, "init", "--child", "1", "--root-cert", certificate, NULL),
         CTL_DONE, "");
  expect(run_ctl("--dir", root_directory, "certify", "--offline", in(child, "request"), "-o", path,
                 "--days", "10", NULL),
         CTL_DONE, "");
  assert_int_equal(node_file_read(certificate, 512, &root_octets), STATUS_OK);
  assert_int_equal(certificate_read(bytes_as_view(&root_octets), &root), STATUS_OK);
  assert_int_equal(node_file_read(path, 4096, &chain_octets), STATUS_OK);
  assert_int_equal(certificate_read_chain(bytes_as_view(&chain_octets), &root.id, chain, &count),
                   VERDICT_OK);
  assert_int_equal(count, 2);
  assert_int_equal(chain[1].epoch, 2);
  assert_int_equal(chain[1].not_after - chain[1].not_before, 10 * 86400);
  bytes_close(&root_octets);
  bytes_close(&chain_octets);
  remove_directory(top);
}

static void config_holds_what_was_asked_for(void **state)
{
  char top[64];
  (void)state;
  make_directory(top);
  const char *root = in(top, "root"), *street = in(top, "street");
  expect(run_ctl("--dir", root, "init", "--root", "1", NULL), CTL_DONE, "");
  expect(run_ctl("--dir", street, "init", "--child", "1/2", "--root-cert", in(root, "root.cert"),
                 "--parent", "tcp://a:1", "--listen", "tcp://b:2", "--listen", "ipc:///c\"d",
                 "--quota-mib", "64", "--store", "data", "--log-level", "warn", NULL),
         CTL_DONE, "");
  char *text = read_text_file(in(street, "noded.yaml"));
  assert_string_equal(text, "# noded at 1/2\n"
                            "parent: \"tcp://a:1\"\n"
                            "listen:\n"
                            "  - \"tcp://b:2\"\n"
                            "  - \"ipc:///c\\\"d\"\n"
                            "store:\n"
                            "  path: \"data\"\n"
                            "  quota_mib: 64\n"
                            "log:\n"
                            "  format: logfmt\n"
                            "  level: warn\n");
  free(text);
  remove_directory(top);
}

static void init_refuses_wrong_usage(void **state)
{
  (void)state;
  expect(run_ctl("init", NULL), CTL_USAGE, "one of --root");
  expect(run_ctl("init", "--root", "1", "--child", "1/2", NULL), CTL_USAGE, "one of --root");
  expect(run_ctl("init", "--root", "1/2", NULL), CTL_USAGE, "of one segment");
  expect(run_ctl("init", "--root", "1", "--parent", "tcp://a:1", NULL), CTL_USAGE, "no parent");
  expect(run_ctl("init", "--root", "a b", NULL), CTL_USAGE, "takes an address");
  expect(run_ctl("init", "--child", "1/2", NULL), CTL_USAGE, "--root-cert");
  expect(run_ctl("init", "--root", "1", "--listen", "b:2", NULL), CTL_USAGE, "takes a URL");
  expect(run_ctl("init", "--root", "1", "--log-level", "loud", NULL), CTL_USAGE, "--log-level");
  expect(run_ctl("init", "--root", "1", "--days", "0", NULL), CTL_USAGE, "--days");
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(request_round_trip),
      cmocka_unit_test(request_any_changed_octet_is_refused),
      cmocka_unit_test(request_of_another_key_is_not_written),
      cmocka_unit_test(key_file_is_private_and_kept),
      cmocka_unit_test(key_file_with_unmatched_halves_is_refused),
      cmocka_unit_test(files_are_replaced_whole),
      cmocka_unit_test(init_and_certify_offline),
      cmocka_unit_test(offline_certificate_counts_epochs),
      cmocka_unit_test(config_holds_what_was_asked_for),
      cmocka_unit_test(init_refuses_wrong_usage),
  };
  return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
