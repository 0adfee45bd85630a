// links: storage PkgConfig::ZSTD PkgConfig::SODIUM
/* Aborts leave nothing behind: mirrors, caches and tables stand as a fresh open finds them. */
#include "store_world.h"

#include "random_source.h"

struct tree {
  struct world world;
  struct actor *street;
  struct actor *community;
  struct actor *other;
  struct actor *grid;
  struct subject subjects[64];
  size_t subject_count;
  size_t children; /* numbered so far */
};

static int setup(void **state)
{
  struct tree *tree = test_calloc(1, sizeof(*tree));
  struct world *world = &tree->world;
  world_open(world);
  actor_add(world, "d");
  tree->street = actor_add(world, "d/s");
  tree->community = actor_add(world, "d/s/c");
  tree->other = actor_add(world, "d/s/k");
  tree->grid = actor_add(world, "d/s/c/g");
  actor_open(world, tree->street);
  neighbour_add(world, tree->street, tree->community);
  *state = tree;
  return 0;
}

static int teardown(void **state)
{
  struct tree *tree = *state;
  world_verify(&tree->world);
  world_close(&tree->world);
  test_free(tree);
  return 0;
}

/* What is mirrored, as it stands. */
#define SNAPSHOT_MAX 400
struct snapshot {
  uint32_t log_count;
  struct log_head logs[16];
  uint16_t neighbour_count;
  struct neighbour neighbours[SNAPSHOT_MAX];
};

static void snapshot_take(const struct store *store, struct snapshot *out)
{
  memset(out, 0, sizeof(*out));
  out->log_count = store_log_count(store);
  out->neighbour_count = store_neighbour_count(store);
  assert_true(out->log_count <= 16 && out->neighbour_count <= SNAPSHOT_MAX);
  for (uint32_t i = 0; i < out->log_count; i++) {
    struct log_head head;
    assert_true(store_log_at(store, i + 1, &out->logs[i]));
    assert_true(store_log_find(store, &out->logs[i].id, &head));
    assert_int_equal(head.number, i + 1);
  }
  for (uint16_t i = 0; i < out->neighbour_count; i++) {
    const struct neighbour *neighbour = store_neighbour(store, i + 1);
    assert_ptr_equal(store_neighbour_find(store, &neighbour->address), neighbour);
    out->neighbours[i] = *neighbour;
  }
}

static void snapshots_compare(const struct snapshot *a, const struct snapshot *b)
{
  assert_int_equal(a->log_count, b->log_count);
  for (uint32_t i = 0; i < a->log_count; i++) {
    assert_int_equal(a->logs[i].seq, b->logs[i].seq);
    assert_int_equal(a->logs[i].commits, b->logs[i].commits);
    assert_int_equal(a->logs[i].arrived_at.ms, b->logs[i].arrived_at.ms);
    assert_true(hash_equal(&a->logs[i].commit_id, &b->logs[i].commit_id));
    assert_true(address_equal(&a->logs[i].address, &b->logs[i].address));
  }
  assert_int_equal(a->neighbour_count, b->neighbour_count);
  for (uint16_t i = 0; i < a->neighbour_count; i++) {
    const struct neighbour *x = &a->neighbours[i];
    const struct neighbour *y = &b->neighbours[i];
    assert_true(address_equal(&x->address, &y->address));
    assert_int_equal(x->number, y->number);
    assert_int_equal(x->backfilled, y->backfilled);
    assert_memory_equal(x->lanes, y->lanes, sizeof(x->lanes));
  }
}

static void mirrors_check(struct tree *tree)
{
  static struct snapshot kept;
  static struct snapshot fresh;
  snapshot_take(tree->street->store, &kept);
  actor_reopen(&tree->world, tree->street);
  snapshot_take(tree->street->store, &fresh);
  snapshots_compare(&kept, &fresh);
}

static struct bytes_view something_said(struct tree *tree, struct random_source *random)
{
  struct actor *actors[] = {tree->street, tree->community, tree->grid};
  struct actor *actor = actors[random_below(random, 3)];
  struct say says[8];
  size_t count = 1 + random_below(random, 8);
  for (size_t i = 0; i < count; i++) {
    bool found = tree->subject_count < 8 || random_below(random, 2) == 0;
    size_t place = found ? tree->subject_count++ % 64 : random_below(random, 8);
    says[i] = (struct say){
        .subject = &tree->subjects[place % 64],
        .found = found,
        .gen = 1 + (uint32_t)random_below(random, 5),
        .up = (uint8_t)random_below(random, 5),
        .down = {random_below(random, 4) == 0 ? "d/s/k" : NULL},
    };
  }
  return commit_make(&tree->world, actor, (unsigned)random_below(random, 3), says, count);
}

/* One random change; those that a test keeps must succeed. */
static void something_done(struct tree *tree, struct random_source *random, struct store_txn *txn)
{
  struct cursor cursor = {.position = random_next(random)};
  const struct neighbour *parent = store_neighbour(tree->street->store, NEIGHBOUR_PARENT);
  struct log_id log = {.lane = (uint8_t)random_below(random, 3)};
  struct address child;
  char text[32];
  uint16_t number = 0;
  bool done = false;
  switch (random_below(random, 8)) {
  case 0:
    (void)snprintf(text, sizeof(text), "d/s/n%zu", tree->children++);
    child = address_of(text);
    assert_ok(store_neighbour_put(txn, &child, &number));
    break;
  case 1:
    assert_ok(store_outbox_ack(txn, NEIGHBOUR_PARENT, LANE_NORMAL,
                               parent->lanes[LANE_NORMAL].end_position));
    break;
  case 2:
    assert_ok(store_cursor_put(txn, NEIGHBOUR_PARENT, LANE_BULK, &cursor));
    break;
  case 3:
    assert_ok(store_quarantine_put(txn, 1, &log, 5, VERDICT_GAP, bytes_view_text("octets")));
    break;
  case 4:
    assert_ok(store_backfill_step(txn, 3, &done));
    break;
  default:
    txn_take(&tree->world, txn, something_said(tree, random), (struct bytes_view){0});
    break;
  }
}

static void test_random_aborts(void **state)
{
  struct tree *tree = *state;
  struct random_source random = random_source_start("store_abort");
  for (size_t turn = 0; turn < 120; turn++) {
    /* What an aborted transaction took in was never said: the origins' heads go back too. */
    struct actor before[ACTORS_MAX];
    bool keep = random_below(&random, 2) == 0;
    memcpy(before, tree->world.actors, sizeof(before));
    struct store_txn *txn = txn_begin(&tree->world, tree->street);
    size_t changes = 1 + random_below(&random, 6);
    for (size_t i = 0; i < changes; i++) {
      something_done(tree, &random, txn);
    }
    if (keep) {
      assert_ok(store_commit(txn));
    } else {
      store_abort(txn);
      memcpy(tree->world.actors, before, sizeof(before));
    }
    if (turn % 10 == 0) {
      mirrors_check(tree);
    }
    arena_reset(&tree->world.arena);
  }
  mirrors_check(tree);
  assert_int_equal(findings_count(tree->street, true), 0);
}

/* New logs, certificates and audiences in an aborted transaction are as if they had never been. */
static void test_first_of_all(void **state)
{
  struct tree *tree = *state;
  struct world *world = &tree->world;
  struct subject subject;
  struct say say = {.subject = &subject, .found = true, .up = TIER_DISTRICT};
  struct bytes_view octets = commit_make(world, tree->grid, LANE_NORMAL, &say, 1);
  struct actor *late = actor_add(world, "d/s/c/late");
  struct log_head head;
  struct certificate certificate;
  for (int turn = 0; turn < 3; turn++) {
    struct store_txn *txn = txn_begin(world, tree->street);
    certificate_give(txn, &late->certificate);
    assert_int_equal(txn_take(world, txn, octets, (struct bytes_view){0}).verdict, VERDICT_OK);
    assert_int_equal(store_log_count(tree->street->store), 1);
    store_abort(txn);
    assert_int_equal(store_log_count(tree->street->store), 0);
    assert_false(store_log_at(tree->street->store, 1, &head));
    assert_ok(store_read_begin(tree->street->store, &txn));
    assert_int_equal(store_certificate_get(txn, &late->certificate_id, &certificate),
                     STATUS_NOT_FOUND);
    store_read_end(txn);
  }
  assert_int_equal(actor_take(world, tree->street, octets).verdict, VERDICT_OK);
  mirrors_check(tree);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_random_aborts, setup, teardown),
      cmocka_unit_test_setup_teardown(test_first_of_all, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
