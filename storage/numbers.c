/* Maps from ids to the small numbers that stand for them; the octets stay where these lead. */
#include <stdlib.h>

#include "state.h"

uint64_t number_hash(const struct store *store, const void *key, size_t size)
{
  const uint8_t *at = key;
  uint64_t hash = store->hash_seed;
  uint64_t word;

  for (; size >= 8; at += 8, size -= 8) {
    memcpy(&word, at, 8);
    hash = (hash ^ word) * 0x9e3779b97f4a7c15ULL;
    hash ^= hash >> 29;
  }
  for (; size > 0; at++, size--)
    hash = (hash ^ *at) * 0x100000001b3ULL;
  return hash ^ hash >> 32;
}

uint32_t number_find(const struct store *store, const struct number_map *map, uint64_t hash,
                     number_equal equal, const void *key)
{
  if (map->capacity == 0)
    return 0;
  for (size_t at = hash & (map->capacity - 1); map->slots[at] != 0;
       at = (at + 1) & (map->capacity - 1)) {
    if (equal(store, map->slots[at], key))
      return map->slots[at];
  }
  return 0;
}

void number_add(struct number_map *map, uint64_t hash, uint32_t number)
{
  size_t at = hash & (map->capacity - 1);

  while (map->slots[at] != 0)
    at = (at + 1) & (map->capacity - 1);
  map->slots[at] = number;
}

enum status number_reserve(struct number_map *map, size_t count, bool *rehash)
{
  size_t capacity = map->capacity == 0 ? 64 : map->capacity;
  uint32_t *slots;

  *rehash = false;
  while (capacity < count * 2)
    capacity *= 2;
  if (capacity == map->capacity)
    return STATUS_OK;
  slots = calloc(capacity, sizeof(*slots));
  if (slots == NULL)
    return STATUS_NO_MEMORY;
  free(map->slots);
  map->slots = slots;
  map->capacity = capacity;
  *rehash = true;
  return STATUS_OK;
}
