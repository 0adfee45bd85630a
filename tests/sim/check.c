/*
 * What must hold: throughout, and at the end when all faults are over and the tree is quiet. Who
 * should hold what is the model's to say.
 */
#include <stdlib.h>
#include <string.h>

#include "sim.h"
#include "storage/subjects.h"
#include "storage/verify.h"

#define ITEMS_BITS 4

/* What one node holds: by number of the record, how often, and which items it shows. */
struct holding {
  size_t capacity;
  uint8_t *counts;
  uint8_t *items;
};

struct scan {
  struct world *world;
  struct sim_node *node;
  struct holding *holding;
  struct store_txn *txn;
  struct arena *arena;
};

/* ---- throughout ---- */

void check_own_log(struct world *world, struct sim_node *node)
{
  for (unsigned lane = 0; lane < LANE_COUNT; lane++) {
    struct log_head head = {0};
    struct log_id id = {node->identity.key, node->acked_store, (uint8_t)lane};
    if (node->acked_seq[lane] == 0) {
      continue;
    }
    if (!store_log_find(node->core->store, &id, &head) || head.seq < node->acked_seq[lane]) {
      world_fail(world, "%s lost what it acknowledged: lane %u, %llu of %llu", node->address.text,
                 lane, (unsigned long long)head.seq, (unsigned long long)node->acked_seq[lane]);
    }
  }
}

/* Nobody was told of more than the reader, just started, finds durable. One that compares heads, or
 * is new in its place, has no cursor of that store that stands. */
static void check_told(struct world *world, const struct sim_node *writer,
                       const struct sim_node *reader)
{
  static const uint8_t fallen[16] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                     0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
  const struct neighbour *out = store_neighbour_find(writer->core->store, &reader->address);
  const struct neighbour *in = store_neighbour_find(reader->core->store, &writer->address);
  const struct store_id *store = &store_identity(writer->core->store)->store;
  for (unsigned lane = 0; lane < LANE_COUNT && out != NULL && in != NULL; lane++) {
    const struct cursor *cursor = &in->lanes[lane].received;
    if (memcmp(cursor->store.octets, store->octets, STORE_ID_SIZE) == 0 &&
        memcmp(cursor->tag, fallen, sizeof(fallen)) != 0 &&
        cursor->position < out->lanes[lane].acked_position) {
      world_fail(world, "%s was told that %s holds its outbox to %llu of lane %u; it does to %llu",
                 writer->address.text, reader->address.text,
                 (unsigned long long)out->lanes[lane].acked_position, lane,
                 (unsigned long long)cursor->position);
    }
  }
}

void check_told_at_start(struct world *world, const struct sim_node *node)
{
  for (uint32_t i = 0; i < world->node_count; i++) {
    const struct sim_node *other = &world->nodes[i];
    if (other != node && other->core != NULL &&
        (other->parent == node->index || node->parent == i)) {
      check_told(world, other, node);
    }
  }
}

/* An urgent record is at the parent soon, whatever waits, if nothing happened to the way. */
#define URGENT_US (6 * SIM_SECOND)

/* Both ends hold the line for one that lives: to notice that the other device is gone, and another
 * has taken its place, may take a child its dead time. */
static bool both_connected(const struct sim_node *node, const struct sim_node *parent)
{
  const struct neighbour *child = store_neighbour_find(parent->core->store, &node->address);
  struct core_link_figures up;
  struct core_link_figures down;
  return child != NULL && core_get_link(node->core, NEIGHBOUR_PARENT, &up) && up.connected &&
         core_get_link(parent->core, child->number, &down) && down.connected;
}

static void check_urgent(struct world *world, uint32_t who, uint64_t number)
{
  const struct sim_node *node = &world->nodes[who];
  const struct model_record *record = &world->model.records[number];
  const struct sim_node *parent = &world->nodes[node->parent];
  struct log_head head = {0};
  struct log_id id = {node->identity.key, record->store, LANE_URGENT};
  int64_t calm_us = record->at_us - 60 * SIM_SECOND;
  /* By a wrong clock the parent may refuse it; that is looked at in the end. */
  if (node->core == NULL || parent->core == NULL || parent->wall_offset_ms != 0 ||
      node->trouble_us > calm_us || parent->trouble_us > calm_us ||
      world->links[who].disturbed_us > calm_us || !both_connected(node, parent)) {
    return;
  }
  world->urgent_checked++;
  if (!store_log_find(parent->core->store, &id, &head) || head.seq < record->seq) {
    world_fail(world, "urgent record %llu of %s is not at its parent after %lld s",
               (unsigned long long)number, node->address.text,
               (long long)(world->now_us - record->at_us) / SIM_SECOND);
  }
}

void check_urgent_later(struct world *world, size_t number)
{
  const struct model_record *record = &world->model.records[number];
  const struct sim_node *node = &world->nodes[record->writer];
  if (node->parent != SIM_NONE) {
    const struct sim_link *link = &world->links[record->writer];
    int64_t wait = URGENT_US + 4 * (link->delay_us + link->jitter_us);
    wait += link->octets_s == 0 ? 0 : (int64_t)(16384 * 1000000ull / link->octets_s);
    world_after(world, world->now_us + wait, check_urgent, record->writer, number);
  }
}

/* ---- quiet ---- */

/* The parent's end of the link: a child may not know yet that its parent is another device. */
static bool is_known_above(const struct sim_node *node)
{
  if (node->parent == SIM_NONE) {
    return true;
  }
  const struct core *above = node->world->nodes[node->parent].core;
  const struct neighbour *row =
      above == NULL ? NULL : store_neighbour_find(above->store, &node->address);
  struct core_link_figures figures;
  return row != NULL && core_get_link(above, row->number, &figures) && figures.connected;
}

static bool is_level(const struct sim_node *node)
{
  const struct core *core = node->core;
  if (core == NULL || !is_known_above(node) || core->backfill || core->append_first != NULL ||
      core->pending_count > 0) {
    return false;
  }
  for (uint16_t number = 1; number <= store_neighbour_count(core->store); number++) {
    const struct neighbour *neighbour = store_neighbour(core->store, number);
    struct core_link_figures figures;
    if (number == NEIGHBOUR_PARENT && node->parent == SIM_NONE) {
      continue;
    }
    if (!core_get_link(core, number, &figures) || !figures.connected) {
      return false;
    }
    for (unsigned lane = 0; lane < LANE_COUNT; lane++) {
      if (neighbour->lanes[lane].pending_commits > 0) {
        return false;
      }
    }
  }
  return true;
}

/* Everyone is connected, no outbox holds anything, and nothing came in since the last look. */
bool check_is_quiet(struct world *world)
{
  uint64_t taken = 0;
  bool level = true;
  for (uint32_t i = 0; i < world->node_count; i++) {
    level = level && is_level(&world->nodes[i]);
    taken += world->nodes[i].core == NULL ? 0 : world->nodes[i].core->figures.transactions;
  }
  world->quiet_looks = level && taken == world->quiet_taken ? world->quiet_looks + 1 : 0;
  world->quiet_taken = taken;
  return world->quiet_looks >= 2;
}

#define IDLE_TURNS_MAX 100

void check_idle_begin(struct world *world)
{
  for (uint32_t i = 0; i < world->node_count; i++) {
    world->nodes[i].turns = 0;
  }
}

void check_idle_end(struct world *world)
{
  for (uint32_t i = 0; i < world->node_count; i++) {
    if (world->nodes[i].turns > IDLE_TURNS_MAX) {
      world_fail(world, "%s is busy with nothing: %llu turns in 3 s", world->nodes[i].address.text,
                 (unsigned long long)world->nodes[i].turns);
    }
  }
}

/* ---- what a node holds ---- */

/* A record that nobody acknowledged here, as a crash between its transaction and the answer leaves
 * it: made known to the model from what it says itself. */
static struct model_record *adopt(struct scan *scan, const struct held_record *held)
{
  struct world *world = scan->world;
  struct address target;
  struct bytes_view rest = held->record.header.down;
  bool subtree;
  struct model_record *record = model_add(world);
  record->writer = SIM_NONE;
  for (uint32_t i = 0; i < world->node_count; i++) {
    if (address_equal(&world->nodes[i].address, &held->origin)) {
      record->writer = i;
    }
  }
  record->founds = true;
  record->up = held->record.header.up;
  record->item_count = 1;
  record->see[0] = SEE_ALL;
  record->hlc = held->record.header.hlc;
  record->lane = held->commit.lane;
  record->subject = model_subject_add(world, &held->record.header.subject, record->writer);
  while (record->down_count < MODEL_DOWN_MAX && record_down_next(&rest, &target, &subtree)) {
    for (uint32_t i = 0; i < world->node_count; i++) {
      if (address_equal(&world->nodes[i].address, &target)) {
        record->down[record->down_count++] = (struct model_target){i, subtree};
        break;
      }
    }
  }
  return record;
}

static size_t find_by_subject(struct scan *scan, const struct held_record *held)
{
  const struct model *model = &scan->world->model;
  for (size_t i = 0; i < model->count; i++) {
    const struct model_record *record = &model->records[i];
    if (record->hlc == held->record.header.hlc && record->subject != SIM_NONE &&
        memcmp(&model->subjects[record->subject].id, &held->record.header.subject, SUBJECT_SIZE) ==
            0) {
      return i;
    }
  }
  (void)adopt(scan, held);
  return model->count - 1;
}

/* SIZE_MAX: no draft of ours. */
static size_t number_of(struct scan *scan, const struct held_record *held)
{
  struct item item;
  uint32_t count;
  uint64_t number;
  if (!bytes_view_equal(held->record.header.kind, bytes_view_text("sim.report")) &&
      !bytes_view_equal(held->record.header.kind, bytes_view_text("sim.comment"))) {
    return find_by_subject(scan, held);
  }
  if (!record_item_find(&held->record, "", &item)) {
    return SIZE_MAX;
  }
  struct reader reader = reader_of(item.value);
  if (!reader_array(&reader, &count) || !reader_uint(&reader, &number) ||
      number >= scan->world->model.count) {
    return SIZE_MAX;
  }
  return (size_t)number;
}

static uint8_t items_shown(const struct record *record)
{
  struct bytes_view rest = record->items_octets;
  struct item item;
  uint8_t shown = 0;
  for (unsigned i = 0; i < ITEMS_BITS && record_item_next(&rest, &item); i++) {
    shown |= (uint8_t)(item.shown << i);
  }
  return shown;
}

static bool take_record(void *context, const struct held_record *held)
{
  struct scan *scan = context;
  struct world *world = scan->world;
  size_t number = number_of(scan, held);
  if (number == SIZE_MAX) {
    world_fail(world, "%s holds a record that nobody wrote", scan->node->address.text);
    return false;
  }
  struct model_record *record = &world->model.records[number];
  if (record->subject == SIM_NONE) {
    record->subject = model_subject_add(world, &held->record.header.subject, record->writer);
  }
  if (number < scan->holding->capacity) {
    scan->holding->counts[number]++;
    scan->holding->items[number] = items_shown(&held->record);
  }
  record->exists = true;
  if (record->state == WRITE_REFUSED) {
    world_fail(world, "%s holds record %zu, which was refused", scan->node->address.text, number);
  }
  if (memcmp(&world->model.subjects[record->subject].id, &held->record.header.subject,
             SUBJECT_SIZE) != 0) {
    world_fail(world, "record %zu has come under another subject", number);
  }
  return !world->failed;
}

static bool take_subject(void *context, const struct subject_info *info)
{
  struct scan *scan = context;
  if (store_subject_records(scan->txn, &info->subject, scan->arena, take_record, scan) !=
      STATUS_OK) {
    world_fail(scan->world, "%s can't read a subject", scan->node->address.text);
  }
  arena_reset(scan->arena);
  return !scan->world->failed;
}

static void finding(void *context, const char *text)
{
  struct scan *scan = context;
  world_fail(scan->world, "store of %s: %s", scan->node->address.text, text);
}

static void look_at(struct world *world, uint32_t index, struct holding *holding)
{
  struct arena arena = {0};
  struct verify_report report = {0};
  struct scan scan = {
      .world = world, .node = &world->nodes[index], .holding = holding, .arena = &arena};
  CHECK(store_read_begin(scan.node->core->store, &scan.txn) == STATUS_OK);
  if (store_verify(scan.txn, &report, finding, &scan) != STATUS_OK) {
    world_fail(world, "store of %s can't be verified", scan.node->address.text);
  }
  if (!world->failed &&
      store_subject_each(scan.txn, NULL, false, take_subject, &scan) != STATUS_OK) {
    world_fail(world, "%s can't list its subjects", scan.node->address.text);
  }
  store_read_end(scan.txn);
  arena_close(&arena);
}

static bool keep_record(void *context, const struct held_record *held)
{
  struct scan *scan = context;
  size_t number = number_of(scan, held);
  if (number != SIZE_MAX && scan->world->model.records[number].state == WRITE_LOST) {
    scan->world->model.records[number].state = scan->world->model.records[number].was;
  }
  return true;
}

static bool keep_subject(void *context, const struct subject_info *info)
{
  struct scan *scan = context;
  return store_subject_records(scan->txn, &info->subject, scan->arena, keep_record, scan) ==
         STATUS_OK;
}

void check_kept(struct world *world, uint32_t index)
{
  struct arena arena = {0};
  struct scan scan = {.world = world, .node = &world->nodes[index], .arena = &arena};
  CHECK(store_read_begin(scan.node->core->store, &scan.txn) == STATUS_OK);
  CHECK(store_subject_each(scan.txn, NULL, false, keep_subject, &scan) == STATUS_OK);
  store_read_end(scan.txn);
  arena_close(&arena);
}

/* ---- against the model ---- */

/* A device that came in place of a lost one need not have what its own subtree had written to the
 * old one and nobody below it holds. */
static bool may_lack(const struct world *world, const struct model_record *record, uint32_t node)
{
  return world->model.subjects[record->subject].loose ||
         (world->nodes[node].lost && record->writer == node);
}

static void check_record(struct world *world, size_t number, const bool *reads,
                         const struct holding *holdings)
{
  const struct model_record *record = &world->model.records[number];
  for (uint32_t i = 0; i < world->node_count && !world->failed; i++) {
    const struct sim_node *node = &world->nodes[i];
    unsigned count = holdings[i].counts[number];
    if (count > 1) {
      world_fail(world, "%s holds record %zu %u times", node->address.text, number, count);
    } else if (count == 1 && !reads[i]) {
      world_fail(world, "%s holds record %zu of %s, which it may not see", node->address.text,
                 number, world->nodes[record->writer].address.text);
    } else if (count == 0 && reads[i] && !may_lack(world, record, i)) {
      world_fail(world, "%s lacks record %zu of %s", node->address.text, number,
                 world->nodes[record->writer].address.text);
    }
    for (unsigned item = 0; count == 1 && item < record->item_count; item++) {
      bool shown = (holdings[i].items[number] >> item) & 1;
      if (shown != model_item_reaches(world, record, item, i)) {
        world_fail(world, "%s %s item %u of record %zu of %s, see %u", node->address.text,
                   shown ? "is shown" : "lacks", item, number,
                   world->nodes[record->writer].address.text, record->see[item]);
      }
    }
  }
}

static void check_model(struct world *world, const struct holding *holdings)
{
  bool full[SIM_NODES_MAX];
  bool reads[SIM_NODES_MAX];
  for (size_t i = 0; i < world->model.count; i++) {
    const struct model_record *record = &world->model.records[i];
    if (record->by_lost && record->subject != SIM_NONE) {
      world->model.subjects[record->subject].loose = true;
    }
  }
  for (uint32_t subject = 0; subject < world->model.subject_count && !world->failed; subject++) {
    model_audience(world, subject, full, reads);
    for (size_t i = 0; i < world->model.count; i++) {
      const struct model_record *record = &world->model.records[i];
      if (record->subject == subject && record->exists) {
        check_record(world, i, reads, holdings);
      }
    }
  }
  for (size_t i = 0; i < world->model.count && !world->failed; i++) {
    const struct model_record *record = &world->model.records[i];
    if (record->state == WRITE_ACKED && !record->exists) {
      world_fail(world, "record %zu of %s was acknowledged and is nowhere", i,
                 world->nodes[record->writer].address.text);
    }
  }
}

/* ---- one link ---- */

static const char *shown_digest(const struct sim_node *node, const struct log_id *id,
                                uint16_t neighbour, uint8_t digest[16], uint64_t *commits)
{
  struct arena arena = {0};
  struct store_txn *txn;
  struct log_head head;
  memset(digest, 0, 16);
  *commits = 0;
  if (!store_log_find(node->core->store, id, &head)) {
    return NULL;
  }
  CHECK(store_read_begin(node->core->store, &txn) == STATUS_OK);
  enum status status =
      store_log_digest(txn, head.number, neighbour, UINT64_MAX, &arena, digest, commits);
  store_read_end(txn);
  arena_close(&arena);
  return status == STATUS_OK ? NULL : status_text(status);
}

/* Bit for bit: what one shows the other is what the other holds. */
static void check_direction(struct world *world, const struct sim_node *from, uint16_t number,
                            const struct sim_node *to, bool up)
{
  struct log_head head;
  for (uint32_t log = 1; log <= store_log_count(from->core->store); log++) {
    uint8_t shown[16];
    uint8_t held[16];
    uint64_t shown_commits;
    uint64_t held_commits;
    if (!store_log_at(from->core->store, log, &head)) {
      continue;
    }
    const struct address *below = up ? &from->address : &to->address;
    if (address_within(&head.address, below) != up) {
      continue;
    }
    const char *wrong = shown_digest(from, &head.id, number, shown, &shown_commits);
    if (wrong == NULL) {
      wrong = shown_digest(to, &head.id, NEIGHBOUR_NONE, held, &held_commits);
    }
    if (wrong == NULL &&
        (shown_commits != held_commits || (shown_commits > 0 && memcmp(shown, held, 16) != 0))) {
      wrong = "differs from what the other holds";
    }
    if (wrong != NULL) {
      world_fail(world, "log of %s, lane %u: what %s shows %s %s (%llu and %llu commits)",
                 head.address.text, head.id.lane, from->address.text, to->address.text, wrong,
                 (unsigned long long)shown_commits, (unsigned long long)held_commits);
      return;
    }
  }
}

static void check_link(struct world *world, const struct sim_node *child)
{
  const struct sim_node *parent = &world->nodes[child->parent];
  const struct neighbour *row = store_neighbour_find(parent->core->store, &child->address);
  if (row == NULL) {
    world_fail(world, "%s is not known to its parent", child->address.text);
    return;
  }
  if (child->lost || parent->lost) {
    return; /* what the lost device wrote itself does not come back, nor who saw by it */
  }
  check_direction(world, child, NEIGHBOUR_PARENT, parent, true);
  check_direction(world, parent, row->number, child, false);
}

/* ---- the end ---- */

void check_all(struct world *world)
{
  struct holding *holdings = calloc(world->node_count, sizeof(*holdings));
  CHECK(holdings != NULL);
  /* Records that the looking itself makes known (adopt) come on top. */
  size_t capacity = world->model.count + SIM_NODES_MAX;
  for (size_t i = 0; i < world->model.count; i++) {
    world->model.records[i].exists = false;
  }
  for (uint32_t i = 0; i < world->node_count && !world->failed; i++) {
    holdings[i].capacity = capacity;
    holdings[i].counts = calloc(2, capacity);
    CHECK(holdings[i].counts != NULL);
    holdings[i].items = holdings[i].counts + capacity;
    look_at(world, i, &holdings[i]);
  }
  if (!world->failed) {
    check_model(world, holdings);
  }
  for (uint32_t i = 1; i < world->node_count && !world->failed; i++) {
    check_link(world, &world->nodes[i]);
  }
  for (uint32_t i = 0; i < world->node_count; i++) {
    free(holdings[i].counts);
  }
  free(holdings);
}
