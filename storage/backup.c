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
