#include "record/address.h"

#include <string.h>

#include "address_inline.h"
#include "record/check.h"

static bool segment_octet(uint8_t c)
{
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' ||
         c == '-';
}

bool address_form_read(struct bytes_view text, struct address_form *form)
{
  size_t at = 0;
  *form = (struct address_form){0};
  if (text.size == 0 || text.size > ADDRESS_TEXT_MAX) {
    return false;
  }
  for (;;) {
    bool unit = text.data[at] == '@';
    at += unit;
    size_t start = at;
    while (at < text.size && segment_octet(text.data[at])) {
      at++;
    }
    if (at == start || at - start > ADDRESS_SEGMENT_MAX) {
      return false;
    }
    if (unit) {
      form->unit = true;
      return form->segments > 0 && at == text.size;
    }
    form->segments++;
    if (form->segments > ADDRESS_SEGMENTS_MAX) {
      return false;
    }
    if (at == text.size) {
      return true;
    }
    if (text.data[at] != '/' || at + 1 == text.size) {
      return false;
    }
    at++;
  }
}

bool address_target_read(struct bytes_view text, struct address_form *form, size_t *size)
{
  bool subtree = text.size > 2 && memcmp(text.data + text.size - 2, "/*", 2) == 0;
  *size = subtree ? text.size - 2 : text.size;
  return address_form_read(bytes_view_of(text.data, *size), form) && !(subtree && form->unit);
}

/* `text` may lie in `out` itself. */
static void address_fill(struct bytes_view text, struct address_form form, struct address *out)
{
  struct address address = {
      .size = (uint8_t)text.size, .segments = form.segments, .unit = form.unit};
  if (text.size > 0) {
    memcpy(address.text, text.data, text.size);
  }
  *out = address;
}

enum status address_parse(struct bytes_view text, bool root_allowed, struct address *out)
{
  struct address_form form = {0};
  bool root = root_allowed && text.size == 0;
  if (!root && !address_form_read(text, &form)) {
    return STATUS_MALFORMED;
  }
  address_fill(text, form, out);
  return STATUS_OK;
}

enum status address_parse_target(struct bytes_view text, struct address *out, bool *subtree)
{
  struct address_form form = {0};
  size_t size = 0;
  if (!address_target_read(text, &form, &size)) {
    return STATUS_MALFORMED;
  }
  address_fill(bytes_view_of(text.data, size), form, out);
  *subtree = size != text.size;
  return STATUS_OK;
}

static struct bytes_view address_view(const struct address *address)
{
  return bytes_view_of(address->text, address->size);
}

bool address_equal(const struct address *a, const struct address *b)
{
  return bytes_view_equal(address_view(a), address_view(b));
}

int address_compare(const struct address *a, const struct address *b)
{
  return bytes_view_compare(address_view(a), address_view(b));
}

enum tier address_tier(const struct address *address)
{
  if (address->segments == 0) {
    return TIER_NONE;
  }
  return (enum tier)(TIER_DISTRICT + 1 - address->segments);
}

unsigned address_class(const struct address *address)
{
  if (address->segments == 0) {
    return 0;
  }
  return address->unit ? SEE_UNIT : 1u << (address_tier(address) - 1);
}

const char *address_class_name(const struct address *address)
{
  static const char *const names[] = {"root", "grid", "community", "street", "district"};
  return address->unit ? "unit" : names[address_tier(address)];
}

bool address_parent(const struct address *address, struct address *parent)
{
  if (address->size == 0) {
    return false;
  }
  size_t size = address->size;
  while (size > 0 && address->text[size - 1] != '/') {
    size--;
  }
  size -= size > 0;
  struct address_form form = {.segments = address->segments, .unit = false};
  if (!address->unit) {
    form.segments--;
  }
  address_fill(bytes_view_of(address->text, size), form, parent);
  return true;
}

bool address_within(const struct address *address, const struct address *top)
{
  if (top->size == 0) {
    return true;
  }
  if (address->size < top->size || memcmp(address->text, top->text, top->size) != 0) {
    return false;
  }
  return address->size == top->size || address->text[top->size] == '/';
}

bool address_is_child(const struct address *child, const struct address *parent)
{
  struct address above;
  return address_parent(child, &above) && address_equal(&above, parent);
}

struct address address_step_toward(const struct address *top, const struct address *address)
{
  CHECK(address_within(address, top) && address->size > top->size);
  size_t size = top->size + (top->size > 0);
  while (size < address->size && address->text[size] != '/') {
    size++;
  }
  struct address step;
  struct address_form form = {.segments = (uint8_t)(top->segments + 1), .unit = false};
  if (size == address->size) {
    form = (struct address_form){address->segments, address->unit};
  }
  address_fill(bytes_view_of(address->text, size), form, &step);
  return step;
}
