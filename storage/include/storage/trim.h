/*
 * Trimming (DESIGN section 5): the value of an item goes from this store when two nodes above that
 * may see it hold it, by their signed word, and it is old enough. A commit at the start of its log
 * of which no value is left goes whole; a floor stays, where verification of the log starts. Here
 * is what may go, what a node above says to a request, and the going itself; asking and checking
 * of signatures is the caller's.
 */
#ifndef STORAGE_TRIM_H
#define STORAGE_TRIM_H

#include "storage/logs.h"
#include "storage/store.h"

#define TRIM_ASKS_MAX 24
#define TRIM_HOLDERS_MAX 8
#define TRIM_HOLDERS_NEEDED 2
#define TRIM_FLOOR_PROOFS_MAX 4
#define TRIM_PROOF_BYTES_MAX 192 /* of one cosignature, encoded */

/* What is old enough, and what came of it. */
struct trim_rule {
  struct wall_ms before; /* arrived here, and last record of its subject arrived, before then */
  bool dry;              /* only say what would go */
};
struct trim_result {
  uint64_t items;         /* values that went */
  uint64_t commits;       /* that went whole */
  uint64_t records;       /* in these */
  uint64_t stay_young;    /* commits, at least: a log is not looked at past its first such */
  uint64_t stay_open;     /* records whose subject had a newer one */
  uint64_t stay_few;      /* items that fewer than two above may see */
  uint64_t stay_unproven; /* items that two may see but did not say that they hold */
  uint64_t stay_waiting;  /* logs of which something waits in an outbox: from there on */
  uint32_t dry_log;       /* of a dry run: how far this log would be gone */
  uint64_t dry_floor;
};

/* One commit to be proven: who holds these of its records, with these of their items? `see` has
 * an octet an item: 0 where it isn't asked for. */
struct trim_want {
  uint8_t index;
  struct bytes_view see;
};
struct trim_ask {
  uint32_t log;
  struct log_id id;
  uint64_t seq;
  struct hash commit_id;
  size_t want_count;
  const struct trim_want *wants; /* in the arena, ascending by index */
};

/* Where looking goes on; zeros: from the start. */
struct trim_cursor {
  uint32_t log;
  uint64_t seq;
};
/* For the thread that writes, with any transaction. Looks on from the cursor, a bounded piece;
 * `*count` asks (up to TRIM_ASKS_MAX) are in `asks`; `*done` at the end of all logs. Counts what
 * stays in `result`. Only what store_pins_step has seen may go. STATUS_CORRUPT,
 * STATUS_NO_MEMORY. */
MUST_USE enum status store_trim_find(const struct store_txn *txn, const struct trim_rule *rule,
                                     struct trim_cursor *cursor, struct arena *arena,
                                     struct trim_ask *asks, size_t *count, bool *done,
                                     struct trim_result *result);

/* Who holds it, by a cosignature that the caller has verified. */
struct trim_holder {
  struct address address;
  uint8_t shown[COMMIT_BITMAP_SIZE]; /* records held as asked */
  struct bytes_view cosignature;
};
/* Lets go what the rule and these holders allow; everything is judged again. STATUS_* only for
 * faults of the store. */
MUST_USE enum status store_trim_apply(struct store_txn *txn, const struct trim_rule *rule,
                                      const struct trim_ask *ask, const struct trim_holder *holders,
                                      size_t holder_count, struct trim_result *result);

/* What this store can say to an ask of that neighbour: `*held` when it holds the commit; then
 * `shown`, of `*octets` octets, has the records that concern the neighbour and that are shown here
 * with every item asked for that this node may see, and of which none was let go here. `ask->log`
 * is not looked at. */
MUST_USE enum status store_trim_holds(const struct store_txn *txn, const struct trim_ask *ask,
                                      uint16_t neighbour, bool *held,
                                      uint8_t shown[COMMIT_BITMAP_SIZE], size_t *octets);

/* The district has nobody above it: values go there that a confirmed backup holds, and commits
 * never go whole. False there; then store_trim_apply is called without holders. */
bool store_trim_needs_word(const struct store *store);
/* For the thread that writes, before a backup is begun: how far each log goes (log n at n - 1). To
 * be given to store_backup_confirm once the copy has been read back and found good; what changed
 * meanwhile doesn't count. The caller frees `*seqs`. STATUS_NO_MEMORY. */
MUST_USE enum status store_backup_heads(struct store *store, uint64_t **seqs, uint32_t *count);
MUST_USE enum status store_backup_confirm(struct store_txn *txn, const uint64_t *seqs,
                                          uint32_t count);

/* Nothing goes that still waits in an outbox. Which logs that concerns is found by walks over all
 * outboxes in pieces of `entries_max`, for the thread that writes, each in a reader's transaction
 * of its own; `*done` when a walk is complete, and what it found counts. */
struct pins_cursor {
  bool started;
  bool ended;
  uint16_t neighbour;
  uint8_t lane;
  uint64_t position;
};
MUST_USE enum status store_pins_step(const struct store_txn *txn, struct pins_cursor *cursor,
                                     size_t entries_max, bool *done);

/* Where a log begins: `seq` is the last commit that is gone, `commit_id` its id; views borrow from
 * the transaction. */
struct log_floor {
  uint64_t seq;
  struct hash commit_id;
  struct wall_ms at;
  struct bytes_view commit; /* that commit, all of it withheld */
  size_t proof_count;
  struct bytes_view proofs[TRIM_FLOOR_PROOFS_MAX]; /* cosignatures */
};
/* STATUS_NOT_FOUND: it begins at 1. */
MUST_USE enum status store_floor_get(const struct store_txn *txn, uint32_t log,
                                     struct log_floor *out);
/* Takes over where a neighbour's copy of a log begins, when that is past our own head: the log
 * goes on after it. The caller has checked the commit and the proofs; the certificate must have
 * been put. STATUS_EXISTS: our own goes as far; STATUS_INVALID_ARGUMENT: the certificate isn't
 * known, or is another's. */
MUST_USE enum status store_floor_adopt(struct store_txn *txn, const struct commit *commit,
                                       const struct bytes_view *proofs, size_t proof_count);

/* Somebody came late to a subject of which something was let go here: what is left is given at
 * once, the rest is wanted back from the parent. How often that was, since the store was opened. */
uint64_t store_trim_short_histories(const struct store *store);
/* Subjects whose history is wanted back; the first past `after` (NULL: of all).
 * STATUS_NOT_FOUND. */
MUST_USE enum status store_history_wanted(const struct store_txn *txn, const struct subject *after,
                                          struct subject *out);
MUST_USE enum status store_history_done(struct store_txn *txn, const struct subject *subject);
/* The commits of a subject as that neighbour may see them, its other records withheld, in order of
 * arrival. STATUS_NOT_FOUND when there is none, or the neighbour isn't concerned. Stops when
 * `visit` returns false. */
MUST_USE enum status store_history_each(const struct store_txn *txn, const struct subject *subject,
                                        uint16_t neighbour, struct arena *arena,
                                        bool (*visit)(void *context, struct bytes_view commit,
                                                      const struct hash *certificate),
                                        void *context);

#endif
