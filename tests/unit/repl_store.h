/*
 * Who lives in the small world of repl_world.h: nodes with real keys, certificates and commits,
 * and a store in memory each, with logs and an outbox per neighbour and lane.
 */
#ifndef TESTS_REPL_STORE_H
#define TESTS_REPL_STORE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "random_source.h"
#include "replication/node.h"

#define NODES_MAX 4
#define PEERS_MAX 4
#define CONNS_MAX 3
#define LOGS_MAX 600
#define WORLD_WALL_MS 1700000000000LL
#define HEADS_PAGE 2
#define PUPPET_INBOX_MAX 4096

#define assert_ok(expression) assert_int_equal((expression), STATUS_OK)

/* A commit as everyone keeps it. */
struct kept_commit {
  struct bytes_view octets;
  struct bytes_view zstd;
  struct commit_header header;
  struct hash id;
};

struct kept_log {
  struct log_name name;
  struct kept_commit **items; /* seq 1 on */
  size_t count;
};

struct outbox {
  struct kept_commit **items; /* position 1 on */
  size_t count;
  uint64_t acked;
  uint64_t told;
  struct link_cursor received; /* our cursor in the neighbour's */
};

struct peer_row {
  struct world_node *node; /* NULL: free */
  bool is_parent;
  struct outbox lanes[LANE_COUNT];
  struct world_conn *conn; /* NULL: down */
};

struct world_node {
  struct world *world;
  struct address address;
  struct node_key key;
  uint8_t secret[64];
  struct bytes certificate;
  struct hash certificate_id;
  struct store_id store;
  uint64_t seq[LANE_COUNT];
  struct hash prev[LANE_COUNT];
  bool puppet;
  struct repl_settings settings;
  struct repl_node *node;
  struct repl_effects effects;
  struct peer_row peers[PEERS_MAX]; /* by neighbour number */
  struct kept_log *logs;
  size_t log_count;
  struct repl_effect *pending; /* to be made durable */
  size_t pending_count;
  int64_t persist_at_us; /* INT64_MAX: nothing waits */
  int64_t fsync_us;
  /* what happened */
  struct repl_refused *refused;
  size_t refused_count;
  size_t refusals_told; /* by neighbours, in acks */
  uint64_t passed_seq;  /* of the last REPL_PERSIST_PASSED */
  unsigned ups;
  unsigned notices;
  unsigned loads_log;
  unsigned lanes_loaded; /* of logs, a bit each */
  unsigned disconnects;
  const char *reason; /* of the last of these */
  int64_t hold_ms;    /* last REPL_HOLD; -1: none */
  size_t answer_octets;
  unsigned queries;
  unsigned answers;
  unsigned answers_missing;
  size_t answer_size;
  uint8_t answer_status;
  struct message *inbox[PUPPET_INBOX_MAX]; /* a puppet's */
  size_t inbox_count;
};

struct wire_frame {
  struct bytes octets;
  int64_t at_us;
};

/* One direction of a connection. */
struct wire {
  uint64_t octets_s; /* 0: any */
  int64_t delay_us;
  int64_t busy_until_us;
  struct wire_frame *frames;
  size_t first;
  size_t count;
  size_t capacity;
  struct inbound inbound;
  uint64_t frames_total;
  uint64_t octets_total;
  size_t largest;
};

struct world_conn {
  struct world_node *ends[2]; /* child, parent */
  uint16_t numbers[2];        /* the other end's, at each end */
  struct wire wires[2];       /* from that end */
  uint32_t generation;
  bool up;
};

struct world {
  struct random_source random;
  int64_t now_us;
  int64_t wall_step_ms; /* by which the wall clocks stand wrong */
  uint8_t root_secret[64];
  struct bytes root_certificate;
  struct hash root;
  struct world_node nodes[NODES_MAX];
  size_t node_count;
  struct world_conn conns[CONNS_MAX];
  size_t conn_count;
  uint32_t generation;
  struct arena arena;
};

static inline struct instant world_now(const struct world *world)
{
  int64_t ms = world->now_us / 1000;
  return (struct instant){{ms}, {WORLD_WALL_MS + ms + world->wall_step_ms}};
}

static inline int64_t world_ms(const struct world *world)
{
  return world->now_us / 1000;
}

/* ---- making ---- */

static inline void keypair_make(struct world *world, struct node_key *key, uint8_t secret[64])
{
  uint8_t seed[crypto_sign_SEEDBYTES];
  random_fill(&world->random, seed, sizeof(seed));
  crypto_sign_seed_keypair(key->octets, secret, seed);
}

static inline void certificate_make(struct bytes *out, struct hash *id, const struct node_key *key,
                                    const struct address *address, const uint8_t *issuer)
{
  struct certificate certificate;
  struct certificate_draft draft = {*key, *address, 1, 0, 4000000000u};
  assert_ok(certificate_write(&draft, issuer, out));
  assert_ok(certificate_read(bytes_as_view(out), &certificate));
  *id = certificate.id;
}

static inline void world_open(struct world *world, const char *test)
{
  struct node_key key;
  struct address root = {0};
  assert_true(sodium_init() >= 0);
  memset(world, 0, sizeof(*world));
  world->random = random_source_start(test);
  world->now_us = 1000000;
  keypair_make(world, &key, world->root_secret);
  certificate_make(&world->root_certificate, &world->root, &key, &root, world->root_secret);
}

static inline struct address address_of(const char *text)
{
  struct address address;
  assert_ok(address_parse(bytes_view_text(text), true, &address));
  return address;
}

/* Parents first. */
static inline struct world_node *node_add(struct world *world, const char *address, bool puppet)
{
  assert_true(world->node_count < NODES_MAX);
  struct world_node *node = &world->nodes[world->node_count++];
  const uint8_t *issuer = world->root_secret;
  node->world = world;
  node->address = address_of(address);
  node->puppet = puppet;
  node->persist_at_us = INT64_MAX;
  node->fsync_us = 2000;
  node->hold_ms = -1;
  node->logs = calloc(LOGS_MAX, sizeof(*node->logs));
  assert_non_null(node->logs);
  keypair_make(world, &node->key, node->secret);
  random_fill(&world->random, node->store.octets, STORE_ID_SIZE);
  for (size_t i = 0; i + 1 < world->node_count; i++) {
    if (address_is_child(&node->address, &world->nodes[i].address)) {
      issuer = world->nodes[i].secret;
    }
  }
  certificate_make(&node->certificate, &node->certificate_id, &node->key, &node->address, issuer);
  repl_settings_default(&node->settings);
  node->settings.self = node->address;
  node->settings.root = world->root;
  node->settings.software = "world";
  return node;
}

/* Starts, or starts again, from what is durable. Certificates of all nodes are known. */
static inline void node_start(struct world_node *node)
{
  struct world *world = node->world;
  repl_node_free(node->node);
  node->node = NULL;
  for (size_t i = 0; i < node->pending_count; i++) {
    message_release(node->pending[i].message);
  }
  node->pending_count = 0;
  node->persist_at_us = INT64_MAX;
  node->settings.store = node->store;
  assert_ok(repl_node_new(&node->settings, &node->node));
  assert_int_equal(repl_node_add_certificate(node->node, bytes_as_view(&world->root_certificate)),
                   VERDICT_OK);
  for (size_t i = 0; i < world->node_count; i++) {
    assert_int_equal(
        repl_node_add_certificate(node->node, bytes_as_view(&world->nodes[i].certificate)),
        VERDICT_OK);
  }
}

/* What a commit is made of. */
struct commit_wish {
  unsigned lane;
  size_t octets;    /* of its one item's value, random; at most 30,000 a record */
  unsigned records; /* 0: one */
  bool compressible;
};

static inline void record_make(struct world_node *node, const struct commit_wish *wish,
                               struct bytes *out)
{
  static uint8_t value[32 * 1024];
  static uint64_t hlc = (uint64_t)WORLD_WALL_MS << 16;
  size_t size = wish->octets < 300 ? 300 : wish->octets;
  struct item_draft item = {.name = "", .see = SEE_ALL};
  struct record_draft draft = {.kind = "note", .gen = 1, .author = "tester", .up = 4};
  assert_true(size <= 30000);
  value[0] = 0xc5; /* bin 16 */
  value[1] = (uint8_t)(size >> 8);
  value[2] = (uint8_t)size;
  memset(value + 3, 0, size);
  if (!wish->compressible) {
    random_fill(&node->world->random, value + 3, size);
  }
  random_fill(&node->world->random, item.salt, SALT_SIZE);
  item.value = bytes_view_of(value, size + 3);
  draft.items = &item;
  draft.item_count = 1;
  draft.hlc = ++hlc;
  draft.subject = subject_found(node->key.octets, draft.hlc);
  assert_ok(record_write(&draft, out));
}

static inline struct kept_commit *commit_keep(struct world *world, struct bytes_view octets)
{
  struct kept_commit *kept = arena_alloc(&world->arena, sizeof(*kept));
  size_t room = ZSTD_compressBound(octets.size);
  uint8_t *frame = arena_alloc(&world->arena, room);
  assert_non_null(kept);
  assert_non_null(frame);
  size_t size = ZSTD_compress(frame, room, octets.data, octets.size, 1);
  assert_false(ZSTD_isError(size));
  *kept = (struct kept_commit){.zstd = {frame, size}};
  kept->octets.data = arena_copy(&world->arena, octets.data, octets.size);
  kept->octets.size = octets.size;
  assert_ok(commit_read_header(kept->octets, &kept->header, &kept->id));
  return kept;
}

/* The next commit of the node's log, held by nobody yet. */
static inline struct kept_commit *commit_make(struct world_node *node,
                                              const struct commit_wish *wish)
{
  static struct commit_builder builder;
  struct bytes record = {0}, out = {0};
  struct commit_header header = {
      .origin = node->key,
      .store = node->store,
      .lane = (uint8_t)wish->lane,
      .seq = ++node->seq[wish->lane],
      .prev = node->prev[wish->lane],
      .hlc = (uint64_t)WORLD_WALL_MS << 16,
      .certificate = node->certificate_id,
  };
  commit_builder_reset(&builder);
  for (unsigned i = 0; i < (wish->records == 0 ? 1 : wish->records); i++) {
    bytes_clear(&record);
    record_make(node, wish, &record);
    assert_ok(commit_builder_add(&builder, bytes_as_view(&record)));
  }
  assert_ok(commit_builder_finish(&builder, &header, node->secret, &out, &node->prev[wish->lane]));
  struct kept_commit *kept = commit_keep(node->world, bytes_as_view(&out));
  bytes_close(&record);
  bytes_close(&out);
  commit_builder_close(&builder);
  return kept;
}

/* ---- a node's store ---- */

static inline bool name_equal(const struct log_name *a, const struct log_name *b)
{
  return a->lane == b->lane && memcmp(a->origin.octets, b->origin.octets, KEY_SIZE) == 0 &&
         memcmp(a->store.octets, b->store.octets, STORE_ID_SIZE) == 0;
}

static inline struct log_name name_of(const struct commit_header *header)
{
  return (struct log_name){header->origin, header->store, header->lane};
}

static inline struct kept_log *log_find(struct world_node *node, const struct log_name *name)
{
  for (size_t i = 0; i < node->log_count; i++) {
    if (name_equal(&node->logs[i].name, name)) {
      return &node->logs[i];
    }
  }
  return NULL;
}

/* How many commits of `origin`'s current log of that lane the node holds, without gap. */
static inline size_t node_holds(struct world_node *node, const struct world_node *origin,
                                unsigned lane)
{
  struct log_name name = {origin->key, origin->store, (uint8_t)lane};
  struct kept_log *log = log_find(node, &name);
  return log == NULL ? 0 : log->count;
}

static inline void list_add(struct kept_commit ***items, size_t *count, struct kept_commit *item)
{
  if ((*count & (*count - 1)) == 0) {
    *items = realloc(*items, (*count == 0 ? 1 : *count * 2) * sizeof(**items));
    assert_non_null(*items);
  }
  (*items)[(*count)++] = item;
}

static inline const struct address *origin_address(const struct world_node *node,
                                                   const struct node_key *key)
{
  return &repl_node_certificate_of_key(node->node, key)->address;
}

static inline bool stands_toward(const struct world_node *node, const struct node_key *origin,
                                 uint16_t number)
{
  const struct address *address = origin_address(node, origin);
  const struct peer_row *peer = &node->peers[number];
  return peer->is_parent ? !address_within(address, &node->address)
                         : address_within(address, &peer->node->address);
}

static inline enum verdict store_take(struct world_node *node, struct kept_commit *commit)
{
  struct log_name name = name_of(&commit->header);
  struct kept_log *log = log_find(node, &name);
  uint64_t seq = commit->header.seq;
  if (log != NULL && seq <= log->count) {
    return hash_equal(&log->items[seq - 1]->id, &commit->id) ? VERDICT_DUPLICATE : VERDICT_FORK;
  }
  if (seq != (log == NULL ? 1 : log->count + 1)) {
    return VERDICT_GAP;
  }
  if (log == NULL) {
    assert_true(node->log_count < LOGS_MAX);
    log = &node->logs[node->log_count++];
    log->name = name;
  }
  list_add(&log->items, &log->count, commit);
  for (uint16_t i = 1; i < PEERS_MAX; i++) {
    if (node->peers[i].node != NULL && !stands_toward(node, &commit->header.origin, i)) {
      struct outbox *outbox = &node->peers[i].lanes[commit->header.lane];
      list_add(&outbox->items, &outbox->count, commit);
    }
  }
  return VERDICT_OK;
}

static inline void outbox_tag(const struct outbox *outbox, uint64_t position, uint8_t tag[16])
{
  memset(tag, 0, 16);
  for (uint64_t i = 0; i < position; i++) {
    hash_tag_next(tag, &outbox->items[i]->id);
  }
}

static inline bool cursor_matches(const struct world_node *node, const struct outbox *outbox,
                                  const struct link_cursor *cursor)
{
  uint8_t tag[16];
  if (memcmp(cursor->store.octets, node->store.octets, STORE_ID_SIZE) != 0) {
    return outbox->acked == 0;
  }
  if (cursor->position < outbox->acked || cursor->position > outbox->count) {
    return false;
  }
  outbox_tag(outbox, cursor->position, tag);
  return memcmp(tag, cursor->tag, sizeof(tag)) == 0;
}

static inline void log_digest(const struct kept_log *log, uint64_t seq_max, uint8_t digest[16],
                              uint64_t *commits)
{
  memset(digest, 0, 16);
  for (*commits = 0; *commits < log->count && *commits < seq_max; (*commits)++) {
    hash_tag_next(digest, &log->items[*commits]->id);
  }
}

#endif
