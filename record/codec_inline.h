/*
 * The readers of record/codec.h as inline functions, for the walk over commits that every hop
 * makes for every record. codec.c gives them their public names.
 */
#ifndef RECORD_CODEC_INLINE_H
#define RECORD_CODEC_INLINE_H

#include <endian.h>
#include <string.h>

#include "record/codec.h"

/* RFC 3629: no overlong form, no surrogate, at most U+10FFFF. */
bool codec_utf8_valid(const uint8_t *text, size_t size);
/* One whole value at the reader, as reader_skip. */
bool codec_value_check(struct reader *reader, bool values);

static inline size_t take_left(const struct reader *reader)
{
  return (size_t)(reader->end - reader->at);
}

/* Big-endian, 1, 2, 4 or 8 octets. */
static inline uint64_t load_number(const uint8_t *at, size_t size)
{
  uint16_t two = 0;
  uint32_t four = 0;
  uint64_t eight = 0;
  switch (size) {
  case 1:
    return *at;
  case 2:
    memcpy(&two, at, sizeof(two));
    return be16toh(two);
  case 4:
    memcpy(&four, at, sizeof(four));
    return be32toh(four);
  default:
    memcpy(&eight, at, sizeof(eight));
    return be64toh(eight);
  }
}

/* The number of `size` octets (1, 2, 4 or 8) after the tag; moves past both. */
static inline bool take_number(struct reader *reader, size_t size, uint64_t *value)
{
  if (take_left(reader) < size + 1) {
    return false;
  }
  *value = load_number(reader->at + 1, size);
  reader->at += size + 1;
  return true;
}

static inline bool take_uint(struct reader *reader, uint64_t *value)
{
  if (reader->at == reader->end) {
    return false;
  }
  uint8_t tag = *reader->at;
  if (tag < 0x80) {
    reader->at++;
    *value = tag;
    return true;
  }
  switch (tag) {
  case 0xcc:
    return take_number(reader, 1, value) && *value >= 0x80;
  case 0xcd:
    return take_number(reader, 2, value) && *value > UINT8_MAX;
  case 0xce:
    return take_number(reader, 4, value) && *value > UINT16_MAX;
  case 0xcf:
    return take_number(reader, 8, value) && *value > UINT32_MAX;
  default:
    return false;
  }
}

static inline bool take_uint_max(struct reader *reader, uint64_t max, uint64_t *value)
{
  return take_uint(reader, value) && *value <= max;
}

/* Length of an array (fix 0x90) or a map (fix 0x80), whose wide tags are `wide` and the next. */
static inline bool take_count(struct reader *reader, uint8_t fix, uint8_t wide, uint32_t *count)
{
  if (reader->at == reader->end) {
    return false;
  }
  uint8_t tag = *reader->at;
  uint64_t number = 0;
  if ((tag & 0xf0) == fix) {
    reader->at++;
    *count = tag & 0x0f;
    return true;
  }
  if (tag == wide) {
    if (!take_number(reader, 2, &number) || number < 16) {
      return false;
    }
  } else if (tag == wide + 1) {
    if (!take_number(reader, 4, &number) || number <= UINT16_MAX) {
      return false;
    }
  } else {
    return false;
  }
  *count = (uint32_t)number;
  return true;
}

static inline bool take_array(struct reader *reader, uint32_t *count)
{
  return take_count(reader, 0x90, 0xdc, count);
}

/* An array of exactly `count` (below 16) elements. */
static inline bool take_array_of(struct reader *reader, uint8_t count)
{
  if (reader->at == reader->end || *reader->at != (0x90 | count)) {
    return false;
  }
  reader->at++;
  return true;
}

static inline bool take_octets(struct reader *reader, uint64_t size, struct bytes_view *view)
{
  if (take_left(reader) < size) {
    return false;
  }
  *view = bytes_view_of(reader->at, (size_t)size);
  reader->at += size;
  return true;
}

static inline bool take_bin(struct reader *reader, struct bytes_view *view)
{
  if (reader->at == reader->end) {
    return false;
  }
  uint64_t size = 0;
  bool shortest = false;
  switch (*reader->at) {
  case 0xc4:
    shortest = take_number(reader, 1, &size);
    break;
  case 0xc5:
    shortest = take_number(reader, 2, &size) && size > UINT8_MAX;
    break;
  case 0xc6:
    shortest = take_number(reader, 4, &size) && size > UINT16_MAX;
    break;
  default:
    break;
  }
  return shortest && take_octets(reader, size, view);
}

/* A bin of exactly `size` octets, at most 255. */
static inline bool take_bin_exact(struct reader *reader, uint8_t size, const uint8_t **octets)
{
  if (take_left(reader) < (size_t)size + 2 || reader->at[0] != 0xc4 || reader->at[1] != size) {
    return false;
  }
  *octets = reader->at + 2;
  reader->at += (size_t)size + 2;
  return true;
}

/* A str whose UTF-8 is not looked at. */
static inline bool take_str_raw(struct reader *reader, struct bytes_view *view)
{
  if (reader->at == reader->end) {
    return false;
  }
  uint8_t tag = *reader->at;
  uint64_t size = 0;
  bool shortest = false;
  if ((tag & 0xe0) == 0xa0) {
    size = tag & 0x1f;
    reader->at++;
    shortest = true;
  } else if (tag == 0xd9) {
    shortest = take_number(reader, 1, &size) && size >= 32;
  } else if (tag == 0xda) {
    shortest = take_number(reader, 2, &size) && size > UINT8_MAX;
  } else if (tag == 0xdb) {
    shortest = take_number(reader, 4, &size) && size > UINT16_MAX;
  }
  return shortest && take_octets(reader, size, view);
}

static inline bool take_str(struct reader *reader, struct bytes_view *view)
{
  return take_str_raw(reader, view) && codec_utf8_valid(view->data, view->size);
}

#endif
