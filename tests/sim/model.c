/*
 * What was written and who should have it, by the plain reading of DESIGN section 4 over the tree
 * of the simulation: it shares no code with record/audience.
 */
#include <stdlib.h>
#include <string.h>

#include "sim.h"

struct model_record *model_add(struct world *world)
{
  struct model *model = &world->model;
  if (model->count == model->capacity) {
    model->capacity = model->capacity == 0 ? 256 : model->capacity * 2;
    model->records = realloc(model->records, model->capacity * sizeof(*model->records));
    CHECK(model->records != NULL);
  }
  struct model_record *record = &model->records[model->count++];
  memset(record, 0, sizeof(*record));
  record->subject = SIM_NONE;
  return record;
}

uint32_t model_subject_add(struct world *world, const struct subject *id, uint32_t founder)
{
  struct model *model = &world->model;
  for (size_t i = model->subject_count; i > 0; i--) {
    if (memcmp(&model->subjects[i - 1].id, id, sizeof(*id)) == 0) {
      return (uint32_t)(i - 1);
    }
  }
  if (model->subject_count == model->subject_capacity) {
    model->subject_capacity = model->subject_capacity == 0 ? 128 : model->subject_capacity * 2;
    model->subjects = realloc(model->subjects, model->subject_capacity * sizeof(*model->subjects));
    CHECK(model->subjects != NULL);
  }
  model->subjects[model->subject_count++] = (struct model_subject){*id, founder, false};
  return (uint32_t)model->subject_count - 1;
}

void model_close(struct model *model)
{
  free(model->records);
  free(model->subjects);
}

static bool is_within(const struct world *world, uint32_t node, uint32_t top)
{
  while (node != SIM_NONE && node != top) {
    node = world->nodes[node].parent;
  }
  return node == top;
}

/* Everyone on the way between any two full members is one. */
static bool close_paths(const struct world *world, bool *full)
{
  bool grew = false;
  uint32_t meeting = SIM_NONE;
  for (uint32_t i = 0; i < world->node_count; i++) {
    if (full[i]) {
      uint32_t at = meeting == SIM_NONE ? i : meeting;
      while (!is_within(world, i, at)) {
        at = world->nodes[at].parent;
      }
      meeting = at;
    }
  }
  for (uint32_t i = 0; i < world->node_count && meeting != SIM_NONE; i++) {
    for (uint32_t at = i; full[i] && at != meeting; at = world->nodes[at].parent) {
      uint32_t above = world->nodes[at].parent;
      grew = grew || !full[above];
      full[above] = true;
    }
  }
  return grew;
}

static bool add(bool *full, uint32_t node)
{
  bool grew = !full[node];
  full[node] = true;
  return grew;
}

static bool add_up(const struct world *world, const struct model_record *record, bool *full)
{
  bool grew = false;
  uint32_t at = world->nodes[record->writer].parent;
  while (at != SIM_NONE && (unsigned)address_tier(&world->nodes[at].address) <= record->up) {
    grew = add(full, at) || grew;
    at = world->nodes[at].parent;
  }
  return grew;
}

static bool add_down(const struct world *world, const struct model_record *record, bool *full,
                     bool *tops)
{
  bool grew = false;
  for (unsigned i = 0; i < record->down_count; i++) {
    uint32_t target = record->down[i].node;
    bool below = is_within(world, target, record->writer);
    if (record->down[i].subtree) {
      if (below && !tops[target]) {
        tops[target] = grew = true;
        if (target != record->writer) {
          add(full, world->nodes[target].parent);
        }
      }
    } else if (below || is_within(world, record->writer, target)) {
      grew = add(full, target) || grew;
    }
  }
  return grew;
}

void model_audience(const struct world *world, uint32_t subject, bool *full, bool *reads)
{
  bool tops[SIM_NODES_MAX] = {0};
  bool grew = true;
  memset(full, 0, world->node_count * sizeof(*full));
  full[world->model.subjects[subject].founder] = true;
  while (grew) {
    grew = false;
    for (size_t i = 0; i < world->model.count; i++) {
      const struct model_record *record = &world->model.records[i];
      bool counts = record->exists || record->by_lost; /* of a lost device: it may have */
      if (counts && record->subject == subject && full[record->writer]) {
        grew = add_up(world, record, full) || grew;
        grew = add_down(world, record, full, tops) || grew;
      }
    }
    grew = close_paths(world, full) || grew;
  }
  for (uint32_t i = 0; i < world->node_count; i++) {
    reads[i] = full[i];
    for (uint32_t at = i; at != SIM_NONE && !reads[i]; at = world->nodes[at].parent) {
      reads[i] = tops[at];
    }
  }
}

bool model_item_reaches(const struct world *world, const struct model_record *record, unsigned item,
                        uint32_t node)
{
  uint32_t at = record->writer;
  while (at != node) {
    if (is_within(world, node, at)) {
      uint32_t step = node;
      while (world->nodes[step].parent != at) {
        step = world->nodes[step].parent;
      }
      at = step;
    } else {
      at = world->nodes[at].parent;
    }
    if ((record->see[item] & address_class(&world->nodes[at].address)) == 0) {
      return false;
    }
  }
  return true;
}
