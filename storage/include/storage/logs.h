/*
 * Logs: every commit held, by (log, seq), with heads; taking one in is the one write that moves
 * data: it judges continuity, stores or merges, updates subjects and audiences, and queues what
 * must go to each neighbour, all in the caller's transaction (DESIGN sections 4 to 6).
 */
#ifndef STORAGE_LOGS_H
#define STORAGE_LOGS_H

#include <sodium.h>

#include "record/certificate.h"
#include "storage/neighbours.h"
#include "storage/store.h"

struct log_id {
  struct node_key origin;
  struct store_id store;
  uint8_t lane;
};

struct log_head {
  uint32_t number;
  struct log_id id;
  struct address address;    /* the origin's */
  uint64_t seq;              /* highest held; 0: none */
  struct hash commit_id;     /* of that */
  uint64_t commits;          /* how many held */
  bool gapless;              /* origin in this node's subtree: floor + 1..seq are all held */
  struct wall_ms arrived_at; /* last commit taken in */
  uint64_t floor;            /* commits up to here were let go (storage/trim.h); 0: none */
};

/* From any thread; what a write transaction has taken in shows at once. False when the log is
 * unknown. */
bool store_log_find(const struct store *store, const struct log_id *id, struct log_head *out);
/* Logs are numbered 1 to store_log_count. */
uint32_t store_log_count(const struct store *store);
bool store_log_at(const struct store *store, uint32_t number, struct log_head *out);

/* Certificates, judged by the caller before they are put. Kept forever; by id, and the one that
 * holds for an address (highest epoch, then not_before). STATUS_NOT_FOUND. */
MUST_USE enum status store_certificate_put(struct store_txn *txn,
                                           const struct certificate *certificate);
MUST_USE enum status store_certificate_get(const struct store_txn *txn, const struct hash *id,
                                           struct certificate *out);
/* Walks all, issuers before what they issued (order of arrival). `visit` returns false to stop. */
MUST_USE enum status store_certificate_each(const struct store_txn *txn,
                                            bool (*visit)(void *context,
                                                          const struct certificate *certificate),
                                            void *context);

/* What taking a commit in came to. */
struct applied {
  enum verdict verdict;    /* OK, DUPLICATE, GAP, BAD_PREVIOUS, FORK */
  uint16_t records_new;    /* records shown here for the first time */
  uint16_t records_marked; /* of these, kept but not routed: author not in the audience, or a
                               target outside the author's authority */
  bool concerns_us;        /* a record names this node as its target */
};

/* Takes in a commit from commit_read whose signature, certificate and authority the caller has
 * judged. `zstd` is a frame that holds exactly commit->octets, or empty (then it is compressed
 * here). The origin's certificate must have been put before. Continuity: a log of this node or
 * its subtree is gapless (seq = head + 1 with prev = head's id; at seq 1 any prev); others may
 * come in any order. A seq already held with the same id merges: what it newly shows is routed
 * like new. Nothing changes unless the verdict is OK. Neighbours in whose direction the origin
 * stands are never sent the commit. STATUS_* only for faults of the store itself. */
MUST_USE enum status store_commit_apply(struct store_txn *txn, const struct commit *commit,
                                        struct bytes_view zstd, struct applied *out);

/* As store_commit_apply, for what was asked for or is carried by hand: a commit that was let go
 * here is taken back. It goes to whoever lacks it, but not up again. */
MUST_USE enum status store_commit_take_back(struct store_txn *txn, const struct commit *commit,
                                            struct bytes_view zstd, struct applied *out);

/* One commit as held, its octets exactly as signed and shown here, decompressed into the arena.
 * STATUS_NOT_FOUND, STATUS_CORRUPT, STATUS_NO_MEMORY. */
MUST_USE enum status store_commit_load(const struct store_txn *txn, uint32_t log, uint64_t seq,
                                       struct arena *arena, struct bytes_view *octets);
/* As store_outbox_read, for a log from `from_seq` on (positions are 0): what the neighbour may
 * see of it; commits of which it may see nothing are left out in sparse direction (down) and come
 * withheld in the gapless one (up, and where a child's own subtree wrote them). `*next_seq` is
 * where to go on, 0 at the end. */
MUST_USE enum status store_log_read(const struct store_txn *txn, uint32_t log, uint64_t from_seq,
                                    uint16_t neighbour, size_t bytes_max, size_t count_max,
                                    struct arena *arena, struct outgoing *out, size_t *count,
                                    uint64_t *next_seq);
/* Digest over what a log shows, for `heads`: first 16 octets of H(0x08 ‖ for each commit in order
 * of seq: u64le seq ‖ id ‖ for each shown record that `neighbour` may see (NEIGHBOUR_NONE: all
 * held): u16le index ‖ leaf ‖ u64le bit set of shown items that its class may see). Commits that
 * show it nothing are left out unless the log flows up to it. Commits past `seq_max` are not
 * looked at. `*commits` counts those taken. */
MUST_USE enum status store_log_digest(const struct store_txn *txn, uint32_t log, uint16_t neighbour,
                                      uint64_t seq_max, struct arena *arena, uint8_t digest[16],
                                      uint64_t *commits);

/* The same in pieces, each in a transaction of its own, so that nobody waits for a long log. What
 * changes meanwhile behind the place reached is not looked at again: who compares must learn of it
 * by other means. */
struct log_digest {
  crypto_generichash_state state;
  uint32_t log;
  uint16_t neighbour;
  uint64_t seq_max;
  uint64_t next; /* seq */
  uint64_t commits;
  bool done;
  uint8_t digest[16]; /* when done */
};
void store_log_digest_begin(struct log_digest *digest, uint32_t log, uint16_t neighbour,
                            uint64_t seq_max);
/* Looks at up to `*commits_max` commits, and takes their number off. STATUS_CORRUPT,
 * STATUS_NO_MEMORY. */
MUST_USE enum status store_log_digest_step(const struct store_txn *txn, struct log_digest *digest,
                                           struct arena *arena, size_t *commits_max);

/* Commits that are not taken (DESIGN section 6, "Faults stay small"), keyed by (neighbour, log):
 * the first bad commit, the reason, how many since. */
#define QUARANTINE_PER_NEIGHBOUR_MAX 256
struct quarantine_entry {
  uint32_t number; /* for `quarantine show N`; stable while the entry stands */
  uint16_t neighbour;
  struct log_id log;
  uint64_t seq; /* of the first that was refused */
  uint64_t low; /* the lowest and the highest that were, and are not made good */
  uint64_t high;
  enum verdict verdict;
  struct wall_ms first_at;
  struct wall_ms last_at;
  uint64_t count;
  struct bytes_view octets; /* the first bad commit */
};
/* Keeps the first, counts the rest; past the maximum only the count of the link's overflow entry
 * goes up. */
MUST_USE enum status store_quarantine_put(struct store_txn *txn, uint16_t neighbour,
                                          const struct log_id *log, uint64_t seq,
                                          enum verdict verdict, struct bytes_view octets);
/* Whatever stands below `low` is made good: the entry goes on from there, or goes. A fork's
 * stays. */
MUST_USE enum status store_quarantine_raise(struct store_txn *txn, uint16_t neighbour,
                                            const struct log_id *log, uint64_t low);
/* Drops the entry; STATUS_NOT_FOUND. store_commit_apply does so by itself when the log goes on. */
MUST_USE enum status store_quarantine_drop(struct store_txn *txn, uint32_t number);
MUST_USE enum status store_quarantine_each(const struct store_txn *txn,
                                           bool (*visit)(void *context,
                                                         const struct quarantine_entry *entry),
                                           void *context);
/* What a neighbour told us that it refused of ours (acks list it), for people to see. */
struct refused_entry {
  uint16_t neighbour;
  struct log_id log;
  uint64_t seq;
  enum verdict verdict;
  struct wall_ms at;
};
MUST_USE enum status store_refused_put(struct store_txn *txn, const struct refused_entry *entry);
MUST_USE enum status store_refused_clear(struct store_txn *txn, uint16_t neighbour,
                                         const struct log_id *log);
MUST_USE enum status store_refused_each(const struct store_txn *txn,
                                        bool (*visit)(void *context,
                                                      const struct refused_entry *entry),
                                        void *context);

/* Erasure: the value of the item at `position` of the record with that leaf is gone wherever it
 * is held here and never taken back from a later copy. Held or not, the tombstone stays. */
MUST_USE enum status store_erase(struct store_txn *txn, const struct hash *leaf, unsigned position,
                                 const struct subject *subject);

/* Tombstones of subjects that concern the neighbour, in order, behind `after` (NULL: from the
 * first), at most `rows_max` looked at: then `*more`, and `*last` is where to go on. `visit`
 * returns false to stop. STATUS_CORRUPT. */
struct tombstone {
  struct hash leaf;
  unsigned position;
  struct subject subject;
};
MUST_USE enum status store_tombstone_each(const struct store_txn *txn, uint16_t neighbour,
                                          const struct tombstone *after, size_t rows_max,
                                          bool (*visit)(void *context,
                                                        const struct tombstone *tombstone),
                                          void *context, struct tombstone *last, bool *more);

#endif
