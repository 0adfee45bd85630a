/* Work as people do it: reports, comments, dispatches, escalations, notices to a subtree, and now
 * and then a batch; each draft has a number, by which it is known wherever it turns up. */
#include <stdlib.h>
#include <string.h>

#include "sim.h"

#define DRAFTS_MAX 120
#define FILLER_MAX 900

struct sim_write {
  struct core_append append; /* first: it leads back */
  struct world *world;
  uint32_t node;
  size_t first; /* number of the first draft */
  struct core_draft drafts[DRAFTS_MAX];
  struct core_appended appended[DRAFTS_MAX];
  struct item_draft items[DRAFTS_MAX][MODEL_ITEMS_MAX];
  struct bytes values[DRAFTS_MAX];
  const char *down[DRAFTS_MAX][MODEL_DOWN_MAX];
  char targets[DRAFTS_MAX][MODEL_DOWN_MAX][ADDRESS_TEXT_MAX + 3];
};

static const char *const item_names[MODEL_ITEMS_MAX] = {"", "contact", "note"};

/* ---- the end of a write ---- */

static bool is_refusal(enum status status)
{
  return status == STATUS_INVALID_ARGUMENT || status == STATUS_NOT_FOUND ||
         status == STATUS_NOT_ALLOWED || status == STATUS_TOO_LARGE || status == STATUS_DISK_FULL;
}

static void take_acked(struct world *world, const struct sim_write *write, size_t i)
{
  struct sim_node *node = &world->nodes[write->node];
  struct model_record *record = &world->model.records[write->first + i];
  const struct core_appended *appended = &write->appended[i];
  record->state = WRITE_ACKED;
  record->seq = appended->seq;
  record->hlc = appended->hlc;
  record->gen = appended->gen;
  record->store = store_identity(node->core->store)->store;
  if (record->founds) {
    record->subject = model_subject_add(world, &appended->subject, write->node);
  }
  if (memcmp(&node->acked_store, &record->store, sizeof(record->store)) != 0) {
    memset(node->acked_seq, 0, sizeof(node->acked_seq));
    node->acked_store = record->store;
  }
  if (node->acked_seq[record->lane] < record->seq) {
    node->acked_seq[record->lane] = record->seq;
  }
  world->acked++;
}

static void done(struct core *core, struct core_append *append, enum status status)
{
  struct sim_write *write = (struct sim_write *)append;
  struct world *world = write->world;
  (void)core;
  if (status != STATUS_CLOSED) {
    world_trace(world, "wrote %zu..%zu: %s %s", write->first,
                write->first + write->append.count - 1, status_text(status),
                status == STATUS_OK ? "" : append->reason);
  }
  for (size_t i = 0; i < write->append.count; i++) {
    struct model_record *record = &world->model.records[write->first + i];
    if (status == STATUS_OK) {
      take_acked(world, write, i);
    } else if (is_refusal(status)) {
      record->state = WRITE_REFUSED;
    }
    bytes_close(&write->values[i]);
  }
  if (status == STATUS_OK && world->model.records[write->first].lane == LANE_URGENT) {
    check_urgent_later(world, write->first);
  }
  free(write);
}

/* ---- making drafts ---- */

static bool is_below(const struct world *world, uint32_t node, uint32_t top)
{
  while (node != SIM_NONE && node != top) {
    node = world->nodes[node].parent;
  }
  return node == top;
}

static uint32_t choose_below(struct world *world, uint32_t top)
{
  uint32_t at = (uint32_t)random_below(&world->random, world->node_count);
  for (uint32_t i = 0; i < world->node_count; i++) {
    uint32_t node = (at + i) % world->node_count;
    if (node != top && is_below(world, node, top)) {
      return node;
    }
  }
  return top;
}

static void add_target(struct sim_write *write, size_t i, struct model_record *record,
                       uint32_t node, bool subtree)
{
  unsigned at = record->down_count++;
  const char *text = write->world->nodes[node].address.text;
  record->down[at] = (struct model_target){node, subtree};
  snprintf(write->targets[i][at], sizeof(write->targets[i][at]), "%s%s", text, subtree ? "/*" : "");
  write->down[i][at] = write->targets[i][at];
}

static void choose_reach(struct sim_write *write, size_t i, struct model_record *record)
{
  struct world *world = write->world;
  const struct address *self = &world->nodes[write->node].address;
  uint64_t dice = random_below(&world->random, 100);
  if (dice < 50 || self->unit) {
    record->up = (uint8_t)random_between(&world->random, 0, TIER_DISTRICT);
    record->up = self->unit && record->up <= address_tier(self) ? 0 : record->up;
  }
  if (dice >= 35 && dice < 70) {
    unsigned count = (unsigned)random_between(&world->random, 1, 2);
    for (unsigned j = 0; j < count; j++) {
      uint32_t target = choose_below(world, write->node);
      if (target != write->node) {
        add_target(write, i, record, target, false);
      }
    }
  } else if (dice >= 95 && !self->unit) {
    uint32_t top = choose_below(world, write->node);
    top = world->nodes[top].address.unit || random_chance(&world->random, 50) ? write->node : top;
    add_target(write, i, record, top, true);
  }
}

static void write_value(struct world *world, size_t number, size_t filler, struct bytes *out)
{
  static const uint8_t zeros[FILLER_MAX] = {0};
  struct writer writer;
  writer_init(&writer, out);
  writer_array(&writer, 3);
  writer_uint(&writer, number);
  writer_uint(&writer, random_next(&world->random));
  writer_bin(&writer, zeros, filler);
  CHECK(writer_finish(&writer) == STATUS_OK);
}

static void make_draft(struct sim_write *write, size_t i, uint32_t subject, uint8_t lane,
                       size_t filler)
{
  struct world *world = write->world;
  struct core_draft *draft = &write->drafts[i];
  size_t number = world->model.count;
  struct model_record *record = model_add(world);
  record->writer = write->node;
  record->subject = subject;
  record->founds = subject == SIM_NONE;
  record->lane = lane;
  record->at_us = world->now_us;
  choose_reach(write, i, record);
  record->item_count = (uint8_t)random_between(&world->random, 1, MODEL_ITEMS_MAX);
  write_value(world, number, filler, &write->values[i]);
  for (unsigned j = 0; j < record->item_count; j++) {
    record->see[j] = j == 0 ? SEE_ALL : (uint8_t)random_between(&world->random, 1, SEE_ALL);
    write->items[i][j] = (struct item_draft){
        .name = item_names[j], .value = bytes_as_view(&write->values[i]), .see = record->see[j]};
  }
  *draft = (struct core_draft){
      .kind = record->founds ? "sim.report" : "sim.comment",
      .found = record->founds,
      .lane = lane,
      .up = record->up,
      .down_count = record->down_count,
      .down = write->down[i],
      .author = "sim",
      .item_count = record->item_count,
      .items = write->items[i],
  };
  if (!record->founds) {
    draft->subject = world->model.subjects[subject].id;
  }
}

/* ---- who writes what ---- */

/* A subject that has been acknowledged, the newest more often. */
static uint32_t choose_subject(struct world *world)
{
  size_t count = world->model.subject_count;
  if (count == 0) {
    return SIM_NONE;
  }
  uint64_t back = random_below(&world->random, random_chance(&world->random, 60) ? 8 : count);
  return (uint32_t)(count - 1 - back % count);
}

/* Mostly a node that may write; any node else, which is then refused. */
static uint32_t choose_writer(struct world *world, uint32_t subject)
{
  bool full[SIM_NODES_MAX];
  bool reads[SIM_NODES_MAX];
  uint32_t at = (uint32_t)random_below(&world->random, world->node_count);
  if (subject == SIM_NONE || random_chance(&world->random, 5)) {
    return at;
  }
  for (size_t i = 0; i < world->model.count; i++) {
    struct model_record *record = &world->model.records[i];
    record->exists = record->state == WRITE_ACKED;
  }
  model_audience(world, subject, full, reads);
  for (uint32_t i = 0; i < world->node_count; i++) {
    uint32_t node = (at + i) % world->node_count;
    if (full[node] && world->nodes[node].core != NULL) {
      return node;
    }
  }
  return at;
}

static uint8_t choose_lane(struct world *world)
{
  uint64_t dice = random_below(&world->random, 10);
  return dice < 2 ? LANE_URGENT : dice < 8 ? LANE_NORMAL : LANE_BULK;
}

static void write_some(struct world *world)
{
  uint32_t subject = random_chance(&world->random, 60) ? choose_subject(world) : SIM_NONE;
  uint32_t at = choose_writer(world, subject);
  struct sim_node *node = &world->nodes[at];
  if (node->core == NULL) {
    return;
  }
  struct sim_write *write = calloc(1, sizeof(*write));
  CHECK(write != NULL);
  bool batch = random_chance(&world->random, 4);
  size_t count = batch ? (size_t)random_between(&world->random, 10, DRAFTS_MAX)
                 : random_chance(&world->random, 15) ? (size_t)random_between(&world->random, 2, 6)
                                                     : 1;
  uint8_t lane = batch ? LANE_BULK : choose_lane(world);
  write->world = world;
  write->node = at;
  write->first = world->model.count;
  for (size_t i = 0; i < count; i++) {
    size_t filler = batch ? FILLER_MAX : random_below(&world->random, 200);
    make_draft(write, i, subject, lane, filler);
  }
  write->append = (struct core_append){
      .drafts = write->drafts, .count = count, .appended = write->appended, .done = done};
  world->writes += count;
  world->current = at;
  core_append(node->core, &write->append);
}

static void work(struct world *world, uint32_t who, uint64_t pause_us)
{
  (void)who;
  if (world->healed) {
    return;
  }
  write_some(world);
  /* Bursts, then nothing for a while. */
  int64_t pause = (int64_t)random_below(&world->random, 2 * pause_us);
  pause = random_chance(&world->random, 40) ? pause / 50 : pause;
  world_after(world, world->now_us + pause, work, 0, pause_us);
}

void work_start(struct world *world)
{
  uint64_t total = (uint64_t)random_between(&world->random, 20, 260);
  world_after(world, SIM_SECOND, work, 0, (uint64_t)world->faults_end_us / total);
}
