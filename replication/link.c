/*
 * A link's life: hello, cursors, resynchronisation, and what comes in.
 */
#include "link.h"

#include <stdlib.h>
#include <string.h>

#include "node_internal.h"
#include "record/check.h"

#define BUSY_RETRY_MS 30000
#define BUSY_TELL_MS 20000

void link_fail(struct link *link, const char *why, struct step *step)
{
  if (link->state == LINK_DOWN) {
    return;
  }
  step_effect(step, REPL_DISCONNECT, link)->text = why;
  link_close(link);
}

static void lane_close(struct link_lane *lane)
{
  bytes_close(&lane->message);
  free(lane->replays);
  free(lane->unacked);
  memset(lane, 0, sizeof(*lane));
}

void link_close(struct link *link)
{
  struct link kept = {.neighbour = link->neighbour, .generation = link->generation};
  memcpy(kept.reached, link->reached, sizeof(kept.reached));
  for (unsigned i = 0; i < LANE_COUNT; i++) {
    if (link->lanes[i].reached.from_seq != 0) {
      kept.reached[i] = link->lanes[i].reached;
    }
    lane_close(&link->lanes[i]);
  }
  for (unsigned i = 0; i < link->answer_count; i++) {
    bytes_close(&link->answers[i]);
  }
  free(link->certificates_sent);
  free(link->heads);
  kept.heard_wall = link->heard_wall;
  kept.report_at.ms = INT64_MAX;
  *link = kept;
}

static void send_hello(struct link *link, struct step *step)
{
  struct message_hello hello = {.version_min = PROTOCOL_VERSION,
                                .version_max = PROTOCOL_VERSION,
                                .role = link->is_parent ? ROLE_CHILD : ROLE_PARENT,
                                .clock = step->now.wall,
                                .store = step->node->settings.store,
                                .dropped = link->outbox_dropped};
  struct bytes message = {0};
  for (unsigned i = 0; i < LANE_COUNT; i++) {
    hello.cursors[i] = link->lanes[i].received;
  }
  const char *software = step->node->settings.software;
  size_t size = software == NULL ? 0 : strnlen(software, VERSION_TEXT_MAX);
  memcpy(hello.software, software == NULL ? "" : software, size);
  step_check(step, message_write_hello(&hello, &message));
  link_send_control(link, &message, step);
}

void link_open(struct link *link, const struct repl_peer_up *up, struct step *step)
{
  link_close(link);
  link->state = LINK_HELLO;
  link->generation = up->generation;
  link->is_parent = up->is_parent;
  link->outbox_dropped = up->dropped;
  link->address = up->address;
  link->window = LINK_WINDOW_FIRST;
  link->delay_base_ms = -1;
  link->opened_at = link->heard_at = link->sent_at = step->now.mono;
  link->rate_from = link->tokens_at = step->now.mono;
  link->heard_wall = step->now.wall;
  memcpy(link->own_heads, up->own_heads, sizeof(link->own_heads));
  for (unsigned i = 0; i < LANE_COUNT; i++) {
    link->lanes[i].end = up->ends[i];
    link->lanes[i].acked = up->acked[i];
    link->lanes[i].received = up->received[i];
  }
  send_hello(link, step);
}

/* Its store is not the one that our cursors speak of: nothing of it has been read. The sender sees
 * the same and starts at 1, or sends everything again. */
static void forget_other_store(struct link *link)
{
  for (unsigned i = 0; i < LANE_COUNT; i++) {
    struct link_cursor *cursor = &link->lanes[i].received;
    if (memcmp(cursor->store.octets, link->peer_store.octets, STORE_ID_SIZE) != 0) {
      memset(cursor, 0, sizeof(*cursor));
      cursor->store = link->peer_store;
    }
  }
}

static void note_behind(struct link *link, bool behind, struct step *step)
{
  step_effect(step, REPL_BEHIND, link)->position = behind;
}

/* What the parent dropped isn't lacking, or no longer. */
static void note_level(struct link *link, struct step *step)
{
  bool level = link->peer_dropped;
  for (unsigned i = 0; i < LANE_COUNT; i++) {
    level = level && !link->lanes[i].adopts;
  }
  if (level) {
    link->peer_dropped = false;
    note_behind(link, false, step);
  }
}

static void take_hello(struct link *link, const struct message_hello *hello, struct step *step)
{
  if (link->hello_taken) {
    link_fail(link, "a second hello", step);
    return;
  }
  if (hello->version_min > PROTOCOL_VERSION || hello->version_max < PROTOCOL_VERSION) {
    link_fail(link, "no protocol version in common", step);
    return;
  }
  if (hello->role != (link->is_parent ? ROLE_PARENT : ROLE_CHILD)) {
    link_fail(link, "peer claims the wrong role", step);
    return;
  }
  link->hello_taken = true;
  link->peer_dropped = hello->dropped;
  if (hello->dropped) {
    step_effect(step, REPL_NOTICE, link)->text =
        "the neighbour dropped what waited for us, and compares heads";
  } else if (link->is_parent) {
    note_behind(link, false, step);
  }
  link->peer_store = hello->store;
  forget_other_store(link);
  for (unsigned i = 0; i < LANE_COUNT; i++) {
    link->lanes[i].adopt = hello->cursors[i];
  }
  struct repl_effect *effect = step_effect(step, REPL_CHECK_CURSORS, link);
  memcpy(effect->cursors, hello->cursors, sizeof(effect->cursors));
}

static void tell_busy(struct link *link, struct step *step)
{
  struct bytes message = {0};
  bool busy = !step->node->room;
  if (!busy && link->busy_told_at.ms == 0) {
    return;
  }
  step_check(step, message_write_busy(busy ? BUSY_RETRY_MS : 0, &message));
  link->busy_told_at.ms = busy ? step->now.mono.ms : 0;
  link_send_control(link, &message, step);
}

void link_room(struct link *link, struct step *step)
{
  if (step->node->room && link->dropped) {
    link_fail(link, "room again, starting over from the cursor", step);
  } else if (link->state == LINK_UP) {
    tell_busy(link, step);
  }
}

static void ask_heads(struct link *link, struct step *step)
{
  struct message_want want = {.what = WANT_HEADS};
  link->resync_asked = true;
  link->resync_heard_at = step->now.mono;
  for (unsigned i = 0; i < LANE_COUNT; i++) {
    link->lanes[i].resync = true;
    link->lanes[i].adopt.position = UINT64_MAX;
  }
  link_send_want(link, &want, step);
}

/* The peer's cursor stands in our outbox (or speaks of another store, of which everything is still
 * here): go on after it. What it holds durably counts as acknowledged. */
static void resume_lane(struct link *link, unsigned number, struct step *step)
{
  struct link_lane *lane = &link->lanes[number];
  bool ours =
      memcmp(lane->adopt.store.octets, step->node->settings.store.octets, STORE_ID_SIZE) == 0;
  uint64_t position = ours ? lane->adopt.position : 0;
  lane->next = position + 1;
  if (position > lane->acked || (link->outbox_dropped && position > 0 && position == lane->acked)) {
    lane->acked = position;
    struct repl_effect *effect = step_effect(step, REPL_PERSIST_ACK, link);
    effect->lane = (uint8_t)number;
    effect->position = position;
  }
}

void link_cursors(struct link *link, const bool matches[LANE_COUNT], struct step *step)
{
  if (link->state != LINK_HELLO || !link->hello_taken) {
    return;
  }
  link->state = LINK_UP;
  step_effect(step, REPL_UP, link);
  if (!step->node->room) {
    tell_busy(link, step);
  }
  bool all = true;
  for (unsigned i = 0; i < LANE_COUNT; i++) {
    all = all && matches[i];
  }
  if (all) {
    for (unsigned i = 0; i < LANE_COUNT; i++) {
      resume_lane(link, i, step);
    }
  } else {
    step_effect(step, REPL_NOTICE, link)->text = "cursors differ, comparing heads";
    if (link->outbox_dropped) {
      note_behind(link, true, step);
    }
    ask_heads(link, step);
  }
  node_ask_quarantined(step->node, link, step);
  link_pump(link, step);
}

/* ---- what comes in ---- */

static void take_ack_lane(struct link *link, unsigned number, uint64_t position, struct step *step)
{
  struct link_lane *lane = &link->lanes[number];
  if (link->outbox_dropped && position == lane->adopting && position == lane->acked) {
    struct repl_effect *level = step_effect(step, REPL_PERSIST_ACK, link);
    level->lane = (uint8_t)number;
    level->position = position;
  }
  if (position >= lane->adopting) {
    lane->adopting = 0;
  }
  if (position <= lane->acked) {
    return;
  }
  if (position >= lane->next) {
    link_fail(link, "peer acknowledges what was not sent", step);
    return;
  }
  lane->acked = position;
  while (lane->unacked_count > 0 && lane->unacked[lane->unacked_first].position <= position) {
    lane->unacked_octets -= lane->unacked[lane->unacked_first].octets;
    lane->unacked_first = (uint16_t)((lane->unacked_first + 1) % LINK_UNACKED_MAX);
    lane->unacked_count--;
  }
  struct repl_effect *effect = step_effect(step, REPL_PERSIST_ACK, link);
  effect->lane = (uint8_t)number;
  effect->position = position;
}

/* What was on the way at the mark has come. */
static void note_reached(struct link *link)
{
  for (unsigned i = 0; i < LANE_COUNT; i++) {
    struct link_lane *lane = &link->lanes[i];
    if (lane->mark_octets != 0 && link->sent_reported >= lane->mark_octets) {
      lane->reached = lane->mark;
      lane->mark_octets = 0;
    }
  }
}

static void take_ack(struct link *link, struct message *message, struct step *step)
{
  const struct message_ack *ack = &message->ack;
  link_flow_reported(link, ack->received, step);
  note_reached(link);
  for (unsigned i = 0; i < ack->lane_count && link->state == LINK_UP; i++) {
    take_ack_lane(link, ack->lanes[i].lane, ack->lanes[i].position, step);
  }
  if (ack->refusal_count > 0 && link->state == LINK_UP) {
    struct repl_effect *effect = step_effect(step, REPL_PERSIST_REFUSALS, link);
    effect->message = message;
    message_retain(message);
  }
}

static void take_commits(struct link *link, struct message *message, struct step *step)
{
  struct message_commits *commits = &message->commits;
  struct link_cursor *received = &link->lanes[commits->lane].received;
  if (!step->node->room || link->dropped) {
    /* On the way before our busy came: the cursor stays, everything else goes on. */
    link->dropped = true;
    if (link->busy_told_at.ms == 0 && link->state == LINK_UP) {
      tell_busy(link, step);
    }
    return;
  }
  if (commits->position == 0) {
    node_take_commits(step->node, link, message, NULL, step);
    return;
  }
  if (commits->position != received->position + 1) {
    link_fail(link, "commits out of order", step);
    return;
  }
  for (unsigned i = 0; i < commits->count; i++) {
    hash_tag_next(received->tag, &commits->items[i].commit.id);
  }
  received->position += commits->count;
  note_level(link, step); /* our cursor stood after all */
  node_take_commits(step->node, link, message, received, step);
}

/* What a lane's outbox brought may belong to a log of another lane (history travels where the
 * record went that widened), so a cursor that is adopted holds only beside the two others: until
 * each lane's has come, none of those that are left stands, here or after a restart. */
static void drop_cursor(const struct link *link, unsigned number, struct step *step)
{
  struct repl_effect *effect = step_effect(step, REPL_PERSIST_CURSOR, link);
  effect->lane = (uint8_t)number;
  effect->has_cursor = true;
  effect->cursor.store = link->peer_store;
  memset(effect->cursor.tag, 0xff, sizeof(effect->cursor.tag)); /* none is at position 0 */
}

/* Reading heads costs a walk over the logs: once a connection. */
static void take_want_heads(struct link *link, struct step *step)
{
  if (link->heads_asked) {
    link_fail(link, "peer asks for heads twice", step);
    return;
  }
  link->heads_asked = true;
  link->heads_due = true;
  link->heads_next = 0;
  for (unsigned i = 0; i < LANE_COUNT; i++) {
    link->lanes[i].adopts = true;
    drop_cursor(link, i, step);
  }
  if (link->peer_dropped) {
    note_behind(link, true, step);
  }
}

static void take_want(struct link *link, const struct message_want *want, struct step *step)
{
  switch (want->what) {
  case WANT_LOG: {
    const struct repl_replay replay = {.log = want->log,
                                       .from_seq = want->seq == 0 ? 1 : want->seq};
    link_queue_replay(link, &replay, LINK_WANTS_MAX, step);
    break;
  }
  case WANT_CERTIFICATE: {
    size_t index = certificates_find(&step->node->certificates, &want->certificate);
    if (index != 0) {
      struct bytes message = {0};
      const struct known_certificate *known = step->node->certificates.items[index - 1];
      step_check(step, message_write_certificate(known->certificate.octets, &message));
      link_send_control(link, &message, step);
    }
    break;
  }
  case WANT_HEADS:
    take_want_heads(link, step);
    break;
  default:
    break; /* of a later version */
  }
}

void link_heads_read(struct link *link, const struct repl_event *event, struct step *step)
{
  struct message_heads heads = {.final = event->heads.final, .count = event->heads.count};
  struct bytes message = {0};
  if (link->state != LINK_UP || event->heads.generation != link->generation) {
    return;
  }
  heads.entries =
      event->heads.count == 0 ? NULL : (struct heads_entry *)(uintptr_t)event->heads.entries;
  step_check(step, message_write_heads(&heads, &message));
  link_send_control(link, &message, step);
  link->heads_due = !heads.final;
  link->heads_next = event->heads.next;
  link_pump(link, step);
}

static void adopt_cursor(struct link *link, const struct message_heads *heads, struct step *step)
{
  struct link_cursor *received = &link->lanes[heads->lane].received;
  if (link->dropped) {
    return; /* what stands before that cursor was not all taken */
  }
  link->lanes[heads->lane].adopts = false;
  received->store = link->peer_store;
  received->position = heads->position;
  memcpy(received->tag, heads->tag, sizeof(received->tag));
  struct repl_effect *effect = step_effect(step, REPL_PERSIST_CURSOR, link);
  effect->lane = heads->lane;
  effect->position = heads->position;
  effect->has_cursor = true;
  effect->cursor = *received;
  note_level(link, step);
}

static void take_heads(struct link *link, const struct message_heads *heads, struct step *step)
{
  if (heads->adopts) {
    adopt_cursor(link, heads, step);
    return;
  }
  if (!link->resync_asked) {
    return;
  }
  link->resync_heard_at = step->now.mono;
  size_t total = link->head_count + heads->count;
  if (total > LINK_REPLAYS_MAX) {
    link_fail(link, "more heads than there can be logs", step);
    return;
  }
  struct heads_entry *grown = realloc(link->heads, (total + 1) * sizeof(*grown));
  if (grown == NULL) {
    step_check(step, STATUS_NO_MEMORY);
    return;
  }
  link->heads = grown;
  memcpy(grown + link->head_count, heads->entries, heads->count * sizeof(*grown));
  link->head_count = total;
  if (heads->final) {
    link->resync_asked = false;
    struct repl_effect *effect = step_effect(step, REPL_PLAN_RESYNC, link);
    effect->heads = link->heads;
    effect->count = link->head_count;
    link->heads = NULL;
    link->head_count = 0;
  }
}

/* A log that differs is sent whole; where the last connection ended within it, from there on, then
 * from its start up to there: links that never last for all of it bring it nevertheless. Not to a
 * parent, where logs have to come in order. */
static void queue_planned(struct link *link, const struct repl_replay *replay, struct step *step)
{
  const struct repl_replay *reached = &link->reached[replay->log.lane];
  struct repl_replay rest = *replay;
  if (!link->is_parent && replay->from_seq == 1 && reached->from_seq > 1 &&
      memcmp(reached->log.origin.octets, replay->log.origin.octets, KEY_SIZE) == 0 &&
      memcmp(reached->log.store.octets, replay->log.store.octets, STORE_ID_SIZE) == 0) {
    rest.from_seq = reached->from_seq;
    link_queue_replay(link, &rest, 0, step);
    rest = *replay;
    rest.until_seq = reached->from_seq - 1;
  }
  link_queue_replay(link, &rest, 0, step);
}

void link_planned(struct link *link, const struct repl_planned *planned, struct step *step)
{
  if (link->state != LINK_UP || planned->generation != link->generation) {
    return;
  }
  for (size_t i = 0; i < planned->count; i++) {
    queue_planned(link, &planned->replays[i], step);
  }
  for (unsigned i = 0; i < LANE_COUNT; i++) {
    link->lanes[i].adopt = planned->cursors[i];
    if (link->lanes[i].end < planned->cursors[i].position) {
      link->lanes[i].end = planned->cursors[i].position;
    }
  }
  link_pump(link, step);
}

/* The child's own head, told while nothing flows: where it is ahead of what its cursor says there
 * is something missing that neither side knows of; the next hello compares heads. */
static void take_idle(struct link *link, const struct message_idle *idle, struct step *step)
{
  for (unsigned i = 0; i < LANE_COUNT; i++) {
    if (idle->ends[i] < link->lanes[i].received.position && !link->lanes[i].adopts) {
      link_fail(link, "peer's outbox is behind what it sent", step);
      return;
    }
  }
  note_level(link, step);
}

static void take_query(struct link *link, struct message *message, struct step *step)
{
  struct repl_effect *effect = step_effect(step, REPL_QUERY, link);
  effect->message = message;
  message_retain(message);
}

static void take_answer(struct link *link, struct message *message, struct step *step)
{
  struct repl_effect *effect = step_effect(step, REPL_ANSWERED, link);
  effect->message = message;
  message_retain(message);
}

static void dispatch(struct link *link, struct message *message, struct step *step)
{
  switch (message->type) {
  case MESSAGE_HELLO:
    take_hello(link, &message->hello, step);
    break;
  case MESSAGE_HEADS:
    take_heads(link, &message->heads, step);
    break;
  case MESSAGE_CERTIFICATE:
    node_take_certificate(step->node, link, message, step);
    break;
  case MESSAGE_COMMITS:
    take_commits(link, message, step);
    break;
  case MESSAGE_ACK:
    take_ack(link, message, step);
    break;
  case MESSAGE_WANT:
    take_want(link, &message->want, step);
    break;
  case MESSAGE_QUERY:
    take_query(link, message, step);
    break;
  case MESSAGE_ANSWER:
    take_answer(link, message, step);
    break;
  case MESSAGE_BUSY:
    link->hold_until.ms = message->busy_ms == 0 ? 0 : step->now.mono.ms + message->busy_ms;
    step_effect(step, REPL_HOLD, link)->position = message->busy_ms;
    break;
  case MESSAGE_IDLE:
    take_idle(link, &message->idle, step);
    break;
  case MESSAGE_FLOOR: {
    struct repl_effect *effect = step_effect(step, REPL_PERSIST_FLOOR, link);
    effect->message = message;
    message_retain(message);
    break;
  }
  default:
    break; /* a part's progress, or a type of a later version */
  }
}

void link_message(struct link *link, struct message *message, struct step *step)
{
  if (link->state == LINK_DOWN) {
    return;
  }
  link->heard_at = step->now.mono;
  link->heard_wall = step->now.wall;
  if (message->type != MESSAGE_ACK) {
    link_flow_received(link, message->wire_octets, step);
  }
  /* Our own hello is out before any other message of ours, and so is the peer's. Until ours was
   * judged (link_cursors), what follows its hello can only be about its own outbox. */
  if (!link->hello_taken && message->type != MESSAGE_HELLO && message->type != MESSAGE_ACK) {
    link_fail(link, "expected hello first", step);
    return;
  }
  dispatch(link, message, step);
  if (link->state != LINK_DOWN && link->report_at.ms <= step->now.mono.ms) {
    link_flush_ack(link, step);
  }
  link_pump(link, step);
}

/* Every refusal is listed before the position that covers it is acknowledged. */
static void note_result(struct link *link, const struct repl_refused *refused, struct step *step)
{
  if (link->refusal_count == MESSAGE_REFUSALS_MAX) {
    link_flush_ack(link, step);
  }
  link->refusals[link->refusal_count++] =
      (struct refusal){refused->log, refused->seq, (uint8_t)refused->verdict};
}

void link_persisted(struct link *link, const struct repl_persisted *persisted, struct step *step)
{
  if (link->state == LINK_DOWN || persisted->generation != link->generation) {
    return;
  }
  for (size_t i = 0; i < persisted->refused_count; i++) {
    note_result(link, &persisted->refused[i], step);
  }
  if (persisted->position != 0) {
    struct link_lane *lane = &link->lanes[persisted->lane];
    lane->ack_due = true;
    lane->ack_position = persisted->position;
    /* One ack for all that one transaction made durable: sent at the end of the step. */
    link->report_at = step->now.mono;
  }
}

void link_outbox(struct link *link, const struct repl_event *event, struct step *step)
{
  for (unsigned i = 0; i < LANE_COUNT; i++) {
    if (event->outbox.ends[i] > link->lanes[i].end) {
      link->lanes[i].end = event->outbox.ends[i];
    }
  }
  memcpy(link->own_heads, event->outbox.own_heads, sizeof(link->own_heads));
  link_pump(link, step);
}

/* ---- time ---- */

static void send_idle(struct link *link, struct step *step)
{
  struct message_idle idle = {.clock = step->now.wall};
  struct bytes message = {0};
  for (unsigned i = 0; i < LANE_COUNT; i++) {
    idle.ends[i] = link->lanes[i].end;
    if (link->own_heads[i].seq != 0) {
      idle.heads[idle.head_count++] = link->own_heads[i];
    }
  }
  step_check(step, message_write_idle(&idle, &message));
  link_send_control(link, &message, step);
}

static bool answer_due(const struct link *link)
{
  return link->sent > link->sent_reported;
}

void link_tick(struct link *link, struct step *step)
{
  const struct repl_settings *settings = &step->node->settings;
  int64_t now = step->now.mono.ms;
  if (link->state == LINK_DOWN) {
    return;
  }
  if (link->state == LINK_HELLO && now >= link->opened_at.ms + settings->hello_ms) {
    link_fail(link, "no hello in time", step);
    return;
  }
  if (now >= link->heard_at.ms + settings->dead_ms ||
      (answer_due(link) && now >= link->heard_at.ms + settings->stall_ms &&
       now >= link->mark_at.ms + settings->stall_ms)) {
    link_fail(link, "nothing heard", step);
    return;
  }
  if (link->resync_asked && now >= link->resync_heard_at.ms + settings->dead_ms) {
    link_fail(link, "no heads in time", step);
    return;
  }
  if (link->report_at.ms <= now) {
    link_flush_ack(link, step);
  }
  if (link->state == LINK_UP && now >= link->sent_at.ms + settings->idle_ms) {
    send_idle(link, step);
  }
  if (link->busy_told_at.ms != 0 && now >= link->busy_told_at.ms + BUSY_TELL_MS) {
    tell_busy(link, step);
  }
  if (now >= link->hold_until.ms) {
    link->hold_until.ms = 0;
  }
  link_pump(link, step);
}

static void earlier(struct mono_ms *deadline, int64_t ms)
{
  if (ms < deadline->ms) {
    deadline->ms = ms;
  }
}

struct mono_ms link_deadline(const struct link *link, const struct step *step)
{
  const struct repl_settings *settings = &step->node->settings;
  struct mono_ms deadline = {INT64_MAX};
  if (link->state == LINK_DOWN) {
    return deadline;
  }
  earlier(&deadline, link->heard_at.ms + settings->dead_ms);
  earlier(&deadline, link->report_at.ms);
  if (answer_due(link)) {
    int64_t from = link->heard_at.ms > link->mark_at.ms ? link->heard_at.ms : link->mark_at.ms;
    earlier(&deadline, from + settings->stall_ms);
  }
  if (link->state == LINK_HELLO) {
    earlier(&deadline, link->opened_at.ms + settings->hello_ms);
  } else {
    earlier(&deadline, link->sent_at.ms + settings->idle_ms);
  }
  if (link->busy_told_at.ms != 0) {
    earlier(&deadline, link->busy_told_at.ms + BUSY_TELL_MS);
  }
  if (link->hold_until.ms != 0) {
    earlier(&deadline, link->hold_until.ms);
  }
  if (link->tokens_due.ms != 0) {
    earlier(&deadline, link->tokens_due.ms);
  }
  if (link->resync_asked) {
    earlier(&deadline, link->resync_heard_at.ms + settings->dead_ms);
  }
  return deadline;
}
