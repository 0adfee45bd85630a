/*
 * The store: one LMDB environment with everything that a node keeps (DESIGN section 5). This
 * header opens it and begins transactions; the others of this folder read and change what is in
 * it. One writer (the core thread), any number of readers. Nothing here reads a clock: the caller
 * gives the time.
 *
 * Every change made in a write transaction, in the tables and in the tables' mirrors in memory
 * (neighbours, logs), stands only after store_commit; store_abort brings the mirrors back.
 * LMDB memory handed out through a transaction is valid until it ends.
 */
#ifndef STORAGE_STORE_H
#define STORAGE_STORE_H

#include "record/address.h"
#include "record/clock.h"
#include "record/commit.h"
#include "record/status.h"

#define STORE_FORMAT_VERSION 3
#define STORE_FORMAT_FIRST 1 /* a new store's, and one's of which nothing was ever trimmed */
#define STORE_REASON_MAX 512

struct store;
struct store_txn;

struct store_settings {
  const char *path;     /* directory; made by store_create */
  uint64_t map_bytes;   /* size of the sparse map */
  uint64_t quota_bytes; /* 0: only the file system's room limits */
  int zstd_level;       /* for commits that we write ourselves */
  bool read_only;       /* for inspection beside a running daemon; takes no lock */
  bool no_sync;         /* for simulations: a commit outlives the process, not the host */
};
/* map 64 GiB, no quota, level 1. `path` stays NULL. */
void store_settings_default(struct store_settings *settings);

/* Who the store belongs to. */
struct store_identity {
  struct node_key node;
  struct address address;
  struct store_id store;
  struct hash root; /* id of the root certificate */
};

/* Makes an empty store for a node; the identity's store id is fresh random from the caller.
 * STATUS_EXISTS when there is one at the path, STATUS_IO. `reason` (STORE_REASON_MAX octets) says
 * in words what is wrong and what to do. */
MUST_USE enum status store_create(const struct store_settings *settings,
                                  const struct store_identity *identity, char *reason);
/* Opens, loads the mirrors, and holds a lock against a second writer. `expected` may be NULL;
 * otherwise node and address must match: STATUS_WRONG_NODE. STATUS_WRONG_VERSION for a store of a
 * newer format, STATUS_NOT_FOUND, STATUS_BUSY when another process has it open, STATUS_CORRUPT,
 * STATUS_IO. `reason` as above. */
MUST_USE enum status store_open(const struct store_settings *settings,
                                const struct store_identity *expected, struct store **out,
                                char *reason);
void store_close(struct store *store);
const struct store_identity *store_identity(const struct store *store);

/* A write transaction; at most one at a time. STATUS_IO. */
MUST_USE enum status store_begin(struct store *store, struct instant now, struct store_txn **out);
/* Durable when it returns STATUS_OK (fsync). STATUS_DISK_FULL, STATUS_IO: then nothing stands and
 * the mirrors are as before. The transaction is gone either way. */
MUST_USE enum status store_commit(struct store_txn *txn);
void store_abort(struct store_txn *txn);
/* A consistent view that blocks nobody; any thread; end with store_read_end. STATUS_IO,
 * STATUS_BUSY when all reader places are taken. A write transaction may be passed wherever a
 * `const struct store_txn *` reads. */
MUST_USE enum status store_read_begin(struct store *store, struct store_txn **out);
void store_read_end(struct store_txn *txn);

/* Room left (DESIGN section 5): under 5 % free no new records, under 2 % only acks, trims and
 * erasures. Free is the lesser of quota and file system. */
enum store_room { STORE_ROOM_OK, STORE_ROOM_TIGHT, STORE_ROOM_FULL };
enum store_room store_room(const struct store *store);
/* Asks the file system anew, at most twice a second; store_begin does so too. For the thread that
 * writes: while nothing is written, nothing else would see that there is room again. */
void store_room_look(struct store *store, struct instant now);
struct store_usage {
  uint64_t used_bytes; /* pages in use */
  uint64_t file_bytes;
  uint64_t limit_bytes; /* quota, or used + free on the file system */
};
void store_usage(const struct store *store, struct store_usage *usage);

/* One counter: small named numbers of the daemon that must survive (hlc, for one), by name.
 * Absent reads as 0. STATUS_IO. */
MUST_USE enum status store_meta_put(struct store_txn *txn, const char *name, uint64_t value);
uint64_t store_meta_get(const struct store_txn *txn, const char *name);

/* How much is held. Records are counted by whoever takes commits in, under this name in the
 * counters: what `struct applied` says is new. */
#define STORE_COUNTER_RECORDS "records"
struct store_counts {
  uint64_t commits;
  uint64_t records;
  uint64_t subjects;
};
void store_counts(const struct store_txn *txn, struct store_counts *counts);

#endif
