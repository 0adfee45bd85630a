/*
 * Limits on what waits for a child that is away (config `outbox`): past them it is dropped, a piece
 * a transaction. The child's cursor then no longer stands, so that at its next hello heads are
 * compared and what it lacks is sent again from the logs. Once a snapshot was made for it, what
 * comes after that is kept again, by the same limits. The parent's outbox is never dropped.
 */
#include "noded/core_internal.h"
#include "noded/log.h"

#define CHECK_MS 2000
#define DROP_ENTRIES 5000
#define DAY_MS ((int64_t)24 * 3600 * 1000)

static bool is_limited(const struct core *core)
{
  return core->config->outbox_max_bytes > 0 || core->config->outbox_max_days > 0;
}

static bool is_away(const struct core *core, uint16_t number)
{
  bool connected;
  (void)peers_since(core->peers, number, &connected);
  return !connected;
}

static bool is_over(const struct core *core, const struct neighbour *child, struct wall_ms now)
{
  uint64_t bytes = 0;
  int64_t oldest = now.ms;
  for (unsigned lane = 0; lane < LANE_COUNT; lane++) {
    const struct neighbour_lane *state = &child->lanes[lane];
    bytes += state->pending_bytes;
    if (state->pending_commits > 0 && state->oldest_at.ms < oldest) {
      oldest = state->oldest_at.ms;
    }
  }
  if (child->dropped && core_get_snapshot_at(core, child->number).ms == 0) {
    return bytes > 0; /* it gets everything anew: nothing more needs to wait */
  }
  return (core->config->outbox_max_bytes > 0 && bytes > core->config->outbox_max_bytes) ||
         (core->config->outbox_max_days > 0 &&
          now.ms - oldest > core->config->outbox_max_days * DAY_MS);
}

static void tell(const struct neighbour *child)
{
  uint64_t records = 0;
  uint64_t bytes = 0;
  for (unsigned lane = 0; lane < LANE_COUNT; lane++) {
    records += child->lanes[lane].pending_records;
    bytes += child->lanes[lane].pending_bytes;
  }
  struct log_field fields[] = {log_text("neighbour", child->address.text),
                               log_uint("records", records), log_uint("bytes", bytes)};
  log_write(LOG_WARN, "outbox_dropped", fields, 3);
}

void outbox_tick(struct core *core, struct instant now)
{
  if (!is_limited(core) || core->drop_check_at.ms > now.mono.ms || core->drop_neighbour != 0) {
    return;
  }
  core->drop_check_at.ms = now.mono.ms + CHECK_MS;
  uint16_t count = store_neighbour_count(core->store);
  for (uint16_t number = NEIGHBOUR_PARENT + 1; number <= count; number++) {
    const struct neighbour *child = store_neighbour(core->store, number);
    if (is_away(core, number) && is_over(core, child, now.wall)) {
      if (!child->dropped || core_get_snapshot_at(core, number).ms != 0) {
        tell(child);
      }
      core->drop_neighbour = number;
      core->drop_check_at.ms = now.mono.ms; /* there may be more */
      return;
    }
  }
}

int64_t outbox_deadline(const struct core *core, struct mono_ms now)
{
  if (!is_limited(core)) {
    return INT64_MAX;
  }
  return core->drop_check_at.ms > now.ms ? core->drop_check_at.ms : now.ms;
}

enum status outbox_run(struct core *core, struct store_txn *txn)
{
  bool done = true;
  uint16_t number = core->drop_neighbour;
  if (number == 0) {
    return STATUS_OK;
  }
  /* It came back meanwhile: it sees for itself whether its cursor stands. */
  enum status status = STATUS_OK;
  if (is_away(core, number)) {
    status = snapshot_forget(core, txn, number);
    if (status == STATUS_OK) {
      status = store_outbox_drop(txn, number, DROP_ENTRIES, &done);
    }
  }
  if (done) {
    core->drop_neighbour = 0;
  }
  return status;
}
