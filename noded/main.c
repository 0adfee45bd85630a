/* noded: starts the node of one directory, and ends it cleanly. docs/OPERATIONS.md says how it is
 * run, and lists exit codes, signals and log lines. */
#include <event2/event.h>
#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "noded/admin_server.h"
#include "noded/core.h"
#include "noded/identity.h"
#include "noded/log.h"
#include "noded/reload.h"
#include "noded/restore.h"

#define DRAIN_POLL_MS 10
#define EXPIRY_WARN_SECONDS (30LL * 24 * 3600)
#define SIGNALS 3

enum exit_code {
  EXIT_DONE = 0,
  EXIT_FAULT = 1,
  EXIT_USAGE = 2,
  EXIT_CONFIG = 3,
  EXIT_IDENTITY = 4,
};

struct options {
  char config[4096];
  const char *directory; /* NULL: where the config stands */
  bool check;
  struct restore_options restore; /* of which a NULL backup: none is asked for */
};

struct daemon {
  struct options options;
  struct config config;
  struct core_identity identity;
  struct event_base *base;
  struct core *core;
  struct admin_server *admin;
  struct event *signals[SIGNALS];
  struct event *drain;
  struct core_task shutdown_task;
  atomic_flag shutdown_posted;
  bool ending;
};

static const char usage[] =
    "Usage: noded [--dir DIR] [--config FILE] [--check-config]\n"
    "Runs the node of a directory that 'nodectl init' made, in the foreground.\n"
    "\n"
    "  --dir DIR       the node's directory (default: $NODED_DIR, else where FILE stands,\n"
    "                  else /var/lib/noded)\n"
    "  --config FILE   its configuration (default: DIR/noded.yaml)\n"
    "  --check-config  read the configuration, say what is wrong with it, and end\n"
    "  --restore BACKUP [--drill] [--replace] [--json]\n"
    "                  put a backup in place of the store, and end (nodectl restore)\n"
    "  --restore FILE --snapshot [--drill] [--json]\n"
    "                  add what the store lacks of a snapshot from the parent, and end\n"
    "  --version       print the version and end\n"
    "  --help          print this and end\n"
    "\n"
    "Example: noded --dir /var/lib/noded\n"
    "Exit codes: 0 ended cleanly, 1 fault, 2 wrong usage, 3 configuration refused, 4 keys or\n"
    "certificates missing or refused.\n"
    "Signals: TERM and INT end it cleanly, HUP reads log.format and log.level again.\n";

static void take_restore(struct restore_options *restore, int option)
{
  restore->drill = restore->drill || option == 'D';
  restore->replace = restore->replace || option == 'R';
  restore->snapshot = restore->snapshot || option == 'S';
  restore->json = restore->json || option == 'j';
  if (option == 'r') {
    restore->backup = optarg;
  }
}

static bool paths_take(struct options *options, const char *file, int *code)
{
  if (options->directory == NULL && file == NULL) {
    const char *named = getenv("NODED_DIR");
    options->directory = named != NULL && named[0] != 0 ? named : "/var/lib/noded";
  }
  int size = file != NULL ? snprintf(options->config, sizeof(options->config), "%s", file)
                          : snprintf(options->config, sizeof(options->config), "%s/noded.yaml",
                                     options->directory);
  if (size < 0 || (size_t)size >= sizeof(options->config)) {
    fputs("noded: the path is too long\n", stderr);
    *code = EXIT_USAGE;
    return false;
  }
  return true;
}

/* False when the process is to end with *code. */
static bool options_read(int argc, char **argv, struct options *options, int *code)
{
  static const struct option known[] = {
      {"dir", required_argument, NULL, 'd'},
      {"config", required_argument, NULL, 'c'},
      {"check-config", no_argument, NULL, 'n'},
      {"version", no_argument, NULL, 'v'},
      {"help", no_argument, NULL, 'h'},
      {"restore", required_argument, NULL, 'r'},
      {"drill", no_argument, NULL, 'D'},
      {"replace", no_argument, NULL, 'R'},
      {"json", no_argument, NULL, 'j'},
      {"snapshot", no_argument, NULL, 'S'},
      {NULL, 0, NULL, 0},
  };
  const char *file = NULL;
  int option = 0;
  *code = EXIT_DONE;
  memset(options, 0, sizeof(*options));
  while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
    switch (option) {
    case 'd':
      options->directory = optarg;
      break;
    case 'c':
      file = optarg;
      break;
    case 'n':
      options->check = true;
      break;
    case 'r':
    case 'D':
    case 'R':
    case 'S':
    case 'j':
      take_restore(&options->restore, option);
      break;
    case 'v':
      printf("noded %s\n", NODED_VERSION);
      return false;
    case 'h':
      fputs(usage, stdout);
      return false;
    default:
      fputs("Try 'noded --help'.\n", stderr);
      *code = EXIT_USAGE;
      return false;
    }
  }
  if (optind < argc) {
    fprintf(stderr, "noded: '%s' is not understood. Try 'noded --help'.\n", argv[optind]);
    *code = EXIT_USAGE;
    return false;
  }
  return paths_take(options, file, code);
}

/* Small memory matters more here than the last bit of allocation speed, and huge pages would blow
 * every thread's stack up to 2 MiB. */
static void process_prepare(void)
{
  struct rlimit files;
  umask(077);
  mallopt(M_ARENA_MAX, 2);
  mallopt(M_MMAP_THRESHOLD, 8 * 1024 * 1024);
  mallopt(M_TRIM_THRESHOLD, 2 * 1024 * 1024);
  (void)prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
  signal(SIGPIPE, SIG_IGN);
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &files);
  }
}

static bool load(struct daemon *daemon, int *code)
{
  char reason[CONFIG_REASON_MAX > IDENTITY_REASON_MAX ? CONFIG_REASON_MAX : IDENTITY_REASON_MAX];
  *code = EXIT_CONFIG;
  if (config_read(daemon->options.config, daemon->options.directory, &daemon->config, reason) !=
      STATUS_OK) {
    fprintf(stderr, "%s\n", reason);
    return false;
  }
  if (daemon->options.check) {
    printf("%s: good\n", daemon->options.config);
    *code = EXIT_DONE;
    return false;
  }
  log_configure(daemon->config.log_format, daemon->config.log_level);
  *code = EXIT_IDENTITY;
  if (identity_load(daemon->config.directory, &daemon->identity, reason) != STATUS_OK) {
    const struct log_field fields[] = {log_text("reason", reason)};
    log_write(LOG_ERROR, "identity_refused", fields, 1);
    return false;
  }
  return true;
}

static void on_drain(evutil_socket_t fd, short what, void *opaque)
{
  (void)fd;
  (void)what;
  struct daemon *daemon = opaque;
  const struct timeval pause = {.tv_usec = DRAIN_POLL_MS * 1000};
  if (admin_server_idle(daemon->admin)) {
    event_base_loopbreak(daemon->base);
  } else {
    evtimer_add(daemon->drain, &pause);
  }
}

/* Requests that were taken are answered first, which needs the loop; then it ends. */
static void shut_down(struct daemon *daemon, const char *why)
{
  const struct timeval now = {0};
  const struct log_field fields[] = {log_text("why", why)};
  if (daemon->ending) {
    return;
  }
  daemon->ending = true;
  log_write(LOG_INFO, "stopping", fields, 1);
  admin_server_stop(daemon->admin);
  evtimer_add(daemon->drain, &now);
}

static void on_shutdown_task(struct core *core, struct core_task *task)
{
  (void)core;
  struct daemon *daemon =
      (struct daemon *)(void *)((char *)task - offsetof(struct daemon, shutdown_task));
  shut_down(daemon, "asked to by nodectl");
}

/* From the admin server's threads. */
static void on_shutdown_asked(void *opaque)
{
  struct daemon *daemon = opaque;
  if (!atomic_flag_test_and_set(&daemon->shutdown_posted)) {
    daemon->shutdown_task.run = on_shutdown_task;
    core_post(daemon->core, &daemon->shutdown_task);
  }
}

static void reload(struct daemon *daemon)
{
  char reason[CONFIG_REASON_MAX];
  char keys[RELOAD_KEYS_MAX];
  struct config fresh;
  if (config_read(daemon->options.config, daemon->options.directory, &fresh, reason) != STATUS_OK) {
    const struct log_field fields[] = {log_text("reason", reason)};
    log_write(LOG_ERROR, "reload_refused", fields, 1);
    return;
  }
  config_reload(&daemon->config, &fresh, keys);
  log_configure(daemon->config.log_format, daemon->config.log_level);
  const struct log_field fields[] = {log_text("restart_needed_for", keys)};
  log_write(keys[0] == 0 ? LOG_INFO : LOG_WARN, "reloaded", fields, keys[0] == 0 ? 0 : 1);
  config_close(&fresh);
}

/* A second signal to end doesn't wait for requests; what is acknowledged is durable anyway. */
static void on_signal(evutil_socket_t number, short what, void *opaque)
{
  (void)what;
  struct daemon *daemon = opaque;
  if (number == SIGHUP) {
    reload(daemon);
  } else if (daemon->ending) {
    log_event(LOG_WARN, "stopped_at_once");
    _exit(EXIT_FAULT);
  } else {
    shut_down(daemon, number == SIGTERM ? "SIGTERM" : "SIGINT");
  }
}

static bool events_make(struct daemon *daemon)
{
  static const int numbers[SIGNALS] = {SIGTERM, SIGINT, SIGHUP};
  daemon->drain = evtimer_new(daemon->base, on_drain, daemon);
  bool made = daemon->drain != NULL;
  for (int i = 0; made && i < SIGNALS; i++) {
    daemon->signals[i] = evsignal_new(daemon->base, numbers[i], on_signal, daemon);
    made = daemon->signals[i] != NULL && evsignal_add(daemon->signals[i], NULL) == 0;
  }
  return made;
}

static void expiry_check(const struct daemon *daemon)
{
  uint64_t expires_at = identity_expires_at(&daemon->identity);
  int64_t left = (int64_t)expires_at - (int64_t)time(NULL);
  const struct log_field fields[] = {
      log_int("days_left", left / (24 * 3600)),
      log_text("do", "have the parent certify this node's request again"),
  };
  if (left < EXPIRY_WARN_SECONDS) {
    log_write(left < 0 ? LOG_ERROR : LOG_WARN,
              left < 0 ? "certificate_expired" : "certificate_expires", fields, 2);
  }
}

static void tell_ready(const struct daemon *daemon)
{
  const struct config *config = &daemon->config;
  char listens[512] = "";
  for (uint32_t i = 0; i < config->listen_count; i++) {
    size_t size = strlen(listens);
    snprintf(listens + size, sizeof(listens) - size, "%s%s", i == 0 ? "" : ",", config->listen[i]);
  }
  const struct log_field fields[] = {
      log_text("address", daemon->identity.address.text),
      log_text("class", address_class_name(&daemon->identity.address)),
      log_text("version", NODED_VERSION),
      log_uint("pid", (uint64_t)getpid()),
      log_text("listen", listens),
      log_text("parent", config->parent_url),
      log_text("store", config->store_path),
      log_text("admin", config->admin_url),
  };
  log_write(LOG_INFO, "ready", fields, sizeof(fields) / sizeof(fields[0]));
  expiry_check(daemon);
}

static bool start(struct daemon *daemon)
{
  char reason[STORE_REASON_MAX > ADMIN_REASON_MAX ? STORE_REASON_MAX : ADMIN_REASON_MAX] = "";
  daemon->base = event_base_new();
  enum status status = daemon->base != NULL && events_make(daemon) ? STATUS_OK : STATUS_NO_MEMORY;
  if (status == STATUS_OK) {
    status = core_new(&daemon->config, &daemon->identity, daemon->base, &daemon->core, reason);
  }
  if (status == STATUS_OK) {
    const struct admin_settings settings = {
        .url = daemon->config.admin_url,
        .core = daemon->core,
        .shut_down = on_shutdown_asked,
        .opaque = daemon,
    };
    status = admin_server_new(&settings, &daemon->admin, reason);
  }
  if (status != STATUS_OK) {
    const struct log_field fields[] = {
        log_text("reason", reason[0] != 0 ? reason : status_text(status))};
    log_write(LOG_ERROR, "start_failed", fields, 1);
  }
  return status == STATUS_OK;
}

static void finish(struct daemon *daemon)
{
  core_free(daemon->core);
  admin_server_free(daemon->admin);
  for (int i = 0; i < SIGNALS; i++) {
    if (daemon->signals[i] != NULL) {
      event_free(daemon->signals[i]);
    }
  }
  if (daemon->drain != NULL) {
    event_free(daemon->drain);
  }
  if (daemon->base != NULL) {
    event_base_free(daemon->base);
  }
  identity_close(&daemon->identity);
  config_close(&daemon->config);
}

int main(int argc, char **argv)
{
  static struct daemon daemon;
  int code = EXIT_DONE;
  if (!options_read(argc, argv, &daemon.options, &code)) {
    return code;
  }
  process_prepare();
  if (sodium_init() < 0) {
    fputs("noded: libsodium can't be started\n", stderr);
    return EXIT_FAULT;
  }
  if (daemon.options.restore.backup != NULL) {
    daemon.options.restore.config = daemon.options.config;
    daemon.options.restore.directory = daemon.options.directory;
    return restore_run(&daemon.options.restore, stdout, stderr) ? EXIT_DONE : EXIT_FAULT;
  }
  if (!load(&daemon, &code)) {
    config_close(&daemon.config);
    return code;
  }
  code = EXIT_FAULT;
  if (start(&daemon)) {
    tell_ready(&daemon);
    code = event_base_dispatch(daemon.base) == 0 ? EXIT_DONE : EXIT_FAULT;
  }
  finish(&daemon);
  if (code == EXIT_DONE) {
    log_event(LOG_INFO, "stopped");
  }
  return code;
}
