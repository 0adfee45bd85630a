#include "record/bytes.h"

#include <stdlib.h>
#include <string.h>

#define BYTES_CAPACITY_MIN 64

struct bytes_view bytes_view_text(const char *text)
{
  return bytes_view_of(text, strlen(text));
}

bool bytes_view_equal(struct bytes_view a, struct bytes_view b)
{
  return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

int bytes_view_compare(struct bytes_view a, struct bytes_view b)
{
  size_t common = a.size < b.size ? a.size : b.size;
  int order = common == 0 ? 0 : memcmp(a.data, b.data, common);
  if (order != 0) {
    return order;
  }
  return (a.size > b.size) - (a.size < b.size);
}

void bytes_close(struct bytes *bytes)
{
  free(bytes->data);
  *bytes = (struct bytes){0};
}

enum status bytes_reserve(struct bytes *bytes, size_t extra)
{
  if (extra <= bytes->capacity - bytes->size) {
    return STATUS_OK;
  }
  if (extra > SIZE_MAX / 2 - bytes->size) {
    return STATUS_NO_MEMORY;
  }
  size_t needed = bytes->size + extra;
  size_t capacity = bytes->capacity < BYTES_CAPACITY_MIN ? BYTES_CAPACITY_MIN : bytes->capacity;
  while (capacity < needed) {
    capacity *= 2;
  }
  uint8_t *data = realloc(bytes->data, capacity);
  if (data == NULL) {
    return STATUS_NO_MEMORY;
  }
  bytes->data = data;
  bytes->capacity = capacity;
  return STATUS_OK;
}

enum status bytes_append(struct bytes *bytes, const void *data, size_t size)
{
  if (size == 0) {
    return STATUS_OK;
  }
  enum status status = bytes_reserve(bytes, size);
  if (status != STATUS_OK) {
    return status;
  }
  memcpy(bytes->data + bytes->size, data, size);
  bytes->size += size;
  return STATUS_OK;
}

void bytes_to_hex(struct bytes_view view, char *out)
{
  static const char digits[] = "0123456789abcdef";
  for (size_t i = 0; i < view.size; i++) {
    out[2 * i] = digits[view.data[i] >> 4];
    out[2 * i + 1] = digits[view.data[i] & 15];
  }
  out[2 * view.size] = '\0';
}

static int hex_digit(char c)
{
  if (c >= '0' && c <= '9') {
    return c - '0';
  }
  if (c >= 'a' && c <= 'f') {
    return c - 'a' + 10;
  }
  if (c >= 'A' && c <= 'F') {
    return c - 'A' + 10;
  }
  return -1;
}

enum status bytes_from_hex(const char *hex, uint8_t *out, size_t size)
{
  if (strnlen(hex, 2 * size + 1) != 2 * size) {
    return STATUS_MALFORMED;
  }
  for (size_t i = 0; i < size; i++) {
    int high = hex_digit(hex[2 * i]);
    int low = hex_digit(hex[2 * i + 1]);
    if (high < 0 || low < 0) {
      return STATUS_MALFORMED;
    }
    out[i] = (uint8_t)(high << 4 | low);
  }
  return STATUS_OK;
}
