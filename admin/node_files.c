#include "admin/node_files.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum status node_file_path(const char *directory, const char *name, char out[PATH_MAX])
{
  int size = snprintf(out, PATH_MAX, "%s/%s", directory, name);
  return size < 0 || size >= PATH_MAX ? STATUS_TOO_LARGE : STATUS_OK;
}

bool node_file_exists(const char *path)
{
  struct stat info;
  return lstat(path, &info) == 0;
}

static enum status read_all(int fd, size_t size_max, struct bytes *out)
{
  uint8_t block[16 * 1024];
  size_t total = 0;
  for (;;) {
    ssize_t got = read(fd, block, sizeof block);
    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0)
      return status_of_errno(errno);
    if (got == 0)
      return STATUS_OK;
    total += (size_t)got;
    if (total > size_max)
      return STATUS_TOO_LARGE;
    enum status status = bytes_append(out, block, (size_t)got);
    if (status != STATUS_OK)
      return status;
  }
}

enum status node_file_read(const char *path, size_t size_max, struct bytes *out)
{
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    return status_of_errno(errno);
  enum status status = read_all(fd, size_max, out);
  close(fd);
  return status;
}

enum status node_file_put(int fd, struct bytes_view octets)
{
  while (octets.size > 0) {
    ssize_t wrote = write(fd, octets.data, octets.size);
    if (wrote < 0 && errno == EINTR)
      continue;
    if (wrote < 0)
      return status_of_errno(errno);
    octets.data += wrote;
    octets.size -= (size_t)wrote;
  }
  return STATUS_OK;
}

enum status node_file_sync_directory_of(const char *path)
{
  char directory[PATH_MAX];
  const char *slash = strrchr(path, '/');
  if (slash == NULL)
    snprintf(directory, sizeof directory, ".");
  else
    snprintf(directory, sizeof directory, "%.*s", slash == path ? 1 : (int)(slash - path), path);
  int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0)
    return status_of_errno(errno);
  enum status status = fsync(fd) == 0 ? STATUS_OK : status_of_errno(errno);
  close(fd);
  return status;
}

enum status node_file_write(const char *path, struct bytes_view octets, unsigned mode, bool replace)
{
  char temporary[PATH_MAX];
  int size = snprintf(temporary, sizeof temporary, "%s.new-%ld", path, (long)getpid());
  if (size < 0 || (size_t)size >= sizeof temporary)
    return STATUS_TOO_LARGE;
  if (!replace && node_file_exists(path))
    return STATUS_EXISTS;
  int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, (mode_t)mode);
  if (fd < 0)
    return status_of_errno(errno);
  enum status status = node_file_put(fd, octets);
  if (status == STATUS_OK && fsync(fd) != 0)
    status = status_of_errno(errno);
  if (close(fd) != 0 && status == STATUS_OK)
    status = status_of_errno(errno);
  /* link() fails where the name exists, rename() would replace it. */
  if (status == STATUS_OK && replace && rename(temporary, path) != 0)
    status = status_of_errno(errno);
  if (status == STATUS_OK && !replace && link(temporary, path) != 0)
    status = status_of_errno(errno);
  if (status != STATUS_OK || !replace)
    unlink(temporary);
  return status == STATUS_OK ? node_file_sync_directory_of(path) : status;
}

enum status node_key_write(const char *path, const uint8_t key[NODE_SECRET_KEY_SIZE])
{
  char hex[2 * NODE_SECRET_KEY_SIZE + 2];
  bytes_to_hex(bytes_view_of(key, NODE_SECRET_KEY_SIZE), hex);
  memcpy(hex + 2 * NODE_SECRET_KEY_SIZE, "\n", 2);
  enum status status =
      node_file_write(path, bytes_view_of(hex, 2 * NODE_SECRET_KEY_SIZE + 1), 0600, false);
  sodium_memzero(hex, sizeof hex);
  return status;
}

/* Whether the public half is the one that the secret half makes. */
static bool key_halves_match(const uint8_t key[NODE_SECRET_KEY_SIZE])
{
  uint8_t seed[32], public_key[32], secret_key[NODE_SECRET_KEY_SIZE];
  crypto_sign_ed25519_sk_to_seed(seed, key);
  crypto_sign_seed_keypair(public_key, secret_key, seed);
  bool match = sodium_memcmp(secret_key, key, NODE_SECRET_KEY_SIZE) == 0;
  sodium_memzero(seed, sizeof seed);
  sodium_memzero(secret_key, sizeof secret_key);
  return match;
}

enum status node_key_read(const char *path, uint8_t key[NODE_SECRET_KEY_SIZE])
{
  struct bytes text = {0};
  struct stat info;
  enum status status = STATUS_MALFORMED;
  if (stat(path, &info) != 0)
    return status_of_errno(errno);
  if ((info.st_mode & 077) != 0)
    return STATUS_NOT_ALLOWED;
  enum status read_status = node_file_read(path, 2 * NODE_SECRET_KEY_SIZE + 1, &text);
  if (read_status != STATUS_OK) {
    status = read_status == STATUS_TOO_LARGE ? STATUS_MALFORMED : read_status;
    goto out;
  }
  if (text.size != 2 * NODE_SECRET_KEY_SIZE + 1 || text.data[text.size - 1] != '\n')
    goto out;
  text.data[text.size - 1] = '\0';
  if (bytes_from_hex((const char *)text.data, key, NODE_SECRET_KEY_SIZE) == STATUS_OK &&
      key_halves_match(key))
    status = STATUS_OK;
out:
  if (text.data != NULL)
    sodium_memzero(text.data, text.capacity);
  bytes_close(&text);
  return status;
}
