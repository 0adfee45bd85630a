#include "noded/admission.h"

#include <string.h>

#include "record/check.h"

#define WHOLE 1000 /* thousandths */

void admission_init(struct admission *admission, uint32_t at_once, uint32_t per_second)
{
  CHECK(at_once > 0 && per_second > 0);
  memset(admission, 0, sizeof(*admission));
  admission->at_once = at_once;
  admission->per_second = per_second;
  admission->tokens_milli = (int64_t)at_once * WHOLE;
  TAILQ_INIT(&admission->line);
  TAILQ_INIT(&admission->slots);
}

uint32_t admission_line_limit(const struct admission *admission)
{
  return admission->per_second * ADMISSION_LINE_S;
}

bool admission_join(struct admission *admission, struct admission_entry *entry, struct mono_ms now)
{
  CHECK(entry->place == ADMISSION_NOWHERE);
  if (admission->line_count >= admission_line_limit(admission)) {
    admission->figures.turned_away++;
    return false;
  }
  entry->place = ADMISSION_LINE;
  entry->since = now;
  TAILQ_INSERT_TAIL(&admission->line, entry, link);
  admission->line_count++;
  if (admission->line_count > admission->figures.line_max) {
    admission->figures.line_max = admission->line_count;
  }
  return true;
}

/* The pace: at most `at_once` may begin together after a quiet time. */
static void fill_up(struct admission *admission, struct mono_ms now)
{
  int64_t passed_ms = now.ms - admission->filled_at.ms;
  int64_t most = (int64_t)admission->at_once * WHOLE;
  admission->filled_at = now;
  if (passed_ms >= most) {
    passed_ms = most;
  }
  admission->tokens_milli += passed_ms * admission->per_second;
  if (admission->tokens_milli > most) {
    admission->tokens_milli = most;
  }
}

void admission_leave(struct admission *admission, struct admission_entry *entry)
{
  if (entry->place == ADMISSION_LINE) {
    TAILQ_REMOVE(&admission->line, entry, link);
    admission->line_count--;
  } else if (entry->place == ADMISSION_SLOT) {
    TAILQ_REMOVE(&admission->slots, entry, link);
    admission->slot_count--;
  }
  entry->place = ADMISSION_NOWHERE;
}

static void free_slow_slots(struct admission *admission, struct mono_ms now)
{
  struct admission_entry *oldest;
  while ((oldest = TAILQ_FIRST(&admission->slots)) != NULL &&
         now.ms - oldest->since.ms >= ADMISSION_SLOT_MS) {
    admission_leave(admission, oldest);
  }
}

struct admission_entry *admission_next(struct admission *admission, struct mono_ms now)
{
  struct admission_entry *entry = TAILQ_FIRST(&admission->line);
  struct admission_figures *figures = &admission->figures;
  free_slow_slots(admission, now);
  fill_up(admission, now);
  if (entry == NULL || admission->slot_count >= admission->at_once ||
      admission->tokens_milli < WHOLE) {
    return NULL;
  }
  admission->tokens_milli -= WHOLE;
  int64_t waited_ms = now.ms - entry->since.ms;
  figures->wait_ms_max = waited_ms > figures->wait_ms_max ? waited_ms : figures->wait_ms_max;
  figures->admitted++;
  admission_leave(admission, entry);
  entry->place = ADMISSION_SLOT;
  entry->since = now;
  TAILQ_INSERT_TAIL(&admission->slots, entry, link);
  admission->slot_count++;
  if (admission->slot_count > figures->at_once_max) {
    figures->at_once_max = admission->slot_count;
  }
  return entry;
}

int64_t admission_deadline(const struct admission *admission)
{
  if (TAILQ_EMPTY(&admission->line)) {
    return INT64_MAX;
  }
  if (admission->slot_count >= admission->at_once) {
    return TAILQ_FIRST(&admission->slots)->since.ms + ADMISSION_SLOT_MS;
  }
  int64_t missing = WHOLE - admission->tokens_milli;
  int64_t per_second = admission->per_second;
  return admission->filled_at.ms + (missing <= 0 ? 0 : (missing + per_second - 1) / per_second);
}

bool admission_line_passed(struct admission *admission, struct admission_figures *out)
{
  if (!TAILQ_EMPTY(&admission->line) || admission->figures.admitted == 0) {
    return false;
  }
  *out = admission->figures;
  memset(&admission->figures, 0, sizeof(admission->figures));
  return out->line_max > 1;
}
