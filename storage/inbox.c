/* Inbox: records that name this node as a target, numbered by arrival. */
#include "state.h"
#include "storage/subjects.h"

enum status inbox_put(struct store_txn *txn, const struct ref *ref)
{
  uint8_t key[8];
  uint8_t value[REF_SIZE];

  be64_put(key, ++txn->store->counters.inbox_last);
  layout_ref_write(ref, value);
  return db_append(txn, TABLE_INBOX, key, sizeof(key), value, sizeof(value));
}

/* Its commit was let go. */
static bool ref_is_gone(const struct store_txn *txn, const struct ref *ref)
{
  struct commit_value value;
  struct log_head head;

  return log_get(txn, ref->log, &head) == STATUS_OK && (!head.gapless || ref->seq <= head.floor) &&
         commit_value_get(txn, ref->log, ref->seq, &value) == STATUS_NOT_FOUND;
}

enum status inbox_prune(struct store_txn *txn, size_t count_max)
{
  struct walk walk;
  struct ref ref;
  enum status status = db_walk_open(txn, TABLE_INBOX, &walk);

  if (status == STATUS_OK)
    status = db_walk_from(&walk, NULL, 0);
  for (; status == STATUS_OK && count_max > 0 && walk.value.size == REF_SIZE; count_max--) {
    ref = layout_ref_read(walk.value.data);
    if (!ref_is_gone(txn, &ref) || be64_get(walk.key.data) == txn->store->counters.inbox_last)
      break;
    status = db_walk_delete(txn, &walk);
    if (status == STATUS_OK)
      status = db_walk_next(&walk);
  }
  db_walk_close(&walk);
  return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}

enum status store_inbox_each(const struct store_txn *txn, uint64_t after, size_t count_max,
                             struct arena *arena,
                             bool (*visit)(void *context, const struct inbox_entry *entry),
                             void *context)
{
  struct inbox_entry entry;
  struct ref ref;
  struct walk walk;
  uint8_t key[8];
  enum status status = db_walk_open(txn, TABLE_INBOX, &walk);

  be64_put(key, after + 1);
  if (after == UINT64_MAX)
    count_max = 0;
  if (status == STATUS_OK)
    status = db_walk_from(&walk, key, sizeof(key));
  for (; status == STATUS_OK && count_max > 0; count_max--) {
    if (walk.key.size != 8 || walk.value.size != REF_SIZE) {
      status = STATUS_CORRUPT;
      break;
    }
    entry.number = be64_get(walk.key.data);
    ref = layout_ref_read(walk.value.data);
    status = held_record_read(txn, &ref, arena, &entry.record);
    if (status == STATUS_CORRUPT && !ref_is_gone(txn, &ref))
      break;
    if (status != STATUS_CORRUPT && (status != STATUS_OK || !visit(context, &entry)))
      break;
    status = db_walk_next(&walk);
  }
  db_walk_close(&walk);
  return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}
