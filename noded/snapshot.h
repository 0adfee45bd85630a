/*
 * Snapshots for a child (docs/OPERATIONS.md, docs/FORMAT.md section 11): written by the parent,
 * with what the link would show that child, and put into the child's store offline.
 */
#ifndef NODED_SNAPSHOT_H
#define NODED_SNAPSHOT_H

#include <stdio.h>

#include "admin/mapping.h"
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

/* One that was carried here, verified. */
struct snapshot_source {
  struct mapping mapping;
  struct bytes_view entries; /* behind the bundle's head */
  struct snapshot_head head;
  struct repl_node *node; /* knows its certificates */
  uint64_t commits;
  bool own;                  /* it holds commits that this node itself wrote ... */
  struct store_id own_store; /* ... the latest of these in that store */
};
/* Reads it and verifies everything in it, against the root that the node trusts: the parent's
 * signature over the whole, every certificate, every commit. False: `reason` (SNAPSHOT_REASON_MAX
 * octets) says what is wrong and what to do. To be closed either way. */
MUST_USE bool snapshot_source_open(const char *path, const struct core_identity *identity,
                                   struct snapshot_source *source, char *reason);
void snapshot_source_close(struct snapshot_source *source);
/* How far, by lane, it holds what that key wrote in that store. */
void snapshot_source_reach(const struct snapshot_source *source, const struct node_key *key,
                           const struct store_id *store, uint64_t seqs[LANE_COUNT]);

struct restore_options;
/* Puts it into the node's store, which may be there or not, while no daemon runs; `drill`: only
 * verifies it. Says on `out` what was done, or on `err` what is wrong. True when all is well. */
bool snapshot_restore(const struct restore_options *options, FILE *out, FILE *err);

#endif
