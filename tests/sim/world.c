/* Virtual time: one heap orders all that happens by (time, order of asking). The trace is hashed
 * whole and its last lines are kept. */
#include <sodium.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "sim.h"

#define SIM_EVENTS_MAX 60000000ull

struct world *sim_world;

/* ---- the heap ---- */

static bool before(const struct sim_event *a, const struct sim_event *b)
{
  return a->at_us != b->at_us ? a->at_us < b->at_us : a->tie < b->tie;
}

void world_after(struct world *world, int64_t at_us, sim_action *run, uint32_t who, uint64_t what)
{
  if (world->heap_count == world->heap_capacity) {
    world->heap_capacity = world->heap_capacity == 0 ? 1024 : world->heap_capacity * 2;
    world->heap = realloc(world->heap, world->heap_capacity * sizeof(*world->heap));
    CHECK(world->heap != NULL);
  }
  struct sim_event event = {at_us < world->now_us ? world->now_us : at_us, world->tie++, run, who,
                            what};
  size_t at = world->heap_count++;
  while (at > 0 && before(&event, &world->heap[(at - 1) / 2])) {
    world->heap[at] = world->heap[(at - 1) / 2];
    at = (at - 1) / 2;
  }
  world->heap[at] = event;
}

static struct sim_event heap_take(struct world *world)
{
  struct sim_event first = world->heap[0];
  struct sim_event last = world->heap[--world->heap_count];
  size_t at = 0;
  for (;;) {
    size_t child = 2 * at + 1;
    if (child >= world->heap_count) {
      break;
    }
    if (child + 1 < world->heap_count && before(&world->heap[child + 1], &world->heap[child])) {
      child++;
    }
    if (!before(&world->heap[child], &last)) {
      break;
    }
    world->heap[at] = world->heap[child];
    at = child;
  }
  world->heap[at] = last;
  return first;
}

/* ---- trace ---- */

void world_mix(struct world *world, uint64_t number)
{
  uint64_t hash = world->trace.hash ^ number;
  hash *= 0x100000001b3u;
  world->trace.hash = hash ^ (hash >> 29);
}

void world_trace(struct world *world, const char *format, ...)
{
  char *line = world->trace.lines[world->trace.count++ % TRACE_LINES];
  const char *who = world->current == SIM_NONE ? "-" : world->nodes[world->current].address.text;
  int size = snprintf(line, TRACE_WIDTH, "%10.3f %-20s ", (double)world->now_us / 1e6, who);
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(line + size, TRACE_WIDTH - (size_t)size, format, arguments);
  va_end(arguments);
  for (const char *at = line; *at != '\0'; at++) {
    world_mix(world, (uint8_t)*at);
  }
  if (world->settings.trace) {
    puts(line);
  }
}

void world_print_trace(const struct world *world, FILE *out)
{
  uint64_t count = world->trace.count;
  uint64_t from = count > TRACE_LINES ? count - TRACE_LINES : 0;
  for (uint64_t i = from; i < count; i++) {
    fprintf(out, "  %s\n", world->trace.lines[i % TRACE_LINES]);
  }
}

void world_fail(struct world *world, const char *format, ...)
{
  va_list arguments;
  if (world->failed) {
    return;
  }
  world->failed = true;
  va_start(arguments, format);
  vsnprintf(world->failure, sizeof(world->failure), format, arguments);
  va_end(arguments);
  world_trace(world, "FAILED: %s", world->failure);
}

/* ---- the tree ---- */

static unsigned choose_size(struct world *world)
{
  uint64_t dice = random_below(&world->random, 1000);
  if (world->settings.nodes != 0) {
    return world->settings.nodes;
  }
  if (dice < 3) {
    return (unsigned)random_between(&world->random, 150, 400);
  }
  return (unsigned)(dice < 30 ? random_between(&world->random, 20, 60)
                              : random_between(&world->random, 4, 12));
}

/* Where a new node may stand: below a node that isn't a grid or a unit. */
static uint32_t choose_parent(struct world *world)
{
  for (;;) {
    uint32_t at = (uint32_t)random_below(&world->random, world->node_count);
    /* Small trees should be deep. */
    if (random_chance(&world->random, 50)) {
      at = world->node_count - 1;
    }
    const struct address *address = &world->nodes[at].address;
    if (!address->unit && address_tier(address) > TIER_GRID) {
      return at;
    }
  }
}

static void add_node(struct world *world, uint32_t parent)
{
  char text[ADDRESS_TEXT_MAX + 1];
  uint32_t index = world->node_count++;
  bool unit = random_chance(&world->random, 20);
  snprintf(text, sizeof(text), "%.60s/%s%u", world->nodes[parent].address.text, unit ? "@u" : "n",
           index);
  node_init(world, index, text, parent);
}

static void make_tree(struct world *world)
{
  unsigned size = choose_size(world);
  size = size < 2 ? 2 : size > SIM_NODES_MAX ? SIM_NODES_MAX : size;
  node_init(world, 0, "D", SIM_NONE);
  world->node_count = 1;
  while (world->node_count < size) {
    add_node(world, choose_parent(world));
  }
  for (uint32_t i = 0; i < world->node_count; i++) {
    struct sim_link *link = &world->links[i];
    link->delay_us = random_between(&world->random, 200, 30000);
    link->jitter_us = random_below(&world->random, 2) == 0 ? 0 : link->delay_us / 2;
  }
}

static void start_nodes(struct world *world)
{
  bool late = (world->settings.fault_mask & (1u << FAULT_JOIN)) != 0;
  for (uint32_t i = 0; i < world->node_count; i++) {
    const struct sim_node *node = &world->nodes[i];
    bool orphan = node->parent != SIM_NONE && !world->nodes[node->parent].joined;
    if (!orphan && (i < 3 || !late || random_chance(&world->random, 85))) {
      node_certify(world, i);
    }
  }
  for (uint32_t i = 0; i < world->node_count; i++) {
    if (world->nodes[i].joined) {
      world_after(world, random_between(&world->random, 0, 2 * SIM_SECOND), NULL, i, 0);
    }
  }
}

/* ---- a run ---- */

static void make_root(struct world *world)
{
  struct certificate certificate;
  struct certificate_draft draft = {.epoch = 1, .not_after = 4000000000u};
  uint8_t seed[32];
  for (unsigned i = 0; i < sizeof(seed); i++) {
    seed[i] = (uint8_t)random_next(&world->random);
  }
  crypto_sign_seed_keypair(draft.key.octets, world->root_secret, seed);
  CHECK(certificate_write(&draft, world->root_secret, &world->root_certificate) == STATUS_OK);
  CHECK(certificate_read(bytes_as_view(&world->root_certificate), &certificate) == STATUS_OK);
  world->root = certificate.id;
}

static void run_until(struct world *world, int64_t until_us)
{
  while (!world->failed && world->heap_count > 0 && world->heap[0].at_us <= until_us) {
    struct sim_event event = heap_take(world);
    world->now_us = event.at_us;
    world->events++;
    world->current = SIM_NONE;
    if (event.run == NULL) {
      node_start(world, event.who);
    } else {
      event.run(world, event.who, event.what);
    }
    if (world->events > SIM_EVENTS_MAX) {
      world_fail(world, "no end of events");
    }
  }
  world->current = SIM_NONE;
  if (!world->failed && world->now_us < until_us) {
    world->now_us = until_us;
  }
}

/* How long the tree may take after the last fault: dead links are found (150 s), redialed (30 s),
 * and slow ones carry what waited. */
#define QUIET_MAX_US (20 * SIM_MINUTE)

static void run_to_quiet(struct world *world)
{
  int64_t limit = world->now_us + QUIET_MAX_US;
  if (world->clocks_wrong) {
    /* What a wrong clock refused is asked for again at the latest when links say that they idle. */
    run_until(world, world->now_us + 70 * SIM_SECOND);
  }
  while (!world->failed && !check_is_quiet(world)) {
    if (world->now_us >= limit) {
      world_fail(world, "not quiet 20 minutes after the last fault");
      return;
    }
    run_until(world, world->now_us + 2 * SIM_SECOND);
  }
}

static void open_world(struct world *world, const struct sim_settings *settings)
{
  memset(world, 0, sizeof(*world));
  world->settings = *settings;
  world->current = SIM_NONE;
  world->trace.hash = 0xcbf29ce484222325u;
  random_seed(&world->random, settings->seed);
  random_install(settings->seed);
  world->nodes = calloc(SIM_NODES_MAX, sizeof(*world->nodes));
  world->links = calloc(SIM_NODES_MAX, sizeof(*world->links));
  CHECK(world->nodes != NULL && world->links != NULL);
  sim_world = world;
}

bool world_run(struct world *world, const struct sim_settings *settings)
{
  open_world(world, settings);
  make_root(world);
  make_tree(world);
  start_nodes(world);
  world->faults_end_us = random_between(&world->random, 20, 240) * SIM_SECOND;
  work_start(world);
  fault_start(world);
  run_until(world, world->faults_end_us);
  if (!world->failed) {
    fault_heal(world);
    run_to_quiet(world);
  }
  if (!world->failed) {
    check_idle_begin(world);
    run_until(world, world->now_us + 3 * SIM_SECOND);
    check_idle_end(world);
  }
  if (!world->failed) {
    check_all(world);
  }
  return !world->failed;
}

void world_close(struct world *world)
{
  for (uint32_t i = 0; i < world->node_count; i++) {
    if (world->nodes[i].core != NULL) {
      node_crash(world, i, true);
    }
    node_forget(&world->nodes[i]);
  }
  wire_close_all(world);
  model_close(&world->model);
  bytes_close(&world->root_certificate);
  free(world->nodes);
  free(world->links);
  free(world->heap);
  sim_world = NULL;
}
