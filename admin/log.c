/* log list, show, verify. */
#include "log.h"

#include "client.h"
#include "json.h"
#include "pages.h"
#include "render.h"
#include "value.h"

static enum ctl_exit run_list(struct ctl *ctl, const struct ctl_args *args)
{
  struct pages pages;
  const struct pages_request request = {
      .command = "log.list", .array = "logs", .numbered = true, .limit = SIZE_MAX};
  (void)args;
  enum ctl_exit code = pages_read(ctl, &request, &pages, NULL);
  if (code == CTL_DONE && ctl->json)
    code = pages_print_json(ctl, &request, &pages);
  else if (code == CTL_DONE)
    render_logs(&ctl->view, &pages.rows);
  pages_close(&pages);
  return code;
}

static enum ctl_exit run_show(struct ctl *ctl, const struct ctl_args *args)
{
  uint64_t log, seq;
  struct query query;
  struct reply reply;
  if (!ctl_text_uint(ctl, "LOG", args->operands[0], 1, UINT32_MAX, &log) ||
      !ctl_text_uint(ctl, "SEQ", args->operands[1], 1, UINT64_MAX, &seq))
    return CTL_USAGE;
  query_init(&query);
  query_uint(&query, "log", log);
  query_uint(&query, "seq", seq);
  enum ctl_exit code = ctl_call(ctl, "log.show", &query, &reply);
  if (code == CTL_DONE && ctl->json)
    code = json_print(ctl->view.out, json_of(reply.result)) ? CTL_DONE : CTL_REFUSED;
  else if (code == CTL_DONE)
    render_commit(&ctl->view, reply.result);
  reply_close(&reply);
  query_close(&query);
  return code;
}

static enum ctl_exit run_verify(struct ctl *ctl, const struct ctl_args *args)
{
  struct reply reply;
  (void)args;
  /* Reads everything that the store holds. */
  if (ctl->timeout_ms == CTL_TIMEOUT_MS)
    ctl->timeout_ms = 24 * 3600 * 1000;
  enum ctl_exit code = ctl_call(ctl, "log.verify", NULL, &reply);
  if (code == CTL_DONE && ctl->json)
    code = json_print(ctl->view.out, json_of(reply.result)) ? CTL_DONE : CTL_REFUSED;
  else if (code == CTL_DONE)
    render_report(&ctl->view, reply.result);
  if (code == CTL_DONE && value_count(value_get(reply.result, "findings")) > 0)
    code = CTL_PARTLY;
  reply_close(&reply);
  return code;
}

static const struct ctl_option export_options[] = {
    {"output", 'o', "FILE", "where the bundle goes"},
    {"log", 0, "N", "only the log of this number (log list shows them)"},
    {"subject", 0, "S", "only the commits of this case"},
    {0},
};

const struct ctl_command ctl_commands_log[] = {
    {"log list", "Logs", "", "every log that this node holds", "nodectl log list\n", NULL, 0, 0,
     run_list},
    {"log show", "Logs", "LOG SEQ", "one commit with its records", "nodectl log show 1 42\n", NULL,
     2, 2, run_show},
    {"log export", "Logs", "[--log N] [--subject S] -o FILE",
     "write commits and their certificates to a bundle", "nodectl log export -o node.bundle\n",
     export_options, 0, 0, log_export},
    {"log import", "Logs", "FILE", "take a bundle in, as if it had come over the link",
     "nodectl log import node.bundle\n", NULL, 1, 1, log_import},
    {"log verify", "Logs", "", "check every signature, hash and index of the store",
     "nodectl log verify\n", NULL, 0, 0, run_verify},
    {0},
};
