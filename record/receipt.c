#include "record/receipt.h"

#include <string.h>

#include "codec_inline.h"
#include "commit_private.h"
#include "record_private.h"

#define RECEIPT_FIELDS 9
#define RECEIPT_CERTIFICATES_MAX (CERTIFICATE_CHAIN_MAX * 2)

/* The path of `index`, leaf first, from a tree of which parts may be withheld. Hiding all others
 * gives the path's hashes from left to right: those on the left root first, then those on the
 * right leaf first. */
static size_t receipt_path(const struct commit *commit, size_t index, struct arena *arena,
                           struct hash *path)
{
  struct hash *room = arena_alloc(arena, (2 * COMMIT_RECORDS_MAX + 8) * sizeof(*room));
  if (room == NULL) {
    return SIZE_MAX;
  }
  struct hash *leaves = room;
  struct hash *hashes = room + COMMIT_RECORDS_MAX;
  struct hash siblings[MERKLE_PATH_MAX];
  for (size_t i = 0; i < commit->shown_count; i++) {
    leaves[commit->indexes[i]] =
        commit->leaves != NULL ? commit->leaves[i] : record_leaf(&commit->records[i]);
  }
  for (size_t i = 0; i < commit->hash_count; i++) {
    hashes[i] = commit_hash_at(commit, i);
  }
  uint8_t keep[COMMIT_BITMAP_SIZE] = {0};
  bitmap_set(keep, index);
  merkle_hide(commit->shown, leaves, commit->header.count, hashes, keep, siblings);
  bool right[MERKLE_PATH_MAX]; /* root first: whether the sibling is on the right */
  size_t levels = 0;
  size_t lefts = 0;
  size_t place = index;
  for (size_t count = commit->header.count; count > 1; levels++) {
    size_t left = 1;
    while (left * 2 < count) {
      left *= 2;
    }
    right[levels] = place < left;
    lefts += !right[levels];
    place = right[levels] ? place : place - left;
    count = right[levels] ? left : count - left;
  }
  size_t rights = lefts;
  for (size_t i = 0; i < levels; i++) {
    path[i] = right[levels - 1 - i] ? siblings[rights++] : siblings[--lefts];
  }
  return levels;
}

static bool cosignature_shows(struct bytes_view octets, size_t index)
{
  struct cosignature cosignature;
  return cosignature_read(octets, &cosignature) == STATUS_OK &&
         index / 8 < cosignature.shown.size && bitmap_get(cosignature.shown.data, index);
}

static const struct record *receipt_record(const struct commit *commit, uint16_t index)
{
  for (size_t i = 0; i < commit->shown_count; i++) {
    if (commit->indexes[i] == index) {
      return &commit->records[i];
    }
  }
  return NULL;
}

static void write_commitments(struct writer *writer, const struct record *record)
{
  struct bytes_view rest = record->items_octets;
  struct item item;
  writer_array(writer, record->item_count);
  while (record_item_next(&rest, &item)) {
    struct hash hash = item.shown ? item_commitment(item.octets) : item.commitment;
    writer_bin(writer, hash.octets, HASH_SIZE);
  }
}

enum status receipt_write(const struct commit *commit, uint16_t index,
                          const struct bytes_view *certificates, size_t certificate_count,
                          const struct bytes_view *cosignatures, size_t cosignature_count,
                          struct arena *arena, struct bytes *out)
{
  const struct record *record = receipt_record(commit, index);
  size_t showing = 0;
  for (size_t i = 0; i < cosignature_count; i++) {
    showing += cosignature_shows(cosignatures[i], index);
  }
  if (record == NULL || certificate_count > RECEIPT_CERTIFICATES_MAX ||
      showing > RECEIPT_COSIGNATURES_MAX) {
    return STATUS_INVALID_ARGUMENT;
  }
  struct hash path[MERKLE_PATH_MAX];
  size_t path_count = receipt_path(commit, index, arena, path);
  if (path_count == SIZE_MAX) {
    return STATUS_NO_MEMORY;
  }
  size_t mark = out->size;
  struct writer writer;
  writer_init(&writer, out);
  writer_array(&writer, RECEIPT_FIELDS);
  writer_uint(&writer, 1);
  writer_bin(&writer, commit->header_octets.data, commit->header_octets.size);
  writer_bin(&writer, commit->signature.data, commit->signature.size);
  writer_uint(&writer, index);
  writer_bin(&writer, record->header_octets.data, record->header_octets.size);
  write_commitments(&writer, record);
  writer_array(&writer, (uint32_t)path_count);
  for (size_t i = 0; i < path_count; i++) {
    writer_bin(&writer, path[i].octets, HASH_SIZE);
  }
  writer_array(&writer, (uint32_t)certificate_count);
  for (size_t i = 0; i < certificate_count; i++) {
    writer_raw(&writer, certificates[i]);
  }
  writer_array(&writer, (uint32_t)showing);
  for (size_t i = 0; i < cosignature_count; i++) {
    if (cosignature_shows(cosignatures[i], index)) {
      writer_raw(&writer, cosignatures[i]);
    }
  }
  enum status status = writer_finish(&writer);
  if (status != STATUS_OK) {
    out->size = mark;
  }
  return status;
}
