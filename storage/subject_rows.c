/* Subjects as rows: the packed value, and the chunks that its older refs move to. */
#include "state.h"

#define CHUNK_SIZE ((size_t)SUBJECT_CHUNK * REF_SIZE)

enum status subject_row_get(const struct store_txn *txn, const struct subject *subject,
                            struct subject_row *out)
{
  const struct counters *counters = &txn->store->counters;
  struct bytes_view value;
  enum status status = STATUS_NOT_FOUND;

  /* New subjects mostly lie above all others: then nothing needs to be looked up. */
  if (!txn->writes || (counters->subject_any &&
                       memcmp(subject->octets, counters->subject_last.octets, SUBJECT_SIZE) <= 0))
    status = db_get(txn, TABLE_SUBJECTS, subject->octets, SUBJECT_SIZE, &value);
  if (status == STATUS_OK)
    return layout_subject_read(value, out) ? STATUS_OK : STATUS_CORRUPT;
  out->audience = 0;
  out->gen_max = 0;
  out->records = 0;
  out->flags = 0;
  out->tail_count = 0;
  return status;
}

enum status subject_row_put(struct store_txn *txn, const struct subject *subject,
                            const struct subject_row *row)
{
  struct counters *counters = &txn->store->counters;
  uint8_t value[SUBJECT_VALUE_MAX];
  size_t size = layout_subject_write(row, value);

  if (counters->subject_any &&
      memcmp(subject->octets, counters->subject_last.octets, SUBJECT_SIZE) <= 0)
    return db_put(txn, TABLE_SUBJECTS, subject->octets, SUBJECT_SIZE, value, size);
  counters->subject_last = *subject;
  counters->subject_any = true;
  return db_append(txn, TABLE_SUBJECTS, subject->octets, SUBJECT_SIZE, value, size);
}

enum status subject_row_add(struct store_txn *txn, const struct subject *subject,
                            struct subject_row *row, const struct ref *ref, bool *full)
{
  uint8_t key[SUBJECT_REFS_KEY_SIZE];
  enum status status;

  *full = row->records == SUBJECT_RECORDS_MAX;
  if (*full)
    return STATUS_OK;
  if (row->tail_count == SUBJECT_CHUNK) {
    layout_subject_refs_key(subject, (uint16_t)(row->records / SUBJECT_CHUNK - 1), key);
    status = db_put(txn, TABLE_SUBJECT_REFS, key, sizeof(key), row->tail, CHUNK_SIZE);
    if (status != STATUS_OK)
      return status;
    row->tail_count = 0;
  }
  layout_ref_write(ref, row->tail + (size_t)row->tail_count * REF_SIZE);
  row->tail_count++;
  row->records++;
  return STATUS_OK;
}

static size_t chunk_count(const struct subject_row *row)
{
  return ((size_t)row->records - row->tail_count) / SUBJECT_CHUNK;
}

static enum status chunk_get(const struct store_txn *txn, const struct subject *subject,
                             size_t chunk, const uint8_t **octets)
{
  struct bytes_view value;
  uint8_t key[SUBJECT_REFS_KEY_SIZE];
  enum status status;

  layout_subject_refs_key(subject, (uint16_t)chunk, key);
  status = db_get(txn, TABLE_SUBJECT_REFS, key, sizeof(key), &value);
  if (status == STATUS_NOT_FOUND || (status == STATUS_OK && value.size != CHUNK_SIZE))
    return STATUS_CORRUPT;
  *octets = value.data;
  return status;
}

enum status subject_refs_load(const struct store_txn *txn, const struct subject *subject,
                              const struct subject_row *row, struct arena *arena, struct ref **refs)
{
  struct ref *all = arena_alloc(arena, ((size_t)row->records + 1) * sizeof(*all));
  const uint8_t *octets = NULL;
  size_t count = 0;
  enum status status;

  if (all == NULL)
    return STATUS_NO_MEMORY;
  for (size_t chunk = 0; chunk < chunk_count(row); chunk++) {
    status = chunk_get(txn, subject, chunk, &octets);
    if (status != STATUS_OK)
      return status;
    for (size_t i = 0; i < SUBJECT_CHUNK; i++)
      all[count++] = layout_ref_read(octets + i * REF_SIZE);
  }
  for (size_t i = 0; i < row->tail_count; i++)
    all[count++] = layout_ref_read(row->tail + i * REF_SIZE);
  *refs = all;
  return STATUS_OK;
}

enum status subject_refs_save(struct store_txn *txn, const struct subject *subject,
                              struct subject_row *row, const struct ref *refs)
{
  uint8_t chunk_octets[CHUNK_SIZE];
  uint8_t key[SUBJECT_REFS_KEY_SIZE];
  const uint8_t *held = NULL;
  size_t chunks = chunk_count(row);
  enum status status;

  for (size_t chunk = 0; chunk < chunks; chunk++) {
    status = chunk_get(txn, subject, chunk, &held);
    if (status != STATUS_OK)
      return status;
    for (size_t i = 0; i < SUBJECT_CHUNK; i++)
      layout_ref_write(&refs[chunk * SUBJECT_CHUNK + i], chunk_octets + i * REF_SIZE);
    if (memcmp(held, chunk_octets, CHUNK_SIZE) == 0)
      continue;
    layout_subject_refs_key(subject, (uint16_t)chunk, key);
    status = db_put(txn, TABLE_SUBJECT_REFS, key, sizeof(key), chunk_octets, CHUNK_SIZE);
    if (status != STATUS_OK)
      return status;
  }
  for (size_t i = 0; i < row->tail_count; i++)
    layout_ref_write(&refs[chunks * SUBJECT_CHUNK + i], row->tail + i * REF_SIZE);
  return STATUS_OK;
}

static bool refs_find(const uint8_t *octets, size_t count, const struct ref *like, bool *marked)
{
  for (size_t i = 0; i < count; i++) {
    struct ref ref = layout_ref_read(octets + i * REF_SIZE);
    if (ref.log == like->log && ref.seq == like->seq && ref.index == like->index) {
      *marked = ref.flags & REF_MARKED;
      return true;
    }
  }
  return false;
}

enum status subject_ref_find(const struct store_txn *txn, const struct subject *subject,
                             const struct subject_row *row, const struct ref *like, bool *found,
                             bool *marked)
{
  const uint8_t *octets = NULL;

  *found = refs_find(row->tail, row->tail_count, like, marked);
  for (size_t chunk = chunk_count(row); chunk > 0 && !*found; chunk--) {
    enum status status = chunk_get(txn, subject, chunk - 1, &octets);
    if (status != STATUS_OK)
      return status;
    *found = refs_find(octets, SUBJECT_CHUNK, like, marked);
  }
  return STATUS_OK;
}

enum status subject_refs_replace(struct store_txn *txn, const struct subject *subject,
                                 struct subject_row *row, const struct ref *refs, size_t count)
{
  size_t chunks = chunk_count(row);
  uint8_t key[SUBJECT_REFS_KEY_SIZE];
  bool full;
  enum status status = STATUS_OK;

  CHECK(count <= row->records);
  row->records = 0;
  row->tail_count = 0;
  for (size_t i = 0; i < count && status == STATUS_OK; i++)
    status = subject_row_add(txn, subject, row, &refs[i], &full);
  for (size_t chunk = chunk_count(row); chunk < chunks && status == STATUS_OK; chunk++) {
    layout_subject_refs_key(subject, (uint16_t)chunk, key);
    status = db_delete(txn, TABLE_SUBJECT_REFS, key, sizeof(key));
  }
  return status;
}
