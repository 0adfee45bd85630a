/*
 * backup, snapshot and restore. Backups and snapshots are made by the daemon while it runs.
 * Restoring is offline and is noded's own work, because nodectl knows no store: it is run from
 * beside this program.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client.h"
#include "json.h"
#include "render.h"
#include "text.h"
#include "value.h"

#define BACKUP_TIMEOUT_MS (4 * 3600 * 1000)
#define WATCH_MS 200

/* How far the copy is, while the daemon makes it. */
struct watch {
  FILE *err;
  char *data;
  pthread_mutex_t lock;
  bool ended;
};

static void *watch_main(void *opaque)
{
  struct watch *watch = opaque;
  struct stat about;
  char size[TEXT_SHORT_MAX];
  bool ended = false;
  while (!ended) {
    if (stat(watch->data, &about) == 0)
      fprintf(watch->err, "\r%s copied ", text_size((uint64_t)about.st_size, size));
    fflush(watch->err);
    ctl_clock_sleep_ms(WATCH_MS);
    pthread_mutex_lock(&watch->lock);
    ended = watch->ended;
    pthread_mutex_unlock(&watch->lock);
  }
  fputs("\r\033[K", watch->err);
  return NULL;
}

static void render_backup(const struct ctl_view *view, const msgpack_object *result)
{
  char size[TEXT_SHORT_MAX], commits[TEXT_SHORT_MAX], records[TEXT_SHORT_MAX];
  char *path = text_clean(value_get_text(result, "path"));
  fprintf(view->out, "%s: %s, %s commits, %s records%s\n", path,
          text_size(value_get_uint(result, "size"), size),
          text_count(value_get_uint(result, "commits"), commits),
          text_count(value_get_uint(result, "records"), records),
          value_bool(value_get(result, "secret_key")) ? ", with the secret key" : "");
  if (value_get_uint(result, "findings") > 0)
    fprintf(view->out, "verify found %llu faults in it: see nodectl log verify\n",
            (unsigned long long)value_get_uint(result, "findings"));
  free(path);
}

/* The daemon has another working directory. */
static char *absolute(const struct ctl *ctl, const char *path)
{
  char here[PATH_MAX];
  if (path[0] == '/')
    return text_format("%s", path);
  if (getcwd(here, sizeof here) == NULL) {
    ctl_complain(ctl, "the working directory is gone: %s", strerror(errno));
    return NULL;
  }
  return text_format("%s/%s", here, path);
}

/* `data`: the file that grows meanwhile; ours. */
static enum ctl_exit call_watched(struct ctl *ctl, const char *command, const struct query *query,
                                  char *data, struct reply *reply)
{
  struct watch watch = {.err = ctl->err, .data = data};
  pthread_t thread;
  pthread_mutex_init(&watch.lock, NULL);
  bool watched = !ctl->json && isatty(fileno(ctl->err)) &&
                 pthread_create(&thread, NULL, watch_main, &watch) == 0;
  enum ctl_exit code = ctl_call(ctl, command, query, reply);
  if (watched) {
    pthread_mutex_lock(&watch.lock);
    watch.ended = true;
    pthread_mutex_unlock(&watch.lock);
    pthread_join(thread, NULL);
  }
  pthread_mutex_destroy(&watch.lock);
  free(watch.data);
  return code;
}

static enum ctl_exit run_backup(struct ctl *ctl, const struct ctl_args *args)
{
  struct query query;
  struct reply reply;
  char *path = absolute(ctl, args->operands[0]);
  if (path == NULL)
    return CTL_REFUSED;
  query_init(&query);
  query_text(&query, "path", path);
  if (ctl_args_flag(args, "with-key"))
    writer_bool(query_field(&query, "with_key"), true);
  if (ctl->timeout_ms < BACKUP_TIMEOUT_MS)
    ctl->timeout_ms = BACKUP_TIMEOUT_MS;
  enum ctl_exit code =
      call_watched(ctl, "backup", &query, text_format("%s.part/store/data.mdb", path), &reply);
  if (code == CTL_DONE) {
    uint64_t findings = value_get_uint(reply.result, "findings");
    if (ctl->json)
      code = json_print(ctl->view.out, json_of(reply.result)) ? CTL_DONE : CTL_REFUSED;
    else
      render_backup(&ctl->view, reply.result);
    if (code == CTL_DONE && findings > 0)
      code = CTL_PARTLY;
  }
  reply_close(&reply);
  query_close(&query);
  free(path);
  return code;
}

static void render_snapshot(const struct ctl_view *view, const msgpack_object *result)
{
  char size[TEXT_SHORT_MAX], commits[TEXT_SHORT_MAX], records[TEXT_SHORT_MAX];
  char *path = text_clean(value_get_text(result, "path"));
  char *child = text_clean(value_get_text(result, "child"));
  fprintf(view->out, "%s: all that %s may see: %s, %s commits, %s records\n", path, child,
          text_size(value_get_uint(result, "size"), size),
          text_count(value_get_uint(result, "commits"), commits),
          text_count(value_get_uint(result, "records"), records));
  free(path);
  free(child);
}

static enum ctl_exit run_snapshot(struct ctl *ctl, const struct ctl_args *args)
{
  struct query query;
  struct reply reply;
  const char *child = ctl_args_text(args, "child", NULL);
  if (child == NULL) {
    ctl_complain(ctl, "snapshot needs --child ADDRESS: for whom");
    return CTL_USAGE;
  }
  char *path = absolute(ctl, args->operands[0]);
  if (path == NULL)
    return CTL_REFUSED;
  query_init(&query);
  query_text(&query, "path", path);
  query_text(&query, "child", child);
  if (ctl->timeout_ms < BACKUP_TIMEOUT_MS)
    ctl->timeout_ms = BACKUP_TIMEOUT_MS;
  enum ctl_exit code = call_watched(ctl, "snapshot", &query, text_format("%s.part", path), &reply);
  if (code == CTL_DONE && ctl->json)
    code = json_print(ctl->view.out, json_of(reply.result)) ? CTL_DONE : CTL_REFUSED;
  else if (code == CTL_DONE)
    render_snapshot(&ctl->view, reply.result);
  reply_close(&reply);
  query_close(&query);
  free(path);
  return code;
}

/* noded of the same build, else the one of the search path. */
static void find_noded(char path[PATH_MAX])
{
  ssize_t size = readlink("/proc/self/exe", path, PATH_MAX - 1);
  char *slash = size > 0 ? (path[size] = '\0', strrchr(path, '/')) : NULL;
  if (slash != NULL && (size_t)(slash - path) + sizeof "/noded" < PATH_MAX) {
    memcpy(slash, "/noded", sizeof "/noded");
    if (access(path, X_OK) == 0)
      return;
  }
  memcpy(path, "noded", sizeof "noded");
}

static enum ctl_exit run_restore(struct ctl *ctl, const struct ctl_args *args)
{
  char path[PATH_MAX];
  const char *words[12];
  size_t count = 0;
  find_noded(path);
  words[count++] = path;
  words[count++] = "--dir";
  words[count++] = ctl->directory;
  words[count++] = "--restore";
  words[count++] = args->operands[0];
  if (ctl_args_flag(args, "drill"))
    words[count++] = "--drill";
  if (ctl_args_flag(args, "snapshot"))
    words[count++] = "--snapshot";
  if (ctl_args_flag(args, "replace"))
    words[count++] = "--replace";
  if (ctl->json)
    words[count++] = "--json";
  words[count] = NULL;
  fflush(ctl->view.out);
  /* execvp takes no const, but does not write through these. */
  execvp(path, (char *const *)(uintptr_t)words);
  ctl_complain(ctl, "running %s: %s", path, strerror(errno));
  return CTL_REFUSED;
}

static const struct ctl_option backup_options[] = {
    {"with-key", 0, NULL, "also the secret key: then keep the backup as safe as the node"},
    {0},
};

static const struct ctl_option snapshot_options[] = {
    {"child", 0, "ADDRESS", "for which child"},
    {0},
};

static const struct ctl_option restore_options[] = {
    {"drill", 0, NULL, "only try it in a temporary folder, verify, and remove it"},
    {"replace", 0, NULL, "move a store that is in place aside"},
    {"snapshot", 0, NULL, "a snapshot from the parent: add what the store lacks"},
    {0},
};

const struct ctl_command ctl_commands_backup[] = {
    {"backup", "Backups", "[--with-key] FOLDER", "copy the store while the daemon runs",
     "nodectl backup /var/backups/noded-monday\n", backup_options, 1, 1, run_backup},
    {"snapshot", "Backups", "--child ADDRESS FILE", "write all that a child may see into a file",
     "nodectl snapshot --child 310104/012/003 /media/stick/003.snapshot\n", snapshot_options, 1, 1,
     run_snapshot},
    {"restore", "Backups", "[--drill] [--replace] FOLDER | --snapshot FILE",
     "put a backup or a snapshot in place while no daemon runs",
     "nodectl restore --drill /var/backups/noded-monday\n"
     "nodectl --dir /var/lib/noded restore --replace /var/backups/noded-monday\n"
     "nodectl --dir /var/lib/noded restore --snapshot /media/stick/003.snapshot\n",
     restore_options, 1, 1, run_restore},
    {0},
};
