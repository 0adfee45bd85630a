/*
 * The node: one step at a time, each event to the link that it belongs to.
 */
#include <stdlib.h>
#include <string.h>

#include "node_internal.h"
#include "record/check.h"

void repl_settings_default(struct repl_settings *settings)
{
  memset(settings, 0, sizeof(*settings));
  settings->window_octets = 4 * 1024 * 1024;
  settings->idle_ms = 60000;
  settings->dead_ms = 150000;
  settings->stall_ms = 30000;
  settings->hello_ms = 20000;
}

enum status repl_node_new(const struct repl_settings *settings, struct repl_node **out)
{
  struct repl_node *node = calloc(1, sizeof(*node));
  if (node == NULL) {
    return STATUS_NO_MEMORY;
  }
  node->settings = *settings;
  node->room = true;
  node->deadline.ms = INT64_MAX;
  *out = node;
  return STATUS_OK;
}

void repl_node_free(struct repl_node *node)
{
  if (node == NULL) {
    return;
  }
  for (size_t i = 0; i < node->link_slots; i++) {
    if (node->links[i] != NULL) {
      link_close(node->links[i]);
      free(node->links[i]);
    }
  }
  certificates_close(&node->certificates);
  free(node->links);
  free(node->quarantined);
  free(node);
}

enum verdict repl_node_add_certificate(struct repl_node *node, struct bytes_view octets)
{
  bool added;
  return certificates_add(&node->certificates, &node->settings.root, octets, &added);
}

const struct certificate *repl_node_certificate(const struct repl_node *node, const struct hash *id)
{
  size_t index = certificates_find(&node->certificates, id);
  return index == 0 ? NULL : &node->certificates.items[index - 1]->certificate;
}

const struct certificate *repl_node_certificate_of_key(const struct repl_node *node,
                                                       const struct node_key *key)
{
  return certificates_any_of_key(&node->certificates, key);
}

const struct certificate *repl_node_certificate_at(const struct repl_node *node, size_t index)
{
  const struct certificate_table *table = &node->certificates;
  return index < table->count ? &table->items[index]->certificate : NULL;
}

/* ---- effects ---- */

void step_check(struct step *step, enum status status)
{
  if (step->status == STATUS_OK) {
    step->status = status;
  }
}

struct repl_effect *step_effect(struct step *step, enum repl_effect_type type,
                                const struct link *link)
{
  struct repl_effects *effects = step->effects;
  struct repl_effect *effect = &step->spare;
  if (effects->count == effects->capacity) {
    size_t capacity = effects->capacity == 0 ? 64 : effects->capacity * 2;
    struct repl_effect *grown = realloc(effects->items, capacity * sizeof(*grown));
    if (grown != NULL) {
      effects->items = grown;
      effects->capacity = capacity;
    } else {
      step_check(step, STATUS_NO_MEMORY);
    }
  }
  if (effects->count < effects->capacity) {
    effect = &effects->items[effects->count++];
  }
  memset(effect, 0, sizeof(*effect));
  effect->type = type;
  if (link != NULL) {
    effect->neighbour = link->neighbour;
    effect->generation = link->generation;
  }
  return effect;
}

void repl_effects_clear(struct repl_effects *effects)
{
  for (size_t i = 0; i < effects->count; i++) {
    bytes_close(&effects->items[i].octets);
    free(effects->items[i].heads);
    message_release(effects->items[i].message);
  }
  effects->count = 0;
}

void repl_effects_close(struct repl_effects *effects)
{
  repl_effects_clear(effects);
  free(effects->items);
  memset(effects, 0, sizeof(*effects));
}

/* ---- what is refused, and asked for again ---- */

static struct link *link_of(struct repl_node *node, uint16_t neighbour)
{
  return neighbour < node->link_slots ? node->links[neighbour] : NULL;
}

static bool log_equal(const struct log_name *a, const struct log_name *b)
{
  return a->lane == b->lane && memcmp(a->origin.octets, b->origin.octets, KEY_SIZE) == 0 &&
         memcmp(a->store.octets, b->store.octets, STORE_ID_SIZE) == 0;
}

static struct quarantined *find_quarantined(struct repl_node *node, uint16_t neighbour,
                                            const struct log_name *log)
{
  for (size_t i = 0; i < node->quarantined_count; i++) {
    struct quarantined *entry = &node->quarantined[i];
    if (entry->neighbour == neighbour && log_equal(&entry->log, log)) {
      return entry;
    }
  }
  return NULL;
}

static size_t count_quarantined(const struct repl_node *node, uint16_t neighbour)
{
  size_t count = 0;
  for (size_t i = 0; i < node->quarantined_count; i++) {
    count += node->quarantined[i].neighbour == neighbour;
  }
  return count;
}

/* One entry a log: from the first place that was refused to the last. */
static struct quarantined *add_quarantined(struct repl_node *node, uint16_t neighbour,
                                           const struct repl_refused *refused)
{
  struct quarantined *entry = find_quarantined(node, neighbour, &refused->log);
  if (entry != NULL) {
    if (refused->want_seq < entry->want_seq) {
      entry->want_seq = refused->want_seq;
      entry->asked_seq = UINT64_MAX;
    }
    entry->last_seq = refused->seq > entry->last_seq ? refused->seq : entry->last_seq;
    return entry;
  }
  if (count_quarantined(node, neighbour) >= REPL_QUARANTINED_MAX) {
    return NULL;
  }
  if (node->quarantined_count == node->quarantined_capacity) {
    size_t capacity = node->quarantined_capacity == 0 ? 16 : node->quarantined_capacity * 2;
    struct quarantined *grown = realloc(node->quarantined, capacity * sizeof(*grown));
    if (grown == NULL) {
      return NULL; /* it stands in the store and is asked for after the next start */
    }
    node->quarantined = grown;
    node->quarantined_capacity = capacity;
  }
  entry = &node->quarantined[node->quarantined_count++];
  *entry = (struct quarantined){.neighbour = neighbour,
                                .log = refused->log,
                                .want_seq = refused->want_seq,
                                .asked_seq = UINT64_MAX,
                                .last_seq = refused->seq};
  return entry;
}

void repl_node_add_quarantined(struct repl_node *node, uint16_t neighbour,
                               const struct repl_refused *refused)
{
  (void)add_quarantined(node, neighbour, refused);
}

static void want_log(struct link *link, struct quarantined *entry, struct step *step)
{
  entry->wanted_generation = link->generation;
  entry->asked_seq = entry->want_seq;
  struct message_want want = {.what = WANT_LOG, .log = entry->log, .seq = entry->want_seq};
  link_send_want(link, &want, step);
}

void node_note_refused(struct repl_node *node, uint16_t neighbour,
                       const struct repl_refused *refused, struct step *step)
{
  struct quarantined *entry = add_quarantined(node, neighbour, refused);
  struct link *link = link_of(node, neighbour);
  if (entry == NULL || link == NULL || link->state != LINK_UP) {
    return;
  }
  /* A hole is asked for at once, but once a connection: what stays missing is not there. The same
   * goes where the certificate has come while the refusal was being made durable. */
  bool helps = refused->verdict == VERDICT_GAP ||
               (refused->verdict == VERDICT_UNKNOWN_CERTIFICATE &&
                certificates_any_of_key(&node->certificates, &refused->log.origin) != NULL);
  if (helps && entry->wanted_generation != link->generation) {
    want_log(link, entry, step);
  }
}

/* A commit was taken. What was asked for comes in order, so whatever stands below is made good too;
 * what comes of itself (`in_order` false) makes good its own place alone. */
static void pass_refused(struct repl_node *node, const struct link *link,
                         const struct commit_header *header, bool in_order, struct step *step)
{
  struct log_name log = {header->origin, header->store, header->lane};
  struct quarantined *entry = find_quarantined(node, link->neighbour, &log);
  if (entry == NULL || header->seq < entry->want_seq) {
    return;
  }
  bool asked = in_order && entry->wanted_generation == link->generation &&
               entry->asked_seq <= entry->want_seq;
  if (header->seq != entry->want_seq && !asked) {
    return;
  }
  entry->want_seq = header->seq + 1;
  struct repl_effect *effect = step_effect(step, REPL_PERSIST_PASSED, link);
  effect->log = log;
  effect->position = entry->want_seq;
  if (entry->want_seq > entry->last_seq) {
    *entry = node->quarantined[--node->quarantined_count];
  }
}

void node_ask_quarantined(struct repl_node *node, struct link *link, struct step *step)
{
  for (size_t i = 0; i < node->quarantined_count; i++) {
    struct quarantined *entry = &node->quarantined[i];
    if (entry->neighbour == link->neighbour && link->state == LINK_UP) {
      want_log(link, entry, step);
    }
  }
}

/* A certificate of that origin came: what was refused of it is wanted again, wherever it was. */
static void ask_origin(struct repl_node *node, const struct node_key *origin, struct step *step)
{
  for (size_t i = 0; i < node->quarantined_count; i++) {
    struct quarantined *entry = &node->quarantined[i];
    struct link *link = link_of(node, entry->neighbour);
    if (link != NULL && link->state == LINK_UP &&
        memcmp(origin->octets, entry->log.origin.octets, KEY_SIZE) == 0) {
      want_log(link, entry, step);
    }
  }
}

/* ---- what neighbours and bundles bring ---- */

void node_take_certificate(struct repl_node *node, struct link *from, struct message *message,
                           struct step *step)
{
  bool added;
  enum verdict verdict =
      certificates_add(&node->certificates, &node->settings.root, message->certificate, &added);
  if (verdict != VERDICT_OK) {
    struct repl_effect *notice = step_effect(step, REPL_NOTICE, from);
    notice->text = verdict_text(verdict);
    return;
  }
  if (!added) {
    return;
  }
  struct repl_effect *effect = step_effect(step, REPL_PERSIST_CERTIFICATE, from);
  effect->message = message;
  message_retain(message);
  const struct certificate *taken =
      &node->certificates.items[node->certificates.count - 1]->certificate;
  ask_origin(node, &taken->key, step);
}

/* Asks whoever sent a commit for the certificate that it needs; it may be one of its ancestors'
 * that is missing, and then the next hello brings the chain. */
static void want_certificate(struct link *from, const struct hash *id, struct step *step)
{
  struct message_want want = {.what = WANT_CERTIFICATE, .certificate = *id};
  if (from != NULL) {
    link_send_want(from, &want, step);
  }
}

void node_take_commits(struct repl_node *node, struct link *from, struct message *message,
                       const struct link_cursor *cursor, struct step *step)
{
  struct message_commits *commits = &message->commits;
  bool wanted = false;
  for (unsigned i = 0; i < commits->count; i++) {
    struct message_commit *item = &commits->items[i];
    if (item->verdict == VERDICT_OK) {
      item->verdict = node_judge_commit(node, from, &item->commit, step->now.wall);
      if (item->verdict == VERDICT_UNKNOWN_CERTIFICATE && !wanted) {
        want_certificate(from, &item->commit.header.certificate, step);
        wanted = true; /* one a message: the others follow when their logs are wanted again */
      }
    }
  }
  struct repl_effect *effect = step_effect(step, REPL_PERSIST_COMMITS, from);
  effect->lane = commits->lane;
  effect->message = message;
  message_retain(message);
  if (cursor != NULL) {
    effect->has_cursor = true;
    effect->cursor = *cursor;
    effect->position = cursor->position;
  }
}

static void take_persisted(struct repl_node *node, const struct repl_event *event,
                           struct link *link, struct step *step)
{
  const struct repl_persisted *persisted = &event->persisted;
  if (persisted->message != NULL && node->quarantined_count > 0 && link != NULL) {
    const struct message_commits *commits = &persisted->message->commits;
    for (unsigned i = 0; i < commits->count; i++) {
      enum verdict verdict = commits->items[i].verdict;
      if (verdict == VERDICT_OK || verdict == VERDICT_DUPLICATE) {
        pass_refused(node, link, &commits->items[i].commit.header, commits->position == 0, step);
      }
    }
  }
  for (size_t i = 0; i < persisted->refused_count && event->neighbour != 0; i++) {
    node_note_refused(node, event->neighbour, &persisted->refused[i], step);
  }
  if (link != NULL) {
    link_persisted(link, persisted, step);
  }
}

/* ---- the step ---- */

static struct link *make_link(struct repl_node *node, uint16_t neighbour, struct step *step)
{
  CHECK(neighbour > 0 && neighbour <= REPL_NEIGHBOURS_MAX);
  if (neighbour >= node->link_slots) {
    size_t slots = ((size_t)neighbour + 16) & ~(size_t)15;
    struct link **grown = realloc(node->links, slots * sizeof(struct link *));
    if (grown == NULL) {
      step_check(step, STATUS_NO_MEMORY);
      return NULL;
    }
    memset(grown + node->link_slots, 0, (slots - node->link_slots) * sizeof(struct link *));
    node->links = grown;
    node->link_slots = slots;
  }
  if (node->links[neighbour] == NULL) {
    node->links[neighbour] = calloc(1, sizeof(struct link));
    if (node->links[neighbour] == NULL) {
      step_check(step, STATUS_NO_MEMORY);
      return NULL;
    }
    node->links[neighbour]->neighbour = neighbour;
  }
  return node->links[neighbour];
}

static void take_bundle(struct repl_node *node, struct message *message, struct step *step)
{
  if (message->type == MESSAGE_CERTIFICATE) {
    node_take_certificate(node, NULL, message, step);
  } else if (message->type == MESSAGE_COMMITS) {
    node_take_commits(node, NULL, message, NULL, step);
  }
}

static void take_tick(struct repl_node *node, struct step *step)
{
  node->deadline.ms = INT64_MAX;
  for (size_t i = 0; i < node->link_slots; i++) {
    struct link *link = node->links[i];
    if (link == NULL || link->state == LINK_DOWN) {
      continue;
    }
    if (link_deadline(link, step).ms <= step->now.mono.ms) {
      link_tick(link, step);
    }
    struct mono_ms deadline = link_deadline(link, step);
    if (deadline.ms < node->deadline.ms) {
      node->deadline = deadline;
    }
  }
}

static void take_ask(struct link *link, const struct repl_event *event, struct step *step)
{
  struct bytes message = {0};
  if (link == NULL || link->state != LINK_UP ||
      event->ask.body.size + MESSAGE_HEADS_MAX > FRAME_PLAIN_MAX) {
    struct repl_effect *effect = step_effect(step, REPL_ANSWERED, link);
    effect->neighbour = event->neighbour;
    effect->position = event->ask.id; /* without a message: nobody was there to ask */
    return;
  }
  step_check(step, message_write_query(&event->ask, &message));
  link_send_control(link, &message, step);
}

static void take_room(struct repl_node *node, bool room, struct step *step)
{
  if (room == node->room) {
    return;
  }
  node->room = room;
  for (size_t i = 0; i < node->link_slots; i++) {
    if (node->links[i] != NULL) {
      link_room(node->links[i], step);
    }
  }
}

static void take_hide(struct repl_node *node, bool hidden, struct step *step)
{
  node->hidden = hidden;
  for (size_t i = 0; i < node->link_slots; i++) {
    if (node->links[i] != NULL) {
      link_pump(node->links[i], step);
    }
  }
}

static void take_link_event(struct repl_node *node, const struct repl_event *event,
                            struct link *link, struct step *step)
{
  switch (event->type) {
  case REPL_PEER_DOWN:
    link_close(link);
    break;
  case REPL_MESSAGE:
    link_message(link, event->message, step);
    break;
  case REPL_CURSORS:
    if (event->cursors.generation == link->generation) {
      link_cursors(link, event->cursors.matches, step);
    }
    break;
  case REPL_LOADED:
    link_loaded(link, &event->loaded, step);
    break;
  case REPL_HEADS_READ:
    link_heads_read(link, event, step);
    break;
  case REPL_PLANNED:
    link_planned(link, &event->planned, step);
    break;
  case REPL_OUTBOX:
    link_outbox(link, event, step);
    break;
  case REPL_REPLY:
    link_queue_answer(link, &event->reply, step);
    link_pump(link, step);
    break;
  case REPL_RETRY:
    node_ask_quarantined(node, link, step);
    break;
  default:
    break;
  }
}

/* The wall clock was set: what a wrong one refused as expired, or not yet valid, may pass now. */
static void note_clock(struct repl_node *node, struct step *step)
{
  int64_t offset_ms = step->now.wall.ms - step->now.mono.ms;
  int64_t moved_ms = offset_ms - node->clock_offset_ms;
  if (!node->clock_known) {
    node->clock_known = true;
    node->clock_offset_ms = offset_ms;
  } else if (moved_ms > NODE_CLOCK_STEP_MS || moved_ms < -NODE_CLOCK_STEP_MS) {
    node->clock_offset_ms = offset_ms;
    for (size_t i = 0; i < node->link_slots && node->quarantined_count > 0; i++) {
      if (node->links[i] != NULL) {
        node_ask_quarantined(node, node->links[i], step);
        node->deadline = step->now.mono;
      }
    }
  }
}

enum status repl_step(struct repl_node *node, const struct repl_event *event, struct instant now,
                      struct repl_effects *effects)
{
  struct step step = {.node = node, .now = now, .effects = effects, .status = STATUS_OK};
  struct link *link = link_of(node, event->neighbour);
  note_clock(node, &step);
  switch (event->type) {
  case REPL_PEER_UP:
    link = make_link(node, event->neighbour, &step);
    if (link != NULL) {
      link_open(link, &event->up, &step);
    }
    break;
  case REPL_TICK:
    take_tick(node, &step);
    return step.status;
  case REPL_ROOM:
    take_room(node, event->room, &step);
    node->deadline = now.mono; /* many links changed: look at all */
    return step.status;
  case REPL_HIDE:
    take_hide(node, event->hidden, &step);
    node->deadline = now.mono;
    return step.status;
  case REPL_ASK:
    take_ask(link, event, &step);
    break;
  case REPL_PERSISTED:
    take_persisted(node, event, link, &step);
    break;
  default:
    if (event->type == REPL_MESSAGE && event->neighbour == REPL_NEIGHBOUR_NONE) {
      take_bundle(node, event->message, &step);
    } else if (link != NULL) {
      take_link_event(node, event, link, &step);
    }
    break;
  }
  if (link != NULL) {
    struct mono_ms deadline = link_deadline(link, &step);
    if (deadline.ms < node->deadline.ms) {
      node->deadline = deadline;
    }
  }
  return step.status;
}

struct mono_ms repl_next_deadline(const struct repl_node *node)
{
  return node->deadline;
}

bool repl_link_figures(const struct repl_node *node, uint16_t neighbour,
                       struct repl_link_figures *out)
{
  memset(out, 0, sizeof(*out));
  if (neighbour >= node->link_slots || node->links[neighbour] == NULL) {
    return false;
  }
  const struct link *link = node->links[neighbour];
  out->up = link->state == LINK_UP;
  out->last_heard = link->heard_wall;
  out->rate_octets_s = link->rate;
  out->sent_octets = link->sent;
  out->received_octets = link->received;
  return true;
}
