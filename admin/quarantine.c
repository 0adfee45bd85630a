/* quarantine list, show, retry, drop. */
#include <stdlib.h>

#include "admin/node_files.h"
#include "client.h"
#include "json.h"
#include "render.h"
#include "value.h"

static enum ctl_exit run_list(struct ctl *ctl, const struct ctl_args *args)
{
  struct reply reply;
  struct rows entries = {0}, refused = {0};
  (void)args;
  enum ctl_exit code = ctl_call(ctl, "quarantine.list", NULL, &reply);
  if (code == CTL_DONE && ctl->json) {
    code = json_print(ctl->view.out, json_of(reply.result)) ? CTL_DONE : CTL_REFUSED;
  } else if (code == CTL_DONE) {
    rows_add(&entries, value_get(reply.result, "entries"), SIZE_MAX);
    rows_add(&refused, value_get(reply.result, "refused"), SIZE_MAX);
    render_quarantine(&ctl->view, &entries, &refused);
  }
  rows_close(&entries);
  rows_close(&refused);
  reply_close(&reply);
  return code;
}

/* One call about one entry. CTL_USAGE when the operand is no number. */
static enum ctl_exit call_entry(struct ctl *ctl, const char *command, const char *number_text,
                                struct reply *reply)
{
  uint64_t number = 0;
  struct query query;
  *reply = (struct reply){0};
  if (number_text != NULL && !ctl_text_uint(ctl, "N", number_text, 1, UINT32_MAX, &number))
    return CTL_USAGE;
  query_init(&query);
  query_uint(&query, "number", number);
  enum ctl_exit code = ctl_call(ctl, command, &query, reply);
  query_close(&query);
  return code;
}

static enum ctl_exit save_octets(struct ctl *ctl, const msgpack_object *result, const char *path)
{
  struct bytes_view octets = value_bin(value_get(result, "octets"));
  enum status status = node_file_write(path, octets, 0600, true);
  if (status != STATUS_OK)
    return ctl_complain_file(ctl, "writing", path, status);
  if (!ctl->json)
    fprintf(ctl->view.out, "%zu octets written to %s\n", octets.size, path);
  return CTL_DONE;
}

static enum ctl_exit run_show(struct ctl *ctl, const struct ctl_args *args)
{
  static const char *const skip[] = {"octets", NULL};
  const char *path = ctl_args_text(args, "output", NULL);
  struct reply reply;
  enum ctl_exit code = call_entry(ctl, "quarantine.show", args->operands[0], &reply);
  if (code == CTL_DONE && ctl->json)
    code = json_print(ctl->view.out, json_of(reply.result)) ? CTL_DONE : CTL_REFUSED;
  else if (code == CTL_DONE)
    render_fields(&ctl->view, reply.result, skip);
  if (code == CTL_DONE && path != NULL)
    code = save_octets(ctl, reply.result, path);
  reply_close(&reply);
  return code;
}

static enum ctl_exit run_retry(struct ctl *ctl, const struct ctl_args *args)
{
  bool all = ctl_args_flag(args, "all");
  struct reply reply;
  if (all == (args->operand_count == 1)) {
    ctl_complain(ctl, "quarantine retry takes either N or --all");
    return CTL_USAGE;
  }
  enum ctl_exit code = call_entry(ctl, "quarantine.retry", all ? NULL : args->operands[0], &reply);
  if (code == CTL_DONE && ctl->json)
    code = json_print(ctl->view.out, json_of(reply.result)) ? CTL_DONE : CTL_REFUSED;
  else if (code == CTL_DONE)
    fprintf(ctl->view.out, "retried %llu\n",
            (unsigned long long)value_get_uint(reply.result, "retried"));
  reply_close(&reply);
  return code;
}

static enum ctl_exit run_drop(struct ctl *ctl, const struct ctl_args *args)
{
  struct reply reply;
  enum ctl_exit code = call_entry(ctl, "quarantine.drop", args->operands[0], &reply);
  if (code == CTL_DONE && ctl->json) {
    code = json_print(ctl->view.out, json_of(reply.result)) ? CTL_DONE : CTL_REFUSED;
  } else if (code == CTL_DONE) {
    char *dropped = render_value(value_get(reply.result, "dropped"));
    fprintf(ctl->view.out, "dropped %s\n", dropped);
    free(dropped);
  }
  reply_close(&reply);
  return code;
}

static const struct ctl_option show_options[] = {
    {"output", 'o', "FILE", "write the commit's octets there"}, {0}};
static const struct ctl_option retry_options[] = {{"all", 0, NULL, "every entry"}, {0}};

const struct ctl_command ctl_commands_quarantine[] = {
    {"quarantine list", "Quarantine", "", "commits that were refused, and why",
     "nodectl quarantine list\n", NULL, 0, 0, run_list},
    {"quarantine show", "Quarantine", "N [-o FILE]", "one of them",
     "nodectl quarantine show 3 -o bad.commit\n", show_options, 1, 1, run_show},
    {"quarantine retry", "Quarantine", "N | --all", "judge again, and ask for what is missing",
     "nodectl quarantine retry --all\n", retry_options, 0, 1, run_retry},
    {"quarantine drop", "Quarantine", "N", "forget one", "nodectl quarantine drop 3\n", NULL, 1, 1,
     run_drop},
    {0},
};
