#include "storage/backup.h"

#include "meta.h"

enum status store_copy(const struct store *store, int file)
{
  return db_status(mdb_env_copyfd2(store->env, file, MDB_CP_COMPACT));
}

static enum status renewal_put(struct store_txn *txn, const struct store_id *fresh)
{
  const struct store_id *before = &txn->store->identity.store;
  enum status status =
      db_put(txn, TABLE_META, META_PREVIOUS, strlen(META_PREVIOUS), before->octets, STORE_ID_SIZE);

  if (status == STATUS_OK)
    status = db_put(txn, TABLE_META, META_STORE, strlen(META_STORE), fresh->octets, STORE_ID_SIZE);
  if (status == STATUS_OK)
    status = store_meta_put(txn, STORE_COUNTER_TAKE_BACK, 1);
  if (status == STATUS_OK && txn->store->has_parent)
    status = store_meta_put(txn, STORE_COUNTER_RESTORED, 1);
  return status;
}

enum status store_renew(struct store *store, struct instant now, const struct store_id *fresh)
{
  struct store_txn *txn;
  enum status status = store_begin(store, now, &txn);

  if (status != STATUS_OK)
    return status;
  status = renewal_put(txn, fresh);
  if (status != STATUS_OK) {
    store_abort(txn);
    return status;
  }
  status = store_commit(txn);
  if (status == STATUS_OK)
    store->identity.store = *fresh;
  return status;
}

bool store_previous(const struct store_txn *txn, struct store_id *out)
{
  struct bytes_view value;

  if (db_get(txn, TABLE_META, META_PREVIOUS, strlen(META_PREVIOUS), &value) != STATUS_OK ||
      value.size != STORE_ID_SIZE)
    return false;
  memcpy(out->octets, value.data, STORE_ID_SIZE);
  return true;
}

enum status store_tombstones_each(const struct store_txn *txn, const struct tombstone *after,
                                  bool (*visit)(void *context, const struct tombstone *tombstone),
                                  void *context)
{
  struct walk walk;
  struct tombstone tombstone;
  uint8_t key[TOMBSTONE_KEY_SIZE] = {0};
  enum status status = db_walk_open(txn, TABLE_TOMBSTONES, &walk);

  if (after != NULL) {
    memcpy(key, after->leaf.octets, HASH_SIZE);
    key[HASH_SIZE] = after->position;
  }
  if (status == STATUS_OK)
    status = db_walk_from(&walk, key, sizeof(key));
  if (status == STATUS_OK && after != NULL && walk.key.size == sizeof(key) &&
      memcmp(walk.key.data, key, sizeof(key)) == 0)
    status = db_walk_next(&walk);
  while (status == STATUS_OK) {
    if (walk.key.size != TOMBSTONE_KEY_SIZE || walk.value.size != SUBJECT_SIZE) {
      status = STATUS_CORRUPT;
      break;
    }
    memcpy(tombstone.leaf.octets, walk.key.data, HASH_SIZE);
    tombstone.position = walk.key.data[HASH_SIZE];
    memcpy(tombstone.subject.octets, walk.value.data, SUBJECT_SIZE);
    if (!visit(context, &tombstone))
      break;
    status = db_walk_next(&walk);
  }
  db_walk_close(&walk);
  return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}
