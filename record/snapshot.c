#include "record/snapshot.h"

#include <string.h>

#include "commit_private.h"
#include "record/bundle.h"
#include "record/record.h"

#define SNAPSHOT_VERSION 1
#define SNAPSHOT_SIGNED_PREFIX "noded-snapshot-v1"
#define NAME_HEAD "snapshot"
#define NAME_FLOOR "floor"
#define NAME_TOMBSTONE "tombstone"
#define NAME_END "snapshot-end"
#define HEAD_FIELDS 7
#define LANE_FIELDS 2

static enum status finish(const struct writer *writer, struct bytes *out, size_t mark)
{
  enum status status = writer_finish(writer);
  if (status != STATUS_OK) {
    out->size = mark;
  }
  return status;
}

enum status snapshot_write_head(const struct snapshot_head *head, struct bytes *out)
{
  size_t mark = out->size;
  struct writer writer;
  writer_init(&writer, out);
  writer_array(&writer, HEAD_FIELDS);
  writer_text(&writer, NAME_HEAD);
  writer_uint(&writer, SNAPSHOT_VERSION);
  writer_str(&writer, bytes_view_of(head->child.text, head->child.size));
  writer_bin(&writer, head->parent.octets, KEY_SIZE);
  writer_bin(&writer, head->store.octets, STORE_ID_SIZE);
  writer_uint(&writer, (uint64_t)head->at.ms);
  writer_array(&writer, LANE_COUNT);
  for (unsigned i = 0; i < LANE_COUNT; i++) {
    writer_array(&writer, LANE_FIELDS);
    writer_uint(&writer, head->lanes[i].position);
    writer_bin(&writer, head->lanes[i].tag, sizeof(head->lanes[i].tag));
  }
  return finish(&writer, out, mark);
}

enum status snapshot_write_floor(struct bytes_view commit, const struct bytes_view *proofs,
                                 size_t proof_count, struct bytes *out)
{
  size_t mark = out->size;
  struct writer writer;
  if (proof_count > SNAPSHOT_PROOFS_MAX) {
    return STATUS_INVALID_ARGUMENT;
  }
  writer_init(&writer, out);
  writer_array(&writer, 3);
  writer_text(&writer, NAME_FLOOR);
  writer_raw(&writer, commit);
  writer_array(&writer, (uint32_t)proof_count);
  for (size_t i = 0; i < proof_count; i++) {
    writer_raw(&writer, proofs[i]);
  }
  return finish(&writer, out, mark);
}

enum status snapshot_write_tombstone(const struct hash *leaf, unsigned position,
                                     const struct subject *subject, struct bytes *out)
{
  size_t mark = out->size;
  struct writer writer;
  writer_init(&writer, out);
  writer_array(&writer, 4);
  writer_text(&writer, NAME_TOMBSTONE);
  writer_bin(&writer, leaf->octets, HASH_SIZE);
  writer_uint(&writer, position);
  writer_bin(&writer, subject->octets, SUBJECT_SIZE);
  return finish(&writer, out, mark);
}

enum status snapshot_write_end(const struct hash *hash, const uint8_t secret_key[64],
                               struct bytes *out)
{
  size_t mark = out->size;
  struct writer writer;
  struct signed_text text;
  uint8_t signature[SIGNATURE_SIZE];
  signed_text_init(&text, SNAPSHOT_SIGNED_PREFIX);
  signed_text_add(&text, hash->octets, HASH_SIZE);
  signed_text_sign(&text, secret_key, signature);
  writer_init(&writer, out);
  writer_array(&writer, 2);
  writer_text(&writer, NAME_END);
  writer_bin(&writer, signature, SIGNATURE_SIZE);
  return finish(&writer, out, mark);
}

/* ---- reading ---- */

static bool read_octets(struct reader *reader, size_t size, uint8_t *out)
{
  const uint8_t *octets;
  if (!reader_bin_exact(reader, size, &octets)) {
    return false;
  }
  memcpy(out, octets, size);
  return true;
}

static bool skip_fields(struct reader *reader, uint32_t count)
{
  for (uint32_t i = 0; i < count; i++) {
    if (!reader_skip(reader, true, NULL)) {
      return false;
    }
  }
  return true;
}

static bool read_head(struct reader *reader, uint32_t fields, struct snapshot_head *out)
{
  struct bytes_view child;
  uint64_t version;
  uint64_t at;
  uint32_t count;
  if (!reader_uint_max(reader, UINT8_MAX, &version) || version == 0 || fields < HEAD_FIELDS ||
      (version == SNAPSHOT_VERSION && fields != HEAD_FIELDS) || !reader_str(reader, &child) ||
      address_parse(child, false, &out->child) != STATUS_OK ||
      !read_octets(reader, KEY_SIZE, out->parent.octets) ||
      !read_octets(reader, STORE_ID_SIZE, out->store.octets) ||
      !reader_uint_max(reader, INT64_MAX, &at) || !reader_array(reader, &count) ||
      count != LANE_COUNT) {
    return false;
  }
  out->at.ms = (int64_t)at;
  for (unsigned i = 0; i < LANE_COUNT; i++) {
    struct snapshot_lane *lane = &out->lanes[i];
    if (!reader_array(reader, &count) || count != LANE_FIELDS ||
        !reader_uint(reader, &lane->position) ||
        !read_octets(reader, sizeof(lane->tag), lane->tag)) {
      return false;
    }
  }
  return skip_fields(reader, fields - HEAD_FIELDS); /* of a later version */
}

static bool read_floor(struct reader *reader, struct snapshot_entry *out)
{
  uint32_t count;
  if (!reader_skip(reader, true, &out->octets) || !reader_array(reader, &count) ||
      count > SNAPSHOT_PROOFS_MAX) {
    return false;
  }
  out->proof_count = count;
  for (uint32_t i = 0; i < count; i++) {
    if (!reader_skip(reader, false, &out->proofs[i])) {
      return false;
    }
  }
  return true;
}

static bool read_tombstone(struct reader *reader, struct snapshot_entry *out)
{
  uint64_t position;
  if (!read_octets(reader, HASH_SIZE, out->leaf.octets) ||
      !reader_uint_max(reader, RECORD_ITEMS_MAX - 1, &position) ||
      !read_octets(reader, SUBJECT_SIZE, out->subject.octets)) {
    return false;
  }
  out->position = (unsigned)position;
  return true;
}

static bool read_end(struct reader *reader, struct snapshot_entry *out)
{
  return reader_bin_exact(reader, SIGNATURE_SIZE, &out->signature);
}

static bool read_fields(struct reader *reader, uint32_t fields, struct snapshot_entry *out)
{
  switch (out->type) {
  case SNAPSHOT_HEAD:
    return read_head(reader, fields, &out->head);
  case SNAPSHOT_FLOOR:
    return fields == 3 && read_floor(reader, out);
  case SNAPSHOT_TOMBSTONE:
    return fields == 4 && read_tombstone(reader, out);
  case SNAPSHOT_END:
    return fields == 2 && read_end(reader, out);
  case SNAPSHOT_CERTIFICATE:
  case SNAPSHOT_COMMIT:
    return fields == 2 && reader_skip(reader, true, &out->octets);
  default:
    return skip_fields(reader, fields - 1);
  }
}

static enum snapshot_type type_of(struct bytes_view name)
{
  static const struct {
    const char *name;
    enum snapshot_type type;
  } types[] = {{NAME_HEAD, SNAPSHOT_HEAD},           {"certificate", SNAPSHOT_CERTIFICATE},
               {"commit", SNAPSHOT_COMMIT},          {NAME_FLOOR, SNAPSHOT_FLOOR},
               {NAME_TOMBSTONE, SNAPSHOT_TOMBSTONE}, {NAME_END, SNAPSHOT_END}};
  for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
    if (bytes_view_equal(name, bytes_view_text(types[i].name))) {
      return types[i].type;
    }
  }
  return SNAPSHOT_NOTHING;
}

enum status snapshot_read(struct bytes_view *rest, struct snapshot_entry *out)
{
  struct reader reader = reader_of(*rest);
  *out = (struct snapshot_entry){0};
  while (!reader_at_end(&reader)) {
    struct bytes_view name;
    uint32_t fields;
    if (!reader_array(&reader, &fields) || fields < 1 || !reader_str(&reader, &name)) {
      return STATUS_MALFORMED;
    }
    out->type = type_of(name);
    if (!read_fields(&reader, fields, out)) {
      return STATUS_MALFORMED;
    }
    if (out->type != SNAPSHOT_NOTHING) {
      break;
    }
  }
  *rest = bytes_view_of(reader.at, (size_t)(reader.end - reader.at));
  return STATUS_OK;
}

/* ---- the signature over it all ---- */

void snapshot_hash_init(struct snapshot_hash *hash)
{
  uint8_t domain = HASH_SNAPSHOT;
  crypto_generichash_init(&hash->state, NULL, 0, HASH_SIZE);
  crypto_generichash_update(&hash->state, &domain, 1);
}

void snapshot_hash_add(struct snapshot_hash *hash, struct bytes_view octets)
{
  crypto_generichash_update(&hash->state, octets.data, octets.size);
}

struct hash snapshot_hash_final(struct snapshot_hash *hash)
{
  struct hash out;
  crypto_generichash_final(&hash->state, out.octets, HASH_SIZE);
  return out;
}

enum verdict snapshot_check(const struct hash *hash, const uint8_t *signature,
                            const struct node_key *parent)
{
  struct signed_text text;
  signed_text_init(&text, SNAPSHOT_SIGNED_PREFIX);
  signed_text_add(&text, hash->octets, HASH_SIZE);
  return signed_text_verify(&text, signature, parent) ? VERDICT_OK : VERDICT_BAD_SIGNATURE;
}
