/*
 * Copies of a store, and a store's new life after one was put back (DESIGN sections 2 and 6,
 * "Restored, cloned or forked"): what it wrote before stays as history under the old id, what it
 * writes from now on is a log of its own.
 */
#ifndef STORAGE_BACKUP_H
#define STORAGE_BACKUP_H

#include "storage/store.h"

/* Counters (store_meta_get). */
#define STORE_COUNTER_BACKUP_AT "backup_at" /* ms since 1970 UTC of the last confirmed backup */
#define STORE_COUNTER_BACKUP_SIZE "backup_size"

/* Writes a compacted copy, the octets of a data file, to an open file or pipe; blocks until it is
 * whole. Any thread; writers go on meanwhile. STATUS_DISK_FULL, STATUS_IO. */
MUST_USE enum status store_copy(const struct store *store, int file);

/* For the thread that writes, outside of a transaction: from here on the store is `fresh`. What
 * it was before is remembered (store_previous). Durable when it returns STATUS_OK; else nothing
 * changed. */
MUST_USE enum status store_renew(struct store *store, struct instant now,
                                 const struct store_id *fresh);
/* What the store was before the last store_renew; false: nothing. */
bool store_previous(const struct store_txn *txn, struct store_id *out);

#endif
