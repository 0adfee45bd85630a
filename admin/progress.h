/*
 * Progress of a long command on stderr: a bar on a terminal, else, where asked for, a plain line
 * each second.
 */
#ifndef CTL_PROGRESS_H
#define CTL_PROGRESS_H

#include "ctl.h"

struct progress {
  FILE *out;
  bool bar;
  bool lines;
  uint64_t total;
  int64_t started_ms; /* monotonic */
  int64_t shown_ms;
};
/* `mode` is auto, always or never; false for anything else. */
bool progress_init(struct progress *progress, FILE *out, const char *mode, uint64_t total,
                   int64_t mono_ms);
/* `done` of the total, and how many rows that were. */
void progress_show(struct progress *progress, uint64_t done, uint64_t rows, int64_t mono_ms);
/* Takes the bar away, so that something else can be printed. */
void progress_clear(struct progress *progress);

#endif
