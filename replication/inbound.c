#include <stdlib.h>

#include "record/codec.h"
#include "replication/message.h"

void inbound_close(struct inbound *inbound)
{
  for (unsigned i = 0; i < STREAM_COUNT; i++) {
    bytes_close(&inbound->streams[i]);
  }
}

static enum status take_whole(struct bytes_view octets, size_t wire_octets, struct message **out)
{
  enum status status = message_read(octets, out);
  if (status == STATUS_OK) {
    (*out)->wire_octets = wire_octets;
  }
  return status;
}

/* A part that doesn't complete its message still tells the link how many octets came: on a slow
 * link the sender's window moves by these. */
static enum status tell_progress(size_t wire_octets, struct message **out)
{
  struct message *message = calloc(1, sizeof(*message));
  if (message == NULL) {
    return STATUS_NO_MEMORY;
  }
  message->references = 1;
  message->type = MESSAGE_PART;
  message->wire_octets = wire_octets;
  *out = message;
  return STATUS_OK;
}

static enum status take_part(struct inbound *inbound, struct reader *reader, size_t frame_size,
                             struct message **out)
{
  uint64_t stream;
  bool last;
  struct bytes_view slice;
  if (!reader_uint_max(reader, STREAM_COUNT - 1, &stream) || !reader_bool(reader, &last) ||
      !reader_bin(reader, &slice) || !reader_at_end(reader)) {
    return STATUS_MALFORMED;
  }
  struct bytes *whole = &inbound->streams[stream];
  size_t limit = stream == STREAM_ANSWER ? ANSWER_BYTES_MAX : MESSAGE_BYTES_MAX;
  if (whole->size + slice.size > limit) {
    return STATUS_TOO_LARGE;
  }
  enum status status = bytes_append(whole, slice.data, slice.size);
  if (status != STATUS_OK) {
    return status;
  }
  if (!last) {
    return tell_progress(frame_size, out);
  }
  status = take_whole(bytes_as_view(whole), frame_size, out);
  bytes_close(whole); /* an idle link keeps no buffer */
  return status;
}

enum status inbound_frame(struct inbound *inbound, struct bytes_view plain, struct message **out)
{
  *out = NULL;
  struct reader reader = reader_of(plain);
  uint32_t count;
  uint64_t type;
  if (reader_array(&reader, &count) && count == 4 && reader_uint(&reader, &type) &&
      type == MESSAGE_PART) {
    return take_part(inbound, &reader, plain.size, out);
  }
  return take_whole(plain, plain.size, out);
}
