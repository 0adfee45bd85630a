/*
 * Trimming in the background (DESIGN section 5): a few commits at a time are looked for, those
 * above are asked who holds them, their signatures are checked, and what two of them hold goes
 * with the next transaction. Each step is bounded; between two there is room for everything else.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "noded/core_internal.h"
#include "noded/log.h"
#include "record/receipt.h"

#define PINS_ENTRIES 20000
#define STEP_MS 100             /* between two rounds in the background */
#define LOOK_MS 5               /* ... while nothing is found */
#define CYCLE_MS (15 * 60000)   /* between two runs */
#define RETRY_MS 60000          /* ... when nobody above answered */
#define FIRST_MS 5000           /* after the start */
#define DAY_MS (24 * 3600000LL) /* NOLINT(bugprone-implicit-widening-of-multiplication-result) */

enum trim_phase { TRIM_IDLE, TRIM_PINS, TRIM_FIND, TRIM_ASKED, TRIM_APPLY };

struct trimming {
  enum trim_phase phase;
  struct mono_ms due;        /* of the next step; of the next run while idle */
  struct core_trim *request; /* somebody waits for this run */
  struct trim_rule rule;
  struct pins_cursor pins;
  struct trim_cursor cursor;
  struct arena arena; /* of the asks under way */
  struct trim_ask asks[TRIM_ASKS_MAX];
  struct trim_holder holders[TRIM_ASKS_MAX][TRIM_HOLDERS_MAX];
  size_t holder_counts[TRIM_ASKS_MAX];
  size_t count;
  bool last; /* nothing is left after these */
  uint64_t query;
  struct core_above above[CORE_ABOVE_MAX]; /* as the run began */
  size_t above_count;
  struct trim_result result; /* of this run */
  struct trim_result before; /* of the transaction under way */
  struct core_trim_figures figures;
};

static struct trimming *trimming_of(struct core *core)
{
  if (core->trimming == NULL) {
    core->trimming = calloc(1, sizeof(*core->trimming));
    if (core->trimming != NULL) {
      core->trimming->figures.reason = "";
      core->trimming->due.ms = core_now().mono.ms + FIRST_MS;
    }
  }
  return core->trimming;
}

/* ---- a run ---- */

static void end_run(struct core *core, struct trimming *trimming, enum status status,
                    const char *reason)
{
  struct core_trim *request = trimming->request;
  const struct trim_result *result = &trimming->result;
  if (!trimming->rule.dry && (result->items > 0 || result->commits > 0)) {
    struct log_field fields[] = {log_uint("items", result->items),
                                 log_uint("commits", result->commits),
                                 log_uint("unproven", result->stay_unproven)};
    log_write(LOG_INFO, "trimmed", fields, 3);
  }
  trimming->phase = TRIM_IDLE;
  trimming->request = NULL;
  trimming->figures.reason = reason;
  trimming->figures.last_at = core_now().wall;
  trimming->due.ms = core_now().mono.ms + (reason[0] == '\0' ? CYCLE_MS : RETRY_MS);
  arena_reset(&trimming->arena);
  if (request != NULL) {
    request->result = *result;
    snprintf(request->reason, sizeof(request->reason), "%s", reason);
    request->done(core, request, status);
  }
}

static void begin_run(struct core *core, struct trimming *trimming, uint64_t days, bool dry)
{
  trimming->phase = TRIM_PINS;
  trimming->due = core_now().mono;
  /* Age 0 takes in what came this very millisecond. */
  trimming->rule.before.ms = core_now().wall.ms + 1 - (int64_t)days * DAY_MS;
  trimming->rule.dry = dry;
  memset(&trimming->pins, 0, sizeof(trimming->pins));
  memset(&trimming->cursor, 0, sizeof(trimming->cursor));
  memset(&trimming->result, 0, sizeof(trimming->result));
  trimming->above_count = floor_find_above(core, trimming->above);
}

void core_trim(struct core *core, struct core_trim *trim)
{
  struct trimming *trimming = trimming_of(core);
  uint64_t days = trim->has_days ? trim->days : core->config->retention_days;
  enum status status = trimming == NULL ? STATUS_NO_MEMORY : STATUS_OK;
  memset(&trim->result, 0, sizeof(trim->result));
  trim->reason[0] = '\0';
  if (status == STATUS_OK && trimming->request != NULL) {
    snprintf(trim->reason, sizeof(trim->reason), "another trim is running");
    status = STATUS_BUSY;
  } else if (status == STATUS_OK && days == 0 && !trim->has_days) {
    snprintf(trim->reason, sizeof(trim->reason),
             "retention.days is not configured: everything is kept; --days says how old");
    status = STATUS_NOT_ALLOWED;
  }
  if (status != STATUS_OK) {
    trim->done(core, trim, status);
    return;
  }
  begin_run(core, trimming, days, trim->dry); /* one in the background gives way */
  trimming->request = trim;
  core_wake(core);
}

static bool run_is_due(const struct core *core)
{
  struct store_usage usage;
  store_usage(core->store, &usage);
  return core->config->retention_days > 0 && usage.used_bytes > core->config->keep_bytes;
}

/* ---- steps ---- */

static enum status step_pins(struct trimming *trimming, const struct store_txn *txn)
{
  bool done;
  enum status status = store_pins_step(txn, &trimming->pins, PINS_ENTRIES, &done);
  if (status == STATUS_OK && done) {
    trimming->phase = TRIM_FIND;
  }
  return status;
}

static void next_round(struct core *core, struct trimming *trimming)
{
  if (trimming->last) {
    end_run(core, trimming, STATUS_OK, "");
    return;
  }
  trimming->phase = TRIM_FIND;
  trimming->due.ms = core_now().mono.ms + (trimming->request != NULL ? 0 : STEP_MS);
}

/* What would go needs no transaction of its own. */
static enum status run_dry(struct core *core, struct trimming *trimming)
{
  struct store_txn *txn;
  enum status status = store_read_begin(core->store, &txn);
  if (status != STATUS_OK) {
    return status;
  }
  for (size_t i = 0; i < trimming->count && status == STATUS_OK; i++) {
    status = store_trim_apply(txn, &trimming->rule, &trimming->asks[i], trimming->holders[i],
                              trimming->holder_counts[i], &trimming->result);
  }
  store_read_end(txn);
  return status;
}

/* With the next transaction, or without one. */
static void go_on(struct core *core, struct trimming *trimming)
{
  if (trimming->rule.dry) {
    core->broken = core->broken || run_dry(core, trimming) != STATUS_OK;
    next_round(core, trimming);
  } else {
    trimming->phase = TRIM_APPLY;
    core_wake(core);
  }
}

static enum status step_find(struct core *core, struct trimming *trimming,
                             const struct store_txn *txn)
{
  arena_reset(&trimming->arena);
  memset(trimming->holder_counts, 0, sizeof(trimming->holder_counts));
  enum status status =
      store_trim_find(txn, &trimming->rule, &trimming->cursor, &trimming->arena, trimming->asks,
                      &trimming->count, &trimming->last, &trimming->result);
  if (status != STATUS_OK) {
    return status;
  }
  if (trimming->count == 0) {
    if (trimming->last) {
      end_run(core, trimming, STATUS_OK, "");
    }
    return STATUS_OK;
  }
  if (!store_trim_needs_word(core->store)) {
    go_on(core, trimming);
    return STATUS_OK;
  }
  trimming->query = cosign_ask(core, trimming->asks, trimming->count);
  if (trimming->query == 0) {
    end_run(core, trimming, STATUS_OK, "the parent can't be asked now");
  } else {
    trimming->phase = TRIM_ASKED;
  }
  return STATUS_OK;
}

/* Keeps a cosignature that verifies, of one who stands above us now. */
static void take_said(struct trimming *trimming, const struct cosign_said *said)
{
  struct cosignature cosignature;
  const struct trim_ask *ask = &trimming->asks[said->place];
  size_t *count = &trimming->holder_counts[said->place];
  struct trim_holder *holder = &trimming->holders[said->place][*count];
  size_t at = 0;
  if (*count == TRIM_HOLDERS_MAX ||
      cosignature_read(said->cosignature, &cosignature) != STATUS_OK) {
    return;
  }
  while (at < trimming->above_count &&
         memcmp(trimming->above[at].key.octets, cosignature.cosigner.octets, KEY_SIZE) != 0) {
    at++;
  }
  const void *copy = arena_copy(&trimming->arena, said->cosignature.data, said->cosignature.size);
  if (at == trimming->above_count || copy == NULL ||
      cosignature_check(&cosignature, &ask->commit_id) != VERDICT_OK) {
    return;
  }
  holder->address = trimming->above[at].address;
  memset(holder->shown, 0, sizeof(holder->shown));
  memcpy(holder->shown, cosignature.shown.data, cosignature.shown.size);
  holder->cosignature = bytes_view_of(copy, said->cosignature.size);
  (*count)++;
}

void trim_answered(struct core *core, uint64_t id, const struct cosign_said *said, size_t count)
{
  struct trimming *trimming = core->trimming;
  bool enough = false;
  if (trimming == NULL || trimming->phase != TRIM_ASKED || trimming->query != id) {
    return;
  }
  for (size_t i = 0; i < count; i++) {
    take_said(trimming, &said[i]);
  }
  for (size_t i = 0; i < trimming->count; i++) {
    enough = enough || trimming->holder_counts[i] >= TRIM_HOLDERS_NEEDED;
  }
  if (!enough) {
    for (size_t i = 0; i < trimming->count; i++) {
      trimming->result.stay_unproven += trimming->asks[i].want_count;
    }
    end_run(core, trimming, STATUS_OK, "fewer than two above said that they hold it");
  } else {
    go_on(core, trimming);
  }
  core_wake(core);
}

/* ---- within the transaction, and after it ---- */

bool trim_waits(const struct core *core)
{
  return core->trimming != NULL && core->trimming->phase == TRIM_APPLY;
}

enum status trim_run(struct core *core, struct store_txn *txn)
{
  struct trimming *trimming = core->trimming;
  enum status status = STATUS_OK;
  if (!trim_waits(core)) {
    return STATUS_OK;
  }
  trimming->before = trimming->result;
  for (size_t i = 0; i < trimming->count && status == STATUS_OK; i++) {
    status = store_trim_apply(txn, &trimming->rule, &trimming->asks[i], trimming->holders[i],
                              trimming->holder_counts[i], &trimming->result);
  }
  uint64_t records = trimming->result.records - trimming->before.records;
  if (status == STATUS_OK && records > 0) {
    core->records_held -= records < core->records_held ? records : core->records_held;
  }
  return status;
}

static void tell_short(struct core *core)
{
  uint64_t now = store_trim_short_histories(core->store);
  if (now != core->short_histories) {
    struct log_field fields[] = {log_uint("cases", now - core->short_histories)};
    core->short_histories = now;
    log_write(LOG_WARN, "history_trimmed", fields, 1);
    history_wake(core);
  }
}

void trim_finish(struct core *core, enum status status)
{
  struct trimming *trimming = core->trimming;
  tell_short(core);
  if (status != STATUS_OK || trimming == NULL || trimming->phase != TRIM_APPLY) {
    return;
  }
  trimming->figures.items += trimming->result.items - trimming->before.items;
  trimming->figures.commits += trimming->result.commits - trimming->before.commits;
  trimming->figures.records += trimming->result.records - trimming->before.records;
  next_round(core, trimming);
  core_wake(core);
}

/* ---- time ---- */

void trim_tick(struct core *core, struct mono_ms now)
{
  struct trimming *trimming = core->trimming;
  struct store_txn *txn;
  if (trimming == NULL && core->config->retention_days > 0) {
    trimming = trimming_of(core);
  }
  if (trimming == NULL || trimming->due.ms > now.ms || trimming->phase >= TRIM_ASKED) {
    return;
  }
  if (trimming->phase == TRIM_IDLE) {
    trimming->due.ms = now.ms + RETRY_MS;
    if (run_is_due(core)) {
      begin_run(core, trimming, core->config->retention_days, false);
    }
    return;
  }
  trimming->due.ms = now.ms + (trimming->request != NULL ? 0 : LOOK_MS);
  enum status status = store_read_begin(core->store, &txn);
  if (status == STATUS_OK) {
    status =
        trimming->phase == TRIM_PINS ? step_pins(trimming, txn) : step_find(core, trimming, txn);
    store_read_end(txn);
  }
  core->broken = core->broken || status != STATUS_OK;
}

int64_t trim_deadline(const struct core *core)
{
  const struct trimming *trimming = core->trimming;
  if (trimming == NULL) {
    return core->config->retention_days > 0 ? 0 : INT64_MAX;
  }
  if (trimming->phase >= TRIM_ASKED ||
      (trimming->phase == TRIM_IDLE && core->config->retention_days == 0)) {
    return INT64_MAX;
  }
  return trimming->due.ms;
}

void trim_close(struct core *core)
{
  struct trimming *trimming = core->trimming;
  if (trimming == NULL) {
    return;
  }
  if (trimming->request != NULL) {
    end_run(core, trimming, STATUS_CLOSED, "the daemon started over");
  }
  arena_close(&trimming->arena);
  free(trimming);
  core->trimming = NULL;
}

void core_get_trim(const struct core *core, struct core_trim_figures *out)
{
  memset(out, 0, sizeof(*out));
  out->reason = "";
  if (core->trimming != NULL) {
    *out = core->trimming->figures;
  }
  out->configured = core->config->retention_days > 0;
  out->short_histories = store_trim_short_histories(core->store);
}
