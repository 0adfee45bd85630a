// links: record replication sodium PkgConfig::ZSTD
/* A link's life: hello, a backlog, acknowledgements, resuming, silence, and what ends it. */
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

static void test_hello_brings_up(void **state)
{
  static struct pair pair;
  (void)state;
  pair_open(&pair, "hello", false);
  conn_up(pair.conn);
  world_run(&pair.world, 10);
  assert_int_equal(pair.child->ups, 1);
  assert_int_equal(pair.parent->ups, 1);
  struct repl_link_figures figures;
  assert_true(repl_link_figures(pair.parent->node, 2, &figures));
  assert_true(figures.up);
  assert_false(repl_link_figures(pair.parent->node, 3, &figures));
  conn_drop(pair.conn);
  world_carry(&pair.world);
  assert_true(repl_link_figures(pair.parent->node, 2, &figures));
  assert_false(figures.up);
  world_close(&pair.world);
}

static void test_backlog_flows_and_trims(void **state)
{
  static struct pair pair;
  (void)state;
  pair_open(&pair, "backlog", false);
  for (unsigned lane = 0; lane < LANE_COUNT; lane++) {
    say_many(pair.child, lane, 100 + lane, 400);
    say_many(pair.parent, lane, 10 + lane, 400);
  }
  conn_up(pair.conn);
  world_run(&pair.world, 2000);
  for (unsigned lane = 0; lane < LANE_COUNT; lane++) {
    assert_int_equal(node_holds(pair.parent, pair.child, lane), 100 + lane);
    assert_int_equal(node_holds(pair.child, pair.parent, lane), 10 + lane);
    assert_int_equal(pair.child->peers[1].lanes[lane].acked, 100 + lane);
    assert_int_equal(pair.parent->peers[2].lanes[lane].acked, 10 + lane);
    assert_int_equal(pair.parent->peers[2].lanes[lane].received.position, 100 + lane);
  }
  assert_int_equal(pair.parent->disconnects + pair.child->disconnects, 0);
  world_close(&pair.world);
}

static void test_ack_waits_for_persisted(void **state)
{
  static struct pair pair;
  (void)state;
  pair_open(&pair, "ack", false);
  pair.parent->fsync_us = 5000000;
  say_many(pair.child, LANE_NORMAL, 3, 400);
  conn_up(pair.conn);
  world_run(&pair.world, 4900);
  assert_int_equal(node_holds(pair.parent, pair.child, LANE_NORMAL), 0);
  assert_int_equal(pair.child->peers[1].lanes[LANE_NORMAL].acked, 0);
  world_run(&pair.world, 200);
  assert_int_equal(node_holds(pair.parent, pair.child, LANE_NORMAL), 3);
  assert_int_equal(pair.child->peers[1].lanes[LANE_NORMAL].acked, 3);
  world_close(&pair.world);
}

static void test_dies_mid_message_and_resumes(void **state)
{
  static struct pair pair;
  (void)state;
  pair_open(&pair, "resume", false);
  conn_speed(pair.conn, 20000, 20);
  say_many(pair.child, LANE_BULK, 30, 9000);
  /* Every 700 ms the connection dies, wherever the octets stand. */
  for (unsigned i = 0; i < 200 && node_holds(pair.parent, pair.child, LANE_BULK) < 30; i++) {
    conn_up(pair.conn);
    world_run(&pair.world, 1500 + i);
    conn_drop(pair.conn);
    world_carry(&pair.world);
  }
  assert_int_equal(node_holds(pair.parent, pair.child, LANE_BULK), 30);
  assert_int_equal(pair.parent->refused_count, 0);
  assert_int_equal(pair.parent->notices + pair.child->notices, 0); /* no comparison of heads */
  conn_up(pair.conn);
  world_run(&pair.world, 5000);
  assert_int_equal(pair.child->peers[1].lanes[LANE_BULK].acked, 30);
  world_close(&pair.world);
}

static void test_lost_ack(void **state)
{
  static struct pair pair;
  (void)state;
  pair_open(&pair, "lost ack", false);
  say_many(pair.child, LANE_NORMAL, 5, 400);
  conn_up(pair.conn);
  while (node_holds(pair.parent, pair.child, LANE_NORMAL) < 5) {
    assert_true(world_step(&pair.world, INT64_MAX / 2));
  }
  conn_drop(pair.conn); /* durable there, not yet known here */
  world_carry(&pair.world);
  assert_int_equal(pair.child->peers[1].lanes[LANE_NORMAL].acked, 0);
  conn_up(pair.conn);
  uint64_t before = pair.conn->wires[0].octets_total;
  world_run(&pair.world, 100);
  assert_int_equal(pair.child->peers[1].lanes[LANE_NORMAL].acked, 5);
  assert_true(pair.conn->wires[0].octets_total - before < 300); /* nothing went twice */
  world_close(&pair.world);
}

static void test_restarted_receiver_loses_nothing(void **state)
{
  static struct pair pair;
  (void)state;
  pair_open(&pair, "restart", false);
  say_many(pair.child, LANE_NORMAL, 50, 3000);
  conn_speed(pair.conn, 1000000, 5);
  conn_up(pair.conn);
  pair.parent->fsync_us = 30000;
  for (unsigned i = 0; i < 8; i++) {
    world_run(&pair.world, 17);
    conn_drop(pair.conn);
    pair.parent->effects.count == 0 ? (void)0 : repl_effects_clear(&pair.parent->effects);
    node_start(pair.parent); /* what waited for the disk is gone */
    world_carry(&pair.world);
    conn_up(pair.conn);
  }
  world_run(&pair.world, 3000);
  assert_int_equal(node_holds(pair.parent, pair.child, LANE_NORMAL), 50);
  assert_int_equal(pair.parent->refused_count, 0);
  world_close(&pair.world);
}

/* ---- what ends a connection ---- */

static void expect_end(struct pair *pair, const char *reason)
{
  world_run(&pair->world, 50);
  assert_int_equal(pair->parent->disconnects, 1);
  assert_string_equal(pair->parent->reason, reason);
  assert_false(pair->conn->up);
  world_close(&pair->world);
}

static void puppet_pair(struct pair *pair, const char *test, bool hello)
{
  pair_open(pair, test, true);
  conn_up(pair->conn);
  if (hello) {
    puppet_hello(pair->child, ROLE_CHILD);
    world_run(&pair->world, 10);
    assert_int_equal(pair->parent->ups, 1);
  }
}

static void test_wrong_role(void **state)
{
  static struct pair pair;
  (void)state;
  puppet_pair(&pair, "role", false);
  puppet_hello(pair.child, ROLE_PARENT);
  expect_end(&pair, "peer claims the wrong role");
}

static void test_second_hello(void **state)
{
  static struct pair pair;
  (void)state;
  puppet_pair(&pair, "second hello", true);
  puppet_hello(pair.child, ROLE_CHILD);
  expect_end(&pair, "a second hello");
}

static void test_no_version_in_common(void **state)
{
  static struct pair pair;
  struct bytes octets = {0};
  (void)state;
  puppet_pair(&pair, "version", false);
  struct message_hello hello = {.version_min = 2, .version_max = 9, .role = ROLE_CHILD};
  assert_ok(message_write_hello(&hello, &octets));
  puppet_send(pair.child, &octets);
  expect_end(&pair, "no protocol version in common");
}

static void test_message_before_hello(void **state)
{
  static struct pair pair;
  struct commit_wish wish = {.lane = LANE_NORMAL};
  (void)state;
  puppet_pair(&pair, "before hello", false);
  struct kept_commit *commit = commit_make(pair.child, &wish);
  puppet_commits(pair.child, LANE_NORMAL, 1, &commit, 1);
  expect_end(&pair, "expected hello first");
}

static void test_no_hello(void **state)
{
  static struct pair pair;
  (void)state;
  puppet_pair(&pair, "no hello", false);
  world_run(&pair.world, pair.parent->settings.hello_ms - 10);
  assert_int_equal(pair.parent->disconnects, 0);
  expect_end(&pair, "no hello in time");
}

static void test_commits_out_of_position(void **state)
{
  static struct pair pair;
  struct commit_wish wish = {.lane = LANE_NORMAL};
  struct kept_commit *commits[2];
  (void)state;
  puppet_pair(&pair, "position", true);
  commits[0] = commit_make(pair.child, &wish);
  commits[1] = commit_make(pair.child, &wish);
  puppet_commits(pair.child, LANE_NORMAL, 1, commits, 1);
  puppet_commits(pair.child, LANE_NORMAL, 3, commits + 1, 1);
  expect_end(&pair, "commits out of order");
}

static void send_ack(struct world_node *puppet, uint64_t received, unsigned lane, uint64_t position)
{
  struct bytes octets = {0};
  struct message_ack ack = {.received = received, .lane_count = 1};
  ack.lanes[0].lane = (uint8_t)lane;
  ack.lanes[0].position = position;
  assert_ok(message_write_ack(&ack, &octets));
  puppet_send(puppet, &octets);
}

static void test_ack_of_what_was_never_sent(void **state)
{
  static struct pair pair;
  (void)state;
  puppet_pair(&pair, "ack unsent", true);
  send_ack(pair.child, 0, LANE_BULK, 1);
  expect_end(&pair, "peer acknowledges what was not sent");
}

/* While heads are compared the outbox stands still, and nothing of it can be acknowledged. */
static void test_ack_while_comparing(void **state)
{
  static struct pair pair;
  (void)state;
  pair_open(&pair, "ack comparing", true);
  say_many(pair.parent, LANE_BULK, 3, 400);
  pair.parent->peers[2].lanes[LANE_BULK].acked = 1; /* by the puppet's store before this one */
  conn_up(pair.conn);
  puppet_hello(pair.child, ROLE_CHILD);
  world_run(&pair.world, 20);
  assert_int_equal(puppet_count(pair.child, MESSAGE_WANT), 1);
  send_ack(pair.child, 0, LANE_BULK, 3);
  expect_end(&pair, "peer acknowledges what was not sent");
}

static void test_report_of_too_many_octets(void **state)
{
  static struct pair pair;
  (void)state;
  puppet_pair(&pair, "report", true);
  send_ack(pair.child, 1000000, LANE_BULK, 0);
  expect_end(&pair, "peer reports more octets than were sent");
}

static void test_outbox_behind(void **state)
{
  static struct pair pair;
  struct commit_wish wish = {.lane = LANE_NORMAL};
  struct message_idle idle = {.clock = {WORLD_WALL_MS}};
  struct bytes octets = {0};
  (void)state;
  puppet_pair(&pair, "behind", true);
  struct kept_commit *commit = commit_make(pair.child, &wish);
  puppet_commits(pair.child, LANE_NORMAL, 1, &commit, 1);
  assert_ok(message_write_idle(&idle, &octets));
  puppet_send(pair.child, &octets);
  expect_end(&pair, "peer's outbox is behind what it sent");
}

/* ---- silence ---- */

static void test_dead_after_silence(void **state)
{
  static struct pair pair;
  (void)state;
  puppet_pair(&pair, "dead", true);
  const struct message *ack = puppet_last(pair.child, MESSAGE_ACK);
  assert_non_null(ack);
  /* It reports all that it was ever sent, so that no answer is due, but says nothing more. */
  pair.parent->settings.idle_ms = UINT32_MAX;
  uint64_t sent = 0;
  struct repl_link_figures figures;
  assert_true(repl_link_figures(pair.parent->node, 2, &figures));
  sent = figures.sent_octets;
  send_ack(pair.child, sent, 0, 0);
  world_run(&pair.world, 20);
  int64_t heard = world_ms(&pair.world);
  while (pair.parent->disconnects == 0 && world_ms(&pair.world) < heard + 400000) {
    world_run(&pair.world, 1000);
    if (repl_link_figures(pair.parent->node, 2, &figures) && figures.sent_octets > sent) {
      break; /* its idle message is due an answer from here on */
    }
  }
  assert_int_equal(pair.parent->disconnects, 0);
  world_run(&pair.world, pair.parent->settings.stall_ms - 2000);
  assert_int_equal(pair.parent->disconnects, 0);
  world_run(&pair.world, 4000);
  assert_int_equal(pair.parent->disconnects, 1);
  assert_string_equal(pair.parent->reason, "nothing heard");
  world_close(&pair.world);
}

static void test_dead_ms(void **state)
{
  static struct pair pair;
  (void)state;
  pair_open(&pair, "dead_ms", true);
  pair.parent->settings.idle_ms = 1000000; /* nothing of ours is due an answer */
  node_start(pair.parent);
  conn_up(pair.conn);
  puppet_hello(pair.child, ROLE_CHILD);
  world_run(&pair.world, 10);
  struct repl_link_figures figures;
  assert_true(repl_link_figures(pair.parent->node, 2, &figures));
  send_ack(pair.child, figures.sent_octets, 0, 0);
  world_run(&pair.world, pair.parent->settings.dead_ms - 10);
  assert_int_equal(pair.parent->disconnects, 0);
  world_run(&pair.world, 20);
  assert_int_equal(pair.parent->disconnects, 1);
  assert_string_equal(pair.parent->reason, "nothing heard");
  world_close(&pair.world);
}

static void test_stalled(void **state)
{
  static struct pair pair;
  (void)state;
  puppet_pair(&pair, "stalled", true);
  send_ack(pair.child, 0, 0, 0); /* our hello is never reported */
  world_run(&pair.world, pair.parent->settings.stall_ms - 20);
  assert_int_equal(pair.parent->disconnects, 0);
  world_run(&pair.world, 100);
  assert_int_equal(pair.parent->disconnects, 1);
  assert_string_equal(pair.parent->reason, "nothing heard");
  world_close(&pair.world);
}

/* Ten minutes of nothing: each side tells its heads each minute, each of these is reported once,
 * and nothing else crosses the wire. */
static void test_idle_pair(void **state)
{
  static struct pair pair;
  (void)state;
  pair_open(&pair, "idle", false);
  conn_up(pair.conn);
  world_run(&pair.world, 100);
  uint64_t up = pair.conn->wires[0].frames_total, down = pair.conn->wires[1].frames_total;
  world_run(&pair.world, 605000);
  up = pair.conn->wires[0].frames_total - up;
  down = pair.conn->wires[1].frames_total - down;
  assert_int_equal(up, 20);
  assert_int_equal(down, 20);
  assert_int_equal(pair.parent->disconnects + pair.child->disconnects, 0);
  world_close(&pair.world);
}

/* Each side tells its own heads, also where the other always speaks a moment earlier. */
static void test_both_sides_tell_heads(void **state)
{
  static struct pair pair;
  (void)state;
  puppet_pair(&pair, "both idle", true);
  for (unsigned i = 0; i < 20; i++) {
    struct bytes octets = {0};
    struct message_idle idle = {.clock = {WORLD_WALL_MS}};
    struct repl_link_figures figures;
    assert_true(repl_link_figures(pair.parent->node, 2, &figures));
    assert_ok(message_write_idle(&idle, &octets));
    puppet_send(pair.child, &octets);
    send_ack(pair.child, figures.sent_octets, 0, 0);
    world_run(&pair.world, 25000);
  }
  /* 500 s with something heard, and acknowledged, every 25 s */
  assert_in_range(puppet_count(pair.child, MESSAGE_IDLE), 7, 9);
  world_close(&pair.world);
}

static void test_idle_tells_heads(void **state)
{
  static struct pair pair;
  (void)state;
  pair_open(&pair, "idle heads", true);
  conn_up(pair.conn);
  puppet_hello(pair.child, ROLE_CHILD);
  world_run(&pair.world, 10);
  struct repl_event event = {.type = REPL_OUTBOX, .neighbour = 2};
  event.outbox.own_heads[LANE_BULK] = (struct idle_head){pair.parent->store, LANE_BULK, 7, {{9}}};
  node_event(pair.parent, &event);
  for (unsigned i = 0; i < 3; i++) {
    struct repl_link_figures figures;
    assert_true(repl_link_figures(pair.parent->node, 2, &figures));
    send_ack(pair.child, figures.sent_octets, 0, 0);
    world_run(&pair.world, 20500);
  }
  const struct message *idle = puppet_last(pair.child, MESSAGE_IDLE);
  assert_non_null(idle);
  assert_int_equal(idle->idle.head_count, 1);
  assert_int_equal(idle->idle.heads[0].seq, 7);
  assert_int_equal(idle->idle.heads[0].lane, LANE_BULK);
  world_close(&pair.world);
}

static void test_unknown_type_is_ignored(void **state)
{
  static struct pair pair;
  static const uint8_t unknown[] = {0x93, 0x63, 0xc0, 0x01};
  struct bytes octets = {0};
  (void)state;
  puppet_pair(&pair, "unknown", true);
  assert_ok(bytes_append(&octets, unknown, sizeof(unknown)));
  puppet_send(pair.child, &octets);
  world_run(&pair.world, 20);
  assert_int_equal(pair.parent->disconnects, 0);
  world_close(&pair.world);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_hello_brings_up),
      cmocka_unit_test(test_backlog_flows_and_trims),
      cmocka_unit_test(test_ack_waits_for_persisted),
      cmocka_unit_test(test_dies_mid_message_and_resumes),
      cmocka_unit_test(test_lost_ack),
      cmocka_unit_test(test_restarted_receiver_loses_nothing),
      cmocka_unit_test(test_wrong_role),
      cmocka_unit_test(test_second_hello),
      cmocka_unit_test(test_no_version_in_common),
      cmocka_unit_test(test_message_before_hello),
      cmocka_unit_test(test_no_hello),
      cmocka_unit_test(test_commits_out_of_position),
      cmocka_unit_test(test_ack_of_what_was_never_sent),
      cmocka_unit_test(test_ack_while_comparing),
      cmocka_unit_test(test_report_of_too_many_octets),
      cmocka_unit_test(test_outbox_behind),
      cmocka_unit_test(test_dead_after_silence),
      cmocka_unit_test(test_dead_ms),
      cmocka_unit_test(test_stalled),
      cmocka_unit_test(test_idle_pair),
      cmocka_unit_test(test_both_sides_tell_heads),
      cmocka_unit_test(test_idle_tells_heads),
      cmocka_unit_test(test_unknown_type_is_ignored),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
