/* What goes wrong, when and where, by the seed: each run has some kinds of fault and spares the
 * others, so that kinds meet in all combinations. */
#include <stdlib.h>
#include <string.h>

#include "sim.h"

const char *const fault_names[FAULT_COUNT] = {
    [FAULT_DELAY] = "delay",
    [FAULT_SLOW_LINK] = "slow-link",
    [FAULT_PIPE] = "pipe",
    [FAULT_PARTITION] = "partition",
    [FAULT_FLAP] = "flap",
    [FAULT_CRASH] = "crash",
    [FAULT_CRASH_COMMIT] = "crash-commit",
    [FAULT_SLOW_DISK] = "slow-disk",
    [FAULT_DISK_FULL] = "disk-full",
    [FAULT_DISK_LOW] = "disk-low",
    [FAULT_CLOCK] = "clock",
    [FAULT_JOIN] = "join",
    [FAULT_REPLACE] = "replace",
    [FAULT_FORGE] = "forge",
    [FAULT_RESTORE] = "restore",
};

void fault_count(struct world *world, enum sim_fault fault)
{
  world->fault_counts[fault]++;
}

/* A running node that isn't the district too often; its link is that to its parent. */
static struct sim_node *choose_node(struct world *world)
{
  return &world->nodes[random_below(&world->random, world->node_count)];
}

static struct sim_link *choose_link(struct world *world, uint32_t *child)
{
  *child = 1 + (uint32_t)random_below(&world->random, world->node_count - 1);
  return &world->links[*child];
}

static int64_t soon(struct world *world, int64_t least_ms, int64_t most_ms)
{
  return world->now_us + random_between(&world->random, least_ms, most_ms) * 1000;
}

/* ---- links ---- */

static void inject_delay(struct world *world)
{
  uint32_t child;
  struct sim_link *link = choose_link(world, &child);
  link->delay_us = random_between(&world->random, 1, 3000) * 1000;
  link->jitter_us = random_chance(&world->random, 50) ? 0 : link->delay_us;
  link->disturbed_us = world->now_us;
  world_trace(world, "link of %u: delay %lld ms", child, (long long)link->delay_us / 1000);
}

static void inject_slow_link(struct world *world)
{
  uint32_t child;
  struct sim_link *link = choose_link(world, &child);
  link->octets_s = (uint64_t)random_between(&world->random, 3000, 60000);
  link->disturbed_us = world->now_us;
  world_trace(world, "link of %u: %llu octets/s", child, (unsigned long long)link->octets_s);
}

static void inject_pipe(struct world *world)
{
  uint32_t child;
  (void)choose_link(world, &child);
  world_trace(world, "link of %u: cut", child);
  wire_cut(world, child);
}

static void inject_partition(struct world *world)
{
  uint32_t child;
  (void)choose_link(world, &child);
  int64_t ms = random_chance(&world->random, 30) ? random_between(&world->random, 30000, 200000)
                                                 : random_between(&world->random, 100, 20000);
  world_trace(world, "link of %u: nothing passes for %lld ms", child, (long long)ms);
  wire_block(world, child, world->now_us + ms * 1000);
}

static void flap(struct world *world, uint32_t child, uint64_t times)
{
  if (world->healed || times == 0) {
    return;
  }
  wire_cut(world, child);
  world_after(world, soon(world, 20, 3000), flap, child, times - 1);
}

static void inject_flap(struct world *world)
{
  uint32_t child;
  (void)choose_link(world, &child);
  uint64_t times = (uint64_t)random_between(&world->random, 3, 20);
  world_trace(world, "link of %u: flaps %llu times", child, (unsigned long long)times);
  flap(world, child, times);
}

/* ---- machines ---- */

static void inject_crash(struct world *world)
{
  const struct sim_node *node = choose_node(world);
  if (node->core != NULL) {
    node_crash(world, node->index, random_chance(&world->random, 40));
    world_after(world, soon(world, 10, random_chance(&world->random, 20) ? 120000 : 10000), NULL,
                node->index, 0);
  }
}

static void inject_crash_commit(struct world *world)
{
  struct sim_node *node = choose_node(world);
  node->crash_in = (unsigned)random_between(&world->random, 1, 6);
  node->crash_after = random_chance(&world->random, 50);
}

static void inject_slow_disk(struct world *world)
{
  struct sim_node *node = choose_node(world);
  node->disk_us = random_between(&world->random, 5, 800) * 1000;
  node->trouble_us = INT64_MAX; /* for good */
  world_trace(world, "disk of %u: %lld ms", node->index, (long long)node->disk_us / 1000);
}

static void disk_good(struct world *world, uint32_t who, uint64_t what)
{
  (void)what;
  world->nodes[who].disk_full = world->nodes[who].disk_low = false;
  world->nodes[who].trouble_us = world->now_us;
  node_schedule(&world->nodes[who], world->now_us);
}

static void inject_disk_full(struct world *world)
{
  struct sim_node *node = choose_node(world);
  node->disk_full = true;
  node->trouble_us = world->now_us;
  world_trace(world, "disk of %u: full", node->index);
  world_after(world, soon(world, 100, 20000), disk_good, node->index, 0);
}

static void inject_disk_low(struct world *world)
{
  struct sim_node *node = choose_node(world);
  node->disk_low = true;
  node->trouble_us = world->now_us;
  world_trace(world, "disk of %u: low", node->index);
  node_schedule(node, world->now_us);
  world_after(world, soon(world, 500, 60000), disk_good, node->index, 0);
}

static void inject_clock(struct world *world)
{
  static const int64_t year_ms = 365LL * 24 * 3600 * 1000;
  struct sim_node *node = choose_node(world);
  uint64_t dice = random_below(&world->random, 5);
  int64_t offset = dice == 0   ? year_ms
                   : dice == 1 ? -year_ms
                   : dice == 2 ? random_between(&world->random, -100000, 100000)
                               : 0;
  int64_t drift = random_between(&world->random, -20000, 20000);
  node_clock_set(node, offset, drift);
  world->clocks_wrong = true;
  world_trace(world, "clock of %u: %lld ms, %lld ppm", node->index, (long long)offset,
              (long long)drift);
  node_schedule(node, world->now_us);
}

/* ---- the schedule ---- */

typedef void inject_action(struct world *world);
static inject_action *const actions[FAULT_COUNT] = {
    [FAULT_DELAY] = inject_delay,
    [FAULT_SLOW_LINK] = inject_slow_link,
    [FAULT_PIPE] = inject_pipe,
    [FAULT_PARTITION] = inject_partition,
    [FAULT_FLAP] = inject_flap,
    [FAULT_CRASH] = inject_crash,
    [FAULT_CRASH_COMMIT] = inject_crash_commit,
    [FAULT_SLOW_DISK] = inject_slow_disk,
    [FAULT_DISK_FULL] = inject_disk_full,
    [FAULT_DISK_LOW] = inject_disk_low,
    [FAULT_CLOCK] = inject_clock,
    [FAULT_JOIN] = join_one,
    [FAULT_REPLACE] = join_replace,
    [FAULT_FORGE] = forge_one,
};

static void inject(struct world *world, uint32_t fault, uint64_t pause_us)
{
  if (world->healed) {
    return;
  }
  if (fault != FAULT_JOIN && fault != FAULT_REPLACE && fault != FAULT_FORGE) {
    fault_count(world, fault); /* the others count when they come to it */
  }
  actions[fault](world);
  world_after(world, world->now_us + (int64_t)random_below(&world->random, 2 * pause_us), inject,
              fault, pause_us);
}

void fault_start(struct world *world)
{
  unsigned percent = (unsigned)random_between(&world->random, 10, 80);
  for (uint32_t fault = 0; fault < FAULT_COUNT; fault++) {
    bool wanted = random_chance(&world->random, percent);
    int64_t pause = random_between(&world->random, 2, 60) * SIM_SECOND;
    int64_t first = random_between(&world->random, 2, 30) * SIM_SECOND;
    wanted = wanted || world->settings.only;
    if (actions[fault] != NULL && wanted && (world->settings.fault_mask & (1u << fault)) != 0) {
      world_after(world, first, inject, fault, (uint64_t)pause);
    }
  }
}

void fault_heal(struct world *world)
{
  world_trace(world, "all faults end");
  world->healed = true;
  for (uint32_t i = 0; i < world->node_count; i++) {
    struct sim_node *node = &world->nodes[i];
    struct sim_link *link = &world->links[i];
    if (link->blocked_until_us > world->now_us) {
      link->blocked_until_us = world->now_us;
    }
    link->delay_us = 2000;
    link->jitter_us = 0;
    link->octets_s = link->octets_s == 0 || link->octets_s > 20000 ? link->octets_s : 20000;
    node->disk_us = 300;
    node->disk_full = node->disk_low = false;
    node->crash_in = 0;
    node_clock_set(node, 0, 0);
    world_after(world, world->now_us, NULL, i, 0);
    node_schedule(node, world->now_us);
  }
  join_rest(world);
}
