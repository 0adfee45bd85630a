#include "record/audience.h"

#include <stdlib.h>
#include <string.h>

#include "record/check.h"
#include "record/codec.h"

#define SUBTREE_SUFFIX "/*"
#define ENTRY_TEXT_MAX (ADDRESS_TEXT_MAX + 2)

void audience_close(struct audience *audience)
{
  free(audience->entries);
  *audience = (struct audience){0};
}

/* An entry's text, "/\*" included, is its place in the order. */
static struct bytes_view entry_text(const struct address *address, bool subtree,
                                    uint8_t room[ENTRY_TEXT_MAX])
{
  if (!subtree) {
    return bytes_view_of(address->text, address->size);
  }
  memcpy(room, address->text, address->size);
  memcpy(room + address->size, SUBTREE_SUFFIX, 2);
  return bytes_view_of(room, address->size + 2u);
}

/* First entry whose text is not below `text`. */
static size_t entry_find(const struct audience *audience, struct bytes_view text)
{
  uint8_t room[ENTRY_TEXT_MAX];
  size_t low = 0;
  size_t high = audience->count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    const struct audience_entry *entry = &audience->entries[middle];
    if (bytes_view_compare(entry_text(&entry->address, entry->subtree, room), text) < 0) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

static bool entry_held(const struct audience *audience, const struct address *address, bool subtree)
{
  uint8_t room[ENTRY_TEXT_MAX];
  size_t place = entry_find(audience, entry_text(address, subtree, room));
  if (place == audience->count) {
    return false;
  }
  const struct audience_entry *entry = &audience->entries[place];
  return entry->subtree == subtree && address_equal(&entry->address, address);
}

/* Room for `extra` more entries. */
static enum status entries_reserve(struct audience *audience, size_t extra)
{
  size_t needed = audience->count + extra;
  if (needed > AUDIENCE_MEMBERS_MAX) {
    return STATUS_TOO_LARGE;
  }
  if (needed <= audience->capacity) {
    return STATUS_OK;
  }
  size_t capacity = audience->capacity * 2 < needed ? needed : audience->capacity * 2;
  capacity = capacity < 8 ? 8 : capacity;
  struct audience_entry *entries = realloc(audience->entries, capacity * sizeof(*entries));
  if (entries == NULL) {
    return STATUS_NO_MEMORY;
  }
  audience->entries = entries;
  audience->capacity = capacity;
  return STATUS_OK;
}

/* Into room that entries_reserve made; nothing when it is held already. */
static void entry_insert(struct audience *audience, const struct address *address, bool subtree)
{
  if (entry_held(audience, address, subtree)) {
    return;
  }
  CHECK(audience->count < audience->capacity);
  uint8_t room[ENTRY_TEXT_MAX];
  size_t place = entry_find(audience, entry_text(address, subtree, room));
  struct audience_entry *entry = &audience->entries[place];
  memmove(entry + 1, entry, (audience->count - place) * sizeof(*entry));
  *entry = (struct audience_entry){*address, subtree};
  audience->count++;
}

enum status audience_write(const struct audience *audience, struct bytes *out)
{
  size_t mark = out->size;
  uint8_t room[ENTRY_TEXT_MAX];
  struct writer writer;
  writer_init(&writer, out);
  writer_array(&writer, (uint32_t)audience->count);
  for (size_t i = 0; i < audience->count; i++) {
    const struct audience_entry *entry = &audience->entries[i];
    writer_str(&writer, entry_text(&entry->address, entry->subtree, room));
  }
  enum status status = writer_finish(&writer);
  if (status != STATUS_OK) {
    out->size = mark;
  }
  return status;
}

enum status audience_read(struct bytes_view octets, struct audience *out)
{
  struct reader reader = reader_of(octets);
  struct bytes_view previous = {0};
  uint32_t count = 0;
  out->count = 0;
  if (!reader_array(&reader, &count) || count > AUDIENCE_MEMBERS_MAX) {
    return STATUS_MALFORMED;
  }
  if (entries_reserve(out, count) != STATUS_OK) {
    return STATUS_NO_MEMORY;
  }
  for (uint32_t i = 0; i < count; i++) {
    struct bytes_view text;
    struct audience_entry *entry = &out->entries[i];
    if (!reader_str(&reader, &text) || (i > 0 && bytes_view_compare(previous, text) >= 0) ||
        address_parse_target(text, &entry->address, &entry->subtree) != STATUS_OK) {
      return STATUS_MALFORMED;
    }
    previous = text;
  }
  if (!reader_at_end(&reader)) {
    return STATUS_MALFORMED;
  }
  out->count = count;
  return STATUS_OK;
}

bool audience_has_writer(const struct audience *audience, const struct address *address)
{
  return entry_held(audience, address, false);
}

/* Whether `address` lies within an `A/\*`. */
static bool subtree_covers(const struct audience *audience, const struct address *address)
{
  struct address place = *address;
  while (place.size > 0) {
    if (!place.unit && entry_held(audience, &place, true)) {
      return true;
    }
    if (!address_parent(&place, &place)) {
      return false;
    }
  }
  return false;
}

bool audience_has_reader(const struct audience *audience, const struct address *address)
{
  return audience_has_writer(audience, address) || subtree_covers(audience, address);
}

bool audience_reaches(const struct audience *audience, const struct address *top)
{
  if (top->size == 0) {
    return audience->count > 0;
  }
  if (audience_has_reader(audience, top)) {
    return true;
  }
  uint8_t prefix[ENTRY_TEXT_MAX];
  memcpy(prefix, top->text, top->size);
  prefix[top->size] = '/';
  size_t size = top->size + 1u;
  size_t place = entry_find(audience, bytes_view_of(prefix, size));
  if (place == audience->count) {
    return false;
  }
  const struct audience_entry *entry = &audience->entries[place];
  return address_within(&entry->address, top);
}

enum status audience_found(struct audience *audience, const struct address *founder)
{
  enum status status = entries_reserve(audience, 1);
  if (status == STATUS_OK) {
    entry_insert(audience, founder, false);
  }
  return status;
}

/* The full members are always a connected part of the tree, so there is one highest. A carrier's
 * text is shorter than that of what lies below it, so the highest sorts before all others. */
static bool highest_member(const struct audience *audience, struct address *highest)
{
  for (size_t i = 0; i < audience->count; i++) {
    if (!audience->entries[i].subtree) {
      *highest = audience->entries[i].address;
      return true;
    }
  }
  return false;
}

/* At most one address per level above each of two nodes, and the nodes. */
#define PATH_MAX_NODES (2 * (ADDRESS_SEGMENTS_MAX + 1))

/* Adds from `start` up to and including `stop`, an ancestor of it or itself. */
static size_t path_collect(const struct audience *audience, const struct address *start,
                           const struct address *stop, struct address *nodes, size_t count)
{
  struct address node = *start;
  for (;;) {
    if (!audience_has_writer(audience, &node)) {
      CHECK(count < PATH_MAX_NODES);
      nodes[count++] = node;
    }
    if (address_equal(&node, stop) || !address_parent(&node, &node) || node.size == 0) {
      return count;
    }
  }
}

/* Adds a full member and the path that joins it to the others; all of it or nothing. */
static enum status member_add(struct audience *audience, const struct address *member, bool *grew)
{
  struct address nodes[PATH_MAX_NODES];
  struct address highest;
  size_t count = 0;
  if (audience_has_writer(audience, member)) {
    return STATUS_OK;
  }
  if (!highest_member(audience, &highest)) {
    highest = *member;
  }
  struct address meeting = highest;
  while (!address_within(member, &meeting)) {
    if (!address_parent(&meeting, &meeting)) {
      break;
    }
  }
  count = path_collect(audience, member, &meeting, nodes, count);
  count = path_collect(audience, &highest, &meeting, nodes, count);
  enum status status = entries_reserve(audience, count);
  if (status != STATUS_OK) {
    return status;
  }
  for (size_t i = 0; i < count; i++) {
    entry_insert(audience, &nodes[i], false);
  }
  *grew = true;
  return STATUS_OK;
}

/* Adds `top` and all below it as readers; the nodes between the author and `top` carry. */
static enum status subtree_add(struct audience *audience, const struct address *author,
                               const struct address *top, bool *grew)
{
  if (entry_held(audience, top, true)) {
    return STATUS_OK;
  }
  if (!address_equal(top, author)) {
    struct address above;
    CHECK(address_parent(top, &above));
    enum status status = member_add(audience, &above, grew);
    if (status != STATUS_OK) {
      return status;
    }
  }
  enum status status = entries_reserve(audience, 1);
  if (status == STATUS_OK) {
    entry_insert(audience, top, true);
    *grew = true;
  }
  return status;
}

static enum status ancestors_add(struct audience *audience, const struct address *author,
                                 unsigned up, bool *grew)
{
  struct address node;
  const struct address *below = author;
  while (address_parent(below, &node) && node.size > 0 && address_tier(&node) <= up) {
    enum status status = member_add(audience, &node, grew);
    if (status != STATUS_OK) {
      return status;
    }
    below = &node;
  }
  return STATUS_OK;
}

static enum status target_add(struct audience *audience, const struct address *author,
                              const struct address *target, bool subtree, unsigned *refused_targets,
                              bool *grew)
{
  if (subtree) {
    if (!address_within(target, author)) {
      (*refused_targets)++;
      return STATUS_OK;
    }
    return subtree_add(audience, author, target, grew);
  }
  if (address_within(target, author) || address_within(author, target)) {
    return member_add(audience, target, grew);
  }
  if (!audience_has_reader(audience, target)) {
    (*refused_targets)++;
  }
  return STATUS_OK;
}

enum status audience_add_record(struct audience *audience, const struct address *author,
                                const struct record_header *header, bool *effective,
                                unsigned *refused_targets, bool *grew)
{
  *refused_targets = 0;
  *grew = false;
  *effective = audience_has_writer(audience, author);
  if (!*effective) {
    return STATUS_OK;
  }
  enum status status = ancestors_add(audience, author, header->up, grew);
  struct bytes_view rest = header->down;
  struct address target;
  bool subtree = false;
  while (status == STATUS_OK && record_down_next(&rest, &target, &subtree)) {
    status = target_add(audience, author, &target, subtree, refused_targets, grew);
  }
  return status;
}
