/*
 * Room: how much of the quota and of the file system is left. Pages in use are summed over the
 * tables, which is exact and costs no walk of the free list; the file system is asked at most
 * twice a second.
 */
#include <sys/statvfs.h>

#include "state.h"

#define ROOM_CHECK_MS 500
#define ROOM_TIGHT_PERCENT 5
#define ROOM_FULL_PERCENT 2
#define ROOM_STUCK_PERCENT 10
#define ROOM_USED_UP_BYTES (64 * 1024)

static uint64_t stat_bytes(const MDB_stat *stat)
{
  return (uint64_t)stat->ms_psize *
         (stat->ms_branch_pages + stat->ms_leaf_pages + stat->ms_overflow_pages);
}

static uint64_t used_bytes(const struct store_txn *txn)
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
    if (i == TABLE_FLOORS && txn->store->floors_missing)
      continue;
    if (mdb_stat(txn->mdb, txn->store->tables[i], &stat) == MDB_SUCCESS)
      bytes += stat_bytes(&stat);
  }
  return bytes + 2ull * stat.ms_psize;
}

void room_note_disk(struct store *store, struct instant now)
{
  struct statvfs vfs;
  int64_t passed = now.mono.ms - store->room_checked_ms;

  if (store->room_checked && passed >= 0 && passed < ROOM_CHECK_MS)
    return;
  store->room_checked = true;
  store->room_checked_ms = now.mono.ms;
  if (statvfs(store->path, &vfs) == 0)
    atomic_store(&store->disk_free_bytes, (uint64_t)vfs.f_bavail * vfs.f_frsize);
}

static uint64_t reusable_bytes(uint64_t file, uint64_t used)
{
  return file > used ? file - used : 0;
}

void room_note_file(struct store *store)
{
  MDB_envinfo info = {0};
  MDB_stat stat = {0};
  uint64_t before = atomic_load(&store->file_bytes);
  uint64_t file;

  if (mdb_env_info(store->env, &info) != MDB_SUCCESS ||
      mdb_env_stat(store->env, &stat) != MDB_SUCCESS)
    return;
  file = (info.me_last_pgno + 1) * stat.ms_psize;
  atomic_store(&store->file_bytes, file);
  if (file > before)
    room_note_stuck(store);
}

void room_note_stuck(struct store *store)
{
  atomic_store(&store->stuck_bytes,
               reusable_bytes(atomic_load(&store->file_bytes), atomic_load(&store->used_bytes)));
}

void room_assume(struct store *store)
{
  struct store_usage usage;
  uint64_t most;

  store_usage(store, &usage);
  most = usage.limit_bytes / 100 * ROOM_STUCK_PERCENT;
  if (atomic_load(&store->stuck_bytes) > most)
    atomic_store(&store->stuck_bytes, most);
}

void room_note_used(const struct store_txn *txn)
{
  atomic_store(&txn->store->used_bytes, used_bytes(txn));
}

/* Free pages are written again before the file grows, but not all can be: a large value wants
 * pages in a row. What was free when the file grew or refused to is therefore not counted. */
static uint64_t left_bytes(const struct store *store, const struct store_usage *usage)
{
  uint64_t stuck = atomic_load(&store->stuck_bytes);
  uint64_t reusable = reusable_bytes(usage->file_bytes, usage->used_bytes);
  uint64_t left = reusable > stuck ? reusable - stuck : 0;

  if (usage->limit_bytes > usage->file_bytes)
    left += usage->limit_bytes - usage->file_bytes;
  return left;
}

void store_usage(const struct store *store, struct store_usage *usage)
{
  uint64_t used = atomic_load(&store->used_bytes);
  uint64_t file = atomic_load(&store->file_bytes);
  uint64_t limit = (file > used ? file : used) + atomic_load(&store->disk_free_bytes);

  if (limit > store->map_bytes)
    limit = store->map_bytes;
  if (store->quota_bytes != 0 && limit > store->quota_bytes)
    limit = store->quota_bytes;
  *usage = (struct store_usage){used, file, limit};
}

/* LMDB calls a write that the file system cut short an I/O error. */
bool room_is_used_up(struct store *store)
{
  struct statvfs vfs;

  if (statvfs(store->path, &vfs) != 0)
    return false;
  atomic_store(&store->disk_free_bytes, (uint64_t)vfs.f_bavail * vfs.f_frsize);
  return (uint64_t)vfs.f_bavail * vfs.f_frsize < ROOM_USED_UP_BYTES;
}

void store_room_look(struct store *store, struct instant now)
{
  room_note_disk(store, now);
}

enum store_room store_room(const struct store *store)
{
  struct store_usage usage;
  uint64_t left;

  store_usage(store, &usage);
  left = left_bytes(store, &usage);
  if (left < usage.limit_bytes / 100 * ROOM_FULL_PERCENT)
    return STORE_ROOM_FULL;
  if (left < usage.limit_bytes / 100 * ROOM_TIGHT_PERCENT)
    return STORE_ROOM_TIGHT;
  return STORE_ROOM_OK;
}
