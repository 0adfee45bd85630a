#include "record/bytes.h"

#include <stdlib.h>
#include <string.h>

#define ARENA_BLOCK_MIN ((size_t)4096)
#define ARENA_BLOCK_MAX ((size_t)1024 * 1024) /* growth stops here; larger requests get their own */
#define ARENA_ALIGN ((size_t)16)

/* The newest block is first and the one that is filled. */
struct arena_block {
  struct arena_block *next;
  size_t capacity;
  size_t used;
  _Alignas(16) uint8_t data[];
};

static struct arena_block *block_add(struct arena *arena, size_t size)
{
  size_t capacity = ARENA_BLOCK_MIN;
  if (arena->blocks != NULL && arena->blocks->capacity <= ARENA_BLOCK_MAX / 2) {
    capacity = arena->blocks->capacity * 2;
  } else if (arena->blocks != NULL) {
    capacity = ARENA_BLOCK_MAX;
  }
  if (capacity < size) {
    capacity = size;
  }
  struct arena_block *block = malloc(sizeof(*block) + capacity);
  if (block == NULL) {
    return NULL;
  }
  block->next = arena->blocks;
  block->capacity = capacity;
  block->used = 0;
  arena->blocks = block;
  return block;
}

void *arena_alloc(struct arena *arena, size_t size)
{
  if (size > SIZE_MAX / 4) {
    return NULL;
  }
  size_t rounded = size == 0 ? ARENA_ALIGN : (size + ARENA_ALIGN - 1) & ~(ARENA_ALIGN - 1);
  if (arena->limit != 0 && rounded > arena->limit - arena->used) {
    return NULL;
  }
  struct arena_block *block = arena->blocks;
  if (block == NULL || rounded > block->capacity - block->used) {
    block = block_add(arena, rounded);
    if (block == NULL) {
      return NULL;
    }
  }
  void *place = block->data + block->used;
  block->used += rounded;
  arena->used += rounded;
  return place;
}

void *arena_copy(struct arena *arena, const void *data, size_t size)
{
  void *place = arena_alloc(arena, size);
  if (place != NULL && size != 0) {
    memcpy(place, data, size);
  }
  return place;
}

void arena_reset(struct arena *arena)
{
  struct arena_block *largest = arena->blocks;
  for (struct arena_block *block = arena->blocks; block != NULL; block = block->next) {
    if (block->capacity > largest->capacity) {
      largest = block;
    }
  }
  struct arena_block *next = NULL;
  for (struct arena_block *block = arena->blocks; block != NULL; block = next) {
    next = block->next;
    if (block != largest) {
      free(block);
    }
  }
  if (largest != NULL) {
    largest->next = NULL;
    largest->used = 0;
  }
  arena->blocks = largest;
  arena->used = 0;
}

void arena_close(struct arena *arena)
{
  struct arena_block *next = NULL;
  for (struct arena_block *block = arena->blocks; block != NULL; block = next) {
    next = block->next;
    free(block);
  }
  arena->blocks = NULL;
  arena->used = 0;
}
