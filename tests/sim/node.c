/* A node: its machine's clock and disk, its process from start to crash, and what the daemon's
 * core asks of its driver (core_internal.h). */
#include <ftw.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sim.h"

#define SIM_MAP_BYTES (256ull << 20)
#define CERTIFIED_UNTIL_S 4000000000u

struct sim_node *node_of(const struct core *core)
{
  const char *config = (const char *)core->config;
  return (struct sim_node *)(uintptr_t)(config - offsetof(struct sim_node, config));
}

/* ---- clocks ---- */

static int64_t drifted_us(const struct sim_node *node)
{
  int64_t passed = node->world->now_us - node->drift_from_us;
  return passed / 1000000 * node->drift_ppm + passed % 1000000 * node->drift_ppm / 1000000;
}

static int64_t mono_us(const struct sim_node *node)
{
  return node->world->now_us + drifted_us(node) + node->mono_base_ms * 1000;
}

void node_clock_set(struct sim_node *node, int64_t offset_ms, int64_t drift_ppm)
{
  int64_t drifted = drifted_us(node);
  node->mono_base_ms += drifted / 1000 + 1;
  node->wall_offset_ms = offset_ms;
  node->drift_from_us = node->world->now_us;
  node->drift_ppm = drift_ppm;
  node->trouble_us = node->world->now_us;
}

int64_t node_time_of(const struct sim_node *node, int64_t mono_ms)
{
  int64_t wait_us = (mono_ms - mono_us(node) / 1000) * 1000;
  wait_us = wait_us < 0 ? 0 : wait_us + wait_us / 1000; /* a drifting clock is asked again */
  return node->world->now_us + wait_us;
}

struct instant core_now(void)
{
  struct world *world = sim_world;
  if (world->current == SIM_NONE) {
    return (struct instant){{world->now_us / 1000}, {SIM_START_MS + world->now_us / 1000}};
  }
  const struct sim_node *node = &world->nodes[world->current];
  int64_t wall = SIM_START_MS + (world->now_us + drifted_us(node)) / 1000 + node->wall_offset_ms;
  return (struct instant){{mono_us(node) / 1000}, {wall}};
}

/* ---- turns ---- */

static void crashed(struct world *world, struct sim_node *node)
{
  world_trace(world, "crash %s a transaction", node->crash_after ? "after" : "before");
  node->crash_in = 0;
  node_crash(world, node->index, random_chance(&world->random, 30));
  world_after(world, world->now_us + random_between(&world->random, 50, 20000) * 1000, NULL,
              node->index, 0);
}

static void turn(struct world *world, uint32_t who, uint64_t token)
{
  struct sim_node *node = &world->nodes[who];
  if (node->core == NULL || node->turn_token != token) {
    return;
  }
  node->turn_at_us = INT64_MAX;
  if (node->busy_until_us > world->now_us) {
    node_schedule(node, node->busy_until_us);
    return;
  }
  node->turns++;
  world->current = who;
  if (setjmp(world->crash) != 0) {
    world->crash_armed = false;
    crashed(world, node);
    return;
  }
  world->crash_armed = true;
  core_turn(node->core);
  world->crash_armed = false;
  int64_t deadline = core_deadline(node->core, core_now().mono);
  if (deadline != INT64_MAX) {
    int64_t at = node_time_of(node, deadline);
    /* As the daemon's timer: a deadline that has passed is looked at in the next millisecond. */
    node_schedule(node, at > world->now_us ? at : world->now_us + 1000);
  }
}

void node_schedule(struct sim_node *node, int64_t at_us)
{
  if (node->core == NULL) {
    return;
  }
  if (at_us < node->busy_until_us) {
    at_us = node->busy_until_us;
  }
  if (at_us < node->turn_at_us) {
    node->turn_at_us = at_us;
    world_after(node->world, at_us, turn, node->index, ++node->turn_token);
  }
}

void core_wake(struct core *core)
{
  struct sim_node *node = node_of(core);
  node_schedule(node, node->world->now_us);
}

void core_post(struct core *core, struct core_task *task)
{
  task->run(core, task);
}

/* ---- the disk: the daemon's store_commit comes here first ---- */

enum status __real_store_commit(struct store_txn *txn);
enum status __wrap_store_commit(struct store_txn *txn);
enum status __wrap_store_commit(struct store_txn *txn)
{
  struct world *world = sim_world;
  struct sim_node *node = world->current == SIM_NONE ? NULL : &world->nodes[world->current];
  if (node == NULL || !world->crash_armed) {
    return __real_store_commit(txn);
  }
  int64_t from = node->busy_until_us > world->now_us ? node->busy_until_us : world->now_us;
  node->busy_until_us = from + node->disk_us;
  if (node->crash_in > 0 && --node->crash_in == 0) {
    if (node->crash_after) {
      if (__real_store_commit(txn) != STATUS_OK) {
        world_fail(world, "a transaction failed by itself");
      }
    } else {
      store_abort(txn);
    }
    longjmp(world->crash, 1);
  }
  if (node->disk_full && node->core->node != NULL) {
    store_abort(txn);
    return STATUS_DISK_FULL;
  }
  enum status status = __real_store_commit(txn);
  if (status != STATUS_OK) {
    world_fail(world, "a transaction failed by itself: %s", status_text(status));
  }
  return status;
}

enum store_room __wrap_store_room(const struct store *store);
enum store_room __wrap_store_room(const struct store *store)
{
  const struct world *world = sim_world;
  (void)store;
  return world->current != SIM_NONE && world->nodes[world->current].disk_low ? STORE_ROOM_TIGHT
                                                                             : STORE_ROOM_OK;
}

/* ---- life ---- */

void node_init(struct world *world, uint32_t index, const char *address, uint32_t parent)
{
  struct sim_node *node = &world->nodes[index];
  node->world = world;
  node->index = index;
  node->parent = parent;
  CHECK(address_parse(bytes_view_text(address), false, &node->address) == STATUS_OK);
  snprintf(node->path, sizeof(node->path), "%.80s/n%u", world->settings.directory, index);
  snprintf(node->listen_url, sizeof(node->listen_url), "sim:%u", index);
  snprintf(node->parent_url, sizeof(node->parent_url), "sim:%u", parent);
  node->turn_at_us = INT64_MAX;
  node->disk_us = 300;
  node->mono_base_ms = random_between(&world->random, 1, 1000000);
  node->config = (struct config){
      .store_path = node->path,
      .parent_url = parent == SIM_NONE ? NULL : node->parent_url,
      .listen = {node->listen_url},
      .listen_count = 1,
      .map_bytes = SIM_MAP_BYTES,
      .children_max = 1024,
      .window_bytes = 4ull << 20,
      .handshakes_max = 32,
      .admit_per_second = 100,
      .idle_ms = 60000,
      .dead_ms = 150000,
      .retry_min_ms = 100,
      .retry_max_ms = 30000,
  };
}

static void chain_begin(struct writer *writer, struct bytes *chain, uint32_t count)
{
  bytes_close(chain);
  writer_init(writer, chain);
  writer_array(writer, count);
}

static void chain_write(struct world *world, struct sim_node *node, struct bytes_view certificate)
{
  struct writer writer;
  struct bytes chain = {0};
  if (node->parent == SIM_NONE) {
    chain_begin(&writer, &chain, 2);
    writer_raw(&writer, bytes_as_view(&world->root_certificate));
  } else {
    struct reader reader = reader_of(bytes_as_view(&world->nodes[node->parent].identity.chain));
    uint32_t count;
    CHECK(reader_array(&reader, &count));
    chain_begin(&writer, &chain, count + 1);
    writer_raw(&writer, bytes_view_of(reader.at, (size_t)(reader.end - reader.at)));
  }
  writer_raw(&writer, certificate);
  CHECK(writer_finish(&writer) == STATUS_OK);
  bytes_close(&node->identity.chain);
  node->identity.chain = chain;
}

void node_key_new(struct sim_node *node)
{
  uint8_t seed[32];
  randombytes_buf(seed, sizeof(seed));
  crypto_sign_seed_keypair(node->identity.key.octets, node->identity.secret_key, seed);
  node->identity.address = node->address;
  node->identity.root = node->world->root;
}

void node_certify(struct world *world, uint32_t index)
{
  struct sim_node *node = &world->nodes[index];
  struct bytes octets = {0};
  struct certificate certificate;
  node_key_new(node);
  struct certificate_draft draft = {.key = node->identity.key,
                                    .address = node->address,
                                    .epoch = ++node->epoch,
                                    .not_after = CERTIFIED_UNTIL_S};
  const uint8_t *issuer = node->parent == SIM_NONE ? world->root_secret
                                                   : world->nodes[node->parent].identity.secret_key;
  CHECK(certificate_write(&draft, issuer, &octets) == STATUS_OK);
  CHECK(certificate_read(bytes_as_view(&octets), &certificate) == STATUS_OK);
  node->identity.certificate = certificate.id;
  chain_write(world, node, bytes_as_view(&octets));
  bytes_close(&octets);
  node->joined = true;
}

void node_store_settings(const struct sim_node *node, struct store_settings *settings)
{
  store_settings_default(settings);
  settings->path = node->path;
  settings->map_bytes = SIM_MAP_BYTES;
  settings->no_sync = true;
}

static enum status open_store(const struct sim_node *node, struct core *core, char *reason)
{
  struct store_settings settings;
  node_store_settings(node, &settings);
  return load_store(core, &settings, reason);
}

void node_start(struct world *world, uint32_t index)
{
  struct sim_node *node = &world->nodes[index];
  char reason[STORE_REASON_MAX] = "";
  if (node->core != NULL || !node->joined) {
    return;
  }
  struct core *core = calloc(1, sizeof(*core));
  CHECK(core != NULL);
  world->current = index;
  node->core = core;
  node->trouble_us = world->now_us;
  node->turn_at_us = INT64_MAX;
  node->busy_until_us = world->now_us;
  core->config = &node->config;
  core->identity = &node->identity;
  core->room = true;
  core->wake_fd = -1;
  pthread_mutex_init(&core->task_lock, NULL);
  core->figures.started_at = core_now().wall;
  enum status status = open_store(node, core, reason);
  if (status == STATUS_OK) {
    status = load_node(core, reason);
  }
  if (status == STATUS_OK) {
    status = peers_new(core, &core->peers, reason);
  }
  if (status != STATUS_OK) {
    world_fail(world, "%s does not start: %s", node->address.text, reason);
    return;
  }
  world_trace(world, "start %u", ++node->boots);
  check_own_log(world, node);
  check_told_at_start(world, node);
  core_wake(core);
}

void node_crash(struct world *world, uint32_t index, bool silent)
{
  struct sim_node *node = &world->nodes[index];
  struct core *core = node->core;
  if (core == NULL) {
    return;
  }
  uint32_t before = world->current;
  world->current = index;
  node->trouble_us = world->now_us;
  world_trace(world, "crash%s", silent ? ", silently" : "");
  node->crashes++;
  wire_node_gone(world, index, silent);
  if (core->peers != NULL && core->node != NULL) {
    peers_disconnect_all(core, core->peers, "gone");
    repl_effects_clear(&core->effects);
  }
  core_release(core);
  pthread_mutex_destroy(&core->task_lock);
  free(core);
  node->core = NULL;
  node->turn_token++;
  node->mono_base_ms = random_between(&world->random, 1, 1000000);
  world->current = before;
}

static int remove_one(const char *path, const struct stat *about, int type, struct FTW *walk)
{
  (void)about;
  (void)type;
  (void)walk;
  return remove(path);
}

void node_forget(struct sim_node *node)
{
  nftw(node->path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
  bytes_close(&node->identity.chain);
}
