/*
 * Events of a case, as the fold takes them, and their order (DESIGN section 7): (gen, hlc, origin,
 * store, lane, seq, index), causal whatever the clocks say.
 */
#ifndef CASEWORK_CASE_EVENT_H
#define CASEWORK_CASE_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "record/address.h"
#include "record/bytes.h"
#include "record/commit.h"

/* One event. Views borrow from the record. */
struct case_event {
  uint32_t gen;
  uint64_t hlc;
  struct node_key origin;
  struct store_id store;
  uint8_t lane;
  uint64_t seq;
  uint16_t index;
  bool marked;   /* its author isn't in the audience: shown, but changes nothing */
  bool founding; /* the record that founded the subject */
  bool withheld; /* its body isn't for this node to see, or was erased */
  uint8_t up;
  uint8_t down_count;
  struct bytes_view down; /* as in struct record_header */
  struct bytes_view kind;
  struct bytes_view body; /* empty when withheld or absent */
  struct subject subject;
  struct address address; /* where the origin stood when it wrote */
  struct hash leaf;       /* only read where case_events_near holds */
  size_t tag;             /* the caller's, untouched: finds the record again after sorting */
};

/* Fills all but `leaf` and `tag`. */
void case_event_read(const struct record *record, const struct commit_header *commit,
                     uint16_t index, const struct address *address, bool marked,
                     struct case_event *out);
/* Below, at or above 0, in fold order. */
int case_event_compare(const struct case_event *a, const struct case_event *b);
/* Whether one writer gave both the same gen and hlc: then they may be copies of one record, and
 * both need their leaf. Such events stand side by side in fold order. */
bool case_events_near(const struct case_event *a, const struct case_event *b);
/* Sorts into fold order. */
void case_events_sort(struct case_event *events, size_t count);

#endif
