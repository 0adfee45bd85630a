#include "record/codec.h"

static int writer_write(void *data, const char *octets, size_t size)
{
  struct writer *writer = data;
  if (writer->failed || bytes_append(writer->out, octets, size) != STATUS_OK) {
    writer->failed = true;
    return -1;
  }
  return 0;
}

void writer_init(struct writer *writer, struct bytes *out)
{
  writer->out = out;
  writer->failed = false;
  msgpack_packer_init(&writer->packer, writer, writer_write);
}

void writer_array(struct writer *writer, uint32_t count)
{
  msgpack_pack_array(&writer->packer, count);
}

void writer_map(struct writer *writer, uint32_t count)
{
  msgpack_pack_map(&writer->packer, count);
}

void writer_uint(struct writer *writer, uint64_t value)
{
  msgpack_pack_uint64(&writer->packer, value);
}

void writer_int(struct writer *writer, int64_t value)
{
  msgpack_pack_int64(&writer->packer, value);
}

void writer_bool(struct writer *writer, bool value)
{
  if (value) {
    msgpack_pack_true(&writer->packer);
  } else {
    msgpack_pack_false(&writer->packer);
  }
}

void writer_str(struct writer *writer, struct bytes_view text)
{
  msgpack_pack_str(&writer->packer, text.size);
  msgpack_pack_str_body(&writer->packer, text.data, text.size);
}

void writer_text(struct writer *writer, const char *text)
{
  writer_str(writer, bytes_view_text(text));
}

void writer_bin(struct writer *writer, const void *data, size_t size)
{
  msgpack_pack_bin(&writer->packer, size);
  msgpack_pack_bin_body(&writer->packer, data, size);
}

void writer_raw(struct writer *writer, struct bytes_view encoded)
{
  (void)writer_write(writer, (const char *)encoded.data, encoded.size);
}

enum status writer_finish(const struct writer *writer)
{
  return writer->failed ? STATUS_NO_MEMORY : STATUS_OK;
}
