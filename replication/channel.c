#include "replication/channel.h"

#include <sodium.h>
#include <string.h>

#include "record/check.h"
#include "record/codec.h"

#define PAYLOAD_VERSION 1
#define SIGNATURE_SIZE 64

static const char prologue_text[] = "noded";
static const char signed_context[] = "noded-link-v1"; /* with its terminator: the 0x00 */

/* What a side signs: context ‖ 0x00 ‖ role octet ‖ handshake hash. */
struct signed_octets {
  uint8_t octets[sizeof(signed_context) + 1 + NOISE_HASH_SIZE];
};

static struct signed_octets signed_octets_of(enum channel_role signer, const uint8_t *hash)
{
  struct signed_octets out;

  memcpy(out.octets, signed_context, sizeof(signed_context));
  out.octets[sizeof(signed_context)] = (uint8_t)signer;
  memcpy(out.octets + sizeof(signed_context) + 1, hash, NOISE_HASH_SIZE);
  return out;
}

void channel_init(struct channel *channel, const struct channel_settings *settings)
{
  uint8_t prologue[sizeof(prologue_text) - 1 + 1 + HASH_SIZE];
  struct noise_keypair static_keys;
  struct noise_keypair ephemeral_keys;

  memset(channel, 0, sizeof(*channel));
  channel->role = settings->role;
  channel->root_id = settings->root_id;
  channel->chain = settings->chain;
  memcpy(channel->node_secret_key, settings->node_secret_key, sizeof(channel->node_secret_key));
  memcpy(prologue, prologue_text, sizeof(prologue_text) - 1);
  prologue[sizeof(prologue_text) - 1] = CHANNEL_VERSION;
  memcpy(prologue + sizeof(prologue_text), settings->root_id.octets, HASH_SIZE);
  noise_keypair_of(settings->static_secret, &static_keys);
  noise_keypair_of(settings->ephemeral_secret, &ephemeral_keys);
  noise_handshake_init(&channel->handshake,
                       settings->role == CHANNEL_CHILD ? NOISE_INITIATOR : NOISE_RESPONDER,
                       bytes_view_of(prologue, sizeof(prologue)), &static_keys, &ephemeral_keys);
  sodium_memzero(&static_keys, sizeof(static_keys));
  sodium_memzero(&ephemeral_keys, sizeof(ephemeral_keys));
}

void channel_close(struct channel *channel)
{
  bytes_close(&channel->peer_payload);
  sodium_memzero(channel, sizeof(*channel));
  noise_handshake_close(&channel->handshake);
  channel->state = CHANNEL_FAILED;
}

bool channel_is_our_turn(const struct channel *channel)
{
  return channel->state == CHANNEL_HANDSHAKE && noise_handshake_is_our_turn(&channel->handshake);
}

bool channel_is_established(const struct channel *channel)
{
  return channel->state == CHANNEL_ESTABLISHED;
}

const struct certificate *channel_peer(const struct channel *channel, size_t *count)
{
  *count = channel->peer_count;
  return channel->peer_count > 0 ? channel->peer : NULL;
}

static void state_advance(struct channel *channel)
{
  if (channel->handshake.step == NOISE_DONE) {
    channel->state = CHANNEL_ESTABLISHED;
    sodium_memzero(channel->node_secret_key, sizeof(channel->node_secret_key));
  }
}

static enum status payload_write(const struct channel *channel, struct bytes *out)
{
  struct signed_octets signed_octets = signed_octets_of(channel->role, channel->handshake.hash);
  uint8_t signature[SIGNATURE_SIZE];
  struct writer writer;

  crypto_sign_detached(signature, NULL, signed_octets.octets, sizeof(signed_octets.octets),
                       channel->node_secret_key);
  writer_init(&writer, out);
  writer_array(&writer, 3);
  writer_uint(&writer, PAYLOAD_VERSION);
  writer_bin(&writer, channel->chain.data, channel->chain.size);
  writer_bin(&writer, signature, sizeof(signature));
  return writer_finish(&writer);
}

static void length_store(uint8_t *at, size_t size)
{
  for (unsigned i = 0; i < CHANNEL_LENGTH_SIZE; i++)
    at[i] = (uint8_t)(size >> (8 * i));
}

enum status channel_handshake_write(struct channel *channel, struct bytes *out)
{
  static const uint8_t no_length[CHANNEL_LENGTH_SIZE];
  struct bytes payload = {0};
  size_t start = out->size;
  bool first = channel->handshake.message == 0;
  enum status status;

  if (!channel_is_our_turn(channel))
    return STATUS_NOT_ALLOWED;
  status = bytes_append(out, no_length, sizeof(no_length));
  if (status == STATUS_OK)
    status = noise_handshake_write_keys(&channel->handshake, out);
  /* The first message goes out before our static key is mixed in: it proves nothing. */
  if (status == STATUS_OK && !first)
    status = payload_write(channel, &payload);
  if (status == STATUS_OK)
    status = noise_handshake_write_payload(&channel->handshake, bytes_as_view(&payload), out);
  if (status == STATUS_OK && out->size - start - CHANNEL_LENGTH_SIZE > CHANNEL_HANDSHAKE_MAX)
    status = STATUS_TOO_LARGE;
  if (status == STATUS_OK) {
    length_store(out->data + start, out->size - start - CHANNEL_LENGTH_SIZE);
    state_advance(channel);
  } else {
    out->size = start;
    channel_close(channel);
  }
  bytes_close(&payload);
  return status;
}

/* [version, chain bin, signature bytes[64]]; a later version may add fields at the end. */
static bool payload_read(struct bytes_view payload, struct bytes_view *chain,
                         const uint8_t **signature)
{
  struct reader reader = reader_of(payload);
  uint32_t count;
  uint64_t version;

  if (!reader_array(&reader, &count) || count < 3 || !reader_uint(&reader, &version))
    return false;
  if (version < PAYLOAD_VERSION || (version == PAYLOAD_VERSION && count != 3))
    return false;
  if (!reader_bin(&reader, chain) || !reader_bin_exact(&reader, SIGNATURE_SIZE, signature))
    return false;
  for (uint32_t i = 3; i < count; i++) {
    if (!reader_skip(&reader, false, NULL))
      return false;
  }
  return reader_at_end(&reader);
}

/* `hash` is the handshake hash before the payload was mixed in. */
static enum verdict peer_judge(struct channel *channel, const uint8_t hash[NOISE_HASH_SIZE])
{
  enum channel_role signer = channel->role == CHANNEL_CHILD ? CHANNEL_PARENT : CHANNEL_CHILD;
  struct signed_octets signed_octets = signed_octets_of(signer, hash);
  const uint8_t *signature;
  struct bytes_view chain;
  enum verdict verdict;
  size_t count = 0;

  if (!payload_read(bytes_as_view(&channel->peer_payload), &chain, &signature))
    return VERDICT_MALFORMED;
  verdict = certificate_read_chain(chain, &channel->root_id, channel->peer, &count);
  if (verdict != VERDICT_OK)
    return verdict;
  if (count == 0)
    return VERDICT_BAD_CHAIN;
  if (crypto_sign_verify_detached(signature, signed_octets.octets, sizeof(signed_octets.octets),
                                  channel->peer[count - 1].key.octets) != 0)
    return VERDICT_BAD_SIGNATURE;
  channel->peer_count = count;
  return VERDICT_OK;
}

static enum verdict verdict_of(enum status status)
{
  return status == STATUS_BAD_SIGNATURE ? VERDICT_BAD_SIGNATURE : VERDICT_MALFORMED;
}

enum status channel_handshake_read(struct channel *channel, struct bytes_view message,
                                   enum verdict *verdict)
{
  bool first = channel->handshake.message == 0;
  uint8_t hash[NOISE_HASH_SIZE];
  enum status status = STATUS_MALFORMED;

  if (channel->state != CHANNEL_HANDSHAKE || noise_handshake_is_our_turn(&channel->handshake))
    return STATUS_NOT_ALLOWED;
  if (message.size <= CHANNEL_HANDSHAKE_MAX)
    status = noise_handshake_read_keys(&channel->handshake, &message);
  memcpy(hash, channel->handshake.hash, sizeof(hash));
  if (status == STATUS_OK)
    status = noise_handshake_read_payload(&channel->handshake, message, &channel->peer_payload);
  if (status == STATUS_NO_MEMORY)
    goto out;
  if (status != STATUS_OK)
    *verdict = verdict_of(status);
  else if (first)
    *verdict = channel->peer_payload.size == 0 ? VERDICT_OK : VERDICT_MALFORMED;
  else
    *verdict = peer_judge(channel, hash);
  status = STATUS_OK;
out:
  if (status != STATUS_OK || *verdict != VERDICT_OK)
    channel_close(channel);
  else
    state_advance(channel);
  return status;
}

void channel_split(struct channel *channel, struct channel_sealer *sealer,
                   struct channel_opener *opener)
{
  CHECK(channel->state == CHANNEL_ESTABLISHED);
  memset(sealer, 0, sizeof(*sealer));
  memset(opener, 0, sizeof(*opener));
  noise_handshake_split(&channel->handshake, &sealer->cipher, &opener->cipher);
  channel->state = CHANNEL_SPLIT;
}

/* Both sides call this after each frame, so that they change keys at the same place. */
static void frame_count(struct noise_cipher *cipher, uint32_t *frames, size_t plaintext_size)
{
  (*frames)++;
  if (plaintext_size == 0 || *frames == CHANNEL_REKEY_FRAMES) {
    noise_cipher_rekey(cipher);
    *frames = 0;
  }
}

enum status channel_sealer_seal(struct channel_sealer *sealer, struct bytes_view plaintext,
                                struct bytes *out)
{
  size_t size = plaintext.size + NOISE_TAG_SIZE;
  enum status status;
  uint8_t *at;

  if (plaintext.size > CHANNEL_PLAINTEXT_MAX)
    return STATUS_TOO_LARGE;
  status = bytes_reserve(out, CHANNEL_LENGTH_SIZE + size);
  if (status != STATUS_OK)
    return status;
  at = out->data + out->size;
  status = noise_cipher_encrypt(&sealer->cipher, bytes_view_of(NULL, 0), plaintext,
                                at + CHANNEL_LENGTH_SIZE);
  if (status != STATUS_OK)
    return status;
  length_store(at, size);
  out->size += CHANNEL_LENGTH_SIZE + size;
  frame_count(&sealer->cipher, &sealer->frames, plaintext.size);
  return STATUS_OK;
}

enum status channel_sealer_rekey(struct channel_sealer *sealer, struct bytes *out)
{
  return channel_sealer_seal(sealer, bytes_view_of(NULL, 0), out);
}

void channel_sealer_close(struct channel_sealer *sealer)
{
  sodium_memzero(sealer, sizeof(*sealer));
}

enum status channel_opener_open(struct channel_opener *opener, uint8_t *ciphertext, size_t size,
                                struct bytes_view *plaintext)
{
  enum status status = size > CHANNEL_CIPHERTEXT_MAX ? STATUS_MALFORMED : STATUS_OK;

  if (status == STATUS_OK)
    status = noise_cipher_decrypt(&opener->cipher, bytes_view_of(NULL, 0),
                                  bytes_view_of(ciphertext, size), ciphertext);
  if (status != STATUS_OK) {
    channel_opener_close(opener);
    return status;
  }
  *plaintext = bytes_view_of(ciphertext, size - NOISE_TAG_SIZE);
  frame_count(&opener->cipher, &opener->frames, plaintext->size);
  return STATUS_OK;
}

void channel_opener_close(struct channel_opener *opener)
{
  sodium_memzero(opener, sizeof(*opener));
}
