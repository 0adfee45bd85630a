#include "import_row.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "import_time.h"
#include "text.h"

/* A record has salts and a header besides; the daemon has the last word on the exact size. */
#define IMPORT_DRAFT_BYTES_MAX (RECORD_BYTES_MAX - 512)
#define IMPORT_NUMBER_TEXT_MAX 64
#define IMPORT_SHOWN_MAX 40

struct row_reader {
  const struct csv_row *row;
  const char *const *columns;
  char *reason;
};

__attribute__((format(printf, 2, 3))) static bool refuse(const struct row_reader *reader,
                                                         const char *format, ...)
{
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(reader->reason, IMPORT_ROW_REASON_MAX, format, arguments);
  va_end(arguments);
  return false;
}

/* "column 'x': WHY: 'text'", the text cleaned and cut. */
static bool refuse_field(const struct row_reader *reader, unsigned column, const char *why)
{
  char *text = text_clean(reader->row->fields[column - 1]);
  text_cut(text, IMPORT_SHOWN_MAX);
  refuse(reader, "column '%.64s': %s: '%.120s'", reader->columns[column - 1], why, text);
  free(text);
  return false;
}

static struct bytes_view field_of(const struct row_reader *reader, unsigned column)
{
  return reader->row->fields[column - 1];
}

/* Terminated copy of a short field, for the C library. */
static bool copy_short(struct bytes_view field, char *out, size_t size)
{
  if (field.size >= size || memchr(field.data, 0, field.size) != NULL)
    return false;
  memcpy(out, field.data, field.size);
  out[field.size] = '\0';
  return true;
}

static bool parse_integer(struct bytes_view field, int64_t *out)
{
  char text[IMPORT_NUMBER_TEXT_MAX], *end;
  if (!copy_short(field, text, sizeof text))
    return false;
  errno = 0;
  *out = strtoll(text, &end, 10);
  return end != text && *end == '\0' && errno == 0;
}

static bool parse_float(struct bytes_view field, double *out)
{
  char text[IMPORT_NUMBER_TEXT_MAX], *end;
  if (!copy_short(field, text, sizeof text))
    return false;
  *out = strtod(text, &end);
  return end != text && *end == '\0' && isfinite(*out);
}

/* Whether the field has a value of that type; what it is. */
struct value {
  enum import_type type;
  struct bytes_view text;
  int64_t integer;
  double real;
};
static bool read_value(const struct row_reader *reader, unsigned column, enum import_type type,
                       struct value *out)
{
  out->type = type;
  out->text = field_of(reader, column);
  if (type == IMPORT_INTEGER && !parse_integer(out->text, &out->integer))
    return refuse_field(reader, column, "not a whole number");
  if (type == IMPORT_FLOAT && !parse_float(out->text, &out->real))
    return refuse_field(reader, column, "not a number");
  return true;
}

static void write_value(struct writer *writer, const struct value *value)
{
  if (value->type == IMPORT_INTEGER)
    writer_int(writer, value->integer);
  else if (value->type == IMPORT_FLOAT)
    writer->failed = msgpack_pack_double(&writer->packer, value->real) != 0 || writer->failed;
  else
    writer_str(writer, value->text);
}

static bool add_times(const struct import_map *map, const struct row_reader *reader,
                      struct draft *draft)
{
  for (uint32_t i = 0; i < map->time_count; i++) {
    const struct import_time *time = &map->time[i];
    struct bytes_view field = field_of(reader, time->column);
    char text[IMPORT_NUMBER_TEXT_MAX];
    int64_t ms;
    if (field.size == 0)
      continue;
    if (!copy_short(field, text, sizeof text) ||
        !import_time_read(text, time->format, time->zone, &ms))
      return refuse_field(reader, time->column, "not a time of the map's format");
    writer_int(query_field(&draft->body, time->field), ms);
  }
  return true;
}

/* Empty fields are left out: a table has no other word for "unknown". */
static bool add_body(const struct import_map *map, const struct row_reader *reader,
                     struct draft *draft)
{
  struct value value;
  if (map->category != 0 && field_of(reader, map->category).size > 0)
    writer_str(query_field(&draft->body, "category"), field_of(reader, map->category));
  for (uint32_t i = 0; i < map->body_count; i++) {
    const struct import_field *field = &map->body[i];
    if (field_of(reader, field->column).size == 0)
      continue;
    if (!read_value(reader, field->column, field->type, &value))
      return false;
    write_value(query_field(&draft->body, field->field), &value);
  }
  return true;
}

static bool add_items(const struct import_map *map, const struct row_reader *reader,
                      struct draft *draft)
{
  struct value value;
  for (uint32_t i = 0; i < map->items_count; i++) {
    const struct import_item *item = &map->items[i];
    if (field_of(reader, item->column).size == 0)
      continue;
    if (!read_value(reader, item->column, item->type, &value))
      return false;
    write_value(draft_item(draft, item->name, item->see != 0 ? item->see : SEE_ALL), &value);
  }
  return true;
}

static void add_header(const struct import_map *map, struct draft *draft)
{
  draft_reset(draft, map->kind);
  if (map->lane_given > 0)
    query_text(&draft->fields, "lane", lane_name(map->lane_given - 1));
  if (map->up_given > 0)
    query_uint(&draft->fields, "up", map->up_given - 1);
  if (map->author != NULL && map->author[0] != '\0')
    query_text(&draft->fields, "author", map->author);
}

static bool passes_filter(const struct import_map *map, const struct csv_row *row)
{
  for (size_t i = 0; map->filter != NULL && i < row->count; i++)
    if (map->filter[i] != NULL &&
        !bytes_view_equal(row->fields[i], bytes_view_text(map->filter[i])))
      return false;
  return true;
}

static bool check_form(const struct row_reader *reader, size_t column_count)
{
  const struct csv_row *row = reader->row;
  if (row->error != NULL)
    return refuse(reader, "%s", row->error);
  if (row->count != column_count)
    return refuse(reader, "%zu columns, where the table has %zu", row->count, column_count);
  return true;
}

static bool check_text(const struct row_reader *reader)
{
  for (size_t i = 0; i < reader->row->count; i++)
    if (!text_is_utf8(reader->row->fields[i]))
      return refuse_field(reader, (unsigned)i + 1, "not UTF-8");
  return true;
}

enum import_row import_row_draft(const struct import_map *map, const struct csv_row *row,
                                 const char *const *columns, size_t column_count,
                                 struct draft *draft, struct bytes *out,
                                 char reason[IMPORT_ROW_REASON_MAX])
{
  struct row_reader reader = {row, columns, reason};
  size_t before = out->size;
  reason[0] = '\0';
  if (!check_form(&reader, column_count))
    return IMPORT_ROW_REFUSED;
  if (!passes_filter(map, row))
    return IMPORT_ROW_SKIPPED;
  add_header(map, draft);
  if (!check_text(&reader) || !add_times(map, &reader, draft) || !add_body(map, &reader, draft) ||
      !add_items(map, &reader, draft))
    return IMPORT_ROW_REFUSED;
  if (draft_finish(draft, out) != STATUS_OK) {
    refuse(&reader, "out of memory");
    out->size = before;
    return IMPORT_ROW_REFUSED;
  }
  if (out->size - before > IMPORT_DRAFT_BYTES_MAX) {
    refuse(&reader, "%zu octets, and a record holds %d", out->size - before, RECORD_BYTES_MAX);
    out->size = before;
    return IMPORT_ROW_REFUSED;
  }
  return IMPORT_ROW_DRAFT;
}
