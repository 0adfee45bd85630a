/*
 * Commits (DESIGN section 3): up to 256 records under one signature, any of which may be
 * withheld. What was signed is kept byte for byte.
 */
#ifndef RECORD_COMMIT_H
#define RECORD_COMMIT_H

#include "record/bytes.h"
#include "record/hash.h"
#include "record/record.h"

#define COMMIT_RECORDS_MAX 256
#define COMMIT_BYTES_MAX (60 * 1024)
#define COMMIT_HEADER_MAX 512 /* room for the fields of later versions */
#define COMMIT_BITMAP_SIZE (COMMIT_RECORDS_MAX / 8)
#define KEY_SIZE 32
#define SIGNATURE_SIZE 64
#define STORE_ID_SIZE 16

struct node_key {
  uint8_t octets[KEY_SIZE];
};

struct store_id {
  uint8_t octets[STORE_ID_SIZE];
};

struct commit_header {
  struct node_key origin;
  struct store_id store;
  uint8_t lane;
  uint64_t seq;
  struct hash prev;
  uint64_t hlc;
  struct hash certificate;
  uint16_t count;
  struct hash root;
};

/* A commit as read; views borrow from the octets given, arrays from the arena. */
struct commit {
  struct bytes_view octets;
  struct bytes_view header_octets;
  struct bytes_view signature;
  struct commit_header header;
  struct hash id;
  uint16_t shown_count;
  uint16_t hash_count;
  uint8_t see_all;   /* AND over shown records */
  bool items_hidden; /* some item of a shown record stands as commitment */
  uint8_t shown[COMMIT_BITMAP_SIZE];
  uint16_t *indexes;      /* shown_count, ascending */
  struct record *records; /* shown_count */
  struct hash *leaves;    /* shown_count, parallel to records */
  const uint8_t *hashes;  /* see commit_hash_at */
  uint32_t size_max;      /* as in struct record */
};

static inline bool commit_complete(const struct commit *commit)
{
  return commit->shown_count == commit->header.count && !commit->items_hidden;
}

/* The i-th of `hash_count` hashes. */
struct hash commit_hash_at(const struct commit *commit, size_t i);

/* Reads the whole, checks form, bounds and canonical encoding, computes id and leaves, and checks
 * the Merkle root. The signature is checked by commit_check_signature.
 * VERDICT_OK, VERDICT_MALFORMED, VERDICT_BAD_ROOT. An arena that is out counts as malformed. */
MUST_USE enum verdict commit_read(struct bytes_view octets, struct arena *arena,
                                  struct commit *out);
/* As commit_read without leaves and root (they are left NULL and unchecked): for octets from our
 * own store, verified when they were taken in. */
MUST_USE enum verdict commit_read_trusted(struct bytes_view octets, struct arena *arena,
                                          struct commit *out);
/* Ed25519 of the origin over the header. VERDICT_OK or VERDICT_BAD_SIGNATURE. */
MUST_USE enum verdict commit_check_signature(const struct commit *commit);
/* Reads only the header (for ids, seq, origin). STATUS_MALFORMED. */
MUST_USE enum status commit_read_header(struct bytes_view octets, struct commit_header *out,
                                        struct hash *id);

/* Collects records for one commit of our own. new: room is reused between commits. */
struct commit_builder {
  struct bytes records; /* encoded [index, record] pairs */
  uint16_t count;
  uint8_t see_all;
  size_t size_max; /* of `records`, as in struct record */
  struct hash leaves[COMMIT_RECORDS_MAX];
};

void commit_builder_close(struct commit_builder *builder);
void commit_builder_reset(struct commit_builder *builder);
/* Adds one record's octets (record_write). STATUS_TOO_LARGE when count or size would pass the
 * limit: finish this commit and add it to the next. STATUS_MALFORMED, STATUS_NO_MEMORY. */
MUST_USE enum status commit_builder_add(struct commit_builder *builder, struct bytes_view record);
/* The same for octets that record_write_leaf has just written: `size_max` and `see_all` are its
 * record's. */
MUST_USE enum status commit_builder_add_written(struct commit_builder *builder,
                                                struct bytes_view record, size_t size_max,
                                                uint8_t see_all, const struct hash *leaf);
/* Signs with the 64-octet Ed25519 secret key and appends the commit to `out`. `header` gives
 * origin, store, lane, seq, prev, hlc, certificate; count and root are filled in. `id` may be
 * NULL. STATUS_INVALID_ARGUMENT when empty, STATUS_NO_MEMORY. */
MUST_USE enum status commit_builder_finish(struct commit_builder *builder,
                                           struct commit_header *header,
                                           const uint8_t secret_key[64], struct bytes *out,
                                           struct hash *id);

/* Appends `commit` (from commit_read, or commit_read_trusted: leaves are then computed here) with
 * only records in `keep` (a bitmap over record indexes; those not shown are ignored), each with
 * the items that class `class_bit` may see. STATUS_NO_MEMORY. */
MUST_USE enum status commit_write_partial(const struct commit *commit,
                                          const uint8_t keep[COMMIT_BITMAP_SIZE],
                                          unsigned class_bit, struct arena *arena,
                                          struct bytes *out);
/* Appends the union of two showings of one commit (same id). `gained` is the bitmap of records
 * that show more than in `a`. STATUS_INVALID_ARGUMENT when the ids differ, STATUS_NO_MEMORY;
 * STATUS_TOO_LARGE when the union passes the limit, which only a hostile origin brings about: keep
 * `a`. `out` is unchanged on failure. */
MUST_USE enum status commit_merge(const struct commit *a, const struct commit *b,
                                  struct arena *arena, struct bytes *out,
                                  uint8_t gained[COMMIT_BITMAP_SIZE]);

static inline bool bitmap_get(const uint8_t *bitmap, size_t i)
{
  return (bitmap[i / 8] >> (i % 8)) & 1;
}
static inline void bitmap_set(uint8_t *bitmap, size_t i)
{
  bitmap[i / 8] |= (uint8_t)(1u << (i % 8));
}

#endif
