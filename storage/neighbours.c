/* Neighbours: the mirror that serves routing and the links, and its rows. */
#include <stdlib.h>

#include "state.h"

static bool neighbour_is(const struct store *store, uint32_t number, const void *key)
{
  return address_equal(&store->neighbours[number - 1]->state.address, key);
}

static uint64_t address_hash(const struct store *store, const struct address *address)
{
  return number_hash(store, address->text, address->size);
}

static uint16_t number_of(const struct store *store, const struct address *address)
{
  return (uint16_t)number_find(store, &store->neighbour_map, address_hash(store, address),
                               neighbour_is, address);
}

const struct neighbour *store_neighbour_find(const struct store *store,
                                             const struct address *address)
{
  return store_neighbour(store, number_of(store, address));
}

const struct neighbour *store_neighbour(const struct store *store, uint16_t number)
{
  if (number == 0 || number > store->neighbour_count)
    return NULL;
  return &store->neighbours[number - 1]->state;
}

uint16_t store_neighbour_count(const struct store *store)
{
  return store->neighbour_count;
}

struct neighbour_slot *neighbour_slot(const struct store *store, uint16_t number)
{
  CHECK(number > 0 && number <= store->neighbour_count);
  return store->neighbours[number - 1];
}

uint16_t neighbour_toward(const struct store *store, const struct address *address)
{
  const struct address *own = &store->identity.address;
  struct address step;

  if (!address_within(address, own))
    return NEIGHBOUR_PARENT;
  if (address_equal(address, own))
    return NEIGHBOUR_NONE;
  step = address_step_toward(own, address);
  return number_of(store, &step);
}

static void map_fill(struct store *store)
{
  struct number_map *map = &store->neighbour_map;

  if (map->slots != NULL)
    memset(map->slots, 0, map->capacity * sizeof(*map->slots));
  for (uint16_t i = 0; i < store->neighbour_count; i++)
    number_add(map, address_hash(store, &store->neighbours[i]->state.address), i + 1u);
}

static enum status mirror_add(struct store *store, const struct neighbour *state,
                              const struct subject *backfill)
{
  struct neighbour_slot *slot;
  bool rehash;
  enum status status = number_reserve(&store->neighbour_map, store->neighbour_count + 1u, &rehash);

  if (status != STATUS_OK)
    return status;
  if (rehash)
    map_fill(store);
  slot = calloc(1, sizeof(*slot));
  if (slot == NULL)
    return STATUS_NO_MEMORY;
  slot->state = *state;
  slot->state.number = (uint16_t)(store->neighbour_count + 1);
  slot->backfill = *backfill;
  slot->class_bit = address_class(&state->address);
  store->neighbours[store->neighbour_count++] = slot;
  number_add(&store->neighbour_map, address_hash(store, &state->address), store->neighbour_count);
  if (!state->backfilled)
    store->counters.backfilling++;
  return STATUS_OK;
}

enum status neighbours_load(const struct store_txn *txn)
{
  struct store *store = txn->store;
  struct neighbour state;
  struct subject backfill;
  struct walk walk;
  enum status status = db_walk_open(txn, TABLE_NEIGHBOURS, &walk);

  if (status == STATUS_OK)
    status = db_walk_from(&walk, NULL, 0);
  while (status == STATUS_OK) {
    if (walk.key.size != 2 || be16_get(walk.key.data) != store->neighbour_count + 1 ||
        store->neighbour_count == NEIGHBOURS_MAX ||
        !layout_neighbour_read(walk.value, &state, &backfill))
      status = STATUS_CORRUPT;
    else
      status = mirror_add(store, &state, &backfill);
    if (status == STATUS_OK)
      status = db_walk_next(&walk);
  }
  db_walk_close(&walk);
  if (status == STATUS_NOT_FOUND)
    status = store->neighbour_count > 0 ? STATUS_OK : STATUS_CORRUPT;
  return status;
}

void neighbours_rollback(struct store_txn *txn)
{
  struct store *store = txn->store;

  while (store->neighbour_undo_count > 0) {
    const struct neighbour_undo *undo = &store->neighbour_undos[--store->neighbour_undo_count];
    *store->neighbours[undo->number - 1] = undo->slot;
  }
  if (store->neighbour_count == txn->neighbours_before)
    return;
  while (store->neighbour_count > txn->neighbours_before)
    free(store->neighbours[--store->neighbour_count]);
  map_fill(store);
}

enum status neighbour_touch(struct store_txn *txn, uint16_t number)
{
  struct store *store = txn->store;
  struct neighbour_slot *slot = neighbour_slot(store, number);
  struct neighbour_undo *undos = store->neighbour_undos;
  size_t capacity = store->neighbour_undo_capacity;

  if (slot->dirty)
    return STATUS_OK;
  if (store->neighbour_undo_count == capacity) {
    capacity = capacity == 0 ? 8 : capacity * 2;
    undos = realloc(undos, capacity * sizeof(*undos));
    if (undos == NULL)
      return STATUS_NO_MEMORY;
    store->neighbour_undos = undos;
    store->neighbour_undo_capacity = capacity;
  }
  undos[store->neighbour_undo_count++] = (struct neighbour_undo){number, *slot};
  slot->dirty = true;
  return STATUS_OK;
}

static enum status row_put(struct store_txn *txn, uint16_t number, const struct neighbour *state,
                           const struct subject *backfill)
{
  uint8_t key[2];
  uint8_t value[NEIGHBOUR_VALUE_MAX];

  be16_put(key, number);
  return db_put(txn, TABLE_NEIGHBOURS, key, sizeof(key), value,
                layout_neighbour_write(state, backfill, value));
}

enum status neighbours_flush(struct store_txn *txn)
{
  struct store *store = txn->store;
  enum status status = STATUS_OK;

  for (size_t i = 0; i < store->neighbour_undo_count && status == STATUS_OK; i++) {
    uint16_t number = store->neighbour_undos[i].number;
    const struct neighbour_slot *slot = neighbour_slot(store, number);
    status = row_put(txn, number, &slot->state, &slot->backfill);
  }
  return status;
}

enum status neighbours_found(struct store_txn *txn)
{
  struct neighbour parent = {.number = NEIGHBOUR_PARENT, .backfilled = true};
  struct subject none = {{0}};

  if (!address_parent(&txn->store->identity.address, &parent.address))
    return STATUS_INVALID_ARGUMENT;
  return row_put(txn, NEIGHBOUR_PARENT, &parent, &none);
}

enum status neighbour_get(const struct store_txn *txn, uint16_t number, struct neighbour *out)
{
  struct subject backfill;
  struct bytes_view value;
  uint8_t key[2];
  enum status status;

  if (txn->writes) {
    if (store_neighbour(txn->store, number) == NULL)
      return STATUS_NOT_FOUND;
    *out = *store_neighbour(txn->store, number);
    return STATUS_OK;
  }
  be16_put(key, number);
  status = db_get(txn, TABLE_NEIGHBOURS, key, sizeof(key), &value);
  if (status != STATUS_OK)
    return status;
  if (!layout_neighbour_read(value, out, &backfill))
    return STATUS_CORRUPT;
  out->number = number;
  return STATUS_OK;
}

enum status store_neighbour_put(struct store_txn *txn, const struct address *address,
                                uint16_t *number)
{
  struct store *store = txn->store;
  struct neighbour state = {.address = *address};
  struct subject none = {{0}};
  enum status status;

  *number = number_of(store, address);
  if (*number != 0)
    return STATUS_OK;
  if (!address_is_child(address, &store->identity.address))
    return STATUS_INVALID_ARGUMENT;
  if (store->neighbour_count == NEIGHBOURS_MAX)
    return STATUS_TOO_LARGE;
  state.backfilled = db_count(txn, TABLE_SUBJECTS) == 0;
  status = row_put(txn, (uint16_t)(store->neighbour_count + 1), &state, &none);
  if (status != STATUS_OK)
    return status;
  status = mirror_add(store, &state, &none);
  if (status != STATUS_OK) {
    txn->failed = status;
    return status;
  }
  *number = store->neighbour_count;
  audience_cache_clear(&store->audiences);
  logs_direct(store);
  return STATUS_OK;
}

enum status store_cursor_put(struct store_txn *txn, uint16_t neighbour, unsigned lane,
                             const struct cursor *cursor)
{
  enum status status;

  if (store_neighbour(txn->store, neighbour) == NULL || lane >= LANE_COUNT)
    return STATUS_INVALID_ARGUMENT;
  status = neighbour_touch(txn, neighbour);
  if (status == STATUS_OK)
    neighbour_slot(txn->store, neighbour)->state.lanes[lane].received = *cursor;
  return status;
}
