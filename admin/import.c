/* import: the rows of a CSV table become records, in batches. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "admin/mapping.h"
#include "import_row.h"
#include "import_time.h"
#include "json.h"
#include "progress.h"
#include "text.h"

#define IMPORT_BATCH_DEFAULT 64
#define IMPORT_BATCH_MAX 4096
#define IMPORT_BATCH_BYTES_MAX (2u * 1024 * 1024)
#define IMPORT_BUSY_TRIES 6
#define IMPORT_BUSY_FIRST_MS 100

/* Rows that wait to be sent: drafts one after another, and where each begins. */
struct batch {
  struct bytes drafts;
  size_t starts[IMPORT_BATCH_MAX];
  uint64_t lines[IMPORT_BATCH_MAX];
  size_t count;
  size_t count_max;
};

struct import {
  struct ctl *ctl;
  const char *path;
  struct import_map *map;
  struct csv_rows rows;
  struct bytes names; /* the columns' names, each terminated */
  const char **columns;
  size_t column_count;
  struct batch batch;
  struct draft draft;
  struct progress progress;
  uint64_t from_line;
  uint64_t imported;
  uint64_t skipped;
  uint64_t refused;
  uint64_t resume_line; /* 0: all went well */
  bool unsure;          /* rows from resume_line on were sent, but not confirmed */
};

static void refuse_row(struct import *import, uint64_t line, const char *reason)
{
  progress_clear(&import->progress);
  fflush(import->ctl->view.out);
  fprintf(import->ctl->err, "%s:%" PRIu64 ": %s\n", import->path, line, reason);
  import->refused++;
}

/* Names the columns by the first row, or by their numbers; none may stand twice. */
static enum ctl_exit name_columns(struct import *import, const struct csv_row *row, bool header)
{
  size_t *starts = text_realloc(NULL, row->count * sizeof *starts);
  enum ctl_exit code = CTL_REFUSED;
  for (size_t i = 0; i < row->count; i++) {
    char *name = header ? text_clean(row->fields[i]) : text_format("%zu", i + 1);
    starts[i] = import->names.size;
    if (bytes_append(&import->names, name, strlen(name) + 1) != STATUS_OK)
      ctl_complain(import->ctl, "out of memory");
    free(name);
  }
  import->column_count = row->count;
  import->columns = text_realloc(NULL, row->count * sizeof *import->columns);
  for (size_t i = 0; i < row->count; i++)
    import->columns[i] = (const char *)import->names.data + starts[i];
  free(starts);
  for (size_t i = 0; i < row->count; i++) {
    for (size_t k = 0; k < i; k++) {
      if (strcmp(import->columns[i], import->columns[k]) != 0)
        continue;
      ctl_complain(import->ctl, "%s:%" PRIu64 ": the column '%s' stands twice", import->path,
                   row->line, import->columns[i]);
      return code;
    }
  }
  return CTL_DONE;
}

/* The table's columns, then the map against them. */
static enum ctl_exit open_table(struct import *import, struct bytes_view text, const char *map_path)
{
  char reason[IMPORT_REASON_MAX] = "";
  struct import_shape shape;
  struct csv_row row;
  enum status status = import_map_read_shape(map_path, &shape, reason);
  if (status == STATUS_OK)
    status = csv_rows_open(text, shape.delimiter, &import->rows);
  if (status != STATUS_OK) {
    ctl_complain(import->ctl, "%s", reason[0] != '\0' ? reason : status_text(status));
    return CTL_REFUSED;
  }
  if (!csv_rows_next(&import->rows, &row) || row.error != NULL) {
    ctl_complain(import->ctl, "%s:1: %s", import->path,
                 import->rows.text.size > 0 && row.error != NULL ? row.error : "no rows");
    return CTL_REFUSED;
  }
  enum ctl_exit code = name_columns(import, &row, shape.header);
  if (code != CTL_DONE)
    return code;
  status = import_map_read(map_path, import->columns, import->column_count, &import->map, reason);
  if (status != STATUS_OK) {
    ctl_complain(import->ctl, "%s", reason[0] != '\0' ? reason : status_text(status));
    return CTL_REFUSED;
  }
  if (!shape.header) { /* the first row is data */
    csv_rows_close(&import->rows);
    if (csv_rows_open(text, shape.delimiter, &import->rows) != STATUS_OK)
      return CTL_REFUSED;
  }
  return CTL_DONE;
}

/* Sends drafts [from, to) of the batch; `busy` is waited for a while. */
static enum client_outcome send_drafts(struct import *import, size_t from, size_t to,
                                       struct reply *reply)
{
  const struct batch *batch = &import->batch;
  size_t end = to < batch->count ? batch->starts[to] : batch->drafts.size;
  struct query query;
  query_init(&query);
  struct writer *writer = query_field(&query, "records");
  writer_array(writer, (uint32_t)(to - from));
  writer_raw(writer,
             bytes_view_of(batch->drafts.data + batch->starts[from], end - batch->starts[from]));
  enum client_outcome outcome = CLIENT_FAILED;
  unsigned pause_ms = IMPORT_BUSY_FIRST_MS;
  for (int i = 0; i < IMPORT_BUSY_TRIES; i++, pause_ms *= 2) {
    if (i > 0) {
      reply_close(reply);
      ctl_clock_sleep_ms(pause_ms);
    }
    outcome = client_call(import->ctl, "append", &query, reply);
    if (outcome != CLIENT_ANSWERED || strcmp(reply->status, "busy") != 0)
      break;
  }
  query_close(&query);
  return outcome;
}

/* Whether the fault lies with a record, so that the others may go on. */
static bool blames_record(const struct reply *reply)
{
  static const char *const names[] = {"invalid_argument", "malformed", "too_large", "not_allowed",
                                      "not_found"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
    if (strcmp(reply->status, names[i]) == 0)
      return true;
  return false;
}

/* Sends [from, to); where one refused record made the daemon refuse all, one by one. */
static enum ctl_exit send_range(struct import *import, size_t from, size_t to)
{
  struct reply reply;
  enum client_outcome outcome = send_drafts(import, from, to, &reply);
  enum ctl_exit code = CTL_DONE;
  if (outcome == CLIENT_ANSWERED && reply_ok(&reply)) {
    import->imported += to - from;
  } else if (outcome == CLIENT_ANSWERED && blames_record(&reply) && to - from == 1) {
    refuse_row(import, import->batch.lines[from], reply.reason);
  } else if (outcome == CLIENT_ANSWERED && blames_record(&reply)) {
    for (size_t i = from; i < to && code == CTL_DONE; i++)
      code = send_range(import, i, i + 1);
  } else {
    progress_clear(&import->progress);
    code = ctl_complain_outcome(import->ctl, outcome, &reply);
    import->resume_line = import->batch.lines[from];
    import->unsure = outcome == CLIENT_LOST;
  }
  reply_close(&reply);
  return code;
}

static enum ctl_exit flush_batch(struct import *import)
{
  enum ctl_exit code =
      import->batch.count > 0 ? send_range(import, 0, import->batch.count) : CTL_DONE;
  if (code == CTL_DONE) {
    import->batch.count = 0;
    bytes_clear(&import->batch.drafts);
  }
  return code;
}

static enum ctl_exit take_row(struct import *import, const struct csv_row *row)
{
  char reason[IMPORT_ROW_REASON_MAX];
  struct batch *batch = &import->batch;
  size_t start = batch->drafts.size;
  switch (import_row_draft(import->map, row, import->columns, import->column_count, &import->draft,
                           &batch->drafts, reason)) {
  case IMPORT_ROW_SKIPPED:
    import->skipped++;
    return CTL_DONE;
  case IMPORT_ROW_REFUSED:
    refuse_row(import, row->line, reason);
    return CTL_DONE;
  case IMPORT_ROW_DRAFT:
    break;
  }
  batch->starts[batch->count] = start;
  batch->lines[batch->count++] = row->line;
  if (batch->count < batch->count_max && batch->drafts.size < IMPORT_BATCH_BYTES_MAX)
    return CTL_DONE;
  return flush_batch(import);
}

static enum ctl_exit import_rows(struct import *import)
{
  struct csv_row row;
  enum ctl_exit code = CTL_DONE;
  while (code == CTL_DONE && csv_rows_next(&import->rows, &row)) {
    if (row.line >= import->from_line)
      code = take_row(import, &row);
    progress_show(&import->progress, import->rows.at, import->imported, ctl_clock_mono_ms());
  }
  if (code == CTL_DONE)
    code = flush_batch(import);
  progress_clear(&import->progress);
  return code;
}

static void report_json(const struct import *import)
{
  cJSON *json = cJSON_CreateObject();
  cJSON_AddItemToObject(json, "imported", json_of_uint(import->imported));
  cJSON_AddItemToObject(json, "skipped", json_of_uint(import->skipped));
  cJSON_AddItemToObject(json, "refused", json_of_uint(import->refused));
  if (import->resume_line > 0)
    cJSON_AddItemToObject(json, "resume_line", json_of_uint(import->resume_line));
  json_print(import->ctl->view.out, json);
}

static void report(const struct import *import)
{
  char imported[TEXT_SHORT_MAX], skipped[TEXT_SHORT_MAX], refused[TEXT_SHORT_MAX];
  const struct batch *batch = &import->batch;
  if (import->ctl->json && import->resume_line == 0)
    report_json(import);
  else if (!import->ctl->json)
    fprintf(import->ctl->view.out, "%s imported, %s passed over by the filter, %s refused\n",
            text_count(import->imported, imported), text_count(import->skipped, skipped),
            text_count(import->refused, refused));
  if (import->resume_line == 0)
    return;
  fflush(import->ctl->view.out);
  fprintf(import->ctl->err, "Resume with --from-line %" PRIu64 ".\n", import->resume_line);
  if (import->unsure)
    fprintf(import->ctl->err,
            "The rows of lines %" PRIu64 " to %" PRIu64
            " were sent and not confirmed: look (nodectl cases) whether they are in.\n",
            import->resume_line, batch->lines[batch->count - 1]);
}

static enum ctl_exit import_table(struct import *import, const struct ctl_args *args)
{
  struct mapping mapping;
  const char *mode = ctl_args_text(args, "progress", "auto");
  enum status status = mapping_open(import->path, &mapping);
  if (status != STATUS_OK)
    return ctl_complain_file(import->ctl, "reading", import->path, status);
  enum ctl_exit code = CTL_USAGE;
  if (!progress_init(&import->progress, import->ctl->err, mode, mapping.octets.size,
                     ctl_clock_mono_ms())) {
    ctl_complain(import->ctl, "--progress takes auto, always or never, not '%s'", mode);
    goto out;
  }
  code = open_table(import, mapping.octets, ctl_args_text(args, "map", ""));
  if (code != CTL_DONE)
    goto out;
  draft_init(&import->draft, import->map->kind);
  code = import_rows(import);
  draft_close(&import->draft);
  report(import);
  if (code == CTL_DONE && import->refused > 0)
    code = CTL_PARTLY;
out:
  mapping_close(&mapping);
  return code;
}

static enum ctl_exit run_import(struct ctl *ctl, const struct ctl_args *args)
{
  uint64_t batch;
  if (!ctl_args_flag(args, "map")) {
    ctl_complain(ctl, "import needs --map FILE, which says what the columns become");
    return CTL_USAGE;
  }
  struct import *import = text_realloc(NULL, sizeof *import);
  memset(import, 0, sizeof *import);
  import->ctl = ctl;
  import->path = args->operands[0];
  enum ctl_exit code = CTL_USAGE;
  if (ctl_args_uint(ctl, args, "batch", 1, IMPORT_BATCH_MAX, IMPORT_BATCH_DEFAULT, &batch) &&
      ctl_args_uint(ctl, args, "from-line", 1, UINT64_MAX, 1, &import->from_line)) {
    import->batch.count_max = (size_t)batch;
    code = import_table(import, args);
  }
  import_zone_reset();
  import_map_free(import->map, import->column_count);
  csv_rows_close(&import->rows);
  bytes_close(&import->batch.drafts);
  bytes_close(&import->names);
  free(import->columns);
  free(import);
  return code;
}

static const struct ctl_option import_options[] = {
    {"map", 0, "FILE", "YAML: what the columns become (docs/NODECTL.md)"},
    {"from-line", 0, "N", "pass over the rows that begin before this line"},
    {"batch", 0, "N", "rows a request (default 64)"},
    {"progress", 0, "WHEN", "auto (a bar on a terminal), always or never"},
    {0},
};

const struct ctl_command ctl_commands_import[] = {
    {"import", "Tables", "CSV --map FILE [--from-line N] [--batch N]",
     "make a record of each row of a table", "nodectl import requests.csv --map requests.yaml\n",
     import_options, 1, 1, run_import},
    {0},
};
