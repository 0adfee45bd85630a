/*
 * Admission of children that connect (DESIGN section 6, "Slow links"): when a parent returns, all
 * of its children dial at once. A handshake costs signatures and key exchanges, and each new link
 * a comparison of cursors and a backlog; so few handshakes are under way at once, they begin at a
 * bounded pace, and the rest wait in line in the order in which they came. Who finds the line full
 * is turned away and dials again after a pause of its own. Links that stand are served meanwhile.
 *
 * Knows no connections and no clock: entries are the caller's, inside what they stand for.
 */
#ifndef NODED_ADMISSION_H
#define NODED_ADMISSION_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "record/clock.h"
#include "record/status.h"

/* A handshake that takes longer goes on, but holds nobody else up any more. */
#define ADMISSION_SLOT_MS 3000
/* The line is as long as what the pace admits in this time, well within a handshake's deadline. */
#define ADMISSION_LINE_S 8

enum admission_place { ADMISSION_NOWHERE, ADMISSION_LINE, ADMISSION_SLOT };

struct admission_entry {
  TAILQ_ENTRY(admission_entry) link;
  enum admission_place place;
  struct mono_ms since; /* in that place */
};
TAILQ_HEAD(admission_list, admission_entry);

/* Since the line was last empty. */
struct admission_figures {
  uint32_t at_once_max;
  uint32_t line_max;
  uint32_t admitted;
  uint32_t turned_away;
  int64_t wait_ms_max;
};

struct admission {
  uint32_t at_once; /* slots */
  uint32_t per_second;
  struct admission_list line;
  struct admission_list slots; /* oldest first */
  uint32_t line_count;
  uint32_t slot_count;
  int64_t tokens_milli; /* thousandths of an admission */
  struct mono_ms filled_at;
  struct admission_figures figures;
};

void admission_init(struct admission *admission, uint32_t at_once, uint32_t per_second);
/* The longest the line gets. */
uint32_t admission_line_limit(const struct admission *admission);
/* A connection's first words came. False: turned away, the line is full. Else it stands in line;
 * admission_next says when it may go on. */
MUST_USE bool admission_join(struct admission *admission, struct admission_entry *entry,
                             struct mono_ms now);
/* Who may begin its handshake now; it holds a slot from here on. NULL: nobody. */
struct admission_entry *admission_next(struct admission *admission, struct mono_ms now);
/* Its handshake is over, or the connection is gone; harmless twice. */
void admission_leave(struct admission *admission, struct admission_entry *entry);
/* When admission_next may give somebody if nothing else happens, monotonic ms; INT64_MAX: never. */
int64_t admission_deadline(const struct admission *admission);
/* True once each time a line has passed: `out` tells about it. */
bool admission_line_passed(struct admission *admission, struct admission_figures *out);

#endif
