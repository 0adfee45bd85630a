#include "casework/case_fold.h"

#include <string.h>

#include "record/check.h"
#include "record/clock.h"

#define SLACK_HLC ((uint64_t)CASE_CLOCK_SLACK_MS << 16)

/* What one event works with. */
struct taking {
  struct case_fold *fold;
  const struct case_event *event;
  struct case_outcome *out;
  struct case_body body;
  struct address target; /* the first single node that it names */
  bool with_target;
  unsigned who;
};

unsigned case_fold_who(const struct case_fold *fold, const struct address *address)
{
  const struct address *handler = fold->handler.size > 0 ? &fold->handler : &fold->desk;
  bool desk = address_equal(address, &fold->desk);
  unsigned who = CASE_WHO_MEMBER;
  if (fold->founder.size == 0) {
    return who;
  }
  who |= address_equal(address, &fold->founder) ? CASE_WHO_AUTHOR : 0;
  who |= address_equal(address, &fold->home) ? CASE_WHO_HOME : 0;
  who |= desk ? CASE_WHO_DESK : 0;
  who |= !desk && !address->unit && address_within(&fold->desk, address) ? CASE_WHO_ABOVE : 0;
  who |= address_equal(address, handler) ? CASE_WHO_HANDLER : 0;
  return who;
}

/* The first target that is a node and not a subtree; it must stand in the writer's own subtree,
 * as only that widens the audience. */
static bool target_find(const struct case_event *event, struct address *out)
{
  struct bytes_view rest = event->down;
  bool subtree = false;
  while (record_down_next(&rest, out, &subtree)) {
    if (!subtree && address_within(out, &event->address)) {
      return true;
    }
  }
  return false;
}

/* Whether an event says nothing that counts but by its body. */
static bool lives_by_body(const struct taking *taking)
{
  switch (taking->out->step) {
  case CASE_STEP_RATE:
  case CASE_STEP_EXTEND:
  case CASE_STEP_LINK:
    return true;
  case CASE_STEP_AMEND:
    return !taking->with_target;
  default:
    return false;
  }
}

static void body_take(struct taking *taking)
{
  struct case_outcome *out = taking->out;
  out->content = CASE_CONTENT_READ;
  if (taking->event->withheld) {
    memset(&taking->body, 0, sizeof(taking->body));
    taking->body.step = out->step;
    out->content = CASE_CONTENT_WITHHELD;
  } else if (!case_body_read(out->step, taking->event->body, &taking->body, NULL)) {
    out->content = CASE_CONTENT_MALFORMED;
  }
  out->step = taking->body.step;
}

static enum case_reason judge_escalate(const struct taking *taking)
{
  return taking->event->up > address_tier(&taking->fold->desk) ? CASE_EFFECTIVE : CASE_NO_HIGHER;
}

/* Only who may see the asking can tell that there was one; no state hangs on it. */
static enum case_reason judge_extend(const struct taking *taking)
{
  const struct case_fold *fold = taking->fold;
  bool asked = fold->extension == CASE_EXTENSION_ASKED;
  if (taking->out->step == CASE_STEP_EXTEND_ASK) {
    return asked ? CASE_AGAIN : CASE_EFFECTIVE;
  }
  if (!asked) {
    return CASE_NOT_ASKED;
  }
  return address_equal(&fold->extension_by, &taking->event->address) ? CASE_OWN : CASE_EFFECTIVE;
}

static bool subject_equal(const struct subject *a, const struct subject *b)
{
  return memcmp(a->octets, b->octets, SUBJECT_SIZE) == 0;
}

static enum case_reason judge_link(const struct taking *taking)
{
  const struct case_fold *fold = taking->fold;
  if (!taking->body.with_other) {
    return CASE_EFFECTIVE;
  }
  if (subject_equal(&taking->body.other, &fold->subject)) {
    return CASE_SELF;
  }
  for (uint32_t i = 0; taking->out->step == CASE_STEP_LINK && i < fold->link_count; i++) {
    if (subject_equal(&taking->body.other, &fold->links[i])) {
      return CASE_AGAIN;
    }
  }
  bool full = taking->out->step == CASE_STEP_LINK && fold->link_count == CASE_LINKS_MAX;
  return full ? CASE_FULL : CASE_EFFECTIVE;
}

/* What the table can't say, as it depends on more than state and writer. */
static enum case_reason judge_details(const struct taking *taking)
{
  switch (taking->out->step) {
  case CASE_STEP_ESCALATE:
    return judge_escalate(taking);
  case CASE_STEP_DISPATCH:
  case CASE_STEP_TRANSFER:
    return taking->with_target ? CASE_EFFECTIVE : CASE_NO_TARGET;
  case CASE_STEP_EXTEND_ASK:
  case CASE_STEP_EXTEND_GRANT:
  case CASE_STEP_EXTEND_REFUSE:
    return judge_extend(taking);
  case CASE_STEP_LINK:
    return judge_link(taking);
  default:
    return CASE_EFFECTIVE;
  }
}

static enum case_reason judge_event(struct taking *taking, struct case_cell *cell)
{
  struct case_fold *fold = taking->fold;
  const struct case_event *event = taking->event;
  if (event->marked) {
    return CASE_OUTSIDE;
  }
  if (!case_step_find(event->kind, &taking->out->step)) {
    taking->out->step = CASE_STEP_COUNT;
    return CASE_UNKNOWN_KIND;
  }
  taking->with_target = target_find(event, &taking->target);
  bool by_body = lives_by_body(taking);
  body_take(taking);
  *cell = case_table_cell(fold->state, taking->out->step);
  if (cell->reason != CASE_EFFECTIVE) {
    return (enum case_reason)cell->reason;
  }
  taking->who = case_fold_who(fold, &event->address);
  if (taking->out->step == CASE_STEP_REPORT) {
    return event->founding ? CASE_EFFECTIVE : CASE_NOT_FOUNDER;
  }
  if ((taking->who & case_table_who(taking->out->step)) == 0) {
    return CASE_NOT_ALLOWED;
  }
  if (by_body && taking->out->content == CASE_CONTENT_MALFORMED) {
    return CASE_MALFORMED;
  }
  return judge_details(taking);
}

static void keep_texts(struct case_fold *fold, const struct case_body *body)
{
  if (body->category.size > 0) {
    memset(fold->category, 0, sizeof(fold->category));
    memcpy(fold->category, body->category.data, body->category.size);
    fold->category_size = (uint8_t)body->category.size;
  }
  if (body->place.size > 0) {
    memset(fold->place, 0, sizeof(fold->place));
    memcpy(fold->place, body->place.data, body->place.size);
    fold->place_size = (uint16_t)body->place.size;
  }
  if (body->policy > 0) {
    fold->policy = body->policy;
  }
}

static void do_report(struct taking *taking)
{
  struct case_fold *fold = taking->fold;
  fold->subject = taking->event->subject;
  fold->founder = taking->event->address;
  fold->home = case_home(&fold->founder);
  fold->desk = fold->home;
  fold->reported_hlc = taking->event->hlc;
  fold->report_withheld = taking->out->content == CASE_CONTENT_WITHHELD;
  keep_texts(fold, &taking->body);
}

static void do_escalate(struct case_fold *fold, unsigned up)
{
  while (address_tier(&fold->desk) < up && fold->desk.segments > 1) {
    CHECK(address_parent(&fold->desk, &fold->desk));
  }
  fold->escalations++;
}

static void do_dispatch(struct taking *taking)
{
  struct case_fold *fold = taking->fold;
  fold->handler = taking->target;
  fold->dispatched_hlc = taking->event->hlc;
  if (!taking->event->address.unit) {
    fold->desk = taking->event->address;
  }
}

/* A place moved to another node's: its community is the home from now on. */
static void do_amend(struct taking *taking)
{
  keep_texts(taking->fold, &taking->body);
  if (taking->with_target) {
    taking->fold->home = case_home(&taking->target);
  }
}

static void do_extend(struct taking *taking)
{
  struct case_fold *fold = taking->fold;
  uint64_t until = taking->body.until;
  switch (taking->out->step) {
  case CASE_STEP_EXTEND_ASK:
    fold->extension = CASE_EXTENSION_ASKED;
    fold->extension_by = taking->event->address;
    fold->extension_until = until;
    break;
  case CASE_STEP_EXTEND_GRANT:
    fold->extension = CASE_EXTENSION_GRANTED;
    fold->extension_until = until > 0 ? until : fold->extension_until;
    fold->extensions++;
    break;
  case CASE_STEP_EXTEND_REFUSE:
    fold->extension = CASE_EXTENSION_REFUSED;
    break;
  default: /* withheld: nothing is known of it */
    break;
  }
}

/* A merge whose body names the case itself, or none that can be read, merges it all the same: the
 * header alone decides on states. Where it went stays unknown. */
static void do_merge(struct taking *taking)
{
  struct case_fold *fold = taking->fold;
  const struct case_body *body = &taking->body;
  fold->merged_known = body->with_other && !subject_equal(&body->other, &fold->subject);
  if (fold->merged_known) {
    fold->merged_into = body->other;
  }
}

static void do_reopen(struct case_fold *fold)
{
  memset(&fold->handler, 0, sizeof(fold->handler));
  memset(&fold->merged_into, 0, sizeof(fold->merged_into));
  fold->merged_known = false;
  fold->reopens++;
}

static void do_decide(struct taking *taking)
{
  if (taking->out->step == CASE_STEP_ACCEPT) {
    taking->fold->accepted_hlc = taking->event->hlc;
  }
  if (taking->who & CASE_WHO_ABOVE) {
    taking->fold->desk = taking->event->address;
  }
}

/* Nobody was dispatched to, and the desk sets to work itself. */
static void handler_settle(struct taking *taking)
{
  if (taking->fold->handler.size == 0) {
    taking->fold->handler = taking->event->address;
  }
}

/* What counts by headers alone. */
static void do_header(struct taking *taking)
{
  struct case_fold *fold = taking->fold;
  switch (taking->out->step) {
  case CASE_STEP_ACCEPT:
  case CASE_STEP_REJECT:
    do_decide(taking);
    break;
  case CASE_STEP_ESCALATE:
    do_escalate(fold, taking->event->up);
    break;
  case CASE_STEP_TRANSFER:
    fold->transfers++;
    do_dispatch(taking);
    break;
  case CASE_STEP_DISPATCH:
    do_dispatch(taking);
    break;
  case CASE_STEP_TAKE:
  case CASE_STEP_PROGRESS:
  case CASE_STEP_RESOLVE:
    handler_settle(taking);
    break;
  case CASE_STEP_RETURN:
    memset(&fold->handler, 0, sizeof(fold->handler));
    fold->returns++;
    break;
  case CASE_STEP_REOPEN:
    do_reopen(fold);
    break;
  case CASE_STEP_URGE:
    fold->urges++;
    break;
  case CASE_STEP_SUPERVISE:
    fold->supervisions++;
    break;
  default:
    break;
  }
}

/* What counts by bodies. */
static void do_body(struct taking *taking)
{
  struct case_fold *fold = taking->fold;
  switch (taking->out->step) {
  case CASE_STEP_REPORT:
    do_report(taking);
    break;
  case CASE_STEP_AMEND:
    do_amend(taking);
    break;
  case CASE_STEP_RATE:
    fold->score = taking->body.score > 0 ? taking->body.score : fold->score;
    break;
  case CASE_STEP_MERGE:
    do_merge(taking);
    break;
  case CASE_STEP_LINK:
    if (taking->body.with_other) {
      fold->links[fold->link_count++] = taking->body.other;
    }
    break;
  default:
    do_extend(taking);
    break;
  }
}

static void state_enter(struct case_fold *fold, enum case_state state, uint64_t hlc)
{
  if (state == CASE_SUSPENDED) {
    fold->suspended_from = fold->state;
    fold->suspended_hlc = hlc;
  } else if (state == CASE_IN_PROGRESS && fold->state != CASE_SUSPENDED) {
    fold->taken_hlc = hlc;
  } else if (state == CASE_RESOLVED) {
    fold->resolved_hlc = hlc;
  } else if (state == CASE_CLOSED) {
    fold->closed_hlc = hlc;
  }
  fold->state = state;
  fold->changed_hlc = hlc;
}

static void take_effect(struct taking *taking, struct case_cell cell)
{
  struct case_fold *fold = taking->fold;
  uint64_t hlc = taking->event->hlc;
  enum case_state before = fold->state;
  enum case_state next =
      cell.next == CASE_CELL_BACK ? fold->suspended_from : (enum case_state)cell.next;
  do_header(taking);
  do_body(taking);
  if (next != before || taking->out->step == CASE_STEP_DISPATCH ||
      taking->out->step == CASE_STEP_TRANSFER) {
    state_enter(fold, next, hlc);
  }
  taking->out->clock_back = fold->last_hlc > SLACK_HLC && hlc < fold->last_hlc - SLACK_HLC;
  fold->clocks_back += taking->out->clock_back;
  fold->last_hlc = hlc;
  fold->effective++;
}

static void judge_and_take(struct case_fold *fold, const struct case_event *event,
                           struct case_outcome *out)
{
  struct taking taking = {.fold = fold, .event = event, .out = out};
  struct case_cell cell = {0};
  out->reason = judge_event(&taking, &cell);
  if (out->reason == CASE_EFFECTIVE) {
    take_effect(&taking, cell);
  }
  out->state = fold->state;
}

/* Copies stand side by side, so only what the last writer gave at one time is remembered. */
static enum case_reason judge_copy(struct case_fold *fold, const struct case_event *event)
{
  if (fold->count == 0 || !case_events_near(&fold->last, event)) {
    fold->twin_count = 0;
    memset(fold->twins, 0, sizeof(fold->twins));
  }
  for (unsigned i = 0; i < fold->twin_count; i++) {
    if (memcmp(&fold->twins[i], &event->leaf, sizeof(event->leaf)) == 0) {
      return CASE_COPY;
    }
  }
  if (fold->twin_count == CASE_TWINS_MAX) {
    return CASE_TWINS;
  }
  fold->twins[fold->twin_count++] = event->leaf;
  return CASE_EFFECTIVE;
}

bool case_fold_next(struct case_fold *fold, const struct case_event *event,
                    struct case_outcome *out)
{
  if (fold->count > 0 && case_event_compare(event, &fold->last) < 0) {
    return false;
  }
  memset(out, 0, sizeof(*out));
  out->reason = fold->count < CASE_EVENTS_MAX ? judge_copy(fold, event) : CASE_TOO_MANY;
  if (!case_step_find(event->kind, &out->step)) {
    out->step = CASE_STEP_COUNT;
  }
  out->state = fold->state;
  if (out->reason == CASE_EFFECTIVE) {
    judge_and_take(fold, event, out);
  }
  fold->last = *event;
  fold->last.kind = fold->last.body = fold->last.down = bytes_view_of(NULL, 0);
  fold->count++;
  return true;
}

void case_fold_sorted(const struct case_event *events, size_t count, struct case_fold *out,
                      struct case_outcome *outcomes)
{
  struct case_outcome outcome;
  memset(out, 0, sizeof(*out));
  for (size_t i = 0; i < count; i++) {
    CHECK(case_fold_next(out, &events[i], outcomes == NULL ? &outcome : &outcomes[i]));
  }
}

void case_fold_try(const struct case_fold *fold, const struct case_event *event,
                   struct case_outcome *out)
{
  struct case_fold copy = *fold;
  memset(out, 0, sizeof(*out));
  if (copy.count >= CASE_EVENTS_MAX) {
    out->reason = CASE_TOO_MANY;
    out->state = copy.state;
    return;
  }
  judge_and_take(&copy, event, out);
}
