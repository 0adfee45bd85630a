/* noded.yaml as init writes it: only what was asked for, the rest is noded's default. */
#include <stdlib.h>
#include <string.h>

#include "setup.h"
#include "text.h"

static bool one_of(const char *value, const char *const *names)
{
  for (; *names != NULL; names++)
    if (strcmp(value, *names) == 0)
      return true;
  return false;
}

static bool check_urls(const struct ctl *ctl, const struct ctl_args *args, const char *name)
{
  const char *url;
  for (size_t i = 0; (url = ctl_args_nth(args, name, i)) != NULL; i++) {
    if (strncmp(url, "tcp://", 6) != 0 && strncmp(url, "ipc://", 6) != 0) {
      ctl_complain(ctl, "--%s takes a URL such as tcp://HOST:PORT or ipc://PATH, not '%s'", name,
                   url);
      return false;
    }
  }
  return true;
}

bool setup_check_config(const struct ctl *ctl, const struct ctl_args *args)
{
  static const char *const levels[] = {"debug", "info", "warn", "error", NULL};
  static const char *const formats[] = {"logfmt", "json", NULL};
  uint64_t quota;
  if (!one_of(ctl_args_text(args, "log-level", "info"), levels)) {
    ctl_complain(ctl, "--log-level takes debug, info, warn or error");
    return false;
  }
  if (!one_of(ctl_args_text(args, "log-format", "logfmt"), formats)) {
    ctl_complain(ctl, "--log-format takes logfmt or json");
    return false;
  }
  return ctl_args_uint(ctl, args, "quota-mib", 1, UINT32_MAX, 0, &quota) &&
         check_urls(ctl, args, "listen") && check_urls(ctl, args, "parent") &&
         check_urls(ctl, args, "admin");
}

/* Appends a double-quoted YAML scalar. */
static char *add_quoted(char *text, const char *value)
{
  text = text_add(text, "\"");
  for (; *value != '\0'; value++) {
    if (*value == '"' || *value == '\\')
      text = text_add(text, "\\%c", *value);
    else if ((unsigned char)*value < 0x20)
      text = text_add(text, "\\x%02x", (unsigned char)*value);
    else
      text = text_add(text, "%c", *value);
  }
  return text_add(text, "\"\n");
}

static char *add_option(char *text, const struct ctl_args *args, const char *name, const char *key)
{
  const char *value = ctl_args_text(args, name, NULL);
  if (value == NULL)
    return text;
  return add_quoted(text_add(text, "%s: ", key), value);
}

static char *add_listen(char *text, const struct ctl_args *args)
{
  const char *url;
  if (ctl_args_count(args, "listen") > 0)
    text = text_add(text, "listen:\n");
  for (size_t i = 0; (url = ctl_args_nth(args, "listen", i)) != NULL; i++)
    text = add_quoted(text_add(text, "  - "), url);
  return text;
}

enum ctl_exit setup_write_config(const struct ctl *ctl, const struct ctl_args *args,
                                 const struct address *address)
{
  char path[PATH_MAX];
  if (!setup_path(ctl, NODE_FILE_CONFIG, path))
    return CTL_USAGE;
  if (node_file_exists(path)) {
    ctl_complain(ctl, "%s exists and is left as it is", path);
    return CTL_DONE;
  }
  char *text = text_format("# noded at %s\n", address->text);
  text = add_option(text, args, "parent", "parent");
  text = add_listen(text, args);
  text = add_option(text, args, "admin", "admin");
  if (ctl_args_flag(args, "store") || ctl_args_flag(args, "quota-mib"))
    text = text_add(text, "store:\n");
  text = add_option(text, args, "store", "  path");
  if (ctl_args_flag(args, "quota-mib"))
    text = text_add(text, "  quota_mib: %s\n", ctl_args_text(args, "quota-mib", "0"));
  text = text_add(text, "log:\n  format: %s\n  level: %s\n",
                  ctl_args_text(args, "log-format", "logfmt"),
                  ctl_args_text(args, "log-level", "info"));
  enum ctl_exit code = setup_write_file(ctl, NODE_FILE_CONFIG, bytes_view_text(text), false);
  free(text);
  return code;
}
