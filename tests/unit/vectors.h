/*
 * Reading the files of tests/vectors: hex to octets, with a failure that names the entry.
 */
#ifndef TESTS_VECTORS_H
#define TESTS_VECTORS_H

#include <cJSON.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "record/bytes.h"
#include "record/hash.h"
#include "record/status.h"

/* The whole file; release with cJSON_Delete. */
static inline cJSON *vectors_load(const char *name)
{
  char path[512];
  snprintf(path, sizeof(path), "%s/vectors/%s", TESTS_DIR, name);
  FILE *file = fopen(path, "rb");
  assert_non_null(file);
  struct bytes text = {0};
  char part[65536];
  size_t size = 0;
  while ((size = fread(part, 1, sizeof(part), file)) > 0) {
    assert_int_equal(bytes_append(&text, part, size), STATUS_OK);
  }
  fclose(file);
  cJSON *root = cJSON_ParseWithLength((const char *)text.data, text.size);
  assert_non_null(root);
  bytes_close(&text);
  return root;
}

static inline const cJSON *vectors_get(const cJSON *entry, const char *field)
{
  const cJSON *value = cJSON_GetObjectItemCaseSensitive(entry, field);
  if (value == NULL) {
    fail_msg("vector without field %s", field);
  }
  return value;
}

static inline const char *vectors_text(const cJSON *entry, const char *field)
{
  const cJSON *value = vectors_get(entry, field);
  assert_true(cJSON_IsString(value));
  return value->valuestring;
}

static inline uint64_t vectors_number(const cJSON *entry, const char *field)
{
  const cJSON *value = vectors_get(entry, field);
  assert_true(cJSON_IsNumber(value));
  return (uint64_t)value->valuedouble;
}

/* Octets of a hex string; the caller closes them. */
static inline struct bytes vectors_octets_of(const cJSON *value)
{
  assert_true(cJSON_IsString(value));
  size_t size = strlen(value->valuestring) / 2;
  struct bytes octets = {0};
  /* exactly as many octets as there are, so that a sanitizer sees a read past the end */
  octets.data = malloc(size == 0 ? 1 : size);
  octets.capacity = size;
  octets.size = size;
  assert_non_null(octets.data);
  assert_int_equal(bytes_from_hex(value->valuestring, octets.data, size), STATUS_OK);
  return octets;
}

static inline struct bytes vectors_octets(const cJSON *entry, const char *field)
{
  return vectors_octets_of(vectors_get(entry, field));
}

static inline void vectors_exact(const cJSON *value, uint8_t *out, size_t size)
{
  assert_true(cJSON_IsString(value));
  assert_int_equal(bytes_from_hex(value->valuestring, out, size), STATUS_OK);
}

static inline struct hash vectors_hash(const cJSON *entry, const char *field)
{
  struct hash hash;
  vectors_exact(vectors_get(entry, field), hash.octets, HASH_SIZE);
  return hash;
}

/* An array of hashes into `out`; how many. */
static inline size_t vectors_hashes(const cJSON *entry, const char *field, struct hash *out,
                                    size_t max)
{
  size_t count = 0;
  const cJSON *value = NULL;
  cJSON_ArrayForEach(value, vectors_get(entry, field))
  {
    assert_true(count < max);
    vectors_exact(value, out[count++].octets, HASH_SIZE);
  }
  return count;
}

#endif
