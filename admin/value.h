/*
 * Looking into a reply's msgpack objects. A missing or ill-typed field reads as nil, 0, false or
 * "", so that a newer or older daemon's answer can still be shown.
 */
#ifndef CTL_VALUE_H
#define CTL_VALUE_H

#include <msgpack/object.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "record/bytes.h"

/* The map's value of that key; a nil object, never NULL, when there is none. */
const msgpack_object *value_get(const msgpack_object *map, const char *key);
/* Elements of an array, 0 for anything else. */
size_t value_count(const msgpack_object *array);
/* The i-th, which must be below value_count. */
const msgpack_object *value_at(const msgpack_object *array, size_t i);
bool value_is_nil(const msgpack_object *object);
uint64_t value_uint(const msgpack_object *object);
int64_t value_int(const msgpack_object *object);
bool value_bool(const msgpack_object *object);
/* Text or octets, borrowed; empty for anything else. */
struct bytes_view value_text(const msgpack_object *object);
struct bytes_view value_bin(const msgpack_object *object);
bool value_is_text(const msgpack_object *object, const char *text);
/* Terminated, cut at the size. */
void value_copy_text(const msgpack_object *object, char *out, size_t size);

/* value_get and the conversion in one. */
static inline uint64_t value_get_uint(const msgpack_object *map, const char *key)
{
  return value_uint(value_get(map, key));
}
static inline int64_t value_get_int(const msgpack_object *map, const char *key)
{
  return value_int(value_get(map, key));
}
static inline struct bytes_view value_get_text(const msgpack_object *map, const char *key)
{
  return value_text(value_get(map, key));
}

/* For %.*s. */
#define VIEW_ARGUMENTS(view) (int)(view).size, (view).size > 0 ? (const char *)(view).data : ""

#endif
