/* Commits as held: a head that says what is shown, and the zstd frame as it came. */
#include <stdlib.h>

#include "record/codec.h"
#include "state.h"

enum status commit_value_get(const struct store_txn *txn, uint32_t log, uint64_t seq,
                             struct commit_value *out)
{
  struct bytes_view value;
  uint8_t key[COMMIT_KEY_SIZE];
  enum status status;

  layout_commit_key(log, seq, key);
  status = db_get(txn, TABLE_COMMITS, key, sizeof(key), &value);
  if (status != STATUS_OK)
    return status;
  return layout_commit_read(value, out) ? STATUS_OK : STATUS_CORRUPT;
}

enum status commit_value_inflate(const struct store_txn *txn, const struct commit_value *value,
                                 struct arena *arena, struct bytes_view *octets)
{
  struct scratch *scratch = txn->scratch;
  uint8_t *room = arena_alloc(arena, value->raw_size);
  size_t size;

  if (scratch->inflate == NULL)
    scratch->inflate = ZSTD_createDCtx();
  if (room == NULL || scratch->inflate == NULL)
    return STATUS_NO_MEMORY;
  size = ZSTD_decompressDCtx(scratch->inflate, room, value->raw_size, value->frame.data,
                             value->frame.size);
  if (ZSTD_isError(size) || size != value->raw_size)
    return STATUS_CORRUPT;
  *octets = bytes_view_of(room, size);
  return STATUS_OK;
}

enum status commit_deflate(const struct store_txn *txn, struct bytes_view octets, int level,
                           struct bytes_view *frame)
{
  struct scratch *scratch = txn->scratch;
  size_t bound = ZSTD_compressBound(octets.size);
  size_t size;

  if (scratch->deflate == NULL)
    scratch->deflate = ZSTD_createCCtx();
  bytes_clear(&scratch->frame);
  if (scratch->deflate == NULL || bytes_reserve(&scratch->frame, bound) != STATUS_OK)
    return STATUS_NO_MEMORY;
  size = ZSTD_compressCCtx(scratch->deflate, scratch->frame.data, scratch->frame.capacity,
                           octets.data, octets.size, level);
  if (ZSTD_isError(size))
    return STATUS_NO_MEMORY;
  *frame = bytes_view_of(scratch->frame.data, size);
  return STATUS_OK;
}

uint8_t commit_empty_flag(const struct commit *commit)
{
  for (size_t i = 0; i < commit->shown_count; i++) {
    if (commit->records[i].hidden_count != commit->records[i].item_count)
      return 0;
  }
  return commit->shown_count > 0 ? COMMIT_EMPTY : 0;
}

enum status commit_value_put(struct store_txn *txn, uint32_t log, const struct commit *commit,
                             uint32_t certificate, struct wall_ms arrived_at, uint8_t trimmed,
                             struct bytes_view frame)
{
  struct commit_value value = {
      .flags = trimmed,
      .see_all = commit->see_all,
      .count = commit->header.count,
      .shown_count = commit->shown_count,
      .certificate = certificate,
      .raw_size = (uint32_t)commit->octets.size,
      .arrived_at = arrived_at,
      .id = commit->id,
  };
  uint8_t key[COMMIT_KEY_SIZE];
  uint8_t head[COMMIT_VALUE_HEAD_MAX];
  uint8_t *room;
  size_t head_size;
  enum status status;

  if (commit->shown_count == commit->header.count)
    value.flags |= COMMIT_ALL_SHOWN;
  if (commit->items_hidden)
    value.flags |= COMMIT_ITEMS_HIDDEN | commit_empty_flag(commit);
  memcpy(value.shown, commit->shown, sizeof(value.shown));
  head_size = layout_commit_write_head(&value, head);
  layout_commit_key(log, commit->header.seq, key);
  status = db_reserve(txn, TABLE_COMMITS, key, sizeof(key), head_size + frame.size, &room);
  if (status != STATUS_OK)
    return status;
  memcpy(room, head, head_size);
  memcpy(room + head_size, frame.data, frame.size);
  return STATUS_OK;
}

void commit_parsed_forget(const struct store_txn *txn)
{
  txn->scratch->loader.seq = 0;
}

enum status commit_parsed(const struct store_txn *txn, uint32_t log, uint64_t seq,
                          const struct commit **out)
{
  struct loader *loader = &txn->scratch->loader;
  struct commit_value value;
  struct bytes_view octets;
  enum status status;

  *out = &loader->commit;
  if (loader->seq == seq && loader->log == log && seq != 0)
    return STATUS_OK;
  loader->seq = 0;
  arena_reset(&loader->arena);
  status = commit_value_get(txn, log, seq, &value);
  if (status == STATUS_OK)
    status = commit_value_inflate(txn, &value, &loader->arena, &octets);
  if (status == STATUS_OK &&
      commit_read_trusted(octets, &loader->arena, &loader->commit) != VERDICT_OK)
    status = STATUS_CORRUPT;
  if (status != STATUS_OK)
    return status;
  loader->log = log;
  loader->seq = seq;
  return STATUS_OK;
}

bool commit_place(const struct commit *commit, unsigned index, size_t *place)
{
  size_t low = 0;
  size_t high = commit->shown_count;

  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (commit->indexes[middle] < index)
      low = middle + 1;
    else
      high = middle;
  }
  *place = low;
  return low < commit->shown_count && commit->indexes[low] == index;
}

enum status commit_rewrite(const struct commit *commit, const struct bytes_view *records,
                           struct bytes *out)
{
  struct writer writer;
  struct hash hash;

  writer_init(&writer, out);
  writer_array(&writer, 4);
  writer_bin(&writer, commit->header_octets.data, commit->header_octets.size);
  writer_bin(&writer, commit->signature.data, commit->signature.size);
  writer_array(&writer, commit->shown_count);
  for (size_t i = 0; i < commit->shown_count; i++) {
    writer_array(&writer, 2);
    writer_uint(&writer, commit->indexes[i]);
    writer_raw(&writer, records[i]);
  }
  writer_array(&writer, commit->hash_count);
  for (size_t i = 0; i < commit->hash_count; i++) {
    hash = commit_hash_at(commit, i);
    writer_bin(&writer, hash.octets, HASH_SIZE);
  }
  return writer_finish(&writer);
}

enum status store_commit_load(const struct store_txn *txn, uint32_t log, uint64_t seq,
                              struct arena *arena, struct bytes_view *octets)
{
  struct commit_value value;
  enum status status = commit_value_get(txn, log, seq, &value);

  if (status != STATUS_OK)
    return status;
  return commit_value_inflate(txn, &value, arena, octets);
}
