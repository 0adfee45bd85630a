/*
 * Looking for what may go: a walk over all commits in bounded pieces. Heads are read without
 * decompressing; only what is old, waits in no outbox, and still has a value, or stands at the
 * start of its log, is opened.
 */
#include "trim_rules.h"

#define LOOK_HEADS_MAX 4096
#define LOOK_OPEN_MAX 64
#define LOOK_WANTS_MAX (8 * 1024) /* octets of what is asked for in one call, at the least */
#define WANT_OCTETS 6             /* of a record, beside its items */

struct look {
  const struct store_txn *txn;
  const struct trim_rule *rule;
  struct arena *arena;
  struct trim_result *result;
  struct trim_ask *asks;
  size_t count;
  size_t opened;
  size_t wants;
  uint32_t log;   /* at hand */
  uint64_t front; /* commits of the log up to here are gone or asked for */
};

enum look_step { LOOK_ON, LOOK_NEXT_LOG };

static bool look_is_full(const struct look *look)
{
  return look->count == TRIM_ASKS_MAX || look->opened >= LOOK_OPEN_MAX ||
         look->wants >= LOOK_WANTS_MAX;
}

/* What of one record is asked for; `*left` when a value stays all the same. */
static enum status want_make(struct look *look, const struct record *record, uint64_t seq,
                             struct trim_want *want, bool *any, bool *left)
{
  const struct log_slot *slot = log_slot(look->txn->store, look->log);
  struct bytes_view rest = record->items_octets;
  uint8_t *see = arena_alloc(look->arena, record->item_count);
  struct item item;
  bool rests;
  enum status status =
      trim_subject_rests(look->txn, &record->header.subject, look->rule->before, &rests);

  if (see == NULL)
    return STATUS_NO_MEMORY;
  memset(see, 0, record->item_count);
  if (!rests)
    look->result->stay_open++;
  for (unsigned i = 0; record_item_next(&rest, &item); i++) {
    bool enough = item.shown && !trim_kind_stays(record->header.kind) &&
                  trim_may_go(look->txn->store, slot, seq, item.see);
    if (item.shown && !enough)
      look->result->stay_few++;
    if (enough && rests)
      see[i] = item.see;
    *any = *any || see[i] != 0;
    *left = *left || !rests || (item.shown && see[i] == 0);
  }
  want->see = bytes_view_of(see, record->item_count);
  return status;
}

static enum status commit_open(struct look *look, uint64_t seq, const struct commit_value *value,
                               bool at_front)
{
  const struct log_slot *slot = log_slot(look->txn->store, look->log);
  struct trim_want *wants =
      arena_alloc(look->arena, ((size_t)value->shown_count + 1) * sizeof(*wants));
  const struct commit *commit;
  bool any = false;
  bool left = false;
  enum status status = commit_parsed(look->txn, look->log, seq, &commit);

  if (wants == NULL)
    return STATUS_NO_MEMORY;
  look->opened++;
  for (size_t i = 0; status == STATUS_OK && i < commit->shown_count; i++) {
    wants[i].index = (uint8_t)commit->indexes[i];
    status = want_make(look, &commit->records[i], seq, &wants[i], &any, &left);
  }
  if (status != STATUS_OK || (!any && (left || !at_front)))
    return status;
  look->asks[look->count++] = (struct trim_ask){
      .log = look->log,
      .id = slot->id,
      .seq = seq,
      .commit_id = value->id,
      .want_count = commit->shown_count,
      .wants = wants,
  };
  look->wants += 128;
  for (size_t i = 0; i < commit->shown_count; i++)
    look->wants += WANT_OCTETS + wants[i].see.size;
  if (at_front && !left && seq > look->front)
    look->front = seq;
  return STATUS_OK;
}

static enum status commit_look(struct look *look, uint64_t seq, struct bytes_view octets,
                               enum look_step *step)
{
  const struct log_slot *slot = log_slot(look->txn->store, look->log);
  struct commit_value value;
  bool empty;
  bool at_front;

  *step = LOOK_NEXT_LOG;
  if (!layout_commit_read(octets, &value))
    return STATUS_CORRUPT;
  if (value.arrived_at.ms >= look->rule->before.ms) {
    look->result->stay_young++;
    return STATUS_OK;
  }
  if (seq >= slot->pin) {
    look->result->stay_waiting++;
    return STATUS_OK;
  }
  *step = LOOK_ON;
  empty = value.shown_count == 0 || (value.flags & COMMIT_EMPTY);
  at_front =
      trim_place_may_go(look->txn->store, slot, seq, look->front, value.flags & COMMIT_ALL_SHOWN);
  if (empty && !at_front)
    return STATUS_OK;
  return commit_open(look, seq, &value, at_front);
}

/* On to the next log, or the next commit of this one. */
static enum status look_move(struct walk *walk, uint32_t log, enum look_step step)
{
  uint8_t key[COMMIT_KEY_SIZE];

  if (step == LOOK_ON)
    return db_walk_next(walk);
  layout_commit_key(log + 1, 0, key);
  return db_walk_from(walk, key, sizeof(key));
}

static enum status look_walk(struct look *look, struct walk *walk, struct trim_cursor *cursor)
{
  enum look_step step;
  enum status status;
  uint8_t key[COMMIT_KEY_SIZE];
  size_t left = LOOK_HEADS_MAX;

  layout_commit_key(cursor->log, cursor->seq, key);
  status = db_walk_from(walk, key, sizeof(key));
  while (status == STATUS_OK) {
    uint32_t log = be32_get(walk->key.data);
    if (walk->key.size != COMMIT_KEY_SIZE || log == 0 || log > look->txn->store->log_count)
      return STATUS_CORRUPT;
    *cursor = (struct trim_cursor){log, be64_get(walk->key.data + 4)};
    if (left-- == 0 || look_is_full(look))
      return STATUS_OK;
    if (look->log != log)
      look->front = log_slot(look->txn->store, log)->floor;
    look->log = log;
    status = commit_look(look, cursor->seq, walk->value, &step);
    if (status == STATUS_OK)
      status = look_move(walk, log, step);
  }
  return status;
}

enum status store_trim_find(const struct store_txn *txn, const struct trim_rule *rule,
                            struct trim_cursor *cursor, struct arena *arena, struct trim_ask *asks,
                            size_t *count, bool *done, struct trim_result *result)
{
  struct look look = {.txn = txn, .rule = rule, .arena = arena, .result = result, .asks = asks};
  struct walk walk;
  enum status status = db_walk_open(txn, TABLE_COMMITS, &walk);

  *done = false;
  *count = 0;
  /* Nothing above could hold it, or some child has not been given its history yet. */
  if ((txn->store->has_parent && trim_above_count(txn->store, SEE_ALL) < TRIM_HOLDERS_NEEDED) ||
      txn->store->counters.backfilling > 0)
    *done = true;
  else if (status == STATUS_OK)
    status = look_walk(&look, &walk, cursor);
  db_walk_close(&walk);
  *count = look.count;
  *done = *done || status == STATUS_NOT_FOUND;
  return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}
