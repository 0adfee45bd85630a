/*
 * Texts of log lines and of reasons: whatever a value holds, what comes out is valid UTF-8, and a
 * log line stays one line.
 */
#ifndef NODED_LOG_TEXT_H
#define NODED_LOG_TEXT_H

#include <stddef.h>

#include "record/bytes.h"

/* Copies with a terminator, at most `capacity` octets in all; octets that are not UTF-8 become
 * '?', and the cut never falls into a character. */
void log_text_clean(struct bytes_view text, char *out, size_t capacity);

/* A line being built; what doesn't fit is left out. Not terminated. */
struct log_line {
  char *text;
  size_t size;
  size_t capacity;
};
void log_line_add(struct log_line *line, const char *text);
/* A logfmt value: bare where it may be, quoted and escaped where not. */
void log_line_add_value(struct log_line *line, const char *text);

#endif
