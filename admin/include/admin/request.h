/*
 * The `request` file (docs/ADMIN.md, "A node's directory"): a child's wish to be certified, signed
 * by the key that is to stand at the address. nodectl writes it; the parent's daemon reads it in
 * its `certify` command.
 */
#ifndef ADMIN_REQUEST_H
#define ADMIN_REQUEST_H

#include "record/address.h"
#include "record/bytes.h"
#include "record/commit.h"

#define REQUEST_BYTES_MAX 512

struct request {
  struct node_key key;
  struct address address;
};

/* Appends ["noded-request", 1, key, address, signature]; `secret_key` is the 64-octet Ed25519 key
 * that belongs to `key`. STATUS_INVALID_ARGUMENT for the root's address or a key that doesn't
 * belong, STATUS_NO_MEMORY. */
MUST_USE enum status request_write(const struct node_key *key, const uint8_t secret_key[64],
                                   const struct address *address, struct bytes *out);

/* Reads one request file, whole, and checks its signature. STATUS_MALFORMED, STATUS_WRONG_VERSION,
 * STATUS_BAD_SIGNATURE. */
MUST_USE enum status request_read(struct bytes_view octets, struct request *out);

#endif
