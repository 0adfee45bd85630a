/*
 * Quarantine and refusals: what a neighbour sent that we don't take, and what it didn't take of
 * ours. Both are bounded for each neighbour (DESIGN section 6, "Faults stay small").
 */
#include "meta.h"
#include "state.h"

/* Past the maximum a neighbour's commits are only counted, under the log id of all zeros. */
static const struct log_id overflow_log;

static bool key_of_neighbour(struct bytes_view key, uint16_t neighbour)
{
  return key.size == QUARANTINE_KEY_SIZE && be16_get(key.data) == neighbour;
}

/* Entries of one neighbour, counted up to `max`. */
static enum status entries_count(const struct store_txn *txn, enum table table, uint16_t neighbour,
                                 size_t max, size_t *count)
{
  struct walk walk;
  uint8_t key[QUARANTINE_KEY_SIZE] = {0};
  enum status status = db_walk_open(txn, table, &walk);

  *count = 0;
  be16_put(key, neighbour);
  if (status == STATUS_OK)
    status = db_walk_from(&walk, key, sizeof(key));
  while (status == STATUS_OK && *count < max && key_of_neighbour(walk.key, neighbour)) {
    (*count)++;
    status = db_walk_next(&walk);
  }
  db_walk_close(&walk);
  return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}

static enum status value_get(const struct store_txn *txn, const uint8_t *key,
                             struct quarantine_value *out)
{
  struct bytes_view value;
  enum status status = db_get(txn, TABLE_QUARANTINE, key, QUARANTINE_KEY_SIZE, &value);

  if (status != STATUS_OK)
    return status;
  return layout_quarantine_read(value, out) ? STATUS_OK : STATUS_CORRUPT;
}

static enum status value_put(struct store_txn *txn, const uint8_t *key,
                             const struct quarantine_value *value)
{
  uint8_t octets[QUARANTINE_VALUE_WIDE];
  size_t size = layout_quarantine_write(value, octets);
  enum status status = size == QUARANTINE_VALUE_WIDE ? meta_format_raise(txn) : STATUS_OK;

  return status == STATUS_OK ? db_put(txn, TABLE_QUARANTINE, key, QUARANTINE_KEY_SIZE, octets, size)
                             : status;
}

static enum status octets_put(struct store_txn *txn, const uint8_t *key, uint32_t number,
                              struct bytes_view octets)
{
  uint8_t number_key[4];
  uint8_t *room;
  size_t size = octets.size > COMMIT_BYTES_MAX ? COMMIT_BYTES_MAX : octets.size;
  enum status status;

  be32_put(number_key, number);
  status = db_reserve(txn, TABLE_QUARANTINE_OCTETS, number_key, sizeof(number_key),
                      QUARANTINE_KEY_SIZE + size, &room);
  if (status != STATUS_OK)
    return status;
  memcpy(room, key, QUARANTINE_KEY_SIZE);
  if (size > 0)
    memcpy(room + QUARANTINE_KEY_SIZE, octets.data, size);
  return STATUS_OK;
}

enum status store_quarantine_put(struct store_txn *txn, uint16_t neighbour,
                                 const struct log_id *log, uint64_t seq, enum verdict verdict,
                                 struct bytes_view octets)
{
  struct counters *counters = &txn->store->counters;
  struct quarantine_value value;
  uint8_t key[QUARANTINE_KEY_SIZE];
  size_t count = 0;
  enum status status;

  layout_quarantine_key(neighbour, log, key);
  status = value_get(txn, key, &value);
  if (status == STATUS_NOT_FOUND) {
    status = entries_count(txn, TABLE_QUARANTINE, neighbour, QUARANTINE_PER_NEIGHBOUR_MAX, &count);
    if (status != STATUS_OK)
      return status;
    if (count >= QUARANTINE_PER_NEIGHBOUR_MAX) {
      layout_quarantine_key(neighbour, &overflow_log, key);
      octets = (struct bytes_view){0};
      seq = 0;
    }
    status = value_get(txn, key, &value);
  }
  if (status == STATUS_NOT_FOUND) {
    value = (struct quarantine_value){
        .number = ++counters->quarantine_last,
        .seq = seq,
        .verdict = (uint8_t)verdict,
        .first_at = txn->now.wall,
        .low = seq,
        .high = seq,
    };
    counters->quarantined++;
    status = octets_put(txn, key, value.number, octets);
  }
  if (status != STATUS_OK)
    return status;
  value.last_at = txn->now.wall;
  value.count++;
  value.low = seq < value.low ? seq : value.low;
  value.high = seq > value.high ? seq : value.high;
  return value_put(txn, key, &value);
}

static enum status entry_drop(struct store_txn *txn, const uint8_t *key, uint32_t number)
{
  uint8_t copy[QUARANTINE_KEY_SIZE];
  uint8_t number_key[4];
  enum status status;

  memcpy(copy, key, sizeof(copy));
  be32_put(number_key, number);
  status = db_delete(txn, TABLE_QUARANTINE_OCTETS, number_key, sizeof(number_key));
  if (status == STATUS_OK)
    status = db_delete(txn, TABLE_QUARANTINE, copy, sizeof(copy));
  if (status == STATUS_OK && txn->store->counters.quarantined > 0)
    txn->store->counters.quarantined--;
  return status;
}

enum status store_quarantine_drop(struct store_txn *txn, uint32_t number)
{
  struct bytes_view octets;
  uint8_t key[4];
  enum status status;

  be32_put(key, number);
  status = db_get(txn, TABLE_QUARANTINE_OCTETS, key, sizeof(key), &octets);
  if (status != STATUS_OK)
    return status;
  if (octets.size < QUARANTINE_KEY_SIZE)
    return STATUS_CORRUPT;
  status = entry_drop(txn, octets.data, number);
  return status == STATUS_NOT_FOUND ? STATUS_CORRUPT : status;
}

/* The entry stands from `low` on; past its highest place it goes. A fork stays for people to
 * see. */
static enum status entry_raise(struct store_txn *txn, const uint8_t *key,
                               struct quarantine_value *value, uint64_t low)
{
  if (value->verdict == VERDICT_FORK || low <= value->low)
    return STATUS_OK;
  if (low > value->high)
    return entry_drop(txn, key, value->number);
  value->low = low;
  return value_put(txn, key, value);
}

enum status store_quarantine_raise(struct store_txn *txn, uint16_t neighbour,
                                   const struct log_id *log, uint64_t low)
{
  struct quarantine_value value;
  uint8_t key[QUARANTINE_KEY_SIZE];
  enum status status;

  layout_quarantine_key(neighbour, log, key);
  status = value_get(txn, key, &value);
  if (status == STATUS_NOT_FOUND)
    return STATUS_OK;
  return status == STATUS_OK ? entry_raise(txn, key, &value, low) : status;
}

/* What was refused has been made good at its very place (a further showing of what was held is not
 * made good by what comes after it) or has been let go. */
static enum status entry_passed(struct store_txn *txn, uint16_t neighbour,
                                const struct log_slot *slot, uint64_t seq)
{
  struct quarantine_value value;
  uint8_t key[QUARANTINE_KEY_SIZE];
  enum status status;

  layout_quarantine_key(neighbour, &slot->id, key);
  status = value_get(txn, key, &value);
  if (status == STATUS_NOT_FOUND)
    return STATUS_OK;
  if (status != STATUS_OK)
    return status;
  if (seq == value.low)
    return entry_raise(txn, key, &value, seq + 1);
  return entry_raise(txn, key, &value, slot->floor + 1);
}

enum status quarantine_passed(struct store_txn *txn, const struct log_slot *slot, uint64_t seq)
{
  enum status status = STATUS_OK;

  if (txn->store->counters.quarantined == 0)
    return STATUS_OK;
  if (slot->direction != NEIGHBOUR_NONE)
    status = entry_passed(txn, slot->direction, slot, seq);
  if (status == STATUS_OK && slot->direction != NEIGHBOUR_PARENT)
    status = entry_passed(txn, NEIGHBOUR_PARENT, slot, seq);
  if (status == STATUS_OK)
    status = entry_passed(txn, NEIGHBOUR_NONE, slot, seq);
  return status;
}

static enum status entry_read(const struct store_txn *txn, struct bytes_view key,
                              struct bytes_view octets, struct quarantine_entry *out)
{
  struct quarantine_value value;
  enum status status;

  if (key.size != 4 || octets.size < QUARANTINE_KEY_SIZE)
    return STATUS_CORRUPT;
  status = value_get(txn, octets.data, &value);
  if (status == STATUS_NOT_FOUND || (status == STATUS_OK && value.number != be32_get(key.data)))
    return STATUS_CORRUPT;
  if (status != STATUS_OK)
    return status;
  *out = (struct quarantine_entry){
      .number = value.number,
      .neighbour = be16_get(octets.data),
      .seq = value.seq,
      .low = value.low,
      .high = value.high,
      .verdict = (enum verdict)value.verdict,
      .first_at = value.first_at,
      .last_at = value.last_at,
      .count = value.count,
      .octets = bytes_view_of(octets.data + QUARANTINE_KEY_SIZE, octets.size - QUARANTINE_KEY_SIZE),
  };
  layout_log_id_read(octets.data + 2, &out->log);
  return STATUS_OK;
}

enum status store_quarantine_each(const struct store_txn *txn,
                                  bool (*visit)(void *context,
                                                const struct quarantine_entry *entry),
                                  void *context)
{
  struct quarantine_entry entry;
  struct walk walk;
  enum status status = db_walk_open(txn, TABLE_QUARANTINE_OCTETS, &walk);

  if (status == STATUS_OK)
    status = db_walk_from(&walk, NULL, 0);
  while (status == STATUS_OK) {
    status = entry_read(txn, walk.key, walk.value, &entry);
    if (status != STATUS_OK || !visit(context, &entry))
      break;
    status = db_walk_next(&walk);
  }
  db_walk_close(&walk);
  return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}

enum status store_refused_put(struct store_txn *txn, const struct refused_entry *entry)
{
  uint8_t key[QUARANTINE_KEY_SIZE];
  uint8_t value[REFUSED_VALUE_SIZE];
  struct bytes_view held;
  size_t count = 0;
  enum status status;

  layout_quarantine_key(entry->neighbour, &entry->log, key);
  status = db_get(txn, TABLE_REFUSED, key, sizeof(key), &held);
  if (status == STATUS_NOT_FOUND) {
    status =
        entries_count(txn, TABLE_REFUSED, entry->neighbour, QUARANTINE_PER_NEIGHBOUR_MAX, &count);
    if (status == STATUS_OK && count >= QUARANTINE_PER_NEIGHBOUR_MAX)
      return STATUS_OK;
  }
  if (status != STATUS_OK)
    return status;
  le_put(value, entry->seq, 8);
  value[8] = (uint8_t)entry->verdict;
  le_put(value + 9, (uint64_t)entry->at.ms, 8);
  return db_put(txn, TABLE_REFUSED, key, sizeof(key), value, sizeof(value));
}

enum status store_refused_clear(struct store_txn *txn, uint16_t neighbour, const struct log_id *log)
{
  uint8_t key[QUARANTINE_KEY_SIZE];
  enum status status;

  layout_quarantine_key(neighbour, log, key);
  status = db_delete(txn, TABLE_REFUSED, key, sizeof(key));
  return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}

enum status store_refused_each(const struct store_txn *txn,
                               bool (*visit)(void *context, const struct refused_entry *entry),
                               void *context)
{
  struct refused_entry entry;
  struct walk walk;
  enum status status = db_walk_open(txn, TABLE_REFUSED, &walk);

  if (status == STATUS_OK)
    status = db_walk_from(&walk, NULL, 0);
  while (status == STATUS_OK) {
    if (walk.key.size != QUARANTINE_KEY_SIZE || walk.value.size != REFUSED_VALUE_SIZE) {
      status = STATUS_CORRUPT;
      break;
    }
    entry.neighbour = be16_get(walk.key.data);
    layout_log_id_read(walk.key.data + 2, &entry.log);
    entry.seq = le_get(walk.value.data, 8);
    entry.verdict = (enum verdict)walk.value.data[8];
    entry.at.ms = (int64_t)le_get(walk.value.data + 9, 8);
    if (!visit(context, &entry))
      break;
    status = db_walk_next(&walk);
  }
  db_walk_close(&walk);
  return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}
