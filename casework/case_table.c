#include "casework/case_table.h"

#include "record/check.h"

/* A cell is a state that follows, `same`, `back`, or why there is no effect. */
#define NO(reason)                                                                                 \
  {                                                                                                \
    CASE_##reason, 0                                                                               \
  }
#define TO(state)                                                                                  \
  {                                                                                                \
    CASE_EFFECTIVE, state                                                                          \
  }
#define REPORTED TO(CASE_REPORTED)
#define ACCEPTED TO(CASE_ACCEPTED)
#define REJECTED TO(CASE_REJECTED)
#define DISPATCHED TO(CASE_DISPATCHED)
#define IN_PROGRESS TO(CASE_IN_PROGRESS)
#define SUSPENDED TO(CASE_SUSPENDED)
#define RESOLVED TO(CASE_RESOLVED)
#define CLOSED TO(CASE_CLOSED)
#define WITHDRAWN TO(CASE_WITHDRAWN)
#define MERGED TO(CASE_MERGED)
#define back TO(CASE_CELL_BACK)
#define same TO(CASE_CELL_SAME)
#define again NO(AGAIN)
#define early NO(NOT_ACCEPTED)
#define unsent NO(NOT_DISPATCHED)
#define unresolved NO(NOT_RESOLVED)
#define running NO(NOT_SUSPENDED)
#define busy NO(BUSY)
#define paused NO(PAUSED)
#define done NO(DONE)
#define over NO(OVER)
#define gone NO(GONE)
#define still_open NO(OPEN)

#define CASE_CELL_SAME (CASE_CELL_BACK + 1)

struct case_rule {
  unsigned who;
  struct case_cell cells[CASE_STATE_COUNT - 1]; /* from CASE_REPORTED on */
};

#define MEMBER CASE_WHO_MEMBER
#define AUTHOR CASE_WHO_AUTHOR
#define HOME CASE_WHO_HOME
#define DESK CASE_WHO_DESK
#define ABOVE CASE_WHO_ABOVE
#define HANDLER CASE_WHO_HANDLER
#define RULE(step, who, ...) [CASE_STEP_##step] = {who, {__VA_ARGS__}}

/* Before the report only the report has an effect: that is no column. Dispatching a reported case
 * accepts it; resolving a dispatched one takes it. */
/* clang-format off */
static const struct case_rule rules[CASE_STEP_COUNT] = {
/*  step, who
      reported     accepted     rejected     dispatched   in_progress
      suspended    resolved     closed       withdrawn    merged */
RULE(REPORT, AUTHOR,
      again,       again,       again,       again,       again,
      again,       again,       again,       again,       again),
RULE(ACCEPT, DESK | ABOVE,
      ACCEPTED,    again,       over,        again,       again,
      again,       done,        over,        over,        gone),
RULE(REJECT, DESK | ABOVE,
      REJECTED,    REJECTED,    again,       busy,        busy,
      busy,        done,        over,        over,        gone),
RULE(ESCALATE, DESK,
      same,        same,        over,        same,        same,
      same,        done,        over,        over,        gone),
RULE(DISPATCH, DESK | ABOVE | HANDLER,
      DISPATCHED,  DISPATCHED,  over,        DISPATCHED,  busy,
      paused,      done,        over,        over,        gone),
RULE(TAKE, HANDLER,
      early,       IN_PROGRESS, over,        IN_PROGRESS, again,
      paused,      done,        over,        over,        gone),
RULE(RETURN, HANDLER,
      unsent,      unsent,      over,        ACCEPTED,    ACCEPTED,
      ACCEPTED,    done,        over,        over,        gone),
RULE(TRANSFER, DESK | ABOVE | HANDLER,
      unsent,      unsent,      over,        DISPATCHED,  DISPATCHED,
      DISPATCHED,  done,        over,        over,        gone),
RULE(PROGRESS, HANDLER,
      early,       IN_PROGRESS, over,        IN_PROGRESS, same,
      paused,      done,        over,        over,        gone),
RULE(SUSPEND, HANDLER | DESK,
      early,       SUSPENDED,   over,        SUSPENDED,   SUSPENDED,
      again,       done,        over,        over,        gone),
RULE(RESUME, HANDLER | DESK | ABOVE,
      running,     running,     over,        running,     running,
      back,        done,        over,        over,        gone),
RULE(RESOLVE, HANDLER,
      early,       RESOLVED,    over,        RESOLVED,    RESOLVED,
      paused,      again,       over,        over,        gone),
RULE(CLOSE, HOME | DESK | ABOVE,
      unresolved,  unresolved,  over,        unresolved,  unresolved,
      unresolved,  CLOSED,      again,       over,        gone),
RULE(REOPEN, AUTHOR | HOME | DESK | ABOVE,
      still_open,  still_open,  REPORTED,    still_open,  still_open,
      still_open,  ACCEPTED,    ACCEPTED,    REPORTED,    ACCEPTED),
RULE(RATE, AUTHOR | HOME,
      unresolved,  unresolved,  over,        unresolved,  unresolved,
      unresolved,  same,        same,        over,        gone),
RULE(WITHDRAW, AUTHOR,
      WITHDRAWN,   WITHDRAWN,   over,        WITHDRAWN,   WITHDRAWN,
      WITHDRAWN,   done,        over,        again,       gone),
RULE(AMEND, AUTHOR | HOME | DESK | ABOVE,
      same,        same,        over,        same,        same,
      same,        same,        over,        over,        gone),
RULE(URGE, MEMBER,
      same,        same,        over,        same,        same,
      same,        same,        over,        over,        gone),
RULE(EXTEND, HANDLER | DESK | ABOVE,
      early,       same,        over,        same,        same,
      same,        done,        over,        over,        gone),
RULE(EXTEND_ASK, HANDLER | DESK,
      early,       same,        over,        same,        same,
      same,        done,        over,        over,        gone),
RULE(EXTEND_GRANT, DESK | ABOVE,
      early,       same,        over,        same,        same,
      same,        done,        over,        over,        gone),
RULE(EXTEND_REFUSE, DESK | ABOVE,
      early,       same,        over,        same,        same,
      same,        done,        over,        over,        gone),
RULE(SUPERVISE, ABOVE,
      same,        same,        same,        same,        same,
      same,        same,        same,        same,        gone),
RULE(MERGE, DESK | ABOVE,
      MERGED,      MERGED,      over,        MERGED,      MERGED,
      MERGED,      done,        over,        over,        again),
RULE(LINK, MEMBER,
      same,        same,        same,        same,        same,
      same,        same,        same,        same,        same),
RULE(COMMENT, MEMBER,
      same,        same,        same,        same,        same,
      same,        same,        same,        same,        same),
RULE(ERASE, MEMBER,
      same,        same,        same,        same,        same,
      same,        same,        same,        same,        same),
};
/* clang-format on */

struct case_cell case_table_cell(enum case_state state, enum case_step step)
{
  CHECK((unsigned)state < CASE_STATE_COUNT && (unsigned)step < CASE_STEP_COUNT);
  if (state == CASE_UNKNOWN) {
    bool report = step == CASE_STEP_REPORT;
    return (struct case_cell){report ? CASE_EFFECTIVE : CASE_NO_REPORT, report ? CASE_REPORTED : 0};
  }
  struct case_cell cell = rules[step].cells[state - 1];
  if (cell.reason == CASE_EFFECTIVE && cell.next == CASE_CELL_SAME) {
    cell.next = (uint8_t)state;
  }
  return cell;
}

unsigned case_table_who(enum case_step step)
{
  CHECK((unsigned)step < CASE_STEP_COUNT);
  return rules[step].who;
}

const char *case_table_who_text(enum case_step step)
{
  switch (case_table_who(step)) {
  case MEMBER:
    return "any node in the case's audience";
  case AUTHOR:
    return "the node at which it was reported";
  case DESK:
    return "the case's desk";
  case HANDLER:
    return "whom the case is dispatched to, or its desk while that is nobody";
  case ABOVE:
    return "a tier above the case's desk";
  case DESK | ABOVE:
    return "the case's desk or a tier above it";
  case HANDLER | DESK:
    return "whom the case is dispatched to, or its desk";
  case HANDLER | DESK | ABOVE:
    return "whom the case is dispatched to, its desk, or a tier above that";
  case AUTHOR | HOME:
    return "the node at which it was reported, or its home community";
  case HOME | DESK | ABOVE:
    return "its home community, its desk, or a tier above that";
  default:
    return "the node at which it was reported, its home community, its desk, or a tier above that";
  }
}

static const char *const state_names[] = {
#define X(name, text) text,
    CASE_STATE_TABLE(X)
#undef X
};

static const char *const step_kinds[] = {
#define X(name, text) CASE_KIND_PREFIX text,
    CASE_STEP_TABLE(X)
#undef X
};

static const struct {
  const char *code;
  const char *text;
} reasons[] = {
#define X(name, code, text) {code, text},
    CASE_REASON_TABLE(X)
#undef X
};

const char *case_state_name(enum case_state state)
{
  return state_names[(unsigned)state < CASE_STATE_COUNT ? state : CASE_UNKNOWN];
}

bool case_state_find(struct bytes_view name, enum case_state *out)
{
  for (size_t i = 0; i < CASE_STATE_COUNT; i++) {
    if (bytes_view_equal(name, bytes_view_text(state_names[i]))) {
      *out = (enum case_state)i;
      return true;
    }
  }
  return false;
}

const char *case_step_name(enum case_step step)
{
  CHECK((unsigned)step < CASE_STEP_COUNT);
  return step_kinds[step] + sizeof(CASE_KIND_PREFIX) - 1;
}

bool case_step_find(struct bytes_view kind, enum case_step *out)
{
  for (size_t i = 0; i < CASE_STEP_EXTEND_ASK; i++) {
    if (bytes_view_equal(kind, bytes_view_text(step_kinds[i]))) {
      *out = (enum case_step)i;
      return true;
    }
  }
  return false;
}

const char *case_reason_code(enum case_reason reason)
{
  CHECK((unsigned)reason < CASE_REASON_COUNT);
  return reasons[reason].code;
}

const char *case_reason_text(enum case_reason reason)
{
  CHECK((unsigned)reason < CASE_REASON_COUNT);
  return reasons[reason].text;
}
