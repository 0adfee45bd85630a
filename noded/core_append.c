/*
 * Records of our own: all that wait become commits, one a lane where they fit, each under one
 * signature, in the turn's transaction.
 */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "noded/core_internal.h"
#include "storage/subjects.h"

bool append_waits(const struct core *core)
{
  return core->append_first != NULL;
}

void core_append(struct core *core, struct core_append *append)
{
  append->next = NULL;
  if (core->append_first == NULL) {
    core->append_first = append;
  } else {
    core->append_last->next = append;
  }
  core->append_last = append;
  core_wake(core);
}

static enum status refuse(struct core_append *append, size_t at, enum status status,
                          const char *why)
{
  append->bad = at;
  if (append->count > 1) {
    snprintf(append->reason, sizeof(append->reason), "record %zu: %s", at + 1, why);
  } else {
    snprintf(append->reason, sizeof(append->reason), "%s", why);
  }
  return status;
}

/* ---- may this be written? ---- */

static bool target_allowed(const struct core *core, const struct audience *audience,
                           const struct address *target)
{
  const struct address *self = &core->identity->address;
  return address_within(target, self) || address_within(self, target) ||
         (audience != NULL && audience_has_writer(audience, target));
}

static enum status check_targets(const struct core *core, struct core_append *append, size_t at,
                                 const struct audience *audience)
{
  const struct core_draft *draft = &append->drafts[at];
  for (unsigned i = 0; i < draft->down_count; i++) {
    struct address target;
    bool subtree;
    char why[220];
    if (address_parse_target(bytes_view_text(draft->down[i]), &target, &subtree) != STATUS_OK) {
      snprintf(why, sizeof(why), "'%.90s' is not an address", draft->down[i]);
      return refuse(append, at, STATUS_INVALID_ARGUMENT, why);
    }
    bool allowed = subtree ? address_within(&target, &core->identity->address)
                           : target_allowed(core, audience, &target);
    if (!allowed) {
      snprintf(why, sizeof(why), "%.90s is outside of what %.60s may assign to", draft->down[i],
               core->identity->address.text);
      return refuse(append, at, STATUS_NOT_ALLOWED, why);
    }
  }
  return STATUS_OK;
}

static enum status check_member(struct core *core, const struct store_txn *txn,
                                struct core_append *append, size_t at)
{
  const struct core_draft *draft = &append->drafts[at];
  struct audience audience = {0};
  enum status status = store_subject_audience(txn, &draft->subject, &audience);
  if (status == STATUS_NOT_FOUND) {
    return refuse(append, at, status, "no such case here");
  }
  if (status == STATUS_OK && !audience_has_writer(&audience, &core->identity->address)) {
    status = refuse(append, at, STATUS_NOT_ALLOWED, "this node is not concerned with that case");
  }
  if (status == STATUS_OK) {
    status = check_targets(core, append, at, &audience);
  }
  audience_close(&audience);
  return status;
}

/* ---- writing ---- */

static struct commit_builder *builder_of(struct core *core, unsigned lane)
{
  if (core->builders == NULL) {
    core->builders = calloc(LANE_COUNT, sizeof(*core->builders));
    core->builder_subjects =
        calloc((size_t)LANE_COUNT * COMMIT_RECORDS_MAX, sizeof(*core->builder_subjects));
    core->builder_appended =
        calloc((size_t)LANE_COUNT * COMMIT_RECORDS_MAX, sizeof(struct core_appended *));
    if (core->builders == NULL || core->builder_subjects == NULL ||
        core->builder_appended == NULL) {
      return NULL;
    }
  }
  return &core->builders[lane];
}

static struct subject *subjects_of(const struct core *core, unsigned lane)
{
  return core->builder_subjects + (size_t)lane * COMMIT_RECORDS_MAX;
}

static struct core_appended **appended_of(const struct core *core, unsigned lane)
{
  return core->builder_appended + (size_t)lane * COMMIT_RECORDS_MAX;
}

static void fill_header(const struct core *core, unsigned lane, struct commit_header *header)
{
  struct log_head head;
  struct log_id id = {core->identity->key, store_identity(core->store)->store, (uint8_t)lane};
  memset(header, 0, sizeof(*header));
  header->origin = id.origin;
  header->store = id.store;
  header->lane = (uint8_t)lane;
  header->seq = 1;
  header->certificate = core->identity->certificate;
  if (store_log_find(core->store, &id, &head)) {
    header->seq = head.seq + 1;
    header->prev = head.commit_id;
    return;
  }
  /* The first of a store that was put back goes on from what was written before it (DESIGN
   * section 3, `prev`). */
  id.store = core->previous;
  if (core->has_previous && store_log_find(core->store, &id, &head)) {
    header->prev = head.commit_id;
  }
}

static enum status finish_commit(struct core *core, struct store_txn *txn, unsigned lane)
{
  struct commit_builder *builder = &core->builders[lane];
  struct commit_header header;
  struct commit commit;
  struct applied applied = {0};
  struct bytes octets = {0};
  if (builder->count == 0) {
    return STATUS_OK;
  }
  fill_header(core, lane, &header);
  header.hlc = core->hlc.last;
  uint16_t count = builder->count;
  for (unsigned i = 0; i < count; i++) {
    appended_of(core, lane)[i]->seq = header.seq;
    appended_of(core, lane)[i]->index = (uint8_t)i;
  }
  enum status status =
      commit_builder_finish(builder, &header, core->identity->secret_key, &octets, NULL);
  commit_builder_reset(builder);
  if (status == STATUS_OK) {
    enum verdict verdict = commit_read_trusted(bytes_as_view(&octets), &core->arena, &commit);
    CHECK(verdict == VERDICT_OK);
    status = store_commit_apply(txn, &commit, (struct bytes_view){0}, &applied);
    CHECK(status != STATUS_OK || applied.verdict == VERDICT_OK);
    core->figures.records_own += status == STATUS_OK ? count : 0;
    core->records_held += applied.records_new;
  }
  bytes_close(&octets);
  return status;
}

/* A subject whose earlier record still waits in a builder isn't in the store yet. */
static enum status settle_subject(struct core *core, struct store_txn *txn,
                                  const struct subject *subject)
{
  for (unsigned lane = 0; lane < LANE_COUNT && core->builders != NULL; lane++) {
    const struct subject *subjects = subjects_of(core, lane);
    for (unsigned i = 0; i < core->builders[lane].count; i++) {
      if (memcmp(&subjects[i], subject, sizeof(*subject)) == 0) {
        enum status status = finish_commit(core, txn, lane);
        if (status != STATUS_OK) {
          return status;
        }
        break;
      }
    }
  }
  return STATUS_OK;
}

static void fill_salt(struct core *core, uint8_t salt[SALT_SIZE])
{
  if (core->salts_left < SALT_SIZE) {
    randombytes_buf(core->salts, sizeof(core->salts));
    core->salts_left = sizeof(core->salts);
  }
  uint8_t *from = core->salts + sizeof(core->salts) - core->salts_left;
  memcpy(salt, from, SALT_SIZE);
  sodium_memzero(from, SALT_SIZE);
  core->salts_left -= SALT_SIZE;
}

/* A draft as encoded in the scratch buffer. */
struct written {
  size_t end; /* of its octets in the buffer */
  size_t size_max;
  uint8_t see_all;
  struct hash leaf;
};

/* Encodes one draft at the end of the scratch buffer. */
static enum status write_record(struct core *core, struct core_append *append, size_t at,
                                struct written *written)
{
  struct record read;
  const struct core_draft *draft = &append->drafts[at];
  const struct core_appended *appended = &append->appended[at];
  struct item_draft items[RECORD_ITEMS_MAX];
  if (draft->item_count > RECORD_ITEMS_MAX || draft->lane > LANE_BULK) {
    return refuse(append, at, STATUS_INVALID_ARGUMENT, "too many items, or no such lane");
  }
  for (unsigned i = 0; i < draft->item_count; i++) {
    items[i] = draft->items[i];
    fill_salt(core, items[i].salt);
  }
  struct record_draft record = {
      .kind = draft->kind,
      .subject = appended->subject,
      .gen = appended->gen,
      .hlc = appended->hlc,
      .up = draft->up,
      .down_count = draft->down_count,
      .down = draft->down,
      .author = draft->author,
      .item_count = draft->item_count,
      .items = items,
  };
  enum status status = record_write_leaf(&record, &core->scratch, &read, &written->leaf);
  written->end = core->scratch.size;
  written->size_max = read.size_max;
  written->see_all = read.see_all;
  if (status == STATUS_INVALID_ARGUMENT || status == STATUS_TOO_LARGE) {
    return refuse(append, at, status,
                  status == STATUS_TOO_LARGE ? "the record is larger than 32 KiB"
                                             : "the record is not well formed");
  }
  return status;
}

static enum status add_record(struct core *core, struct store_txn *txn, struct core_append *append,
                              size_t at, struct bytes_view octets, const struct written *written)
{
  unsigned lane = append->drafts[at].lane;
  struct commit_builder *builder = builder_of(core, lane);
  if (builder == NULL) {
    return STATUS_NO_MEMORY;
  }
  enum status status = commit_builder_add_written(builder, octets, written->size_max,
                                                  written->see_all, &written->leaf);
  if (status == STATUS_TOO_LARGE) {
    status = finish_commit(core, txn, lane);
    if (status == STATUS_OK) {
      status = commit_builder_add_written(builder, octets, written->size_max, written->see_all,
                                          &written->leaf);
    }
  }
  if (status == STATUS_OK) {
    subjects_of(core, lane)[builder->count - 1] = append->appended[at].subject;
    appended_of(core, lane)[builder->count - 1] = &append->appended[at];
  }
  return status;
}

/* 1 + the highest gen seen: in the store, and in this request before the draft. */
static enum status next_gen(struct core *core, struct store_txn *txn, struct core_append *append,
                            size_t at)
{
  const struct subject *subject = &append->drafts[at].subject;
  struct subject_info info = {0};
  enum status status = settle_subject(core, txn, subject);
  if (status == STATUS_OK) {
    status = check_member(core, txn, append, at);
  }
  if (status == STATUS_OK) {
    status = store_subject_get(txn, subject, &info);
  }
  uint32_t gen = info.gen_max + 1;
  for (size_t i = 0; i < at; i++) {
    const struct core_appended *before = &append->appended[i];
    if (before->gen >= gen && memcmp(&before->subject, subject, sizeof(*subject)) == 0) {
      gen = before->gen + 1;
    }
  }
  if (status == STATUS_OK && gen > RECORD_GEN_MAX) {
    return refuse(append, at, STATUS_TOO_LARGE, "the case has too many generations");
  }
  append->appended[at].gen = gen;
  append->appended[at].subject = *subject;
  return status;
}

static enum status encode_draft(struct core *core, struct store_txn *txn,
                                struct core_append *append, size_t at, struct written *written)
{
  const struct core_draft *draft = &append->drafts[at];
  struct core_appended *appended = &append->appended[at];
  enum status status = STATUS_OK;
  memset(appended, 0, sizeof(*appended));
  appended->hlc = clock_hlc_next(&core->hlc, core_now().wall);
  if (draft->found) {
    appended->gen = 1;
    appended->subject = subject_found(core->identity->key.octets, appended->hlc);
    if (draft->down_count > 0) {
      status = check_targets(core, append, at, NULL);
    }
  } else {
    status = next_gen(core, txn, append, at);
  }
  return status == STATUS_OK ? write_record(core, append, at, written) : status;
}

/* All drafts are encoded, and refused if need be, before the first of them is written. */
static enum status run_one(struct core *core, struct store_txn *txn, struct core_append *append)
{
  struct written *written = arena_alloc(&core->arena, (append->count + 1) * sizeof(*written));
  if (written == NULL) {
    return STATUS_NO_MEMORY;
  }
  bytes_clear(&core->scratch);
  for (size_t i = 0; i < append->count; i++) {
    enum status status = encode_draft(core, txn, append, i, &written[i]);
    if (status != STATUS_OK) {
      return status;
    }
  }
  size_t at = 0;
  for (size_t i = 0; i < append->count; i++) {
    struct bytes_view octets = bytes_view_of(core->scratch.data + at, written[i].end - at);
    enum status status = add_record(core, txn, append, i, octets, &written[i]);
    CHECK(status != STATUS_MALFORMED && status != STATUS_TOO_LARGE);
    if (status != STATUS_OK) {
      return status;
    }
    at = written[i].end;
  }
  return STATUS_OK;
}

static bool is_refusal(enum status status)
{
  return status == STATUS_INVALID_ARGUMENT || status == STATUS_NOT_FOUND ||
         status == STATUS_NOT_ALLOWED || status == STATUS_TOO_LARGE;
}

static enum status settle_all(struct core *core, struct store_txn *txn)
{
  for (unsigned lane = 0; lane < LANE_COUNT && core->builders != NULL; lane++) {
    enum status status = finish_commit(core, txn, lane);
    if (status != STATUS_OK) {
      return status;
    }
  }
  return STATUS_OK;
}

enum status append_run(struct core *core, struct store_txn *txn)
{
  for (struct core_append *append = core->append_first; append != NULL; append = append->next) {
    append->bad = SIZE_MAX;
    append->reason[0] = '\0';
    if (!core->room) {
      snprintf(append->reason, sizeof(append->reason),
               "less than 5 %% of the disk or quota is free; nothing was written");
      append->state = STATUS_DISK_FULL;
      continue;
    }
    append->state = run_one(core, txn, append);
    if (append->state != STATUS_OK && !is_refusal(append->state)) {
      return append->state;
    }
  }
  return settle_all(core, txn);
}

static void number_log(struct core *core, struct core_append *append)
{
  for (size_t i = 0; i < append->count; i++) {
    struct log_head head;
    struct log_id id = {core->identity->key, store_identity(core->store)->store,
                        append->drafts[i].lane};
    append->appended[i].log = store_log_find(core->store, &id, &head) ? head.number : 0;
  }
}

void append_finish(struct core *core, enum status status)
{
  struct core_append *append = core->append_first;
  core->append_first = core->append_last = NULL;
  for (unsigned lane = 0; lane < LANE_COUNT && core->builders != NULL; lane++) {
    commit_builder_reset(&core->builders[lane]);
  }
  while (append != NULL) {
    struct core_append *next = append->next;
    enum status outcome = status == STATUS_OK ? append->state : status;
    if (outcome == STATUS_OK) {
      number_log(core, append);
    } else if (append->reason[0] == '\0') {
      snprintf(append->reason, sizeof(append->reason), "%s; nothing was written",
               status_text(outcome));
    }
    append->done(core, append, outcome);
    append = next;
  }
}

void append_close(struct core *core)
{
  append_finish(core, STATUS_CLOSED);
  for (unsigned lane = 0; lane < LANE_COUNT && core->builders != NULL; lane++) {
    commit_builder_close(&core->builders[lane]);
  }
  free(core->builders);
  free(core->builder_subjects);
  free(core->builder_appended);
  bytes_close(&core->scratch);
  sodium_memzero(core->salts, sizeof(core->salts));
}
