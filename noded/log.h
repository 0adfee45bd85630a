/*
 * Log lines: one event a line to standard error, as logfmt or JSON, for the journal and for
 * programs. Any thread; a line is one write. Each event kind may write LOG_RATE_MAX lines a second
 * (debug lines are not limited); the next line of that kind then says how many were left out.
 */
#ifndef NODED_LOG_H
#define NODED_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "noded/config.h"
#include "record/bytes.h"

#define LOG_LINE_MAX 4096 /* octets with newline; what doesn't fit is cut off */
#define LOG_TEXT_MAX 1024 /* octets of one text value */
#define LOG_FIELDS_MAX 24
#define LOG_RATE_MAX 20
#define LOG_KINDS_MAX 128 /* event kinds told apart by the rate limit */

enum log_field_type {
  LOG_FIELD_TEXT,
  LOG_FIELD_UINT,
  LOG_FIELD_INT,
  LOG_FIELD_BOOL,
  LOG_FIELD_HEX
};

struct log_field {
  const char *name; /* [a-z_]+ */
  enum log_field_type type;
  struct bytes_view text; /* TEXT, HEX */
  uint64_t number;        /* UINT, BOOL */
  int64_t integer;        /* INT */
};

/* NULL counts as empty. */
static inline struct log_field log_text(const char *name, const char *text)
{
  return (struct log_field){
      .name = name, .type = LOG_FIELD_TEXT, .text = bytes_view_text(text == NULL ? "" : text)};
}
static inline struct log_field log_view(const char *name, struct bytes_view text)
{
  return (struct log_field){.name = name, .type = LOG_FIELD_TEXT, .text = text};
}
static inline struct log_field log_uint(const char *name, uint64_t number)
{
  return (struct log_field){.name = name, .type = LOG_FIELD_UINT, .number = number};
}
static inline struct log_field log_int(const char *name, int64_t integer)
{
  return (struct log_field){.name = name, .type = LOG_FIELD_INT, .integer = integer};
}
static inline struct log_field log_bool(const char *name, bool value)
{
  return (struct log_field){.name = name, .type = LOG_FIELD_BOOL, .number = value};
}
static inline struct log_field log_hex(const char *name, const void *data, size_t size)
{
  return (struct log_field){.name = name, .type = LOG_FIELD_HEX, .text = bytes_view_of(data, size)};
}

/* Writes one line. `event` is a string constant such as "link_up"; at most LOG_FIELDS_MAX fields
 * count. Everything is borrowed for the call. */
void log_write(enum log_level level, const char *event, const struct log_field *fields,
               size_t count);
/* The same without fields. */
void log_event(enum log_level level, const char *event);

/* Format and level from now on; any time, any thread. Starts as logfmt, info. */
void log_configure(enum log_format format, enum log_level level);
bool log_enabled(enum log_level level);
/* Where lines go: a descriptor that stays the caller's. Starts as standard error. */
void log_set_output(int descriptor);

#endif
