#include <stdio.h>
#include <string.h>

#include "casework/case_fold.h"
#include "record/check.h"

struct address case_home(const struct address *founder)
{
  struct address home = *founder;
  if (home.unit) {
    CHECK(address_parent(&home, &home));
  }
  if (address_tier(&home) == TIER_GRID) {
    CHECK(address_parent(&home, &home));
  }
  return home;
}

/* Everyone who was ever concerned is in the audience already and stays; only three kinds of event
 * bring somebody in. */
struct case_reach case_event_reach(const struct case_fold *fold, enum case_step step,
                                   const struct address *writer)
{
  struct address home = case_home(writer);
  unsigned tier = address_tier(&fold->desk);
  switch (step) {
  case CASE_STEP_REPORT:
    return (struct case_reach){(uint8_t)(address_equal(&home, writer) ? 0 : address_tier(&home)),
                               false};
  case CASE_STEP_ESCALATE:
    return (struct case_reach){(uint8_t)(tier < TIER_DISTRICT ? tier + 1 : TIER_DISTRICT), false};
  case CASE_STEP_DISPATCH:
  case CASE_STEP_TRANSFER:
  case CASE_STEP_AMEND:
    return (struct case_reach){0, true};
  default:
    return (struct case_reach){0, false};
  }
}

void case_outcome_text(const struct case_outcome *outcome, char out[CASE_OUTCOME_TEXT_MAX])
{
  if (outcome->reason == CASE_NOT_ALLOWED) {
    snprintf(out, CASE_OUTCOME_TEXT_MAX, "only %s can do this; ask there, or urge",
             case_table_who_text(outcome->step));
  } else {
    snprintf(out, CASE_OUTCOME_TEXT_MAX, "%s", case_reason_text(outcome->reason));
  }
}

static bool seen_before(const struct subject *seen, unsigned count, const struct subject *subject,
                        unsigned *at)
{
  for (unsigned i = 0; i < count; i++) {
    if (memcmp(seen[i].octets, subject->octets, SUBJECT_SIZE) == 0) {
      *at = i;
      return true;
    }
  }
  return false;
}

struct subject case_merged_end(struct subject subject,
                               bool (*next)(void *context, const struct subject *of,
                                            struct subject *into),
                               void *context)
{
  struct subject seen[CASE_MERGES_MAX];
  struct subject into;
  unsigned count = 0, at = 0;
  while (count < CASE_MERGES_MAX) {
    seen[count++] = subject;
    if (!next(context, &subject, &into)) {
      return subject;
    }
    subject = into;
    if (!seen_before(seen, count, &subject, &at)) {
      continue;
    }
    for (unsigned i = at; i < count; i++) {
      if (memcmp(seen[i].octets, subject.octets, SUBJECT_SIZE) < 0) {
        subject = seen[i];
      }
    }
    return subject;
  }
  return subject;
}

static void write_address(struct writer *writer, const struct address *address)
{
  writer_str(writer, bytes_view_of(address->text, address->size));
}

static void write_times(struct writer *writer, const struct case_fold *fold)
{
  const uint64_t numbers[] = {
      fold->reported_hlc, fold->changed_hlc,   fold->accepted_hlc,    fold->dispatched_hlc,
      fold->taken_hlc,    fold->suspended_hlc, fold->resolved_hlc,    fold->closed_hlc,
      fold->urges,        fold->reopens,       fold->returns,         fold->transfers,
      fold->escalations,  fold->supervisions,  fold->score,           fold->policy,
      fold->extension,    fold->extensions,    fold->extension_until,
  };
  size_t count = sizeof(numbers) / sizeof(numbers[0]);
  writer_array(writer, (uint32_t)count);
  for (size_t i = 0; i < count; i++) {
    writer_uint(writer, numbers[i]);
  }
}

static void write_last(struct writer *writer, const struct case_fold *fold)
{
  const struct case_event *last = &fold->last;
  writer_array(writer, 9);
  writer_uint(writer, fold->last_hlc);
  writer_uint(writer, last->gen);
  writer_uint(writer, last->hlc);
  writer_bin(writer, last->origin.octets, KEY_SIZE);
  writer_bin(writer, last->store.octets, STORE_ID_SIZE);
  writer_uint(writer, last->lane);
  writer_uint(writer, last->seq);
  writer_uint(writer, last->index);
  writer_bin(writer, fold->twins, fold->twin_count * sizeof(fold->twins[0]));
}

enum status case_fold_write(const struct case_fold *fold, struct bytes *out)
{
  struct writer writer;
  writer_init(&writer, out);
  writer_array(&writer, 19);
  writer_uint(&writer, 1);
  writer_uint(&writer, fold->state);
  writer_uint(&writer, fold->suspended_from);
  writer_uint(&writer, fold->count);
  writer_uint(&writer, fold->effective);
  writer_uint(&writer, fold->clocks_back);
  writer_bin(&writer, fold->subject.octets, SUBJECT_SIZE);
  write_address(&writer, &fold->founder);
  write_address(&writer, &fold->home);
  write_address(&writer, &fold->desk);
  write_address(&writer, &fold->handler);
  write_times(&writer, fold);
  write_address(&writer, &fold->extension_by);
  writer_bool(&writer, fold->report_withheld);
  writer_bin(&writer, fold->merged_into.octets, fold->merged_known ? SUBJECT_SIZE : 0);
  writer_bin(&writer, fold->links, fold->link_count * sizeof(fold->links[0]));
  writer_str(&writer, bytes_view_of(fold->category, fold->category_size));
  writer_str(&writer, bytes_view_of(fold->place, fold->place_size));
  write_last(&writer, fold);
  return writer_finish(&writer);
}
