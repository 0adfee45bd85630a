#include "record/hash.h"

#include <sodium.h>
#include <string.h>

bool hash_equal(const struct hash *a, const struct hash *b)
{
  return memcmp(a->octets, b->octets, HASH_SIZE) == 0;
}

bool hash_is_zero(const struct hash *hash)
{
  static const struct hash zero;
  return hash_equal(hash, &zero);
}

/* H over up to three pieces; none of libsodium's calls can fail with these sizes. */
static struct hash hash_pieces(struct bytes_view first, struct bytes_view second,
                               struct bytes_view third)
{
  struct hash hash;
  crypto_generichash_blake2b_state state;
  (void)crypto_generichash_blake2b_init(&state, NULL, 0, HASH_SIZE);
  (void)crypto_generichash_blake2b_update(&state, first.data, first.size);
  if (second.size > 0) {
    (void)crypto_generichash_blake2b_update(&state, second.data, second.size);
  }
  if (third.size > 0) {
    (void)crypto_generichash_blake2b_update(&state, third.data, third.size);
  }
  (void)crypto_generichash_blake2b_final(&state, hash.octets, HASH_SIZE);
  return hash;
}

struct hash hash_of(enum hash_domain domain, struct bytes_view view)
{
  uint8_t prefix = (uint8_t)domain;
  return hash_pieces(bytes_view_of(&prefix, 1), view, (struct bytes_view){0});
}

struct hash hash_plain(struct bytes_view view)
{
  return hash_pieces(view, (struct bytes_view){0}, (struct bytes_view){0});
}

struct hash hash_node(const struct hash *left, const struct hash *right)
{
  uint8_t octets[1 + 2 * HASH_SIZE];
  octets[0] = HASH_NODE;
  memcpy(octets + 1, left->octets, HASH_SIZE);
  memcpy(octets + 1 + HASH_SIZE, right->octets, HASH_SIZE);
  return hash_plain(bytes_view_of(octets, sizeof(octets)));
}

struct hash hash_leaf(struct bytes_view header, const struct hash *commitments, size_t count)
{
  uint32_t size = (uint32_t)header.size;
  uint8_t prefix[5] = {HASH_LEAF, (uint8_t)size, (uint8_t)(size >> 8), (uint8_t)(size >> 16),
                       (uint8_t)(size >> 24)};
  return hash_pieces(bytes_view_of(prefix, sizeof(prefix)), header,
                     bytes_view_of(commitments, count * HASH_SIZE));
}

void hash_tag_next(uint8_t tag[16], const struct hash *commit_id)
{
  uint8_t octets[16 + HASH_SIZE];
  memcpy(octets, tag, 16);
  memcpy(octets + 16, commit_id->octets, HASH_SIZE);
  struct hash next = hash_of(HASH_TAG, bytes_view_of(octets, sizeof(octets)));
  memcpy(tag, next.octets, 16);
}
