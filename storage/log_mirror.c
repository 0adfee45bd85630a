/* The mirror of logs and their heads: found by id on every commit taken in. */
#include <stdlib.h>

#include "state.h"

static bool log_is(const struct store *store, uint32_t number, const void *key)
{
  const struct log_id *a = &store->logs[number - 1].id;
  const struct log_id *b = key;

  return a->lane == b->lane && memcmp(a->store.octets, b->store.octets, STORE_ID_SIZE) == 0 &&
         memcmp(a->origin.octets, b->origin.octets, KEY_SIZE) == 0;
}

static uint64_t log_hash(const struct store *store, const struct log_id *id)
{
  uint8_t octets[LOG_ID_SIZE];

  layout_log_id_write(id, octets);
  return number_hash(store, octets, sizeof(octets));
}

uint32_t log_number(const struct store *store, const struct log_id *id)
{
  return number_find(store, &store->log_map, log_hash(store, id), log_is, id);
}

struct log_slot *log_slot(const struct store *store, uint32_t number)
{
  CHECK(number > 0 && number <= store->log_count);
  return &store->logs[number - 1];
}

const struct address *log_address(const struct store *store, const struct log_slot *slot)
{
  CHECK(slot->certificate > 0 && slot->certificate <= store->certificate_count);
  return &store->certificates[slot->certificate - 1].address;
}

bool log_flows_up(const struct store *store, const struct log_slot *slot)
{
  return address_within(log_address(store, slot), &store->identity.address);
}

static void map_fill(struct store *store)
{
  if (store->log_map.slots != NULL)
    memset(store->log_map.slots, 0, store->log_map.capacity * sizeof(*store->log_map.slots));
  for (uint32_t i = 0; i < store->log_count; i++)
    number_add(&store->log_map, log_hash(store, &store->logs[i].id), i + 1);
}

/* Under logs_lock. */
static enum status mirror_add(struct store *store, const struct log_slot *slot)
{
  struct log_slot *logs = store->logs;
  uint32_t capacity = store->logs_capacity;
  bool rehash;
  enum status status = number_reserve(&store->log_map, store->log_count + 1u, &rehash);

  if (status != STATUS_OK)
    return status;
  if (rehash)
    map_fill(store);
  if (store->log_count == capacity) {
    capacity = capacity == 0 ? 8 : capacity + capacity / 2;
    logs = realloc(logs, capacity * sizeof(*logs));
    if (logs == NULL)
      return STATUS_NO_MEMORY;
    store->logs = logs;
    store->logs_capacity = capacity;
  }
  logs[store->log_count++] = *slot;
  number_add(&store->log_map, log_hash(store, &slot->id), store->log_count);
  return STATUS_OK;
}

static enum status row_read(const struct store_txn *txn, struct bytes_view key,
                            struct bytes_view value, struct log_slot *out)
{
  struct bytes_view head;
  enum status status;

  *out = (struct log_slot){0};
  if (value.size != LOG_VALUE_SIZE || key.size != 4)
    return STATUS_CORRUPT;
  layout_log_id_read(value.data, &out->id);
  out->certificate = (uint32_t)le_get(value.data + LOG_ID_SIZE, 4);
  status = db_get(txn, TABLE_HEADS, key.data, key.size, &head);
  if (status == STATUS_NOT_FOUND || (status == STATUS_OK && head.size != HEAD_VALUE_SIZE))
    return STATUS_CORRUPT;
  if (status != STATUS_OK)
    return status;
  out->seq = le_get(head.data, 8);
  out->seq_parent = out->seq;
  memcpy(out->commit_id.octets, head.data + 8, HASH_SIZE);
  out->commits = le_get(head.data + 40, 8);
  out->arrived_at.ms = (int64_t)le_get(head.data + 48, 8);
  return out->id.lane < LANE_COUNT ? STATUS_OK : STATUS_CORRUPT;
}

enum status logs_load(const struct store_txn *txn)
{
  struct store *store = txn->store;
  struct log_slot slot;
  struct walk walk;
  enum status status = db_walk_open(txn, TABLE_LOGS, &walk);

  if (status == STATUS_OK)
    status = db_walk_from(&walk, NULL, 0);
  while (status == STATUS_OK) {
    status = row_read(txn, walk.key, walk.value, &slot);
    if (status == STATUS_OK &&
        (be32_get(walk.key.data) != store->log_count + 1 || slot.certificate == 0 ||
         slot.certificate > store->certificate_count))
      status = STATUS_CORRUPT;
    if (status == STATUS_OK)
      status = mirror_add(store, &slot);
    if (status == STATUS_OK)
      status = db_walk_next(&walk);
  }
  db_walk_close(&walk);
  return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}

void logs_direct(struct store *store)
{
  pthread_mutex_lock(&store->logs_lock);
  for (uint32_t i = 0; i < store->log_count; i++)
    store->logs[i].direction = neighbour_toward(store, log_address(store, &store->logs[i]));
  pthread_mutex_unlock(&store->logs_lock);
}

void logs_rollback(struct store_txn *txn)
{
  struct store *store = txn->store;

  pthread_mutex_lock(&store->logs_lock);
  while (store->log_undo_count > 0) {
    const struct log_undo *undo = &store->log_undos[--store->log_undo_count];
    store->logs[undo->number - 1] = undo->slot;
  }
  if (store->log_count != txn->logs_before) {
    store->log_count = txn->logs_before;
    map_fill(store);
  }
  pthread_mutex_unlock(&store->logs_lock);
}

enum status log_touch(struct store_txn *txn, uint32_t number)
{
  struct store *store = txn->store;
  struct log_slot *slot = log_slot(store, number);
  struct log_undo *undos = store->log_undos;
  size_t capacity = store->log_undo_capacity;

  if (slot->dirty)
    return STATUS_OK;
  if (store->log_undo_count == capacity) {
    capacity = capacity == 0 ? 64 : capacity * 2;
    undos = realloc(undos, capacity * sizeof(*undos));
    if (undos == NULL)
      return STATUS_NO_MEMORY;
    store->log_undos = undos;
    store->log_undo_capacity = capacity;
  }
  undos[store->log_undo_count++] = (struct log_undo){number, *slot};
  slot->dirty = true;
  return STATUS_OK;
}

static enum status head_put(struct store_txn *txn, uint32_t number, const struct log_slot *slot)
{
  uint8_t key[4];
  uint8_t value[HEAD_VALUE_SIZE];

  be32_put(key, number);
  le_put(value, slot->seq, 8);
  memcpy(value + 8, slot->commit_id.octets, HASH_SIZE);
  le_put(value + 40, slot->commits, 8);
  le_put(value + 48, (uint64_t)slot->arrived_at.ms, 8);
  return db_put(txn, TABLE_HEADS, key, sizeof(key), value, sizeof(value));
}

enum status logs_flush(struct store_txn *txn)
{
  struct store *store = txn->store;
  enum status status = STATUS_OK;

  for (size_t i = 0; i < store->log_undo_count && status == STATUS_OK; i++) {
    uint32_t number = store->log_undos[i].number;
    status = head_put(txn, number, log_slot(store, number));
  }
  return status;
}

enum status log_put(struct store_txn *txn, const struct log_id *id, uint32_t certificate,
                    uint32_t *number)
{
  struct store *store = txn->store;
  struct log_slot slot = {.id = *id, .certificate = certificate};
  uint8_t key[4];
  uint8_t value[LOG_VALUE_SIZE];
  enum status status;

  slot.direction = neighbour_toward(store, log_address(store, &slot));
  be32_put(key, store->log_count + 1);
  layout_log_id_write(id, value);
  le_put(value + LOG_ID_SIZE, certificate, 4);
  status = db_put(txn, TABLE_LOGS, key, sizeof(key), value, sizeof(value));
  if (status == STATUS_OK)
    status = head_put(txn, store->log_count + 1, &slot);
  if (status != STATUS_OK)
    return status;
  pthread_mutex_lock(&store->logs_lock);
  status = mirror_add(store, &slot);
  pthread_mutex_unlock(&store->logs_lock);
  if (status != STATUS_OK) {
    txn->failed = status;
    return status;
  }
  *number = store->log_count;
  return STATUS_OK;
}

static void head_of(const struct store *store, uint32_t number, const struct log_slot *slot,
                    const struct address *address, struct log_head *out)
{
  *out = (struct log_head){
      .number = number,
      .id = slot->id,
      .address = *address,
      .seq = slot->seq,
      .commit_id = slot->commit_id,
      .commits = slot->commits,
      .gapless = address_within(address, &store->identity.address),
      .arrived_at = slot->arrived_at,
      .floor = slot->floor,
  };
}

enum status log_get(const struct store_txn *txn, uint32_t number, struct log_head *out)
{
  struct store *store = txn->store;
  struct certificate certificate;
  struct log_floor floor;
  struct bytes_view value;
  struct log_slot slot;
  uint8_t key[4];
  enum status status;

  if (txn->writes)
    return store_log_at(store, number, out) ? STATUS_OK : STATUS_NOT_FOUND;
  be32_put(key, number);
  status = db_get(txn, TABLE_LOGS, key, sizeof(key), &value);
  if (status == STATUS_OK)
    status = row_read(txn, bytes_view_of(key, sizeof(key)), value, &slot);
  if (status != STATUS_OK)
    return status;
  be32_put(key, slot.certificate);
  status = db_get(txn, TABLE_CERTIFICATES, key, sizeof(key), &value);
  if (status == STATUS_NOT_FOUND)
    return STATUS_CORRUPT;
  if (status == STATUS_OK && certificate_read(value, &certificate) != STATUS_OK)
    return STATUS_CORRUPT;
  if (status != STATUS_OK)
    return status;
  status = store_floor_get(txn, number, &floor);
  slot.floor = status == STATUS_OK ? floor.seq : 0;
  head_of(store, number, &slot, &certificate.address, out);
  return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}

/* The lock is the caller's chance to be on any thread; it is not needed to read otherwise. */
static pthread_mutex_t *logs_lock(const struct store *store)
{
  return (pthread_mutex_t *)(uintptr_t)&store->logs_lock;
}

bool store_log_at(const struct store *store, uint32_t number, struct log_head *out)
{
  bool found;

  pthread_mutex_lock(logs_lock(store));
  found = number > 0 && number <= store->log_count;
  if (found) {
    const struct log_slot *slot = &store->logs[number - 1];
    head_of(store, number, slot, log_address(store, slot), out);
  }
  pthread_mutex_unlock(logs_lock(store));
  return found;
}

bool store_log_find(const struct store *store, const struct log_id *id, struct log_head *out)
{
  uint32_t number;

  pthread_mutex_lock(logs_lock(store));
  number = log_number(store, id);
  if (number != 0) {
    const struct log_slot *slot = &store->logs[number - 1];
    head_of(store, number, slot, log_address(store, slot), out);
  }
  pthread_mutex_unlock(logs_lock(store));
  return number != 0;
}

uint32_t store_log_count(const struct store *store)
{
  uint32_t count;

  pthread_mutex_lock(logs_lock(store));
  count = store->log_count;
  pthread_mutex_unlock(logs_lock(store));
  return count;
}
