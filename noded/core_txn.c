/*
 * The one transaction of a turn: everything that waits, then one fsync, then everyone is told.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "noded/core_internal.h"
#include "noded/log.h"
#include "record/codec.h"

static struct pending *add(struct core *core, enum pending_type type)
{
  if (core->pending_count == core->pending_capacity) {
    size_t capacity = core->pending_capacity == 0 ? 64 : core->pending_capacity * 2;
    struct pending *grown = realloc(core->pending, capacity * sizeof(*grown));
    if (grown == NULL) {
      core->broken = true;
      return NULL;
    }
    core->pending = grown;
    core->pending_capacity = capacity;
  }
  struct pending *pending = &core->pending[core->pending_count++];
  memset(pending, 0, sizeof(*pending));
  pending->type = type;
  return pending;
}

/* Acknowledgements of our outboxes only free space: they wait for a transaction that runs anyway,
 * or a while. Lost in a crash they are learned again from the next hello. */
static void add_lazy(struct core *core, const struct repl_effect *effect)
{
  if (effect->neighbour >= core->lazy_count) {
    size_t count = ((size_t)effect->neighbour + 16) & ~(size_t)15;
    struct lazy_ack *grown = realloc(core->lazy, count * sizeof(*grown));
    if (grown == NULL) {
      core->broken = true;
      return;
    }
    memset(grown + core->lazy_count, 0, (count - core->lazy_count) * sizeof(*grown));
    core->lazy = grown;
    core->lazy_count = count;
  }
  core->lazy[effect->neighbour].position[effect->lane] = effect->position;
  if (!core->lazy_waits) {
    core->lazy_waits = true;
    core->lazy_at.ms = core_now().mono.ms + CORE_LAZY_MS;
  }
}

void txn_add_effect(struct core *core, struct repl_effect *effect, struct core_import *import)
{
  if (effect->type == REPL_PERSIST_ACK) {
    add_lazy(core, effect);
    return;
  }
  struct pending *pending = add(core, PENDING_EFFECT);
  if (pending != NULL) {
    pending->effect = *effect;
    pending->import = import;
    effect->message = NULL; /* ours now */
  }
}

void txn_add_child(struct core *core, uint32_t peer, const struct address *address)
{
  struct pending *pending = add(core, PENDING_CHILD);
  if (pending != NULL) {
    pending->peer = peer;
    pending->address = *address;
  }
}

static void drop_pending(struct pending *pending)
{
  message_release(pending->effect.message);
  free(pending->refused);
}

void txn_drop_pending(struct core *core)
{
  for (size_t i = 0; i < core->pending_count; i++) {
    drop_pending(&core->pending[i]);
  }
  core->pending_count = 0;
  if (core->lazy != NULL) {
    memset(core->lazy, 0, core->lazy_count * sizeof(*core->lazy));
  }
  core->lazy_waits = false;
}

bool txn_has_work(const struct core *core)
{
  return append_waits(core) || bundle_waits(core) || core->backfill || trim_waits(core) ||
         core->drop_neighbour != 0 || history_waits(core) || backup_waits(core) ||
         snapshot_waits(core) || hidden_waits(core) || core->behind != core->behind_stored;
}

bool txn_is_due(const struct core *core, struct mono_ms now)
{
  return core->pending_count > 0 || txn_has_work(core) ||
         (core->lazy_waits && core->lazy_at.ms <= now.ms);
}

/* ---- within the transaction ---- */

static struct log_id log_id_of(const struct commit_header *header)
{
  return (struct log_id){header->origin, header->store, header->lane};
}

static enum status refuse(struct core *core, struct store_txn *txn, struct pending *pending,
                          const struct message_commit *item)
{
  const struct commit_header *header = &item->commit.header;
  struct log_id id = log_id_of(header);
  struct log_field fields[] = {
      log_uint("neighbour", pending->effect.neighbour),
      log_hex("origin", header->origin.octets, KEY_SIZE),
      log_uint("lane", header->lane),
      log_uint("seq", header->seq),
      log_text("verdict", verdict_name(item->verdict)),
  };
  log_write(item->verdict == VERDICT_FORK ? LOG_ERROR : LOG_WARN, "commit_refused", fields, 5);
  if (pending->refused == NULL) {
    pending->refused = calloc(MESSAGE_COMMITS_MAX, sizeof(*pending->refused));
    if (pending->refused == NULL) {
      return STATUS_NO_MEMORY;
    }
  }
  struct repl_refused *refused = &pending->refused[pending->refused_count++];
  refused->log = (struct log_name){header->origin, header->store, header->lane};
  refused->seq = header->seq;
  refused->verdict = item->verdict;
  load_refused(core, &id, refused);
  return store_quarantine_put(txn, pending->effect.neighbour, &id, header->seq, item->verdict,
                              item->commit.octets);
}

static enum status apply_item(struct core *core, struct store_txn *txn, struct pending *pending,
                              struct message_commit *item)
{
  if (item->verdict == VERDICT_OK) {
    struct applied applied = {0};
    enum status status = pending->import != NULL
                             ? store_commit_take_back(txn, &item->commit, item->zstd, &applied)
                             : store_commit_apply(txn, &item->commit, item->zstd, &applied);
    if (status != STATUS_OK) {
      return status;
    }
    item->verdict = applied.verdict;
    if (applied.verdict == VERDICT_OK) {
      core->figures.commits_in++;
      core->figures.records_in += applied.records_new;
      core->records_held += applied.records_new;
      (void)clock_hlc_merge(&core->hlc, item->commit.header.hlc, core_now().wall);
    }
  }
  if (item->verdict != VERDICT_OK && item->verdict != VERDICT_DUPLICATE) {
    return refuse(core, txn, pending, item);
  }
  return STATUS_OK;
}

static struct cursor cursor_of(const struct link_cursor *cursor)
{
  struct cursor out = {.store = cursor->store, .position = cursor->position};
  memcpy(out.tag, cursor->tag, sizeof(out.tag));
  return out;
}

static enum status apply_commits(struct core *core, struct store_txn *txn, struct pending *pending)
{
  struct message_commits *commits = &pending->effect.message->commits;
  for (unsigned i = 0; i < commits->count; i++) {
    enum status status = apply_item(core, txn, pending, &commits->items[i]);
    if (status != STATUS_OK) {
      return status;
    }
  }
  return STATUS_OK;
}

static enum status apply_refusals(struct store_txn *txn, struct instant now,
                                  const struct pending *pending)
{
  const struct message_ack *ack = &pending->effect.message->ack;
  for (unsigned i = 0; i < ack->refusal_count; i++) {
    const struct refusal *refusal = &ack->refusals[i];
    struct refused_entry entry = {
        .neighbour = pending->effect.neighbour,
        .log = {refusal->log.origin, refusal->log.store, refusal->log.lane},
        .seq = refusal->seq,
        .verdict = (enum verdict)refusal->verdict,
        .at = now.wall,
    };
    enum status status = store_refused_put(txn, &entry);
    if (status != STATUS_OK) {
      return status;
    }
  }
  return STATUS_OK;
}

static enum status apply_passed(struct store_txn *txn, const struct repl_effect *effect)
{
  struct log_id id = {effect->log.origin, effect->log.store, effect->log.lane};
  return store_quarantine_raise(txn, effect->neighbour, &id, effect->position);
}

static enum status apply_certificate(struct store_txn *txn, const struct pending *pending)
{
  struct certificate certificate;
  enum status status = certificate_read(pending->effect.message->certificate, &certificate);
  return status == STATUS_OK ? store_certificate_put(txn, &certificate) : status;
}

static enum status apply_effect(struct core *core, struct store_txn *txn, struct pending *pending)
{
  const struct repl_effect *effect = &pending->effect;
  enum status status = STATUS_OK;
  switch (effect->type) {
  case REPL_PERSIST_COMMITS:
    status = apply_commits(core, txn, pending);
    break;
  case REPL_PERSIST_CERTIFICATE:
    status = apply_certificate(txn, pending);
    break;
  case REPL_PERSIST_FLOOR:
    status = floor_apply(core, txn, effect);
    break;
  case REPL_PERSIST_PASSED:
    status = apply_passed(txn, effect);
    break;
  case REPL_PERSIST_REFUSALS:
    status = apply_refusals(txn, core_now(), pending);
    break;
  default:
    break;
  }
  if (status == STATUS_OK && effect->has_cursor) {
    struct cursor cursor = cursor_of(&effect->cursor);
    status = store_cursor_put(txn, effect->neighbour, effect->lane, &cursor);
  }
  return status;
}

static enum status apply_lazy(struct core *core, struct store_txn *txn)
{
  for (size_t i = 0; i < core->lazy_count && core->lazy_waits; i++) {
    for (unsigned lane = 0; lane < LANE_COUNT; lane++) {
      uint64_t position = core->lazy[i].position[lane];
      core->lazy[i].position[lane] = 0;
      if (position != 0) {
        const struct neighbour *neighbour = store_neighbour(core->store, (uint16_t)i);
        bool dropped = neighbour->dropped;
        enum status status = store_outbox_ack(txn, (uint16_t)i, lane, position);
        if (status != STATUS_OK) {
          return status;
        }
        if (dropped && !neighbour->dropped) {
          snapshot_tell_level(core, (uint16_t)i);
        }
      }
    }
  }
  core->lazy_waits = false;
  return STATUS_OK;
}

static enum status put_counters(struct core *core, struct store_txn *txn)
{
  enum status status = STATUS_OK;
  if (core->hlc.last != core->hlc_stored) {
    status = store_meta_put(txn, CORE_COUNTER_HLC, core->hlc.last);
    core->hlc_stored = core->hlc.last;
  }
  if (status == STATUS_OK && core->records_held != core->records_stored) {
    status = store_meta_put(txn, STORE_COUNTER_RECORDS, core->records_held);
    core->records_stored = core->records_held;
  }
  return status;
}

static enum status apply_all(struct core *core, struct store_txn *txn)
{
  enum status status = STATUS_OK;
  for (size_t i = 0; i < core->pending_count && status == STATUS_OK; i++) {
    struct pending *pending = &core->pending[i];
    if (pending->type == PENDING_CHILD) {
      uint16_t number;
      status = store_neighbour_put(txn, &pending->address, &number);
      core->backfill = true;
    } else {
      status = apply_effect(core, txn, pending);
    }
  }
  if (status == STATUS_OK) {
    status = apply_lazy(core, txn);
  }
  if (status == STATUS_OK) {
    status = bundle_run(core, txn);
  }
  if (status == STATUS_OK) {
    status = backup_run(core, txn);
  }
  if (status == STATUS_OK) {
    status = append_run(core, txn);
  }
  if (status == STATUS_OK && core->backfill) {
    bool done = false;
    status = store_backfill_step(txn, CORE_BACKFILL_SUBJECTS, &done);
    core->backfill = !done;
  }
  if (status == STATUS_OK) {
    status = trim_run(core, txn);
  }
  if (status == STATUS_OK) {
    status = outbox_run(core, txn);
  }
  if (status == STATUS_OK) {
    status = snapshot_run(core, txn);
  }
  if (status == STATUS_OK) {
    status = hidden_run(core, txn);
  }
  if (status == STATUS_OK) {
    status = history_run(core, txn);
  }
  if (status == STATUS_OK) {
    status = snapshot_put_behind(core, txn);
  }
  return status == STATUS_OK ? put_counters(core, txn) : status;
}

/* ---- after it ---- */

static void count_import(struct core_import *import, const struct pending *pending,
                         struct core *core);

static void tell_persisted(struct core *core, const struct pending *pending)
{
  const struct repl_effect *effect = &pending->effect;
  if (pending->import != NULL) {
    count_import(pending->import, pending, core);
  }
  if (effect->type != REPL_PERSIST_COMMITS && effect->type != REPL_PERSIST_CURSOR) {
    return;
  }
  struct repl_event event = {.type = REPL_PERSISTED, .neighbour = effect->neighbour};
  event.persisted.generation = effect->generation;
  event.persisted.lane = effect->lane;
  event.persisted.position = effect->has_cursor ? effect->cursor.position : 0;
  event.persisted.message = effect->type == REPL_PERSIST_COMMITS ? effect->message : NULL;
  event.persisted.refused = pending->refused;
  event.persisted.refused_count = pending->refused_count;
  core_step(core, &event);
}

static void write_refusal(struct core_import *import, const struct repl_refused *refused)
{
  struct writer writer;
  char hex[2 * KEY_SIZE + 1];
  bytes_to_hex(bytes_view_of(refused->log.origin.octets, KEY_SIZE), hex);
  writer_init(&writer, &import->refusals);
  writer_map(&writer, 4);
  writer_text(&writer, "origin");
  writer_text(&writer, hex);
  writer_text(&writer, "lane");
  writer_text(&writer, lane_name(refused->log.lane));
  writer_text(&writer, "seq");
  writer_uint(&writer, refused->seq);
  writer_text(&writer, "verdict");
  writer_text(&writer, verdict_name(refused->verdict));
  if (writer_finish(&writer) == STATUS_OK) {
    import->refusal_count++;
  }
}

static void count_import(struct core_import *import, const struct pending *pending,
                         struct core *core)
{
  (void)core;
  if (pending->effect.type == REPL_PERSIST_CERTIFICATE) {
    import->certificates++;
    return;
  }
  const struct message_commits *commits = &pending->effect.message->commits;
  for (unsigned i = 0; i < commits->count; i++) {
    import->taken += commits->items[i].verdict == VERDICT_OK;
    import->duplicate += commits->items[i].verdict == VERDICT_DUPLICATE;
  }
  import->refused += pending->refused_count;
  for (size_t i = 0; i < pending->refused_count; i++) {
    write_refusal(import, &pending->refused[i]);
  }
}

static void tell_outboxes(struct core *core)
{
  struct repl_event event = {.type = REPL_OUTBOX};
  bool heads_read = false;
  for (uint16_t number = 1; number <= store_neighbour_count(core->store); number++) {
    const struct neighbour *neighbour = store_neighbour(core->store, number);
    bool grew = false;
    for (unsigned lane = 0; lane < LANE_COUNT; lane++) {
      event.outbox.ends[lane] = neighbour->lanes[lane].end_position;
      grew = grew || core->told_ends[number][lane] != event.outbox.ends[lane];
      core->told_ends[number][lane] = event.outbox.ends[lane];
    }
    if (grew) {
      if (!heads_read) {
        load_own_heads(core, event.outbox.own_heads);
        heads_read = true;
      }
      event.neighbour = number;
      core_step(core, &event);
    }
  }
}

static uint64_t clock_us(void)
{
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void fail(struct core *core, enum status status)
{
  struct log_field fields[] = {log_text("reason", status_text(status))};
  log_write(LOG_ERROR, "transaction_failed", fields, 1);
  core_restart(core, status);
}

void txn_run(struct core *core)
{
  struct store_txn *txn;
  if (!txn_is_due(core, (struct mono_ms){INT64_MAX})) {
    return;
  }
  enum status status = store_begin(core->store, core_now(), &txn);
  if (status != STATUS_OK) {
    fail(core, status);
    return;
  }
  status = apply_all(core, txn);
  if (status != STATUS_OK) {
    store_abort(txn);
    fail(core, status);
    return;
  }
  uint64_t before = clock_us();
  status = store_commit(txn);
  core->figures.fsync_us_total += clock_us() - before;
  core->figures.transactions++;
  if (status != STATUS_OK) {
    fail(core, status);
    return;
  }
  for (size_t i = 0; i < core->pending_count; i++) {
    struct pending *pending = &core->pending[i];
    if (pending->type == PENDING_CHILD) {
      const struct neighbour *child = store_neighbour_find(core->store, &pending->address);
      peers_child_known(core, core->peers, pending->peer, child == NULL ? 0 : child->number);
    } else {
      tell_persisted(core, pending);
    }
    drop_pending(pending);
  }
  core->pending_count = 0;
  tell_outboxes(core);
  append_finish(core, STATUS_OK);
  bundle_finish(core, STATUS_OK);
  backup_finish(core, STATUS_OK);
  snapshot_finish(core, STATUS_OK);
  hidden_finish(core, STATUS_OK);
  trim_finish(core, STATUS_OK);
}
