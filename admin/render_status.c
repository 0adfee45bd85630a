#include <stdlib.h>

#include "render.h"
#include "value.h"

static void print_link(struct table *table, const struct ctl_view *view, const msgpack_object *link)
{
  char since[TEXT_SHORT_MAX], heard[TEXT_SHORT_MAX], rate[TEXT_SHORT_MAX];
  bool connected = value_bool(value_get(link, "connected")), behind;
  int64_t since_ms = value_get_int(link, "since");
  uint64_t rate_bytes_s = value_get_uint(link, "rate_bytes_s");
  char *waiting = render_waiting(view, value_get(link, "lanes"), &behind);
  table_add_view(table, value_get_text(link, "address"), 0);
  int64_t snapshot_ms = value_get_int(link, "snapshot_at");
  char made[TEXT_SHORT_MAX + 8] = "", ago[TEXT_SHORT_MAX];
  if (snapshot_ms != 0)
    snprintf(made, sizeof made, ", made %s", text_ago(snapshot_ms, view->now_ms, ago));
  table_add_format(table,
                   !connected ? PAINT_RED
                   : behind   ? PAINT_YELLOW
                              : PAINT_GREEN,
                   "%s%s%s", connected ? "up" : "down",
                   value_bool(value_get(link, "needs_snapshot")) ? ", needs snapshot" : "", made);
  table_add_format(table, PAINT_NONE, "%s",
                   since_ms == 0 ? "-" : text_duration(view->now_ms - since_ms, since));
  table_add_format(table, PAINT_NONE, "%s",
                   text_ago(value_get_int(link, "last_heard"), view->now_ms, heard));
  if (rate_bytes_s == 0)
    table_add_format(table, PAINT_NONE, "-");
  else
    table_add_format(table, PAINT_NONE, "%s/s", text_size(rate_bytes_s, rate));
  table_add(table, behind ? PAINT_YELLOW : PAINT_NONE, waiting);
}

static void print_links(const struct ctl_view *view, const msgpack_object *result)
{
  static const char *const headings[] = {"NEIGHBOUR", "STATE", ">FOR",
                                         "HEARD",     ">RATE", "WAITS HERE FOR IT"};
  struct table table;
  const msgpack_object *parent = value_get(result, "parent");
  const msgpack_object *children = value_get(result, "children");
  if (value_is_nil(parent) && value_count(children) == 0)
    return;
  table_init(&table, headings, sizeof headings / sizeof headings[0]);
  if (!value_is_nil(parent))
    print_link(&table, view, parent);
  for (size_t i = 0; i < value_count(children); i++)
    print_link(&table, view, value_at(children, i));
  fputc('\n', view->out);
  table_print(&table, view);
  table_close(&table);
}

static void print_disk(const struct ctl_view *view, const msgpack_object *disk)
{
  char used[TEXT_SHORT_MAX], file[TEXT_SHORT_MAX], limit[TEXT_SHORT_MAX], room[TEXT_SHORT_MAX];
  fprintf(view->out, "disk     %s used, file %s, limit %s, room %s\n",
          text_size(value_get_uint(disk, "used"), used),
          text_size(value_get_uint(disk, "file"), file),
          text_size(value_get_uint(disk, "limit"), limit),
          text_size(value_get_uint(disk, "room"), room));
}

static void print_loop(const struct ctl_view *view, const msgpack_object *loop)
{
  char transactions[TEXT_SHORT_MAX], commits[TEXT_SHORT_MAX], in[TEXT_SHORT_MAX];
  char own[TEXT_SHORT_MAX], fsync[TEXT_SHORT_MAX];
  fprintf(view->out,
          "loop     %s transactions; %s commits and %s records taken in, %s records own; "
          "fsync %s us\n",
          text_count(value_get_uint(loop, "transactions"), transactions),
          text_count(value_get_uint(loop, "commits_in"), commits),
          text_count(value_get_uint(loop, "records_in"), in),
          text_count(value_get_uint(loop, "records_own"), own),
          text_count(value_get_uint(loop, "fsync_us_mean"), fsync));
}

/* Nothing in quarantine and nothing refused is the rule; else it is shown in colour. */
static void print_trouble(const struct ctl_view *view, const msgpack_object *result)
{
  uint64_t quarantine = value_get_uint(result, "quarantine");
  uint64_t refused = value_get_uint(result, "refused");
  int64_t ahead_ms = value_get_int(result, "hlc_ahead_ms");
  char kept[TEXT_SHORT_MAX], count[TEXT_SHORT_MAX], ahead[TEXT_SHORT_MAX];
  enum paint paint = quarantine + refused > 0 ? PAINT_RED : PAINT_NONE;
  fprintf(view->out, "trouble  %s%s in quarantine, %s refused%s\n", paint_start(view, paint),
          text_count(quarantine, kept), text_count(refused, count), paint_end(view, paint));
  if (ahead_ms > 1000)
    fprintf(view->out, "clock    %sthe records' clock is %s ahead of this device's%s\n",
            paint_start(view, PAINT_YELLOW), text_duration(ahead_ms, ahead),
            paint_end(view, PAINT_YELLOW));
}

/* What was let go since the daemon started; nothing where none of it is configured. */
static void print_trim(const struct ctl_view *view, const msgpack_object *trim)
{
  char items[TEXT_SHORT_MAX], commits[TEXT_SHORT_MAX], ago[TEXT_SHORT_MAX], cases[TEXT_SHORT_MAX];
  uint64_t short_histories = value_get_uint(trim, "short_histories");
  char *reason = text_clean(value_get_text(trim, "reason"));
  if (value_bool(value_get(trim, "configured")) || value_get_int(trim, "last_at") != 0)
    fprintf(view->out, "trim     %s values and %s commits let go; last run %s%s%s\n",
            text_count(value_get_uint(trim, "items"), items),
            text_count(value_get_uint(trim, "commits"), commits),
            text_ago(value_get_int(trim, "last_at"), view->now_ms, ago),
            reason[0] == '\0' ? "" : ": ", reason);
  if (short_histories > 0)
    fprintf(view->out, "trim     %s%s cases got late members: what was let go is asked back%s\n",
            paint_start(view, PAINT_YELLOW), text_count(short_histories, cases),
            paint_end(view, PAINT_YELLOW));
  free(reason);
}

void render_trim(const struct ctl_view *view, const msgpack_object *result)
{
  static const struct {
    const char *key;
    const char *text;
  } stays[] = {
      {"stay_young", "logs go on with commits that are too young"},
      {"stay_open", "records stay: their case had something newer"},
      {"stay_few", "values stay: fewer than two above may see them"},
      {"stay_unproven", "stay: two above may see them, but did not say that they hold them"},
      {"stay_waiting", "logs stay from where on something still waits for a neighbour"},
  };
  bool dry = value_bool(value_get(result, "dry_run"));
  char items[TEXT_SHORT_MAX], commits[TEXT_SHORT_MAX], records[TEXT_SHORT_MAX];
  char *reason = text_clean(value_get_text(result, "reason"));
  fprintf(view->out, "%s values %s; %s commits with %s records whole\n",
          text_count(value_get_uint(result, "items"), items), dry ? "would go" : "went",
          text_count(value_get_uint(result, "commits"), commits),
          text_count(value_get_uint(result, "records"), records));
  for (size_t i = 0; i < sizeof stays / sizeof stays[0]; i++) {
    uint64_t count = value_get_uint(result, stays[i].key);
    if (count > 0)
      fprintf(view->out, "%s %s\n", text_count(count, items), stays[i].text);
  }
  if (reason[0] != '\0')
    fprintf(view->out, "%sended early: %s%s\n", paint_start(view, PAINT_YELLOW), reason,
            paint_end(view, PAINT_YELLOW));
  free(reason);
}

void render_status(const struct ctl_view *view, const msgpack_object *result)
{
  char logs[TEXT_SHORT_MAX], commits[TEXT_SHORT_MAX], records[TEXT_SHORT_MAX];
  char subjects[TEXT_SHORT_MAX], running[TEXT_SHORT_MAX];
  char *address = text_clean(value_get_text(result, "address"));
  char *class = text_clean(value_get_text(result, "class"));
  char *node = text_clean(value_get_text(result, "node"));
  char *store = text_clean(value_get_text(result, "store"));
  char *version = text_clean(value_get_text(result, "version"));
  int64_t now_ms = value_get_int(result, "now");
  fprintf(view->out, "%s%s%s  %s\n", paint_start(view, PAINT_BOLD), address,
          paint_end(view, PAINT_BOLD), class);
  fprintf(view->out, "node     %s\nstore    %s\n", node, store);
  fprintf(view->out, "daemon   noded %s, pid %llu, running for %s\n", version,
          (unsigned long long)value_get_uint(result, "pid"),
          text_duration(now_ms - value_get_int(result, "started_at"), running));
  fprintf(view->out, "holds    %s records in %s commits of %s logs; %s subjects\n",
          text_count(value_get_uint(result, "records"), records),
          text_count(value_get_uint(result, "commits"), commits),
          text_count(value_get_uint(result, "logs"), logs),
          text_count(value_get_uint(result, "subjects"), subjects));
  print_disk(view, value_get(result, "disk"));
  print_loop(view, value_get(result, "loop"));
  print_trim(view, value_get(result, "trim"));
  print_trouble(view, result);
  if (value_bool(value_get(result, "hidden")))
    fprintf(view->out,
            "hidden   %sno item is shown: restored, and the parent's tombstones have not come%s\n",
            paint_start(view, PAINT_RED), paint_end(view, PAINT_RED));
  print_links(view, result);
  free(address);
  free(class);
  free(node);
  free(store);
  free(version);
}
