/*
 * The core loop: turns. A turn takes what has come, lets the replication node judge it, then runs
 * one transaction with all that waits, then tells everyone what is durable.
 */
#include "noded/core.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "noded/core_internal.h"
#include "noded/log.h"

#define TURN_PAUSE_MAX_MS 60000
#define ROOM_CHECK_MS 1000

struct instant core_now(void)
{
  struct timespec mono, wall;
  clock_gettime(CLOCK_MONOTONIC, &mono);
  clock_gettime(CLOCK_REALTIME, &wall);
  return (struct instant){
      {(int64_t)mono.tv_sec * 1000 + mono.tv_nsec / 1000000},
      {(int64_t)wall.tv_sec * 1000 + wall.tv_nsec / 1000000},
  };
}

struct store *core_store(struct core *core)
{
  return core->store;
}

const struct core_identity *core_get_identity(const struct core *core)
{
  return core->identity;
}

void core_wake(struct core *core)
{
  event_active(core->turn_event, EV_TIMEOUT, 0);
}

/* ---- effects ---- */

static void log_notice(const struct core *core, const struct repl_effect *effect)
{
  const struct neighbour *neighbour = store_neighbour(core->store, effect->neighbour);
  struct log_field fields[] = {
      log_text("neighbour", neighbour == NULL ? "bundle" : neighbour->address.text),
      log_text("text", effect->text),
  };
  log_write(LOG_INFO, "link_notice", fields, 2);
}

static void carry(struct core *core, struct repl_effect *effect)
{
  switch (effect->type) {
  case REPL_SEND:
    peers_send(core, core->peers, effect, &effect->octets);
    break;
  case REPL_DISCONNECT:
    peers_disconnect(core, core->peers, effect);
    break;
  case REPL_PERSIST_COMMITS:
  case REPL_PERSIST_CERTIFICATE:
  case REPL_PERSIST_ACK:
  case REPL_PERSIST_REFUSALS:
  case REPL_PERSIST_CURSOR:
    txn_add_effect(core, effect, NULL);
    break;
  case REPL_LOAD:
    load_outbox(core, effect);
    break;
  case REPL_LOAD_LOG:
    load_log(core, effect);
    break;
  case REPL_CHECK_CURSORS:
    load_check_cursors(core, effect);
    break;
  case REPL_READ_HEADS:
    load_heads(core, effect);
    break;
  case REPL_PLAN_RESYNC:
    load_plan(core, effect);
    break;
  case REPL_QUERY:
    tree_query(core, effect);
    break;
  case REPL_ANSWERED:
    tree_answered(core, effect);
    break;
  case REPL_NOTICE:
    log_notice(core, effect);
    break;
  case REPL_UP:
    peers_link_up(core, core->peers, effect);
    break;
  case REPL_HOLD:
    break;
  }
}

/* Carrying an effect out may step the node again; what follows from that is carried out after
 * what came before it. */
static void carry_all(struct core *core)
{
  while (core->effects.count > 0) {
    struct repl_effects taken = core->effects;
    memset(&core->effects, 0, sizeof(core->effects));
    for (size_t i = 0; i < taken.count; i++) {
      carry(core, &taken.items[i]);
    }
    if (core->effects.capacity == 0) {
      repl_effects_clear(&taken);
      core->effects = taken;
    } else {
      repl_effects_close(&taken);
    }
    peers_flush(core, core->peers);
  }
}

/* Steps within a step (an effect that reads answers at once) only append; the outermost carries. */
void core_step(struct core *core, const struct repl_event *event)
{
  enum status status = repl_step(core->node, event, core_now(), &core->effects);
  if (status != STATUS_OK) {
    core->broken = true;
  }
}

/* ---- turns ---- */

static void run_tasks(struct core *core)
{
  pthread_mutex_lock(&core->task_lock);
  struct core_task *task = core->task_first;
  core->task_first = core->task_last = NULL;
  pthread_mutex_unlock(&core->task_lock);
  while (task != NULL) {
    struct core_task *next = task->next;
    task->run(core, task);
    task = next;
  }
}

static void check_room(struct core *core)
{
  bool room = store_room(core->store) == STORE_ROOM_OK;
  if (room != core->room) {
    core->room = room;
    log_event(room ? LOG_INFO : LOG_ERROR, room ? "disk_room_again" : "disk_low");
    struct repl_event event = {.type = REPL_ROOM, .room = room};
    core_step(core, &event);
  }
}

static void set_timer(struct core *core, struct mono_ms now)
{
  int64_t at = repl_next_deadline(core->node).ms;
  int64_t others[] = {peers_deadline(core, core->peers), tree_deadline(core),
                      core->lazy_waits ? core->lazy_at.ms : INT64_MAX,
                      core->room ? INT64_MAX : now.ms + ROOM_CHECK_MS};
  for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
    at = others[i] < at ? others[i] : at;
  }
  int64_t pause = at - now.ms;
  pause = pause < 0 ? 0 : pause > TURN_PAUSE_MAX_MS ? TURN_PAUSE_MAX_MS : pause;
  struct timeval tv = {.tv_sec = pause / 1000, .tv_usec = (pause % 1000) * 1000};
  evtimer_add(core->timer, &tv);
}

static void tick(struct core *core)
{
  struct instant now = core_now();
  if (repl_next_deadline(core->node).ms <= now.mono.ms) {
    struct repl_event event = {.type = REPL_TICK};
    core_step(core, &event);
  }
  peers_tick(core, core->peers, now.mono);
  tree_tick(core, now.mono);
  carry_all(core);
}

static void turn(struct core *core)
{
  run_tasks(core);
  bool more = peers_take(core, core->peers);
  carry_all(core);
  bundle_queue(core);
  carry_all(core);
  if (txn_is_due(core, core_now().mono)) {
    txn_run(core);
    carry_all(core);
  }
  check_room(core);
  carry_all(core);
  tick(core);
  arena_reset(&core->arena);
  if (core->broken) {
    core_restart(core, STATUS_IO);
  }
  if (more || core->backfill || append_waits(core) || bundle_waits(core)) {
    core_wake(core);
  }
  set_timer(core, core_now().mono);
}

static void on_turn(evutil_socket_t fd, short what, void *context)
{
  (void)fd;
  (void)what;
  turn(context);
}

static void on_wake(evutil_socket_t fd, short what, void *context)
{
  uint64_t count;
  (void)what;
  while (read(fd, &count, sizeof(count)) > 0) {
  }
  turn(context);
}

void core_post(struct core *core, struct core_task *task)
{
  uint64_t one = 1;
  task->next = NULL;
  pthread_mutex_lock(&core->task_lock);
  bool first = core->task_first == NULL;
  if (first) {
    core->task_first = task;
  } else {
    core->task_last->next = task;
  }
  core->task_last = task;
  pthread_mutex_unlock(&core->task_lock);
  if (first && write(core->wake_fd, &one, sizeof(one)) < 0) {
    CHECK(errno == EAGAIN); /* it is awake already */
  }
}

/* ---- life ---- */

void core_restart(struct core *core, enum status status)
{
  char reason[STORE_REASON_MAX] = "";
  log_event(LOG_ERROR, "core_restart");
  core->broken = false;
  peers_disconnect_all(core, core->peers, "the store failed, starting over");
  repl_effects_clear(&core->effects);
  txn_drop_pending(core);
  append_finish(core, status);
  bundle_finish(core, status);
  tree_close(core);
  repl_node_free(core->node);
  core->node = NULL;
  if (load_node(core, reason) != STATUS_OK) {
    struct log_field fields[] = {log_text("reason", reason)};
    log_write(LOG_ERROR, "core_failed", fields, 1);
    abort();
  }
}

static enum status open_store(struct core *core, char *reason)
{
  const struct core_identity *identity = core->identity;
  struct store_settings settings;
  struct store_identity expected = {
      .node = identity->key, .address = identity->address, .root = identity->root};
  store_settings_default(&settings);
  settings.path = core->config->store_path;
  settings.map_bytes = core->config->map_bytes;
  settings.quota_bytes = core->config->quota_bytes;
  enum status status = store_open(&settings, &expected, &core->store, reason);
  if (status == STATUS_NOT_FOUND) {
    randombytes_buf(expected.store.octets, STORE_ID_SIZE);
    status = store_create(&settings, &expected, reason);
    if (status == STATUS_OK) {
      status = store_open(&settings, &expected, &core->store, reason);
    }
  }
  return status;
}

static bool make_events(struct core *core)
{
  core->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (core->wake_fd < 0) {
    return false;
  }
  core->turn_event = event_new(core->base, -1, 0, on_turn, core);
  core->timer = evtimer_new(core->base, on_turn, core);
  core->wake_event = event_new(core->base, core->wake_fd, EV_READ | EV_PERSIST, on_wake, core);
  return core->turn_event != NULL && core->timer != NULL && core->wake_event != NULL &&
         event_add(core->wake_event, NULL) == 0;
}

enum status core_new(const struct config *config, const struct core_identity *identity,
                     struct event_base *base, struct core **out, char *reason)
{
  struct core *core = calloc(1, sizeof(*core));
  if (core == NULL) {
    return STATUS_NO_MEMORY;
  }
  core->config = config;
  core->identity = identity;
  core->base = base;
  core->room = true;
  core->wake_fd = -1;
  pthread_mutex_init(&core->task_lock, NULL);
  core->figures.started_at = core_now().wall;
  enum status status = make_events(core) ? open_store(core, reason) : STATUS_NO_MEMORY;
  if (status == STATUS_OK) {
    status = load_node(core, reason);
  }
  if (status == STATUS_OK) {
    status = peers_new(core, &core->peers, reason);
  }
  if (status == STATUS_OK) {
    core->inbox_event = event_new(base, peers_fd(core->peers), EV_READ | EV_PERSIST, on_turn, core);
    status = core->inbox_event != NULL && event_add(core->inbox_event, NULL) == 0
                 ? STATUS_OK
                 : STATUS_NO_MEMORY;
  }
  if (status != STATUS_OK) {
    core_free(core);
    return status;
  }
  core_wake(core);
  *out = core;
  return STATUS_OK;
}

void core_free(struct core *core)
{
  if (core == NULL) {
    return;
  }
  core->stopping = true;
  if (core->peers != NULL) {
    run_tasks(core);
    txn_run(core); /* what waits is made durable and answered */
    peers_disconnect_all(core, core->peers, "shutting down");
    repl_effects_clear(&core->effects);
  }
  txn_drop_pending(core);
  append_close(core);
  bundle_finish(core, STATUS_CLOSED);
  tree_close(core);
  if (core->inbox_event != NULL) {
    event_free(core->inbox_event);
  }
  peers_free(core->peers);
  repl_effects_close(&core->effects);
  repl_node_free(core->node);
  store_close(core->store);
  if (core->turn_event != NULL) {
    event_free(core->turn_event);
  }
  if (core->timer != NULL) {
    event_free(core->timer);
  }
  if (core->wake_event != NULL) {
    event_free(core->wake_event);
  }
  if (core->wake_fd >= 0) {
    close(core->wake_fd);
  }
  pthread_mutex_destroy(&core->task_lock);
  arena_close(&core->arena);
  free(core->pending);
  free(core->lazy);
  free(core);
}

/* ---- figures ---- */

void core_get_figures(const struct core *core, struct core_figures *figures)
{
  *figures = core->figures;
  figures->now = core_now().wall;
  figures->hlc_ahead_ms = (int64_t)clock_hlc_ms(core->hlc.last) - figures->now.ms;
}

bool core_get_link(const struct core *core, uint16_t neighbour, struct core_link_figures *out)
{
  struct repl_link_figures figures;
  if (store_neighbour(core->store, neighbour) == NULL) {
    return false;
  }
  memset(out, 0, sizeof(*out));
  out->neighbour = neighbour;
  if (repl_link_figures(core->node, neighbour, &figures)) {
    out->last_heard = figures.last_heard;
    out->rate_bytes_s = figures.rate_octets_s;
    out->connected = figures.up;
  }
  bool connected;
  out->since = peers_since(core->peers, neighbour, &connected);
  return true;
}
