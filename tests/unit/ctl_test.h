/*
 * What the tests of nodectl share: a run of all of it with its output caught, results written as
 * JSON, and golden files (NODED_GOLDEN_UPDATE=1 writes them anew).
 */
#ifndef UNIT_CTL_TEST_H
#define UNIT_CTL_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <cjson/cJSON.h>
#include <ftw.h>
#include <msgpack.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl.h"
#include "record/bytes.h"

#define TEST_NOW_MS 1530010734000 /* 2018-06-26 10:58:54 UTC */

struct run {
  enum ctl_exit code;
  char *out;
  char *err;
  size_t out_size;
  size_t err_size;
};

static inline void run_close(struct run *run)
{
  free(run->out);
  free(run->err);
}

/* Runs nodectl; the list ends with NULL. */
static inline struct run run_ctl(const char *first, ...)
{
  char *argv[64] = {(char *)(uintptr_t) "nodectl"};
  int argc = 1;
  struct run run = {0};
  va_list list;
  va_start(list, first);
  for (const char *word = first; word != NULL; word = va_arg(list, const char *))
    argv[argc++] = (char *)(uintptr_t)word;
  va_end(list);
  struct ctl ctl = {.view = {.now_ms = TEST_NOW_MS}};
  ctl.view.out = open_memstream(&run.out, &run.out_size);
  ctl.err = open_memstream(&run.err, &run.err_size);
  run.code = ctl_main(&ctl, argc, argv);
  fclose(ctl.view.out);
  fclose(ctl.err);
  return run;
}

static inline void pack_json(msgpack_packer *packer, const cJSON *json)
{
  const cJSON *child;
  if (cJSON_IsObject(json) || cJSON_IsArray(json)) {
    size_t count = (size_t)cJSON_GetArraySize(json);
    if (cJSON_IsObject(json))
      msgpack_pack_map(packer, count);
    else
      msgpack_pack_array(packer, count);
    cJSON_ArrayForEach(child, json)
    {
      if (cJSON_IsObject(json))
        msgpack_pack_str_with_body(packer, child->string, strlen(child->string));
      pack_json(packer, child);
    }
  } else if (cJSON_IsString(json)) {
    msgpack_pack_str_with_body(packer, json->valuestring, strlen(json->valuestring));
  } else if (cJSON_IsBool(json)) {
    cJSON_IsTrue(json) ? msgpack_pack_true(packer) : msgpack_pack_false(packer);
  } else if (cJSON_IsNumber(json) && json->valuedouble == (double)(int64_t)json->valuedouble) {
    msgpack_pack_int64(packer, (int64_t)json->valuedouble);
  } else if (cJSON_IsNumber(json)) {
    msgpack_pack_double(packer, json->valuedouble);
  } else {
    msgpack_pack_nil(packer);
  }
}

/* The msgpack of a JSON text. */
static inline void json_to_msgpack(const char *text, msgpack_sbuffer *out)
{
  msgpack_packer packer;
  cJSON *json = cJSON_Parse(text);
  if (json == NULL)
    fail_msg("no JSON: %s", text);
  msgpack_sbuffer_init(out);
  msgpack_packer_init(&packer, out, msgpack_sbuffer_write);
  pack_json(&packer, json);
  cJSON_Delete(json);
}

static inline char *read_text_file(const char *path)
{
  FILE *file = fopen(path, "rb");
  if (file == NULL)
    return NULL;
  char *text = NULL;
  size_t size = 0;
  FILE *memory = open_memstream(&text, &size);
  for (int c; (c = fgetc(file)) != EOF;)
    fputc(c, memory);
  fclose(memory);
  fclose(file);
  return text;
}

static inline void write_text_file(const char *path, const char *text)
{
  FILE *file = fopen(path, "wb");
  assert_non_null(file);
  fputs(text, file);
  assert_int_equal(fclose(file), 0);
}

static inline void assert_golden(const char *name, const char *text)
{
  char path[512];
  snprintf(path, sizeof path, "%s/golden/ctl/%s.txt", TESTS_DIR, name);
  if (getenv("NODED_GOLDEN_UPDATE") != NULL)
    write_text_file(path, text);
  char *golden = read_text_file(path);
  if (golden == NULL)
    fail_msg("no golden file %s", path);
  assert_string_equal(text, golden);
  free(golden);
}

/* A fresh directory; remove_directory takes it away. */
static inline void make_directory(char path[64])
{
  snprintf(path, 64, "/tmp/ctl-test-XXXXXX");
  assert_non_null(mkdtemp(path));
}

static inline int remove_entry(const char *path, const struct stat *info, int type,
                               struct FTW *place)
{
  (void)info;
  (void)type;
  (void)place;
  return remove(path);
}

static inline void remove_directory(const char *path)
{
  assert_int_equal(nftw(path, remove_entry, 8, FTW_DEPTH | FTW_PHYS), 0);
}

#endif
