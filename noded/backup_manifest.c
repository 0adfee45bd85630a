/* The manifest of a backup: JSON, so that people and scripts read it too. */
#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/node_files.h"
#include "noded/backup.h"

#define MANIFEST_VERSION 1

void backup_manifest_close(struct backup_manifest *manifest)
{
  free(manifest->heads);
  manifest->heads = NULL;
}

enum status backup_manifest_fill(struct store *store, struct backup_manifest *manifest)
{
  struct store_txn *txn;
  struct store_counts counts;
  struct log_head head;
  uint32_t logs = store_log_count(store);
  manifest->heads = calloc((size_t)logs + 1, sizeof(*manifest->heads));
  if (manifest->heads == NULL) {
    return STATUS_NO_MEMORY;
  }
  enum status status = store_read_begin(store, &txn);
  if (status != STATUS_OK) {
    return status;
  }
  store_counts(txn, &counts);
  store_read_end(txn);
  manifest->identity = *store_identity(store);
  manifest->counts = (struct backup_counts){logs, counts.commits, counts.records, counts.subjects};
  for (uint32_t i = 1; i <= logs; i++) {
    if (store_log_at(store, i, &head)) {
      manifest->heads[i - 1] = (struct backup_head){head.id, head.seq, head.commit_id};
    }
  }
  return STATUS_OK;
}

/* ---- writing ---- */

static void add_hex(cJSON *json, const char *name, const uint8_t *octets, size_t size)
{
  char hex[2 * HASH_SIZE + 1];
  bytes_to_hex(bytes_view_of(octets, size), hex);
  cJSON_AddStringToObject(json, name, hex);
}

/* Whole, which cJSON's own numbers are not beyond 17 digits. */
static void add_uint(cJSON *json, const char *name, uint64_t value)
{
  char text[24];
  snprintf(text, sizeof(text), "%" PRIu64, value);
  cJSON_AddRawToObject(json, name, text);
}

static void add_heads(cJSON *json, const struct backup_manifest *manifest)
{
  cJSON *heads = cJSON_AddArrayToObject(json, "heads");
  for (uint64_t i = 0; i < manifest->counts.logs; i++) {
    const struct backup_head *head = &manifest->heads[i];
    cJSON *row = cJSON_CreateObject();
    add_hex(row, "origin", head->id.origin.octets, KEY_SIZE);
    add_hex(row, "store", head->id.store.octets, STORE_ID_SIZE);
    add_uint(row, "lane", head->id.lane);
    add_uint(row, "seq", head->seq);
    add_hex(row, "id", head->commit_id.octets, HASH_SIZE);
    cJSON_AddItemToArray(heads, row);
  }
}

enum status backup_manifest_write(const char *backup, const struct backup_manifest *manifest)
{
  char path[PATH_MAX];
  const struct store_identity *identity = &manifest->identity;
  cJSON *json = cJSON_CreateObject();
  add_uint(json, "version", MANIFEST_VERSION);
  add_hex(json, "node", identity->node.octets, KEY_SIZE);
  cJSON_AddStringToObject(json, "address", identity->address.text);
  add_hex(json, "store", identity->store.octets, STORE_ID_SIZE);
  add_hex(json, "root", identity->root.octets, HASH_SIZE);
  add_uint(json, "at", (uint64_t)manifest->at_ms);
  add_uint(json, "size", manifest->octets);
  add_hex(json, "hash", manifest->hash.octets, HASH_SIZE);
  cJSON_AddBoolToObject(json, "secret_key", manifest->secret_key);
  add_uint(json, "findings", manifest->findings);
  add_uint(json, "logs", manifest->counts.logs);
  add_uint(json, "commits", manifest->counts.commits);
  add_uint(json, "records", manifest->counts.records);
  add_uint(json, "subjects", manifest->counts.subjects);
  add_heads(json, manifest);
  char *text = cJSON_Print(json);
  cJSON_Delete(json);
  if (text == NULL) {
    return STATUS_NO_MEMORY;
  }
  enum status status = node_file_path(backup, BACKUP_MANIFEST, path);
  if (status == STATUS_OK) {
    status = node_file_write(path, bytes_view_text(text), 0600, false);
  }
  cJSON_free(text);
  return status;
}

/* ---- reading ---- */

static bool get_hex(const cJSON *json, const char *name, uint8_t *octets, size_t size)
{
  const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, name));
  return text != NULL && strlen(text) == 2 * size &&
         bytes_from_hex(text, octets, size) == STATUS_OK;
}

static bool get_uint(const cJSON *json, const char *name, uint64_t *out)
{
  const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, name);
  if (!cJSON_IsNumber(item) || item->valuedouble < 0 || item->valuedouble > 9007199254740991.0) {
    return false;
  }
  *out = (uint64_t)item->valuedouble;
  return true;
}

static bool read_heads(const cJSON *json, struct backup_manifest *out)
{
  const cJSON *heads = cJSON_GetObjectItemCaseSensitive(json, "heads");
  const cJSON *row;
  uint64_t lane;
  size_t i = 0;
  if (!cJSON_IsArray(heads) || (uint64_t)cJSON_GetArraySize(heads) != out->counts.logs) {
    return false;
  }
  out->heads = calloc((size_t)out->counts.logs + 1, sizeof(*out->heads));
  cJSON_ArrayForEach(row, heads)
  {
    struct backup_head *head = out->heads == NULL ? NULL : &out->heads[i++];
    if (head == NULL || !get_hex(row, "origin", head->id.origin.octets, KEY_SIZE) ||
        !get_hex(row, "store", head->id.store.octets, STORE_ID_SIZE) ||
        !get_uint(row, "lane", &lane) || lane >= LANE_COUNT || !get_uint(row, "seq", &head->seq) ||
        !get_hex(row, "id", head->commit_id.octets, HASH_SIZE)) {
      return false;
    }
    head->id.lane = (uint8_t)lane;
  }
  return true;
}

static enum status read_json(const cJSON *json, struct backup_manifest *out)
{
  struct store_identity *identity = &out->identity;
  const char *address = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, "address"));
  uint64_t version;
  uint64_t at;
  if (!get_uint(json, "version", &version)) {
    return STATUS_MALFORMED;
  }
  if (version != MANIFEST_VERSION) {
    return STATUS_WRONG_VERSION;
  }
  out->secret_key = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(json, "secret_key"));
  if (address == NULL || !get_hex(json, "node", identity->node.octets, KEY_SIZE) ||
      address_parse(bytes_view_text(address), false, &identity->address) != STATUS_OK ||
      !get_hex(json, "store", identity->store.octets, STORE_ID_SIZE) ||
      !get_hex(json, "root", identity->root.octets, HASH_SIZE) || !get_uint(json, "at", &at) ||
      !get_uint(json, "size", &out->octets) ||
      !get_hex(json, "hash", out->hash.octets, HASH_SIZE) ||
      !get_uint(json, "findings", &out->findings) || !get_uint(json, "logs", &out->counts.logs) ||
      !get_uint(json, "commits", &out->counts.commits) ||
      !get_uint(json, "records", &out->counts.records) ||
      !get_uint(json, "subjects", &out->counts.subjects) || !read_heads(json, out)) {
    return STATUS_MALFORMED;
  }
  out->at_ms = (int64_t)at;
  return STATUS_OK;
}

enum status backup_manifest_read(const char *backup, struct backup_manifest *out)
{
  char path[PATH_MAX];
  struct bytes octets = {0};
  memset(out, 0, sizeof(*out));
  enum status status = node_file_path(backup, BACKUP_MANIFEST, path);
  if (status == STATUS_OK) {
    status = node_file_read(path, BACKUP_MANIFEST_MAX, &octets);
  }
  if (status == STATUS_OK) {
    cJSON *json = cJSON_ParseWithLength((const char *)octets.data, octets.size);
    status = json == NULL ? STATUS_MALFORMED : read_json(json, out);
    cJSON_Delete(json);
  }
  bytes_close(&octets);
  if (status != STATUS_OK) {
    backup_manifest_close(out);
  }
  return status;
}
