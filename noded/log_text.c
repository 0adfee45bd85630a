#include "noded/log_text.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* Octets of the well-formed character at `at` (RFC 3629), 0 when there is none. */
static size_t utf8_length(const uint8_t *at, size_t left)
{
  uint8_t lead = at[0];
  if (lead < 0x80) {
    return 1;
  }
  size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || length > left) {
    return 0;
  }
  uint8_t low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
  uint8_t high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
  if (at[1] < low || at[1] > high) {
    return 0;
  }
  for (size_t i = 2; i < length; i++) {
    if ((at[i] & 0xc0) != 0x80) {
      return 0;
    }
  }
  return length;
}

void log_text_clean(struct bytes_view text, char *out, size_t capacity)
{
  size_t size = 0;
  size_t i = 0;
  while (i < text.size) {
    size_t length = text.data[i] == 0 ? 0 : utf8_length(text.data + i, text.size - i);
    size_t taken = length == 0 ? 1 : length;
    if (size + taken >= capacity) {
      break;
    }
    if (length == 0) {
      out[size++] = '?';
    } else {
      memcpy(out + size, text.data + i, length);
      size += length;
    }
    i += taken;
  }
  out[size] = 0;
}

static void line_add(struct log_line *line, const char *data, size_t size)
{
  if (line->size + size <= line->capacity) {
    memcpy(line->text + line->size, data, size);
    line->size += size;
  } else {
    while (line->size > 0 && (line->text[line->size - 1] & 0xc0) == 0x80) {
      line->size--; /* no half character at the cut */
    }
    if (line->size > 0 && (line->text[line->size - 1] & 0x80) != 0) {
      line->size--;
    }
    line->capacity = line->size; /* nothing after a gap */
  }
}

void log_line_add(struct log_line *line, const char *text)
{
  line_add(line, text, strlen(text));
}

static bool is_bare(const char *text)
{
  if (text[0] == 0) {
    return false;
  }
  for (const char *at = text; *at != 0; at++) {
    unsigned char c = (unsigned char)*at;
    if (c <= ' ' || c == '"' || c == '=' || c == '\\' || c == 0x7f) {
      return false;
    }
  }
  return true;
}

void log_line_add_value(struct log_line *line, const char *text)
{
  if (is_bare(text)) {
    log_line_add(line, text);
    return;
  }
  line_add(line, "\"", 1);
  for (const char *at = text; *at != 0; at++) {
    unsigned char c = (unsigned char)*at;
    char escaped[8];
    if (c == '"' || c == '\\') {
      snprintf(escaped, sizeof(escaped), "\\%c", c);
      log_line_add(line, escaped);
    } else if (c == '\n') {
      log_line_add(line, "\\n");
    } else if (c == '\t') {
      log_line_add(line, "\\t");
    } else if (c < ' ' || c == 0x7f) {
      snprintf(escaped, sizeof(escaped), "\\x%02x", c);
      log_line_add(line, escaped);
    } else {
      line_add(line, at, 1);
    }
  }
  line_add(line, "\"", 1);
}
