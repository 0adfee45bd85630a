#include "record/codec.h"
#include "replication/message.h"

static void write_log(struct writer *writer, const struct log_name *log)
{
  writer_array(writer, 3);
  writer_bin(writer, log->origin.octets, KEY_SIZE);
  writer_bin(writer, log->store.octets, STORE_ID_SIZE);
  writer_uint(writer, log->lane);
}

enum status message_write_hello(const struct message_hello *hello, struct bytes *out)
{
  struct writer writer;
  writer_init(&writer, out);
  writer_array(&writer, hello->dropped ? 9 : 8);
  writer_uint(&writer, MESSAGE_HELLO);
  writer_uint(&writer, hello->version_min);
  writer_uint(&writer, hello->version_max);
  writer_uint(&writer, hello->role);
  writer_int(&writer, hello->clock.ms);
  writer_bin(&writer, hello->store.octets, STORE_ID_SIZE);
  writer_array(&writer, LANE_COUNT);
  for (unsigned lane = 0; lane < LANE_COUNT; lane++) {
    const struct link_cursor *cursor = &hello->cursors[lane];
    writer_array(&writer, 3);
    writer_bin(&writer, cursor->store.octets, STORE_ID_SIZE);
    writer_uint(&writer, cursor->position);
    writer_bin(&writer, cursor->tag, sizeof(cursor->tag));
  }
  writer_text(&writer, hello->software);
  if (hello->dropped) {
    writer_bool(&writer, true);
  }
  return writer_finish(&writer);
}

enum status message_write_heads(const struct message_heads *heads, struct bytes *out)
{
  struct writer writer;
  writer_init(&writer, out);
  writer_array(&writer, 4);
  writer_uint(&writer, MESSAGE_HEADS);
  writer_bool(&writer, heads->final);
  writer_array(&writer, heads->count);
  for (unsigned i = 0; i < heads->count; i++) {
    const struct heads_entry *entry = &heads->entries[i];
    writer_array(&writer, 4);
    write_log(&writer, &entry->log);
    writer_uint(&writer, entry->seq);
    writer_uint(&writer, entry->commits);
    writer_bin(&writer, entry->digest, sizeof(entry->digest));
  }
  writer_array(&writer, heads->adopts ? 3 : 0);
  if (heads->adopts) {
    writer_uint(&writer, heads->lane);
    writer_uint(&writer, heads->position);
    writer_bin(&writer, heads->tag, sizeof(heads->tag));
  }
  return writer_finish(&writer);
}

enum status message_write_certificate(struct bytes_view certificate, struct bytes *out)
{
  struct writer writer;
  writer_init(&writer, out);
  writer_array(&writer, 2);
  writer_uint(&writer, MESSAGE_CERTIFICATE);
  writer_bin(&writer, certificate.data, certificate.size);
  return writer_finish(&writer);
}

enum status message_write_commits(unsigned lane, uint64_t position,
                                  const struct outgoing_commit *commits, size_t count,
                                  struct bytes *out)
{
  struct writer writer;
  writer_init(&writer, out);
  writer_array(&writer, 4);
  writer_uint(&writer, MESSAGE_COMMITS);
  writer_uint(&writer, lane);
  writer_uint(&writer, position);
  writer_array(&writer, (uint32_t)count);
  for (size_t i = 0; i < count; i++) {
    writer_array(&writer, 2);
    writer_uint(&writer, commits[i].raw_size);
    writer_bin(&writer, commits[i].zstd.data, commits[i].zstd.size);
  }
  return writer_finish(&writer);
}

enum status message_write_ack(const struct message_ack *ack, struct bytes *out)
{
  struct writer writer;
  writer_init(&writer, out);
  writer_array(&writer, 4);
  writer_uint(&writer, MESSAGE_ACK);
  writer_uint(&writer, ack->received);
  writer_array(&writer, ack->lane_count);
  for (unsigned i = 0; i < ack->lane_count; i++) {
    writer_array(&writer, 2);
    writer_uint(&writer, ack->lanes[i].lane);
    writer_uint(&writer, ack->lanes[i].position);
  }
  writer_array(&writer, ack->refusal_count);
  for (unsigned i = 0; i < ack->refusal_count; i++) {
    const struct refusal *refusal = &ack->refusals[i];
    writer_array(&writer, 3);
    write_log(&writer, &refusal->log);
    writer_uint(&writer, refusal->seq);
    writer_uint(&writer, refusal->verdict);
  }
  return writer_finish(&writer);
}

enum status message_write_want(const struct message_want *want, struct bytes *out)
{
  struct writer writer;
  writer_init(&writer, out);
  writer_array(&writer, want->what == WANT_LOG ? 4 : want->what == WANT_CERTIFICATE ? 3 : 2);
  writer_uint(&writer, MESSAGE_WANT);
  writer_uint(&writer, want->what);
  if (want->what == WANT_LOG) {
    write_log(&writer, &want->log);
    writer_uint(&writer, want->seq);
  } else if (want->what == WANT_CERTIFICATE) {
    writer_bin(&writer, want->certificate.octets, HASH_SIZE);
  }
  return writer_finish(&writer);
}

enum status message_write_query(const struct message_query *query, struct bytes *out)
{
  struct writer writer;
  writer_init(&writer, out);
  writer_array(&writer, 5);
  writer_uint(&writer, MESSAGE_QUERY);
  writer_uint(&writer, query->id);
  writer_str(&writer, query->kind);
  writer_uint(&writer, query->timeout_ms);
  writer_bin(&writer, query->body.data, query->body.size);
  return writer_finish(&writer);
}

enum status message_write_answer(const struct message_answer *answer, struct bytes *out)
{
  struct writer writer;
  writer_init(&writer, out);
  writer_array(&writer, 4);
  writer_uint(&writer, MESSAGE_ANSWER);
  writer_uint(&writer, answer->id);
  writer_uint(&writer, answer->status);
  writer_bin(&writer, answer->body.data, answer->body.size);
  return writer_finish(&writer);
}

enum status message_write_busy(uint32_t retry_ms, struct bytes *out)
{
  struct writer writer;
  writer_init(&writer, out);
  writer_array(&writer, 2);
  writer_uint(&writer, MESSAGE_BUSY);
  writer_uint(&writer, retry_ms);
  return writer_finish(&writer);
}

enum status message_write_floor(struct bytes_view commit, const struct bytes_view *proofs,
                                size_t proof_count, struct bytes *out)
{
  struct writer writer;
  writer_init(&writer, out);
  writer_array(&writer, 3);
  writer_uint(&writer, MESSAGE_FLOOR);
  writer_bin(&writer, commit.data, commit.size);
  writer_array(&writer, (uint32_t)proof_count);
  for (size_t i = 0; i < proof_count; i++) {
    writer_bin(&writer, proofs[i].data, proofs[i].size);
  }
  return writer_finish(&writer);
}

enum status message_write_idle(const struct message_idle *idle, struct bytes *out)
{
  struct writer writer;
  writer_init(&writer, out);
  writer_array(&writer, 4);
  writer_uint(&writer, MESSAGE_IDLE);
  writer_int(&writer, idle->clock.ms);
  writer_array(&writer, idle->head_count);
  for (unsigned i = 0; i < idle->head_count; i++) {
    const struct idle_head *head = &idle->heads[i];
    writer_array(&writer, 4);
    writer_bin(&writer, head->store.octets, STORE_ID_SIZE);
    writer_uint(&writer, head->lane);
    writer_uint(&writer, head->seq);
    writer_bin(&writer, head->id.octets, HASH_SIZE);
  }
  writer_array(&writer, LANE_COUNT);
  for (unsigned lane = 0; lane < LANE_COUNT; lane++) {
    writer_uint(&writer, idle->ends[lane]);
  }
  return writer_finish(&writer);
}

enum status message_write_part(unsigned stream, bool last, struct bytes_view slice,
                               struct bytes *out)
{
  struct writer writer;
  writer_init(&writer, out);
  writer_array(&writer, 4);
  writer_uint(&writer, MESSAGE_PART);
  writer_uint(&writer, stream);
  writer_bool(&writer, last);
  writer_bin(&writer, slice.data, slice.size);
  return writer_finish(&writer);
}
