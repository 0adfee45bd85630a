/*
 * Logs as a neighbour may see them, for resending and for comparing digests: the same rules as
 * routing, asked afresh of each record.
 */
#include <sodium.h>

#include "state.h"

struct reading {
  const struct store_txn *txn;
  uint32_t log;
  struct neighbour neighbour; /* number NEIGHBOUR_NONE: everything */
  unsigned class_bit;         /* 0: all items */
  bool upward;                /* gapless there, so withheld commits count too */
};

static enum status reading_begin(const struct store_txn *txn, uint32_t log, uint16_t neighbour,
                                 struct reading *out)
{
  struct log_head head;
  enum status status = log_get(txn, log, &head);

  *out = (struct reading){.txn = txn, .log = log};
  if (status != STATUS_OK || neighbour == NEIGHBOUR_NONE) {
    out->upward = true;
    return status;
  }
  status = neighbour_get(txn, neighbour, &out->neighbour);
  if (status != STATUS_OK)
    return status;
  out->class_bit = address_class(&out->neighbour.address);
  out->upward =
      (neighbour == NEIGHBOUR_PARENT && txn->store->has_parent && head.gapless) ||
      (neighbour != NEIGHBOUR_PARENT && address_within(&head.address, &out->neighbour.address));
  return STATUS_OK;
}

static enum status record_visible(const struct reading *reading, const struct commit *commit,
                                  size_t place, bool *visible)
{
  const struct subject *subject = &commit->records[place].header.subject;
  struct ref ref = {reading->log, commit->header.seq, (uint8_t)commit->indexes[place], 0};
  struct subject_row row;
  bool found = true;
  bool marked = false;
  enum status status = subject_row_get(reading->txn, subject, &row);

  *visible = false;
  if (status == STATUS_OK)
    status = audience_concerns(reading->txn, row.audience, &reading->neighbour, visible);
  if (status == STATUS_OK && *visible && (row.flags & SUBJECT_HAS_MARKED))
    status = subject_ref_find(reading->txn, subject, &row, &ref, &found, &marked);
  *visible = *visible && found && !marked;
  return status == STATUS_NOT_FOUND ? STATUS_CORRUPT : status;
}

static enum status commit_visible(const struct reading *reading, const struct commit *commit,
                                  uint8_t shown[COMMIT_BITMAP_SIZE])
{
  bool visible = true;
  enum status status = STATUS_OK;

  memset(shown, 0, COMMIT_BITMAP_SIZE);
  for (size_t i = 0; i < commit->shown_count && status == STATUS_OK; i++) {
    if (reading->neighbour.number != NEIGHBOUR_NONE)
      status = record_visible(reading, commit, i, &visible);
    if (visible)
      bitmap_set(shown, commit->indexes[i]);
  }
  return status;
}

enum status commit_shown_to(const struct store_txn *txn, uint32_t log, const struct commit *commit,
                            uint16_t neighbour, uint8_t shown[COMMIT_BITMAP_SIZE])
{
  struct reading reading;
  enum status status = reading_begin(txn, log, neighbour, &reading);

  return status == STATUS_OK ? commit_visible(&reading, commit, shown) : status;
}

static bool key_in_log(struct bytes_view key, uint32_t log)
{
  return key.size == COMMIT_KEY_SIZE && be32_get(key.data) == log;
}

/* `*taken` false: the neighbour may see nothing of it. */
static enum status log_entry_read(const struct reading *reading, uint64_t seq,
                                  struct bytes_view octets, struct arena *arena,
                                  struct outgoing *out, bool *taken)
{
  const struct commit *commit;
  struct commit_value value;
  uint8_t shown[COMMIT_BITMAP_SIZE];
  enum status status;

  if (!layout_commit_read(octets, &value))
    return STATUS_CORRUPT;
  status = commit_parsed(reading->txn, reading->log, seq, &commit);
  if (status == STATUS_OK)
    status = commit_visible(reading, commit, shown);
  *taken = reading->upward || bitmap_count(shown) > 0;
  if (status != STATUS_OK || !*taken)
    return status;
  *out = (struct outgoing){0};
  return outgoing_write(reading->txn, &value, shown, reading->class_bit, arena, out);
}

enum status store_log_read(const struct store_txn *txn, uint32_t log, uint64_t from_seq,
                           uint16_t neighbour, size_t bytes_max, size_t count_max,
                           struct arena *arena, struct outgoing *out, size_t *count,
                           uint64_t *next_seq)
{
  struct reading reading;
  struct walk walk = {0};
  uint8_t key[COMMIT_KEY_SIZE];
  size_t bytes = 0;
  bool taken;
  enum status status = reading_begin(txn, log, neighbour, &reading);

  *count = 0;
  *next_seq = 0;
  layout_commit_key(log, from_seq, key);
  if (status == STATUS_OK)
    status = db_walk_open(txn, TABLE_COMMITS, &walk);
  if (status == STATUS_OK) {
    status = db_walk_from(&walk, key, sizeof(key));
    while (status == STATUS_OK && key_in_log(walk.key, log)) {
      uint64_t seq = be64_get(walk.key.data + 4);
      if (*count == count_max || bytes >= bytes_max) {
        *next_seq = seq;
        break;
      }
      status = log_entry_read(&reading, seq, walk.value, arena, &out[*count], &taken);
      if (status != STATUS_OK)
        break;
      if (taken && *count > 0 && bytes + out[*count].zstd.size > bytes_max) {
        *next_seq = seq;
        break;
      }
      if (taken)
        bytes += out[(*count)++].zstd.size;
      status = db_walk_next(&walk);
    }
    if (status == STATUS_NOT_FOUND)
      status = STATUS_OK;
  }
  db_walk_close(&walk);
  return status;
}

static void digest_number(crypto_generichash_state *state, uint64_t number, size_t size)
{
  uint8_t octets[8];

  le_put(octets, number, size);
  crypto_generichash_update(state, octets, size);
}

static void digest_record(crypto_generichash_state *state, const struct reading *reading,
                          const struct commit *commit, size_t place)
{
  struct bytes_view rest = commit->records[place].items_octets;
  struct item item;
  uint64_t items = 0;

  for (unsigned i = 0; record_item_next(&rest, &item); i++) {
    if (item.shown && (item.see & reading->class_bit) == reading->class_bit)
      items |= 1ull << i;
  }
  digest_number(state, commit->indexes[place], 2);
  crypto_generichash_update(state, commit->leaves[place].octets, HASH_SIZE);
  digest_number(state, items, 8);
}

static enum status digest_commit(crypto_generichash_state *state, const struct reading *reading,
                                 uint64_t seq, struct bytes_view octets, struct arena *arena,
                                 uint64_t *commits)
{
  struct commit_value value;
  struct commit commit;
  uint8_t shown[COMMIT_BITMAP_SIZE];
  enum status status;

  if (!layout_commit_read(octets, &value))
    return STATUS_CORRUPT;
  arena_reset(arena);
  status = commit_value_inflate(reading->txn, &value, arena, &octets);
  if (status == STATUS_OK && commit_read(octets, arena, &commit) != VERDICT_OK)
    status = STATUS_CORRUPT;
  if (status == STATUS_OK)
    status = commit_visible(reading, &commit, shown);
  if (status != STATUS_OK || (!reading->upward && bitmap_count(shown) == 0))
    return status;
  (*commits)++;
  digest_number(state, seq, 8);
  crypto_generichash_update(state, commit.id.octets, HASH_SIZE);
  for (size_t i = 0; i < commit.shown_count; i++) {
    if (bitmap_get(shown, commit.indexes[i]))
      digest_record(state, reading, &commit, i);
  }
  return STATUS_OK;
}

void store_log_digest_begin(struct log_digest *digest, uint32_t log, uint16_t neighbour,
                            uint64_t seq_max)
{
  uint8_t domain = HASH_DIGEST;

  *digest = (struct log_digest){.log = log, .neighbour = neighbour, .seq_max = seq_max};
  crypto_generichash_init(&digest->state, NULL, 0, HASH_SIZE);
  crypto_generichash_update(&digest->state, &domain, 1);
}

static void digest_end(struct log_digest *digest)
{
  uint8_t hash[HASH_SIZE];

  crypto_generichash_final(&digest->state, hash, sizeof(hash));
  memcpy(digest->digest, hash, sizeof(digest->digest));
  digest->done = true;
}

enum status store_log_digest_step(const struct store_txn *txn, struct log_digest *digest,
                                  struct arena *arena, size_t *commits_max)
{
  struct reading reading;
  struct walk walk = {0};
  uint8_t key[COMMIT_KEY_SIZE];
  enum status status = reading_begin(txn, digest->log, digest->neighbour, &reading);

  layout_commit_key(digest->log, digest->next, key);
  if (status == STATUS_OK)
    status = db_walk_open(txn, TABLE_COMMITS, &walk);
  if (status == STATUS_OK) {
    status = db_walk_from(&walk, key, sizeof(key));
    while (status == STATUS_OK && key_in_log(walk.key, digest->log) && *commits_max > 0 &&
           be64_get(walk.key.data + 4) <= digest->seq_max) {
      uint64_t seq = be64_get(walk.key.data + 4);
      status = digest_commit(&digest->state, &reading, seq, walk.value, arena, &digest->commits);
      digest->next = seq + 1;
      (*commits_max)--;
      if (status == STATUS_OK)
        status = db_walk_next(&walk);
    }
    if (status == STATUS_NOT_FOUND || (status == STATUS_OK && *commits_max > 0)) {
      digest_end(digest);
      status = STATUS_OK;
    }
  }
  db_walk_close(&walk);
  return status;
}

enum status store_log_digest(const struct store_txn *txn, uint32_t log, uint16_t neighbour,
                             uint64_t seq_max, struct arena *arena, uint8_t digest[16],
                             uint64_t *commits)
{
  struct log_digest whole;
  size_t commits_max = SIZE_MAX;
  enum status status;

  store_log_digest_begin(&whole, log, neighbour, seq_max);
  status = store_log_digest_step(txn, &whole, arena, &commits_max);
  *commits = whole.commits;
  memcpy(digest, whole.digest, sizeof(whole.digest));
  return status;
}
