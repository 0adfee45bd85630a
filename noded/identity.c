#include "noded/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEY_FILE_SIZE_MAX 160
#define CHAIN_FILE_SIZE_MAX (CERTIFICATE_CHAIN_MAX * CERTIFICATE_BYTES_MAX + 16)

/* The file's place, in words, and what a missing one means. */
struct identity_file {
  const char *name;
  const char *missing;
  size_t size_max;
  bool secret;
};

static const struct identity_file key_file = {"node.key", "make it with 'nodectl init'",
                                              KEY_FILE_SIZE_MAX, true};
static const struct identity_file root_file = {
    "root.cert", "make it with 'nodectl init', or copy the district's root.cert here",
    CERTIFICATE_BYTES_MAX, false};
static const struct identity_file chain_file = {
    "chain.cert",
    "this node isn't certified yet: give its file 'request' to the parent ('nodectl certify "
    "request -o chain' there), then 'nodectl init --install chain' here",
    CHAIN_FILE_SIZE_MAX, false};

/* A secret must be its owner's alone, and the owner us. */
static enum status mode_check(const char *directory, const struct identity_file *which,
                              const struct stat *about, char *reason)
{
  if ((about->st_mode & 077) != 0) {
    snprintf(reason, IDENTITY_REASON_MAX,
             "%.400s/%s has mode %04o, so others can read the key: chmod 600 it (and renew it if "
             "others had access to this machine)",
             directory, which->name, (unsigned)(about->st_mode & 07777));
    return STATUS_NOT_ALLOWED;
  }
  if (about->st_uid != geteuid() && geteuid() != 0) {
    snprintf(reason, IDENTITY_REASON_MAX, "%.400s/%s belongs to user %u, but noded runs as user %u",
             directory, which->name, (unsigned)about->st_uid, (unsigned)geteuid());
    return STATUS_NOT_ALLOWED;
  }
  return STATUS_OK;
}

/* Reads a small file whole; what is read is followed by a zero octet. */
static enum status file_load(const char *directory, const struct identity_file *which,
                             struct bytes *out, char *reason)
{
  char path[4096];
  enum status status = STATUS_OK;
  struct stat about;
  snprintf(path, sizeof(path), "%.400s/%s", directory, which->name);
  int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) {
    status = errno == ENOENT ? STATUS_NOT_FOUND : STATUS_IO;
    snprintf(reason, IDENTITY_REASON_MAX, "%.480s: %s; %s", path, strerror(errno),
             errno == ENOENT ? which->missing : "noded must be able to read it");
    return status;
  }
  if (fstat(file, &about) != 0 || !S_ISREG(about.st_mode) ||
      (uint64_t)about.st_size > which->size_max) {
    status = STATUS_MALFORMED;
    snprintf(reason, IDENTITY_REASON_MAX, "%.480s is not a file of at most %zu octets", path,
             which->size_max);
    goto out;
  }
  if (which->secret) {
    status = mode_check(directory, which, &about, reason);
    if (status != STATUS_OK) {
      goto out;
    }
  }
  status = bytes_reserve(out, (size_t)about.st_size + 1);
  if (status != STATUS_OK) {
    snprintf(reason, IDENTITY_REASON_MAX, "%.480s: %s", path, status_text(status));
    goto out;
  }
  ssize_t got = read(file, out->data, (size_t)about.st_size);
  if (got != about.st_size) {
    status = STATUS_IO;
    snprintf(reason, IDENTITY_REASON_MAX, "%.480s can't be read: %s", path, strerror(errno));
    goto out;
  }
  out->size = (size_t)got;
  out->data[out->size] = 0;
out:
  close(file);
  return status;
}

/* The secret key is 64 octets as hex and a newline; its second half must be the public key that
 * the first half, the seed, gives. */
static enum status key_load(const char *directory, struct core_identity *out, char *reason)
{
  struct bytes text = {0};
  uint8_t public_key[32];
  uint8_t secret_key[64];
  enum status status = file_load(directory, &key_file, &text, reason);
  if (status != STATUS_OK) {
    goto out;
  }
  if (text.size > 0 && text.data[text.size - 1] == '\n') {
    text.data[--text.size] = 0;
  }
  status = text.size == 2 * sizeof(out->secret_key)
               ? bytes_from_hex((const char *)text.data, out->secret_key, 64)
               : STATUS_MALFORMED;
  if (status == STATUS_OK) {
    crypto_sign_seed_keypair(public_key, secret_key, out->secret_key);
    if (sodium_memcmp(secret_key, out->secret_key, sizeof(secret_key)) != 0) {
      status = STATUS_MALFORMED;
    }
  }
  if (status != STATUS_OK) {
    snprintf(reason, IDENTITY_REASON_MAX,
             "%.400s/%s is damaged: it must hold 128 hex digits of an Ed25519 secret key; bring it "
             "back from a backup or make a new node",
             directory, key_file.name);
    goto out;
  }
  memcpy(out->key.octets, public_key, KEY_SIZE);
out:
  if (text.data != NULL) {
    sodium_memzero(text.data, text.capacity);
  }
  sodium_memzero(secret_key, sizeof(secret_key));
  bytes_close(&text);
  return status;
}

static enum status root_load(const char *directory, struct core_identity *out, char *reason)
{
  struct bytes octets = {0};
  struct certificate root;
  enum status status = file_load(directory, &root_file, &octets, reason);
  if (status != STATUS_OK) {
    goto out;
  }
  status = certificate_read(bytes_as_view(&octets), &root);
  if (status != STATUS_OK || certificate_check(&root, NULL) != VERDICT_OK) {
    status = STATUS_MALFORMED;
    snprintf(reason, IDENTITY_REASON_MAX,
             "%.400s/%s is no root certificate: copy the district's root.cert here again",
             directory, root_file.name);
    goto out;
  }
  out->root = root.id;
out:
  bytes_close(&octets);
  return status;
}

static enum status chain_check(const char *directory, struct core_identity *out, char *reason)
{
  struct certificate chain[CERTIFICATE_CHAIN_MAX];
  size_t count = 0;
  enum verdict verdict =
      certificate_read_chain(bytes_as_view(&out->chain), &out->root, chain, &count);
  if (verdict != VERDICT_OK || count < 2) {
    snprintf(reason, IDENTITY_REASON_MAX,
             "%.400s/%s doesn't lead from root.cert to a node (%s): have the parent certify the "
             "request again, or check that root.cert is the same district's",
             directory, chain_file.name, verdict_text(verdict));
    return verdict == VERDICT_MALFORMED || verdict == VERDICT_OK ? STATUS_MALFORMED
                                                                 : STATUS_BAD_SIGNATURE;
  }
  const struct certificate *own = &chain[count - 1];
  if (memcmp(own->key.octets, out->key.octets, KEY_SIZE) != 0) {
    snprintf(reason, IDENTITY_REASON_MAX,
             "%.400s/%s is for another key than node.key (it certifies %s): install the chain that "
             "the parent made from this node's own request",
             directory, chain_file.name, own->address.text);
    return STATUS_WRONG_NODE;
  }
  out->address = own->address;
  out->certificate = own->id;
  return STATUS_OK;
}

enum status identity_load(const char *directory, struct core_identity *out, char *reason)
{
  memset(out, 0, sizeof(*out));
  reason[0] = 0;
  enum status status = key_load(directory, out, reason);
  if (status == STATUS_OK) {
    status = root_load(directory, out, reason);
  }
  if (status == STATUS_OK) {
    status = file_load(directory, &chain_file, &out->chain, reason);
  }
  if (status == STATUS_OK) {
    status = chain_check(directory, out, reason);
  }
  if (status != STATUS_OK) {
    identity_close(out);
  }
  return status;
}

uint64_t identity_expires_at(const struct core_identity *identity)
{
  struct certificate chain[CERTIFICATE_CHAIN_MAX];
  size_t count = 0;
  uint64_t earliest = UINT64_MAX;
  if (certificate_read_chain(bytes_as_view(&identity->chain), &identity->root, chain, &count) !=
      VERDICT_OK) {
    return 0;
  }
  for (size_t i = 0; i < count; i++) {
    earliest = chain[i].not_after < earliest ? chain[i].not_after : earliest;
  }
  return earliest;
}

void identity_close(struct core_identity *identity)
{
  bytes_close(&identity->chain);
  sodium_memzero(identity, sizeof(*identity));
}
