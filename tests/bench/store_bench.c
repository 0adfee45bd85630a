/*
 * What the store costs: commits of records with new subjects in order of time are taken in and
 * queued for a parent, acknowledged, and committed durably. Prints microseconds and octets on disk
 * a record.
 */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zstd.h>

#include "record/check.h"
#include "storage/logs.h"
#include "storage/neighbours.h"
#include "storage/verify.h"

#define RECORDS_PER_COMMIT 230
#define COMMITS_PER_TXN 10
#define COMMITS_PREPARED 50
#define VALUE_SIZE 110

struct prepared {
  struct bytes octets;
  struct bytes frame;
};

struct bench {
  struct store *store;
  struct node_key key;
  uint8_t secret[64];
  struct hash certificate;
  struct store_id store_id;
  uint64_t hlc;
  uint64_t seq;
  struct hash prev;
  struct prepared prepared[COMMITS_PREPARED];
};

static void ok(enum status status)
{
  if (status != STATUS_OK) {
    fprintf(stderr, "store_bench: %s\n", status_text(status));
    exit(1);
  }
}

struct spent {
  double wall_s;
  double cpu_s;
};

static double clock_s(clockid_t id)
{
  struct timespec time;
  clock_gettime(id, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static struct spent spent_start(void)
{
  return (struct spent){clock_s(CLOCK_MONOTONIC), clock_s(CLOCK_THREAD_CPUTIME_ID)};
}

static void spent_add(struct spent *sum, const struct spent *start)
{
  sum->wall_s += clock_s(CLOCK_MONOTONIC) - start->wall_s;
  sum->cpu_s += clock_s(CLOCK_THREAD_CPUTIME_ID) - start->cpu_s;
}

static struct address address_of(const char *text)
{
  struct address address;
  ok(address_parse(bytes_view_text(text), true, &address));
  return address;
}

static void certificate_add(struct store_txn *txn, const char *address, const struct node_key *key,
                            const uint8_t *issuer, struct hash *id)
{
  struct certificate_draft draft = {*key, address_of(address), 1, 0, 4000000000u};
  struct certificate certificate;
  struct bytes octets = {0};
  ok(certificate_write(&draft, issuer, &octets));
  ok(certificate_read(bytes_as_view(&octets), &certificate));
  ok(store_certificate_put(txn, &certificate));
  *id = certificate.id;
  bytes_close(&octets);
}

static void record_add(struct bench *bench, struct commit_builder *builder)
{
  uint8_t value[VALUE_SIZE] = {0xd9, VALUE_SIZE - 2};
  struct item_draft item = {.name = "", .see = SEE_ALL};
  struct record_draft draft = {
      .kind = "case.report",
      .gen = 1,
      .up = TIER_DISTRICT,
      .author = "clerk-17",
      .item_count = 1,
      .items = &item,
  };
  struct bytes octets = {0};
  /* About 100 records a ms. */
  bench->hlc++;
  if ((bench->hlc & 0xffff) == 100) {
    bench->hlc = ((bench->hlc >> 16) + 1) << 16;
  }
  draft.hlc = bench->hlc;
  draft.subject = subject_found(bench->key.octets, draft.hlc);
  for (size_t i = 2; i < sizeof(value); i++) {
    value[i] = (uint8_t)("noise at the market, second floor "[i % 34]);
  }
  (void)snprintf((char *)value + 20, 24, "%llu ", (unsigned long long)bench->hlc);
  value[20 + strlen((char *)value + 20)] = ' ';
  item.value = bytes_view_of(value, sizeof(value));
  randombytes_buf(item.salt, SALT_SIZE);
  ok(record_write(&draft, &octets));
  ok(commit_builder_add(builder, bytes_as_view(&octets)));
  bytes_close(&octets);
}

static void commit_prepare(struct bench *bench, struct prepared *out)
{
  static struct commit_builder builder;
  struct commit_header header = {
      .origin = bench->key,
      .store = bench->store_id,
      .lane = LANE_NORMAL,
      .seq = ++bench->seq,
      .prev = bench->prev,
      .hlc = bench->hlc,
      .certificate = bench->certificate,
  };
  commit_builder_reset(&builder);
  for (size_t i = 0; i < RECORDS_PER_COMMIT; i++) {
    record_add(bench, &builder);
  }
  bytes_clear(&out->octets);
  bytes_clear(&out->frame);
  ok(commit_builder_finish(&builder, &header, bench->secret, &out->octets, &bench->prev));
  ok(bytes_reserve(&out->frame, ZSTD_compressBound(out->octets.size)));
  out->frame.size =
      ZSTD_compress(out->frame.data, out->frame.capacity, out->octets.data, out->octets.size, 3);
}

static void bench_open(struct bench *bench, const char *path)
{
  struct store_settings settings;
  struct store_identity identity = {.address = address_of("d/s")};
  struct node_key keys[4];
  struct hash id;
  uint8_t secrets[4][64];
  struct store_txn *txn = NULL;
  char reason[STORE_REASON_MAX];
  const char *const addresses[] = {"", "d", "d/s", "d/s/c"};
  store_settings_default(&settings);
  settings.path = path;
  ok(store_create(&settings, &identity, reason));
  ok(store_open(&settings, NULL, &bench->store, reason));
  ok(store_begin(bench->store, (struct instant){{0}, {1}}, &txn));
  for (size_t i = 0; i < 4; i++) {
    crypto_sign_keypair(keys[i].octets, secrets[i]);
    certificate_add(txn, addresses[i], &keys[i], secrets[i == 0 ? 0 : i - 1], &id);
  }
  crypto_sign_keypair(bench->key.octets, bench->secret);
  certificate_add(txn, "d/s/c/g", &bench->key, secrets[3], &bench->certificate);
  uint16_t number;
  struct address child = address_of("d/s/c");
  ok(store_neighbour_put(txn, &child, &number));
  ok(store_commit(txn));
  bench->hlc = 1700000000000ULL << 16;
}

static void round_apply(struct bench *bench, struct arena *arena, struct spent *apply,
                        struct spent *durable)
{
  struct store_txn *txn = NULL;
  struct commit commit;
  struct applied applied;
  for (size_t i = 0; i < COMMITS_PREPARED; i += COMMITS_PER_TXN) {
    struct spent start = spent_start();
    ok(store_begin(bench->store, (struct instant){{(int64_t)i}, {(int64_t)i + 1}}, &txn));
    spent_add(durable, &start);
    for (size_t j = i; j < i + COMMITS_PER_TXN; j++) {
      const struct prepared *prepared = &bench->prepared[j];
      arena_reset(arena);
      CHECK(commit_read(bytes_as_view(&prepared->octets), arena, &commit) == VERDICT_OK);
      start = spent_start();
      ok(store_commit_apply(txn, &commit, bytes_as_view(&prepared->frame), &applied));
      spent_add(apply, &start);
      CHECK(applied.verdict == VERDICT_OK);
    }
    start = spent_start();
    const struct neighbour *parent = store_neighbour(bench->store, NEIGHBOUR_PARENT);
    ok(store_outbox_ack(txn, NEIGHBOUR_PARENT, LANE_NORMAL,
                        parent->lanes[LANE_NORMAL].end_position));
    ok(store_commit(txn));
    spent_add(durable, &start);
  }
}

int main(int argument_count, char **arguments)
{
  static struct bench bench;
  struct arena arena = {0};
  size_t rounds = argument_count > 2 ? strtoul(arguments[2], NULL, 10) : 10;
  struct spent apply = {0};
  struct spent durable = {0};
  size_t raw = 0;
  struct store_usage before;
  struct store_usage after;
  if (argument_count < 2 || sodium_init() < 0) {
    fprintf(stderr, "usage: store_bench NEW_DIRECTORY [ROUNDS]\n");
    return 2;
  }
  bench_open(&bench, arguments[1]);
  store_usage(bench.store, &before);
  for (size_t round = 0; round < rounds; round++) {
    for (size_t i = 0; i < COMMITS_PREPARED; i++) {
      commit_prepare(&bench, &bench.prepared[i]);
      raw += bench.prepared[i].octets.size;
    }
    round_apply(&bench, &arena, &apply, &durable);
  }
  store_usage(bench.store, &after);
  double records = (double)(rounds * COMMITS_PREPARED * RECORDS_PER_COMMIT);
  printf("records %.0f, %d a commit, %d commits a transaction, %.0f octets a record\n", records,
         RECORDS_PER_COMMIT, COMMITS_PER_TXN, (double)raw / records);
  printf("apply %.2f us a record (%.2f us CPU)\n", apply.wall_s * 1e6 / records,
         apply.cpu_s * 1e6 / records);
  printf("begin, ack, commit with fsync %.2f us a record (%.2f us CPU)\n",
         durable.wall_s * 1e6 / records, durable.cpu_s * 1e6 / records);
  printf("used %.1f octets a record\n", (double)(after.used_bytes - before.used_bytes) / records);
  store_close(bench.store);
  arena_close(&arena);
  for (size_t i = 0; i < COMMITS_PREPARED; i++) {
    bytes_close(&bench.prepared[i].octets);
    bytes_close(&bench.prepared[i].frame);
  }
  return 0;
}
