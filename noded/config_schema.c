/* The schema for libcyaml, and its log turned into problems that name file and line. */
#include "noded/config_schema.h"

#include <cyaml/cyaml.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "noded/config.h"

#define TEXT_MAX 4096

#define TEXT_FIELD(name, structure)                                                                \
  CYAML_FIELD_STRING_PTR(#name, CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct structure, name,  \
                         0, TEXT_MAX)

static const cyaml_schema_field_t store_fields[] = {
    TEXT_FIELD(path, config_raw_store),
    TEXT_FIELD(map_gib, config_raw_store),
    TEXT_FIELD(quota_mib, config_raw_store),
    CYAML_FIELD_END,
};
static const cyaml_schema_field_t log_fields[] = {
    TEXT_FIELD(format, config_raw_log),
    TEXT_FIELD(level, config_raw_log),
    CYAML_FIELD_END,
};
static const cyaml_schema_field_t limits_fields[] = {
    TEXT_FIELD(children, config_raw_limits),         TEXT_FIELD(window_kib, config_raw_limits),
    TEXT_FIELD(rate_kbit, config_raw_limits),        TEXT_FIELD(handshakes, config_raw_limits),
    TEXT_FIELD(admit_per_second, config_raw_limits), CYAML_FIELD_END,
};
static const cyaml_schema_field_t link_fields[] = {
    TEXT_FIELD(idle_seconds, config_raw_link),
    TEXT_FIELD(dead_seconds, config_raw_link),
    TEXT_FIELD(retry_min_ms, config_raw_link),
    TEXT_FIELD(retry_max_ms, config_raw_link),
    CYAML_FIELD_END,
};
static const cyaml_schema_field_t retention_fields[] = {
    TEXT_FIELD(days, config_raw_retention),
    TEXT_FIELD(keep_mib, config_raw_retention),
    CYAML_FIELD_END,
};
static const cyaml_schema_field_t outbox_fields[] = {
    TEXT_FIELD(max_mib, config_raw_outbox),
    TEXT_FIELD(max_days, config_raw_outbox),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t listen_entry = {
    CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 0, TEXT_MAX),
};
static const cyaml_schema_field_t top_fields[] = {
    TEXT_FIELD(parent, config_raw),
    CYAML_FIELD_SEQUENCE("listen", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct config_raw,
                         listen, &listen_entry, 0, CONFIG_LISTEN_MAX),
    TEXT_FIELD(admin, config_raw),
    CYAML_FIELD_MAPPING("store", CYAML_FLAG_OPTIONAL, struct config_raw, store, store_fields),
    CYAML_FIELD_MAPPING("log", CYAML_FLAG_OPTIONAL, struct config_raw, log, log_fields),
    CYAML_FIELD_MAPPING("limits", CYAML_FLAG_OPTIONAL, struct config_raw, limits, limits_fields),
    CYAML_FIELD_MAPPING("link", CYAML_FLAG_OPTIONAL, struct config_raw, link, link_fields),
    CYAML_FIELD_MAPPING("retention", CYAML_FLAG_OPTIONAL, struct config_raw, retention,
                        retention_fields),
    CYAML_FIELD_MAPPING("outbox", CYAML_FLAG_OPTIONAL, struct config_raw, outbox, outbox_fields),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t top_value = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct config_raw, top_fields),
};

/* What libcyaml said while it loaded: the first complaint, and the innermost place of its
 * backtrace. */
struct complaint {
  char text[256];
  char field[64];
  char section[64]; /* the mapping field just outside `field` */
  unsigned line;
  bool whole_trace; /* the trace named the mapping itself, not one field */
};

/* NOLINTBEGIN(cert-err34-c): the numbers are line numbers that libcyaml wrote itself */
static void complaint_place(struct complaint *complaint, const char *text)
{
  char field[64];
  unsigned line = 0;
  if (sscanf(text, "  in mapping field '%63[^']' (line: %u", field, &line) == 2) {
    char *target =
        complaint->field[0] == 0 && !complaint->whole_trace ? complaint->field : complaint->section;
    if (target[0] == 0) {
      snprintf(target, sizeof(field), "%s", field);
    }
  } else if (sscanf(text, "  in mapping (line: %u", &line) == 1) {
    complaint->whole_trace = true;
  } else if (sscanf(text, "  in sequence entry '%*u' (line: %u", &line) != 1) {
    return;
  }
  if (complaint->line == 0) {
    complaint->line = line;
  }
}
/* NOLINTEND(cert-err34-c) */

static void on_log(cyaml_log_t level, void *context, const char *format, va_list arguments)
{
  (void)level;
  struct complaint *complaint = context;
  char text[512];
  vsnprintf(text, sizeof(text), format, arguments);
  text[strcspn(text, "\n")] = 0;
  if (strncmp(text, "  in ", 5) == 0) {
    complaint_place(complaint, text);
    return;
  }
  const char *start = strncmp(text, "Load: ", 6) == 0 ? text + 6 : text;
  if (strncmp(start, "Backtrace", 9) != 0 && complaint->text[0] == 0) {
    snprintf(complaint->text, sizeof(complaint->text), "%.255s", start);
  }
}

static const cyaml_schema_field_t *fields_of(const char *section)
{
  for (const cyaml_schema_field_t *field = top_fields; field->key != NULL; field++) {
    if (field->value.type == CYAML_MAPPING && strcmp(field->key, section) == 0) {
      return field->value.mapping.fields;
    }
  }
  return top_fields;
}

/* Levenshtein distance, bounded texts. */
static unsigned distance(const char *a, const char *b)
{
  unsigned row[64];
  size_t size = strlen(b) < 63 ? strlen(b) : 63;
  for (unsigned j = 0; j <= size; j++) {
    row[j] = j;
  }
  for (unsigned i = 1; a[i - 1] != 0 && i < 64; i++) {
    unsigned diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= size; j++) {
      unsigned above = row[j];
      unsigned best = diagonal + (a[i - 1] != b[j - 1]);
      best = above + 1 < best ? above + 1 : best;
      row[j] = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
      diagonal = above;
    }
  }
  return row[size];
}

/* The key that was likely meant, NULL when none is near. */
static const char *nearest_key(const cyaml_schema_field_t *fields, const char *key)
{
  const char *best = NULL;
  unsigned best_distance = 3;
  for (; fields->key != NULL; fields++) {
    unsigned got = distance(key, fields->key);
    if (got < best_distance && got < strlen(fields->key)) {
      best_distance = got;
      best = fields->key;
    }
  }
  return best;
}

static void tell_unexpected_key(struct config_problems *problems, const struct complaint *complaint,
                                const char *key)
{
  const char *section = complaint->section[0] == 0 ? NULL : complaint->section;
  const cyaml_schema_field_t *fields = section == NULL ? top_fields : fields_of(section);
  unsigned line = config_line_of_key(problems->source, section, key, 0);
  line = line == 0 ? complaint->line : line;
  const char *meant = nearest_key(fields, key);
  if (meant != NULL) {
    config_problem_add(problems, line, "unexpected key '%s' (did you mean '%s'?)", key, meant);
  } else {
    config_problem_add(problems, line, "unexpected key '%s'", key);
  }
}

/* The parser's own complaint; its place is in libyaml's words, which libcyaml doesn't pass on, so
 * the line is where loading had come to. */
static void tell_complaint(struct config_problems *problems, const struct complaint *complaint)
{
  char first[64];
  char second[64];
  if (sscanf(complaint->text, "Unexpected key: %63[^\n]", first) == 1) {
    tell_unexpected_key(problems, complaint, first);
  } else if (sscanf(complaint->text, "Mapping field already seen: %63[^\n]", first) == 1) {
    const char *section = complaint->section[0] == 0 ? NULL : complaint->section;
    unsigned line = config_line_of_key(problems->source, section, first, 1);
    config_problem_add(problems, line == 0 ? complaint->line : line, "'%s' stands twice", first);
  } else if (sscanf(complaint->text, "Expecting %63[A-Z], got event: %63[A-Z_]", first, second) ==
             2) {
    const char *wanted = strcmp(first, "MAPPING") == 0    ? "a section of key: value lines"
                         : strcmp(first, "SEQUENCE") == 0 ? "a list [...]"
                                                          : "one value";
    config_problem_add(problems, complaint->line, "%s%s%s needs %s",
                       complaint->field[0] == 0 ? "" : "'",
                       complaint->field[0] == 0 ? "the file" : complaint->field,
                       complaint->field[0] == 0 ? "" : "'", wanted);
  } else if (sscanf(complaint->text, "Excessive entries (%63[0-9]", first) == 1) {
    config_problem_add(problems, complaint->line, "'%s' holds at most %s values",
                       complaint->section[0] != 0 ? complaint->section : complaint->field, first);
  } else if (strncmp(complaint->text, "libyaml: ", 9) == 0) {
    config_problem_add(problems, complaint->line, "not YAML: %s", complaint->text + 9);
  } else if (strncmp(complaint->text, "Ignoring documents", 18) == 0) {
    config_problem_add(problems, 0, "more than one YAML document ('---'): keep one");
  } else {
    config_problem_add(problems, complaint->line, "%s",
                       complaint->text[0] == 0 ? "not accepted" : complaint->text);
  }
}

static cyaml_config_t settings_of(struct complaint *complaint)
{
  return (cyaml_config_t){
      .log_fn = on_log,
      .log_ctx = complaint,
      .mem_fn = cyaml_mem,
      .log_level = CYAML_LOG_WARNING,
      .flags = CYAML_CFG_NO_ALIAS,
  };
}

enum status config_raw_load(struct config_problems *problems, struct config_raw **out)
{
  struct complaint complaint = {.line = 0};
  cyaml_config_t settings = settings_of(&complaint);
  cyaml_data_t *data = NULL;
  enum status status = STATUS_OK;
  *out = NULL;
  if (problems->source.size == 0) {
    return STATUS_OK;
  }
  cyaml_err_t error = cyaml_load_data(problems->source.data, problems->source.size, &settings,
                                      &top_value, &data, NULL);
  if (error == CYAML_ERR_OOM) {
    status = STATUS_NO_MEMORY;
  } else if (error == CYAML_ERR_ALIAS) {
    config_problem_add(problems, complaint.line, "YAML aliases (*name) are not supported here");
    status = STATUS_INVALID_ARGUMENT;
  } else if (error != CYAML_OK || complaint.text[0] != 0) {
    tell_complaint(problems, &complaint);
    status = STATUS_INVALID_ARGUMENT;
  }
  if (status == STATUS_OK) {
    *out = data;
  } else if (error == CYAML_OK) {
    config_raw_free(data);
  }
  return status;
}

void config_raw_free(struct config_raw *raw)
{
  struct complaint complaint = {.line = 0};
  cyaml_config_t settings = settings_of(&complaint);
  if (raw != NULL) {
    (void)cyaml_free(&settings, &top_value, raw, 0);
  }
}
