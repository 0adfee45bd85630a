/*
 * What record.c, record_write.c and the commit share: reading a record in place from a reader
 * that goes on behind it.
 */
#ifndef RECORD_RECORD_PRIVATE_H
#define RECORD_RECORD_PRIVATE_H

#include "hash_base.h"
#include "record/codec.h"
#include "record/record.h"

/* msgpack of a commitment: what an item takes at least, whichever way it is shown. */
#define COMMITMENT_ENCODED_SIZE (2 + HASH_SIZE)

enum record_check {
  RECORD_CHECK_FORM, /* octets of our own store: form only, item values as they are */
  RECORD_CHECK_ALL,
};

/* Reads one record at the reader and moves past it; `leaf` may be NULL, `base` then too.
 * STATUS_MALFORMED, STATUS_TOO_LARGE. */
enum status record_take(struct reader *reader, enum record_check check,
                        const struct hash_base *base, struct record *out, struct hash *leaf);
/* Reads a record header's octets, whole. */
bool record_header_read(struct bytes_view octets, struct record_header *out);
/* The leaf of a record as read. */
struct hash record_leaf(const struct record *record);
/* Appends `head` of a bin before the octets from `mark` to the end of `out`. STATUS_NO_MEMORY. */
enum status bytes_wrap_bin(struct bytes *out, size_t mark);

#endif
