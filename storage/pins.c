/*
 * Pins: from where on something of a log waits in an outbox. A walk over all outboxes in pieces
 * finds it; what is queued meanwhile lowers it at once, so that it never says too much.
 */
#include "state.h"

void pins_lower(struct store *store, uint32_t log, uint64_t seq)
{
  struct log_slot *slot = log_slot(store, log);

  if (seq < slot->pin)
    slot->pin = seq;
  if (seq < slot->pin_next)
    slot->pin_next = seq;
}

static void pins_begin(struct store *store, struct pins_cursor *cursor)
{
  *cursor = (struct pins_cursor){.started = true};
  for (uint32_t i = 1; i <= store->log_count; i++)
    log_slot(store, i)->pin_next = UINT64_MAX;
}

static void pins_end(struct store *store, struct pins_cursor *cursor)
{
  for (uint32_t i = 1; i <= store->log_count; i++) {
    struct log_slot *slot = log_slot(store, i);
    /* One that came since the walk began has no pin, and waits for the next. */
    slot->pin = slot->pin_next;
  }
  cursor->ended = true;
}

static enum status entry_note(struct store *store, struct bytes_view octets)
{
  struct outbox_entry entry;

  if (!layout_outbox_read(octets, &entry) || entry.log == 0 || entry.log > store->log_count)
    return STATUS_CORRUPT;
  pins_lower(store, entry.log, entry.seq);
  return STATUS_OK;
}

enum status store_pins_step(const struct store_txn *txn, struct pins_cursor *cursor,
                            size_t entries_max, bool *done)
{
  struct walk walk;
  uint8_t key[OUTBOX_KEY_SIZE];
  enum status status = db_walk_open(txn, TABLE_OUTBOX, &walk);

  if (!cursor->started || cursor->ended)
    pins_begin(txn->store, cursor);
  layout_outbox_key(cursor->neighbour, cursor->lane, cursor->position, key);
  if (status == STATUS_OK)
    status = db_walk_from(&walk, key, sizeof(key));
  for (; status == STATUS_OK && entries_max > 0; entries_max--) {
    status = walk.key.size == OUTBOX_KEY_SIZE ? entry_note(txn->store, walk.value) : STATUS_CORRUPT;
    if (status == STATUS_OK)
      status = db_walk_next(&walk);
  }
  if (status == STATUS_OK) {
    cursor->neighbour = be16_get(walk.key.data);
    cursor->lane = walk.key.data[2];
    cursor->position = be64_get(walk.key.data + 3);
  }
  db_walk_close(&walk);
  *done = status == STATUS_NOT_FOUND;
  if (*done)
    pins_end(txn->store, cursor);
  return *done ? STATUS_OK : status;
}
