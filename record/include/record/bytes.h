/*
 * Bytes: a view borrows, a buffer owns, an arena owns many small things until one release.
 * Everything that moves octets between the layers speaks in these three.
 */
#ifndef RECORD_BYTES_H
#define RECORD_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "record/status.h"

/* Borrowed octets; `data` may be NULL only when `size` is 0. */
struct bytes_view {
  const uint8_t *data;
  size_t size;
};

/* Owned octets that grow; zero-initialised is empty. Release with bytes_close. */
struct bytes {
  uint8_t *data;
  size_t size;
  size_t capacity;
};

static inline struct bytes_view bytes_view_of(const void *data, size_t size)
{
  return (struct bytes_view){(const uint8_t *)data, size};
}

static inline struct bytes_view bytes_as_view(const struct bytes *bytes)
{
  return (struct bytes_view){bytes->data, bytes->size};
}

/* View of a C string, without its terminator. */
struct bytes_view bytes_view_text(const char *text);
bool bytes_view_equal(struct bytes_view a, struct bytes_view b);
/* Octet order, shorter first on a common prefix; as memcmp. */
int bytes_view_compare(struct bytes_view a, struct bytes_view b);

void bytes_close(struct bytes *bytes);
/* Makes room for `extra` more octets. STATUS_NO_MEMORY. */
MUST_USE enum status bytes_reserve(struct bytes *bytes, size_t extra);
/* Appends a copy. STATUS_NO_MEMORY. */
MUST_USE enum status bytes_append(struct bytes *bytes, const void *data, size_t size);
/* Keeps the capacity. */
static inline void bytes_clear(struct bytes *bytes)
{
  bytes->size = 0;
}

/* Hex, lower case. `out` holds 2 * size + 1. */
void bytes_to_hex(struct bytes_view view, char *out);
/* Exactly `size` octets from 2 * size hex digits; STATUS_MALFORMED otherwise. */
MUST_USE enum status bytes_from_hex(const char *hex, uint8_t *out, size_t size);

/* Bump allocator of growing blocks; zero-initialised is empty. */
struct arena_block;
struct arena {
  struct arena_block *blocks;
  size_t used;  /* octets handed out, all blocks */
  size_t limit; /* 0: none; past it allocation fails */
};

/* 16-aligned, uninitialised; NULL when memory or the limit is out. */
void *arena_alloc(struct arena *arena, size_t size);
/* Copy that lives as long as the arena; NULL as above. */
void *arena_copy(struct arena *arena, const void *data, size_t size);
/* Forgets everything, keeps the largest block for reuse. */
void arena_reset(struct arena *arena);
void arena_close(struct arena *arena);

#endif
