/*
 * Snapshots for a child (docs/OPERATIONS.md, docs/FORMAT.md section 11): written by the parent,
 * with what the link would show that child, and put into the child's store offline.
 */
#ifndef NODED_SNAPSHOT_H
#define NODED_SNAPSHOT_H

#include <stdio.h>

#include "noded/core.h"

#define SNAPSHOT_REASON_MAX 768
#define SNAPSHOT_PART ".part" /* what is not whole yet has this behind its name */

struct snapshot_settings {
  struct store *store;
  const struct core_identity *identity;
  const char *path;
  uint16_t neighbour;
  struct snapshot_head head;
};
struct snapshot_result {
  uint64_t octets;
  uint64_t commits;
  uint64_t records; /* shown in these */
  uint64_t certificates;
  uint64_t floors;
  uint64_t tombstones;
};
/* On a thread that may block; each part is read in a transaction of its own. `reason`
 * (SNAPSHOT_REASON_MAX octets) says what is wrong. STATUS_EXISTS when the name is taken,
 * STATUS_INVALID_ARGUMENT (path not absolute), STATUS_IO, STATUS_DISK_FULL, STATUS_CORRUPT,
 * STATUS_NO_MEMORY. */
MUST_USE enum status snapshot_write(const struct snapshot_settings *settings,
                                    struct snapshot_result *result, char *reason);

#endif
