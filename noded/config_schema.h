/*
 * The configuration file as libcyaml hands it over, before any value is judged: every scalar is
 * text, because libcyaml takes "-5" and "5k" for unsigned numbers. Private to the config.
 */
#ifndef NODED_CONFIG_SCHEMA_H
#define NODED_CONFIG_SCHEMA_H

#include <stdint.h>

#include "record/bytes.h"
#include "record/status.h"

/* NULL: not given. */
struct config_raw_store {
  char *path;
  char *map_gib;
  char *quota_mib;
};
struct config_raw_log {
  char *format;
  char *level;
};
struct config_raw_limits {
  char *children;
  char *window_kib;
  char *rate_kbit;
  char *handshakes;
  char *admit_per_second;
};
struct config_raw_link {
  char *idle_seconds;
  char *dead_seconds;
  char *retry_min_ms;
  char *retry_max_ms;
};
struct config_raw_retention {
  char *days;
  char *keep_mib;
};
struct config_raw_outbox {
  char *max_mib;
  char *max_days;
};
struct config_raw {
  char *parent;
  char **listen;
  uint32_t listen_count;
  char *admin;
  struct config_raw_store store;
  struct config_raw_log log;
  struct config_raw_limits limits;
  struct config_raw_link link;
  struct config_raw_retention retention;
  struct config_raw_outbox outbox;
};

/* What is wrong, gathered as "file:line: reason" lines; `text` has CONFIG_REASON_MAX octets. */
struct config_problems {
  const char *file;
  struct bytes_view source;
  char *text;
  size_t size;
  unsigned count;
};

/* Adds a line; `line` 0 where none is known. */
__attribute__((format(printf, 3, 4))) void config_problem_add(struct config_problems *problems,
                                                              unsigned line, const char *format,
                                                              ...);

/* Line of a key (counted from 1), 0 when it isn't found. `section` NULL: top level. `nth` 0: the
 * first of that name, 1 the second. */
unsigned config_line_of_key(struct bytes_view source, const char *section, const char *key,
                            unsigned nth);
/* Line of a value within a top-level sequence: the first at or after its key that has `text`. */
unsigned config_line_of_entry(struct bytes_view source, const char *key, const char *text);

/* Parses the source; `*out` (NULL for an empty file) is released by config_raw_free.
 * STATUS_INVALID_ARGUMENT with problems told, STATUS_NO_MEMORY. */
MUST_USE enum status config_raw_load(struct config_problems *problems, struct config_raw **out);
void config_raw_free(struct config_raw *raw);

#endif
