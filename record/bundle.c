#include "record/bundle.h"

#include "codec_inline.h"

#define BUNDLE_NAME "noded-bundle"
#define BUNDLE_VERSION 1

enum status bundle_write_head(struct bytes *out)
{
  size_t mark = out->size;
  struct writer writer;
  writer_init(&writer, out);
  writer_array(&writer, 2);
  writer_text(&writer, BUNDLE_NAME);
  writer_uint(&writer, BUNDLE_VERSION);
  enum status status = writer_finish(&writer);
  if (status != STATUS_OK) {
    out->size = mark;
  }
  return status;
}

enum status bundle_write(enum bundle_entry type, struct bytes_view octets, struct bytes *out)
{
  size_t mark = out->size;
  struct writer writer;
  if (type != BUNDLE_CERTIFICATE && type != BUNDLE_COMMIT) {
    return STATUS_INVALID_ARGUMENT;
  }
  writer_init(&writer, out);
  writer_array(&writer, 2);
  writer_text(&writer, type == BUNDLE_CERTIFICATE ? "certificate" : "commit");
  writer_raw(&writer, octets);
  enum status status = writer_finish(&writer);
  if (status != STATUS_OK) {
    out->size = mark;
  }
  return status;
}

static struct bytes_view reader_rest(const struct reader *reader)
{
  return bytes_view_of(reader->at, take_left(reader));
}

enum status bundle_read_head(struct bytes_view *rest)
{
  struct reader reader = reader_of(*rest);
  struct bytes_view name;
  uint32_t fields = 0;
  uint64_t version = 0;
  if (!take_array(&reader, &fields) || fields < 2 || !take_str(&reader, &name) ||
      !bytes_view_equal(name, bytes_view_text(BUNDLE_NAME)) || !take_uint(&reader, &version) ||
      version < 1) {
    return STATUS_MALFORMED;
  }
  if (version > BUNDLE_VERSION) {
    return STATUS_WRONG_VERSION;
  }
  if (fields != 2) {
    return STATUS_MALFORMED;
  }
  *rest = reader_rest(&reader);
  return STATUS_OK;
}

enum status bundle_read(struct bytes_view *rest, enum bundle_entry *type, struct bytes_view *octets)
{
  struct reader reader = reader_of(*rest);
  *octets = (struct bytes_view){0};
  while (!reader_at_end(&reader)) {
    struct bytes_view name;
    uint32_t fields = 0;
    if (!take_array(&reader, &fields) || fields < 1 || !take_str(&reader, &name)) {
      return STATUS_MALFORMED;
    }
    bool certificate = bytes_view_equal(name, bytes_view_text("certificate"));
    bool known = certificate || bytes_view_equal(name, bytes_view_text("commit"));
    if (known && fields != 2) {
      return STATUS_MALFORMED;
    }
    for (uint32_t i = 1; i < fields; i++) {
      if (!reader_skip(&reader, !known, octets)) {
        return STATUS_MALFORMED;
      }
    }
    if (known) {
      *type = certificate ? BUNDLE_CERTIFICATE : BUNDLE_COMMIT;
      *rest = reader_rest(&reader);
      return STATUS_OK;
    }
  }
  *octets = (struct bytes_view){0};
  *type = BUNDLE_END;
  *rest = reader_rest(&reader);
  return STATUS_OK;
}
