/*
 * The fold of a case (DESIGN section 7): its events, ordered by (gen, hlc, origin, store, lane,
 * seq, index), give one state, the same on every node that has the same events, in whatever order
 * they came. Pure: no store, no clock.
 */
#ifndef CASEWORK_CASE_FOLD_H
#define CASEWORK_CASE_FOLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "record/bytes.h"
#include "record/commit.h"

#define CASE_EVENTS_MAX 4096
#define CASE_KIND_PREFIX "case."

/* state, name for people */
#define CASE_STATE_TABLE(X)                                                                        \
  X(CASE_UNKNOWN, "unknown")                                                                       \
  X(CASE_REPORTED, "reported")                                                                     \
  X(CASE_ACCEPTED, "accepted")                                                                     \
  X(CASE_REJECTED, "rejected")                                                                     \
  X(CASE_DISPATCHED, "dispatched")                                                                 \
  X(CASE_IN_PROGRESS, "in_progress")                                                               \
  X(CASE_SUSPENDED, "suspended")                                                                   \
  X(CASE_RESOLVED, "resolved")                                                                     \
  X(CASE_CLOSED, "closed")                                                                         \
  X(CASE_WITHDRAWN, "withdrawn")                                                                   \
  X(CASE_MERGED, "merged")

enum case_state {
#define X(name, text) name,
  CASE_STATE_TABLE(X)
#undef X
};

/* Static, never NULL. */
const char *case_state_name(enum case_state state);
/* False when no state has that name. */
bool case_state_find(struct bytes_view name, enum case_state *out);

/* One event of a case, as far as order and state need it. `kind` borrows. */
struct case_event {
  uint32_t gen;
  uint64_t hlc;
  struct node_key origin;
  struct store_id store;
  uint8_t lane;
  uint64_t seq;
  uint16_t index;
  bool marked; /* its author isn't in the audience: shown, but changes nothing */
  struct bytes_view kind;
  size_t tag; /* the caller's, untouched: finds the record again after sorting */
};

/* Below, at or above 0, in fold order. */
int case_event_compare(const struct case_event *a, const struct case_event *b);
/* Sorts into fold order. */
void case_events_sort(struct case_event *events, size_t count);

/* What the events come to. All zeros when there is none. */
struct case_summary {
  enum case_state state;
  size_t first; /* position of the first event in fold order */
  uint64_t first_hlc;
  uint64_t changed_hlc; /* of the event that made the state */
};
/* Folds events in any order; doesn't change them. */
void case_fold(const struct case_event *events, size_t count, struct case_summary *out);

/* Text under `name` in a body, which is one msgpack map as record_read accepted it; false when the
 * body is no map or has no such text. */
bool case_body_text(struct bytes_view body, const char *name, struct bytes_view *out);

#endif
