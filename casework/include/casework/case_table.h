/*
 * What may happen to a case (DESIGN section 7): its states, the steps that events take, the reasons
 * why an event has no effect, and the one table that says for every state and step what follows and
 * who may do it. The table itself is casework/case_table.c; it reads like docs/CASEWORK.md.
 */
#ifndef CASEWORK_CASE_TABLE_H
#define CASEWORK_CASE_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "record/bytes.h"

#define CASE_KIND_PREFIX "case."

/* state, name for people; `unknown` stands before the report */
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
#define CASE_STATE_COUNT (CASE_MERGED + 1)
/* What is shown for a case whose policy version isn't held here; not a state of the fold, which
 * knows no policy and so is the same with and without it. */
#define CASE_WAITING_NAME "waiting"

/* Static, never NULL. */
const char *case_state_name(enum case_state state);
/* False when no state has that name. */
bool case_state_find(struct bytes_view name, enum case_state *out);

/* step, kind without its prefix. `extend` is four steps: which one its body says. */
#define CASE_STEP_TABLE(X)                                                                         \
  X(REPORT, "report")                                                                              \
  X(ACCEPT, "accept")                                                                              \
  X(REJECT, "reject")                                                                              \
  X(ESCALATE, "escalate")                                                                          \
  X(DISPATCH, "dispatch")                                                                          \
  X(TAKE, "take")                                                                                  \
  X(RETURN, "return")                                                                              \
  X(TRANSFER, "transfer")                                                                          \
  X(PROGRESS, "progress")                                                                          \
  X(SUSPEND, "suspend")                                                                            \
  X(RESUME, "resume")                                                                              \
  X(RESOLVE, "resolve")                                                                            \
  X(CLOSE, "close")                                                                                \
  X(REOPEN, "reopen")                                                                              \
  X(RATE, "rate")                                                                                  \
  X(WITHDRAW, "withdraw")                                                                          \
  X(AMEND, "amend")                                                                                \
  X(URGE, "urge")                                                                                  \
  X(EXTEND, "extend")                                                                              \
  X(SUPERVISE, "supervise")                                                                        \
  X(MERGE, "merge")                                                                                \
  X(LINK, "link")                                                                                  \
  X(COMMENT, "comment")                                                                            \
  X(ERASE, "erase")                                                                                \
  X(EXTEND_ASK, "extend (asked)")                                                                  \
  X(EXTEND_GRANT, "extend (granted)")                                                              \
  X(EXTEND_REFUSE, "extend (refused)")

enum case_step {
#define X(name, text) CASE_STEP_##name,
  CASE_STEP_TABLE(X)
#undef X
};
#define CASE_STEP_COUNT (CASE_STEP_EXTEND_REFUSE + 1)

/* Static, never NULL. */
const char *case_step_name(enum case_step step);
/* The step of a record's kind ("case.accept"); never one of the three that only a body tells
 * apart. False when this version knows no such kind. */
bool case_step_find(struct bytes_view kind, enum case_step *out);

/* reason, code for programs, what to do. CASE_EFFECTIVE is the one that isn't a refusal. */
#define CASE_REASON_TABLE(X)                                                                       \
  X(EFFECTIVE, "effective", "it counts")                                                           \
  X(COPY, "copy", "a copy of an event that counts already; nothing is left to do")                 \
  X(OUTSIDE, "outside", "its writer isn't in the case's audience; have a node that is write it")   \
  X(UNKNOWN_KIND, "unknown_kind", "this version doesn't know the event; upgrade this node")        \
  X(TOO_MANY, "too_many", "a case holds 4096 events; report a new case and link the two")          \
  X(TWINS, "twins", "its writer gave too many events one time; write it again")                    \
  X(MALFORMED, "malformed", "its body isn't as docs/CASEWORK.md says; write it again")             \
  X(NOT_ALLOWED, "not_allowed", "another node has to do this")                                     \
  X(NO_REPORT, "no_report", "the report must come first; wait for it or report a case")            \
  X(NOT_FOUNDER, "not_founder", "only the node that founded the case reports it; comment instead") \
  X(AGAIN, "again", "that has been done already; nothing is left to do")                           \
  X(NOT_ACCEPTED, "not_accepted", "the case must be accepted or dispatched first")                 \
  X(NOT_DISPATCHED, "not_dispatched", "the case must be dispatched first")                         \
  X(NOT_RESOLVED, "not_resolved", "the case must be resolved first")                               \
  X(NOT_SUSPENDED, "not_suspended", "the case isn't suspended; go on with it")                     \
  X(BUSY, "busy", "somebody handles the case; transfer it, or have it returned first")             \
  X(PAUSED, "paused", "the case is suspended; resume it first")                                    \
  X(DONE, "done", "the case is resolved; close it, or reopen it first")                            \
  X(OVER, "over", "the case has ended; reopen it first")                                           \
  X(GONE, "gone", "the case was merged into another; go on there, or reopen this one")             \
  X(OPEN, "open", "the case is open; go on with it")                                               \
  X(NO_TARGET, "no_target",                                                                        \
    "it names nobody below its writer to go to; name a node or unit there, or escalate to a tier " \
    "that has both")                                                                               \
  X(NO_HIGHER, "no_higher", "it names no tier above the case's desk; set one, up to the district") \
  X(NOT_ASKED, "not_asked", "nobody has asked for an extension; ask for it first")                 \
  X(OWN, "own", "who asked for the extension can't decide on it; a tier above has to")             \
  X(SELF, "self", "it names the case itself; name another one")                                    \
  X(FULL, "full", "the case has 32 links; link one of those instead")

enum case_reason {
#define X(name, code, text) CASE_##name,
  CASE_REASON_TABLE(X)
#undef X
};
#define CASE_REASON_COUNT (CASE_FULL + 1)

/* Static, never NULL: a code for programs, and what to do, for people. */
const char *case_reason_code(enum case_reason reason);
const char *case_reason_text(enum case_reason reason);

/* How a node stands to a case; several at once. */
enum case_who {
  CASE_WHO_MEMBER = 1,  /* anybody in the audience */
  CASE_WHO_AUTHOR = 2,  /* the node at which the case was reported */
  CASE_WHO_HOME = 4,    /* the community of the case's place, or the author's own tier above it */
  CASE_WHO_DESK = 8,    /* the node that decides: home, a tier escalated to, or who took it on */
  CASE_WHO_ABOVE = 16,  /* a tier above the desk */
  CASE_WHO_HANDLER = 32 /* whom it is dispatched to; the desk while it is dispatched to nobody */
};

/* One cell: `reason` is CASE_EFFECTIVE and `next` the state that follows (CASE_CELL_BACK: the one
 * before the suspension), or the reason why the step has no effect. */
#define CASE_CELL_BACK CASE_STATE_COUNT
struct case_cell {
  uint8_t reason;
  uint8_t next;
};
struct case_cell case_table_cell(enum case_state state, enum case_step step);
/* Bits of enum case_who, of which a node needs one. */
unsigned case_table_who(enum case_step step);
/* The same for people: "the case's desk or a tier above it". Static, never NULL. */
const char *case_table_who_text(enum case_step step);

#endif
