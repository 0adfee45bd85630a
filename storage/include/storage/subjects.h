/*
 * Subjects: what each record is about, who may see it, and where its records stand; with the view
 * of what came down for this node. For reading by commands; the writes are in logs.h.
 */
#ifndef STORAGE_SUBJECTS_H
#define STORAGE_SUBJECTS_H

#include "record/audience.h"
#include "storage/store.h"

/* Where one record stands. */
struct record_ref {
  uint32_t log;
  uint64_t seq;
  uint8_t index;
  bool marked; /* kept but not routed: its author is not in the audience */
};

struct subject_info {
  struct subject subject;
  uint32_t gen_max; /* highest gen seen; a writer's next is one more */
  uint32_t records;
  bool founded; /* the founding record is known here */
};

/* STATUS_NOT_FOUND. */
MUST_USE enum status store_subject_get(const struct store_txn *txn, const struct subject *subject,
                                       struct subject_info *out);
/* The subject's audience; the caller closes it. STATUS_NOT_FOUND. */
MUST_USE enum status store_subject_audience(const struct store_txn *txn,
                                            const struct subject *subject, struct audience *out);
/* Subjects in order of their id; newest first when `descending`. `from` may be NULL; it is taken
 * exclusively. `visit` returns false to stop. */
MUST_USE enum status store_subject_each(
    const struct store_txn *txn, const struct subject *from, bool descending,
    bool (*visit)(void *context, const struct subject_info *info), void *context);

/* A record as held: `record` and `commit` borrow from the arena. */
struct held_record {
  struct record_ref ref;
  struct commit_header commit;
  struct hash commit_id;
  struct address origin;
  struct wall_ms arrived_at;
  struct record record;
};
/* The records of a subject, in order of arrival. Stops when `visit` returns false. A page cache
 * of the last commit makes neighbours cheap. */
MUST_USE enum status store_subject_records(
    const struct store_txn *txn, const struct subject *subject, struct arena *arena,
    bool (*visit)(void *context, const struct held_record *record), void *context);

/* Inbox: records that name this node as a target, by arrival. `after` is the number of the last
 * one seen, 0 from the start; at most `count_max`. */
struct inbox_entry {
  uint64_t number;
  struct held_record record;
};
MUST_USE enum status store_inbox_each(const struct store_txn *txn, uint64_t after, size_t count_max,
                                      struct arena *arena,
                                      bool (*visit)(void *context, const struct inbox_entry *entry),
                                      void *context);

#endif
