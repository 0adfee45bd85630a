#include "record/hash.h"

#include <sodium.h>
#include <string.h>

#include "hash_base.h"

bool hash_equal(const struct hash *a, const struct hash *b)
{
  return memcmp(a->octets, b->octets, HASH_SIZE) == 0;
}

bool hash_is_zero(const struct hash *hash)
{
  static const struct hash zero;
  return hash_equal(hash, &zero);
}

/* H over two pieces; none of libsodium's calls can fail with these sizes. */
static struct hash hash_pieces(struct bytes_view first, struct bytes_view second)
{
  struct hash hash;
  crypto_generichash_blake2b_state state;
  (void)crypto_generichash_blake2b_init(&state, NULL, 0, HASH_SIZE);
  if (first.size > 0) {
    (void)crypto_generichash_blake2b_update(&state, first.data, first.size);
  }
  if (second.size > 0) {
    (void)crypto_generichash_blake2b_update(&state, second.data, second.size);
  }
  (void)crypto_generichash_blake2b_final(&state, hash.octets, HASH_SIZE);
  return hash;
}

struct hash hash_of(enum hash_domain domain, struct bytes_view view)
{
  uint8_t prefix = (uint8_t)domain;
  return hash_pieces(bytes_view_of(&prefix, 1), view);
}

struct hash hash_plain(struct bytes_view view)
{
  return hash_pieces(view, (struct bytes_view){0});
}

static void base_state_init(crypto_generichash_blake2b_state *state, enum hash_domain domain)
{
  uint8_t prefix = (uint8_t)domain;
  (void)crypto_generichash_blake2b_init(state, NULL, 0, HASH_SIZE);
  (void)crypto_generichash_blake2b_update(state, &prefix, 1);
}

void hash_base_init(struct hash_base *base)
{
  base_state_init(&base->leaf, HASH_LEAF);
  base_state_init(&base->node, HASH_NODE);
  base_state_init(&base->item, HASH_ITEM);
}

struct hash hash_base_item(const struct hash_base *base, struct bytes_view item)
{
  struct hash hash;
  crypto_generichash_blake2b_state state = base->item;
  (void)crypto_generichash_blake2b_update(&state, item.data, item.size);
  (void)crypto_generichash_blake2b_final(&state, hash.octets, HASH_SIZE);
  return hash;
}

struct hash hash_base_node(const struct hash_base *base, const struct hash *left,
                           const struct hash *right)
{
  struct hash hash;
  struct hash children[2] = {*left, *right};
  crypto_generichash_blake2b_state state = base->node;
  (void)crypto_generichash_blake2b_update(&state, children[0].octets, sizeof(children));
  (void)crypto_generichash_blake2b_final(&state, hash.octets, HASH_SIZE);
  return hash;
}

struct hash hash_base_leaf(const struct hash_base *base, struct bytes_view header,
                           const struct hash *commitments, size_t count)
{
  struct hash hash;
  uint32_t size = (uint32_t)header.size;
  uint8_t length[4] = {(uint8_t)size, (uint8_t)(size >> 8), (uint8_t)(size >> 16),
                       (uint8_t)(size >> 24)};
  crypto_generichash_blake2b_state state = base->leaf;
  (void)crypto_generichash_blake2b_update(&state, length, sizeof(length));
  (void)crypto_generichash_blake2b_update(&state, header.data, header.size);
  (void)crypto_generichash_blake2b_update(&state, commitments[0].octets, count * HASH_SIZE);
  (void)crypto_generichash_blake2b_final(&state, hash.octets, HASH_SIZE);
  return hash;
}

struct hash hash_node(const struct hash *left, const struct hash *right)
{
  struct hash_base base;
  base_state_init(&base.node, HASH_NODE);
  return hash_base_node(&base, left, right);
}

struct hash hash_leaf(struct bytes_view header, const struct hash *commitments, size_t count)
{
  struct hash_base base;
  base_state_init(&base.leaf, HASH_LEAF);
  return hash_base_leaf(&base, header, commitments, count);
}

void hash_tag_next(uint8_t tag[16], const struct hash *commit_id)
{
  uint8_t octets[16 + HASH_SIZE];
  memcpy(octets, tag, 16);
  memcpy(octets + 16, commit_id->octets, HASH_SIZE);
  struct hash next = hash_of(HASH_TAG, bytes_view_of(octets, sizeof(octets)));
  memcpy(tag, next.octets, 16);
}
