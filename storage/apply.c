/*
 * Taking a commit in: continuity is judged, then it is stored or merged, its records join their
 * subjects, and what must go on is queued, all in the caller's transaction.
 */
#include "state.h"

#define LEVEL_MERGED 1
/* A frame larger than this beside its octets is somebody's padding: we compress again. */
#define FRAME_SLACK 512

struct apply {
  struct store_txn *txn;
  const struct commit *commit;
  struct bytes_view frame;
  struct applied *out;
  uint32_t log;         /* 0: not known yet */
  uint32_t certificate; /* of this commit */
  bool gapless;
  bool back;                 /* what was let go here may come back */
  bool held;                 /* this place of the log is taken */
  struct commit_value value; /* then what is there */
  struct commit bound;       /* the commit as tombstones leave it, where they do */
};

static struct log_id log_of(const struct commit_header *header)
{
  return (struct log_id){header->origin, header->store, header->lane};
}

/* Whether the certificate speaks of this origin, and of the place where its log stands. */
static enum verdict origin_judge(struct apply *apply)
{
  const struct store *store = apply->txn->store;
  const struct certificate_slot *slot = &store->certificates[apply->certificate - 1];

  if (memcmp(slot->key.octets, apply->commit->header.origin.octets, KEY_SIZE) != 0)
    return VERDICT_BAD_CHAIN;
  if (apply->log != 0 &&
      !address_equal(&slot->address, log_address(store, log_slot(store, apply->log))))
    return VERDICT_BAD_CHAIN;
  apply->gapless = address_within(&slot->address, &store->identity.address);
  return VERDICT_OK;
}

/* Looks at the place of the log; `*verdict` OK: free and next, or held by the same commit. */
static enum status place_judge(struct apply *apply, enum verdict *verdict)
{
  const struct commit *commit = apply->commit;
  const struct log_slot *slot = apply->log != 0 ? log_slot(apply->txn->store, apply->log) : NULL;
  uint64_t head = slot != NULL ? slot->seq : 0;
  uint64_t seq = commit->header.seq;
  enum status status;

  *verdict = VERDICT_OK;
  if (seq > head) {
    if (apply->gapless && seq > head + 1)
      *verdict = VERDICT_GAP;
    else if (apply->gapless && head > 0 && !hash_equal(&commit->header.prev, &slot->commit_id))
      *verdict = VERDICT_BAD_PREVIOUS;
    return STATUS_OK;
  }
  status = commit_value_get(apply->txn, apply->log, seq, &apply->value);
  if (status == STATUS_NOT_FOUND && !apply->gapless)
    return STATUS_OK;
  if (status == STATUS_NOT_FOUND && seq <= slot->floor) {
    if (!apply->back)
      *verdict = VERDICT_DUPLICATE; /* it was here and was let go */
    return STATUS_OK;
  }
  if (status != STATUS_OK)
    return status == STATUS_NOT_FOUND ? STATUS_CORRUPT : status;
  apply->held = true;
  if (!hash_equal(&apply->value.id, &commit->id))
    *verdict = VERDICT_FORK;
  return STATUS_OK;
}

static enum status head_move(struct apply *apply)
{
  struct store_txn *txn = apply->txn;
  struct log_id id = log_of(&apply->commit->header);
  struct log_slot *slot;
  enum status status = STATUS_OK;

  if (apply->log == 0)
    status = log_put(txn, &id, apply->certificate, &apply->log);
  if (status == STATUS_OK)
    status = log_touch(txn, apply->log);
  if (status != STATUS_OK)
    return status;
  pthread_mutex_lock(&txn->store->logs_lock);
  slot = log_slot(txn->store, apply->log);
  if (apply->commit->header.seq > slot->seq) {
    slot->seq = apply->commit->header.seq;
    slot->commit_id = apply->commit->id;
  }
  slot->commits++;
  slot->arrived_at = txn->now.wall;
  pthread_mutex_unlock(&txn->store->logs_lock);
  return STATUS_OK;
}

static enum status commit_take(struct apply *apply)
{
  struct store_txn *txn = apply->txn;
  bool changed;
  struct arrival arrival = {.applied = apply->out};
  enum status status = tombstones_bind(txn, apply->commit, &apply->bound, &changed);

  if (status == STATUS_OK && changed)
    apply->commit = &apply->bound;
  if (status == STATUS_OK && (changed || apply->frame.size == 0 ||
                              apply->frame.size > apply->commit->octets.size + FRAME_SLACK))
    status = commit_deflate(txn, apply->commit->octets, txn->store->zstd_level, &apply->frame);
  if (status == STATUS_OK)
    status = head_move(apply);
  if (status == STATUS_OK)
    status = commit_value_put(txn, apply->log, apply->commit, apply->certificate, txn->now.wall, 0,
                              apply->frame);
  if (status == STATUS_OK)
    status = plan_begin(txn);
  if (status != STATUS_OK)
    return status;
  arrival.log = apply->log;
  arrival.slot = log_slot(txn->store, apply->log);
  arrival.commit = apply->commit;
  arrival.fresh = apply->commit->shown;
  arrival.back = apply->commit->header.seq <= arrival.slot->floor;
  status = route_records(txn, &arrival);
  if (status == STATUS_OK)
    status = history_queue(txn);
  if (status == STATUS_OK)
    status = plan_queue(txn, &arrival, txn->store->has_parent && apply->gapless && !arrival.back);
  return status;
}

/* What both show; `*gained` says whether that is more than was held. */
static enum status union_write(struct apply *apply, struct commit *before, struct commit *after,
                               uint8_t gains[COMMIT_BITMAP_SIZE], bool *gained)
{
  struct store_txn *txn = apply->txn;
  struct arena *arena = &txn->store->arena;
  struct bytes *octets = &txn->scratch->octets;
  struct bytes_view held;
  bool changed;
  const void *copy;
  enum status status = commit_value_inflate(txn, &apply->value, arena, &held);

  *gained = false;
  if (status == STATUS_OK && commit_read_trusted(held, arena, before) != VERDICT_OK)
    status = STATUS_CORRUPT;
  if (status == STATUS_OK)
    status = tombstones_bind(txn, apply->commit, &apply->bound, &changed);
  if (status != STATUS_OK)
    return status;
  bytes_clear(octets);
  memset(gains, 0, COMMIT_BITMAP_SIZE);
  status = commit_merge(before, changed ? &apply->bound : apply->commit, arena, octets, gains);
  if (status == STATUS_TOO_LARGE) {
    /* Its origin signed more than a commit may hold, and showed us parts. */
    apply->out->verdict = VERDICT_MALFORMED;
    return STATUS_OK;
  }
  if (status != STATUS_OK)
    return status == STATUS_INVALID_ARGUMENT ? STATUS_CORRUPT : status;
  *gained = bitmap_count(gains) > 0;
  if (!*gained)
    return STATUS_OK;
  copy = arena_copy(arena, octets->data, octets->size);
  if (copy == NULL)
    return STATUS_NO_MEMORY;
  if (commit_read_trusted(bytes_view_of(copy, octets->size), arena, after) != VERDICT_OK)
    return STATUS_CORRUPT;
  return STATUS_OK;
}

static enum status commit_join(struct apply *apply)
{
  struct store_txn *txn = apply->txn;
  struct commit before;
  struct commit after;
  uint8_t gains[COMMIT_BITMAP_SIZE];
  uint8_t fresh[COMMIT_BITMAP_SIZE];
  struct bytes_view frame = {0};
  bool gained;
  struct arrival arrival = {.log = apply->log, .fresh = fresh, .applied = apply->out};
  enum status status = union_write(apply, &before, &after, gains, &gained);

  if (status == STATUS_OK && !gained && apply->out->verdict == VERDICT_OK)
    apply->out->verdict = VERDICT_DUPLICATE;
  if (status != STATUS_OK || !gained)
    return status;
  for (size_t i = 0; i < sizeof(fresh); i++)
    fresh[i] = after.shown[i] & (uint8_t)~before.shown[i];
  status = commit_deflate(txn, after.octets, LEVEL_MERGED, &frame);
  commit_parsed_forget(txn);
  if (status == STATUS_OK)
    status = commit_value_put(txn, apply->log, &after, apply->value.certificate,
                              apply->value.arrived_at, apply->value.flags & COMMIT_TRIMMED, frame);
  if (status == STATUS_OK)
    status = backed_lower(txn, apply->log, after.header.seq);
  if (status == STATUS_OK)
    status = plan_begin(txn);
  arrival.slot = log_slot(txn->store, apply->log);
  arrival.commit = &after;
  if (status == STATUS_OK)
    status = route_records(txn, &arrival);
  if (status == STATUS_OK)
    status = route_items(txn, &arrival, &before, gains);
  if (status == STATUS_OK)
    status = history_queue(txn);
  if (status == STATUS_OK)
    status = plan_queue(txn, &arrival, false);
  return status;
}

static enum status apply_judged(struct apply *apply)
{
  uint8_t all_shown = apply->value.flags & (COMMIT_ALL_SHOWN | COMMIT_ITEMS_HIDDEN);
  enum status status;

  if (apply->held && all_shown == COMMIT_ALL_SHOWN) {
    apply->out->verdict = VERDICT_DUPLICATE;
    return STATUS_OK;
  }
  status = apply->held ? commit_join(apply) : commit_take(apply);
  if (status == STATUS_OK && apply->out->verdict == VERDICT_OK)
    status = quarantine_passed(apply->txn, log_slot(apply->txn->store, apply->log),
                               apply->commit->header.seq);
  return status;
}

static enum status commit_apply(struct store_txn *txn, const struct commit *commit,
                                struct bytes_view zstd, bool back, struct applied *out)
{
  struct log_id id = log_of(&commit->header);
  struct apply apply = {.txn = txn, .commit = commit, .frame = zstd, .back = back, .out = out};
  enum status status;

  CHECK(txn->writes);
  *out = (struct applied){.verdict = VERDICT_OK};
  if (commit->header.seq == 0 || commit->header.seq > SEQ_MAX ||
      commit->header.lane >= LANE_COUNT) {
    out->verdict = VERDICT_MALFORMED;
    return STATUS_OK;
  }
  apply.certificate = certificate_number(txn->store, &commit->header.certificate);
  if (apply.certificate == 0)
    return STATUS_INVALID_ARGUMENT;
  apply.log = log_number(txn->store, &id);
  out->verdict = origin_judge(&apply);
  if (out->verdict != VERDICT_OK)
    return STATUS_OK;
  status = place_judge(&apply, &out->verdict);
  if (status != STATUS_OK || out->verdict != VERDICT_OK)
    return status;
  arena_reset(&txn->store->arena);
  status = apply_judged(&apply);
  /* What was begun can't stand half: the caller's transaction is lost. */
  if (status != STATUS_OK && txn->failed == STATUS_OK)
    txn->failed = status;
  return status;
}

enum status store_commit_apply(struct store_txn *txn, const struct commit *commit,
                               struct bytes_view zstd, struct applied *out)
{
  return commit_apply(txn, commit, zstd, false, out);
}

enum status store_commit_take_back(struct store_txn *txn, const struct commit *commit,
                                   struct bytes_view zstd, struct applied *out)
{
  return commit_apply(txn, commit, zstd, true, out);
}
