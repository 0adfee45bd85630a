#include "json.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "record/bytes.h"

/* Up to here cJSON prints every digit of an integer; beyond, from 10^15 on, it would round. */
#define JSON_EXACT_MAX 999999999999999

cJSON *json_of_uint(uint64_t value)
{
  char text[24];
  if (value <= JSON_EXACT_MAX)
    return cJSON_CreateNumber((double)value);
  snprintf(text, sizeof text, "%" PRIu64, value);
  return cJSON_CreateRaw(text);
}

static cJSON *of_negative(int64_t value)
{
  char text[24];
  if (value >= -JSON_EXACT_MAX)
    return cJSON_CreateNumber((double)value);
  snprintf(text, sizeof text, "%" PRId64, value);
  return cJSON_CreateRaw(text);
}

static cJSON *of_text(const char *data, size_t size)
{
  char *text = malloc(size + 1);
  if (text == NULL)
    return NULL;
  if (size > 0)
    memcpy(text, data, size);
  text[size] = '\0';
  cJSON *json = cJSON_CreateString(text);
  free(text);
  return json;
}

static cJSON *of_octets(const char *data, size_t size)
{
  char *hex = malloc(2 * size + 1);
  if (hex == NULL)
    return NULL;
  bytes_to_hex(bytes_view_of(data, size), hex);
  cJSON *json = cJSON_CreateString(hex);
  free(hex);
  return json;
}

static cJSON *of_array(const msgpack_object_array *array)
{
  cJSON *json = cJSON_CreateArray();
  for (uint32_t i = 0; json != NULL && i < array->size; i++) {
    cJSON *element = json_of(&array->ptr[i]);
    if (element == NULL || !cJSON_AddItemToArray(json, element)) {
      cJSON_Delete(element);
      cJSON_Delete(json);
      return NULL;
    }
  }
  return json;
}

/* JSON knows text keys only; others stand as their JSON. */
static char *key_text(const msgpack_object *key)
{
  cJSON *json = json_of(key);
  if (json == NULL)
    return NULL;
  char *text = cJSON_IsString(json) ? strdup(json->valuestring) : cJSON_PrintUnformatted(json);
  cJSON_Delete(json);
  return text;
}

static cJSON *of_map(const msgpack_object_map *map)
{
  cJSON *json = cJSON_CreateObject();
  for (uint32_t i = 0; json != NULL && i < map->size; i++) {
    cJSON *value = json_of(&map->ptr[i].val);
    char *key = key_text(&map->ptr[i].key);
    if (value == NULL || key == NULL || !cJSON_AddItemToObject(json, key, value)) {
      cJSON_Delete(value);
      cJSON_Delete(json);
      json = NULL;
    }
    free(key);
  }
  return json;
}

cJSON *json_of(const msgpack_object *object)
{
  switch (object->type) {
  case MSGPACK_OBJECT_BOOLEAN:
    return cJSON_CreateBool(object->via.boolean);
  case MSGPACK_OBJECT_POSITIVE_INTEGER:
    return json_of_uint(object->via.u64);
  case MSGPACK_OBJECT_NEGATIVE_INTEGER:
    return of_negative(object->via.i64);
  case MSGPACK_OBJECT_FLOAT32:
  case MSGPACK_OBJECT_FLOAT64:
    return isfinite(object->via.f64) ? cJSON_CreateNumber(object->via.f64) : cJSON_CreateNull();
  case MSGPACK_OBJECT_STR:
    return of_text(object->via.str.ptr, object->via.str.size);
  case MSGPACK_OBJECT_BIN:
    return of_octets(object->via.bin.ptr, object->via.bin.size);
  case MSGPACK_OBJECT_ARRAY:
    return of_array(&object->via.array);
  case MSGPACK_OBJECT_MAP:
    return of_map(&object->via.map);
  default:
    return cJSON_CreateNull();
  }
}

bool json_print(FILE *out, cJSON *json)
{
  char *text = json != NULL ? cJSON_PrintUnformatted(json) : NULL;
  cJSON_Delete(json);
  if (text == NULL)
    return false;
  fprintf(out, "%s\n", text);
  cJSON_free(text);
  return true;
}

void json_print_failure(FILE *out, const char *status, const char *reason)
{
  cJSON *json = cJSON_CreateObject();
  if (json != NULL) {
    cJSON_AddStringToObject(json, "status", status);
    cJSON_AddStringToObject(json, "reason", reason);
  }
  json_print(out, json);
}
