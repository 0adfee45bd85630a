// links: casework
/* The fold of a case: the table, who may do what, order, copies, limits, and random lives. */
#include "casework/case_fold.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "random_source.h"
#include "record/codec.h"

#define DAY_HLC ((uint64_t)86400000 << 16)

static struct address at(const char *text)
{
  struct address address;
  assert_int_equal(address_parse(bytes_view_text(text), false, &address), STATUS_OK);
  return address;
}

/* An event with what an honest writer sets; `down` is one encoded target or NULL. */
static struct case_event event_of(const char *kind, const char *address, uint32_t gen,
                                  const char *down)
{
  static const uint8_t empty_map[] = {0x80};
  struct case_event event = {
      .gen = gen,
      .hlc = gen * 1000,
      .kind = bytes_view_text(kind),
      .address = at(address),
      .founding = gen == 1,
      .body = bytes_view_of(empty_map, 1),
      .down = bytes_view_text(down == NULL ? "" : down),
      .down_count = down != NULL,
      .seq = gen,
  };
  event.leaf.octets[0] = (uint8_t)gen;
  event.leaf.octets[1] = (uint8_t)(gen >> 8);
  return event;
}

#define TO_UNIT                                                                                    \
  "\xa6"                                                                                           \
  "d/s/@u"
#define TO_GRID                                                                                    \
  "\xa7"                                                                                           \
  "d/s/c/g"
#define TO_FAR                                                                                     \
  "\xa6"                                                                                           \
  "d/t/@v"
#define TO_STREET                                                                                  \
  "\xa3"                                                                                           \
  "d/s"
#define TO_ALL                                                                                     \
  "\xa5"                                                                                           \
  "d/s/*"

struct step_line {
  const char *kind;
  const char *address;
  unsigned up;
  const char *down;
  const char *expected; /* state after it, or the reason's code with a '-' before it */
};

static void check_life(const struct step_line *lines, size_t count, struct case_fold *fold)
{
  memset(fold, 0, sizeof(*fold));
  for (size_t i = 0; i < count; i++) {
    char kind[64];
    struct case_outcome outcome, tried;
    snprintf(kind, sizeof(kind), "case.%s", lines[i].kind);
    struct case_event event = event_of(kind, lines[i].address, (uint32_t)i + 1, lines[i].down);
    event.up = (uint8_t)lines[i].up;
    case_fold_try(fold, &event, &tried);
    assert_true(case_fold_next(fold, &event, &outcome));
    assert_int_equal(tried.reason, outcome.reason);
    assert_int_equal(tried.state, outcome.state);
    char got[64];
    snprintf(got, sizeof(got), "%s%s", outcome.reason == CASE_EFFECTIVE ? "" : "-",
             outcome.reason == CASE_EFFECTIVE ? case_state_name(outcome.state)
                                              : case_reason_code(outcome.reason));
    if (strcmp(got, lines[i].expected) != 0) {
      fail_msg("line %zu, %s by %s: %s, not %s", i, lines[i].kind, lines[i].address, got,
               lines[i].expected);
    }
  }
}

static void test_life_of_a_case(void **state)
{
  (void)state;
  static const struct step_line lines[] = {
      {"accept", "d/s/c", 0, NULL, "-no_report"},
      {"comment", "d/s/c/g", 0, NULL, "-no_report"},
  };
  static const struct step_line life[] = {
      {"report", "d/s/c/g", 2, NULL, "reported"},
      {"report", "d/s/c/g", 2, NULL, "-again"},
      {"accept", "d/s/c/g", 0, NULL, "-not_allowed"},
      {"resolve", "d/s/c", 0, NULL, "-not_accepted"},
      {"accept", "d/s/c", 0, NULL, "accepted"},
      {"dispatch", "d/s/c", 0, TO_UNIT, "-no_target"},
      {"escalate", "d/s/c", 2, NULL, "-no_higher"},
      {"escalate", "d/s/c", 3, NULL, "accepted"},
      {"dispatch", "d/s/c", 0, NULL, "-not_allowed"},
      {"dispatch", "d/s", 0, TO_ALL, "-no_target"},
      {"dispatch", "d/s", 0, TO_UNIT, "dispatched"},
      {"take", "d/s", 0, NULL, "-not_allowed"},
      {"take", "d/s/@u", 0, NULL, "in_progress"},
      {"dispatch", "d/s", 0, TO_GRID, "-busy"},
      {"suspend", "d/s/@u", 0, NULL, "suspended"},
      {"resolve", "d/s/@u", 0, NULL, "-paused"},
      {"resume", "d", 0, NULL, "in_progress"},
      {"close", "d/s", 0, NULL, "-not_resolved"},
      {"urge", "d/s/c/g", 0, NULL, "in_progress"},
      {"resolve", "d/s/@u", 0, NULL, "resolved"},
      {"close", "d/s/@u", 0, NULL, "-not_allowed"},
      {"close", "d/s/c", 0, NULL, "closed"},
      {"take", "d/s/@u", 0, NULL, "-over"},
      {"reopen", "d/s/c/g", 0, NULL, "accepted"},
      {"later", "d/s", 0, NULL, "-unknown_kind"},
  };
  struct case_fold fold;
  check_life(lines, 2, &fold);
  check_life(life, sizeof(life) / sizeof(life[0]), &fold);
  assert_string_equal(fold.desk.text, "d/s");
  assert_int_equal(fold.handler.size, 0);
  assert_int_equal(fold.urges, 1);
}

/* Units of two streets: only a tier that has both can hand over. */
static void test_hand_over_between_streets(void **state)
{
  (void)state;
  static const struct step_line lines[] = {
      {"report", "d/s/c/g", 2, NULL, "reported"},
      {"dispatch", "d", 0, TO_STREET, "dispatched"},
      {"dispatch", "d/s", 0, TO_UNIT, "dispatched"},
      {"take", "d/s/@u", 0, NULL, "in_progress"},
      {"transfer", "d/s", 0, TO_FAR, "-no_target"},
      {"escalate", "d/s", 4, NULL, "in_progress"},
      {"transfer", "d", 0, TO_FAR, "dispatched"},
      {"resolve", "d/s/@u", 0, NULL, "-not_allowed"},
      {"return", "d/t/@v", 0, NULL, "accepted"},
      {"take", "d", 0, NULL, "in_progress"},
      {"resolve", "d", 0, NULL, "resolved"},
      {"escalate", "d", 4, NULL, "-done"},
      {"reopen", "d", 0, NULL, "accepted"},
      {"escalate", "d", 4, NULL, "-no_higher"},
      {"merge", "d", 0, NULL, "merged"},
      {"accept", "d", 0, NULL, "-gone"},
      {"link", "d/s", 0, NULL, "-malformed"},
      {"rate", "d", 0, NULL, "-gone"},
  };
  struct case_fold fold;
  check_life(lines, sizeof(lines) / sizeof(lines[0]), &fold);
  assert_false(fold.merged_known);
  assert_int_equal(fold.transfers, 1);
}

static void test_homes(void **state)
{
  (void)state;
  static const char *const homes[][2] = {
      {"d/s/c/g", "d/s/c"}, {"d/s/c/g/@u", "d/s/c"}, {"d/s/c", "d/s/c"},
      {"d/s/@u", "d/s"},    {"d/@u", "d"},           {"d", "d"},
  };
  for (size_t i = 0; i < sizeof(homes) / sizeof(homes[0]); i++) {
    struct address founder = at(homes[i][0]);
    assert_string_equal(case_home(&founder).text, homes[i][1]);
  }
}

/* One row of docs/CASEWORK.md. */
static void row_text(enum case_step step, char *out, size_t size)
{
  static const char *const who_names[] = {"any", "author", "home", "desk", "above", "handler"};
  size_t used = (size_t)snprintf(out, size, "| %s | ", case_step_name(step));
  const char *comma = "";
  for (unsigned i = 0; i < 6; i++) {
    if (case_table_who(step) & (1u << i)) {
      used += (size_t)snprintf(out + used, size - used, "%s%s", comma, who_names[i]);
      comma = ", ";
    }
  }
  for (unsigned s = CASE_REPORTED; s < CASE_STATE_COUNT; s++) {
    struct case_cell cell = case_table_cell((enum case_state)s, step);
    const char *text = cell.reason != CASE_EFFECTIVE ? case_reason_code(cell.reason)
                       : cell.next == CASE_CELL_BACK ? "**back**"
                       : cell.next == s              ? "**same**"
                                                     : case_state_name(cell.next);
    bool bold = cell.reason == CASE_EFFECTIVE && text[0] != '*';
    used += (size_t)snprintf(out + used, size - used, bold ? " | **%s**" : " | %s", text);
  }
  snprintf(out + used, size - used, " |\n");
}

static void test_table_is_the_documents(void **state)
{
  (void)state;
  FILE *file = fopen(TESTS_DIR "/../docs/CASEWORK.md", "r");
  char *text = calloc(1, 100000);
  assert_non_null(file);
  assert_non_null(text);
  assert_true(fread(text, 1, 99999, file) > 1000);
  fclose(file);
  bool whole = true;
  for (unsigned step = 0; step < CASE_STEP_COUNT; step++) {
    char row[512];
    row_text((enum case_step)step, row, sizeof(row));
    if (strstr(text, row) == NULL) {
      print_message("%s", row);
      whole = false;
    }
  }
  for (unsigned reason = 0; reason < CASE_REASON_COUNT; reason++) {
    char code[64];
    snprintf(code, sizeof(code), "| `%s` |", case_reason_code((enum case_reason)reason));
    if (strstr(text, code) == NULL) {
      print_message("%s\n", code);
      whole = false;
    }
  }
  free(text);
  assert_true(whole); /* the rows above are missing in docs/CASEWORK.md */
}

static const char *const actors[] = {"d/s/c/g", "d/s/c", "d/s", "d", "d/s/@u", "d/s/c/h"};
#define ACTORS (sizeof(actors) / sizeof(actors[0]))

/* A case of d/s/c/g, decided at d/s, dispatched to d/s/@u, in any state. */
static struct case_fold fold_in(enum case_state state)
{
  struct case_fold fold = {.state = state, .suspended_from = CASE_DISPATCHED, .count = 1};
  if (state != CASE_UNKNOWN) {
    fold.founder = at("d/s/c/g");
    fold.home = at("d/s/c");
    fold.desk = at("d/s");
    fold.handler = at("d/s/@u");
    fold.extension = CASE_EXTENSION_ASKED;
    fold.extension_by = at("d/s/c/h");
  }
  return fold;
}

/* The least body that a step takes. */
static void body_for(enum case_step step, struct bytes *out)
{
  struct case_body body = {.step = step, .with_other = true, .other = {{9}}, .score = 3};
  body.with_other = step == CASE_STEP_MERGE || step == CASE_STEP_LINK;
  body.score = step == CASE_STEP_RATE ? 3 : 0;
  body.category = bytes_view_text(step == CASE_STEP_AMEND ? "water" : "");
  assert_int_equal(case_body_write(&body, out), STATUS_OK);
}

static void check_cell(enum case_state state, enum case_step step, size_t actor, unsigned *paths)
{
  struct case_fold fold = fold_in(state);
  struct bytes body = {0};
  struct case_outcome outcome;
  char kind[64];
  enum case_step base = step >= CASE_STEP_EXTEND_ASK ? CASE_STEP_EXTEND : step;
  snprintf(kind, sizeof(kind), "case.%s", case_step_name(base));
  struct case_event event = event_of(kind, actors[actor], 7, NULL);
  char down[ADDRESS_TEXT_MAX + 3];
  snprintf(down, sizeof(down), "%c%s", (char)(0xa0 + event.address.size), event.address.text);
  event.down = bytes_view_text(down);
  event.founding = step == CASE_STEP_REPORT;
  event.up = TIER_DISTRICT;
  event.withheld = step == CASE_STEP_EXTEND;
  if (!event.withheld) {
    body_for(step, &body);
    event.body = bytes_as_view(&body);
  }
  if (step == CASE_STEP_EXTEND_ASK) {
    fold.extension = CASE_EXTENSION_NONE;
  }
  struct case_cell cell = case_table_cell(state, step);
  unsigned who = case_fold_who(&fold, &event.address);
  enum case_state next = cell.next == CASE_CELL_BACK ? CASE_DISPATCHED : (enum case_state)cell.next;
  assert_true(cell.reason < CASE_REASON_COUNT && cell.next <= CASE_CELL_BACK);
  assert_true(case_fold_next(&fold, &event, &outcome));
  assert_int_equal(outcome.step, step);
  bool may = state == CASE_UNKNOWN || (who & case_table_who(step)) != 0;
  if (cell.reason != CASE_EFFECTIVE) {
    assert_int_equal(outcome.reason, cell.reason);
    assert_int_equal(outcome.state, state);
  } else if (!may) {
    assert_int_equal(outcome.reason, CASE_NOT_ALLOWED);
    assert_int_equal(outcome.state, state);
  } else {
    assert_int_equal(outcome.reason, CASE_EFFECTIVE);
    assert_int_equal(outcome.state, next);
    (*paths)++;
  }
  char text[CASE_OUTCOME_TEXT_MAX];
  case_outcome_text(&outcome, text);
  assert_true(strlen(text) > 5);
  bytes_close(&body);
}

static void test_every_cell(void **state)
{
  (void)state;
  for (unsigned s = 0; s < CASE_STATE_COUNT; s++) {
    for (unsigned step = 0; step < CASE_STEP_COUNT; step++) {
      unsigned paths = 0;
      for (size_t actor = 0; actor < ACTORS; actor++) {
        check_cell((enum case_state)s, (enum case_step)step, actor, &paths);
      }
      bool allowed = case_table_cell((enum case_state)s, (enum case_step)step).reason == 0;
      assert_int_equal(paths > 0, allowed);
    }
  }
}

/* gen goes before hlc: a wrong clock can't turn cause and effect around. */
static void test_order_of_keys(void **state)
{
  (void)state;
  struct case_event a = event_of("case.close", "d", 2, NULL);
  struct case_event b = event_of("case.report", "d", 1, NULL);
  b.hlc = 999999;
  assert_true(case_event_compare(&a, &b) > 0);
  struct case_event low = event_of("case.report", "d", 1, NULL);
  struct case_event high = low;
  assert_int_equal(case_event_compare(&low, &high), 0);
  high.index = 1;
  assert_true(case_event_compare(&low, &high) < 0);
  low.seq = 2;
  assert_true(case_event_compare(&low, &high) > 0);
  high.lane = 1;
  assert_true(case_event_compare(&low, &high) < 0);
  low.store.octets[15] = 1;
  assert_true(case_event_compare(&low, &high) > 0);
  high.origin.octets[31] = 1;
  assert_true(case_event_compare(&low, &high) < 0);
  low.hlc++;
  assert_true(case_event_compare(&low, &high) > 0);
  high.gen = 2;
  assert_true(case_event_compare(&low, &high) < 0);
}

static void test_marked_copies_and_limit(void **state)
{
  (void)state;
  struct case_fold fold = {0};
  struct case_outcome outcome;
  struct case_event event = event_of("case.report", "d/s/c/g", 1, NULL);
  event.founding = false;
  assert_true(case_fold_next(&fold, &event, &outcome));
  assert_int_equal(outcome.reason, CASE_NOT_FOUNDER);
  event.founding = true;
  event.seq = 2;
  event.leaf.octets[5] = 1;
  assert_true(case_fold_next(&fold, &event, &outcome));
  assert_int_equal(outcome.state, CASE_REPORTED);
  event.store.octets[0] = 1; /* written again after a restore */
  assert_true(case_fold_next(&fold, &event, &outcome));
  assert_int_equal(outcome.reason, CASE_COPY);
  event = event_of("case.accept", "d/s/c", 2, NULL);
  event.marked = true;
  assert_true(case_fold_next(&fold, &event, &outcome));
  assert_int_equal(outcome.reason, CASE_OUTSIDE);
  event = event_of("case.accept", "d/s/c", 1, NULL);
  event.hlc = 0;
  struct case_fold before = fold;
  assert_false(case_fold_next(&fold, &event, &outcome)); /* belongs earlier */
  assert_memory_equal(&fold, &before, sizeof(fold));
  while (fold.count < CASE_EVENTS_MAX) {
    event = event_of("case.urge", "d", 3 + fold.count, NULL);
    assert_true(case_fold_next(&fold, &event, &outcome));
    assert_int_equal(outcome.reason, CASE_EFFECTIVE);
  }
  event = event_of("case.accept", "d/s/c", 9000, NULL);
  case_fold_try(&fold, &event, &outcome);
  assert_int_equal(outcome.reason, CASE_TOO_MANY);
  assert_true(case_fold_next(&fold, &event, &outcome));
  assert_int_equal(outcome.reason, CASE_TOO_MANY);
  assert_int_equal(fold.state, CASE_REPORTED);
}

static void test_twins_and_wrong_clocks(void **state)
{
  (void)state;
  struct case_fold fold = {0};
  struct case_outcome outcome;
  struct case_event event = event_of("case.report", "d/s/c/g", 1, NULL);
  event.hlc = 400 * DAY_HLC;
  assert_true(case_fold_next(&fold, &event, &outcome));
  event = event_of("case.accept", "d/s/c", 2, NULL);
  event.hlc = 35 * DAY_HLC; /* a year back: cause and effect stay in order */
  assert_true(case_fold_next(&fold, &event, &outcome));
  assert_int_equal(outcome.state, CASE_ACCEPTED);
  assert_true(outcome.clock_back);
  assert_int_equal(fold.clocks_back, 1);
  for (unsigned i = 0; i <= CASE_TWINS_MAX; i++) {
    event = event_of("case.urge", "d", 3, NULL);
    event.seq = i;
    event.leaf.octets[9] = (uint8_t)i;
    assert_true(case_fold_next(&fold, &event, &outcome));
    assert_int_equal(outcome.reason, i < CASE_TWINS_MAX ? CASE_EFFECTIVE : CASE_TWINS);
  }
  assert_int_equal(fold.urges, CASE_TWINS_MAX);
}

struct ring {
  struct subject from[4];
  struct subject to[4];
  unsigned count;
};

static bool ring_next(void *context, const struct subject *of, struct subject *into)
{
  const struct ring *ring = context;
  for (unsigned i = 0; i < ring->count; i++) {
    if (memcmp(&ring->from[i], of, sizeof(*of)) == 0) {
      *into = ring->to[i];
      return true;
    }
  }
  return false;
}

static void test_merges_in_a_ring(void **state)
{
  (void)state;
  struct ring ring = {
      .from = {{{4}}, {{3}}, {{2}}, {{5}}}, .to = {{{3}}, {{2}}, {{5}}, {{3}}}, .count = 3};
  struct subject start = {{4}};
  assert_int_equal(case_merged_end(start, ring_next, &ring).octets[0], 5);
  ring.count = 4; /* 4 to 3 to 2 to 5 to 3 */
  assert_int_equal(case_merged_end(start, ring_next, &ring).octets[0], 2);
  assert_int_equal(case_merged_end((struct subject){{5}}, ring_next, &ring).octets[0], 2);
  assert_int_equal(case_merged_end((struct subject){{9}}, ring_next, &ring).octets[0], 9);
}

static void test_reach(void **state)
{
  (void)state;
  struct case_fold fold = fold_in(CASE_ACCEPTED);
  struct address grid = at("d/s/c/g"), street = at("d/s");
  assert_int_equal(case_event_reach(&fold, CASE_STEP_REPORT, &grid).up, TIER_COMMUNITY);
  assert_int_equal(case_event_reach(&fold, CASE_STEP_REPORT, &street).up, 0);
  assert_int_equal(case_event_reach(&fold, CASE_STEP_ESCALATE, &street).up, TIER_DISTRICT);
  assert_true(case_event_reach(&fold, CASE_STEP_DISPATCH, &street).down);
  assert_false(case_event_reach(&fold, CASE_STEP_CLOSE, &street).down);
  assert_int_equal(case_event_reach(&fold, CASE_STEP_CLOSE, &street).up, 0);
}

/* Random lives. */
#define LIFE_EVENTS 400
#define LIFE_BODIES 64

struct life {
  struct case_event events[LIFE_EVENTS];
  struct bytes bodies[LIFE_BODIES];
};

static void life_bodies(struct life *life, struct random_source *random)
{
  for (size_t i = 0; i < LIFE_BODIES; i++) {
    struct case_body body = {
        .step = (enum case_step)random_below(random, CASE_STEP_COUNT),
        .score = (uint8_t)random_below(random, 6),
        .until = random_below(random, 1000),
        .category = bytes_view_text(random_below(random, 2) ? "water" : "noise"),
        .place = bytes_view_text(random_below(random, 2) ? "gate" : ""),
        .with_other = true,
        .other = {{(uint8_t)random_below(random, 40)}},
    };
    if (case_body_write(&body, &life->bodies[i]) != STATUS_OK) {
      assert_int_equal(bytes_append(&life->bodies[i], "\xc1", 1), STATUS_OK);
    }
  }
}

static struct case_event life_event(struct life *life, struct random_source *random, uint32_t i)
{
  static const char *const downs[] = {TO_UNIT, TO_GRID, TO_FAR, TO_STREET, TO_ALL, NULL};
  char kind[64];
  enum case_step step = (enum case_step)random_below(random, CASE_STEP_EXTEND_ASK);
  struct case_event event =
      event_of("", actors[random_below(random, ACTORS)], 1 + i / 2, downs[random_below(random, 6)]);
  snprintf(kind, sizeof(kind), "case.%s", case_step_name(i == 0 ? CASE_STEP_REPORT : step));
  event.kind = bytes_view_text(step == CASE_STEP_ERASE ? "case.later" : "");
  for (unsigned s = 0; s < CASE_STEP_EXTEND_ASK; s++) {
    static char kinds[CASE_STEP_EXTEND_ASK][64];
    snprintf(kinds[s], sizeof(kinds[s]), "case.%s", case_step_name((enum case_step)s));
    if (event.kind.size == 0 && strcmp(kinds[s], kind) == 0) {
      event.kind = bytes_view_text(kinds[s]);
    }
  }
  event.hlc = 800 * DAY_HLC + i;
  if (random_below(random, 10) == 0) {
    event.hlc += random_below(random, 2) ? 366 * DAY_HLC : (uint64_t)0 - 366 * DAY_HLC;
  }
  event.origin.octets[0] = (uint8_t)event.address.size;
  event.up = (uint8_t)random_below(random, 5);
  event.founding = i == 0;
  event.withheld = random_below(random, 8) == 0;
  event.marked = random_below(random, 16) == 0;
  event.body = event.withheld ? bytes_view_of(NULL, 0)
                              : bytes_as_view(&life->bodies[random_below(random, LIFE_BODIES)]);
  event.leaf.octets[0] = (uint8_t)i;
  event.leaf.octets[1] = (uint8_t)(i >> 8);
  event.tag = i;
  return event;
}

static void life_make(struct life *life, struct random_source *random)
{
  memset(life, 0, sizeof(*life));
  life_bodies(life, random);
  for (uint32_t i = 0; i < LIFE_EVENTS; i++) {
    if (i > 10 && random_below(random, 10) == 0) { /* one of those before, in another store */
      life->events[i] = life->events[random_below(random, i)];
      life->events[i].store.octets[0] = (uint8_t)(1 + i % 250);
      life->events[i].seq = i;
      continue;
    }
    life->events[i] = life_event(life, random, i);
    if (i == 0) {
      life->events[0].address = at("d/s/c/g");
      life->events[0].marked = false;
      life->events[0].hlc = 1;
    }
  }
}

static void life_close(struct life *life)
{
  for (size_t i = 0; i < LIFE_BODIES; i++) {
    bytes_close(&life->bodies[i]);
  }
}

static void shuffle(struct case_event *events, size_t count, struct random_source *random)
{
  for (size_t i = count - 1; i > 0; i--) {
    size_t j = random_below(random, i + 1);
    struct case_event swap = events[i];
    events[i] = events[j];
    events[j] = swap;
  }
}

/* As a node does: takes what fits at the end, folds again when something belongs earlier. */
static void fold_by_arrival(const struct case_event *arrivals, size_t count, struct case_fold *out)
{
  struct case_event *held = calloc(count, sizeof(*held));
  struct case_outcome outcome;
  assert_non_null(held);
  memset(out, 0, sizeof(*out));
  for (size_t i = 0; i < count; i++) {
    held[i] = arrivals[i];
    if (!case_fold_next(out, &arrivals[i], &outcome)) {
      case_events_sort(held, i + 1);
      case_fold_sorted(held, i + 1, out, NULL);
    }
  }
  free(held);
}

static void fold_octets(const struct case_fold *fold, struct bytes *out)
{
  bytes_clear(out);
  assert_int_equal(case_fold_write(fold, out), STATUS_OK);
}

static void test_random_lives_in_any_order(void **state)
{
  (void)state;
  struct random_source random = random_source_start("random lives");
  struct life *life = calloc(1, sizeof(*life));
  struct bytes expected = {0}, got = {0};
  unsigned states = 0;
  assert_non_null(life);
  for (int round = 0; round < 25; round++) {
    struct case_fold fold;
    life_make(life, &random);
    case_events_sort(life->events, LIFE_EVENTS);
    case_fold_sorted(life->events, LIFE_EVENTS, &fold, NULL);
    assert_true(fold.effective > 10);
    states |= 1u << fold.state;
    fold_octets(&fold, &expected);
    for (int order = 0; order < 4; order++) {
      shuffle(life->events, LIFE_EVENTS, &random);
      fold_by_arrival(life->events, LIFE_EVENTS, &fold);
      fold_octets(&fold, &got);
      assert_int_equal(got.size, expected.size);
      assert_memory_equal(got.data, expected.data, got.size);
    }
    life_close(life);
  }
  assert_true((states & (states - 1)) != 0); /* they don't all end alike */
  bytes_close(&expected);
  bytes_close(&got);
  free(life);
}

/* State, desk, handler and home at a node that may see no body at all, and without the copies. */
static void test_bodies_and_copies_change_no_state(void **state)
{
  (void)state;
  struct random_source random = random_source_start("withheld");
  struct life *life = calloc(1, sizeof(*life));
  struct case_outcome *outcomes = calloc(LIFE_EVENTS, sizeof(*outcomes));
  assert_non_null(life);
  assert_non_null(outcomes);
  for (int round = 0; round < 40; round++) {
    struct case_fold open, closed;
    size_t kept = 0;
    life_make(life, &random);
    case_events_sort(life->events, LIFE_EVENTS);
    case_fold_sorted(life->events, LIFE_EVENTS, &open, outcomes);
    for (size_t i = 0; i < LIFE_EVENTS; i++) {
      struct case_event event = life->events[i];
      event.withheld = true;
      event.body = bytes_view_of(NULL, 0);
      if (outcomes[i].reason != CASE_COPY) {
        life->events[kept++] = event;
      }
    }
    case_fold_sorted(life->events, kept, &closed, NULL);
    assert_true(kept < LIFE_EVENTS);
    assert_int_equal(closed.state, open.state);
    assert_true(address_equal(&closed.desk, &open.desk));
    assert_true(address_equal(&closed.home, &open.home));
    assert_true(address_equal(&closed.handler, &open.handler));
    assert_int_equal(closed.changed_hlc, open.changed_hlc);
    assert_int_equal(closed.category_size, 0);
    life_close(life);
  }
  free(outcomes);
  free(life);
}

static void test_state_names(void **state)
{
  (void)state;
  enum case_state found = CASE_UNKNOWN;
  assert_true(case_state_find(bytes_view_text("in_progress"), &found));
  assert_int_equal(found, CASE_IN_PROGRESS);
  assert_false(case_state_find(bytes_view_text("in progress"), &found));
  assert_string_equal(case_state_name((enum case_state)99), "unknown");
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_life_of_a_case),
      cmocka_unit_test(test_hand_over_between_streets),
      cmocka_unit_test(test_homes),
      cmocka_unit_test(test_table_is_the_documents),
      cmocka_unit_test(test_every_cell),
      cmocka_unit_test(test_order_of_keys),
      cmocka_unit_test(test_marked_copies_and_limit),
      cmocka_unit_test(test_twins_and_wrong_clocks),
      cmocka_unit_test(test_merges_in_a_ring),
      cmocka_unit_test(test_reach),
      cmocka_unit_test(test_random_lives_in_any_order),
      cmocka_unit_test(test_bodies_and_copies_change_no_state),
      cmocka_unit_test(test_state_names),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
