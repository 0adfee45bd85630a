/* status, tree, shutdown. */
#include "client.h"
#include "json.h"
#include "render.h"

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

static const struct ctl_option tree_options[] = {
    {"timeout", 0, "MS", "wait that long for the nodes below (default 2000)"},
    {0},
};

const struct ctl_command ctl_commands_node[] = {
    {"status", "The node", "", "this node: what it holds, its links, its disk", "nodectl status\n",
     NULL, 0, 0, run_status},
    {"tree", "The node", "[--timeout MS]", "the whole subtree: who is up, and what waits where",
     "nodectl tree --timeout 5000\n", tree_options, 0, 0, run_tree},
    {"shutdown", "The node", "", "end the daemon cleanly", "nodectl shutdown\n", NULL, 0, 0,
     run_shutdown},
    {0},
};
