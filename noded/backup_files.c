/* Files of a backup: durable copies, hashes of what the disk gives back, removal. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "admin/node_files.h"
#include "noded/backup.h"

#define BLOCK_SIZE (256 * 1024)
#define TREE_DEPTH_MAX 8

/* From `from` to its end, to `to` unless that is negative. */
static enum status pour(int from, int to, struct hash *hash, uint64_t *octets)
{
  crypto_generichash_state state;
  uint8_t *block = malloc(BLOCK_SIZE);
  enum status status = block == NULL ? STATUS_NO_MEMORY : STATUS_OK;
  uint64_t total = 0;
  crypto_generichash_init(&state, NULL, 0, HASH_SIZE);
  while (status == STATUS_OK) {
    ssize_t got = read(from, block, BLOCK_SIZE);
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got <= 0) {
      status = got < 0 ? status_of_errno(errno) : STATUS_OK;
      break;
    }
    crypto_generichash_update(&state, block, (size_t)got);
    total += (uint64_t)got;
    if (to >= 0) {
      status = node_file_put(to, bytes_view_of(block, (size_t)got));
    }
  }
  free(block);
  crypto_generichash_final(&state, hash->octets, HASH_SIZE);
  *octets = total;
  return status;
}

enum status backup_file_copy(const char *from, const char *to, unsigned mode, struct hash *hash,
                             uint64_t *octets)
{
  struct hash ignored;
  uint64_t size;
  int in = open(from, O_RDONLY | O_CLOEXEC);
  if (in < 0) {
    return status_of_errno(errno);
  }
  int out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, (mode_t)mode);
  enum status status = out < 0 ? status_of_errno(errno) : STATUS_OK;
  if (status == STATUS_OK) {
    status = pour(in, out, hash == NULL ? &ignored : hash, octets == NULL ? &size : octets);
  }
  if (status == STATUS_OK && fsync(out) != 0) {
    status = status_of_errno(errno);
  }
  if (out >= 0) {
    close(out);
  }
  close(in);
  return status;
}

enum status backup_file_hash(const char *path, struct hash *hash, uint64_t *octets)
{
  int in = open(path, O_RDONLY | O_CLOEXEC);
  if (in < 0) {
    return status_of_errno(errno);
  }
  (void)posix_fadvise(in, 0, 0, POSIX_FADV_DONTNEED);
  enum status status = pour(in, -1, hash, octets);
  close(in);
  return status;
}

enum status backup_directory_sync(const char *path)
{
  int file = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  bool synced = file >= 0 && fsync(file) == 0;
  if (file >= 0) {
    close(file);
  }
  return synced ? STATUS_OK : STATUS_IO;
}

static int on_entry(const char *path, const struct stat *about, int type, struct FTW *place)
{
  (void)about;
  (void)type;
  (void)place;
  (void)remove(path);
  return 0;
}

void backup_tree_remove(const char *path)
{
  (void)nftw(path, on_entry, TREE_DEPTH_MAX, FTW_DEPTH | FTW_PHYS);
}
