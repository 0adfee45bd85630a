#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "record/codec.h"
#include "replication/message.h"

/* Fields that a newer version added at the end are skipped. */
static bool skip_rest(struct reader *reader, uint32_t count, uint32_t known)
{
  for (uint32_t i = known; i < count; i++) {
    if (!reader_skip(reader, true, NULL)) {
      return false;
    }
  }
  return true;
}

static bool read_octets(struct reader *reader, size_t size, void *out)
{
  const uint8_t *octets;
  if (!reader_bin_exact(reader, size, &octets)) {
    return false;
  }
  memcpy(out, octets, size);
  return true;
}

static bool read_log(struct reader *reader, struct log_name *log)
{
  uint32_t count;
  uint64_t lane;
  if (!reader_array(reader, &count) || count != 3 ||
      !read_octets(reader, KEY_SIZE, log->origin.octets) ||
      !read_octets(reader, STORE_ID_SIZE, log->store.octets) ||
      !reader_uint_max(reader, LANE_BULK, &lane)) {
    return false;
  }
  log->lane = (uint8_t)lane;
  return true;
}

static bool read_text(struct reader *reader, size_t max, char *out)
{
  struct bytes_view text;
  if (!reader_str(reader, &text) || text.size > max) {
    return false;
  }
  memcpy(out, text.data, text.size);
  out[text.size] = '\0';
  return true;
}

#define MSGPACK_TRUE 0xc3

static bool read_hello(struct reader *reader, uint32_t count, struct message_hello *hello)
{
  uint64_t low, high, role;
  uint32_t lanes;
  if (count < 8 || !reader_uint_max(reader, 255, &low) || !reader_uint_max(reader, 255, &high) ||
      !reader_uint_max(reader, ROLE_PARENT, &role) || !reader_int(reader, &hello->clock.ms) ||
      !read_octets(reader, STORE_ID_SIZE, hello->store.octets) || !reader_array(reader, &lanes) ||
      lanes != LANE_COUNT) {
    return false;
  }
  hello->version_min = (uint8_t)low;
  hello->version_max = (uint8_t)high;
  hello->role = (uint8_t)role;
  for (unsigned lane = 0; lane < LANE_COUNT; lane++) {
    struct link_cursor *cursor = &hello->cursors[lane];
    uint32_t fields;
    if (!reader_array(reader, &fields) || fields != 3 ||
        !read_octets(reader, STORE_ID_SIZE, cursor->store.octets) ||
        !reader_uint(reader, &cursor->position) ||
        !read_octets(reader, sizeof(cursor->tag), cursor->tag)) {
      return false;
    }
  }
  struct bytes_view dropped;
  if (!read_text(reader, VERSION_TEXT_MAX, hello->software)) {
    return false;
  }
  if (count == 8) {
    return true;
  }
  /* Written only where it is true; programs before it skip it like any further field. */
  if (!reader_skip(reader, true, &dropped)) {
    return false;
  }
  hello->dropped = dropped.size == 1 && dropped.data[0] == MSGPACK_TRUE;
  return skip_rest(reader, count, 9);
}

static bool read_floor(struct reader *reader, uint32_t count, struct arena *arena,
                       struct message_floor *floor)
{
  struct bytes_view octets;
  uint32_t proofs;
  if (count < 3 || !reader_bin(reader, &octets) ||
      commit_read(octets, arena, &floor->commit) != VERDICT_OK ||
      commit_check_signature(&floor->commit) != VERDICT_OK || floor->commit.shown_count > 0 ||
      !reader_array(reader, &proofs) || proofs > MESSAGE_PROOFS_MAX) {
    return false;
  }
  for (uint32_t i = 0; i < proofs; i++) {
    if (!reader_bin(reader, &floor->proofs[i])) {
      return false;
    }
  }
  floor->proof_count = (uint8_t)proofs;
  return skip_rest(reader, count, 3);
}

static bool read_heads(struct reader *reader, uint32_t count, struct arena *arena,
                       struct message_heads *heads)
{
  uint32_t entries, fields;
  uint64_t lane;
  if (count < 4 || !reader_bool(reader, &heads->final) || !reader_array(reader, &entries) ||
      entries > MESSAGE_HEADS_MAX) {
    return false;
  }
  heads->count = (uint16_t)entries;
  heads->entries = arena_alloc(arena, (entries + 1) * sizeof(*heads->entries));
  if (heads->entries == NULL) {
    return false;
  }
  for (uint32_t i = 0; i < entries; i++) {
    struct heads_entry *entry = &heads->entries[i];
    if (!reader_array(reader, &fields) || fields != 4 || !read_log(reader, &entry->log) ||
        !reader_uint(reader, &entry->seq) || !reader_uint(reader, &entry->commits) ||
        !read_octets(reader, sizeof(entry->digest), entry->digest)) {
      return false;
    }
  }
  if (!reader_array(reader, &fields) || (fields != 0 && fields != 3)) {
    return false;
  }
  heads->adopts = fields == 3;
  if (heads->adopts) {
    if (!reader_uint_max(reader, LANE_BULK, &lane) || !reader_uint(reader, &heads->position) ||
        !read_octets(reader, sizeof(heads->tag), heads->tag)) {
      return false;
    }
    heads->lane = (uint8_t)lane;
  }
  return skip_rest(reader, count, 4);
}

/* Reads and verifies one commit. False when not even its header can be read: then there is no id
 * to count it by. */
static bool judge_commit(struct bytes_view octets, struct arena *arena, struct message_commit *out)
{
  out->verdict = commit_read(octets, arena, &out->commit);
  if (out->verdict == VERDICT_OK) {
    out->verdict = commit_check_signature(&out->commit);
    return true;
  }
  out->commit.octets = octets;
  return commit_read_header(octets, &out->commit.header, &out->commit.id) == STATUS_OK;
}

static bool read_commit(struct bytes_view zstd, size_t raw_size, struct arena *arena,
                        struct message_commit *out)
{
  uint8_t *raw = arena_alloc(arena, raw_size);
  uint8_t *kept = arena_copy(arena, zstd.data, zstd.size);
  if (raw == NULL || kept == NULL || ZSTD_getFrameContentSize(zstd.data, zstd.size) != raw_size ||
      ZSTD_findFrameCompressedSize(zstd.data, zstd.size) != zstd.size ||
      ZSTD_decompress(raw, raw_size, zstd.data, zstd.size) != raw_size) {
    return false;
  }
  out->zstd = bytes_view_of(kept, zstd.size);
  return judge_commit(bytes_view_of(raw, raw_size), arena, out);
}

static bool read_commits(struct reader *reader, uint32_t count, struct arena *arena,
                         struct message_commits *commits)
{
  uint64_t lane;
  uint32_t items;
  size_t raw_total = 0;
  if (count < 4 || !reader_uint_max(reader, LANE_BULK, &lane) ||
      !reader_uint(reader, &commits->position) || !reader_array(reader, &items) || items == 0 ||
      items > MESSAGE_COMMITS_MAX || commits->position > UINT64_MAX - items) {
    return false;
  }
  commits->lane = (uint8_t)lane;
  commits->count = (uint16_t)items;
  commits->items = arena_alloc(arena, items * sizeof(*commits->items));
  if (commits->items == NULL) {
    return false;
  }
  memset(commits->items, 0, items * sizeof(*commits->items));
  for (uint32_t i = 0; i < items; i++) {
    uint32_t fields;
    uint64_t raw_size;
    struct bytes_view zstd;
    if (!reader_array(reader, &fields) || fields != 2 ||
        !reader_uint_max(reader, COMMIT_BYTES_MAX, &raw_size) || !reader_bin(reader, &zstd)) {
      return false;
    }
    raw_total += raw_size;
    if (raw_total > MESSAGE_RAW_MAX || raw_size == 0 || zstd.size == 0 ||
        !read_commit(zstd, raw_size, arena, &commits->items[i])) {
      return false;
    }
  }
  return skip_rest(reader, count, 4);
}

static bool read_ack(struct reader *reader, uint32_t count, struct arena *arena,
                     struct message_ack *ack)
{
  uint32_t lanes, refusals, fields;
  uint64_t value;
  if (count < 4 || !reader_uint(reader, &ack->received) || !reader_array(reader, &lanes) ||
      lanes > LANE_COUNT) {
    return false;
  }
  ack->lane_count = (uint8_t)lanes;
  for (uint32_t i = 0; i < lanes; i++) {
    if (!reader_array(reader, &fields) || fields != 2 ||
        !reader_uint_max(reader, LANE_BULK, &value) ||
        !reader_uint(reader, &ack->lanes[i].position)) {
      return false;
    }
    ack->lanes[i].lane = (uint8_t)value;
  }
  if (!reader_array(reader, &refusals) || refusals > MESSAGE_REFUSALS_MAX) {
    return false;
  }
  ack->refusal_count = (uint16_t)refusals;
  ack->refusals = arena_alloc(arena, (refusals + 1) * sizeof(*ack->refusals));
  if (ack->refusals == NULL) {
    return false;
  }
  for (uint32_t i = 0; i < refusals; i++) {
    struct refusal *refusal = &ack->refusals[i];
    if (!reader_array(reader, &fields) || fields != 3 || !read_log(reader, &refusal->log) ||
        !reader_uint(reader, &refusal->seq) || !reader_uint_max(reader, 255, &value)) {
      return false;
    }
    refusal->verdict = (uint8_t)value;
  }
  return skip_rest(reader, count, 4);
}

static bool read_want(struct reader *reader, uint32_t count, struct message_want *want)
{
  uint64_t what;
  if (count < 2 || !reader_uint_max(reader, 255, &what)) {
    return false;
  }
  want->what = (uint8_t)what;
  switch (what) {
  case WANT_LOG:
    return count >= 4 && read_log(reader, &want->log) && reader_uint(reader, &want->seq) &&
           skip_rest(reader, count, 4);
  case WANT_CERTIFICATE:
    return count >= 3 && read_octets(reader, HASH_SIZE, want->certificate.octets) &&
           skip_rest(reader, count, 3);
  default:
    return skip_rest(reader, count, 2);
  }
}

static bool read_query(struct reader *reader, uint32_t count, struct message_query *query)
{
  uint64_t timeout;
  if (count < 5 || !reader_uint(reader, &query->id) || !reader_str(reader, &query->kind) ||
      query->kind.size > QUERY_KIND_MAX || !reader_uint_max(reader, 600000, &timeout) ||
      !reader_bin(reader, &query->body)) {
    return false;
  }
  query->timeout_ms = (uint32_t)timeout;
  return skip_rest(reader, count, 5);
}

static bool read_answer(struct reader *reader, uint32_t count, struct message_answer *answer)
{
  uint64_t status;
  if (count < 4 || !reader_uint(reader, &answer->id) || !reader_uint_max(reader, 255, &status) ||
      !reader_bin(reader, &answer->body)) {
    return false;
  }
  answer->status = (uint8_t)status;
  return skip_rest(reader, count, 4);
}

static bool read_idle(struct reader *reader, uint32_t count, struct message_idle *idle)
{
  uint32_t heads, fields, lanes;
  uint64_t lane;
  if (count < 4 || !reader_int(reader, &idle->clock.ms) || !reader_array(reader, &heads) ||
      heads > LANE_COUNT) {
    return false;
  }
  idle->head_count = (uint8_t)heads;
  for (uint32_t i = 0; i < heads; i++) {
    struct idle_head *head = &idle->heads[i];
    if (!reader_array(reader, &fields) || fields != 4 ||
        !read_octets(reader, STORE_ID_SIZE, head->store.octets) ||
        !reader_uint_max(reader, LANE_BULK, &lane) || !reader_uint(reader, &head->seq) ||
        !read_octets(reader, HASH_SIZE, head->id.octets)) {
      return false;
    }
    head->lane = (uint8_t)lane;
  }
  if (!reader_array(reader, &lanes) || lanes != LANE_COUNT) {
    return false;
  }
  for (unsigned i = 0; i < LANE_COUNT; i++) {
    if (!reader_uint(reader, &idle->ends[i])) {
      return false;
    }
  }
  return skip_rest(reader, count, 4);
}

static bool read_busy(struct reader *reader, uint32_t count, uint32_t *retry_ms)
{
  uint64_t value;
  if (count < 2 || !reader_uint_max(reader, 3600000, &value)) {
    return false;
  }
  *retry_ms = (uint32_t)value;
  return skip_rest(reader, count, 2);
}

static bool read_body(struct reader *reader, uint32_t count, struct message *message)
{
  switch (message->type) {
  case MESSAGE_HELLO:
    return read_hello(reader, count, &message->hello);
  case MESSAGE_HEADS:
    return read_heads(reader, count, &message->arena, &message->heads);
  case MESSAGE_CERTIFICATE:
    return count >= 2 && reader_bin(reader, &message->certificate) && skip_rest(reader, count, 2);
  case MESSAGE_COMMITS:
    return read_commits(reader, count, &message->arena, &message->commits);
  case MESSAGE_ACK:
    return read_ack(reader, count, &message->arena, &message->ack);
  case MESSAGE_WANT:
    return read_want(reader, count, &message->want);
  case MESSAGE_QUERY:
    return read_query(reader, count, &message->query);
  case MESSAGE_ANSWER:
    return read_answer(reader, count, &message->answer);
  case MESSAGE_BUSY:
    return read_busy(reader, count, &message->busy_ms);
  case MESSAGE_IDLE:
    return read_idle(reader, count, &message->idle);
  case MESSAGE_FLOOR:
    return read_floor(reader, count, &message->arena, &message->floor);
  default:
    message->type = MESSAGE_UNKNOWN;
    return skip_rest(reader, count, 1);
  }
}

/* Messages whose parts borrow from the octets get a copy of them in the arena. */
static bool borrows(uint64_t type)
{
  return type == MESSAGE_CERTIFICATE || type == MESSAGE_FLOOR || type == MESSAGE_QUERY ||
         type == MESSAGE_ANSWER;
}

enum status message_read(struct bytes_view octets, struct message **out)
{
  struct reader reader = reader_of(octets);
  uint32_t count;
  uint64_t type;
  if (!reader_array(&reader, &count) || count == 0 || !reader_uint_max(&reader, 255, &type) ||
      type == MESSAGE_PART) {
    return STATUS_MALFORMED;
  }
  struct message *message = calloc(1, sizeof(*message));
  if (message == NULL) {
    return STATUS_NO_MEMORY;
  }
  message->references = 1;
  message->type = (enum message_type)type;
  if (borrows(type)) {
    size_t used = (size_t)(reader.at - octets.data);
    const uint8_t *copy = arena_copy(&message->arena, octets.data, octets.size);
    if (copy == NULL) {
      message_release(message);
      return STATUS_NO_MEMORY;
    }
    reader = reader_of(bytes_view_of(copy + used, octets.size - used));
  }
  if (!read_body(&reader, count, message) || !reader_at_end(&reader)) {
    message_release(message);
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): the only reference was given back */
    return STATUS_MALFORMED;
  }
  *out = message;
  return STATUS_OK;
}

static struct message *message_new(enum message_type type)
{
  struct message *message = calloc(1, sizeof(*message));
  if (message != NULL) {
    message->references = 1;
    message->type = type;
  }
  return message;
}

enum status message_of_certificate(struct bytes_view certificate, struct message **out)
{
  struct message *message = message_new(MESSAGE_CERTIFICATE);
  uint8_t *copy =
      message == NULL ? NULL : arena_copy(&message->arena, certificate.data, certificate.size);
  if (copy == NULL) {
    message_release(message);
    return STATUS_NO_MEMORY;
  }
  message->certificate = bytes_view_of(copy, certificate.size);
  *out = message;
  return STATUS_OK;
}

enum status message_of_commit(struct bytes_view commit, struct message **out)
{
  enum status status = STATUS_NO_MEMORY;
  struct message *message = message_new(MESSAGE_COMMITS);
  if (message == NULL) {
    return STATUS_NO_MEMORY;
  }
  uint8_t *copy = arena_copy(&message->arena, commit.data, commit.size);
  message->commits.items = arena_alloc(&message->arena, sizeof(*message->commits.items));
  if (copy == NULL || message->commits.items == NULL) {
    goto out;
  }
  memset(message->commits.items, 0, sizeof(*message->commits.items));
  message->commits.count = 1;
  status = STATUS_MALFORMED;
  if (judge_commit(bytes_view_of(copy, commit.size), &message->arena, message->commits.items)) {
    message->commits.lane = message->commits.items[0].commit.header.lane;
    *out = message;
    return STATUS_OK;
  }
out:
  message_release(message);
  return status;
}

void message_retain(struct message *message)
{
  message->references++;
}

void message_release(struct message *message)
{
  if (message != NULL && --message->references == 0) {
    arena_close(&message->arena);
    free(message);
  }
}
