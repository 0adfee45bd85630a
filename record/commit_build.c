#include <string.h>

#include "commit_private.h"
#include "record/commit.h"
#include "record_private.h"

/* [index, record] beside the record itself: array head and an index up to 255. */
#define PAIR_OVERHEAD_MAX 3

void commit_builder_close(struct commit_builder *builder)
{
  bytes_close(&builder->records);
  builder->count = 0;
  builder->size_max = 0;
}

void commit_builder_reset(struct commit_builder *builder)
{
  bytes_clear(&builder->records);
  builder->count = 0;
  builder->see_all = SEE_ALL;
  builder->size_max = 0;
}

enum status commit_builder_add_written(struct commit_builder *builder, struct bytes_view octets,
                                       size_t size_max, uint8_t see_all, const struct hash *leaf)
{
  if (builder->count == COMMIT_RECORDS_MAX ||
      builder->size_max + size_max + PAIR_OVERHEAD_MAX + COMMIT_OVERHEAD_MAX > COMMIT_BYTES_MAX) {
    return STATUS_TOO_LARGE;
  }
  size_t mark = builder->records.size;
  struct writer writer;
  writer_init(&writer, &builder->records);
  writer_array(&writer, 2);
  writer_uint(&writer, builder->count);
  writer_raw(&writer, octets);
  enum status status = writer_finish(&writer);
  if (status != STATUS_OK) {
    builder->records.size = mark;
    return status;
  }
  builder->see_all = builder->count == 0 ? see_all : builder->see_all & see_all;
  builder->size_max += size_max + PAIR_OVERHEAD_MAX;
  builder->leaves[builder->count] = *leaf;
  builder->count++;
  return STATUS_OK;
}

enum status commit_builder_add(struct commit_builder *builder, struct bytes_view octets)
{
  struct record record;
  struct hash leaf;
  if (record_read_leaf(octets, &record, &leaf) != STATUS_OK) {
    return STATUS_MALFORMED;
  }
  return commit_builder_add_written(builder, octets, record.size_max, record.see_all, &leaf);
}

void commit_header_write(struct writer *writer, const struct commit_header *header)
{
  writer_array(writer, 10);
  writer_uint(writer, 1);
  writer_bin(writer, header->origin.octets, KEY_SIZE);
  writer_bin(writer, header->store.octets, STORE_ID_SIZE);
  writer_uint(writer, header->lane);
  writer_uint(writer, header->seq);
  writer_bin(writer, header->prev.octets, HASH_SIZE);
  writer_uint(writer, header->hlc);
  writer_bin(writer, header->certificate.octets, HASH_SIZE);
  writer_uint(writer, header->count);
  writer_bin(writer, header->root.octets, HASH_SIZE);
}

/* Header's octets in `text` behind the signed prefix, of which it is a part. */
static void sign_header(const struct commit_header *header, const uint8_t secret_key[64],
                        struct bytes *encoded, uint8_t signature[SIGNATURE_SIZE])
{
  struct writer writer;
  writer_init(&writer, encoded);
  commit_header_write(&writer, header);
  struct signed_text text;
  signed_text_init(&text, COMMIT_SIGNED_PREFIX);
  signed_text_add(&text, encoded->data, encoded->size);
  signed_text_sign(&text, secret_key, signature);
}

enum status commit_builder_finish(struct commit_builder *builder, struct commit_header *header,
                                  const uint8_t secret_key[64], struct bytes *out, struct hash *id)
{
  if (builder->count == 0 || header->lane >= LANE_COUNT || header->seq == 0 ||
      memcmp(secret_key + 32, header->origin.octets, KEY_SIZE) != 0) {
    return STATUS_INVALID_ARGUMENT;
  }
  header->count = builder->count;
  header->root = merkle_root(builder->leaves, builder->count);
  uint8_t room[COMMIT_OVERHEAD_MAX]; /* a header is shorter than that: it never grows */
  struct bytes encoded = {.data = room, .capacity = sizeof(room)};
  uint8_t signature[SIGNATURE_SIZE];
  sign_header(header, secret_key, &encoded, signature);
  size_t mark = out->size;
  struct writer writer;
  writer_init(&writer, out);
  writer_array(&writer, 4);
  writer_bin(&writer, encoded.data, encoded.size);
  writer_bin(&writer, signature, sizeof(signature));
  writer_array(&writer, builder->count);
  writer_raw(&writer, bytes_as_view(&builder->records));
  writer_array(&writer, 0);
  enum status status = writer_finish(&writer);
  if (status != STATUS_OK) {
    out->size = mark;
    return status;
  }
  if (id != NULL) {
    *id = hash_of(HASH_COMMIT, bytes_as_view(&encoded));
  }
  return STATUS_OK;
}
