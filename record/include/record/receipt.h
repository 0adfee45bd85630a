/*
 * Cosignatures and receipts (DESIGN section 3): proof, for whoever holds the root key, that a
 * record stands in a log and which tiers held it by when.
 */
#ifndef RECORD_RECEIPT_H
#define RECORD_RECEIPT_H

#include "record/certificate.h"
#include "record/clock.h"
#include "record/commit.h"

#define RECEIPT_COSIGNATURES_MAX 8

struct cosignature {
  struct bytes_view octets;
  struct node_key cosigner;
  struct wall_ms at;
  struct bytes_view shown; /* a bit per record, bit i of octet i/8 */
  struct bytes_view signature;
};

/* STATUS_MALFORMED. */
MUST_USE enum status cosignature_read(struct bytes_view octets, struct cosignature *out);
/* VERDICT_OK, VERDICT_BAD_SIGNATURE. */
MUST_USE enum verdict cosignature_check(const struct cosignature *cosignature,
                                        const struct hash *commit_id);
/* Appends; `key` and `secret_key` are the cosigner's, `shown` has 1 to 32 octets.
 * STATUS_INVALID_ARGUMENT, STATUS_NO_MEMORY. */
MUST_USE enum status cosignature_write(const struct node_key *key, const uint8_t secret_key[64],
                                       const struct hash *commit_id, struct wall_ms at,
                                       struct bytes_view shown, struct bytes *out);

struct receipt {
  struct commit_header header;
  struct hash commit_id;
  uint16_t index;
  struct record_header record;
  struct hash leaf;
  struct address origin; /* where the record's author stands, by its certificate */
  struct certificate certificates[CERTIFICATE_CHAIN_MAX * 2];
  size_t certificate_count;
  struct cosignature cosignatures[RECEIPT_COSIGNATURES_MAX];
  size_t cosignature_count;
};

/* Appends a receipt for the record at `index`, which `commit` must show; others may be withheld.
 * `certificates` (root first, each behind its issuer's) and `cosignatures` are encoded;
 * cosignatures that don't show the record are left out. STATUS_INVALID_ARGUMENT,
 * STATUS_NO_MEMORY. */
MUST_USE enum status receipt_write(const struct commit *commit, uint16_t index,
                                   const struct bytes_view *certificates, size_t certificate_count,
                                   const struct bytes_view *cosignatures, size_t cosignature_count,
                                   struct arena *arena, struct bytes *out);
/* Reads and verifies everything against the root certificate's id; views in `out` borrow from
 * `octets`. VERDICT_OK, VERDICT_MALFORMED, VERDICT_BAD_ROOT, VERDICT_BAD_CHAIN,
 * VERDICT_BAD_SIGNATURE, VERDICT_UNKNOWN_CERTIFICATE. */
MUST_USE enum verdict receipt_verify(struct bytes_view octets, const struct hash *root_id,
                                     struct receipt *out);

#endif
