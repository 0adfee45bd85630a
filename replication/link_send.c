/*
 * The sending half of a link: control at once, then answers and lanes in order of urgency, cut
 * into frames of the size that the link bears at the moment.
 */
#include <stdlib.h>
#include <string.h>

#include "link.h"
#include "node_internal.h"
#include "record/check.h"

#define MESSAGE_HEAD_OCTETS 64 /* of `commits`, beside its commits */
#define ANSWER_HEAD_OCTETS 32  /* of `answer`, beside its body */

/* Hands one frame to the carrier, who owns its octets from here. */
static void hand_over(struct link *link, struct bytes *frame, struct step *step)
{
  struct repl_effect *effect = step_effect(step, REPL_SEND, link);
  effect->octets = *frame;
  *frame = (struct bytes){0};
}

static void send_frame(struct link *link, struct bytes *frame, struct step *step)
{
  link_flow_sent(link, frame->size, step);
  link->sent_at = step->now.mono; /* acks don't count: they say nothing of our own heads */
  hand_over(link, frame, step);
}

/* Sends a slice of `whole` from *offset on, at most `room` octets; true when it went out whole. */
static bool send_slice(struct link *link, unsigned stream, struct bytes *whole, size_t *offset,
                       size_t room, struct step *step)
{
  struct bytes frame = {0};
  size_t left = whole->size - *offset;
  size_t max = link_flow_frame_max(link);
  if (*offset == 0 && left <= max) {
    send_frame(link, whole, step);
    return true;
  }
  size_t take = max - 2 * PART_OVERHEAD_MAX;
  if (take > room && room >= LINK_FRAME_MIN) {
    take = room;
  }
  if (take > left) {
    take = left;
  }
  struct bytes_view slice = bytes_view_of(whole->data + *offset, take);
  step_check(step, message_write_part(stream, take == left, slice, &frame));
  *offset += take;
  send_frame(link, &frame, step);
  if (*offset < whole->size) {
    return false;
  }
  bytes_close(whole);
  *offset = 0;
  return true;
}

void link_send_control(struct link *link, struct bytes *message, struct step *step)
{
  if (link->state == LINK_DOWN || message->size == 0) {
    bytes_close(message);
    return;
  }
  CHECK(message->size <= FRAME_PLAIN_MAX);
  send_frame(link, message, step);
}

void link_send_want(struct link *link, const struct message_want *want, struct step *step)
{
  struct bytes message = {0};
  step_check(step, message_write_want(want, &message));
  link_send_control(link, &message, step);
}

void link_queue_answer(struct link *link, const struct message_answer *answer, struct step *step)
{
  struct bytes message = {0};
  struct message_answer given = *answer;
  size_t queued = 0;
  for (unsigned i = 0; i < link->answer_count; i++) {
    queued += link->answers[i].size;
  }
  if (given.body.size > ANSWER_BYTES_MAX - ANSWER_HEAD_OCTETS) {
    given.status = STATUS_TOO_LARGE;
    given.body = (struct bytes_view){0};
  }
  if (link->state != LINK_UP || link->answer_count == LINK_ANSWERS_MAX ||
      queued + given.body.size > LINK_ANSWERS_OCTETS_MAX) {
    return; /* who asked gives up by its own timeout */
  }
  step_check(step, message_write_answer(&given, &message));
  link->answers[link->answer_count++] = message;
}

/* What has been sent goes, so that wants that keep coming don't let the list grow. */
static void compact_replays(struct link_lane *lane)
{
  if (lane->replay_at > 0 && lane->replay_at >= lane->replay_count / 2) {
    lane->replay_count -= lane->replay_at;
    memmove(lane->replays, lane->replays + lane->replay_at,
            lane->replay_count * sizeof(*lane->replays));
    lane->replay_at = 0;
  }
}

void link_queue_replay(struct link *link, const struct repl_replay *replay, size_t limit,
                       struct step *step)
{
  struct link_lane *lane = &link->lanes[replay->log.lane];
  if (limit != 0 && lane->replay_count - lane->replay_at >= limit) {
    return;
  }
  compact_replays(lane);
  /* Room for doubling from 16: a power of two says when to grow. */
  size_t count = lane->replay_count;
  if (count == 0 || (count >= 16 && (count & (count - 1)) == 0)) {
    size_t room = count < 16 ? 16 : count * 2;
    struct repl_replay *grown = realloc(lane->replays, room * sizeof(*grown));
    if (grown == NULL) {
      step_check(step, STATUS_NO_MEMORY);
      return;
    }
    lane->replays = grown;
  }
  lane->replays[lane->replay_count++] = *replay;
}

static void load(struct link *link, unsigned number, bool replay, size_t count_max,
                 struct step *step)
{
  struct link_lane *lane = &link->lanes[number];
  struct repl_effect *effect = step_effect(step, replay ? REPL_LOAD_LOG : REPL_LOAD, link);
  effect->position = lane->next;
  if (replay) {
    effect->log = lane->replays[lane->replay_at].log;
    effect->position = lane->replays[lane->replay_at].from_seq;
    if (lane->mark_octets == 0) {
      lane->mark = lane->replays[lane->replay_at];
      lane->mark_octets = link->sent;
    }
  }
  size_t frame = link_flow_frame_max(link);
  size_t most = FRAME_PLAIN_MAX - MESSAGE_HEAD_OCTETS - 8 * REPL_LOADED_MAX;
  effect->octets_max = frame > most ? most : frame;
  effect->count = count_max;
  effect->lane = (uint8_t)number;
  lane->loading = true;
  lane->replay_before = replay;
}

/* Whether the outbox may go on: a cursor stands, and what is not yet acknowledged leaves room. */
static bool outbox_is_open(const struct link_lane *lane, const struct step *step)
{
  return !lane->resync && lane->next != 0 && lane->next <= lane->end &&
         lane->unacked_count < LINK_UNACKED_MAX &&
         (lane->unacked_octets < step->node->settings.window_octets || lane->unacked_count == 0);
}

/* The peer adopts this cursor when it has taken what was sent again in the lane. */
static void write_adopt(struct link_lane *lane, unsigned number, struct step *step)
{
  struct message_heads heads = {.final = true, .adopts = true, .lane = (uint8_t)number};
  heads.position = lane->adopt.position;
  memcpy(heads.tag, lane->adopt.tag, sizeof(heads.tag));
  step_check(step, message_write_heads(&heads, &lane->message));
  lane->offset = 0;
  lane->resync = false;
  lane->next = lane->adopt.position + 1;
  lane->adopting = lane->adopt.position;
}

/* Whether the lane has something to send now; asks for octets to be loaded if need be. */
static bool lane_fill(struct link *link, unsigned number, struct step *step)
{
  struct link_lane *lane = &link->lanes[number];
  if (lane->message.size > 0) {
    return true;
  }
  if (lane->loading) {
    return false;
  }
  bool open = outbox_is_open(lane, step);
  /* In turns: a long log that somebody wants again doesn't hold up what is new. */
  if (lane->replay_at < lane->replay_count && !(open && lane->replay_before)) {
    load(link, number, true, REPL_LOADED_MAX, step);
    return false;
  }
  if (lane->resync) {
    if (lane->adopt.position == UINT64_MAX) {
      return false; /* the plan isn't there yet */
    }
    write_adopt(lane, number, step);
    return true;
  }
  if (open) {
    load(link, number, false, REPL_LOADED_MAX, step);
  }
  return false;
}

static bool pump_answers(struct link *link, size_t room, struct step *step)
{
  if (link->answer_count == 0) {
    return false;
  }
  if (send_slice(link, STREAM_ANSWER, &link->answers[0], &link->answer_offset, room, step)) {
    link->answer_count--;
    memmove(&link->answers[0], &link->answers[1], link->answer_count * sizeof(link->answers[0]));
    link->answers[link->answer_count] = (struct bytes){0};
    link->answer_offset = 0;
  }
  return true;
}

static bool pump_lane(struct link *link, unsigned number, size_t room, struct step *step)
{
  struct link_lane *lane = &link->lanes[number];
  if (link->hold_until.ms > step->now.mono.ms || step->node->hidden ||
      !lane_fill(link, number, step)) {
    return false;
  }
  if (send_slice(link, number, &lane->message, &lane->offset, room, step)) {
    lane->offset = 0;
  }
  return true;
}

/* The next page of our heads; it comes back with REPL_HEADS_READ. */
static void pump_heads(struct link *link, struct step *step)
{
  if (link->heads_due) {
    link->heads_due = false;
    step_effect(step, REPL_READ_HEADS, link)->position = link->heads_next;
  }
}

void link_pump(struct link *link, struct step *step)
{
  while (link->state == LINK_UP && step->status == STATUS_OK) {
    size_t room = link_flow_room(link, step);
    if (room == 0) {
      return;
    }
    pump_heads(link, step);
    if (pump_lane(link, LANE_URGENT, room, step) || pump_answers(link, room, step) ||
        pump_lane(link, LANE_NORMAL, room, step) || pump_lane(link, LANE_BULK, room, step)) {
      continue;
    }
    return;
  }
}

static bool certificate_is_sent(const struct link *link, size_t index)
{
  return index / 8 < link->certificates_room && bitmap_get(link->certificates_sent, index);
}

static void mark_certificate_sent(struct link *link, size_t index, struct step *step)
{
  if (index / 8 >= link->certificates_room) {
    size_t room = (index / 8 + 64) & ~(size_t)63;
    uint8_t *grown = realloc(link->certificates_sent, room);
    if (grown == NULL) {
      step_check(step, STATUS_NO_MEMORY);
      return;
    }
    memset(grown + link->certificates_room, 0, room - link->certificates_room);
    link->certificates_sent = grown;
    link->certificates_room = room;
  }
  bitmap_set(link->certificates_sent, index);
}

/* Certificates travel before first use in a connection, issuers first. */
static void send_certificate(struct link *link, const struct hash *id, struct step *step)
{
  const struct certificate_table *table = &step->node->certificates;
  size_t chain[CERTIFICATE_CHAIN_MAX];
  size_t length = 0;
  size_t found = certificates_find(table, id);
  while (found != 0 && length < CERTIFICATE_CHAIN_MAX && !certificate_is_sent(link, found - 1)) {
    const struct certificate *certificate = &table->items[found - 1]->certificate;
    chain[length++] = found - 1;
    const struct certificate *issuer = certificates_issuer(table, certificate);
    found = issuer == NULL ? 0 : certificates_find(table, &issuer->id);
  }
  while (length > 0) {
    size_t index = chain[--length];
    struct bytes message = {0};
    step_check(step, message_write_certificate(table->items[index]->certificate.octets, &message));
    link_send_control(link, &message, step);
    mark_certificate_sent(link, index, step);
  }
}

static void note_unacked(struct link_lane *lane, uint64_t position, size_t octets,
                         struct step *step)
{
  if (lane->unacked == NULL) {
    lane->unacked = calloc(LINK_UNACKED_MAX, sizeof(*lane->unacked));
    if (lane->unacked == NULL) {
      step_check(step, STATUS_NO_MEMORY);
      return;
    }
  }
  CHECK(lane->unacked_count < LINK_UNACKED_MAX);
  size_t at = (size_t)(lane->unacked_first + lane->unacked_count) % LINK_UNACKED_MAX;
  lane->unacked[at] = (struct link_unacked){position, (uint32_t)octets};
  lane->unacked_count++;
  lane->unacked_octets += octets;
}

/* Tells where the log begins here, before what is left of it. */
static void send_floor(struct link *link, const struct repl_loaded *loaded, struct step *step)
{
  struct commit_header header;
  struct hash id;
  struct bytes message = {0};
  if (loaded->floor.size == 0 || commit_read_header(loaded->floor, &header, &id) != STATUS_OK) {
    return;
  }
  send_certificate(link, &header.certificate, step);
  step_check(step,
             message_write_floor(loaded->floor, loaded->proofs, loaded->proof_count, &message));
  link_send_control(link, &message, step);
}

/* How many of the entries fit into one message. */
static size_t entries_that_fit(const struct repl_loaded *loaded)
{
  size_t octets = 0, raw = 0, count = 0;
  while (count < loaded->count && count < MESSAGE_COMMITS_MAX) {
    octets += loaded->entries[count].zstd.size + 8;
    raw += loaded->entries[count].raw_size;
    if (count > 0 && (octets > FRAME_PLAIN_MAX - MESSAGE_HEAD_OCTETS || raw > MESSAGE_RAW_MAX)) {
      break;
    }
    count++;
  }
  return count;
}

void link_loaded(struct link *link, const struct repl_loaded *loaded, struct step *step)
{
  struct link_lane *lane = &link->lanes[loaded->lane];
  struct outgoing_commit commits[MESSAGE_COMMITS_MAX];
  if (link->state != LINK_UP || loaded->generation != link->generation) {
    return;
  }
  lane->loading = false;
  size_t count = entries_that_fit(loaded);
  if (loaded->from_log && count < loaded->count) {
    load(link, loaded->lane, true, count, step); /* a log's entries don't say where to go on */
    return;
  }
  send_floor(link, loaded, step);
  for (size_t i = 0; i < count; i++) {
    send_certificate(link, &loaded->entries[i].certificate, step);
    commits[i] = (struct outgoing_commit){loaded->entries[i].raw_size, loaded->entries[i].zstd};
  }
  if (loaded->from_log) {
    struct repl_replay *replay = &lane->replays[lane->replay_at];
    bool ends =
        loaded->next_seq == 0 || (replay->until_seq != 0 && loaded->next_seq > replay->until_seq);
    replay->from_seq = loaded->next_seq;
    lane->replay_at += ends ? 1 : 0;
  } else if (count == 0) {
    lane->end = lane->next - 1; /* nothing there: what was said to be queued is gone */
  }
  if (count > 0) {
    uint64_t first = loaded->from_log ? 0 : loaded->entries[0].position;
    step_check(step, message_write_commits(loaded->lane, first, commits, count, &lane->message));
    lane->offset = 0;
    if (!loaded->from_log) {
      lane->next = first + count;
      note_unacked(lane, first + count - 1, lane->message.size, step);
    }
  }
  link_pump(link, step);
}

void link_flush_ack(struct link *link, struct step *step)
{
  struct message_ack ack = {.received = link->received};
  struct bytes message = {0};
  for (unsigned lane = 0; lane < LANE_COUNT; lane++) {
    if (link->lanes[lane].ack_due) {
      ack.lanes[ack.lane_count].lane = (uint8_t)lane;
      ack.lanes[ack.lane_count].position = link->lanes[lane].ack_position;
      ack.lane_count++;
      link->lanes[lane].ack_due = false;
    }
  }
  ack.refusals = link->refusals;
  ack.refusal_count = link->refusal_count;
  link->refusal_count = 0;
  link->received_told = link->received;
  link->report_at.ms = INT64_MAX;
  step_check(step, message_write_ack(&ack, &message));
  /* Neither side counts acks: otherwise each ack would be worth another. */
  hand_over(link, &message, step);
}
