// links: storage PkgConfig::ZSTD PkgConfig::SODIUM
/* Where records go: up with what is withheld, down to whom it concerns, history included. */
#include "store_world.h"

/* District d, street d/s, communities d/s/c and d/s/k, grids below c, a unit at the street. */
struct tree {
  struct world world;
  struct actor *district;
  struct actor *street;
  struct actor *community;
  struct actor *other;
  struct actor *grid;
  struct actor *unit;
};

static int setup(void **state)
{
  struct tree *tree = test_calloc(1, sizeof(*tree));
  struct world *world = &tree->world;
  world_open(world);
  tree->district = actor_add(world, "d");
  tree->street = actor_add(world, "d/s");
  tree->community = actor_add(world, "d/s/c");
  tree->other = actor_add(world, "d/s/k");
  tree->grid = actor_add(world, "d/s/c/g");
  tree->unit = actor_add(world, "d/s/@u");
  for (size_t i = 0; i < world->count; i++) {
    actor_open(world, &world->actors[i]);
  }
  neighbour_add(world, tree->district, tree->street);
  neighbour_add(world, tree->street, tree->community);
  neighbour_add(world, tree->street, tree->unit);
  neighbour_add(world, tree->community, tree->grid);
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

static void test_up_withheld(void **state)
{
  struct tree *tree = *state;
  struct world *world = &tree->world;
  struct subject to_top;
  struct subject to_community;
  struct say says[] = {
      {.subject = &to_top, .found = true, .up = TIER_DISTRICT},
      {.subject = &to_community, .found = true, .up = TIER_COMMUNITY},
  };
  struct shipped shipped;
  actor_say(world, tree->grid, LANE_NORMAL, says, 2);
  shipped = ship(world, tree->grid, tree->community);
  assert_int_equal(shipped.records, 2);
  shipped = ship(world, tree->community, tree->street);
  assert_int_equal(shipped.commits, 1);
  assert_int_equal(shipped.records, 1);
  shipped = ship(world, tree->street, tree->district);
  assert_int_equal(shipped.records, 1);
  assert_int_equal(subject_count(world, tree->district, &to_top).records, 1);
  assert_int_equal(subject_count(world, tree->district, &to_community).records, 0);
  /* A commit with nothing for the tiers above still goes there, all withheld. */
  says[0].subject = &to_community;
  says[0].found = false;
  says[0].up = 0;
  actor_say(world, tree->grid, LANE_NORMAL, says, 1);
  ship(world, tree->grid, tree->community);
  shipped = ship(world, tree->community, tree->street);
  assert_int_equal(shipped.commits, 1);
  assert_int_equal(shipped.records, 0);
  assert_int_equal(ship(world, tree->street, tree->district).taken, 1);
}

static void test_down_with_history(void **state)
{
  struct tree *tree = *state;
  struct world *world = &tree->world;
  struct subject subject;
  struct say report = {.subject = &subject, .found = true, .up = TIER_STREET};
  struct say accept = {.subject = &subject, .gen = 2, .kind = "case.accept"};
  struct say dispatch = {.subject = &subject, .gen = 3, .down = {"d/s/@u"}};
  struct say take = {.subject = &subject, .gen = 4, .kind = "case.take"};
  struct shipped shipped;
  actor_say(world, tree->grid, LANE_NORMAL, &report, 1);
  ship(world, tree->grid, tree->community);
  actor_say(world, tree->community, LANE_NORMAL, &accept, 1);
  ship(world, tree->community, tree->street);
  assert_int_equal(ship(world, tree->street, tree->unit).commits, 0);
  actor_say(world, tree->street, LANE_URGENT, &dispatch, 1);
  /* Report and acceptance travel in the lane of the dispatch. */
  assert_int_equal(lane_of(tree->street, tree->unit, LANE_URGENT)->pending_records, 3);
  shipped = ship(world, tree->street, tree->unit);
  assert_int_equal(shipped.records, 3);
  assert_int_equal(subject_count(world, tree->unit, &subject).records, 3);
  assert_int_equal(subject_count(world, tree->unit, &subject).marked, 0);
  /* The reporter learns of the dispatch; what it wrote itself does not come back. */
  assert_int_equal(ship(world, tree->street, tree->community).records, 1);
  assert_int_equal(ship(world, tree->community, tree->grid).records, 2);
  assert_int_equal(subject_count(world, tree->grid, &subject).records, 3);
  actor_say(world, tree->unit, LANE_NORMAL, &take, 1);
  assert_int_equal(ship(world, tree->unit, tree->street).records, 1);
  assert_int_equal(ship(world, tree->street, tree->unit).commits, 0);
  assert_int_equal(ship(world, tree->street, tree->community).records, 1);
  assert_int_equal(ship(world, tree->street, tree->district).records, 0);
}

static void test_widening_up(void **state)
{
  struct tree *tree = *state;
  struct world *world = &tree->world;
  struct subject subject;
  struct say report = {.subject = &subject, .found = true, .up = TIER_COMMUNITY};
  struct say escalate = {.subject = &subject, .gen = 2, .up = TIER_DISTRICT};
  actor_say(world, tree->grid, LANE_NORMAL, &report, 1);
  ship(world, tree->grid, tree->community);
  assert_int_equal(ship(world, tree->community, tree->street).records, 0);
  actor_say(world, tree->community, LANE_NORMAL, &escalate, 1);
  /* The report again, now shown, and the escalation. */
  assert_int_equal(ship(world, tree->community, tree->street).records, 2);
  assert_int_equal(ship(world, tree->street, tree->district).records, 2);
  assert_int_equal(subject_count(world, tree->district, &subject).records, 2);
}

static void test_before_its_founder(void **state)
{
  struct tree *tree = *state;
  struct world *world = &tree->world;
  struct subject subject;
  struct say report = {.subject = &subject, .found = true, .up = TIER_STREET};
  struct say escalate = {.subject = &subject, .gen = 2, .up = TIER_DISTRICT, .down = {"d/s/@u"}};
  struct bytes_view first = commit_make(world, tree->grid, LANE_NORMAL, &report, 1);
  struct applied applied;
  struct bytes_view second = commit_make(world, tree->street, LANE_NORMAL, &escalate, 1);
  applied = actor_take(world, tree->street, second);
  assert_int_equal(applied.records_marked, 1);
  assert_int_equal(lane_of(tree->street, tree->unit, LANE_NORMAL)->pending_commits, 0);
  assert_int_equal(lane_of(tree->street, tree->district, LANE_NORMAL)->pending_records, 0);
  assert_int_equal(subject_count(world, tree->street, &subject).marked, 1);
  applied = actor_take(world, tree->street, first);
  assert_int_equal(applied.verdict, VERDICT_OK);
  assert_int_equal(subject_count(world, tree->street, &subject).marked, 0);
  assert_int_equal(ship(world, tree->street, tree->unit).records, 2);
  assert_int_equal(ship(world, tree->street, tree->district).records, 2);
  /* The grid is in the audience: the street's record goes down to it. */
  assert_int_equal(ship(world, tree->street, tree->community).records, 1);
}

static void test_late_child(void **state)
{
  struct tree *tree = *state;
  struct world *world = &tree->world;
  struct subject policy;
  struct subject report;
  struct say publish = {.subject = &policy, .found = true, .down = {"d/*"}};
  struct say own = {.subject = &report, .found = true, .up = TIER_DISTRICT};
  bool done = false;
  actor_say(world, tree->district, LANE_BULK, &publish, 1);
  actor_say(world, tree->street, LANE_NORMAL, &own, 1);
  ship(world, tree->district, tree->street);
  assert_int_equal(ship(world, tree->street, tree->community).records, 1);
  neighbour_add(world, tree->street, tree->other);
  assert_int_equal(ship(world, tree->street, tree->other).commits, 0);
  /* Above the cursor: left to the backfill, and not queued twice. */
  actor_say(world, tree->street, LANE_NORMAL, &own, 1);
  for (int i = 0; !done; i++) {
    struct store_txn *txn = txn_begin(world, tree->street);
    assert_ok(store_backfill_step(txn, 1, &done));
    assert_ok(store_commit(txn));
    assert_true(i < 8);
  }
  assert_true(store_neighbour_find(tree->street->store, &tree->other->address)->backfilled);
  assert_int_equal(ship(world, tree->street, tree->other).records, 1);
  actor_reopen(world, tree->street);
  publish.found = false;
  actor_say(world, tree->district, LANE_BULK, &publish, 1);
  ship(world, tree->district, tree->street);
  assert_int_equal(ship(world, tree->street, tree->other).records, 1);
}

static void test_items_by_class(void **state)
{
  struct tree *tree = *state;
  struct world *world = &tree->world;
  struct subject subject;
  struct say report = {.subject = &subject,
                       .found = true,
                       .up = TIER_DISTRICT,
                       .see_second = SEE_GRID | SEE_COMMUNITY};
  actor_say(world, tree->grid, LANE_NORMAL, &report, 1);
  assert_int_equal(ship(world, tree->grid, tree->community).records, 1);
  assert_int_equal(subject_count(world, tree->community, &subject).items_shown, 2);
  assert_int_equal(ship(world, tree->community, tree->street).records, 1);
  assert_int_equal(subject_count(world, tree->street, &subject).items_shown, 1);
  assert_int_equal(ship(world, tree->street, tree->district).records, 1);
}

static void test_outside_authority(void **state)
{
  struct tree *tree = *state;
  struct world *world = &tree->world;
  struct subject subject;
  struct say report = {.subject = &subject, .found = true, .up = TIER_STREET, .down = {"d/s/@u"}};
  struct applied applied;
  struct bytes_view octets = commit_make(world, tree->grid, LANE_NORMAL, &report, 1);
  struct say stranger = {.subject = &subject, .gen = 2, .up = TIER_DISTRICT};
  applied = actor_take(world, tree->street, octets);
  assert_int_equal(applied.records_marked, 1);
  assert_int_equal(ship(world, tree->street, tree->unit).commits, 0);
  octets = commit_make(world, tree->other, LANE_NORMAL, &stranger, 1);
  applied = actor_take(world, tree->street, octets);
  assert_int_equal(applied.records_marked, 1);
  assert_int_equal(ship(world, tree->street, tree->district).records, 0);
  assert_int_equal(subject_count(world, tree->street, &subject).marked, 1);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_up_withheld, setup, teardown),
      cmocka_unit_test_setup_teardown(test_down_with_history, setup, teardown),
      cmocka_unit_test_setup_teardown(test_widening_up, setup, teardown),
      cmocka_unit_test_setup_teardown(test_before_its_founder, setup, teardown),
      cmocka_unit_test_setup_teardown(test_late_child, setup, teardown),
      cmocka_unit_test_setup_teardown(test_items_by_class, setup, teardown),
      cmocka_unit_test_setup_teardown(test_outside_authority, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
