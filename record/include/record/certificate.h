/*
 * Certificates (DESIGN sections 3 and 4): a parent's signed statement that a key stands at an
 * address, and the chain of these up to the root.
 */
#ifndef RECORD_CERTIFICATE_H
#define RECORD_CERTIFICATE_H

#include "record/address.h"
#include "record/bytes.h"
#include "record/commit.h"
#include "record/hash.h"

#define CERTIFICATE_BYTES_MAX 512
#define CERTIFICATE_CHAIN_MAX 6 /* root, district, street, community, grid, unit */

struct certificate {
  struct bytes_view octets; /* [body bin, signature], borrowed */
  struct bytes_view body;
  struct bytes_view signature;
  struct node_key key;
  struct address address;
  uint64_t epoch;
  uint64_t not_before; /* unix s */
  uint64_t not_after;
  struct node_key issuer;
  struct hash id; /* H(body) */
};

/* STATUS_MALFORMED. The signature is checked by certificate_check. */
MUST_USE enum status certificate_read(struct bytes_view octets, struct certificate *out);

struct certificate_draft {
  struct node_key key;
  struct address address; /* root's: empty */
  uint64_t epoch;
  uint64_t not_before;
  uint64_t not_after;
};
/* Appends a certificate signed by the issuer's 64-octet secret key. STATUS_INVALID_ARGUMENT,
 * STATUS_NO_MEMORY. */
MUST_USE enum status certificate_write(const struct certificate_draft *draft,
                                       const uint8_t issuer_secret_key[64], struct bytes *out);

/* Whether `certificate` may stand under `issuer` (NULL: it must be the self-signed root's):
 * signature, issuer key, address directly below. VERDICT_OK, VERDICT_BAD_SIGNATURE,
 * VERDICT_BAD_CHAIN. Says nothing of time. */
MUST_USE enum verdict certificate_check(const struct certificate *certificate,
                                        const struct certificate *issuer);
/* VERDICT_OK or VERDICT_EXPIRED. */
MUST_USE enum verdict certificate_check_time(const struct certificate *certificate,
                                             uint64_t now_unix_s);
/* Reads a chain [C...] root first and checks each against the one before and the first against
 * `root_id`. Fills `out`, at most CERTIFICATE_CHAIN_MAX. VERDICT_OK, VERDICT_MALFORMED,
 * VERDICT_BAD_CHAIN, VERDICT_BAD_SIGNATURE. */
MUST_USE enum verdict certificate_read_chain(struct bytes_view octets, const struct hash *root_id,
                                             struct certificate *out, size_t *count);

#endif
