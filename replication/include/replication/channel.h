/*
 * A link's secured channel (DESIGN section 6, docs/PROTOCOL.md "Channel"): the Noise handshake that
 * also proves each side's node key and place, then two independent halves that seal and open
 * frames. Pure: random octets are passed in, octets come out, the clock is the caller's.
 *
 * What is judged here is that the peer's chain leads to the root and that the peer holds the leaf's
 * key now. Whether the certificates are valid at this time and whether this peer may be on this
 * link is the caller's to say, from channel_peer.
 */
#ifndef REPLICATION_CHANNEL_H
#define REPLICATION_CHANNEL_H

#include <stdbool.h>
#include <stdint.h>

#include "record/bytes.h"
#include "record/certificate.h"
#include "record/hash.h"
#include "replication/noise.h"

#define CHANNEL_VERSION 1
#define CHANNEL_LENGTH_SIZE 4 /* u32 little-endian before each ciphertext */
#define CHANNEL_CIPHERTEXT_MAX 65535
#define CHANNEL_PLAINTEXT_MAX (CHANNEL_CIPHERTEXT_MAX - NOISE_TAG_SIZE)
#define CHANNEL_REKEY_FRAMES 65536
/* A handshake message's octets; a listener need not buffer more of a stranger's. */
#define CHANNEL_HANDSHAKE_MAX 4096

enum channel_role { CHANNEL_CHILD = 0, CHANNEL_PARENT = 1 }; /* the role octet; the child dials */

/* Copied by channel_init, the chain excepted, which must outlive the handshake. */
struct channel_settings {
  enum channel_role role;
  struct hash root_id;                      /* H(root certificate body) */
  uint8_t static_secret[NOISE_KEY_SIZE];    /* random, fresh per process */
  uint8_t ephemeral_secret[NOISE_KEY_SIZE]; /* random, fresh per channel */
  struct bytes_view chain;                  /* [C...] root first, ours last */
  uint8_t node_secret_key[64];              /* Ed25519, of the last certificate's key */
};

enum channel_state { CHANNEL_HANDSHAKE, CHANNEL_ESTABLISHED, CHANNEL_SPLIT, CHANNEL_FAILED };

struct channel {
  enum channel_state state;
  enum channel_role role;
  struct hash root_id;
  struct bytes_view chain;
  uint8_t node_secret_key[64];
  struct noise_handshake handshake;
  struct bytes peer_payload; /* backs `peer` */
  struct certificate peer[CERTIFICATE_CHAIN_MAX];
  size_t peer_count;
};

/* Release with channel_close, which wipes it. */
void channel_init(struct channel *channel, const struct channel_settings *settings);
void channel_close(struct channel *channel);

/* Whether the next handshake message is ours. */
bool channel_is_our_turn(const struct channel *channel);
bool channel_is_established(const struct channel *channel);

/* Appends our next handshake message as a frame. STATUS_NOT_ALLOWED out of turn, STATUS_MALFORMED
 * when the peer's keys are unusable, STATUS_TOO_LARGE when our chain makes the message larger than
 * CHANNEL_HANDSHAKE_MAX, STATUS_NO_MEMORY. Any failure but STATUS_NOT_ALLOWED ends the channel. */
MUST_USE enum status channel_handshake_write(struct channel *channel, struct bytes *out);

/* Judges the peer's next handshake message (a frame's ciphertext): VERDICT_OK,
 * VERDICT_MALFORMED, VERDICT_BAD_SIGNATURE (a tag, or the signature over the handshake),
 * VERDICT_BAD_CHAIN. Any verdict but VERDICT_OK ends the channel. STATUS_NOT_ALLOWED out of turn,
 * STATUS_NO_MEMORY; the verdict is then not set. */
MUST_USE enum status channel_handshake_read(struct channel *channel, struct bytes_view message,
                                            enum verdict *verdict);

/* The peer's certificates, root first, its own last: views into the channel. NULL and 0 before
 * the peer's payload was judged good. */
const struct certificate *channel_peer(const struct channel *channel, size_t *count);

/* One direction each, usable from different threads. They count the frames under the current key
 * alike on both sides. */
struct channel_sealer {
  struct noise_cipher cipher;
  uint32_t frames;
};
struct channel_opener {
  struct noise_cipher cipher;
  uint32_t frames;
};

/* Hands over both halves, once, when established. channel_peer stays good until channel_close. */
void channel_split(struct channel *channel, struct channel_sealer *sealer,
                   struct channel_opener *opener);

/* Appends the frame `u32 length ‖ ciphertext`. An empty plaintext is the rekey frame; see
 * channel_sealer_rekey. STATUS_TOO_LARGE above CHANNEL_PLAINTEXT_MAX, STATUS_NOT_ALLOWED when
 * closed, STATUS_NO_MEMORY; nothing is appended then. */
MUST_USE enum status channel_sealer_seal(struct channel_sealer *sealer, struct bytes_view plaintext,
                                         struct bytes *out);
/* Appends an empty frame, after which both sides use a new key; for the rekey each hour. */
MUST_USE enum status channel_sealer_rekey(struct channel_sealer *sealer, struct bytes *out);
void channel_sealer_close(struct channel_sealer *sealer);

/* Decrypts a frame's ciphertext in place. An empty plaintext was a rekey frame and means nothing
 * more. STATUS_MALFORMED, STATUS_BAD_SIGNATURE, STATUS_NOT_ALLOWED when closed; after any of these
 * the opener is closed and the connection must end. */
MUST_USE enum status channel_opener_open(struct channel_opener *opener, uint8_t *ciphertext,
                                         size_t size, struct bytes_view *plaintext);
void channel_opener_close(struct channel_opener *opener);

#endif
