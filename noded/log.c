#include "noded/log.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "noded/log_text.h"

/* How often one kind of event was written in its present second. */
struct kind_rate {
  const char *event;
  int64_t second;
  uint32_t written;
  uint64_t suppressed;
};

static struct {
  atomic_int format;
  atomic_int level;
  atomic_int descriptor;
  pthread_mutex_t lock; /* rates */
  struct kind_rate rates[LOG_KINDS_MAX];
} logger = {
    .format = LOG_FORMAT_LOGFMT,
    .level = LOG_INFO,
    .descriptor = STDERR_FILENO,
    .lock = PTHREAD_MUTEX_INITIALIZER,
};

void log_configure(enum log_format format, enum log_level level)
{
  atomic_store(&logger.format, (int)format);
  atomic_store(&logger.level, (int)level);
}

bool log_enabled(enum log_level level)
{
  return (int)level >= atomic_load(&logger.level);
}

void log_set_output(int descriptor)
{
  atomic_store(&logger.descriptor, descriptor);
}

static const char *level_name(enum log_level level)
{
  static const char *const names[] = {"debug", "info", "warn", "error"};
  return names[level];
}

/* The kind's place; when all places are taken, the one that was quiet longest. */
static struct kind_rate *rate_find(const char *event)
{
  struct kind_rate *oldest = &logger.rates[0];
  for (size_t i = 0; i < LOG_KINDS_MAX; i++) {
    struct kind_rate *rate = &logger.rates[i];
    if (rate->event == NULL || strcmp(rate->event, event) == 0) {
      rate->event = event;
      return rate;
    }
    if (rate->second < oldest->second) {
      oldest = rate;
    }
  }
  *oldest = (struct kind_rate){.event = event};
  return oldest;
}

/* Whether a line may be written, and how many were left out before it. */
static bool rate_admit(const char *event, int64_t second, uint64_t *suppressed)
{
  bool admitted = true;
  pthread_mutex_lock(&logger.lock);
  struct kind_rate *rate = rate_find(event);
  if (rate->second != second) {
    rate->second = second;
    rate->written = 0;
  }
  if (rate->written < LOG_RATE_MAX) {
    rate->written++;
    *suppressed = rate->suppressed;
    rate->suppressed = 0;
  } else {
    rate->suppressed++;
    admitted = false;
  }
  pthread_mutex_unlock(&logger.lock);
  return admitted;
}

static void time_text(const struct timespec *now, char out[32])
{
  struct tm parts;
  gmtime_r(&now->tv_sec, &parts);
  size_t size = strftime(out, 32, "%Y-%m-%dT%H:%M:%S", &parts);
  snprintf(out + size, 32 - size, ".%03ldZ", now->tv_nsec / 1000000);
}

/* A value as text, in `out` of LOG_TEXT_MAX * 2 + 1 octets. */
static void field_text(const struct log_field *field, char *out)
{
  struct bytes_view text = field->text;
  switch (field->type) {
  case LOG_FIELD_TEXT:
    log_text_clean(text, out, LOG_TEXT_MAX + 1);
    break;
  case LOG_FIELD_UINT:
    snprintf(out, LOG_TEXT_MAX, "%" PRIu64, field->number);
    break;
  case LOG_FIELD_INT:
    snprintf(out, LOG_TEXT_MAX, "%" PRId64, field->integer);
    break;
  case LOG_FIELD_BOOL:
    snprintf(out, LOG_TEXT_MAX, "%s", field->number != 0 ? "true" : "false");
    break;
  case LOG_FIELD_HEX:
    text.size = text.size > LOG_TEXT_MAX ? LOG_TEXT_MAX : text.size;
    bytes_to_hex(text, out);
    break;
  }
}

static bool field_is_text(const struct log_field *field)
{
  return field->type == LOG_FIELD_TEXT || field->type == LOG_FIELD_HEX;
}

static size_t format_logfmt(const char *time, enum log_level level, const char *event,
                            const struct log_field *fields, size_t count, char *line)
{
  char text[LOG_TEXT_MAX * 2 + 1];
  struct log_line out = {.text = line, .size = 0, .capacity = LOG_LINE_MAX - 1};
  log_line_add(&out, "time=");
  log_line_add(&out, time);
  log_line_add(&out, " level=");
  log_line_add(&out, level_name(level));
  log_line_add(&out, " event=");
  log_line_add(&out, event);
  for (size_t i = 0; i < count; i++) {
    field_text(&fields[i], text);
    log_line_add(&out, " ");
    log_line_add(&out, fields[i].name);
    log_line_add(&out, "=");
    log_line_add_value(&out, text);
  }
  return out.size;
}

/* 0 when memory is out or the line would be too long. */
static size_t format_json(const char *time, enum log_level level, const char *event,
                          const struct log_field *fields, size_t count, char *line)
{
  char text[LOG_TEXT_MAX * 2 + 1];
  size_t size = 0;
  cJSON *object = cJSON_CreateObject();
  if (object == NULL) {
    goto out;
  }
  cJSON_AddStringToObject(object, "time", time);
  cJSON_AddStringToObject(object, "level", level_name(level));
  cJSON_AddStringToObject(object, "event", event);
  for (size_t i = 0; i < count; i++) {
    field_text(&fields[i], text);
    if (field_is_text(&fields[i])) {
      cJSON_AddStringToObject(object, fields[i].name, text);
    } else { /* as digits: a double doesn't hold every 64-bit number */
      cJSON_AddRawToObject(object, fields[i].name, text);
    }
  }
  /* cJSON wants five octets more than it needs. */
  if (cJSON_PrintPreallocated(object, line, LOG_LINE_MAX - 6, false)) {
    size = strlen(line);
  }
out:
  cJSON_Delete(object);
  return size;
}

static void write_line(char *line, size_t size)
{
  line[size++] = '\n';
  ssize_t written = 0;
  do {
    written = write(atomic_load(&logger.descriptor), line, size);
  } while (written < 0 && errno == EINTR);
}

void log_write(enum log_level level, const char *event, const struct log_field *fields,
               size_t count)
{
  if (!log_enabled(level)) {
    return;
  }
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  uint64_t suppressed = 0;
  if (level != LOG_DEBUG && !rate_admit(event, now.tv_sec, &suppressed)) {
    return;
  }
  struct log_field all[LOG_FIELDS_MAX + 1];
  size_t total = count > LOG_FIELDS_MAX ? LOG_FIELDS_MAX : count;
  for (size_t i = 0; i < total; i++) {
    all[i] = fields[i];
  }
  if (suppressed > 0) {
    all[total++] = log_uint("suppressed", suppressed);
  }
  char time[32];
  char line[LOG_LINE_MAX];
  time_text(&now, time);
  size_t size = 0;
  if (atomic_load(&logger.format) == LOG_FORMAT_JSON) {
    size = format_json(time, level, event, all, total, line);
    if (size == 0) { /* the values don't fit: the event alone must still come through */
      size = format_json(time, level, event, NULL, 0, line);
    }
  } else {
    size = format_logfmt(time, level, event, all, total, line);
  }
  write_line(line, size);
}

void log_event(enum log_level level, const char *event)
{
  log_write(level, event, NULL, 0);
}
