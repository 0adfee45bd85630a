/*
 * One piece of an export: commits from a cursor on, each after the certificates that verify it.
 * Private to the commands.
 */
#ifndef NODED_COMMAND_EXPORT_H
#define NODED_COMMAND_EXPORT_H

#include "noded/certificate_writer.h"

#define EXPORT_PIECE_BYTES (2 * 1024 * 1024) /* a piece ends at the first entry border past it */
#define EXPORT_PROBES_MAX 200000             /* places looked at for one piece */

/* Where to go on: the first commit not yet looked at. */
struct export_cursor {
  uint32_t log;
  uint64_t seq;
};

struct export_state {
  uint32_t log; /* 0: all */
  bool with_from;
  struct export_cursor from;
  bool with_subject;
  struct subject subject;
  /* result */
  struct bytes octets;
  bool more;
  struct export_cursor next;
  /* while at it */
  struct arena arena; /* certificates and refs */
  struct arena commit_arena;
  struct certificate_writer certificates;
  uint32_t probes;
};

/* Fills the result. Commits stand as held; with a subject only its own records are shown of each.
 * STATUS_NOT_FOUND (subject), STATUS_NO_MEMORY, STATUS_CORRUPT, STATUS_IO. */
MUST_USE enum status export_piece(struct store *store, const struct store_txn *txn,
                                  const struct core_identity *identity, struct export_state *state);
void export_close(struct export_state *state);

#endif
