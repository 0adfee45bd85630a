/*
 * The fold of a case (DESIGN section 7): its events, taken in fold order, give one outcome each and
 * one state of the case, the same on every node that has the same events, in whatever order they
 * came. Pure: no store, no clock, no policy. docs/CASEWORK.md says what each event does.
 *
 * State, desk and handler follow from headers and addresses alone, which every node in the audience
 * has; so withholding or erasing a body never changes them. What bodies say (category, rating,
 * links and so on) is the same on all nodes that may see the same bodies.
 */
#ifndef CASEWORK_CASE_FOLD_H
#define CASEWORK_CASE_FOLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "casework/case_body.h"
#include "casework/case_event.h"
#include "casework/case_table.h"

#define CASE_EVENTS_MAX 4096 /* copies included; later ones have no effect */
#define CASE_LINKS_MAX 32
#define CASE_TWINS_MAX 8              /* different events of one writer with the same gen and hlc */
#define CASE_CLOCK_SLACK_MS 86400000u /* a claimed time so far before its cause is a wrong clock */

/* What became of an event's body. */
enum case_content { CASE_CONTENT_READ, CASE_CONTENT_WITHHELD, CASE_CONTENT_MALFORMED };

/* What became of one event. */
struct case_outcome {
  enum case_reason reason; /* CASE_EFFECTIVE, or why it has no effect */
  enum case_step step;     /* CASE_STEP_COUNT when its kind isn't known */
  enum case_state state;   /* of the case after it */
  enum case_content content;
  bool clock_back; /* claims a time over a day before the event that it follows */
};

enum case_extension {
  CASE_EXTENSION_NONE,
  CASE_EXTENSION_ASKED,
  CASE_EXTENSION_GRANTED,
  CASE_EXTENSION_REFUSED
};

/* A case as folded so far; all zeros before its first event. Flat: copied by assignment. */
struct case_fold {
  enum case_state state;
  enum case_state suspended_from; /* the state to go back to */
  uint32_t count;                 /* events taken, copies and ineffective ones included */
  uint32_t effective;
  uint32_t clocks_back;
  struct subject subject;
  struct address founder; /* empty (size 0) while there is no report */
  struct address home;
  struct address desk;
  struct address handler; /* empty while dispatched to nobody */
  /* hlc as claimed by the event that last did it; 0: none did */
  uint64_t reported_hlc;
  uint64_t changed_hlc; /* of the event that made the state */
  uint64_t accepted_hlc;
  uint64_t dispatched_hlc;
  uint64_t taken_hlc;
  uint64_t suspended_hlc;
  uint64_t resolved_hlc;
  uint64_t closed_hlc;
  uint32_t urges;
  uint32_t reopens;
  uint32_t returns;
  uint32_t transfers;
  uint32_t escalations;
  uint32_t supervisions;
  /* from bodies */
  bool report_withheld;
  uint8_t score;
  uint64_t policy;
  enum case_extension extension;
  struct address extension_by; /* who asked */
  uint64_t extension_until;    /* unix ms as granted, else as asked */
  uint32_t extensions;         /* granted */
  bool merged_known;
  struct subject merged_into;
  uint32_t link_count;
  struct subject links[CASE_LINKS_MAX];
  uint8_t category_size;
  char category[CASE_CATEGORY_MAX];
  uint16_t place_size;
  char place[CASE_PLACE_MAX];
  /* where the fold stands in the order of events */
  uint64_t last_hlc; /* of the last effective event */
  struct case_event last;
  uint8_t twin_count;
  struct hash twins[CASE_TWINS_MAX];
};

/* Takes the next event in fold order. False, and nothing is changed, when it belongs before the
 * last one taken: then the case has to be folded again from its first event. */
MUST_USE bool case_fold_next(struct case_fold *fold, const struct case_event *event,
                             struct case_outcome *out);
/* Folds events that case_events_sort has sorted. `outcomes` (count of them) may be NULL. */
void case_fold_sorted(const struct case_event *events, size_t count, struct case_fold *out,
                      struct case_outcome *outcomes);
/* What an event would come to that a node writes now, after all that is in the fold: gen, hlc,
 * store, seq and leaf of `event` aren't looked at. */
void case_fold_try(const struct case_fold *fold, const struct case_event *event,
                   struct case_outcome *out);

/* How a node at `address` stands to the case: bits of enum case_who. */
unsigned case_fold_who(const struct case_fold *fold, const struct address *address);
/* Appends all that the fold says, as canonical msgpack: equal octets, equal folds.
 * STATUS_NO_MEMORY. */
MUST_USE enum status case_fold_write(const struct case_fold *fold, struct bytes *out);

/* Why an event has no effect and what to do, for people; NUL-terminated. */
#define CASE_OUTCOME_TEXT_MAX 320
void case_outcome_text(const struct case_outcome *outcome, char out[CASE_OUTCOME_TEXT_MAX]);

/* The node at which a case of `founder` is decided first: a grid's community; else the founder, or
 * the host of a founding unit. */
struct address case_home(const struct address *founder);
/* The audience that the writer of `step` has to name, so that everyone concerned sees it and nobody
 * else (DESIGN section 4): `up`, and whether `target` belongs into `down`. */
struct case_reach {
  uint8_t up; /* enum tier; 0 adds nobody */
  bool down;
};
struct case_reach case_event_reach(const struct case_fold *fold, enum case_step step,
                                   const struct address *writer);

/* Where a merged case went in the end: follows `next` (false: not merged, or not known here) from
 * `subject`. A ring of merges ends at the lowest subject in it; at most CASE_MERGES_MAX steps. */
#define CASE_MERGES_MAX 64
struct subject case_merged_end(struct subject subject,
                               bool (*next)(void *context, const struct subject *of,
                                            struct subject *into),
                               void *context);

#endif
