/*
 * What a confirmed backup holds of each log: at the district this stands for the word of two above
 * (DESIGN section 5). A commit that shows more than it did is no longer held by it.
 */
#include <stdlib.h>

#include "state.h"

#define BACKED_KEY_SIZE (sizeof(META_BACKED) - 1 + 4)

static void backed_key(uint32_t log, uint8_t key[BACKED_KEY_SIZE])
{
  memcpy(key, META_BACKED, sizeof(META_BACKED) - 1);
  be32_put(key + sizeof(META_BACKED) - 1, log);
}

enum status backed_load(const struct store_txn *txn)
{
  struct store *store = txn->store;
  struct bytes_view value;
  uint8_t key[BACKED_KEY_SIZE];
  enum status status = STATUS_OK;

  for (uint32_t i = 1; !store->has_parent && i <= store->log_count && status == STATUS_OK; i++) {
    backed_key(i, key);
    status = db_get(txn, TABLE_META, key, sizeof(key), &value);
    if (status == STATUS_OK && value.size != 8)
      status = STATUS_CORRUPT;
    if (status == STATUS_OK)
      store->logs[i - 1].backed = le_get(value.data, 8);
    status = status == STATUS_NOT_FOUND ? STATUS_OK : status;
  }
  return status;
}

static enum status backed_put(struct store_txn *txn, uint32_t log, uint64_t seq)
{
  uint8_t key[BACKED_KEY_SIZE];
  uint8_t value[8];
  enum status status = log_touch(txn, log);

  backed_key(log, key);
  le_put(value, seq, sizeof(value));
  if (status == STATUS_OK)
    status = db_put(txn, TABLE_META, key, sizeof(key), value, sizeof(value));
  if (status == STATUS_OK)
    log_slot(txn->store, log)->backed = seq;
  return status;
}

enum status backed_lower(struct store_txn *txn, uint32_t log, uint64_t seq)
{
  struct log_slot *slot = log_slot(txn->store, log);

  /* Not undone by an abort: a backup then counts for less than it holds. */
  if (slot->backed_max >= seq)
    slot->backed_max = seq - 1;
  return slot->backed >= seq ? backed_put(txn, log, seq - 1) : STATUS_OK;
}

enum status store_backup_heads(struct store *store, uint64_t **seqs, uint32_t *count)
{
  uint64_t *heads = calloc((size_t)store->log_count + 1, sizeof(*heads));

  if (heads == NULL)
    return STATUS_NO_MEMORY;
  for (uint32_t i = 0; i < store->log_count; i++) {
    heads[i] = store->logs[i].seq;
    store->logs[i].backed_max = heads[i];
  }
  *seqs = heads;
  *count = store->log_count;
  return STATUS_OK;
}

enum status store_backup_confirm(struct store_txn *txn, const uint64_t *seqs, uint32_t count)
{
  enum status status = STATUS_OK;

  for (uint32_t i = 1; i <= count && i <= txn->store->log_count && status == STATUS_OK; i++) {
    const struct log_slot *slot = log_slot(txn->store, i);
    uint64_t seq = seqs[i - 1] < slot->backed_max ? seqs[i - 1] : slot->backed_max;
    if (seq > slot->backed)
      status = backed_put(txn, i, seq);
  }
  return status;
}
