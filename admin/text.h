/*
 * Text for people: widths in columns (CJK takes two), durations, sizes, local times, colours, and
 * tables made of these. What comes from elsewhere is cleaned of control characters first, so that
 * a record can't steer the reader's terminal.
 */
#ifndef CTL_TEXT_H
#define CTL_TEXT_H

#include "ctl.h"
#include "record/bytes.h"

#define TEXT_SHORT_MAX 64 /* room for each of the small formats below */

enum paint { PAINT_NONE, PAINT_GREEN, PAINT_YELLOW, PAINT_RED, PAINT_GREY, PAINT_BOLD };

/* Terminal columns of UTF-8 text without control characters. */
size_t text_width(const char *text);
/* Whole and valid UTF-8 (RFC 3629). */
bool text_is_utf8(struct bytes_view text);
/* A copy without control characters and direction overrides (each '?'; line breaks and tabs a
 * space) and with '?' for octets that are no UTF-8; free it. Never NULL. */
char *text_clean(struct bytes_view text);
/* Cut to `width` columns, with an ellipsis as the last where it was cut; in place. */
void text_cut(char *text, size_t width);
/* strdup/realloc/printf that end the program with a message when memory is out. */
char *text_copy(const char *text);
void *text_realloc(void *old, size_t size);
__attribute__((format(printf, 1, 2))) char *text_format(const char *format, ...);
/* Appends to a string made by the above; returns the new one. */
__attribute__((format(printf, 2, 3))) char *text_add(char *text, const char *format, ...);

/* "0s", "42s", "3m 10s", "2h 5m", "4d 3h". */
const char *text_duration(int64_t ms, char out[TEXT_SHORT_MAX]);
/* "now" below two seconds, "42s ago", "never" for 0, "in 3m" for what is yet to come. */
const char *text_ago(int64_t at_ms, int64_t now_ms, char out[TEXT_SHORT_MAX]);
/* "999 B", "1.2 kB", "31 MB" (powers of ten). */
const char *text_size(uint64_t octets, char out[TEXT_SHORT_MAX]);
/* "1,234,567". */
const char *text_count(uint64_t count, char out[TEXT_SHORT_MAX]);
/* "2018-06-26 10:58:54" in local time; "-" for 0. */
const char *text_time(int64_t at_ms, char out[TEXT_SHORT_MAX]);

/* Escape sequences, "" without colour. */
const char *paint_start(const struct ctl_view *view, enum paint paint);
const char *paint_end(const struct ctl_view *view, enum paint paint);

/* A table: headings, then cells row by row. A column whose heading starts with '>' is aligned to
 * the right. Close with table_close. */
#define TABLE_COLUMNS_MAX 12
struct table_cell {
  char *text;
  enum paint paint;
};
struct table {
  const char *const *headings;
  size_t columns;
  struct table_cell *cells;
  size_t count;
  size_t capacity;
};
void table_init(struct table *table, const char *const *headings, size_t columns);
void table_close(struct table *table);
/* Adds the next cell; takes the text over (from text_format and the like). */
void table_add(struct table *table, enum paint paint, char *text);
__attribute__((format(printf, 3, 4))) void table_add_format(struct table *table, enum paint paint,
                                                            const char *format, ...);
/* Adds cleaned text, cut to `width` columns (0: not cut). */
void table_add_view(struct table *table, struct bytes_view text, size_t width);
void table_print(const struct table *table, const struct ctl_view *view);

#endif
