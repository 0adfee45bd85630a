/*
 * The map of an import (docs/NODECTL.md, "import"): a YAML file that says which column of a table
 * becomes what in a record. It is read against the table's own columns, so that a misspelt column
 * is found with the map's file and line before anything is written.
 */
#ifndef CTL_IMPORT_MAP_H
#define CTL_IMPORT_MAP_H

#include "record/bytes.h"

#define IMPORT_REASON_MAX 512
#define IMPORT_BODY_MAX 64
#define IMPORT_ITEMS_MAX 63 /* the open body is one more */
#define IMPORT_TIMES_MAX 16

enum import_type { IMPORT_TEXT, IMPORT_INTEGER, IMPORT_FLOAT };

struct import_time {
  char *field;
  unsigned column; /* all columns here: from 1, 0 is none */
  char *format;    /* strptime's */
  char *zone;      /* "UTC", "local", a name such as America/New_York; NULL: UTC */
};
struct import_field {
  char *field;
  unsigned column;
  enum import_type type;
};
struct import_item {
  char *name;
  unsigned column;
  enum import_type type;
  uint32_t see; /* 0: not given, all */
};

struct import_map {
  unsigned version;
  char *kind;
  unsigned lane_given; /* lane + 1; 0: not given */
  unsigned up_given;   /* up + 1; 0: not given */
  char *author;
  char *delimiter;
  bool *header;
  unsigned category;
  char **filter; /* one entry a column, NULL where any value will do; NULL: no filter */
  struct import_time *time;
  uint32_t time_count;
  struct import_field *body;
  uint32_t body_count;
  struct import_item *items;
  uint32_t items_count;
};

/* What must be known before the table can be read. */
struct import_shape {
  char delimiter; /* ',' unless the map says otherwise */
  bool header;    /* true unless the map says otherwise; else columns are named 1, 2, ... */
};

/* Both: STATUS_OK, or STATUS_NOT_FOUND, STATUS_NOT_ALLOWED, STATUS_MALFORMED, STATUS_NO_MEMORY,
 * STATUS_IO with `reason` "FILE:LINE: why". */
MUST_USE enum status import_map_read_shape(const char *path, struct import_shape *shape,
                                           char reason[IMPORT_REASON_MAX]);
/* `columns` are the table's names in order. Free with import_map_free, which takes NULL. */
MUST_USE enum status import_map_read(const char *path, const char *const *columns, size_t count,
                                     struct import_map **map, char reason[IMPORT_REASON_MAX]);
void import_map_free(struct import_map *map, size_t column_count);

#endif
