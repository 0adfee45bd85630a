#include "noded/command_write.h"

#include <string.h>

#include "record/check.h"
#include "storage/neighbours.h"

#define HEX_MAX 64

void write_text(struct writer *writer, const char *key, const char *text)
{
  writer_text(writer, key);
  writer_text(writer, text);
}

void write_view(struct writer *writer, const char *key, struct bytes_view text)
{
  writer_text(writer, key);
  writer_str(writer, text);
}

void write_uint(struct writer *writer, const char *key, uint64_t value)
{
  writer_text(writer, key);
  writer_uint(writer, value);
}

void write_int(struct writer *writer, const char *key, int64_t value)
{
  writer_text(writer, key);
  writer_int(writer, value);
}

void write_bool(struct writer *writer, const char *key, bool value)
{
  writer_text(writer, key);
  writer_bool(writer, value);
}

void write_hex(struct writer *writer, const char *key, const void *data, size_t size)
{
  char text[2 * HEX_MAX + 1];
  CHECK(size <= HEX_MAX);
  bytes_to_hex(bytes_view_of(data, size), text);
  write_text(writer, key, text);
}

void write_bin(struct writer *writer, const char *key, struct bytes_view octets)
{
  writer_text(writer, key);
  writer_bin(writer, octets.data, octets.size);
}

void write_subject(struct writer *writer, const char *key, const struct subject *subject)
{
  char text[SUBJECT_TEXT_SIZE];
  subject_to_text(subject, text);
  write_text(writer, key, text);
}

void write_log_id(struct writer *writer, const struct log_id *id)
{
  write_hex(writer, "origin", id->origin.octets, KEY_SIZE);
  write_hex(writer, "store", id->store.octets, STORE_ID_SIZE);
  write_text(writer, "lane", lane_name(id->lane));
}

static void write_down(struct writer *writer, const struct record_header *header)
{
  struct bytes_view rest = header->down;
  struct address target;
  bool subtree = false;
  writer_text(writer, "down");
  writer_array(writer, header->down_count);
  for (unsigned i = 0; i < header->down_count; i++) {
    char text[ADDRESS_TEXT_MAX + 3];
    if (!record_down_next(&rest, &target, &subtree)) {
      writer_text(writer, "");
      continue;
    }
    memcpy(text, target.text, target.size);
    memcpy(text + target.size, subtree ? "/*" : "", subtree ? 3 : 1);
    writer_text(writer, text);
  }
}

static void write_items(struct writer *writer, const struct record *record)
{
  struct bytes_view rest = record->items_octets;
  struct item item;
  writer_text(writer, "items");
  writer_array(writer, record->item_count);
  for (unsigned i = 0; i < record->item_count; i++) {
    if (!record_item_next(&rest, &item)) {
      item.shown = false;
    }
    writer_map(writer, 3);
    write_view(writer, "name", item.shown ? item.name : bytes_view_text(""));
    write_uint(writer, "see", item.shown ? item.see : 0);
    if (item.shown) {
      writer_text(writer, "value");
      writer_raw(writer, item.value);
    } else {
      write_bool(writer, "withheld", true);
    }
  }
}

void write_record(struct writer *writer, const struct held_record *held)
{
  const struct record_header *header = &held->record.header;
  writer_map(writer, 16);
  write_view(writer, "kind", header->kind);
  write_subject(writer, "subject", &header->subject);
  write_uint(writer, "gen", header->gen);
  write_uint(writer, "hlc", header->hlc);
  write_uint(writer, "at", clock_hlc_ms(header->hlc));
  write_uint(writer, "up", header->up);
  write_down(writer, header);
  write_view(writer, "author", header->author);
  write_text(writer, "origin", held->origin.text);
  write_uint(writer, "log", held->ref.log);
  write_uint(writer, "seq", held->ref.seq);
  write_uint(writer, "index", held->ref.index);
  write_text(writer, "lane", lane_name(held->commit.lane));
  write_int(writer, "arrived_at", held->arrived_at.ms);
  write_bool(writer, "marked", held->ref.marked);
  write_items(writer, &held->record);
}

void write_lane(struct writer *writer, unsigned lane, const struct neighbour_lane *state)
{
  writer_map(writer, 7);
  write_text(writer, "lane", lane_name(lane));
  write_uint(writer, "records", state->pending_records);
  write_uint(writer, "commits", state->pending_commits);
  write_uint(writer, "bytes", state->pending_bytes);
  write_int(writer, "oldest_at", state->oldest_at.ms);
  write_uint(writer, "position", state->end_position);
  write_uint(writer, "acked", state->acked_position);
}
