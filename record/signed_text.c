#include <sodium.h>
#include <string.h>

#include "commit_private.h"
#include "record/check.h"

void signed_text_init(struct signed_text *text, const char *prefix)
{
  text->size = 0;
  signed_text_add(text, prefix, strlen(prefix) + 1);
}

void signed_text_add(struct signed_text *text, const void *data, size_t size)
{
  CHECK(size <= sizeof(text->octets) - text->size);
  memcpy(text->octets + text->size, data, size);
  text->size += size;
}

void signed_text_sign(const struct signed_text *text, const uint8_t secret_key[64],
                      uint8_t *signature)
{
  (void)crypto_sign_detached(signature, NULL, text->octets, text->size, secret_key);
}

bool signed_text_verify(const struct signed_text *text, const uint8_t *signature,
                        const struct node_key *key)
{
  return crypto_sign_verify_detached(signature, text->octets, text->size, key->octets) == 0;
}
