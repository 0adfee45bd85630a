#include "noded/restore.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "admin/node_files.h"
#include "noded/backup.h"
#include "noded/config.h"
#include "noded/core_internal.h"
#include "noded/identity.h"
#include "noded/snapshot.h"
#include "storage/backup.h"

#define KEPT_NAME ".before"
#define KEPT_MAX 1000

struct restore {
  const struct restore_options *options;
  FILE *err;
  struct backup_manifest manifest;
  struct store_id fresh;
  char store_path[3000];
  char kept[PATH_MAX]; /* where the store in place went; "": there was none */
  int64_t began_ms;
};

__attribute__((format(printf, 2, 3))) static bool complain(const struct restore *restore,
                                                           const char *format, ...)
{
  va_list arguments;
  va_start(arguments, format);
  fputs("noded: ", restore->err);
  vfprintf(restore->err, format, arguments);
  fputc('\n', restore->err);
  va_end(arguments);
  return false;
}

/* ---- the backup ---- */

static bool manifest_take(struct restore *restore)
{
  const char *backup = restore->options->backup;
  enum status status = backup_manifest_read(backup, &restore->manifest);
  if (status != STATUS_OK) {
    return complain(restore, "%s is not a whole backup: reading its %s: %s", backup,
                    BACKUP_MANIFEST, status_text(status));
  }
  return true;
}

/* Copies the data file into a new folder, and checks it on the way. */
static bool data_copy(const struct restore *restore, const char *to)
{
  char from[PATH_MAX];
  char path[PATH_MAX];
  struct hash hash;
  uint64_t octets;
  if (node_file_path(restore->options->backup, BACKUP_DATA, from) != STATUS_OK ||
      node_file_path(to, "data.mdb", path) != STATUS_OK) {
    return complain(restore, "the path is too long");
  }
  if (mkdir(to, 0700) != 0) {
    return complain(restore, "making %s: %s", to, strerror(errno));
  }
  enum status status = backup_file_copy(from, path, 0600, &hash, &octets);
  if (status != STATUS_OK) {
    return complain(restore, "copying %s to %s: %s", from, path, status_text(status));
  }
  if (octets != restore->manifest.octets || !hash_equal(&hash, &restore->manifest.hash)) {
    return complain(restore, "%s is damaged: it is not what its manifest says", from);
  }
  return true;
}

static struct store *store_reopen(const struct restore *restore, const char *path)
{
  char reason[STORE_REASON_MAX];
  struct store_settings settings;
  struct store *store = NULL;
  store_settings_default(&settings);
  settings.path = path;
  if (store_open(&settings, &restore->manifest.identity, &store, reason) != STATUS_OK) {
    complain(restore, "%s", reason);
    return NULL;
  }
  return store;
}

/* ---- the drill ---- */

static bool heads_agree(const struct restore *restore, const struct backup_manifest *found)
{
  const struct backup_manifest *said = &restore->manifest;
  if (found->counts.logs != said->counts.logs || found->counts.records != said->counts.records ||
      found->counts.commits != said->counts.commits ||
      found->counts.subjects != said->counts.subjects) {
    return complain(restore, "the store holds other counts than the manifest says");
  }
  for (uint64_t i = 0; i < said->counts.logs; i++) {
    const struct backup_head *a = &said->heads[i];
    const struct backup_head *b = &found->heads[i];
    if (a->seq != b->seq || !hash_equal(&a->commit_id, &b->commit_id) ||
        memcmp(a->id.origin.octets, b->id.origin.octets, KEY_SIZE) != 0 ||
        memcmp(a->id.store.octets, b->id.store.octets, STORE_ID_SIZE) != 0 ||
        a->id.lane != b->id.lane) {
      return complain(restore, "log %" PRIu64 " ends elsewhere than the manifest says", i + 1);
    }
  }
  return true;
}

static bool drill_check(const struct restore *restore, const char *path)
{
  struct backup_manifest found = {0};
  struct store *store = store_reopen(restore, path);
  if (store == NULL) {
    return false;
  }
  enum status status = backup_store_check(store, &found);
  store_close(store);
  bool good = status == STATUS_OK && heads_agree(restore, &found);
  if (status != STATUS_OK) {
    complain(restore, "verifying: %s", status_text(status));
  } else if (found.findings != 0) {
    good = complain(restore, "verify found %" PRIu64 " faults", found.findings);
  }
  backup_manifest_close(&found);
  return good;
}

static bool drill(const struct restore *restore)
{
  const char *base = getenv("TMPDIR");
  char folder[2048];
  char store[PATH_MAX];
  snprintf(folder, sizeof(folder), "%.1900s/noded-drill-XXXXXX",
           base != NULL && base[0] != 0 ? base : "/tmp");
  if (mkdtemp(folder) == NULL) {
    return complain(restore, "making %s: %s", folder, strerror(errno));
  }
  bool good = node_file_path(folder, "store", store) == STATUS_OK && data_copy(restore, store) &&
              drill_check(restore, store);
  backup_tree_remove(folder);
  return good;
}

/* ---- in place ---- */

static bool is_there(const char *directory, const char *name)
{
  char path[PATH_MAX];
  return node_file_path(directory, name, path) == STATUS_OK && node_file_exists(path);
}

/* Files of the node that are missing come from the backup; those in place stay. */
static bool files_place(const struct restore *restore)
{
  static const char *const names[] = {NODE_FILE_ROOT_CERTIFICATE, NODE_FILE_CHAIN, NODE_FILE_CONFIG,
                                      NODE_FILE_KEY};
  const struct restore_options *options = restore->options;
  char from[PATH_MAX];
  char to[PATH_MAX];
  if (mkdir(options->directory, 0700) != 0 && errno != EEXIST) {
    return complain(restore, "making %s: %s", options->directory, strerror(errno));
  }
  for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
    if (is_there(options->directory, names[i]) || !is_there(options->backup, names[i])) {
      continue;
    }
    enum status status = node_file_path(options->backup, names[i], from) == STATUS_OK &&
                                 node_file_path(options->directory, names[i], to) == STATUS_OK
                             ? backup_file_copy(from, to, 0600, NULL, NULL)
                             : STATUS_TOO_LARGE;
    if (status != STATUS_OK) {
      return complain(restore, "copying %s: %s", from, status_text(status));
    }
  }
  if (!is_there(options->directory, NODE_FILE_KEY)) {
    return complain(restore,
                    "neither %s nor the backup holds node.key: put this node's key there, or have "
                    "a new device certified and give it a snapshot",
                    options->directory);
  }
  return true;
}

static bool identity_agrees(const struct restore *restore)
{
  char reason[IDENTITY_REASON_MAX];
  struct core_identity identity = {0};
  const struct store_identity *held = &restore->manifest.identity;
  if (identity_load(restore->options->directory, &identity, reason) != STATUS_OK) {
    return complain(restore, "%s", reason);
  }
  bool agrees = memcmp(identity.key.octets, held->node.octets, KEY_SIZE) == 0 &&
                address_equal(&identity.address, &held->address) &&
                hash_equal(&identity.root, &held->root);
  if (!agrees) {
    complain(restore, "the backup is of another node, %s; this one is %s", held->address.text,
             identity.address.text);
  }
  identity_close(&identity);
  return agrees;
}

static bool config_take(struct restore *restore)
{
  char reason[CONFIG_REASON_MAX];
  struct config config;
  if (config_read(restore->options->config, restore->options->directory, &config, reason) !=
      STATUS_OK) {
    return complain(restore, "%s", reason);
  }
  int size = snprintf(restore->store_path, sizeof(restore->store_path), "%s", config.store_path);
  config_close(&config);
  return size > 0 && (size_t)size < sizeof(restore->store_path)
             ? true
             : complain(restore, "the store's path is too long");
}

/* Nobody may have the store open that is to be moved aside. */
static bool store_in_place(struct restore *restore, bool *there)
{
  char reason[STORE_REASON_MAX];
  struct store_settings settings;
  struct store *store = NULL;
  *there = is_there(restore->store_path, "data.mdb");
  if (!*there) {
    return true;
  }
  if (!restore->options->replace) {
    return complain(restore, "there is a store at %s; --replace moves it aside",
                    restore->store_path);
  }
  store_settings_default(&settings);
  settings.path = restore->store_path;
  enum status status = store_open(&settings, NULL, &store, reason);
  store_close(store);
  /* A store that is too damaged to be opened is what a backup is for. */
  return status == STATUS_BUSY ? complain(restore, "%s", reason) : true;
}

/* Something in it may have been erased since (DESIGN section 5). Nobody is above a district. */
static enum status hide(struct store *store)
{
  struct address above;
  struct store_txn *txn;
  if (!address_parent(&store_identity(store)->address, &above) || above.size == 0) {
    return STATUS_OK;
  }
  enum status status = store_begin(store, core_now(), &txn);
  if (status != STATUS_OK) {
    return status;
  }
  status = store_meta_put(txn, CORE_COUNTER_HIDDEN, 1);
  if (status != STATUS_OK) {
    store_abort(txn);
    return status;
  }
  return store_commit(txn);
}

static bool renew(struct restore *restore, const char *part)
{
  struct store *store = store_reopen(restore, part);
  if (store == NULL) {
    return false;
  }
  randombytes_buf(restore->fresh.octets, STORE_ID_SIZE);
  enum status status = store_renew(store, core_now(), &restore->fresh);
  if (status == STATUS_OK) {
    status = hide(store);
  }
  store_close(store);
  return status == STATUS_OK
             ? true
             : complain(restore, "giving the store a new id: %s", status_text(status));
}

static bool kept_name(struct restore *restore)
{
  for (unsigned i = 1; i <= KEPT_MAX; i++) {
    snprintf(restore->kept, sizeof(restore->kept), "%s" KEPT_NAME "-%u", restore->store_path, i);
    if (!node_file_exists(restore->kept)) {
      return true;
    }
  }
  return complain(restore, "remove some of the stores beside %s first", restore->store_path);
}

static bool parent_sync(const struct restore *restore)
{
  enum status status = node_file_sync_directory_of(restore->store_path);
  return status == STATUS_OK ? true
                             : complain(restore, "syncing the folder of %s: %s",
                                        restore->store_path, status_text(status));
}

/* At every moment either the one store stands in place or the other. */
static bool exchange(struct restore *restore, const char *part, bool there)
{
  if (!there) {
    (void)rmdir(restore->store_path);
    if (rename(part, restore->store_path) != 0) {
      return complain(restore, "renaming %s: %s", part, strerror(errno));
    }
    return parent_sync(restore);
  }
  if (!kept_name(restore)) {
    return false;
  }
  if (renameat2(AT_FDCWD, part, AT_FDCWD, restore->store_path, RENAME_EXCHANGE) != 0) {
    return complain(restore, "exchanging %s and %s: %s", part, restore->store_path,
                    strerror(errno));
  }
  if (rename(part, restore->kept) != 0) {
    return complain(restore, "the backup is in place; the former store is left at %s: %s", part,
                    strerror(errno));
  }
  return parent_sync(restore);
}

static bool place(struct restore *restore)
{
  char part[PATH_MAX];
  bool there;
  if (!files_place(restore) || !identity_agrees(restore) || !config_take(restore) ||
      !store_in_place(restore, &there)) {
    return false;
  }
  snprintf(part, sizeof(part), "%s" BACKUP_PART, restore->store_path);
  backup_tree_remove(part); /* of one that was cut off */
  bool good = data_copy(restore, part) && renew(restore, part) &&
              backup_directory_sync(part) == STATUS_OK && exchange(restore, part, there);
  if (!good && restore->kept[0] == 0) {
    backup_tree_remove(part);
  }
  return good;
}

/* ---- what was done ---- */

static bool report_json(const struct restore *restore, const char *store, int64_t ms, FILE *out)
{
  const struct backup_manifest *manifest = &restore->manifest;
  cJSON *json = cJSON_CreateObject();
  cJSON_AddStringToObject(json, "address", manifest->identity.address.text);
  cJSON_AddBoolToObject(json, "drill", restore->options->drill);
  cJSON_AddNumberToObject(json, "at", (double)manifest->at_ms);
  cJSON_AddNumberToObject(json, "size", (double)manifest->octets);
  cJSON_AddNumberToObject(json, "logs", (double)manifest->counts.logs);
  cJSON_AddNumberToObject(json, "commits", (double)manifest->counts.commits);
  cJSON_AddNumberToObject(json, "records", (double)manifest->counts.records);
  cJSON_AddNumberToObject(json, "subjects", (double)manifest->counts.subjects);
  cJSON_AddStringToObject(json, "store", store);
  cJSON_AddNumberToObject(json, "ms", (double)ms);
  char *text = cJSON_PrintUnformatted(json);
  cJSON_Delete(json);
  if (text == NULL) {
    return complain(restore, "it is done, but there is no memory left to say so");
  }
  fprintf(out, "%s\n", text);
  cJSON_free(text);
  return true;
}

static bool report(const struct restore *restore, FILE *out)
{
  const struct backup_manifest *manifest = &restore->manifest;
  const struct backup_counts *counts = &manifest->counts;
  bool drilled = restore->options->drill;
  int64_t ms = core_now().mono.ms - restore->began_ms;
  char store[2 * STORE_ID_SIZE + 1] = "";
  if (!drilled) {
    bytes_to_hex(bytes_view_of(restore->fresh.octets, STORE_ID_SIZE), store);
  }
  if (restore->options->json) {
    return report_json(restore, store, ms, out);
  }
  fprintf(out,
          "%s: backup of %s, %" PRIu64 " logs, %" PRIu64 " commits, %" PRIu64 " records, %" PRIu64
          " subjects; ",
          restore->options->backup, manifest->identity.address.text, counts->logs, counts->commits,
          counts->records, counts->subjects);
  if (drilled) {
    fprintf(out, "restored, verified and removed again in %" PRId64 " ms\n", ms);
  } else {
    fprintf(out, "in place at %s as store %s after %" PRId64 " ms\n", restore->store_path, store,
            ms);
  }
  if (restore->kept[0] != 0) {
    fprintf(out, "the former store is at %s\n", restore->kept);
  }
  return true;
}

bool restore_run(const struct restore_options *options, FILE *out, FILE *err)
{
  if (options->snapshot) {
    return snapshot_restore(options, out, err);
  }
  struct restore restore = {.options = options, .err = err, .began_ms = core_now().mono.ms};
  bool good = manifest_take(&restore) && (options->drill ? drill(&restore) : place(&restore));
  good = good && report(&restore, out);
  backup_manifest_close(&restore.manifest);
  return good;
}
