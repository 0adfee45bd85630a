#include "noded/config.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "noded/config_schema.h"
#include "noded/config_url.h"

#define FILE_SIZE_MAX (64 * 1024)

/* One number of the file: where it stands, its bounds, and where it goes. */
struct number_rule {
  const char *section;
  const char *key;
  size_t raw_offset;
  size_t out_offset;
  bool wide; /* the target is 64 bits */
  bool zero_allowed;
  uint64_t min;
  uint64_t max;
  uint64_t fallback;
  uint64_t scale;
};

#define NARROW(section, key, target, zero, min, max, fallback, scale)                              \
  {                                                                                                \
#section, #key, offsetof(struct config_raw, section.key), offsetof(struct config, target),     \
        false, zero, min, max, fallback, scale                                                     \
  }
#define WIDE(section, key, target, zero, min, max, fallback, scale)                                \
  {                                                                                                \
#section, #key, offsetof(struct config_raw, section.key), offsetof(struct config, target),     \
        true, zero, min, max, fallback, scale                                                      \
  }

static const struct number_rule number_rules[] = {
    WIDE(store, map_gib, map_bytes, false, 1, 1024, 64, 1024ull * 1024 * 1024),
    WIDE(store, quota_mib, quota_bytes, true, 4, 1024 * 1024, 0, 1024ull * 1024),
    NARROW(limits, children, children_max, false, 1, 4095, 1024, 1),
    WIDE(limits, window_kib, window_bytes, false, 64, 1024 * 1024, 4096, 1024),
    WIDE(limits, rate_kbit, rate_bytes_s, true, 8, 10 * 1000 * 1000, 0, 125),
    NARROW(limits, handshakes, handshakes_max, false, 1, 1024, 32, 1),
    NARROW(limits, admit_per_second, admit_per_second, false, 1, 10000, 100, 1),
    NARROW(link, idle_seconds, idle_ms, false, 1, 3600, 60, 1000),
    NARROW(link, dead_seconds, dead_ms, false, 2, 86400, 150, 1000),
    NARROW(link, retry_min_ms, retry_min_ms, false, 10, 60000, 100, 1),
    NARROW(link, retry_max_ms, retry_max_ms, false, 10, 3600000, 30000, 1),
    NARROW(retention, days, retention_days, true, 1, 36500, 0, 1),
    WIDE(retention, keep_mib, keep_bytes, true, 1, 1024 * 1024, 0, 1024ull * 1024),
    WIDE(outbox, max_mib, outbox_max_bytes, true, 1, 1024 * 1024, 0, 1024ull * 1024),
    NARROW(outbox, max_days, outbox_max_days, true, 1, 36500, 0, 1),
};

/* Decimal digits alone, at most 18 of them. */
static bool number_read(const char *text, uint64_t *out)
{
  size_t size = strlen(text);
  if (size == 0 || size > 18 || strspn(text, "0123456789") != size) {
    return false;
  }
  *out = strtoull(text, NULL, 10);
  return true;
}

static void number_take(const struct number_rule *rule, const struct config_raw *raw,
                        struct config *out, struct config_problems *problems)
{
  char *text = NULL;
  uint64_t value = rule->fallback;
  memcpy(&text, (const char *)raw + rule->raw_offset, sizeof(text));
  if (text != NULL) {
    bool number = number_read(text, &value);
    bool fits = number &&
                ((value >= rule->min && value <= rule->max) || (value == 0 && rule->zero_allowed));
    if (!fits) {
      config_problem_add(
          problems, config_line_of_key(problems->source, rule->section, rule->key, 0),
          "%s.%s: '%.40s' must be a number from %" PRIu64 " to %" PRIu64 "%s", rule->section,
          rule->key, text, rule->min, rule->max, rule->zero_allowed ? ", or 0 for none" : "");
      return;
    }
  }
  value *= rule->scale;
  if (rule->wide) {
    memcpy((char *)out + rule->out_offset, &value, sizeof(value));
  } else {
    uint32_t narrow = (uint32_t)value;
    memcpy((char *)out + rule->out_offset, &narrow, sizeof(narrow));
  }
}

static void numbers_take(const struct config_raw *raw, struct config *out,
                         struct config_problems *problems)
{
  unsigned before = problems->count;
  for (size_t i = 0; i < sizeof(number_rules) / sizeof(number_rules[0]); i++) {
    number_take(&number_rules[i], raw, out, problems);
  }
  if (problems->count != before) {
    return;
  }
  if (out->dead_ms <= out->idle_ms) {
    config_problem_add(problems, config_line_of_key(problems->source, "link", "dead_seconds", 0),
                       "link.dead_seconds (%" PRIu32 ") must be above link.idle_seconds (%" PRIu32
                       "), or every quiet link is cut",
                       out->dead_ms / 1000, out->idle_ms / 1000);
  }
  if (out->retry_max_ms < out->retry_min_ms) {
    config_problem_add(problems, config_line_of_key(problems->source, "link", "retry_max_ms", 0),
                       "link.retry_max_ms (%" PRIu32 ") is below link.retry_min_ms (%" PRIu32 ")",
                       out->retry_max_ms, out->retry_min_ms);
  }
}

/* Position of `text` among `names`, the fallback when it is NULL. */
static int choice_take(const char *text, const char *key, const char *const *names, int count,
                       int fallback, struct config_problems *problems)
{
  char list[128] = "";
  if (text == NULL) {
    return fallback;
  }
  for (int i = 0; i < count; i++) {
    if (strcmp(text, names[i]) == 0) {
      return i;
    }
    size_t size = strlen(list);
    snprintf(list + size, sizeof(list) - size, "%s%s", i == 0 ? "" : ", ", names[i]);
  }
  config_problem_add(problems, config_line_of_key(problems->source, "log", key, 0),
                     "log.%s: '%.40s' must be one of: %s", key, text, list);
  return fallback;
}

static void log_take(const struct config_raw *raw, struct config *out,
                     struct config_problems *problems)
{
  static const char *const formats[] = {"logfmt", "json"};
  static const char *const levels[] = {"debug", "info", "warn", "error"};
  out->log_format = (enum log_format)choice_take(raw->log.format, "format", formats, 2,
                                                 LOG_FORMAT_LOGFMT, problems);
  out->log_level =
      (enum log_level)choice_take(raw->log.level, "level", levels, 4, LOG_INFO, problems);
}

/* `text` taken from the node's directory when relative; NULL when memory is out. */
static char *path_make(const char *directory, const char *text)
{
  char *path = NULL;
  if (text[0] == '/') {
    return strdup(text);
  }
  return asprintf(&path, "%s/%s", directory, text) < 0 ? NULL : path;
}

static char *url_take(const char *text, const char *key, unsigned line, bool listens,
                      const struct config *out, struct config_problems *problems)
{
  char why[160];
  char *url = config_url_make(out->directory, text, listens, why);
  if (url == NULL) {
    config_problem_add(problems, line, "%s: '%.60s' %s", key, text, why);
  }
  return url;
}

static void urls_take(const struct config_raw *raw, struct config *out,
                      struct config_problems *problems)
{
  if (raw->parent != NULL) {
    unsigned line = config_line_of_key(problems->source, NULL, "parent", 0);
    out->parent_url = url_take(raw->parent, "parent", line, false, out, problems);
  }
  for (uint32_t i = 0; i < raw->listen_count; i++) {
    unsigned line = config_line_of_entry(problems->source, "listen", raw->listen[i]);
    char *url = url_take(raw->listen[i], "listen", line, true, out, problems);
    for (uint32_t j = 0; url != NULL && j < out->listen_count; j++) {
      if (strcmp(out->listen[j], url) == 0) {
        config_problem_add(problems, line, "listen: '%.60s' stands twice", raw->listen[i]);
      }
    }
    if (url != NULL) {
      out->listen[out->listen_count++] = url;
    }
  }
  unsigned line = config_line_of_key(problems->source, NULL, "admin", 0);
  const char *admin = raw->admin != NULL ? raw->admin : "ipc://admin.sock";
  if (strncmp(admin, "ipc://", 6) != 0) {
    config_problem_add(problems, line, "admin: '%.60s' must be an ipc:// url", admin);
    return;
  }
  out->admin_url = url_take(admin, "admin", line, true, out, problems);
}

static enum status values_take(const struct config_raw *raw, struct config *out,
                               struct config_problems *problems)
{
  numbers_take(raw, out, problems);
  log_take(raw, out, problems);
  urls_take(raw, out, problems);
  if (raw->store.path != NULL && raw->store.path[0] == 0) {
    config_problem_add(problems, config_line_of_key(problems->source, "store", "path", 0),
                       "store.path is empty");
  }
  out->store_path = path_make(out->directory, raw->store.path != NULL ? raw->store.path : "store");
  if (out->store_path == NULL) {
    return STATUS_NO_MEMORY;
  }
  return problems->count == 0 ? STATUS_OK : STATUS_INVALID_ARGUMENT;
}

/* Absolute path of the node's directory. */
static char *directory_make(const char *path, const char *directory)
{
  char *absolute = NULL;
  if (directory != NULL) {
    return realpath(directory, NULL);
  }
  char *file = realpath(path, NULL);
  if (file != NULL) {
    char *slash = strrchr(file, '/');
    absolute = slash == file ? strdup("/") : strndup(file, (size_t)(slash - file));
  }
  free(file);
  return absolute;
}

static enum status file_read(const char *path, struct bytes *out, char *reason)
{
  enum status status = STATUS_OK;
  struct stat about;
  int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) {
    status = errno == ENOENT ? STATUS_NOT_FOUND : STATUS_IO;
    snprintf(reason, CONFIG_REASON_MAX, "%s: can't be opened: %s", path, strerror(errno));
    goto out;
  }
  if (fstat(file, &about) != 0 || !S_ISREG(about.st_mode) || about.st_size > FILE_SIZE_MAX) {
    status = STATUS_MALFORMED;
    snprintf(reason, CONFIG_REASON_MAX, "%s: is not a file of at most %d octets", path,
             FILE_SIZE_MAX);
    goto out;
  }
  status = bytes_reserve(out, (size_t)about.st_size + 1);
  if (status != STATUS_OK) {
    snprintf(reason, CONFIG_REASON_MAX, "%s: %s", path, status_text(status));
    goto out;
  }
  ssize_t got = read(file, out->data, (size_t)about.st_size);
  if (got < 0) {
    status = STATUS_IO;
    snprintf(reason, CONFIG_REASON_MAX, "%s: can't be read: %s", path, strerror(errno));
    goto out;
  }
  out->size = (size_t)got;
  if (memchr(out->data, 0, out->size) != NULL) {
    status = STATUS_MALFORMED;
    snprintf(reason, CONFIG_REASON_MAX, "%s: not YAML: holds a zero octet", path);
  }
out:
  if (file >= 0) {
    close(file);
  }
  return status;
}

enum status config_read(const char *path, const char *directory, struct config *out, char *reason)
{
  struct bytes source = {0};
  struct config_raw *raw = NULL;
  const struct config_raw empty = {0};
  memset(out, 0, sizeof(*out));
  reason[0] = 0;
  enum status status = file_read(path, &source, reason);
  if (status != STATUS_OK) {
    goto out;
  }
  out->directory = directory_make(path, directory);
  if (out->directory == NULL) {
    status = STATUS_NOT_FOUND;
    snprintf(reason, CONFIG_REASON_MAX, "%s: no such directory",
             directory == NULL ? path : directory);
    goto out;
  }
  struct config_problems problems = {
      .file = path, .source = bytes_as_view(&source), .text = reason};
  status = config_raw_load(&problems, &raw);
  if (status == STATUS_OK) {
    status = values_take(raw != NULL ? raw : &empty, out, &problems);
  }
  if (status == STATUS_NO_MEMORY) {
    snprintf(reason, CONFIG_REASON_MAX, "%s: %s", path, status_text(status));
  }
out:
  config_raw_free(raw);
  bytes_close(&source);
  if (status != STATUS_OK) {
    config_close(out);
  }
  return status;
}

void config_close(struct config *config)
{
  free(config->directory);
  free(config->store_path);
  free(config->admin_url);
  free(config->parent_url);
  for (uint32_t i = 0; i < config->listen_count; i++) {
    free(config->listen[i]);
  }
  memset(config, 0, sizeof(*config));
}
