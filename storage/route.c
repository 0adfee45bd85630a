/*
 * Routing of what comes in: each record joins its subject, moves the subject's audience on, and is
 * planned for the neighbours concerned (DESIGN section 4). Records are taken in order of subject,
 * so that new subjects are appended to their table; within a subject in order of index.
 */
#include <stdlib.h>

#include "state.h"

struct route_item {
  uint64_t high; /* the subject, as two numbers */
  uint64_t low;
  uint16_t place; /* in the commit's records */
};

/* Records in a row with the same audience are planned together. */
struct route {
  struct store_txn *txn;
  const struct arrival *arrival;
  uint32_t audience;
  uint8_t shown[COMMIT_BITMAP_SIZE];
  bool any;
  uint8_t inbox[COMMIT_BITMAP_SIZE];
  bool inbox_any;
};

static int item_compare(const void *a, const void *b)
{
  const struct route_item *x = a;
  const struct route_item *y = b;

  if (x->high != y->high)
    return x->high < y->high ? -1 : 1;
  if (x->low != y->low)
    return x->low < y->low ? -1 : 1;
  return (int)x->place - (int)y->place;
}

static size_t items_collect(const struct arrival *arrival, struct route_item *items)
{
  const struct commit *commit = arrival->commit;
  size_t count = 0;
  bool sorted = true;

  for (uint16_t i = 0; i < commit->shown_count; i++) {
    const uint8_t *subject = commit->records[i].header.subject.octets;
    if (!bitmap_get(arrival->fresh, commit->indexes[i]))
      continue;
    items[count] = (struct route_item){be64_get(subject), be64_get(subject + 8), i};
    sorted = sorted && (count == 0 || item_compare(&items[count - 1], &items[count]) < 0);
    count++;
  }
  if (!sorted)
    qsort(items, count, sizeof(*items), item_compare);
  return count;
}

/* Never back to where it came from; nor up, where what was let go here is held. */
static bool arrival_goes_to(const struct arrival *arrival, uint16_t neighbour)
{
  return neighbour != arrival->slot->direction && !(arrival->back && neighbour == NEIGHBOUR_PARENT);
}

static enum status run_flush(struct route *route)
{
  const uint16_t *numbers;
  size_t count;
  enum status status = STATUS_OK;

  if (!route->any)
    return STATUS_OK;
  route->any = false;
  status = audience_neighbours(route->txn, route->audience, &numbers, &count);
  for (size_t i = 0; i < count && status == STATUS_OK; i++) {
    if (arrival_goes_to(route->arrival, numbers[i]))
      status = plan_add(route->txn, numbers[i], route->shown);
  }
  memset(route->shown, 0, sizeof(route->shown));
  return status;
}

/* While a new neighbour's backfill is under way, each record is asked for by itself. */
static enum status plan_one(struct route *route, uint32_t audience, const struct subject *subject,
                            unsigned index)
{
  uint8_t shown[COMMIT_BITMAP_SIZE] = {0};
  const uint16_t *numbers;
  size_t count;
  enum status status = audience_neighbours(route->txn, audience, &numbers, &count);

  bitmap_set(shown, index);
  for (size_t i = 0; i < count && status == STATUS_OK; i++) {
    if (arrival_goes_to(route->arrival, numbers[i]) &&
        neighbour_takes(neighbour_slot(route->txn->store, numbers[i]), subject))
      status = plan_add(route->txn, numbers[i], shown);
  }
  return status;
}

static enum status run_add(struct route *route, uint32_t audience, const struct subject *subject,
                           unsigned index)
{
  enum status status = STATUS_OK;

  if (route->txn->store->counters.backfilling > 0)
    return plan_one(route, audience, subject, index);
  if (route->audience != audience)
    status = run_flush(route);
  route->audience = audience;
  route->any = true;
  bitmap_set(route->shown, index);
  return status;
}

static void inbox_note(struct route *route, const struct transition *step, unsigned index)
{
  if (!step->names_us || !step->effective || route->arrival->back ||
      memcmp(route->arrival->slot->id.origin.octets, route->txn->store->identity.node.octets,
             KEY_SIZE) == 0)
    return;
  bitmap_set(route->inbox, index);
  route->inbox_any = true;
  route->arrival->applied->concerns_us = true;
}

static enum status route_effective(struct route *route, const struct subject *subject,
                                   struct subject_row *row, const struct transition *step,
                                   unsigned index)
{
  struct growth growth = {.subject = *subject, .from = row->audience, .to = step->to, .row = row};
  bool first = row->records == 1 && (row->flags & SUBJECT_TRIMMED) == 0;
  enum status status;

  if (step->to == row->audience || first) {
    row->audience = step->to;
    return run_add(route, step->to, subject, index);
  }
  status = route_grow(route->txn, route->arrival, &growth, index);
  row->audience = growth.to;
  return status;
}

static enum status route_record(struct route *route, const struct subject *subject,
                                struct subject_row *row, size_t place)
{
  const struct commit *commit = route->arrival->commit;
  const struct record_header *header = &commit->records[place].header;
  struct ref ref = {route->arrival->log, commit->header.seq, (uint8_t)commit->indexes[place], 0};
  bool founder = (row->flags & SUBJECT_FOUNDED) == 0 &&
                 subject_is_founder(subject, commit->header.origin.octets, header->hlc);
  struct transition step;
  bool full;
  enum status status = audience_step(route->txn, row->audience, ref.log, founder, header, &step);

  if (status != STATUS_OK)
    return status;
  route->arrival->applied->records_new++;
  if (!step.effective || step.refused)
    route->arrival->applied->records_marked++;
  if (header->gen > row->gen_max)
    row->gen_max = (uint16_t)header->gen;
  if (founder)
    row->flags |= SUBJECT_FOUNDED;
  if (!step.effective) {
    row->flags |= SUBJECT_HAS_MARKED;
    ref.flags = REF_MARKED;
  }
  status = subject_row_add(route->txn, subject, row, &ref, &full);
  if (status != STATUS_OK || full || !step.effective)
    return status;
  inbox_note(route, &step, ref.index);
  return route_effective(route, subject, row, &step, ref.index);
}

/* All records of one subject. */
static enum status route_subject(struct route *route, const struct route_item *items, size_t count)
{
  const struct record *records = route->arrival->commit->records;
  const struct subject *subject = &records[items[0].place].header.subject;
  struct subject_row row;
  enum status status = subject_row_get(route->txn, subject, &row);

  if (status == STATUS_NOT_FOUND)
    status = STATUS_OK;
  for (size_t i = 0; i < count && status == STATUS_OK; i++)
    status = route_record(route, subject, &row, items[i].place);
  if (status == STATUS_OK)
    status = subject_row_put(route->txn, subject, &row);
  return status;
}

static enum status inbox_fill(struct route *route)
{
  const struct arrival *arrival = route->arrival;
  enum status status = STATUS_OK;

  if (!route->inbox_any)
    return STATUS_OK;
  for (unsigned i = 0; i < COMMIT_RECORDS_MAX && status == STATUS_OK; i++) {
    struct ref ref = {arrival->log, arrival->commit->header.seq, (uint8_t)i, 0};
    if (bitmap_get(route->inbox, i))
      status = inbox_put(route->txn, &ref);
  }
  return status;
}

enum status route_records(struct store_txn *txn, const struct arrival *arrival)
{
  struct route_item items[COMMIT_RECORDS_MAX];
  struct route route = {.txn = txn, .arrival = arrival};
  size_t count = items_collect(arrival, items);
  size_t end;
  enum status status = STATUS_OK;

  for (size_t i = 0; i < count && status == STATUS_OK; i = end) {
    end = i + 1;
    while (end < count && items[end].high == items[i].high && items[end].low == items[i].low)
      end++;
    status = route_subject(&route, items + i, end - i);
  }
  if (status == STATUS_OK)
    status = run_flush(&route);
  if (status == STATUS_OK)
    status = inbox_fill(&route);
  return status;
}

/* Classes that may see what `after` shows and `before` did not. */
static unsigned classes_gained(const struct record *before, const struct record *after)
{
  struct bytes_view rest_before = before->items_octets;
  struct bytes_view rest_after = after->items_octets;
  struct item old;
  struct item new;
  unsigned classes = 0;

  while (record_item_next(&rest_before, &old) && record_item_next(&rest_after, &new)) {
    if (new.shown && !old.shown)
      classes |= new.see;
  }
  return classes;
}

static enum status route_gained(struct store_txn *txn, const struct arrival *arrival,
                                const struct record *record, unsigned index, unsigned classes)
{
  const struct subject *subject = &record->header.subject;
  struct ref ref = {arrival->log, arrival->commit->header.seq, (uint8_t)index, 0};
  uint8_t shown[COMMIT_BITMAP_SIZE] = {0};
  struct subject_row row;
  const uint16_t *numbers;
  size_t count = 0;
  bool found = false;
  bool marked = false;
  enum status status = subject_row_get(txn, subject, &row);

  if (status == STATUS_OK)
    status = subject_ref_find(txn, subject, &row, &ref, &found, &marked);
  if (status != STATUS_OK || !found || marked)
    return status == STATUS_NOT_FOUND ? STATUS_CORRUPT : status;
  bitmap_set(shown, index);
  status = audience_neighbours(txn, row.audience, &numbers, &count);
  for (size_t i = 0; i < count && status == STATUS_OK; i++) {
    const struct neighbour_slot *slot = neighbour_slot(txn->store, numbers[i]);
    if (arrival_goes_to(arrival, numbers[i]) && (slot->class_bit & classes) != 0 &&
        neighbour_takes(slot, subject))
      status = plan_add(txn, numbers[i], shown);
  }
  return status;
}

enum status route_items(struct store_txn *txn, const struct arrival *arrival,
                        const struct commit *before, const uint8_t *gained)
{
  const struct commit *after = arrival->commit;
  size_t place;
  enum status status = STATUS_OK;

  for (size_t i = 0; i < before->shown_count && status == STATUS_OK; i++) {
    unsigned index = before->indexes[i];
    unsigned classes;
    if (!bitmap_get(gained, index) || !commit_place(after, index, &place))
      continue;
    classes = classes_gained(&before->records[i], &after->records[place]);
    status = route_gained(txn, arrival, &after->records[place], index, classes);
  }
  return status;
}
