#include "record/codec.h"

#include "codec_inline.h"

/* Bounds the search for duplicate keys. */
#define CODEC_MAP_MAX 1024
/* Up to here keys are compared as they come, each with each. */
#define CODEC_MAP_SMALL 16

struct reader reader_of(struct bytes_view view)
{
  static const uint8_t nothing[1] = {0};
  const uint8_t *data = view.data == NULL ? nothing : view.data;
  return (struct reader){data, data + view.size};
}

/* Octets of the UTF-8 sequence at `text`, of which `left` are there; 0 when there is none. */
static size_t utf8_sequence(const uint8_t *text, size_t left)
{
  uint8_t lead = text[0];
  size_t size = lead < 0x80 ? 1 : lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  if (size == 0 || lead > 0xf4 || left < size) {
    return 0;
  }
  for (size_t i = 1; i < size; i++) {
    if ((text[i] & 0xc0) != 0x80) {
      return 0;
    }
  }
  bool refused = (lead == 0xe0 && text[1] < 0xa0) || (lead == 0xed && text[1] > 0x9f) ||
                 (lead == 0xf0 && text[1] < 0x90) || (lead == 0xf4 && text[1] > 0x8f);
  return refused ? 0 : size;
}

bool codec_utf8_valid(const uint8_t *text, size_t size)
{
  size_t at = 0;
  while (at < size) {
    uint64_t word = 0;
    if (size - at >= sizeof(word)) {
      memcpy(&word, text + at, sizeof(word));
      if ((word & 0x8080808080808080u) == 0) {
        at += sizeof(word);
        continue;
      }
    }
    if (text[at] < 0x80) {
      at++;
      continue;
    }
    size_t step = utf8_sequence(text + at, size - at);
    if (step == 0) {
      return false;
    }
    at += step;
  }
  return true;
}

/* A negative integer at one of the tags 0xd0 to 0xd3 or 0xe0 to 0xff; non-negative ones are
 * written unsigned only. */
static bool take_negative(struct reader *reader, int64_t *value)
{
  uint64_t number = 0;
  switch (*reader->at) {
  case 0xd0:
    *value = take_number(reader, 1, &number) ? (int8_t)number : 0;
    return *value < -32;
  case 0xd1:
    *value = take_number(reader, 2, &number) ? (int16_t)number : 0;
    return *value < INT8_MIN;
  case 0xd2:
    *value = take_number(reader, 4, &number) ? (int32_t)number : 0;
    return *value < INT16_MIN;
  case 0xd3:
    *value = take_number(reader, 8, &number) ? (int64_t)number : 0;
    return *value < INT32_MIN;
  default:
    *value = (int8_t)*reader->at;
    return *reader->at++ >= 0xe0;
  }
}

static bool value_check(struct reader *reader, bool values, unsigned depth);

/* Past one value whose form was checked already. */
static bool value_pass(struct reader *reader)
{
  uint64_t pending = 1;
  while (pending > 0) {
    pending--;
    if (reader->at == reader->end) {
      return false;
    }
    uint8_t tag = *reader->at;
    uint32_t count = 0;
    int64_t number = 0;
    uint64_t natural = 0;
    struct bytes_view view;
    bool taken = false;
    if (take_count(&(struct reader){reader->at, reader->end}, 0x90, 0xdc, &count)) {
      taken = take_count(reader, 0x90, 0xdc, &count);
      pending += count;
    } else if (tag == 0xcb) {
      taken = take_number(reader, 8, &natural);
    } else if (tag == 0xc0 || tag == 0xc2 || tag == 0xc3) {
      reader->at++;
      taken = true;
    } else if ((tag & 0xf0) == 0x80 || tag == 0xde || tag == 0xdf) {
      taken = take_count(reader, 0x80, 0xde, &count);
      pending += 2 * (uint64_t)count;
    } else if ((tag & 0xe0) == 0xa0 || (tag >= 0xd9 && tag <= 0xdb)) {
      taken = take_str_raw(reader, &view);
    } else if (tag >= 0xc4 && tag <= 0xc6) {
      taken = take_bin(reader, &view);
    } else if (tag < 0x80 || (tag >= 0xcc && tag <= 0xcf)) {
      taken = take_uint(reader, &natural);
    } else {
      taken = take_negative(reader, &number);
    }
    if (!taken) {
      return false;
    }
  }
  return true;
}

/* Shell sort with Ciura's gaps: no allocation, no recursion, far from quadratic up to
 * CODEC_MAP_MAX. */
static void views_sort(struct bytes_view *views, size_t count)
{
  static const size_t gaps[] = {701, 301, 132, 57, 23, 10, 4, 1};
  for (size_t g = 0; g < sizeof(gaps) / sizeof(gaps[0]); g++) {
    size_t gap = gaps[g];
    for (size_t i = gap; i < count; i++) {
      struct bytes_view view = views[i];
      size_t place = i;
      while (place >= gap && bytes_view_compare(views[place - gap], view) > 0) {
        views[place] = views[place - gap];
        place -= gap;
      }
      views[place] = view;
    }
  }
}

/* Whether the keys of a map, whose form was checked, are all different. Equal values have equal
 * octets, since only shortest forms pass. */
static bool map_keys_distinct(struct reader reader, uint32_t count)
{
  struct bytes_view keys[CODEC_MAP_MAX];
  for (uint32_t i = 0; i < count; i++) {
    const uint8_t *start = reader.at;
    if (!value_pass(&reader)) {
      return false;
    }
    keys[i] = bytes_view_of(start, (size_t)(reader.at - start));
    if (!value_pass(&reader)) {
      return false;
    }
  }
  views_sort(keys, count);
  for (uint32_t i = 1; i < count; i++) {
    if (bytes_view_equal(keys[i - 1], keys[i])) {
      return false;
    }
  }
  return true;
}

/* Keys are strs and integers. */
static bool map_key_check(struct reader *reader)
{
  if (reader->at == reader->end) {
    return false;
  }
  uint8_t tag = *reader->at;
  bool text = (tag & 0xe0) == 0xa0 || (tag >= 0xd9 && tag <= 0xdb);
  bool number = tag < 0x80 || tag >= 0xe0 || (tag >= 0xcc && tag <= 0xd3);
  return (text || number) && value_check(reader, false, 0);
}

/* Whether `key` is none of the `count` in `keys`. */
static bool key_is_new(const struct bytes_view *keys, uint32_t count, struct bytes_view key)
{
  for (uint32_t i = 0; i < count; i++) {
    if (keys[i].size == key.size && memcmp(keys[i].data, key.data, key.size) == 0) {
      return false;
    }
  }
  return true;
}

static bool small_map_check(struct reader *reader, uint32_t count, bool values, unsigned depth)
{
  struct bytes_view keys[CODEC_MAP_SMALL];
  for (uint32_t i = 0; i < count; i++) {
    const uint8_t *at = reader->at;
    if (!map_key_check(reader)) {
      return false;
    }
    keys[i] = bytes_view_of(at, (size_t)(reader->at - at));
    if (!key_is_new(keys, i, keys[i]) || !value_check(reader, values, depth + 1)) {
      return false;
    }
  }
  return true;
}

/* Keys in ascending order need no second look. */
static bool large_map_check(struct reader *reader, uint32_t count, bool values, unsigned depth)
{
  struct reader start = *reader;
  struct bytes_view previous = {0};
  bool ascending = true;
  for (uint32_t i = 0; i < count; i++) {
    const uint8_t *at = reader->at;
    if (!map_key_check(reader)) {
      return false;
    }
    struct bytes_view key = bytes_view_of(at, (size_t)(reader->at - at));
    ascending = ascending && (i == 0 || bytes_view_compare(previous, key) < 0);
    previous = key;
    if (!value_check(reader, values, depth + 1)) {
      return false;
    }
  }
  return ascending || map_keys_distinct(start, count);
}

static bool map_check(struct reader *reader, bool values, unsigned depth)
{
  uint32_t count = 0;
  if (!take_count(reader, 0x80, 0xde, &count) || count > CODEC_MAP_MAX) {
    return false;
  }
  return count <= CODEC_MAP_SMALL ? small_map_check(reader, count, values, depth)
                                  : large_map_check(reader, count, values, depth);
}

static bool array_check(struct reader *reader, bool values, unsigned depth)
{
  uint32_t count = 0;
  if (!take_array(reader, &count)) {
    return false;
  }
  for (uint32_t i = 0; i < count; i++) {
    if (!value_check(reader, values, depth + 1)) {
      return false;
    }
  }
  return true;
}

/* `depth` counts the containers around the value. */
static bool value_check(struct reader *reader, bool values, unsigned depth)
{
  if (reader->at == reader->end) {
    return false;
  }
  uint8_t tag = *reader->at;
  uint64_t natural = 0;
  int64_t number = 0;
  struct bytes_view view;
  if (tag < 0x80) {
    reader->at++;
    return true;
  }
  if ((tag & 0xe0) == 0xa0 || (tag >= 0xd9 && tag <= 0xdb)) {
    return take_str(reader, &view);
  }
  if ((tag & 0xf0) == 0x80 || tag == 0xde || tag == 0xdf) {
    return depth < CODEC_DEPTH_MAX && map_check(reader, values, depth);
  }
  if ((tag & 0xf0) == 0x90 || tag == 0xdc || tag == 0xdd) {
    return depth < CODEC_DEPTH_MAX && array_check(reader, values, depth);
  }
  if (tag >= 0xe0) {
    reader->at++;
    return true;
  }
  switch (tag) {
  case 0xc0:
  case 0xc2:
  case 0xc3:
    reader->at++;
    return values;
  case 0xc4:
  case 0xc5:
  case 0xc6:
    return take_bin(reader, &view);
  case 0xcb:
    return values && take_number(reader, 8, &natural);
  case 0xcc:
  case 0xcd:
  case 0xce:
  case 0xcf:
    return take_uint(reader, &natural);
  case 0xd0:
  case 0xd1:
  case 0xd2:
  case 0xd3:
    return take_negative(reader, &number);
  default:
    return false;
  }
}

bool codec_value_check(struct reader *reader, bool values)
{
  return value_check(reader, values, 0);
}

bool reader_array(struct reader *reader, uint32_t *count)
{
  return take_array(reader, count);
}

bool reader_map(struct reader *reader, uint32_t *count)
{
  return take_count(reader, 0x80, 0xde, count);
}

bool reader_uint(struct reader *reader, uint64_t *value)
{
  return take_uint(reader, value);
}

bool reader_uint_max(struct reader *reader, uint64_t max, uint64_t *value)
{
  return take_uint_max(reader, max, value);
}

bool reader_int(struct reader *reader, int64_t *value)
{
  if (reader->at == reader->end) {
    return false;
  }
  if (*reader->at >= 0xd0) {
    return take_negative(reader, value);
  }
  uint64_t natural = 0;
  if (!take_uint_max(reader, INT64_MAX, &natural)) {
    return false;
  }
  *value = (int64_t)natural;
  return true;
}

bool reader_bool(struct reader *reader, bool *value)
{
  if (reader->at == reader->end || (*reader->at != 0xc2 && *reader->at != 0xc3)) {
    return false;
  }
  *value = *reader->at++ == 0xc3;
  return true;
}

bool reader_str(struct reader *reader, struct bytes_view *view)
{
  return take_str(reader, view);
}

bool reader_bin(struct reader *reader, struct bytes_view *view)
{
  return take_bin(reader, view);
}

bool reader_bin_exact(struct reader *reader, size_t size, const uint8_t **octets)
{
  struct bytes_view view;
  if (!take_bin(reader, &view) || view.size != size) {
    return false;
  }
  *octets = view.data;
  return true;
}

bool reader_peek_bin(const struct reader *reader)
{
  return reader->at != reader->end && *reader->at >= 0xc4 && *reader->at <= 0xc6;
}

bool reader_peek_array(const struct reader *reader)
{
  if (reader->at == reader->end) {
    return false;
  }
  uint8_t tag = *reader->at;
  return (tag & 0xf0) == 0x90 || tag == 0xdc || tag == 0xdd;
}

bool reader_peek_str(const struct reader *reader)
{
  if (reader->at == reader->end) {
    return false;
  }
  uint8_t tag = *reader->at;
  return (tag & 0xe0) == 0xa0 || (tag >= 0xd9 && tag <= 0xdb);
}

bool reader_skip(struct reader *reader, bool values, struct bytes_view *view)
{
  const uint8_t *start = reader->at;
  if (!codec_value_check(reader, values)) {
    return false;
  }
  if (view != NULL) {
    *view = bytes_view_of(start, (size_t)(reader->at - start));
  }
  return true;
}
