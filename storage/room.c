/*
 * Room: how much of the quota and of the file system is left. Pages in use are summed over the
 * tables, which is exact and costs no walk of the free list; the file system is asked at most
 * twice a second.
 */
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "state.h"

#define ROOM_CHECK_MS 500
#define ROOM_TIGHT_PERCENT 5
#define ROOM_FULL_PERCENT 2

static uint64_t stat_bytes(const MDB_stat *stat)
{
  return (uint64_t)stat->ms_psize *
         (stat->ms_branch_pages + stat->ms_leaf_pages + stat->ms_overflow_pages);
}

uint64_t db_used_bytes(const struct store_txn *txn)
{
  /* LMDB keeps its free list as table 0 and the names of the others in table 1. */
  const MDB_dbi own[] = {0, 1};
  MDB_stat stat = {0};
  uint64_t bytes = 0;

  for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
    if (mdb_stat(txn->mdb, own[i], &stat) == MDB_SUCCESS)
      bytes += stat_bytes(&stat);
  }
  for (size_t i = 0; i < TABLE_COUNT; i++) {
    if (mdb_stat(txn->mdb, txn->store->tables[i], &stat) == MDB_SUCCESS)
      bytes += stat_bytes(&stat);
  }
  return bytes + 2ull * stat.ms_psize;
}

void room_refresh(struct store *store, const struct store_txn *txn, struct instant now)
{
  MDB_envinfo info = {0};
  MDB_stat stat = {0};
  struct statvfs vfs;

  if (txn != NULL)
    atomic_store(&store->used_bytes, db_used_bytes(txn));
  if (store->room_checked_ms != 0 && now.mono.ms - store->room_checked_ms < ROOM_CHECK_MS &&
      now.mono.ms >= store->room_checked_ms)
    return;
  store->room_checked_ms = now.mono.ms;
  if (mdb_env_info(store->env, &info) == MDB_SUCCESS &&
      mdb_env_stat(store->env, &stat) == MDB_SUCCESS)
    atomic_store(&store->file_bytes, (info.me_last_pgno + 1) * stat.ms_psize);
  if (statvfs(store->path, &vfs) == 0)
    atomic_store(&store->disk_free_bytes, (uint64_t)vfs.f_bavail * vfs.f_frsize);
}

void store_usage(const struct store *store, struct store_usage *usage)
{
  uint64_t used = atomic_load(&store->used_bytes);
  uint64_t file = atomic_load(&store->file_bytes);
  /* Pages of the file that are free now are written again before it grows. */
  uint64_t reusable = file > used ? file - used : 0;
  uint64_t limit = used + reusable + atomic_load(&store->disk_free_bytes);

  if (limit > store->map_bytes)
    limit = store->map_bytes;
  if (store->quota_bytes != 0 && limit > store->quota_bytes)
    limit = store->quota_bytes;
  *usage = (struct store_usage){used, file, limit};
}

enum store_room store_room(const struct store *store)
{
  struct store_usage usage;
  uint64_t left;

  store_usage(store, &usage);
  left = usage.limit_bytes > usage.used_bytes ? usage.limit_bytes - usage.used_bytes : 0;
  if (left < usage.limit_bytes / 100 * ROOM_FULL_PERCENT)
    return STORE_ROOM_FULL;
  if (left < usage.limit_bytes / 100 * ROOM_TIGHT_PERCENT)
    return STORE_ROOM_TIGHT;
  return STORE_ROOM_OK;
}
