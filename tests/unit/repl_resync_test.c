// links: record replication sodium PkgConfig::ZSTD
/* Cursors that don't stand, stores that are new, and what is sent again. */
#include "repl_world.h"

struct pair {
  struct world world;
  struct world_node *parent;
  struct world_node *child;
  struct world_conn *conn;
};

static void pair_open(struct pair *pair, const char *test, bool puppet)
{
  world_open(&pair->world, test);
  pair->parent = node_add(&pair->world, "d", false);
  pair->child = node_add(&pair->world, "d/s", puppet);
  pair->conn = conn_add(&pair->world, pair->child, pair->parent);
  node_start(pair->parent);
  if (!puppet) {
    node_start(pair->child);
  }
}

static void say_many(struct world_node *node, unsigned lane, size_t count, size_t octets)
{
  struct commit_wish wish = {.lane = lane, .octets = octets};
  for (size_t i = 0; i < count; i++) {
    node_say(node, &wish);
  }
}

/* All lanes have some, and all of it is level. */
static void make_level(struct pair *pair)
{
  for (unsigned lane = 0; lane < LANE_COUNT; lane++) {
    say_many(pair->child, lane, 20, 600);
    say_many(pair->parent, lane, 5, 600);
  }
  conn_up(pair->conn);
  world_run(&pair->world, 500);
  assert_int_equal(pair->child->peers[1].lanes[LANE_NORMAL].acked, 20);
}

static void disconnect(struct pair *pair)
{
  conn_drop(pair->conn);
  world_carry(&pair->world);
}

static void expect_level(struct pair *pair, size_t up)
{
  for (unsigned lane = 0; lane < LANE_COUNT; lane++) {
    assert_int_equal(node_holds(pair->parent, pair->child, lane), up);
    assert_int_equal(pair->child->peers[1].lanes[lane].acked, up);
    assert_int_equal(pair->parent->peers[2].lanes[lane].received.position, up);
  }
  assert_int_equal(pair->parent->refused_count, 0);
  assert_int_equal(pair->parent->disconnects + pair->child->disconnects, 0);
}

/* The receiver lost its cursor of one lane, not its logs: heads agree, so nothing is sent again,
 * and the cursor that it adopts is durable. */
static void test_lost_cursor(void **state)
{
  static struct pair pair;
  (void)state;
  pair_open(&pair, "lost cursor", false);
  make_level(&pair);
  disconnect(&pair);
  memset(&pair.parent->peers[2].lanes[LANE_NORMAL].received, 0, sizeof(struct link_cursor));
  uint64_t before = pair.conn->wires[0].octets_total;
  conn_up(pair.conn);
  world_run(&pair.world, 500);
  assert_int_equal(pair.child->notices, 1);
  assert_int_equal(pair.child->loads_log, 0);
  assert_true(pair.conn->wires[0].octets_total - before < 2000);
  expect_level(&pair, 20);
  for (unsigned lane = 0; lane < LANE_COUNT; lane++) {
    say_many(pair.child, lane, 3, 600);
  }
  world_run(&pair.world, 500);
  expect_level(&pair, 23);
  disconnect(&pair);
  conn_up(pair.conn);
  world_run(&pair.world, 500);
  assert_int_equal(pair.child->notices, 1); /* no second comparison */
  world_close(&pair.world);
}

static void test_wrong_tag(void **state)
{
  static struct pair pair;
  (void)state;
  pair_open(&pair, "wrong tag", false);
  make_level(&pair);
  disconnect(&pair);
  pair.parent->peers[2].lanes[LANE_BULK].received.tag[3] ^= 1;
  say_many(pair.child, LANE_URGENT, 1, 600);
  say_many(pair.child, LANE_NORMAL, 1, 600);
  say_many(pair.child, LANE_BULK, 1, 600);
  conn_up(pair.conn);
  world_run(&pair.world, 500);
  assert_int_equal(pair.child->notices, 1);
  assert_int_equal(pair.child->loads_log, 3); /* from where each log stood */
  expect_level(&pair, 21);
  world_close(&pair.world);
}

/* Only the log that differs is sent, whole; the others not at all. */
static void test_only_differing_logs(void **state)
{
  static struct pair pair;
  (void)state;
  pair_open(&pair, "differing", false);
  make_level(&pair);
  disconnect(&pair);
  struct log_name name = {pair.child->key, pair.child->store, LANE_BULK};
  log_find(pair.parent, &name)->count = 7; /* restored from an older copy */
  memset(pair.parent->peers[2].lanes[LANE_BULK].received.tag, 9, 16);
  conn_up(pair.conn);
  world_run(&pair.world, 500);
  assert_int_equal(pair.child->lanes_loaded, 1u << LANE_BULK);
  expect_level(&pair, 20);
  world_close(&pair.world);
}

/* A receiver with a store of nothing. What was acknowledged to the old one was trimmed from the
 * outbox, not from the logs. */
static void forget_all(struct world_node *node)
{
  for (size_t i = 0; i < node->log_count; i++) {
    free(node->logs[i].items);
  }
  memset(node->logs, 0, LOGS_MAX * sizeof(*node->logs));
  node->log_count = 0;
  for (unsigned i = 0; i < PEERS_MAX * LANE_COUNT; i++) {
    struct outbox *outbox = &node->peers[i / LANE_COUNT].lanes[i % LANE_COUNT];
    free(outbox->items);
    memset(outbox, 0, sizeof(*outbox));
  }
  random_fill(&node->world->random, node->store.octets, STORE_ID_SIZE);
  memset(node->seq, 0, sizeof(node->seq));
  memset(node->prev, 0, sizeof(node->prev));
  node_start(node);
}

static void test_new_store_after_acks(void **state)
{
  static struct pair pair;
  (void)state;
  pair_open(&pair, "new store", false);
  make_level(&pair);
  disconnect(&pair);
  forget_all(pair.parent);
  say_many(pair.parent, LANE_NORMAL, 2, 600);
  conn_up(pair.conn);
  world_run(&pair.world, 1000);
  assert_int_equal(pair.child->notices, 1);
  expect_level(&pair, 20);
  /* Its new log comes by its new outbox. */
  assert_int_equal(node_holds(pair.child, pair.parent, LANE_NORMAL), 2);
  assert_int_equal(pair.child->peers[1].lanes[LANE_NORMAL].received.position, 2);
  world_close(&pair.world);
}

static void test_new_store_before_acks(void **state)
{
  static struct pair pair;
  (void)state;
  pair_open(&pair, "new store, nothing acknowledged", false);
  for (unsigned lane = 0; lane < LANE_COUNT; lane++) {
    say_many(pair.child, lane, 6, 600);
  }
  conn_up(pair.conn);
  world_run(&pair.world, 3);
  disconnect(&pair);
  forget_all(pair.parent);
  conn_up(pair.conn);
  world_run(&pair.world, 500);
  assert_int_equal(pair.child->notices, 0); /* from position 1, without comparing */
  expect_level(&pair, 6);
  world_close(&pair.world);
}

/* The sender's store is new: the receiver's cursors speak of another store and count as nothing. */
static void test_sender_store_is_new(void **state)
{
  static struct pair pair;
  (void)state;
  pair_open(&pair, "sender new", false);
  make_level(&pair);
  disconnect(&pair);
  forget_all(pair.child);
  for (unsigned lane = 0; lane < LANE_COUNT; lane++) {
    say_many(pair.child, lane, 4, 600);
  }
  conn_up(pair.conn);
  world_run(&pair.world, 500);
  expect_level(&pair, 4);
  assert_int_equal(pair.child->notices, 0);
  assert_int_equal(pair.parent->notices, 1); /* its own cursors were acknowledged by the old one */
  for (unsigned lane = 0; lane < LANE_COUNT; lane++) {
    assert_int_equal(node_holds(pair.child, pair.parent, lane), 5);
  }
  world_close(&pair.world);
}

/* Many logs: pages of heads, and a plan that fills the lanes with replays. */
static void test_many_logs(void **state)
{
  static struct pair pair;
  (void)state;
  pair_open(&pair, "many logs", false);
  conn_speed(pair.conn, 2000000, 5);
  for (unsigned i = 0; i < 250; i++) {
    struct world_node *child = pair.child;
    random_fill(&pair.world.random, child->store.octets, STORE_ID_SIZE); /* a log of its own */
    memset(child->seq, 0, sizeof(child->seq));
    say_many(child, LANE_NORMAL, 2, 300);
  }
  node_start(pair.child);
  conn_up(pair.conn);
  world_run(&pair.world, 5000);
  assert_int_equal(pair.parent->log_count, 250);
  disconnect(&pair);
  for (size_t i = 0; i < 250; i += 2) {
    pair.parent->logs[i].count = 1;
  }
  memset(pair.parent->peers[2].lanes[LANE_NORMAL].received.tag, 9, 16);
  conn_up(pair.conn);
  world_run(&pair.world, 5000);
  assert_int_equal(pair.child->loads_log, 125);
  for (size_t i = 0; i < 250; i++) {
    assert_int_equal(pair.parent->logs[i].count, 2);
  }
  assert_int_equal(pair.child->peers[1].lanes[LANE_NORMAL].acked, 500);
  assert_int_equal(pair.parent->refused_count, 0);
  world_close(&pair.world);
}

/* The connection dies while logs are sent again: the next one compares anew and goes on. */
static void test_dies_while_comparing(void **state)
{
  static struct pair pair;
  (void)state;
  pair_open(&pair, "dies comparing", false);
  make_level(&pair);
  disconnect(&pair);
  conn_speed(pair.conn, 30000, 30);
  forget_all(pair.parent);
  for (unsigned i = 0; i < 50 && node_holds(pair.parent, pair.child, LANE_BULK) < 20; i++) {
    conn_up(pair.conn);
    world_run(&pair.world, 100 + 40 * i);
    disconnect(&pair);
  }
  conn_up(pair.conn);
  world_run(&pair.world, 5000);
  expect_level(&pair, 20);
  world_close(&pair.world);
}

/* ---- with a puppet ---- */

static void acknowledge_all(struct pair *pair)
{
  struct message_ack ack = {0};
  struct bytes octets = {0};
  struct repl_link_figures figures;
  assert_true(repl_link_figures(pair->parent->node, 2, &figures));
  ack.received = figures.sent_octets;
  assert_ok(message_write_ack(&ack, &octets));
  puppet_send(pair->child, &octets);
}

static void puppet_up(struct pair *pair, const char *test, uint64_t acked)
{
  pair_open(pair, test, true);
  if (acked > 0) {
    say_many(pair->parent, LANE_NORMAL, acked, 300);
    pair->parent->peers[2].lanes[LANE_NORMAL].acked = acked;
  }
  conn_up(pair->conn);
  puppet_hello(pair->child, ROLE_CHILD);
  world_run(&pair->world, 20);
}

/* The peer is asked for heads and never answers, though it reports and lives: the link doesn't
 * wait for ever. */
static void test_heads_never_come(void **state)
{
  static struct pair pair;
  (void)state;
  puppet_up(&pair, "no heads", 2);
  assert_int_equal(puppet_last(pair.child, MESSAGE_WANT)->want.what, WANT_HEADS);
  for (unsigned i = 0; i < 20 && pair.parent->disconnects == 0; i++) {
    acknowledge_all(&pair);
    world_run(&pair.world, 10000);
  }
  assert_int_equal(pair.parent->disconnects, 1);
  assert_string_equal(pair.parent->reason, "no heads in time");
  world_close(&pair.world);
}

static void test_too_many_heads(void **state)
{
  static struct pair pair;
  static struct heads_entry entries[MESSAGE_HEADS_MAX];
  (void)state;
  puppet_up(&pair, "too many heads", 2);
  for (unsigned i = 0; i < 257; i++) {
    struct message_heads heads = {.count = MESSAGE_HEADS_MAX, .entries = entries};
    struct bytes octets = {0};
    assert_ok(message_write_heads(&heads, &octets));
    puppet_send(pair.child, &octets);
  }
  world_run(&pair.world, 100);
  assert_int_equal(pair.parent->disconnects, 1);
  assert_string_equal(pair.parent->reason, "more heads than there can be logs");
  world_close(&pair.world);
}

static void want_heads(struct world_node *puppet)
{
  struct message_want want = {.what = WANT_HEADS};
  struct bytes octets = {0};
  assert_ok(message_write_want(&want, &octets));
  puppet_send(puppet, &octets);
}

/* Heads are told once a connection, page after page as there is room. */
static void test_heads_are_told_once(void **state)
{
  static struct pair pair;
  (void)state;
  puppet_up(&pair, "heads once", 0);
  want_heads(pair.child);
  world_run(&pair.world, 20);
  assert_int_equal(puppet_count(pair.child, MESSAGE_HEADS), 1);
  assert_true(puppet_last(pair.child, MESSAGE_HEADS)->heads.final);
  want_heads(pair.child);
  world_run(&pair.world, 20);
  assert_int_equal(pair.parent->disconnects, 1);
  assert_string_equal(pair.parent->reason, "peer asks for heads twice");
  world_close(&pair.world);
}

/* A puppet that never reports what it took gets no more heads than the window holds. */
static void test_heads_keep_to_the_window(void **state)
{
  static struct pair pair;
  struct commit_wish wish = {.lane = LANE_NORMAL};
  (void)state;
  puppet_up(&pair, "heads window", 0);
  for (unsigned i = 0; i < 400; i++) {
    random_fill(&pair.world.random, pair.child->store.octets, STORE_ID_SIZE);
    pair.child->seq[LANE_NORMAL] = 0;
    struct kept_commit *commit = commit_make(pair.child, &wish);
    assert_int_equal(store_take(pair.parent, commit), VERDICT_OK);
  }
  want_heads(pair.child);
  world_run(&pair.world, 1000);
  assert_in_range(puppet_count(pair.child, MESSAGE_HEADS), 10, 60); /* of 200 pages */
  for (unsigned i = 0; i < 100; i++) {
    acknowledge_all(&pair);
    world_run(&pair.world, 20);
  }
  assert_int_equal(puppet_count(pair.child, MESSAGE_HEADS), 200);
  assert_true(puppet_last(pair.child, MESSAGE_HEADS)->heads.final);
  world_close(&pair.world);
}

static void want_log(struct world_node *puppet, const struct log_name *name, uint64_t seq)
{
  struct message_want want = {.what = WANT_LOG, .log = *name, .seq = seq};
  struct bytes octets = {0};
  assert_ok(message_write_want(&want, &octets));
  puppet_send(puppet, &octets);
}

static size_t commits_without_position(const struct world_node *puppet)
{
  size_t count = 0;
  for (size_t i = 0; i < puppet->inbox_count; i++) {
    const struct message *message = puppet->inbox[i];
    if (message->type == MESSAGE_COMMITS && message->commits.position == 0) {
      count += message->commits.count;
    }
  }
  return count;
}

/* A log that isn't there is nothing, and doesn't hold the lane up. */
static void test_unknown_log_is_wanted(void **state)
{
  static struct pair pair;
  struct log_name name = {.lane = LANE_NORMAL};
  (void)state;
  puppet_up(&pair, "unknown log", 0);
  want_log(pair.child, &name, 1);
  world_run(&pair.world, 20);
  say_many(pair.parent, LANE_NORMAL, 1, 300);
  world_run(&pair.world, 20);
  assert_int_equal(puppet_count(pair.child, MESSAGE_COMMITS), 1);
  assert_int_equal(puppet_last(pair.child, MESSAGE_COMMITS)->commits.position, 1);
  world_close(&pair.world);
}

static void test_log_is_wanted(void **state)
{
  static struct pair pair;
  (void)state;
  puppet_up(&pair, "want log", 0);
  say_many(pair.parent, LANE_NORMAL, 9, 300);
  world_run(&pair.world, 50);
  struct log_name name = {pair.parent->key, pair.parent->store, LANE_NORMAL};
  acknowledge_all(&pair);
  want_log(pair.child, &name, 4);
  world_run(&pair.world, 50);
  assert_int_equal(commits_without_position(pair.child), 6);
  want_log(pair.child, &name, 0); /* as from 1 */
  want_log(pair.child, &name, 10);
  acknowledge_all(&pair);
  world_run(&pair.world, 50);
  assert_int_equal(commits_without_position(pair.child), 15);
  world_close(&pair.world);
}

/* Commits that shrink to nothing: more octets than one message may unpack to. */
static void test_wanted_log_unpacks_large(void **state)
{
  static struct pair pair;
  struct commit_wish wish = {
      .lane = LANE_NORMAL, .octets = 29000, .records = 2, .compressible = true};
  (void)state;
  puppet_up(&pair, "unpacks large", 0);
  puppet_forget(pair.child);
  for (unsigned i = 0; i < 64; i++) {
    node_say(pair.parent, &wish);
    acknowledge_all(&pair);
    world_run(&pair.world, 50);
  }
  struct log_name name = {pair.parent->key, pair.parent->store, LANE_NORMAL};
  want_log(pair.child, &name, 1);
  for (unsigned i = 0; i < 20; i++) {
    acknowledge_all(&pair);
    world_run(&pair.world, 50);
  }
  assert_int_equal(pair.parent->disconnects, 0);
  assert_int_equal(commits_without_position(pair.child), 64);
  world_close(&pair.world);
}

/* While a long log is sent again, what is new takes turns with it. */
static void test_replay_takes_turns(void **state)
{
  static struct pair pair;
  (void)state;
  pair_open(&pair, "turns", false);
  conn_speed(pair.conn, 100000, 10);
  say_many(pair.child, LANE_NORMAL, 60, 15000);
  conn_up(pair.conn);
  world_run(&pair.world, 60000);
  assert_int_equal(node_holds(pair.parent, pair.child, LANE_NORMAL), 60);
  struct log_name name = {pair.child->key, pair.child->store, LANE_NORMAL};
  struct repl_event retry = {.type = REPL_RETRY, .neighbour = 2};
  struct repl_refused refused = {.log = name, .seq = 1, .want_seq = 1};
  repl_node_add_quarantined(pair.parent->node, 2, &refused);
  node_event(pair.parent, &retry); /* 900 KB again: 9 s */
  world_run(&pair.world, 500);
  say_many(pair.child, LANE_NORMAL, 1, 300);
  int64_t took = world_run_until(&pair.world, 8000, pair.parent, pair.child, LANE_NORMAL, 61);
  assert_in_range(took, 1, 2000);
  world_close(&pair.world);
}

/* Wants that keep coming: as many wait as the limit says, however many were served before. */
static void test_wants_are_bounded(void **state)
{
  static struct pair pair;
  (void)state;
  puppet_up(&pair, "wants bounded", 0);
  say_many(pair.parent, LANE_BULK, 1, 300);
  world_run(&pair.world, 50);
  puppet_forget(pair.child);
  struct log_name name = {pair.parent->key, pair.parent->store, LANE_BULK};
  acknowledge_all(&pair);
  for (unsigned i = 0; i < 3000; i++) {
    want_log(pair.child, &name, 1);
  }
  world_run(&pair.world, 100);
  for (unsigned i = 0; i < 1500; i++) {
    acknowledge_all(&pair);
    world_run(&pair.world, 20);
    if (pair.child->inbox_count > PUPPET_INBOX_MAX - 100) {
      break;
    }
  }
  assert_int_equal(pair.parent->disconnects, 0);
  assert_in_range(commits_without_position(pair.child), 1024, 1100);
  world_close(&pair.world);
}

/* Asked for heads, it drops its cursors durably; each stands again once it has been adopted. */
static void test_cursors_fall_together(void **state)
{
  static struct pair pair;
  struct message_heads heads = {.final = true, .adopts = true, .lane = LANE_BULK, .position = 3};
  const struct outbox *lanes;
  uint8_t fallen[16];
  struct bytes octets = {0};
  (void)state;
  memset(fallen, 0xff, sizeof(fallen));
  puppet_up(&pair, "fall together", 0);
  lanes = pair.parent->peers[2].lanes;
  want_heads(pair.child);
  world_run(&pair.world, 20);
  for (unsigned lane = 0; lane < LANE_COUNT; lane++) {
    assert_memory_equal(lanes[lane].received.tag, fallen, sizeof(fallen));
    assert_memory_equal(lanes[lane].received.store.octets, pair.child->store.octets, STORE_ID_SIZE);
    assert_int_equal(lanes[lane].received.position, 0);
  }
  assert_ok(message_write_heads(&heads, &octets));
  puppet_send(pair.child, &octets);
  world_run(&pair.world, 20);
  assert_int_equal(lanes[LANE_BULK].received.position, 3);
  assert_memory_not_equal(lanes[LANE_BULK].received.tag, fallen, sizeof(fallen));
  assert_memory_equal(lanes[LANE_URGENT].received.tag, fallen, sizeof(fallen));
  assert_memory_equal(lanes[LANE_NORMAL].received.tag, fallen, sizeof(fallen));
  world_close(&pair.world);
}

/* A cursor far away is adopted, and counts only for who sent it. */
static void test_adopt_at_the_end_of_numbers(void **state)
{
  static struct pair pair;
  struct message_heads heads = {
      .final = true, .adopts = true, .lane = LANE_BULK, .position = UINT64_MAX};
  struct commit_wish wish = {.lane = LANE_BULK};
  struct bytes octets = {0};
  (void)state;
  puppet_up(&pair, "adopt max", 0);
  assert_ok(message_write_heads(&heads, &octets));
  puppet_send(pair.child, &octets);
  world_run(&pair.world, 20);
  assert_true(pair.parent->peers[2].lanes[LANE_BULK].received.position == UINT64_MAX);
  struct kept_commit *commit = commit_make(pair.child, &wish);
  puppet_commits(pair.child, LANE_BULK, 1, &commit, 1);
  world_run(&pair.world, 20);
  assert_string_equal(pair.parent->reason, "commits out of order");
  world_close(&pair.world);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_lost_cursor),
      cmocka_unit_test(test_wrong_tag),
      cmocka_unit_test(test_only_differing_logs),
      cmocka_unit_test(test_new_store_after_acks),
      cmocka_unit_test(test_new_store_before_acks),
      cmocka_unit_test(test_sender_store_is_new),
      cmocka_unit_test(test_many_logs),
      cmocka_unit_test(test_dies_while_comparing),
      cmocka_unit_test(test_heads_never_come),
      cmocka_unit_test(test_too_many_heads),
      cmocka_unit_test(test_heads_are_told_once),
      cmocka_unit_test(test_heads_keep_to_the_window),
      cmocka_unit_test(test_unknown_log_is_wanted),
      cmocka_unit_test(test_log_is_wanted),
      cmocka_unit_test(test_wanted_log_unpacks_large),
      cmocka_unit_test(test_replay_takes_turns),
      cmocka_unit_test(test_wants_are_bounded),
      cmocka_unit_test(test_adopt_at_the_end_of_numbers),
      cmocka_unit_test(test_cursors_fall_together),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
