/*
 * Noise_XX_25519_ChaChaPoly_BLAKE2b (Noise Protocol Framework, revision 34) on libsodium's
 * primitives. It owns the handshake's symmetric state and the two cipher states that come of it,
 * and nothing else: keys are passed in, nothing here is random, and messages are octets.
 *
 * Each handshake message is written and read in two steps, keys and then payload, so that the
 * caller can sign the handshake hash as it stands between them.
 */
#ifndef REPLICATION_NOISE_H
#define REPLICATION_NOISE_H

#include <stdbool.h>
#include <stdint.h>

#include "record/bytes.h"

#define NOISE_KEY_SIZE 32
#define NOISE_HASH_SIZE 64
#define NOISE_TAG_SIZE 16
#define NOISE_MESSAGE_MAX 65535           /* octets of any one Noise message, tag included */
#define NOISE_NONCE_LAST (UINT64_MAX - 1) /* 2^64 - 1 is kept for rekeying */

enum noise_role { NOISE_INITIATOR = 0, NOISE_RESPONDER = 1 };

/* One direction's cipher; independent of the other's. Zero-initialised has no key. Once it failed
 * or ran out of nonces it does nothing more. */
struct noise_cipher {
  uint8_t key[NOISE_KEY_SIZE];
  uint64_t nonce; /* of the next message */
  bool keyed;
};

/* Tag follows the ciphertext: `out` holds size + NOISE_TAG_SIZE and may be `plaintext` itself.
 * STATUS_NOT_ALLOWED without a key, STATUS_TOO_LARGE when nonces are used up. Section 5.1. */
MUST_USE enum status noise_cipher_encrypt(struct noise_cipher *cipher, struct bytes_view associated,
                                          struct bytes_view plaintext, uint8_t *out);
/* `out` holds size - NOISE_TAG_SIZE and may be the ciphertext itself. STATUS_MALFORMED when shorter
 * than a tag, STATUS_BAD_SIGNATURE when the tag doesn't verify (the cipher is then wiped),
 * STATUS_NOT_ALLOWED, STATUS_TOO_LARGE as above. */
MUST_USE enum status noise_cipher_decrypt(struct noise_cipher *cipher, struct bytes_view associated,
                                          struct bytes_view ciphertext, uint8_t *out);
/* Sections 4.2 and 11.3; the nonce goes on. Needs a key. */
void noise_cipher_rekey(struct noise_cipher *cipher);
void noise_cipher_close(struct noise_cipher *cipher);

struct noise_keypair {
  uint8_t secret_key[NOISE_KEY_SIZE];
  uint8_t public_key[NOISE_KEY_SIZE];
};

/* Key pair of a 32-octet secret, which the caller drew at random. */
void noise_keypair_of(const uint8_t secret_key[NOISE_KEY_SIZE], struct noise_keypair *out);

/* What comes next in a handshake; each side writes and reads in turn. */
enum noise_step { NOISE_KEYS, NOISE_PAYLOAD, NOISE_DONE, NOISE_FAILED };

struct noise_handshake {
  enum noise_role role;
  enum noise_step step;
  uint8_t message; /* 0 to 2: the message that `step` is about */
  uint8_t chaining_key[NOISE_HASH_SIZE];
  uint8_t hash[NOISE_HASH_SIZE];
  struct noise_cipher cipher;
  struct noise_keypair static_keys;
  struct noise_keypair ephemeral_keys;
  uint8_t remote_static[NOISE_KEY_SIZE];
  uint8_t remote_ephemeral[NOISE_KEY_SIZE];
};

/* The ephemeral pair must be fresh for each handshake. Release with noise_handshake_close, which
 * wipes it. */
void noise_handshake_init(struct noise_handshake *handshake, enum noise_role role,
                          struct bytes_view prologue, const struct noise_keypair *static_keys,
                          const struct noise_keypair *ephemeral_keys);
void noise_handshake_close(struct noise_handshake *handshake);

/* Whether the next message is ours to write. False too when done or failed. */
bool noise_handshake_is_our_turn(const struct noise_handshake *handshake);

/* Appends the message's keys: `e`; `e, ee, s, es`; `s, se`. STATUS_NOT_ALLOWED out of turn,
 * STATUS_MALFORMED when the peer's key gives an all-zero secret, STATUS_NO_MEMORY. Every failure
 * but STATUS_NOT_ALLOWED ends the handshake. */
MUST_USE enum status noise_handshake_write_keys(struct noise_handshake *handshake,
                                                struct bytes *out);
/* Appends the payload, encrypted once there is a key. STATUS_NOT_ALLOWED, STATUS_TOO_LARGE,
 * STATUS_NO_MEMORY. */
MUST_USE enum status noise_handshake_write_payload(struct noise_handshake *handshake,
                                                   struct bytes_view payload, struct bytes *out);
/* Takes the keys off the start of `message`, which moves on to the payload. STATUS_NOT_ALLOWED,
 * STATUS_MALFORMED (short, too long, or an all-zero secret), STATUS_BAD_SIGNATURE (tag). */
MUST_USE enum status noise_handshake_read_keys(struct noise_handshake *handshake,
                                               struct bytes_view *message);
/* Appends the payload in clear to `payload`. Statuses as noise_handshake_read_keys and
 * STATUS_NO_MEMORY. */
MUST_USE enum status noise_handshake_read_payload(struct noise_handshake *handshake,
                                                  struct bytes_view rest, struct bytes *payload);

/* After NOISE_DONE: the two ciphers, each for one direction; the handshake is then only good for
 * its hash and remote key. */
void noise_handshake_split(struct noise_handshake *handshake, struct noise_cipher *sending,
                           struct noise_cipher *receiving);

#endif
