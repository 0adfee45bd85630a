#include "admin/request.h"

#include <sodium.h>
#include <string.h>

#include "record/codec.h"

#define REQUEST_NAME "noded-request"
#define REQUEST_VERSION 1
#define REQUEST_FIELDS 5
/* The terminator is the 0x00 of the signed context. */
static const char request_context[] = "noded-request-v1";

/* What is signed: context ‖ 0x00 ‖ key ‖ address. Returns its size. */
static size_t request_signed(const struct node_key *key, const struct address *address,
                             uint8_t out[sizeof request_context + KEY_SIZE + ADDRESS_TEXT_MAX])
{
  size_t size = sizeof request_context;
  memcpy(out, request_context, size);
  memcpy(out + size, key->octets, KEY_SIZE);
  size += KEY_SIZE;
  memcpy(out + size, address->text, address->size);
  return size + address->size;
}

enum status request_write(const struct node_key *key, const uint8_t secret_key[64],
                          const struct address *address, struct bytes *out)
{
  uint8_t signed_octets[sizeof request_context + KEY_SIZE + ADDRESS_TEXT_MAX];
  uint8_t signature[SIGNATURE_SIZE];
  if (address->size == 0 || memcmp(secret_key + 32, key->octets, KEY_SIZE) != 0)
    return STATUS_INVALID_ARGUMENT;
  size_t size = request_signed(key, address, signed_octets);
  crypto_sign_detached(signature, NULL, signed_octets, size, secret_key);

  struct writer writer;
  writer_init(&writer, out);
  writer_array(&writer, REQUEST_FIELDS);
  writer_text(&writer, REQUEST_NAME);
  writer_uint(&writer, REQUEST_VERSION);
  writer_bin(&writer, key->octets, KEY_SIZE);
  writer_str(&writer, bytes_view_of(address->text, address->size));
  writer_bin(&writer, signature, sizeof signature);
  return writer_finish(&writer);
}

enum status request_read(struct bytes_view octets, struct request *out)
{
  uint8_t signed_octets[sizeof request_context + KEY_SIZE + ADDRESS_TEXT_MAX];
  struct reader reader = reader_of(octets);
  struct bytes_view name, text;
  const uint8_t *key, *signature;
  uint32_t count;
  uint64_t version;

  if (!reader_array(&reader, &count) || count < 2 || !reader_str(&reader, &name) ||
      !bytes_view_equal(name, bytes_view_text(REQUEST_NAME)) || !reader_uint(&reader, &version))
    return STATUS_MALFORMED;
  if (version != REQUEST_VERSION)
    return STATUS_WRONG_VERSION;
  if (count != REQUEST_FIELDS || !reader_bin_exact(&reader, KEY_SIZE, &key) ||
      !reader_str(&reader, &text) || !reader_bin_exact(&reader, SIGNATURE_SIZE, &signature) ||
      !reader_at_end(&reader))
    return STATUS_MALFORMED;
  memcpy(out->key.octets, key, KEY_SIZE);
  if (address_parse(text, false, &out->address) != STATUS_OK)
    return STATUS_MALFORMED;
  size_t size = request_signed(&out->key, &out->address, signed_octets);
  if (crypto_sign_verify_detached(signature, signed_octets, size, key) != 0)
    return STATUS_BAD_SIGNATURE;
  return STATUS_OK;
}
