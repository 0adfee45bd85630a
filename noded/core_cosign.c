/*
 * Cosignatures on request (DESIGN section 3): a child asks who above it holds certain commits. We
 * say so for ourselves, from what is durable here, and pass the question on upwards; what comes
 * back is handed down with ours. Nobody is asked while nothing is to be trimmed.
 */
#include <stdlib.h>
#include <string.h>

#include "noded/core_internal.h"
#include "noded/cosign_body.h"
#include "noded/log.h"
#include "record/receipt.h"

#define WAITS_MAX 64
#define ASK_MS 20000
#define HOP_MS 500
#define SIGN_PER_SECOND 4000

/* A question that went up, for a child or for ourselves. */
struct cosign_wait {
  struct cosign_wait *next;
  uint64_t id;   /* of our query to the parent */
  uint16_t from; /* the child; NEIGHBOUR_NONE: our own trimming */
  uint64_t from_id;
  size_t asks;
  struct mono_ms deadline;
  struct bytes own; /* an answer's body: what we say ourselves */
};

struct cosigning {
  struct cosign_wait *waits;
  size_t count;
  int64_t second; /* in which `signed_count` were signed */
  uint64_t signed_count;
};

static struct cosigning *cosigning_of(struct core *core)
{
  if (core->cosigning == NULL) {
    core->cosigning = calloc(1, sizeof(*core->cosigning));
  }
  return core->cosigning;
}

static bool parent_is_up(const struct core *core)
{
  struct repl_link_figures figures;
  return repl_link_figures(core->node, NEIGHBOUR_PARENT, &figures) && figures.up;
}

static struct cosign_wait *add_wait(struct core *core, size_t asks, uint32_t timeout_ms)
{
  struct cosigning *cosigning = cosigning_of(core);
  struct cosign_wait *wait =
      cosigning == NULL || cosigning->count >= WAITS_MAX ? NULL : calloc(1, sizeof(*wait));
  if (wait == NULL) {
    return NULL;
  }
  wait->id = ++core->query_id;
  wait->asks = asks;
  wait->deadline.ms = core_now().mono.ms + timeout_ms;
  wait->next = cosigning->waits;
  cosigning->waits = wait;
  cosigning->count++;
  return wait;
}

static void ask_parent(struct core *core, uint64_t id, struct bytes_view body, uint32_t timeout_ms)
{
  struct repl_event event = {.type = REPL_ASK, .neighbour = NEIGHBOUR_PARENT};
  event.ask = (struct message_query){
      .id = id, .kind = bytes_view_text(COSIGN_KIND), .timeout_ms = timeout_ms, .body = body};
  core_step(core, &event);
}

uint64_t cosign_ask(struct core *core, const struct trim_ask *asks, size_t count)
{
  struct bytes body = {0};
  uint64_t id = 0;
  if (parent_is_up(core) && cosign_write_asks(asks, count, &body) == STATUS_OK) {
    struct cosign_wait *wait = add_wait(core, count, ASK_MS);
    if (wait != NULL) {
      id = wait->id;
      ask_parent(core, id, bytes_as_view(&body), ASK_MS);
    }
  }
  bytes_close(&body);
  return id;
}

/* ---- what we say ourselves ---- */

/* Signing costs: nobody makes us do nothing else. */
static bool may_sign(struct cosigning *cosigning)
{
  int64_t second = core_now().mono.ms / 1000;
  if (cosigning->second != second) {
    cosigning->second = second;
    cosigning->signed_count = 0;
  }
  return cosigning->signed_count++ < SIGN_PER_SECOND;
}

static enum status say_one(struct core *core, const struct store_txn *txn, uint16_t neighbour,
                           const struct trim_ask *ask, struct cosign_said *said, bool *held)
{
  uint8_t shown[COMMIT_BITMAP_SIZE];
  struct bytes octets = {0};
  size_t size = 0;
  *held = false;
  enum status status = store_trim_holds(txn, ask, neighbour, held, shown, &size);
  if (status != STATUS_OK || !*held) {
    return status;
  }
  status = cosignature_write(&core->identity->key, core->identity->secret_key, &ask->commit_id,
                             core_now().wall, bytes_view_of(shown, size), &octets);
  const void *copy =
      status == STATUS_OK ? arena_copy(&core->arena, octets.data, octets.size) : NULL;
  said->cosignature = bytes_view_of(copy, octets.size);
  bytes_close(&octets);
  return status == STATUS_OK && copy == NULL ? STATUS_NO_MEMORY : status;
}

static enum status say_own(struct core *core, uint16_t neighbour, const struct trim_ask *asks,
                           size_t count, struct bytes *body)
{
  struct cosign_said said[TRIM_ASKS_MAX];
  struct store_txn *txn;
  size_t found = 0;
  enum status status = store_read_begin(core->store, &txn);
  if (status != STATUS_OK) {
    return status;
  }
  for (size_t i = 0; i < count && status == STATUS_OK && may_sign(core->cosigning); i++) {
    bool held;
    said[found].place = i;
    status = say_one(core, txn, neighbour, &asks[i], &said[found], &held);
    found += status == STATUS_OK && held;
  }
  store_read_end(txn);
  return status == STATUS_OK ? cosign_write_said(said, found, body) : status;
}

/* ---- a child asks ---- */

static void reply(struct core *core, uint16_t neighbour, uint64_t id, enum status status,
                  struct bytes_view body)
{
  struct repl_event event = {.type = REPL_REPLY, .neighbour = neighbour};
  event.reply.id = id;
  event.reply.status = (uint8_t)status;
  event.reply.body = body;
  core_step(core, &event);
}

/* True when the question went on upwards, and the answer waits for what comes back. */
static bool pass_on(struct core *core, const struct repl_effect *effect, size_t asks,
                    struct bytes *own)
{
  const struct message_query *query = &effect->message->query;
  struct cosign_wait *wait = NULL;
  uint32_t timeout = query->timeout_ms > ASK_MS ? ASK_MS : query->timeout_ms;
  if (parent_is_up(core) && timeout > 2 * HOP_MS) {
    wait = add_wait(core, asks, timeout - HOP_MS);
  }
  if (wait == NULL) {
    return false;
  }
  wait->from = effect->neighbour;
  wait->from_id = query->id;
  wait->own = *own;
  *own = (struct bytes){0};
  ask_parent(core, wait->id, query->body, timeout - HOP_MS);
  return true;
}

void cosign_query(struct core *core, const struct repl_effect *effect)
{
  const struct message_query *query = &effect->message->query;
  struct trim_ask asks[TRIM_ASKS_MAX];
  struct bytes own = {0};
  size_t count = 0;
  enum status status = STATUS_NOT_ALLOWED; /* a parent has no business with what is below it */
  if (effect->neighbour != NEIGHBOUR_PARENT && cosigning_of(core) != NULL) {
    status = cosign_read_asks(query->body, &core->arena, asks, &count);
  }
  if (status == STATUS_OK) {
    status = say_own(core, effect->neighbour, asks, count, &own);
  }
  if (status != STATUS_OK || !pass_on(core, effect, count, &own)) {
    reply(core, effect->neighbour, query->id, status, bytes_as_view(&own));
  }
  bytes_close(&own);
}

/* ---- the parent answers ---- */

/* What came from above and what we said ourselves, together. */
static enum status join(const struct cosign_wait *wait, struct bytes_view above, struct bytes *out)
{
  struct cosign_said said[2 * COSIGN_SAID_MAX];
  size_t own = 0;
  size_t others = 0;
  enum status status = cosign_read_said(bytes_as_view(&wait->own), wait->asks, said, &own);
  if (status == STATUS_OK && above.size > 0 &&
      cosign_read_said(above, wait->asks, said + own, &others) != STATUS_OK) {
    others = 0;
  }
  size_t count = own + others > COSIGN_SAID_MAX ? COSIGN_SAID_MAX : own + others;
  return status == STATUS_OK ? cosign_write_said(said, count, out) : status;
}

static void finish(struct core *core, struct cosign_wait *wait, struct bytes_view above)
{
  struct cosign_said said[COSIGN_SAID_MAX];
  struct bytes body = {0};
  size_t count = 0;
  if (wait->from == NEIGHBOUR_NONE) {
    if (above.size > 0 && cosign_read_said(above, wait->asks, said, &count) != STATUS_OK) {
      count = 0;
    }
    trim_answered(core, wait->id, said, count);
  } else {
    enum status status = join(wait, above, &body);
    reply(core, wait->from, wait->from_id, status, bytes_as_view(&body));
  }
  bytes_close(&body);
  bytes_close(&wait->own);
  free(wait);
}

static struct cosign_wait *take_wait(struct cosigning *cosigning, uint64_t id, int64_t due_ms)
{
  struct cosign_wait **at = cosigning == NULL ? NULL : &cosigning->waits;
  while (at != NULL && *at != NULL) {
    struct cosign_wait *wait = *at;
    if (wait->id == id || wait->deadline.ms <= due_ms) {
      *at = wait->next;
      cosigning->count--;
      return wait;
    }
    at = &wait->next;
  }
  return NULL;
}

bool cosign_answered(struct core *core, const struct repl_effect *effect)
{
  uint64_t id = effect->message == NULL ? effect->position : effect->message->answer.id;
  struct bytes_view body = {0};
  if (effect->neighbour != NEIGHBOUR_PARENT || id == 0) {
    return false;
  }
  struct cosign_wait *wait = take_wait(core->cosigning, id, INT64_MIN);
  if (wait == NULL) {
    return false;
  }
  if (effect->message != NULL && effect->message->answer.status == STATUS_OK) {
    body = effect->message->answer.body;
  }
  finish(core, wait, body);
  return true;
}

/* ---- time ---- */

void cosign_tick(struct core *core, struct mono_ms now)
{
  struct cosign_wait *wait;
  while ((wait = take_wait(core->cosigning, 0, now.ms)) != NULL) {
    finish(core, wait, (struct bytes_view){0});
  }
}

int64_t cosign_deadline(const struct core *core)
{
  int64_t deadline = INT64_MAX;
  const struct cosign_wait *wait = core->cosigning == NULL ? NULL : core->cosigning->waits;
  for (; wait != NULL; wait = wait->next) {
    deadline = wait->deadline.ms < deadline ? wait->deadline.ms : deadline;
  }
  return deadline;
}

void cosign_close(struct core *core)
{
  struct cosign_wait *wait;
  while ((wait = take_wait(core->cosigning, 0, INT64_MAX)) != NULL) {
    bytes_close(&wait->own);
    free(wait);
  }
  free(core->cosigning);
  core->cosigning = NULL;
}
