#include "noded/certificate_writer.h"

#include <string.h>

#include "record/bundle.h"

static bool known_add(struct certificate_writer *writer, const struct certificate *certificate)
{
  if (writer->count == writer->capacity) {
    size_t capacity = writer->capacity == 0 ? 64 : writer->capacity * 2;
    struct known_link *grown = arena_alloc(writer->arena, capacity * sizeof(*grown));
    if (grown == NULL) {
      writer->failed = true;
      return false;
    }
    if (writer->count > 0) {
      memcpy(grown, writer->known, writer->count * sizeof(*grown));
    }
    writer->known = grown;
    writer->capacity = capacity;
  }
  const uint8_t *octets =
      arena_copy(writer->arena, certificate->octets.data, certificate->octets.size);
  if (octets == NULL) {
    writer->failed = true;
    return false;
  }
  writer->known[writer->count++] = (struct known_link){
      .id = certificate->id,
      .key = certificate->key,
      .issuer = certificate->issuer,
      .address = certificate->address,
      .octets = bytes_view_of(octets, certificate->octets.size),
  };
  return true;
}

static bool on_certificate(void *context, const struct certificate *certificate)
{
  struct certificate_writer *writer = context;
  if (writer->passed++ < writer->stored) {
    return true;
  }
  writer->stored++;
  return known_add(writer, certificate);
}

enum status certificate_writer_load(struct certificate_writer *writer, const struct store_txn *txn,
                                    const struct core_identity *identity)
{
  struct certificate chain[CERTIFICATE_CHAIN_MAX];
  size_t count = 0;
  if (certificate_read_chain(bytes_as_view(&identity->chain), &identity->root, chain, &count) !=
      VERDICT_OK) {
    return STATUS_CORRUPT;
  }
  for (size_t i = 0; i < count && writer->stored == 0; i++) {
    (void)known_add(writer, &chain[i]);
  }
  writer->passed = 0;
  enum status status = store_certificate_each(txn, on_certificate, writer);
  return status == STATUS_OK && writer->failed ? STATUS_NO_MEMORY : status;
}

static struct known_link *known_find(const struct certificate_writer *writer, const struct hash *id)
{
  for (size_t i = 0; i < writer->count; i++) {
    if (hash_equal(&writer->known[i].id, id)) {
      return &writer->known[i];
    }
  }
  return NULL;
}

/* The certificate of whoever signed this one: the issuer's key, standing directly above. */
static struct known_link *issuer_find(const struct certificate_writer *writer,
                                      const struct known_link *of)
{
  for (size_t i = 0; i < writer->count; i++) {
    struct known_link *one = &writer->known[i];
    if (memcmp(one->key.octets, of->issuer.octets, KEY_SIZE) == 0 &&
        address_is_child(&of->address, &one->address)) {
      return one;
    }
  }
  return NULL;
}

bool certificate_writer_knows(const struct certificate_writer *writer, const struct hash *id)
{
  return hash_equal(&writer->last, id) || known_find(writer, id) != NULL;
}

enum status certificate_writer_put(struct certificate_writer *writer, const struct hash *id,
                                   struct bytes *out)
{
  struct known_link *chain[CERTIFICATE_CHAIN_MAX];
  size_t count = 0;
  enum status status = STATUS_OK;
  if (hash_equal(&writer->last, id)) {
    return STATUS_OK;
  }
  struct known_link *one = known_find(writer, id);
  bool known = one != NULL;
  while (one != NULL && !one->written && count < CERTIFICATE_CHAIN_MAX) {
    chain[count++] = one;
    one = one->address.size == 0 ? NULL : issuer_find(writer, one);
  }
  while (status == STATUS_OK && count > 0) {
    count--;
    chain[count]->written = true;
    status = bundle_write(BUNDLE_CERTIFICATE, chain[count]->octets, out);
  }
  if (known) {
    writer->last = *id;
  }
  return status;
}
