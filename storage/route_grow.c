/*
 * A subject's audience grew: records that were kept aside are tried again until nothing changes,
 * and whoever is newly concerned gets the whole history held here (DESIGN section 4).
 */
#include "state.h"

/* The header of a record by its ref; borrowed until the next commit is read. */
static enum status header_find(struct store_txn *txn, const struct arrival *arrival,
                               const struct ref *ref, const struct record_header **header)
{
  const struct commit *commit = arrival->commit;
  size_t place;
  enum status status = STATUS_OK;

  if (ref->log != arrival->log || ref->seq != commit->header.seq)
    status = commit_parsed(txn, ref->log, ref->seq, &commit);
  if (status != STATUS_OK || !commit_place(commit, ref->index, &place))
    return status == STATUS_OK || status == STATUS_NOT_FOUND ? STATUS_CORRUPT : status;
  *header = &commit->records[place].header;
  return STATUS_OK;
}

static enum status inbox_retry(struct store_txn *txn, const struct arrival *arrival,
                               const struct ref *ref, const struct record_header *header)
{
  const struct store *store = txn->store;
  const struct log_slot *slot = log_slot(store, ref->log);

  if (!audience_names(header, &store->identity.address) ||
      memcmp(slot->id.origin.octets, store->identity.node.octets, KEY_SIZE) == 0)
    return STATUS_OK;
  arrival->applied->concerns_us = true;
  return inbox_put(txn, ref);
}

/* One marked record whose author is a member by now. */
static enum status record_retry(struct store_txn *txn, const struct arrival *arrival,
                                const struct address *author, struct ref *ref, struct audience *set,
                                bool *grew)
{
  const struct record_header *header = NULL;
  unsigned refused;
  bool effective = false;
  enum status status = header_find(txn, arrival, ref, &header);

  if (status == STATUS_OK)
    status = audience_add_record(set, author, header, &effective, &refused, grew);
  /* A full set takes nobody more; the record counts all the same. */
  if (status == STATUS_TOO_LARGE)
    status = STATUS_OK;
  if (status != STATUS_OK || !effective)
    return status;
  ref->flags &= (uint8_t)~REF_MARKED;
  return inbox_retry(txn, arrival, ref, header);
}

static enum status settle(struct store_txn *txn, const struct arrival *arrival,
                          struct growth *growth, struct ref *refs, bool *fresh)
{
  const struct store *store = txn->store;
  struct audience set = {0};
  bool again = true;
  bool grew;
  enum status status = audience_load(txn, growth->to, &set);

  while (again && status == STATUS_OK) {
    again = false;
    for (size_t i = 0; i < growth->row->records && status == STATUS_OK; i++) {
      const struct address *author;
      if ((refs[i].flags & REF_MARKED) == 0)
        continue;
      if (refs[i].log == 0 || refs[i].log > store->log_count) {
        status = STATUS_CORRUPT;
        break;
      }
      author = log_address(store, log_slot(store, refs[i].log));
      if (!audience_has_writer(&set, author))
        continue;
      grew = false;
      status = record_retry(txn, arrival, author, &refs[i], &set, &grew);
      fresh[i] = true;
      again = again || grew;
    }
  }
  if (status == STATUS_OK)
    status = audience_intern(txn, &set, &growth->to);
  audience_close(&set);
  return status;
}

/* Neighbours as they were before: the view itself gives way to the next. */
static enum status neighbours_copy(struct store_txn *txn, uint32_t audience, uint16_t **out,
                                   size_t *count)
{
  const uint16_t *numbers;
  enum status status = audience_neighbours(txn, audience, &numbers, count);

  if (status != STATUS_OK)
    return status;
  *out = arena_alloc(&txn->scratch->arena, (*count + 1) * sizeof(**out));
  if (*out == NULL)
    return STATUS_NO_MEMORY;
  memcpy(*out, numbers, *count * sizeof(**out));
  return STATUS_OK;
}

static enum status history_spread(struct store_txn *txn, const struct arrival *arrival,
                                  const struct growth *growth, const struct ref *refs,
                                  const bool *fresh)
{
  unsigned lane = arrival->commit->header.lane;
  uint16_t *before;
  uint16_t *after;
  size_t before_count;
  size_t after_count;
  size_t b = 0;
  enum status status = neighbours_copy(txn, growth->from, &before, &before_count);

  if (status == STATUS_OK)
    status = neighbours_copy(txn, growth->to, &after, &after_count);
  if (status != STATUS_OK)
    return status;
  for (size_t a = 0; a < after_count; a++) {
    bool had;
    while (b < before_count && before[b] < after[a])
      b++;
    had = b < before_count && before[b] == after[a];
    if (!neighbour_takes(neighbour_slot(txn->store, after[a]), &growth->subject))
      continue;
    if (!had && (growth->row->flags & SUBJECT_TRIMMED))
      status = history_want(txn, &growth->subject);
    if (status != STATUS_OK)
      break;
    for (size_t i = 0; i < growth->row->records && status == STATUS_OK; i++) {
      if ((refs[i].flags & REF_MARKED) == 0 && (fresh[i] || !had))
        status = history_add(txn, arrival, after[a], &refs[i], lane);
    }
  }
  return status;
}

enum status route_grow(struct store_txn *txn, const struct arrival *arrival, struct growth *growth,
                       unsigned index)
{
  struct arena *arena = &txn->scratch->arena;
  struct subject_row *row = growth->row;
  struct ref *refs = NULL;
  bool *fresh = NULL;
  enum status status;

  arena_reset(arena);
  status = subject_refs_load(txn, &growth->subject, row, arena, &refs);
  if (status != STATUS_OK)
    return status;
  fresh = arena_alloc(arena, row->records * sizeof(*fresh));
  if (fresh == NULL)
    return STATUS_NO_MEMORY;
  memset(fresh, 0, row->records * sizeof(*fresh));
  /* The record at hand was added last. */
  CHECK(refs[row->records - 1].index == index);
  fresh[row->records - 1] = true;
  if (row->flags & SUBJECT_HAS_MARKED) {
    status = settle(txn, arrival, growth, refs, fresh);
    if (status == STATUS_OK)
      status = subject_refs_save(txn, &growth->subject, row, refs);
    row->flags &= (uint8_t)~SUBJECT_HAS_MARKED;
    for (size_t i = 0; i < row->records; i++) {
      if (refs[i].flags & REF_MARKED)
        row->flags |= SUBJECT_HAS_MARKED;
    }
  }
  if (status == STATUS_OK)
    status = history_spread(txn, arrival, growth, refs, fresh);
  return status;
}
