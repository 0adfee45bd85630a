#include "ctl.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client.h"

static const struct ctl_command *const tables[] = {
    ctl_commands_setup, ctl_commands_node,       ctl_commands_write,  ctl_commands_case,
    ctl_commands_log,   ctl_commands_quarantine, ctl_commands_import, ctl_commands_backup,
};

const struct ctl_command *ctl_command_at(size_t i)
{
  for (size_t t = 0; t < sizeof tables / sizeof tables[0]; t++)
    for (const struct ctl_command *command = tables[t]; command->name != NULL; command++)
      if (i-- == 0)
        return command;
  return NULL;
}

void ctl_complain(const struct ctl *ctl, const char *format, ...)
{
  va_list arguments;
  fflush(ctl->view.out);
  fputs("nodectl: ", ctl->err);
  va_start(arguments, format);
  vfprintf(ctl->err, format, arguments);
  va_end(arguments);
  fputc('\n', ctl->err);
}

enum ctl_exit ctl_complain_file(const struct ctl *ctl, const char *what, const char *path,
                                enum status status)
{
  ctl_complain(ctl, "%s %s: %s", what, path, status_text(status));
  return CTL_REFUSED;
}

/* Whether `command` is named by these words; how many of them it takes. */
static int words_match(const struct ctl_command *command, int argc, char **argv)
{
  const char *space = strchr(command->name, ' ');
  if (space == NULL)
    return strcmp(command->name, argv[0]) == 0 ? 1 : 0;
  size_t first = (size_t)(space - command->name);
  if (argc < 2 || strlen(argv[0]) != first || strncmp(command->name, argv[0], first) != 0)
    return 0;
  return strcmp(space + 1, argv[1]) == 0 ? 2 : 0;
}

const struct ctl_command *ctl_command_find(int argc, char **argv, int *words)
{
  const struct ctl_command *command;
  for (size_t i = 0; (command = ctl_command_at(i)) != NULL; i++) {
    *words = words_match(command, argc, argv);
    if (*words > 0)
      return command;
  }
  return NULL;
}

/* Levenshtein distance over octets, cut at 63 of them. */
static unsigned distance(const char *a, const char *b)
{
  unsigned row[64];
  size_t a_size = strnlen(a, 63), b_size = strnlen(b, 63);
  for (size_t k = 0; k <= b_size; k++)
    row[k] = (unsigned)k;
  for (size_t i = 1; i <= a_size; i++) {
    unsigned diagonal = row[0];
    row[0] = (unsigned)i;
    for (size_t k = 1; k <= b_size; k++) {
      unsigned best = diagonal + (a[i - 1] != b[k - 1]);
      diagonal = row[k];
      if (row[k - 1] + 1 < best)
        best = row[k - 1] + 1;
      if (row[k] + 1 < best)
        best = row[k] + 1;
      row[k] = best;
    }
  }
  return row[b_size];
}

const char *ctl_command_suggest(const char *word)
{
  const struct ctl_command *command;
  const char *best = NULL;
  unsigned least = 3;
  for (size_t i = 0; (command = ctl_command_at(i)) != NULL; i++) {
    unsigned now = distance(word, command->name);
    /* A short name is near to anything; half of it must be right. */
    if (now < least && 2 * now <= strlen(command->name)) {
      least = now;
      best = command->name;
    }
  }
  return best;
}

static bool is_group(const char *word)
{
  const struct ctl_command *command;
  size_t size = strlen(word);
  for (size_t i = 0; (command = ctl_command_at(i)) != NULL; i++)
    if (strncmp(command->name, word, size) == 0 && command->name[size] == ' ')
      return true;
  return false;
}

static enum ctl_exit complain_command(const struct ctl *ctl, int argc, char **argv)
{
  char words[128];
  const struct ctl_command *command;
  bool group = is_group(argv[0]);
  bool verb = group && argc > 1 && argv[1][0] != '-';
  snprintf(words, sizeof words, "%s%s%s", argv[0], verb ? " " : "", verb ? argv[1] : "");
  const char *near = group && !verb ? NULL : ctl_command_suggest(words);
  if (group && !verb)
    ctl_complain(ctl, "'%s' needs one of:", argv[0]);
  else if (near != NULL)
    ctl_complain(ctl, "unknown command '%s'; did you mean '%s'?", words, near);
  else
    ctl_complain(ctl, "unknown command '%s' (nodectl --help lists them)", words);
  size_t size = strlen(argv[0]);
  for (size_t i = 0; group && !verb && (command = ctl_command_at(i)) != NULL; i++)
    if (strncmp(command->name, argv[0], size) == 0 && command->name[size] == ' ')
      fprintf(ctl->err, "  nodectl %s%s%s\n", command->name,
              command->operands[0] != '\0' ? " " : "", command->operands);
  return CTL_USAGE;
}

/* `nodectl log --help` and `nodectl help log list` name a group or command as well. */
static bool help_wanted(int argc, char **argv)
{
  for (int i = 1; i < argc; i++)
    if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
      return true;
  return false;
}

static enum ctl_exit help_for(struct ctl *ctl, int argc, char **argv)
{
  int words;
  const struct ctl_command *command;
  if (argc < 1) {
    ctl_help(ctl->view.out);
    return CTL_DONE;
  }
  command = ctl_command_find(argc, argv, &words);
  if (command != NULL) {
    ctl_help_command(ctl->view.out, command);
    return CTL_DONE;
  }
  if (!is_group(argv[0]) || (argc > 1 && argv[1][0] != '-'))
    return complain_command(ctl, argc, argv);
  size_t size = strlen(argv[0]);
  for (size_t i = 0; (command = ctl_command_at(i)) != NULL; i++)
    if (strncmp(command->name, argv[0], size) == 0 && command->name[size] == ' ')
      ctl_help_command(ctl->view.out, command);
  return CTL_DONE;
}

static enum ctl_exit run_command(struct ctl *ctl, int argc, char **argv)
{
  struct ctl_args args;
  bool help = false;
  int words;
  if (strcmp(argv[0], "help") == 0)
    return help_for(ctl, argc - 1, argv + 1);
  const struct ctl_command *command = ctl_command_find(argc, argv, &words);
  if (command == NULL)
    return is_group(argv[0]) && help_wanted(argc, argv) ? help_for(ctl, argc, argv)
                                                        : complain_command(ctl, argc, argv);
  /* getopt_long takes the word before the options for the program's name. */
  if (!ctl_args_parse(ctl, command, argc - words + 1, argv + words - 1, &args, &help))
    return CTL_USAGE;
  if (help) {
    ctl_help_command(ctl->view.out, command);
    return CTL_DONE;
  }
  if (args.operand_count < command->operands_min || args.operand_count > command->operands_max) {
    ctl_complain(ctl, "%s arguments; usage: nodectl %s %s",
                 args.operand_count < command->operands_min ? "too few" : "too many", command->name,
                 command->operands);
    return CTL_USAGE;
  }
  if (ctl->url[0] == '\0' && snprintf(ctl->url, sizeof ctl->url, "ipc://%s/admin.sock",
                                      ctl->directory) >= (int)sizeof ctl->url) {
    ctl_complain(ctl, "the directory's path is too long for a socket");
    return CTL_USAGE;
  }
  enum ctl_exit code = command->run(ctl, &args);
  client_free(ctl->client);
  ctl->client = NULL;
  return code;
}

enum ctl_exit ctl_main(struct ctl *ctl, int argc, char **argv)
{
  bool help = false, version = false;
  int rest = 0;
  const char *no_color = getenv("NO_COLOR");
  ctl->directory = getenv("NODED_DIR");
  if (ctl->directory == NULL || ctl->directory[0] == '\0')
    ctl->directory = CTL_DIRECTORY_DEFAULT;
  ctl->timeout_ms = CTL_TIMEOUT_MS;
  int fd = fileno(ctl->view.out);
  ctl->view.color = fd >= 0 && isatty(fd) && (no_color == NULL || no_color[0] == '\0');

  if (!ctl_args_parse_global(ctl, argc, argv, &rest, &help, &version))
    return CTL_USAGE;
  if (version) {
    fprintf(ctl->view.out, "nodectl %s\n", NODED_VERSION);
    return CTL_DONE;
  }
  if (help)
    return help_for(ctl, argc - rest, argv + rest);
  if (rest >= argc) {
    ctl_help(ctl->err);
    return CTL_USAGE;
  }
  return run_command(ctl, argc - rest, argv + rest);
}
