/*
 * Hash states that have taken in the domain octet already. A commit makes some 700 hashes of one
 * or two blocks each; copying a state costs a fraction of initialising one.
 */
#ifndef RECORD_HASH_BASE_H
#define RECORD_HASH_BASE_H

#include <sodium.h>

#include "record/hash.h"

struct hash_base {
  crypto_generichash_blake2b_state leaf;
  crypto_generichash_blake2b_state node;
  crypto_generichash_blake2b_state item;
};

void hash_base_init(struct hash_base *base);
/* As hash_of(HASH_ITEM), hash_node, hash_leaf and merkle_root. */
struct hash hash_base_item(const struct hash_base *base, struct bytes_view item);
struct hash hash_base_node(const struct hash_base *base, const struct hash *left,
                           const struct hash *right);
struct hash hash_base_leaf(const struct hash_base *base, struct bytes_view header,
                           const struct hash *commitments, size_t count);
struct hash hash_base_root(const struct hash_base *base, const struct hash *leaves, size_t count);

#endif
