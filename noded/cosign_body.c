#include "noded/cosign_body.h"

#include <string.h>

#include "record/codec.h"
#include "record/receipt.h"

static void write_ask(struct writer *writer, const struct trim_ask *ask)
{
  writer_array(writer, 4);
  writer_array(writer, 3);
  writer_bin(writer, ask->id.origin.octets, KEY_SIZE);
  writer_bin(writer, ask->id.store.octets, STORE_ID_SIZE);
  writer_uint(writer, ask->id.lane);
  writer_uint(writer, ask->seq);
  writer_bin(writer, ask->commit_id.octets, HASH_SIZE);
  writer_array(writer, (uint32_t)ask->want_count);
  for (size_t i = 0; i < ask->want_count; i++) {
    writer_array(writer, 2);
    writer_uint(writer, ask->wants[i].index);
    writer_bin(writer, ask->wants[i].see.data, ask->wants[i].see.size);
  }
}

enum status cosign_write_asks(const struct trim_ask *asks, size_t count, struct bytes *out)
{
  struct writer writer;
  writer_init(&writer, out);
  writer_array(&writer, (uint32_t)count);
  for (size_t i = 0; i < count; i++) {
    write_ask(&writer, &asks[i]);
  }
  return writer_finish(&writer);
}

static bool take_octets(struct reader *reader, void *out, size_t size)
{
  const uint8_t *octets;
  if (!reader_bin_exact(reader, size, &octets)) {
    return false;
  }
  memcpy(out, octets, size);
  return true;
}

static bool take_array(struct reader *reader, uint32_t count)
{
  uint32_t found;
  return reader_array(reader, &found) && found == count;
}

static enum status read_wants(struct reader *reader, struct arena *arena, struct trim_ask *ask)
{
  uint32_t count;
  uint64_t index;
  if (!reader_array(reader, &count) || count > COMMIT_RECORDS_MAX) {
    return STATUS_MALFORMED;
  }
  struct trim_want *wants = arena_alloc(arena, ((size_t)count + 1) * sizeof(*wants));
  if (wants == NULL) {
    return STATUS_NO_MEMORY;
  }
  for (uint32_t i = 0; i < count; i++) {
    if (!take_array(reader, 2) || !reader_uint_max(reader, COMMIT_RECORDS_MAX - 1, &index) ||
        !reader_bin(reader, &wants[i].see) || wants[i].see.size > RECORD_ITEMS_MAX ||
        (i > 0 && index <= wants[i - 1].index)) {
      return STATUS_MALFORMED;
    }
    wants[i].index = (uint8_t)index;
  }
  ask->wants = wants;
  ask->want_count = count;
  return STATUS_OK;
}

static enum status read_ask(struct reader *reader, struct arena *arena, struct trim_ask *ask)
{
  uint64_t lane;
  memset(ask, 0, sizeof(*ask));
  if (!take_array(reader, 4) || !take_array(reader, 3) ||
      !take_octets(reader, ask->id.origin.octets, KEY_SIZE) ||
      !take_octets(reader, ask->id.store.octets, STORE_ID_SIZE) ||
      !reader_uint_max(reader, LANE_COUNT - 1, &lane) || !reader_uint(reader, &ask->seq) ||
      !take_octets(reader, ask->commit_id.octets, HASH_SIZE)) {
    return STATUS_MALFORMED;
  }
  ask->id.lane = (uint8_t)lane;
  return read_wants(reader, arena, ask);
}

enum status cosign_read_asks(struct bytes_view body, struct arena *arena,
                             struct trim_ask asks[TRIM_ASKS_MAX], size_t *count)
{
  struct reader reader = reader_of(body);
  uint32_t found;
  *count = 0;
  if (!reader_array(&reader, &found) || found == 0 || found > TRIM_ASKS_MAX) {
    return STATUS_MALFORMED;
  }
  for (uint32_t i = 0; i < found; i++) {
    enum status status = read_ask(&reader, arena, &asks[i]);
    if (status != STATUS_OK) {
      return status;
    }
  }
  *count = found;
  return reader_at_end(&reader) ? STATUS_OK : STATUS_MALFORMED;
}

enum status cosign_write_said(const struct cosign_said *said, size_t count, struct bytes *out)
{
  struct writer writer;
  writer_init(&writer, out);
  writer_array(&writer, (uint32_t)count);
  for (size_t i = 0; i < count; i++) {
    writer_array(&writer, 2);
    writer_uint(&writer, said[i].place);
    writer_bin(&writer, said[i].cosignature.data, said[i].cosignature.size);
  }
  return writer_finish(&writer);
}

enum status cosign_read_said(struct bytes_view body, size_t asks_count,
                             struct cosign_said said[COSIGN_SAID_MAX], size_t *count)
{
  struct reader reader = reader_of(body);
  struct cosignature cosignature;
  uint32_t found;
  uint64_t place;
  *count = 0;
  if (!reader_array(&reader, &found) || found > COSIGN_SAID_MAX || asks_count == 0) {
    return STATUS_MALFORMED;
  }
  for (uint32_t i = 0; i < found; i++) {
    struct bytes_view *octets = &said[i].cosignature;
    if (!take_array(&reader, 2) || !reader_uint_max(&reader, asks_count - 1, &place) ||
        !reader_bin(&reader, octets) || octets->size > TRIM_PROOF_BYTES_MAX ||
        cosignature_read(*octets, &cosignature) != STATUS_OK) {
      return STATUS_MALFORMED;
    }
    said[i].place = (size_t)place;
  }
  *count = found;
  return reader_at_end(&reader) ? STATUS_OK : STATUS_MALFORMED;
}
