/* The recursions go as deep as the tree is high: 8 for a commit's 256 leaves. */
#include "hash_base.h"
#include "record/check.h"

/* The largest power of two below `count` >= 2: how many leaves the left half has. */
static size_t merkle_split(size_t count)
{
  size_t left = 1;
  while (left * 2 < count) {
    left *= 2;
  }
  return left;
}

/* Whether any of the bits from `first` on, `count` of them, is set. */
static bool bits_any(const uint8_t *bits, size_t first, size_t count)
{
  size_t i = first;
  size_t end = first + count;
  while (i < end) {
    if (i % 8 == 0 && end - i >= 8) {
      if (bits[i / 8] != 0) {
        return true;
      }
      i += 8;
    } else {
      if ((bits[i / 8] >> (i % 8)) & 1) {
        return true;
      }
      i++;
    }
  }
  return false;
}

struct hash hash_base_root(const struct hash_base *base, const struct hash *leaves, size_t count)
{
  if (count == 1) {
    return leaves[0];
  }
  size_t left = merkle_split(count);
  struct hash first = hash_base_root(base, leaves, left);
  struct hash second = hash_base_root(base, leaves + left, count - left);
  return hash_base_node(base, &first, &second);
}

struct hash merkle_root(const struct hash *leaves, size_t count)
{
  struct hash_base base;
  CHECK(count >= 1);
  hash_base_init(&base);
  return hash_base_root(&base, leaves, count);
}

static size_t partial_count(const uint8_t *shown, size_t first, size_t count)
{
  if (!bits_any(shown, first, count)) {
    return 1;
  }
  if (count == 1) {
    return 0;
  }
  size_t left = merkle_split(count);
  return partial_count(shown, first, left) + partial_count(shown, first + left, count - left);
}

size_t merkle_partial_count(const uint8_t *shown, size_t count)
{
  CHECK(count >= 1);
  return partial_count(shown, 0, count);
}

/* A partial tree and how many of its hashes the walk has met. */
struct partial_walk {
  struct hash_base base;
  const uint8_t *shown;
  const struct hash *leaves;
  const struct hash *hashes;
  size_t met;
};

static void partial_walk_init(struct partial_walk *walk, const uint8_t *shown,
                              const struct hash *leaves, const struct hash *hashes)
{
  hash_base_init(&walk->base);
  walk->shown = shown;
  walk->leaves = leaves;
  walk->hashes = hashes;
  walk->met = 0;
}

static struct hash partial_root(struct partial_walk *walk, size_t first, size_t count)
{
  if (!bits_any(walk->shown, first, count)) {
    return walk->hashes[walk->met++];
  }
  if (count == 1) {
    return walk->leaves[first];
  }
  size_t left = merkle_split(count);
  struct hash before = partial_root(walk, first, left);
  struct hash after = partial_root(walk, first + left, count - left);
  return hash_base_node(&walk->base, &before, &after);
}

enum status merkle_partial_root(const uint8_t *shown, const struct hash *leaves, size_t count,
                                const struct hash *hashes, size_t hash_count, struct hash *root)
{
  if (merkle_partial_count(shown, count) != hash_count) {
    return STATUS_MALFORMED;
  }
  struct partial_walk walk;
  partial_walk_init(&walk, shown, leaves, hashes);
  *root = partial_root(&walk, 0, count);
  return STATUS_OK;
}

static struct hash *hide_walk(struct partial_walk *walk, const uint8_t *keep, size_t first,
                              size_t count, struct hash *out)
{
  if (!bits_any(keep, first, count)) {
    *out = partial_root(walk, first, count);
    return out + 1;
  }
  if (count == 1) {
    return out;
  }
  size_t left = merkle_split(count);
  out = hide_walk(walk, keep, first, left, out);
  return hide_walk(walk, keep, first + left, count - left, out);
}

void merkle_hide(const uint8_t *shown, const struct hash *leaves, size_t count,
                 const struct hash *hashes, const uint8_t *keep, struct hash *out)
{
  CHECK(count >= 1);
  struct partial_walk walk;
  partial_walk_init(&walk, shown, leaves, hashes);
  (void)hide_walk(&walk, keep, 0, count, out);
}

/* One side of a merge. `covered`: a hash met further up stands for this range already. */
struct merge_side {
  const uint8_t *shown;
  const struct hash *next;
};

/* Where the union hides a range, at least one side isn't covered: if both were, the smaller of the
 * two covering ranges would be hidden in the union itself. That side's hash stands. */
static struct hash *merge_walk(struct merge_side *a, bool a_covered, struct merge_side *b,
                               bool b_covered, size_t first, size_t count, struct hash *out)
{
  bool a_any = !a_covered && bits_any(a->shown, first, count);
  bool b_any = !b_covered && bits_any(b->shown, first, count);
  const struct hash *hash = NULL;
  if (!a_covered && !a_any) {
    hash = a->next++;
  }
  if (!b_covered && !b_any) {
    hash = b->next++;
  }
  if (!a_any && !b_any) {
    CHECK(hash != NULL);
    *out = *hash;
    return out + 1;
  }
  if (count == 1) {
    return out;
  }
  size_t left = merkle_split(count);
  out = merge_walk(a, !a_any, b, !b_any, first, left, out);
  return merge_walk(a, !a_any, b, !b_any, first + left, count - left, out);
}

void merkle_merge(const uint8_t *shown_a, const struct hash *hashes_a, const uint8_t *shown_b,
                  const struct hash *hashes_b, const struct hash *leaves, size_t count,
                  struct hash *out)
{
  CHECK(count >= 1);
  (void)leaves; /* what the union hides stands as a hash in one of the two */
  struct merge_side a = {shown_a, hashes_a};
  struct merge_side b = {shown_b, hashes_b};
  (void)merge_walk(&a, false, &b, false, 0, count, out);
}

size_t merkle_path(const struct hash *leaves, size_t count, size_t index, struct hash *path)
{
  CHECK(index < count);
  if (count == 1) {
    return 0;
  }
  size_t left = merkle_split(count);
  size_t used = 0;
  if (index < left) {
    used = merkle_path(leaves, left, index, path);
    path[used] = merkle_root(leaves + left, count - left);
  } else {
    used = merkle_path(leaves + left, count - left, index - left, path);
    path[used] = merkle_root(leaves, left);
  }
  return used + 1;
}

/* RFC 9162 section 2.1.3.2. */
enum status merkle_path_root(const struct hash *leaf, size_t index, size_t count,
                             const struct hash *path, size_t path_count, struct hash *root)
{
  if (index >= count) {
    return STATUS_MALFORMED;
  }
  size_t place = index;
  size_t last = count - 1;
  struct hash hash = *leaf;
  for (size_t i = 0; i < path_count; i++) {
    if (last == 0) {
      return STATUS_MALFORMED;
    }
    if (place % 2 == 1 || place == last) {
      hash = hash_node(&path[i], &hash);
      while (place % 2 == 0 && place != 0) {
        place /= 2;
        last /= 2;
      }
    } else {
      hash = hash_node(&hash, &path[i]);
    }
    place /= 2;
    last /= 2;
  }
  if (last != 0) {
    return STATUS_MALFORMED;
  }
  *root = hash;
  return STATUS_OK;
}
