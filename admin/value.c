#include "value.h"

#include <string.h>

static const msgpack_object nil_object = {.type = MSGPACK_OBJECT_NIL};

bool value_is_text(const msgpack_object *object, const char *text)
{
  size_t size = strlen(text);
  return object->type == MSGPACK_OBJECT_STR && object->via.str.size == size &&
         memcmp(object->via.str.ptr, text, size) == 0;
}

const msgpack_object *value_get(const msgpack_object *map, const char *key)
{
  if (map->type != MSGPACK_OBJECT_MAP)
    return &nil_object;
  for (uint32_t i = 0; i < map->via.map.size; i++)
    if (value_is_text(&map->via.map.ptr[i].key, key))
      return &map->via.map.ptr[i].val;
  return &nil_object;
}

size_t value_count(const msgpack_object *array)
{
  return array->type == MSGPACK_OBJECT_ARRAY ? array->via.array.size : 0;
}

const msgpack_object *value_at(const msgpack_object *array, size_t i)
{
  return &array->via.array.ptr[i];
}

bool value_is_nil(const msgpack_object *object)
{
  return object->type == MSGPACK_OBJECT_NIL;
}

uint64_t value_uint(const msgpack_object *object)
{
  return object->type == MSGPACK_OBJECT_POSITIVE_INTEGER ? object->via.u64 : 0;
}

int64_t value_int(const msgpack_object *object)
{
  if (object->type == MSGPACK_OBJECT_POSITIVE_INTEGER)
    return object->via.u64 <= INT64_MAX ? (int64_t)object->via.u64 : INT64_MAX;
  return object->type == MSGPACK_OBJECT_NEGATIVE_INTEGER ? object->via.i64 : 0;
}

bool value_bool(const msgpack_object *object)
{
  return object->type == MSGPACK_OBJECT_BOOLEAN && object->via.boolean;
}

struct bytes_view value_text(const msgpack_object *object)
{
  if (object->type != MSGPACK_OBJECT_STR)
    return (struct bytes_view){0};
  return bytes_view_of(object->via.str.ptr, object->via.str.size);
}

struct bytes_view value_bin(const msgpack_object *object)
{
  if (object->type != MSGPACK_OBJECT_BIN)
    return (struct bytes_view){0};
  return bytes_view_of(object->via.bin.ptr, object->via.bin.size);
}

void value_copy_text(const msgpack_object *object, char *out, size_t size)
{
  struct bytes_view text = value_text(object);
  size_t take = text.size < size - 1 ? text.size : size - 1;
  if (take > 0)
    memcpy(out, text.data, take);
  out[take] = '\0';
}
