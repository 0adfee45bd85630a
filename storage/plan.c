/*
 * The plan of one commit taken in: which of its records go to which neighbour now, and which
 * records of other commits (history) go along. Both end as outbox entries.
 */
#include <stdlib.h>

#include "state.h"

bool neighbour_takes(const struct neighbour_slot *slot, const struct subject *subject)
{
  return slot->state.backfilled ||
         memcmp(subject->octets, slot->backfill.octets, SUBJECT_SIZE) <= 0;
}

enum status plan_begin(struct store_txn *txn)
{
  struct plan *plan = &txn->store->plan;
  size_t needed = (size_t)txn->store->neighbour_count + 1;
  uint16_t *places;

  if (plan->places_capacity < needed) {
    places = realloc(plan->places, needed * sizeof(*places));
    if (places == NULL)
      return STATUS_NO_MEMORY;
    memset(places + plan->places_capacity, 0, (needed - plan->places_capacity) * sizeof(*places));
    plan->places = places;
    plan->places_capacity = needed;
  }
  for (size_t i = 0; i < plan->count; i++)
    plan->places[plan->entries[i].neighbour] = 0;
  plan->count = 0;
  txn->store->history.count = 0;
  return STATUS_OK;
}

enum status plan_add(struct store_txn *txn, uint16_t neighbour, const uint8_t *shown)
{
  struct plan *plan = &txn->store->plan;
  struct plan_entry *entry;

  if (plan->places[neighbour] == 0) {
    if (plan->count == plan->capacity) {
      size_t capacity = plan->capacity == 0 ? 8 : plan->capacity * 2;
      struct plan_entry *entries = realloc(plan->entries, capacity * sizeof(*entries));
      if (entries == NULL)
        return STATUS_NO_MEMORY;
      plan->entries = entries;
      plan->capacity = capacity;
    }
    plan->entries[plan->count++] = (struct plan_entry){.neighbour = neighbour};
    plan->places[neighbour] = (uint16_t)plan->count;
  }
  entry = &plan->entries[plan->places[neighbour] - 1];
  for (size_t i = 0; i < COMMIT_BITMAP_SIZE; i++)
    entry->shown[i] |= shown[i];
  return STATUS_OK;
}

enum status plan_queue(struct store_txn *txn, const struct arrival *arrival, bool always_up)
{
  static const uint8_t nothing[COMMIT_BITMAP_SIZE];
  const struct commit *commit = arrival->commit;
  struct plan *plan = &txn->store->plan;
  struct commit_value value;
  enum status status = STATUS_OK;

  if (always_up)
    status = plan_add(txn, NEIGHBOUR_PARENT, nothing);
  if (status != STATUS_OK || plan->count == 0)
    return status;
  status = commit_value_get(txn, arrival->log, commit->header.seq, &value);
  for (size_t i = 0; i < plan->count && status == STATUS_OK; i++)
    status = outbox_push(txn, plan->entries[i].neighbour, commit->header.lane, arrival->log,
                         commit->header.seq, &value, plan->entries[i].shown);
  return status;
}

static int item_compare(const void *a, const void *b)
{
  const struct history_item *x = a;
  const struct history_item *y = b;

  if (x->neighbour != y->neighbour)
    return x->neighbour < y->neighbour ? -1 : 1;
  if (x->lane != y->lane)
    return x->lane < y->lane ? -1 : 1;
  if (x->log != y->log)
    return x->log < y->log ? -1 : 1;
  if (x->seq != y->seq)
    return x->seq < y->seq ? -1 : 1;
  return (int)x->index - (int)y->index;
}

static bool same_entry(const struct history_item *a, const struct history_item *b)
{
  return a->neighbour == b->neighbour && a->lane == b->lane && a->log == b->log && a->seq == b->seq;
}

enum status history_queue(struct store_txn *txn)
{
  struct history *history = &txn->store->history;
  const struct history_item *items = history->items;
  struct commit_value value;
  enum status status = STATUS_OK;

  if (history->count > 1)
    qsort(history->items, history->count, sizeof(*items), item_compare);
  for (size_t i = 0, end; i < history->count && status == STATUS_OK; i = end) {
    uint8_t shown[COMMIT_BITMAP_SIZE] = {0};
    for (end = i; end < history->count && same_entry(&items[i], &items[end]); end++)
      bitmap_set(shown, items[end].index);
    status = commit_value_get(txn, items[i].log, items[i].seq, &value);
    if (status == STATUS_NOT_FOUND)
      status = STATUS_CORRUPT;
    if (status == STATUS_OK)
      status = outbox_push(txn, items[i].neighbour, items[i].lane, items[i].log, items[i].seq,
                           &value, shown);
  }
  history->count = 0;
  return status;
}

enum status history_add(struct store_txn *txn, const struct arrival *arrival, uint16_t neighbour,
                        const struct ref *ref, unsigned lane)
{
  struct history *history = &txn->store->history;
  const struct log_slot *slot;
  enum status status = STATUS_OK;

  if (ref->log == 0 || ref->log > txn->store->log_count)
    return STATUS_CORRUPT;
  slot = log_slot(txn->store, ref->log);
  if (slot->direction == neighbour ||
      (arrival != NULL && arrival->back && neighbour == NEIGHBOUR_PARENT))
    return STATUS_OK;
  if (neighbour == NEIGHBOUR_PARENT && ref->seq > slot->seq_parent)
    lane = slot->id.lane;
  if (arrival != NULL && ref->log == arrival->log && ref->seq == arrival->commit->header.seq) {
    uint8_t shown[COMMIT_BITMAP_SIZE] = {0};
    bitmap_set(shown, ref->index);
    return plan_add(txn, neighbour, shown);
  }
  if (history->count == HISTORY_ITEMS_MAX)
    status = history_queue(txn);
  if (status == STATUS_OK && history->count == history->capacity) {
    size_t capacity = history->capacity == 0 ? 256 : history->capacity * 2;
    struct history_item *items = realloc(history->items, capacity * sizeof(*items));
    if (items == NULL)
      return STATUS_NO_MEMORY;
    history->items = items;
    history->capacity = capacity;
  }
  if (status == STATUS_OK)
    history->items[history->count++] = (struct history_item){
        .seq = ref->seq,
        .log = ref->log,
        .neighbour = neighbour,
        .lane = (uint8_t)lane,
        .index = ref->index,
    };
  return status;
}
