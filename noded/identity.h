/*
 * Who this node is: node.key, root.cert and chain.cert of its directory (docs/ADMIN.md), loaded
 * and checked against each other before anything starts.
 */
#ifndef NODED_IDENTITY_H
#define NODED_IDENTITY_H

#include "noded/core.h"

#define IDENTITY_REASON_MAX 768

/* Loads and checks: the key file is readable by its owner alone, the chain leads to the root and
 * its last certificate is for our key. Says nothing of time (identity_expires_at). On failure
 * `reason` (IDENTITY_REASON_MAX octets) says what is wrong and what to do. STATUS_NOT_FOUND (a
 * file is missing), STATUS_NOT_ALLOWED (mode), STATUS_MALFORMED, STATUS_WRONG_NODE (another key's
 * chain), STATUS_BAD_SIGNATURE (the chain doesn't lead to the root), STATUS_IO,
 * STATUS_NO_MEMORY. */
MUST_USE enum status identity_load(const char *directory, struct core_identity *out, char *reason);
/* When the first certificate of the chain ends, unix s. */
uint64_t identity_expires_at(const struct core_identity *identity);
/* Wipes the secret key too. */
void identity_close(struct core_identity *identity);

#endif
