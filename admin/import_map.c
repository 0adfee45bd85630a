#include "import_map.h"

#include <cyaml/cyaml.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/node_files.h"
#include "csv_rows.h"
#include "import_time.h"
#include "record/check.h"
#include "record/record.h"

#define MAP_BYTES_MAX (256 * 1024)
#define MAP_FIELDS 12

/* libcyaml reports by log lines: the first names the trouble, the backtrace the place. */
struct findings {
  char message[256];
  unsigned line;
};

static void on_log(cyaml_log_t level, void *context, const char *format, va_list arguments)
{
  struct findings *findings = context;
  char text[256];
  (void)level;
  vsnprintf(text, sizeof text, format, arguments);
  text[strcspn(text, "\n")] = '\0';
  const char *place = strstr(text, "(line: ");
  const char *message = strncmp(text, "Load: ", 6) == 0 ? text + 6 : text;
  if (place != NULL && findings->line == 0)
    findings->line = (unsigned)strtoul(place + 7, NULL, 10);
  else if (place == NULL && findings->message[0] == '\0')
    snprintf(findings->message, sizeof findings->message, "%s", message);
}

/* Line of the `nth` (from 0) place from `line` on where `key:` stands (with `value` behind it,
 * unless NULL); `line` when there is none. */
static unsigned find_line(struct bytes_view text, unsigned line, const char *key, const char *value,
                          unsigned nth)
{
  unsigned at = 1;
  const char *start = (const char *)text.data, *end = start + text.size;
  size_t key_size = strlen(key);
  while (start < end) {
    const char *feed = memchr(start, '\n', (size_t)(end - start));
    size_t size = feed != NULL ? (size_t)(feed - start) : (size_t)(end - start);
    const char *hit = at >= line ? memmem(start, size, key, key_size) : NULL;
    bool is_key = hit != NULL && hit + key_size < start + size &&
                  strchr(": \"'", hit[key_size]) != NULL &&
                  (hit == start || strchr(" {,-\"'", hit[-1]) != NULL);
    if (is_key && value != NULL)
      is_key = memmem(hit, (size_t)(start + size - hit), value, strlen(value)) != NULL;
    if (is_key && nth-- == 0)
      return at;
    start += size + 1;
    at++;
  }
  return line > 0 ? line : 1;
}

static enum status fail(const char *path, unsigned line, char *reason, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
static enum status fail(const char *path, unsigned line, char *reason, const char *format, ...)
{
  va_list arguments;
  int size = snprintf(reason, IMPORT_REASON_MAX, "%.200s:%u: ", path, line > 0 ? line : 1);
  va_start(arguments, format);
  vsnprintf(reason + size, IMPORT_REASON_MAX - (size_t)size, format, arguments);
  va_end(arguments);
  return STATUS_MALFORMED;
}

static enum status load(const char *path, struct bytes_view text, cyaml_cfg_flags_t flags,
                        const cyaml_schema_value_t *schema, void **out, char *reason)
{
  static const char unexpected[] = "Unexpected key: ";
  struct findings findings = {0};
  const cyaml_config_t config = {
      .log_fn = on_log,
      .log_ctx = &findings,
      .mem_fn = cyaml_mem,
      .log_level = CYAML_LOG_ERROR,
      .flags = flags | CYAML_CFG_NO_ALIAS,
  };
  cyaml_data_t *data = NULL;
  if (text.size == 0)
    return fail(path, 1, reason, "the map is empty");
  cyaml_err_t error = cyaml_load_data(text.data, text.size, &config, schema, &data, NULL);
  *out = data;
  if (error == CYAML_OK && data != NULL)
    return STATUS_OK;
  if (error == CYAML_OK)
    return fail(path, 1, reason, "the map is empty");
  if (error == CYAML_ERR_OOM)
    return STATUS_NO_MEMORY;
  /* libcyaml's place for a key that it doesn't know is that of the value before it. */
  if (strncmp(findings.message, unexpected, sizeof unexpected - 1) == 0)
    findings.line =
        find_line(text, findings.line, findings.message + sizeof unexpected - 1, NULL, 0);
  return fail(path, findings.line, reason, "%s",
              findings.message[0] != '\0' ? findings.message : cyaml_strerror(error));
}

static enum status read_text(const char *path, struct bytes *text, char *reason)
{
  enum status status = node_file_read(path, MAP_BYTES_MAX, text);
  if (status != STATUS_OK)
    snprintf(reason, IMPORT_REASON_MAX, "%.400s: %s", path, status_text(status));
  return status;
}

/* Only these two are looked at in the first reading. */
struct shape_fields {
  char *delimiter;
  bool *header;
};

enum status import_map_read_shape(const char *path, struct import_shape *shape,
                                  char reason[IMPORT_REASON_MAX])
{
  static const cyaml_schema_field_t fields[] = {
      CYAML_FIELD_STRING_PTR("delimiter", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
                             struct shape_fields, delimiter, 1, 1),
      CYAML_FIELD_BOOL_PTR("header", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct shape_fields,
                           header),
      CYAML_FIELD_END,
  };
  static const cyaml_schema_value_t schema = {
      CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct shape_fields, fields)};
  const cyaml_config_t config = {.mem_fn = cyaml_mem};
  struct bytes text = {0};
  void *data = NULL;
  enum status status = read_text(path, &text, reason);
  if (status == STATUS_OK)
    status =
        load(path, bytes_as_view(&text), CYAML_CFG_IGNORE_UNKNOWN_KEYS, &schema, &data, reason);
  if (status == STATUS_OK) {
    const struct shape_fields *read = data;
    CHECK(read != NULL);
    shape->delimiter = read->delimiter != NULL ? read->delimiter[0] : ',';
    shape->header = read->header == NULL || *read->header;
    if (shape->delimiter == '"' || shape->delimiter == '\n' || shape->delimiter == '\r')
      status = fail(path, find_line(bytes_as_view(&text), 1, "delimiter", NULL, 0), reason,
                    "this character can't be a delimiter");
    cyaml_free(&config, &schema, data, 0);
  }
  bytes_close(&text);
  return status;
}

static const cyaml_strval_t version_names[] = {{"1", 1}};
static const cyaml_strval_t lane_names[] = {
    {"urgent", LANE_URGENT + 1}, {"normal", LANE_NORMAL + 1}, {"bulk", LANE_BULK + 1}};
static const cyaml_strval_t up_names[] = {{"0", 1}, {"1", 2}, {"2", 3}, {"3", 4}, {"4", 5}};
static const cyaml_strval_t type_names[] = {
    {"text", IMPORT_TEXT}, {"integer", IMPORT_INTEGER}, {"float", IMPORT_FLOAT}};
static const cyaml_strval_t see_names[] = {{"grid", SEE_GRID},
                                           {"community", SEE_COMMUNITY},
                                           {"street", SEE_STREET},
                                           {"district", SEE_DISTRICT},
                                           {"unit", SEE_UNIT}};

/* The schema, made against one table's columns. `map` borrows nothing from it. */
struct schema {
  cyaml_strval_t *columns;
  cyaml_schema_field_t *filter;
  cyaml_schema_field_t time[5], body[4], items[5], top[MAP_FIELDS + 2];
  cyaml_schema_value_t time_value, body_value, item_value, value;
};

#define OPTIONAL_POINTER (CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL)
#define STRICT_OPTIONAL (CYAML_FLAG_STRICT | CYAML_FLAG_OPTIONAL)
#define COLUMN_FIELD(key, flags, structure, member)                                                \
  CYAML_FIELD_ENUM(key, CYAML_FLAG_STRICT | (flags), structure, member, schema->columns,           \
                   (uint32_t)count)
#define TYPE_FIELD(structure)                                                                      \
  CYAML_FIELD_ENUM("type", STRICT_OPTIONAL, structure, type, type_names,                           \
                   CYAML_ARRAY_LEN(type_names))

static void schema_lists(struct schema *schema, size_t count)
{
  const cyaml_schema_field_t time[] = {
      CYAML_FIELD_STRING_PTR("field", CYAML_FLAG_POINTER, struct import_time, field, 1, 64),
      COLUMN_FIELD("column", 0, struct import_time, column),
      CYAML_FIELD_STRING_PTR("format", CYAML_FLAG_POINTER, struct import_time, format, 1, 128),
      CYAML_FIELD_STRING_PTR("zone", OPTIONAL_POINTER, struct import_time, zone, 1, 128),
      CYAML_FIELD_END,
  };
  const cyaml_schema_field_t body[] = {
      CYAML_FIELD_STRING_PTR("field", CYAML_FLAG_POINTER, struct import_field, field, 1, 64),
      COLUMN_FIELD("column", 0, struct import_field, column),
      TYPE_FIELD(struct import_field),
      CYAML_FIELD_END,
  };
  const cyaml_schema_field_t items[] = {
      CYAML_FIELD_STRING_PTR("name", CYAML_FLAG_POINTER, struct import_item, name, 1,
                             RECORD_ITEM_NAME_MAX),
      COLUMN_FIELD("column", 0, struct import_item, column),
      TYPE_FIELD(struct import_item),
      CYAML_FIELD_FLAGS("see", STRICT_OPTIONAL, struct import_item, see, see_names,
                        CYAML_ARRAY_LEN(see_names)),
      CYAML_FIELD_END,
  };
  memcpy(schema->time, time, sizeof time);
  memcpy(schema->body, body, sizeof body);
  memcpy(schema->items, items, sizeof items);
  schema->time_value = (cyaml_schema_value_t){
      CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct import_time, schema->time)};
  schema->body_value = (cyaml_schema_value_t){
      CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct import_field, schema->body)};
  schema->item_value = (cyaml_schema_value_t){
      CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct import_item, schema->items)};
}

static void schema_top(struct schema *schema, size_t count)
{
  const cyaml_schema_field_t top[] = {
      CYAML_FIELD_ENUM("version", CYAML_FLAG_STRICT, struct import_map, version, version_names,
                       CYAML_ARRAY_LEN(version_names)),
      CYAML_FIELD_STRING_PTR("kind", CYAML_FLAG_POINTER, struct import_map, kind, 1,
                             RECORD_KIND_MAX),
      CYAML_FIELD_ENUM("lane", STRICT_OPTIONAL, struct import_map, lane_given, lane_names,
                       CYAML_ARRAY_LEN(lane_names)),
      CYAML_FIELD_ENUM("up", STRICT_OPTIONAL, struct import_map, up_given, up_names,
                       CYAML_ARRAY_LEN(up_names)),
      CYAML_FIELD_STRING_PTR("author", OPTIONAL_POINTER, struct import_map, author, 0,
                             RECORD_AUTHOR_MAX),
      CYAML_FIELD_STRING_PTR("delimiter", OPTIONAL_POINTER, struct import_map, delimiter, 1, 1),
      CYAML_FIELD_BOOL_PTR("header", OPTIONAL_POINTER, struct import_map, header),
      COLUMN_FIELD("category", CYAML_FLAG_OPTIONAL, struct import_map, category),
      {.key = "filter",
       .data_offset = offsetof(struct import_map, filter),
       .value = {.type = CYAML_MAPPING,
                 .flags = (enum cyaml_flag)OPTIONAL_POINTER,
                 .data_size = (uint32_t)(count * sizeof(char *)),
                 .mapping = {.fields = schema->filter}}},
      CYAML_FIELD_SEQUENCE("time", OPTIONAL_POINTER, struct import_map, time, &schema->time_value,
                           0, IMPORT_TIMES_MAX),
      CYAML_FIELD_SEQUENCE("body", OPTIONAL_POINTER, struct import_map, body, &schema->body_value,
                           0, IMPORT_BODY_MAX),
      CYAML_FIELD_SEQUENCE("items", OPTIONAL_POINTER, struct import_map, items, &schema->item_value,
                           0, IMPORT_ITEMS_MAX),
      CYAML_FIELD_END,
  };
  _Static_assert(sizeof top <= sizeof schema->top, "room for every field");
  memcpy(schema->top, top, sizeof top);
  schema->value = (cyaml_schema_value_t){
      CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct import_map, schema->top)};
}

static void schema_close(struct schema *schema)
{
  free(schema->columns);
  free(schema->filter);
}

/* `columns` may be NULL when the schema serves to free a map only. */
static enum status schema_open(const char *const *columns, size_t count, struct schema *schema)
{
  memset(schema, 0, sizeof *schema);
  schema->columns = calloc(count + 1, sizeof *schema->columns);
  schema->filter = calloc(count + 1, sizeof *schema->filter);
  if (schema->columns == NULL || schema->filter == NULL) {
    schema_close(schema);
    return STATUS_NO_MEMORY;
  }
  for (size_t i = 0; i < count; i++) {
    const char *name = columns != NULL ? columns[i] : "-";
    schema->columns[i] = (cyaml_strval_t){name, (int64_t)i + 1};
    schema->filter[i] = (cyaml_schema_field_t){
        .key = name,
        .data_offset = (uint32_t)(i * sizeof(char *)),
        .value = {CYAML_VALUE_STRING(OPTIONAL_POINTER, char, 0, CYAML_UNLIMITED)}};
  }
  schema_lists(schema, count);
  schema_top(schema, count);
  return STATUS_OK;
}

void import_map_free(struct import_map *map, size_t column_count)
{
  const cyaml_config_t config = {.mem_fn = cyaml_mem};
  struct schema schema;
  if (map == NULL || schema_open(NULL, column_count, &schema) != STATUS_OK)
    return;
  cyaml_free(&config, &schema.value, map, 0);
  schema_close(&schema);
}

/* How often `name` stands among the open body's fields. */
static unsigned body_uses(const struct import_map *map, const char *name)
{
  unsigned uses = map->category != 0 && strcmp(name, "category") == 0;
  for (uint32_t i = 0; i < map->time_count; i++)
    uses += strcmp(map->time[i].field, name) == 0;
  for (uint32_t i = 0; i < map->body_count; i++)
    uses += strcmp(map->body[i].field, name) == 0;
  return uses;
}

static unsigned item_uses(const struct import_map *map, const char *name)
{
  unsigned uses = 0;
  for (uint32_t i = 0; i < map->items_count; i++)
    uses += strcmp(map->items[i].name, name) == 0;
  return uses;
}

/* What a schema can't say: names that stand twice, formats and zones that don't exist. */
static enum status check(const char *path, struct bytes_view text, const struct import_map *map,
                         char *reason)
{
  static const char twice[] = "'%s' stands twice";
  for (uint32_t i = 0; i < map->time_count; i++) {
    const struct import_time *time = &map->time[i];
    if (body_uses(map, time->field) > 1)
      return fail(path, find_line(text, 1, "field", time->field, 0), reason, twice, time->field);
    if (!import_zone_exists(time->zone))
      return fail(path, find_line(text, 1, "zone", time->zone, 0), reason,
                  "there is no time zone '%s' on this device", time->zone);
  }
  for (uint32_t i = 0; i < map->body_count; i++)
    if (body_uses(map, map->body[i].field) > 1)
      return fail(path, find_line(text, 1, "field", map->body[i].field, 0), reason, twice,
                  map->body[i].field);
  for (uint32_t i = 0; i < map->items_count; i++)
    if (item_uses(map, map->items[i].name) > 1)
      return fail(path, find_line(text, 1, "name", map->items[i].name, 1), reason, twice,
                  map->items[i].name);
  return STATUS_OK;
}

enum status import_map_read(const char *path, const char *const *columns, size_t count,
                            struct import_map **map, char reason[IMPORT_REASON_MAX])
{
  struct bytes text = {0};
  struct schema schema;
  void *data = NULL;
  *map = NULL;
  reason[0] = '\0';
  enum status status = schema_open(columns, count, &schema);
  if (status != STATUS_OK)
    return status;
  status = read_text(path, &text, reason);
  if (status == STATUS_OK)
    status = load(path, bytes_as_view(&text), CYAML_CFG_DEFAULT, &schema.value, &data, reason);
  *map = data;
  CHECK(status != STATUS_OK || data != NULL);
  if (status == STATUS_OK)
    status = check(path, bytes_as_view(&text), *map, reason);
  schema_close(&schema);
  bytes_close(&text);
  if (status != STATUS_OK) {
    import_map_free(*map, count);
    *map = NULL;
  }
  return status;
}
