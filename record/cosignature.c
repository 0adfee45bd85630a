#include <string.h>

#include "codec_inline.h"
#include "commit_private.h"
#include "record/receipt.h"

#define COSIGNATURE_SIGNED_PREFIX "noded-ack-v1"

enum status cosignature_read(struct bytes_view octets, struct cosignature *out)
{
  struct reader reader = reader_of(octets);
  const uint8_t *cosigner = NULL;
  const uint8_t *signature = NULL;
  uint64_t at = 0;
  if (!take_array_of(&reader, 4) || !take_bin_exact(&reader, KEY_SIZE, &cosigner) ||
      !take_uint_max(&reader, INT64_MAX, &at) || !take_bin(&reader, &out->shown) ||
      out->shown.size < 1 || out->shown.size > COMMIT_BITMAP_SIZE ||
      !take_bin_exact(&reader, SIGNATURE_SIZE, &signature) || !reader_at_end(&reader)) {
    return STATUS_MALFORMED;
  }
  out->octets = octets;
  memcpy(out->cosigner.octets, cosigner, KEY_SIZE);
  out->at.ms = (int64_t)at;
  out->signature = bytes_view_of(signature, SIGNATURE_SIZE);
  return STATUS_OK;
}

static void cosignature_text(struct signed_text *text, const struct hash *commit_id,
                             struct wall_ms at, struct bytes_view shown)
{
  uint8_t time[8];
  for (size_t i = 0; i < sizeof(time); i++) {
    time[i] = (uint8_t)((uint64_t)at.ms >> (8 * i));
  }
  signed_text_init(text, COSIGNATURE_SIGNED_PREFIX);
  signed_text_add(text, commit_id->octets, HASH_SIZE);
  signed_text_add(text, time, sizeof(time));
  signed_text_add(text, shown.data, shown.size);
}

enum verdict cosignature_check(const struct cosignature *cosignature, const struct hash *commit_id)
{
  struct signed_text text;
  cosignature_text(&text, commit_id, cosignature->at, cosignature->shown);
  bool valid = signed_text_verify(&text, cosignature->signature.data, &cosignature->cosigner);
  return valid ? VERDICT_OK : VERDICT_BAD_SIGNATURE;
}

enum status cosignature_write(const struct node_key *key, const uint8_t secret_key[64],
                              const struct hash *commit_id, struct wall_ms at,
                              struct bytes_view shown, struct bytes *out)
{
  if (shown.size < 1 || shown.size > COMMIT_BITMAP_SIZE || at.ms < 0) {
    return STATUS_INVALID_ARGUMENT;
  }
  struct signed_text text;
  uint8_t signature[SIGNATURE_SIZE];
  cosignature_text(&text, commit_id, at, shown);
  signed_text_sign(&text, secret_key, signature);
  size_t mark = out->size;
  struct writer writer;
  writer_init(&writer, out);
  writer_array(&writer, 4);
  writer_bin(&writer, key->octets, KEY_SIZE);
  writer_uint(&writer, (uint64_t)at.ms);
  writer_bin(&writer, shown.data, shown.size);
  writer_bin(&writer, signature, sizeof(signature));
  enum status status = writer_finish(&writer);
  if (status != STATUS_OK) {
    out->size = mark;
  }
  return status;
}
