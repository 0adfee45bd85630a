/*
 * Backfill: a new child gets the history of every subject that concerns it, in steps. A cursor
 * over the subjects is kept in the neighbour's row; apply leaves what lies above it to us.
 */
#include "state.h"

/* The lane of each record's own commit: nobody's record widened anything. */
static enum status subject_queue(struct store_txn *txn, const struct neighbour_slot *slot,
                                 const struct subject *subject, const struct subject_row *row)
{
  struct arena *arena = &txn->scratch->arena;
  struct ref *refs = NULL;
  bool concerned = false;
  enum status status = audience_concerns(txn, row->audience, &slot->state, &concerned);

  if (status != STATUS_OK || !concerned)
    return status;
  if (row->flags & SUBJECT_TRIMMED)
    status = history_want(txn, subject);
  if (status != STATUS_OK)
    return status;
  arena_reset(arena);
  status = subject_refs_load(txn, subject, row, arena, &refs);
  for (size_t i = 0; status == STATUS_OK && i < row->records; i++) {
    if (refs[i].flags & REF_MARKED)
      continue;
    if (refs[i].log == 0 || refs[i].log > txn->store->log_count)
      return STATUS_CORRUPT;
    status = history_add(txn, NULL, slot->state.number, &refs[i],
                         log_slot(txn->store, refs[i].log)->id.lane);
  }
  return status;
}

/* Goes on past the cursor; what is left of `*budget` is for the next neighbour. */
static enum status neighbour_step(struct store_txn *txn, struct neighbour_slot *slot,
                                  size_t *budget)
{
  struct subject_row row;
  struct subject at;
  struct walk walk;
  enum status status = db_walk_open(txn, TABLE_SUBJECTS, &walk);

  if (status == STATUS_OK)
    status = db_walk_from(&walk, slot->backfill.octets, SUBJECT_SIZE);
  if (status == STATUS_OK && walk.key.size == SUBJECT_SIZE &&
      memcmp(walk.key.data, slot->backfill.octets, SUBJECT_SIZE) == 0)
    status = db_walk_next(&walk);
  while (status == STATUS_OK && *budget > 0) {
    if (walk.key.size != SUBJECT_SIZE || !layout_subject_read(walk.value, &row)) {
      status = STATUS_CORRUPT;
      break;
    }
    memcpy(at.octets, walk.key.data, SUBJECT_SIZE);
    status = subject_queue(txn, slot, &at, &row);
    if (status != STATUS_OK)
      break;
    slot->backfill = at;
    (*budget)--;
    status = db_walk_next(&walk);
  }
  db_walk_close(&walk);
  if (status == STATUS_NOT_FOUND) {
    slot->state.backfilled = true;
    txn->store->counters.backfilling--;
    status = STATUS_OK;
  }
  return status;
}

enum status store_backfill_step(struct store_txn *txn, size_t subjects_max, bool *done)
{
  struct store *store = txn->store;
  enum status status = STATUS_OK;

  store->history.count = 0;
  for (uint16_t i = 1; i <= store->neighbour_count && status == STATUS_OK; i++) {
    struct neighbour_slot *slot = neighbour_slot(store, i);
    if (store->counters.backfilling == 0 || subjects_max == 0)
      break;
    if (slot->state.backfilled)
      continue;
    status = neighbour_touch(txn, i);
    if (status == STATUS_OK)
      status = neighbour_step(txn, slot, &subjects_max);
  }
  if (status == STATUS_OK)
    status = history_queue(txn);
  *done = store->counters.backfilling == 0;
  if (status != STATUS_OK && txn->failed == STATUS_OK)
    txn->failed = status;
  return status;
}
