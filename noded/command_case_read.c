#include "noded/command_case_read.h"

#include <string.h>

#include "noded/command_write.h"
#include "storage/neighbours.h"

void parent_wait_read(struct core *core, struct parent_wait *out)
{
  const struct neighbour *parent = store_neighbour(core_store(core), NEIGHBOUR_PARENT);
  memset(out, 0, sizeof(*out));
  for (unsigned lane = 0; parent != NULL && lane < LANE_COUNT; lane++) {
    out->waits[lane] = parent->lanes[lane].pending_commits > 0;
    out->oldest_ms[lane] = parent->lanes[lane].oldest_at.ms;
  }
}

static bool records_grow(struct case_records *records)
{
  size_t capacity = records->capacity == 0 ? 8 : records->capacity * 2;
  struct case_event *events = arena_alloc(records->arena, capacity * sizeof(*events));
  struct held_record **held = arena_alloc(records->arena, capacity * sizeof(*held));
  if (events == NULL || held == NULL) {
    return false;
  }
  if (records->count > 0) {
    memcpy(events, records->events, records->count * sizeof(*events));
    memcpy(held, records->held, records->count * sizeof(*held));
  }
  records->events = events;
  records->held = held;
  records->capacity = capacity;
  return true;
}

static bool on_record(void *context, const struct held_record *record)
{
  struct case_records *records = context;
  if (records->count == records->capacity && !records_grow(records)) {
    records->failed = true;
    return false;
  }
  struct held_record *held = arena_copy(records->arena, record, sizeof(*record));
  if (held == NULL) {
    records->failed = true;
    return false;
  }
  struct case_event *event = &records->events[records->count];
  case_event_read(&held->record, &held->commit, held->ref.index, &held->origin, held->ref.marked,
                  event);
  event->tag = records->count;
  records->held[records->count++] = held;
  return true;
}

/* Leaves are only needed where one record may stand in two logs. */
static enum status leaves_read(struct case_records *records)
{
  for (size_t i = 0; i < records->count; i++) {
    struct case_event *event = &records->events[i];
    struct record record;
    bool near = (i > 0 && case_events_near(event - 1, event)) ||
                (i + 1 < records->count && case_events_near(event, event + 1));
    if (near) {
      enum status status =
          record_read_leaf(records->held[event->tag]->record.octets, &record, &event->leaf);
      if (status != STATUS_OK) {
        return status;
      }
    }
  }
  return STATUS_OK;
}

static enum status records_fold(struct case_records *records)
{
  case_events_sort(records->events, records->count);
  enum status status = leaves_read(records);
  if (status != STATUS_OK) {
    return status;
  }
  records->outcomes =
      arena_alloc(records->arena, (records->count + 1) * sizeof(*records->outcomes));
  if (records->outcomes == NULL) {
    return STATUS_NO_MEMORY;
  }
  case_fold_sorted(records->events, records->count, &records->fold, records->outcomes);
  return STATUS_OK;
}

/* The record that founded the subject, else the first in fold order: the founding one may not be
 * for us to see. */
static struct held_record *founding_find(const struct case_records *records)
{
  for (size_t i = 0; i < records->count; i++) {
    struct held_record *held = records->held[i];
    const struct record_header *header = &held->record.header;
    if (header->gen == 1 &&
        subject_is_founder(&header->subject, held->commit.origin.octets, header->hlc)) {
      return held;
    }
  }
  return records->count == 0 ? NULL : records->held[records->events[0].tag];
}

enum status case_records_read(const struct store_txn *txn, const struct subject *subject,
                              struct arena *arena, struct case_records *out)
{
  *out = (struct case_records){.arena = arena};
  enum status status = store_subject_records(txn, subject, arena, on_record, out);
  if (status == STATUS_OK && out->failed) {
    status = STATUS_NO_MEMORY;
  }
  if (status == STATUS_OK) {
    status = records_fold(out);
  }
  if (status == STATUS_OK) {
    out->founding = founding_find(out);
  }
  return status;
}

struct bytes_view case_records_body(const struct case_records *records)
{
  struct item item;
  if (records->founding == NULL || !record_item_find(&records->founding->record, "", &item)) {
    return bytes_view_of(NULL, 0);
  }
  return item.value;
}

/* Whether a record is not yet acknowledged by the parent. An outbox goes in order, so within a
 * lane that is what came in since its oldest waiting entry was queued. What came from above isn't
 * sent up. */
static bool record_waits(const struct held_record *held, const struct parent_wait *wait,
                         const struct address *self)
{
  unsigned lane = held->commit.lane;
  return wait->waits[lane] && held->arrived_at.ms >= wait->oldest_ms[lane] &&
         address_within(&held->origin, self);
}

void write_case(struct writer *writer, const struct subject_info *info,
                const struct case_records *records, const struct parent_wait *wait,
                const struct address *self)
{
  static const uint8_t empty_map[] = {0x80};
  struct bytes_view body = case_records_body(records);
  struct bytes_view category = bytes_view_text("");
  const struct held_record *founding = records->founding;
  bool waits = false;
  for (size_t i = 0; i < records->count && !waits; i++) {
    waits = record_waits(records->held[i], wait, self);
  }
  if (body.size == 0 || !case_body_text(body, "category", &category)) {
    category = bytes_view_text("");
  }
  writer_map(writer, 10);
  write_subject(writer, "subject", &info->subject);
  write_text(writer, "state", case_state_name(records->fold.state));
  write_view(writer, "kind", founding == NULL ? bytes_view_text("") : founding->record.header.kind);
  write_view(writer, "category", category);
  write_uint(writer, "records", info->records);
  write_text(writer, "founder", founding == NULL ? "" : founding->origin.text);
  write_uint(writer, "reported_at",
             founding == NULL ? 0 : clock_hlc_ms(founding->record.header.hlc));
  write_uint(writer, "changed_at", clock_hlc_ms(records->fold.changed_hlc));
  write_bool(writer, "waits_up", waits);
  writer_text(writer, "body");
  writer_raw(writer, body.size == 0 ? bytes_view_of(empty_map, 1) : body);
}
