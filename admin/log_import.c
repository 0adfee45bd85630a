/* log import: a bundle cut at entry borders into requests. */
#include <stdlib.h>

#include "admin/mapping.h"
#include "client.h"
#include "json.h"
#include "log.h"
#include "record/bundle.h"
#include "render.h"
#include "text.h"
#include "value.h"

struct totals {
  uint64_t taken;
  uint64_t duplicate;
  uint64_t refused;
  uint64_t certificates;
  cJSON *refusals; /* with --json */
};

enum status log_piece_next(struct bytes_view *rest, struct bytes_view *piece, size_t *entries)
{
  const uint8_t *start = rest->data;
  *piece = (struct bytes_view){start, 0};
  *entries = 0;
  for (;;) {
    struct bytes_view ahead = *rest, octets;
    enum bundle_entry type;
    enum status status = bundle_read(&ahead, &type, &octets);
    if (status != STATUS_OK)
      return status;
    size_t size = (size_t)(ahead.data - start);
    if (*entries > 0 && size > LOG_IMPORT_PIECE_BYTES)
      return STATUS_OK;
    *rest = ahead;
    piece->size = size;
    if (type == BUNDLE_END)
      return STATUS_OK;
    *entries += 1;
  }
}

static void count_refusals(struct ctl *ctl, const msgpack_object *refusals, struct totals *totals)
{
  for (size_t i = 0; i < value_count(refusals); i++) {
    const msgpack_object *row = value_at(refusals, i);
    char *origin = text_clean(value_get_text(row, "origin"));
    char *verdict = text_clean(value_get_text(row, "verdict"));
    char *lane = render_value(value_get(row, "lane"));
    ctl_complain(ctl, "refused: origin %s, lane %s, seq %llu: %s", origin, lane,
                 (unsigned long long)value_get_uint(row, "seq"), verdict);
    free(origin);
    free(verdict);
    free(lane);
    if (totals->refusals != NULL)
      cJSON_AddItemToArray(totals->refusals, json_of(row));
  }
}

static enum ctl_exit send_piece(struct ctl *ctl, struct bytes_view piece, struct totals *totals)
{
  struct bytes octets = {0};
  struct query query;
  struct reply reply = {0};
  enum ctl_exit code = CTL_REFUSED;
  query_init(&query);
  if (bundle_write_head(&octets) != STATUS_OK ||
      bytes_append(&octets, piece.data, piece.size) != STATUS_OK) {
    ctl_complain(ctl, "out of memory");
    goto out;
  }
  query_bin(&query, "octets", bytes_as_view(&octets));
  code = ctl_call(ctl, "log.import", &query, &reply);
  if (code != CTL_DONE)
    goto out;
  totals->taken += value_get_uint(reply.result, "taken");
  totals->duplicate += value_get_uint(reply.result, "duplicate");
  totals->refused += value_get_uint(reply.result, "refused");
  totals->certificates += value_get_uint(reply.result, "certificates");
  count_refusals(ctl, value_get(reply.result, "refusals"), totals);
out:
  reply_close(&reply);
  query_close(&query);
  bytes_close(&octets);
  return code;
}

static void report_totals(struct ctl *ctl, struct totals *totals)
{
  char taken[TEXT_SHORT_MAX], duplicate[TEXT_SHORT_MAX], refused[TEXT_SHORT_MAX];
  char certificates[TEXT_SHORT_MAX];
  if (ctl->json) {
    cJSON *json = cJSON_CreateObject();
    cJSON_AddItemToObject(json, "taken", json_of_uint(totals->taken));
    cJSON_AddItemToObject(json, "duplicate", json_of_uint(totals->duplicate));
    cJSON_AddItemToObject(json, "refused", json_of_uint(totals->refused));
    cJSON_AddItemToObject(json, "certificates", json_of_uint(totals->certificates));
    cJSON_AddItemToObject(json, "refusals", totals->refusals);
    totals->refusals = NULL;
    json_print(ctl->view.out, json);
    return;
  }
  fprintf(ctl->view.out, "commits: %s taken, %s held already, %s refused; certificates: %s\n",
          text_count(totals->taken, taken), text_count(totals->duplicate, duplicate),
          text_count(totals->refused, refused), text_count(totals->certificates, certificates));
}

static enum ctl_exit import_pieces(struct ctl *ctl, const char *path, struct bytes_view rest,
                                   struct totals *totals)
{
  const uint8_t *start = rest.data;
  for (;;) {
    struct bytes_view piece;
    size_t entries;
    enum status status = log_piece_next(&rest, &piece, &entries);
    if (entries > 0) {
      enum ctl_exit code = send_piece(ctl, piece, totals);
      if (code != CTL_DONE)
        return code;
    }
    if (status != STATUS_OK) {
      ctl_complain(ctl, "%s is cut off or damaged %zu octets behind its head; all before was given",
                   path, (size_t)(rest.data - start));
      return CTL_PARTLY;
    }
    if (entries == 0)
      return totals->refused > 0 ? CTL_PARTLY : CTL_DONE;
  }
}

enum ctl_exit log_import(struct ctl *ctl, const struct ctl_args *args)
{
  const char *path = args->operands[0];
  struct mapping mapping;
  struct totals totals = {0};
  enum status status = mapping_open(path, &mapping);
  if (status != STATUS_OK)
    return ctl_complain_file(ctl, "reading", path, status);
  struct bytes_view rest = mapping.octets;
  enum ctl_exit code = CTL_REFUSED;
  if (ctl->json)
    totals.refusals = cJSON_CreateArray();
  if (bundle_read_head(&rest) != STATUS_OK)
    ctl_complain(ctl, "%s is no bundle", path);
  else
    code = import_pieces(ctl, path, rest, &totals);
  if (code == CTL_DONE || code == CTL_PARTLY)
    report_totals(ctl, &totals);
  cJSON_Delete(totals.refusals);
  mapping_close(&mapping);
  return code;
}
