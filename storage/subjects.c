/* Subjects as commands read them. */
#include "storage/subjects.h"

#include "state.h"

static struct subject_info info_of(const struct subject *subject, const struct subject_row *row)
{
  return (struct subject_info){
      .subject = *subject,
      .gen_max = row->gen_max,
      .records = row->records,
      .founded = row->flags & SUBJECT_FOUNDED,
  };
}

enum status store_subject_get(const struct store_txn *txn, const struct subject *subject,
                              struct subject_info *out)
{
  struct subject_row row;
  enum status status = subject_row_get(txn, subject, &row);

  if (status == STATUS_OK)
    *out = info_of(subject, &row);
  return status;
}

enum status store_subject_audience(const struct store_txn *txn, const struct subject *subject,
                                   struct audience *out)
{
  struct subject_row row;
  enum status status = subject_row_get(txn, subject, &row);

  *out = (struct audience){0};
  if (status == STATUS_OK)
    status = audience_load(txn, row.audience, out);
  if (status != STATUS_OK)
    audience_close(out);
  return status;
}

/* Places the walk on the first subject past `from`. */
static enum status each_start(struct walk *walk, const struct subject *from, bool descending)
{
  enum status status;

  if (from == NULL)
    return descending ? db_walk_last(walk) : db_walk_from(walk, NULL, 0);
  status = db_walk_from(walk, from->octets, SUBJECT_SIZE);
  if (descending)
    return status == STATUS_NOT_FOUND ? db_walk_last(walk)
           : status == STATUS_OK      ? db_walk_back(walk)
                                      : status;
  if (status == STATUS_OK && walk->key.size == SUBJECT_SIZE &&
      memcmp(walk->key.data, from->octets, SUBJECT_SIZE) == 0)
    return db_walk_next(walk);
  return status;
}

enum status store_subject_each(const struct store_txn *txn, const struct subject *from,
                               bool descending,
                               bool (*visit)(void *context, const struct subject_info *info),
                               void *context)
{
  struct subject_row row;
  struct subject_info info;
  struct subject subject;
  struct walk walk;
  enum status status = db_walk_open(txn, TABLE_SUBJECTS, &walk);

  if (status == STATUS_OK)
    status = each_start(&walk, from, descending);
  while (status == STATUS_OK) {
    if (walk.key.size != SUBJECT_SIZE || !layout_subject_read(walk.value, &row)) {
      status = STATUS_CORRUPT;
      break;
    }
    memcpy(subject.octets, walk.key.data, SUBJECT_SIZE);
    info = info_of(&subject, &row);
    if (!visit(context, &info))
      break;
    status = descending ? db_walk_back(&walk) : db_walk_next(&walk);
  }
  db_walk_close(&walk);
  return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}

enum status held_record_read(const struct store_txn *txn, const struct ref *ref,
                             struct arena *arena, struct held_record *out)
{
  const struct commit *commit;
  struct commit_value value;
  struct log_head head;
  const void *copy;
  size_t place;
  enum status status = commit_parsed(txn, ref->log, ref->seq, &commit);

  if (status == STATUS_OK)
    status = commit_value_get(txn, ref->log, ref->seq, &value);
  if (status == STATUS_OK)
    status = log_get(txn, ref->log, &head);
  if (status != STATUS_OK || !commit_place(commit, ref->index, &place))
    return status == STATUS_OK || status == STATUS_NOT_FOUND ? STATUS_CORRUPT : status;
  copy = arena_copy(arena, commit->records[place].octets.data, commit->records[place].octets.size);
  if (copy == NULL)
    return STATUS_NO_MEMORY;
  if (record_read(bytes_view_of(copy, commit->records[place].octets.size), &out->record) !=
      STATUS_OK)
    return STATUS_CORRUPT;
  out->ref = (struct record_ref){ref->log, ref->seq, ref->index, ref->flags & REF_MARKED};
  out->commit = commit->header;
  out->commit_id = value.id;
  out->origin = head.address;
  out->arrived_at = value.arrived_at;
  return STATUS_OK;
}

enum status store_subject_records(const struct store_txn *txn, const struct subject *subject,
                                  struct arena *arena,
                                  bool (*visit)(void *context, const struct held_record *record),
                                  void *context)
{
  struct subject_row row;
  struct held_record held;
  struct ref *refs = NULL;
  enum status status = subject_row_get(txn, subject, &row);

  if (status == STATUS_OK)
    status = subject_refs_load(txn, subject, &row, arena, &refs);
  for (size_t i = 0; status == STATUS_OK && i < row.records; i++) {
    status = held_record_read(txn, &refs[i], arena, &held);
    if (status == STATUS_OK && !visit(context, &held))
      break;
  }
  return status;
}
