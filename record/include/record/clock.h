/*
 * Time as arguments (nothing here reads a clock) and the hybrid logical clock that stamps
 * records: ms << 16 | counter (DESIGN section 3). Monotonic time orders what we do; wall time is
 * a claim. They are different types so that they can't be mixed.
 */
#ifndef RECORD_CLOCK_H
#define RECORD_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

/* Milliseconds of this host's monotonic clock. */
struct mono_ms {
  int64_t ms;
};

/* Claimed milliseconds since 1970-01-01 UTC. */
struct wall_ms {
  int64_t ms;
};

/* Both, as the driver reads them once a step. */
struct instant {
  struct mono_ms mono;
  struct wall_ms wall;
};

#define CLOCK_AHEAD_MAX_MS (24LL * 3600 * 1000)

struct clock_hlc {
  uint64_t last;
};

static inline uint64_t clock_hlc_ms(uint64_t hlc)
{
  return hlc >> 16;
}

/* Next stamp: above every stamp given or merged before, at least `wall`. A full counter (65,535
 * in one ms) carries into the ms. Never returns the same value twice. */
uint64_t clock_hlc_next(struct clock_hlc *clock, struct wall_ms wall);

/* Takes a remote stamp into account, unless it is more than 24 h ahead of `wall` (DESIGN section
 * 6, "Clocks"): then returns false and changes nothing. */
bool clock_hlc_merge(struct clock_hlc *clock, uint64_t remote, struct wall_ms wall);

#endif
