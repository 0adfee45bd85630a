// links: storage PkgConfig::ZSTD PkgConfig::SODIUM noded_lmdb
/* Verify finds what is planted in the file, and nothing that reads such a file crashes. */
#include "store_world.h"

#include <lmdb.h>

#include "random_source.h"

struct tree {
  struct world world;
  struct actor *street;
  struct actor *community;
  struct actor *grid;
  struct subject subjects[3];
};

static int setup(void **state)
{
  struct tree *tree = test_calloc(1, sizeof(*tree));
  struct world *world = &tree->world;
  world_open(world);
  actor_add(world, "d");
  tree->street = actor_add(world, "d/s");
  tree->community = actor_add(world, "d/s/c");
  tree->grid = actor_add(world, "d/s/c/g");
  actor_open(world, tree->street);
  neighbour_add(world, tree->street, tree->community);
  for (size_t i = 0; i < 3; i++) {
    struct say says[2] = {{.subject = &tree->subjects[i], .found = true, .up = TIER_DISTRICT},
                          {.subject = &tree->subjects[i], .gen = 2}};
    actor_take(world, tree->street, commit_make(world, tree->grid, LANE_NORMAL, says, 2));
    says[1].gen = 3;
    actor_take(world, tree->street, commit_make(world, tree->street, LANE_NORMAL, &says[1], 1));
  }
  *state = tree;
  return 0;
}

static int teardown(void **state)
{
  struct tree *tree = *state;
  world_close(&tree->world);
  test_free(tree);
  return 0;
}

/* Changes the file behind the store's back: the n-th value of a table. */
struct plant {
  const char *table;
  size_t nth;
  size_t at;  /* octet to change; SIZE_MAX: the value is cut short */
  bool whole; /* the entry goes */
};

static bool plant_apply(const char *path, const struct plant *plant)
{
  MDB_env *env = NULL;
  MDB_txn *txn = NULL;
  MDB_cursor *cursor = NULL;
  MDB_dbi dbi;
  MDB_val key;
  MDB_val value;
  uint8_t room[COMMIT_BYTES_MAX];
  assert_int_equal(mdb_env_create(&env), 0);
  assert_int_equal(mdb_env_set_maxdbs(env, 32), 0);
  assert_int_equal(mdb_env_open(env, path, 0, 0600), 0);
  assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
  assert_int_equal(mdb_dbi_open(txn, plant->table, 0, &dbi), 0);
  assert_int_equal(mdb_cursor_open(txn, dbi, &cursor), 0);
  int code = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
  for (size_t i = 0; i < plant->nth && code == 0; i++) {
    code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
  }
  bool found = code == 0 && value.mv_size > 0;
  if (found && plant->whole) {
    assert_int_equal(mdb_cursor_del(cursor, 0), 0);
  } else if (found) {
    memcpy(room, value.mv_data, value.mv_size);
    value.mv_data = room;
    if (plant->at == SIZE_MAX) {
      value.mv_size /= 2;
    } else {
      room[plant->at % value.mv_size] ^= 0x41;
    }
    assert_int_equal(mdb_cursor_put(cursor, &key, &value, MDB_CURRENT), 0);
  }
  mdb_cursor_close(cursor);
  assert_int_equal(mdb_txn_commit(txn), 0);
  mdb_env_close(env);
  return found;
}

static bool subject_visit(void *context, const struct subject_info *info)
{
  size_t *count = context;
  (void)info;
  (*count)++;
  return true;
}

static bool certificate_visit(void *context, const struct certificate *certificate)
{
  (void)context;
  (void)certificate;
  return true;
}

static bool held_visit(void *context, const struct held_record *held)
{
  (void)context;
  (void)held;
  return true;
}

static bool inbox_visit(void *context, const struct inbox_entry *entry)
{
  (void)context;
  (void)entry;
  return true;
}

/* Every way of reading and a few of writing; any status will do, a crash won't. */
static void everything_read(struct tree *tree, struct store_txn *txn)
{
  struct arena *arena = &tree->world.arena;
  struct outgoing entries[8];
  struct bytes_view octets;
  struct subject_info info;
  size_t count = 0;
  uint64_t next = 0;
  uint8_t digest[16];
  enum status status = store_subject_each(txn, NULL, true, subject_visit, &count);
  status = store_certificate_each(txn, certificate_visit, NULL);
  status = store_inbox_each(txn, 0, 10, arena, inbox_visit, NULL);
  for (uint32_t log = 0; log < 4; log++) {
    status = store_commit_load(txn, log, 1, arena, &octets);
    status =
        store_log_read(txn, log, 1, NEIGHBOUR_PARENT, 1 << 20, 8, arena, entries, &count, &next);
    status = store_log_digest(txn, log, 2, UINT64_MAX, arena, digest, &next);
    status =
        store_outbox_read(txn, (uint16_t)log, LANE_NORMAL, 0, 1 << 20, 8, arena, entries, &count);
  }
  for (size_t i = 0; i < 3; i++) {
    struct audience audience;
    status = store_subject_get(txn, &tree->subjects[i], &info);
    status = store_subject_records(txn, &tree->subjects[i], arena, held_visit, NULL);
    status = store_subject_audience(txn, &tree->subjects[i], &audience);
    if (status == STATUS_OK) {
      audience_close(&audience);
    }
  }
}

static void everything_written(struct tree *tree)
{
  struct world *world = &tree->world;
  struct store_txn *txn = txn_begin(world, tree->street);
  struct subject subject = tree->subjects[1];
  struct say say = {.subject = &subject, .gen = 4, .up = TIER_DISTRICT, .down = {"d/s/*"}};
  struct commit commit;
  struct applied applied;
  bool done = false;
  everything_read(tree, txn);
  const struct neighbour *parent = store_neighbour(tree->street->store, NEIGHBOUR_PARENT);
  enum status status =
      store_outbox_ack(txn, NEIGHBOUR_PARENT, LANE_NORMAL, parent->lanes[LANE_NORMAL].end_position);
  struct actor before = *tree->street;
  struct bytes_view octets = commit_make(world, tree->street, LANE_NORMAL, &say, 1);
  *tree->street = before;
  assert_int_equal(commit_read(octets, &world->arena, &commit), VERDICT_OK);
  status = store_commit_apply(txn, &commit, (struct bytes_view){0}, &applied);
  status = store_backfill_step(txn, 10, &done);
  status = store_erase(txn, &tree->world.root, 0, &tree->subjects[2]);
  (void)status;
  store_abort(txn);
}

/* Opens the store with what was planted; false when it does not open. */
static bool planted_open(struct tree *tree, const struct plant *plant)
{
  struct store_settings settings = actor_settings(tree->street);
  char reason[STORE_REASON_MAX];
  store_close(tree->street->store);
  tree->street->store = NULL;
  if (!plant_apply(tree->street->path, plant)) {
    return false;
  }
  enum status status = store_open(&settings, NULL, &tree->street->store, reason);
  assert_true(status == STATUS_OK || status == STATUS_CORRUPT || status == STATUS_WRONG_VERSION ||
              status == STATUS_NOT_FOUND);
  return status == STATUS_OK;
}

static void test_clean(void **state)
{
  struct tree *tree = *state;
  struct verify_report report;
  struct store_txn *txn = NULL;
  assert_ok(store_read_begin(tree->street->store, &txn));
  assert_ok(store_verify(txn, &report, finding_print, NULL));
  assert_int_equal(report.findings, 0);
  assert_int_equal(report.logs, 2);
  assert_int_equal(report.commits, 6);
  assert_int_equal(report.records, 9);
  assert_int_equal(report.subjects, 3);
  assert_int_equal(report.outbox_entries, 9);
  store_read_end(txn);
}

static void test_planted(void **state)
{
  static const struct plant plants[] = {
      {.table = "commits", .nth = 1, .at = 0},        /* flags */
      {.table = "commits", .nth = 1, .at = 25},       /* id */
      {.table = "commits", .nth = 2, .at = 6},        /* certificate */
      {.table = "commits", .nth = 2, .at = 100},      /* frame */
      {.table = "commits", .nth = 1, .at = SIZE_MAX}, /* cut short */
      {.table = "commits", .nth = 1, .whole = true},  {.table = "heads", .nth = 0, .at = 9},
      {.table = "subjects", .nth = 0, .at = 0},  /* audience */
      {.table = "subjects", .nth = 0, .at = 4},  /* gen */
      {.table = "subjects", .nth = 1, .at = 6},  /* count */
      {.table = "subjects", .nth = 1, .at = 8},  /* flags */
      {.table = "subjects", .nth = 2, .at = 9},  /* log of a ref */
      {.table = "subjects", .nth = 2, .at = 19}, /* index */
      {.table = "subjects", .nth = 2, .at = 20}, /* mark */
      {.table = "subjects", .nth = 1, .whole = true}, {.table = "audiences", .nth = 0, .at = 3},
      {.table = "outbox", .nth = 1, .at = 12}, /* tag */
      {.table = "outbox", .nth = 1, .at = 26}, /* records */
      {.table = "outbox", .nth = 1, .whole = true},   {.table = "outbox", .nth = 0, .at = SIZE_MAX},
      {.table = "neighbours", .nth = 0, .at = 190}, /* end tag */
      {.table = "certificates", .nth = 2, .at = 200}, {.table = "logs", .nth = 0, .at = 3},
  };
  (void)state;
  for (size_t i = 0; i < sizeof(plants) / sizeof(plants[0]); i++) {
    void *fresh = NULL;
    setup(&fresh);
    struct tree *tree = fresh;
    if (planted_open(tree, &plants[i])) {
      uint64_t findings = findings_count(tree->street, false);
      if (findings == 0) {
        fail_msg("not found: %s entry %zu octet %zu", plants[i].table, plants[i].nth, plants[i].at);
      }
    }
    teardown(&fresh);
  }
}

static void test_hostile_file(void **state)
{
  static const char *const tables[] = {"commits", "subjects",        "audiences",   "audience_ids",
                                       "outbox",  "heads",           "neighbours",  "logs",
                                       "meta",    "certificate_ids", "certificates"};
  struct random_source random = random_source_start("store_verify");
  (void)state;
  for (size_t i = 0; i < 150; i++) {
    void *fresh = NULL;
    setup(&fresh);
    struct tree *tree = fresh;
    struct plant plant = {
        .table = tables[random_below(&random, sizeof(tables) / sizeof(tables[0]))],
        .nth = random_below(&random, 2),
        .at = random_below(&random, 12) == 0 ? SIZE_MAX : random_below(&random, 400),
        .whole = random_below(&random, 10) == 0,
    };
    if (planted_open(tree, &plant)) {
      struct store_txn *txn = NULL;
      assert_ok(store_read_begin(tree->street->store, &txn));
      everything_read(tree, txn);
      store_read_end(txn);
      findings_count(tree->street, false);
      everything_written(tree);
    }
    teardown(&fresh);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_clean, setup, teardown),
      cmocka_unit_test(test_planted),
      cmocka_unit_test(test_hostile_file),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
