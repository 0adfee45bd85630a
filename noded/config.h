/*
 * The configuration: one YAML file read through libcyaml and validated whole, so that a daemon
 * either starts as its file says or says what is wrong with file, line and reason (DESIGN section
 * 9).
 */
#ifndef NODED_CONFIG_H
#define NODED_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "record/status.h"

#define CONFIG_REASON_MAX 1024
#define CONFIG_LISTEN_MAX 8

enum log_format { LOG_FORMAT_LOGFMT, LOG_FORMAT_JSON };
enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

struct config {
  char *directory;  /* absolute; relative paths in the file are taken from it */
  char *store_path; /* default DIRECTORY/store */
  char *admin_url;  /* default ipc://DIRECTORY/admin.sock */
  char *parent_url; /* NULL at the district */
  char *listen[CONFIG_LISTEN_MAX];
  uint32_t listen_count;
  enum log_format log_format;
  enum log_level log_level;
  uint64_t map_bytes;        /* store.map_gib, default 64 */
  uint64_t quota_bytes;      /* store.quota_mib, 0: none */
  uint32_t children_max;     /* limits.children, default 1024 */
  uint64_t window_bytes;     /* limits.window_kib, default 4096: unacknowledged octets a link */
  uint64_t rate_bytes_s;     /* limits.rate_kbit, 0: none; sending, each link */
  uint32_t handshakes_max;   /* limits.handshakes, default 32: of children, at once */
  uint32_t admit_per_second; /* limits.admit_per_second, default 100: children that connect */
  uint32_t idle_ms;          /* link.idle_seconds, default 60 */
  uint32_t dead_ms;          /* link.dead_seconds, default 150: nothing heard */
  uint32_t retry_min_ms;     /* link.retry_min_ms, default 100 */
  uint32_t retry_max_ms;     /* link.retry_max_ms, default 30000 */
  uint32_t retention_days;   /* retention.days, 0: nothing is trimmed */
  uint64_t keep_bytes;       /* retention.keep_mib: nothing is trimmed while less is in use */
  uint64_t outbox_max_bytes; /* outbox.max_mib, 0: none; of each child that is away */
  uint32_t outbox_max_days;  /* outbox.max_days, 0: none; the same */
};

/* Reads and validates; on failure `reason` (CONFIG_REASON_MAX octets) holds "file:line: reason"
 * lines. `directory` is the node's; NULL: where the file stands. STATUS_NOT_FOUND,
 * STATUS_MALFORMED, STATUS_INVALID_ARGUMENT, STATUS_NO_MEMORY, STATUS_IO. */
MUST_USE enum status config_read(const char *path, const char *directory, struct config *out,
                                 char *reason);
void config_close(struct config *config);

#endif
