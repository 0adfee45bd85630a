#include "casework/case_event.h"

#include <stdlib.h>
#include <string.h>

void case_event_read(const struct record *record, const struct commit_header *commit,
                     uint16_t index, const struct address *address, bool marked,
                     struct case_event *out)
{
  const struct record_header *header = &record->header;
  struct item body;
  bool shown = record_item_find(record, "", &body);
  *out = (struct case_event){
      .gen = header->gen,
      .hlc = header->hlc,
      .origin = commit->origin,
      .store = commit->store,
      .lane = commit->lane,
      .seq = commit->seq,
      .index = index,
      .marked = marked,
      .withheld = !shown && record->hidden_count > 0,
      .up = header->up,
      .down_count = header->down_count,
      .down = header->down,
      .kind = header->kind,
      .body = shown ? body.value : bytes_view_of(NULL, 0),
      .subject = header->subject,
      .address = *address,
  };
  out->founding =
      out->gen == 1 && subject_is_founder(&header->subject, commit->origin.octets, header->hlc);
}

static int compare_u64(uint64_t a, uint64_t b)
{
  return (a > b) - (a < b);
}

static int compare_writer(const struct case_event *a, const struct case_event *b)
{
  int order = compare_u64(a->gen, b->gen);
  if (order == 0) {
    order = compare_u64(a->hlc, b->hlc);
  }
  return order != 0 ? order : memcmp(a->origin.octets, b->origin.octets, KEY_SIZE);
}

int case_event_compare(const struct case_event *a, const struct case_event *b)
{
  int order = compare_writer(a, b);
  if (order == 0) {
    order = memcmp(a->store.octets, b->store.octets, STORE_ID_SIZE);
  }
  if (order == 0) {
    order = compare_u64(a->lane, b->lane);
  }
  if (order == 0) {
    order = compare_u64(a->seq, b->seq);
  }
  return order != 0 ? order : compare_u64(a->index, b->index);
}

bool case_events_near(const struct case_event *a, const struct case_event *b)
{
  return compare_writer(a, b) == 0;
}

static int compare_for_sort(const void *a, const void *b)
{
  return case_event_compare((const struct case_event *)a, (const struct case_event *)b);
}

void case_events_sort(struct case_event *events, size_t count)
{
  if (count > 1) {
    qsort(events, count, sizeof(*events), compare_for_sort);
  }
}
