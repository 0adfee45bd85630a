#include "noded/backup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "admin/node_files.h"
#include "storage/backup.h"
#include "storage/verify.h"

struct backup_file {
  const char *name;
  unsigned mode;
  bool needed;
};

static const struct backup_file files[] = {{NODE_FILE_ROOT_CERTIFICATE, 0644, true},
                                           {NODE_FILE_CHAIN, 0644, true},
                                           {NODE_FILE_CONFIG, 0600, false}};

enum status backup_store_check(struct store *store, struct backup_manifest *manifest)
{
  struct verify_report report;
  struct store_txn *txn;
  enum status status = store_read_begin(store, &txn);
  if (status != STATUS_OK) {
    return status;
  }
  status = store_verify(txn, &report, NULL, NULL);
  store_read_end(txn);
  manifest->findings = report.findings;
  return status == STATUS_OK ? backup_manifest_fill(store, manifest) : status;
}

__attribute__((format(printf, 3, 4))) static enum status explain(char *reason, enum status status,
                                                                 const char *format, ...)
{
  va_list arguments;
  va_start(arguments, format);
  (void)vsnprintf(reason, BACKUP_REASON_MAX, format, arguments);
  va_end(arguments);
  return status;
}

static enum status files_copy(const struct backup_settings *settings, const char *part,
                              char *reason)
{
  char from[PATH_MAX];
  char to[PATH_MAX];
  enum status status = STATUS_OK;
  for (size_t i = 0; i < sizeof(files) / sizeof(files[0]) && status == STATUS_OK; i++) {
    if (node_file_path(settings->directory, files[i].name, from) != STATUS_OK ||
        node_file_path(part, files[i].name, to) != STATUS_OK) {
      return explain(reason, STATUS_INVALID_ARGUMENT, "the path is too long");
    }
    status = backup_file_copy(from, to, files[i].mode, NULL, NULL);
    if (status == STATUS_NOT_FOUND && !files[i].needed) {
      status = STATUS_OK;
    }
  }
  if (status == STATUS_OK && settings->with_key) {
    status = node_file_path(settings->directory, NODE_FILE_KEY, from) == STATUS_OK &&
                     node_file_path(part, NODE_FILE_KEY, to) == STATUS_OK
                 ? backup_file_copy(from, to, 0600, NULL, NULL)
                 : STATUS_INVALID_ARGUMENT;
  }
  return status == STATUS_OK
             ? status
             : explain(reason, status, "copying %.300s: %s", from, status_text(status));
}

/* The copy is opened and verified whole: what it holds is what the manifest says. A store with
 * findings is copied all the same, but that copy permits nothing to be let go. */
static enum status copy_check(const char *part, struct backup_manifest *manifest, char *reason)
{
  char path[PATH_MAX];
  char words[STORE_REASON_MAX] = "";
  struct store_settings settings;
  struct store *store = NULL;
  store_settings_default(&settings);
  if (node_file_path(part, "store", path) != STATUS_OK) {
    return explain(reason, STATUS_INVALID_ARGUMENT, "the path is too long");
  }
  settings.path = path;
  settings.read_only = true;
  enum status status = store_open(&settings, NULL, &store, words);
  if (status == STATUS_OK) {
    status = backup_store_check(store, manifest);
    store_close(store);
  }
  if (status != STATUS_OK) {
    return explain(reason, status, "the copy can't be read: %.400s",
                   words[0] != 0 ? words : status_text(status));
  }
  if (node_file_path(part, "store/lock.mdb", path) == STATUS_OK) {
    (void)unlink(path);
  }
  return STATUS_OK;
}

static enum status store_write(const struct backup_settings *settings, const char *part,
                               struct backup_manifest *manifest, char *reason)
{
  char path[PATH_MAX];
  if (node_file_path(part, BACKUP_DATA, path) != STATUS_OK) {
    return explain(reason, STATUS_INVALID_ARGUMENT, "the path is too long");
  }
  int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  enum status status = file < 0 ? STATUS_IO : store_copy(settings->store, file);
  if (status == STATUS_OK && fsync(file) != 0) {
    status = STATUS_IO;
  }
  if (file >= 0) {
    close(file);
  }
  if (status == STATUS_OK) {
    status = backup_file_hash(path, &manifest->hash, &manifest->octets);
  }
  if (status != STATUS_OK) {
    return explain(reason, status, "copying the store to %.300s: %s", path, status_text(status));
  }
  return copy_check(part, manifest, reason);
}

static enum status fill(const struct backup_settings *settings, const char *part,
                        struct backup_manifest *manifest, char *reason)
{
  char store[PATH_MAX];
  if (node_file_path(part, "store", store) != STATUS_OK || mkdir(part, 0700) != 0 ||
      mkdir(store, 0700) != 0) {
    return explain(reason, errno == ENOENT ? STATUS_NOT_FOUND : STATUS_IO, "making %.300s: %s",
                   part, strerror(errno));
  }
  enum status status = files_copy(settings, part, reason);
  if (status == STATUS_OK) {
    status = store_write(settings, part, manifest, reason);
  }
  if (status != STATUS_OK) {
    return status;
  }
  status = backup_manifest_write(part, manifest);
  if (status == STATUS_OK) {
    status = backup_directory_sync(store);
  }
  if (status == STATUS_OK) {
    status = backup_directory_sync(part);
  }
  return status == STATUS_OK
             ? status
             : explain(reason, status, "writing %.300s: %s", part, status_text(status));
}

enum status backup_write(const struct backup_settings *settings, struct backup_manifest *manifest,
                         char *reason)
{
  char part[PATH_MAX];
  struct stat about;
  int size = snprintf(part, sizeof(part), "%s" BACKUP_PART, settings->path);
  if (settings->path[0] != '/' || size < 0 || (size_t)size >= sizeof(part) - 64) {
    return explain(reason, STATUS_INVALID_ARGUMENT, "the backup's path must be absolute");
  }
  if (lstat(settings->path, &about) == 0) {
    return explain(reason, STATUS_EXISTS, "%.600s exists; a backup never replaces anything",
                   settings->path);
  }
  *manifest = (struct backup_manifest){.at_ms = settings->at_ms, .secret_key = settings->with_key};
  backup_tree_remove(part); /* of one that was cut off */
  enum status status = fill(settings, part, manifest, reason);
  if (status == STATUS_OK && rename(part, settings->path) != 0) {
    status = explain(reason, STATUS_IO, "renaming %.300s: %s", part, strerror(errno));
  }
  if (status == STATUS_OK) {
    status = node_file_sync_directory_of(settings->path);
  }
  if (status != STATUS_OK) {
    backup_tree_remove(part);
    backup_manifest_close(manifest);
  }
  return status;
}
