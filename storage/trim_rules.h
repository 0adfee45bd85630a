/*
 * What looking for commits to trim and trimming them share. Private to the store.
 */
#ifndef STORAGE_TRIM_RULES_H
#define STORAGE_TRIM_RULES_H

#include "state.h"

/* Whether everybody on the way from us up to `top`, `top` included, may see such an item: only
 * then did it get there. */
bool trim_way_sees(const struct store *store, unsigned see, const struct address *top);
/* Whether it may go from here at all: two above may see it, or a backup holds it. */
bool trim_may_go(const struct store *store, const struct log_slot *slot, uint64_t seq,
                 unsigned see);
/* Whether a commit of which nothing is left may go whole. A log that must be gapless here goes from
 * its start, and only commits that showed all of their records: what is shown of them later would
 * pass for what was let go. Of other logs any may go; what is shown later is taken in as new. The
 * last of a log stays. */
bool trim_place_may_go(const struct store *store, const struct log_slot *slot, uint64_t seq,
                       uint64_t floor, bool all_shown);
/* How many above us may see it. */
unsigned trim_above_count(const struct store *store, unsigned see);
/* Policy, and what is said of nodes, is needed whatever its age; certificates are kept by
 * themselves. */
bool trim_kind_stays(struct bytes_view kind);
/* Whether the last record of the subject came before that time. */
MUST_USE enum status trim_subject_rests(const struct store_txn *txn, const struct subject *subject,
                                        struct wall_ms before, bool *rests);

#endif
