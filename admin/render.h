/*
 * Results as people read them. Each takes a command's `result` as docs/ADMIN.md has it, reads no
 * clock and no terminal: everything comes from the view, so that golden files can hold it fast.
 */
#ifndef CTL_RENDER_H
#define CTL_RENDER_H

#include <msgpack/object.h>

#include "ctl.h"
#include "record/record.h"
#include "text.h"

/* Rows of one result that came in pages: pointers into replies that are kept with them. */
struct rows {
  const msgpack_object **rows;
  size_t count;
  size_t capacity;
};
void rows_add(struct rows *rows, const msgpack_object *array, size_t count_max);
void rows_close(struct rows *rows);

void render_status(const struct ctl_view *view, const msgpack_object *result);
void render_trim(const struct ctl_view *view, const msgpack_object *result);
void render_tree(const struct ctl_view *view, const msgpack_object *result);
void render_cases(const struct ctl_view *view, const struct rows *rows);
void render_case(const struct ctl_view *view, const msgpack_object *result);
void render_inbox(const struct ctl_view *view, const struct rows *rows);
void render_logs(const struct ctl_view *view, const struct rows *rows);
void render_commit(const struct ctl_view *view, const msgpack_object *result);
void render_report(const struct ctl_view *view, const msgpack_object *result);
void render_quarantine(const struct ctl_view *view, const struct rows *entries,
                       const struct rows *refused);

/* "urgent 3, 1.2 kB, 4s; normal ..." for the lanes where something waits, "-" for none; new
 * memory. `*behind` says whether anything waits. */
char *render_waiting(const struct ctl_view *view, const msgpack_object *lanes, bool *behind);
/* A record with its items, indented by `indent` spaces. */
void render_record(const struct ctl_view *view, const msgpack_object *record, int indent);
/* Any value on one line, as JSON, but with text unquoted and octets cut at the top; new memory,
 * cleaned. */
char *render_value(const msgpack_object *value);
/* Every field of a map, "  name  value" per line, except the `skip` list (ends with NULL). */
void render_fields(const struct ctl_view *view, const msgpack_object *map, const char *const *skip);

#endif
