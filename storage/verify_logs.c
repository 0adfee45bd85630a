/* Verify, of commits and logs: form, root, signature, certificate; order, chain and heads. */
#include "verify_state.h"

/* A log as the walk over its commits finds it. */
struct chain {
  struct log_head head;
  struct log_floor floor; /* seq 0: none */
  bool known;
  uint64_t seq; /* last commit seen */
  uint64_t commits;
  struct hash id;
};

static void commit_find(struct verify *verify, const struct chain *chain, uint64_t seq,
                        const char *what)
{
  verify_find(verify, "log %u commit %llu: %s", chain->head.number, (unsigned long long)seq, what);
}

static void head_check(struct verify *verify, const struct commit_value *value,
                       const struct chain *chain, const struct commit *commit)
{
  bool all_shown = value->flags & COMMIT_ALL_SHOWN;
  bool items_hidden = value->flags & COMMIT_ITEMS_HIDDEN;
  uint8_t empty = commit->items_hidden ? commit_empty_flag(commit) : 0;

  if (!hash_equal(&value->id, &commit->id) || value->see_all != commit->see_all ||
      value->count != commit->header.count || value->shown_count != commit->shown_count ||
      all_shown != (commit->shown_count == commit->header.count) ||
      items_hidden != commit->items_hidden || (value->flags & COMMIT_EMPTY) != empty ||
      memcmp(value->shown, commit->shown, COMMIT_BITMAP_SIZE) != 0)
    commit_find(verify, chain, commit->header.seq, "its head does not say what it shows");
}

static void origin_check(struct verify *verify, const struct commit_value *value,
                         const struct chain *chain, const struct commit *commit)
{
  const struct commit_header *header = &commit->header;
  const struct log_id *id = &chain->head.id;
  const struct certificate *certificate;

  if (memcmp(header->origin.octets, id->origin.octets, KEY_SIZE) != 0 ||
      memcmp(header->store.octets, id->store.octets, STORE_ID_SIZE) != 0 ||
      header->lane != id->lane)
    commit_find(verify, chain, header->seq, "it belongs to another log");
  if (value->certificate == 0 || value->certificate > verify->certificate_count) {
    commit_find(verify, chain, header->seq, "its certificate is not held");
    return;
  }
  certificate = &verify->certificates[value->certificate - 1];
  if (!hash_equal(&certificate->id, &header->certificate) ||
      memcmp(certificate->key.octets, header->origin.octets, KEY_SIZE) != 0)
    commit_find(verify, chain, header->seq, "its certificate is another one");
  else if (!verify->trusted[value->certificate - 1])
    commit_find(verify, chain, header->seq, "its certificate does not lead to the root");
  if (commit_check_signature(commit) != VERDICT_OK)
    commit_find(verify, chain, header->seq, verdict_text(VERDICT_BAD_SIGNATURE));
}

static void order_check(struct verify *verify, const struct chain *chain,
                        const struct commit *commit)
{
  const struct hash *before = &chain->id;
  uint64_t at = chain->seq;

  /* What was let go may have come back in parts. */
  if (!chain->head.gapless || commit->header.seq <= chain->floor.seq)
    return;
  if (commit->header.seq == chain->floor.seq + 1) {
    before = &chain->floor.commit_id;
    at = chain->floor.seq;
  }
  if (commit->header.seq != at + 1)
    commit_find(verify, chain, commit->header.seq, verdict_text(VERDICT_GAP));
  else if (at > 0 && !hash_equal(&commit->header.prev, before))
    commit_find(verify, chain, commit->header.seq, verdict_text(VERDICT_BAD_PREVIOUS));
}

/* Each shown record stands in its subject. */
static enum status records_check(struct verify *verify, const struct chain *chain,
                                 const struct commit *commit)
{
  struct subject_row row;
  bool found;
  bool marked;
  enum status status = STATUS_OK;

  for (size_t i = 0; i < commit->shown_count && status == STATUS_OK; i++) {
    const struct subject *subject = &commit->records[i].header.subject;
    struct ref ref = {chain->head.number, commit->header.seq, (uint8_t)commit->indexes[i], 0};
    found = false;
    status = subject_row_get(verify->txn, subject, &row);
    if (status == STATUS_OK)
      status = subject_ref_find(verify->txn, subject, &row, &ref, &found, &marked);
    if (status == STATUS_NOT_FOUND || status == STATUS_CORRUPT)
      status = STATUS_OK;
    if (status == STATUS_OK && !found)
      verify_find(verify, "log %u commit %llu record %u: not listed by its subject", ref.log,
                  (unsigned long long)ref.seq, ref.index);
  }
  verify->report->records += commit->shown_count;
  return status;
}

static enum status commit_check(struct verify *verify, struct chain *chain, uint64_t seq,
                                struct bytes_view octets)
{
  struct commit_value value;
  struct commit commit;
  enum verdict verdict;
  enum status status;

  arena_reset(&verify->arena);
  verify->report->commits++;
  chain->commits++;
  if (!layout_commit_read(octets, &value)) {
    commit_find(verify, chain, seq, "its head is damaged");
    return STATUS_OK;
  }
  status = commit_value_inflate(verify->txn, &value, &verify->arena, &octets);
  if (status == STATUS_CORRUPT) {
    commit_find(verify, chain, seq, "it does not decompress");
    return STATUS_OK;
  }
  if (status != STATUS_OK)
    return status;
  verdict = commit_read(octets, &verify->arena, &commit);
  if (verdict != VERDICT_OK) {
    commit_find(verify, chain, seq, verdict_text(verdict));
    return STATUS_OK;
  }
  if (commit.header.seq != seq)
    commit_find(verify, chain, seq, "it stands at another's place");
  head_check(verify, &value, chain, &commit);
  origin_check(verify, &value, chain, &commit);
  order_check(verify, chain, &commit);
  chain->seq = seq;
  chain->id = commit.id;
  return records_check(verify, chain, &commit);
}

static void chain_end(struct verify *verify, const struct chain *found)
{
  struct chain chain = *found;

  if (!chain.known)
    return;
  if (chain.seq < chain.floor.seq) {
    chain.seq = chain.floor.seq;
    chain.id = chain.floor.commit_id;
  }
  if (chain.commits != chain.head.commits || chain.seq != chain.head.seq ||
      !hash_equal(&chain.id, &chain.head.commit_id))
    verify_find(verify, "log %u: its head says seq %llu and %llu commits, held are %llu up to %llu",
                chain.head.number, (unsigned long long)chain.head.seq,
                (unsigned long long)chain.head.commits, (unsigned long long)chain.commits,
                (unsigned long long)chain.seq);
}

static enum status chain_begin(struct verify *verify, struct chain *chain, uint32_t log)
{
  enum status status;

  chain_end(verify, chain);
  *chain = (struct chain){0};
  verify->report->logs++;
  status = log_get(verify->txn, log, &chain->head);
  chain->known = status == STATUS_OK;
  chain->head.number = log;
  if (status == STATUS_OK) {
    status = store_floor_get(verify->txn, log, &chain->floor);
    status = status == STATUS_NOT_FOUND ? STATUS_OK : status;
  }
  return verify_fault(verify, status, "log", log);
}

enum status verify_logs(struct verify *verify)
{
  struct chain chain = {0};
  struct walk walk;
  enum status status = db_walk_open(verify->txn, TABLE_COMMITS, &walk);

  if (status == STATUS_OK)
    status = db_walk_from(&walk, NULL, 0);
  while (status == STATUS_OK) {
    if (walk.key.size != COMMIT_KEY_SIZE) {
      verify_find(verify, "commits: a key of %zu octets", walk.key.size);
    } else {
      uint32_t log = be32_get(walk.key.data);
      if (chain.head.number != log)
        status = chain_begin(verify, &chain, log);
      if (status == STATUS_OK)
        status = commit_check(verify, &chain, be64_get(walk.key.data + 4), walk.value);
    }
    if (status == STATUS_OK)
      status = db_walk_next(&walk);
  }
  db_walk_close(&walk);
  chain_end(verify, &chain);
  if (status == STATUS_NOT_FOUND)
    status = verify_floors(verify);
  if (verify->report->logs != db_count(verify->txn, TABLE_LOGS))
    verify_find(verify, "%llu logs have commits, but %llu are listed",
                (unsigned long long)verify->report->logs,
                (unsigned long long)db_count(verify->txn, TABLE_LOGS));
  return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}
