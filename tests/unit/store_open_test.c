// links: storage PkgConfig::ZSTD PkgConfig::SODIUM noded_lmdb
/* Creating and opening a store, and every way in which that is refused. */
#include "store_world.h"

#include <lmdb.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "storage/backup.h"

static int setup(void **state)
{
  struct world *world = test_calloc(1, sizeof(*world));
  world_open(world);
  actor_add(world, "d");
  actor_add(world, "d/s");
  actor_open(world, &world->actors[0]);
  *state = world;
  return 0;
}

static int teardown(void **state)
{
  struct world *world = *state;
  world_verify(world);
  world_close(world);
  test_free(world);
  return 0;
}

static void test_identity_kept(void **state)
{
  struct world *world = *state;
  struct actor *actor = &world->actors[0];
  struct store_txn *txn = txn_begin(world, actor);
  assert_int_equal(store_meta_get(txn, "hlc"), 0);
  assert_ok(store_meta_put(txn, "hlc", UINT64_MAX));
  assert_ok(store_commit(txn));
  actor_reopen(world, actor);
  const struct store_identity *identity = store_identity(actor->store);
  assert_memory_equal(&identity->node, &actor->key, sizeof(actor->key));
  assert_memory_equal(&identity->store, &actor->store_id, sizeof(actor->store_id));
  assert_true(hash_equal(&identity->root, &world->root));
  assert_true(address_equal(&identity->address, &actor->address));
  assert_ok(store_read_begin(actor->store, &txn));
  assert_true(store_meta_get(txn, "hlc") == UINT64_MAX);
  store_read_end(txn);
}

/* A store that is put back has a new id and knows its former one; all else stays. */
static void test_renewed(void **state)
{
  struct world *world = *state;
  struct actor *actor = &world->actors[0];
  struct store_id former;
  struct store_id fresh = {{1, 2, 3}};
  struct store_txn *txn;
  assert_ok(store_read_begin(actor->store, &txn));
  assert_false(store_previous(txn, &former));
  store_read_end(txn);
  assert_ok(store_renew(actor->store, (struct instant){{0}, {0}}, &fresh));
  assert_memory_equal(&store_identity(actor->store)->store, &fresh, sizeof(fresh));
  actor_reopen(world, actor);
  assert_memory_equal(&store_identity(actor->store)->store, &fresh, sizeof(fresh));
  assert_memory_equal(&store_identity(actor->store)->node, &actor->key, sizeof(actor->key));
  assert_ok(store_read_begin(actor->store, &txn));
  assert_true(store_previous(txn, &former));
  assert_memory_equal(&former, &actor->store_id, sizeof(former));
  store_read_end(txn);
}

static void test_exists(void **state)
{
  struct world *world = *state;
  struct actor *actor = &world->actors[0];
  struct store_settings settings = actor_settings(actor);
  struct store_identity identity = actor_identity(world, actor);
  char reason[STORE_REASON_MAX];
  assert_int_equal(store_create(&settings, &identity, reason), STATUS_BUSY);
  store_close(actor->store);
  actor->store = NULL;
  assert_int_equal(store_create(&settings, &identity, reason), STATUS_EXISTS);
  assert_non_null(strstr(reason, actor->path));
  actor_reopen(world, actor);
}

static void test_nothing_there(void **state)
{
  struct store_settings settings;
  struct store *store = NULL;
  char reason[STORE_REASON_MAX];
  (void)state;
  store_settings_default(&settings);
  settings.path = "/tmp/noded-store-that-is-not-there";
  assert_int_equal(store_open(&settings, NULL, &store, reason), STATUS_NOT_FOUND);
  assert_true(reason[0] != '\0');
}

static void test_other_node(void **state)
{
  struct world *world = *state;
  struct actor *actor = &world->actors[0];
  struct store_settings settings = actor_settings(actor);
  struct store_identity other = actor_identity(world, &world->actors[1]);
  struct store *store = NULL;
  char reason[STORE_REASON_MAX];
  store_close(actor->store);
  actor->store = NULL;
  assert_int_equal(store_open(&settings, &other, &store, reason), STATUS_WRONG_NODE);
  assert_non_null(strstr(reason, "another node"));
  other = actor_identity(world, actor);
  other.address = world->actors[1].address;
  assert_int_equal(store_open(&settings, &other, &store, reason), STATUS_WRONG_NODE);
  actor_reopen(world, actor);
}

/* Writes a meta value behind the store's back. */
static void meta_write(const char *path, const char *name, const void *value, size_t size)
{
  MDB_env *env = NULL;
  MDB_txn *txn = NULL;
  MDB_dbi dbi;
  char key[16];
  (void)snprintf(key, sizeof(key), "%s", name);
  MDB_val k = {strlen(name), key};
  uint8_t room[64];
  MDB_val v = {size, memcpy(room, value, size)};
  assert_int_equal(mdb_env_create(&env), 0);
  assert_int_equal(mdb_env_set_maxdbs(env, 32), 0);
  assert_int_equal(mdb_env_open(env, path, 0, 0600), 0);
  assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
  assert_int_equal(mdb_dbi_open(txn, "meta", 0, &dbi), 0);
  assert_int_equal(mdb_put(txn, dbi, &k, &v, 0), 0);
  assert_int_equal(mdb_txn_commit(txn), 0);
  mdb_env_close(env);
}

static void test_newer_version(void **state)
{
  struct world *world = *state;
  struct actor *actor = &world->actors[0];
  struct store_settings settings = actor_settings(actor);
  struct store *store = NULL;
  char reason[STORE_REASON_MAX];
  char newer[32];
  uint8_t version[8] = {STORE_FORMAT_VERSION + 1};
  snprintf(newer, sizeof(newer), "version %d", STORE_FORMAT_VERSION + 1);
  store_close(actor->store);
  actor->store = NULL;
  meta_write(actor->path, "format", version, sizeof(version));
  assert_int_equal(store_open(&settings, NULL, &store, reason), STATUS_WRONG_VERSION);
  assert_non_null(strstr(reason, newer));
  version[0] = STORE_FORMAT_VERSION;
  meta_write(actor->path, "format", version, sizeof(version));
  meta_write(actor->path, "node", version, 3);
  assert_int_equal(store_open(&settings, NULL, &store, reason), STATUS_CORRUPT);
  meta_write(actor->path, "node", actor->key.octets, KEY_SIZE);
  actor_reopen(world, actor);
}

static void test_garbage(void **state)
{
  struct world *world = *state;
  struct actor *actor = &world->actors[0];
  struct store_settings settings = actor_settings(actor);
  struct store *store = NULL;
  char reason[STORE_REASON_MAX];
  char path[128];
  store_close(actor->store);
  actor->store = NULL;
  (void)snprintf(path, sizeof(path), "%s/data.mdb", actor->path);
  FILE *file = fopen(path, "r+b");
  assert_non_null(file);
  for (size_t i = 0; i < 8192; i++) {
    assert_int_not_equal(fputc('x', file), EOF);
  }
  assert_int_equal(fclose(file), 0);
  assert_int_not_equal(store_open(&settings, NULL, &store, reason), STATUS_OK);
  assert_true(reason[0] != '\0');
}

static void test_second_process(void **state)
{
  struct world *world = *state;
  struct actor *actor = &world->actors[0];
  struct store_settings settings = actor_settings(actor);
  char reason[STORE_REASON_MAX];
  int result = 0;
  pid_t child = fork();
  if (child == 0) {
    struct store *store = NULL;
    bool busy = store_open(&settings, NULL, &store, reason) == STATUS_BUSY;
    settings.read_only = true;
    bool readable = store_open(&settings, NULL, &store, reason) == STATUS_OK;
    if (readable) {
      store_close(store);
    }
    _exit(busy && readable ? 0 : 1);
  }
  assert_true(child > 0);
  assert_int_equal(waitpid(child, &result, 0), child);
  assert_true(WIFEXITED(result));
  assert_int_equal(WEXITSTATUS(result), 0);
}

/* Takes reports in until the quota refuses; returns how many stand. */
static size_t fill_up(struct world *world, struct actor *actor, enum store_room *worst)
{
  struct subject subject;
  struct say say = {.subject = &subject, .found = true, .up = TIER_DISTRICT};
  struct say says[256];
  for (size_t taken = 0;; taken++) {
    for (size_t i = 0; i < 256; i++) {
      says[i] = say;
    }
    struct bytes_view octets = commit_make(world, actor, LANE_NORMAL, says, 256);
    struct commit commit;
    struct applied applied;
    world->ms += 600;
    struct store_txn *txn = txn_begin(world, actor);
    assert_true(taken < 10000);
    if (store_room(actor->store) > *worst) {
      *worst = store_room(actor->store);
    }
    assert_int_equal(commit_read(octets, &world->arena, &commit), VERDICT_OK);
    enum status status = store_commit_apply(txn, &commit, (struct bytes_view){0}, &applied);
    if (status == STATUS_OK) {
      status = store_commit(txn);
    } else {
      assert_int_equal(store_commit(txn), status);
    }
    if (status != STATUS_OK) {
      assert_int_equal(status, STATUS_DISK_FULL);
      return taken;
    }
    arena_reset(&world->arena);
  }
}

static void test_quota(void **state)
{
  struct world *world = *state;
  struct actor *actor = &world->actors[1];
  struct store_settings settings;
  struct store_identity identity = actor_identity(world, actor);
  struct store_usage usage;
  struct log_head head;
  char reason[STORE_REASON_MAX];
  enum store_room worst = STORE_ROOM_OK;
  actor_directory(actor);
  settings = actor_settings(actor);
  settings.quota_bytes = 16 << 20;
  assert_ok(store_create(&settings, &identity, reason));
  assert_ok(store_open(&settings, &identity, &actor->store, reason));
  actor_certificates(world, actor);
  size_t taken = fill_up(world, actor, &worst);
  assert_true(taken > 10);
  assert_int_equal(worst, STORE_ROOM_FULL);
  store_usage(actor->store, &usage);
  assert_true(usage.used_bytes <= settings.quota_bytes);
  assert_int_equal(usage.limit_bytes, settings.quota_bytes);
  assert_true(store_log_at(actor->store, 1, &head));
  assert_int_equal(head.seq, taken);
  assert_int_equal(findings_count(actor, true), 0);
  /* With a larger quota it goes on where it stood. */
  store_close(actor->store);
  settings.quota_bytes = 64 << 20;
  assert_ok(store_open(&settings, &identity, &actor->store, reason));
  assert_int_equal(store_room(actor->store), STORE_ROOM_OK);
  assert_true(store_log_at(actor->store, 1, &head));
  assert_int_equal(head.seq, taken);
}

static void test_readers_end(void **state)
{
  struct world *world = *state;
  struct store_txn *readers[256];
  size_t count = 0;
  enum status status = STATUS_OK;
  while (count < 256 &&
         (status = store_read_begin(world->actors[0].store, &readers[count])) == STATUS_OK) {
    count++;
  }
  assert_int_equal(status, STATUS_BUSY);
  assert_int_equal(count, 126);
  while (count > 0) {
    store_read_end(readers[--count]);
  }
  assert_ok(store_read_begin(world->actors[0].store, &readers[0]));
  store_read_end(readers[0]);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_identity_kept, setup, teardown),
      cmocka_unit_test_setup_teardown(test_renewed, setup, teardown),
      cmocka_unit_test_setup_teardown(test_exists, setup, teardown),
      cmocka_unit_test_setup_teardown(test_nothing_there, setup, teardown),
      cmocka_unit_test_setup_teardown(test_other_node, setup, teardown),
      cmocka_unit_test_setup_teardown(test_newer_version, setup, teardown),
      cmocka_unit_test_setup_teardown(test_garbage, setup, teardown),
      cmocka_unit_test_setup_teardown(test_second_process, setup, teardown),
      cmocka_unit_test_setup_teardown(test_quota, setup, teardown),
      cmocka_unit_test_setup_teardown(test_readers_end, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
