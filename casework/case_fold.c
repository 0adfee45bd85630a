#include "casework/case_fold.h"

#include <stdlib.h>
#include <string.h>

#include "record/codec.h"

/* event, the state it leads to; CASE_UNKNOWN leaves the state as it was */
#define CASE_EVENT_TABLE(X)                                                                        \
  X("report", CASE_REPORTED)                                                                       \
  X("accept", CASE_ACCEPTED)                                                                       \
  X("reject", CASE_REJECTED)                                                                       \
  X("escalate", CASE_UNKNOWN)                                                                      \
  X("dispatch", CASE_DISPATCHED)                                                                   \
  X("take", CASE_IN_PROGRESS)                                                                      \
  X("return", CASE_ACCEPTED)                                                                       \
  X("transfer", CASE_DISPATCHED)                                                                   \
  X("progress", CASE_IN_PROGRESS)                                                                  \
  X("suspend", CASE_SUSPENDED)                                                                     \
  X("resume", CASE_IN_PROGRESS)                                                                    \
  X("resolve", CASE_RESOLVED)                                                                      \
  X("close", CASE_CLOSED)                                                                          \
  X("reopen", CASE_ACCEPTED)                                                                       \
  X("rate", CASE_UNKNOWN)                                                                          \
  X("withdraw", CASE_WITHDRAWN)                                                                    \
  X("amend", CASE_UNKNOWN)                                                                         \
  X("urge", CASE_UNKNOWN)                                                                          \
  X("extend", CASE_UNKNOWN)                                                                        \
  X("supervise", CASE_UNKNOWN)                                                                     \
  X("merge", CASE_MERGED)                                                                          \
  X("link", CASE_UNKNOWN)                                                                          \
  X("comment", CASE_UNKNOWN)                                                                       \
  X("erase", CASE_UNKNOWN)

struct event_rule {
  const char *kind;
  enum case_state state;
};

static const struct event_rule event_rules[] = {
#define X(name, state) {CASE_KIND_PREFIX name, state},
    CASE_EVENT_TABLE(X)
#undef X
};

static const char *const state_names[] = {
#define X(name, text) text,
    CASE_STATE_TABLE(X)
#undef X
};

const char *case_state_name(enum case_state state)
{
  size_t count = sizeof(state_names) / sizeof(state_names[0]);
  return (size_t)state < count ? state_names[state] : state_names[CASE_UNKNOWN];
}

bool case_state_find(struct bytes_view name, enum case_state *out)
{
  for (size_t i = 0; i < sizeof(state_names) / sizeof(state_names[0]); i++) {
    if (bytes_view_equal(name, bytes_view_text(state_names[i]))) {
      *out = (enum case_state)i;
      return true;
    }
  }
  return false;
}

static int compare_u64(uint64_t a, uint64_t b)
{
  return (a > b) - (a < b);
}

int case_event_compare(const struct case_event *a, const struct case_event *b)
{
  int order = compare_u64(a->gen, b->gen);
  if (order == 0) {
    order = compare_u64(a->hlc, b->hlc);
  }
  if (order == 0) {
    order = memcmp(a->origin.octets, b->origin.octets, KEY_SIZE);
  }
  if (order == 0) {
    order = memcmp(a->store.octets, b->store.octets, STORE_ID_SIZE);
  }
  if (order == 0) {
    order = compare_u64(a->lane, b->lane);
  }
  if (order == 0) {
    order = compare_u64(a->seq, b->seq);
  }
  return order != 0 ? order : compare_u64(a->index, b->index);
}

static int compare_for_sort(const void *a, const void *b)
{
  return case_event_compare((const struct case_event *)a, (const struct case_event *)b);
}

void case_events_sort(struct case_event *events, size_t count)
{
  if (count > 1) {
    qsort(events, count, sizeof(*events), compare_for_sort);
  }
}

static enum case_state state_after(struct bytes_view kind)
{
  for (size_t i = 0; i < sizeof(event_rules) / sizeof(event_rules[0]); i++) {
    if (bytes_view_equal(kind, bytes_view_text(event_rules[i].kind))) {
      return event_rules[i].state;
    }
  }
  return CASE_UNKNOWN;
}

/* The state is the one that the last state-changing event leads to, so neither sorting nor memory
 * is needed: it is enough to keep the greatest such event. */
void case_fold(const struct case_event *events, size_t count, struct case_summary *out)
{
  const struct case_event *deciding = NULL;
  memset(out, 0, sizeof(*out));
  for (size_t i = 0; i < count; i++) {
    const struct case_event *event = &events[i];
    if (case_event_compare(event, &events[out->first]) < 0) {
      out->first = i;
    }
    enum case_state state = event->marked ? CASE_UNKNOWN : state_after(event->kind);
    if (state == CASE_UNKNOWN) {
      continue;
    }
    if (deciding == NULL || case_event_compare(event, deciding) > 0) {
      deciding = event;
      out->state = state;
      out->changed_hlc = event->hlc;
    }
  }
  if (count > 0) {
    out->first_hlc = events[out->first].hlc;
  }
}

bool case_body_text(struct bytes_view body, const char *name, struct bytes_view *out)
{
  struct reader reader = reader_of(body);
  uint32_t count = 0;
  if (!reader_map(&reader, &count)) {
    return false;
  }
  struct bytes_view wanted = bytes_view_text(name);
  for (uint32_t i = 0; i < count; i++) {
    struct bytes_view key;
    if (!reader_peek_str(&reader)) {
      if (!reader_skip(&reader, true, NULL) || !reader_skip(&reader, true, NULL)) {
        return false;
      }
      continue;
    }
    if (!reader_str(&reader, &key)) {
      return false;
    }
    if (bytes_view_equal(key, wanted)) {
      return reader_peek_str(&reader) && reader_str(&reader, out);
    }
    if (!reader_skip(&reader, true, NULL)) {
      return false;
    }
  }
  return false;
}
