/*
 * Floors: where a log begins whose first commits were let go, and the going of whole commits, with
 * what leads to their records (DESIGN section 5).
 */
#include "meta.h"

static void floor_key(uint32_t log, uint8_t key[4])
{
  be32_put(key, log);
}

enum status store_floor_get(const struct store_txn *txn, uint32_t log, struct log_floor *out)
{
  struct bytes_view value;
  uint8_t key[4];
  enum status status;

  *out = (struct log_floor){0};
  if (txn->store->floors_missing)
    return STATUS_NOT_FOUND;
  floor_key(log, key);
  status = db_get(txn, TABLE_FLOORS, key, sizeof(key), &value);
  if (status != STATUS_OK)
    return status;
  return layout_floor_read(value, out) ? STATUS_OK : STATUS_CORRUPT;
}

enum status floors_load(const struct store_txn *txn)
{
  struct store *store = txn->store;
  struct log_floor floor;
  enum status status = STATUS_OK;

  for (uint32_t i = 1; i <= store->log_count && status == STATUS_OK; i++) {
    status = store_floor_get(txn, i, &floor);
    if (status == STATUS_OK) {
      store->logs[i - 1].floor = floor.seq;
      store->logs[i - 1].floor_id = floor.commit_id;
    }
    status = status == STATUS_NOT_FOUND ? STATUS_OK : status;
  }
  return status;
}

static enum status floor_put(struct store_txn *txn, uint32_t log, const struct log_floor *floor)
{
  uint8_t key[4];
  uint8_t value[FLOOR_VALUE_MAX];
  struct log_slot *slot;
  enum status status = log_touch(txn, log);

  floor_key(log, key);
  if (status == STATUS_OK)
    status = meta_format_raise(txn);
  if (status == STATUS_OK)
    status = db_put(txn, TABLE_FLOORS, key, sizeof(key), value, layout_floor_write(floor, value));
  if (status != STATUS_OK)
    return status;
  pthread_mutex_lock(&txn->store->logs_lock);
  slot = log_slot(txn->store, log);
  slot->floor = floor->seq;
  slot->floor_id = floor->commit_id;
  pthread_mutex_unlock(&txn->store->logs_lock);
  return STATUS_OK;
}

static enum status ref_drop(struct store_txn *txn, const struct subject *subject,
                            const struct ref *gone)
{
  struct arena *arena = &txn->scratch->arena;
  struct subject_row row;
  struct ref *refs = NULL;
  size_t count = 0;
  enum status status = subject_row_get(txn, subject, &row);

  arena_reset(arena);
  if (status == STATUS_OK)
    status = subject_refs_load(txn, subject, &row, arena, &refs);
  if (status != STATUS_OK)
    return status == STATUS_NOT_FOUND ? STATUS_CORRUPT : status;
  for (size_t i = 0; i < row.records; i++) {
    if (refs[i].log != gone->log || refs[i].seq != gone->seq || refs[i].index != gone->index)
      refs[count++] = refs[i];
  }
  status = subject_refs_replace(txn, subject, &row, refs, count);
  row.flags |= SUBJECT_TRIMMED;
  if (status == STATUS_OK)
    status = subject_row_put(txn, subject, &row);
  return status;
}

static enum status floor_move(struct store_txn *txn, const struct commit *commit, uint32_t log,
                              const struct trim_holder *holders, size_t holder_count)
{
  static const uint8_t nothing[COMMIT_BITMAP_SIZE];
  struct bytes *octets = &txn->scratch->octets;
  struct log_floor floor = {
      .seq = commit->header.seq,
      .commit_id = commit->id,
      .at = txn->now.wall,
  };
  enum status status;

  for (size_t i = 0; i < holder_count && floor.proof_count < TRIM_FLOOR_PROOFS_MAX; i++)
    floor.proofs[floor.proof_count++] = holders[i].cosignature;
  bytes_clear(octets);
  status = commit_write_partial(commit, nothing, 0, &txn->scratch->arena, octets);
  floor.commit = bytes_as_view(octets);
  return status == STATUS_OK ? floor_put(txn, log, &floor) : status;
}

enum status commit_remove(struct store_txn *txn, uint32_t log, const struct commit *commit,
                          const struct trim_holder *holders, size_t holder_count)
{
  uint8_t key[COMMIT_KEY_SIZE];
  struct log_slot *slot;
  enum status status = STATUS_OK;

  for (size_t i = 0; i < commit->shown_count && status == STATUS_OK; i++) {
    struct ref ref = {log, commit->header.seq, (uint8_t)commit->indexes[i], 0};
    status = ref_drop(txn, &commit->records[i].header.subject, &ref);
  }
  layout_commit_key(log, commit->header.seq, key);
  if (status == STATUS_OK)
    status = db_delete(txn, TABLE_COMMITS, key, sizeof(key));
  if (status == STATUS_OK)
    status = log_touch(txn, log);
  if (status != STATUS_OK)
    return status;
  commit_parsed_forget(txn);
  pthread_mutex_lock(&txn->store->logs_lock);
  slot = log_slot(txn->store, log);
  slot->commits--;
  pthread_mutex_unlock(&txn->store->logs_lock);
  if (log_flows_up(txn->store, slot) && commit->header.seq == slot->floor + 1)
    status = floor_move(txn, commit, log, holders, holder_count);
  return status;
}

static enum status floor_take(struct store_txn *txn, uint32_t log, const struct commit *commit,
                              const struct bytes_view *proofs, size_t proof_count)
{
  struct log_floor floor = {
      .seq = commit->header.seq,
      .commit_id = commit->id,
      .at = txn->now.wall,
      .commit = commit->octets,
  };

  for (size_t i = 0; i < proof_count && i < TRIM_FLOOR_PROOFS_MAX; i++)
    floor.proofs[floor.proof_count++] = proofs[i];
  return floor_put(txn, log, &floor);
}

enum status store_floor_adopt(struct store_txn *txn, const struct commit *commit,
                              const struct bytes_view *proofs, size_t proof_count)
{
  const struct commit_header *header = &commit->header;
  struct log_id id = {header->origin, header->store, header->lane};
  uint32_t number = certificate_number(txn->store, &header->certificate);
  uint32_t log = log_number(txn->store, &id);
  struct log_slot *slot;
  enum status status = STATUS_OK;

  if (number == 0 || header->lane >= LANE_COUNT || header->seq == 0 || header->seq > SEQ_MAX ||
      commit->shown_count > 0 || commit->octets.size > FLOOR_COMMIT_MAX ||
      memcmp(txn->store->certificates[number - 1].key.octets, id.origin.octets, KEY_SIZE) != 0)
    return STATUS_INVALID_ARGUMENT;
  if (log != 0 && log_slot(txn->store, log)->seq >= header->seq)
    return STATUS_EXISTS;
  if (log == 0)
    status = log_put(txn, &id, number, &log);
  if (status == STATUS_OK)
    status = floor_take(txn, log, commit, proofs, proof_count);
  if (status != STATUS_OK)
    return status;
  pthread_mutex_lock(&txn->store->logs_lock);
  slot = log_slot(txn->store, log);
  slot->seq = header->seq;
  slot->commit_id = commit->id;
  slot->arrived_at = txn->now.wall;
  pthread_mutex_unlock(&txn->store->logs_lock);
  return STATUS_OK;
}
