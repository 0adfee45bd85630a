/*
 * The tree, with lines. Rows come in any order but the first, which is the node asked; each hangs
 * below the row of its parent, and what has no such row hangs below the first.
 */
#include <stdlib.h>
#include <string.h>

#include "render.h"
#include "value.h"

#define TREE_DEPTH_MAX 8

struct tree_row {
  const msgpack_object *row;
  struct bytes_view address;
  struct bytes_view parent;
};

struct tree {
  const struct ctl_view *view;
  struct table table;
  struct tree_row *rows; /* sorted by (parent, address), without the first */
  size_t count;
};

static int compare_rows(const void *a, const void *b)
{
  const struct tree_row *left = a, *right = b;
  int order = bytes_view_compare(left->parent, right->parent);
  return order != 0 ? order : bytes_view_compare(left->address, right->address);
}

/* First row whose parent is not below `parent` in order. */
static size_t lower_bound(const struct tree *tree, struct bytes_view parent)
{
  size_t low = 0, high = tree->count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (bytes_view_compare(tree->rows[middle].parent, parent) < 0)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

static enum paint state_paint(struct bytes_view state, bool behind)
{
  if (bytes_view_equal(state, bytes_view_text("down")))
    return PAINT_RED;
  if (bytes_view_equal(state, bytes_view_text("unknown")))
    return PAINT_GREY;
  return behind ? PAINT_YELLOW : PAINT_GREEN;
}

/* What waits in one direction; "?" where nobody could say. */
static char *waiting_text(const struct tree *tree, const msgpack_object *lanes, bool known,
                          bool *behind)
{
  *behind = false;
  if (!known)
    return text_copy("?");
  return render_waiting(tree->view, lanes, behind);
}

static enum paint cell_paint(bool known, bool behind)
{
  return !known ? PAINT_GREY : behind ? PAINT_YELLOW : PAINT_NONE;
}

static void add_row(struct tree *tree, const msgpack_object *row, const char *lines, bool first)
{
  char heard[TEXT_SHORT_MAX];
  struct bytes_view state = value_get_text(row, "state");
  const msgpack_object *up = value_get(row, "up"), *down = value_get(row, "down");
  bool unknown = bytes_view_equal(state, bytes_view_text("unknown"));
  /* The district has no parent for which anything could wait, and the first row none here. */
  bool up_known = value_count(up) > 0 || first;
  bool down_known = (value_count(down) > 0 && !unknown) || first;
  bool up_behind, down_behind;
  char *up_text = waiting_text(tree, up, up_known, &up_behind);
  char *down_text = waiting_text(tree, down, down_known, &down_behind);
  char *address = text_clean(value_get_text(row, "address"));
  bool lacks = value_bool(value_get(row, "needs_snapshot"));
  char *state_text = text_clean(state);

  table_add_format(&tree->table, unknown ? PAINT_GREY : PAINT_NONE, "%s%s", lines, address);
  table_add(&tree->table, unknown ? PAINT_GREY : PAINT_NONE,
            text_clean(value_get_text(row, "class")));
  table_add_format(&tree->table, state_paint(state, up_behind || down_behind || lacks), "%s%s",
                   state_text, lacks ? ", needs snapshot" : "");
  table_add_format(&tree->table, unknown ? PAINT_GREY : PAINT_NONE, "%s",
                   first ? "-"
                         : text_ago(value_get_int(row, "last_heard"), tree->view->now_ms, heard));
  table_add(&tree->table, cell_paint(up_known, up_behind), up_text);
  table_add(&tree->table, cell_paint(down_known, down_behind), down_text);
  free(address);
  free(state_text);
}

static void add_below(struct tree *tree, struct bytes_view parent, const char *lines, int depth)
{
  size_t i = lower_bound(tree, parent);
  for (; i < tree->count && bytes_view_equal(tree->rows[i].parent, parent); i++) {
    bool last = i + 1 == tree->count || !bytes_view_equal(tree->rows[i + 1].parent, parent);
    char own[TREE_DEPTH_MAX * 8 + 16], below[TREE_DEPTH_MAX * 8 + 16];
    snprintf(own, sizeof own, "%s%s", lines, last ? "└─ " : "├─ ");
    snprintf(below, sizeof below, "%s%s", lines, last ? "   " : "│  ");
    add_row(tree, tree->rows[i].row, own, false);
    if (depth < TREE_DEPTH_MAX)
      add_below(tree, tree->rows[i].address, below, depth + 1);
  }
}

static int compare_addresses(const void *a, const void *b)
{
  return bytes_view_compare(*(const struct bytes_view *)a, *(const struct bytes_view *)b);
}

static int compare_row_addresses(const void *a, const void *b)
{
  const struct tree_row *left = a, *right = b;
  return bytes_view_compare(left->address, right->address);
}

/* One row an address: rows come from other nodes, and each double would hang below every other. */
static void drop_doubles(struct tree *tree)
{
  size_t kept = 0;
  qsort(tree->rows, tree->count, sizeof *tree->rows, compare_row_addresses);
  for (size_t i = 0; i < tree->count; i++)
    if (kept == 0 || !bytes_view_equal(tree->rows[kept - 1].address, tree->rows[i].address))
      tree->rows[kept++] = tree->rows[i];
  tree->count = kept;
}

/* Rows whose parent is missing, or who are their own parent, hang below the first row. */
static void adopt_orphans(struct tree *tree, struct bytes_view root)
{
  struct bytes_view *known = text_realloc(NULL, (tree->count + 1) * sizeof *known);
  for (size_t i = 0; i < tree->count; i++)
    known[i] = tree->rows[i].address;
  known[tree->count] = root;
  qsort(known, tree->count + 1, sizeof *known, compare_addresses);
  for (size_t i = 0; i < tree->count; i++) {
    struct tree_row *row = &tree->rows[i];
    bool found =
        bsearch(&row->parent, known, tree->count + 1, sizeof *known, compare_addresses) != NULL;
    /* A parent's address is always shorter, so no circle is left. */
    if (!found || row->parent.size >= row->address.size)
      row->parent = root;
  }
  free(known);
}

void render_tree(const struct ctl_view *view, const msgpack_object *result)
{
  static const char *const headings[] = {"NODE",  "CLASS",    "STATE",
                                         "HEARD", "WAITS UP", "WAITS DOWN"};
  const msgpack_object *rows = value_get(result, "rows");
  size_t count = value_count(rows);
  struct tree tree = {.view = view};
  if (count == 0) {
    fputs("no rows\n", view->out);
    return;
  }
  struct bytes_view root = value_get_text(value_at(rows, 0), "address");
  tree.rows = text_realloc(NULL, count * sizeof *tree.rows);
  for (size_t i = 1; i < count; i++) {
    const msgpack_object *row = value_at(rows, i);
    struct bytes_view address = value_get_text(row, "address");
    if (!bytes_view_equal(address, root))
      tree.rows[tree.count++] = (struct tree_row){row, address, value_get_text(row, "parent")};
  }
  drop_doubles(&tree);
  adopt_orphans(&tree, root);
  qsort(tree.rows, tree.count, sizeof *tree.rows, compare_rows);
  table_init(&tree.table, headings, sizeof headings / sizeof headings[0]);
  add_row(&tree, value_at(rows, 0), "", true);
  add_below(&tree, root, "", 1);
  table_print(&tree.table, view);
  table_close(&tree.table);
  free(tree.rows);
}
