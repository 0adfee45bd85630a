#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl.h"

enum global {
  GLOBAL_BASE = 1000,
  GLOBAL_DIR,
  GLOBAL_SOCKET,
  GLOBAL_JSON,
  GLOBAL_COLOR,
  GLOBAL_TIMEOUT,
  GLOBAL_HELP,
  GLOBAL_VERSION
};

static const struct option global_options[] = {
    {"dir", required_argument, NULL, GLOBAL_DIR},
    {"socket", required_argument, NULL, GLOBAL_SOCKET},
    {"json", no_argument, NULL, GLOBAL_JSON},
    {"color", required_argument, NULL, GLOBAL_COLOR},
    {"timeout", required_argument, NULL, GLOBAL_TIMEOUT},
    {"help", no_argument, NULL, GLOBAL_HELP},
    {"version", no_argument, NULL, GLOBAL_VERSION},
};
#define GLOBAL_COUNT (sizeof global_options / sizeof global_options[0])

static bool take_color(struct ctl *ctl, const char *value)
{
  if (strcmp(value, "always") == 0)
    ctl->view.color = true;
  else if (strcmp(value, "never") == 0)
    ctl->view.color = false;
  else if (strcmp(value, "auto") != 0) {
    ctl_complain(ctl, "--color takes auto, always or never, not '%s'", value);
    return false;
  }
  return true;
}

static bool take_global(struct ctl *ctl, int id, const char *value, bool *help, bool *version)
{
  uint64_t seconds;
  switch (id) {
  case GLOBAL_DIR:
    ctl->directory = value;
    return true;
  case GLOBAL_SOCKET:
    if (strlen(value) >= sizeof ctl->url) {
      ctl_complain(ctl, "--socket is longer than %d octets", CTL_URL_MAX - 1);
      return false;
    }
    snprintf(ctl->url, sizeof ctl->url, "%s", value);
    return true;
  case GLOBAL_JSON:
    ctl->json = true;
    return true;
  case GLOBAL_COLOR:
    return take_color(ctl, value);
  case GLOBAL_TIMEOUT:
    if (!ctl_text_uint(ctl, "--timeout", value, 1, 24 * 3600, &seconds))
      return false;
    ctl->timeout_ms = (uint32_t)(seconds * 1000);
    return true;
  case GLOBAL_VERSION:
    *version = true;
    return true;
  default:
    *help = true;
    return true;
  }
}

/* getopt_long's own messages name argv[0]; ours say which word and where help is. */
static bool complain_option(const struct ctl *ctl, int code, char **argv, const char *command)
{
  const char *word = optind > 0 ? argv[optind - 1] : "";
  if (code == ':')
    ctl_complain(ctl, "option '%s' needs a value (nodectl%s%s --help)", word,
                 *command != '\0' ? " " : "", command);
  else
    ctl_complain(ctl, "unknown or ambiguous option '%s' (nodectl%s%s --help)", word,
                 *command != '\0' ? " " : "", command);
  return false;
}

bool ctl_args_parse_global(struct ctl *ctl, int argc, char **argv, int *rest, bool *help,
                           bool *version)
{
  struct option options[GLOBAL_COUNT + 1] = {0};
  memcpy(options, global_options, sizeof global_options);
  optind = 0;
  opterr = 0;
  for (;;) {
    int code = getopt_long(argc, argv, "+:hV", options, NULL);
    if (code == -1)
      break;
    if (code == '?' || code == ':')
      return complain_option(ctl, code, argv, "");
    if (code == 'h')
      code = GLOBAL_HELP;
    if (code == 'V')
      code = GLOBAL_VERSION;
    if (!take_global(ctl, code, optarg, help, version))
      return false;
  }
  *rest = optind;
  return true;
}

/* The command's options first, then those of all commands that it does not redefine. */
static size_t merge_options(const struct ctl_command *command, struct option *options,
                            char *letters)
{
  size_t count = 0, letter_count = 0;
  letters[letter_count++] = ':';
  for (; command->options != NULL && command->options[count].name != NULL; count++) {
    const struct ctl_option *option = &command->options[count];
    options[count] = (struct option){
        option->name, option->argument != NULL ? required_argument : no_argument, NULL, (int)count};
    if (option->letter == 0)
      continue;
    letters[letter_count++] = option->letter;
    if (option->argument != NULL)
      letters[letter_count++] = ':';
  }
  letters[letter_count++] = 'h';
  letters[letter_count] = '\0';
  size_t own = count;
  for (size_t i = 0; i < GLOBAL_COUNT; i++) {
    bool shadowed = false;
    for (size_t k = 0; k < own; k++)
      shadowed = shadowed || strcmp(options[k].name, global_options[i].name) == 0;
    if (!shadowed)
      options[count++] = global_options[i];
  }
  return own;
}

static bool take_given(struct ctl *ctl, const struct ctl_option *option, const char *value,
                       struct ctl_args *args)
{
  if (args->given_count == CTL_GIVEN_MAX) {
    ctl_complain(ctl, "more than %d options", CTL_GIVEN_MAX);
    return false;
  }
  args->given[args->given_count++] = (struct ctl_given){option, value};
  return true;
}

bool ctl_args_parse(struct ctl *ctl, const struct ctl_command *command, int argc, char **argv,
                    struct ctl_args *args, bool *help)
{
  struct option options[CTL_OPTIONS_MAX + GLOBAL_COUNT + 1] = {0};
  char letters[2 * CTL_OPTIONS_MAX + 4];
  bool version = false;
  size_t own = merge_options(command, options, letters);
  args->command = command;
  args->given_count = 0;
  optind = 0;
  opterr = 0;
  for (;;) {
    int code = getopt_long(argc, argv, letters, options, NULL);
    if (code == -1)
      break;
    if (code == '?' || code == ':')
      return complain_option(ctl, code, argv, command->name);
    if (code == 'h')
      code = GLOBAL_HELP;
    if (code >= GLOBAL_BASE) {
      if (!take_global(ctl, code, optarg, help, &version))
        return false;
      continue;
    }
    size_t at = (size_t)code;
    for (size_t i = 0; code >= ' ' && i < own; i++)
      if (command->options[i].letter == code)
        at = i;
    if (!take_given(ctl, &command->options[at], optarg, args))
      return false;
  }
  args->operands = argv + optind;
  args->operand_count = argc - optind;
  return true;
}

const char *ctl_args_nth(const struct ctl_args *args, const char *name, size_t i)
{
  for (size_t k = 0; k < args->given_count; k++)
    if (strcmp(args->given[k].option->name, name) == 0 && i-- == 0)
      return args->given[k].value != NULL ? args->given[k].value : "";
  return NULL;
}

size_t ctl_args_count(const struct ctl_args *args, const char *name)
{
  size_t count = 0;
  for (size_t k = 0; k < args->given_count; k++)
    count += strcmp(args->given[k].option->name, name) == 0;
  return count;
}

const char *ctl_args_text(const struct ctl_args *args, const char *name, const char *fallback)
{
  size_t count = ctl_args_count(args, name);
  return count == 0 ? fallback : ctl_args_nth(args, name, count - 1);
}

bool ctl_args_flag(const struct ctl_args *args, const char *name)
{
  return ctl_args_count(args, name) > 0;
}

bool ctl_text_uint(const struct ctl *ctl, const char *what, const char *text, uint64_t min,
                   uint64_t max, uint64_t *out)
{
  char *end = NULL;
  errno = 0;
  unsigned long long value = strtoull(text, &end, 10);
  bool digits = *text >= '0' && *text <= '9';
  if (!digits || *end != '\0' || errno == ERANGE || value < min || value > max) {
    if (max == UINT64_MAX)
      ctl_complain(ctl, "%s takes a whole number from %llu on, not '%s'", what,
                   (unsigned long long)min, text);
    else
      ctl_complain(ctl, "%s takes a whole number from %llu to %llu, not '%s'", what,
                   (unsigned long long)min, (unsigned long long)max, text);
    return false;
  }
  *out = value;
  return true;
}

bool ctl_args_uint(const struct ctl *ctl, const struct ctl_args *args, const char *name,
                   uint64_t min, uint64_t max, uint64_t fallback, uint64_t *out)
{
  char what[64];
  const char *text = ctl_args_text(args, name, NULL);
  *out = fallback;
  if (text == NULL)
    return true;
  snprintf(what, sizeof what, "--%s", name);
  return ctl_text_uint(ctl, what, text, min, max, out);
}
