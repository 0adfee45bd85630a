/*
 * H: BLAKE2b-256 with the one-octet domain prefixes of DESIGN section 3, and the Merkle tree of
 * RFC 9162 shape over leaves. No other file writes a domain octet. A program calls sodium_init
 * before anything of this library: it selects the fast code of this processor.
 */
#ifndef RECORD_HASH_H
#define RECORD_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "record/bytes.h"

#define HASH_SIZE 32

struct hash {
  uint8_t octets[HASH_SIZE];
};

enum hash_domain {
  HASH_LEAF = 0x00,
  HASH_NODE = 0x01,
  HASH_ITEM = 0x02,
  HASH_COMMIT = 0x03,
  HASH_TAG = 0x06,
  HASH_SUBJECT = 0x07,
  HASH_DIGEST = 0x08, /* digest over what a log shows, in `heads` */
  HASH_SNAPSHOT = 0x09,
};

bool hash_equal(const struct hash *a, const struct hash *b);
bool hash_is_zero(const struct hash *hash);

/* H(domain, view). */
struct hash hash_of(enum hash_domain domain, struct bytes_view view);
/* H(view), no prefix: for certificate ids. */
struct hash hash_plain(struct bytes_view view);
/* H(0x01 ‖ left ‖ right). */
struct hash hash_node(const struct hash *left, const struct hash *right);
/* Leaf of a record: H(0x00 ‖ u32le len ‖ header ‖ commitments). */
struct hash hash_leaf(struct bytes_view header, const struct hash *commitments, size_t count);
/* First 16 octets of H(0x06 ‖ previous ‖ commit id); in place. */
void hash_tag_next(uint8_t tag[16], const struct hash *commit_id);

/* Root over `count` >= 1 leaves (RFC 9162 section 2.1.1 shape). */
struct hash merkle_root(const struct hash *leaves, size_t count);

/* Partial tree. `shown` has a bit per leaf (bit i of octet i/8); `leaves` holds a hash at each
 * shown index. Every largest subtree without a shown leaf stands as its one hash, in the order of
 * a left-to-right walk (DESIGN section 3).
 * merkle_partial_count: how many hashes such a tree takes.
 * merkle_partial_root: root from shown leaves and these hashes; STATUS_MALFORMED when `hash_count`
 *   isn't exactly merkle_partial_count.
 * merkle_hide: from a tree known through (`shown`, `leaves`, `hashes`) the hashes that stand when
 *   only `keep` (a subset of `shown`) is shown; writes merkle_partial_count(keep) of them.
 * merkle_merge: hashes that stand when the union of two partial trees is shown; `leaves` holds the
 *   leaves of both. */
size_t merkle_partial_count(const uint8_t *shown, size_t count);
MUST_USE enum status merkle_partial_root(const uint8_t *shown, const struct hash *leaves,
                                         size_t count, const struct hash *hashes, size_t hash_count,
                                         struct hash *root);
void merkle_hide(const uint8_t *shown, const struct hash *leaves, size_t count,
                 const struct hash *hashes, const uint8_t *keep, struct hash *out);
void merkle_merge(const uint8_t *shown_a, const struct hash *hashes_a, const uint8_t *shown_b,
                  const struct hash *hashes_b, const struct hash *leaves, size_t count,
                  struct hash *out);

/* Inclusion path of one leaf (RFC 9162 section 2.1.3), for receipts. `path` holds up to
 * MERKLE_PATH_MAX; returns how many. */
#define MERKLE_PATH_MAX 8
size_t merkle_path(const struct hash *leaves, size_t count, size_t index, struct hash *path);
/* Root that the path leads to; STATUS_MALFORMED when the path's length is wrong. */
MUST_USE enum status merkle_path_root(const struct hash *leaf, size_t index, size_t count,
                                      const struct hash *path, size_t path_count,
                                      struct hash *root);

#endif
