/* A child that sends what must be refused: commits with a wrong signature, of somebody else's
 * subtree, behind a gap, or beside one that stands (a fork). They come as messages of its link, in
 * addition to what it honestly sends. */
#include <sodium.h>
#include <string.h>

#include "sim.h"
#include "storage/subjects.h"

enum forgery { FORGE_SIGNATURE, FORGE_GAP, FORGE_FORK, FORGE_FOREIGN, FORGE_COUNT };
static const char *const forgery_names[FORGE_COUNT] = {"a wrong signature", "a gap", "a fork",
                                                       "another's commit"};

/* A record that nobody wrote: if it is ever found anywhere, a check has failed. */
static void write_record(struct world *world, const struct sim_node *node, struct bytes *out)
{
  struct bytes value = {0};
  struct writer writer;
  writer_init(&writer, &value);
  writer_array(&writer, 1);
  writer_uint(&writer, UINT64_MAX);
  CHECK(writer_finish(&writer) == STATUS_OK);
  struct item_draft item = {.name = "", .value = bytes_as_view(&value), .see = SEE_ALL};
  uint64_t hlc = (uint64_t)(SIM_START_MS + world->now_us / 1000) << 16 | 77;
  struct record_draft draft = {.kind = "sim.report",
                               .subject = subject_found(node->identity.key.octets, hlc),
                               .gen = 1,
                               .hlc = hlc,
                               .up = TIER_DISTRICT,
                               .author = "forger",
                               .item_count = 1,
                               .items = &item};
  CHECK(record_write(&draft, out) == STATUS_OK);
  bytes_close(&value);
}

static void write_commit(struct world *world, const struct sim_node *node, uint64_t seq,
                         const struct hash *prev, struct bytes *out)
{
  static struct commit_builder builder;
  struct bytes record = {0};
  struct commit_header header = {.origin = node->identity.key,
                                 .store = store_identity(node->core->store)->store,
                                 .lane = LANE_NORMAL,
                                 .seq = seq,
                                 .prev = *prev,
                                 .hlc = (uint64_t)SIM_START_MS << 16,
                                 .certificate = node->identity.certificate};
  write_record(world, node, &record);
  commit_builder_reset(&builder);
  CHECK(commit_builder_add(&builder, bytes_as_view(&record)) == STATUS_OK);
  CHECK(commit_builder_finish(&builder, &header, node->identity.secret_key, out, NULL) ==
        STATUS_OK);
  commit_builder_close(&builder);
  memset(&builder, 0, sizeof(builder));
  bytes_close(&record);
}

/* The signature stands behind the header: one bit of it is turned. */
static void spoil_signature(struct bytes *octets)
{
  struct reader reader = reader_of(bytes_as_view(octets));
  struct bytes_view header;
  const uint8_t *signature;
  uint32_t count;
  CHECK(reader_array(&reader, &count) && reader_bin(&reader, &header) &&
        reader_bin_exact(&reader, SIGNATURE_SIZE, &signature));
  octets->data[signature - octets->data] ^= 1;
}

/* What comes next in the log of a node below the same parent, with that node's own signature: only
 * where it comes from is wrong. */
static bool write_foreign(struct world *world, const struct sim_node *child,
                          const struct sim_node *parent, struct bytes *out)
{
  uint32_t first = (uint32_t)random_below(&world->random, world->node_count);
  for (uint32_t i = 0; i < world->node_count; i++) {
    const struct sim_node *other = &world->nodes[(first + i) % world->node_count];
    struct log_head head = {0};
    if (other == parent || other->core == NULL || !other->joined ||
        !address_within(&other->address, &parent->address) ||
        address_within(&other->address, &child->address)) {
      continue;
    }
    struct log_id id = {other->identity.key, store_identity(other->core->store)->store,
                        LANE_NORMAL};
    (void)store_log_find(parent->core->store, &id, &head);
    write_commit(world, other, head.seq + 1, &head.commit_id, out);
    return true;
  }
  return false;
}

/* A commit that the parent holds of an origin outside the child's subtree. */
static bool find_foreign(const struct sim_node *child, const struct sim_node *parent,
                         struct bytes *out)
{
  struct log_head head;
  struct bytes_view octets = {0};
  struct arena arena = {0};
  struct store_txn *txn;
  bool found = false;
  CHECK(store_read_begin(parent->core->store, &txn) == STATUS_OK);
  for (uint32_t log = 1; log <= store_log_count(parent->core->store) && !found; log++) {
    if (store_log_at(parent->core->store, log, &head) && head.seq > 0 &&
        !address_within(&head.address, &child->address)) {
      found = store_commit_load(txn, log, head.seq, &arena, &octets) == STATUS_OK &&
              bytes_append(out, octets.data, octets.size) == STATUS_OK;
    }
  }
  store_read_end(txn);
  arena_close(&arena);
  return found;
}

static bool make(struct world *world, const struct sim_node *child, const struct sim_node *parent,
                 enum forgery forgery, struct bytes *out)
{
  struct log_id id = {child->identity.key, store_identity(child->core->store)->store, LANE_NORMAL};
  struct log_head head = {0};
  bool known = store_log_find(parent->core->store, &id, &head);
  switch (forgery) {
  case FORGE_SIGNATURE:
    write_commit(world, child, head.seq + 1, &head.commit_id, out);
    spoil_signature(out);
    return true;
  case FORGE_GAP:
    write_commit(world, child, head.seq + 4000000, &head.commit_id, out);
    return true;
  case FORGE_FORK:
    if (known && head.seq > 0) {
      write_commit(world, child, head.seq, &head.commit_id, out);
    }
    return known && head.seq > 0;
  default:
    return write_foreign(world, child, parent, out) || find_foreign(child, parent, out);
  }
}

static void send_to(struct sim_node *parent, uint16_t neighbour, struct bytes_view octets)
{
  struct message *message;
  CHECK(message_of_commit(octets, &message) == STATUS_OK);
  struct repl_event event = {.type = REPL_MESSAGE, .neighbour = neighbour, .message = message};
  core_step(parent->core, &event);
  message_release(message);
  core_wake(parent->core);
}

void forge_one(struct world *world)
{
  uint32_t at = 1 + (uint32_t)random_below(&world->random, world->node_count - 1);
  struct sim_node *child = &world->nodes[at];
  struct sim_node *parent = &world->nodes[child->parent];
  enum forgery forgery = (enum forgery)random_below(&world->random, FORGE_COUNT);
  struct repl_link_figures figures;
  struct bytes octets = {0};
  if (child->core == NULL || parent->core == NULL) {
    return;
  }
  const struct neighbour *row = store_neighbour_find(parent->core->store, &child->address);
  if (row == NULL || !repl_link_figures(parent->core->node, row->number, &figures) || !figures.up ||
      !make(world, child, parent, forgery, &octets)) {
    return;
  }
  world->hostile = true;
  fault_count(world, FAULT_FORGE);
  world_trace(world, "%s sends its parent %s", child->address.text, forgery_names[forgery]);
  world->current = parent->index;
  send_to(parent, row->number, bytes_as_view(&octets));
  bytes_close(&octets);
}
