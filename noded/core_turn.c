/*
 * A turn of the core, whatever drives it: it takes what has come, lets the replication node judge
 * it, then runs one transaction with all that waits, then tells everyone what is durable. Nothing
 * here knows an event loop; the clock is core_now.
 */
#include <stdlib.h>
#include <string.h>

#include "noded/core_internal.h"
#include "noded/log.h"

#define ROOM_CHECK_MS 1000

struct store *core_store(struct core *core)
{
  return core->store;
}

const struct core_identity *core_get_identity(const struct core *core)
{
  return core->identity;
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
  case REPL_PERSIST_FLOOR:
  case REPL_PERSIST_PASSED:
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
    resync_add(core, effect);
    break;
  case REPL_QUERY:
    if (bytes_view_equal(effect->message->query.kind, bytes_view_text(COSIGN_KIND))) {
      cosign_query(core, effect);
    } else if (bytes_view_equal(effect->message->query.kind, bytes_view_text(HISTORY_KIND))) {
      history_query(core, effect);
    } else if (bytes_view_equal(effect->message->query.kind, bytes_view_text(HIDDEN_KIND))) {
      hidden_query(core, effect);
    } else {
      tree_query(core, effect);
    }
    break;
  case REPL_ANSWERED:
    if (!cosign_answered(core, effect) && !history_answered(core, effect) &&
        !hidden_answered(core, effect)) {
      tree_answered(core, effect);
    }
    break;
  case REPL_NOTICE:
    log_notice(core, effect);
    break;
  case REPL_UP:
    peers_link_up(core, core->peers, effect);
    break;
  case REPL_BEHIND:
    snapshot_note(core, effect);
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

static void check_room(struct core *core)
{
  if (!core->room) {
    store_room_look(core->store, core_now());
  }
  bool room = store_room(core->store) == STORE_ROOM_OK;
  if (room != core->room) {
    core->room = room;
    log_event(room ? LOG_INFO : LOG_ERROR, room ? "disk_room_again" : "disk_low");
    struct repl_event event = {.type = REPL_ROOM, .room = room};
    core_step(core, &event);
  }
}

int64_t core_deadline(const struct core *core, struct mono_ms now)
{
  int64_t at = repl_next_deadline(core->node).ms;
  int64_t others[] = {peers_deadline(core, core->peers),
                      tree_deadline(core),
                      cosign_deadline(core),
                      trim_deadline(core),
                      outbox_deadline(core, now),
                      history_deadline(core),
                      hidden_deadline(core),
                      core->lazy_waits ? core->lazy_at.ms : INT64_MAX,
                      core->room ? INT64_MAX : now.ms + ROOM_CHECK_MS};
  for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
    at = others[i] < at ? others[i] : at;
  }
  return at;
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
  cosign_tick(core, now.mono);
  trim_tick(core, now.mono);
  outbox_tick(core, now);
  history_tick(core, now.mono);
  hidden_tick(core, now.mono);
  carry_all(core);
}

void core_turn(struct core *core)
{
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
  resync_run(core);
  tick(core);
  arena_reset(&core->arena);
  if (core->broken) {
    core_restart(core, STATUS_IO);
  }
  if (more || txn_has_work(core) || resync_waits(core)) {
    core_wake(core);
  }
}

/* ---- life ---- */

/* What was asked of us and is under way is answered with `status`. */
static void end_requests(struct core *core, enum status status)
{
  bundle_finish(core, status);
  backup_finish(core, status);
  snapshot_finish(core, status);
  hidden_finish(core, status);
  hidden_close(core);
  resync_close(core);
  trim_close(core);
  history_close(core);
  cosign_close(core);
  tree_close(core);
}

void core_restart(struct core *core, enum status status)
{
  char reason[STORE_REASON_MAX] = "";
  log_event(LOG_ERROR, "core_restart");
  core->broken = false;
  peers_disconnect_all(core, core->peers, "the store failed, starting over");
  repl_effects_clear(&core->effects);
  txn_drop_pending(core);
  append_finish(core, status);
  end_requests(core, status);
  repl_node_free(core->node);
  core->node = NULL;
  if (load_node(core, reason) != STATUS_OK) {
    struct log_field fields[] = {log_text("reason", reason)};
    log_write(LOG_ERROR, "core_failed", fields, 1);
    abort();
  }
}

void core_settle(struct core *core)
{
  txn_run(core);
  peers_disconnect_all(core, core->peers, "shutting down");
  repl_effects_clear(&core->effects);
}

void core_release(struct core *core)
{
  txn_drop_pending(core);
  append_close(core);
  end_requests(core, STATUS_CLOSED);
  peers_free(core->peers);
  repl_effects_close(&core->effects);
  repl_node_free(core->node);
  store_close(core->store);
  arena_close(&core->arena);
  free(core->pending);
  free(core->lazy);
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
  out->needs_snapshot = neighbour == NEIGHBOUR_PARENT
                            ? core->behind
                            : store_neighbour(core->store, neighbour)->dropped;
  if (repl_link_figures(core->node, neighbour, &figures)) {
    out->last_heard = figures.last_heard;
    out->rate_bytes_s = figures.rate_octets_s;
    out->connected = figures.up;
  }
  bool connected;
  out->since = peers_since(core->peers, neighbour, &connected);
  return true;
}
