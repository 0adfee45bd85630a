/*
 * Times of a table: text by a format, in a zone, to ms since 1970 UTC.
 */
#ifndef CTL_IMPORT_TIME_H
#define CTL_IMPORT_TIME_H

#include <stdbool.h>
#include <stdint.h>

/* Whether this device knows the zone: NULL, "UTC", "local", or a name of the zone database. */
bool import_zone_exists(const char *zone);
/* All of `text` by strptime's `format`; false when it doesn't fit or is no date (31 February).
 * A "%z" in the format counts instead of the zone. Sets the process's zone. */
bool import_time_read(const char *text, const char *format, const char *zone, int64_t *ms);
/* Sets the process's zone back to what it was at the start. */
void import_zone_reset(void);

#endif
