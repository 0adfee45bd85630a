/*
 * What every command of nodectl shares: the context of one run, the table of commands, and the
 * options of a command after parsing. Exit codes are part of the interface (docs/ADMIN.md).
 */
#ifndef CTL_H
#define CTL_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "record/status.h"

#define CTL_URL_MAX 256
#define CTL_TIMEOUT_MS 30000
#define CTL_OPTIONS_MAX 24
#define CTL_DIRECTORY_DEFAULT "/var/lib/noded"

enum ctl_exit {
  CTL_DONE = 0,
  CTL_REFUSED = 1,   /* the daemon said no, or a file could not be read or written */
  CTL_USAGE = 2,     /* wrong usage */
  CTL_NO_DAEMON = 3, /* nobody answers at the socket */
  CTL_PARTLY = 4,    /* done in part */
};

/* How to show things: where to, with colours or not, and what time it is (ms since 1970 UTC). */
struct ctl_view {
  FILE *out;
  bool color;
  int64_t now_ms;
};

struct ctl_client;

/* One run of nodectl. */
struct ctl {
  struct ctl_view view;
  FILE *err;
  const char *directory;
  char url[CTL_URL_MAX];
  bool json;
  uint32_t timeout_ms;
  struct ctl_client *client; /* dialed at the first call; ctl_call does so */
};

/* An option of a command; a NULL name ends the list. `argument` NULL: a flag. */
struct ctl_option {
  const char *name;
  char letter; /* 0: none */
  const char *argument;
  const char *help;
};

/* Options and operands of one command, as given. Borrows from argv. */
#define CTL_GIVEN_MAX 256
struct ctl_given {
  const struct ctl_option *option;
  const char *value;
};
struct ctl_args {
  const struct ctl_command *command;
  struct ctl_given given[CTL_GIVEN_MAX];
  size_t given_count;
  char **operands;
  int operand_count;
};

/* A command: NAME is one word or "group verb". */
struct ctl_command {
  const char *name;
  const char *group;    /* heading in --help */
  const char *operands; /* as in the usage line */
  const char *summary;
  const char *example; /* lines, each a command, with a newline at each end */
  const struct ctl_option *options;
  int operands_min;
  int operands_max;
  enum ctl_exit (*run)(struct ctl *ctl, const struct ctl_args *args);
};

/* The tables of the command groups; each ends with a NULL name. */
extern const struct ctl_command ctl_commands_setup[];
extern const struct ctl_command ctl_commands_node[];
extern const struct ctl_command ctl_commands_write[];
extern const struct ctl_command ctl_commands_case[];
extern const struct ctl_command ctl_commands_log[];
extern const struct ctl_command ctl_commands_quarantine[];
extern const struct ctl_command ctl_commands_import[];
extern const struct ctl_command ctl_commands_backup[];

/* All of nodectl. `ctl` gives view.out, view.now_ms and err; the rest is filled in. */
enum ctl_exit ctl_main(struct ctl *ctl, int argc, char **argv);

/* Last value given for the option, or `fallback`. */
const char *ctl_args_text(const struct ctl_args *args, const char *name, const char *fallback);
bool ctl_args_flag(const struct ctl_args *args, const char *name);
/* The `i`-th value given for an option that may stand several times; NULL past the last. */
const char *ctl_args_nth(const struct ctl_args *args, const char *name, size_t i);
size_t ctl_args_count(const struct ctl_args *args, const char *name);
/* Whole number in [min, max]; says on `err` what is wrong and returns false. */
bool ctl_args_uint(const struct ctl *ctl, const struct ctl_args *args, const char *name,
                   uint64_t min, uint64_t max, uint64_t fallback, uint64_t *out);
bool ctl_text_uint(const struct ctl *ctl, const char *what, const char *text, uint64_t min,
                   uint64_t max, uint64_t *out);

/* Sorts what getopt_long finds into `args`. Long options of all commands (`--json`, ...) are
 * taken into `ctl`. False after saying what is wrong; `*help` when --help was among them. */
bool ctl_args_parse(struct ctl *ctl, const struct ctl_command *command, int argc, char **argv,
                    struct ctl_args *args, bool *help);
/* The options before the command; `*rest` is the index of the first word after them. */
bool ctl_args_parse_global(struct ctl *ctl, int argc, char **argv, int *rest, bool *help,
                           bool *version);

/* Help pages. */
void ctl_help(FILE *out);
void ctl_help_command(FILE *out, const struct ctl_command *command);
/* The command that argv[0] (and argv[1]) names; `*words` says how many. NULL: none. */
const struct ctl_command *ctl_command_find(int argc, char **argv, int *words);
/* The name nearest to `word`, or NULL when none is near. */
const char *ctl_command_suggest(const char *word);
/* The i-th command over all tables, NULL past the last. */
const struct ctl_command *ctl_command_at(size_t i);

/* "nodectl: ..." and a newline on `err`. */
__attribute__((format(printf, 2, 3))) void ctl_complain(const struct ctl *ctl, const char *format,
                                                        ...);
/* Complains "WHAT PATH: reason" and returns CTL_REFUSED. */
enum ctl_exit ctl_complain_file(const struct ctl *ctl, const char *what, const char *path,
                                enum status status);

/* The clocks, in one place. */
int64_t ctl_clock_wall_ms(void);
int64_t ctl_clock_mono_ms(void);
void ctl_clock_sleep_ms(unsigned ms);

#endif
