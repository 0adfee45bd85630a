/* Erasure: tombstones, what they do to commits coming in, and to those held (DESIGN section 4). */
#include "state.h"

/* Positions of items named by tombstones for a leaf, a bit each. */
static enum status tombstones_find(const struct store_txn *txn, const struct hash *leaf,
                                   uint64_t *positions)
{
  struct walk walk;
  uint8_t key[TOMBSTONE_KEY_SIZE] = {0};
  enum status status = db_walk_open(txn, TABLE_TOMBSTONES, &walk);

  *positions = 0;
  memcpy(key, leaf->octets, HASH_SIZE);
  if (status == STATUS_OK)
    status = db_walk_from(&walk, key, sizeof(key));
  while (status == STATUS_OK && walk.key.size == TOMBSTONE_KEY_SIZE &&
         memcmp(walk.key.data, leaf->octets, HASH_SIZE) == 0) {
    if (walk.key.data[HASH_SIZE] < RECORD_ITEMS_MAX)
      *positions |= 1ull << walk.key.data[HASH_SIZE];
    status = db_walk_next(&walk);
  }
  db_walk_close(&walk);
  return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}

uint64_t record_shown(const struct record *record)
{
  struct bytes_view rest = record->items_octets;
  struct item item;
  uint64_t positions = 0;

  for (unsigned i = 0; record_item_next(&rest, &item); i++) {
    if (item.shown)
      positions |= 1ull << i;
  }
  return positions;
}

/* The record's octets without those items, in the arena. */
enum status record_hide(const struct record *record, uint64_t positions, struct arena *arena,
                        struct bytes_view *octets)
{
  struct bytes out = {0};
  struct record current = *record;
  void *copy = NULL;
  enum status status = STATUS_OK;

  for (unsigned i = 0; i < RECORD_ITEMS_MAX && status == STATUS_OK; i++) {
    if ((positions >> i & 1) == 0)
      continue;
    bytes_clear(&out);
    status = record_write_erased(&current, i, &out);
    copy = status == STATUS_OK ? arena_copy(arena, out.data, out.size) : NULL;
    if (copy == NULL)
      status = STATUS_NO_MEMORY;
    else if (record_read(bytes_view_of(copy, out.size), &current) != STATUS_OK)
      status = STATUS_CORRUPT;
  }
  *octets = current.octets;
  bytes_close(&out);
  return status;
}

/* Parses what a commit is with those record octets, in the arena. */
enum status commit_replace(const struct store_txn *txn, const struct commit *commit,
                           const struct bytes_view *records, struct arena *arena,
                           struct commit *out)
{
  struct bytes *octets = &txn->scratch->octets;
  const void *copy;
  enum status status;

  bytes_clear(octets);
  status = commit_rewrite(commit, records, octets);
  if (status != STATUS_OK)
    return status;
  copy = arena_copy(arena, octets->data, octets->size);
  if (copy == NULL)
    return STATUS_NO_MEMORY;
  if (commit_read_trusted(bytes_view_of(copy, octets->size), arena, out) != VERDICT_OK)
    return STATUS_CORRUPT;
  return STATUS_OK;
}

enum status tombstones_bind(struct store_txn *txn, const struct commit *commit, struct commit *out,
                            bool *changed)
{
  struct arena *arena = &txn->store->arena;
  struct bytes_view *records;
  uint64_t positions = 0;
  enum status status = STATUS_OK;

  *changed = false;
  if (txn->store->counters.tombstones == 0)
    return STATUS_OK;
  records = arena_alloc(arena, ((size_t)commit->shown_count + 1) * sizeof(*records));
  if (records == NULL)
    return STATUS_NO_MEMORY;
  for (size_t i = 0; i < commit->shown_count && status == STATUS_OK; i++) {
    records[i] = commit->records[i].octets;
    status = tombstones_find(txn, &commit->leaves[i], &positions);
    if (status != STATUS_OK || positions == 0)
      continue;
    positions &= record_shown(&commit->records[i]);
    if (positions == 0)
      continue;
    *changed = true;
    status = record_hide(&commit->records[i], positions, arena, &records[i]);
  }
  if (status == STATUS_OK && *changed)
    status = commit_replace(txn, commit, records, arena, out);
  return status;
}

/* Hides the item in one held commit, if the record with that leaf is there and shows it. */
static enum status held_erase(struct store_txn *txn, const struct ref *ref, const struct hash *leaf,
                              unsigned position)
{
  struct arena *arena = &txn->store->arena;
  const struct commit *commit;
  struct commit_value value;
  struct bytes_view records[COMMIT_RECORDS_MAX];
  struct bytes_view frame;
  struct commit erased;
  struct record record;
  struct hash found;
  size_t place;
  enum status status = commit_parsed(txn, ref->log, ref->seq, &commit);

  if (status != STATUS_OK)
    return status == STATUS_NOT_FOUND ? STATUS_CORRUPT : status;
  if (!commit_place(commit, ref->index, &place) ||
      record_read_leaf(commit->records[place].octets, &record, &found) != STATUS_OK)
    return STATUS_CORRUPT;
  if (!hash_equal(leaf, &found) || (record_shown(&record) >> position & 1) == 0)
    return STATUS_OK;
  arena_reset(arena);
  for (size_t i = 0; i < commit->shown_count; i++)
    records[i] = commit->records[i].octets;
  status = record_hide(&record, 1ull << position, arena, &records[place]);
  if (status == STATUS_OK)
    status = commit_replace(txn, commit, records, arena, &erased);
  if (status == STATUS_OK)
    status = commit_deflate(txn, erased.octets, txn->store->zstd_level, &frame);
  if (status == STATUS_OK)
    status = commit_value_get(txn, ref->log, ref->seq, &value);
  if (status == STATUS_OK)
    status = commit_value_put(txn, ref->log, &erased, value.certificate, value.arrived_at,
                              value.flags & COMMIT_TRIMMED, frame);
  commit_parsed_forget(txn);
  return status;
}

static enum status tombstone_put(struct store_txn *txn, const struct hash *leaf, unsigned position,
                                 const struct subject *subject)
{
  uint8_t key[TOMBSTONE_KEY_SIZE];
  struct bytes_view value;
  enum status status;

  memcpy(key, leaf->octets, HASH_SIZE);
  key[HASH_SIZE] = (uint8_t)position;
  status = db_get(txn, TABLE_TOMBSTONES, key, sizeof(key), &value);
  if (status != STATUS_NOT_FOUND)
    return status;
  txn->store->counters.tombstones++;
  return db_put(txn, TABLE_TOMBSTONES, key, sizeof(key), subject->octets, SUBJECT_SIZE);
}

enum status store_erase(struct store_txn *txn, const struct hash *leaf, unsigned position,
                        const struct subject *subject)
{
  struct arena refs_arena = {0};
  struct subject_row row;
  struct ref *refs = NULL;
  enum status status;

  if (position >= RECORD_ITEMS_MAX)
    return STATUS_INVALID_ARGUMENT;
  status = tombstone_put(txn, leaf, position, subject);
  if (status != STATUS_OK)
    return status;
  status = subject_row_get(txn, subject, &row);
  if (status == STATUS_NOT_FOUND)
    return STATUS_OK;
  if (status == STATUS_OK)
    status = subject_refs_load(txn, subject, &row, &refs_arena, &refs);
  for (size_t i = 0; status == STATUS_OK && i < row.records; i++)
    status = held_erase(txn, &refs[i], leaf, position);
  arena_close(&refs_arena);
  if (status != STATUS_OK && txn->failed == STATUS_OK)
    txn->failed = status;
  return status;
}

static enum status tombstone_read(const struct walk *walk, struct tombstone *out)
{
  if (walk->key.size != TOMBSTONE_KEY_SIZE || walk->value.size != SUBJECT_SIZE)
    return STATUS_CORRUPT;
  memcpy(out->leaf.octets, walk->key.data, HASH_SIZE);
  out->position = walk->key.data[HASH_SIZE];
  memcpy(out->subject.octets, walk->value.data, SUBJECT_SIZE);
  return STATUS_OK;
}

static enum status tombstone_walk(const struct tombstone *after, struct walk *walk)
{
  uint8_t key[TOMBSTONE_KEY_SIZE];
  enum status status;

  if (after == NULL)
    return db_walk_from(walk, NULL, 0);
  memcpy(key, after->leaf.octets, HASH_SIZE);
  key[HASH_SIZE] = (uint8_t)after->position;
  status = db_walk_from(walk, key, sizeof(key));
  if (status == STATUS_OK && walk->key.size == sizeof(key) &&
      memcmp(walk->key.data, key, sizeof(key)) == 0)
    status = db_walk_next(walk);
  return status;
}

static enum status tombstone_concerns(const struct store_txn *txn, const struct neighbour *to,
                                      const struct tombstone *tombstone, bool *concerned)
{
  struct subject_row row;
  enum status status = subject_row_get(txn, &tombstone->subject, &row);

  *concerned = false;
  if (status == STATUS_OK)
    status = audience_concerns(txn, row.audience, to, concerned);
  return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}

enum status store_tombstone_each(const struct store_txn *txn, uint16_t neighbour,
                                 const struct tombstone *after, size_t rows_max,
                                 bool (*visit)(void *context, const struct tombstone *tombstone),
                                 void *context, struct tombstone *last, bool *more)
{
  struct neighbour to;
  struct walk walk = {0};
  bool concerned;
  enum status status = neighbour_get(txn, neighbour, &to);

  *more = false;
  if (status == STATUS_OK)
    status = db_walk_open(txn, TABLE_TOMBSTONES, &walk);
  if (status != STATUS_OK)
    return status;
  status = tombstone_walk(after, &walk);
  for (size_t rows = 0; status == STATUS_OK; rows++) {
    if (rows == rows_max) {
      *more = true;
      break;
    }
    status = tombstone_read(&walk, last);
    if (status == STATUS_OK)
      status = tombstone_concerns(txn, &to, last, &concerned);
    if (status == STATUS_OK && concerned && !visit(context, last))
      break;
    if (status == STATUS_OK)
      status = db_walk_next(&walk);
  }
  db_walk_close(&walk);
  return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}
