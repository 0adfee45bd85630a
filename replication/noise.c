#include "replication/noise.h"

#include <sodium.h>
#include <string.h>

#include "record/check.h"

#define HMAC_BLOCK_SIZE 128
#define MESSAGE_COUNT 3

static const char protocol_name[] = "Noise_XX_25519_ChaChaPoly_BLAKE2b";

/* --- BLAKE2b-512, HMAC (RFC 2104) and HKDF, Noise sections 4.3 and 12.7 --- */

static void hash_two(struct bytes_view first, struct bytes_view second,
                     uint8_t out[NOISE_HASH_SIZE])
{
  crypto_generichash_blake2b_state state;

  crypto_generichash_blake2b_init(&state, NULL, 0, NOISE_HASH_SIZE);
  crypto_generichash_blake2b_update(&state, first.data, first.size);
  crypto_generichash_blake2b_update(&state, second.data, second.size);
  crypto_generichash_blake2b_final(&state, out, NOISE_HASH_SIZE);
  sodium_memzero(&state, sizeof(state));
}

static void hmac(const uint8_t key[NOISE_HASH_SIZE], struct bytes_view first,
                 struct bytes_view second, uint8_t out[NOISE_HASH_SIZE])
{
  uint8_t pad[HMAC_BLOCK_SIZE];
  uint8_t inner[NOISE_HASH_SIZE];
  crypto_generichash_blake2b_state state;

  memset(pad, 0x36, sizeof(pad));
  for (size_t i = 0; i < NOISE_HASH_SIZE; i++)
    pad[i] ^= key[i];
  crypto_generichash_blake2b_init(&state, NULL, 0, NOISE_HASH_SIZE);
  crypto_generichash_blake2b_update(&state, pad, sizeof(pad));
  crypto_generichash_blake2b_update(&state, first.data, first.size);
  crypto_generichash_blake2b_update(&state, second.data, second.size);
  crypto_generichash_blake2b_final(&state, inner, sizeof(inner));
  for (size_t i = 0; i < sizeof(pad); i++)
    pad[i] ^= 0x36 ^ 0x5c;
  hash_two(bytes_view_of(pad, sizeof(pad)), bytes_view_of(inner, sizeof(inner)), out);
  sodium_memzero(pad, sizeof(pad));
  sodium_memzero(inner, sizeof(inner));
  sodium_memzero(&state, sizeof(state));
}

/* Two outputs; `first` may be `chaining_key` itself. */
static void hkdf(const uint8_t chaining_key[NOISE_HASH_SIZE], struct bytes_view material,
                 uint8_t first[NOISE_HASH_SIZE], uint8_t second[NOISE_HASH_SIZE])
{
  static const uint8_t one = 1;
  static const uint8_t two = 2;
  uint8_t temporary[NOISE_HASH_SIZE];

  hmac(chaining_key, material, bytes_view_of(NULL, 0), temporary);
  hmac(temporary, bytes_view_of(&one, 1), bytes_view_of(NULL, 0), first);
  hmac(temporary, bytes_view_of(first, NOISE_HASH_SIZE), bytes_view_of(&two, 1), second);
  sodium_memzero(temporary, sizeof(temporary));
}

/* --- cipher state, section 5.1 --- */

static void nonce_octets(uint64_t nonce, uint8_t out[12])
{
  memset(out, 0, 4);
  for (unsigned i = 0; i < 8; i++)
    out[4 + i] = (uint8_t)(nonce >> (8 * i));
}

static void cipher_key_set(struct noise_cipher *cipher, const uint8_t key[NOISE_KEY_SIZE])
{
  memcpy(cipher->key, key, NOISE_KEY_SIZE);
  cipher->nonce = 0;
  cipher->keyed = true;
}

void noise_cipher_close(struct noise_cipher *cipher)
{
  sodium_memzero(cipher, sizeof(*cipher));
}

enum status noise_cipher_encrypt(struct noise_cipher *cipher, struct bytes_view associated,
                                 struct bytes_view plaintext, uint8_t *out)
{
  uint8_t nonce[12];

  if (!cipher->keyed)
    return STATUS_NOT_ALLOWED;
  if (cipher->nonce > NOISE_NONCE_LAST)
    return STATUS_TOO_LARGE;
  nonce_octets(cipher->nonce, nonce);
  crypto_aead_chacha20poly1305_ietf_encrypt(out, NULL, plaintext.data, plaintext.size,
                                            associated.data, associated.size, NULL, nonce,
                                            cipher->key);
  cipher->nonce++;
  return STATUS_OK;
}

enum status noise_cipher_decrypt(struct noise_cipher *cipher, struct bytes_view associated,
                                 struct bytes_view ciphertext, uint8_t *out)
{
  uint8_t nonce[12];

  if (!cipher->keyed)
    return STATUS_NOT_ALLOWED;
  if (cipher->nonce > NOISE_NONCE_LAST)
    return STATUS_TOO_LARGE;
  if (ciphertext.size < NOISE_TAG_SIZE)
    return STATUS_MALFORMED;
  nonce_octets(cipher->nonce, nonce);
  if (crypto_aead_chacha20poly1305_ietf_decrypt(out, NULL, NULL, ciphertext.data, ciphertext.size,
                                                associated.data, associated.size, nonce,
                                                cipher->key) != 0) {
    noise_cipher_close(cipher);
    return STATUS_BAD_SIGNATURE;
  }
  cipher->nonce++;
  return STATUS_OK;
}

void noise_cipher_rekey(struct noise_cipher *cipher)
{
  static const uint8_t zeros[NOISE_KEY_SIZE];
  uint8_t out[NOISE_KEY_SIZE + NOISE_TAG_SIZE];
  uint8_t nonce[12];

  CHECK(cipher->keyed);
  nonce_octets(UINT64_MAX, nonce);
  crypto_aead_chacha20poly1305_ietf_encrypt(out, NULL, zeros, sizeof(zeros), NULL, 0, NULL, nonce,
                                            cipher->key);
  memcpy(cipher->key, out, NOISE_KEY_SIZE);
  sodium_memzero(out, sizeof(out));
}

/* --- symmetric state, section 5.2 --- */

static void mix_hash(struct noise_handshake *handshake, struct bytes_view data)
{
  hash_two(bytes_view_of(handshake->hash, NOISE_HASH_SIZE), data, handshake->hash);
}

static void mix_key(struct noise_handshake *handshake, const uint8_t material[NOISE_KEY_SIZE])
{
  uint8_t key[NOISE_HASH_SIZE];

  hkdf(handshake->chaining_key, bytes_view_of(material, NOISE_KEY_SIZE), handshake->chaining_key,
       key);
  cipher_key_set(&handshake->cipher, key);
  sodium_memzero(key, sizeof(key));
}

static enum status encrypt_and_hash(struct noise_handshake *handshake, struct bytes_view plaintext,
                                    struct bytes *out)
{
  struct bytes_view hash = bytes_view_of(handshake->hash, NOISE_HASH_SIZE);
  size_t size = plaintext.size + (handshake->cipher.keyed ? NOISE_TAG_SIZE : 0);
  enum status status = bytes_reserve(out, size);
  uint8_t *at;

  if (status != STATUS_OK || size == 0)
    goto out;
  at = out->data + out->size;
  if (!handshake->cipher.keyed)
    memcpy(at, plaintext.data, size);
  else
    status = noise_cipher_encrypt(&handshake->cipher, hash, plaintext, at);
  if (status == STATUS_OK)
    out->size += size;
out:
  if (status == STATUS_OK)
    mix_hash(handshake, size == 0 ? plaintext : bytes_view_of(out->data + out->size - size, size));
  return status;
}

/* `out` holds the plaintext. */
static enum status decrypt_and_hash(struct noise_handshake *handshake, struct bytes_view ciphertext,
                                    uint8_t *out)
{
  struct bytes_view hash = bytes_view_of(handshake->hash, NOISE_HASH_SIZE);
  enum status status = STATUS_OK;

  if (handshake->cipher.keyed)
    status = noise_cipher_decrypt(&handshake->cipher, hash, ciphertext, out);
  else if (ciphertext.size > 0)
    memcpy(out, ciphertext.data, ciphertext.size);
  if (status == STATUS_OK)
    mix_hash(handshake, ciphertext);
  return status;
}

/* --- handshake, sections 5.3 and 7.5 --- */

void noise_keypair_of(const uint8_t secret_key[NOISE_KEY_SIZE], struct noise_keypair *out)
{
  memcpy(out->secret_key, secret_key, NOISE_KEY_SIZE);
  crypto_scalarmult_curve25519_base(out->public_key, secret_key);
}

void noise_handshake_init(struct noise_handshake *handshake, enum noise_role role,
                          struct bytes_view prologue, const struct noise_keypair *static_keys,
                          const struct noise_keypair *ephemeral_keys)
{
  _Static_assert(sizeof(protocol_name) - 1 <= NOISE_HASH_SIZE, "the name is padded, not hashed");
  memset(handshake, 0, sizeof(*handshake));
  handshake->role = role;
  handshake->step = NOISE_KEYS;
  handshake->static_keys = *static_keys;
  handshake->ephemeral_keys = *ephemeral_keys;
  memcpy(handshake->hash, protocol_name, sizeof(protocol_name) - 1);
  memcpy(handshake->chaining_key, handshake->hash, NOISE_HASH_SIZE);
  mix_hash(handshake, prologue);
}

void noise_handshake_close(struct noise_handshake *handshake)
{
  sodium_memzero(handshake, sizeof(*handshake));
  handshake->step = NOISE_FAILED;
}

static bool is_writer(const struct noise_handshake *handshake)
{
  return (handshake->message % 2 == 0) == (handshake->role == NOISE_INITIATOR);
}

bool noise_handshake_is_our_turn(const struct noise_handshake *handshake)
{
  return handshake->step < NOISE_DONE && is_writer(handshake);
}

/* Each step either moves the handshake on or ends it. */
static enum status step_finish(struct noise_handshake *handshake, enum status status)
{
  if (status != STATUS_OK) {
    noise_handshake_close(handshake);
  } else if (handshake->step == NOISE_KEYS) {
    handshake->step = NOISE_PAYLOAD;
  } else {
    handshake->message++;
    handshake->step = handshake->message == MESSAGE_COUNT ? NOISE_DONE : NOISE_KEYS;
  }
  return status;
}

static enum status mix_dh(struct noise_handshake *handshake, const struct noise_keypair *ours,
                          const uint8_t theirs[NOISE_KEY_SIZE])
{
  uint8_t shared[NOISE_KEY_SIZE];
  enum status status = STATUS_OK;

  /* Refuses an all-zero result, that is, a remote point of small order. */
  if (crypto_scalarmult_curve25519(shared, ours->secret_key, theirs) != 0)
    status = STATUS_MALFORMED;
  else
    mix_key(handshake, shared);
  sodium_memzero(shared, sizeof(shared));
  return status;
}

/* `es` and `se` name the initiator's key first. */
static enum status mix_es(struct noise_handshake *handshake)
{
  if (handshake->role == NOISE_INITIATOR)
    return mix_dh(handshake, &handshake->ephemeral_keys, handshake->remote_static);
  return mix_dh(handshake, &handshake->static_keys, handshake->remote_ephemeral);
}

static enum status mix_se(struct noise_handshake *handshake)
{
  if (handshake->role == NOISE_INITIATOR)
    return mix_dh(handshake, &handshake->static_keys, handshake->remote_ephemeral);
  return mix_dh(handshake, &handshake->ephemeral_keys, handshake->remote_static);
}

static enum status mix_ee(struct noise_handshake *handshake)
{
  return mix_dh(handshake, &handshake->ephemeral_keys, handshake->remote_ephemeral);
}

static enum status write_ephemeral(struct noise_handshake *handshake, struct bytes *out)
{
  struct bytes_view key = bytes_view_of(handshake->ephemeral_keys.public_key, NOISE_KEY_SIZE);
  enum status status = bytes_append(out, key.data, key.size);

  if (status == STATUS_OK)
    mix_hash(handshake, key);
  return status;
}

static enum status write_static(struct noise_handshake *handshake, struct bytes *out)
{
  return encrypt_and_hash(handshake,
                          bytes_view_of(handshake->static_keys.public_key, NOISE_KEY_SIZE), out);
}

enum status noise_handshake_write_keys(struct noise_handshake *handshake, struct bytes *out)
{
  enum status status = STATUS_OK;

  if (handshake->step != NOISE_KEYS || !is_writer(handshake))
    return STATUS_NOT_ALLOWED;
  if (handshake->message < 2)
    status = write_ephemeral(handshake, out);
  if (status == STATUS_OK && handshake->message == 1)
    status = mix_ee(handshake);
  if (status == STATUS_OK && handshake->message > 0)
    status = write_static(handshake, out);
  if (status == STATUS_OK && handshake->message == 1)
    status = mix_es(handshake);
  if (status == STATUS_OK && handshake->message == 2)
    status = mix_se(handshake);
  return step_finish(handshake, status);
}

enum status noise_handshake_write_payload(struct noise_handshake *handshake,
                                          struct bytes_view payload, struct bytes *out)
{
  static const size_t keys_max = 2 * NOISE_KEY_SIZE + 2 * NOISE_TAG_SIZE;
  enum status status = STATUS_OK;

  if (handshake->step != NOISE_PAYLOAD || !is_writer(handshake))
    return STATUS_NOT_ALLOWED;
  if (payload.size > NOISE_MESSAGE_MAX - keys_max)
    status = STATUS_TOO_LARGE;
  else
    status = encrypt_and_hash(handshake, payload, out);
  return step_finish(handshake, status);
}

static enum status read_ephemeral(struct noise_handshake *handshake, struct bytes_view *message)
{
  struct bytes_view key = bytes_view_of(message->data, NOISE_KEY_SIZE);

  if (message->size < NOISE_KEY_SIZE)
    return STATUS_MALFORMED;
  memcpy(handshake->remote_ephemeral, key.data, NOISE_KEY_SIZE);
  mix_hash(handshake, key);
  *message = bytes_view_of(message->data + NOISE_KEY_SIZE, message->size - NOISE_KEY_SIZE);
  return STATUS_OK;
}

static enum status read_static(struct noise_handshake *handshake, struct bytes_view *message)
{
  static const size_t size = NOISE_KEY_SIZE + NOISE_TAG_SIZE;
  enum status status;

  if (message->size < size)
    return STATUS_MALFORMED;
  status =
      decrypt_and_hash(handshake, bytes_view_of(message->data, size), handshake->remote_static);
  *message = bytes_view_of(message->data + size, message->size - size);
  return status;
}

enum status noise_handshake_read_keys(struct noise_handshake *handshake, struct bytes_view *message)
{
  enum status status = message->size > NOISE_MESSAGE_MAX ? STATUS_MALFORMED : STATUS_OK;

  if (handshake->step != NOISE_KEYS || is_writer(handshake))
    return STATUS_NOT_ALLOWED;
  if (status == STATUS_OK && handshake->message < 2)
    status = read_ephemeral(handshake, message);
  if (status == STATUS_OK && handshake->message == 1)
    status = mix_ee(handshake);
  if (status == STATUS_OK && handshake->message > 0)
    status = read_static(handshake, message);
  if (status == STATUS_OK && handshake->message == 1)
    status = mix_es(handshake);
  if (status == STATUS_OK && handshake->message == 2)
    status = mix_se(handshake);
  return step_finish(handshake, status);
}

enum status noise_handshake_read_payload(struct noise_handshake *handshake, struct bytes_view rest,
                                         struct bytes *payload)
{
  size_t tag = handshake->cipher.keyed ? NOISE_TAG_SIZE : 0;
  enum status status = STATUS_MALFORMED;

  if (handshake->step != NOISE_PAYLOAD || is_writer(handshake))
    return STATUS_NOT_ALLOWED;
  /* Room for a tag more, so that an empty payload has a place to be decrypted to. */
  if (rest.size >= tag)
    status = bytes_reserve(payload, rest.size + NOISE_TAG_SIZE);
  if (status == STATUS_OK)
    status = decrypt_and_hash(handshake, rest, payload->data + payload->size);
  if (status == STATUS_OK)
    payload->size += rest.size - tag;
  return step_finish(handshake, status);
}

void noise_handshake_split(struct noise_handshake *handshake, struct noise_cipher *sending,
                           struct noise_cipher *receiving)
{
  bool initiator = handshake->role == NOISE_INITIATOR;
  uint8_t first[NOISE_HASH_SIZE];
  uint8_t second[NOISE_HASH_SIZE];

  CHECK(handshake->step == NOISE_DONE);
  hkdf(handshake->chaining_key, bytes_view_of(NULL, 0), first, second);
  cipher_key_set(initiator ? sending : receiving, first);
  cipher_key_set(initiator ? receiving : sending, second);
  sodium_memzero(first, sizeof(first));
  sodium_memzero(second, sizeof(second));
  sodium_memzero(handshake->chaining_key, NOISE_HASH_SIZE);
  sodium_memzero(&handshake->static_keys, sizeof(handshake->static_keys));
  sodium_memzero(&handshake->ephemeral_keys, sizeof(handshake->ephemeral_keys));
  noise_cipher_close(&handshake->cipher);
}
