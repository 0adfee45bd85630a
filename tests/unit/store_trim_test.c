/* Trimming: what goes and what stays, by the word of two above; floors; what comes after. */
#include "record/receipt.h"
#include "storage/trim.h"
#include "store_world.h"

#define ROUNDS_MAX 64

struct tree {
  struct world world;
  struct actor *district;
  struct actor *street;
  struct actor *community;
  struct actor *grid;
};

static int setup(void **state)
{
  struct tree *tree = test_calloc(1, sizeof(*tree));
  struct world *world = &tree->world;
  world_open(world);
  tree->district = actor_add(world, "d");
  tree->street = actor_add(world, "d/s");
  tree->community = actor_add(world, "d/s/c");
  tree->grid = actor_add(world, "d/s/c/g");
  actor_add(world, "d/s/c/h");
  for (size_t i = 0; i < world->count; i++) {
    actor_open(world, &world->actors[i]);
  }
  neighbour_add(world, tree->district, tree->street);
  neighbour_add(world, tree->street, tree->community);
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

/* What `actor` says to an ask, signed. False when it doesn't hold the commit. */
static bool holder_ask(struct world *world, struct actor *actor, const struct trim_ask *ask,
                       struct trim_holder *out)
{
  struct store_txn *txn = NULL;
  struct bytes octets = {0};
  bool held = false;
  size_t size = 1;
  assert_ok(store_read_begin(actor->store, &txn));
  assert_ok(store_trim_holds(txn, ask, NEIGHBOUR_NONE, &held, out->shown, &size));
  store_read_end(txn);
  out->address = actor->address;
  assert_ok(cosignature_write(&actor->key, actor->secret, &ask->commit_id,
                              (struct wall_ms){world->ms}, bytes_view_of(out->shown, size),
                              &octets));
  out->cosignature =
      bytes_view_of(arena_copy(&world->arena, octets.data, octets.size), octets.size);
  bytes_close(&octets);
  return held;
}

static void pins_walk(struct actor *actor, size_t entries_max)
{
  struct pins_cursor cursor = {0};
  bool done = false;
  while (!done) {
    struct store_txn *txn = NULL;
    assert_ok(store_read_begin(actor->store, &txn));
    assert_ok(store_pins_step(txn, &cursor, entries_max, &done));
    store_read_end(txn);
  }
}

/* Trims `actor` with the word of those above that are given, until nothing more goes. */
static struct trim_result trim_all(struct world *world, struct actor *actor, struct actor **above,
                                   size_t above_count, struct wall_ms before, bool dry)
{
  struct trim_rule rule = {before, dry};
  struct trim_result total = {0};
  struct trim_cursor cursor = {0};
  bool done = false;
  pins_walk(actor, 3);
  for (int round = 0; !done && round < ROUNDS_MAX; round++) {
    struct trim_ask asks[TRIM_ASKS_MAX];
    struct store_txn *txn = NULL;
    size_t count = 0;
    assert_ok(store_read_begin(actor->store, &txn));
    assert_ok(store_trim_find(txn, &rule, &cursor, &world->arena, asks, &count, &done, &total));
    store_read_end(txn);
    txn = txn_begin(world, actor);
    for (size_t i = 0; i < count; i++) {
      struct trim_holder holders[4];
      size_t holder_count = 0;
      for (size_t j = 0; j < above_count; j++) {
        holder_count += holder_ask(world, above[j], &asks[i], &holders[holder_count]);
      }
      assert_ok(store_trim_apply(txn, &rule, &asks[i], holders, holder_count, &total));
    }
    assert_ok(store_commit(txn));
  }
  assert_true(done);
  return total;
}

static struct wall_ms later(const struct tree *tree)
{
  return (struct wall_ms){tree->world.ms + 1000};
}

static struct trim_result grid_trim(struct tree *tree, bool dry)
{
  struct actor *above[] = {tree->community, tree->street, tree->district};
  return trim_all(&tree->world, tree->grid, above, 3, later(tree), dry);
}

static struct subject report(struct tree *tree, uint8_t up, uint8_t see_second)
{
  struct subject subject;
  struct say say = {.subject = &subject, .found = true, .up = up, .see_second = see_second};
  actor_say(&tree->world, tree->grid, LANE_NORMAL, &say, 1);
  return subject;
}

static void ship_up(struct tree *tree)
{
  ship(&tree->world, tree->grid, tree->community);
  ship(&tree->world, tree->community, tree->street);
  ship(&tree->world, tree->street, tree->district);
}

static struct log_head grid_head(const struct tree *tree, struct actor *actor)
{
  struct log_id id = {tree->grid->key, tree->grid->store_id, LANE_NORMAL};
  struct log_head head = {0};
  (void)store_log_find(actor->store, &id, &head);
  return head;
}

static void test_two_above(void **state)
{
  struct tree *tree = *state;
  struct subject subjects[10];
  for (size_t i = 0; i < 10; i++) {
    subjects[i] = report(tree, TIER_DISTRICT, 0);
  }
  ship_up(tree);
  struct trim_result dry = grid_trim(tree, true);
  assert_int_equal(dry.items, 10);
  assert_int_equal(dry.commits, 9);
  assert_int_equal(subject_count(&tree->world, tree->grid, &subjects[0]).items_shown, 1);
  struct trim_result result = grid_trim(tree, false);
  assert_int_equal(result.items, 10);
  assert_int_equal(result.commits, 9);
  assert_int_equal(result.records, 9);
  assert_int_equal(subject_count(&tree->world, tree->grid, &subjects[0]).records, 0);
  assert_int_equal(subject_count(&tree->world, tree->grid, &subjects[9]).records, 1);
  assert_int_equal(subject_count(&tree->world, tree->grid, &subjects[9]).items_shown, 0);
  assert_int_equal(grid_head(tree, tree->grid).floor, 9);
  assert_int_equal(grid_head(tree, tree->grid).commits, 1);
  assert_int_equal(findings_count(tree->grid, true), 0);
  actor_reopen(&tree->world, tree->grid);
  assert_int_equal(grid_head(tree, tree->grid).floor, 9);
  /* Above, everything is as it was. */
  assert_int_equal(subject_count(&tree->world, tree->community, &subjects[0]).items_shown, 1);
  /* Nothing more goes, and the log goes on. */
  assert_int_equal(grid_trim(tree, false).items, 0);
  (void)report(tree, TIER_DISTRICT, 0);
  ship_up(tree);
  assert_int_equal(grid_head(tree, tree->district).seq, 11);
}

static void test_one_is_not_enough(void **state)
{
  struct tree *tree = *state;
  struct subject subject = report(tree, TIER_DISTRICT, 0);
  (void)report(tree, TIER_DISTRICT, 0);
  ship(&tree->world, tree->grid, tree->community);
  struct trim_result result = grid_trim(tree, false);
  assert_int_equal(result.items, 0);
  assert_int_equal(result.commits, 0);
  assert_int_equal(result.stay_unproven, 2);
  /* The same one twice is still one. */
  struct actor *twice[] = {tree->community, tree->community};
  result = trim_all(&tree->world, tree->grid, twice, 2, later(tree), false);
  assert_int_equal(result.items, 0);
  /* Nor does one beside us count. */
  struct actor *beside = actor_find(&tree->world, "d/s/c/h");
  struct actor *odd[] = {tree->community, beside};
  result = trim_all(&tree->world, tree->grid, odd, 2, later(tree), false);
  assert_int_equal(result.items, 0);
  assert_int_equal(subject_count(&tree->world, tree->grid, &subject).items_shown, 1);
}

static void test_few_may_see(void **state)
{
  struct tree *tree = *state;
  /* The contact is for grid and community alone; the body goes. */
  struct subject contact = report(tree, TIER_DISTRICT, SEE_GRID | SEE_COMMUNITY);
  /* The record reaches the community alone, whoever may see its items. */
  struct subject near = report(tree, TIER_COMMUNITY, 0);
  struct subject last = report(tree, TIER_DISTRICT, 0);
  /* The item leaves out the community, so it never got to the street. */
  struct subject carrier = report(tree, TIER_DISTRICT, SEE_GRID | SEE_STREET | SEE_DISTRICT);
  ship_up(tree);
  struct trim_result result = grid_trim(tree, false);
  assert_int_equal(result.items, 3);
  assert_int_equal(result.commits, 0);
  assert_int_equal(result.stay_few, 2);
  assert_int_equal(result.stay_unproven, 1);
  assert_int_equal(subject_count(&tree->world, tree->grid, &contact).items_shown, 1);
  assert_int_equal(subject_count(&tree->world, tree->grid, &near).items_shown, 1);
  assert_int_equal(subject_count(&tree->world, tree->grid, &last).items_shown, 0);
  assert_int_equal(subject_count(&tree->world, tree->grid, &carrier).items_shown, 1);
  assert_int_equal(grid_head(tree, tree->grid).floor, 0);
}

static void test_who_let_go_does_not_count(void **state)
{
  struct tree *tree = *state;
  (void)report(tree, TIER_DISTRICT, 0);
  (void)report(tree, TIER_DISTRICT, 0);
  ship_up(tree);
  struct actor *above[] = {tree->street, tree->district};
  struct trim_result result = trim_all(&tree->world, tree->community, above, 2, later(tree), false);
  assert_int_equal(result.items, 2);
  /* The community can no longer speak for the grid's; the two others can. */
  struct actor *two[] = {tree->community, tree->street};
  result = trim_all(&tree->world, tree->grid, two, 2, later(tree), false);
  assert_int_equal(result.items, 0);
  assert_int_equal(grid_trim(tree, false).items, 2);
  /* A street has but one above, and keeps everything. */
  struct actor *one[] = {tree->district, tree->district};
  result = trim_all(&tree->world, tree->street, one, 2, later(tree), false);
  assert_int_equal(result.items, 0);
}

static void test_age_and_open(void **state)
{
  struct tree *tree = *state;
  struct subject old = report(tree, TIER_DISTRICT, 0);
  struct subject open = report(tree, TIER_DISTRICT, 0);
  struct wall_ms before = {tree->world.ms + 1};
  struct actor *above[] = {tree->community, tree->street, tree->district};
  tree->world.ms += 1000;
  struct say say = {.kind = "case.take", .subject = &open, .gen = 2, .up = TIER_DISTRICT};
  actor_say(&tree->world, tree->grid, LANE_NORMAL, &say, 1);
  ship_up(tree);
  struct trim_result result = trim_all(&tree->world, tree->grid, above, 3, before, false);
  assert_int_equal(result.items, 1);
  assert_int_equal(result.stay_open, 1);
  assert_int_equal(result.stay_young, 1);
  assert_int_equal(subject_count(&tree->world, tree->grid, &old).items_shown, 0);
  assert_int_equal(subject_count(&tree->world, tree->grid, &open).items_shown, 2);
}

static void test_waiting_stays(void **state)
{
  struct tree *tree = *state;
  struct subject subject;
  struct say say = {
      .subject = &subject, .found = true, .up = TIER_DISTRICT, .down = {"d/s/c/g", NULL}};
  actor_say(&tree->world, tree->community, LANE_NORMAL, &say, 1);
  ship(&tree->world, tree->community, tree->street);
  ship(&tree->world, tree->street, tree->district);
  /* The child has not got it yet. */
  struct actor *above[] = {tree->street, tree->district};
  struct trim_result result = trim_all(&tree->world, tree->community, above, 2, later(tree), false);
  assert_int_equal(result.items, 0);
  assert_int_equal(result.stay_waiting, 1);
  ship(&tree->world, tree->community, tree->grid);
  result = trim_all(&tree->world, tree->community, above, 2, later(tree), false);
  assert_int_equal(result.items, 1);
  /* What is queued after the walk counts at once. */
  struct subject other;
  say.subject = &other;
  actor_say(&tree->world, tree->community, LANE_NORMAL, &say, 1);
  assert_int_equal(subject_count(&tree->world, tree->community, &other).items_shown, 1);
  /* At the grid it goes too: it came from above, and two above hold it. */
  say = (struct say){.subject = &subject, .gen = 2, .up = TIER_DISTRICT};
  struct actor *all[] = {tree->community, tree->street, tree->district};
  result = trim_all(&tree->world, tree->grid, all, 3, later(tree), false);
  assert_int_equal(result.items, 1);
}

static void test_inbox_and_late(void **state)
{
  struct tree *tree = *state;
  struct subject subjects[3];
  struct say say = {.found = true, .up = TIER_DISTRICT, .down = {"d/s/c/g", NULL}};
  for (size_t i = 0; i < 3; i++) {
    say.subject = &subjects[i];
    actor_say(&tree->world, tree->street, LANE_NORMAL, &say, 1);
  }
  ship(&tree->world, tree->street, tree->district);
  ship(&tree->world, tree->street, tree->community);
  ship(&tree->world, tree->community, tree->grid);
  struct actor *above[] = {tree->community, tree->street, tree->district};
  struct trim_result result = trim_all(&tree->world, tree->grid, above, 3, later(tree), false);
  assert_int_equal(result.commits, 2);
  assert_int_equal(findings_count(tree->grid, true), 0);
  /* Who it concerns is still known: a new record of a trimmed subject finds its way. */
  say = (struct say){.kind = "case.take", .subject = &subjects[0], .gen = 2, .up = TIER_DISTRICT};
  actor_say(&tree->world, tree->grid, LANE_NORMAL, &say, 1);
  ship_up(tree);
  assert_int_equal(subject_count(&tree->world, tree->district, &subjects[0]).records, 2);
  assert_int_equal(subject_count(&tree->world, tree->grid, &subjects[0]).records, 1);
  assert_int_equal(subject_count(&tree->world, tree->grid, &subjects[0]).marked, 0);
}

struct giving {
  struct world *world;
  struct actor *to;
  size_t taken;
};

static bool give(void *context, struct bytes_view octets, const struct hash *certificate)
{
  struct giving *giving = context;
  struct store_txn *txn = txn_begin(giving->world, giving->to);
  struct commit commit;
  struct applied applied;
  (void)certificate;
  assert_int_equal(commit_read(octets, &giving->world->arena, &commit), VERDICT_OK);
  /* By itself nothing comes back that was let go. */
  assert_ok(store_commit_apply(txn, &commit, (struct bytes_view){0}, &applied));
  if (commit.header.seq == 1) {
    assert_int_equal(applied.verdict, VERDICT_DUPLICATE);
  }
  assert_ok(store_commit_take_back(txn, &commit, (struct bytes_view){0}, &applied));
  giving->taken += applied.verdict == VERDICT_OK;
  assert_ok(store_commit(txn));
  return true;
}

static void test_late_member_is_told(void **state)
{
  struct tree *tree = *state;
  struct world *world = &tree->world;
  struct actor *late = actor_find(&tree->world, "d/s/c/h");
  struct subject subject = report(tree, TIER_DISTRICT, 0);
  (void)report(tree, TIER_DISTRICT, 0);
  ship_up(tree);
  struct actor *above[] = {tree->street, tree->district};
  (void)trim_all(&tree->world, tree->community, above, 2, later(tree), false);
  neighbour_add(&tree->world, tree->community, late);
  struct say say = {
      .kind = "case.dispatch", .subject = &subject, .gen = 2, .down = {"d/s/c/h", NULL}};
  struct store_txn *txn = txn_begin(&tree->world, tree->community);
  bool done = false;
  while (!done) {
    assert_ok(store_backfill_step(txn, 100, &done));
  }
  assert_ok(store_commit(txn));
  uint64_t before = store_trim_short_histories(tree->community->store);
  actor_say(&tree->world, tree->street, LANE_NORMAL, &say, 1);
  ship(&tree->world, tree->street, tree->community);
  assert_int_equal(store_trim_short_histories(tree->community->store), before + 1);
  /* The street gives it again, as far as the community may see it, and it goes on to the late one
   * alone. */
  struct giving giving = {world, tree->community, 0};
  struct subject wanted;
  struct store_txn *reader = NULL;
  assert_ok(store_read_begin(tree->community->store, &reader));
  assert_ok(store_history_wanted(reader, NULL, &wanted));
  assert_memory_equal(&wanted, &subject, SUBJECT_SIZE);
  assert_int_equal(store_history_wanted(reader, &wanted, &wanted), STATUS_NOT_FOUND);
  store_read_end(reader);
  assert_ok(store_read_begin(tree->street->store, &reader));
  assert_ok(store_history_each(reader, &subject, neighbour_of(tree->street, tree->community),
                               &world->arena, give, &giving));
  store_read_end(reader);
  assert_int_equal(giving.taken, 1);
  struct store_txn *txn2 = txn_begin(world, tree->community);
  assert_ok(store_history_done(txn2, &subject));
  assert_ok(store_commit(txn2));
  assert_int_equal(lane_of(tree->community, tree->street, LANE_NORMAL)->pending_records, 0);
  ship(world, tree->community, late);
  assert_int_equal(subject_count(world, late, &subject).records, 2);
  assert_int_equal(subject_count(world, late, &subject).marked, 0);
  assert_int_equal(subject_count(world, late, &subject).items_shown, 2);
  assert_int_equal(ship(world, tree->community, tree->grid).records, 1);
  assert_int_equal(findings_count(tree->community, true), 0);
  /* In time it goes again. */
  struct trim_result again = trim_all(world, tree->community, above, 2, later(tree), false);
  assert_int_equal(again.items, 1);
  assert_int_equal(findings_count(tree->community, true), 0);
}

static void test_resend_after(void **state)
{
  struct tree *tree = *state;
  struct outgoing entries[OUTGOING_MAX];
  struct store_txn *txn = NULL;
  uint64_t next = 0;
  size_t count = 0;
  for (size_t i = 0; i < 6; i++) {
    (void)report(tree, TIER_DISTRICT, 0);
  }
  ship_up(tree);
  (void)grid_trim(tree, false);
  assert_ok(store_read_begin(tree->grid->store, &txn));
  assert_ok(store_log_read(txn, grid_head(tree, tree->grid).number, 1, NEIGHBOUR_PARENT, 1 << 16,
                           OUTGOING_MAX, &tree->world.arena, entries, &count, &next));
  assert_int_equal(count, 1);
  struct bytes_view octets = frame_open(&tree->world, entries[0].zstd, entries[0].raw_size);
  store_read_end(txn);
  /* The parent has it, with more than that. */
  assert_int_equal(actor_take(&tree->world, tree->community, octets).verdict, VERDICT_DUPLICATE);
}

static void test_parent_begins_at_floor(void **state)
{
  struct tree *tree = *state;
  struct world *world = &tree->world;
  struct actor *lost = tree->community;
  struct log_floor floor;
  struct commit last;
  struct store_txn *txn = NULL;
  for (size_t i = 0; i < 6; i++) {
    (void)report(tree, TIER_DISTRICT, 0);
  }
  ship_up(tree);
  (void)grid_trim(tree, false);
  /* The community lost its store: it can begin where the grid does, and not before. */
  store_close(lost->store);
  lost->store = NULL;
  nftw(lost->path, path_remove, 8, FTW_DEPTH | FTW_PHYS);
  actor_open(world, lost);
  neighbour_add(world, lost, tree->grid);
  struct bytes_view next = commit_make(
      world, tree->grid, LANE_NORMAL,
      &(struct say){.subject = &(struct subject){{0}}, .found = true, .up = TIER_DISTRICT}, 1);
  assert_int_equal(actor_take(world, tree->grid, next).verdict, VERDICT_OK);
  assert_int_equal(actor_take(world, lost, next).verdict, VERDICT_GAP);
  struct store_txn *reader = NULL;
  assert_ok(store_read_begin(tree->grid->store, &reader));
  assert_ok(store_floor_get(reader, grid_head(tree, tree->grid).number, &floor));
  assert_int_equal(floor.seq, 5);
  assert_int_equal(floor.proof_count, 3);
  assert_int_equal(commit_read(floor.commit, &world->arena, &last), VERDICT_OK);
  assert_int_equal(last.header.seq, 5);
  txn = txn_begin(world, lost);
  assert_ok(store_floor_adopt(txn, &last, floor.proofs, floor.proof_count));
  assert_int_equal(store_floor_adopt(txn, &last, floor.proofs, floor.proof_count), STATUS_EXISTS);
  last.header.certificate = lost->certificate_id;
  assert_int_equal(store_floor_adopt(txn, &last, floor.proofs, floor.proof_count),
                   STATUS_INVALID_ARGUMENT);
  assert_ok(store_commit(txn));
  assert_int_equal(findings_count(lost, true), 0);
  struct bytes_view sixth;
  assert_ok(
      store_commit_load(reader, grid_head(tree, tree->grid).number, 6, &world->arena, &sixth));
  store_read_end(reader);
  assert_int_equal(actor_take(world, lost, sixth).verdict, VERDICT_OK);
  assert_int_equal(actor_take(world, lost, next).verdict, VERDICT_OK);
  actor_reopen(world, lost);
  assert_int_equal(grid_head(tree, lost).seq, 7);
}

static void test_abort(void **state)
{
  struct tree *tree = *state;
  struct actor *above[] = {tree->community, tree->street};
  struct trim_rule rule = {.before = later(tree)};
  struct trim_result result = {0};
  struct trim_cursor cursor = {0};
  struct trim_ask asks[TRIM_ASKS_MAX];
  struct trim_holder holders[2];
  size_t count = 0;
  bool done;
  for (size_t i = 0; i < 4; i++) {
    (void)report(tree, TIER_DISTRICT, 0);
  }
  rule.before = later(tree);
  ship_up(tree);
  pins_walk(tree->grid, 100);
  struct store_txn *txn = txn_begin(&tree->world, tree->grid);
  assert_ok(store_trim_find(txn, &rule, &cursor, &tree->world.arena, asks, &count, &done, &result));
  assert_int_equal(count, 4);
  for (size_t i = 0; i < count; i++) {
    for (size_t j = 0; j < 2; j++) {
      assert_true(holder_ask(&tree->world, above[j], &asks[i], &holders[j]));
    }
    assert_ok(store_trim_apply(txn, &rule, &asks[i], holders, 2, &result));
  }
  assert_int_equal(result.commits, 3);
  store_abort(txn);
  assert_int_equal(grid_head(tree, tree->grid).floor, 0);
  assert_int_equal(grid_head(tree, tree->grid).commits, 4);
  assert_int_equal(findings_count(tree->grid, true), 0);
}

static void backup(struct tree *tree, bool late)
{
  uint64_t *seqs = NULL;
  uint32_t count = 0;
  assert_ok(store_backup_heads(tree->district->store, &seqs, &count));
  if (late) {
    (void)report(tree, TIER_DISTRICT, 0);
    ship_up(tree);
  }
  struct store_txn *txn = txn_begin(&tree->world, tree->district);
  assert_ok(store_backup_confirm(txn, seqs, count));
  assert_ok(store_commit(txn));
  free(seqs);
}

static void test_district_by_backup(void **state)
{
  struct tree *tree = *state;
  struct subject subject = report(tree, TIER_DISTRICT, 0);
  ship_up(tree);
  assert_false(store_trim_needs_word(tree->district->store));
  assert_true(store_trim_needs_word(tree->street->store));
  struct trim_result result = trim_all(&tree->world, tree->district, NULL, 0, later(tree), false);
  assert_int_equal(result.items, 0);
  /* What comes while the copy is made is not in it. */
  backup(tree, true);
  actor_reopen(&tree->world, tree->district);
  result = trim_all(&tree->world, tree->district, NULL, 0, later(tree), true);
  assert_int_equal(result.items, 1);
  result = trim_all(&tree->world, tree->district, NULL, 0, later(tree), false);
  assert_int_equal(result.items, 1);
  assert_int_equal(result.commits, 0);
  assert_int_equal(subject_count(&tree->world, tree->district, &subject).records, 1);
  assert_int_equal(subject_count(&tree->world, tree->district, &subject).items_shown, 0);
  /* The district's word then no longer counts for those below. */
  assert_int_equal(grid_trim(tree, false).items, 2);
}

/* More of a commit that a backup holds comes later: the backup doesn't hold that. */
static void test_backup_and_more(void **state)
{
  struct tree *tree = *state;
  struct subject near = report(tree, TIER_COMMUNITY, 0);
  (void)report(tree, TIER_DISTRICT, 0);
  ship_up(tree);
  backup(tree, false);
  struct say say = {.kind = "case.escalate", .subject = &near, .gen = 2, .up = TIER_DISTRICT};
  actor_say(&tree->world, tree->grid, LANE_NORMAL, &say, 1);
  ship_up(tree);
  assert_int_equal(subject_count(&tree->world, tree->district, &near).items_shown, 2);
  struct trim_result result = trim_all(&tree->world, tree->district, NULL, 0, later(tree), false);
  assert_int_equal(result.items, 0);
  backup(tree, false);
  result = trim_all(&tree->world, tree->district, NULL, 0, later(tree), false);
  assert_int_equal(result.items, 3);
}

/* A commit that was withheld here may still be shown when its case widens: it doesn't go. */
static void test_withheld_stays(void **state)
{
  struct tree *tree = *state;
  struct actor *above[] = {tree->street, tree->district};
  struct subject own = report(tree, TIER_NONE, 0);
  for (size_t i = 0; i < 3; i++) {
    (void)report(tree, TIER_DISTRICT, 0);
  }
  ship_up(tree);
  assert_int_equal(subject_count(&tree->world, tree->community, &own).records, 0);
  struct trim_result result = trim_all(&tree->world, tree->community, above, 2, later(tree), false);
  assert_int_equal(result.items, 3);
  assert_int_equal(result.commits, 0);
  struct say say = {.kind = "case.escalate", .subject = &own, .gen = 2, .up = TIER_COMMUNITY};
  actor_say(&tree->world, tree->grid, LANE_NORMAL, &say, 1);
  ship_up(tree);
  assert_int_equal(subject_count(&tree->world, tree->community, &own).records, 2);
  assert_int_equal(subject_count(&tree->world, tree->community, &own).items_shown, 2);
}

/* More of a commit of which something was let go: it is new here, and goes up like any other. */
static void test_more_of_a_trimmed_commit(void **state)
{
  struct tree *tree = *state;
  struct world *world = &tree->world;
  struct actor *above[] = {tree->street, tree->district};
  struct subject known;
  struct subject own;
  struct say says[] = {
      {.subject = &known, .found = true, .up = TIER_DISTRICT},
      {.subject = &own, .found = true, .up = TIER_NONE},
  };
  actor_say(world, tree->grid, LANE_NORMAL, says, 2);
  (void)report(tree, TIER_DISTRICT, 0);
  ship_up(tree);
  assert_int_equal(trim_all(world, tree->community, above, 2, later(tree), false).items, 2);
  struct say say = {.kind = "case.escalate", .subject = &own, .gen = 2, .up = TIER_DISTRICT};
  /* What widens the case comes before what founded it. */
  struct bytes_view octets = actor_say(world, tree->grid, LANE_NORMAL, &say, 1);
  assert_int_equal(actor_take(world, tree->community, octets).records_marked, 1);
  ship_up(tree);
  assert_int_equal(subject_count(world, tree->community, &own).items_shown, 2);
  assert_int_equal(subject_count(world, tree->street, &own).items_shown, 2);
  assert_int_equal(subject_count(world, tree->district, &own).items_shown, 2);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_two_above, setup, teardown),
      cmocka_unit_test_setup_teardown(test_one_is_not_enough, setup, teardown),
      cmocka_unit_test_setup_teardown(test_few_may_see, setup, teardown),
      cmocka_unit_test_setup_teardown(test_who_let_go_does_not_count, setup, teardown),
      cmocka_unit_test_setup_teardown(test_age_and_open, setup, teardown),
      cmocka_unit_test_setup_teardown(test_waiting_stays, setup, teardown),
      cmocka_unit_test_setup_teardown(test_inbox_and_late, setup, teardown),
      cmocka_unit_test_setup_teardown(test_late_member_is_told, setup, teardown),
      cmocka_unit_test_setup_teardown(test_resend_after, setup, teardown),
      cmocka_unit_test_setup_teardown(test_parent_begins_at_floor, setup, teardown),
      cmocka_unit_test_setup_teardown(test_abort, setup, teardown),
      cmocka_unit_test_setup_teardown(test_withheld_stays, setup, teardown),
      cmocka_unit_test_setup_teardown(test_more_of_a_trimmed_commit, setup, teardown),
      cmocka_unit_test_setup_teardown(test_district_by_backup, setup, teardown),
      cmocka_unit_test_setup_teardown(test_backup_and_more, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
// links: storage PkgConfig::ZSTD PkgConfig::SODIUM
