// links: replication PkgConfig::CJSON
/*
 * Noise handshake and ciphers against the published vectors, both roles, and against tampering.
 */
#include <cjson/cJSON.h>
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "replication/noise.h"

#define VECTORS TESTS_DIR "/data/noise-xx-25519-chachapoly-blake2b.json"

static struct bytes file_read(const char *path)
{
  struct bytes out = {0};
  uint8_t block[4096];
  FILE *file = fopen(path, "rb");
  size_t size;

  assert_non_null(file);
  while ((size = fread(block, 1, sizeof(block), file)) > 0)
    assert_int_equal(bytes_append(&out, block, size), STATUS_OK);
  fclose(file);
  return out;
}

static struct bytes hex_field(const cJSON *object, const char *name)
{
  const char *hex = cJSON_GetStringValue(cJSON_GetObjectItem(object, name));
  struct bytes out = {0};

  assert_non_null(hex);
  assert_int_equal(bytes_reserve(&out, strlen(hex) / 2 + 1), STATUS_OK);
  out.size = strlen(hex) / 2;
  assert_int_equal(bytes_from_hex(hex, out.data, out.size), STATUS_OK);
  return out;
}

static struct noise_keypair key_field(const cJSON *object, const char *name)
{
  struct bytes secret = hex_field(object, name);
  struct noise_keypair out;

  assert_int_equal(secret.size, NOISE_KEY_SIZE);
  noise_keypair_of(secret.data, &out);
  bytes_close(&secret);
  return out;
}

static void side_init(struct noise_handshake *side, enum noise_role role, const cJSON *vector)
{
  bool first = role == NOISE_INITIATOR;
  struct bytes prologue = hex_field(vector, first ? "init_prologue" : "resp_prologue");
  struct noise_keypair keys = key_field(vector, first ? "init_static" : "resp_static");
  struct noise_keypair ephemeral = key_field(vector, first ? "init_ephemeral" : "resp_ephemeral");

  noise_handshake_init(side, role, bytes_as_view(&prologue), &keys, &ephemeral);
  bytes_close(&prologue);
}

static void handshake_message_check(struct noise_handshake *writer, struct noise_handshake *reader,
                                    const cJSON *message)
{
  struct bytes payload = hex_field(message, "payload");
  struct bytes expected = hex_field(message, "ciphertext");
  struct bytes written = {0};
  struct bytes got = {0};
  struct bytes_view rest;

  assert_true(noise_handshake_is_our_turn(writer));
  assert_false(noise_handshake_is_our_turn(reader));
  assert_int_equal(noise_handshake_write_keys(writer, &written), STATUS_OK);
  assert_int_equal(noise_handshake_write_payload(writer, bytes_as_view(&payload), &written),
                   STATUS_OK);
  assert_true(bytes_view_equal(bytes_as_view(&written), bytes_as_view(&expected)));
  rest = bytes_as_view(&expected);
  assert_int_equal(noise_handshake_read_keys(reader, &rest), STATUS_OK);
  assert_int_equal(noise_handshake_read_payload(reader, rest, &got), STATUS_OK);
  assert_true(bytes_view_equal(bytes_as_view(&got), bytes_as_view(&payload)));
  bytes_close(&payload);
  bytes_close(&expected);
  bytes_close(&written);
  bytes_close(&got);
}

static void transport_message_check(struct noise_cipher *sending, struct noise_cipher *receiving,
                                    const cJSON *message)
{
  struct bytes payload = hex_field(message, "payload");
  struct bytes expected = hex_field(message, "ciphertext");
  struct bytes_view none = {0};
  uint8_t buffer[256];

  assert_int_equal(expected.size, payload.size + NOISE_TAG_SIZE);
  assert_true(expected.size <= sizeof(buffer));
  assert_int_equal(noise_cipher_encrypt(sending, none, bytes_as_view(&payload), buffer), STATUS_OK);
  assert_memory_equal(buffer, expected.data, expected.size);
  assert_int_equal(
      noise_cipher_decrypt(receiving, none, bytes_view_of(buffer, expected.size), buffer),
      STATUS_OK);
  assert_memory_equal(buffer, payload.data, payload.size);
  bytes_close(&payload);
  bytes_close(&expected);
}

static void vector_check(const cJSON *vector)
{
  const cJSON *messages = cJSON_GetObjectItem(vector, "messages");
  struct noise_cipher sending[2];
  struct noise_cipher receiving[2];
  struct noise_handshake sides[2];
  int count = cJSON_GetArraySize(messages);

  assert_true(count > 3);
  side_init(&sides[0], NOISE_INITIATOR, vector);
  side_init(&sides[1], NOISE_RESPONDER, vector);
  for (int i = 0; i < 3; i++)
    handshake_message_check(&sides[i % 2], &sides[(i + 1) % 2], cJSON_GetArrayItem(messages, i));
  assert_memory_equal(sides[0].hash, sides[1].hash, NOISE_HASH_SIZE);
  if (cJSON_GetObjectItem(vector, "handshake_hash") != NULL) {
    struct bytes hash = hex_field(vector, "handshake_hash");

    assert_int_equal(hash.size, NOISE_HASH_SIZE);
    assert_memory_equal(sides[0].hash, hash.data, NOISE_HASH_SIZE);
    bytes_close(&hash);
  }
  noise_handshake_split(&sides[0], &sending[0], &receiving[0]);
  noise_handshake_split(&sides[1], &sending[1], &receiving[1]);
  for (int i = 3; i < count; i++)
    transport_message_check(&sending[i % 2], &receiving[(i + 1) % 2],
                            cJSON_GetArrayItem(messages, i));
  noise_handshake_close(&sides[0]);
  noise_handshake_close(&sides[1]);
}

static void test_published_vectors(void **state)
{
  struct bytes text = file_read(VECTORS);
  cJSON *root = cJSON_ParseWithLength((const char *)text.data, text.size);
  const cJSON *vectors = cJSON_GetObjectItem(root, "vectors");
  const cJSON *vector;

  (void)state;
  assert_int_equal(cJSON_GetArraySize(vectors), 3);
  cJSON_ArrayForEach(vector, vectors) vector_check(vector);
  cJSON_Delete(root);
  bytes_close(&text);
}

static void pair_init(struct noise_handshake sides[2])
{
  for (unsigned i = 0; i < 2; i++) {
    uint8_t secret[NOISE_KEY_SIZE];
    struct noise_keypair keys;
    struct noise_keypair ephemeral;

    memset(secret, (int)(0x11 + i), sizeof(secret));
    noise_keypair_of(secret, &keys);
    memset(secret, (int)(0x21 + i), sizeof(secret));
    noise_keypair_of(secret, &ephemeral);
    noise_handshake_init(&sides[i], (enum noise_role)i, bytes_view_text("prologue"), &keys,
                         &ephemeral);
  }
}

static enum status message_write(struct noise_handshake *side, struct bytes *out)
{
  enum status status = noise_handshake_write_keys(side, out);

  if (status == STATUS_OK)
    status = noise_handshake_write_payload(side, bytes_view_text("hi"), out);
  return status;
}

static enum status message_read(struct noise_handshake *side, struct bytes_view message)
{
  struct bytes payload = {0};
  enum status status = noise_handshake_read_keys(side, &message);

  if (status == STATUS_OK)
    status = noise_handshake_read_payload(side, message, &payload);
  bytes_close(&payload);
  return status;
}

/* Runs a handshake; message `which` is changed at `at` (or cut to `at` octets). Returns whether
 * both sides finished. *size gets the message's octets. */
static bool tampered_run(int which, size_t at, uint8_t flip, bool cut, size_t *size)
{
  struct noise_handshake sides[2];
  bool good = true;

  pair_init(sides);
  for (int i = 0; i < 3 && good; i++) {
    struct bytes message = {0};

    good = message_write(&sides[i % 2], &message) == STATUS_OK;
    if (good && i == which) {
      *size = message.size;
      message.data[at] ^= flip;
      if (cut)
        message.size = at;
    }
    if (good)
      good = message_read(&sides[(i + 1) % 2], bytes_as_view(&message)) == STATUS_OK;
    bytes_close(&message);
  }
  return good;
}

static void test_every_octet_tampered(void **state)
{
  (void)state;
  for (int which = 0; which < 3; which++) {
    size_t size = 0;

    assert_true(tampered_run(which, 0, 0, false, &size));
    assert_true(size > NOISE_KEY_SIZE);
    for (size_t at = 0; at < size; at++) {
      size_t ignored;

      assert_false(tampered_run(which, at, 0x01, false, &ignored));
      assert_false(tampered_run(which, at, 0x80, false, &ignored));
      assert_false(tampered_run(which, at, 0, true, &ignored));
    }
  }
}

static void test_failed_handshake_stays_failed(void **state)
{
  struct noise_handshake sides[2];
  struct bytes message = {0};
  uint8_t junk[NOISE_KEY_SIZE - 1] = {0};

  (void)state;
  pair_init(sides);
  assert_int_equal(message_read(&sides[1], bytes_view_of(junk, sizeof(junk))), STATUS_MALFORMED);
  assert_int_equal(message_write(&sides[0], &message), STATUS_OK);
  assert_int_equal(message_read(&sides[1], bytes_as_view(&message)), STATUS_NOT_ALLOWED);
  assert_int_equal(message_write(&sides[1], &message), STATUS_NOT_ALLOWED);
  bytes_close(&message);
}

static void test_out_of_turn(void **state)
{
  struct noise_handshake sides[2];
  struct bytes message = {0};

  (void)state;
  pair_init(sides);
  assert_int_equal(noise_handshake_write_keys(&sides[1], &message), STATUS_NOT_ALLOWED);
  assert_int_equal(noise_handshake_write_payload(&sides[0], bytes_view_text(""), &message),
                   STATUS_NOT_ALLOWED);
  assert_int_equal(message_read(&sides[0], bytes_as_view(&message)), STATUS_NOT_ALLOWED);
  assert_int_equal(message_write(&sides[0], &message), STATUS_OK);
  assert_int_equal(message_write(&sides[0], &message), STATUS_NOT_ALLOWED);
  bytes_close(&message);
}

static void test_message_too_long(void **state)
{
  struct noise_handshake sides[2];
  struct bytes message = {0};
  uint8_t *long_message = calloc(1, NOISE_MESSAGE_MAX + 1);

  (void)state;
  assert_non_null(long_message);
  long_message[0] = 9;
  pair_init(sides);
  assert_int_equal(message_read(&sides[1], bytes_view_of(long_message, NOISE_MESSAGE_MAX)),
                   STATUS_OK);
  pair_init(sides);
  assert_int_equal(message_read(&sides[1], bytes_view_of(long_message, NOISE_MESSAGE_MAX + 1)),
                   STATUS_MALFORMED);
  assert_int_equal(noise_handshake_write_keys(&sides[0], &message), STATUS_OK);
  assert_int_equal(noise_handshake_write_payload(
                       &sides[0], bytes_view_of(long_message, NOISE_MESSAGE_MAX), &message),
                   STATUS_TOO_LARGE);
  bytes_close(&message);
  free(long_message);
}

/* Points of small order, as u coordinates: every secret with them is all zeros. */
static void test_all_zero_secret(void **state)
{
  static const uint8_t points[2][NOISE_KEY_SIZE] = {{0}, {1}};

  (void)state;
  for (unsigned i = 0; i < 2; i++) {
    struct noise_handshake sides[2];
    struct bytes message = {0};

    pair_init(sides);
    assert_int_equal(message_read(&sides[1], bytes_view_of(points[i], NOISE_KEY_SIZE)), STATUS_OK);
    assert_int_equal(noise_handshake_write_keys(&sides[1], &message), STATUS_MALFORMED);
    assert_int_equal(sides[1].step, NOISE_FAILED);
    pair_init(sides);
    assert_int_equal(message_write(&sides[0], &message), STATUS_OK);
    assert_int_equal(message_read(&sides[0], bytes_view_of(points[i], NOISE_KEY_SIZE)),
                     STATUS_MALFORMED);
    bytes_close(&message);
  }
}

static struct noise_cipher cipher_make(uint64_t nonce)
{
  struct noise_cipher cipher = {.nonce = nonce, .keyed = true};

  memset(cipher.key, 0x42, sizeof(cipher.key));
  return cipher;
}

static void test_nonces_run_out(void **state)
{
  struct noise_cipher sending = cipher_make(NOISE_NONCE_LAST);
  struct noise_cipher receiving = cipher_make(NOISE_NONCE_LAST);
  struct bytes_view none = {0};
  uint8_t buffer[2 + NOISE_TAG_SIZE];

  (void)state;
  assert_int_equal(noise_cipher_encrypt(&sending, none, bytes_view_text("hi"), buffer), STATUS_OK);
  assert_int_equal(
      noise_cipher_decrypt(&receiving, none, bytes_view_of(buffer, sizeof(buffer)), buffer),
      STATUS_OK);
  assert_int_equal(noise_cipher_encrypt(&sending, none, bytes_view_text("hi"), buffer),
                   STATUS_TOO_LARGE);
  assert_int_equal(
      noise_cipher_decrypt(&receiving, none, bytes_view_of(buffer, sizeof(buffer)), buffer),
      STATUS_TOO_LARGE);
}

static void test_cipher_wiped_after_bad_tag(void **state)
{
  struct noise_cipher sending = cipher_make(0);
  struct noise_cipher receiving = cipher_make(0);
  struct bytes_view none = {0};
  uint8_t buffer[2 + NOISE_TAG_SIZE];
  uint8_t out[2];

  (void)state;
  assert_int_equal(noise_cipher_encrypt(&sending, none, bytes_view_text("hi"), buffer), STATUS_OK);
  assert_int_equal(
      noise_cipher_decrypt(&receiving, none, bytes_view_of(buffer, NOISE_TAG_SIZE - 1), out),
      STATUS_MALFORMED);
  buffer[0] ^= 1;
  assert_int_equal(
      noise_cipher_decrypt(&receiving, none, bytes_view_of(buffer, sizeof(buffer)), out),
      STATUS_BAD_SIGNATURE);
  buffer[0] ^= 1;
  assert_int_equal(
      noise_cipher_decrypt(&receiving, none, bytes_view_of(buffer, sizeof(buffer)), out),
      STATUS_NOT_ALLOWED);
  assert_true(sodium_is_zero(receiving.key, sizeof(receiving.key)));
}

/* REKEY is the first 32 octets of ENCRYPT(k, 2^64 - 1, "", zeros), here computed by the plain
 * ChaCha20 stream from block 1 on, which is what the AEAD encrypts with. */
static void test_rekey(void **state)
{
  struct noise_cipher cipher = cipher_make(7);
  uint8_t expected[NOISE_KEY_SIZE] = {0};
  uint8_t nonce[12] = {0};

  (void)state;
  memset(nonce + 4, 0xff, 8);
  crypto_stream_chacha20_ietf_xor_ic(expected, expected, sizeof(expected), nonce, 1, cipher.key);
  noise_cipher_rekey(&cipher);
  assert_memory_equal(cipher.key, expected, sizeof(expected));
  assert_int_equal(cipher.nonce, 7);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_published_vectors),
      cmocka_unit_test(test_every_octet_tampered),
      cmocka_unit_test(test_failed_handshake_stays_failed),
      cmocka_unit_test(test_out_of_turn),
      cmocka_unit_test(test_message_too_long),
      cmocka_unit_test(test_all_zero_secret),
      cmocka_unit_test(test_nonces_run_out),
      cmocka_unit_test(test_cipher_wiped_after_bad_tag),
      cmocka_unit_test(test_rekey),
  };

  if (sodium_init() < 0)
    return 1;
  return cmocka_run_group_tests(tests, NULL, NULL);
}
