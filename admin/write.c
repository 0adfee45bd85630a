/* report, dispatch, resolve, close, append: each writes one record. */
#include <string.h>

#include "draft.h"
#include "json.h"
#include "text.h"
#include "value.h"

static bool check_text(const struct ctl *ctl, const char *what, const char *text)
{
  if (text_is_utf8(bytes_view_text(text)))
    return true;
  ctl_complain(ctl, "%s is not UTF-8", what);
  return false;
}

/* Options that every writing command takes. */
static bool add_common(const struct ctl *ctl, const struct ctl_args *args, struct draft *draft)
{
  uint64_t up;
  const char *author = ctl_args_text(args, "author", NULL);
  const char *lane = ctl_args_text(args, "lane", ctl_args_flag(args, "urgent") ? "urgent" : NULL);
  if (!ctl_args_uint(ctl, args, "up", 0, 4, 0, &up))
    return false;
  if (ctl_args_flag(args, "up"))
    query_uint(&draft->fields, "up", up);
  if (author != NULL && !check_text(ctl, "--author", author))
    return false;
  if (author != NULL)
    query_text(&draft->fields, "author", author);
  if (lane != NULL && strcmp(lane, "urgent") != 0 && strcmp(lane, "normal") != 0 &&
      strcmp(lane, "bulk") != 0) {
    ctl_complain(ctl, "--lane takes urgent, normal or bulk, not '%s'", lane);
    return false;
  }
  if (lane != NULL)
    query_text(&draft->fields, "lane", lane);
  return true;
}

static bool add_items(const struct ctl *ctl, const struct ctl_args *args, struct draft *draft)
{
  struct draft_item item;
  const char *text;
  for (size_t i = 0; (text = ctl_args_nth(args, "item", i)) != NULL; i++) {
    if (!draft_parse_item(text, &item)) {
      ctl_complain(ctl, "--item takes NAME=VALUE or NAME=VALUE:grid+community, not '%s'", text);
      return false;
    }
    if (!check_text(ctl, "--item", text))
      return false;
    draft_add_item(draft, item.name, item.value, item.see);
  }
  return true;
}

/* Whether the open body would have the name twice: as a field given before, or as our own. */
static bool name_taken(const struct ctl_args *args, const char *name, size_t before)
{
  struct draft_item field;
  if (strcmp(name, "at") == 0 ||
      (ctl_args_flag(args, name) && (strcmp(name, "text") == 0 || strcmp(name, "category") == 0)))
    return true;
  for (size_t i = 0; i < before; i++)
    if (draft_parse_item(ctl_args_nth(args, "field", i), &field) && strcmp(field.name, name) == 0)
      return true;
  return false;
}

static bool add_body(const struct ctl *ctl, const struct ctl_args *args, struct draft *draft)
{
  static const char *const named[] = {"category", "text"};
  struct draft_item field;
  const char *text;
  for (size_t i = 0; i < sizeof named / sizeof named[0]; i++) {
    text = ctl_args_text(args, named[i], NULL);
    if (text != NULL && !check_text(ctl, named[i], text))
      return false;
    if (text != NULL)
      query_text(&draft->body, named[i], text);
  }
  query_uint(&draft->body, "at", (uint64_t)(ctl->view.now_ms > 0 ? ctl->view.now_ms : 0));
  for (size_t i = 0; (text = ctl_args_nth(args, "field", i)) != NULL; i++) {
    if (!draft_parse_item(text, &field) || !check_text(ctl, "--field", text)) {
      ctl_complain(ctl, "--field takes NAME=VALUE, not '%s'", text);
      return false;
    }
    if (name_taken(args, field.name, i)) {
      ctl_complain(ctl, "--field %s: the open body has '%s' already", text, field.name);
      return false;
    }
    /* A field of the open body has no `see` of its own: all after '=' is the value. */
    query_text(&draft->body, field.name, strchr(text, '=') + 1);
  }
  return true;
}

static void add_down(struct draft *draft, char *const *targets, size_t count)
{
  struct writer *writer = query_field(&draft->fields, "down");
  writer_array(writer, (uint32_t)count);
  for (size_t i = 0; i < count; i++)
    writer_text(writer, targets[i]);
}

static bool check_targets(const struct ctl *ctl, char *const *targets, size_t count)
{
  struct address address;
  bool subtree;
  for (size_t i = 0; i < count; i++) {
    if (address_parse_target(bytes_view_text(targets[i]), &address, &subtree) != STATUS_OK) {
      ctl_complain(ctl, "'%s' is no address (such as 310104/012, 310104/@police or 310104/012/*)",
                   targets[i]);
      return false;
    }
  }
  return true;
}

static bool check_subject(const struct ctl *ctl, const char *text)
{
  struct subject subject;
  if (subject_from_text(text, &subject) == STATUS_OK)
    return true;
  ctl_complain(ctl, "'%s' is no subject (26 characters, as `nodectl cases` shows them)", text);
  return false;
}

/* Sends the one draft; prints `done` and the subject. */
static enum ctl_exit send_draft(struct ctl *ctl, struct draft *draft, const char *done)
{
  struct bytes encoded = {0};
  struct query query;
  struct reply reply = {0};
  char subject[32];
  enum ctl_exit code = CTL_REFUSED;
  query_init(&query);
  if (draft_finish(draft, &encoded) != STATUS_OK) {
    ctl_complain(ctl, "out of memory");
    goto out;
  }
  struct writer *writer = query_field(&query, "records");
  writer_array(writer, 1);
  writer_raw(writer, bytes_as_view(&encoded));
  code = ctl_call(ctl, "append", &query, &reply);
  if (code != CTL_DONE)
    goto out;
  const msgpack_object *records = value_get(reply.result, "records");
  if (ctl->json) {
    code = json_print(ctl->view.out, json_of(reply.result)) ? CTL_DONE : CTL_REFUSED;
  } else if (value_count(records) == 1) {
    value_copy_text(value_get(value_at(records, 0), "subject"), subject, sizeof subject);
    fprintf(ctl->view.out, "%s%s\n", done, subject);
  }
out:
  reply_close(&reply);
  query_close(&query);
  bytes_close(&encoded);
  return code;
}

/* One record: a NULL subject founds a new one. */
static enum ctl_exit write_record(struct ctl *ctl, const struct ctl_args *args, const char *kind,
                                  const char *subject, char *const *targets, size_t target_count,
                                  const char *done)
{
  struct draft draft;
  enum ctl_exit code = CTL_USAGE;
  if (subject != NULL && !check_subject(ctl, subject))
    return CTL_USAGE;
  if (!check_targets(ctl, targets, target_count))
    return CTL_USAGE;
  draft_init(&draft, kind);
  if (subject != NULL)
    query_text(&draft.fields, "subject", subject);
  if (target_count > 0)
    add_down(&draft, targets, target_count);
  if (add_common(ctl, args, &draft) && add_body(ctl, args, &draft) && add_items(ctl, args, &draft))
    code = send_draft(ctl, &draft, done);
  draft_close(&draft);
  return code;
}

static enum ctl_exit run_report(struct ctl *ctl, const struct ctl_args *args)
{
  const char *category = ctl_args_text(args, "category", "");
  if (category[0] == '\0') {
    ctl_complain(ctl, "report needs --category C");
    return CTL_USAGE;
  }
  return write_record(ctl, args, "case.report", NULL, NULL, 0, "");
}

static enum ctl_exit run_dispatch(struct ctl *ctl, const struct ctl_args *args)
{
  return write_record(ctl, args, "case.dispatch", args->operands[0], args->operands + 1,
                      (size_t)args->operand_count - 1, "dispatched ");
}

static enum ctl_exit run_resolve(struct ctl *ctl, const struct ctl_args *args)
{
  return write_record(ctl, args, "case.resolve", args->operands[0], NULL, 0, "resolved ");
}

static enum ctl_exit run_close(struct ctl *ctl, const struct ctl_args *args)
{
  return write_record(ctl, args, "case.close", args->operands[0], NULL, 0, "closed ");
}

static enum ctl_exit run_append(struct ctl *ctl, const struct ctl_args *args)
{
  const char *kind = ctl_args_text(args, "kind", "");
  if (kind[0] == '\0') {
    ctl_complain(ctl, "append needs --kind K, e.g. case.comment");
    return CTL_USAGE;
  }
  return write_record(ctl, args, kind, ctl_args_text(args, "subject", NULL), args->operands,
                      (size_t)args->operand_count, "");
}

#define WRITE_OPTIONS                                                                              \
  {"text", 0, "T", "what is to be said, as text"},                                                 \
      {"item", 0, "NAME=VALUE[:SEE]", "a named item; SEE e.g. grid+community (default: all)"},     \
      {"field", 0, "NAME=VALUE", "a further field of the open body"},                              \
      {"urgent", 0, NULL, "goes ahead of everything else; as --lane urgent"},                      \
      {"lane", 0, "LANE", "urgent, normal or bulk (default normal)"},                              \
      {"up", 0, "TIER", "up to which tier ancestors join: 0 none to 4 district"},                  \
  {                                                                                                \
    "author", 0, "A", "operator id; nothing personal"                                              \
  }

static const struct ctl_option report_options[] = {
    {"category", 0, "C", "the case's category"}, WRITE_OPTIONS, {0}};
static const struct ctl_option write_options[] = {WRITE_OPTIONS, {0}};
static const struct ctl_option append_options[] = {
    {"kind", 0, "K", "the record's kind, e.g. case.comment"},
    {"subject", 0, "S", "the subject; without it a new one is founded"},
    {"category", 0, "C", "the case's category"},
    WRITE_OPTIONS,
    {0}};

const struct ctl_command ctl_commands_write[] = {
    {"report", "Writing", "--category C [--text T] [--item NAME=VALUE[:SEE]]... [--urgent]",
     "report a new case; prints its subject",
     "nodectl report --category hydrant --text \"Leaks since noon\" \\\n"
     "        --item address=\"91-33 97 STREET:grid+community\" --urgent\n",
     report_options, 0, 0, run_report},
    {"dispatch", "Writing", "SUBJECT ADDRESS... [--text T]", "send a case to who can handle it",
     "nodectl dispatch 01HZX3V7Q4J6T8N2B5M9K0W1YC 310104/@water --text \"Please by noon\"\n",
     write_options, 2, 1 + RECORD_DOWN_MAX, run_dispatch},
    {"resolve", "Writing", "SUBJECT [--text T]", "say that a case was handled",
     "nodectl resolve 01HZX3V7Q4J6T8N2B5M9K0W1YC --text \"Valve replaced\"\n", write_options, 1, 1,
     run_resolve},
    {"close", "Writing", "SUBJECT [--text T]", "close a case towards its reporter",
     "nodectl close 01HZX3V7Q4J6T8N2B5M9K0W1YC --text \"Thank you\"\n", write_options, 1, 1,
     run_close},
    {"append", "Writing", "--kind K [--subject S] [ADDRESS...]", "write a record of any other kind",
     "nodectl append --kind case.comment --subject 01HZX3V7Q4J6T8N2B5M9K0W1YC --text \"Called\"\n",
     append_options, 0, RECORD_DOWN_MAX, run_append},
    {0},
};
