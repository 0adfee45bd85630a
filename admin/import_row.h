/*
 * One row of a table to one draft of a record, by the map.
 */
#ifndef CTL_IMPORT_ROW_H
#define CTL_IMPORT_ROW_H

#include "csv_rows.h"
#include "draft.h"
#include "import_map.h"

#define IMPORT_ROW_REASON_MAX 256

enum import_row { IMPORT_ROW_DRAFT, IMPORT_ROW_SKIPPED, IMPORT_ROW_REFUSED };

/* Appends the draft's octets to `out`; or says that the filter passes the row over, or why it
 * can't be a record. `columns` are the table's. `draft` is scratch, from draft_init. */
enum import_row import_row_draft(const struct import_map *map, const struct csv_row *row,
                                 const char *const *columns, size_t column_count,
                                 struct draft *draft, struct bytes *out,
                                 char reason[IMPORT_ROW_REASON_MAX]);

#endif
