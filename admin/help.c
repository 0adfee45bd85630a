#include <string.h>

#include "ctl.h"

static void print_indented(FILE *out, const char *lines)
{
  while (*lines != '\0') {
    size_t size = strcspn(lines, "\n");
    fprintf(out, "  %.*s\n", (int)size, lines);
    lines += size + (lines[size] == '\n');
  }
}

void ctl_help(FILE *out)
{
  const char *group = "";
  const struct ctl_command *command;
  fputs("nodectl inspects and steers a node.\n\n"
        "usage: nodectl [--dir DIR | --socket URL] [--json] [--color auto|always|never]\n"
        "               [--timeout SECONDS] COMMAND ...\n",
        out);
  for (size_t i = 0; (command = ctl_command_at(i)) != NULL; i++) {
    if (strcmp(command->group, group) != 0)
      fprintf(out, "\n%s\n", command->group);
    group = command->group;
    fprintf(out, "  %-18s %s\n", command->name, command->summary);
  }
  fputs("\nOptions of every command\n"
        "  --dir DIR          the node's directory (else $NODED_DIR, else " CTL_DIRECTORY_DEFAULT
        ")\n"
        "  --socket URL       the admin socket (else ipc://DIR/admin.sock)\n"
        "  --json             print the result as one line of JSON\n"
        "  --color WHEN       auto (on a terminal, unless NO_COLOR is set), always or never\n"
        "  --timeout SECONDS  wait that long for the daemon, 30 by default\n"
        "  -h, --help         this page, or the command's\n"
        "  -V, --version      the version\n"
        "\nExit codes: 0 done, 1 refused, 2 wrong usage, 3 no daemon, 4 done in part.\n"
        "Example: nodectl --dir /var/lib/noded tree\n",
        out);
}

void ctl_help_command(FILE *out, const struct ctl_command *command)
{
  fprintf(out, "nodectl %s: %s\n\nusage: nodectl %s%s%s\n", command->name, command->summary,
          command->name, command->operands[0] != '\0' ? " " : "", command->operands);
  const struct ctl_option *option = command->options;
  if (option != NULL && option->name != NULL)
    fputs("\noptions:\n", out);
  for (; option != NULL && option->name != NULL; option++) {
    char left[64];
    char letter[8] = "";
    if (option->letter != 0)
      snprintf(letter, sizeof letter, "-%c, ", option->letter);
    snprintf(left, sizeof left, "%s--%s%s%s", letter, option->name,
             option->argument != NULL ? " " : "", option->argument != NULL ? option->argument : "");
    fprintf(out, "  %-24s %s\n", left, option->help);
  }
  fputs("\nexample:\n", out);
  print_indented(out, command->example);
  fputc('\n', out);
}
