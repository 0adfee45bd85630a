#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "record/check.h"
#include "text.h"

#define TABLE_GAP 2

const char *paint_start(const struct ctl_view *view, enum paint paint)
{
  static const char *const sequences[] = {
      [PAINT_NONE] = "",        [PAINT_GREEN] = "\033[32m", [PAINT_YELLOW] = "\033[33m",
      [PAINT_RED] = "\033[31m", [PAINT_GREY] = "\033[90m",  [PAINT_BOLD] = "\033[1m",
  };
  return view->color ? sequences[paint] : "";
}

const char *paint_end(const struct ctl_view *view, enum paint paint)
{
  return view->color && paint != PAINT_NONE ? "\033[0m" : "";
}

void table_init(struct table *table, const char *const *headings, size_t columns)
{
  CHECK(columns <= TABLE_COLUMNS_MAX);
  memset(table, 0, sizeof *table);
  table->headings = headings;
  table->columns = columns;
}

void table_close(struct table *table)
{
  for (size_t i = 0; i < table->count; i++)
    free(table->cells[i].text);
  free(table->cells);
  memset(table, 0, sizeof *table);
}

void table_add(struct table *table, enum paint paint, char *text)
{
  if (table->count == table->capacity) {
    table->capacity = table->capacity > 0 ? 2 * table->capacity : 64;
    table->cells = text_realloc(table->cells, table->capacity * sizeof *table->cells);
  }
  table->cells[table->count++] = (struct table_cell){text, paint};
}

void table_add_format(struct table *table, enum paint paint, const char *format, ...)
{
  va_list arguments;
  char *text = NULL;
  va_start(arguments, format);
  if (vasprintf(&text, format, arguments) < 0)
    text = text_copy("");
  va_end(arguments);
  table_add(table, paint, text);
}

void table_add_view(struct table *table, struct bytes_view text, size_t width)
{
  char *clean = text_clean(text);
  if (width > 0)
    text_cut(clean, width);
  table_add(table, PAINT_NONE, clean);
}

static bool aligned_right(const struct table *table, size_t column)
{
  return table->headings[column][0] == '>';
}

static const char *heading_text(const struct table *table, size_t column)
{
  return table->headings[column] + (aligned_right(table, column) ? 1 : 0);
}

static void print_spaces(FILE *out, size_t count)
{
  fprintf(out, "%*s", (int)count, "");
}

/* The last column is not filled up, so that no line ends in spaces. */
static void print_cell(const struct table *table, const struct ctl_view *view, size_t column,
                       size_t width, const char *text, enum paint paint)
{
  size_t room = width - text_width(text);
  bool last = column + 1 == table->columns;
  if (aligned_right(table, column))
    print_spaces(view->out, room);
  fprintf(view->out, "%s%s%s", paint_start(view, paint), text, paint_end(view, paint));
  if (last)
    fputc('\n', view->out);
  else
    print_spaces(view->out, TABLE_GAP + (aligned_right(table, column) ? 0 : room));
}

void table_print(const struct table *table, const struct ctl_view *view)
{
  size_t widths[TABLE_COLUMNS_MAX];
  CHECK(table->count % table->columns == 0);
  for (size_t c = 0; c < table->columns; c++)
    widths[c] = text_width(heading_text(table, c));
  for (size_t i = 0; i < table->count; i++) {
    size_t width = text_width(table->cells[i].text);
    if (width > widths[i % table->columns])
      widths[i % table->columns] = width;
  }
  for (size_t c = 0; c < table->columns; c++)
    print_cell(table, view, c, widths[c], heading_text(table, c), PAINT_BOLD);
  for (size_t i = 0; i < table->count; i++) {
    size_t c = i % table->columns;
    print_cell(table, view, c, widths[c], table->cells[i].text, table->cells[i].paint);
  }
}
