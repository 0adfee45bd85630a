#include <time.h>

#include "ctl.h"

static int64_t clock_ms(clockid_t id)
{
  struct timespec now;
  clock_gettime(id, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t ctl_clock_wall_ms(void)
{
  return clock_ms(CLOCK_REALTIME);
}

int64_t ctl_clock_mono_ms(void)
{
  return clock_ms(CLOCK_MONOTONIC);
}

void ctl_clock_sleep_ms(unsigned ms)
{
  struct timespec pause = {ms / 1000, (long)(ms % 1000) * 1000000};
  nanosleep(&pause, NULL);
}
