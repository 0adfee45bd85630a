#include "record/commit.h"

#include <string.h>

#include "codec_inline.h"
#include "commit_private.h"
#include "record/check.h"
#include "record_private.h"

#define HEADER_FIELDS 10

bool commit_header_read(struct bytes_view octets, struct commit_header *out)
{
  struct reader reader = {octets.data, octets.data + octets.size};
  uint32_t fields = 0;
  uint64_t version = 0;
  uint64_t lane = 0;
  uint64_t count = 0;
  const uint8_t *origin = NULL;
  const uint8_t *store = NULL;
  const uint8_t *prev = NULL;
  const uint8_t *certificate = NULL;
  const uint8_t *root = NULL;
  if (octets.size > COMMIT_HEADER_MAX || !take_array(&reader, &fields) || fields < HEADER_FIELDS ||
      !take_uint_max(&reader, UINT8_MAX, &version) || version < 1 ||
      (version == 1 && fields != HEADER_FIELDS) || !take_bin_exact(&reader, KEY_SIZE, &origin) ||
      !take_bin_exact(&reader, STORE_ID_SIZE, &store) ||
      !take_uint_max(&reader, LANE_COUNT - 1, &lane) || !take_uint(&reader, &out->seq) ||
      out->seq < 1 || !take_bin_exact(&reader, HASH_SIZE, &prev) ||
      !take_uint(&reader, &out->hlc) || !take_bin_exact(&reader, HASH_SIZE, &certificate) ||
      !take_uint_max(&reader, COMMIT_RECORDS_MAX, &count) || count < 1 ||
      !take_bin_exact(&reader, HASH_SIZE, &root)) {
    return false;
  }
  for (uint32_t i = HEADER_FIELDS; i < fields; i++) {
    if (!codec_value_check(&reader, true)) {
      return false;
    }
  }
  memcpy(out->origin.octets, origin, KEY_SIZE);
  memcpy(out->store.octets, store, STORE_ID_SIZE);
  memcpy(out->prev.octets, prev, HASH_SIZE);
  memcpy(out->certificate.octets, certificate, HASH_SIZE);
  memcpy(out->root.octets, root, HASH_SIZE);
  out->lane = (uint8_t)lane;
  out->count = (uint16_t)count;
  return reader_at_end(&reader);
}

struct hash commit_hash_at(const struct commit *commit, size_t i)
{
  CHECK(i < commit->hash_count);
  struct hash hash;
  memcpy(hash.octets, commit->hashes + i * COMMIT_HASH_STRIDE + 2, HASH_SIZE);
  return hash;
}

static bool commit_alloc(struct arena *arena, uint32_t shown, bool leaves, struct commit *out)
{
  out->indexes = arena_alloc(arena, shown * sizeof(*out->indexes));
  out->records = arena_alloc(arena, shown * sizeof(*out->records));
  out->leaves = leaves ? arena_alloc(arena, shown * sizeof(*out->leaves)) : NULL;
  return out->indexes != NULL && out->records != NULL && (!leaves || out->leaves != NULL);
}

/* `base` is NULL for octets of our own store: form only, no leaves. */
static bool commit_records_take(struct reader *reader, struct arena *arena,
                                const struct hash_base *base, struct commit *out)
{
  uint32_t shown = 0;
  if (!take_array(reader, &shown) || shown > out->header.count ||
      !commit_alloc(arena, shown, base != NULL, out)) {
    return false;
  }
  enum record_check check = base == NULL ? RECORD_CHECK_FORM : RECORD_CHECK_ALL;
  uint64_t lowest = 0;
  for (uint32_t i = 0; i < shown; i++) {
    uint64_t index = 0;
    struct record *record = &out->records[i];
    if (!take_array_of(reader, 2) || !take_uint(reader, &index) || index < lowest ||
        index >= out->header.count ||
        record_take(reader, check, base, record, base == NULL ? NULL : &out->leaves[i]) !=
            STATUS_OK) {
      return false;
    }
    lowest = index + 1;
    out->indexes[i] = (uint16_t)index;
    bitmap_set(out->shown, index);
    out->see_all &= record->see_all;
    out->items_hidden = out->items_hidden || record->hidden_count > 0;
    out->size_max += record->size_max - (uint32_t)record->octets.size;
  }
  out->shown_count = (uint16_t)shown;
  return true;
}

static bool commit_hashes_take(struct reader *reader, struct commit *out)
{
  uint32_t count = 0;
  const uint8_t *hash = NULL;
  if (!take_array(reader, &count) || count != merkle_partial_count(out->shown, out->header.count)) {
    return false;
  }
  out->hashes = reader->at;
  out->hash_count = (uint16_t)count;
  for (uint32_t i = 0; i < count; i++) {
    if (!take_bin_exact(reader, HASH_SIZE, &hash)) {
      return false;
    }
  }
  return true;
}

static bool commit_root_matches(const struct commit *commit, const struct hash_base *base)
{
  struct hash root;
  if (commit->shown_count == commit->header.count) {
    root = hash_base_root(base, commit->leaves, commit->header.count);
    return hash_equal(&root, &commit->header.root);
  }
  struct hash leaves[COMMIT_RECORDS_MAX];
  struct hash hashes[COMMIT_RECORDS_MAX];
  for (size_t i = 0; i < commit->shown_count; i++) {
    leaves[commit->indexes[i]] = commit->leaves[i];
  }
  for (size_t i = 0; i < commit->hash_count; i++) {
    hashes[i] = commit_hash_at(commit, i);
  }
  return merkle_partial_root(commit->shown, leaves, commit->header.count, hashes,
                             commit->hash_count, &root) == STATUS_OK &&
         hash_equal(&root, &commit->header.root);
}

static enum verdict commit_take(struct bytes_view octets, struct arena *arena,
                                const struct hash_base *base, struct commit *out)
{
  *out = (struct commit){.octets = octets, .see_all = SEE_ALL};
  struct reader reader = reader_of(octets);
  const uint8_t *signature = NULL;
  if (octets.size > COMMIT_BYTES_MAX || !take_array_of(&reader, 4) ||
      !take_bin(&reader, &out->header_octets) ||
      !commit_header_read(out->header_octets, &out->header) ||
      !take_bin_exact(&reader, SIGNATURE_SIZE, &signature) ||
      !commit_records_take(&reader, arena, base, out) || !commit_hashes_take(&reader, out) ||
      !reader_at_end(&reader)) {
    return VERDICT_MALFORMED;
  }
  out->signature = bytes_view_of(signature, SIGNATURE_SIZE);
  out->size_max += (uint32_t)octets.size;
  if (out->size_max > COMMIT_BYTES_MAX) {
    return VERDICT_MALFORMED;
  }
  out->id = hash_of(HASH_COMMIT, out->header_octets);
  return base == NULL || commit_root_matches(out, base) ? VERDICT_OK : VERDICT_BAD_ROOT;
}

enum verdict commit_read(struct bytes_view octets, struct arena *arena, struct commit *out)
{
  struct hash_base base;
  hash_base_init(&base);
  return commit_take(octets, arena, &base, out);
}

enum verdict commit_read_trusted(struct bytes_view octets, struct arena *arena, struct commit *out)
{
  return commit_take(octets, arena, NULL, out);
}

bool commit_signature_valid(struct bytes_view header_octets, struct bytes_view signature,
                            const struct node_key *origin)
{
  struct signed_text text;
  signed_text_init(&text, COMMIT_SIGNED_PREFIX);
  signed_text_add(&text, header_octets.data, header_octets.size);
  return signed_text_verify(&text, signature.data, origin);
}

enum verdict commit_check_signature(const struct commit *commit)
{
  bool valid =
      commit_signature_valid(commit->header_octets, commit->signature, &commit->header.origin);
  return valid ? VERDICT_OK : VERDICT_BAD_SIGNATURE;
}

enum status commit_read_header(struct bytes_view octets, struct commit_header *out, struct hash *id)
{
  struct reader reader = reader_of(octets);
  struct bytes_view header;
  if (!take_array_of(&reader, 4) || !take_bin(&reader, &header) ||
      !commit_header_read(header, out)) {
    return STATUS_MALFORMED;
  }
  *id = hash_of(HASH_COMMIT, header);
  return STATUS_OK;
}
