#include <errno.h>
#include <stdlib.h>

#include "state.h"

enum status db_status(int code)
{
  switch (code) {
  case MDB_SUCCESS:
    return STATUS_OK;
  case MDB_NOTFOUND:
    return STATUS_NOT_FOUND;
  case MDB_MAP_FULL:
  case ENOSPC:
  case EDQUOT:
    return STATUS_DISK_FULL;
  case ENOMEM:
    return STATUS_NO_MEMORY;
  case MDB_READERS_FULL:
    return STATUS_BUSY;
  case MDB_CORRUPTED:
  case MDB_PAGE_NOTFOUND:
  case MDB_INVALID:
    return STATUS_CORRUPT;
  default:
    return STATUS_IO;
  }
}

enum status db_failed(struct store_txn *txn, int code)
{
  enum status status = db_status(code);

  if (txn->failed == STATUS_OK)
    txn->failed = status;
  if (status == STATUS_DISK_FULL)
    room_note_stuck(txn->store);
  return status;
}

/* Cursors of the write transaction stay open for it: a key near the last one costs no search. */
static int cursor_of(const struct store_txn *txn, enum table table, MDB_cursor **cursor)
{
  struct store_txn *own = &txn->store->write_txn;
  int code = MDB_SUCCESS;

  if (own->cursors[table] == NULL)
    code = mdb_cursor_open(txn->mdb, txn->store->tables[table], &own->cursors[table]);
  *cursor = own->cursors[table];
  return code;
}

static MDB_val val_of(const void *data, size_t size)
{
  /* LMDB takes no const pointers, but does not write through these. */
  return (MDB_val){size, (void *)(uintptr_t)data};
}

enum status db_get(const struct store_txn *txn, enum table table, const void *key, size_t key_size,
                   struct bytes_view *value)
{
  MDB_val k = val_of(key, key_size);
  MDB_val v = {0};
  MDB_cursor *cursor = NULL;
  int code;

  if (txn->writes) {
    code = cursor_of(txn, table, &cursor);
    if (code == MDB_SUCCESS)
      code = mdb_cursor_get(cursor, &k, &v, MDB_SET);
  } else {
    code = mdb_get(txn->mdb, txn->store->tables[table], &k, &v);
  }
  if (code == MDB_SUCCESS)
    *value = bytes_view_of(v.mv_data, v.mv_size);
  return db_status(code);
}

static enum status put_flagged(struct store_txn *txn, enum table table, const void *key,
                               size_t key_size, MDB_val *value, unsigned flags)
{
  MDB_val k = val_of(key, key_size);
  MDB_cursor *cursor = NULL;
  int code;

  CHECK(txn->writes);
  code = cursor_of(txn, table, &cursor);
  if (code == MDB_SUCCESS)
    code = mdb_cursor_put(cursor, &k, value, flags);
  return code == MDB_SUCCESS ? STATUS_OK : db_failed(txn, code);
}

enum status db_put(struct store_txn *txn, enum table table, const void *key, size_t key_size,
                   const void *value, size_t value_size)
{
  MDB_val v = val_of(value, value_size);

  return put_flagged(txn, table, key, key_size, &v, 0);
}

enum status db_append(struct store_txn *txn, enum table table, const void *key, size_t key_size,
                      const void *value, size_t value_size)
{
  MDB_val v = val_of(value, value_size);

  return put_flagged(txn, table, key, key_size, &v, MDB_APPEND);
}

enum status db_reserve(struct store_txn *txn, enum table table, const void *key, size_t key_size,
                       size_t value_size, uint8_t **value)
{
  MDB_val v = {value_size, NULL};
  enum status status = put_flagged(txn, table, key, key_size, &v, MDB_RESERVE);

  *value = v.mv_data;
  return status;
}

enum status db_delete(struct store_txn *txn, enum table table, const void *key, size_t key_size)
{
  MDB_val k = val_of(key, key_size);
  int code;

  CHECK(txn->writes);
  code = mdb_del(txn->mdb, txn->store->tables[table], &k, NULL);
  if (code == MDB_SUCCESS || code == MDB_NOTFOUND)
    return db_status(code);
  return db_failed(txn, code);
}

uint64_t db_count(const struct store_txn *txn, enum table table)
{
  MDB_stat stat = {0};

  if (mdb_stat(txn->mdb, txn->store->tables[table], &stat) != MDB_SUCCESS)
    return 0;
  return stat.ms_entries;
}

enum status db_walk_open(const struct store_txn *txn, enum table table, struct walk *walk)
{
  *walk = (struct walk){0};
  return db_status(mdb_cursor_open(txn->mdb, txn->store->tables[table], &walk->cursor));
}

static enum status walk_move(struct walk *walk, MDB_val k, MDB_cursor_op op)
{
  MDB_val v = {0};
  int code = mdb_cursor_get(walk->cursor, &k, &v, op);

  if (code == MDB_SUCCESS) {
    walk->key = bytes_view_of(k.mv_data, k.mv_size);
    walk->value = bytes_view_of(v.mv_data, v.mv_size);
  }
  return db_status(code);
}

enum status db_walk_from(struct walk *walk, const void *key, size_t key_size)
{
  if (key == NULL)
    return walk_move(walk, (MDB_val){0}, MDB_FIRST);
  return walk_move(walk, val_of(key, key_size), MDB_SET_RANGE);
}

enum status db_walk_next(struct walk *walk)
{
  return walk_move(walk, (MDB_val){0}, MDB_NEXT);
}

enum status db_walk_back(struct walk *walk)
{
  return walk_move(walk, (MDB_val){0}, MDB_PREV);
}

enum status db_walk_last(struct walk *walk)
{
  return walk_move(walk, (MDB_val){0}, MDB_LAST);
}

enum status db_walk_delete(struct store_txn *txn, struct walk *walk)
{
  int code = mdb_cursor_del(walk->cursor, 0);

  return code == MDB_SUCCESS ? STATUS_OK : db_failed(txn, code);
}

void db_walk_close(struct walk *walk)
{
  if (walk->cursor != NULL)
    mdb_cursor_close(walk->cursor);
  walk->cursor = NULL;
}

void scratch_close(struct scratch *scratch)
{
  ZSTD_freeDCtx(scratch->inflate);
  ZSTD_freeCCtx(scratch->deflate);
  arena_close(&scratch->arena);
  arena_close(&scratch->loader.arena);
  bytes_close(&scratch->octets);
  bytes_close(&scratch->frame);
  audience_close(&scratch->audience);
  *scratch = (struct scratch){0};
}

enum status store_begin(struct store *store, struct instant now, struct store_txn **out)
{
  struct store_txn *txn = &store->write_txn;
  int code;

  CHECK(!store->writing && !store->read_only);
  *txn = (struct store_txn){
      .store = store,
      .writes = true,
      .now = now,
      .scratch = &store->scratch,
      .counters_before = store->counters,
      .logs_before = store->log_count,
      .certificates_before = store->certificate_count,
      .neighbours_before = store->neighbour_count,
  };
  code = mdb_txn_begin(store->env, NULL, 0, &txn->mdb);
  if (code != MDB_SUCCESS)
    return db_status(code);
  store->writing = true;
  commit_parsed_forget(txn);
  room_note_disk(store, now);
  *out = txn;
  return STATUS_OK;
}

/* Brings every mirror back to where the transaction began. */
static void mirrors_rollback(struct store_txn *txn)
{
  struct store *store = txn->store;
  bool neighbours_came = store->neighbour_count != txn->neighbours_before;

  neighbours_rollback(txn);
  logs_rollback(txn);
  certificates_rollback(txn);
  if (neighbours_came)
    logs_direct(store);
  store->counters = txn->counters_before;
  store->history.count = 0;
  audience_cache_clear(&store->audiences);
  commit_parsed_forget(txn);
}

static void mirrors_keep(struct store *store)
{
  for (size_t i = 0; i < store->log_undo_count; i++)
    log_slot(store, store->log_undos[i].number)->dirty = false;
  for (size_t i = 0; i < store->neighbour_undo_count; i++)
    neighbour_slot(store, store->neighbour_undos[i].number)->dirty = false;
  store->log_undo_count = 0;
  store->neighbour_undo_count = 0;
}

enum status store_commit(struct store_txn *txn)
{
  struct store *store = txn->store;
  enum status status = txn->failed;

  CHECK(txn->writes && store->writing);
  if (status == STATUS_OK)
    status = logs_flush(txn);
  if (status == STATUS_OK)
    status = neighbours_flush(txn);
  if (status != STATUS_OK) {
    store_abort(txn);
    return status;
  }
  room_note_used(txn);
  status = db_status(mdb_txn_commit(txn->mdb));
  store->writing = false;
  if (status == STATUS_OK) {
    mirrors_keep(store);
    room_note_file(store);
  } else {
    if (status == STATUS_IO && room_is_used_up(store))
      status = STATUS_DISK_FULL;
    if (status == STATUS_DISK_FULL)
      room_note_stuck(store);
    mirrors_rollback(txn);
  }
  return status;
}

void store_abort(struct store_txn *txn)
{
  CHECK(txn->writes && txn->store->writing);
  mdb_txn_abort(txn->mdb);
  mirrors_rollback(txn);
  txn->store->writing = false;
}

enum status store_read_begin(struct store *store, struct store_txn **out)
{
  struct store_txn *txn = calloc(1, sizeof(*txn) + sizeof(struct scratch));
  int code;

  if (txn == NULL)
    return STATUS_NO_MEMORY;
  txn->store = store;
  txn->scratch = (struct scratch *)(txn + 1);
  code = mdb_txn_begin(store->env, NULL, MDB_RDONLY, &txn->mdb);
  if (code == MDB_READERS_FULL && mdb_reader_check(store->env, NULL) == MDB_SUCCESS)
    code = mdb_txn_begin(store->env, NULL, MDB_RDONLY, &txn->mdb);
  if (code != MDB_SUCCESS) {
    free(txn);
    return db_status(code);
  }
  *out = txn;
  return STATUS_OK;
}

void store_read_end(struct store_txn *txn)
{
  CHECK(!txn->writes);
  mdb_txn_abort(txn->mdb);
  scratch_close(txn->scratch);
  free(txn);
}
