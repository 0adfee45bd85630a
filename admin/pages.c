#include "pages.h"

#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "value.h"

#define PAGES_PAGE_ROWS 1000

struct cursor {
  char text[64];
  uint64_t number;
};

static enum ctl_exit read_page(struct ctl *ctl, const struct pages_request *request,
                               const struct cursor *after, size_t limit, struct reply *reply)
{
  struct query query;
  query_init(&query);
  if (request->fields != NULL) {
    query.count = request->fields->count;
    writer_raw(&query.writer, bytes_as_view(&request->fields->fields));
  }
  if (request->numbered && after->number > 0)
    query_uint(&query, "after", after->number);
  if (!request->numbered && after->text[0] != '\0')
    query_text(&query, "after", after->text);
  if (request->limited)
    query_uint(&query, "limit", limit < PAGES_PAGE_ROWS ? limit : PAGES_PAGE_ROWS);
  enum ctl_exit code = ctl_call(ctl, request->command, &query, reply);
  query_close(&query);
  return code;
}

/* Moves the cursor; false at the end, or when it doesn't move. */
static bool cursor_advance(const struct pages_request *request, const struct reply *reply,
                           struct cursor *cursor)
{
  struct cursor next = {0};
  const msgpack_object *value = value_get(reply->result, "next");
  next.number = value_uint(value);
  value_copy_text(value, next.text, sizeof next.text);
  bool moved = request->numbered ? next.number > cursor->number
                                 : next.text[0] != '\0' && strcmp(next.text, cursor->text) != 0;
  *cursor = next;
  return moved;
}

enum ctl_exit pages_read(struct ctl *ctl, const struct pages_request *request, struct pages *pages,
                         bool *more)
{
  struct cursor cursor = {.number = request->after_number};
  bool going = true;
  memset(pages, 0, sizeof *pages);
  if (more != NULL)
    *more = false;
  snprintf(cursor.text, sizeof cursor.text, "%s", request->after != NULL ? request->after : "");
  while (going && pages->rows.count < request->limit) {
    pages->replies = text_realloc(pages->replies, (pages->count + 1) * sizeof *pages->replies);
    struct reply *reply = &pages->replies[pages->count++];
    memset(reply, 0, sizeof *reply);
    enum ctl_exit code =
        read_page(ctl, request, &cursor, request->limit - pages->rows.count, reply);
    if (code != CTL_DONE)
      return code;
    const msgpack_object *array = value_get(reply->result, request->array);
    size_t before = pages->rows.count;
    rows_add(&pages->rows, array, request->limit);
    /* A page may be empty and yet not the last: a filter passed over all that was looked at. */
    going = cursor_advance(request, reply, &cursor);
    if (more != NULL)
      *more = going || pages->rows.count - before < value_count(array);
  }
  return CTL_DONE;
}

void pages_close(struct pages *pages)
{
  for (size_t i = 0; i < pages->count; i++)
    reply_close(&pages->replies[i]);
  free(pages->replies);
  rows_close(&pages->rows);
  memset(pages, 0, sizeof *pages);
}

enum ctl_exit pages_print_json(struct ctl *ctl, const struct pages_request *request,
                               const struct pages *pages)
{
  cJSON *json = cJSON_CreateObject();
  cJSON *array = cJSON_AddArrayToObject(json, request->array);
  for (size_t i = 0; i < pages->rows.count; i++)
    cJSON_AddItemToArray(array, json_of(pages->rows.rows[i]));
  if (pages->count > 0)
    cJSON_AddItemToObject(json, "next",
                          json_of(value_get(pages->replies[pages->count - 1].result, "next")));
  return json_print(ctl->view.out, json) ? CTL_DONE : CTL_REFUSED;
}
