/* Bodies of the query `cosignatures` and its answer: there and back, at their limits, damaged. */
// links: noded_lib
#include "noded/cosign_body.h"

#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <string.h>

#include "record/codec.h"
#include "record/receipt.h"

static const uint8_t see_some[RECORD_ITEMS_MAX] = {31, 0, 3};

static size_t asks_make(struct trim_ask *asks, struct trim_want *wants, size_t count)
{
  for (size_t i = 0; i < COMMIT_RECORDS_MAX; i++) {
    wants[i] = (struct trim_want){(uint8_t)i, bytes_view_of(see_some, i % RECORD_ITEMS_MAX + 1)};
  }
  for (size_t i = 0; i < count; i++) {
    asks[i] = (struct trim_ask){.seq = i + 1, .want_count = i == 0 ? 256 : i % 3, .wants = wants};
    asks[i].id.lane = (uint8_t)(i % LANE_COUNT);
    memset(asks[i].id.origin.octets, (int)i, KEY_SIZE);
    memset(asks[i].id.store.octets, (int)i + 1, STORE_ID_SIZE);
    memset(asks[i].commit_id.octets, (int)i + 2, HASH_SIZE);
  }
  return count;
}

static void test_asks(void **state)
{
  struct trim_ask asks[TRIM_ASKS_MAX + 1];
  struct trim_ask back[TRIM_ASKS_MAX];
  struct trim_want wants[COMMIT_RECORDS_MAX];
  struct arena arena = {0};
  struct bytes body = {0};
  size_t count = 0;
  (void)state;
  asks_make(asks, wants, TRIM_ASKS_MAX + 1);
  assert_int_equal(cosign_write_asks(asks, TRIM_ASKS_MAX, &body), STATUS_OK);
  assert_int_equal(cosign_read_asks(bytes_as_view(&body), &arena, back, &count), STATUS_OK);
  assert_int_equal(count, TRIM_ASKS_MAX);
  for (size_t i = 0; i < count; i++) {
    assert_int_equal(back[i].seq, asks[i].seq);
    assert_memory_equal(&back[i].id, &asks[i].id, sizeof(back[i].id));
    assert_true(hash_equal(&back[i].commit_id, &asks[i].commit_id));
    assert_int_equal(back[i].want_count, asks[i].want_count);
    for (size_t j = 0; j < back[i].want_count; j++) {
      assert_int_equal(back[i].wants[j].index, j);
      assert_true(bytes_view_equal(back[i].wants[j].see, wants[j].see));
    }
  }
  for (size_t size = 0; size < body.size; size += size < 200 ? 1 : 97) {
    arena_reset(&arena);
    assert_int_equal(cosign_read_asks(bytes_view_of(body.data, size), &arena, back, &count),
                     STATUS_MALFORMED);
  }
  bytes_clear(&body);
  assert_int_equal(cosign_write_asks(asks, TRIM_ASKS_MAX + 1, &body), STATUS_OK);
  assert_int_equal(cosign_read_asks(bytes_as_view(&body), &arena, back, &count), STATUS_MALFORMED);
  bytes_clear(&body);
  assert_int_equal(cosign_write_asks(asks, 0, &body), STATUS_OK);
  assert_int_equal(cosign_read_asks(bytes_as_view(&body), &arena, back, &count), STATUS_MALFORMED);
  bytes_close(&body);
  arena_close(&arena);
}

/* Indexes must ascend: no record is asked for twice. */
static void test_order(void **state)
{
  struct trim_ask asks[1];
  struct trim_ask back[TRIM_ASKS_MAX];
  struct trim_want wants[COMMIT_RECORDS_MAX];
  struct arena arena = {0};
  struct bytes body = {0};
  size_t count = 0;
  (void)state;
  asks_make(asks, wants, 1);
  asks[0].want_count = 2;
  wants[1].index = 0;
  assert_int_equal(cosign_write_asks(asks, 1, &body), STATUS_OK);
  assert_int_equal(cosign_read_asks(bytes_as_view(&body), &arena, back, &count), STATUS_MALFORMED);
  bytes_close(&body);
  arena_close(&arena);
}

static void test_said(void **state)
{
  static struct cosign_said said[COSIGN_SAID_MAX + 1];
  static struct cosign_said back[COSIGN_SAID_MAX];
  uint8_t shown[COMMIT_BITMAP_SIZE] = {1};
  struct node_key key;
  uint8_t secret[64];
  struct hash id = {{7}};
  struct bytes cosignature = {0};
  struct bytes body = {0};
  size_t count = 0;
  (void)state;
  crypto_sign_keypair(key.octets, secret);
  assert_int_equal(cosignature_write(&key, secret, &id, (struct wall_ms){INT64_MAX},
                                     bytes_view_of(shown, sizeof(shown)), &cosignature),
                   STATUS_OK);
  /* The largest that there is has room in what a floor keeps. */
  assert_in_range(cosignature.size, 1, TRIM_PROOF_BYTES_MAX);
  for (size_t i = 0; i <= COSIGN_SAID_MAX; i++) {
    said[i] = (struct cosign_said){i % TRIM_ASKS_MAX, bytes_as_view(&cosignature)};
  }
  assert_int_equal(cosign_write_said(said, COSIGN_SAID_MAX, &body), STATUS_OK);
  assert_int_equal(cosign_read_said(bytes_as_view(&body), TRIM_ASKS_MAX, back, &count), STATUS_OK);
  assert_int_equal(count, COSIGN_SAID_MAX);
  assert_int_equal(back[25].place, 1);
  /* About what was never asked. */
  assert_int_equal(cosign_read_said(bytes_as_view(&body), TRIM_ASKS_MAX - 1, back, &count),
                   STATUS_MALFORMED);
  for (size_t size = 0; size < body.size; size += size < 400 ? 1 : 991) {
    assert_int_equal(cosign_read_said(bytes_view_of(body.data, size), TRIM_ASKS_MAX, back, &count),
                     STATUS_MALFORMED);
  }
  bytes_clear(&body);
  assert_int_equal(cosign_write_said(said, COSIGN_SAID_MAX + 1, &body), STATUS_OK);
  assert_int_equal(cosign_read_said(bytes_as_view(&body), TRIM_ASKS_MAX, back, &count),
                   STATUS_MALFORMED);
  bytes_close(&body);
  bytes_close(&cosignature);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_asks),
      cmocka_unit_test(test_order),
      cmocka_unit_test(test_said),
  };
  return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
