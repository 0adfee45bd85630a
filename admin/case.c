/* cases, case, inbox. */
#include "client.h"
#include "json.h"
#include "pages.h"
#include "render.h"
#include "value.h"

static enum ctl_exit show_pages(struct ctl *ctl, const struct pages_request *request,
                                void (*render)(const struct ctl_view *, const struct rows *))
{
  struct pages pages;
  bool more = false;
  enum ctl_exit code = pages_read(ctl, request, &pages, &more);
  if (code == CTL_DONE && ctl->json)
    code = pages_print_json(ctl, request, &pages);
  else if (code == CTL_DONE)
    render(&ctl->view, &pages.rows);
  if (code == CTL_DONE && more && !ctl->json)
    fprintf(ctl->view.out,
            "There may be more: --limit 0 shows all, --after goes on from the last.\n");
  pages_close(&pages);
  return code;
}

static bool read_limit(const struct ctl *ctl, const struct ctl_args *args, uint64_t fallback,
                       size_t *limit)
{
  uint64_t value;
  if (!ctl_args_uint(ctl, args, "limit", 0, UINT32_MAX, fallback, &value))
    return false;
  *limit = value == 0 ? SIZE_MAX : (size_t)value;
  return true;
}

static enum ctl_exit run_cases(struct ctl *ctl, const struct ctl_args *args)
{
  struct query fields;
  struct pages_request request = {
      .command = "cases",
      .array = "cases",
      .fields = &fields,
      .after = ctl_args_text(args, "after", NULL),
      .limited = true,
  };
  if (!read_limit(ctl, args, 100, &request.limit))
    return CTL_USAGE;
  query_init(&fields);
  if (ctl_args_flag(args, "state"))
    query_text(&fields, "state", ctl_args_text(args, "state", ""));
  if (ctl_args_flag(args, "kind"))
    query_text(&fields, "kind_prefix", ctl_args_text(args, "kind", ""));
  enum ctl_exit code = show_pages(ctl, &request, render_cases);
  query_close(&fields);
  return code;
}

static enum ctl_exit run_case(struct ctl *ctl, const struct ctl_args *args)
{
  struct query query;
  struct reply reply;
  query_init(&query);
  query_text(&query, "subject", args->operands[0]);
  enum ctl_exit code = ctl_call(ctl, "case", &query, &reply);
  if (code == CTL_DONE && ctl->json)
    code = json_print(ctl->view.out, json_of(reply.result)) ? CTL_DONE : CTL_REFUSED;
  else if (code == CTL_DONE)
    render_case(&ctl->view, reply.result);
  reply_close(&reply);
  query_close(&query);
  return code;
}

static enum ctl_exit run_inbox(struct ctl *ctl, const struct ctl_args *args)
{
  struct pages_request request = {
      .command = "inbox", .array = "entries", .numbered = true, .limited = true};
  if (!read_limit(ctl, args, 100, &request.limit) ||
      !ctl_args_uint(ctl, args, "after", 0, UINT64_MAX, 0, &request.after_number))
    return CTL_USAGE;
  return show_pages(ctl, &request, render_inbox);
}

static const struct ctl_option cases_options[] = {
    {"state", 0, "STATE", "only cases in this state, e.g. reported or dispatched"},
    {"kind", 0, "PREFIX", "only subjects founded by a kind that begins so, e.g. case."},
    {"limit", 0, "N", "at most so many (default 100; 0: all)"},
    {"after", 0, "SUBJECT", "go on behind this one"},
    {0},
};

static const struct ctl_option inbox_options[] = {
    {"after", 0, "N", "only what came after this number"},
    {"limit", 0, "N", "at most so many (default 100; 0: all)"},
    {0},
};

const struct ctl_command ctl_commands_case[] = {
    {"cases", "Cases", "[--state S] [--limit N] [--after SUBJECT]", "the cases that this node sees",
     "nodectl cases --state dispatched --limit 20\n", cases_options, 0, 0, run_cases},
    {"case", "Cases", "SUBJECT", "one case with its audience and all its records",
     "nodectl case 01HZX3V7Q4J6T8N2B5M9K0W1YC\n", NULL, 1, 1, run_case},
    {"inbox", "Cases", "[--after N] [--limit N]", "what came down for this node",
     "nodectl inbox --after 120\n", inbox_options, 0, 0, run_inbox},
    {0},
};
