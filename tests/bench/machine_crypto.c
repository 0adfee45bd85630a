#include <sodium.h>

#include "bench.h"
#include "machine.h"

#define RECORD_SIZE 250
#define HEADER_SIZE 220 /* about what a commit's signature covers */
#define FRAME_SIZE 65000

struct signing {
  uint8_t public_key[crypto_sign_PUBLICKEYBYTES];
  uint8_t secret_key[crypto_sign_SECRETKEYBYTES];
  uint8_t signature[crypto_sign_BYTES];
  uint8_t header[HEADER_SIZE];
};

static void sign_step(void *context)
{
  struct signing *work = context;
  crypto_sign_detached(work->signature, NULL, work->header, sizeof(work->header), work->secret_key);
}

static void verify_step(void *context)
{
  struct signing *work = context;
  if (crypto_sign_verify_detached(work->signature, work->header, sizeof(work->header),
                                  work->public_key) != 0) {
    bench_fail("a signature does not verify", NULL);
  }
}

/* The hash goes back into the record, so that no step can be left out. */
static void hash_step(void *context)
{
  uint8_t *record = context;
  uint8_t hash[32];
  crypto_generichash(hash, sizeof(hash), record, RECORD_SIZE, NULL, 0);
  record[0] = hash[0];
}

struct sealing {
  uint8_t key[crypto_aead_chacha20poly1305_ietf_KEYBYTES];
  uint8_t nonce[crypto_aead_chacha20poly1305_ietf_NPUBBYTES];
  uint8_t frame[FRAME_SIZE + crypto_aead_chacha20poly1305_ietf_ABYTES];
};

static void seal_step(void *context)
{
  struct sealing *work = context;
  crypto_aead_chacha20poly1305_ietf_encrypt(work->frame, NULL, work->frame, FRAME_SIZE, NULL, 0,
                                            NULL, work->nonce, work->key);
}

void machine_measure_crypto(const struct machine_options *options, struct machine_figures *figures)
{
  static struct signing signing;
  static struct sealing sealing;
  static uint8_t record[RECORD_SIZE];
  uint64_t step_ns = options->step_ns;
  crypto_sign_keypair(signing.public_key, signing.secret_key);
  machine_figure_add(figures, "sign_per_s", "Ed25519 signatures/s",
                     machine_rate(step_ns, sign_step, &signing));
  machine_figure_add(figures, "verify_per_s", "Ed25519 verifications/s",
                     machine_rate(step_ns, verify_step, &signing));
  machine_figure_add(figures, "hash_per_s", "BLAKE2b-256 of 250 octets/s",
                     machine_rate(step_ns, hash_step, record));
  machine_figure_add(figures, "chacha20poly1305_mb_s", "ChaCha20-Poly1305, MB/s",
                     machine_rate(step_ns, seal_step, &sealing) * FRAME_SIZE / 1e6);
}
