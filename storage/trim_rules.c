#include "trim_rules.h"

bool trim_way_sees(const struct store *store, unsigned see, const struct address *top)
{
  struct address at = store->identity.address;

  if (!address_within(&at, top) || address_equal(&at, top))
    return false;
  while (address_parent(&at, &at) && at.size > 0) {
    if ((address_class(&at) & see) == 0)
      return false;
    if (address_equal(&at, top))
      return true;
  }
  return false;
}

unsigned trim_above_count(const struct store *store, unsigned see)
{
  struct address at = store->identity.address;
  unsigned count = 0;

  while (address_parent(&at, &at) && at.size > 0 && (address_class(&at) & see) != 0)
    count++;
  return count;
}

bool trim_place_may_go(const struct store *store, const struct log_slot *slot, uint64_t seq,
                       uint64_t floor, bool all_shown)
{
  if (!store->has_parent || seq >= slot->seq)
    return false;
  return !log_flows_up(store, slot) || (all_shown && seq <= floor + 1);
}

static bool kind_begins(struct bytes_view kind, const char *prefix)
{
  size_t size = strlen(prefix);

  return kind.size >= size && memcmp(kind.data, prefix, size) == 0;
}

bool trim_kind_stays(struct bytes_view kind)
{
  return kind_begins(kind, "policy.") ||
         (kind_begins(kind, "node.") && !bytes_view_equal(kind, bytes_view_text("node.certify")));
}

bool trim_may_go(const struct store *store, const struct log_slot *slot, uint64_t seq, unsigned see)
{
  return store->has_parent ? trim_above_count(store, see) >= TRIM_HOLDERS_NEEDED
                           : seq <= slot->backed;
}

enum status trim_subject_rests(const struct store_txn *txn, const struct subject *subject,
                               struct wall_ms before, bool *rests)
{
  struct subject_row row;
  struct commit_value value;
  struct ref last;
  enum status status = subject_row_get(txn, subject, &row);

  *rests = false;
  if (status == STATUS_OK && row.tail_count == 0)
    status = STATUS_CORRUPT; /* the record at hand is one of its own */
  if (status != STATUS_OK)
    return status == STATUS_NOT_FOUND ? STATUS_CORRUPT : status;
  last = layout_ref_read(row.tail + (size_t)(row.tail_count - 1) * REF_SIZE);
  status = commit_value_get(txn, last.log, last.seq, &value);
  if (status != STATUS_OK)
    return status == STATUS_NOT_FOUND ? STATUS_CORRUPT : status;
  *rests = value.arrived_at.ms < before.ms;
  return STATUS_OK;
}
