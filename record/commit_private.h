/*
 * What the files of the commit share: strings that are signed, the encoding of a header, and how
 * hashes lie in a commit.
 */
#ifndef RECORD_COMMIT_PRIVATE_H
#define RECORD_COMMIT_PRIVATE_H

#include "record/codec.h"
#include "record/commit.h"

/* A hash in `hashes` is a bin of 32: two octets of head. */
#define COMMIT_HASH_STRIDE (2 + HASH_SIZE)
/* What a commit takes beside its records: header, signature, arrays; no hashes. */
#define COMMIT_OVERHEAD_MAX 256
/* Longest string that is signed: prefix, zero octet, content. */
#define SIGNED_MAX (32 + COMMIT_HEADER_MAX)

/* `prefix` ‖ 0x00 ‖ content, as DESIGN section 3 has every signed string. CHECKs the size. */
struct signed_text {
  uint8_t octets[SIGNED_MAX];
  size_t size;
};
void signed_text_init(struct signed_text *text, const char *prefix);
void signed_text_add(struct signed_text *text, const void *data, size_t size);
/* Ed25519; `signature` holds SIGNATURE_SIZE. */
void signed_text_sign(const struct signed_text *text, const uint8_t secret_key[64],
                      uint8_t *signature);
bool signed_text_verify(const struct signed_text *text, const uint8_t *signature,
                        const struct node_key *key);

bool commit_header_read(struct bytes_view octets, struct commit_header *out);
void commit_header_write(struct writer *writer, const struct commit_header *header);
/* Ed25519 of the origin over the header's octets. */
bool commit_signature_valid(struct bytes_view header_octets, struct bytes_view signature,
                            const struct node_key *origin);
#define COMMIT_SIGNED_PREFIX "noded-commit-v1"

#endif
