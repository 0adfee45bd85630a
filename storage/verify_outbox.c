/* Verify, of outboxes: positions, tags and counters of every lane. */
#include "verify_state.h"

/* A lane as the walk over its entries finds it. */
struct lane_walk {
  const struct neighbour *neighbour;
  unsigned lane;
  uint64_t position;
  uint8_t tag[16];
  uint64_t commits;
  uint64_t records;
  uint64_t bytes;
};

static void entry_find(struct verify *verify, const struct lane_walk *at, const char *what)
{
  verify_find(verify, "outbox of %s, lane %s, position %llu: %s", at->neighbour->address.text,
              lane_name(at->lane), (unsigned long long)at->position, what);
}

static enum status entry_check(struct verify *verify, struct lane_walk *at, uint64_t position,
                               struct bytes_view octets)
{
  struct outbox_entry entry;
  struct commit_value value;
  bool follows = position == at->position + 1;
  enum status status;

  at->position = position;
  verify->report->outbox_entries++;
  if (!follows)
    entry_find(verify, at, "an entry before it is missing");
  if (!layout_outbox_read(octets, &entry)) {
    entry_find(verify, at, "the entry is damaged");
    return STATUS_OK;
  }
  at->commits++;
  at->records += entry.records;
  at->bytes += entry.bytes;
  status = commit_value_get(verify->txn, entry.log, entry.seq, &value);
  if (status == STATUS_NOT_FOUND || status == STATUS_CORRUPT) {
    entry_find(verify, at, "its commit is not there");
    memcpy(at->tag, entry.tag, sizeof(at->tag));
    return STATUS_OK;
  }
  hash_tag_next(at->tag, &value.id);
  if (memcmp(at->tag, entry.tag, sizeof(at->tag)) != 0)
    entry_find(verify, at, "its tag does not follow");
  memcpy(at->tag, entry.tag, sizeof(at->tag));
  if (!entry.all && bitmap_count(entry.shown) != entry.records)
    entry_find(verify, at, "it does not show as many records as it says");
  return status;
}

static enum status lane_check(struct verify *verify, const struct neighbour *neighbour,
                              unsigned lane)
{
  const struct neighbour_lane *kept = &neighbour->lanes[lane];
  struct lane_walk at = {
      .neighbour = neighbour,
      .lane = lane,
      .position = kept->acked_position,
  };
  struct walk walk;
  uint8_t key[OUTBOX_KEY_SIZE];
  enum status status = db_walk_open(verify->txn, TABLE_OUTBOX, &walk);

  memcpy(at.tag, kept->acked_tag, sizeof(at.tag));
  layout_outbox_key(neighbour->number, lane, 0, key);
  if (status == STATUS_OK)
    status = db_walk_from(&walk, key, sizeof(key));
  while (status == STATUS_OK && walk.key.size == OUTBOX_KEY_SIZE &&
         memcmp(walk.key.data, key, 3) == 0) {
    status = entry_check(verify, &at, be64_get(walk.key.data + 3), walk.value);
    if (status == STATUS_OK)
      status = db_walk_next(&walk);
  }
  db_walk_close(&walk);
  if (status == STATUS_NOT_FOUND)
    status = STATUS_OK;
  if (at.position != kept->end_position || memcmp(at.tag, kept->end_tag, sizeof(at.tag)) != 0)
    entry_find(verify, &at, "the lane does not end as its neighbour's row says");
  if (at.commits != kept->pending_commits || at.records != kept->pending_records ||
      at.bytes != kept->pending_bytes)
    entry_find(verify, &at, "counters of what is pending are wrong");
  return status;
}

enum status verify_outboxes(struct verify *verify)
{
  struct neighbour neighbour;
  uint64_t entries = db_count(verify->txn, TABLE_OUTBOX);
  enum status status = STATUS_OK;

  for (uint16_t i = 1; status == STATUS_OK && i <= NEIGHBOURS_MAX; i++) {
    status = neighbour_get(verify->txn, i, &neighbour);
    for (unsigned lane = 0; lane < LANE_COUNT && status == STATUS_OK; lane++)
      status = lane_check(verify, &neighbour, lane);
    if (status == STATUS_NOT_FOUND && i > db_count(verify->txn, TABLE_NEIGHBOURS)) {
      status = STATUS_OK;
      break;
    }
    status = verify_fault(verify, status, "neighbour", i);
  }
  if (status == STATUS_OK && entries != verify->report->outbox_entries)
    verify_find(verify, "outbox: %llu entries are nobody's",
                (unsigned long long)(entries - verify->report->outbox_entries));
  return status;
}
