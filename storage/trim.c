/*
 * Trimming one commit: what two above hold goes; a commit at the start of its log of which nothing
 * is left goes whole. Everything is judged again here, in the transaction that does it.
 */
#include "trim_rules.h"

#define INBOX_PRUNE_MAX 64
#define LEVEL_TRIMMED 1

struct trim {
  struct store_txn *txn;
  const struct trim_rule *rule;
  const struct trim_ask *ask;
  const struct trim_holder *holders;
  size_t holder_count;
  struct trim_result *result;
  struct commit commit; /* as held, then as it is after */
  bool left;            /* some value of it stays */
};

static const struct trim_want *want_of(const struct trim_ask *ask, unsigned index)
{
  for (size_t i = 0; i < ask->want_count; i++) {
    if (ask->wants[i].index == index)
      return &ask->wants[i];
  }
  return NULL;
}

/* Whether it is of a tier that may see such an item; each tier counts once. */
static bool holder_counts(const struct trim *trim, size_t place, unsigned see)
{
  const struct trim_holder *holder = &trim->holders[place];

  for (size_t i = 0; i < place; i++) {
    if (address_equal(&trim->holders[i].address, &holder->address))
      return false;
  }
  return trim_way_sees(trim->txn->store, see, &holder->address);
}

static bool enough_hold(const struct trim *trim, unsigned index, unsigned see)
{
  const struct store *store = trim->txn->store;
  unsigned count = 0;

  if (!store->has_parent)
    return trim->ask->seq <= log_slot(store, trim->ask->log)->backed;
  for (size_t i = 0; i < trim->holder_count; i++)
    count += bitmap_get(trim->holders[i].shown, index) && holder_counts(trim, i, see);
  return count >= TRIM_HOLDERS_NEEDED;
}

/* Items of a record that go now, a bit each. */
static uint64_t positions_going(struct trim *trim, const struct record *record, unsigned index)
{
  const struct trim_want *want = want_of(trim->ask, index);
  struct bytes_view rest = record->items_octets;
  struct item item;
  uint64_t positions = 0;

  for (unsigned i = 0; record_item_next(&rest, &item); i++) {
    if (!item.shown || want == NULL || i >= want->see.size || want->see.data[i] == 0)
      continue;
    if (want->see.data[i] == item.see && enough_hold(trim, index, item.see))
      positions |= 1ull << i;
    else
      trim->result->stay_unproven++;
  }
  return positions;
}

static enum status subject_note(struct store_txn *txn, const struct subject *subject)
{
  struct subject_row row;
  enum status status = subject_row_get(txn, subject, &row);

  if (status != STATUS_OK || (row.flags & SUBJECT_TRIMMED))
    return status == STATUS_NOT_FOUND ? STATUS_CORRUPT : status;
  row.flags |= SUBJECT_TRIMMED;
  return subject_row_put(txn, subject, &row);
}

/* The records' octets as they will be; `*changed` when any lost a value. */
static enum status records_trim(struct trim *trim, struct bytes_view *records, bool *changed,
                                bool *rest_all)
{
  const struct commit *commit = &trim->commit;
  enum status status = STATUS_OK;

  for (size_t i = 0; i < commit->shown_count && status == STATUS_OK; i++) {
    const struct record *record = &commit->records[i];
    uint64_t positions = 0;
    bool rests;
    records[i] = record->octets;
    status = trim_subject_rests(trim->txn, &record->header.subject, trim->rule->before, &rests);
    *rest_all = *rest_all && rests;
    if (status == STATUS_OK && rests && !trim_kind_stays(record->header.kind))
      positions = positions_going(trim, record, commit->indexes[i]);
    trim->result->items += (uint64_t)__builtin_popcountll(positions);
    *changed = *changed || positions != 0;
    trim->left = trim->left || positions != record_shown(record);
    if (status != STATUS_OK || positions == 0 || trim->rule->dry)
      continue;
    status = record_hide(record, positions, &trim->txn->store->arena, &records[i]);
    if (status == STATUS_OK)
      status = subject_note(trim->txn, &record->header.subject);
  }
  return status;
}

static enum status values_trim(struct trim *trim, const struct commit_value *value, bool *rest_all)
{
  struct bytes_view records[COMMIT_RECORDS_MAX];
  struct bytes_view frame;
  struct store_txn *txn = trim->txn;
  struct wall_ms arrived_at = value->arrived_at;
  uint32_t certificate = value->certificate;
  struct commit after;
  bool changed = false;
  enum status status = records_trim(trim, records, &changed, rest_all);

  if (status != STATUS_OK || !changed || trim->rule->dry)
    return status;
  status = commit_replace(txn, &trim->commit, records, &txn->store->arena, &after);
  if (status == STATUS_OK)
    status = commit_deflate(txn, after.octets, LEVEL_TRIMMED, &frame);
  if (status == STATUS_OK)
    status = commit_value_put(txn, trim->ask->log, &after, certificate, arrived_at, COMMIT_TRIMMED,
                              frame);
  commit_parsed_forget(txn);
  trim->commit = after;
  return status;
}

/* Whether two above hold every record of it, and it is next to go. */
static bool commit_may_go(const struct trim *trim)
{
  const struct commit *commit = &trim->commit;
  const struct log_slot *slot = log_slot(trim->txn->store, trim->ask->log);
  bool after_dry = trim->rule->dry && trim->result->dry_log == trim->ask->log;
  uint64_t floor = after_dry ? trim->result->dry_floor : slot->floor;
  size_t tiers = 0;

  if (trim->left || !trim_place_may_go(trim->txn->store, slot, commit->header.seq, floor,
                                       commit->shown_count == commit->header.count))
    return false;
  for (size_t i = 0; i < trim->holder_count; i++)
    tiers += holder_counts(trim, i, SEE_ALL);
  for (size_t i = 0; i < commit->shown_count; i++) {
    if (!enough_hold(trim, commit->indexes[i], SEE_ALL))
      return false;
  }
  return tiers >= TRIM_HOLDERS_NEEDED;
}

static enum status trim_judged(struct trim *trim, const struct commit_value *value)
{
  struct arena *arena = &trim->txn->store->arena;
  struct bytes_view octets;
  bool rest_all = true;
  enum status status;

  arena_reset(arena);
  status = commit_value_inflate(trim->txn, value, arena, &octets);
  if (status == STATUS_OK && commit_read_trusted(octets, arena, &trim->commit) != VERDICT_OK)
    status = STATUS_CORRUPT;
  if (status == STATUS_OK)
    status = values_trim(trim, value, &rest_all);
  if (status != STATUS_OK || !rest_all || !commit_may_go(trim))
    return status;
  trim->result->commits++;
  trim->result->records += trim->commit.shown_count;
  if (trim->rule->dry) {
    trim->result->dry_log = trim->ask->log;
    trim->result->dry_floor = trim->ask->seq;
    return STATUS_OK;
  }
  status =
      commit_remove(trim->txn, trim->ask->log, &trim->commit, trim->holders, trim->holder_count);
  return status == STATUS_OK ? inbox_prune(trim->txn, INBOX_PRUNE_MAX) : status;
}

enum status store_trim_apply(struct store_txn *txn, const struct trim_rule *rule,
                             const struct trim_ask *ask, const struct trim_holder *holders,
                             size_t holder_count, struct trim_result *result)
{
  struct trim trim = {
      .txn = txn,
      .rule = rule,
      .ask = ask,
      .holders = holders,
      .holder_count = holder_count,
      .result = result,
  };
  const struct log_slot *slot;
  struct commit_value value;
  enum status status;

  if (ask->log == 0 || ask->log > txn->store->log_count)
    return STATUS_INVALID_ARGUMENT;
  slot = log_slot(txn->store, ask->log);
  status = commit_value_get(txn, ask->log, ask->seq, &value);
  if (status == STATUS_NOT_FOUND)
    return STATUS_OK;
  if (status != STATUS_OK || !hash_equal(&value.id, &ask->commit_id) ||
      value.arrived_at.ms >= rule->before.ms || ask->seq >= slot->pin)
    return status;
  status = trim_judged(&trim, &value);
  if (status != STATUS_OK && txn->failed == STATUS_OK && !rule->dry)
    txn->failed = status;
  return status;
}

bool store_trim_needs_word(const struct store *store)
{
  return store->has_parent;
}

/* Every item asked for is here as a value, and no other was let go. */
static bool record_holds(const struct record *record, struct bytes_view see, bool trimmed)
{
  struct bytes_view rest = record->items_octets;
  struct item item;
  unsigned i = 0;

  if (see.size > record->item_count || (trimmed && record->hidden_count > 0))
    return false;
  for (; record_item_next(&rest, &item); i++) {
    if (i < see.size && see.data[i] != 0 && !item.shown)
      return false;
  }
  return true;
}

enum status store_trim_holds(const struct store_txn *txn, const struct trim_ask *ask,
                             uint16_t neighbour, bool *held, uint8_t shown[COMMIT_BITMAP_SIZE],
                             size_t *octets)
{
  uint8_t concerned[COMMIT_BITMAP_SIZE];
  unsigned own = address_class(&txn->store->identity.address);
  const struct commit *commit;
  struct commit_value value;
  struct log_head head;
  size_t place;
  enum status status;

  *held = false;
  memset(shown, 0, COMMIT_BITMAP_SIZE);
  if (!store_log_find(txn->store, &ask->id, &head))
    return STATUS_OK;
  status = commit_value_get(txn, head.number, ask->seq, &value);
  if (status == STATUS_OK && hash_equal(&value.id, &ask->commit_id))
    status = commit_parsed(txn, head.number, ask->seq, &commit);
  else
    return status == STATUS_NOT_FOUND ? STATUS_OK : status;
  if (status == STATUS_OK)
    status = commit_shown_to(txn, head.number, commit, neighbour, concerned);
  if (status != STATUS_OK)
    return status;
  *held = true;
  *octets = (commit->header.count + 7u) / 8;
  for (size_t i = 0; i < ask->want_count; i++) {
    uint8_t wanted[RECORD_ITEMS_MAX] = {0};
    struct bytes_view see = ask->wants[i].see;
    if (see.size > RECORD_ITEMS_MAX)
      continue;
    for (size_t j = 0; j < see.size; j++)
      wanted[j] = (see.data[j] & own) != 0;
    see = bytes_view_of(wanted, see.size);
    if (bitmap_get(concerned, ask->wants[i].index) &&
        commit_place(commit, ask->wants[i].index, &place) &&
        record_holds(&commit->records[place], see, value.flags & COMMIT_TRIMMED))
      bitmap_set(shown, ask->wants[i].index);
  }
  return STATUS_OK;
}
