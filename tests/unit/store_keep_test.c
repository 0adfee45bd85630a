// links: storage PkgConfig::ZSTD PkgConfig::SODIUM
/* What is kept beside the logs: quarantine, refusals, inbox, cursors; and erasure. */
#include "store_world.h"

struct tree {
  struct world world;
  struct actor *street;
  struct actor *community;
  struct actor *grid;
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

struct listed {
  size_t count;
  uint64_t total;
  uint32_t last_number;
  size_t octets;
  uint64_t overflow;
  uint64_t low; /* of the last */
  uint64_t high;
};

static bool quarantine_visit(void *context, const struct quarantine_entry *entry)
{
  struct listed *listed = context;
  static const struct log_id none;
  listed->count++;
  listed->total += entry->count;
  listed->last_number = entry->number;
  listed->octets += entry->octets.size;
  listed->low = entry->low;
  listed->high = entry->high;
  if (memcmp(&entry->log, &none, sizeof(none)) == 0) {
    listed->overflow = entry->count;
  }
  return true;
}

static struct listed quarantine_list(struct actor *actor)
{
  struct listed listed = {0};
  struct store_txn *txn = NULL;
  assert_ok(store_read_begin(actor->store, &txn));
  assert_ok(store_quarantine_each(txn, quarantine_visit, &listed));
  store_read_end(txn);
  return listed;
}

static struct log_id log_numbered(uint32_t number)
{
  struct log_id log = {.lane = LANE_NORMAL};
  memcpy(log.origin.octets, &number, sizeof(number));
  log.store.octets[0] = 1;
  return log;
}

static void test_quarantine_bounds(void **state)
{
  struct tree *tree = *state;
  static uint8_t octets[COMMIT_BYTES_MAX + 10];
  struct log_id log;
  struct listed listed;
  struct store_txn *txn = txn_begin(&tree->world, tree->street);
  for (uint32_t i = 0; i < QUARANTINE_PER_NEIGHBOUR_MAX + 50; i++) {
    log = log_numbered(i);
    assert_ok(store_quarantine_put(txn, 2, &log, i + 1, VERDICT_BAD_SIGNATURE,
                                   bytes_view_of(octets, i == 0 ? sizeof(octets) : 100)));
  }
  /* A known entry still counts, and another neighbour has its own room. */
  log = log_numbered(7);
  assert_ok(store_quarantine_put(txn, 2, &log, 99, VERDICT_GAP, bytes_view_of(octets, 5)));
  assert_ok(store_quarantine_put(txn, 1, &log, 99, VERDICT_GAP, bytes_view_of(octets, 5)));
  assert_ok(store_commit(txn));
  actor_reopen(&tree->world, tree->street);
  listed = quarantine_list(tree->street);
  assert_int_equal(listed.count, QUARANTINE_PER_NEIGHBOUR_MAX + 2);
  assert_int_equal(listed.total, QUARANTINE_PER_NEIGHBOUR_MAX + 52);
  assert_int_equal(listed.overflow, 50);
  assert_int_equal(listed.octets, COMMIT_BYTES_MAX + (QUARANTINE_PER_NEIGHBOUR_MAX - 1) * 100 + 5);
  txn = txn_begin(&tree->world, tree->street);
  assert_ok(store_quarantine_drop(txn, listed.last_number));
  assert_int_equal(store_quarantine_drop(txn, listed.last_number), STATUS_NOT_FOUND);
  assert_ok(store_commit(txn));
  assert_int_equal(quarantine_list(tree->street).count, QUARANTINE_PER_NEIGHBOUR_MAX + 1);
}

static void test_quarantine_passes(void **state)
{
  struct tree *tree = *state;
  struct world *world = &tree->world;
  struct subject subject;
  struct say say = {.subject = &subject, .found = true, .up = TIER_DISTRICT};
  struct bytes_view octets = commit_make(world, tree->grid, LANE_NORMAL, &say, 1);
  struct log_id log = {tree->grid->key, tree->grid->store_id, LANE_NORMAL};
  uint16_t child = neighbour_of(tree->street, tree->community);
  struct store_txn *txn = txn_begin(world, tree->street);
  assert_ok(store_quarantine_put(txn, child, &log, 1, VERDICT_BAD_SIGNATURE, octets));
  assert_ok(store_commit(txn));
  assert_int_equal(quarantine_list(tree->street).count, 1);
  actor_take(world, tree->street, octets);
  assert_int_equal(quarantine_list(tree->street).count, 0);
  /* A fork stays for people to see. */
  txn = txn_begin(world, tree->street);
  assert_ok(store_quarantine_put(txn, child, &log, 1, VERDICT_FORK, octets));
  assert_ok(store_commit(txn));
  actor_take(world, tree->street, commit_make(world, tree->grid, LANE_NORMAL, &say, 1));
  assert_int_equal(quarantine_list(tree->street).count, 1);
}

/* Further showings of what is held are refused at 2 and 4: each is made good at its own place, or
 * by what was asked for and came in order; later places make nothing good. */
static void test_quarantine_has_a_range(void **state)
{
  struct tree *tree = *state;
  struct log_id log = log_numbered(9);
  struct bytes_view octets = bytes_view_text("octets");
  struct listed listed;
  struct store_txn *txn = txn_begin(&tree->world, tree->street);
  assert_ok(store_quarantine_put(txn, 1, &log, 4, VERDICT_BAD_CHAIN, octets));
  assert_ok(store_commit(txn));
  assert_int_equal(quarantine_list(tree->street).low, 4);
  txn = txn_begin(&tree->world, tree->street);
  assert_ok(store_quarantine_put(txn, 1, &log, 2, VERDICT_BAD_CHAIN, octets));
  assert_ok(store_commit(txn));
  actor_reopen(&tree->world, tree->street);
  listed = quarantine_list(tree->street);
  assert_int_equal(listed.count, 1);
  assert_int_equal(listed.low, 2);
  assert_int_equal(listed.high, 4);
  txn = txn_begin(&tree->world, tree->street);
  assert_ok(store_quarantine_raise(txn, 1, &log, 4));
  assert_ok(store_quarantine_raise(txn, 1, &log, 3)); /* never back */
  assert_ok(store_quarantine_raise(txn, 2, &log, 9)); /* another neighbour's: none */
  assert_ok(store_commit(txn));
  listed = quarantine_list(tree->street);
  assert_int_equal(listed.low, 4);
  assert_int_equal(listed.high, 4);
  txn = txn_begin(&tree->world, tree->street);
  assert_ok(store_quarantine_raise(txn, 1, &log, 5));
  assert_ok(store_commit(txn));
  assert_int_equal(quarantine_list(tree->street).count, 0);
}

static bool refused_visit(void *context, const struct refused_entry *entry)
{
  struct listed *listed = context;
  listed->count++;
  listed->total += entry->seq;
  return true;
}

static void test_refused(void **state)
{
  struct tree *tree = *state;
  struct refused_entry entry = {.neighbour = 1, .verdict = VERDICT_GAP, .at = {5}};
  struct listed listed = {0};
  struct store_txn *txn = txn_begin(&tree->world, tree->street);
  for (uint32_t i = 0; i < QUARANTINE_PER_NEIGHBOUR_MAX + 5; i++) {
    entry.log = log_numbered(i);
    entry.seq = 1;
    assert_ok(store_refused_put(txn, &entry));
  }
  entry.log = log_numbered(3);
  entry.seq = 2;
  assert_ok(store_refused_put(txn, &entry));
  entry.log = log_numbered(4);
  assert_ok(store_refused_clear(txn, 1, &entry.log));
  assert_ok(store_refused_clear(txn, 1, &entry.log));
  assert_ok(store_refused_each(txn, refused_visit, &listed));
  assert_int_equal(listed.count, QUARANTINE_PER_NEIGHBOUR_MAX - 1);
  assert_int_equal(listed.total, QUARANTINE_PER_NEIGHBOUR_MAX);
  assert_ok(store_commit(txn));
}

struct inbox {
  size_t count;
  uint64_t last;
  struct subject subject;
};

static bool inbox_visit(void *context, const struct inbox_entry *entry)
{
  struct inbox *inbox = context;
  inbox->count++;
  assert_true(entry->number > inbox->last);
  inbox->last = entry->number;
  inbox->subject = entry->record.record.header.subject;
  return true;
}

static void test_inbox(void **state)
{
  struct tree *tree = *state;
  struct world *world = &tree->world;
  struct subject subjects[3];
  struct inbox inbox = {0};
  struct store_txn *txn = NULL;
  for (size_t i = 0; i < 3; i++) {
    struct say say = {.subject = &subjects[i], .found = true, .down = {i == 1 ? NULL : "d/s/c"}};
    struct applied applied =
        actor_take(world, tree->community, commit_make(world, tree->street, LANE_URGENT, &say, 1));
    assert_int_equal(applied.concerns_us, i != 1);
    /* What one says oneself is not news. */
    assert_false(
        actor_take(world, tree->street, commit_make(world, tree->grid, (unsigned)i, &say, 1))
            .concerns_us);
  }
  assert_ok(store_read_begin(tree->community->store, &txn));
  assert_ok(store_inbox_each(txn, 0, 10, &world->arena, inbox_visit, &inbox));
  assert_int_equal(inbox.count, 2);
  inbox = (struct inbox){0};
  assert_ok(store_inbox_each(txn, 0, 1, &world->arena, inbox_visit, &inbox));
  assert_int_equal(inbox.count, 1);
  assert_ok(store_inbox_each(txn, inbox.last, 10, &world->arena, inbox_visit, &inbox));
  assert_int_equal(inbox.count, 2);
  assert_int_equal(inbox.last, 2);
  assert_ok(store_inbox_each(txn, UINT64_MAX, 10, &world->arena, inbox_visit, &inbox));
  assert_int_equal(inbox.count, 2);
  store_read_end(txn);
}

static void test_cursor(void **state)
{
  struct tree *tree = *state;
  struct cursor cursor = {.position = 77, .tag = {1, 2, 3}};
  struct store_txn *txn = txn_begin(&tree->world, tree->street);
  cursor.store = tree->community->store_id;
  assert_ok(store_cursor_put(txn, 2, LANE_BULK, &cursor));
  assert_int_equal(store_cursor_put(txn, 3, LANE_BULK, &cursor), STATUS_INVALID_ARGUMENT);
  assert_int_equal(store_cursor_put(txn, 2, LANE_COUNT, &cursor), STATUS_INVALID_ARGUMENT);
  assert_ok(store_commit(txn));
  actor_reopen(&tree->world, tree->street);
  assert_memory_equal(&lane_of(tree->street, tree->community, LANE_BULK)->received, &cursor,
                      sizeof(cursor));
}

static void test_neighbour_bounds(void **state)
{
  struct tree *tree = *state;
  struct address address = address_of("d/s/c/g");
  char text[32];
  uint16_t number = 0;
  struct store_txn *txn = txn_begin(&tree->world, tree->street);
  assert_int_equal(store_neighbour_put(txn, &address, &number), STATUS_INVALID_ARGUMENT);
  for (unsigned i = 0; i < NEIGHBOURS_MAX - 2; i++) {
    (void)snprintf(text, sizeof(text), "d/s/n%u", i);
    address = address_of(text);
    assert_ok(store_neighbour_put(txn, &address, &number));
  }
  assert_int_equal(number, NEIGHBOURS_MAX);
  assert_ok(store_neighbour_put(txn, &address, &number));
  address = address_of("d/s/more");
  assert_int_equal(store_neighbour_put(txn, &address, &number), STATUS_TOO_LARGE);
  assert_ok(store_commit(txn));
  actor_reopen(&tree->world, tree->street);
  assert_int_equal(store_neighbour_count(tree->street->store), NEIGHBOURS_MAX);
  /* A record for all of them. */
  struct subject subject;
  struct say say = {.subject = &subject, .found = true, .down = {"d/s/*"}};
  actor_say(&tree->world, tree->street, LANE_BULK, &say, 1);
  assert_int_equal(
      store_neighbour(tree->street->store, NEIGHBOURS_MAX)->lanes[LANE_BULK].pending_records, 1);
}

static void test_erase(void **state)
{
  struct tree *tree = *state;
  struct world *world = &tree->world;
  struct subject subject;
  struct say say = {.subject = &subject, .found = true, .up = TIER_DISTRICT, .see_second = SEE_ALL};
  struct bytes_view octets = commit_make(world, tree->grid, LANE_NORMAL, &say, 1);
  struct commit commit;
  struct store_txn *txn;
  assert_int_equal(commit_read(octets, &world->arena, &commit), VERDICT_OK);
  actor_take(world, tree->community, octets);
  assert_int_equal(subject_count(world, tree->community, &subject).items_shown, 2);
  txn = txn_begin(world, tree->community);
  assert_ok(store_erase(txn, &commit.leaves[0], 1, &subject));
  assert_int_equal(store_erase(txn, &commit.leaves[0], 64, &subject), STATUS_INVALID_ARGUMENT);
  assert_ok(store_commit(txn));
  assert_int_equal(subject_count(world, tree->community, &subject).items_shown, 1);
  /* A later copy does not bring it back, nor does it go on from here. */
  assert_int_equal(actor_take(world, tree->community, octets).verdict, VERDICT_DUPLICATE);
  assert_int_equal(subject_count(world, tree->community, &subject).items_shown, 1);
  ship(world, tree->community, tree->street);
  assert_int_equal(subject_count(world, tree->street, &subject).items_shown, 1);
  /* A tombstone that comes before the record. */
  struct bytes_view later = commit_make(world, tree->grid, LANE_URGENT, &say, 1);
  assert_int_equal(commit_read(later, &world->arena, &commit), VERDICT_OK);
  txn = txn_begin(world, tree->community);
  assert_ok(store_erase(txn, &commit.leaves[0], 1, &subject));
  assert_ok(store_commit(txn));
  actor_reopen(world, tree->community);
  assert_int_equal(actor_take(world, tree->community, later).verdict, VERDICT_OK);
  assert_int_equal(subject_count(world, tree->community, &subject).items_shown, 1);
}

#define STONES 6

struct stones {
  struct tombstone all[STONES];
  size_t count;
};

static bool note_stone(void *context, const struct tombstone *tombstone)
{
  struct stones *stones = context;
  assert_in_range(stones->count, 0, STONES - 1);
  stones->all[stones->count++] = *tombstone;
  return true;
}

/* One that names a record of `by`. */
static struct hash erase_one(struct tree *tree, struct actor *by, struct subject *subject)
{
  struct say say = {.subject = subject, .found = true, .up = TIER_DISTRICT, .see_second = SEE_ALL};
  struct bytes_view octets = commit_make(&tree->world, by, LANE_NORMAL, &say, 1);
  struct commit commit;
  assert_int_equal(commit_read(octets, &tree->world.arena, &commit), VERDICT_OK);
  struct hash leaf = commit.leaves[0];
  actor_take(&tree->world, tree->community, octets);
  struct store_txn *txn = txn_begin(&tree->world, tree->community);
  assert_ok(store_erase(txn, &leaf, 1, subject));
  assert_ok(store_commit(txn));
  return leaf;
}

/* In pages, those alone that concern the neighbour, in the tables' order. */
static void test_tombstones_by_page(void **state)
{
  struct tree *tree = *state;
  struct address address = address_of("d/s/c/g");
  struct subject subjects[STONES];
  struct hash leaves[STONES];
  struct stones stones = {0};
  struct tombstone last;
  struct tombstone after;
  struct store_txn *txn;
  uint16_t number = 0;
  bool more = true;
  size_t pages = 0;
  for (unsigned i = 0; i < STONES; i++) {
    leaves[i] = erase_one(tree, i % 2 == 0 ? tree->grid : tree->community, &subjects[i]);
  }
  txn = txn_begin(&tree->world, tree->community);
  assert_ok(store_neighbour_put(txn, &address, &number));
  assert_ok(store_commit(txn));
  assert_ok(store_read_begin(tree->community->store, &txn));
  while (more) {
    assert_ok(store_tombstone_each(txn, number, pages == 0 ? NULL : &after, 2, note_stone, &stones,
                                   &last, &more));
    after = last;
    pages++;
  }
  assert_in_range(pages, STONES / 2, STONES / 2 + 1);
  assert_int_equal(stones.count, STONES / 2); /* what the community founded is none of the grid's */
  for (size_t i = 0; i < stones.count; i++) {
    bool known = false;
    for (size_t j = 0; j < STONES; j += 2) {
      known = known || (hash_equal(&leaves[j], &stones.all[i].leaf) &&
                        memcmp(&subjects[j], &stones.all[i].subject, SUBJECT_SIZE) == 0);
    }
    assert_true(known);
    assert_int_equal(stones.all[i].position, 1);
    assert_true(i == 0 || memcmp(&stones.all[i - 1].leaf, &stones.all[i].leaf, HASH_SIZE) < 0);
  }
  store_read_end(txn);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_quarantine_bounds, setup, teardown),
      cmocka_unit_test_setup_teardown(test_quarantine_passes, setup, teardown),
      cmocka_unit_test_setup_teardown(test_quarantine_has_a_range, setup, teardown),
      cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
      cmocka_unit_test_setup_teardown(test_inbox, setup, teardown),
      cmocka_unit_test_setup_teardown(test_cursor, setup, teardown),
      cmocka_unit_test_setup_teardown(test_neighbour_bounds, setup, teardown),
      cmocka_unit_test_setup_teardown(test_erase, setup, teardown),
      cmocka_unit_test_setup_teardown(test_tombstones_by_page, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
