/*
 * Effects that read: outbox entries, logs, heads; and filling the replication node at start. All
 * on the core thread, in a read transaction, bounded by what one message may hold.
 */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "noded/core_internal.h"
#include "noded/log.h"
#include "storage/backup.h"

#define HEADS_PAGE 64

static void tell_loaded(struct core *core, const struct repl_effect *effect, bool from_log,
                        const struct outgoing *outgoing, size_t count, uint64_t next_seq,
                        const struct log_floor *floor)
{
  struct repl_outgoing entries[REPL_LOADED_MAX];
  for (size_t i = 0; i < count; i++) {
    entries[i] = (struct repl_outgoing){outgoing[i].position, outgoing[i].certificate,
                                        outgoing[i].raw_size, outgoing[i].zstd};
  }
  struct repl_event event = {.type = REPL_LOADED, .neighbour = effect->neighbour};
  event.loaded = (struct repl_loaded){.generation = effect->generation,
                                      .lane = effect->lane,
                                      .from_log = from_log,
                                      .next_seq = next_seq,
                                      .count = count,
                                      .entries = entries};
  if (floor != NULL && floor->seq != 0) {
    event.loaded.floor = floor->commit;
    event.loaded.proofs = floor->proofs;
    event.loaded.proof_count = floor->proof_count;
  }
  core_step(core, &event);
}

static struct store_txn *read_begin(struct core *core)
{
  struct store_txn *txn = NULL;
  if (store_read_begin(core->store, &txn) != STATUS_OK) {
    core->broken = true;
    return NULL;
  }
  return txn;
}

static void read_end(struct core *core, struct store_txn *txn, enum status status)
{
  store_read_end(txn);
  if (status != STATUS_OK) {
    struct log_field fields[] = {log_text("reason", status_text(status))};
    log_write(LOG_ERROR, "read_failed", fields, 1);
    core->broken = true;
  }
}

void load_outbox(struct core *core, const struct repl_effect *effect)
{
  struct outgoing outgoing[REPL_LOADED_MAX];
  size_t count = 0;
  struct store_txn *txn = read_begin(core);
  if (txn == NULL) {
    return;
  }
  enum status status =
      store_outbox_read(txn, effect->neighbour, effect->lane, effect->position, effect->octets_max,
                        effect->count, &core->arena, outgoing, &count);
  if (status == STATUS_OK) {
    tell_loaded(core, effect, false, outgoing, count, 0, NULL);
  }
  read_end(core, txn, status);
}

void load_log(struct core *core, const struct repl_effect *effect)
{
  struct outgoing outgoing[REPL_LOADED_MAX];
  struct log_id id = {effect->log.origin, effect->log.store, effect->log.lane};
  struct log_head head;
  struct log_floor floor = {0};
  uint64_t next_seq = 0;
  size_t count = 0;
  enum status status = STATUS_OK;
  struct store_txn *txn = read_begin(core);
  if (txn == NULL) {
    return;
  }
  if (store_log_find(core->store, &id, &head)) {
    status =
        store_log_read(txn, head.number, effect->position, effect->neighbour, effect->octets_max,
                       effect->count, &core->arena, outgoing, &count, &next_seq);
    if (status == STATUS_OK && effect->position <= head.floor) {
      status = store_floor_get(txn, head.number, &floor);
    }
  }
  if (status == STATUS_OK) {
    tell_loaded(core, effect, true, outgoing, count, next_seq, &floor);
  }
  read_end(core, txn, status);
}

/* Does the neighbour's cursor stand in our outbox? One of another store counts as nothing read:
 * fine as long as nothing has been dropped yet. */
static bool cursor_matches(struct core *core, const struct store_txn *txn, uint16_t neighbour,
                           unsigned number, const struct link_cursor *cursor)
{
  const struct neighbour_lane *lane = &store_neighbour(core->store, neighbour)->lanes[number];
  uint8_t tag[16];
  if (memcmp(cursor->store.octets, store_identity(core->store)->store.octets, STORE_ID_SIZE) != 0) {
    return lane->acked_position == 0;
  }
  return store_outbox_tag(txn, neighbour, number, cursor->position, tag) &&
         memcmp(tag, cursor->tag, sizeof(tag)) == 0;
}

void load_check_cursors(struct core *core, const struct repl_effect *effect)
{
  struct repl_event event = {.type = REPL_CURSORS, .neighbour = effect->neighbour};
  struct store_txn *txn = read_begin(core);
  if (txn == NULL) {
    return;
  }
  event.cursors.generation = effect->generation;
  for (unsigned lane = 0; lane < LANE_COUNT; lane++) {
    event.cursors.matches[lane] =
        cursor_matches(core, txn, effect->neighbour, lane, &effect->cursors[lane]);
  }
  read_end(core, txn, STATUS_OK);
  core_step(core, &event);
}

void load_own_heads(struct core *core, struct idle_head heads[LANE_COUNT])
{
  struct log_id id = {core->identity->key, store_identity(core->store)->store, 0};
  memset(heads, 0, LANE_COUNT * sizeof(*heads));
  for (unsigned lane = 0; lane < LANE_COUNT; lane++) {
    struct log_head head;
    id.lane = (uint8_t)lane;
    heads[lane].lane = (uint8_t)lane;
    if (store_log_find(core->store, &id, &head)) {
      heads[lane].store = id.store;
      heads[lane].seq = head.seq;
      heads[lane].id = head.commit_id;
    }
  }
}

/* ---- resynchronisation ---- */

bool load_stands_toward(const struct core *core, const struct log_head *head, uint16_t neighbour)
{
  const struct address *self = &core->identity->address;
  if (neighbour == NEIGHBOUR_PARENT) {
    return !address_within(&head->address, self);
  }
  return address_within(&head->address, &store_neighbour(core->store, neighbour)->address);
}

void load_heads(struct core *core, const struct repl_effect *effect)
{
  struct heads_entry entries[HEADS_PAGE];
  struct repl_event event = {.type = REPL_HEADS_READ, .neighbour = effect->neighbour};
  struct log_head head;
  uint16_t count = 0;
  uint32_t number = (uint32_t)effect->position + 1;
  enum status status = STATUS_OK;
  struct store_txn *txn = read_begin(core);
  if (txn == NULL) {
    return;
  }
  for (; status == STATUS_OK && count < HEADS_PAGE && number <= store_log_count(core->store);
       number++) {
    if (!store_log_at(core->store, number, &head) || head.seq == 0 ||
        !load_stands_toward(core, &head, effect->neighbour)) {
      continue;
    }
    struct heads_entry *entry = &entries[count++];
    entry->log = (struct log_name){head.id.origin, head.id.store, head.id.lane};
    entry->seq = head.seq;
    status = store_log_digest(txn, number, NEIGHBOUR_NONE, UINT64_MAX, &core->arena, entry->digest,
                              &entry->commits);
  }
  event.heads.generation = effect->generation;
  event.heads.entries = entries;
  event.heads.count = count;
  event.heads.final = number > store_log_count(core->store);
  event.heads.next = number - 1;
  read_end(core, txn, status);
  if (status == STATUS_OK) {
    core_step(core, &event);
  }
}

/* ---- at start ---- */

static bool add_certificate(void *context, const struct certificate *certificate)
{
  struct core *core = context;
  enum verdict verdict = repl_node_add_certificate(core->node, certificate->octets);
  if (verdict != VERDICT_OK) {
    struct log_field fields[] = {log_text("address", certificate->address.text),
                                 log_text("reason", verdict_text(verdict))};
    log_write(LOG_ERROR, "certificate_ignored", fields, 2);
  }
  return true;
}

/* After its head where the log has to be gapless, unless what was refused was a further showing of
 * what is held: then there. */
void load_refused(const struct core *core, const struct log_id *id, struct repl_refused *refused)
{
  struct log_head head;
  bool known = store_log_find(core->store, id, &head);
  bool next = known && head.gapless && refused->seq > head.seq;
  refused->want_seq = next ? head.seq + 1 : known ? refused->seq : 1;
}

static bool add_quarantined(void *context, const struct quarantine_entry *entry)
{
  struct core *core = context;
  struct repl_refused refused = {
      .log = {entry->log.origin, entry->log.store, entry->log.lane},
      .seq = entry->low,
      .verdict = entry->verdict,
  };
  load_refused(core, &entry->log, &refused);
  refused.seq = entry->high;
  repl_node_add_quarantined(core->node, entry->neighbour, &refused);
  return true;
}

/* Our own chain is known before anything else, and stored like any other certificate. */
static enum status put_own_chain(struct core *core)
{
  struct certificate chain[CERTIFICATE_CHAIN_MAX];
  struct store_txn *txn;
  size_t count;
  if (certificate_read_chain(bytes_as_view(&core->identity->chain), &core->identity->root, chain,
                             &count) != VERDICT_OK) {
    return STATUS_BAD_SIGNATURE;
  }
  enum status status = store_begin(core->store, core_now(), &txn);
  if (status != STATUS_OK) {
    return status;
  }
  for (size_t i = 0; i < count && status == STATUS_OK; i++) {
    status = store_certificate_put(txn, &chain[i]);
  }
  if (status != STATUS_OK) {
    store_abort(txn);
    return status;
  }
  return store_commit(txn);
}

static void fill_settings(const struct core *core, struct repl_settings *settings)
{
  repl_settings_default(settings);
  settings->self = core->identity->address;
  settings->store = store_identity(core->store)->store;
  settings->root = core->identity->root;
  settings->software = CORE_SOFTWARE;
  settings->window_octets = core->config->window_bytes;
  settings->rate_octets_s = core->config->rate_bytes_s;
  settings->idle_ms = core->config->idle_ms;
  settings->dead_ms = core->config->dead_ms;
}

enum status load_store(struct core *core, const struct store_settings *settings, char *reason)
{
  const struct core_identity *identity = core->identity;
  struct store_identity expected = {
      .node = identity->key, .address = identity->address, .root = identity->root};
  enum status status = store_open(settings, &expected, &core->store, reason);
  if (status == STATUS_NOT_FOUND) {
    randombytes_buf(expected.store.octets, STORE_ID_SIZE);
    status = store_create(settings, &expected, reason);
    if (status == STATUS_OK) {
      status = store_open(settings, &expected, &core->store, reason);
    }
  }
  return status;
}

enum status load_node(struct core *core, char *reason)
{
  struct repl_settings settings;
  struct store_txn *txn;
  fill_settings(core, &settings);
  enum status status = put_own_chain(core);
  if (status == STATUS_OK) {
    status = repl_node_new(&settings, &core->node);
  }
  if (status == STATUS_OK) {
    status = store_read_begin(core->store, &txn);
  }
  if (status != STATUS_OK) {
    snprintf(reason, STORE_REASON_MAX, "can't load the store: %s", status_text(status));
    return status;
  }
  status = store_certificate_each(txn, add_certificate, core);
  if (status == STATUS_OK) {
    status = store_quarantine_each(txn, add_quarantined, core);
  }
  core->hlc.last = core->hlc_stored = store_meta_get(txn, CORE_COUNTER_HLC);
  core->records_held = core->records_stored = store_meta_get(txn, STORE_COUNTER_RECORDS);
  core->has_previous = store_previous(txn, &core->previous);
  snapshot_load(core, txn);
  hidden_load(core, txn);
  store_read_end(txn);
  memset(core->told_ends, 0, sizeof(core->told_ends));
  core->backfill = false;
  for (uint16_t number = 1; number <= store_neighbour_count(core->store); number++) {
    const struct neighbour *neighbour = store_neighbour(core->store, number);
    core->backfill = core->backfill || !neighbour->backfilled;
    for (unsigned lane = 0; lane < LANE_COUNT; lane++) {
      core->told_ends[number][lane] = neighbour->lanes[lane].end_position;
    }
  }
  core->room = true;
  if (status != STATUS_OK) {
    snprintf(reason, STORE_REASON_MAX, "can't load the store: %s", status_text(status));
  }
  return status;
}
