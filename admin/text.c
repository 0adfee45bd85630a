#include "text.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <wchar.h>

/* Takes one code point of valid form; false at the end or at an octet that is no UTF-8. */
static bool utf8_next(struct bytes_view *rest, uint32_t *point)
{
  static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
  if (rest->size == 0)
    return false;
  uint8_t first = rest->data[0];
  size_t more = first < 0x80 ? 0 : first < 0xc2 ? 4 : first < 0xe0 ? 1 : first < 0xf0 ? 2 : 3;
  if (more == 4 || first > 0xf4 || rest->size <= more)
    return false;
  uint32_t value = more == 0 ? first : first & (0x3fu >> more);
  for (size_t i = 1; i <= more; i++) {
    if ((rest->data[i] & 0xc0) != 0x80)
      return false;
    value = value << 6 | (rest->data[i] & 0x3f);
  }
  if (value < least[more] || value > 0x10ffff || (value >= 0xd800 && value < 0xe000))
    return false;
  rest->data += more + 1;
  rest->size -= more + 1;
  *point = value;
  return true;
}

bool text_is_utf8(struct bytes_view text)
{
  uint32_t point;
  while (utf8_next(&text, &point))
    continue;
  return text.size == 0;
}

static size_t point_width(uint32_t point)
{
  int width = wcwidth((wchar_t)point);
  return width < 0 ? 1 : (size_t)width;
}

size_t text_width(const char *text)
{
  struct bytes_view rest = bytes_view_text(text);
  size_t width = 0;
  uint32_t point;
  while (rest.size > 0) {
    if (utf8_next(&rest, &point)) {
      width += point_width(point);
    } else {
      width++;
      rest.data++;
      rest.size--;
    }
  }
  return width;
}

/* Control characters, and the marks that turn the direction of what follows. */
static bool point_is_unsafe(uint32_t point)
{
  return point < 0x20 || (point >= 0x7f && point < 0xa0) || point == 0x200e || point == 0x200f ||
         (point >= 0x2028 && point <= 0x202e) || (point >= 0x2066 && point <= 0x2069);
}

char *text_clean(struct bytes_view text)
{
  char *out = text_realloc(NULL, text.size + 1);
  size_t size = 0;
  uint32_t point;
  while (text.size > 0) {
    const uint8_t *start = text.data;
    if (!utf8_next(&text, &point)) {
      text.data++;
      text.size--;
      out[size++] = '?';
    } else if (point == '\n' || point == '\t' || point == '\r') {
      out[size++] = ' ';
    } else if (point_is_unsafe(point)) {
      out[size++] = '?';
    } else {
      memcpy(out + size, start, (size_t)(text.data - start));
      size += (size_t)(text.data - start);
    }
  }
  out[size] = '\0';
  return out;
}

void text_cut(char *text, size_t width)
{
  static const char ellipsis[] = "…";
  struct bytes_view rest = bytes_view_text(text);
  size_t used = 0, keep = 0; /* `keep`: octets that leave a column for the ellipsis */
  uint32_t point;
  if (text_width(text) <= width)
    return;
  while (utf8_next(&rest, &point)) {
    used += point_width(point);
    if (used > width - 1)
      break;
    keep = (size_t)((const char *)rest.data - text);
  }
  if (strlen(text + keep) >= sizeof ellipsis - 1)
    memcpy(text + keep, ellipsis, sizeof ellipsis);
  else
    text[keep] = '\0';
}

void *text_realloc(void *old, size_t size)
{
  void *new = realloc(old, size > 0 ? size : 1);
  if (new == NULL) {
    fputs("nodectl: out of memory\n", stderr);
    exit(CTL_REFUSED);
  }
  return new;
}

char *text_copy(const char *text)
{
  size_t size = strlen(text) + 1;
  return memcpy(text_realloc(NULL, size), text, size);
}

static char *format_arguments(char *text, const char *format, va_list arguments)
{
  va_list again;
  va_copy(again, arguments);
  int more = vsnprintf(NULL, 0, format, again);
  va_end(again);
  if (more < 0)
    more = 0;
  size_t size = text != NULL ? strlen(text) : 0;
  text = text_realloc(text, size + (size_t)more + 1);
  vsnprintf(text + size, (size_t)more + 1, format, arguments);
  return text;
}

char *text_format(const char *format, ...)
{
  va_list arguments;
  va_start(arguments, format);
  char *text = format_arguments(NULL, format, arguments);
  va_end(arguments);
  return text;
}

char *text_add(char *text, const char *format, ...)
{
  va_list arguments;
  va_start(arguments, format);
  text = format_arguments(text, format, arguments);
  va_end(arguments);
  return text;
}

const char *text_duration(int64_t ms, char out[TEXT_SHORT_MAX])
{
  int64_t s = ms > 0 ? ms / 1000 : 0;
  if (s < 60)
    snprintf(out, TEXT_SHORT_MAX, "%" PRId64 "s", s);
  else if (s < 3600)
    snprintf(out, TEXT_SHORT_MAX, "%" PRId64 "m %" PRId64 "s", s / 60, s % 60);
  else if (s < 86400)
    snprintf(out, TEXT_SHORT_MAX, "%" PRId64 "h %" PRId64 "m", s / 3600, s % 3600 / 60);
  else
    snprintf(out, TEXT_SHORT_MAX, "%" PRId64 "d %" PRId64 "h", s / 86400, s % 86400 / 3600);
  return out;
}

const char *text_ago(int64_t at_ms, int64_t now_ms, char out[TEXT_SHORT_MAX])
{
  char duration[TEXT_SHORT_MAX];
  if (at_ms == 0)
    snprintf(out, TEXT_SHORT_MAX, "never");
  else if (at_ms > now_ms + 2000)
    snprintf(out, TEXT_SHORT_MAX, "in %.32s", text_duration(at_ms - now_ms, duration));
  else if (at_ms > now_ms - 2000)
    snprintf(out, TEXT_SHORT_MAX, "now");
  else
    snprintf(out, TEXT_SHORT_MAX, "%.32s ago", text_duration(now_ms - at_ms, duration));
  return out;
}

const char *text_size(uint64_t octets, char out[TEXT_SHORT_MAX])
{
  static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
  double value = (double)octets;
  size_t unit = 0;
  while (value >= 999.5 && unit < sizeof units / sizeof units[0] - 1) {
    value /= 1000;
    unit++;
  }
  snprintf(out, TEXT_SHORT_MAX, unit > 0 && value < 9.95 ? "%.1f %s" : "%.0f %s", value,
           units[unit]);
  return out;
}

const char *text_count(uint64_t count, char out[TEXT_SHORT_MAX])
{
  char digits[TEXT_SHORT_MAX];
  size_t size = (size_t)snprintf(digits, sizeof digits, "%" PRIu64, count), used = 0;
  for (size_t i = 0; i < size; i++) {
    if (i > 0 && (size - i) % 3 == 0)
      out[used++] = ',';
    out[used++] = digits[i];
  }
  out[used] = '\0';
  return out;
}

const char *text_time(int64_t at_ms, char out[TEXT_SHORT_MAX])
{
  time_t seconds = (time_t)(at_ms / 1000);
  struct tm local;
  if (at_ms == 0 || localtime_r(&seconds, &local) == NULL ||
      strftime(out, TEXT_SHORT_MAX, "%Y-%m-%d %H:%M:%S", &local) == 0)
    snprintf(out, TEXT_SHORT_MAX, "-");
  return out;
}
