/* Finding the line of a key in the text: libcyaml tells lines only while it loads, and of an
 * unexpected key it tells the line of the mapping around it. */
#include <ctype.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "noded/config.h"
#include "noded/config_schema.h"

void config_problem_add(struct config_problems *problems, unsigned line, const char *format, ...)
{
  char what[320];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(what, sizeof(what), format, arguments);
  va_end(arguments);
  char place[16] = "";
  if (line > 0) {
    snprintf(place, sizeof(place), "%u:", line);
  }
  size_t room = CONFIG_REASON_MAX - problems->size;
  int wrote = snprintf(problems->text + problems->size, room, "%s%s:%s %s",
                       problems->count > 0 ? "\n" : "", problems->file, place, what);
  if (wrote > 0 && (size_t)wrote < room) {
    problems->size += (size_t)wrote;
  } else {
    problems->text[problems->size] = 0; /* whole lines only */
  }
  problems->count++;
}

/* One line without its comment and newline; false at the end. */
static bool line_next(struct bytes_view *rest, struct bytes_view *line)
{
  if (rest->size == 0) {
    return false;
  }
  const uint8_t *end = memchr(rest->data, '\n', rest->size);
  size_t size = end == NULL ? rest->size : (size_t)(end - rest->data);
  *line = bytes_view_of(rest->data, size);
  size_t taken = end == NULL ? size : size + 1;
  *rest = bytes_view_of(rest->data + taken, rest->size - taken);
  for (size_t i = 0; i < line->size; i++) {
    if (line->data[i] == '#' && (i == 0 || isspace(line->data[i - 1]))) {
      line->size = i;
    }
  }
  return true;
}

/* Place of `key` followed by a colon in the line, at a word's start; line.size when absent. */
static size_t key_place(struct bytes_view line, const char *key)
{
  size_t size = strlen(key);
  for (size_t i = 0; i + size < line.size; i++) {
    bool starts = i == 0 || strchr(" \t{,\"'", line.data[i - 1]) != NULL;
    if (!starts || memcmp(line.data + i, key, size) != 0) {
      continue;
    }
    size_t after = i + size;
    while (after < line.size && strchr(" \"'", line.data[after]) != NULL) {
      after++;
    }
    if (after < line.size && line.data[after] == ':') {
      return i;
    }
  }
  return line.size;
}

unsigned config_line_of_key(struct bytes_view source, const char *section, const char *key,
                            unsigned nth)
{
  struct bytes_view line;
  unsigned number = 0;
  bool within = false;
  while (line_next(&source, &line)) {
    number++;
    if (line.size == 0) {
      continue;
    }
    bool top = isspace(line.data[0]) == 0;
    bool heads = section != NULL && top && key_place(line, section) <= 1;
    within = top ? heads : within;
    bool wanted = section == NULL ? top : within;
    size_t place = wanted ? key_place(line, key) : line.size;
    /* At top level the key begins its line; "link: {link: 1}" would fool us otherwise. */
    if (place == line.size || (section == NULL && place > 1)) {
      continue;
    }
    if (nth == 0) {
      return number;
    }
    nth--;
  }
  return 0;
}

unsigned config_line_of_entry(struct bytes_view source, const char *key, const char *text)
{
  unsigned first = config_line_of_key(source, NULL, key, 0);
  struct bytes_view line;
  unsigned number = 0;
  size_t size = strlen(text);
  while (line_next(&source, &line)) {
    number++;
    if (number >= first && size > 0 && memmem(line.data, line.size, text, size) != NULL) {
      return number;
    }
  }
  return first;
}
