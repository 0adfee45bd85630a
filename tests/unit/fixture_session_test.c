// links: record replication
/* Sessions and a bundle that daemons of version 1 wrote (tests/fixtures): today's readers take
 * every frame and every commit of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "record/bundle.h"
#include "replication/message.h"

#define ENTRY_HEAD 5
#define TYPES (MESSAGE_PART + 1) /* hello is 1, ... part 11 (docs/PROTOCOL.md) */

struct counts {
  unsigned types[2][TYPES]; /* by direction: up, down */
  unsigned commits;
  unsigned records;
};

static struct bytes file_read(const char *name)
{
  char path[1024];
  struct bytes out = {0};
  uint8_t piece[4096];
  size_t size;
  snprintf(path, sizeof(path), "%s/fixtures/v1/%s", TESTS_DIR, name);
  FILE *file = fopen(path, "rb");
  assert_non_null(file);
  while ((size = fread(piece, 1, sizeof(piece), file)) > 0) {
    assert_int_equal(bytes_append(&out, piece, size), STATUS_OK);
  }
  fclose(file);
  return out;
}

static void count_commits(const struct message *message, struct counts *counts)
{
  for (unsigned i = 0; i < message->commits.count; i++) {
    assert_int_equal(message->commits.items[i].verdict, VERDICT_OK);
    counts->records += message->commits.items[i].commit.header.count;
    counts->commits++;
  }
}

static void count_message(const struct message *message, unsigned direction, struct counts *counts)
{
  assert_true(message->type < TYPES);
  counts->types[direction][message->type]++;
  if (message->type == MESSAGE_COMMITS) {
    count_commits(message, counts);
  } else if (message->type == MESSAGE_HELLO) {
    assert_int_equal(message->hello.role, direction == 0 ? ROLE_CHILD : ROLE_PARENT);
    assert_true(message->hello.version_min <= 1 && message->hello.version_max >= 1);
  }
}

/* Feeds a session's frames, each direction to a reader of its own. */
static void session_read(const char *name, struct counts *counts)
{
  struct bytes session = file_read(name);
  struct inbound inbound[2] = {0};
  size_t at = 0;
  while (at < session.size) {
    const uint8_t *head = session.data + at;
    size_t size = head[1] | (size_t)head[2] << 8 | (size_t)head[3] << 16 | (size_t)head[4] << 24;
    struct bytes_view plain = {head + ENTRY_HEAD, size};
    struct message *message = NULL;
    at += ENTRY_HEAD + size;
    assert_true(at <= session.size && head[0] < 2);
    assert_int_equal(inbound_frame(&inbound[head[0]], plain, &message), STATUS_OK);
    count_message(message, head[0], counts);
    message_release(message);
  }
  inbound_close(&inbound[0]);
  inbound_close(&inbound[1]);
  bytes_close(&session);
}

static void assert_counts(const struct counts *counts, const unsigned up[TYPES],
                          const unsigned down[TYPES])
{
  for (unsigned type = 0; type < TYPES; type++) {
    assert_int_equal(counts->types[0][type], up[type]);
    assert_int_equal(counts->types[1][type], down[type]);
  }
}

static void test_first_words_and_work(void **state)
{
  static const unsigned up[TYPES] = {0, 1, 0, 5, 16, 16, 0, 0, 1, 0, 2, 6};
  static const unsigned down[TYPES] = {0, 1, 0, 4, 4, 46, 0, 1, 0, 0, 2, 0};
  struct counts counts = {0};
  (void)state;
  session_read("session-1", &counts);
  assert_counts(&counts, up, down);
  assert_int_equal(counts.commits, 20);
  assert_int_equal(counts.records, 25);
}

static void test_heads_compared(void **state)
{
  static const unsigned up[TYPES] = {0, 1, 1, 5, 10, 19, 0, 0, 0, 0, 0, 34};
  static const unsigned down[TYPES] = {0, 1, 3, 4, 7, 57, 1, 0, 0, 0, 0, 0};
  struct counts counts = {0};
  (void)state;
  session_read("session-2", &counts);
  assert_counts(&counts, up, down);
  assert_int_equal(counts.commits, 36);
  assert_int_equal(counts.records, 45);
}

static void test_no_room(void **state)
{
  static const unsigned up[TYPES] = {0, 1, 0, 0, 0, 6, 0, 0, 0, 0, 4, 0};
  static const unsigned down[TYPES] = {0, 1, 0, 0, 0, 5, 0, 0, 0, 1, 4, 0};
  struct counts counts = {0};
  (void)state;
  session_read("session-3", &counts);
  assert_counts(&counts, up, down);
  assert_int_equal(counts.commits, 0);
  assert_int_equal(counts.records, 0);
}

static void test_bundle(void **state)
{
  struct bytes bundle = file_read("log.bundle");
  struct bytes_view rest = bytes_as_view(&bundle);
  struct counts counts = {0};
  unsigned certificates = 0;
  enum bundle_entry type;
  struct bytes_view octets;
  (void)state;
  assert_int_equal(bundle_read_head(&rest), STATUS_OK);
  while (bundle_read(&rest, &type, &octets) == STATUS_OK && type != BUNDLE_END) {
    struct message *message = NULL;
    if (type == BUNDLE_CERTIFICATE) {
      assert_int_equal(message_of_certificate(octets, &message), STATUS_OK);
      certificates++;
    } else {
      assert_int_equal(message_of_commit(octets, &message), STATUS_OK);
      count_commits(message, &counts);
    }
    message_release(message);
  }
  assert_int_equal(rest.size, 0);
  assert_int_equal(certificates, 6);
  assert_int_equal(counts.commits, 22);
  assert_int_equal(counts.records, 27);
  bytes_close(&bundle);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_first_words_and_work),
      cmocka_unit_test(test_heads_compared),
      cmocka_unit_test(test_no_room),
      cmocka_unit_test(test_bundle),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
