/* Cases as their records give them. Private to the commands. */
#ifndef NODED_COMMAND_CASE_READ_H
#define NODED_COMMAND_CASE_READ_H

#include "casework/case_fold.h"
#include "noded/command.h"
#include "storage/logs.h"
#include "storage/subjects.h"

/* What still waits for the parent, copied on the core thread. */
struct parent_wait {
  bool waits[LANE_COUNT];
  int64_t oldest_ms[LANE_COUNT];
};
void parent_wait_read(struct core *core, struct parent_wait *out);

/* The records of one subject; everything lives in the arena. */
struct case_records {
  struct arena *arena;
  struct case_event *events; /* in fold order; tag: position in `held` */
  struct case_outcome *outcomes;
  struct held_record **held;
  size_t count;
  size_t capacity;
  bool failed; /* memory is out */
  struct case_fold fold;
  struct held_record *founding; /* NULL only when there is no record */
};
/* Reads and folds them. STATUS_NO_MEMORY, STATUS_NOT_FOUND, and what the store says. */
MUST_USE enum status case_records_read(const struct store_txn *txn, const struct subject *subject,
                                       struct arena *arena, struct case_records *out);
/* The open body of the founding record; empty when withheld. */
struct bytes_view case_records_body(const struct case_records *records);
/* A case map, whole. */
void write_case(struct writer *writer, const struct subject_info *info,
                const struct case_records *records, const struct parent_wait *wait,
                const struct address *self);

#endif
