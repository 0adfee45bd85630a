/*
 * What the core thread does for a snapshot: it notes, durably, that one was begun, and where the
 * outbox ends then. Everything that goes to the child from there on has a later position.
 */
#include <stdio.h>
#include <string.h>

#include "noded/core_internal.h"
#include "noded/log.h"

#define COUNTER_SIZE 32

static void counter_name(uint16_t neighbour, char name[COUNTER_SIZE])
{
  snprintf(name, COUNTER_SIZE, "snapshot.%u", (unsigned)neighbour);
}

void core_snapshot(struct core *core, struct core_snapshot *snapshot)
{
  snapshot->next = core->snapshot_first;
  core->snapshot_first = snapshot;
  core_wake(core);
}

struct wall_ms core_get_snapshot_at(const struct core *core, uint16_t neighbour)
{
  return (struct wall_ms){core->snapshot_at[neighbour]};
}

bool snapshot_waits(const struct core *core)
{
  return core->snapshot_first != NULL;
}

static void fill(const struct core *core, struct core_snapshot *snapshot, struct wall_ms now)
{
  const struct neighbour *child = store_neighbour_find(core->store, &snapshot->child);
  snapshot->neighbour = child->number;
  snapshot->head = (struct snapshot_head){
      .child = snapshot->child,
      .parent = core->identity->key,
      .store = store_identity(core->store)->store,
      .at = now,
  };
  for (unsigned i = 0; i < LANE_COUNT; i++) {
    snapshot->head.lanes[i].position = child->lanes[i].end_position;
    memcpy(snapshot->head.lanes[i].tag, child->lanes[i].end_tag, 16);
  }
}

static enum status begin(struct core *core, struct store_txn *txn, struct core_snapshot *snapshot)
{
  char name[COUNTER_SIZE];
  struct wall_ms now = core_now().wall;
  const struct neighbour *child = store_neighbour_find(core->store, &snapshot->child);
  if (child == NULL || child->number == NEIGHBOUR_PARENT) {
    snapshot->state = STATUS_NOT_FOUND;
    return STATUS_OK;
  }
  if (core->drop_neighbour == child->number) {
    snapshot->state = STATUS_BUSY; /* what waits is being dropped: in a later transaction */
    return STATUS_OK;
  }
  fill(core, snapshot, now);
  snapshot->state = STATUS_OK;
  counter_name(child->number, name);
  core->snapshot_at[child->number] = now.ms;
  return store_meta_put(txn, name, (uint64_t)now.ms);
}

enum status snapshot_run(struct core *core, struct store_txn *txn)
{
  enum status status = STATUS_OK;
  for (struct core_snapshot *snapshot = core->snapshot_first;
       snapshot != NULL && status == STATUS_OK; snapshot = snapshot->next) {
    status = begin(core, txn, snapshot);
  }
  return status;
}

void snapshot_finish(struct core *core, enum status status)
{
  struct core_snapshot *snapshot = core->snapshot_first;
  core->snapshot_first = NULL;
  while (snapshot != NULL) {
    struct core_snapshot *next = snapshot->next;
    snapshot->done(core, snapshot, status == STATUS_OK ? snapshot->state : status);
    snapshot = next;
  }
}

enum status snapshot_forget(struct core *core, struct store_txn *txn, uint16_t neighbour)
{
  char name[COUNTER_SIZE];
  if (core->snapshot_at[neighbour] == 0) {
    return STATUS_OK;
  }
  core->snapshot_at[neighbour] = 0;
  counter_name(neighbour, name);
  return store_meta_put(txn, name, 0);
}

void snapshot_load(struct core *core, const struct store_txn *txn)
{
  char name[COUNTER_SIZE];
  for (uint16_t number = 1; number <= store_neighbour_count(core->store); number++) {
    counter_name(number, name);
    core->snapshot_at[number] = (int64_t)store_meta_get(txn, name);
  }
  core->behind = core->behind_stored = store_meta_get(txn, CORE_COUNTER_BEHIND) != 0;
}

/* ---- needed, and served over the link ---- */

static void tell(const struct core *core, uint16_t neighbour, const char *event, const char *text)
{
  const struct neighbour *row = store_neighbour(core->store, neighbour);
  struct log_field fields[] = {log_text("neighbour", row->address.text), log_text("text", text)};
  log_write(text != NULL ? LOG_WARN : LOG_INFO, event, fields, text != NULL ? 2 : 1);
}

void snapshot_note(struct core *core, const struct repl_effect *effect)
{
  bool behind = effect->position != 0;
  if (effect->neighbour != NEIGHBOUR_PARENT) {
    tell(core, effect->neighbour, "needs_snapshot",
         "what waited for it was dropped; what it lacks is sent again from the logs");
    return;
  }
  if (behind) {
    tell(core, effect->neighbour, "needs_snapshot",
         "what waited there for this node was dropped; what it lacks is sent again, which a "
         "snapshot may shorten");
  } else if (core->behind) {
    tell(core, effect->neighbour, "level_again", NULL);
  }
  core->behind = behind;
}

enum status snapshot_put_behind(struct core *core, struct store_txn *txn)
{
  if (core->behind == core->behind_stored) {
    return STATUS_OK;
  }
  core->behind_stored = core->behind;
  return store_meta_put(txn, CORE_COUNTER_BEHIND, core->behind);
}

void snapshot_tell_level(const struct core *core, uint16_t neighbour)
{
  tell(core, neighbour, "level_again", NULL);
}
