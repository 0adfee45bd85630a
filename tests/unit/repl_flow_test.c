// links: record replication sodium PkgConfig::ZSTD
/* Slow, far and fast links: what is urgent and what is small never waits long behind bulk, and the
 * link is used all the same. Virtual time: the same on every machine. */
#include "repl_world.h"

#define KBIT50 6250 /* octets a second */

struct pair {
  struct world world;
  struct world_node *parent;
  struct world_node *child;
  struct world_conn *conn;
};

static void pair_open(struct pair *pair, const char *test, uint64_t octets_s, int64_t delay_ms)
{
  world_open(&pair->world, test);
  pair->parent = node_add(&pair->world, "d", false);
  pair->child = node_add(&pair->world, "d/s", false);
  pair->conn = conn_add(&pair->world, pair->child, pair->parent);
  conn_speed(pair->conn, octets_s, delay_ms);
}

static void pair_start(struct pair *pair)
{
  node_start(pair->parent);
  node_start(pair->child);
}

static void say_many(struct world_node *node, unsigned lane, size_t count, size_t octets)
{
  struct commit_wish wish = {.lane = lane, .octets = octets};
  for (size_t i = 0; i < count; i++) {
    node_say(node, &wish);
  }
}

static const struct outbox *outbox_of(const struct world_node *node, unsigned lane)
{
  return &node->peers[node->peers[1].node != NULL ? 1 : 2].lanes[lane];
}

/* Urgent commits at odd moments of a bulk backlog; the longest that one took to arrive, and to be
 * acknowledged. */
struct waits {
  int64_t arrival_ms;
  int64_t ack_ms;
};

static struct waits urgent_waits(struct pair *pair, unsigned times)
{
  struct waits waits = {0};
  for (unsigned i = 0; i < times; i++) {
    size_t count = pair->child->seq[LANE_URGENT] + 1;
    say_many(pair->child, LANE_URGENT, 1, 300);
    int64_t arrival =
        world_run_until(&pair->world, 20000, pair->parent, pair->child, LANE_URGENT, count);
    int64_t from = world_ms(&pair->world);
    while (outbox_of(pair->child, LANE_URGENT)->acked < count) {
      assert_true(world_step(&pair->world, pair->world.now_us + 20000000));
    }
    int64_t ack = world_ms(&pair->world) - from;
    waits.arrival_ms = arrival > waits.arrival_ms ? arrival : waits.arrival_ms;
    waits.ack_ms = ack > waits.ack_ms ? ack : waits.ack_ms;
    world_run(&pair->world, 1300 + 170 * i);
  }
  return waits;
}

static void test_urgent_overtakes_bulk(void **state)
{
  static struct pair pair;
  (void)state;
  pair_open(&pair, "overtakes", 200000, 10);
  pair_start(&pair);
  say_many(pair.child, LANE_BULK, 100, 15000);
  conn_up(pair.conn);
  world_run(&pair.world, 2000);
  assert_in_range(node_holds(pair.parent, pair.child, LANE_BULK), 5, 60);
  say_many(pair.child, LANE_URGENT, 1, 300);
  int64_t took = world_run_until(&pair.world, 5000, pair.parent, pair.child, LANE_URGENT, 1);
  assert_in_range(took, 0, 700);
  assert_true(node_holds(pair.parent, pair.child, LANE_BULK) < 90);
  world_close(&pair.world);
}

static void test_50_kbit(void **state)
{
  static struct pair pair;
  (void)state;
  pair_open(&pair, "50 kbit/s", KBIT50, 50);
  pair_start(&pair);
  say_many(pair.child, LANE_BULK, 20, 15000); /* 300 KB that don't shrink */
  conn_up(pair.conn);
  int64_t from = world_ms(&pair.world);
  world_run(&pair.world, 300);
  struct waits waits = urgent_waits(&pair, 10);
  world_run_until(&pair.world, 200000, pair.parent, pair.child, LANE_BULK, 20);
  int64_t took = world_ms(&pair.world) - from;
  uint64_t useful = 20 * 15000 + 10 * 300;
  print_message("urgent %lld ms, ack %lld ms, %lld octets/s of %d\n", (long long)waits.arrival_ms,
                (long long)waits.ack_ms, (long long)(useful * 1000 / (uint64_t)took), KBIT50);
  assert_in_range(waits.arrival_ms, 1, 1500);
  assert_in_range(waits.ack_ms, 1, 1000);
  assert_true(useful * 1000 / (uint64_t)took >= KBIT50 * 3 / 4);
  assert_int_equal(pair.parent->disconnects + pair.child->disconnects, 0);
  world_close(&pair.world);
}

/* Bulk both ways: an ack goes with the bulk of its own direction, and doesn't wait behind it. */
static void test_50_kbit_both_ways(void **state)
{
  static struct pair pair;
  (void)state;
  pair_open(&pair, "both ways", KBIT50, 50);
  pair_start(&pair);
  say_many(pair.child, LANE_BULK, 20, 15000);
  say_many(pair.parent, LANE_BULK, 20, 15000);
  conn_up(pair.conn);
  int64_t from = world_ms(&pair.world);
  world_run(&pair.world, 5000); /* rates are known from here on */
  struct waits waits = urgent_waits(&pair, 8);
  world_run_until(&pair.world, 300000, pair.parent, pair.child, LANE_BULK, 20);
  world_run_until(&pair.world, 300000, pair.child, pair.parent, LANE_BULK, 20);
  int64_t took = world_ms(&pair.world) - from;
  print_message("urgent %lld ms, ack %lld ms, all in %lld ms\n", (long long)waits.arrival_ms,
                (long long)waits.ack_ms, (long long)took);
  assert_in_range(waits.arrival_ms, 1, 2000);
  assert_in_range(waits.ack_ms, 1, 1500);
  assert_true(300000 * 1000 / took >= KBIT50 * 6 / 10);
  world_close(&pair.world);
}

static void test_far_link(void **state)
{
  static struct pair pair;
  (void)state;
  pair_open(&pair, "2 s delay", 1000000, 2000);
  pair_start(&pair);
  say_many(pair.child, LANE_BULK, 200, 15000); /* 3 MB */
  conn_up(pair.conn);
  int64_t took = world_run_until(&pair.world, 300000, pair.parent, pair.child, LANE_BULK, 200);
  print_message("3 MB over 2 s delay in %lld ms\n", (long long)took);
  assert_in_range(took, 4000, 60000);
  assert_int_equal(pair.parent->disconnects + pair.child->disconnects, 0);
  world_close(&pair.world);
}

/* A route that becomes longer while the connection stands: the old delay must not be taken for a
 * queue of ours forever. */
static void test_delay_grows(void **state)
{
  static struct pair pair;
  (void)state;
  pair_open(&pair, "delay grows", 1000000, 10);
  pair_start(&pair);
  conn_up(pair.conn);
  say_many(pair.child, LANE_BULK, 100, 15000);
  world_run_until(&pair.world, 60000, pair.parent, pair.child, LANE_BULK, 100);
  conn_speed(pair.conn, 1000000, 700);
  say_many(pair.child, LANE_BULK, 400, 15000); /* 6 MB */
  int64_t took = world_run_until(&pair.world, 1000000, pair.parent, pair.child, LANE_BULK, 500);
  print_message("6 MB after the delay grew in %lld ms\n", (long long)took);
  assert_in_range(took, 6000, 60000);
  world_close(&pair.world);
}

static void test_fast_link(void **state)
{
  static struct pair pair;
  (void)state;
  pair_open(&pair, "fast", 100000000, 1);
  pair_start(&pair);
  pair.parent->fsync_us = pair.child->fsync_us = 1000;
  say_many(pair.child, LANE_BULK, 1500, 15000); /* 22 MB */
  conn_up(pair.conn);
  int64_t took = world_run_until(&pair.world, 60000, pair.parent, pair.child, LANE_BULK, 1500);
  print_message("22 MB in %lld ms, largest frame %zu\n", (long long)took,
                pair.conn->wires[0].largest);
  assert_true(pair.conn->wires[0].largest > 50000);
  assert_in_range(took, 220, 900);
  world_close(&pair.world);
}

/* Nothing durable there: what is sent stops at the window, a message more at most; with the disk
 * back everything goes on. */
static void test_window_in_octets(void **state)
{
  static struct pair pair;
  (void)state;
  pair_open(&pair, "window", 0, 1);
  pair.child->settings.window_octets = 100000;
  pair.parent->fsync_us = 20000000;
  pair_start(&pair);
  say_many(pair.child, LANE_BULK, 60, 10000);
  conn_up(pair.conn);
  world_run(&pair.world, 15000);
  assert_in_range(pair.conn->wires[0].octets_total, 90000, 100000 + 68000);
  pair.parent->fsync_us = 1000;
  world_run(&pair.world, 7000);
  assert_int_equal(node_holds(pair.parent, pair.child, LANE_BULK), 60);
  assert_int_equal(outbox_of(pair.child, LANE_BULK)->acked, 60);
  world_close(&pair.world);
}

/* One commit a message, more of them than there are places: the ring fills, and opens again. */
static void test_messages_unacknowledged(void **state)
{
  static struct pair pair;
  (void)state;
  pair_open(&pair, "ring", 0, 1);
  pair.child->settings.window_octets = UINT32_MAX;
  pair.parent->fsync_us = 20000000;
  pair_start(&pair);
  conn_up(pair.conn);
  world_run(&pair.world, 100);
  for (unsigned i = 0; i < 300; i++) {
    say_many(pair.child, LANE_NORMAL, 1, 300);
    world_run(&pair.world, 10);
  }
  pair.parent->fsync_us = 1000;
  world_run(&pair.world, 20000);
  assert_int_equal(node_holds(pair.parent, pair.child, LANE_NORMAL), 300);
  assert_int_equal(outbox_of(pair.child, LANE_NORMAL)->acked, 300);
  world_close(&pair.world);
}

/* A configured rate holds, and sending goes on by itself, without anything heard in between. */
static void test_configured_rate(void **state)
{
  static struct pair pair;
  (void)state;
  pair_open(&pair, "rate", 0, 1);
  pair.child->settings.rate_octets_s = 20000;
  pair_start(&pair);
  say_many(pair.child, LANE_BULK, 20, 10000);
  conn_up(pair.conn);
  int64_t took = world_run_until(&pair.world, 60000, pair.parent, pair.child, LANE_BULK, 20);
  print_message("200 KB at 20 KB/s in %lld ms\n", (long long)took);
  assert_in_range(took, 8000, 13000);
  /* Idle, it doesn't wake up for tokens. */
  uint64_t before = pair.conn->wires[0].frames_total;
  for (unsigned steps = 0; world_ms(&pair.world) < took + 30000; steps++) {
    assert_true(steps < 200);
    if (!world_step(&pair.world, pair.world.now_us + 1000000)) {
      pair.world.now_us += 1000000;
    }
  }
  assert_in_range(pair.conn->wires[0].frames_total - before, 0, 20);
  world_close(&pair.world);
}

static void test_figures(void **state)
{
  static struct pair pair;
  struct repl_link_figures figures;
  (void)state;
  pair_open(&pair, "figures", 100000, 10);
  pair_start(&pair);
  say_many(pair.child, LANE_BULK, 60, 15000);
  conn_up(pair.conn);
  world_run(&pair.world, 6000);
  assert_true(repl_link_figures(pair.child->node, 1, &figures));
  print_message("rate %llu of 100000\n", (unsigned long long)figures.rate_octets_s);
  assert_in_range(figures.rate_octets_s, 50000, 130000);
  world_close(&pair.world);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_urgent_overtakes_bulk), cmocka_unit_test(test_50_kbit),
      cmocka_unit_test(test_50_kbit_both_ways),     cmocka_unit_test(test_far_link),
      cmocka_unit_test(test_delay_grows),           cmocka_unit_test(test_fast_link),
      cmocka_unit_test(test_window_in_octets),      cmocka_unit_test(test_messages_unacknowledged),
      cmocka_unit_test(test_configured_rate),       cmocka_unit_test(test_figures),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
