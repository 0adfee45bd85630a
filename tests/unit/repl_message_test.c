// links: record replication sodium PkgConfig::ZSTD
/* Every message: there and back, cut short, with more than it should have, at its limits, and
 * turned at random. */
#include "repl_world.h"

#include "record/codec.h"

struct kit {
  struct world world;
  struct world_node *node;
  struct kept_commit *commit;
};

/* Octets of one message of each kind, with everything in them. */
#define SAMPLES_MAX 14
struct samples {
  struct bytes items[SAMPLES_MAX];
  size_t count;
};

static struct kit kit;

static int kit_open(void **state)
{
  struct commit_wish wish = {.lane = LANE_NORMAL, .records = 3};
  (void)state;
  world_open(&kit.world, "messages");
  kit.node = node_add(&kit.world, "d", true);
  kit.commit = commit_make(kit.node, &wish);
  return 0;
}
static int kit_close(void **state)
{
  (void)state;
  world_close(&kit.world);
  return 0;
}
static struct outgoing_commit outgoing_of(const struct kept_commit *commit)
{
  return (struct outgoing_commit){(uint32_t)commit->octets.size, commit->zstd};
}
static struct log_name sample_log(void)
{
  struct log_name log = {.lane = LANE_BULK};
  memset(log.origin.octets, 3, KEY_SIZE);
  memset(log.store.octets, 4, STORE_ID_SIZE);
  return log;
}
static struct message *read_ok(const struct bytes *octets)
{
  struct message *message = NULL;
  assert_ok(message_read(bytes_as_view(octets), &message));
  assert_int_equal(message->references, 1);
  return message;
}
static void expect_malformed(struct bytes_view octets)
{
  struct message *message = NULL;
  assert_int_equal(message_read(octets, &message), STATUS_MALFORMED);
  assert_null(message);
}
/* ---- there and back ---- */

static void hello_make(struct message_hello *hello)
{
  *hello = (struct message_hello){.version_min = 1, .version_max = 3, .role = ROLE_PARENT};
  hello->clock.ms = -5;
  hello->store.octets[0] = 1;
  memcpy(hello->software, "noded 0.1", 10);
  for (unsigned i = 0; i < LANE_COUNT; i++) {
    memset(hello->cursors[i].store.octets, (int)i, STORE_ID_SIZE);
    hello->cursors[i].position = UINT64_MAX - i;
    memset(hello->cursors[i].tag, 100 + (int)i, 16);
  }
}
static void test_hello(void **state)
{
  struct message_hello hello;
  struct bytes octets = {0};
  (void)state;
  hello_make(&hello);
  assert_ok(message_write_hello(&hello, &octets));
  struct message *message = read_ok(&octets);
  assert_int_equal(message->type, MESSAGE_HELLO);
  assert_int_equal(message->hello.version_min, 1);
  assert_int_equal(message->hello.version_max, 3);
  assert_int_equal(message->hello.role, ROLE_PARENT);
  assert_int_equal(message->hello.clock.ms, -5);
  assert_memory_equal(&message->hello.store, &hello.store, STORE_ID_SIZE);
  for (unsigned i = 0; i < LANE_COUNT; i++) {
    assert_memory_equal(message->hello.cursors[i].store.octets, hello.cursors[i].store.octets, 16);
    assert_true(message->hello.cursors[i].position == UINT64_MAX - i);
    assert_memory_equal(message->hello.cursors[i].tag, hello.cursors[i].tag, 16);
  }
  assert_string_equal(message->hello.software, "noded 0.1");
  message_release(message);
  bytes_close(&octets);
}
static void test_hello_software_at_its_limit(void **state)
{
  struct message_hello hello;
  struct bytes octets = {0};
  (void)state;
  hello_make(&hello);
  memset(hello.software, 'x', VERSION_TEXT_MAX);
  hello.software[VERSION_TEXT_MAX] = '\0';
  assert_ok(message_write_hello(&hello, &octets));
  struct message *message = read_ok(&octets);
  assert_int_equal(strlen(message->hello.software), VERSION_TEXT_MAX);
  message_release(message);
  /* One more: str 8 of 33 instead of 32. */
  size_t at = octets.size - VERSION_TEXT_MAX - 1;
  assert_int_equal(octets.data[at], VERSION_TEXT_MAX);
  octets.data[at]++;
  assert_ok(bytes_append(&octets, "x", 1));
  expect_malformed(bytes_as_view(&octets));
  bytes_close(&octets);
}
static void test_heads(void **state)
{
  struct heads_entry entries[2] = {{sample_log(), 1, 2, {3}}, {sample_log(), 70000, 4, {5}}};
  struct message_heads heads = {.final = true, .count = 2, .entries = entries};
  struct bytes octets = {0};
  (void)state;
  assert_ok(message_write_heads(&heads, &octets));
  struct message *message = read_ok(&octets);
  assert_int_equal(message->type, MESSAGE_HEADS);
  assert_true(message->heads.final);
  assert_false(message->heads.adopts);
  assert_int_equal(message->heads.count, 2);
  assert_int_equal(message->heads.entries[1].seq, 70000);
  assert_int_equal(message->heads.entries[1].commits, 4);
  assert_memory_equal(message->heads.entries[1].digest, entries[1].digest, 16);
  assert_true(name_equal(&message->heads.entries[0].log, &entries[0].log));
  message_release(message);
  bytes_close(&octets);
}
static void test_adopt(void **state)
{
  struct message_heads heads = {.adopts = true, .lane = 2, .position = 9, .tag = {7, 8}};
  struct bytes octets = {0};
  (void)state;
  assert_ok(message_write_heads(&heads, &octets));
  struct message *message = read_ok(&octets);
  assert_true(message->heads.adopts);
  assert_int_equal(message->heads.lane, 2);
  assert_int_equal(message->heads.position, 9);
  assert_memory_equal(message->heads.tag, heads.tag, 16);
  message_release(message);
  bytes_close(&octets);
}
static void test_certificate(void **state)
{
  struct bytes octets = {0};
  struct bytes_view certificate = bytes_as_view(&kit.node->certificate);
  (void)state;
  assert_ok(message_write_certificate(certificate, &octets));
  struct message *message = read_ok(&octets);
  memset(octets.data, 0, octets.size); /* the message has a copy */
  assert_true(bytes_view_equal(message->certificate, certificate));
  message_release(message);
  bytes_close(&octets);
}
static void test_commits(void **state)
{
  struct outgoing_commit outgoing[2] = {outgoing_of(kit.commit), outgoing_of(kit.commit)};
  struct bytes octets = {0};
  (void)state;
  assert_ok(message_write_commits(LANE_NORMAL, 17, outgoing, 2, &octets));
  struct message *message = read_ok(&octets);
  memset(octets.data, 0, octets.size);
  assert_int_equal(message->commits.lane, LANE_NORMAL);
  assert_int_equal(message->commits.position, 17);
  assert_int_equal(message->commits.count, 2);
  const struct message_commit *item = &message->commits.items[1];
  assert_int_equal(item->verdict, VERDICT_OK);
  assert_true(bytes_view_equal(item->zstd, kit.commit->zstd)); /* stored and forwarded as is */
  assert_true(bytes_view_equal(item->commit.octets, kit.commit->octets));
  assert_true(hash_equal(&item->commit.id, &kit.commit->id));
  assert_int_equal(item->commit.shown_count, 3);
  message_release(message);
  bytes_close(&octets);
}
static void test_ack(void **state)
{
  struct refusal refusals[2] = {{sample_log(), 5, VERDICT_FORK}, {sample_log(), 6, 255}};
  struct message_ack ack = {.received = UINT64_MAX, .lane_count = 2};
  struct bytes octets = {0};
  (void)state;
  ack.lanes[0].lane = 2;
  ack.lanes[0].position = 11;
  ack.lanes[1].position = 12;
  ack.refusal_count = 2;
  ack.refusals = refusals;
  assert_ok(message_write_ack(&ack, &octets));
  struct message *message = read_ok(&octets);
  assert_true(message->ack.received == UINT64_MAX);
  assert_int_equal(message->ack.lane_count, 2);
  assert_int_equal(message->ack.lanes[0].lane, 2);
  assert_int_equal(message->ack.lanes[1].position, 12);
  assert_int_equal(message->ack.refusal_count, 2);
  assert_int_equal(message->ack.refusals[1].verdict, 255);
  assert_int_equal(message->ack.refusals[0].seq, 5);
  message_release(message);
  bytes_close(&octets);
}
static void test_want(void **state)
{
  struct message_want want = {.what = WANT_LOG, .log = sample_log(), .seq = 8};
  struct bytes octets = {0};
  (void)state;
  memset(want.certificate.octets, 6, HASH_SIZE);
  for (want.what = WANT_LOG; want.what <= 3; want.what++) {
    octets.size = 0;
    assert_ok(message_write_want(&want, &octets));
    struct message *message = read_ok(&octets);
    assert_int_equal(message->want.what, want.what); /* 3 is of a later version */
    if (want.what == WANT_LOG) {
      assert_true(name_equal(&message->want.log, &want.log));
      assert_int_equal(message->want.seq, 8);
    } else if (want.what == WANT_CERTIFICATE) {
      assert_true(hash_equal(&message->want.certificate, &want.certificate));
    }
    message_release(message);
  }
  bytes_close(&octets);
}
static void test_query_and_answer(void **state)
{
  struct message_query query = {9, bytes_view_text("tree"), 600000, bytes_view_text("what")};
  struct message_answer answer = {9, STATUS_BUSY, bytes_view_text("that")};
  struct bytes octets = {0};
  (void)state;
  assert_ok(message_write_query(&query, &octets));
  struct message *message = read_ok(&octets);
  assert_int_equal(message->query.id, 9);
  assert_int_equal(message->query.timeout_ms, 600000);
  assert_true(bytes_view_equal(message->query.kind, query.kind));
  assert_true(bytes_view_equal(message->query.body, query.body));
  message_release(message);
  octets.size = 0;
  query.timeout_ms = 600001;
  assert_ok(message_write_query(&query, &octets));
  expect_malformed(bytes_as_view(&octets));
  octets.size = 0;
  assert_ok(message_write_answer(&answer, &octets));
  message = read_ok(&octets);
  assert_int_equal(message->answer.id, 9);
  assert_int_equal(message->answer.status, STATUS_BUSY);
  assert_true(bytes_view_equal(message->answer.body, answer.body));
  message_release(message);
  bytes_close(&octets);
}
static void test_query_kind_at_its_limit(void **state)
{
  char kind[QUERY_KIND_MAX + 2] = {0};
  struct message_query query = {1, {0}, 5, {0}};
  struct bytes octets = {0};
  (void)state;
  memset(kind, 'k', QUERY_KIND_MAX);
  query.kind = bytes_view_text(kind);
  assert_ok(message_write_query(&query, &octets));
  message_release(read_ok(&octets));
  octets.size = 0;
  kind[QUERY_KIND_MAX] = 'k';
  query.kind = bytes_view_text(kind);
  assert_ok(message_write_query(&query, &octets));
  expect_malformed(bytes_as_view(&octets));
  bytes_close(&octets);
}
static void test_busy(void **state)
{
  struct bytes octets = {0};
  (void)state;
  assert_ok(message_write_busy(3600000, &octets));
  struct message *message = read_ok(&octets);
  assert_int_equal(message->busy_ms, 3600000);
  message_release(message);
  octets.size = 0;
  assert_ok(message_write_busy(3600001, &octets));
  expect_malformed(bytes_as_view(&octets));
  bytes_close(&octets);
}
static void test_idle(void **state)
{
  struct message_idle idle = {.clock = {77}, .head_count = 2, .ends = {1, 2, UINT64_MAX}};
  struct bytes octets = {0};
  (void)state;
  idle.heads[1] = (struct idle_head){{{5}}, 2, 30, {{6}}};
  assert_ok(message_write_idle(&idle, &octets));
  struct message *message = read_ok(&octets);
  assert_int_equal(message->idle.clock.ms, 77);
  assert_int_equal(message->idle.head_count, 2);
  assert_int_equal(message->idle.heads[1].seq, 30);
  assert_int_equal(message->idle.heads[1].lane, 2);
  assert_memory_equal(&message->idle.heads[1].id, &idle.heads[1].id, HASH_SIZE);
  assert_true(message->idle.ends[2] == UINT64_MAX);
  message_release(message);
  bytes_close(&octets);
}
/* ---- all of them ---- */

static void samples_make(struct samples *samples)
{
  struct message_hello hello;
  struct heads_entry entry = {sample_log(), 1, 2, {3}};
  struct message_heads heads = {.count = 1, .entries = &entry, .adopts = true, .lane = 1};
  struct outgoing_commit outgoing[2] = {outgoing_of(kit.commit), outgoing_of(kit.commit)};
  struct refusal refusal = {sample_log(), 5, VERDICT_FORK};
  struct message_ack ack = {.lane_count = 1, .refusal_count = 1, .refusals = &refusal};
  struct message_want want = {.what = WANT_LOG, .log = sample_log(), .seq = 8};
  struct message_query query = {9, bytes_view_text("tree"), 5000, bytes_view_text("what")};
  struct message_answer answer = {9, STATUS_BUSY, bytes_view_text("that")};
  struct message_idle idle = {.clock = {77}, .head_count = 1};
  struct bytes *at = samples->items;
  hello_make(&hello);
  memset(samples, 0, sizeof(*samples));
  assert_ok(message_write_hello(&hello, at++));
  assert_ok(message_write_heads(&heads, at++));
  assert_ok(message_write_certificate(bytes_as_view(&kit.node->certificate), at++));
  assert_ok(message_write_commits(LANE_NORMAL, 17, outgoing, 2, at++));
  assert_ok(message_write_ack(&ack, at++));
  for (want.what = WANT_LOG; want.what <= WANT_HEADS; want.what++) {
    assert_ok(message_write_want(&want, at++));
  }
  assert_ok(message_write_query(&query, at++));
  assert_ok(message_write_answer(&answer, at++));
  assert_ok(message_write_busy(5, at++));
  assert_ok(message_write_idle(&idle, at++));
  samples->count = (size_t)(at - samples->items);
}
static void samples_close(struct samples *samples)
{
  for (size_t i = 0; i < samples->count; i++) {
    bytes_close(&samples->items[i]);
  }
}
/* A copy of exactly that size, so that a reader past its end is caught. */
static struct bytes exact(const uint8_t *data, size_t size)
{
  struct bytes copy = {malloc(size == 0 ? 1 : size), size, size};
  assert_non_null(copy.data);
  memcpy(copy.data, data, size);
  return copy;
}
static void test_truncated_everywhere(void **state)
{
  struct samples samples;
  (void)state;
  samples_make(&samples);
  for (size_t i = 0; i < samples.count; i++) {
    for (size_t size = 0; size < samples.items[i].size; size++) {
      struct bytes cut = exact(samples.items[i].data, size);
      expect_malformed(bytes_as_view(&cut));
      bytes_close(&cut);
    }
  }
  samples_close(&samples);
}
static void test_trailing_garbage(void **state)
{
  struct samples samples;
  (void)state;
  samples_make(&samples);
  for (size_t i = 0; i < samples.count; i++) {
    assert_ok(bytes_append(&samples.items[i], "\x00", 1));
    expect_malformed(bytes_as_view(&samples.items[i]));
  }
  samples_close(&samples);
}
/* A later version adds fields at the end: any msgpack is skipped, but has to be whole. */
static void test_extra_fields(void **state)
{
  static const uint8_t extra[] = {0x82, 0xa1, 'a', 0x93, 1, 2, 3, 0xa1, 'b', 0xc0};
  struct samples samples;
  (void)state;
  samples_make(&samples);
  for (size_t i = 0; i < samples.count; i++) {
    struct bytes *octets = &samples.items[i];
    assert_int_equal(octets->data[0] & 0xf0, 0x90);
    octets->data[0]++;
    expect_malformed(bytes_as_view(octets));
    assert_ok(bytes_append(octets, extra, sizeof(extra)));
    message_release(read_ok(octets));
    octets->size--;
    expect_malformed(bytes_as_view(octets));
  }
  samples_close(&samples);
}
/* And one field less than known is malformed. */
static void test_fewer_fields(void **state)
{
  struct samples samples;
  (void)state;
  samples_make(&samples);
  for (size_t i = 0; i < samples.count; i++) {
    samples.items[i].data[0]--;
    expect_malformed(bytes_as_view(&samples.items[i]));
  }
  samples_close(&samples);
}
static void test_unknown_types(void **state)
{
  static const uint8_t unknown[] = {0x92, 0x63, 0xc0};
  static const uint8_t alone[] = {0x91, 0x00};
  static const uint8_t huge[] = {0x91, 0xcd, 0x01, 0x00}; /* type 256 */
  static const uint8_t part[] = {0x94, 0x0b, 0x00, 0xc3, 0xc4, 0x00};
  static const uint8_t none[] = {0x90};
  struct message *message;
  (void)state;
  assert_ok(message_read(bytes_view_of(unknown, sizeof(unknown)), &message));
  assert_int_equal(message->type, MESSAGE_UNKNOWN);
  message_release(message);
  assert_ok(message_read(bytes_view_of(alone, sizeof(alone)), &message));
  assert_int_equal(message->type, MESSAGE_UNKNOWN);
  message_release(message);
  expect_malformed(bytes_view_of(huge, sizeof(huge)));
  expect_malformed(bytes_view_of(part, sizeof(part))); /* only a frame holds parts */
  expect_malformed(bytes_view_of(none, sizeof(none)));
}

/* ---- limits ---- */

static void test_heads_at_the_limit(void **state)
{
  static struct heads_entry entries[MESSAGE_HEADS_MAX + 1];
  struct message_heads heads = {.entries = entries, .count = MESSAGE_HEADS_MAX};
  struct bytes octets = {0};
  (void)state;
  assert_ok(message_write_heads(&heads, &octets));
  struct message *message = read_ok(&octets);
  assert_int_equal(message->heads.count, MESSAGE_HEADS_MAX);
  message_release(message);
  octets.size = 0;
  heads.count++;
  assert_ok(message_write_heads(&heads, &octets));
  expect_malformed(bytes_as_view(&octets));
  bytes_close(&octets);
}

static void test_refusals_at_the_limit(void **state)
{
  static struct refusal refusals[MESSAGE_REFUSALS_MAX + 1];
  struct message_ack ack = {.refusals = refusals, .refusal_count = MESSAGE_REFUSALS_MAX};
  struct bytes octets = {0};
  (void)state;
  assert_ok(message_write_ack(&ack, &octets));
  struct message *message = read_ok(&octets);
  assert_int_equal(message->ack.refusal_count, MESSAGE_REFUSALS_MAX);
  message_release(message);
  octets.size = 0;
  ack.refusal_count++;
  assert_ok(message_write_ack(&ack, &octets));
  expect_malformed(bytes_as_view(&octets));
  bytes_close(&octets);
}

/* Four lanes in an ack and in idle, three at most in each. */
static void test_lanes_at_the_limit(void **state)
{
  static const uint8_t ack[] = {0x94, 5,    0, 0x94, 0x92, 0, 1, 0x92, 1,
                                1,    0x92, 2, 1,    0x92, 0, 1, 0x90};
  struct message_ack three = {.lane_count = LANE_COUNT};
  struct bytes octets = {0};
  (void)state;
  expect_malformed(bytes_view_of(ack, sizeof(ack)));
  assert_ok(message_write_ack(&three, &octets));
  message_release(read_ok(&octets));
  octets.size = 0;
  three.lanes[2].lane = LANE_COUNT;
  assert_ok(message_write_ack(&three, &octets));
  expect_malformed(bytes_as_view(&octets));
  bytes_close(&octets);
}

static void test_commits_at_the_limit(void **state)
{
  struct outgoing_commit outgoing[MESSAGE_COMMITS_MAX + 1];
  struct bytes octets = {0};
  (void)state;
  for (size_t i = 0; i <= MESSAGE_COMMITS_MAX; i++) {
    outgoing[i] = outgoing_of(kit.commit);
  }
  assert_ok(message_write_commits(LANE_BULK, 1, outgoing, MESSAGE_COMMITS_MAX, &octets));
  struct message *message = read_ok(&octets);
  assert_int_equal(message->commits.count, MESSAGE_COMMITS_MAX);
  message_release(message);
  octets.size = 0;
  assert_ok(message_write_commits(LANE_BULK, 1, outgoing, MESSAGE_COMMITS_MAX + 1, &octets));
  expect_malformed(bytes_as_view(&octets));
  octets.size = 0;
  assert_ok(message_write_commits(LANE_BULK, 1, outgoing, 0, &octets));
  expect_malformed(bytes_as_view(&octets));
  octets.size = 0;
  assert_ok(message_write_commits(LANE_COUNT, 1, outgoing, 1, &octets));
  expect_malformed(bytes_as_view(&octets));
  octets.size = 0; /* positions must not wrap */
  assert_ok(message_write_commits(LANE_BULK, UINT64_MAX - 1, outgoing, 2, &octets));
  expect_malformed(bytes_as_view(&octets));
  octets.size = 0;
  assert_ok(message_write_commits(LANE_BULK, UINT64_MAX - 2, outgoing, 2, &octets));
  message_release(read_ok(&octets));
  bytes_close(&octets);
}

static void test_unpacked_octets_at_the_limit(void **state)
{
  struct commit_wish wish = {
      .lane = LANE_BULK, .octets = 29000, .records = 2, .compressible = true};
  struct outgoing_commit outgoing[MESSAGE_COMMITS_MAX];
  struct bytes octets = {0};
  size_t size = 0, fits = 0;
  (void)state;
  for (size_t i = 0; i < 20; i++) {
    struct kept_commit *commit = commit_make(kit.node, &wish);
    outgoing[i] = outgoing_of(commit);
    size += commit->octets.size;
    fits += size <= MESSAGE_RAW_MAX;
  }
  assert_in_range(fits, 10, 19);
  assert_ok(message_write_commits(LANE_BULK, 1, outgoing, fits, &octets));
  message_release(read_ok(&octets));
  octets.size = 0;
  assert_ok(message_write_commits(LANE_BULK, 1, outgoing, fits + 1, &octets));
  expect_malformed(bytes_as_view(&octets));
  bytes_close(&octets);
}

/* ---- zstd ---- */

static void expect_frame_malformed(struct bytes_view frame, size_t raw_size)
{
  struct outgoing_commit outgoing = {(uint32_t)raw_size, frame};
  struct bytes octets = {0};
  assert_ok(message_write_commits(LANE_NORMAL, 1, &outgoing, 1, &octets));
  expect_malformed(bytes_as_view(&octets));
  bytes_close(&octets);
}

static void test_zstd_sizes_that_lie(void **state)
{
  struct bytes_view good = kit.commit->zstd;
  size_t raw = kit.commit->octets.size;
  uint8_t frame[8192];
  (void)state;
  expect_frame_malformed(good, raw - 1);
  expect_frame_malformed(good, raw + 1);
  expect_frame_malformed(good, 0);
  expect_frame_malformed(bytes_view_of(good.data, good.size - 1), raw);
  expect_frame_malformed((struct bytes_view){0}, raw);
  assert_true(good.size + 32 <= sizeof(frame));
  memcpy(frame, good.data, good.size);
  frame[good.size] = 0;
  expect_frame_malformed(bytes_view_of(frame, good.size + 1), raw);
  /* A second frame behind the first, and a skippable one before it. */
  memcpy(frame + good.size, "\x50\x2a\x4d\x18\x00\x00\x00\x00", 8);
  expect_frame_malformed(bytes_view_of(frame, good.size + 8), raw);
  memcpy(frame, "\x50\x2a\x4d\x18\x00\x00\x00\x00", 8);
  memcpy(frame + 8, good.data, good.size);
  expect_frame_malformed(bytes_view_of(frame, good.size + 8), raw);
}

/* A frame that says nothing of its size, or says less than is in it. */
static void test_zstd_bombs(void **state)
{
  static uint8_t zeros[16 * 1024 * 1024];
  static uint8_t frame[64 * 1024];
  (void)state;
  size_t size = ZSTD_compress(frame, sizeof(frame), zeros, sizeof(zeros), 3);
  assert_false(ZSTD_isError(size));
  expect_frame_malformed(bytes_view_of(frame, size), COMMIT_BYTES_MAX);
  expect_frame_malformed(bytes_view_of(frame, size), sizeof(zeros));
  ZSTD_CCtx *context = ZSTD_createCCtx();
  assert_non_null(context);
  assert_false(ZSTD_isError(ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, 0)));
  size = ZSTD_compress2(context, frame, sizeof(frame), zeros, COMMIT_BYTES_MAX);
  assert_false(ZSTD_isError(size));
  expect_frame_malformed(bytes_view_of(frame, size), COMMIT_BYTES_MAX);
  ZSTD_freeCCtx(context);
  /* The header patched to 100 octets, the blocks unpack to more: single segment, 1-octet size. */
  size = ZSTD_compress(frame, sizeof(frame), zeros, 200, 3);
  assert_false(ZSTD_isError(size));
  assert_int_equal(frame[5], 200);
  frame[5] = 100;
  expect_frame_malformed(bytes_view_of(frame, size), 100);
}

static void test_content_over_the_limit(void **state)
{
  static uint8_t raw[COMMIT_BYTES_MAX + 1];
  static uint8_t frame[2 * COMMIT_BYTES_MAX];
  (void)state;
  size_t size = ZSTD_compress(frame, sizeof(frame), raw, sizeof(raw), 1);
  assert_false(ZSTD_isError(size));
  expect_frame_malformed(bytes_view_of(frame, size), sizeof(raw));
}

/* ---- verdicts ---- */

static enum verdict verdict_of(const uint8_t *octets, size_t size)
{
  struct kept_commit *commit = commit_keep(&kit.world, bytes_view_of(octets, size));
  struct outgoing_commit outgoing = outgoing_of(commit);
  struct bytes message_octets = {0};
  assert_ok(message_write_commits(LANE_NORMAL, 1, &outgoing, 1, &message_octets));
  struct message *message = read_ok(&message_octets);
  enum verdict verdict = message->commits.items[0].verdict;
  assert_true(hash_equal(&message->commits.items[0].commit.id, &commit->id));
  assert_true(bytes_view_equal(message->commits.items[0].commit.octets, commit->octets));
  message_release(message);
  bytes_close(&message_octets);
  return verdict;
}

static void test_verdicts(void **state)
{
  uint8_t octets[8192];
  struct commit commit;
  size_t size = kit.commit->octets.size;
  (void)state;
  assert_true(size < sizeof(octets));
  assert_int_equal(commit_read(kit.commit->octets, &kit.world.arena, &commit), VERDICT_OK);
  memcpy(octets, kit.commit->octets.data, size);
  octets[commit.signature.data - commit.octets.data] ^= 1;
  assert_int_equal(verdict_of(octets, size), VERDICT_BAD_SIGNATURE);
  memcpy(octets, kit.commit->octets.data, size);
  octets[commit.header_octets.data - commit.octets.data + 40] ^= 1; /* of the store's id */
  assert_int_equal(verdict_of(octets, size), VERDICT_BAD_SIGNATURE);
  memcpy(octets, kit.commit->octets.data, size);
  octets[commit.records[1].octets.data + commit.records[1].octets.size - 40 - commit.octets.data] ^=
      1; /* of an item's value */
  assert_int_equal(verdict_of(octets, size), VERDICT_BAD_ROOT);
  memcpy(octets, kit.commit->octets.data, size);
  octets[size - 1] ^= 1; /* the list of hashes */
  assert_int_equal(verdict_of(octets, size), VERDICT_MALFORMED);
}

static void test_header_that_can_not_be_read(void **state)
{
  static const uint8_t junk[] = {0x94, 0xc4, 0x01, 0x00, 0xc4, 0x00, 0x90, 0x90};
  uint8_t frame[64];
  struct message *message = NULL;
  (void)state;
  size_t size = ZSTD_compress(frame, sizeof(frame), junk, sizeof(junk), 1);
  assert_false(ZSTD_isError(size));
  expect_frame_malformed(bytes_view_of(frame, size), sizeof(junk));
  assert_int_equal(message_of_commit(bytes_view_of(junk, sizeof(junk)), &message),
                   STATUS_MALFORMED);
  assert_null(message);
}

/* ---- parts ---- */

static void test_parts_come_together(void **state)
{
  struct inbound inbound = {0};
  struct samples samples;
  struct message *message;
  (void)state;
  samples_make(&samples);
  const struct bytes *whole = &samples.items[3];
  for (size_t at = 0; at < whole->size; at += 100) {
    for (unsigned stream = 0; stream < STREAM_COUNT; stream++) { /* interleaved */
      size_t size = whole->size - at < 100 ? whole->size - at : 100;
      bool last = at + size == whole->size;
      struct bytes frame = {0};
      assert_ok(message_write_part(stream, last, bytes_view_of(whole->data + at, size), &frame));
      assert_true(frame.size <= size + PART_OVERHEAD_MAX);
      assert_ok(inbound_frame(&inbound, bytes_as_view(&frame), &message));
      assert_int_equal(message->type, last ? MESSAGE_COMMITS : MESSAGE_PART);
      assert_int_equal(message->wire_octets, frame.size);
      message_release(message);
      bytes_close(&frame);
    }
  }
  inbound_close(&inbound);
  samples_close(&samples);
}

static enum status feed(struct inbound *inbound, unsigned stream, size_t size)
{
  static uint8_t slice[FRAME_PLAIN_MAX];
  struct bytes frame = {0};
  struct message *message = NULL;
  assert_ok(message_write_part(stream, false, bytes_view_of(slice, size), &frame));
  enum status status = inbound_frame(inbound, bytes_as_view(&frame), &message);
  message_release(message);
  bytes_close(&frame);
  return status;
}

static void test_parts_at_their_limits(void **state)
{
  struct inbound inbound = {0};
  (void)state;
  assert_ok(feed(&inbound, LANE_BULK, 60000));
  assert_ok(feed(&inbound, LANE_BULK, MESSAGE_BYTES_MAX - 60000));
  assert_int_equal(feed(&inbound, LANE_BULK, 1), STATUS_TOO_LARGE);
  for (size_t i = 0; i < ANSWER_BYTES_MAX / 65000; i++) {
    assert_ok(feed(&inbound, STREAM_ANSWER, 65000));
  }
  assert_ok(feed(&inbound, STREAM_ANSWER, ANSWER_BYTES_MAX % 65000));
  assert_int_equal(feed(&inbound, STREAM_ANSWER, 1), STATUS_TOO_LARGE);
  assert_int_equal(feed(&inbound, STREAM_COUNT, 1), STATUS_MALFORMED);
  inbound_close(&inbound);
}

/* ---- at random ---- */

static void mutate(struct random_source *random, struct bytes *octets)
{
  unsigned changes = 1 + (unsigned)random_below(random, 4);
  for (unsigned i = 0; i < changes && octets->size > 0; i++) {
    size_t at = random_below(random, octets->size);
    switch (random_below(random, 4)) {
    case 0:
      octets->data[at] ^= (uint8_t)(1u << random_below(random, 8));
      break;
    case 1:
      octets->data[at] = (uint8_t)random_next(random);
      break;
    case 2:
      octets->size = at;
      break;
    default: { /* a run is copied over another place */
      size_t from = random_below(random, octets->size);
      size_t most = octets->size - (from > at ? from : at);
      memmove(octets->data + at, octets->data + from, random_below(random, most + 1));
      break;
    }
    }
  }
}

/* Whatever comes: a message or a plain refusal, and nothing read or kept that should not be. */
static void test_mutations(void **state)
{
  struct random_source random = random_source_start("mutations");
  struct inbound inbound = {0};
  struct samples samples;
  size_t read = 0;
  (void)state;
  samples_make(&samples);
  for (unsigned i = 0; i < 20000; i++) {
    const struct bytes *sample = &samples.items[random_below(&random, samples.count)];
    struct bytes octets = exact(sample->data, sample->size);
    struct message *message = NULL;
    mutate(&random, &octets);
    struct bytes fitted = exact(octets.data, octets.size);
    enum status status = inbound_frame(&inbound, bytes_as_view(&fitted), &message);
    assert_true(status == STATUS_OK || status == STATUS_MALFORMED || status == STATUS_TOO_LARGE);
    assert_true((status == STATUS_OK) == (message != NULL));
    read += status == STATUS_OK;
    message_release(message);
    bytes_close(&fitted);
    bytes_close(&octets);
  }
  print_message("%zu of 20000 could be read\n", read);
  assert_in_range(read, 500, 19000);
  inbound_close(&inbound);
  samples_close(&samples);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_hello),
      cmocka_unit_test(test_hello_software_at_its_limit),
      cmocka_unit_test(test_heads),
      cmocka_unit_test(test_adopt),
      cmocka_unit_test(test_certificate),
      cmocka_unit_test(test_commits),
      cmocka_unit_test(test_ack),
      cmocka_unit_test(test_want),
      cmocka_unit_test(test_query_and_answer),
      cmocka_unit_test(test_query_kind_at_its_limit),
      cmocka_unit_test(test_busy),
      cmocka_unit_test(test_idle),
      cmocka_unit_test(test_truncated_everywhere),
      cmocka_unit_test(test_trailing_garbage),
      cmocka_unit_test(test_extra_fields),
      cmocka_unit_test(test_fewer_fields),
      cmocka_unit_test(test_unknown_types),
      cmocka_unit_test(test_heads_at_the_limit),
      cmocka_unit_test(test_refusals_at_the_limit),
      cmocka_unit_test(test_lanes_at_the_limit),
      cmocka_unit_test(test_commits_at_the_limit),
      cmocka_unit_test(test_unpacked_octets_at_the_limit),
      cmocka_unit_test(test_zstd_sizes_that_lie),
      cmocka_unit_test(test_zstd_bombs),
      cmocka_unit_test(test_content_over_the_limit),
      cmocka_unit_test(test_verdicts),
      cmocka_unit_test(test_header_that_can_not_be_read),
      cmocka_unit_test(test_parts_come_together),
      cmocka_unit_test(test_parts_at_their_limits),
      cmocka_unit_test(test_mutations),
  };
  return cmocka_run_group_tests(tests, kit_open, kit_close);
}
