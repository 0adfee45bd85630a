#include <string.h>

#include "record/check.h"
#include "record/codec.h"
#include "record/record.h"
#include "record_private.h"

enum status bytes_wrap_bin(struct bytes *out, size_t mark)
{
  CHECK(mark <= out->size);
  size_t size = out->size - mark;
  struct bytes head = {0};
  uint8_t place[8];
  head.data = place;
  head.capacity = sizeof(place);
  struct writer writer;
  writer_init(&writer, &head);
  msgpack_pack_bin(&writer.packer, size);
  enum status status = bytes_reserve(out, head.size);
  if (status != STATUS_OK) {
    return status;
  }
  memmove(out->data + mark + head.size, out->data + mark, size);
  memcpy(out->data + mark, place, head.size);
  out->size += head.size;
  return STATUS_OK;
}

/* Gives `out` its former size back unless `status` is fine. */
static enum status keep_or_restore(enum status status, struct bytes *out, size_t size)
{
  if (status != STATUS_OK) {
    out->size = size;
  }
  return status;
}

static enum status draft_header_write(const struct record_draft *draft, struct bytes *out)
{
  struct writer writer;
  size_t mark = out->size;
  writer_init(&writer, out);
  writer_array(&writer, 8);
  writer_uint(&writer, 1);
  writer_text(&writer, draft->kind);
  writer_bin(&writer, draft->subject.octets, SUBJECT_SIZE);
  writer_uint(&writer, draft->gen);
  writer_uint(&writer, draft->hlc);
  writer_uint(&writer, draft->up);
  writer_array(&writer, draft->down_count);
  for (size_t i = 0; i < draft->down_count; i++) {
    writer_text(&writer, draft->down[i]);
  }
  writer_text(&writer, draft->author);
  enum status status = writer_finish(&writer);
  return status == STATUS_OK ? bytes_wrap_bin(out, mark) : status;
}

static enum status draft_write(const struct record_draft *draft, struct bytes *out)
{
  struct writer writer;
  writer_init(&writer, out);
  writer_array(&writer, 2);
  enum status status = writer_finish(&writer);
  if (status == STATUS_OK) {
    status = draft_header_write(draft, out);
  }
  if (status != STATUS_OK) {
    return status;
  }
  writer_array(&writer, draft->item_count);
  for (size_t i = 0; i < draft->item_count; i++) {
    const struct item_draft *item = &draft->items[i];
    writer_array(&writer, 4);
    writer_bin(&writer, item->salt, SALT_SIZE);
    writer_text(&writer, item->name);
    writer_bin(&writer, item->value.data, item->value.size);
    writer_uint(&writer, item->see);
  }
  return writer_finish(&writer);
}

/* The reader is the judge of what is well-formed, so that there is one set of rules. */
enum status record_write_leaf(const struct record_draft *draft, struct bytes *out,
                              struct record *record, struct hash *leaf)
{
  size_t mark = out->size;
  enum status status = draft_write(draft, out);
  if (status == STATUS_OK) {
    struct bytes_view octets = bytes_view_of(out->data + mark, out->size - mark);
    status = leaf == NULL ? record_read(octets, record) : record_read_leaf(octets, record, leaf);
    if (status == STATUS_MALFORMED) {
      status = STATUS_INVALID_ARGUMENT;
    }
  }
  return keep_or_restore(status, out, mark);
}

enum status record_write(const struct record_draft *draft, struct bytes *out)
{
  struct record record;
  return record_write_leaf(draft, out, &record, NULL);
}

static void write_head(struct writer *writer, const struct record *record)
{
  writer_array(writer, 2);
  writer_bin(writer, record->header_octets.data, record->header_octets.size);
  writer_array(writer, record->item_count);
}

static void write_commitment(struct writer *writer, const struct item *item)
{
  struct hash commitment = item->shown ? item_commitment(item->octets) : item->commitment;
  writer_bin(writer, commitment.octets, HASH_SIZE);
}

enum status record_write_for_class(const struct record *record, unsigned class_bit,
                                   struct bytes *out)
{
  if ((record->see_all & class_bit) != 0) {
    return bytes_append(out, record->octets.data, record->octets.size);
  }
  size_t mark = out->size;
  struct writer writer;
  struct bytes_view rest = record->items_octets;
  struct item item;
  writer_init(&writer, out);
  write_head(&writer, record);
  while (record_item_next(&rest, &item)) {
    if (item.shown && (item.see & class_bit) != 0) {
      writer_raw(&writer, item.octets);
    } else {
      write_commitment(&writer, &item);
    }
  }
  return keep_or_restore(writer_finish(&writer), out, mark);
}

enum status record_write_erased(const struct record *record, unsigned position, struct bytes *out)
{
  size_t mark = out->size;
  struct writer writer;
  struct bytes_view rest = record->items_octets;
  struct item item;
  unsigned place = 0;
  writer_init(&writer, out);
  write_head(&writer, record);
  while (record_item_next(&rest, &item)) {
    if (item.shown && place != position) {
      writer_raw(&writer, item.octets);
    } else {
      write_commitment(&writer, &item);
    }
    place++;
  }
  return keep_or_restore(writer_finish(&writer), out, mark);
}

static bool item_named(const struct record *record, struct bytes_view name)
{
  struct bytes_view rest = record->items_octets;
  struct item item;
  while (record_item_next(&rest, &item)) {
    if (item.shown && bytes_view_equal(item.name, name)) {
      return true;
    }
  }
  return false;
}

/* Two showings of one record can each be well-formed and their union not: two items of one name,
 * shown one here and one there, or more octets than allowed. Only a hostile origin makes such a
 * record. What `a` shows stays then, and the offending item of `b` stays hidden. */
static bool item_taken(const struct record *a, const struct record *b, unsigned place,
                       struct bytes_view name)
{
  struct bytes_view rest_a = a->items_octets;
  struct bytes_view rest_b = b->items_octets;
  struct item item_a;
  struct item item_b;
  for (unsigned i = 0; i < place; i++) {
    if (!record_item_next(&rest_a, &item_a) || !record_item_next(&rest_b, &item_b)) {
      return false;
    }
    if (!item_a.shown && item_b.shown && bytes_view_equal(item_b.name, name)) {
      return true;
    }
  }
  return item_named(a, name);
}

enum status record_merge(const struct record *a, const struct record *b, struct bytes *out,
                         bool *gained)
{
  size_t mark = out->size;
  size_t size_max = a->size_max;
  struct writer writer;
  struct bytes_view rest_a = a->items_octets;
  struct bytes_view rest_b = b->items_octets;
  struct item item_a;
  struct item item_b;
  unsigned place = 0;
  *gained = false;
  writer_init(&writer, out);
  write_head(&writer, a);
  while (record_item_next(&rest_a, &item_a) && record_item_next(&rest_b, &item_b)) {
    if (item_a.shown) {
      writer_raw(&writer, item_a.octets);
    } else if (!item_b.shown || item_taken(a, b, place, item_b.name)) {
      write_commitment(&writer, &item_a);
    } else {
      size_t wider = item_b.octets.size > COMMITMENT_ENCODED_SIZE
                         ? item_b.octets.size - COMMITMENT_ENCODED_SIZE
                         : 0;
      if (size_max + wider > RECORD_BYTES_MAX) {
        write_commitment(&writer, &item_a);
      } else {
        size_max += wider;
        writer_raw(&writer, item_b.octets);
        *gained = true;
      }
    }
    place++;
  }
  return keep_or_restore(writer_finish(&writer), out, mark);
}
