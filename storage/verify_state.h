/*
 * Verify in parts: what they share. A finding is damage; a status other than STATUS_OK ends the
 * whole (memory or the disk failed us).
 */
#ifndef STORAGE_VERIFY_STATE_H
#define STORAGE_VERIFY_STATE_H

#include "state.h"
#include "storage/verify.h"

struct verify {
  const struct store_txn *txn;
  struct verify_report *report;
  void (*finding)(void *context, const char *text);
  void *context;
  struct arena arena;               /* of the commit or subject at hand */
  struct arena kept;                /* of all */
  struct certificate *certificates; /* number n at n - 1 */
  bool *trusted;                    /* parallel: a chain leads to the root */
  uint32_t certificate_count;
  uint64_t refs; /* in all subjects */
};

__attribute__((format(printf, 2, 3))) void verify_find(struct verify *verify, const char *format,
                                                       ...);
/* STATUS_CORRUPT and STATUS_NOT_FOUND are findings, and taken as told: STATUS_OK comes back. */
MUST_USE enum status verify_fault(struct verify *verify, enum status status, const char *what,
                                  uint64_t number);

MUST_USE enum status verify_certificates(struct verify *verify);
MUST_USE enum status verify_logs(struct verify *verify);
/* Floors, and logs that have one but no commit past it, which are counted as logs. */
MUST_USE enum status verify_floors(struct verify *verify);
MUST_USE enum status verify_subjects(struct verify *verify);
MUST_USE enum status verify_outboxes(struct verify *verify);

#endif
