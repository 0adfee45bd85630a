/*
 * History asked for again (DESIGN section 4: everyone in the audience gets every record): somebody
 * came late to a subject of which this node let go of something. The parent is asked for it, one
 * subject after another, and its answer, a bundle, is taken in like one carried by hand; from there
 * it goes to whoever lacks it. What can't be had now is asked for again later.
 */
#include <stdlib.h>
#include <string.h>

#include "noded/core_internal.h"
#include "noded/log.h"
#include "record/bundle.h"

#define ASK_MS 30000
#define RETRY_MS 60000
#define LOOK_MS 1000
#define BUNDLE_MAX (ANSWER_BYTES_MAX - 1024)

struct histories {
  struct core_import import; /* first, so that it leads back */
  bool importing;
  bool finished;          /* the subject's entry is to be taken out */
  bool failed;            /* some was tried in vain: the next round is later */
  struct subject subject; /* at hand, or looked at last */
  bool any;
  uint64_t query; /* 0: nothing is asked */
  struct mono_ms due;
  struct bytes octets; /* the answer being taken in */
};

static struct histories *histories_of(struct core *core)
{
  if (core->histories == NULL) {
    core->histories = calloc(1, sizeof(*core->histories));
  }
  return core->histories;
}

/* ---- a child asks ---- */

struct answer {
  struct core *core;
  struct bytes octets;
  struct hash known[64]; /* certificates written, as far as there is room to remember */
  size_t known_count;
  bool failed;
};

static bool is_known(const struct answer *answer, const struct hash *id)
{
  for (size_t i = 0; i < answer->known_count; i++) {
    if (hash_equal(&answer->known[i], id)) {
      return true;
    }
  }
  return false;
}

/* Issuers first. */
static void write_certificate(struct answer *answer, const struct certificate *certificate,
                              unsigned depth)
{
  if (certificate == NULL || is_known(answer, &certificate->id) || depth > CERTIFICATE_CHAIN_MAX) {
    return;
  }
  if (certificate->address.size > 0) {
    const struct certificate *issuer =
        repl_node_certificate_of_key(answer->core->node, &certificate->issuer);
    write_certificate(answer, issuer, depth + 1);
  }
  if (answer->known_count < sizeof(answer->known) / sizeof(answer->known[0])) {
    answer->known[answer->known_count++] = certificate->id;
  }
  answer->failed = answer->failed || bundle_write(BUNDLE_CERTIFICATE, certificate->octets,
                                                  &answer->octets) != STATUS_OK;
}

static bool on_commit(void *context, struct bytes_view commit, const struct hash *certificate)
{
  struct answer *answer = context;
  write_certificate(answer, repl_node_certificate(answer->core->node, certificate), 0);
  answer->failed =
      answer->failed || bundle_write(BUNDLE_COMMIT, commit, &answer->octets) != STATUS_OK;
  return !answer->failed && answer->octets.size <= BUNDLE_MAX;
}

static enum status give(struct core *core, const struct repl_effect *effect, struct bytes *out)
{
  struct bytes_view body = effect->message->query.body;
  struct answer answer = {.core = core};
  struct subject subject;
  struct store_txn *txn;
  if (effect->neighbour == NEIGHBOUR_PARENT) {
    return STATUS_NOT_ALLOWED;
  }
  if (core_is_hidden(core)) {
    return STATUS_BUSY;
  }
  if (body.size != SUBJECT_SIZE) {
    return STATUS_MALFORMED;
  }
  memcpy(subject.octets, body.data, SUBJECT_SIZE);
  enum status status = store_read_begin(core->store, &txn);
  if (status == STATUS_OK) {
    status = bundle_write_head(&answer.octets);
    if (status == STATUS_OK) {
      status =
          store_history_each(txn, &subject, effect->neighbour, &core->arena, on_commit, &answer);
    }
    store_read_end(txn);
  }
  if (status == STATUS_OK && answer.failed) {
    status = STATUS_NO_MEMORY;
  }
  *out = answer.octets;
  return status;
}

void history_query(struct core *core, const struct repl_effect *effect)
{
  struct bytes octets = {0};
  struct repl_event event = {.type = REPL_REPLY, .neighbour = effect->neighbour};
  enum status status = give(core, effect, &octets);
  event.reply.id = effect->message->query.id;
  event.reply.status = (uint8_t)status;
  event.reply.body = status == STATUS_OK ? bytes_as_view(&octets) : (struct bytes_view){0};
  core_step(core, &event);
  bytes_close(&octets);
}

/* ---- we ask ---- */

static void tell(const struct histories *histories, const char *event, enum log_level level)
{
  char text[SUBJECT_TEXT_SIZE];
  subject_to_text(&histories->subject, text);
  struct log_field fields[] = {log_text("subject", text),
                               log_uint("commits", histories->import.taken)};
  log_write(level, event, fields, 2);
}

static void on_imported(struct core *core, struct core_import *import, enum status status)
{
  struct histories *histories = (struct histories *)import;
  histories->importing = false;
  bytes_close(&histories->octets);
  bytes_close(&import->refusals);
  histories->finished = status == STATUS_OK && import->refused == 0;
  histories->failed = histories->failed || !histories->finished;
  tell(histories, histories->finished ? "history_came" : "history_missing",
       histories->finished ? LOG_INFO : LOG_WARN);
  histories->due.ms = core_now().mono.ms;
  core_wake(core);
}

bool history_answered(struct core *core, const struct repl_effect *effect)
{
  struct histories *histories = core->histories;
  uint64_t id = effect->message == NULL ? effect->position : effect->message->answer.id;
  if (histories == NULL || histories->query == 0 || histories->query != id ||
      effect->neighbour != NEIGHBOUR_PARENT) {
    return false;
  }
  histories->query = 0;
  histories->due.ms = core_now().mono.ms;
  memset(&histories->import, 0, sizeof(histories->import));
  if (effect->message == NULL || effect->message->answer.status != STATUS_OK ||
      bytes_append(&histories->octets, effect->message->answer.body.data,
                   effect->message->answer.body.size) != STATUS_OK) {
    histories->failed = true;
    tell(histories, "history_missing", LOG_WARN);
    return true;
  }
  histories->import.octets = bytes_as_view(&histories->octets);
  histories->import.done = on_imported;
  histories->importing = true;
  core_import(core, &histories->import);
  return true;
}

static void ask(struct core *core, struct histories *histories)
{
  struct repl_event event = {.type = REPL_ASK, .neighbour = NEIGHBOUR_PARENT};
  histories->query = ++core->query_id;
  histories->due.ms = core_now().mono.ms + ASK_MS + LOOK_MS;
  event.ask = (struct message_query){
      .id = histories->query,
      .kind = bytes_view_text(HISTORY_KIND),
      .timeout_ms = ASK_MS,
      .body = bytes_view_of(histories->subject.octets, SUBJECT_SIZE),
  };
  core_step(core, &event);
}

void history_tick(struct core *core, struct mono_ms now)
{
  struct histories *histories = histories_of(core);
  struct store_txn *txn;
  if (histories == NULL || core->config->parent_url == NULL || histories->due.ms > now.ms ||
      histories->importing || histories->finished) {
    return;
  }
  histories->query = 0; /* no answer came in time */
  if (store_read_begin(core->store, &txn) != STATUS_OK) {
    core->broken = true;
    return;
  }
  enum status status =
      store_history_wanted(txn, histories->any ? &histories->subject : NULL, &histories->subject);
  store_read_end(txn);
  histories->any = status == STATUS_OK;
  if (status == STATUS_OK) {
    ask(core, histories);
  } else {
    histories->due.ms = histories->failed ? now.ms + RETRY_MS : INT64_MAX;
    histories->failed = false;
  }
}

int64_t history_deadline(const struct core *core)
{
  const struct histories *histories = core->histories;
  bool idle = histories == NULL || histories->importing || core->config->parent_url == NULL;
  return idle ? INT64_MAX : histories->due.ms;
}

void history_wake(struct core *core)
{
  if (core->histories != NULL && core->histories->due.ms == INT64_MAX) {
    core->histories->due = core_now().mono;
    core_wake(core);
  }
}

bool history_waits(const struct core *core)
{
  return core->histories != NULL && core->histories->finished;
}

enum status history_run(struct core *core, struct store_txn *txn)
{
  if (!history_waits(core)) {
    return STATUS_OK;
  }
  core->histories->finished = false;
  core->histories->due.ms = core_now().mono.ms;
  return store_history_done(txn, &core->histories->subject);
}

void history_close(struct core *core)
{
  struct histories *histories = core->histories;
  if (histories != NULL) {
    bytes_close(&histories->octets);
    free(histories);
    core->histories = NULL;
  }
}
