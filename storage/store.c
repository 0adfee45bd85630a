/* Creating, opening and closing a store, and the lock that keeps a second writer out. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "meta.h"

#define READERS_MAX 126
#define LOCK_NAME "writer.lock"
#define DIRECTORY_MODE 0700
#define FILE_MODE 0600

void store_settings_default(struct store_settings *settings)
{
  *settings = (struct store_settings){.map_bytes = 64ull << 30, .zstd_level = 1};
}

__attribute__((format(printf, 2, 3))) static void explain(char *reason, const char *format, ...)
{
  va_list arguments;

  va_start(arguments, format);
  (void)vsnprintf(reason, STORE_REASON_MAX, format, arguments);
  va_end(arguments);
}

static enum status lock_take(struct store *store, char *reason)
{
  char path[4096];
  int size = snprintf(path, sizeof(path), "%s/" LOCK_NAME, store->path);

  if (size < 0 || (size_t)size >= sizeof(path)) {
    explain(reason, "the store's path is too long");
    return STATUS_IO;
  }
  store->lock_file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, FILE_MODE);
  if (store->lock_file < 0) {
    explain(reason, "cannot open %s: %s", path, strerror(errno));
    return errno == ENOSPC ? STATUS_DISK_FULL : STATUS_IO;
  }
  if (flock(store->lock_file, LOCK_EX | LOCK_NB) == 0)
    return STATUS_OK;
  explain(reason, "another process has the store %s open; stop it first", store->path);
  return STATUS_BUSY;
}

static enum status environment_open(struct store *store, char *reason)
{
  unsigned flags = MDB_NOTLS | MDB_NORDAHEAD | (store->read_only ? MDB_RDONLY : 0) |
                   (store->no_sync ? MDB_NOSYNC : 0);
  int code = mdb_env_create(&store->env);

  if (code == MDB_SUCCESS)
    code = mdb_env_set_maxdbs(store->env, TABLE_COUNT);
  if (code == MDB_SUCCESS)
    code = mdb_env_set_maxreaders(store->env, READERS_MAX);
  if (code == MDB_SUCCESS)
    code = mdb_env_set_mapsize(store->env, store->map_bytes);
  if (code == MDB_SUCCESS)
    code = mdb_env_open(store->env, store->path, flags, FILE_MODE);
  /* Places of readers that were killed. */
  if (code == MDB_SUCCESS && !store->read_only)
    code = mdb_reader_check(store->env, NULL);
  if (code == MDB_SUCCESS)
    return STATUS_OK;
  explain(reason, "cannot open the store %s: %s", store->path, mdb_strerror(code));
  return code == MDB_VERSION_MISMATCH ? STATUS_WRONG_VERSION : db_status(code);
}

static struct store *store_new(const struct store_settings *settings)
{
  struct store *store = calloc(1, sizeof(*store));
  uint64_t page_mask = (uint64_t)sysconf(_SC_PAGESIZE) - 1;

  if (store == NULL)
    return NULL;
  store->lock_file = -1;
  store->read_only = settings->read_only;
  store->no_sync = settings->no_sync;
  store->zstd_level = settings->zstd_level;
  store->quota_bytes = settings->quota_bytes;
  store->map_bytes = settings->map_bytes;
  if (store->quota_bytes != 0 && store->quota_bytes < store->map_bytes)
    store->map_bytes = store->quota_bytes;
  store->map_bytes = (store->map_bytes + page_mask) & ~page_mask;
  store->path = strdup(settings->path);
  store->neighbours = calloc(NEIGHBOURS_MAX, sizeof(*store->neighbours));
  pthread_mutex_init(&store->logs_lock, NULL);
  if (getrandom(&store->hash_seed, sizeof(store->hash_seed), 0) != sizeof(store->hash_seed))
    store->hash_seed = (uint64_t)(uintptr_t)store;
  if (store->path == NULL || store->neighbours == NULL ||
      audience_cache_init(&store->audiences) != STATUS_OK) {
    store_close(store);
    return NULL;
  }
  return store;
}

void store_close(struct store *store)
{
  if (store == NULL)
    return;
  CHECK(!store->writing);
  if (store->env != NULL)
    mdb_env_close(store->env);
  if (store->lock_file >= 0)
    close(store->lock_file);
  for (size_t i = 0; store->neighbours != NULL && i < store->neighbour_count; i++)
    free(store->neighbours[i]);
  free(store->neighbours);
  free(store->neighbour_map.slots);
  free(store->logs);
  free(store->log_map.slots);
  free(store->certificates);
  free(store->certificate_map.slots);
  free(store->log_undos);
  free(store->neighbour_undos);
  free(store->history.items);
  free(store->plan.entries);
  free(store->plan.places);
  audience_cache_close(&store->audiences);
  scratch_close(&store->scratch);
  arena_close(&store->arena);
  pthread_mutex_destroy(&store->logs_lock);
  free(store->path);
  free(store);
}

static enum status tables_open(struct store *store, MDB_txn *mdb, unsigned flags)
{
  for (size_t i = 0; i < TABLE_COUNT; i++) {
    int code = mdb_dbi_open(mdb, layout_table_name((enum table)i), flags, &store->tables[i]);
    if (code == MDB_NOTFOUND && i == TABLE_FLOORS && store->read_only) {
      store->floors_missing = true;
      continue;
    }
    if (code != MDB_SUCCESS)
      return db_status(code);
  }
  return STATUS_OK;
}

/* Into an environment that no process but ours has open. */
static enum status contents_create(struct store *store, const struct store_identity *identity,
                                   char *reason)
{
  struct store_txn *txn;
  uint64_t version;
  enum status status = store_begin(store, (struct instant){{0}, {0}}, &txn);

  if (status != STATUS_OK)
    return status;
  status = tables_open(store, txn->mdb, MDB_CREATE);
  if (status == STATUS_OK) {
    status = meta_format_get(txn, &version);
    if (status == STATUS_OK || status == STATUS_CORRUPT) {
      explain(reason, "there is a store at %s already", store->path);
      status = STATUS_EXISTS;
    } else if (status == STATUS_NOT_FOUND) {
      status = meta_identity_put(txn, identity);
    }
  }
  if (status == STATUS_OK)
    status = neighbours_found(txn);
  if (status == STATUS_OK)
    return store_commit(txn);
  store_abort(txn);
  return status;
}

static enum status directory_make(const char *path, char *reason)
{
  if (mkdir(path, DIRECTORY_MODE) == 0 || errno == EEXIST)
    return STATUS_OK;
  explain(reason, "cannot make the directory %s: %s", path, strerror(errno));
  return errno == ENOSPC ? STATUS_DISK_FULL : STATUS_IO;
}

/* A new directory entry is durable only after its directory is. */
static enum status directory_sync(const char *path)
{
  int file = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  bool synced = file >= 0 && fsync(file) == 0;

  if (file >= 0)
    close(file);
  return synced ? STATUS_OK : STATUS_IO;
}

enum status store_create(const struct store_settings *settings,
                         const struct store_identity *identity, char *reason)
{
  struct store *store = NULL;
  enum status status;

  reason[0] = '\0';
  status = directory_make(settings->path, reason);
  if (status != STATUS_OK)
    return status;
  store = store_new(settings);
  if (store == NULL)
    return STATUS_NO_MEMORY;
  store->identity = *identity;
  status = lock_take(store, reason);
  if (status == STATUS_OK)
    status = environment_open(store, reason);
  if (status == STATUS_OK)
    status = contents_create(store, identity, reason);
  if (status == STATUS_OK)
    status = directory_sync(settings->path);
  if (status != STATUS_OK && reason[0] == '\0')
    explain(reason, "cannot make the store %s: %s", settings->path, status_text(status));
  store_close(store);
  return status;
}

static enum status identity_check(struct store *store, const struct store_txn *txn,
                                  const struct store_identity *expected, char *reason)
{
  uint64_t version;
  enum status status = meta_format_get(txn, &version);

  if (status != STATUS_OK) {
    explain(reason, "%s holds no store", store->path);
    return status;
  }
  if (version > STORE_FORMAT_VERSION) {
    explain(reason,
            "the store %s has format version %llu, this program knows versions up to %d; run the "
            "newer program, or restore an older store from a backup",
            store->path, (unsigned long long)version, STORE_FORMAT_VERSION);
    return STATUS_WRONG_VERSION;
  }
  status = meta_identity_get(txn, &store->identity);
  if (status != STATUS_OK || expected == NULL)
    return status;
  if (memcmp(store->identity.node.octets, expected->node.octets, KEY_SIZE) == 0 &&
      address_equal(&store->identity.address, &expected->address))
    return STATUS_OK;
  explain(reason,
          "the store %s belongs to another node, %s; this node is %s: configure this node's own "
          "store, or move that one away",
          store->path, store->identity.address.text, expected->address.text);
  return STATUS_WRONG_NODE;
}

static enum status mirrors_load(struct store *store, const struct store_txn *txn)
{
  enum status status;

  store->has_parent = store->identity.address.unit || store->identity.address.segments > 1;
  status = certificates_load(txn);
  if (status == STATUS_OK)
    status = neighbours_load(txn);
  if (status == STATUS_OK)
    status = logs_load(txn);
  if (status == STATUS_OK)
    status = floors_load(txn);
  if (status == STATUS_OK)
    status = backed_load(txn);
  if (status == STATUS_OK)
    status = outbox_load(txn);
  if (status == STATUS_OK)
    status = counters_load(txn);
  if (status == STATUS_OK) {
    logs_direct(store);
    room_note_disk(store, (struct instant){{0}, {0}});
    room_note_used(txn);
    room_note_file(store);
    room_assume(store);
  }
  return status;
}

/* Stores of the first version may lack the table of floors, which is then empty. */
static enum status tables_complete(struct store *store)
{
  MDB_txn *mdb;
  MDB_dbi table;
  int code = mdb_txn_begin(store->env, NULL, MDB_RDONLY, &mdb);

  if (code != MDB_SUCCESS)
    return db_status(code);
  code = mdb_dbi_open(mdb, layout_table_name(TABLE_META), 0, &table);
  if (code == MDB_SUCCESS)
    code = mdb_dbi_open(mdb, layout_table_name(TABLE_FLOORS), 0, &table);
  else
    code = MDB_SUCCESS; /* no store at all: told where it is opened */
  mdb_txn_abort(mdb);
  if (code != MDB_NOTFOUND)
    return db_status(code);
  code = mdb_txn_begin(store->env, NULL, 0, &mdb);
  if (code != MDB_SUCCESS)
    return db_status(code);
  code = mdb_dbi_open(mdb, layout_table_name(TABLE_FLOORS), MDB_CREATE, &table);
  if (code != MDB_SUCCESS) {
    mdb_txn_abort(mdb);
    return db_status(code);
  }
  return db_status(mdb_txn_commit(mdb));
}

static enum status contents_open(struct store *store, const struct store_identity *expected,
                                 char *reason)
{
  struct store_txn *txn;
  enum status status = store_read_begin(store, &txn);

  if (status != STATUS_OK)
    return status;
  status = tables_open(store, txn->mdb, 0);
  if (status == STATUS_NOT_FOUND)
    explain(reason, "%s holds no whole store", store->path);
  if (status == STATUS_OK)
    status = identity_check(store, txn, expected, reason);
  if (status == STATUS_OK)
    status = mirrors_load(store, txn);
  /* Tables opened in a transaction stay open only when it is committed. */
  if (status == STATUS_OK)
    status = db_status(mdb_txn_commit(txn->mdb));
  else
    mdb_txn_abort(txn->mdb);
  scratch_close(txn->scratch);
  free(txn);
  return status;
}

static bool store_exists(const char *path)
{
  char file[4096];
  int size = snprintf(file, sizeof(file), "%s/data.mdb", path);

  return size > 0 && (size_t)size < sizeof(file) && access(file, F_OK) == 0;
}

enum status store_open(const struct store_settings *settings, const struct store_identity *expected,
                       struct store **out, char *reason)
{
  struct store *store;
  enum status status = STATUS_OK;

  reason[0] = '\0';
  if (!store_exists(settings->path)) {
    explain(reason, "there is no store at %s", settings->path);
    return STATUS_NOT_FOUND;
  }
  store = store_new(settings);
  if (store == NULL)
    return STATUS_NO_MEMORY;
  if (!store->read_only)
    status = lock_take(store, reason);
  if (status == STATUS_OK)
    status = environment_open(store, reason);
  if (status == STATUS_OK && !store->read_only)
    status = tables_complete(store);
  if (status == STATUS_OK)
    status = contents_open(store, expected, reason);
  if (status == STATUS_OK) {
    *out = store;
    return STATUS_OK;
  }
  if (reason[0] == '\0')
    explain(reason, "cannot open the store %s: %s", settings->path, status_text(status));
  store_close(store);
  return status;
}

const struct store_identity *store_identity(const struct store *store)
{
  return &store->identity;
}
