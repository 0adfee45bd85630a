#include <stdlib.h>

#include "render.h"
#include "value.h"

void render_logs(const struct ctl_view *view, const struct rows *rows)
{
  static const char *const headings[] = {">LOG", "ORIGIN", "KEY",      "STORE",  "LANE",
                                         ">SEQ", "HELD",   ">COMMITS", "ARRIVED"};
  struct table table;
  char text[TEXT_SHORT_MAX];
  table_init(&table, headings, sizeof headings / sizeof headings[0]);
  for (size_t i = 0; i < rows->count; i++) {
    const msgpack_object *row = rows->rows[i];
    /* Of logs from outside this node's subtree only what concerns it is here. */
    bool gapless = value_bool(value_get(row, "gapless"));
    uint64_t floor = value_get_uint(row, "floor");
    table_add_format(&table, PAINT_NONE, "%llu", (unsigned long long)value_get_uint(row, "number"));
    table_add_view(&table, value_get_text(row, "address"), 0);
    table_add_view(&table, value_get_text(row, "origin"), 13);
    table_add_view(&table, value_get_text(row, "store"), 9);
    table_add(&table, PAINT_NONE, render_value(value_get(row, "lane")));
    table_add(&table, PAINT_NONE, text_copy(text_count(value_get_uint(row, "seq"), text)));
    if (floor > 0)
      table_add_format(&table, PAINT_NONE, "%s from %llu", gapless ? "all" : "part",
                       (unsigned long long)floor + 1);
    else
      table_add_format(&table, PAINT_NONE, "%s", gapless ? "all" : "part");
    table_add(&table, PAINT_NONE, text_copy(text_count(value_get_uint(row, "commits"), text)));
    table_add(&table, PAINT_NONE, text_copy(text_time(value_get_int(row, "arrived_at"), text)));
  }
  if (rows->count == 0)
    fputs("no logs\n", view->out);
  else
    table_print(&table, view);
  table_close(&table);
}

void render_commit(const struct ctl_view *view, const msgpack_object *result)
{
  static const char *const skip[] = {"records", "certificate", NULL};
  const msgpack_object *records = value_get(result, "records");
  char *certificate = render_value(value_get(result, "certificate"));
  fputs("commit\n", view->out);
  render_fields(view, result, skip);
  fprintf(view->out, "  %-12s %s\n", "certificate", certificate);
  fputc('\n', view->out);
  for (size_t i = 0; i < value_count(records); i++) {
    const msgpack_object *record = value_at(records, i);
    char *subject = text_clean(value_get_text(record, "subject"));
    fprintf(view->out, "%3llu  %s\n", (unsigned long long)value_get_uint(record, "index"), subject);
    render_record(view, record, 5);
    free(subject);
  }
  free(certificate);
}

void render_report(const struct ctl_view *view, const msgpack_object *result)
{
  static const char *const skip[] = {"findings", NULL};
  const msgpack_object *findings = value_get(result, "findings");
  size_t count = value_count(findings);
  render_fields(view, result, skip);
  if (count == 0)
    fprintf(view->out, "%snothing is wrong%s\n", paint_start(view, PAINT_GREEN),
            paint_end(view, PAINT_GREEN));
  for (size_t i = 0; i < count; i++) {
    char *text = text_clean(value_text(value_at(findings, i)));
    fprintf(view->out, "%s%s%s\n", paint_start(view, PAINT_RED), text, paint_end(view, PAINT_RED));
    free(text);
  }
}

static void print_entries(const struct ctl_view *view, const struct rows *entries)
{
  static const char *const headings[] = {">NUMBER", "FROM", "ORIGIN", "LANE",    ">SEQ",
                                         "FIRST",   "LAST", ">COUNT", "VERDICT", "REASON"};
  struct table table;
  char text[TEXT_SHORT_MAX];
  table_init(&table, headings, sizeof headings / sizeof headings[0]);
  for (size_t i = 0; i < entries->count; i++) {
    const msgpack_object *row = entries->rows[i];
    struct bytes_view address = value_get_text(row, "address");
    table_add_format(&table, PAINT_NONE, "%llu", (unsigned long long)value_get_uint(row, "number"));
    table_add(&table, PAINT_NONE, render_value(value_get(row, "neighbour")));
    table_add_view(&table, address.size > 0 ? address : value_get_text(row, "origin"), 24);
    table_add(&table, PAINT_NONE, render_value(value_get(row, "lane")));
    table_add(&table, PAINT_NONE, text_copy(text_count(value_get_uint(row, "seq"), text)));
    table_add(&table, PAINT_NONE, text_copy(text_time(value_get_int(row, "first_at"), text)));
    table_add(&table, PAINT_NONE, text_copy(text_time(value_get_int(row, "last_at"), text)));
    table_add(&table, PAINT_NONE, text_copy(text_count(value_get_uint(row, "count"), text)));
    table_add(&table, PAINT_RED, text_clean(value_get_text(row, "verdict")));
    table_add(&table, PAINT_NONE, text_clean(value_get_text(row, "reason")));
  }
  table_print(&table, view);
  table_close(&table);
}

static void print_refused(const struct ctl_view *view, const struct rows *refused)
{
  static const char *const headings[] = {"FROM", "ORIGIN", "LANE", ">SEQ", "AT", "VERDICT"};
  struct table table;
  char text[TEXT_SHORT_MAX];
  table_init(&table, headings, sizeof headings / sizeof headings[0]);
  for (size_t i = 0; i < refused->count; i++) {
    const msgpack_object *row = refused->rows[i];
    table_add(&table, PAINT_NONE, render_value(value_get(row, "neighbour")));
    table_add_view(&table, value_get_text(row, "origin"), 24);
    table_add(&table, PAINT_NONE, render_value(value_get(row, "lane")));
    table_add(&table, PAINT_NONE, text_copy(text_count(value_get_uint(row, "seq"), text)));
    table_add(&table, PAINT_NONE, text_copy(text_time(value_get_int(row, "at"), text)));
    table_add(&table, PAINT_RED, text_clean(value_get_text(row, "verdict")));
  }
  fputs("\nAsked for again:\n", view->out);
  table_print(&table, view);
  table_close(&table);
}

void render_quarantine(const struct ctl_view *view, const struct rows *entries,
                       const struct rows *refused)
{
  if (entries->count == 0)
    fputs("nothing is in quarantine\n", view->out);
  else
    print_entries(view, entries);
  if (refused->count > 0)
    print_refused(view, refused);
}
