/* Children that come late, and devices that are lost and replaced: the parent certifies them by
 * the daemon's own core_certify. */
#include <ftw.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"

#define JOIN_DAYS 3650
#define CLOCK_WRONG_MS (60 * 1000)

struct joining {
  struct core_certify certify; /* first: it leads back */
  struct world *world;
  uint32_t child;
};

static void take_chain(struct joining *joining)
{
  struct world *world = joining->world;
  struct sim_node *child = &world->nodes[joining->child];
  struct certificate chain[CERTIFICATE_CHAIN_MAX];
  size_t count;
  bytes_close(&child->identity.chain);
  child->identity.chain = joining->certify.chain;
  joining->certify.chain = (struct bytes){0};
  CHECK(certificate_read_chain(bytes_as_view(&child->identity.chain), &world->root, chain,
                               &count) == VERDICT_OK);
  child->identity.certificate = chain[count - 1].id;
  child->joined = true;
  world_after(world, world->now_us + SIM_SECOND, NULL, child->index, 0);
}

static void take_record(struct joining *joining, uint32_t parent)
{
  struct world *world = joining->world;
  struct model_record *record = model_add(world);
  const struct core_appended *appended = &joining->certify.appended;
  record->writer = parent;
  record->founds = true;
  record->subject = model_subject_add(world, &appended->subject, parent);
  record->lane = LANE_URGENT;
  record->up = TIER_DISTRICT;
  record->down_count = 1;
  record->down[0] = (struct model_target){joining->child, false};
  record->item_count = 1;
  record->see[0] = SEE_ALL;
  record->state = WRITE_ACKED;
  record->store = store_identity(world->nodes[parent].core->store)->store;
  record->seq = appended->seq;
  record->hlc = appended->hlc;
  record->gen = appended->gen;
  record->at_us = world->now_us;
}

static void certified(struct core *core, struct core_certify *certify, enum status status)
{
  struct joining *joining = (struct joining *)certify;
  struct world *world = joining->world;
  struct sim_node *child = &world->nodes[joining->child];
  (void)core;
  world_trace(world, "certifies %s: %s", child->address.text, status_text(status));
  child->joining = false;
  if (status == STATUS_OK) {
    take_chain(joining);
    take_record(joining, child->parent);
  }
  bytes_close(&certify->chain);
  free(joining);
}

/* The clock that signs must be near the others': a certificate that begins in a year is of no use
 * before. */
static bool may_certify(const struct world *world, uint32_t parent)
{
  const struct sim_node *node = &world->nodes[parent];
  return node->core != NULL && node->wall_offset_ms < CLOCK_WRONG_MS &&
         node->wall_offset_ms > -CLOCK_WRONG_MS;
}

static void ask_parent(struct world *world, struct sim_node *child)
{
  struct joining *joining = calloc(1, sizeof(*joining));
  CHECK(joining != NULL);
  node_key_new(child);
  child->joining = true;
  child->epoch++;
  joining->world = world;
  joining->child = child->index;
  joining->certify = (struct core_certify){
      .key = child->identity.key, .address = child->address, .days = JOIN_DAYS, .done = certified};
  world->current = child->parent;
  core_certify(world->nodes[child->parent].core, &joining->certify);
  core_wake(world->nodes[child->parent].core);
}

void join_one(struct world *world)
{
  for (uint32_t i = 1; i < world->node_count; i++) {
    struct sim_node *node = &world->nodes[i];
    if (!node->joined && !node->joining && world->nodes[node->parent].joined &&
        may_certify(world, node->parent)) {
      fault_count(world, FAULT_JOIN);
      ask_parent(world, node);
      return;
    }
  }
}

static int remove_one(const char *path, const struct stat *about, int type, struct FTW *walk)
{
  (void)about;
  (void)type;
  (void)walk;
  return remove(path);
}

/* What only the lost device held is lost with it; what its parent shows must come through. */
static void forgive(struct world *world, const struct sim_node *node)
{
  for (size_t i = 0; i < world->model.count; i++) {
    struct model_record *record = &world->model.records[i];
    if (record->writer == node->index && record->state != WRITE_REFUSED) {
      record->by_lost = true;
      record->was = record->state;
      record->state = WRITE_LOST;
    }
  }
  check_kept(world, node->parent);
}

/* One loss on a path at a time: what its parent holds must not be lost with that. */
static bool is_alone(const struct world *world, uint32_t node)
{
  for (uint32_t i = 0; i < world->node_count; i++) {
    const struct sim_node *other = &world->nodes[i];
    if (other->lost && (address_within(&other->address, &world->nodes[node].address) ||
                        address_within(&world->nodes[node].address, &other->address))) {
      return false;
    }
  }
  return true;
}

/* An issuer keeps what it certifies; a first device's certificate was made before the world was, so
 * the parent knows it from the first handshake on. */
static bool parent_knows(const struct world *world, const struct sim_node *node)
{
  const struct repl_node *parent = world->nodes[node->parent].core->node;
  return repl_node_certificate_of_key(parent, &node->identity.key) != NULL;
}

void join_replace(struct world *world)
{
  uint32_t at = 1 + (uint32_t)random_below(&world->random, world->node_count - 1);
  struct sim_node *node = &world->nodes[at];
  if (!node->joined || node->joining || !is_alone(world, at) || !may_certify(world, node->parent) ||
      !parent_knows(world, node)) {
    return;
  }
  world_trace(world, "device of %s is lost", node->address.text);
  fault_count(world, FAULT_REPLACE);
  node_crash(world, at, true);
  forgive(world, node);
  nftw(node->path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
  node->lost = true;
  node->joined = false;
  memset(node->acked_seq, 0, sizeof(node->acked_seq));
  memset(&node->acked_store, 0, sizeof(node->acked_store));
  ask_parent(world, node);
}

static void join_again(struct world *world, uint32_t who, uint64_t what)
{
  bool missing = false;
  (void)who;
  (void)what;
  for (uint32_t i = 0; i < world->node_count; i++) {
    missing = missing || !world->nodes[i].joined;
  }
  join_one(world);
  if (missing) {
    world_after(world, world->now_us + SIM_SECOND / 5, join_again, 0, 0);
  }
}

void join_rest(struct world *world)
{
  join_again(world, 0, 0);
}
