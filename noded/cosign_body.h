/*
 * Bodies of the query `cosignatures` and its answer (docs/PROTOCOL.md). Private to the core.
 */
#ifndef NODED_COSIGN_BODY_H
#define NODED_COSIGN_BODY_H

#include "noded/core_internal.h"

#define COSIGN_SAID_MAX (TRIM_ASKS_MAX * TRIM_HOLDERS_MAX)

MUST_USE enum status cosign_write_asks(const struct trim_ask *asks, size_t count,
                                       struct bytes *out);
/* At most TRIM_ASKS_MAX; `log` is 0. STATUS_MALFORMED, STATUS_NO_MEMORY. */
MUST_USE enum status cosign_read_asks(struct bytes_view body, struct arena *arena,
                                      struct trim_ask asks[TRIM_ASKS_MAX], size_t *count);
MUST_USE enum status cosign_write_said(const struct cosign_said *said, size_t count,
                                       struct bytes *out);
/* At most COSIGN_SAID_MAX, each a cosignature of good form to one of `asks_count`; borrowed from
 * the body. STATUS_MALFORMED. */
MUST_USE enum status cosign_read_said(struct bytes_view body, size_t asks_count,
                                      struct cosign_said said[COSIGN_SAID_MAX], size_t *count);

#endif
