/*
 * What drives the core: the clocks, the event loop, tasks from other threads, start and end. What
 * a turn does stands in core_turn.c.
 */
#include "noded/core.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "noded/core_internal.h"
#include "noded/log.h"

#define TURN_PAUSE_MAX_MS 60000

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

void core_wake(struct core *core)
{
  event_active(core->turn_event, EV_TIMEOUT, 0);
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

static void take_turn(struct core *core)
{
  run_tasks(core);
  core_turn(core);
  int64_t now = core_now().mono.ms;
  int64_t pause = core_deadline(core, (struct mono_ms){now}) - now;
  pause = pause < 0 ? 0 : pause > TURN_PAUSE_MAX_MS ? TURN_PAUSE_MAX_MS : pause;
  struct timeval tv = {.tv_sec = pause / 1000, .tv_usec = (pause % 1000) * 1000};
  evtimer_add(core->timer, &tv);
}

static void on_turn(evutil_socket_t fd, short what, void *context)
{
  (void)fd;
  (void)what;
  take_turn(context);
}

static void on_wake(evutil_socket_t fd, short what, void *context)
{
  uint64_t count;
  (void)what;
  while (read(fd, &count, sizeof(count)) > 0) {
  }
  take_turn(context);
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

static enum status open_store(struct core *core, char *reason)
{
  struct store_settings settings;
  store_settings_default(&settings);
  settings.path = core->config->store_path;
  settings.map_bytes = core->config->map_bytes;
  settings.quota_bytes = core->config->quota_bytes;
  return load_store(core, &settings, reason);
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
    core_settle(core);
  }
  if (core->inbox_event != NULL) {
    event_free(core->inbox_event);
  }
  core_release(core);
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
  free(core);
}
