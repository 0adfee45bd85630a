#include "draft.h"

#include <string.h>

void draft_init(struct draft *draft, const char *kind)
{
  query_init(&draft->fields);
  query_init(&draft->body);
  query_init(&draft->items);
  query_text(&draft->fields, "kind", kind);
}

void draft_close(struct draft *draft)
{
  query_close(&draft->fields);
  query_close(&draft->body);
  query_close(&draft->items);
}

static void query_reset(struct query *query)
{
  bytes_clear(&query->fields);
  query->count = 0;
  query->writer.failed = false;
}

void draft_reset(struct draft *draft, const char *kind)
{
  query_reset(&draft->fields);
  query_reset(&draft->body);
  query_reset(&draft->items);
  query_text(&draft->fields, "kind", kind);
}

static void write_item_head(struct writer *writer, const char *name, unsigned see)
{
  writer_map(writer, 3);
  writer_text(writer, "name");
  writer_text(writer, name);
  writer_text(writer, "see");
  writer_uint(writer, see);
  writer_text(writer, "value");
}

struct writer *draft_item(struct draft *draft, const char *name, unsigned see)
{
  draft->items.count++;
  write_item_head(&draft->items.writer, name, see);
  return &draft->items.writer;
}

void draft_add_item(struct draft *draft, const char *name, struct bytes_view text, unsigned see)
{
  writer_str(draft_item(draft, name, see), text);
}

enum status draft_finish(struct draft *draft, struct bytes *out)
{
  struct writer *fields = query_field(&draft->fields, "items");
  struct writer writer;
  writer_array(fields, draft->items.count + 1);
  write_item_head(fields, "", SEE_ALL);
  writer_map(fields, draft->body.count);
  writer_raw(fields, bytes_as_view(&draft->body.fields));
  writer_raw(fields, bytes_as_view(&draft->items.fields));
  if (writer_finish(fields) != STATUS_OK || writer_finish(&draft->body.writer) != STATUS_OK ||
      writer_finish(&draft->items.writer) != STATUS_OK)
    return STATUS_NO_MEMORY;
  writer_init(&writer, out);
  writer_map(&writer, draft->fields.count);
  writer_raw(&writer, bytes_as_view(&draft->fields.fields));
  return writer_finish(&writer);
}

static unsigned see_of_name(struct bytes_view name)
{
  static const struct {
    const char *name;
    unsigned see;
  } names[] = {
      {"grid", SEE_GRID},         {"community", SEE_COMMUNITY}, {"street", SEE_STREET},
      {"district", SEE_DISTRICT}, {"unit", SEE_UNIT},           {"all", SEE_ALL},
  };
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
    if (bytes_view_equal(name, bytes_view_text(names[i].name)))
      return names[i].see;
  return 0;
}

unsigned draft_parse_see(struct bytes_view text)
{
  unsigned see = 0;
  for (;;) {
    const uint8_t *plus = text.size > 0 ? memchr(text.data, '+', text.size) : NULL;
    size_t size = plus != NULL ? (size_t)(plus - text.data) : text.size;
    unsigned bit = see_of_name((struct bytes_view){text.data, size});
    if (bit == 0)
      return 0;
    see |= bit;
    if (plus == NULL)
      return see;
    text.data += size + 1;
    text.size -= size + 1;
  }
}

bool draft_parse_item(const char *text, struct draft_item *out)
{
  const char *equals = strchr(text, '=');
  if (equals == NULL || equals == text || (size_t)(equals - text) > RECORD_ITEM_NAME_MAX)
    return false;
  memcpy(out->name, text, (size_t)(equals - text));
  out->name[equals - text] = '\0';
  out->value = bytes_view_text(equals + 1);
  out->see = SEE_ALL;
  const char *colon = strrchr(equals + 1, ':');
  unsigned see = colon != NULL ? draft_parse_see(bytes_view_text(colon + 1)) : 0;
  if (see != 0) {
    out->see = see;
    out->value.size = (size_t)(colon - (equals + 1));
  }
  return true;
}
