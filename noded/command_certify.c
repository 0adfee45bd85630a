/* `certify`: a child's request file (docs/ADMIN.md), checked and handed to the core. */
#include <inttypes.h>
#include <sodium.h>
#include <string.h>

#include "noded/command_fields.h"
#include "noded/command_handlers.h"
#include "noded/command_write.h"

#define REQUEST_MAX 1024
#define DAYS_DEFAULT 365
#define DAYS_MAX 36500
#define REQUEST_CONTEXT "noded-request-v1" /* with its terminator: that is the 0x00 */

struct certify_state {
  struct core_certify certify; /* first, so that it leads back */
  struct command_call *call;
  struct bytes_view request;
  uint64_t days;
};

/* Array ["noded-request", 1, key, address, signature by that key]. */
static bool request_read(struct command_call *call, struct certify_state *state)
{
  struct reader reader = reader_of(state->request);
  struct core_certify *certify = &state->certify;
  uint32_t count = 0;
  uint64_t version = 0;
  struct bytes_view name;
  struct bytes_view address;
  const uint8_t *key = NULL;
  const uint8_t *signature = NULL;
  if (!reader_array(&reader, &count) || count != 5 || !reader_str(&reader, &name) ||
      !bytes_view_equal(name, bytes_view_text("noded-request")) ||
      !reader_uint(&reader, &version) || version != 1 ||
      !reader_bin_exact(&reader, KEY_SIZE, &key) || !reader_str(&reader, &address) ||
      !reader_bin_exact(&reader, SIGNATURE_SIZE, &signature) || !reader_at_end(&reader)) {
    return command_refuse(call, STATUS_MALFORMED,
                          "this is no request file of 'nodectl init --child'");
  }
  if (address_parse(address, false, &certify->address) != STATUS_OK) {
    return command_refuse(call, STATUS_MALFORMED, "the request's address is none");
  }
  uint8_t text[sizeof(REQUEST_CONTEXT) + KEY_SIZE + ADDRESS_TEXT_MAX];
  size_t size = sizeof(REQUEST_CONTEXT);
  memcpy(text, REQUEST_CONTEXT, size);
  memcpy(text + size, key, KEY_SIZE);
  memcpy(text + size + KEY_SIZE, address.data, address.size);
  if (crypto_sign_verify_detached(signature, text, size + KEY_SIZE + address.size, key) != 0) {
    return command_refuse(call, STATUS_BAD_SIGNATURE,
                          "the request's signature does not verify: it was changed on its way");
  }
  memcpy(certify->key.octets, key, KEY_SIZE);
  return true;
}

bool command_certify_args(struct command_call *call, struct reader *args)
{
  struct certify_state *state = command_alloc(call, sizeof(*state));
  if (state == NULL) {
    return false;
  }
  state->call = call;
  state->certify.days = DAYS_DEFAULT;
  call->state = state;
  const struct field fields[] = {
      {.name = "request",
       .type = FIELD_OCTETS,
       .out = &state->request,
       .min = 1,
       .max = REQUEST_MAX,
       .required = true},
      {.name = "days", .type = FIELD_UINT, .out = &state->certify.days, .min = 1, .max = DAYS_MAX},
  };
  return fields_read(call, args, fields, 2) && request_read(call, state);
}

static void on_certified(struct core *core, struct core_certify *certify, enum status status)
{
  (void)core;
  struct command_call *call = ((struct certify_state *)certify)->call;
  struct writer writer;
  if (status != STATUS_OK) {
    command_refuse(call, status, "%s",
                   certify->reason[0] != 0 ? certify->reason : status_text(status));
  }
  writer_init(&writer, &call->result);
  writer_map(&writer, 3);
  write_bin(&writer, "chain", bytes_as_view(&certify->chain));
  write_text(&writer, "address", certify->address.text);
  write_hex(&writer, "key", certify->key.octets, KEY_SIZE);
  bytes_close(&certify->chain);
  command_finish_writer(call, &writer);
}

void command_certify_run(struct command_call *call)
{
  struct certify_state *state = call->state;
  state->certify.done = on_certified;
  core_certify(call->context->core, &state->certify);
}
