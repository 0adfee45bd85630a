/*
 * Snapshots (docs/FORMAT.md section 11): a bundle with all that one child may see of its parent's
 * store, the place in the parent's outbox that it covers, and the parent's signature over the
 * whole. A reader that knows bundles alone takes the commits and passes over the rest.
 */
#ifndef RECORD_SNAPSHOT_H
#define RECORD_SNAPSHOT_H

#include <sodium.h>

#include "record/address.h"
#include "record/clock.h"
#include "record/commit.h"

#define SNAPSHOT_PROOFS_MAX 8

/* For whom, by whom, and how far each lane of the outbox is covered. */
struct snapshot_lane {
  uint64_t position;
  uint8_t tag[16];
};
struct snapshot_head {
  struct address child;
  struct node_key parent;
  struct store_id store; /* the parent's */
  struct wall_ms at;
  struct snapshot_lane lanes[LANE_COUNT];
};

enum snapshot_type {
  SNAPSHOT_NOTHING, /* the file ends */
  SNAPSHOT_HEAD,
  SNAPSHOT_CERTIFICATE, /* `octets` */
  SNAPSHOT_COMMIT,      /* `octets` */
  SNAPSHOT_FLOOR,       /* `octets` is the last commit that is gone, withheld; `proofs` */
  SNAPSHOT_TOMBSTONE,   /* `leaf`, `position`, `subject` */
  SNAPSHOT_END,         /* `signature` */
};
struct snapshot_entry {
  enum snapshot_type type;
  struct bytes_view octets;
  struct snapshot_head head;
  size_t proof_count;
  struct bytes_view proofs[SNAPSHOT_PROOFS_MAX];
  struct hash leaf;
  unsigned position;
  struct subject subject;
  const uint8_t *signature; /* SIGNATURE_SIZE */
};

/* Append one entry; certificates and commits by bundle_write, the bundle's head by
 * bundle_write_head. STATUS_NO_MEMORY; STATUS_INVALID_ARGUMENT past SNAPSHOT_PROOFS_MAX. */
MUST_USE enum status snapshot_write_head(const struct snapshot_head *head, struct bytes *out);
MUST_USE enum status snapshot_write_floor(struct bytes_view commit, const struct bytes_view *proofs,
                                          size_t proof_count, struct bytes *out);
MUST_USE enum status snapshot_write_tombstone(const struct hash *leaf, unsigned position,
                                              const struct subject *subject, struct bytes *out);
/* `hash` is over all octets of the file so far. */
MUST_USE enum status snapshot_write_end(const struct hash *hash, const uint8_t secret_key[64],
                                        struct bytes *out);

/* Next entry of a bundle after its head; others than these are passed over. Views borrow.
 * STATUS_MALFORMED also for a file that was cut off. */
MUST_USE enum status snapshot_read(struct bytes_view *rest, struct snapshot_entry *out);

/* The hash that the end's signature is over, as the octets come. */
struct snapshot_hash {
  crypto_generichash_state state;
};
void snapshot_hash_init(struct snapshot_hash *hash);
void snapshot_hash_add(struct snapshot_hash *hash, struct bytes_view octets);
struct hash snapshot_hash_final(struct snapshot_hash *hash);
/* VERDICT_OK, VERDICT_BAD_SIGNATURE. */
MUST_USE enum verdict snapshot_check(const struct hash *hash, const uint8_t *signature,
                                     const struct node_key *parent);

#endif
