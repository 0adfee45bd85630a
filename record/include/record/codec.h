/*
 * Strict, bounded, zero-copy reading of msgpack (DESIGN section 3): shortest forms only, no ext,
 * nil or float where not named, valid UTF-8, a depth limit. msgpack-c's unpacker accepts
 * non-shortest forms and builds an object tree, so reading is our own and writing is msgpack-c's.
 */
#ifndef RECORD_CODEC_H
#define RECORD_CODEC_H

#include <msgpack/pack.h>
#include <stdbool.h>
#include <stdint.h>

#include "record/bytes.h"

#define CODEC_DEPTH_MAX 16

/* A cursor over borrowed octets. After a failure the cursor's place is unspecified. */
struct reader {
  const uint8_t *at;
  const uint8_t *end;
};

struct reader reader_of(struct bytes_view view);
static inline bool reader_at_end(const struct reader *reader)
{
  return reader->at == reader->end;
}

/* Each takes one value and returns false when it is not there in its shortest form. */
MUST_USE bool reader_array(struct reader *reader, uint32_t *count);
MUST_USE bool reader_map(struct reader *reader, uint32_t *count);
MUST_USE bool reader_uint(struct reader *reader, uint64_t *value);
/* Unsigned, at most `max`. */
MUST_USE bool reader_uint_max(struct reader *reader, uint64_t max, uint64_t *value);
MUST_USE bool reader_int(struct reader *reader, int64_t *value);
MUST_USE bool reader_bool(struct reader *reader, bool *value);
/* UTF-8 checked (RFC 3629). */
MUST_USE bool reader_str(struct reader *reader, struct bytes_view *view);
MUST_USE bool reader_bin(struct reader *reader, struct bytes_view *view);
/* bin of exactly `size` octets; borrowed. */
MUST_USE bool reader_bin_exact(struct reader *reader, size_t size, const uint8_t **octets);
/* Whether the next value is a bin / an array / a str; false at the end. Takes nothing. */
bool reader_peek_bin(const struct reader *reader);
bool reader_peek_array(const struct reader *reader);
bool reader_peek_str(const struct reader *reader);
/* Skips one value of any allowed type, checking it whole: shortest forms, UTF-8, duplicate map
 * keys, depth at most CODEC_DEPTH_MAX. nil, bool and float64 are allowed inside item values only:
 * `values` says so. `view` (may be NULL) gets the octets. */
MUST_USE bool reader_skip(struct reader *reader, bool values, struct bytes_view *view);

/* Writing: msgpack-c's packer over a `struct bytes`. An allocation failure sets `failed`, which
 * writer_finish reports once. */
struct writer {
  msgpack_packer packer;
  struct bytes *out;
  bool failed;
};

/* Appends to `out`, which the caller owns. The writer must not move while in use. */
void writer_init(struct writer *writer, struct bytes *out);
void writer_array(struct writer *writer, uint32_t count);
void writer_map(struct writer *writer, uint32_t count);
void writer_uint(struct writer *writer, uint64_t value);
void writer_int(struct writer *writer, int64_t value);
void writer_bool(struct writer *writer, bool value);
void writer_str(struct writer *writer, struct bytes_view text);
void writer_text(struct writer *writer, const char *text);
void writer_bin(struct writer *writer, const void *data, size_t size);
/* Octets that are msgpack already. */
void writer_raw(struct writer *writer, struct bytes_view encoded);
/* STATUS_NO_MEMORY if any append failed. */
MUST_USE enum status writer_finish(const struct writer *writer);

#endif
