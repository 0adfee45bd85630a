/*
 * A small tree of nodes with real keys, certificates and stores, and a hand that carries commits
 * from one store's outbox to another: replication without links, for the tests of storage.
 */
#ifndef TESTS_STORE_WORLD_H
#define TESTS_STORE_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <ftw.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

#include "record/codec.h"
#include "storage/logs.h"
#include "storage/neighbours.h"
#include "storage/store.h"
#include "storage/subjects.h"
#include "storage/verify.h"

#define ACTORS_MAX 12
#define WORLD_MS 1700000000000LL

#define assert_ok(expression) assert_int_equal((expression), STATUS_OK)

struct actor {
  struct address address;
  struct node_key key;
  uint8_t secret[64];
  struct bytes certificate;
  struct hash certificate_id;
  struct store_id store_id;
  uint64_t seq[LANE_COUNT];
  struct hash prev[LANE_COUNT];
  uint64_t hlc;
  char path[64];
  struct store *store;
};

struct world {
  struct actor actors[ACTORS_MAX];
  size_t count;
  uint8_t root_secret[64];
  struct bytes root_certificate;
  struct hash root;
  struct arena arena;
  int64_t ms;
};

/* One record that somebody says. */
struct say {
  const char *kind;
  struct subject *subject; /* `found`: filled in */
  bool found;
  uint32_t gen;
  uint8_t up;
  const char *down[4];
  uint8_t see;        /* 0: all */
  uint8_t see_second; /* of a second item, 0: there is none */
};

static inline struct address address_of(const char *text)
{
  struct address address;
  assert_ok(address_parse(bytes_view_text(text), true, &address));
  return address;
}

static inline struct actor *actor_find(struct world *world, const char *text)
{
  struct address address = address_of(text);
  for (size_t i = 0; i < world->count; i++) {
    if (address_equal(&world->actors[i].address, &address)) {
      return &world->actors[i];
    }
  }
  return NULL;
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

static inline void world_open(struct world *world)
{
  struct node_key key;
  struct address root = {0};
  *world = (struct world){.ms = WORLD_MS};
  assert_true(sodium_init() >= 0);
  crypto_sign_keypair(key.octets, world->root_secret);
  certificate_make(&world->root_certificate, &world->root, &key, &root, world->root_secret);
}

/* Parents first. */
static inline struct actor *actor_add(struct world *world, const char *text)
{
  struct actor *actor = &world->actors[world->count++];
  const struct actor *issuer;
  struct address parent;
  assert_true(world->count <= ACTORS_MAX);
  actor->address = address_of(text);
  crypto_sign_keypair(actor->key.octets, actor->secret);
  randombytes_buf(actor->store_id.octets, sizeof(actor->store_id.octets));
  actor->hlc = (uint64_t)world->ms << 16;
  assert_true(address_parent(&actor->address, &parent));
  issuer = parent.size == 0 ? NULL : actor_find(world, parent.text);
  certificate_make(&actor->certificate, &actor->certificate_id, &actor->key, &actor->address,
                   issuer == NULL ? world->root_secret : issuer->secret);
  return actor;
}

static inline struct store_settings actor_settings(const struct actor *actor)
{
  struct store_settings settings;
  store_settings_default(&settings);
  settings.map_bytes = 1ull << 30;
  settings.path = actor->path;
  return settings;
}

static inline struct store_identity actor_identity(const struct world *world,
                                                   const struct actor *actor)
{
  return (struct store_identity){actor->key, actor->address, actor->store_id, world->root};
}

static inline void certificate_give(struct store_txn *txn, const struct bytes *octets)
{
  struct certificate certificate;
  assert_ok(certificate_read(bytes_as_view(octets), &certificate));
  assert_ok(store_certificate_put(txn, &certificate));
}

static inline struct store_txn *txn_begin(struct world *world, struct actor *actor)
{
  struct store_txn *txn = NULL;
  struct instant now = {{++world->ms - WORLD_MS}, {world->ms}};
  assert_ok(store_begin(actor->store, now, &txn));
  return txn;
}

static inline void actor_certificates(struct world *world, struct actor *actor)
{
  struct store_txn *txn = txn_begin(world, actor);
  certificate_give(txn, &world->root_certificate);
  for (size_t i = 0; i < world->count; i++) {
    certificate_give(txn, &world->actors[i].certificate);
  }
  assert_ok(store_commit(txn));
}

static inline void actor_reopen(struct world *world, struct actor *actor)
{
  struct store_settings settings = actor_settings(actor);
  struct store_identity identity = actor_identity(world, actor);
  char reason[STORE_REASON_MAX];
  store_close(actor->store);
  actor->store = NULL;
  assert_ok(store_open(&settings, &identity, &actor->store, reason));
}

static inline void actor_directory(struct actor *actor)
{
  (void)snprintf(actor->path, sizeof(actor->path), "/tmp/noded-store-XXXXXX");
  assert_non_null(mkdtemp(actor->path));
}

/* All actors must be there: their certificates are put. */
static inline void actor_open(struct world *world, struct actor *actor)
{
  struct store_settings settings;
  struct store_identity identity = actor_identity(world, actor);
  char reason[STORE_REASON_MAX];
  actor_directory(actor);
  settings = actor_settings(actor);
  assert_ok(store_create(&settings, &identity, reason));
  actor_reopen(world, actor);
  actor_certificates(world, actor);
}

static inline int path_remove(const char *path, const struct stat *status, int type,
                              struct FTW *place)
{
  (void)status;
  (void)type;
  (void)place;
  return remove(path);
}

static inline void world_close(struct world *world)
{
  for (size_t i = 0; i < world->count; i++) {
    struct actor *actor = &world->actors[i];
    store_close(actor->store);
    if (actor->path[0] != '\0') {
      nftw(actor->path, path_remove, 8, FTW_DEPTH | FTW_PHYS);
    }
    bytes_close(&actor->certificate);
  }
  bytes_close(&world->root_certificate);
  arena_close(&world->arena);
}

static inline size_t items_make(const struct say *say, struct item_draft items[2])
{
  static const uint8_t text[] = {0xa5, 'v', 'a', 'l', 'u', 'e'};
  size_t count = say->see_second == 0 ? 1 : 2;
  memset(items, 0, 2 * sizeof(items[0]));
  items[0].name = "";
  items[1].name = "contact";
  items[0].see = say->see == 0 ? SEE_ALL : say->see;
  items[1].see = say->see_second;
  for (size_t i = 0; i < count; i++) {
    items[i].value = bytes_view_of(text, sizeof(text));
    randombytes_buf(items[i].salt, SALT_SIZE);
  }
  return count;
}

static inline void record_make(struct actor *actor, const struct say *say, struct bytes *out)
{
  struct item_draft items[2];
  struct record_draft draft = {
      .kind = say->kind == NULL ? "case.report" : say->kind,
      .gen = say->gen == 0 ? 1 : say->gen,
      .hlc = ++actor->hlc,
      .up = say->up,
      .down = say->down,
      .author = "tester",
      .items = items,
  };
  while (draft.down_count < 4 && say->down[draft.down_count] != NULL) {
    draft.down_count++;
  }
  draft.item_count = (uint8_t)items_make(say, items);
  if (say->found) {
    *say->subject = subject_found(actor->key.octets, draft.hlc);
  }
  draft.subject = *say->subject;
  assert_ok(record_write(&draft, out));
}

/* The next commit of an actor's log; octets live in the world's arena. */
static inline struct bytes_view commit_make(struct world *world, struct actor *actor, unsigned lane,
                                            const struct say *says, size_t count)
{
  static struct commit_builder builder;
  struct bytes record = {0};
  struct bytes out = {0};
  /* A new ms: subjects of one commit lie together, as they do in life. */
  actor->hlc = ((actor->hlc >> 16) + 1) << 16;
  struct commit_header header = {
      .origin = actor->key,
      .store = actor->store_id,
      .lane = (uint8_t)lane,
      .seq = ++actor->seq[lane],
      .prev = actor->prev[lane],
      .hlc = actor->hlc,
      .certificate = actor->certificate_id,
  };
  commit_builder_reset(&builder);
  for (size_t i = 0; i < count; i++) {
    bytes_clear(&record);
    record_make(actor, &says[i], &record);
    assert_ok(commit_builder_add(&builder, bytes_as_view(&record)));
  }
  assert_ok(commit_builder_finish(&builder, &header, actor->secret, &out, &actor->prev[lane]));
  struct bytes_view view = {arena_copy(&world->arena, out.data, out.size), out.size};
  bytes_close(&out);
  bytes_close(&record);
  commit_builder_close(&builder);
  return view;
}

/* The part of a commit with those records, for a class. */
static inline struct bytes_view commit_part(struct world *world, struct bytes_view octets,
                                            const uint8_t keep[COMMIT_BITMAP_SIZE],
                                            unsigned class_bit)
{
  struct commit commit;
  struct bytes out = {0};
  assert_int_equal(commit_read(octets, &world->arena, &commit), VERDICT_OK);
  assert_ok(commit_write_partial(&commit, keep, class_bit, &world->arena, &out));
  struct bytes_view view = {arena_copy(&world->arena, out.data, out.size), out.size};
  bytes_close(&out);
  return view;
}

static inline struct applied txn_take(struct world *world, struct store_txn *txn,
                                      struct bytes_view octets, struct bytes_view frame)
{
  struct commit commit;
  struct applied applied;
  assert_int_equal(commit_read(octets, &world->arena, &commit), VERDICT_OK);
  assert_int_equal(commit_check_signature(&commit), VERDICT_OK);
  assert_ok(store_commit_apply(txn, &commit, frame, &applied));
  return applied;
}

static inline struct applied actor_take(struct world *world, struct actor *actor,
                                        struct bytes_view octets)
{
  struct store_txn *txn = txn_begin(world, actor);
  struct applied applied = txn_take(world, txn, octets, (struct bytes_view){0});
  assert_ok(store_commit(txn));
  return applied;
}

/* Makes a commit and takes it into the actor's own store. */
static inline struct bytes_view actor_say(struct world *world, struct actor *actor, unsigned lane,
                                          const struct say *says, size_t count)
{
  struct bytes_view octets = commit_make(world, actor, lane, says, count);
  struct applied applied = actor_take(world, actor, octets);
  assert_int_equal(applied.verdict, VERDICT_OK);
  return octets;
}

static inline struct bytes_view frame_open(struct world *world, struct bytes_view frame,
                                           size_t raw_size)
{
  uint8_t *room = arena_alloc(&world->arena, raw_size);
  assert_int_equal(ZSTD_decompress(room, raw_size, frame.data, frame.size), raw_size);
  return bytes_view_of(room, raw_size);
}

static inline uint16_t neighbour_of(const struct actor *actor, const struct actor *other)
{
  const struct neighbour *neighbour = store_neighbour_find(actor->store, &other->address);
  return neighbour == NULL ? 0 : neighbour->number;
}

static inline uint16_t neighbour_add(struct world *world, struct actor *actor,
                                     const struct actor *child)
{
  uint16_t number = 0;
  struct store_txn *txn = txn_begin(world, actor);
  assert_ok(store_neighbour_put(txn, &child->address, &number));
  assert_ok(store_commit(txn));
  return number;
}

/* What a shipment came to. */
struct shipped {
  size_t commits;
  size_t records;    /* shown in them */
  size_t taken;      /* commits */
  size_t duplicates; /* commits that revealed nothing new */
};

/* Carries one lane over, checks tags, acknowledges. */
static inline void ship_lane(struct world *world, struct actor *from, struct actor *to,
                             unsigned lane, struct shipped *out)
{
  struct outgoing entries[OUTGOING_MAX];
  uint16_t number = neighbour_of(from, to);
  uint64_t at = store_neighbour(from->store, number)->lanes[lane].acked_position;
  uint8_t tag[16];
  size_t count = 0;
  struct store_txn *reader = NULL;
  assert_ok(store_read_begin(from->store, &reader));
  assert_true(store_outbox_tag(reader, number, lane, at, tag));
  do {
    assert_ok(store_outbox_read(reader, number, lane, at + 1, 1 << 16, OUTGOING_MAX, &world->arena,
                                entries, &count));
    struct store_txn *txn = txn_begin(world, to);
    for (size_t i = 0; i < count; i++) {
      const struct outgoing *entry = &entries[i];
      struct bytes_view octets = frame_open(world, entry->zstd, entry->raw_size);
      struct applied applied = txn_take(world, txn, octets, entry->zstd);
      assert_int_equal(entry->position, ++at);
      hash_tag_next(tag, &entry->commit_id);
      assert_memory_equal(tag, entry->tag, 16);
      out->commits++;
      out->records += entry->records;
      out->taken += applied.verdict == VERDICT_OK;
      out->duplicates += applied.verdict == VERDICT_DUPLICATE;
      assert_true(applied.verdict == VERDICT_OK || applied.verdict == VERDICT_DUPLICATE);
    }
    assert_ok(store_commit(txn));
  } while (count > 0);
  store_read_end(reader);
  struct store_txn *txn = txn_begin(world, from);
  assert_ok(store_outbox_ack(txn, number, lane, at));
  assert_ok(store_commit(txn));
}

static inline struct shipped ship(struct world *world, struct actor *from, struct actor *to)
{
  struct shipped shipped = {0};
  assert_int_not_equal(neighbour_of(from, to), 0);
  for (unsigned lane = 0; lane < LANE_COUNT; lane++) {
    ship_lane(world, from, to, lane, &shipped);
  }
  return shipped;
}

static inline void finding_print(void *context, const char *text)
{
  (void)context;
  print_error("finding: %s\n", text);
}

static inline uint64_t findings_count(struct actor *actor, bool print)
{
  struct verify_report report;
  struct store_txn *txn = NULL;
  assert_ok(store_read_begin(actor->store, &txn));
  assert_ok(store_verify(txn, &report, print ? finding_print : NULL, NULL));
  store_read_end(txn);
  return report.findings;
}

/* No store of the world has damage; for teardowns. */
static inline void world_verify(struct world *world)
{
  for (size_t i = 0; i < world->count; i++) {
    if (world->actors[i].store != NULL) {
      assert_int_equal(findings_count(&world->actors[i], true), 0);
    }
  }
}

/* How many records of the subject are held, and how many of these are marked. */
struct counted {
  size_t records;
  size_t marked;
  size_t items_shown;
};

static inline bool counted_visit(void *context, const struct held_record *held)
{
  struct counted *counted = context;
  struct bytes_view rest = held->record.items_octets;
  struct item item;
  counted->records++;
  counted->marked += held->ref.marked;
  while (record_item_next(&rest, &item)) {
    counted->items_shown += item.shown;
  }
  return true;
}

static inline struct counted subject_count(struct world *world, struct actor *actor,
                                           const struct subject *subject)
{
  struct counted counted = {0};
  struct store_txn *txn = NULL;
  assert_ok(store_read_begin(actor->store, &txn));
  enum status status = store_subject_records(txn, subject, &world->arena, counted_visit, &counted);
  assert_true(status == STATUS_OK || status == STATUS_NOT_FOUND);
  store_read_end(txn);
  return counted;
}

static inline const struct neighbour_lane *lane_of(const struct actor *actor,
                                                   const struct actor *other, unsigned lane)
{
  return &store_neighbour(actor->store, neighbour_of(actor, other))->lanes[lane];
}

#endif
