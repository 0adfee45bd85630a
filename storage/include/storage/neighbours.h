/*
 * Neighbours: the parent and the children of this node, with their outboxes and cursors (DESIGN
 * section 6). Each has a small local number; a mirror in memory serves routing and the links.
 */
#ifndef STORAGE_NEIGHBOURS_H
#define STORAGE_NEIGHBOURS_H

#include "storage/store.h"

#define NEIGHBOUR_NONE 0 /* this node itself, as a source */
#define NEIGHBOUR_PARENT 1
#define NEIGHBOURS_MAX 4096

/* Where a side's reading of the other's outbox stands. All zeros: nothing read yet. */
struct cursor {
  struct store_id store; /* the sender's */
  uint64_t position;
  uint8_t tag[16];
};

/* One lane of a neighbour's outbox, and what came in by it. */
struct neighbour_lane {
  uint64_t end_position; /* last position taken; 0: none yet */
  uint8_t end_tag[16];
  uint64_t acked_position;
  uint8_t acked_tag[16];
  uint64_t pending_records; /* records shown in entries after acked_position */
  uint64_t pending_commits;
  uint64_t pending_bytes;   /* about what they take on the wire */
  struct wall_ms oldest_at; /* when the oldest pending entry was queued; 0: none */
  struct cursor received;   /* our durable cursor in its outbox */
};

struct neighbour {
  uint16_t number;
  struct address address;
  bool backfilled; /* history before it came has been queued whole */
  bool dropped;    /* what waited for it was dropped; it is not level yet */
  struct neighbour_lane lanes[LANE_COUNT];
};

/* These three are for the thread that writes. Finds by address; NULL when unknown. The pointer is
 * good until the store is closed or the put that made it known is aborted. */
const struct neighbour *store_neighbour_find(const struct store *store,
                                             const struct address *address);
/* By number, NULL when unknown; numbers go from 1 to store_neighbour_count. Number 1 is always
 * the parent (the district has one too, that never takes anything). */
const struct neighbour *store_neighbour(const struct store *store, uint16_t number);
uint16_t store_neighbour_count(const struct store *store);

/* Makes a child known; STATUS_OK and its number also when it was. History is queued to it by
 * store_backfill_step. STATUS_TOO_LARGE at NEIGHBOURS_MAX, STATUS_INVALID_ARGUMENT when it isn't
 * a child of this node. */
MUST_USE enum status store_neighbour_put(struct store_txn *txn, const struct address *address,
                                         uint16_t *number);
/* Queues history for neighbours not yet backfilled, at most `subjects_max` subjects; `*done` when
 * none is left to do. */
MUST_USE enum status store_backfill_step(struct store_txn *txn, size_t subjects_max, bool *done);

/* Our durable cursor in the neighbour's outbox. */
MUST_USE enum status store_cursor_put(struct store_txn *txn, uint16_t neighbour, unsigned lane,
                                      const struct cursor *cursor);

/* The neighbour holds everything up to `position`: entries go, counters follow. A position below
 * the one acked before is ignored, the same one says that a dropped lane is level again; one past
 * the end is STATUS_INVALID_ARGUMENT. */
MUST_USE enum status store_outbox_ack(struct store_txn *txn, uint16_t neighbour, unsigned lane,
                                      uint64_t position);

/* Drops what waits for a child, the oldest first, at most `entries_max` entries of each lane;
 * `*done` when nothing is left. Its cursor then no longer stands, so that heads are compared and
 * what it lacks is sent again when it is back; until then it is `dropped`. STATUS_INVALID_ARGUMENT
 * for the parent, whose outbox is never dropped. */
MUST_USE enum status store_outbox_drop(struct store_txn *txn, uint16_t neighbour,
                                       uint64_t entries_max, bool *done);

/* One entry of an outbox as it goes out: a whole commit or its part for that neighbour. Octets
 * live in the arena or in the transaction. */
struct outgoing {
  uint64_t position;
  uint8_t tag[16];
  struct hash commit_id;
  struct hash certificate;
  uint16_t records;       /* shown */
  uint32_t raw_size;      /* of the commit's octets */
  struct bytes_view zstd; /* one zstd frame of the commit's octets */
};

#define OUTGOING_MAX 64
/* Reads entries from `from` on, in order, until `bytes_max` of zstd octets or `count_max` entries
 * are reached, but at least one when there is any. Returns how many through `*count`.
 * STATUS_CORRUPT, STATUS_NO_MEMORY. */
MUST_USE enum status store_outbox_read(const struct store_txn *txn, uint16_t neighbour,
                                       unsigned lane, uint64_t from, size_t bytes_max,
                                       size_t count_max, struct arena *arena, struct outgoing *out,
                                       size_t *count);
/* The tag at a position between acked and end, to check a neighbour's cursor; false when that
 * position is not held (any more). */
bool store_outbox_tag(const struct store_txn *txn, uint16_t neighbour, unsigned lane,
                      uint64_t position, uint8_t tag[16]);

#endif
