#include "record/certificate.h"

#include <string.h>

#include "codec_inline.h"
#include "commit_private.h"

#define BODY_FIELDS 7
#define CERTIFICATE_SIGNED_PREFIX "noded-cert-v1"

static bool body_read(struct certificate *out)
{
  struct reader reader = reader_of(out->body);
  uint32_t fields = 0;
  uint64_t version = 0;
  struct bytes_view address;
  const uint8_t *key = NULL;
  const uint8_t *issuer = NULL;
  if (!take_array(&reader, &fields) || fields < BODY_FIELDS ||
      !take_uint_max(&reader, UINT8_MAX, &version) || version < 1 ||
      (version == 1 && fields != BODY_FIELDS) || !take_bin_exact(&reader, KEY_SIZE, &key) ||
      !take_str(&reader, &address) || address_parse(address, true, &out->address) != STATUS_OK ||
      !take_uint(&reader, &out->epoch) || !take_uint(&reader, &out->not_before) ||
      !take_uint(&reader, &out->not_after) || !take_bin_exact(&reader, KEY_SIZE, &issuer)) {
    return false;
  }
  for (uint32_t i = BODY_FIELDS; i < fields; i++) {
    if (!codec_value_check(&reader, true)) {
      return false;
    }
  }
  memcpy(out->key.octets, key, KEY_SIZE);
  memcpy(out->issuer.octets, issuer, KEY_SIZE);
  return reader_at_end(&reader) && out->not_before <= out->not_after;
}

enum status certificate_read(struct bytes_view octets, struct certificate *out)
{
  struct reader reader = reader_of(octets);
  const uint8_t *signature = NULL;
  *out = (struct certificate){.octets = octets};
  if (octets.size > CERTIFICATE_BYTES_MAX || !take_array_of(&reader, 2) ||
      !take_bin(&reader, &out->body) || !body_read(out) ||
      !take_bin_exact(&reader, SIGNATURE_SIZE, &signature) || !reader_at_end(&reader)) {
    return STATUS_MALFORMED;
  }
  out->signature = bytes_view_of(signature, SIGNATURE_SIZE);
  out->id = hash_plain(out->body);
  return STATUS_OK;
}

static void body_write(const struct certificate_draft *draft, const uint8_t *issuer,
                       struct bytes *out)
{
  struct writer writer;
  writer_init(&writer, out);
  writer_array(&writer, BODY_FIELDS);
  writer_uint(&writer, 1);
  writer_bin(&writer, draft->key.octets, KEY_SIZE);
  writer_str(&writer, bytes_view_of(draft->address.text, draft->address.size));
  writer_uint(&writer, draft->epoch);
  writer_uint(&writer, draft->not_before);
  writer_uint(&writer, draft->not_after);
  writer_bin(&writer, issuer, KEY_SIZE);
}

enum status certificate_write(const struct certificate_draft *draft,
                              const uint8_t issuer_secret_key[64], struct bytes *out)
{
  if (draft->not_before > draft->not_after) {
    return STATUS_INVALID_ARGUMENT;
  }
  uint8_t room[CERTIFICATE_BYTES_MAX]; /* a body is shorter than that: it never grows */
  struct bytes body = {.data = room, .capacity = sizeof(room)};
  uint8_t signature[SIGNATURE_SIZE];
  struct signed_text text;
  body_write(draft, issuer_secret_key + 32, &body);
  signed_text_init(&text, CERTIFICATE_SIGNED_PREFIX);
  signed_text_add(&text, body.data, body.size);
  signed_text_sign(&text, issuer_secret_key, signature);
  size_t mark = out->size;
  struct writer writer;
  writer_init(&writer, out);
  writer_array(&writer, 2);
  writer_bin(&writer, body.data, body.size);
  writer_bin(&writer, signature, sizeof(signature));
  enum status status = writer_finish(&writer);
  if (status != STATUS_OK) {
    out->size = mark;
  }
  return status;
}

static bool key_equal(const struct node_key *a, const struct node_key *b)
{
  return memcmp(a->octets, b->octets, KEY_SIZE) == 0;
}

enum verdict certificate_check(const struct certificate *certificate,
                               const struct certificate *issuer)
{
  const struct node_key *key = issuer == NULL ? &certificate->key : &issuer->key;
  bool placed = issuer == NULL ? certificate->address.size == 0
                               : address_is_child(&certificate->address, &issuer->address);
  if (!placed || !key_equal(&certificate->issuer, key)) {
    return VERDICT_BAD_CHAIN;
  }
  struct signed_text text;
  signed_text_init(&text, CERTIFICATE_SIGNED_PREFIX);
  signed_text_add(&text, certificate->body.data, certificate->body.size);
  return signed_text_verify(&text, certificate->signature.data, key) ? VERDICT_OK
                                                                     : VERDICT_BAD_SIGNATURE;
}

enum verdict certificate_check_time(const struct certificate *certificate, uint64_t now_unix_s)
{
  bool valid = certificate->not_before <= now_unix_s && now_unix_s <= certificate->not_after;
  return valid ? VERDICT_OK : VERDICT_EXPIRED;
}

enum verdict certificate_read_chain(struct bytes_view octets, const struct hash *root_id,
                                    struct certificate *out, size_t *count)
{
  struct reader reader = reader_of(octets);
  uint32_t length = 0;
  *count = 0;
  if (!take_array(&reader, &length) || length < 1 || length > CERTIFICATE_CHAIN_MAX) {
    return VERDICT_MALFORMED;
  }
  for (uint32_t i = 0; i < length; i++) {
    struct bytes_view view;
    if (!reader_skip(&reader, false, &view) || certificate_read(view, &out[i]) != STATUS_OK) {
      return VERDICT_MALFORMED;
    }
  }
  if (!reader_at_end(&reader)) {
    return VERDICT_MALFORMED;
  }
  if (!hash_equal(&out[0].id, root_id)) {
    return VERDICT_BAD_CHAIN;
  }
  for (uint32_t i = 0; i < length; i++) {
    enum verdict verdict = certificate_check(&out[i], i == 0 ? NULL : &out[i - 1]);
    if (verdict != VERDICT_OK) {
      return verdict;
    }
  }
  *count = length;
  return VERDICT_OK;
}
