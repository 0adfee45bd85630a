#include "record/record.h"

#include <string.h>

#include "address_inline.h"
#include "codec_inline.h"
#include "record_private.h"

const char *lane_name(unsigned lane)
{
  static const char *const names[] = {"urgent", "normal", "bulk"};
  return lane < LANE_COUNT ? names[lane] : "unknown";
}

#define HEADER_FIELDS 8

static bool header_down_read(struct reader *reader, struct record_header *out)
{
  uint32_t count = 0;
  if (!take_array(reader, &count) || count > RECORD_DOWN_MAX) {
    return false;
  }
  const uint8_t *start = reader->at;
  for (uint32_t i = 0; i < count; i++) {
    struct bytes_view text;
    struct address_form form;
    size_t size = 0;
    if (!take_str_raw(reader, &text) || !address_target_read(text, &form, &size)) {
      return false;
    }
  }
  out->down_count = (uint8_t)count;
  out->down = bytes_view_of(start, (size_t)(reader->at - start));
  return true;
}

bool record_header_read(struct bytes_view octets, struct record_header *out)
{
  struct reader reader = {octets.data, octets.data + octets.size};
  uint32_t fields = 0;
  uint64_t version = 0;
  uint64_t gen = 0;
  uint64_t up = 0;
  const uint8_t *subject = NULL;
  if (!take_array(&reader, &fields) || fields < HEADER_FIELDS ||
      !take_uint_max(&reader, UINT8_MAX, &version) || version < 1 ||
      (version == 1 && fields != HEADER_FIELDS) || !take_str(&reader, &out->kind) ||
      !take_bin_exact(&reader, SUBJECT_SIZE, &subject) ||
      !take_uint_max(&reader, RECORD_GEN_MAX, &gen) || !take_uint(&reader, &out->hlc) ||
      !take_uint_max(&reader, TIER_DISTRICT, &up) || !header_down_read(&reader, out) ||
      !take_str(&reader, &out->author)) {
    return false;
  }
  if (out->kind.size < 1 || out->kind.size > RECORD_KIND_MAX ||
      out->author.size > RECORD_AUTHOR_MAX) {
    return false;
  }
  for (uint32_t i = HEADER_FIELDS; i < fields; i++) {
    if (!codec_value_check(&reader, true)) {
      return false;
    }
  }
  memcpy(out->subject.octets, subject, SUBJECT_SIZE);
  out->gen = (uint32_t)gen;
  out->up = (uint8_t)up;
  return reader_at_end(&reader);
}

/* A value is one msgpack value and nothing behind it. */
static bool item_value_check(struct bytes_view value)
{
  struct reader reader = {value.data, value.data + value.size};
  return codec_value_check(&reader, true) && reader_at_end(&reader);
}

/* Takes the item at the reader. Its value and UTF-8 are checked by the caller. */
static bool item_take(struct reader *reader, struct item *item)
{
  const uint8_t *start = reader->at;
  const uint8_t *octets = NULL;
  uint64_t see = 0;
  item->shown = !reader_peek_bin(reader);
  if (!item->shown) {
    if (!take_bin_exact(reader, HASH_SIZE, &octets)) {
      return false;
    }
    memcpy(item->commitment.octets, octets, HASH_SIZE);
    return true;
  }
  if (!take_array_of(reader, 4) || !take_bin_exact(reader, SALT_SIZE, &octets) ||
      !take_str_raw(reader, &item->name) || item->name.size > RECORD_ITEM_NAME_MAX ||
      !take_bin(reader, &item->value) || !take_uint_max(reader, SEE_ALL, &see) || see == 0) {
    return false;
  }
  item->salt = bytes_view_of(octets, SALT_SIZE);
  item->see = (uint8_t)see;
  item->octets = bytes_view_of(start, (size_t)(reader->at - start));
  return true;
}

/* What reading the items of one record gathers. */
struct items_walk {
  enum record_check check;
  struct bytes_view names[RECORD_ITEMS_MAX];
  size_t name_count;
  const struct hash_base *base;
  struct hash *commitments; /* NULL: not wanted */
};

static bool items_name_add(struct items_walk *walk, struct bytes_view name)
{
  if (!codec_utf8_valid(name.data, name.size)) {
    return false;
  }
  for (size_t i = 0; i < walk->name_count; i++) {
    if (bytes_view_equal(walk->names[i], name)) {
      return false;
    }
  }
  walk->names[walk->name_count++] = name;
  return true;
}

static bool items_take(struct reader *reader, struct items_walk *walk, struct record *out)
{
  for (uint32_t i = 0; i < out->item_count; i++) {
    struct item item;
    if (!item_take(reader, &item)) {
      return false;
    }
    if (!item.shown) {
      out->hidden_count++;
      if (walk->commitments != NULL) {
        walk->commitments[i] = item.commitment;
      }
      continue;
    }
    if (walk->check == RECORD_CHECK_ALL &&
        (!items_name_add(walk, item.name) || !item_value_check(item.value))) {
      return false;
    }
    if (item.octets.size < COMMITMENT_ENCODED_SIZE) {
      out->size_max += (uint32_t)(COMMITMENT_ENCODED_SIZE - item.octets.size);
    }
    out->see_all &= item.see;
    if (walk->commitments != NULL) {
      walk->commitments[i] = hash_base_item(walk->base, item.octets);
    }
  }
  return true;
}

enum status record_take(struct reader *reader, enum record_check check,
                        const struct hash_base *base, struct record *out, struct hash *leaf)
{
  struct hash commitments[RECORD_ITEMS_MAX];
  struct items_walk walk;
  walk.check = check;
  walk.name_count = 0;
  walk.base = base;
  walk.commitments = leaf == NULL ? NULL : commitments;
  const uint8_t *start = reader->at;
  uint32_t items = 0;
  if (!take_array_of(reader, 2) || !take_bin(reader, &out->header_octets) ||
      !record_header_read(out->header_octets, &out->header) || !take_array(reader, &items) ||
      items < 1 || items > RECORD_ITEMS_MAX) {
    return STATUS_MALFORMED;
  }
  const uint8_t *first = reader->at;
  out->item_count = (uint8_t)items;
  out->hidden_count = 0;
  out->see_all = SEE_ALL;
  out->size_max = 0;
  if (!items_take(reader, &walk, out)) {
    return STATUS_MALFORMED;
  }
  out->items_octets = bytes_view_of(first, (size_t)(reader->at - first));
  out->octets = bytes_view_of(start, (size_t)(reader->at - start));
  if (out->octets.size + out->size_max > RECORD_BYTES_MAX) {
    return STATUS_TOO_LARGE;
  }
  out->size_max += (uint32_t)out->octets.size;
  if (leaf != NULL) {
    *leaf = hash_base_leaf(base, out->header_octets, commitments, items);
  }
  return STATUS_OK;
}

enum status record_read_leaf(struct bytes_view octets, struct record *out, struct hash *leaf)
{
  if (octets.size > RECORD_BYTES_MAX) {
    return STATUS_TOO_LARGE;
  }
  struct hash_base base;
  struct reader reader = reader_of(octets);
  if (leaf != NULL) {
    hash_base_init(&base);
  }
  enum status status = record_take(&reader, RECORD_CHECK_ALL, &base, out, leaf);
  if (status == STATUS_OK && !reader_at_end(&reader)) {
    return STATUS_MALFORMED;
  }
  return status;
}

enum status record_read(struct bytes_view octets, struct record *out)
{
  return record_read_leaf(octets, out, NULL);
}

bool record_down_next(struct bytes_view *rest, struct address *target, bool *subtree)
{
  struct reader reader = reader_of(*rest);
  struct bytes_view text;
  if (reader_at_end(&reader) || !take_str_raw(&reader, &text) ||
      address_parse_target(text, target, subtree) != STATUS_OK) {
    return false;
  }
  *rest = bytes_view_of(reader.at, take_left(&reader));
  return true;
}

bool record_item_next(struct bytes_view *rest, struct item *item)
{
  struct reader reader = reader_of(*rest);
  *item = (struct item){0};
  if (reader_at_end(&reader) || !item_take(&reader, item)) {
    return false;
  }
  *rest = bytes_view_of(reader.at, take_left(&reader));
  return true;
}

struct hash item_commitment(struct bytes_view item_octets)
{
  return hash_of(HASH_ITEM, item_octets);
}

struct hash record_leaf(const struct record *record)
{
  struct hash commitments[RECORD_ITEMS_MAX];
  struct bytes_view rest = record->items_octets;
  struct item item;
  size_t count = 0;
  while (count < RECORD_ITEMS_MAX && record_item_next(&rest, &item)) {
    commitments[count++] = item.shown ? item_commitment(item.octets) : item.commitment;
  }
  return hash_leaf(record->header_octets, commitments, count);
}

bool record_item_find(const struct record *record, const char *name, struct item *item)
{
  struct bytes_view wanted = bytes_view_text(name);
  struct bytes_view rest = record->items_octets;
  while (record_item_next(&rest, item)) {
    if (item->shown && bytes_view_equal(item->name, wanted)) {
      return true;
    }
  }
  return false;
}
