/* Verify, of floors: that each leads to a log, and what its cosignatures say. */
#include "record/receipt.h"
#include "verify_state.h"

static void floor_find(struct verify *verify, uint32_t log, const char *what)
{
  verify_find(verify, "floor of log %u: %s", log, what);
}

static void proofs_check(struct verify *verify, uint32_t log, const struct log_floor *floor)
{
  struct cosignature cosignature;

  if (floor->proof_count == 0)
    floor_find(verify, log, "nobody vouches for it");
  for (size_t i = 0; i < floor->proof_count; i++) {
    if (cosignature_read(floor->proofs[i], &cosignature) != STATUS_OK ||
        cosignature_check(&cosignature, &floor->commit_id) != VERDICT_OK)
      floor_find(verify, log, "a cosignature does not verify");
  }
}

/* The commit itself is kept, withheld: what its origin signed says where in the log it stands. */
static void commit_check(struct verify *verify, uint32_t log, const struct log_floor *floor)
{
  struct commit commit;

  arena_reset(&verify->arena);
  if (commit_read(floor->commit, &verify->arena, &commit) != VERDICT_OK ||
      commit_check_signature(&commit) != VERDICT_OK)
    floor_find(verify, log, "its commit does not verify");
  else if (commit.header.seq != floor->seq || !hash_equal(&commit.id, &floor->commit_id))
    floor_find(verify, log, "its commit is another one");
}

static enum status log_has_commits(const struct store_txn *txn, uint32_t log, bool *has)
{
  struct walk walk;
  uint8_t key[COMMIT_KEY_SIZE];
  enum status status = db_walk_open(txn, TABLE_COMMITS, &walk);

  layout_commit_key(log, 0, key);
  if (status == STATUS_OK)
    status = db_walk_from(&walk, key, sizeof(key));
  *has = status == STATUS_OK && be32_get(walk.key.data) == log;
  db_walk_close(&walk);
  return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}

static enum status floor_check(struct verify *verify, uint32_t log, struct bytes_view octets)
{
  struct log_floor floor;
  struct log_head head;
  bool has = true;
  enum status status = log_get(verify->txn, log, &head);

  if (status == STATUS_OK)
    status = log_has_commits(verify->txn, log, &has);
  if (status != STATUS_OK)
    return verify_fault(verify, status, "floor of log", log);
  if (!layout_floor_read(octets, &floor)) {
    floor_find(verify, log, "it is damaged");
    return STATUS_OK;
  }
  if (floor.seq > head.seq ||
      (floor.seq == head.seq && !hash_equal(&floor.commit_id, &head.commit_id)))
    floor_find(verify, log, "it lies past the log's head");
  if (!has)
    verify->report->logs++;
  commit_check(verify, log, &floor);
  proofs_check(verify, log, &floor);
  return STATUS_OK;
}

enum status verify_floors(struct verify *verify)
{
  struct walk walk = {0};
  enum status status = STATUS_NOT_FOUND;

  if (!verify->txn->store->floors_missing)
    status = db_walk_open(verify->txn, TABLE_FLOORS, &walk);
  if (status == STATUS_OK)
    status = db_walk_from(&walk, NULL, 0);
  while (status == STATUS_OK) {
    if (walk.key.size != 4)
      verify_find(verify, "floors: a key of %zu octets", walk.key.size);
    else
      status = floor_check(verify, be32_get(walk.key.data), walk.value);
    if (status == STATUS_OK)
      status = db_walk_next(&walk);
  }
  db_walk_close(&walk);
  return status;
}
