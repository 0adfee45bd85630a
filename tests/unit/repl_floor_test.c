/* What a neighbour says of its gaps: a log that begins late, an outbox that was dropped. */
// links: replication PkgConfig::ZSTD PkgConfig::SODIUM
#include "repl_world.h"

struct kit {
  struct world world;
  struct world_node *parent;
  struct world_node *child;
  struct bytes withheld; /* a commit of the child, all of it withheld */
};

static int setup(void **state)
{
  static const uint8_t nothing[COMMIT_BITMAP_SIZE];
  struct commit_wish wish = {.lane = LANE_NORMAL, .records = 3};
  struct kit *kit = test_calloc(1, sizeof(*kit));
  struct arena arena = {0};
  struct commit commit;
  world_open(&kit->world, "floor");
  kit->parent = node_add(&kit->world, "d", true);
  kit->child = node_add(&kit->world, "d/s", true);
  const struct kept_commit *made = commit_make(kit->child, &wish);
  assert_int_equal(commit_read(made->octets, &arena, &commit), VERDICT_OK);
  assert_ok(commit_write_partial(&commit, nothing, 0, &arena, &kit->withheld));
  arena_close(&arena);
  *state = kit;
  return 0;
}

static int teardown(void **state)
{
  struct kit *kit = *state;
  bytes_close(&kit->withheld);
  world_close(&kit->world);
  test_free(kit);
  return 0;
}

static void test_floor(void **state)
{
  static const uint8_t extra[] = {0x81, 0xa1, 'a', 0xc0};
  const struct bytes_view proofs[] = {bytes_view_text("one"), bytes_view_text("two")};
  struct kit *kit = *state;
  struct bytes octets = {0};
  struct message *message = NULL;
  assert_ok(message_write_floor(bytes_as_view(&kit->withheld), proofs, 2, &octets));
  assert_ok(message_read(bytes_as_view(&octets), &message));
  assert_int_equal(message->type, MESSAGE_FLOOR);
  assert_int_equal(message->floor.commit.shown_count, 0);
  assert_int_equal(message->floor.proof_count, 2);
  assert_true(bytes_view_equal(message->floor.proofs[1], bytes_view_text("two")));
  message_release(message);
  for (size_t size = 0; size < octets.size; size++) {
    assert_int_equal(message_read(bytes_view_of(octets.data, size), &message), STATUS_MALFORMED);
  }
  octets.data[0]++;
  assert_ok(bytes_append(&octets, extra, sizeof(extra)));
  assert_ok(message_read(bytes_as_view(&octets), &message));
  message_release(message);
  bytes_close(&octets);
}

/* Nobody's word but the origin's says where in its log a commit stands. */
static void test_floor_must_be_signed(void **state)
{
  struct kit *kit = *state;
  struct commit_wish wish = {.lane = LANE_NORMAL, .records = 1};
  const struct kept_commit *shown = commit_make(kit->child, &wish);
  struct bytes octets = {0};
  struct message *message = NULL;
  assert_ok(message_write_floor(shown->octets, NULL, 0, &octets));
  assert_int_equal(message_read(bytes_as_view(&octets), &message), STATUS_MALFORMED);
  for (size_t i = 0; i < kit->withheld.size; i++) {
    kit->withheld.data[i] ^= 1;
    bytes_clear(&octets);
    assert_ok(message_write_floor(bytes_as_view(&kit->withheld), NULL, 0, &octets));
    assert_int_equal(message_read(bytes_as_view(&octets), &message), STATUS_MALFORMED);
    kit->withheld.data[i] ^= 1;
  }
  bytes_close(&octets);
}

static void test_hello_says_dropped(void **state)
{
  struct message_hello hello = {.version_min = 1, .version_max = 1, .role = ROLE_PARENT};
  struct bytes octets = {0};
  struct message *message = NULL;
  (void)state;
  for (int dropped = 0; dropped < 2; dropped++) {
    hello.dropped = dropped;
    bytes_clear(&octets);
    assert_ok(message_write_hello(&hello, &octets));
    /* Fields as in version 1, where there is nothing to say. */
    assert_int_equal(octets.data[0], 0x98 + dropped);
    assert_ok(message_read(bytes_as_view(&octets), &message));
    assert_int_equal(message->hello.dropped, dropped);
    message_release(message);
  }
  bytes_close(&octets);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_floor, setup, teardown),
      cmocka_unit_test_setup_teardown(test_floor_must_be_signed, setup, teardown),
      cmocka_unit_test(test_hello_says_dropped),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
