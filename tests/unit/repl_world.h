/*
 * A small deterministic world for the replication core: nodes (repl_store.h), and wires between
 * them with a rate, a delay and an end, in virtual time. The same seed gives the same run. A
 * puppet is a neighbour without a core: tests write its messages and look at what it was sent.
 */
#ifndef TESTS_REPL_WORLD_H
#define TESTS_REPL_WORLD_H

#include "repl_store.h"

/* ---- stepping, and carrying effects out ---- */

static inline void node_step(struct world_node *node, const struct repl_event *event)
{
  assert_ok(repl_step(node->node, event, world_now(node->world), &node->effects));
}

static inline void wire_close(struct wire *wire)
{
  for (size_t i = wire->first; i < wire->count; i++) {
    bytes_close(&wire->frames[i].octets);
  }
  free(wire->frames);
  wire->frames = NULL;
  wire->first = wire->count = wire->capacity = 0;
  inbound_close(&wire->inbound);
  memset(&wire->inbound, 0, sizeof(wire->inbound));
}

/* The connection ends at both ends; what is on the way is lost. */
static inline void conn_drop(struct world_conn *conn)
{
  if (!conn->up) {
    return;
  }
  conn->up = false;
  for (unsigned i = 0; i < 2; i++) {
    struct world_node *node = conn->ends[i];
    struct repl_event event = {.type = REPL_PEER_DOWN, .neighbour = conn->numbers[i]};
    wire_close(&conn->wires[i]);
    node->peers[conn->numbers[i]].conn = NULL;
    if (!node->puppet) {
      node_step(node, &event);
    }
  }
}

static inline void wire_send(struct world *world, struct wire *wire, struct bytes *octets)
{
  int64_t from = wire->busy_until_us > world->now_us ? wire->busy_until_us : world->now_us;
  size_t size = octets->size + 20; /* the tag and the length */
  if (wire->octets_s != 0) {
    from += (int64_t)(size * 1000000 / wire->octets_s);
  }
  wire->busy_until_us = from;
  wire->frames_total++;
  wire->octets_total += size;
  wire->largest = octets->size > wire->largest ? octets->size : wire->largest;
  if (wire->count == wire->capacity) {
    wire->capacity = wire->capacity == 0 ? 64 : wire->capacity * 2;
    wire->frames = realloc(wire->frames, wire->capacity * sizeof(*wire->frames));
    assert_non_null(wire->frames);
  }
  wire->frames[wire->count++] = (struct wire_frame){*octets, from + wire->delay_us};
  *octets = (struct bytes){0};
}

static inline unsigned end_of(const struct world_conn *conn, const struct world_node *node)
{
  return conn->ends[0] == node ? 0 : 1;
}

static inline struct world_conn *conn_of(const struct world_node *node,
                                         const struct repl_effect *effect)
{
  struct world_conn *conn = node->peers[effect->neighbour].conn;
  return conn != NULL && conn->generation == effect->generation ? conn : NULL;
}

static inline void carry_load(struct world_node *node, const struct repl_effect *effect)
{
  struct repl_outgoing entries[REPL_LOADED_MAX];
  struct repl_event event = {.type = REPL_LOADED, .neighbour = effect->neighbour};
  const struct outbox *outbox = &node->peers[effect->neighbour].lanes[effect->lane];
  struct kept_commit **items = outbox->items;
  size_t held = outbox->count, octets = 0, count = 0;
  bool from_log = effect->type == REPL_LOAD_LOG;
  uint64_t at = effect->position;
  if (from_log) {
    const struct kept_log *log = log_find(node, &effect->log);
    items = log == NULL ? NULL : log->items;
    held = log == NULL ? 0 : log->count;
    node->loads_log++;
    node->lanes_loaded |= 1u << effect->lane;
  }
  assert_in_range(effect->count, 1, REPL_LOADED_MAX);
  for (; at != 0 && at <= held && count < effect->count; at++) {
    const struct kept_commit *item = items[at - 1];
    if (count > 0 && octets + item->zstd.size > effect->octets_max) {
      break;
    }
    octets += item->zstd.size;
    entries[count++] = (struct repl_outgoing){from_log ? 0 : at, item->header.certificate,
                                              (uint32_t)item->octets.size, item->zstd};
  }
  event.loaded = (struct repl_loaded){.generation = effect->generation,
                                      .lane = effect->lane,
                                      .from_log = from_log,
                                      .next_seq = at <= held ? at : 0,
                                      .count = count,
                                      .entries = entries};
  node_step(node, &event);
}

static inline void carry_check(struct world_node *node, const struct repl_effect *effect)
{
  struct repl_event event = {.type = REPL_CURSORS, .neighbour = effect->neighbour};
  event.cursors.generation = effect->generation;
  for (unsigned i = 0; i < LANE_COUNT; i++) {
    event.cursors.matches[i] =
        cursor_matches(node, &node->peers[effect->neighbour].lanes[i], &effect->cursors[i]);
  }
  node_step(node, &event);
}

static inline void carry_heads(struct world_node *node, const struct repl_effect *effect)
{
  struct heads_entry entries[HEADS_PAGE];
  struct repl_event event = {.type = REPL_HEADS_READ, .neighbour = effect->neighbour};
  size_t at = effect->position;
  for (; at < node->log_count && event.heads.count < HEADS_PAGE; at++) {
    const struct kept_log *log = &node->logs[at];
    if (stands_toward(node, &log->name.origin, effect->neighbour)) {
      struct heads_entry *entry = &entries[event.heads.count++];
      *entry = (struct heads_entry){.log = log->name, .seq = log->count};
      log_digest(log, UINT64_MAX, entry->digest, &entry->commits);
    }
  }
  event.heads.generation = effect->generation;
  event.heads.entries = entries;
  event.heads.final = at == node->log_count;
  event.heads.next = (uint32_t)at;
  node_step(node, &event);
}

static inline uint64_t plan_from(const struct repl_effect *effect, const struct kept_log *log)
{
  for (size_t i = 0; i < effect->count; i++) {
    const struct heads_entry *entry = &effect->heads[i];
    uint8_t digest[16];
    uint64_t commits;
    if (name_equal(&entry->log, &log->name)) {
      log_digest(log, entry->seq, digest, &commits);
      bool same = commits == entry->commits && memcmp(digest, entry->digest, 16) == 0;
      return !same ? 1 : log->count > entry->seq ? entry->seq + 1 : 0;
    }
  }
  return 1;
}

static inline void carry_plan(struct world_node *node, const struct repl_effect *effect)
{
  static struct repl_replay replays[LOGS_MAX];
  struct repl_event event = {.type = REPL_PLANNED, .neighbour = effect->neighbour};
  size_t count = 0;
  for (size_t i = 0; i < node->log_count; i++) {
    uint64_t from = plan_from(effect, &node->logs[i]);
    if (from != 0 && !stands_toward(node, &node->logs[i].name.origin, effect->neighbour)) {
      replays[count++] = (struct repl_replay){node->logs[i].name, from, 0};
    }
  }
  event.planned.generation = effect->generation;
  event.planned.count = count;
  event.planned.replays = replays;
  for (unsigned i = 0; i < LANE_COUNT; i++) {
    const struct outbox *outbox = &node->peers[effect->neighbour].lanes[i];
    event.planned.cursors[i].store = node->store;
    event.planned.cursors[i].position = outbox->count;
    outbox_tag(outbox, outbox->count, event.planned.cursors[i].tag);
  }
  node_step(node, &event);
}

static inline void carry_query(struct world_node *node, const struct repl_effect *effect)
{
  static uint8_t body[5 * 1024 * 1024];
  struct repl_event event = {.type = REPL_REPLY, .neighbour = effect->neighbour};
  event.reply.id = effect->message->query.id;
  event.reply.body = bytes_view_of(body, node->answer_octets);
  node->queries++;
  if (node->answer_octets > 0) {
    node_step(node, &event);
  }
}

static inline void carry_answered(struct world_node *node, const struct repl_effect *effect)
{
  if (effect->message == NULL) {
    node->answers_missing++;
    return;
  }
  node->answers++;
  node->answer_size = effect->message->answer.body.size;
  node->answer_status = effect->message->answer.status;
}

static inline void carry_persist(struct world_node *node, struct repl_effect *effect)
{
  struct world *world = node->world;
  node->pending = realloc(node->pending, (node->pending_count + 1) * sizeof(*node->pending));
  assert_non_null(node->pending);
  node->pending[node->pending_count++] = *effect;
  effect->message = NULL;
  if (node->persist_at_us == INT64_MAX) {
    node->persist_at_us = world->now_us + node->fsync_us;
  }
}

static inline void carry(struct world_node *node, struct repl_effect *effect)
{
  struct world_conn *conn;
  switch (effect->type) {
  case REPL_SEND:
    conn = conn_of(node, effect);
    assert_in_range(effect->octets.size, 1, FRAME_PLAIN_MAX);
    if (conn != NULL) {
      wire_send(node->world, &conn->wires[end_of(conn, node)], &effect->octets);
    }
    break;
  case REPL_DISCONNECT:
    node->disconnects++;
    node->reason = effect->text;
    conn = conn_of(node, effect);
    if (conn != NULL) {
      conn_drop(conn);
    }
    break;
  case REPL_LOAD:
  case REPL_LOAD_LOG:
    carry_load(node, effect);
    break;
  case REPL_CHECK_CURSORS:
    carry_check(node, effect);
    break;
  case REPL_READ_HEADS:
    carry_heads(node, effect);
    break;
  case REPL_PLAN_RESYNC:
    carry_plan(node, effect);
    break;
  case REPL_QUERY:
    carry_query(node, effect);
    break;
  case REPL_ANSWERED:
    carry_answered(node, effect);
    break;
  case REPL_NOTICE:
    node->notices++;
    break;
  case REPL_UP:
    node->ups++;
    break;
  case REPL_BEHIND:
    break;
  case REPL_HOLD:
    node->hold_ms = (int64_t)effect->position;
    break;
  default:
    carry_persist(node, effect);
    break;
  }
}

/* Effects in order; what follows from one comes after all that stood before. */
static inline void node_carry(struct world_node *node)
{
  while (node->effects.count > 0) {
    struct repl_effects taken = node->effects;
    memset(&node->effects, 0, sizeof(node->effects));
    for (size_t i = 0; i < taken.count; i++) {
      carry(node, &taken.items[i]);
    }
    repl_effects_close(&taken);
  }
}

static inline void world_carry(struct world *world)
{
  for (size_t i = 0; i < world->node_count; i++) {
    node_carry(&world->nodes[i]);
  }
}

/* An event as a driver brings it. */
static inline void node_event(struct world_node *node, const struct repl_event *event)
{
  node_step(node, event);
  world_carry(node->world);
}

/* ---- the transaction ---- */

static inline void tell_outboxes(struct world_node *node)
{
  for (uint16_t i = 1; i < PEERS_MAX; i++) {
    struct repl_event event = {.type = REPL_OUTBOX, .neighbour = i};
    bool grew = false;
    for (unsigned lane = 0; lane < LANE_COUNT; lane++) {
      struct outbox *outbox = &node->peers[i].lanes[lane];
      grew = grew || outbox->count != outbox->told;
      event.outbox.ends[lane] = outbox->told = outbox->count;
    }
    if (grew) {
      node_step(node, &event);
    }
  }
}

static inline void apply_commits(struct world_node *node, const struct repl_effect *effect,
                                 struct repl_refused *refused, size_t *refused_count)
{
  struct message_commits *commits = &effect->message->commits;
  for (unsigned i = 0; i < commits->count; i++) {
    struct message_commit *item = &commits->items[i];
    if (item->verdict == VERDICT_OK) {
      item->verdict = store_take(node, commit_keep(node->world, item->commit.octets));
    }
    if (item->verdict == VERDICT_OK || item->verdict == VERDICT_DUPLICATE) {
      continue;
    }
    struct log_name name = name_of(&item->commit.header);
    const struct kept_log *log = log_find(node, &name);
    struct repl_refused *entry = &refused[(*refused_count)++];
    *entry = (struct repl_refused){name, item->commit.header.seq, item->verdict,
                                   log == NULL ? 1 : log->count + 1};
    node->refused = realloc(node->refused, (node->refused_count + 1) * sizeof(*node->refused));
    assert_non_null(node->refused);
    node->refused[node->refused_count++] = *entry;
  }
}

static inline void apply_effect(struct world_node *node, const struct repl_effect *effect)
{
  struct repl_refused refused[MESSAGE_COMMITS_MAX];
  struct repl_event event = {.type = REPL_PERSISTED, .neighbour = effect->neighbour};
  struct outbox *outbox = &node->peers[effect->neighbour].lanes[effect->lane];
  size_t count = 0;
  if (effect->type == REPL_PERSIST_ACK) {
    assert_in_range(effect->position, outbox->acked, outbox->count);
    outbox->acked = effect->position;
  } else if (effect->type == REPL_PERSIST_REFUSALS) {
    node->refusals_told += effect->message->ack.refusal_count;
  } else if (effect->type == REPL_PERSIST_PASSED) {
    node->passed_seq = effect->position;
  } else if (effect->type != REPL_PERSIST_CERTIFICATE) {
    if (effect->type == REPL_PERSIST_COMMITS) {
      apply_commits(node, effect, refused, &count);
      event.persisted.message = effect->message;
    }
    if (effect->has_cursor) {
      outbox->received = effect->cursor;
      event.persisted.position = effect->cursor.position;
    }
    event.persisted.generation = effect->generation;
    event.persisted.lane = effect->lane;
    event.persisted.refused = refused;
    event.persisted.refused_count = count;
    node_step(node, &event);
  }
}

static inline void node_persist(struct world_node *node)
{
  struct repl_effect *pending = node->pending;
  size_t count = node->pending_count;
  node->pending = NULL;
  node->pending_count = 0;
  node->persist_at_us = INT64_MAX;
  for (size_t i = 0; i < count; i++) {
    apply_effect(node, &pending[i]);
    message_release(pending[i].message);
  }
  free(pending);
  tell_outboxes(node);
  world_carry(node->world);
}

/* The node's own people write; durable at once. */
static inline void node_say(struct world_node *node, const struct commit_wish *wish)
{
  assert_int_equal(store_take(node, commit_make(node, wish)), VERDICT_OK);
  tell_outboxes(node);
  world_carry(node->world);
}

/* ---- connections ---- */

/* Makes the two neighbours; connects nothing. */
static inline struct world_conn *conn_add(struct world *world, struct world_node *child,
                                          struct world_node *parent)
{
  assert_true(world->conn_count < CONNS_MAX);
  struct world_conn *conn = &world->conns[world->conn_count++];
  uint16_t number = 2;
  while (parent->peers[number].node != NULL) {
    number++;
  }
  assert_true(number < PEERS_MAX);
  child->peers[1] = (struct peer_row){.node = parent, .is_parent = true};
  parent->peers[number] = (struct peer_row){.node = child};
  *conn = (struct world_conn){.ends = {child, parent}, .numbers = {1, number}};
  conn->wires[0].delay_us = conn->wires[1].delay_us = 1000;
  return conn;
}

static inline void conn_speed(struct world_conn *conn, uint64_t octets_s, int64_t delay_ms)
{
  for (unsigned i = 0; i < 2; i++) {
    conn->wires[i].octets_s = octets_s;
    conn->wires[i].delay_us = delay_ms * 1000;
  }
}

/* The handshake is finished. */
static inline void conn_up(struct world_conn *conn)
{
  struct world *world = conn->ends[0]->world;
  assert_false(conn->up);
  conn->up = true;
  conn->generation = ++world->generation;
  for (unsigned i = 0; i < 2; i++) {
    struct world_node *node = conn->ends[i];
    struct peer_row *peer = &node->peers[conn->numbers[i]];
    struct repl_event event = {.type = REPL_PEER_UP, .neighbour = conn->numbers[i]};
    peer->conn = conn;
    conn->wires[i].busy_until_us = 0;
    event.up.generation = conn->generation;
    event.up.address = peer->node->address;
    event.up.is_parent = peer->is_parent;
    for (unsigned lane = 0; lane < LANE_COUNT; lane++) {
      event.up.received[lane] = peer->lanes[lane].received;
      event.up.ends[lane] = peer->lanes[lane].count;
      event.up.acked[lane] = peer->lanes[lane].acked;
    }
    if (!node->puppet) {
      node_step(node, &event);
    }
  }
  world_carry(world);
}

/* ---- puppets ---- */

/* Takes over `octets`. */
static inline void puppet_send(struct world_node *puppet, struct bytes *octets)
{
  struct world_conn *conn = puppet->peers[1].node != NULL ? puppet->peers[1].conn : NULL;
  conn = conn == NULL ? puppet->peers[2].conn : conn;
  if (conn == NULL) {
    bytes_close(octets);
    return;
  }
  wire_send(puppet->world, &conn->wires[end_of(conn, puppet)], octets);
}

static inline void puppet_hello(struct world_node *puppet, uint8_t role)
{
  struct bytes octets = {0};
  struct message_hello hello = {.version_min = 1,
                                .version_max = 1,
                                .role = role,
                                .clock = {WORLD_WALL_MS},
                                .store = puppet->store,
                                .software = "p"};
  assert_ok(message_write_hello(&hello, &octets));
  puppet_send(puppet, &octets);
}

static inline void puppet_commits(struct world_node *puppet, unsigned lane, uint64_t position,
                                  struct kept_commit *const *commits, size_t count)
{
  struct outgoing_commit outgoing[MESSAGE_COMMITS_MAX];
  struct bytes octets = {0};
  for (size_t i = 0; i < count; i++) {
    outgoing[i] = (struct outgoing_commit){(uint32_t)commits[i]->octets.size, commits[i]->zstd};
  }
  assert_ok(message_write_commits(lane, position, outgoing, count, &octets));
  puppet_send(puppet, &octets);
}

static inline void puppet_forget(struct world_node *puppet)
{
  for (size_t i = 0; i < puppet->inbox_count; i++) {
    message_release(puppet->inbox[i]);
  }
  puppet->inbox_count = 0;
}

static inline size_t puppet_count(const struct world_node *puppet, enum message_type type)
{
  size_t count = 0;
  for (size_t i = 0; i < puppet->inbox_count; i++) {
    count += puppet->inbox[i]->type == type;
  }
  return count;
}

static inline const struct message *puppet_last(const struct world_node *puppet,
                                                enum message_type type)
{
  for (size_t i = puppet->inbox_count; i > 0; i--) {
    if (puppet->inbox[i - 1]->type == type) {
      return puppet->inbox[i - 1];
    }
  }
  return NULL;
}

/* ---- time ---- */

static inline void deliver(struct world_conn *conn, unsigned from)
{
  struct wire *wire = &conn->wires[from];
  struct world_node *node = conn->ends[1 - from];
  struct repl_event event = {.type = REPL_MESSAGE, .neighbour = conn->numbers[1 - from]};
  struct bytes octets = wire->frames[wire->first++].octets;
  if (wire->first == wire->count) {
    wire->first = wire->count = 0;
  }
  assert_ok(inbound_frame(&wire->inbound, bytes_as_view(&octets), &event.message));
  bytes_close(&octets);
  if (node->puppet) {
    assert_true(node->inbox_count < PUPPET_INBOX_MAX);
    node->inbox[node->inbox_count++] = event.message;
    return;
  }
  node_step(node, &event);
  message_release(event.message);
  world_carry(node->world);
}

/* Whether something happens before `limit_us`; it is done. */
static inline bool world_step(struct world *world, int64_t limit_us)
{
  int64_t at = limit_us;
  struct wire *wire = NULL;
  struct world_node *persists = NULL, *ticks = NULL;
  for (size_t i = 0; i < world->node_count; i++) {
    struct world_node *node = &world->nodes[i];
    int64_t tick = node->puppet ? INT64_MAX : repl_next_deadline(node->node).ms;
    if (node->persist_at_us < at) {
      at = node->persist_at_us;
      persists = node;
    }
    if (tick < INT64_MAX / 1000 && tick * 1000 < at) {
      at = tick * 1000 > world->now_us ? tick * 1000 : world->now_us;
      ticks = node;
      persists = NULL;
    }
  }
  struct world_conn *conn = NULL;
  for (size_t i = 0; i < world->conn_count * 2; i++) {
    struct wire *each = &world->conns[i / 2].wires[i % 2];
    if (each->first < each->count && each->frames[each->first].at_us <= at &&
        each->frames[each->first].at_us < limit_us) {
      at = each->frames[each->first].at_us;
      wire = each;
      conn = &world->conns[i / 2];
    }
  }
  world->now_us = at > world->now_us ? at : world->now_us;
  if (wire != NULL) {
    deliver(conn, wire == &conn->wires[0] ? 0 : 1);
  } else if (persists != NULL) {
    node_persist(persists);
  } else if (ticks != NULL) {
    struct repl_event event = {.type = REPL_TICK};
    node_event(ticks, &event);
  }
  return wire != NULL || persists != NULL || ticks != NULL;
}

static inline void world_run(struct world *world, int64_t ms)
{
  int64_t limit_us = world->now_us + ms * 1000;
  unsigned steps = 0;
  while (world_step(world, limit_us)) {
    assert_true(++steps < 2000000); /* otherwise something spins */
  }
  world->now_us = limit_us;
}

/* Runs until `node` holds `count` commits of that log, at most `ms`; milliseconds it took. */
static inline int64_t world_run_until(struct world *world, int64_t ms, struct world_node *node,
                                      const struct world_node *origin, unsigned lane, size_t count)
{
  int64_t from_us = world->now_us;
  while (node_holds(node, origin, lane) < count) {
    if (!world_step(world, from_us + ms * 1000)) {
      fail_msg("%zu of %zu commits after %lld ms", node_holds(node, origin, lane), count,
               (long long)ms);
    }
  }
  return (world->now_us - from_us) / 1000;
}

static inline void node_close(struct world_node *node)
{
  repl_node_free(node->node);
  repl_effects_close(&node->effects);
  for (size_t i = 0; i < node->log_count; i++) {
    free(node->logs[i].items);
  }
  for (unsigned i = 0; i < PEERS_MAX * LANE_COUNT; i++) {
    free(node->peers[i / LANE_COUNT].lanes[i % LANE_COUNT].items);
  }
  for (size_t i = 0; i < node->pending_count; i++) {
    message_release(node->pending[i].message);
  }
  puppet_forget(node);
  free(node->pending);
  free(node->refused);
  free(node->logs);
  bytes_close(&node->certificate);
}

static inline void world_close(struct world *world)
{
  for (size_t i = 0; i < world->conn_count * 2; i++) {
    wire_close(&world->conns[i / 2].wires[i % 2]);
  }
  for (size_t i = 0; i < world->node_count; i++) {
    node_close(&world->nodes[i]);
  }
  bytes_close(&world->root_certificate);
  arena_close(&world->arena);
}

#endif
