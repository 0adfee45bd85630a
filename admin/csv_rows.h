/*
 * Rows of a CSV text (RFC 4180: quotes, quotes within quotes, line breaks within quotes; LF, CRLF
 * or CR; a byte order mark is passed over), each with the line where it begins. libcsv, strict,
 * does the parsing; what it can't take costs one line, and the next is tried.
 */
#ifndef CTL_CSV_ROWS_H
#define CTL_CSV_ROWS_H

#include <csv.h>

#include "record/bytes.h"

#define CSV_COLUMNS_MAX 1024
#define CSV_ROW_BYTES_MAX (1024 * 1024)

struct csv_row {
  uint64_t line;             /* where it begins, from 1 */
  size_t count;              /* fields */
  struct bytes_view *fields; /* borrowed until the next row */
  const char *error;         /* NULL, or why the row can't be read; then it has no fields */
};

struct csv_rows {
  struct bytes_view text; /* borrowed */
  size_t at;
  uint64_t line; /* of `at` */
  char delimiter;
  struct csv_parser parser;
  struct bytes octets; /* of the fields of one row, one after another */
  struct bytes_view fields[CSV_COLUMNS_MAX];
  size_t ends[CSV_COLUMNS_MAX];
  size_t count;
  bool complete;
  const char *trouble;
};

/* STATUS_NO_MEMORY. `text` stays the caller's and must outlive it. */
MUST_USE enum status csv_rows_open(struct bytes_view text, char delimiter, struct csv_rows *rows);
void csv_rows_close(struct csv_rows *rows);
/* The next row, blank lines passed over; false at the end. */
bool csv_rows_next(struct csv_rows *rows, struct csv_row *row);

#endif
