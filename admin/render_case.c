#include <stdlib.h>
#include <string.h>

#include "render.h"
#include "value.h"

#define CATEGORY_WIDTH 32

void render_cases(const struct ctl_view *view, const struct rows *rows)
{
  static const char *const headings[] = {"SUBJECT",  "STATE",    "CATEGORY", "FOUNDER",
                                         ">RECORDS", "REPORTED", "CHANGED",  "PARENT HAS IT"};
  struct table table;
  char time[TEXT_SHORT_MAX];
  table_init(&table, headings, sizeof headings / sizeof headings[0]);
  for (size_t i = 0; i < rows->count; i++) {
    const msgpack_object *row = rows->rows[i];
    bool waits = value_bool(value_get(row, "waits_up"));
    struct bytes_view category = value_get_text(row, "category");
    table_add_view(&table, value_get_text(row, "subject"), 0);
    table_add_view(&table, value_get_text(row, "state"), 0);
    table_add_view(&table, category.size > 0 ? category : value_get_text(row, "kind"),
                   CATEGORY_WIDTH);
    table_add_view(&table, value_get_text(row, "founder"), 0);
    table_add(&table, PAINT_NONE, text_copy(text_count(value_get_uint(row, "records"), time)));
    table_add(&table, PAINT_NONE, text_copy(text_time(value_get_int(row, "reported_at"), time)));
    table_add(&table, PAINT_NONE, text_copy(text_time(value_get_int(row, "changed_at"), time)));
    table_add_format(&table, waits ? PAINT_YELLOW : PAINT_GREEN, "%s", waits ? "not yet" : "yes");
  }
  if (rows->count == 0)
    fputs("no cases\n", view->out);
  else
    table_print(&table, view);
  table_close(&table);
}

static void print_field(const struct ctl_view *view, const char *label, const msgpack_object *map,
                        const char *name)
{
  char *text = text_clean(value_get_text(map, name));
  if (text[0] != '\0')
    fprintf(view->out, "%-10s %s\n", label, text);
  free(text);
}

static void print_audience(const struct ctl_view *view, const msgpack_object *audience)
{
  fputs("audience  ", view->out);
  for (size_t i = 0; i < value_count(audience); i++) {
    char *text = text_clean(value_text(value_at(audience, i)));
    fprintf(view->out, " %s", text);
    free(text);
  }
  fputc('\n', view->out);
}

void render_case(const struct ctl_view *view, const msgpack_object *result)
{
  char time[TEXT_SHORT_MAX];
  const msgpack_object *row = value_get(result, "case");
  const msgpack_object *records = value_get(result, "records");
  print_field(view, "case", row, "subject");
  print_field(view, "state", row, "state");
  print_field(view, "category", row, "category");
  print_field(view, "founder", row, "founder");
  fprintf(view->out, "%-10s %s\n", "reported", text_time(value_get_int(row, "reported_at"), time));
  fprintf(view->out, "%-10s %s\n", "changed", text_time(value_get_int(row, "changed_at"), time));
  if (value_bool(value_get(row, "waits_up")))
    fprintf(view->out, "%sthe parent has not acknowledged all of it yet%s\n",
            paint_start(view, PAINT_YELLOW), paint_end(view, PAINT_YELLOW));
  print_audience(view, value_get(result, "audience"));
  fputc('\n', view->out);
  for (size_t i = 0; i < value_count(records); i++)
    render_record(view, value_at(records, i), 0);
}

void render_inbox(const struct ctl_view *view, const struct rows *rows)
{
  if (rows->count == 0)
    fputs("nothing came down\n", view->out);
  for (size_t i = 0; i < rows->count; i++) {
    const msgpack_object *record = value_get(rows->rows[i], "record");
    char *subject = text_clean(value_get_text(record, "subject"));
    fprintf(view->out, "%s#%llu%s  %s\n", paint_start(view, PAINT_BOLD),
            (unsigned long long)value_get_uint(rows->rows[i], "number"),
            paint_end(view, PAINT_BOLD), subject);
    render_record(view, record, 4);
    free(subject);
  }
}
