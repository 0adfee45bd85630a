/*
 * Putting a backup in place of a node's store, offline, and the drill that proves that it could be
 * (docs/OPERATIONS.md). A restored store has a new id (DESIGN section 2).
 */
#ifndef NODED_RESTORE_H
#define NODED_RESTORE_H

#include <stdbool.h>
#include <stdio.h>

struct restore_options {
  const char *backup;
  const char *directory; /* the node's */
  const char *config;    /* its configuration */
  bool drill;            /* only into a temporary folder, which is removed again */
  bool replace;          /* the store in place is moved aside */
  bool snapshot;         /* `backup` is a snapshot's file (noded/snapshot.h) */
  bool json;
};

/* Says on `out` what was done, or on `err` what is wrong. True when all is well. */
bool restore_run(const struct restore_options *options, FILE *out, FILE *err);

#endif
