#include <string.h>

#include "codec_inline.h"
#include "commit_private.h"
#include "record/receipt.h"
#include "record_private.h"

#define RECEIPT_FIELDS 9
#define RECEIPT_CERTIFICATES_MAX (CERTIFICATE_CHAIN_MAX * 2)

/* A receipt as it lies in its octets, before anything is verified. */
struct receipt_parts {
  struct bytes_view header;
  struct bytes_view signature;
  struct bytes_view record;
  struct hash commitments[RECORD_ITEMS_MAX];
  size_t commitment_count;
  struct hash path[MERKLE_PATH_MAX];
  size_t path_count;
};

static bool take_hashes(struct reader *reader, size_t max, struct hash *out, size_t *count)
{
  uint32_t length = 0;
  if (!take_array(reader, &length) || length > max) {
    return false;
  }
  for (uint32_t i = 0; i < length; i++) {
    const uint8_t *octets = NULL;
    if (!take_bin_exact(reader, HASH_SIZE, &octets)) {
      return false;
    }
    memcpy(out[i].octets, octets, HASH_SIZE);
  }
  *count = length;
  return true;
}

static bool take_certificates(struct reader *reader, struct receipt *out)
{
  uint32_t length = 0;
  if (!take_array(reader, &length) || length < 1 || length > RECEIPT_CERTIFICATES_MAX) {
    return false;
  }
  for (uint32_t i = 0; i < length; i++) {
    struct bytes_view view;
    if (!reader_skip(reader, false, &view) ||
        certificate_read(view, &out->certificates[i]) != STATUS_OK) {
      return false;
    }
  }
  out->certificate_count = length;
  return true;
}

/* `shown` has a bit per record of the commit, this record's set, and none beyond. */
static bool shown_fits(struct bytes_view shown, size_t count, size_t index)
{
  if (shown.size != (count + 7) / 8 || !bitmap_get(shown.data, index)) {
    return false;
  }
  return count % 8 == 0 || shown.data[shown.size - 1] >> (count % 8) == 0;
}

static bool take_cosignatures(struct reader *reader, struct receipt *out)
{
  uint32_t length = 0;
  if (!take_array(reader, &length) || length > RECEIPT_COSIGNATURES_MAX) {
    return false;
  }
  for (uint32_t i = 0; i < length; i++) {
    struct bytes_view view;
    if (!reader_skip(reader, false, &view) ||
        cosignature_read(view, &out->cosignatures[i]) != STATUS_OK ||
        !shown_fits(out->cosignatures[i].shown, out->header.count, out->index)) {
      return false;
    }
  }
  out->cosignature_count = length;
  return true;
}

static bool receipt_take(struct bytes_view octets, struct receipt_parts *parts, struct receipt *out)
{
  struct reader reader = reader_of(octets);
  uint32_t fields = 0;
  uint64_t version = 0;
  uint64_t index = 0;
  const uint8_t *signature = NULL;
  if (!take_array(&reader, &fields) || fields < RECEIPT_FIELDS ||
      !take_uint_max(&reader, UINT8_MAX, &version) || version < 1 ||
      (version == 1 && fields != RECEIPT_FIELDS) || !take_bin(&reader, &parts->header) ||
      !commit_header_read(parts->header, &out->header) ||
      !take_bin_exact(&reader, SIGNATURE_SIZE, &signature) ||
      !take_uint_max(&reader, out->header.count - 1u, &index) ||
      !take_bin(&reader, &parts->record) || parts->record.size > RECORD_BYTES_MAX ||
      !record_header_read(parts->record, &out->record) ||
      !take_hashes(&reader, RECORD_ITEMS_MAX, parts->commitments, &parts->commitment_count) ||
      parts->commitment_count < 1 ||
      !take_hashes(&reader, MERKLE_PATH_MAX, parts->path, &parts->path_count)) {
    return false;
  }
  parts->signature = bytes_view_of(signature, SIGNATURE_SIZE);
  out->index = (uint16_t)index;
  if (!take_certificates(&reader, out) || !take_cosignatures(&reader, out)) {
    return false;
  }
  for (uint32_t i = RECEIPT_FIELDS; i < fields; i++) {
    if (!reader_skip(&reader, true, NULL)) {
      return false;
    }
  }
  return reader_at_end(&reader);
}

/* The root's first; each later one stands under one before it. */
static enum verdict certificates_verify(const struct receipt *receipt, const struct hash *root_id)
{
  const struct certificate *certificates = receipt->certificates;
  if (!hash_equal(&certificates[0].id, root_id)) {
    return VERDICT_BAD_CHAIN;
  }
  enum verdict verdict = certificate_check(&certificates[0], NULL);
  for (size_t i = 1; i < receipt->certificate_count && verdict == VERDICT_OK; i++) {
    verdict = VERDICT_BAD_CHAIN;
    for (size_t j = 0; j < i && verdict == VERDICT_BAD_CHAIN; j++) {
      verdict = certificate_check(&certificates[i], &certificates[j]);
    }
  }
  return verdict;
}

static const struct certificate *certificate_of_key(const struct receipt *receipt,
                                                    const struct node_key *key)
{
  for (size_t i = 0; i < receipt->certificate_count; i++) {
    if (memcmp(receipt->certificates[i].key.octets, key->octets, KEY_SIZE) == 0) {
      return &receipt->certificates[i];
    }
  }
  return NULL;
}

static enum verdict cosignatures_verify(const struct receipt *receipt)
{
  for (size_t i = 0; i < receipt->cosignature_count; i++) {
    const struct cosignature *cosignature = &receipt->cosignatures[i];
    if (certificate_of_key(receipt, &cosignature->cosigner) == NULL) {
      return VERDICT_UNKNOWN_CERTIFICATE;
    }
    enum verdict verdict = cosignature_check(cosignature, &receipt->commit_id);
    if (verdict != VERDICT_OK) {
      return verdict;
    }
  }
  return VERDICT_OK;
}

/* The certificate that the commit names, for its origin's key. */
static const struct certificate *origin_certificate(const struct receipt *receipt)
{
  for (size_t i = 0; i < receipt->certificate_count; i++) {
    const struct certificate *certificate = &receipt->certificates[i];
    if (hash_equal(&certificate->id, &receipt->header.certificate) &&
        memcmp(certificate->key.octets, receipt->header.origin.octets, KEY_SIZE) == 0) {
      return certificate;
    }
  }
  return NULL;
}

enum verdict receipt_verify(struct bytes_view octets, const struct hash *root_id,
                            struct receipt *out)
{
  struct receipt_parts parts;
  memset(out, 0, sizeof(*out));
  if (!receipt_take(octets, &parts, out)) {
    return VERDICT_MALFORMED;
  }
  struct hash root;
  out->commit_id = hash_of(HASH_COMMIT, parts.header);
  out->leaf = hash_leaf(parts.record, parts.commitments, parts.commitment_count);
  if (merkle_path_root(&out->leaf, out->index, out->header.count, parts.path, parts.path_count,
                       &root) != STATUS_OK ||
      !hash_equal(&root, &out->header.root)) {
    return VERDICT_BAD_ROOT;
  }
  enum verdict verdict = certificates_verify(out, root_id);
  if (verdict != VERDICT_OK) {
    return verdict;
  }
  const struct certificate *origin = origin_certificate(out);
  if (origin == NULL) {
    return VERDICT_UNKNOWN_CERTIFICATE;
  }
  out->origin = origin->address;
  if (!commit_signature_valid(parts.header, parts.signature, &out->header.origin)) {
    return VERDICT_BAD_SIGNATURE;
  }
  return cosignatures_verify(out);
}
