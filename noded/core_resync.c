/*
 * What must be sent again to a neighbour whose cursor doesn't stand: its heads are compared with
 * what we would have shown it. That reads whole logs, so it is done a piece a turn, several
 * neighbours taking turns. The cursor that it adopts in the end is where its outbox ended when the
 * comparison was begun: what changes meanwhile has a later place there.
 */
#include <stdlib.h>
#include <string.h>

#include "noded/core_internal.h"
#include "noded/log.h"

#define COMMITS_A_TURN 1000 /* some milliseconds */
#define LOGS_A_TURN 4096

struct resync {
  struct resync *next;
  uint16_t neighbour;
  uint32_t generation;
  struct heads_entry *heads; /* the neighbour's, `head_count` of them */
  size_t head_count;
  struct link_cursor cursors[LANE_COUNT];
  uint32_t number;                /* of the log at hand; 0: none yet */
  const struct heads_entry *held; /* what the neighbour says of it, while it is digested */
  struct log_digest digest;
  struct repl_replay *replays;
  size_t replay_count;
  size_t replay_capacity;
};

static void job_free(struct resync *job)
{
  free(job->heads);
  free(job->replays);
  free(job);
}

/* One a neighbour: what an earlier connection asked for is void. */
static void drop_of(struct core *core, uint16_t neighbour)
{
  struct resync **at = &core->resync_first;
  while (*at != NULL) {
    struct resync *job = *at;
    if (job->neighbour == neighbour) {
      *at = job->next;
      job_free(job);
    } else {
      at = &job->next;
    }
  }
}

static void append(struct core *core, struct resync *job)
{
  struct resync **at = &core->resync_first;
  while (*at != NULL) {
    at = &(*at)->next;
  }
  job->next = NULL;
  *at = job;
}

static void fill_cursors(const struct core *core, struct resync *job)
{
  const struct neighbour *row = store_neighbour(core->store, job->neighbour);
  for (unsigned lane = 0; lane < LANE_COUNT; lane++) {
    job->cursors[lane].store = store_identity(core->store)->store;
    job->cursors[lane].position = row->lanes[lane].end_position;
    memcpy(job->cursors[lane].tag, row->lanes[lane].end_tag, sizeof(job->cursors[lane].tag));
  }
}

static int entry_compare(const void *a, const void *b)
{
  const struct log_name *x = &((const struct heads_entry *)a)->log;
  const struct log_name *y = &((const struct heads_entry *)b)->log;
  int order = memcmp(x->origin.octets, y->origin.octets, KEY_SIZE);
  order = order != 0 ? order : memcmp(x->store.octets, y->store.octets, STORE_ID_SIZE);
  return order != 0 ? order : (int)x->lane - (int)y->lane;
}

void resync_add(struct core *core, struct repl_effect *effect)
{
  struct resync *job = calloc(1, sizeof(*job));
  drop_of(core, effect->neighbour);
  if (job == NULL) {
    core->broken = true;
    return;
  }
  job->neighbour = effect->neighbour;
  job->generation = effect->generation;
  job->heads = effect->heads;
  job->head_count = effect->count;
  effect->heads = NULL; /* ours now */
  if (job->head_count > 1) {
    qsort(job->heads, job->head_count, sizeof(*job->heads), entry_compare);
  }
  fill_cursors(core, job);
  append(core, job);
  core_wake(core);
}

bool resync_waits(const struct core *core)
{
  return core->resync_first != NULL;
}

static const struct heads_entry *find_entry(const struct resync *job, const struct log_head *head)
{
  const struct heads_entry wanted = {.log = {head->id.origin, head->id.store, head->id.lane}};
  return job->head_count == 0
             ? NULL
             : bsearch(&wanted, job->heads, job->head_count, sizeof(wanted), entry_compare);
}

static enum status replay_add(struct resync *job, const struct log_head *head, uint64_t from)
{
  if (job->replay_count == job->replay_capacity) {
    size_t capacity = job->replay_capacity == 0 ? 64 : job->replay_capacity * 2;
    struct repl_replay *grown = realloc(job->replays, capacity * sizeof(*grown));
    if (grown == NULL) {
      return STATUS_NO_MEMORY;
    }
    job->replays = grown;
    job->replay_capacity = capacity;
  }
  job->replays[job->replay_count++] = (struct repl_replay){
      .log = {head->id.origin, head->id.store, head->id.lane}, .from_seq = from};
  return STATUS_OK;
}

/* The next log; one of which the neighbour holds nothing is sent whole. */
static enum status log_begin(struct core *core, struct resync *job)
{
  struct log_head head;
  job->number++;
  if (!store_log_at(core->store, job->number, &head) || head.seq == 0 ||
      load_stands_toward(core, &head, job->neighbour)) {
    return STATUS_OK;
  }
  job->held = find_entry(job, &head);
  if (job->held == NULL) {
    return replay_add(job, &head, 1);
  }
  store_log_digest_begin(&job->digest, job->number, job->neighbour, job->held->seq);
  return STATUS_OK;
}

/* It is sent from after what the neighbour holds if that is exactly what we would have shown it so
 * far, else whole. */
static enum status log_end(struct core *core, struct resync *job)
{
  const struct heads_entry *held = job->held;
  struct log_head head;
  job->held = NULL;
  CHECK(store_log_at(core->store, job->number, &head));
  if (job->digest.commits != held->commits ||
      memcmp(job->digest.digest, held->digest, sizeof(held->digest)) != 0) {
    return replay_add(job, &head, 1);
  }
  return head.seq > held->seq ? replay_add(job, &head, held->seq + 1) : STATUS_OK;
}

/* `*done`: all logs were compared. */
static enum status piece(struct core *core, struct resync *job, const struct store_txn *txn,
                         bool *done)
{
  size_t commits = COMMITS_A_TURN;
  enum status status = STATUS_OK;
  *done = false;
  for (size_t logs = 0; status == STATUS_OK && commits > 0 && logs < LOGS_A_TURN; logs++) {
    if (job->held == NULL && job->number >= store_log_count(core->store)) {
      *done = true;
      break;
    }
    if (job->held == NULL) {
      status = log_begin(core, job);
    }
    if (status == STATUS_OK && job->held != NULL) {
      status = store_log_digest_step(txn, &job->digest, &core->arena, &commits);
    }
    if (status == STATUS_OK && job->held != NULL && job->digest.done) {
      status = log_end(core, job);
    }
  }
  return status;
}

static void tell(struct core *core, const struct resync *job)
{
  struct repl_event event = {.type = REPL_PLANNED, .neighbour = job->neighbour};
  event.planned.generation = job->generation;
  event.planned.replays = job->replays;
  event.planned.count = job->replay_count;
  memcpy(event.planned.cursors, job->cursors, sizeof(event.planned.cursors));
  core_step(core, &event);
}

static bool link_is_up(const struct core *core, uint16_t neighbour)
{
  struct repl_link_figures figures;
  return repl_link_figures(core->node, neighbour, &figures) && figures.up;
}

void resync_run(struct core *core)
{
  struct resync *job = core->resync_first;
  struct store_txn *txn;
  bool done = false;
  if (job == NULL) {
    return;
  }
  core->resync_first = job->next;
  if (!link_is_up(core, job->neighbour)) {
    job_free(job);
    return;
  }
  enum status status = store_read_begin(core->store, &txn);
  if (status == STATUS_OK) {
    status = piece(core, job, txn, &done);
    store_read_end(txn);
  }
  if (status != STATUS_OK) {
    struct log_field fields[] = {log_text("reason", status_text(status))};
    log_write(LOG_ERROR, "read_failed", fields, 1);
    core->broken = true;
  }
  if (status == STATUS_OK && !done) {
    append(core, job);
    return;
  }
  if (status == STATUS_OK) {
    tell(core, job);
  }
  job_free(job);
}

void resync_close(struct core *core)
{
  while (core->resync_first != NULL) {
    struct resync *job = core->resync_first;
    core->resync_first = job->next;
    job_free(job);
  }
}
