#include "render.h"

#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "value.h"

#define RENDER_OCTETS_SHOWN 32

void rows_add(struct rows *rows, const msgpack_object *array, size_t count_max)
{
  for (size_t i = 0; i < value_count(array) && rows->count < count_max; i++) {
    if (rows->count == rows->capacity) {
      rows->capacity = rows->capacity > 0 ? 2 * rows->capacity : 256;
      rows->rows = text_realloc(rows->rows, rows->capacity * sizeof *rows->rows);
    }
    rows->rows[rows->count++] = value_at(array, i);
  }
}

void rows_close(struct rows *rows)
{
  free(rows->rows);
  memset(rows, 0, sizeof *rows);
}

char *render_waiting(const struct ctl_view *view, const msgpack_object *lanes, bool *behind)
{
  char *text = NULL;
  char records[TEXT_SHORT_MAX], size[TEXT_SHORT_MAX], age[TEXT_SHORT_MAX], lane[16];
  *behind = false;
  for (size_t i = 0; i < value_count(lanes); i++) {
    const msgpack_object *row = value_at(lanes, i);
    uint64_t count = value_get_uint(row, "records");
    uint64_t octets = value_get_uint(row, "bytes");
    int64_t oldest = value_get_int(row, "oldest_at");
    if (count == 0 && octets == 0 && value_get_uint(row, "commits") == 0)
      continue;
    value_copy_text(value_get(row, "lane"), lane, sizeof lane);
    if (lane[0] == '\0')
      snprintf(lane, sizeof lane, "%.7s", lane_name((unsigned)(value_get_uint(row, "lane") % 3)));
    text = text == NULL ? text_copy("") : text_add(text, "; ");
    text = text_add(text, "%s %s rec, %s, %s", lane, text_count(count, records),
                    text_size(octets, size),
                    text_duration(oldest > 0 ? view->now_ms - oldest : 0, age));
    *behind = true;
  }
  return text != NULL ? text : text_copy("-");
}

/* The first octets in hex, and how many there are. */
static char *octets_text(struct bytes_view octets)
{
  char hex[2 * RENDER_OCTETS_SHOWN + 1];
  struct bytes_view shown = octets;
  if (shown.size > RENDER_OCTETS_SHOWN)
    shown.size = RENDER_OCTETS_SHOWN;
  bytes_to_hex(shown, hex);
  return text_format("%s%s (%zu octets)", hex, shown.size < octets.size ? "…" : "", octets.size);
}

char *render_value(const msgpack_object *value)
{
  if (value->type == MSGPACK_OBJECT_STR)
    return text_clean(value_text(value));
  if (value->type == MSGPACK_OBJECT_BIN)
    return octets_text(value_bin(value));
  cJSON *json = json_of(value);
  char *text = json != NULL ? cJSON_PrintUnformatted(json) : NULL;
  char *clean = text_clean(bytes_view_text(text != NULL ? text : "?"));
  cJSON_free(text);
  cJSON_Delete(json);
  return clean;
}

static bool skipped(const msgpack_object *key, const char *const *skip)
{
  for (; skip != NULL && *skip != NULL; skip++)
    if (value_is_text(key, *skip))
      return true;
  return false;
}

void render_fields(const struct ctl_view *view, const msgpack_object *map, const char *const *skip)
{
  if (map->type != MSGPACK_OBJECT_MAP)
    return;
  for (uint32_t i = 0; i < map->via.map.size; i++) {
    const msgpack_object_kv *pair = &map->via.map.ptr[i];
    if (skipped(&pair->key, skip))
      continue;
    char *name = render_value(&pair->key);
    char *value = render_value(&pair->val);
    fprintf(view->out, "  %-12s %s\n", name, value);
    free(name);
    free(value);
  }
}

/* Names of the classes in a `see` bit set, "" when all may see. */
static const char *see_names(uint64_t see, char out[TEXT_SHORT_MAX])
{
  static const char *const names[] = {"grid", "community", "street", "district", "unit"};
  size_t used = 0;
  out[0] = '\0';
  if ((see & SEE_ALL) == SEE_ALL)
    return out;
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
    if (see >> i & 1)
      used += (size_t)snprintf(out + used, TEXT_SHORT_MAX - used, "%s%s", used > 0 ? "+" : " [",
                               names[i]);
  snprintf(out + used, TEXT_SHORT_MAX - used, used > 0 ? "]" : " [nobody]");
  return out;
}

static void render_body(const struct ctl_view *view, const msgpack_object *body, int indent)
{
  for (uint32_t i = 0; i < body->via.map.size; i++) {
    const msgpack_object_kv *pair = &body->via.map.ptr[i];
    char time[TEXT_SHORT_MAX];
    char *name = render_value(&pair->key);
    char *value = render_value(&pair->val);
    fprintf(view->out, "%*s%s: %s\n", indent, "", name,
            value_is_text(&pair->key, "at") ? text_time(value_int(&pair->val), time) : value);
    free(name);
    free(value);
  }
}

static void render_item(const struct ctl_view *view, const msgpack_object *item, int indent)
{
  char see[TEXT_SHORT_MAX];
  struct bytes_view name_text = value_get_text(item, "name");
  if (value_bool(value_get(item, "withheld"))) {
    fprintf(view->out, "%*s%s(an item is withheld)%s\n", indent, "", paint_start(view, PAINT_GREY),
            paint_end(view, PAINT_GREY));
    return;
  }
  const msgpack_object *value = value_get(item, "value");
  if (name_text.size == 0 && value->type == MSGPACK_OBJECT_MAP) {
    render_body(view, value, indent);
    return;
  }
  char *name = text_clean(name_text);
  char *text = render_value(value);
  see_names(value_get_uint(item, "see"), see);
  fprintf(view->out, "%*s%s: %s%s%s%s\n", indent, "", name_text.size > 0 ? name : "(body)", text,
          paint_start(view, PAINT_GREY), see, paint_end(view, PAINT_GREY));
  free(name);
  free(text);
}

void render_record(const struct ctl_view *view, const msgpack_object *record, int indent)
{
  char at[TEXT_SHORT_MAX];
  char *kind = text_clean(value_get_text(record, "kind"));
  char *origin = text_clean(value_get_text(record, "origin"));
  char *author = text_clean(value_get_text(record, "author"));
  const msgpack_object *down = value_get(record, "down");
  const msgpack_object *items = value_get(record, "items");
  fprintf(view->out, "%*s%s  %s%s%s  by %s%s%s", indent, "",
          text_time(value_get_int(record, "at"), at), paint_start(view, PAINT_BOLD), kind,
          paint_end(view, PAINT_BOLD), origin, author[0] != '\0' ? ", " : "", author);
  for (size_t i = 0; i < value_count(down); i++) {
    char *target = text_clean(value_text(value_at(down, i)));
    fprintf(view->out, "%s%s", i == 0 ? " -> " : ", ", target);
    free(target);
  }
  if (value_bool(value_get(record, "marked")))
    fprintf(view->out, "  %s(marked: its author doesn't belong)%s", paint_start(view, PAINT_YELLOW),
            paint_end(view, PAINT_YELLOW));
  fputc('\n', view->out);
  for (size_t i = 0; i < value_count(items); i++)
    render_item(view, value_at(items, i), indent + 4);
  free(kind);
  free(origin);
  free(author);
}
