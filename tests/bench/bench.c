#include "bench.h"

#include <errno.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define NESTING_MAX 16

void bench_fail(const char *what, const char *detail)
{
  fprintf(stderr, "%s: %s%s%s\n", program_invocation_short_name, what, detail != NULL ? ": " : "",
          detail != NULL ? detail : "");
  exit(1);
}

void bench_fail_errno(const char *what)
{
  bench_fail(what, strerror(errno));
}

uint64_t bench_now_ns(void)
{
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

void bench_path_join(char *out, const char *folder, const char *name)
{
  int size = snprintf(out, BENCH_PATH_MAX, "%s/%s", folder, name);
  if (size < 0 || size >= BENCH_PATH_MAX) {
    bench_fail("path too long", folder);
  }
}

void bench_folder_make(const char *base, char *path)
{
  bench_path_join(path, base != NULL ? base : BENCH_DIR, "bench-XXXXXX");
  if (mkdtemp(path) == NULL) {
    bench_fail_errno(path);
  }
}

static int entry_remove(const char *path, const struct stat *info, int type, struct FTW *walk)
{
  (void)info;
  (void)type;
  (void)walk;
  return remove(path);
}

void bench_folder_remove(const char *path)
{
  if (nftw(path, entry_remove, NESTING_MAX, FTW_DEPTH | FTW_PHYS) != 0) {
    fprintf(stderr, "%s: cannot remove %s\n", program_invocation_short_name, path);
  }
}

uint64_t bench_number(const char *option, const char *text, uint64_t min, uint64_t max)
{
  char *end = NULL;
  errno = 0;
  unsigned long long value = text != NULL ? strtoull(text, &end, 10) : 0;
  if (text == NULL || end == text || *end != '\0' || text[0] == '-' || errno != 0 || value < min ||
      value > max) {
    char range[64];
    snprintf(range, sizeof(range), "takes a number from %" PRIu64 " to %" PRIu64, min, max);
    bench_fail(option, range);
  }
  return value;
}

static void mdb_check(int code, const char *what)
{
  if (code != MDB_SUCCESS) {
    bench_fail(what, mdb_strerror(code));
  }
}

void bench_store_open(struct bench_store *store, const char *path, uint64_t map_bytes)
{
  *store = (struct bench_store){.next = 1};
  if (mkdir(path, 0700) != 0) {
    bench_fail_errno(path);
  }
  mdb_check(mdb_env_create(&store->env), "mdb_env_create");
  mdb_check(mdb_env_set_mapsize(store->env, map_bytes), "mdb_env_set_mapsize");
  mdb_check(mdb_env_open(store->env, path, 0, 0600), path);
  MDB_txn *txn = NULL;
  mdb_check(mdb_txn_begin(store->env, NULL, 0, &txn), "mdb_txn_begin");
  mdb_check(mdb_dbi_open(txn, NULL, MDB_INTEGERKEY, &store->table), "mdb_dbi_open");
  mdb_check(mdb_txn_commit(txn), "mdb_txn_commit");
}

void bench_store_append(struct bench_store *store, const void *data, size_t size)
{
  if (store->txn == NULL) {
    mdb_check(mdb_txn_begin(store->env, NULL, 0, &store->txn), "mdb_txn_begin");
  }
  MDB_val key = {sizeof(store->next), &store->next};
  MDB_val value = {size, NULL};
  mdb_check(mdb_put(store->txn, store->table, &key, &value, MDB_APPEND | MDB_RESERVE), "mdb_put");
  memcpy(value.mv_data, data, size);
  store->next++;
}

void bench_store_commit(struct bench_store *store)
{
  mdb_check(mdb_txn_commit(store->txn), "mdb_txn_commit");
  store->txn = NULL;
}

uint64_t bench_store_size(const char *path)
{
  char file[BENCH_PATH_MAX];
  struct stat info;
  bench_path_join(file, path, "data.mdb");
  if (stat(file, &info) != 0) {
    bench_fail_errno(file);
  }
  return (uint64_t)info.st_blocks * 512;
}

void bench_store_close(struct bench_store *store)
{
  mdb_txn_abort(store->txn);
  mdb_env_close(store->env);
}
