/* Outboxes: entries by position, their tags, and what is pending (DESIGN section 6). */
#include "state.h"

/* About what a part of a commit costs besides its share of the records: header and hashes. */
#define PARTIAL_BYTES 200

static uint32_t wire_bytes(const struct commit_value *value, unsigned records)
{
  if (records >= value->shown_count)
    return (uint32_t)value->frame.size;
  return (uint32_t)(PARTIAL_BYTES + value->frame.size * records / value->shown_count);
}

enum status outbox_push(struct store_txn *txn, uint16_t neighbour, unsigned lane, uint32_t log,
                        uint64_t seq, const struct commit_value *value, const uint8_t *shown)
{
  struct neighbour_slot *slot = neighbour_slot(txn->store, neighbour);
  struct neighbour_lane *state = &slot->state.lanes[lane];
  struct outbox_entry entry = {.log = log, .seq = seq, .queued_at = txn->now.wall};
  uint8_t key[OUTBOX_KEY_SIZE];
  uint8_t octets[OUTBOX_VALUE_MAX];
  enum status status = neighbour_touch(txn, neighbour);

  if (status != STATUS_OK)
    return status;
  memcpy(entry.shown, shown, sizeof(entry.shown));
  entry.records = (uint16_t)bitmap_count(shown);
  entry.all = entry.records == value->count;
  entry.bytes = wire_bytes(value, entry.records);
  memcpy(entry.tag, state->end_tag, sizeof(entry.tag));
  hash_tag_next(entry.tag, &value->id);
  layout_outbox_key(neighbour, lane, state->end_position + 1, key);
  status = db_put(txn, TABLE_OUTBOX, key, sizeof(key), octets, layout_outbox_write(&entry, octets));
  if (status != STATUS_OK)
    return status;
  pins_lower(txn->store, log, seq);
  state->end_position++;
  memcpy(state->end_tag, entry.tag, sizeof(entry.tag));
  if (state->pending_commits == 0)
    state->oldest_at = entry.queued_at;
  state->pending_commits++;
  state->pending_records += entry.records;
  state->pending_bytes += entry.bytes;
  return STATUS_OK;
}

static bool key_in_lane(struct bytes_view key, uint16_t neighbour, unsigned lane)
{
  return key.size == OUTBOX_KEY_SIZE && be16_get(key.data) == neighbour && key.data[2] == lane;
}

static uint64_t less(uint64_t value, uint64_t by)
{
  return value > by ? value - by : 0;
}

static void entry_gone(struct neighbour_lane *state, const struct outbox_entry *entry,
                       uint64_t position)
{
  state->acked_position = position;
  memcpy(state->acked_tag, entry->tag, sizeof(entry->tag));
  state->pending_commits = less(state->pending_commits, 1);
  state->pending_records = less(state->pending_records, entry->records);
  state->pending_bytes = less(state->pending_bytes, entry->bytes);
}

/* The parent holds the commit now, and with it all before it in its log. */
static enum status parent_holds(struct store_txn *txn, unsigned lane,
                                const struct outbox_entry *entry)
{
  struct log_slot *slot;
  enum status status;

  if (entry->log == 0 || entry->log > txn->store->log_count)
    return STATUS_CORRUPT;
  slot = log_slot(txn->store, entry->log);
  if (slot->id.lane != lane || entry->seq <= slot->seq_parent)
    return STATUS_OK;
  status = log_touch(txn, entry->log);
  if (status == STATUS_OK)
    slot->seq_parent = entry->seq;
  return status;
}

enum status outbox_load(const struct store_txn *txn)
{
  struct store *store = txn->store;
  struct outbox_entry entry;
  struct walk walk;
  uint8_t key[OUTBOX_KEY_SIZE];
  enum status status = db_walk_open(txn, TABLE_OUTBOX, &walk);

  layout_outbox_key(NEIGHBOUR_PARENT, 0, 0, key);
  if (status == STATUS_OK)
    status = db_walk_from(&walk, key, sizeof(key));
  while (status == STATUS_OK && walk.key.size == OUTBOX_KEY_SIZE &&
         be16_get(walk.key.data) == NEIGHBOUR_PARENT) {
    /* Damage is for verify to tell, and for whoever reads the entry. */
    if (layout_outbox_read(walk.value, &entry) && entry.log > 0 && entry.log <= store->log_count) {
      struct log_slot *slot = log_slot(store, entry.log);
      if (slot->id.lane == walk.key.data[2] && entry.seq <= slot->seq_parent)
        slot->seq_parent = entry.seq - 1;
    }
    status = db_walk_next(&walk);
  }
  db_walk_close(&walk);
  return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}

static enum status lane_ack(struct store_txn *txn, uint16_t neighbour, unsigned lane,
                            uint64_t position)
{
  struct neighbour_lane *state;
  struct outbox_entry entry;
  struct walk walk = {0};
  uint8_t key[OUTBOX_KEY_SIZE];
  enum status status;

  if (store_neighbour(txn->store, neighbour) == NULL || lane >= LANE_COUNT)
    return STATUS_INVALID_ARGUMENT;
  state = &neighbour_slot(txn->store, neighbour)->state.lanes[lane];
  if (position <= state->acked_position)
    return STATUS_OK;
  if (position > state->end_position)
    return STATUS_INVALID_ARGUMENT;
  layout_outbox_key(neighbour, lane, 0, key);
  status = neighbour_touch(txn, neighbour);
  if (status == STATUS_OK)
    status = db_walk_open(txn, TABLE_OUTBOX, &walk);
  if (status == STATUS_OK)
    status = db_walk_from(&walk, key, sizeof(key));
  while (status == STATUS_OK && key_in_lane(walk.key, neighbour, lane)) {
    uint64_t at = be64_get(walk.key.data + 3);
    if (!layout_outbox_read(walk.value, &entry)) {
      status = STATUS_CORRUPT;
      break;
    }
    if (at > position) {
      state->oldest_at = entry.queued_at;
      break;
    }
    if (neighbour == NEIGHBOUR_PARENT)
      status = parent_holds(txn, lane, &entry);
    if (status == STATUS_OK)
      status = db_walk_delete(txn, &walk);
    if (status == STATUS_OK) {
      entry_gone(state, &entry, at);
      status = db_walk_next(&walk);
    }
  }
  db_walk_close(&walk);
  if (status == STATUS_NOT_FOUND)
    status = STATUS_OK;
  if (state->pending_commits == 0)
    state->oldest_at.ms = 0;
  if (status == STATUS_OK && state->acked_position != position)
    status = STATUS_CORRUPT;
  return status;
}

/* A lane of which nothing was ever sent has nothing to be acknowledged. */
static enum status lane_level(struct store_txn *txn, uint16_t neighbour, unsigned lane)
{
  struct neighbour_slot *slot = neighbour_slot(txn->store, neighbour);
  bool all = true;
  enum status status = neighbour_touch(txn, neighbour);

  slot->level |= (uint8_t)(1u << lane);
  for (unsigned i = 0; i < LANE_COUNT; i++)
    all = all && ((slot->level >> i & 1) || slot->state.lanes[i].end_position == 0);
  if (all)
    slot->state.dropped = false;
  return status;
}

enum status store_outbox_ack(struct store_txn *txn, uint16_t neighbour, unsigned lane,
                             uint64_t position)
{
  const struct neighbour *state = store_neighbour(txn->store, neighbour);
  enum status status = lane_ack(txn, neighbour, lane, position);

  if (status == STATUS_OK && state->dropped && position >= state->lanes[lane].acked_position)
    status = lane_level(txn, neighbour, lane);
  return status;
}

enum status store_outbox_drop(struct store_txn *txn, uint16_t neighbour, uint64_t entries_max,
                              bool *done)
{
  struct neighbour_slot *slot;
  enum status status;

  if (store_neighbour(txn->store, neighbour) == NULL || neighbour == NEIGHBOUR_PARENT)
    return STATUS_INVALID_ARGUMENT;
  status = neighbour_touch(txn, neighbour);
  slot = neighbour_slot(txn->store, neighbour);
  slot->state.dropped = true;
  slot->level = 0;
  *done = true;
  for (unsigned i = 0; i < LANE_COUNT && status == STATUS_OK; i++) {
    const struct neighbour_lane *lane = &slot->state.lanes[i];
    uint64_t left = lane->end_position - lane->acked_position;
    uint64_t count = left < entries_max ? left : entries_max;
    *done = *done && count == left;
    status = lane_ack(txn, neighbour, i, lane->acked_position + count);
  }
  return status;
}

bool store_outbox_tag(const struct store_txn *txn, uint16_t neighbour, unsigned lane,
                      uint64_t position, uint8_t tag[16])
{
  struct neighbour state;
  struct outbox_entry entry;
  struct bytes_view value;
  uint8_t key[OUTBOX_KEY_SIZE];

  if (lane >= LANE_COUNT || neighbour_get(txn, neighbour, &state) != STATUS_OK)
    return false;
  if (position == state.lanes[lane].acked_position) {
    memcpy(tag, state.lanes[lane].acked_tag, 16);
    return true;
  }
  if (position < state.lanes[lane].acked_position || position > state.lanes[lane].end_position)
    return false;
  layout_outbox_key(neighbour, lane, position, key);
  if (db_get(txn, TABLE_OUTBOX, key, sizeof(key), &value) != STATUS_OK ||
      !layout_outbox_read(value, &entry))
    return false;
  memcpy(tag, entry.tag, 16);
  return true;
}

static enum status entry_read(const struct store_txn *txn, struct bytes_view octets,
                              unsigned class_bit, struct arena *arena, struct outgoing *out)
{
  struct outbox_entry entry;
  struct commit_value value;
  enum status status;

  if (!layout_outbox_read(octets, &entry))
    return STATUS_CORRUPT;
  status = commit_value_get(txn, entry.log, entry.seq, &value);
  if (status == STATUS_OK)
    status = outgoing_write(txn, &value, entry.all ? NULL : entry.shown, class_bit, arena, out);
  memcpy(out->tag, entry.tag, sizeof(out->tag));
  return status == STATUS_NOT_FOUND ? STATUS_CORRUPT : status;
}

enum status store_outbox_read(const struct store_txn *txn, uint16_t neighbour, unsigned lane,
                              uint64_t from, size_t bytes_max, size_t count_max,
                              struct arena *arena, struct outgoing *out, size_t *count)
{
  struct neighbour state;
  struct walk walk = {0};
  uint8_t key[OUTBOX_KEY_SIZE];
  size_t bytes = 0;
  enum status status = neighbour_get(txn, neighbour, &state);

  *count = 0;
  layout_outbox_key(neighbour, lane, from, key);
  if (status == STATUS_OK)
    status = db_walk_open(txn, TABLE_OUTBOX, &walk);
  if (status == STATUS_OK)
    status = db_walk_from(&walk, key, sizeof(key));
  while (status == STATUS_OK && *count < count_max && (bytes < bytes_max || *count == 0) &&
         key_in_lane(walk.key, neighbour, lane)) {
    struct outgoing *entry = &out[*count];
    entry->position = be64_get(walk.key.data + 3);
    status = entry_read(txn, walk.value, address_class(&state.address), arena, entry);
    if (status != STATUS_OK || (*count > 0 && bytes + entry->zstd.size > bytes_max))
      break;
    bytes += entry->zstd.size;
    (*count)++;
    status = db_walk_next(&walk);
  }
  db_walk_close(&walk);
  return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}
