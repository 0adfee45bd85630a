/*
 * Verify: reads everything back and checks it as if it had just come in, for `log verify` and for
 * tests after a crash.
 */
#ifndef STORAGE_VERIFY_H
#define STORAGE_VERIFY_H

#include "storage/store.h"

struct verify_report {
  uint64_t logs;
  uint64_t commits;
  uint64_t records;
  uint64_t subjects;
  uint64_t outbox_entries;
  uint64_t findings;
};

/* Checks every commit (form, root, signature, certificate chain to the root), every chain (seq and
 * prev in gapless logs; heads), that each shown record stands exactly once in its subject, that
 * each ref leads to its record, that gen_max and audience are what the records give, that outbox
 * tags chain and counters agree. Each finding is told through `finding` (text, one line).
 * STATUS_OK also with findings; STATUS_IO, STATUS_NO_MEMORY. */
MUST_USE enum status store_verify(const struct store_txn *txn, struct verify_report *report,
                                  void (*finding)(void *context, const char *text), void *context);

#endif
