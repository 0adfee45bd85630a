#include "csv_rows.h"

#include <string.h>

static bool parser_start(struct csv_rows *rows)
{
  if (csv_init(&rows->parser, CSV_STRICT | CSV_STRICT_FINI) != 0)
    return false;
  csv_set_delim(&rows->parser, (unsigned char)rows->delimiter);
  return true;
}

enum status csv_rows_open(struct bytes_view text, char delimiter, struct csv_rows *rows)
{
  static const uint8_t mark[] = {0xef, 0xbb, 0xbf};
  memset(rows, 0, sizeof *rows);
  rows->text = text;
  rows->line = 1;
  rows->delimiter = delimiter;
  if (text.size >= sizeof mark && memcmp(text.data, mark, sizeof mark) == 0)
    rows->at = sizeof mark;
  return parser_start(rows) ? STATUS_OK : STATUS_NO_MEMORY;
}

void csv_rows_close(struct csv_rows *rows)
{
  csv_free(&rows->parser);
  bytes_close(&rows->octets);
}

static void on_field(void *data, size_t size, void *argument)
{
  struct csv_rows *rows = argument;
  if (rows->count == CSV_COLUMNS_MAX)
    rows->trouble = "too many columns";
  else if (size > 0 && bytes_append(&rows->octets, data, size) != STATUS_OK)
    rows->trouble = "out of memory";
  else
    rows->ends[rows->count++] = rows->octets.size;
}

static void on_row(int end, void *argument)
{
  (void)end;
  ((struct csv_rows *)argument)->complete = true;
}

/* Octets up to and with the next line end: LF, CRLF, or CR alone. */
static size_t line_size(const struct csv_rows *rows)
{
  const uint8_t *start = rows->text.data + rows->at;
  size_t left = rows->text.size - rows->at;
  const uint8_t *feed = memchr(start, '\n', left);
  size_t size = feed != NULL ? (size_t)(feed - start) + 1 : left;
  const uint8_t *carriage = memchr(start, '\r', size);
  if (carriage != NULL && carriage + 1 != feed)
    size = (size_t)(carriage - start) + 1;
  return size;
}

static bool is_blank(const uint8_t *text, size_t size)
{
  for (size_t i = 0; i < size; i++)
    if (text[i] != ' ' && text[i] != '\t' && text[i] != '\r' && text[i] != '\n')
      return false;
  return true;
}

static void row_start(struct csv_rows *rows)
{
  bytes_clear(&rows->octets);
  rows->count = 0;
  rows->complete = false;
  rows->trouble = NULL;
}

/* Back to the line where the row began, and on behind it with a fresh parser. */
static bool give_up(struct csv_rows *rows, size_t start, uint64_t line, const char *error,
                    struct csv_row *row)
{
  csv_free(&rows->parser);
  bool fresh = parser_start(rows);
  rows->at = start;
  rows->at += line_size(rows);
  rows->line = line + 1;
  if (!fresh)
    rows->at = rows->text.size;
  *row = (struct csv_row){.line = line, .error = fresh ? error : "out of memory"};
  row_start(rows);
  return true;
}

static bool take(struct csv_rows *rows, uint64_t line, struct csv_row *row)
{
  size_t from = 0;
  if (rows->trouble != NULL) {
    *row = (struct csv_row){.line = line, .error = rows->trouble};
    return true;
  }
  for (size_t i = 0; i < rows->count; i++) {
    rows->fields[i] = bytes_view_of(rows->octets.data + from, rows->ends[i] - from);
    from = rows->ends[i];
  }
  *row = (struct csv_row){.line = line, .count = rows->count, .fields = rows->fields};
  return true;
}

bool csv_rows_next(struct csv_rows *rows, struct csv_row *row)
{
  size_t start = rows->at;
  uint64_t line = rows->line;
  bool begun = false;
  row_start(rows);
  while (rows->at < rows->text.size) {
    const uint8_t *text = rows->text.data + rows->at;
    size_t size = line_size(rows);
    if (!begun) {
      start = rows->at;
      line = rows->line;
      begun = !is_blank(text, size);
    }
    if (csv_parse(&rows->parser, text, size, on_field, on_row, rows) != size)
      return give_up(rows, start, line, "a quote stands where none may", row);
    rows->at += size;
    rows->line++;
    if (rows->complete)
      return take(rows, line, row);
    if (rows->at - start > CSV_ROW_BYTES_MAX)
      return give_up(rows, start, line, "larger than 1 MiB; is a quote not closed?", row);
  }
  if (!begun)
    return false;
  if (csv_fini(&rows->parser, on_field, on_row, rows) != 0)
    return give_up(rows, start, line, "a quote is not closed", row);
  return rows->complete && take(rows, line, row);
}
