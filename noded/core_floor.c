/*
 * Floors told by a neighbour (DESIGN section 5): of a log that it sends again, the first commits
 * were let go there. From a child we may go on after it when somebody above us vouches for the
 * last of them; from the parent it only says that no more is to come by this way.
 */
#include <string.h>

#include "noded/core_internal.h"
#include "noded/log.h"
#include "record/receipt.h"

/* The key that holds for an address: the highest epoch's, then the latest. NULL: none known. */
static const struct certificate *holder_of(const struct core *core, const struct address *address)
{
  const struct certificate *certificate;
  const struct certificate *best = NULL;
  for (size_t i = 0; (certificate = repl_node_certificate_at(core->node, i)) != NULL; i++) {
    if (address_equal(&certificate->address, address) &&
        (best == NULL || certificate->epoch > best->epoch ||
         (certificate->epoch == best->epoch && certificate->not_before >= best->not_before))) {
      best = certificate;
    }
  }
  return best;
}

size_t floor_find_above(const struct core *core, struct core_above above[CORE_ABOVE_MAX])
{
  struct address at = core->identity->address;
  size_t count = 0;
  while (count < CORE_ABOVE_MAX && address_parent(&at, &at) && at.size > 0) {
    const struct certificate *holder = holder_of(core, &at);
    if (holder != NULL) {
      above[count++] = (struct core_above){at, holder->key};
    }
  }
  return count;
}

/* Somebody above us, or we ourselves before our store was lost, held it. */
static bool is_vouched_for(const struct core *core, const struct message_floor *floor)
{
  struct core_above above[CORE_ABOVE_MAX + 1];
  struct cosignature cosignature;
  size_t count = floor_find_above(core, above);
  above[count++].key = core->identity->key;
  for (unsigned i = 0; i < floor->proof_count; i++) {
    if (cosignature_read(floor->proofs[i], &cosignature) != STATUS_OK ||
        cosignature_check(&cosignature, &floor->commit.id) != VERDICT_OK) {
      continue;
    }
    for (size_t j = 0; j < count; j++) {
      if (memcmp(above[j].key.octets, cosignature.cosigner.octets, KEY_SIZE) == 0) {
        return true;
      }
    }
  }
  return false;
}

static void tell(const struct core *core, const struct repl_effect *effect, const char *event,
                 const struct certificate *origin)
{
  const struct neighbour *neighbour = store_neighbour(core->store, effect->neighbour);
  struct log_field fields[] = {
      log_text("neighbour", neighbour == NULL ? "" : neighbour->address.text),
      log_text("origin", origin == NULL ? "" : origin->address.text),
      log_uint("lane", effect->message->floor.commit.header.lane),
      log_uint("seq", effect->message->floor.commit.header.seq),
  };
  log_write(LOG_WARN, event, fields, 4);
}

enum status floor_apply(struct core *core, struct store_txn *txn, const struct repl_effect *effect)
{
  const struct message_floor *floor = &effect->message->floor;
  const struct commit_header *header = &floor->commit.header;
  const struct neighbour *from = store_neighbour(core->store, effect->neighbour);
  const struct certificate *origin = repl_node_certificate(core->node, &header->certificate);
  struct log_id id = {header->origin, header->store, header->lane};
  struct log_head head;
  if (store_log_find(core->store, &id, &head) && head.seq >= header->seq) {
    return STATUS_OK; /* it is held here, or was */
  }
  if (effect->neighbour == NEIGHBOUR_PARENT) {
    tell(core, effect, "log_begins_late", origin);
    return STATUS_OK;
  }
  if (origin == NULL || from == NULL || !address_within(&origin->address, &from->address) ||
      memcmp(origin->key.octets, header->origin.octets, KEY_SIZE) != 0 ||
      !is_vouched_for(core, floor)) {
    tell(core, effect, "floor_refused", origin);
    return STATUS_OK;
  }
  enum status status = store_floor_adopt(txn, &floor->commit, floor->proofs, floor->proof_count);
  if (status == STATUS_OK) {
    tell(core, effect, "log_begins_late", origin);
  }
  return status == STATUS_EXISTS || status == STATUS_INVALID_ARGUMENT ? STATUS_OK : status;
}
