/*
 * Certifying a child: the certificate is signed, made known here, and written as a record
 * `node.certify` so that every tier above knows who stands where (DESIGN section 4).
 */
#include <stdio.h>
#include <string.h>

#include "noded/core_internal.h"
#include "record/codec.h"

#define DAY_S 86400

static void appended(struct core *core, struct core_append *append, enum status status)
{
  struct core_certify *certify =
      (struct core_certify *)((char *)append - offsetof(struct core_certify, append));
  snprintf(certify->reason, sizeof(certify->reason), "%s", append->reason);
  bytes_close(&certify->body);
  certify->done(core, certify, status);
}

/* The highest epoch that an earlier key at the address had, plus one; the same key keeps its. */
static uint64_t epoch_for(const struct core *core, const struct core_certify *certify)
{
  uint64_t epoch = 0;
  const struct certificate *held;
  for (size_t i = 0; (held = repl_node_certificate_at(core->node, i)) != NULL; i++) {
    if (!address_equal(&held->address, &certify->address)) {
      continue;
    }
    bool same = memcmp(held->key.octets, certify->key.octets, KEY_SIZE) == 0;
    uint64_t next = same ? held->epoch : held->epoch + 1;
    epoch = next > epoch ? next : epoch;
  }
  return epoch;
}

/* Our own chain with one more certificate at its end. */
static enum status write_chain(const struct core *core, struct bytes_view certificate,
                               struct bytes *out)
{
  struct reader reader = reader_of(bytes_as_view(&core->identity->chain));
  struct writer writer;
  uint32_t count;
  CHECK(reader_array(&reader, &count)); /* our own, read at start */
  writer_init(&writer, out);
  writer_array(&writer, count + 1);
  writer_raw(&writer, bytes_view_of(reader.at, (size_t)(reader.end - reader.at)));
  writer_raw(&writer, certificate);
  return writer_finish(&writer);
}

/* Makes the certificate known to the node and queues it for the store. */
static void take_certificate(struct core *core, struct bytes_view octets)
{
  struct message *message;
  if (message_of_certificate(octets, &message) != STATUS_OK) {
    core->broken = true;
    return;
  }
  struct repl_event event = {.type = REPL_MESSAGE, .message = message};
  core_step(core, &event);
  message_release(message);
}

static void append_record(struct core *core, struct core_certify *certify,
                          struct bytes_view certificate)
{
  struct writer writer;
  writer_init(&writer, &certify->body);
  writer_map(&writer, 1);
  writer_text(&writer, "certificate");
  writer_bin(&writer, certificate.data, certificate.size);
  certify->item = (struct item_draft){.name = "", .see = SEE_ALL};
  certify->item.value = bytes_as_view(&certify->body);
  certify->target = certify->address.text;
  certify->draft = (struct core_draft){
      .kind = "node.certify",
      .found = true,
      .lane = LANE_URGENT,
      .up = TIER_DISTRICT,
      .down_count = 1,
      .down = &certify->target,
      .author = "admin",
      .item_count = 1,
      .items = &certify->item,
  };
  certify->append = (struct core_append){
      .drafts = &certify->draft, .count = 1, .appended = &certify->appended, .done = appended};
  if (writer_finish(&writer) != STATUS_OK) {
    core->broken = true;
  }
  core_append(core, &certify->append);
}

void core_certify(struct core *core, struct core_certify *certify)
{
  struct bytes certificate = {0};
  uint64_t now_s = (uint64_t)core_now().wall.ms / 1000;
  struct certificate_draft draft = {
      .key = certify->key,
      .address = certify->address,
      .epoch = epoch_for(core, certify),
      .not_before = now_s > 300 ? now_s - 300 : 0, /* the child's clock may be a little behind */
      .not_after = now_s + certify->days * DAY_S,
  };
  certify->reason[0] = '\0';
  if (!address_is_child(&certify->address, &core->identity->address)) {
    snprintf(certify->reason, sizeof(certify->reason), "%.90s is not directly below %.60s",
             certify->address.text, core->identity->address.text);
    certify->done(core, certify, STATUS_INVALID_ARGUMENT);
    return;
  }
  enum status status = certificate_write(&draft, core->identity->secret_key, &certificate);
  if (status == STATUS_OK) {
    status = write_chain(core, bytes_as_view(&certificate), &certify->chain);
  }
  if (status == STATUS_OK) {
    take_certificate(core, bytes_as_view(&certificate));
    txn_add_child(core, 0, &certify->address);
    append_record(core, certify, bytes_as_view(&certificate));
  } else {
    certify->done(core, certify, status);
  }
  bytes_close(&certificate);
}
