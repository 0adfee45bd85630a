/*
 * What leaves: a held commit as one neighbour may see it. Where that is all that is held, the
 * frame goes out untouched, as it came in.
 */
#include "state.h"

#define LEVEL_FAST 1

static enum status part_write(const struct store_txn *txn, const struct commit_value *value,
                              const uint8_t *shown, unsigned class_bit, struct arena *arena,
                              struct outgoing *out)
{
  struct scratch *scratch = txn->scratch;
  struct bytes_view octets;
  struct bytes_view frame;
  struct commit commit;
  const void *copy;
  enum status status;

  arena_reset(&scratch->arena);
  bytes_clear(&scratch->octets);
  status = commit_value_inflate(txn, value, &scratch->arena, &octets);
  if (status != STATUS_OK)
    return status;
  if (commit_read_trusted(octets, &scratch->arena, &commit) != VERDICT_OK)
    return STATUS_CORRUPT;
  status = commit_write_partial(&commit, shown, class_bit, &scratch->arena, &scratch->octets);
  if (status == STATUS_OK)
    status = commit_deflate(txn, bytes_as_view(&scratch->octets), LEVEL_FAST, &frame);
  if (status != STATUS_OK)
    return status;
  copy = arena_copy(arena, frame.data, frame.size);
  if (copy == NULL)
    return STATUS_NO_MEMORY;
  out->zstd = bytes_view_of(copy, frame.size);
  out->raw_size = (uint32_t)scratch->octets.size;
  return STATUS_OK;
}

enum status outgoing_write(const struct store_txn *txn, const struct commit_value *value,
                           const uint8_t *shown, unsigned class_bit, struct arena *arena,
                           struct outgoing *out)
{
  uint8_t kept[COMMIT_BITMAP_SIZE];
  bool whole = true;
  enum status status = certificate_id(txn, value->certificate, &out->certificate);

  if (status != STATUS_OK)
    return status;
  for (size_t i = 0; i < sizeof(kept); i++) {
    kept[i] = shown == NULL ? value->shown[i] : value->shown[i] & shown[i];
    whole = whole && kept[i] == value->shown[i];
  }
  out->commit_id = value->id;
  out->records = (uint16_t)bitmap_count(kept);
  out->raw_size = value->raw_size;
  out->zstd = value->frame;
  if (whole && (value->shown_count == 0 || (value->see_all & class_bit) == class_bit))
    return STATUS_OK;
  return part_write(txn, value, kept, class_bit, arena, out);
}
