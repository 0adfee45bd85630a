/* Verify, of subjects: that refs lead to records, and that what is kept of a subject follows. */
#include "verify_state.h"

struct subject_text {
  char octets[SUBJECT_TEXT_SIZE];
};

static struct subject_text text_of(const struct subject *subject)
{
  struct subject_text text;

  subject_to_text(subject, text.octets);
  return text;
}

/* What a record says of the audience, copied out of its commit. */
struct voice {
  struct address author;
  struct record_header header; /* `down` in the arena; other views are gone */
  bool founder;
  bool counted; /* effective */
};

static enum status voice_read(struct verify *verify, const struct subject *subject,
                              const struct ref *ref, struct voice *out)
{
  const struct commit *commit;
  struct log_head head;
  const void *down;
  size_t place;
  enum status status = commit_parsed(verify->txn, ref->log, ref->seq, &commit);

  if (status == STATUS_OK)
    status = log_get(verify->txn, ref->log, &head);
  if (status != STATUS_OK)
    return status;
  if (!commit_place(commit, ref->index, &place) ||
      memcmp(commit->records[place].header.subject.octets, subject->octets, SUBJECT_SIZE) != 0)
    return STATUS_NOT_FOUND;
  *out = (struct voice){.author = head.address, .header = commit->records[place].header};
  down = arena_copy(&verify->arena, out->header.down.data, out->header.down.size);
  if (down == NULL && out->header.down.size > 0)
    return STATUS_NO_MEMORY;
  out->header.down.data = down;
  out->founder = subject_is_founder(subject, head.id.origin.octets, out->header.hlc);
  return STATUS_OK;
}

/* The least fixed point over all records, from nothing. */
static enum status voices_settle(struct voice *voices, size_t count, struct audience *set)
{
  bool again = true;
  bool effective;
  bool grew;
  unsigned refused;
  enum status status = STATUS_OK;

  for (size_t i = 0; i < count && set->count == 0 && status == STATUS_OK; i++) {
    if (voices[i].founder)
      status = audience_found(set, &voices[i].author);
  }
  while (again && status == STATUS_OK) {
    again = false;
    for (size_t i = 0; i < count && status == STATUS_OK; i++) {
      if (voices[i].counted)
        continue;
      grew = false;
      status = audience_add_record(set, &voices[i].author, &voices[i].header, &effective, &refused,
                                   &grew);
      if (status == STATUS_TOO_LARGE)
        status = STATUS_OK;
      voices[i].counted = effective;
      again = again || grew;
    }
  }
  return status;
}

static bool audiences_equal(const struct audience *a, const struct audience *b)
{
  if (a->count != b->count)
    return false;
  for (size_t i = 0; i < a->count; i++) {
    if (a->entries[i].subtree != b->entries[i].subtree ||
        !address_equal(&a->entries[i].address, &b->entries[i].address))
      return false;
  }
  return true;
}

static void row_check(struct verify *verify, const struct subject *subject,
                      const struct subject_row *row, const struct voice *voices)
{
  struct subject_text text = text_of(subject);
  uint32_t gen_max = 0;
  bool founded = false;

  for (size_t i = 0; i < row->records; i++) {
    if (voices[i].header.gen > gen_max)
      gen_max = voices[i].header.gen;
    founded = founded || voices[i].founder;
  }
  if (row->flags & SUBJECT_TRIMMED)
    return; /* what gave these may be gone */
  if (gen_max != row->gen_max)
    verify_find(verify, "subject %s: highest gen is %u, kept is %u", text.octets, gen_max,
                row->gen_max);
  if (founded != ((row->flags & SUBJECT_FOUNDED) != 0))
    verify_find(verify, "subject %s: whether it is founded is kept wrong", text.octets);
}

static enum status audience_check(struct verify *verify, const struct subject *subject,
                                  const struct subject_row *row, const struct ref *refs,
                                  struct voice *voices)
{
  struct audience set = {0};
  struct audience kept = {0};
  struct subject_text text = text_of(subject);
  enum status status = audience_load(verify->txn, row->audience, &kept);

  /* Where records are gone, those left must add nobody to what is kept. */
  if (status == STATUS_OK && (row->flags & SUBJECT_TRIMMED))
    status = audience_load(verify->txn, row->audience, &set);
  if (status == STATUS_OK)
    status = voices_settle(voices, row->records, &set);
  if (status == STATUS_OK && !audiences_equal(&set, &kept))
    verify_find(verify, "subject %s: its audience is not what its records give", text.octets);
  for (size_t i = 0; i < row->records && status == STATUS_OK; i++) {
    if (voices[i].counted == ((refs[i].flags & REF_MARKED) != 0))
      verify_find(verify, "subject %s record %zu: its mark is wrong", text.octets, i + 1);
  }
  audience_close(&set);
  audience_close(&kept);
  if (status == STATUS_CORRUPT) {
    verify_find(verify, "subject %s: its audience is damaged", text.octets);
    status = STATUS_OK;
  }
  return status;
}

static enum status subject_check(struct verify *verify, const struct subject *subject,
                                 const struct subject_row *row)
{
  struct subject_text text = text_of(subject);
  struct ref *refs = NULL;
  struct voice *voices;
  bool whole = true;
  enum status status;

  arena_reset(&verify->arena);
  status = subject_refs_load(verify->txn, subject, row, &verify->arena, &refs);
  if (status == STATUS_CORRUPT) {
    verify_find(verify, "subject %s: its list of records is damaged", text.octets);
    return STATUS_OK;
  }
  voices = arena_alloc(&verify->arena, ((size_t)row->records + 1) * sizeof(*voices));
  if (voices == NULL)
    return STATUS_NO_MEMORY;
  for (size_t i = 0; i < row->records && status == STATUS_OK; i++) {
    status = voice_read(verify, subject, &refs[i], &voices[i]);
    if (status != STATUS_NOT_FOUND && status != STATUS_CORRUPT)
      continue;
    verify_find(verify, "subject %s: log %u commit %llu record %u is not there", text.octets,
                refs[i].log, (unsigned long long)refs[i].seq, refs[i].index);
    whole = false;
    status = STATUS_OK;
  }
  verify->refs += row->records;
  if (status != STATUS_OK || !whole)
    return status;
  row_check(verify, subject, row, voices);
  return audience_check(verify, subject, row, refs, voices);
}

enum status verify_subjects(struct verify *verify)
{
  struct subject_row row;
  struct subject subject;
  struct walk walk;
  enum status status = db_walk_open(verify->txn, TABLE_SUBJECTS, &walk);

  if (status == STATUS_OK)
    status = db_walk_from(&walk, NULL, 0);
  while (status == STATUS_OK) {
    verify->report->subjects++;
    if (walk.key.size != SUBJECT_SIZE || !layout_subject_read(walk.value, &row)) {
      verify_find(verify, "subjects: row %llu is damaged",
                  (unsigned long long)verify->report->subjects);
    } else {
      memcpy(subject.octets, walk.key.data, SUBJECT_SIZE);
      status = subject_check(verify, &subject, &row);
    }
    if (status == STATUS_OK)
      status = db_walk_next(&walk);
  }
  db_walk_close(&walk);
  return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}
