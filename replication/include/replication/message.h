/*
 * The messages of a link (DESIGN section 6; docs/PROTOCOL.md): msgpack arrays, type first. Writers
 * append one message's octets; message_read gives one back with everything in it that can be
 * checked without state: commits are decompressed, read, hashed and their signatures verified, so
 * that this may run on any thread. Unknown types and further fields are ignored.
 */
#ifndef REPLICATION_MESSAGE_H
#define REPLICATION_MESSAGE_H

#include "record/certificate.h"
#include "record/clock.h"
#include "record/commit.h"

#define PROTOCOL_VERSION 1
#define FRAME_PLAIN_MAX 65519         /* 65,535 less the tag */
#define MESSAGE_BYTES_MAX (96 * 1024) /* a lane's message, parts put together */
#define ANSWER_BYTES_MAX (4 * 1024 * 1024)
#define MESSAGE_COMMITS_MAX 64
#define MESSAGE_RAW_MAX (1024 * 1024) /* decompressed octets of one `commits` */
#define MESSAGE_REFUSALS_MAX 64
#define MESSAGE_HEADS_MAX 256
#define QUERY_KIND_MAX 32
#define VERSION_TEXT_MAX 32
#define MESSAGE_PROOFS_MAX 8

enum message_type {
  MESSAGE_HELLO = 1,
  MESSAGE_HEADS = 2,
  MESSAGE_CERTIFICATE = 3,
  MESSAGE_COMMITS = 4,
  MESSAGE_ACK = 5,
  MESSAGE_WANT = 6,
  MESSAGE_QUERY = 7,
  MESSAGE_ANSWER = 8,
  MESSAGE_BUSY = 9,
  MESSAGE_IDLE = 10,
  MESSAGE_PART = 11,
  MESSAGE_FLOOR = 12,
  MESSAGE_UNKNOWN = 255,
};

enum link_role { ROLE_CHILD = 0, ROLE_PARENT = 1 };

/* A log's name. */
struct log_name {
  struct node_key origin;
  struct store_id store;
  uint8_t lane;
};

/* Where reading of an outbox stands; all zeros: nothing read yet. */
struct link_cursor {
  struct store_id store;
  uint64_t position;
  uint8_t tag[16];
};

struct message_hello {
  uint8_t version_min;
  uint8_t version_max;
  uint8_t role;
  struct wall_ms clock;
  struct store_id store;
  struct link_cursor cursors[LANE_COUNT]; /* the writer's durable cursors in our outbox */
  char software[VERSION_TEXT_MAX + 1];
  bool dropped; /* the writer dropped what waited for us: heads will be compared */
};

struct heads_entry {
  struct log_name log;
  uint64_t seq;
  uint64_t commits;
  uint8_t digest[16];
};

/* One side of a resynchronisation: the receiver's heads in pages, or the sender's cursor. */
struct message_heads {
  bool final;
  uint16_t count;
  struct heads_entry *entries;
  bool adopts; /* `lane`, `position`, `tag`: adopt this cursor */
  uint8_t lane;
  uint64_t position;
  uint8_t tag[16];
};

struct message_commit {
  enum verdict verdict; /* OK, BAD_ROOT, BAD_SIGNATURE, MALFORMED (header readable) */
  struct bytes_view zstd;
  struct commit commit;
};

struct message_commits {
  uint8_t lane;
  uint64_t position; /* of the first; 0: asked for by `want` or a resynchronisation */
  uint16_t count;
  struct message_commit *items;
};

struct refusal {
  struct log_name log;
  uint64_t seq;
  uint8_t verdict;
};

struct message_ack {
  uint64_t received; /* octets of frames taken from this connection so far */
  uint8_t lane_count;
  struct {
    uint8_t lane;
    uint64_t position;
  } lanes[LANE_COUNT];
  uint16_t refusal_count;
  struct refusal *refusals;
};

enum want_what { WANT_LOG = 0, WANT_CERTIFICATE = 1, WANT_HEADS = 2 };
struct message_want {
  uint8_t what;
  struct log_name log;
  uint64_t seq;
  struct hash certificate;
};

struct message_query {
  uint64_t id;
  struct bytes_view kind;
  uint32_t timeout_ms;
  struct bytes_view body;
};

struct message_answer {
  uint64_t id;
  uint8_t status; /* enum status */
  struct bytes_view body;
};

struct idle_head {
  struct store_id store;
  uint8_t lane;
  uint64_t seq;
  struct hash id;
};

struct message_idle {
  struct wall_ms clock;
  uint8_t head_count; /* of the writer's own logs */
  struct idle_head heads[LANE_COUNT];
  uint64_t ends[LANE_COUNT]; /* last position taken in its outbox for us */
};

/* Where the writer's copy of a log begins: the last commit that is gone, all of it withheld, and
 * cosignatures of those who hold it. The signature is checked. */
struct message_floor {
  struct commit commit;
  uint8_t proof_count;
  struct bytes_view proofs[MESSAGE_PROOFS_MAX];
};

/* A message as read; counted references, all on one thread at a time. */
struct message {
  enum message_type type;
  unsigned references;
  struct arena arena;
  size_t wire_octets; /* of the frame that completed it */
  union {
    struct message_hello hello;
    struct message_heads heads;
    struct bytes_view certificate;
    struct message_commits commits;
    struct message_ack ack;
    struct message_want want;
    struct message_query query;
    struct message_answer answer;
    uint32_t busy_ms; /* 0: go on */
    struct message_idle idle;
    struct message_floor floor;
  };
};

/* Reads one whole message. `octets` are copied where needed. STATUS_MALFORMED: a protocol error,
 * the connection ends. STATUS_TOO_LARGE, STATUS_NO_MEMORY. `*out` has one reference. */
MUST_USE enum status message_read(struct bytes_view octets, struct message **out);
/* A message as if a link had brought it, from a bundle's entry: a certificate's octets, or one
 * commit's (position 0). STATUS_MALFORMED when not even the commit's header can be read. */
MUST_USE enum status message_of_certificate(struct bytes_view certificate, struct message **out);
MUST_USE enum status message_of_commit(struct bytes_view commit, struct message **out);
void message_retain(struct message *message);
void message_release(struct message *message);

MUST_USE enum status message_write_hello(const struct message_hello *hello, struct bytes *out);
MUST_USE enum status message_write_heads(const struct message_heads *heads, struct bytes *out);
MUST_USE enum status message_write_certificate(struct bytes_view certificate, struct bytes *out);
/* One of a message's commits as it goes out: a zstd frame and the size of what is in it. */
struct outgoing_commit {
  uint32_t raw_size;
  struct bytes_view zstd;
};
MUST_USE enum status message_write_commits(unsigned lane, uint64_t position,
                                           const struct outgoing_commit *commits, size_t count,
                                           struct bytes *out);
MUST_USE enum status message_write_ack(const struct message_ack *ack, struct bytes *out);
MUST_USE enum status message_write_want(const struct message_want *want, struct bytes *out);
MUST_USE enum status message_write_query(const struct message_query *query, struct bytes *out);
MUST_USE enum status message_write_answer(const struct message_answer *answer, struct bytes *out);
MUST_USE enum status message_write_busy(uint32_t retry_ms, struct bytes *out);
MUST_USE enum status message_write_floor(struct bytes_view commit, const struct bytes_view *proofs,
                                         size_t proof_count, struct bytes *out);
MUST_USE enum status message_write_idle(const struct message_idle *idle, struct bytes *out);

/* Streams of parts: one a lane, one for answers. */
#define STREAM_ANSWER LANE_COUNT
#define STREAM_COUNT (LANE_COUNT + 1)
#define PART_OVERHEAD_MAX 8
/* Appends a slice of a message of that stream. */
MUST_USE enum status message_write_part(unsigned stream, bool last, struct bytes_view slice,
                                        struct bytes *out);

/* Puts parts together again. Zero-initialised is empty. */
struct inbound {
  struct bytes streams[STREAM_COUNT];
};
void inbound_close(struct inbound *inbound);
/* Takes one frame's plaintext; `*out` is a whole message, or one of type MESSAGE_PART that only
 * says how many octets came, while parts are missing. STATUS_* as message_read. */
MUST_USE enum status inbound_frame(struct inbound *inbound, struct bytes_view plain,
                                   struct message **out);

#endif
