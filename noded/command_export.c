#include "noded/command_export.h"

#include <stdlib.h>
#include <string.h>

#include "noded/command.h"
#include "record/bundle.h"
#include "storage/subjects.h"

/* Only the records of the subject shown: the commit still verifies, and other cases that were
 * written beside it aren't handed out with it. */
static enum status commit_narrow(struct export_state *state, struct bytes_view octets,
                                 struct bytes *out)
{
  struct commit commit;
  uint8_t keep[COMMIT_BITMAP_SIZE] = {0};
  if (commit_read(octets, &state->commit_arena, &commit) != VERDICT_OK) {
    return STATUS_CORRUPT;
  }
  for (size_t i = 0; i < commit.shown_count; i++) {
    if (memcmp(&commit.records[i].header.subject, &state->subject, SUBJECT_SIZE) == 0) {
      bitmap_set(keep, commit.indexes[i]);
    }
  }
  return commit_write_partial(&commit, keep, SEE_ALL, &state->commit_arena, out);
}

/* STATUS_NOT_FOUND when no commit is held at that place. */
static enum status commit_export(const struct store_txn *txn, struct export_state *state,
                                 uint32_t log, uint64_t seq)
{
  struct bytes_view octets;
  struct bytes narrowed = {0};
  struct commit_header header;
  struct hash id;
  arena_reset(&state->commit_arena);
  enum status status = store_commit_load(txn, log, seq, &state->commit_arena, &octets);
  if (status == STATUS_OK) {
    status = commit_read_header(octets, &header, &id) == STATUS_OK ? STATUS_OK : STATUS_CORRUPT;
  }
  if (status == STATUS_OK && state->with_subject) {
    status = commit_narrow(state, octets, &narrowed);
    octets = bytes_as_view(&narrowed);
  }
  if (status == STATUS_OK) {
    status = certificate_writer_put(&state->certificates, &header.certificate, &state->octets);
  }
  if (status == STATUS_OK) {
    status = bundle_write(BUNDLE_COMMIT, octets, &state->octets);
  }
  bytes_close(&narrowed);
  return status;
}

/* Notes where to go on when the piece is full. */
static bool piece_is_full(struct export_state *state, uint32_t log, uint64_t seq)
{
  if (state->octets.size < EXPORT_PIECE_BYTES && state->probes < EXPORT_PROBES_MAX) {
    return false;
  }
  state->more = true;
  state->next = (struct export_cursor){log, seq};
  return true;
}

/* Logs of nodes beside or above us are held in part, so every place up to the head is tried. */
static enum status log_export_from(struct store *store, const struct store_txn *txn,
                                   struct export_state *state, uint32_t log, uint64_t seq)
{
  struct log_head head;
  enum status status = STATUS_OK;
  if (!store_log_at(store, log, &head)) {
    return STATUS_OK;
  }
  for (seq = seq <= head.floor ? head.floor + 1 : seq; status == STATUS_OK && seq <= head.seq;
       seq++) {
    if (piece_is_full(state, log, seq)) {
      break;
    }
    state->probes++;
    status = commit_export(txn, state, log, seq);
    status = status == STATUS_NOT_FOUND ? STATUS_OK : status;
  }
  return status;
}

static enum status logs_export(struct store *store, const struct store_txn *txn,
                               struct export_state *state)
{
  uint32_t first = state->log != 0 ? state->log : 1;
  uint32_t last = state->log != 0 ? state->log : store_log_count(store);
  uint64_t seq = 1;
  enum status status = STATUS_OK;
  if (state->with_from) {
    first = state->from.log;
    seq = state->from.seq;
  }
  for (uint32_t log = first; status == STATUS_OK && !state->more && log <= last; log++) {
    status = log_export_from(store, txn, state, log, log == first ? seq : 1);
  }
  return status;
}

/* The commits in which a subject's records stand. */
struct places {
  struct export_state *state;
  struct export_cursor *all;
  size_t count;
  size_t capacity;
  bool failed;
};

static bool on_place(void *context, const struct held_record *record)
{
  struct places *places = context;
  if (places->count > 0 && places->all[places->count - 1].log == record->ref.log &&
      places->all[places->count - 1].seq == record->ref.seq) {
    return true;
  }
  if (places->count == places->capacity) {
    size_t capacity = places->capacity == 0 ? 64 : places->capacity * 2;
    struct export_cursor *grown = realloc(places->all, capacity * sizeof(*grown));
    if (grown == NULL) {
      places->failed = true;
      return false;
    }
    places->all = grown;
    places->capacity = capacity;
  }
  places->all[places->count++] = (struct export_cursor){record->ref.log, record->ref.seq};
  return true;
}

static int place_compare(const void *a, const void *b)
{
  const struct export_cursor *x = a;
  const struct export_cursor *y = b;
  if (x->log != y->log) {
    return x->log < y->log ? -1 : 1;
  }
  return (x->seq > y->seq) - (x->seq < y->seq);
}

static enum status subject_export(const struct store_txn *txn, struct export_state *state)
{
  struct places places = {.state = state};
  enum status status =
      store_subject_records(txn, &state->subject, &state->commit_arena, on_place, &places);
  if (status == STATUS_OK && places.failed) {
    status = STATUS_NO_MEMORY;
  }
  if (places.count > 1) {
    qsort(places.all, places.count, sizeof(*places.all), place_compare);
  }
  for (size_t i = 0; status == STATUS_OK && i < places.count; i++) {
    const struct export_cursor *at = &places.all[i];
    bool repeated = i > 0 && place_compare(at, at - 1) == 0;
    bool before = state->with_from && place_compare(at, &state->from) < 0;
    if (repeated || before || (state->log != 0 && at->log != state->log)) {
      continue;
    }
    if (piece_is_full(state, at->log, at->seq)) {
      break;
    }
    status = commit_export(txn, state, at->log, at->seq);
  }
  free(places.all);
  return status;
}

enum status export_piece(struct store *store, const struct store_txn *txn,
                         const struct core_identity *identity, struct export_state *state)
{
  state->arena.limit = COMMAND_ARENA_MAX;
  state->commit_arena.limit = COMMAND_ARENA_MAX;
  state->certificates.arena = &state->arena;
  enum status status = certificate_writer_load(&state->certificates, txn, identity);
  if (status == STATUS_OK && !state->with_from) {
    status = bundle_write_head(&state->octets);
  }
  if (status == STATUS_OK) {
    status = state->with_subject ? subject_export(txn, state) : logs_export(store, txn, state);
  }
  return status;
}

void export_close(struct export_state *state)
{
  bytes_close(&state->octets);
  arena_close(&state->arena);
  arena_close(&state->commit_arena);
}
