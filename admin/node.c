/* status, tree, shutdown. */
#include "client.h"
#include "json.h"
#include "render.h"
#include "value.h"

#define TRIM_TIMEOUT_MS (10 * 60 * 1000)

static enum ctl_exit run_plain(struct ctl *ctl, const char *command, const struct query *query,
                               void (*render)(const struct ctl_view *, const msgpack_object *))
{
  struct reply reply;
  enum ctl_exit code = ctl_call(ctl, command, query, &reply);
  if (code == CTL_DONE && ctl->json)
    code = json_print(ctl->view.out, json_of(reply.result)) ? CTL_DONE : CTL_REFUSED;
  else if (code == CTL_DONE)
    render(&ctl->view, reply.result);
  reply_close(&reply);
  return code;
}

static enum ctl_exit run_status(struct ctl *ctl, const struct ctl_args *args)
{
  (void)args;
  return run_plain(ctl, "status", NULL, render_status);
}

static enum ctl_exit run_tree(struct ctl *ctl, const struct ctl_args *args)
{
  uint64_t timeout_ms;
  struct query query;
  if (!ctl_args_uint(ctl, args, "timeout", 1, 600000, 2000, &timeout_ms))
    return CTL_USAGE;
  query_init(&query);
  query_uint(&query, "timeout_ms", timeout_ms);
  /* The daemon gathers that long before it answers. */
  if (ctl->timeout_ms < timeout_ms + 5000)
    ctl->timeout_ms = (uint32_t)timeout_ms + 5000;
  enum ctl_exit code = run_plain(ctl, "tree", &query, render_tree);
  query_close(&query);
  return code;
}

static enum ctl_exit run_trim(struct ctl *ctl, const struct ctl_args *args)
{
  uint64_t days = 0;
  struct query query;
  if (!ctl_args_uint(ctl, args, "days", 0, 36500, 0, &days))
    return CTL_USAGE;
  query_init(&query);
  if (ctl_args_text(args, "days", NULL) != NULL)
    query_uint(&query, "days", days);
  if (ctl_args_flag(args, "dry-run"))
    writer_bool(query_field(&query, "dry_run"), true);
  /* Those above are asked about every commit: that takes as long as it takes. */
  if (ctl->timeout_ms < TRIM_TIMEOUT_MS)
    ctl->timeout_ms = TRIM_TIMEOUT_MS;
  enum ctl_exit code = run_plain(ctl, "trim", &query, render_trim);
  query_close(&query);
  return code;
}

static void render_shutdown(const struct ctl_view *view, const msgpack_object *result)
{
  (void)result;
  fputs("the daemon ends\n", view->out);
}

static enum ctl_exit run_shutdown(struct ctl *ctl, const struct ctl_args *args)
{
  (void)args;
  return run_plain(ctl, "shutdown", NULL, render_shutdown);
}

static void render_unhide(const struct ctl_view *view, const msgpack_object *result)
{
  fputs(value_bool(value_get(result, "was_hidden"))
            ? "items are shown, without the parent's tombstones\n"
            : "nothing was hidden\n",
        view->out);
}

static enum ctl_exit run_unhide(struct ctl *ctl, const struct ctl_args *args)
{
  struct query query;
  if (!ctl_args_flag(args, "without-tombstones")) {
    ctl_complain(ctl, "what was erased since the backup would be shown and sent again; "
                      "if that must be, say --without-tombstones");
    return CTL_USAGE;
  }
  query_init(&query);
  writer_bool(query_field(&query, "without_tombstones"), true);
  enum ctl_exit code = run_plain(ctl, "unhide", &query, render_unhide);
  query_close(&query);
  return code;
}

static const struct ctl_option unhide_options[] = {
    {"without-tombstones", 0, NULL, "yes, though something in it may have been erased since"},
    {0},
};

static const struct ctl_option trim_options[] = {
    {"days", 0, "N", "what is older than N days, instead of retention.days"},
    {"dry-run", 0, NULL, "only say what would go"},
    {0},
};

static const struct ctl_option tree_options[] = {
    {"timeout", 0, "MS", "wait that long for the nodes below (default 2000)"},
    {0},
};

const struct ctl_command ctl_commands_node[] = {
    {"status", "The node", "", "this node: what it holds, its links, its disk", "nodectl status\n",
     NULL, 0, 0, run_status},
    {"tree", "The node", "[--timeout MS]", "the whole subtree: who is up, and what waits where",
     "nodectl tree --timeout 5000\n", tree_options, 0, 0, run_tree},
    {"trim", "The node", "[--days N] [--dry-run]", "let go what two nodes above hold",
     "nodectl trim --dry-run\n", trim_options, 0, 0, run_trim},
    {"unhide", "The node", "--without-tombstones",
     "show a restored node's items before the parent's tombstones came",
     "nodectl unhide --without-tombstones\n", unhide_options, 0, 0, run_unhide},
    {"shutdown", "The node", "", "end the daemon cleanly", "nodectl shutdown\n", NULL, 0, 0,
     run_shutdown},
    {0},
};
