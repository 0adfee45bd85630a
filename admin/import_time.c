#include "import_time.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* The zone is the process's own in C: what it is now, and what it was before us. */
static struct {
  bool changed;
  bool had;
  char before[128];
  char now[128];
} zone_state;

static bool is_utc(const char *zone)
{
  return zone == NULL || strcmp(zone, "UTC") == 0;
}

bool import_zone_exists(const char *zone)
{
  char path[PATH_MAX];
  const char *folder = getenv("TZDIR");
  if (is_utc(zone) || strcmp(zone, "local") == 0)
    return true;
  if (zone[0] == '\0' || zone[0] == '/' || strstr(zone, "..") != NULL)
    return false;
  int size =
      snprintf(path, sizeof path, "%s/%s", folder != NULL ? folder : "/usr/share/zoneinfo", zone);
  return size > 0 && (size_t)size < sizeof path && access(path, R_OK) == 0;
}

void import_zone_reset(void)
{
  if (!zone_state.changed)
    return;
  if (zone_state.had)
    setenv("TZ", zone_state.before, 1);
  else
    unsetenv("TZ");
  tzset();
  zone_state.changed = false;
  zone_state.now[0] = '\0';
}

/* Reading a zone's file is slow, so it is done only where the zone differs from the last. */
static void use_zone(const char *zone)
{
  const char *name = is_utc(zone) ? "UTC0" : zone;
  if (strcmp(name, "local") == 0) {
    import_zone_reset();
    return;
  }
  if (zone_state.changed && strcmp(zone_state.now, name) == 0)
    return;
  if (!zone_state.changed) {
    const char *before = getenv("TZ");
    zone_state.had = before != NULL;
    snprintf(zone_state.before, sizeof zone_state.before, "%s", before != NULL ? before : "");
  }
  snprintf(zone_state.now, sizeof zone_state.now, "%s", name);
  setenv("TZ", name, 1);
  tzset();
  zone_state.changed = true;
}

bool import_time_read(const char *text, const char *format, const char *zone, int64_t *ms)
{
  struct tm read = {.tm_mday = 1, .tm_isdst = -1};
  const char *end = strptime(text, format, &read);
  if (end == NULL || end[strspn(end, " \t")] != '\0')
    return false;
  struct tm made = read;
  bool offset_given = strstr(format, "%z") != NULL;
  time_t seconds;
  if (offset_given) {
    made.tm_isdst = 0;
    seconds = timegm(&made);
  } else {
    use_zone(zone);
    made.tm_isdst = -1;
    seconds = mktime(&made);
  }
  /* mktime carries over what no calendar has; the hour may move where a clock was put forward. */
  if (made.tm_mday != read.tm_mday && made.tm_hour == read.tm_hour)
    return false;
  *ms = (int64_t)seconds * 1000 - (offset_given ? (int64_t)read.tm_gmtoff * 1000 : 0);
  return true;
}
