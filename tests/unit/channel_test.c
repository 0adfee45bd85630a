// links: replication
/*
 * The channel: who is let in, who isn't, what both halves do with frames, and when keys change.
 */
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "record/codec.h"
#include "replication/channel.h"

#define DEPTH_MAX CERTIFICATE_CHAIN_MAX
/* The longest chain there is: a unit at a grid, every segment as long as it may be. */
static const char *const addresses[DEPTH_MAX] = {
    "",
    "district-0000016",
    "district-0000016/street-000000016",
    "district-0000016/street-000000016/community0000016",
    "district-0000016/street-000000016/community0000016/grid000000000016",
    "district-0000016/street-000000016/community0000016/grid000000000016/@unit000000000016",
};

struct key_pair {
  uint8_t public_key[32];
  uint8_t secret_key[64];
};

/* A root and the keys and chain below it. */
struct tree {
  struct key_pair keys[DEPTH_MAX];
  struct bytes certificates[DEPTH_MAX];
  struct hash root_id;
};

static void tree_open(struct tree *tree, uint8_t seed)
{
  memset(tree, 0, sizeof(*tree));
  for (unsigned i = 0; i < DEPTH_MAX; i++) {
    const uint8_t *issuer = tree->keys[i == 0 ? 0 : i - 1].secret_key;
    struct certificate_draft draft = {.epoch = 1, .not_before = 1, .not_after = 4102444800};
    struct certificate certificate;
    uint8_t octets[32];

    memset(octets, (int)(seed + i), sizeof(octets));
    crypto_sign_seed_keypair(tree->keys[i].public_key, tree->keys[i].secret_key, octets);
    memcpy(draft.key.octets, tree->keys[i].public_key, sizeof(draft.key.octets));
    assert_int_equal(address_parse(bytes_view_text(addresses[i]), true, &draft.address), STATUS_OK);
    assert_int_equal(certificate_write(&draft, issuer, &tree->certificates[i]), STATUS_OK);
    assert_int_equal(certificate_read(bytes_as_view(&tree->certificates[i]), &certificate),
                     STATUS_OK);
    if (i == 0)
      tree->root_id = certificate.id;
  }
}

static void tree_close(struct tree *tree)
{
  for (unsigned i = 0; i < DEPTH_MAX; i++)
    bytes_close(&tree->certificates[i]);
}

/* The chain down to `depth`, root included. */
static struct bytes chain_of(const struct tree *tree, unsigned depth)
{
  struct bytes out = {0};
  struct writer writer;

  writer_init(&writer, &out);
  writer_array(&writer, depth + 1);
  for (unsigned i = 0; i <= depth; i++)
    writer_raw(&writer, bytes_as_view(&tree->certificates[i]));
  assert_int_equal(writer_finish(&writer), STATUS_OK);
  return out;
}

/* Child and parent with their chains, which the settings borrow. */
struct pair {
  struct tree tree;
  struct bytes chains[2];
  struct channel_settings settings[2];
  struct channel channels[2];
};

static void pair_open(struct pair *pair, unsigned child_depth)
{
  memset(pair, 0, sizeof(*pair));
  tree_open(&pair->tree, 1);
  for (unsigned i = 0; i < 2; i++) {
    struct channel_settings *settings = &pair->settings[i];
    unsigned depth = child_depth - i;

    pair->chains[i] = chain_of(&pair->tree, depth);
    settings->role = (enum channel_role)i;
    settings->root_id = pair->tree.root_id;
    memset(settings->static_secret, (int)(0x31 + i), sizeof(settings->static_secret));
    memset(settings->ephemeral_secret, (int)(0x41 + i), sizeof(settings->ephemeral_secret));
    memcpy(settings->node_secret_key, pair->tree.keys[depth].secret_key, 64);
    settings->chain = bytes_as_view(&pair->chains[i]);
  }
}

static void pair_start(struct pair *pair)
{
  channel_init(&pair->channels[0], &pair->settings[0]);
  channel_init(&pair->channels[1], &pair->settings[1]);
}

static void pair_stop(struct pair *pair)
{
  channel_close(&pair->channels[0]);
  channel_close(&pair->channels[1]);
}

static void pair_close(struct pair *pair)
{
  pair_stop(pair);
  bytes_close(&pair->chains[0]);
  bytes_close(&pair->chains[1]);
  tree_close(&pair->tree);
}

/* Takes the length off a frame, checking it. */
static struct bytes_view frame_ciphertext(const struct bytes *frame)
{
  size_t size;

  assert_true(frame->size >= CHANNEL_LENGTH_SIZE);
  size = frame->data[0] | (size_t)frame->data[1] << 8 | (size_t)frame->data[2] << 16 |
         (size_t)frame->data[3] << 24;
  assert_int_equal(size, frame->size - CHANNEL_LENGTH_SIZE);
  return bytes_view_of(frame->data + CHANNEL_LENGTH_SIZE, size);
}

/* What happens to message `which` on the way: octet `at` is changed. -1: nothing. */
struct tampering {
  int which;
  size_t at;
};

/* Runs the handshake until it ends; the verdict of the side that ended it. */
static enum verdict pair_run(struct pair *pair, struct tampering tampering, size_t sizes[3])
{
  enum verdict verdict = VERDICT_OK;

  pair_start(pair);
  for (int i = 0; i < 3 && verdict == VERDICT_OK; i++) {
    struct channel *writer = &pair->channels[i % 2];
    struct channel *reader = &pair->channels[(i + 1) % 2];
    struct bytes frame = {0};

    assert_true(channel_is_our_turn(writer));
    assert_false(channel_is_our_turn(reader));
    assert_int_equal(channel_handshake_write(writer, &frame), STATUS_OK);
    if (i == tampering.which)
      frame.data[CHANNEL_LENGTH_SIZE + tampering.at] ^= 0x10;
    if (sizes != NULL)
      sizes[i] = frame.size - CHANNEL_LENGTH_SIZE;
    assert_int_equal(channel_handshake_read(reader, frame_ciphertext(&frame), &verdict), STATUS_OK);
    bytes_close(&frame);
  }
  return verdict;
}

static const struct tampering untouched = {-1, 0};

static void test_every_depth_meets(void **state)
{
  (void)state;
  for (unsigned depth = 2; depth < DEPTH_MAX; depth++) {
    const struct certificate *peer;
    struct pair pair;
    size_t sizes[3];
    size_t count;

    pair_open(&pair, depth);
    assert_int_equal(pair_run(&pair, untouched, sizes), VERDICT_OK);
    assert_int_equal(sizes[0], 32);
    assert_true(sizes[2] <= CHANNEL_HANDSHAKE_MAX);
    for (unsigned i = 0; i < 2; i++)
      assert_true(channel_is_established(&pair.channels[i]));
    peer = channel_peer(&pair.channels[1], &count);
    assert_int_equal(count, depth + 1);
    assert_string_equal(peer[depth].address.text, addresses[depth]);
    assert_memory_equal(peer[depth].key.octets, pair.tree.keys[depth].public_key, 32);
    assert_true(
        bytes_view_equal(peer[depth].octets, bytes_as_view(&pair.tree.certificates[depth])));
    peer = channel_peer(&pair.channels[0], &count);
    assert_int_equal(count, depth);
    assert_string_equal(peer[depth - 1].address.text, addresses[depth - 1]);
    pair_close(&pair);
  }
}

static void test_tampering_ends_it(void **state)
{
  struct pair pair;
  size_t sizes[3];

  (void)state;
  pair_open(&pair, 2);
  assert_int_equal(pair_run(&pair, untouched, sizes), VERDICT_OK);
  for (int which = 0; which < 3; which++) {
    for (size_t at = 0; at < sizes[which]; at += at < 100 ? 1 : 37) {
      struct tampering tampering = {which, at};
      struct bytes unused = {0};
      enum verdict verdict;
      size_t count;
      unsigned victim;

      pair_stop(&pair);
      assert_int_equal(pair_run(&pair, tampering, NULL), VERDICT_BAD_SIGNATURE);
      victim = which == 1 || which == 0 ? 0 : 1;
      assert_null(channel_peer(&pair.channels[victim], &count));
      assert_false(channel_is_established(&pair.channels[victim]));
      assert_int_equal(channel_handshake_write(&pair.channels[victim], &unused),
                       STATUS_NOT_ALLOWED);
      assert_int_equal(
          channel_handshake_read(&pair.channels[victim], bytes_view_of(NULL, 0), &verdict),
          STATUS_NOT_ALLOWED);
    }
  }
  pair_close(&pair);
}

static void test_other_root_is_refused(void **state)
{
  struct pair pair;
  struct tree other;

  (void)state;
  pair_open(&pair, 2);
  tree_open(&other, 100);
  /* The prologues differ, so it already ends at the second message's tag. */
  pair.settings[1].root_id = other.root_id;
  assert_int_equal(pair_run(&pair, untouched, NULL), VERDICT_BAD_SIGNATURE);
  tree_close(&other);
  pair_close(&pair);
}

static void test_foreign_chain_is_refused(void **state)
{
  struct pair pair;
  struct tree other;
  struct bytes chain;

  (void)state;
  pair_open(&pair, 2);
  tree_open(&other, 100);
  chain = chain_of(&other, 2);
  pair.settings[0].chain = bytes_as_view(&chain);
  memcpy(pair.settings[0].node_secret_key, other.keys[2].secret_key, 64);
  assert_int_equal(pair_run(&pair, untouched, NULL), VERDICT_BAD_CHAIN);
  bytes_close(&chain);
  tree_close(&other);
  pair_close(&pair);
}

/* Somebody who has the chain, as everybody may, but not its last key. */
static void test_borrowed_chain_is_refused(void **state)
{
  struct pair pair;

  (void)state;
  for (unsigned side = 0; side < 2; side++) {
    pair_open(&pair, 3);
    memcpy(pair.settings[side].node_secret_key, pair.tree.keys[1].secret_key, 64);
    assert_int_equal(pair_run(&pair, untouched, NULL), VERDICT_BAD_SIGNATURE);
    pair_close(&pair);
  }
}

static void test_malformed_payload_is_refused(void **state)
{
  static const uint8_t chains[][2] = {{0x90, 0}, {0xc0, 0}, {0x91, 0x01}};
  static const enum verdict verdicts[] = {VERDICT_BAD_CHAIN, VERDICT_MALFORMED, VERDICT_MALFORMED};
  struct pair pair;

  (void)state;
  for (unsigned i = 0; i < sizeof(chains) / sizeof(chains[0]); i++) {
    enum verdict verdict;

    pair_open(&pair, 2);
    pair.settings[0].chain = bytes_view_of(chains[i], i == 2 ? 2 : 1);
    verdict = pair_run(&pair, untouched, NULL);
    assert_true(verdict == verdicts[i] || verdict == VERDICT_MALFORMED);
    pair_close(&pair);
  }
}

static void test_first_message_carries_nothing(void **state)
{
  uint8_t message[CHANNEL_HANDSHAKE_MAX + 1] = {9};
  static const size_t sizes[] = {0, 31, 33, CHANNEL_HANDSHAKE_MAX + 1};
  struct pair pair;

  (void)state;
  pair_open(&pair, 2);
  for (unsigned i = 0; i < 4; i++) {
    enum verdict verdict = VERDICT_OK;

    pair_stop(&pair);
    pair_start(&pair);
    assert_int_equal(
        channel_handshake_read(&pair.channels[1], bytes_view_of(message, sizes[i]), &verdict),
        STATUS_OK);
    assert_int_equal(verdict, VERDICT_MALFORMED);
  }
  pair_close(&pair);
}

static void test_own_chain_too_large(void **state)
{
  uint8_t chain[CHANNEL_HANDSHAKE_MAX] = {0};
  struct bytes frame = {0};
  enum verdict verdict;
  struct pair pair;

  (void)state;
  pair_open(&pair, 2);
  pair.settings[1].chain = bytes_view_of(chain, sizeof(chain));
  pair_start(&pair);
  assert_int_equal(channel_handshake_write(&pair.channels[0], &frame), STATUS_OK);
  assert_int_equal(channel_handshake_read(&pair.channels[1], frame_ciphertext(&frame), &verdict),
                   STATUS_OK);
  bytes_clear(&frame);
  assert_int_equal(channel_handshake_write(&pair.channels[1], &frame), STATUS_TOO_LARGE);
  assert_int_equal(frame.size, 0);
  bytes_close(&frame);
  pair_close(&pair);
}

struct halves {
  struct channel_sealer sealers[2];
  struct channel_opener openers[2];
};

static void halves_open(struct halves *halves)
{
  struct pair pair;

  pair_open(&pair, 2);
  assert_int_equal(pair_run(&pair, untouched, NULL), VERDICT_OK);
  for (unsigned i = 0; i < 2; i++)
    channel_split(&pair.channels[i], &halves->sealers[i], &halves->openers[i]);
  assert_false(channel_is_established(&pair.channels[0]));
  pair_close(&pair);
}

static enum status frame_open(struct channel_opener *opener, struct bytes *frame,
                              struct bytes_view *plaintext)
{
  struct bytes_view view = frame_ciphertext(frame);

  return channel_opener_open(opener, frame->data + CHANNEL_LENGTH_SIZE, view.size, plaintext);
}

static void test_frames_of_all_sizes(void **state)
{
  static const size_t sizes[] = {1, 2, 63, 64, 65, 4096, CHANNEL_PLAINTEXT_MAX};
  uint8_t *plaintext = malloc(CHANNEL_PLAINTEXT_MAX + 1);
  struct bytes frame = {0};
  struct bytes_view got;
  struct halves halves;

  (void)state;
  assert_non_null(plaintext);
  halves_open(&halves);
  randombytes_buf_deterministic(plaintext, CHANNEL_PLAINTEXT_MAX + 1, halves.sealers[0].cipher.key);
  for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
    for (unsigned side = 0; side < 2; side++) {
      bytes_clear(&frame);
      assert_int_equal(
          channel_sealer_seal(&halves.sealers[side], bytes_view_of(plaintext, sizes[i]), &frame),
          STATUS_OK);
      assert_int_equal(frame.size, CHANNEL_LENGTH_SIZE + sizes[i] + NOISE_TAG_SIZE);
      assert_int_equal(frame_open(&halves.openers[1 - side], &frame, &got), STATUS_OK);
      assert_true(bytes_view_equal(got, bytes_view_of(plaintext, sizes[i])));
    }
  }
  bytes_clear(&frame);
  assert_int_equal(channel_sealer_seal(&halves.sealers[0],
                                       bytes_view_of(plaintext, CHANNEL_PLAINTEXT_MAX + 1), &frame),
                   STATUS_TOO_LARGE);
  assert_int_equal(frame.size, 0);
  bytes_close(&frame);
  free(plaintext);
}

static void test_bad_frame_closes_the_opener(void **state)
{
  struct bytes good = {0};
  struct bytes frame = {0};
  struct bytes_view got;
  struct halves halves;

  (void)state;
  for (unsigned i = 0; i < 3 + NOISE_TAG_SIZE; i++) {
    halves_open(&halves);
    bytes_clear(&frame);
    assert_int_equal(channel_sealer_seal(&halves.sealers[0], bytes_view_text("abc"), &frame),
                     STATUS_OK);
    frame.data[CHANNEL_LENGTH_SIZE + i] ^= 1;
    assert_int_equal(frame_open(&halves.openers[1], &frame, &got), STATUS_BAD_SIGNATURE);
    bytes_clear(&good);
    assert_int_equal(channel_sealer_seal(&halves.sealers[0], bytes_view_text("abc"), &good),
                     STATUS_OK);
    assert_int_equal(frame_open(&halves.openers[1], &good, &got), STATUS_NOT_ALLOWED);
  }
  halves_open(&halves);
  assert_int_equal(channel_opener_open(&halves.openers[1], frame.data, NOISE_TAG_SIZE - 1, &got),
                   STATUS_MALFORMED);
  assert_int_equal(frame_open(&halves.openers[1], &frame, &got), STATUS_NOT_ALLOWED);
  bytes_close(&good);
  bytes_close(&frame);
}

static void test_replayed_and_reflected_frames(void **state)
{
  struct bytes frame = {0};
  struct bytes copy = {0};
  struct bytes_view got;
  struct halves halves;

  (void)state;
  halves_open(&halves);
  assert_int_equal(channel_sealer_seal(&halves.sealers[0], bytes_view_text("abc"), &frame),
                   STATUS_OK);
  assert_int_equal(bytes_append(&copy, frame.data, frame.size), STATUS_OK);
  assert_int_equal(frame_open(&halves.openers[1], &frame, &got), STATUS_OK);
  bytes_clear(&frame);
  assert_int_equal(bytes_append(&frame, copy.data, copy.size), STATUS_OK);
  assert_int_equal(frame_open(&halves.openers[1], &frame, &got), STATUS_BAD_SIGNATURE);
  assert_int_equal(frame_open(&halves.openers[0], &copy, &got), STATUS_BAD_SIGNATURE);
  bytes_close(&frame);
  bytes_close(&copy);
}

static void test_rekey_by_count(void **state)
{
  uint8_t key[NOISE_KEY_SIZE];
  struct bytes frame = {0};
  struct bytes_view got;
  struct halves halves;

  (void)state;
  halves_open(&halves);
  memcpy(key, halves.sealers[0].cipher.key, sizeof(key));
  for (uint32_t i = 1; i <= 2 * CHANNEL_REKEY_FRAMES + 1; i++) {
    bytes_clear(&frame);
    assert_int_equal(channel_sealer_seal(&halves.sealers[0], bytes_view_text("x"), &frame),
                     STATUS_OK);
    assert_int_equal(frame_open(&halves.openers[1], &frame, &got), STATUS_OK);
    if (i % CHANNEL_REKEY_FRAMES == 0) {
      assert_memory_not_equal(halves.sealers[0].cipher.key, key, sizeof(key));
      memcpy(key, halves.sealers[0].cipher.key, sizeof(key));
    }
    assert_memory_equal(halves.sealers[0].cipher.key, key, sizeof(key));
  }
  bytes_close(&frame);
}

static void test_rekey_by_empty_frame(void **state)
{
  uint8_t key[NOISE_KEY_SIZE];
  struct bytes frame = {0};
  struct bytes_view got;
  struct halves halves;

  (void)state;
  halves_open(&halves);
  halves.sealers[0].frames = halves.openers[1].frames = CHANNEL_REKEY_FRAMES - 1;
  for (unsigned i = 0; i < 3; i++) {
    memcpy(key, halves.openers[1].cipher.key, sizeof(key));
    bytes_clear(&frame);
    assert_int_equal(channel_sealer_rekey(&halves.sealers[0], &frame), STATUS_OK);
    assert_int_equal(frame.size, CHANNEL_LENGTH_SIZE + NOISE_TAG_SIZE);
    assert_int_equal(frame_open(&halves.openers[1], &frame, &got), STATUS_OK);
    assert_int_equal(got.size, 0);
    assert_memory_not_equal(halves.openers[1].cipher.key, key, sizeof(key));
    assert_int_equal(halves.openers[1].frames, 0);
  }
  bytes_clear(&frame);
  assert_int_equal(channel_sealer_seal(&halves.sealers[0], bytes_view_text("x"), &frame),
                   STATUS_OK);
  assert_int_equal(frame_open(&halves.openers[1], &frame, &got), STATUS_OK);
  channel_sealer_close(&halves.sealers[0]);
  assert_int_equal(channel_sealer_seal(&halves.sealers[0], bytes_view_text("x"), &frame),
                   STATUS_NOT_ALLOWED);
  bytes_close(&frame);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_every_depth_meets),
      cmocka_unit_test(test_tampering_ends_it),
      cmocka_unit_test(test_other_root_is_refused),
      cmocka_unit_test(test_foreign_chain_is_refused),
      cmocka_unit_test(test_borrowed_chain_is_refused),
      cmocka_unit_test(test_malformed_payload_is_refused),
      cmocka_unit_test(test_first_message_carries_nothing),
      cmocka_unit_test(test_own_chain_too_large),
      cmocka_unit_test(test_frames_of_all_sizes),
      cmocka_unit_test(test_bad_frame_closes_the_opener),
      cmocka_unit_test(test_replayed_and_reflected_frames),
      cmocka_unit_test(test_rekey_by_count),
      cmocka_unit_test(test_rekey_by_empty_frame),
  };

  if (sodium_init() < 0)
    return 1;
  return cmocka_run_group_tests(tests, NULL, NULL);
}
