/*
 * History that was let go here and is wanted back, because somebody came late to its subject; and
 * what the parent gives then. Which are wanted stands in the store until they have come.
 */
#include "state.h"

#define HISTORY_KEY_SIZE (sizeof(META_HISTORY) - 1 + SUBJECT_SIZE)

static void history_key(const struct subject *subject, uint8_t key[HISTORY_KEY_SIZE])
{
  memcpy(key, META_HISTORY, sizeof(META_HISTORY) - 1);
  memcpy(key + sizeof(META_HISTORY) - 1, subject->octets, SUBJECT_SIZE);
}

enum status history_want(struct store_txn *txn, const struct subject *subject)
{
  uint8_t key[HISTORY_KEY_SIZE];

  txn->store->short_histories++;
  history_key(subject, key);
  return db_put(txn, TABLE_META, key, sizeof(key), "", 0);
}

uint64_t store_trim_short_histories(const struct store *store)
{
  return store->short_histories;
}

enum status store_history_wanted(const struct store_txn *txn, const struct subject *after,
                                 struct subject *out)
{
  static const struct subject first;
  struct walk walk;
  uint8_t key[HISTORY_KEY_SIZE];
  enum status status = db_walk_open(txn, TABLE_META, &walk);

  history_key(after == NULL ? &first : after, key);
  if (status == STATUS_OK)
    status = db_walk_from(&walk, key, sizeof(key));
  if (status == STATUS_OK && after != NULL && walk.key.size == sizeof(key) &&
      memcmp(walk.key.data, key, sizeof(key)) == 0)
    status = db_walk_next(&walk);
  if (status == STATUS_OK && (walk.key.size != sizeof(key) ||
                              memcmp(walk.key.data, META_HISTORY, sizeof(META_HISTORY) - 1) != 0))
    status = STATUS_NOT_FOUND;
  if (status == STATUS_OK)
    memcpy(out->octets, walk.key.data + sizeof(META_HISTORY) - 1, SUBJECT_SIZE);
  db_walk_close(&walk);
  return status;
}

enum status store_history_done(struct store_txn *txn, const struct subject *subject)
{
  uint8_t key[HISTORY_KEY_SIZE];
  enum status status;

  history_key(subject, key);
  status = db_delete(txn, TABLE_META, key, sizeof(key));
  return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}

struct giving {
  const struct store_txn *txn;
  unsigned class_bit;
  struct arena *arena;
  bool (*visit)(void *context, struct bytes_view commit, const struct hash *certificate);
  void *context;
};

/* One commit with those of the refs that stand in it; `*more` false: enough. */
static enum status commit_give(const struct giving *giving, const struct ref *refs, size_t count,
                               bool *more)
{
  const struct commit *commit;
  uint8_t shown[COMMIT_BITMAP_SIZE] = {0};
  struct bytes octets = {0};
  enum status status = commit_parsed(giving->txn, refs[0].log, refs[0].seq, &commit);

  for (size_t i = 0; i < count; i++) {
    if (refs[i].log == refs[0].log && refs[i].seq == refs[0].seq &&
        (refs[i].flags & REF_MARKED) == 0)
      bitmap_set(shown, refs[i].index);
  }
  if (status == STATUS_OK)
    status = commit_write_partial(commit, shown, giving->class_bit, giving->arena, &octets);
  if (status == STATUS_OK)
    *more = giving->visit(giving->context, bytes_as_view(&octets), &commit->header.certificate);
  bytes_close(&octets);
  return status == STATUS_NOT_FOUND ? STATUS_CORRUPT : status;
}

/* Whether a ref before it stands in the same commit. */
static bool ref_given(const struct ref *refs, size_t place)
{
  for (size_t i = 0; i < place; i++) {
    if (refs[i].log == refs[place].log && refs[i].seq == refs[place].seq)
      return true;
  }
  return false;
}

enum status store_history_each(const struct store_txn *txn, const struct subject *subject,
                               uint16_t neighbour, struct arena *arena,
                               bool (*visit)(void *context, struct bytes_view commit,
                                             const struct hash *certificate),
                               void *context)
{
  struct giving giving = {.txn = txn, .arena = arena, .visit = visit, .context = context};
  struct neighbour to;
  struct subject_row row;
  struct ref *refs = NULL;
  bool concerned = false;
  bool more = true;
  enum status status = neighbour_get(txn, neighbour, &to);

  if (status == STATUS_OK)
    status = subject_row_get(txn, subject, &row);
  if (status == STATUS_OK)
    status = audience_concerns(txn, row.audience, &to, &concerned);
  if (status != STATUS_OK || !concerned)
    return status == STATUS_OK ? STATUS_NOT_FOUND : status;
  giving.class_bit = address_class(&to.address);
  status = subject_refs_load(txn, subject, &row, arena, &refs);
  for (size_t i = 0; status == STATUS_OK && more && i < row.records; i++) {
    if ((refs[i].flags & REF_MARKED) == 0 && !ref_given(refs, i))
      status = commit_give(&giving, &refs[i], row.records - i, &more);
  }
  return status;
}
