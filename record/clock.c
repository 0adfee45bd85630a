#include "record/clock.h"

#include "record/check.h"

/* A stamp has 48 bits of ms; half of that is some 4,000 years, and leaves room to carry. */
#define CLOCK_MS_MAX (((int64_t)1 << 47) - 1)

static uint64_t clock_bounded_ms(struct wall_ms wall)
{
  if (wall.ms < 0) {
    return 0;
  }
  return (uint64_t)(wall.ms > CLOCK_MS_MAX ? CLOCK_MS_MAX : wall.ms);
}

uint64_t clock_hlc_next(struct clock_hlc *clock, struct wall_ms wall)
{
  uint64_t stamp = clock_bounded_ms(wall) << 16;
  if (stamp <= clock->last) {
    CHECK(clock->last < UINT64_MAX);
    stamp = clock->last + 1;
  }
  clock->last = stamp;
  return stamp;
}

bool clock_hlc_merge(struct clock_hlc *clock, uint64_t remote, struct wall_ms wall)
{
  if (clock_hlc_ms(remote) > clock_bounded_ms(wall) + CLOCK_AHEAD_MAX_MS) {
    return false;
  }
  if (remote > clock->last) {
    clock->last = remote;
  }
  return true;
}
