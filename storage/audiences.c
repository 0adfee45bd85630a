/*
 * Audiences, interned: most subjects share a few. Two bounded caches keep the hot path off the
 * tables: whom an audience concerns, and what a record makes of an audience. Both are direct
 * mapped and may be cleared at any time.
 */
#include <stdlib.h>

#include "state.h"

enum status audience_cache_init(struct audience_cache *cache)
{
  cache->views = calloc(AUDIENCE_VIEWS, sizeof(*cache->views));
  cache->transitions = calloc(TRANSITIONS, sizeof(*cache->transitions));
  return cache->views == NULL || cache->transitions == NULL ? STATUS_NO_MEMORY : STATUS_OK;
}

static void views_clear(struct audience_cache *cache)
{
  for (size_t i = 0; i < AUDIENCE_VIEWS; i++) {
    free(cache->views[i].many);
    cache->views[i] = (struct audience_view){0};
  }
  cache->views_bytes = 0;
}

void audience_cache_clear(struct audience_cache *cache)
{
  views_clear(cache);
  memset(cache->transitions, 0, TRANSITIONS * sizeof(*cache->transitions));
}

void audience_cache_close(struct audience_cache *cache)
{
  if (cache->views != NULL)
    views_clear(cache);
  free(cache->views);
  free(cache->transitions);
  audience_close(&cache->scratch);
  bytes_close(&cache->octets);
}

enum status audience_load(const struct store_txn *txn, uint32_t number, struct audience *out)
{
  struct bytes_view octets;
  uint8_t key[4];
  enum status status;

  out->count = 0;
  if (number == 0)
    return STATUS_OK;
  be32_put(key, number);
  status = db_get(txn, TABLE_AUDIENCES, key, sizeof(key), &octets);
  if (status == STATUS_OK)
    status = audience_read(octets, out);
  return status == STATUS_NOT_FOUND || status == STATUS_MALFORMED ? STATUS_CORRUPT : status;
}

enum status audience_intern(struct store_txn *txn, const struct audience *audience,
                            uint32_t *number)
{
  struct store *store = txn->store;
  struct bytes *octets = &store->audiences.octets;
  struct bytes_view value;
  struct hash id;
  uint8_t key[4];
  enum status status;

  bytes_clear(octets);
  status = audience_write(audience, octets);
  if (status != STATUS_OK)
    return status;
  id = hash_plain(bytes_as_view(octets));
  status = db_get(txn, TABLE_AUDIENCE_IDS, id.octets, HASH_SIZE, &value);
  if (status == STATUS_OK) {
    if (value.size != 4)
      return STATUS_CORRUPT;
    *number = (uint32_t)le_get(value.data, 4);
    return STATUS_OK;
  }
  if (status != STATUS_NOT_FOUND)
    return status;
  if (store->counters.audience_last == UINT32_MAX)
    return STATUS_TOO_LARGE;
  *number = ++store->counters.audience_last;
  be32_put(key, *number);
  status = db_append(txn, TABLE_AUDIENCES, key, sizeof(key), octets->data, octets->size);
  le_put(key, *number, sizeof(key));
  if (status == STATUS_OK)
    status = db_put(txn, TABLE_AUDIENCE_IDS, id.octets, HASH_SIZE, key, sizeof(key));
  return status;
}

static int number_compare(const void *a, const void *b)
{
  uint16_t x = *(const uint16_t *)a;
  uint16_t y = *(const uint16_t *)b;

  return (x > y) - (x < y);
}

/* Ascending, each once. */
static size_t numbers_settle(uint16_t *numbers, size_t count)
{
  size_t kept = 0;

  qsort(numbers, count, sizeof(*numbers), number_compare);
  for (size_t i = 0; i < count; i++) {
    if (kept == 0 || numbers[kept - 1] != numbers[i])
      numbers[kept++] = numbers[i];
  }
  return kept;
}

/* Whether an `A/\*` takes in all of our subtree. */
static bool covers_all(const struct audience *audience, const struct address *own)
{
  for (size_t i = 0; i < audience->count; i++) {
    if (audience->entries[i].subtree && address_within(own, &audience->entries[i].address))
      return true;
  }
  return false;
}

/* Walks the entries, not the neighbours: there may be thousands of these. */
static size_t concerned_collect(const struct store *store, const struct audience *audience,
                                uint16_t *numbers)
{
  const struct address *own = &store->identity.address;
  const struct address *parent = &neighbour_slot(store, NEIGHBOUR_PARENT)->state.address;
  bool concerns_parent = store->has_parent && audience_has_reader(audience, parent);
  bool concerns_children = covers_all(audience, own);
  size_t count = 0;
  uint16_t number;

  if (concerns_parent)
    numbers[count++] = NEIGHBOUR_PARENT;
  if (concerns_children) {
    for (number = NEIGHBOUR_PARENT + 1; number <= store->neighbour_count; number++)
      numbers[count++] = number;
    return count;
  }
  for (size_t i = 0; i < audience->count; i++) {
    number = neighbour_toward(store, &audience->entries[i].address);
    if (number > NEIGHBOUR_PARENT)
      numbers[count++] = number;
  }
  return numbers_settle(numbers, count);
}

static enum status view_fill(struct store_txn *txn, struct audience_view *view, uint32_t number)
{
  struct store *store = txn->store;
  struct audience *audience = &store->audiences.scratch;
  uint16_t *numbers;
  size_t count;
  enum status status = audience_load(txn, number, audience);

  if (status != STATUS_OK)
    return status;
  numbers = malloc((audience->count + store->neighbour_count + 1) * sizeof(*numbers));
  if (numbers == NULL)
    return STATUS_NO_MEMORY;
  count = concerned_collect(store, audience, numbers);
  *view = (struct audience_view){.audience = number, .count = (uint16_t)count};
  if (count <= AUDIENCE_VIEW_INLINE) {
    memcpy(view->few, numbers, count * sizeof(*numbers));
    free(numbers);
  } else {
    view->many = numbers;
    store->audiences.views_bytes += (audience->count + store->neighbour_count + 1) * 2;
  }
  return STATUS_OK;
}

enum status audience_neighbours(struct store_txn *txn, uint32_t audience, const uint16_t **numbers,
                                size_t *count)
{
  struct audience_cache *cache = &txn->store->audiences;
  struct audience_view *view = &cache->views[audience % AUDIENCE_VIEWS];
  enum status status = STATUS_OK;

  CHECK(txn->writes);
  *numbers = view->few;
  *count = 0;
  if (audience == 0)
    return STATUS_OK;
  if (view->audience != audience) {
    if (cache->views_bytes > AUDIENCE_VIEWS_BYTES_MAX)
      views_clear(cache);
    free(view->many);
    *view = (struct audience_view){0};
    status = view_fill(txn, view, audience);
  }
  *numbers = view->many != NULL ? view->many : view->few;
  *count = view->count;
  return status;
}

static bool numbers_hold(const uint16_t *numbers, size_t count, uint16_t number)
{
  for (size_t low = 0; low < count;) {
    size_t middle = low + (count - low) / 2;
    if (numbers[middle] == number)
      return true;
    if (numbers[middle] < number)
      low = middle + 1;
    else
      count = middle;
  }
  return false;
}

enum status audience_concerns(const struct store_txn *txn, uint32_t audience,
                              const struct neighbour *neighbour, bool *concerned)
{
  struct audience *set = &txn->scratch->audience;
  const uint16_t *numbers;
  size_t count;
  enum status status;

  *concerned = false;
  if (txn->writes) {
    status = audience_neighbours(&txn->store->write_txn, audience, &numbers, &count);
    if (status == STATUS_OK)
      *concerned = numbers_hold(numbers, count, neighbour->number);
    return status;
  }
  status = audience_load(txn, audience, set);
  if (status != STATUS_OK)
    return status;
  if (neighbour->number == NEIGHBOUR_PARENT)
    *concerned = txn->store->has_parent && audience_has_reader(set, &neighbour->address);
  else
    *concerned = audience_reaches(set, &neighbour->address);
  return STATUS_OK;
}

bool audience_names(const struct record_header *header, const struct address *address)
{
  struct bytes_view rest = header->down;
  struct address target;
  bool subtree;

  while (record_down_next(&rest, &target, &subtree)) {
    if (subtree ? address_within(address, &target) : address_equal(address, &target))
      return true;
  }
  return false;
}

static enum status step_compute(struct store_txn *txn, const struct address *author,
                                const struct record_header *header, struct transition *step)
{
  struct audience *set = &txn->store->audiences.scratch;
  unsigned refused = 0;
  bool effective = false;
  bool grew = false;
  enum status status = audience_load(txn, step->from, set);

  if (status == STATUS_OK && step->founder)
    status = audience_found(set, author);
  if (status == STATUS_OK)
    status = audience_add_record(set, author, header, &effective, &refused, &grew);
  step->to = step->from;
  step->effective = effective;
  step->refused = refused > 0;
  step->names_us = audience_names(header, &txn->store->identity.address);
  if (status == STATUS_TOO_LARGE) {
    /* The set is full: the record still counts, but adds nobody. */
    step->refused = true;
    return STATUS_OK;
  }
  if (status == STATUS_OK && (grew || step->founder))
    status = audience_intern(txn, set, &step->to);
  return status;
}

static size_t step_place(const struct transition *key, const uint8_t *down)
{
  uint64_t hash = key->from * 0x9e3779b97f4a7c15ULL ^ key->log * 0xc2b2ae3d27d4eb4fULL;

  hash ^= (uint64_t)key->up << 8 | key->founder;
  for (size_t i = 0; i < key->down_size; i++)
    hash = (hash ^ down[i]) * 0x100000001b3ULL;
  return (hash ^ hash >> 31) % TRANSITIONS;
}

enum status audience_step(struct store_txn *txn, uint32_t from, uint32_t log, bool founder,
                          const struct record_header *header, struct transition *out)
{
  struct store *store = txn->store;
  struct transition key = {.from = from, .log = log, .founder = founder, .up = header->up};
  struct transition *slot;
  enum status status;

  if (header->down.size > TRANSITION_DOWN_MAX) {
    *out = key;
    return step_compute(txn, log_address(store, log_slot(store, log)), header, out);
  }
  key.down_size = (uint8_t)header->down.size;
  slot = &store->audiences.transitions[step_place(&key, header->down.data)];
  if (slot->used && slot->from == from && slot->log == log && slot->founder == founder &&
      slot->up == header->up && slot->down_size == key.down_size &&
      (key.down_size == 0 || memcmp(slot->down, header->down.data, key.down_size) == 0)) {
    *out = *slot;
    return STATUS_OK;
  }
  status = step_compute(txn, log_address(store, log_slot(store, log)), header, &key);
  if (status != STATUS_OK)
    return status;
  key.used = true;
  if (key.down_size > 0)
    memcpy(key.down, header->down.data, key.down_size);
  *slot = key;
  *out = key;
  return STATUS_OK;
}
