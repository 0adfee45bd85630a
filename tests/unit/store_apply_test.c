// links: storage PkgConfig::ZSTD PkgConfig::SODIUM
/* Taking commits in: continuity, merging, outbox positions, tags and counters. */
#include "store_world.h"

#include <pthread.h>
#include <stdatomic.h>

/* A street with a community below it, a grid below that, and another street. */
struct tree {
  struct world world;
  struct actor *district;
  struct actor *street;
  struct actor *community;
  struct actor *grid;
  struct actor *far;
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
  tree->far = actor_add(world, "d/t");
  actor_open(world, tree->street);
  actor_open(world, tree->community);
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

static struct bytes_view report_make(struct tree *tree, struct actor *actor,
                                     struct subject *subject, size_t count)
{
  struct say says[COMMIT_RECORDS_MAX];
  for (size_t i = 0; i < count; i++) {
    says[i] = (struct say){.subject = &subject[i], .found = true, .up = TIER_DISTRICT};
  }
  return commit_make(&tree->world, actor, LANE_NORMAL, says, count);
}

static void test_gap_previous_fork(void **state)
{
  struct tree *tree = *state;
  struct world *world = &tree->world;
  struct subject subject[4];
  struct bytes_view first = report_make(tree, tree->grid, &subject[0], 1);
  struct actor before = *tree->grid;
  struct bytes_view second = report_make(tree, tree->grid, &subject[1], 1);
  struct bytes_view third = report_make(tree, tree->grid, &subject[2], 1);
  struct log_head head;
  assert_int_equal(actor_take(world, tree->street, second).verdict, VERDICT_GAP);
  assert_int_equal(store_log_count(tree->street->store), 0);
  assert_int_equal(actor_take(world, tree->street, first).verdict, VERDICT_OK);
  assert_int_equal(actor_take(world, tree->street, third).verdict, VERDICT_GAP);
  assert_int_equal(actor_take(world, tree->street, first).verdict, VERDICT_DUPLICATE);
  /* Another commit at the same place, then one that does not follow. */
  before.hlc += 1000ull << 16;
  struct bytes_view other = report_make(tree, &before, &subject[3], 1);
  assert_int_equal(actor_take(world, tree->street, second).verdict, VERDICT_OK);
  assert_int_equal(actor_take(world, tree->street, other).verdict, VERDICT_FORK);
  struct bytes_view branch = report_make(tree, &before, &subject[3], 1);
  assert_int_equal(actor_take(world, tree->street, branch).verdict, VERDICT_BAD_PREVIOUS);
  assert_int_equal(actor_take(world, tree->street, third).verdict, VERDICT_OK);
  assert_true(store_log_at(tree->street->store, 1, &head));
  assert_int_equal(head.seq, 3);
  assert_int_equal(head.commits, 3);
  assert_true(head.gapless);
  assert_true(store_log_find(tree->street->store, &head.id, &head));
  assert_int_equal(lane_of(tree->street, tree->district, LANE_NORMAL)->pending_commits, 3);
}

static void test_sparse(void **state)
{
  struct tree *tree = *state;
  struct world *world = &tree->world;
  struct subject subject[3];
  struct bytes_view commits[3];
  struct log_head head;
  for (size_t i = 0; i < 3; i++) {
    commits[i] = report_make(tree, tree->far, &subject[i], 1);
  }
  assert_int_equal(actor_take(world, tree->street, commits[2]).verdict, VERDICT_OK);
  assert_int_equal(actor_take(world, tree->street, commits[0]).verdict, VERDICT_OK);
  assert_int_equal(actor_take(world, tree->street, commits[0]).verdict, VERDICT_DUPLICATE);
  assert_true(store_log_at(tree->street->store, 1, &head));
  assert_false(head.gapless);
  assert_int_equal(head.seq, 3);
  assert_int_equal(head.commits, 2);
  /* It came from above: it never goes back there. */
  assert_int_equal(lane_of(tree->street, tree->district, LANE_NORMAL)->end_position, 0);
}

static void test_unknown_certificate(void **state)
{
  struct tree *tree = *state;
  struct world *world = &tree->world;
  struct subject subject;
  struct actor *late = actor_add(world, "d/s/x");
  struct bytes_view octets = report_make(tree, late, &subject, 1);
  struct commit commit;
  struct applied applied;
  struct store_txn *txn = txn_begin(world, tree->street);
  assert_int_equal(commit_read(octets, &world->arena, &commit), VERDICT_OK);
  assert_int_equal(store_commit_apply(txn, &commit, (struct bytes_view){0}, &applied),
                   STATUS_INVALID_ARGUMENT);
  certificate_give(txn, &late->certificate);
  assert_ok(store_commit_apply(txn, &commit, (struct bytes_view){0}, &applied));
  assert_int_equal(applied.verdict, VERDICT_OK);
  assert_ok(store_commit(txn));
  /* A certificate of somebody else's key. */
  late->certificate_id = tree->grid->certificate_id;
  octets = report_make(tree, late, &subject, 1);
  assert_int_equal(actor_take(world, tree->street, octets).verdict, VERDICT_BAD_CHAIN);
}

/* Shows records [from, to) of a commit. */
static struct bytes_view part_of(struct world *world, struct bytes_view octets, size_t from,
                                 size_t to, unsigned class_bit)
{
  uint8_t keep[COMMIT_BITMAP_SIZE] = {0};
  for (size_t i = from; i < to; i++) {
    bitmap_set(keep, i);
  }
  return commit_part(world, octets, keep, class_bit);
}

static void test_merge(void **state)
{
  struct tree *tree = *state;
  struct world *world = &tree->world;
  struct subject subject[COMMIT_RECORDS_MAX];
  struct bytes_view whole = report_make(tree, tree->grid, subject, COMMIT_RECORDS_MAX);
  struct applied applied;
  const struct neighbour_lane *up = lane_of(tree->street, tree->district, LANE_NORMAL);
  struct store_txn *txn = NULL;
  struct bytes_view octets;
  applied = actor_take(world, tree->street, part_of(world, whole, 0, 100, SEE_STREET));
  assert_int_equal(applied.records_new, 100);
  assert_int_equal(up->pending_records, 100);
  applied = actor_take(world, tree->street, part_of(world, whole, 50, 100, SEE_STREET));
  assert_int_equal(applied.verdict, VERDICT_DUPLICATE);
  applied = actor_take(world, tree->street, part_of(world, whole, 50, 256, SEE_STREET));
  assert_int_equal(applied.verdict, VERDICT_OK);
  assert_int_equal(applied.records_new, 156);
  assert_int_equal(up->pending_commits, 2);
  assert_int_equal(up->pending_records, 256);
  assert_int_equal(actor_take(world, tree->street, whole).verdict, VERDICT_DUPLICATE);
  assert_ok(store_read_begin(tree->street->store, &txn));
  assert_ok(store_commit_load(txn, 1, 1, &world->arena, &octets));
  assert_true(bytes_view_equal(octets, whole));
  assert_int_equal(store_commit_load(txn, 1, 2, &world->arena, &octets), STATUS_NOT_FOUND);
  store_read_end(txn);
}

static void test_merge_items(void **state)
{
  struct tree *tree = *state;
  struct world *world = &tree->world;
  struct subject subject;
  struct say say = {.subject = &subject,
                    .found = true,
                    .up = TIER_DISTRICT,
                    .see_second = SEE_STREET | SEE_DISTRICT | SEE_GRID};
  struct bytes_view whole = commit_make(world, tree->grid, LANE_NORMAL, &say, 1);
  const struct neighbour_lane *up = lane_of(tree->street, tree->district, LANE_NORMAL);
  struct applied applied =
      actor_take(world, tree->street, part_of(world, whole, 0, 1, SEE_COMMUNITY));
  assert_int_equal(applied.records_new, 1);
  assert_int_equal(subject_count(world, tree->street, &subject).items_shown, 1);
  applied = actor_take(world, tree->street, whole);
  assert_int_equal(applied.verdict, VERDICT_OK);
  assert_int_equal(applied.records_new, 0);
  assert_int_equal(subject_count(world, tree->street, &subject).items_shown, 2);
  assert_int_equal(up->pending_commits, 2);
  /* What is shown anew is not for the community: nothing goes there. */
  assert_int_equal(lane_of(tree->street, tree->community, LANE_NORMAL)->pending_commits, 0);
}

static void test_counters_and_tags(void **state)
{
  struct tree *tree = *state;
  struct world *world = &tree->world;
  struct subject subject[20];
  const struct neighbour_lane *up = lane_of(tree->street, tree->district, LANE_NORMAL);
  struct outgoing entries[4];
  size_t count = 0;
  uint8_t tag[16];
  uint8_t other[16];
  for (size_t i = 0; i < 10; i++) {
    actor_take(world, tree->street, report_make(tree, tree->grid, &subject[i * 2], 2));
  }
  assert_int_equal(up->end_position, 10);
  assert_int_equal(up->pending_records, 20);
  int64_t oldest = up->oldest_at.ms;
  struct store_txn *txn = txn_begin(world, tree->street);
  assert_ok(store_outbox_read(txn, NEIGHBOUR_PARENT, LANE_NORMAL, 1, 1, 4, &world->arena, entries,
                              &count));
  assert_int_equal(count, 1);
  assert_ok(store_outbox_read(txn, NEIGHBOUR_PARENT, LANE_NORMAL, 3, 1 << 20, 4, &world->arena,
                              entries, &count));
  assert_int_equal(count, 4);
  assert_int_equal(entries[0].position, 3);
  assert_true(store_outbox_tag(txn, NEIGHBOUR_PARENT, LANE_NORMAL, 3, tag));
  assert_memory_equal(tag, entries[0].tag, 16);
  assert_false(store_outbox_tag(txn, NEIGHBOUR_PARENT, LANE_NORMAL, 11, tag));
  assert_int_equal(store_outbox_ack(txn, NEIGHBOUR_PARENT, LANE_NORMAL, 11),
                   STATUS_INVALID_ARGUMENT);
  assert_ok(store_outbox_ack(txn, NEIGHBOUR_PARENT, LANE_NORMAL, 3));
  assert_ok(store_outbox_ack(txn, NEIGHBOUR_PARENT, LANE_NORMAL, 2));
  assert_true(store_outbox_tag(txn, NEIGHBOUR_PARENT, LANE_NORMAL, 3, other));
  assert_memory_equal(other, entries[0].tag, 16);
  assert_false(store_outbox_tag(txn, NEIGHBOUR_PARENT, LANE_NORMAL, 2, tag));
  assert_ok(store_commit(txn));
  assert_int_equal(up->pending_commits, 7);
  assert_int_equal(up->pending_records, 14);
  assert_true(up->oldest_at.ms > oldest);
  actor_reopen(world, tree->street);
  up = lane_of(tree->street, tree->district, LANE_NORMAL);
  assert_int_equal(up->acked_position, 3);
  assert_int_equal(up->pending_records, 14);
  txn = txn_begin(world, tree->street);
  assert_ok(store_outbox_ack(txn, NEIGHBOUR_PARENT, LANE_NORMAL, 10));
  assert_ok(store_commit(txn));
  assert_int_equal(up->pending_commits, 0);
  assert_int_equal(up->pending_bytes, 0);
  assert_int_equal(up->oldest_at.ms, 0);
  assert_memory_equal(up->acked_tag, up->end_tag, 16);
}

/* A subject at the maximum that must work, each record in a commit of its own. */
static void test_many_records(void **state)
{
  struct tree *tree = *state;
  struct world *world = &tree->world;
  struct subject subject;
  struct say say = {.subject = &subject, .found = true, .up = TIER_COMMUNITY};
  struct subject_info info;
  struct store_txn *txn = txn_begin(world, tree->community);
  for (size_t i = 0; i < 4096; i++) {
    struct bytes_view octets = commit_make(world, tree->grid, LANE_NORMAL, &say, 1);
    assert_int_equal(txn_take(world, txn, octets, (struct bytes_view){0}).verdict, VERDICT_OK);
    say.found = false;
    arena_reset(&world->arena);
  }
  assert_ok(store_subject_get(txn, &subject, &info));
  assert_int_equal(info.records, 4096);
  assert_ok(store_commit(txn));
  /* The history of all goes up by one record that widens: in its lane once the parent holds the
   * commits withheld. */
  assert_int_equal(ship(world, tree->community, tree->street).commits, 4096);
  say.up = TIER_DISTRICT;
  actor_say(world, tree->community, LANE_URGENT, &say, 1);
  assert_int_equal(lane_of(tree->community, tree->street, LANE_NORMAL)->pending_commits, 0);
  assert_int_equal(lane_of(tree->community, tree->street, LANE_URGENT)->pending_records, 4097);
  assert_int_equal(ship(world, tree->community, tree->street).records, 4097);
  assert_int_equal(subject_count(world, tree->street, &subject).records, 4097);
}

/* History must not overtake its log: what the parent does not hold yet stays in its lane. */
static void test_no_overtaking(void **state)
{
  struct tree *tree = *state;
  struct world *world = &tree->world;
  struct subject subjects[2];
  struct say say = {.found = true, .up = TIER_COMMUNITY};
  struct shipped shipped;
  for (size_t i = 0; i < 2; i++) {
    say.subject = &subjects[i];
    actor_take(world, tree->community, commit_make(world, tree->grid, LANE_NORMAL, &say, 1));
  }
  struct say escalate = {.subject = &subjects[1], .gen = 2, .up = TIER_DISTRICT};
  actor_reopen(world, tree->community);
  actor_say(world, tree->community, LANE_URGENT, &escalate, 1);
  assert_int_equal(lane_of(tree->community, tree->street, LANE_URGENT)->pending_commits, 1);
  shipped = ship(world, tree->community, tree->street);
  assert_int_equal(shipped.taken, 4);
  assert_int_equal(subject_count(world, tree->street, &subjects[1]).records, 2);
  assert_int_equal(subject_count(world, tree->street, &subjects[1]).marked, 0);
  assert_int_equal(subject_count(world, tree->street, &subjects[0]).records, 0);
}

struct beside {
  struct store *store;
  _Atomic bool stop;
  _Atomic uint64_t seen;
};

static bool subject_visit(void *context, const struct subject_info *info)
{
  struct beside *beside = context;
  (void)info;
  atomic_fetch_add(&beside->seen, 1);
  return true;
}

static void *reader_run(void *context)
{
  struct beside *beside = context;
  struct arena arena = {0};
  while (!atomic_load(&beside->stop)) {
    struct store_txn *txn = NULL;
    struct log_head head;
    struct bytes_view octets;
    if (store_read_begin(beside->store, &txn) != STATUS_OK) {
      break;
    }
    enum status status = store_subject_each(txn, NULL, true, subject_visit, beside);
    if (store_log_at(beside->store, store_log_count(beside->store), &head) && head.seq > 1) {
      /* What the mirror knows may be newer than this view, but never older. */
      status = store_commit_load(txn, 1, 1, &arena, &octets);
    }
    (void)status;
    (void)store_room(beside->store);
    store_read_end(txn);
    arena_reset(&arena);
  }
  arena_close(&arena);
  return NULL;
}

static void test_reader_beside(void **state)
{
  struct tree *tree = *state;
  struct beside beside = {.store = tree->street->store};
  struct subject subject[8];
  pthread_t thread;
  assert_int_equal(pthread_create(&thread, NULL, reader_run, &beside), 0);
  for (size_t i = 0; i < 200 || atomic_load(&beside.seen) == 0; i++) {
    struct actor *actor = i % 2 == 0 ? tree->grid : tree->community;
    actor_take(&tree->world, tree->street, report_make(tree, actor, subject, 8));
  }
  atomic_store(&beside.stop, true);
  assert_int_equal(pthread_join(thread, NULL), 0);
}

/* The same, a commit at a time. */
static void pieces_check(const struct store_txn *txn, uint16_t neighbour, uint64_t seq_max,
                         const uint8_t whole[16])
{
  struct arena arena = {0};
  struct log_digest digest;
  store_log_digest_begin(&digest, 1, neighbour, seq_max);
  for (unsigned steps = 0; !digest.done; steps++) {
    size_t commits_max = 1;
    assert_in_range(steps, 0, 100);
    assert_ok(store_log_digest_step(txn, &digest, &arena, &commits_max));
  }
  assert_memory_equal(digest.digest, whole, 16);
  arena_close(&arena);
}

static void test_log_read_and_digest(void **state)
{
  struct tree *tree = *state;
  struct world *world = &tree->world;
  struct subject subject;
  struct say say = {.subject = &subject, .found = true, .up = TIER_COMMUNITY};
  struct outgoing entries[4];
  size_t count = 0;
  uint64_t next = 0;
  uint64_t commits = 0;
  uint8_t all[16];
  uint8_t up[16];
  uint8_t down[16];
  uint8_t again[16];
  struct store_txn *txn = NULL;
  struct arena arena = {0};
  for (size_t i = 0; i < 3; i++) {
    say.up = i == 1 ? TIER_DISTRICT : TIER_COMMUNITY;
    actor_take(world, tree->community, commit_make(world, tree->grid, LANE_NORMAL, &say, 1));
  }
  for (int writes = 0; writes < 2; writes++) {
    uint16_t child = neighbour_of(tree->community, tree->grid);
    if (writes) {
      txn = txn_begin(world, tree->community);
    } else {
      assert_ok(store_read_begin(tree->community->store, &txn));
    }
    assert_ok(store_log_read(txn, 1, 1, NEIGHBOUR_PARENT, 1 << 20, 2, &world->arena, entries,
                             &count, &next));
    assert_int_equal(count, 2);
    assert_int_equal(entries[0].records, 0);
    assert_int_equal(entries[1].records, 1);
    assert_int_equal(next, 3);
    assert_ok(
        store_log_read(txn, 1, next, child, 1 << 20, 4, &world->arena, entries, &count, &next));
    assert_int_equal(count, 1);
    assert_int_equal(entries[0].records, 1);
    assert_int_equal(next, 0);
    assert_ok(store_log_digest(txn, 1, NEIGHBOUR_NONE, 3, &arena, all, &commits));
    assert_int_equal(commits, 3);
    assert_ok(store_log_digest(txn, 1, NEIGHBOUR_PARENT, 3, &arena, up, &commits));
    assert_int_equal(commits, 3);
    assert_ok(store_log_digest(txn, 1, child, 3, &arena, down, &commits));
    pieces_check(txn, child, 3, down);
    assert_memory_equal(all, down, 16);
    assert_memory_not_equal(all, up, 16);
    assert_ok(store_log_digest(txn, 1, child, 2, &arena, again, &commits));
    assert_int_equal(commits, 2);
    assert_memory_not_equal(again, down, 16);
    if (writes) {
      store_abort(txn);
    } else {
      store_read_end(txn);
    }
  }
  /* The parent, once it has it all, comes to the same digest as what it may see. */
  ship(world, tree->community, tree->street);
  assert_ok(store_read_begin(tree->street->store, &txn));
  assert_ok(store_log_digest(txn, 1, NEIGHBOUR_NONE, 3, &arena, again, &commits));
  assert_memory_equal(again, up, 16);
  store_read_end(txn);
  arena_close(&arena);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_gap_previous_fork, setup, teardown),
      cmocka_unit_test_setup_teardown(test_sparse, setup, teardown),
      cmocka_unit_test_setup_teardown(test_unknown_certificate, setup, teardown),
      cmocka_unit_test_setup_teardown(test_merge, setup, teardown),
      cmocka_unit_test_setup_teardown(test_merge_items, setup, teardown),
      cmocka_unit_test_setup_teardown(test_counters_and_tags, setup, teardown),
      cmocka_unit_test_setup_teardown(test_many_records, setup, teardown),
      cmocka_unit_test_setup_teardown(test_no_overtaking, setup, teardown),
      cmocka_unit_test_setup_teardown(test_reader_beside, setup, teardown),
      cmocka_unit_test_setup_teardown(test_log_read_and_digest, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
