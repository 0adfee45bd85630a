/*
 * Bundles carried by hand, and quarantined commits judged again: both go in as messages that no
 * link brought, by the path that a link uses.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "noded/core_internal.h"
#include "record/bundle.h"

/* An import is queued as messages in the turn in which it comes; its end is the end of that turn's
 * transaction. */
void core_import(struct core *core, struct core_import *import)
{
  import->taken = import->duplicate = import->refused = import->certificates = 0;
  import->refusal_count = 0;
  import->reason[0] = '\0';
  import->next = NULL;
  if (core->import_first == NULL) {
    core->import_first = import;
  } else {
    core->import_last->next = import;
  }
  core->import_last = import;
  core_wake(core);
}

bool bundle_waits(const struct core *core)
{
  return core->import_first != NULL || core->drop_first != NULL;
}

/* Steps the node with one message and takes what it wants persisted as this import's. What is
 * refused is kept under `neighbour`. */
static void step_message(struct core *core, struct message *message, uint16_t neighbour,
                         struct core_import *import)
{
  struct repl_effects before = core->effects;
  memset(&core->effects, 0, sizeof(core->effects));
  struct repl_event event = {.type = REPL_MESSAGE, .message = message};
  core_step(core, &event);
  struct repl_effects mine = core->effects;
  core->effects = before;
  for (size_t i = 0; i < mine.count; i++) {
    struct repl_effect *effect = &mine.items[i];
    if (effect->type == REPL_PERSIST_COMMITS || effect->type == REPL_PERSIST_CERTIFICATE) {
      effect->neighbour = neighbour;
      txn_add_effect(core, effect, import);
    } else if (effect->type == REPL_SEND) {
      peers_send(core, core->peers, effect, &effect->octets);
    }
  }
  repl_effects_close(&mine);
  peers_flush(core, core->peers);
}

static enum status queue_entry(struct core *core, enum bundle_entry type, struct bytes_view octets,
                               struct core_import *import)
{
  struct message *message;
  enum status status = type == BUNDLE_CERTIFICATE ? message_of_certificate(octets, &message)
                                                  : message_of_commit(octets, &message);
  if (status == STATUS_OK) {
    step_message(core, message, NEIGHBOUR_NONE, import);
    message_release(message);
  }
  return status;
}

static enum status queue_import(struct core *core, struct core_import *import)
{
  struct bytes_view rest = import->octets;
  struct bytes_view octets;
  enum bundle_entry type;
  enum status status = bundle_read_head(&rest);
  if (status != STATUS_OK) {
    snprintf(import->reason, sizeof(import->reason),
             "this is not a bundle of a version known here");
    return status;
  }
  for (unsigned number = 1;; number++) {
    status = bundle_read(&rest, &type, &octets);
    if (status == STATUS_OK && type == BUNDLE_END) {
      return STATUS_OK;
    }
    if (status == STATUS_OK) {
      status = queue_entry(core, type, octets, import);
    }
    if (status != STATUS_OK) {
      snprintf(import->reason, sizeof(import->reason),
               "entry %u is damaged or cut off; those before it were taken", number);
      return status;
    }
  }
}

void bundle_queue(struct core *core)
{
  for (struct core_import *import = core->import_first; import != NULL; import = import->next) {
    if (!core->room) {
      import->state = STATUS_DISK_FULL;
      snprintf(import->reason, sizeof(import->reason),
               "less than 5 %% of the disk or quota is free; nothing was taken");
    } else {
      import->state = queue_import(core, import);
    }
  }
}

/* ---- quarantine by hand ---- */

void core_drop(struct core *core, struct core_retry *drop)
{
  drop->retried = 0;
  drop->next = core->drop_first;
  core->drop_first = drop;
  core_wake(core);
}

enum status bundle_run(struct core *core, struct store_txn *txn)
{
  for (struct core_retry *drop = core->drop_first; drop != NULL; drop = drop->next) {
    drop->state = store_quarantine_drop(txn, drop->number);
    drop->retried = drop->state == STATUS_OK;
    if (drop->state != STATUS_OK && drop->state != STATUS_NOT_FOUND) {
      return drop->state;
    }
  }
  return STATUS_OK;
}

void bundle_finish(struct core *core, enum status status)
{
  struct core_import *import = core->import_first;
  core->import_first = core->import_last = NULL;
  while (import != NULL) {
    struct core_import *next = import->next;
    import->done(core, import, status == STATUS_OK ? import->state : status);
    import = next;
  }
  struct core_retry *drop = core->drop_first;
  core->drop_first = NULL;
  while (drop != NULL) {
    struct core_retry *next = drop->next;
    drop->done(core, drop, status == STATUS_OK ? drop->state : status);
    drop = next;
  }
}

struct retry_walk {
  struct core *core;
  struct core_retry *retry;
};

/* The kept commit goes in as if by hand (if it is good now, it is taken and the entry goes), and
 * the neighbour is asked for the log. */
static bool retry_entry(void *context, const struct quarantine_entry *entry)
{
  struct retry_walk *walk = context;
  if (walk->retry->number != 0 && walk->retry->number != entry->number) {
    return true;
  }
  struct message *message;
  walk->retry->retried++;
  if (message_of_commit(entry->octets, &message) == STATUS_OK) {
    step_message(walk->core, message, entry->neighbour, NULL);
    message_release(message);
  }
  struct repl_event event = {.type = REPL_RETRY, .neighbour = entry->neighbour};
  core_step(walk->core, &event);
  return true;
}

void core_retry(struct core *core, struct core_retry *retry)
{
  struct store_txn *txn;
  struct retry_walk walk = {core, retry};
  retry->retried = 0;
  enum status status = store_read_begin(core->store, &txn);
  if (status == STATUS_OK) {
    status = store_quarantine_each(txn, retry_entry, &walk);
    store_read_end(txn);
  }
  if (status == STATUS_OK && retry->number != 0 && retry->retried == 0) {
    status = STATUS_NOT_FOUND;
  }
  core_wake(core);
  retry->done(core, retry, status);
}
