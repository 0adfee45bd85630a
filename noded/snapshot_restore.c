/*
 * A snapshot is put into a store: a store in place keeps everything that it has and gets what it
 * lacks, then its cursors in the parent's outbox move on to what the snapshot covers. Done in
 * transactions of bounded size, the cursors last: cut off at any moment, it can be run again.
 */
#include <cjson/cJSON.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "admin/node_files.h"
#include "noded/backup.h"
#include "noded/core_internal.h"
#include "noded/identity.h"
#include "noded/restore.h"
#include "noded/snapshot.h"
#include "record/receipt.h"
#include "storage/backup.h"

#define BATCH_COMMITS 256
#define PROGRESS_COMMITS 5000

struct filling {
  const struct restore_options *options;
  FILE *err;
  bool shown; /* progress, on a terminal */
  struct config config;
  struct core_identity identity;
  struct snapshot_source source;
  struct store *store;
  bool fresh;                        /* there was none */
  bool renewed;                      /* the store was behind what this node had written */
  bool parent_was_level[LANE_COUNT]; /* nothing waited for the parent */
  struct arena arena;
  struct store_txn *txn; /* NULL: none is begun */
  struct clock_hlc hlc;
  uint64_t records; /* counter of the store */
  unsigned batch;
  uint64_t taken;
  uint64_t held;
  uint64_t refused;
  uint64_t records_new;
  uint64_t read;
  int64_t began_ms;
};

__attribute__((format(printf, 2, 3))) static bool complain(const struct filling *filling,
                                                           const char *format, ...)
{
  va_list arguments;
  va_start(arguments, format);
  fputs(filling->shown ? "\r\033[Knoded: " : "noded: ", filling->err);
  vfprintf(filling->err, format, arguments);
  fputc('\n', filling->err);
  va_end(arguments);
  return false;
}

/* ---- the store ---- */

static void store_settings(const struct filling *filling, const char *path,
                           struct store_settings *settings)
{
  store_settings_default(settings);
  settings->path = path;
  settings->map_bytes = filling->config.map_bytes;
  settings->quota_bytes = filling->config.quota_bytes;
}

static struct store_identity identity_of(const struct filling *filling)
{
  return (struct store_identity){.node = filling->identity.key,
                                 .address = filling->identity.address,
                                 .root = filling->identity.root};
}

static bool store_take(struct filling *filling, const char *path)
{
  char reason[STORE_REASON_MAX] = "";
  struct store_settings settings;
  const struct store_identity expected = identity_of(filling);
  store_settings(filling, path, &settings);
  enum status status = store_open(&settings, &expected, &filling->store, reason);
  return status == STATUS_OK || complain(filling, "%s", reason);
}

static bool renew(struct filling *filling)
{
  struct store_id fresh;
  randombytes_buf(fresh.octets, STORE_ID_SIZE);
  enum status status = store_renew(filling->store, core_now(), &fresh);
  filling->renewed = true;
  return status == STATUS_OK ||
         complain(filling, "giving the store a new id: %s", status_text(status));
}

/* A new store is made beside its place, so that one never stands there that could go on where the
 * lost one wrote: it is the lost one's next, by its id. */
static bool store_make(struct filling *filling)
{
  char part[PATH_MAX];
  char reason[STORE_REASON_MAX] = "";
  struct store_settings settings;
  struct store_identity identity = identity_of(filling);
  int size = snprintf(part, sizeof(part), "%s" BACKUP_PART, filling->config.store_path);
  if (size < 0 || (size_t)size >= sizeof(part) - 64) {
    return complain(filling, "the store's path is too long");
  }
  backup_tree_remove(part); /* of one that was cut off */
  randombytes_buf(identity.store.octets, STORE_ID_SIZE);
  if (filling->source.own) {
    identity.store = filling->source.own_store;
  }
  store_settings(filling, part, &settings);
  if (store_create(&settings, &identity, reason) != STATUS_OK) {
    return complain(filling, "%s", reason);
  }
  bool good = store_take(filling, part) && (!filling->source.own || renew(filling));
  store_close(filling->store);
  filling->store = NULL;
  (void)rmdir(filling->config.store_path);
  if (good && rename(part, filling->config.store_path) != 0) {
    good = complain(filling, "renaming %s failed", part);
  }
  good = good && (node_file_sync_directory_of(filling->config.store_path) == STATUS_OK ||
                  complain(filling, "syncing the folder of %s failed", part));
  if (!good) {
    backup_tree_remove(part);
  }
  return good && store_take(filling, filling->config.store_path);
}

/* Whether this node has written, under the store's id, what the store has lost. */
static bool is_behind(const struct filling *filling)
{
  const struct store_identity *identity = store_identity(filling->store);
  uint64_t seqs[LANE_COUNT];
  bool behind = false;
  snapshot_source_reach(&filling->source, &identity->node, &identity->store, seqs);
  for (uint8_t lane = 0; lane < LANE_COUNT; lane++) {
    struct log_id id = {identity->node, identity->store, lane};
    struct log_head head = {0};
    (void)store_log_find(filling->store, &id, &head);
    behind = behind || seqs[lane] > head.seq;
  }
  return behind;
}

/* How far the lane has been read here, of the outbox that the snapshot speaks of. */
static uint64_t position_of(const struct filling *filling, unsigned lane)
{
  const struct cursor *received =
      &store_neighbour(filling->store, NEIGHBOUR_PARENT)->lanes[lane].received;
  const struct store_id *store = &filling->source.head.store;
  return memcmp(received->store.octets, store->octets, STORE_ID_SIZE) == 0 ? received->position : 0;
}

/* One that covers less than what has come by the link has nothing to give. */
static bool is_older(const struct filling *filling)
{
  bool less = false;
  bool more = false;
  for (unsigned lane = 0; lane < LANE_COUNT; lane++) {
    uint64_t covered = filling->source.head.lanes[lane].position;
    less = less || covered < position_of(filling, lane);
    more = more || covered > position_of(filling, lane);
  }
  return less && !more;
}

static bool store_check(struct filling *filling)
{
  if (is_behind(filling)) {
    return renew(filling); /* what was lost must not be written anew under the same numbers */
  }
  return !is_older(filling) ||
         complain(filling,
                  "%s is older than what this node has: everything that it covers has come. "
                  "Start the daemon; if it still needs a snapshot, have the parent make another. "
                  "Nothing was changed",
                  filling->options->backup);
}

static bool store_begin_filling(struct filling *filling)
{
  char path[PATH_MAX];
  filling->fresh = node_file_path(filling->config.store_path, "data.mdb", path) != STATUS_OK ||
                   !node_file_exists(path);
  if (!(filling->fresh ? store_make(filling) : store_take(filling, filling->config.store_path)) ||
      !store_check(filling)) {
    return false;
  }
  const struct neighbour *parent = store_neighbour(filling->store, NEIGHBOUR_PARENT);
  for (unsigned lane = 0; lane < LANE_COUNT; lane++) {
    filling->parent_was_level[lane] = parent->lanes[lane].pending_commits == 0;
  }
  return true;
}

/* ---- filling it ---- */

static enum status begin(struct filling *filling)
{
  if (filling->txn != NULL) {
    return STATUS_OK;
  }
  store_room_look(filling->store, core_now());
  if (store_room(filling->store) != STORE_ROOM_OK) {
    return STATUS_DISK_FULL;
  }
  enum status status = store_begin(filling->store, core_now(), &filling->txn);
  if (status == STATUS_OK) {
    filling->hlc.last = store_meta_get(filling->txn, CORE_COUNTER_HLC);
    filling->records = store_meta_get(filling->txn, STORE_COUNTER_RECORDS);
  }
  return status;
}

/* What of it is queued for the parent came from there. */
static enum status parent_level(struct filling *filling)
{
  const struct neighbour *parent = store_neighbour(filling->store, NEIGHBOUR_PARENT);
  enum status status = STATUS_OK;
  for (unsigned lane = 0; lane < LANE_COUNT && status == STATUS_OK; lane++) {
    if (filling->parent_was_level[lane]) {
      status =
          store_outbox_ack(filling->txn, NEIGHBOUR_PARENT, lane, parent->lanes[lane].end_position);
    }
  }
  return status;
}

static enum status commit(struct filling *filling)
{
  struct store_txn *txn = filling->txn;
  if (txn == NULL) {
    return STATUS_OK;
  }
  enum status status = parent_level(filling);
  if (status == STATUS_OK) {
    status = store_meta_put(txn, CORE_COUNTER_HLC, filling->hlc.last);
  }
  if (status == STATUS_OK) {
    status = store_meta_put(txn, STORE_COUNTER_RECORDS, filling->records);
  }
  filling->txn = NULL;
  filling->batch = 0;
  if (status != STATUS_OK) {
    store_abort(txn);
    return status;
  }
  return store_commit(txn);
}

/* As a link's: what is refused of others' logs is kept for people to see. Of logs of this node's
 * own subtree the children bring better copies. */
static enum status refuse(struct filling *filling, const struct commit *refused,
                          enum verdict verdict)
{
  const struct commit_header *header = &refused->header;
  const struct certificate *origin =
      repl_node_certificate(filling->source.node, &header->certificate);
  struct log_id id = {header->origin, header->store, header->lane};
  filling->refused++;
  return address_within(&origin->address, &filling->identity.address)
             ? STATUS_OK
             : store_quarantine_put(filling->txn, NEIGHBOUR_PARENT, &id, header->seq, verdict,
                                    refused->octets);
}

static enum status commit_take(struct filling *filling, struct bytes_view octets)
{
  struct commit read;
  struct applied applied = {0};
  arena_reset(&filling->arena);
  if (commit_read(octets, &filling->arena, &read) != VERDICT_OK) {
    return STATUS_CORRUPT; /* it was verified: the file changed under us */
  }
  enum status status = store_commit_apply(filling->txn, &read, (struct bytes_view){0}, &applied);
  if (status != STATUS_OK) {
    return status;
  }
  filling->batch++;
  filling->read++;
  if (applied.verdict == VERDICT_OK) {
    filling->taken++;
    filling->records += applied.records_new;
    filling->records_new += applied.records_new;
    (void)clock_hlc_merge(&filling->hlc, read.header.hlc, core_now().wall);
  } else if (applied.verdict == VERDICT_DUPLICATE) {
    filling->held++;
  } else {
    status = refuse(filling, &read, applied.verdict);
  }
  return status;
}

/* Somebody who stands above us, or we ourselves before our store was lost, held it. */
static bool is_vouched_for(const struct filling *filling, const struct snapshot_entry *entry,
                           const struct hash *id)
{
  const struct core_identity *self = &filling->identity;
  struct cosignature cosignature;
  for (size_t i = 0; i < entry->proof_count; i++) {
    if (cosignature_read(entry->proofs[i], &cosignature) != STATUS_OK ||
        cosignature_check(&cosignature, id) != VERDICT_OK) {
      continue;
    }
    const struct certificate *by =
        repl_node_certificate_of_key(filling->source.node, &cosignature.cosigner);
    if (by != NULL && by->address.size > 0 && address_within(&self->address, &by->address)) {
      return true;
    }
  }
  return false;
}

static enum status floor_take(struct filling *filling, const struct snapshot_entry *entry)
{
  struct commit last;
  struct log_head head;
  arena_reset(&filling->arena);
  if (commit_read(entry->octets, &filling->arena, &last) != VERDICT_OK) {
    return STATUS_CORRUPT;
  }
  struct log_id id = {last.header.origin, last.header.store, last.header.lane};
  if ((store_log_find(filling->store, &id, &head) && head.seq >= last.header.seq) ||
      !is_vouched_for(filling, entry, &last.id)) {
    return STATUS_OK;
  }
  enum status status = store_floor_adopt(filling->txn, &last, entry->proofs, entry->proof_count);
  return status == STATUS_EXISTS || status == STATUS_INVALID_ARGUMENT ? STATUS_OK : status;
}

static enum status certificate_take(struct filling *filling, struct bytes_view octets)
{
  struct certificate certificate;
  enum status status = certificate_read(octets, &certificate);
  return status == STATUS_OK ? store_certificate_put(filling->txn, &certificate) : status;
}

static enum status entry_take(struct filling *filling, const struct snapshot_entry *entry)
{
  switch (entry->type) {
  case SNAPSHOT_CERTIFICATE:
    return certificate_take(filling, entry->octets);
  case SNAPSHOT_COMMIT:
    return commit_take(filling, entry->octets);
  case SNAPSHOT_FLOOR:
    return floor_take(filling, entry);
  case SNAPSHOT_TOMBSTONE:
    filling->batch++;
    return store_erase(filling->txn, &entry->leaf, entry->position, &entry->subject);
  default:
    return STATUS_OK;
  }
}

static enum status cursors_put(struct filling *filling)
{
  const struct snapshot_head *head = &filling->source.head;
  enum status status = STATUS_OK;
  for (unsigned lane = 0; lane < LANE_COUNT && status == STATUS_OK; lane++) {
    struct cursor cursor = {.store = head->store, .position = head->lanes[lane].position};
    memcpy(cursor.tag, head->lanes[lane].tag, sizeof(cursor.tag));
    if (cursor.position >= position_of(filling, lane)) {
      status = store_cursor_put(filling->txn, NEIGHBOUR_PARENT, lane, &cursor);
    }
  }
  if (status == STATUS_OK) {
    status = store_meta_put(filling->txn, CORE_COUNTER_BEHIND, 0);
  }
  return status;
}

static void tell_progress(const struct filling *filling)
{
  if (filling->shown && filling->read % PROGRESS_COMMITS < BATCH_COMMITS) {
    fprintf(filling->err, "\r%" PRIu64 " of %" PRIu64 " commits ", filling->read,
            filling->source.commits);
    fflush(filling->err);
  }
}

static enum status fill(struct filling *filling)
{
  struct bytes_view rest = filling->source.entries;
  struct snapshot_entry entry = {0};
  enum status status = STATUS_OK;
  while (status == STATUS_OK && entry.type != SNAPSHOT_END) {
    status = snapshot_read(&rest, &entry);
    if (status == STATUS_OK) {
      status = begin(filling);
    }
    if (status == STATUS_OK) {
      status = entry.type == SNAPSHOT_END ? cursors_put(filling) : entry_take(filling, &entry);
    }
    if (status == STATUS_OK && (filling->batch >= BATCH_COMMITS || entry.type == SNAPSHOT_END)) {
      status = commit(filling);
      tell_progress(filling);
    }
  }
  if (filling->txn != NULL) {
    store_abort(filling->txn);
    filling->txn = NULL;
  }
  return status;
}

static bool place(struct filling *filling)
{
  if (!store_begin_filling(filling)) {
    return false;
  }
  enum status status = fill(filling);
  return status == STATUS_OK ||
         complain(filling, "%s: %" PRIu64 " of %" PRIu64 " commits are in, then: %s. Run it again",
                  filling->options->backup, filling->read, filling->source.commits,
                  status_text(status));
}

/* ---- what was done ---- */

static void report_json(const struct filling *filling, const char *store, int64_t ms, FILE *out)
{
  cJSON *json = cJSON_CreateObject();
  cJSON_AddStringToObject(json, "address", filling->identity.address.text);
  cJSON_AddBoolToObject(json, "drill", filling->options->drill);
  cJSON_AddNumberToObject(json, "at", (double)filling->source.head.at.ms);
  cJSON_AddNumberToObject(json, "commits", (double)filling->source.commits);
  cJSON_AddNumberToObject(json, "taken", (double)filling->taken);
  cJSON_AddNumberToObject(json, "records", (double)filling->records_new);
  cJSON_AddNumberToObject(json, "held", (double)filling->held);
  cJSON_AddNumberToObject(json, "refused", (double)filling->refused);
  cJSON_AddStringToObject(json, "store", store);
  cJSON_AddBoolToObject(json, "new_id", filling->fresh || filling->renewed);
  cJSON_AddNumberToObject(json, "ms", (double)ms);
  char *text = cJSON_PrintUnformatted(json);
  cJSON_Delete(json);
  fprintf(out, "%s\n", text == NULL ? "{}" : text);
  cJSON_free(text);
}

static void report(const struct filling *filling, FILE *out)
{
  char store[2 * STORE_ID_SIZE + 1] = "";
  int64_t ms = core_now().mono.ms - filling->began_ms;
  if (filling->store != NULL) {
    bytes_to_hex(bytes_view_of(store_identity(filling->store)->store.octets, STORE_ID_SIZE), store);
  }
  if (filling->shown) {
    fputs("\r\033[K", filling->err);
  }
  if (filling->options->json) {
    report_json(filling, store, ms, out);
    return;
  }
  fprintf(out, "%s: snapshot for %s, %" PRIu64 " commits; ", filling->options->backup,
          filling->identity.address.text, filling->source.commits);
  if (filling->options->drill) {
    fprintf(out, "all of it verifies, after %" PRId64 " ms\n", ms);
    return;
  }
  fprintf(out,
          "%" PRIu64 " taken with %" PRIu64 " new records, %" PRIu64 " held already, %" PRIu64
          " refused, in %s as store %s after %" PRId64 " ms\n",
          filling->taken, filling->records_new, filling->held, filling->refused,
          filling->config.store_path, store, ms);
  if (filling->renewed) {
    fprintf(out, "the store has a new id: this node had written more than was left here\n");
  }
}

static bool setup(struct filling *filling)
{
  char reason[CONFIG_REASON_MAX > SNAPSHOT_REASON_MAX ? CONFIG_REASON_MAX : SNAPSHOT_REASON_MAX];
  const struct restore_options *options = filling->options;
  if (options->replace) {
    return complain(filling, "a snapshot never replaces a store: it adds what is missing");
  }
  if (config_read(options->config, options->directory, &filling->config, reason) != STATUS_OK ||
      identity_load(filling->config.directory, &filling->identity, reason) != STATUS_OK ||
      !snapshot_source_open(options->backup, &filling->identity, &filling->source, reason)) {
    return complain(filling, "%s", reason);
  }
  return true;
}

bool snapshot_restore(const struct restore_options *options, FILE *out, FILE *err)
{
  struct filling *filling = calloc(1, sizeof(*filling));
  if (filling == NULL) {
    fputs("noded: out of memory\n", err);
    return false;
  }
  filling->options = options;
  filling->err = err;
  filling->shown = !options->json && isatty(fileno(err));
  filling->began_ms = core_now().mono.ms;
  bool good = setup(filling) && (options->drill || place(filling));
  if (good) {
    report(filling, out);
  }
  store_close(filling->store);
  snapshot_source_close(&filling->source);
  arena_close(&filling->arena);
  identity_close(&filling->identity);
  config_close(&filling->config);
  free(filling);
  return good;
}
