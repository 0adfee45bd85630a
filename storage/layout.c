#include "layout.h"

#include "record/check.h"

const char *layout_table_name(enum table table)
{
  static const char *const names[TABLE_COUNT] = {
      [TABLE_META] = "meta",
      [TABLE_CERTIFICATES] = "certificates",
      [TABLE_CERTIFICATE_IDS] = "certificate_ids",
      [TABLE_LOGS] = "logs",
      [TABLE_HEADS] = "heads",
      [TABLE_COMMITS] = "commits",
      [TABLE_SUBJECTS] = "subjects",
      [TABLE_SUBJECT_REFS] = "subject_refs",
      [TABLE_AUDIENCES] = "audiences",
      [TABLE_AUDIENCE_IDS] = "audience_ids",
      [TABLE_NEIGHBOURS] = "neighbours",
      [TABLE_OUTBOX] = "outbox",
      [TABLE_INBOX] = "inbox",
      [TABLE_QUARANTINE] = "quarantine",
      [TABLE_QUARANTINE_OCTETS] = "quarantine_octets",
      [TABLE_REFUSED] = "refused",
      [TABLE_TOMBSTONES] = "tombstones",
      [TABLE_FLOORS] = "floors",
  };

  return names[table];
}

void layout_log_id_write(const struct log_id *id, uint8_t out[LOG_ID_SIZE])
{
  memcpy(out, id->origin.octets, KEY_SIZE);
  memcpy(out + KEY_SIZE, id->store.octets, STORE_ID_SIZE);
  out[KEY_SIZE + STORE_ID_SIZE] = id->lane;
}

void layout_log_id_read(const uint8_t *octets, struct log_id *out)
{
  memcpy(out->origin.octets, octets, KEY_SIZE);
  memcpy(out->store.octets, octets + KEY_SIZE, STORE_ID_SIZE);
  out->lane = octets[KEY_SIZE + STORE_ID_SIZE];
}

void layout_commit_key(uint32_t log, uint64_t seq, uint8_t out[COMMIT_KEY_SIZE])
{
  be32_put(out, log);
  be64_put(out + 4, seq);
}

size_t layout_commit_write_head(const struct commit_value *value,
                                uint8_t out[COMMIT_VALUE_HEAD_MAX])
{
  size_t bitmap_size = (value->count + 7u) / 8;

  out[0] = value->flags;
  out[1] = value->see_all;
  le_put(out + 2, value->count, 2);
  le_put(out + 4, value->shown_count, 2);
  le_put(out + 6, value->certificate, 4);
  le_put(out + 10, value->raw_size, 4);
  le_put(out + 14, (uint64_t)value->arrived_at.ms, 8);
  memcpy(out + 22, value->id.octets, HASH_SIZE);
  if (value->flags & COMMIT_ALL_SHOWN)
    return COMMIT_VALUE_HEAD;
  memcpy(out + COMMIT_VALUE_HEAD, value->shown, bitmap_size);
  return COMMIT_VALUE_HEAD + bitmap_size;
}

static void bitmap_fill(uint8_t *bitmap, size_t count)
{
  memset(bitmap, 0, COMMIT_BITMAP_SIZE);
  memset(bitmap, 0xff, count / 8);
  if (count % 8 != 0)
    bitmap[count / 8] = (uint8_t)((1u << (count % 8)) - 1);
}

bool layout_commit_read(struct bytes_view octets, struct commit_value *out)
{
  const uint8_t *at = octets.data;
  size_t head = COMMIT_VALUE_HEAD;
  size_t bitmap_size;

  if (octets.size < COMMIT_VALUE_HEAD)
    return false;
  out->flags = at[0];
  out->see_all = at[1];
  out->count = (uint16_t)le_get(at + 2, 2);
  out->shown_count = (uint16_t)le_get(at + 4, 2);
  out->certificate = (uint32_t)le_get(at + 6, 4);
  out->raw_size = (uint32_t)le_get(at + 10, 4);
  out->arrived_at.ms = (int64_t)le_get(at + 14, 8);
  memcpy(out->id.octets, at + 22, HASH_SIZE);
  if (out->count == 0 || out->count > COMMIT_RECORDS_MAX || out->shown_count > out->count ||
      out->raw_size == 0 || out->raw_size > COMMIT_BYTES_MAX)
    return false;
  bitmap_size = (out->count + 7u) / 8;
  if (out->flags & COMMIT_ALL_SHOWN) {
    if (out->shown_count != out->count)
      return false;
    bitmap_fill(out->shown, out->count);
  } else {
    if (octets.size < head + bitmap_size)
      return false;
    memset(out->shown, 0, sizeof(out->shown));
    memcpy(out->shown, at + head, bitmap_size);
    head += bitmap_size;
  }
  out->frame = bytes_view_of(at + head, octets.size - head);
  return true;
}

void layout_ref_write(const struct ref *ref, uint8_t out[REF_SIZE])
{
  le_put(out, ref->log, 4);
  le_put(out + 4, ref->seq, 6);
  out[10] = ref->index;
  out[11] = ref->flags;
}

struct ref layout_ref_read(const uint8_t *octets)
{
  return (struct ref){
      .log = (uint32_t)le_get(octets, 4),
      .seq = le_get(octets + 4, 6),
      .index = octets[10],
      .flags = octets[11],
  };
}

static uint16_t subject_tail_count(uint16_t records)
{
  return (uint16_t)(records == 0 ? 0 : (records - 1) % SUBJECT_CHUNK + 1);
}

size_t layout_subject_write(const struct subject_row *row, uint8_t out[SUBJECT_VALUE_MAX])
{
  size_t size = (size_t)row->tail_count * REF_SIZE;

  le_put(out, row->audience, 4);
  le_put(out + 4, row->gen_max, 2);
  le_put(out + 6, row->records, 2);
  out[8] = row->flags;
  memcpy(out + SUBJECT_HEAD, row->tail, size);
  return SUBJECT_HEAD + size;
}

bool layout_subject_read(struct bytes_view octets, struct subject_row *out)
{
  const uint8_t *at = octets.data;

  if (octets.size < SUBJECT_HEAD)
    return false;
  out->audience = (uint32_t)le_get(at, 4);
  out->gen_max = (uint16_t)le_get(at + 4, 2);
  out->records = (uint16_t)le_get(at + 6, 2);
  out->flags = at[8];
  out->tail_count = subject_tail_count(out->records);
  if (octets.size != SUBJECT_HEAD + (size_t)out->tail_count * REF_SIZE)
    return false;
  memcpy(out->tail, at + SUBJECT_HEAD, octets.size - SUBJECT_HEAD);
  return true;
}

void layout_subject_refs_key(const struct subject *subject, uint16_t chunk,
                             uint8_t out[SUBJECT_REFS_KEY_SIZE])
{
  memcpy(out, subject->octets, SUBJECT_SIZE);
  be16_put(out + SUBJECT_SIZE, chunk);
}

void layout_outbox_key(uint16_t neighbour, unsigned lane, uint64_t position,
                       uint8_t out[OUTBOX_KEY_SIZE])
{
  be16_put(out, neighbour);
  out[2] = (uint8_t)lane;
  be64_put(out + 3, position);
}

size_t layout_outbox_write(const struct outbox_entry *entry, uint8_t out[OUTBOX_VALUE_MAX])
{
  size_t bitmap_size = COMMIT_BITMAP_SIZE;

  le_put(out, entry->log, 4);
  le_put(out + 4, entry->seq, 6);
  memcpy(out + 10, entry->tag, 16);
  le_put(out + 26, entry->records, 2);
  le_put(out + 28, entry->bytes, 4);
  le_put(out + 32, (uint64_t)entry->queued_at.ms, 6);
  out[38] = entry->all;
  if (entry->all)
    return OUTBOX_VALUE_HEAD;
  while (bitmap_size > 0 && entry->shown[bitmap_size - 1] == 0)
    bitmap_size--;
  memcpy(out + OUTBOX_VALUE_HEAD, entry->shown, bitmap_size);
  return OUTBOX_VALUE_HEAD + bitmap_size;
}

bool layout_outbox_read(struct bytes_view octets, struct outbox_entry *out)
{
  const uint8_t *at = octets.data;

  if (octets.size < OUTBOX_VALUE_HEAD || octets.size > OUTBOX_VALUE_MAX)
    return false;
  out->log = (uint32_t)le_get(at, 4);
  out->seq = le_get(at + 4, 6);
  memcpy(out->tag, at + 10, 16);
  out->records = (uint16_t)le_get(at + 26, 2);
  out->bytes = (uint32_t)le_get(at + 28, 4);
  out->queued_at.ms = (int64_t)le_get(at + 32, 6);
  out->all = at[38] != 0;
  memset(out->shown, 0, sizeof(out->shown));
  memcpy(out->shown, at + OUTBOX_VALUE_HEAD, octets.size - OUTBOX_VALUE_HEAD);
  return out->seq != 0;
}

static void lane_write(const struct neighbour_lane *lane, uint8_t out[NEIGHBOUR_LANE_SIZE])
{
  le_put(out, lane->end_position, 8);
  memcpy(out + 8, lane->end_tag, 16);
  le_put(out + 24, lane->acked_position, 8);
  memcpy(out + 32, lane->acked_tag, 16);
  le_put(out + 48, lane->pending_records, 8);
  le_put(out + 56, lane->pending_commits, 8);
  le_put(out + 64, lane->pending_bytes, 8);
  le_put(out + 72, (uint64_t)lane->oldest_at.ms, 8);
  memcpy(out + 80, lane->received.store.octets, STORE_ID_SIZE);
  le_put(out + 96, lane->received.position, 8);
  memcpy(out + 104, lane->received.tag, 16);
}

static void lane_read(const uint8_t *at, struct neighbour_lane *out)
{
  out->end_position = le_get(at, 8);
  memcpy(out->end_tag, at + 8, 16);
  out->acked_position = le_get(at + 24, 8);
  memcpy(out->acked_tag, at + 32, 16);
  out->pending_records = le_get(at + 48, 8);
  out->pending_commits = le_get(at + 56, 8);
  out->pending_bytes = le_get(at + 64, 8);
  out->oldest_at.ms = (int64_t)le_get(at + 72, 8);
  memcpy(out->received.store.octets, at + 80, STORE_ID_SIZE);
  out->received.position = le_get(at + 96, 8);
  memcpy(out->received.tag, at + 104, 16);
}

size_t layout_neighbour_write(const struct neighbour *neighbour, const struct subject *backfill,
                              uint8_t out[NEIGHBOUR_VALUE_MAX])
{
  uint8_t *at = out + 17;

  out[0] = (uint8_t)(neighbour->backfilled | neighbour->dropped << 1);
  memcpy(out + 1, backfill->octets, SUBJECT_SIZE);
  for (size_t i = 0; i < LANE_COUNT; i++, at += NEIGHBOUR_LANE_SIZE)
    lane_write(&neighbour->lanes[i], at);
  *at++ = neighbour->address.size;
  memcpy(at, neighbour->address.text, neighbour->address.size);
  return (size_t)(at - out) + neighbour->address.size;
}

bool layout_neighbour_read(struct bytes_view octets, struct neighbour *out,
                           struct subject *backfill)
{
  const uint8_t *at = octets.data;
  size_t head = 17 + LANE_COUNT * NEIGHBOUR_LANE_SIZE;

  if (octets.size < head + 1 || octets.size != head + 1 + at[head])
    return false;
  memset(out, 0, sizeof(*out));
  out->backfilled = at[0] & 1;
  out->dropped = at[0] & 2;
  memcpy(backfill->octets, at + 1, SUBJECT_SIZE);
  for (size_t i = 0; i < LANE_COUNT; i++)
    lane_read(at + 17 + i * NEIGHBOUR_LANE_SIZE, &out->lanes[i]);
  return address_parse(bytes_view_of(at + head + 1, at[head]), true, &out->address) == STATUS_OK;
}

void layout_quarantine_key(uint16_t neighbour, const struct log_id *log,
                           uint8_t out[QUARANTINE_KEY_SIZE])
{
  be16_put(out, neighbour);
  layout_log_id_write(log, out + 2);
}

size_t layout_quarantine_write(const struct quarantine_value *value,
                               uint8_t out[QUARANTINE_VALUE_WIDE])
{
  le_put(out, value->number, 4);
  le_put(out + 4, value->seq, 8);
  out[12] = value->verdict;
  le_put(out + 13, (uint64_t)value->first_at.ms, 8);
  le_put(out + 21, (uint64_t)value->last_at.ms, 8);
  le_put(out + 29, value->count, 8);
  le_put(out + 37, value->low, 8);
  le_put(out + 45, value->high, 8);
  return value->low == value->seq && value->high == value->seq ? QUARANTINE_VALUE_SIZE
                                                               : QUARANTINE_VALUE_WIDE;
}

bool layout_quarantine_read(struct bytes_view octets, struct quarantine_value *out)
{
  const uint8_t *at = octets.data;

  if (octets.size != QUARANTINE_VALUE_SIZE && octets.size != QUARANTINE_VALUE_WIDE)
    return false;
  out->number = (uint32_t)le_get(at, 4);
  out->seq = le_get(at + 4, 8);
  out->verdict = at[12];
  out->first_at.ms = (int64_t)le_get(at + 13, 8);
  out->last_at.ms = (int64_t)le_get(at + 21, 8);
  out->count = le_get(at + 29, 8);
  out->low = octets.size == QUARANTINE_VALUE_WIDE ? le_get(at + 37, 8) : out->seq;
  out->high = octets.size == QUARANTINE_VALUE_WIDE ? le_get(at + 45, 8) : out->seq;
  return out->low <= out->high;
}

size_t layout_floor_write(const struct log_floor *floor, uint8_t out[FLOOR_VALUE_MAX])
{
  uint8_t *at = out + FLOOR_HEAD_SIZE;
  uint8_t count = 0;

  CHECK(floor->commit.size <= FLOOR_COMMIT_MAX);
  le_put(out + 49, floor->commit.size, 2);
  memcpy(at, floor->commit.data, floor->commit.size);
  at += floor->commit.size;
  le_put(out, floor->seq, 8);
  memcpy(out + 8, floor->commit_id.octets, HASH_SIZE);
  le_put(out + 40, (uint64_t)floor->at.ms, 8);
  for (size_t i = 0; i < floor->proof_count && count < TRIM_FLOOR_PROOFS_MAX; i++) {
    size_t size = floor->proofs[i].size;
    if (size > TRIM_PROOF_BYTES_MAX)
      continue;
    *at = (uint8_t)size;
    memcpy(at + 1, floor->proofs[i].data, size);
    at += 1 + size;
    count++;
  }
  out[48] = count;
  return (size_t)(at - out);
}

bool layout_floor_read(struct bytes_view octets, struct log_floor *out)
{
  const uint8_t *at = octets.data;
  size_t place = FLOOR_HEAD_SIZE;

  *out = (struct log_floor){0};
  if (octets.size < FLOOR_HEAD_SIZE || at[48] > TRIM_FLOOR_PROOFS_MAX)
    return false;
  out->seq = le_get(at, 8);
  memcpy(out->commit_id.octets, at + 8, HASH_SIZE);
  out->at.ms = (int64_t)le_get(at + 40, 8);
  out->proof_count = at[48];
  out->commit = bytes_view_of(at + place, le_get(at + 49, 2));
  if (octets.size - place < out->commit.size)
    return false;
  place += out->commit.size;
  for (size_t i = 0; i < out->proof_count; i++) {
    if (place >= octets.size || octets.size - place - 1 < at[place])
      return false;
    out->proofs[i] = bytes_view_of(at + place + 1, at[place]);
    place += 1u + at[place];
  }
  return place == octets.size && out->seq != 0;
}
