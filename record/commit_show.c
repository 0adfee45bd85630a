/* Showing parts of commits: withholding on the way down or up, and merging what came apart. */
#include <string.h>

#include "commit_private.h"
#include "record/commit.h"
#include "record_private.h"

/* A commit's tree by index, for the Merkle functions. */
struct tree {
  struct hash leaves[COMMIT_RECORDS_MAX];
  struct hash hashes[COMMIT_RECORDS_MAX];
};

static void tree_hashes_load(const struct commit *commit, struct hash *hashes)
{
  for (size_t i = 0; i < commit->hash_count; i++) {
    hashes[i] = commit_hash_at(commit, i);
  }
}

static void tree_load(const struct commit *commit, struct tree *tree)
{
  for (size_t i = 0; i < commit->shown_count; i++) {
    tree->leaves[commit->indexes[i]] =
        commit->leaves != NULL ? commit->leaves[i] : record_leaf(&commit->records[i]);
  }
  tree_hashes_load(commit, tree->hashes);
}

static void write_start(struct writer *writer, const struct commit *commit, size_t shown_count)
{
  writer_array(writer, 4);
  writer_bin(writer, commit->header_octets.data, commit->header_octets.size);
  writer_bin(writer, commit->signature.data, commit->signature.size);
  writer_array(writer, (uint32_t)shown_count);
}

static void write_hashes(struct writer *writer, const struct hash *hashes, size_t count)
{
  writer_array(writer, (uint32_t)count);
  for (size_t i = 0; i < count; i++) {
    writer_bin(writer, hashes[i].octets, HASH_SIZE);
  }
}

static void write_pair_start(struct writer *writer, size_t index)
{
  writer_array(writer, 2);
  writer_uint(writer, index);
}

static void write_kept_records(struct writer *writer, const struct commit *commit,
                               const uint8_t *keep, unsigned class_bit)
{
  for (size_t i = 0; i < commit->shown_count; i++) {
    if (!bitmap_get(keep, commit->indexes[i])) {
      continue;
    }
    write_pair_start(writer, commit->indexes[i]);
    if (record_write_for_class(&commit->records[i], class_bit, writer->out) != STATUS_OK) {
      writer->failed = true;
    }
  }
}

enum status commit_write_partial(const struct commit *commit,
                                 const uint8_t keep[COMMIT_BITMAP_SIZE], unsigned class_bit,
                                 struct arena *arena, struct bytes *out)
{
  uint8_t kept[COMMIT_BITMAP_SIZE] = {0};
  size_t kept_count = 0;
  for (size_t i = 0; i < commit->shown_count; i++) {
    if (bitmap_get(keep, commit->indexes[i])) {
      bitmap_set(kept, commit->indexes[i]);
      kept_count++;
    }
  }
  bool all_records = kept_count == commit->shown_count;
  if (all_records && (commit->shown_count == 0 || (commit->see_all & class_bit) != 0)) {
    return bytes_append(out, commit->octets.data, commit->octets.size);
  }
  struct tree *tree = arena_alloc(arena, sizeof(*tree));
  struct hash *hashes = arena_alloc(arena, COMMIT_RECORDS_MAX * sizeof(*hashes));
  if (tree == NULL || hashes == NULL) {
    return STATUS_NO_MEMORY;
  }
  size_t hash_count = commit->hash_count;
  if (all_records) {
    tree_hashes_load(commit, hashes);
  } else {
    tree_load(commit, tree);
    merkle_hide(commit->shown, tree->leaves, commit->header.count, tree->hashes, kept, hashes);
    hash_count = merkle_partial_count(kept, commit->header.count);
  }
  size_t mark = out->size;
  struct writer writer;
  writer_init(&writer, out);
  write_start(&writer, commit, kept_count);
  write_kept_records(&writer, commit, kept, class_bit);
  write_hashes(&writer, hashes, hash_count);
  enum status status = writer_finish(&writer);
  if (status != STATUS_OK) {
    out->size = mark;
  }
  return status;
}

/* Walks the records of both in order of index. */
static void write_union_records(struct writer *writer, const struct commit *a,
                                const struct commit *b, uint8_t *gained)
{
  size_t i = 0;
  size_t j = 0;
  while (i < a->shown_count || j < b->shown_count) {
    size_t index_a = i < a->shown_count ? a->indexes[i] : COMMIT_RECORDS_MAX;
    size_t index_b = j < b->shown_count ? b->indexes[j] : COMMIT_RECORDS_MAX;
    size_t index = index_a < index_b ? index_a : index_b;
    bool gain = false;
    write_pair_start(writer, index);
    if (index_a == index_b && a->records[i].hidden_count > 0) {
      if (record_merge(&a->records[i], &b->records[j], writer->out, &gain) != STATUS_OK) {
        writer->failed = true;
      }
    } else if (index == index_a) {
      writer_raw(writer, a->records[i].octets);
    } else {
      writer_raw(writer, b->records[j].octets);
      gain = true;
    }
    if (gain) {
      bitmap_set(gained, index);
    }
    i += index == index_a;
    j += index == index_b;
  }
}

static size_t union_count(const struct commit *a, const struct commit *b, uint8_t *shown)
{
  size_t count = 0;
  for (size_t i = 0; i < COMMIT_BITMAP_SIZE; i++) {
    shown[i] = a->shown[i] | b->shown[i];
    count += (size_t)__builtin_popcount(shown[i]);
  }
  return count;
}

enum status commit_merge(const struct commit *a, const struct commit *b, struct arena *arena,
                         struct bytes *out, uint8_t gained[COMMIT_BITMAP_SIZE])
{
  memset(gained, 0, COMMIT_BITMAP_SIZE);
  if (!hash_equal(&a->id, &b->id)) {
    return STATUS_INVALID_ARGUMENT;
  }
  if (commit_complete(a)) {
    return bytes_append(out, a->octets.data, a->octets.size);
  }
  struct hash *room = arena_alloc(arena, 3 * COMMIT_RECORDS_MAX * sizeof(*room));
  if (room == NULL) {
    return STATUS_NO_MEMORY;
  }
  struct hash *hashes_a = room;
  struct hash *hashes_b = room + COMMIT_RECORDS_MAX;
  struct hash *hashes = room + 2 * COMMIT_RECORDS_MAX;
  uint8_t shown[COMMIT_BITMAP_SIZE];
  size_t shown_count = union_count(a, b, shown);
  size_t count = a->header.count;
  tree_hashes_load(a, hashes_a);
  tree_hashes_load(b, hashes_b);
  merkle_merge(a->shown, hashes_a, b->shown, hashes_b, NULL, count, hashes);
  size_t mark = out->size;
  struct writer writer;
  writer_init(&writer, out);
  write_start(&writer, a, shown_count);
  write_union_records(&writer, a, b, gained);
  write_hashes(&writer, hashes, merkle_partial_count(shown, count));
  enum status status = writer_finish(&writer);
  if (status == STATUS_OK && out->size - mark > COMMIT_BYTES_MAX) {
    status = STATUS_TOO_LARGE;
  }
  if (status != STATUS_OK) {
    out->size = mark;
    memset(gained, 0, COMMIT_BITMAP_SIZE);
  }
  return status;
}
