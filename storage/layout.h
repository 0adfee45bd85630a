/*
 * Layout of every table of the store (DESIGN section 5). Keys are big-endian, so that octet order
 * is number order; integers in values are little-endian. Log, certificate, audience and neighbour
 * numbers are local to a store and mean nothing elsewhere. Whatever is read from disk is checked
 * for its length first: a value that does not fit its layout is STATUS_CORRUPT, never a crash.
 *
 * table             key                                   value
 * meta              name (text)                           u64, or octets (identity)
 * certificates      certificate u32                       the certificate's octets
 * certificate_ids   id [32]                               certificate u32
 * logs              log u32                               origin [32], store [16], lane u8,
 *                                                         certificate u32 (gives the address)
 * heads             log u32                               seq u64, id [32], commits u64,
 *                                                         arrived ms u64
 * commits           log u32, seq u64                      struct commit_value, zstd frame
 * subjects          subject [16]                          struct subject_row, tail refs
 * subject_refs      subject [16], chunk u16               SUBJECT_CHUNK refs
 * audiences         audience u32                          canonical octets (audience_write)
 * audience_ids      H(canonical octets) [32]              audience u32
 * neighbours        neighbour u16                         address, cursors, struct neighbour_lane
 * outbox            neighbour u16, lane u8, position u64  struct outbox_entry
 * inbox             number u64                            ref
 * quarantine        neighbour u16, log id [49]            struct quarantine_value
 * quarantine_octets number u32                            the key in quarantine, the first commit
 * refused           neighbour u16, log id [49]            seq u64, verdict u8, at ms u64
 * tombstones        leaf [32], position u8                subject [16]
 * floors            log u32                               struct floor_head, cosignatures
 *
 * A ref (12 octets) says where a record stands: log u32, seq u48, index u8, flags u8. The first
 * refs of a subject move to subject_refs in chunks of SUBJECT_CHUNK; what is left is its tail, in
 * the subject's own value, so that one more record never rewrites more than a chunk. Audience 0
 * is the empty one and has no row.
 */
#ifndef STORAGE_LAYOUT_H
#define STORAGE_LAYOUT_H

#include <string.h>

#include "record/commit.h"
#include "storage/logs.h"
#include "storage/neighbours.h"
#include "storage/trim.h"

enum table {
  TABLE_META,
  TABLE_CERTIFICATES,
  TABLE_CERTIFICATE_IDS,
  TABLE_LOGS,
  TABLE_HEADS,
  TABLE_COMMITS,
  TABLE_SUBJECTS,
  TABLE_SUBJECT_REFS,
  TABLE_AUDIENCES,
  TABLE_AUDIENCE_IDS,
  TABLE_NEIGHBOURS,
  TABLE_OUTBOX,
  TABLE_INBOX,
  TABLE_QUARANTINE,
  TABLE_QUARANTINE_OCTETS,
  TABLE_REFUSED,
  TABLE_TOMBSTONES,
  TABLE_FLOORS, /* made by the first program that knows it */
};
#define TABLE_COUNT 18
/* Name in the environment. */
const char *layout_table_name(enum table table);

/* Names in meta that are ours; the daemon's counters stand under "counter.NAME". */
#define META_FORMAT "format"
#define META_NODE "node"
#define META_ADDRESS "address"
#define META_STORE "store"
#define META_ROOT "root"
/* Followed by the subject's octets: its history is wanted back. */
#define META_HISTORY "history."
/* Followed by a log's number, u32: a confirmed backup holds it up to there, u64. */
#define META_BACKED "backed."

/* The id of the store that this one was before it was put back. */
#define META_PREVIOUS "previous"

/* Sequence numbers in refs and outbox entries take 6 octets. */
#define SEQ_MAX ((1ULL << 48) - 1)

static inline void be16_put(uint8_t *at, uint16_t value)
{
  at[0] = (uint8_t)(value >> 8);
  at[1] = (uint8_t)value;
}
static inline void be32_put(uint8_t *at, uint32_t value)
{
  be16_put(at, (uint16_t)(value >> 16));
  be16_put(at + 2, (uint16_t)value);
}
static inline void be64_put(uint8_t *at, uint64_t value)
{
  be32_put(at, (uint32_t)(value >> 32));
  be32_put(at + 4, (uint32_t)value);
}
static inline uint16_t be16_get(const uint8_t *at)
{
  return (uint16_t)(at[0] << 8 | at[1]);
}
static inline uint32_t be32_get(const uint8_t *at)
{
  return (uint32_t)be16_get(at) << 16 | be16_get(at + 2);
}
static inline uint64_t be64_get(const uint8_t *at)
{
  return (uint64_t)be32_get(at) << 32 | be32_get(at + 4);
}
/* Little-endian of `size` octets, 1 to 8. */
static inline void le_put(uint8_t *at, uint64_t value, size_t size)
{
  for (size_t i = 0; i < size; i++)
    at[i] = (uint8_t)(value >> (8 * i));
}
static inline uint64_t le_get(const uint8_t *at, size_t size)
{
  uint64_t value = 0;

  for (size_t i = 0; i < size; i++)
    value |= (uint64_t)at[i] << (8 * i);
  return value;
}

/* ---- logs ---- */
#define LOG_ID_SIZE 49
#define LOG_VALUE_SIZE 53
#define HEAD_VALUE_SIZE 56
void layout_log_id_write(const struct log_id *id, uint8_t out[LOG_ID_SIZE]);
void layout_log_id_read(const uint8_t *octets, struct log_id *out);

/* ---- commits ---- */
#define COMMIT_KEY_SIZE 12
#define COMMIT_VALUE_HEAD 54
#define COMMIT_VALUE_HEAD_MAX (COMMIT_VALUE_HEAD + COMMIT_BITMAP_SIZE)
enum commit_flag {
  COMMIT_ALL_SHOWN = 1, /* every record; then no bitmap follows */
  COMMIT_ITEMS_HIDDEN = 2,
  COMMIT_EMPTY = 4,   /* items are hidden, and no value is left */
  COMMIT_TRIMMED = 8, /* some value of it was here and was let go */
};
/* What is known of a held commit without decompressing it:
 * flags u8, see_all u8, count u16, shown count u16, certificate u32, raw size u32, arrived ms u64,
 * id [32], unless COMMIT_ALL_SHOWN a bit per record ((count + 7) / 8 octets), the frame. */
struct commit_value {
  uint8_t flags;
  uint8_t see_all;
  uint16_t count;
  uint16_t shown_count;
  uint32_t certificate;
  uint32_t raw_size;
  struct wall_ms arrived_at;
  struct hash id;
  uint8_t shown[COMMIT_BITMAP_SIZE];
  struct bytes_view frame;
};
void layout_commit_key(uint32_t log, uint64_t seq, uint8_t out[COMMIT_KEY_SIZE]);
/* Returns the size of the head, after which the frame stands. */
size_t layout_commit_write_head(const struct commit_value *value,
                                uint8_t out[COMMIT_VALUE_HEAD_MAX]);
MUST_USE bool layout_commit_read(struct bytes_view octets, struct commit_value *out);

/* ---- subjects ---- */
#define REF_SIZE 12
#define SUBJECT_CHUNK 64
#define SUBJECT_HEAD 9
#define SUBJECT_VALUE_MAX (SUBJECT_HEAD + SUBJECT_CHUNK * REF_SIZE)
#define SUBJECT_RECORDS_MAX 65535
#define SUBJECT_REFS_KEY_SIZE 18
enum ref_flag { REF_MARKED = 1 };
enum subject_flag {
  SUBJECT_FOUNDED = 1,
  SUBJECT_HAS_MARKED = 2, /* some ref is marked */
  SUBJECT_TRIMMED = 4,    /* some value or record of it was here and was let go */
};
struct ref {
  uint32_t log;
  uint64_t seq;
  uint8_t index;
  uint8_t flags;
};
/* audience u32, gen max u16, records u16, flags u8, tail refs. The tail holds records % 64 refs,
 * but 64 when that is 0 and there are any. */
struct subject_row {
  uint32_t audience;
  uint16_t gen_max;
  uint16_t records;
  uint8_t flags;
  uint16_t tail_count;
  uint8_t tail[SUBJECT_CHUNK * REF_SIZE];
};
void layout_ref_write(const struct ref *ref, uint8_t out[REF_SIZE]);
struct ref layout_ref_read(const uint8_t *octets);
size_t layout_subject_write(const struct subject_row *row, uint8_t out[SUBJECT_VALUE_MAX]);
MUST_USE bool layout_subject_read(struct bytes_view octets, struct subject_row *out);
void layout_subject_refs_key(const struct subject *subject, uint16_t chunk,
                             uint8_t out[SUBJECT_REFS_KEY_SIZE]);

/* ---- outbox ---- */
#define OUTBOX_KEY_SIZE 11
#define OUTBOX_VALUE_HEAD 39
#define OUTBOX_VALUE_MAX (OUTBOX_VALUE_HEAD + COMMIT_BITMAP_SIZE)
/* log u32, seq u48, tag [16], records u16, bytes u32, queued ms u48, all u8, and unless all the
 * bitmap of the records that this entry shows, without trailing zero octets. `all` stands only
 * when the commit shows every record: what a later merge shows must not go out by this entry. */
struct outbox_entry {
  uint32_t log;
  uint64_t seq;
  uint8_t tag[16];
  uint16_t records;
  uint32_t bytes;
  struct wall_ms queued_at;
  bool all;
  uint8_t shown[COMMIT_BITMAP_SIZE];
};
void layout_outbox_key(uint16_t neighbour, unsigned lane, uint64_t position,
                       uint8_t out[OUTBOX_KEY_SIZE]);
size_t layout_outbox_write(const struct outbox_entry *entry, uint8_t out[OUTBOX_VALUE_MAX]);
MUST_USE bool layout_outbox_read(struct bytes_view octets, struct outbox_entry *out);

/* ---- neighbours ---- */
#define NEIGHBOUR_LANE_SIZE 120
#define NEIGHBOUR_VALUE_MAX (18 + LANE_COUNT * NEIGHBOUR_LANE_SIZE + ADDRESS_TEXT_MAX)
/* flags u8 (1 backfilled, 2 dropped), backfill cursor [16], lanes, address size u8, address text. A
 * lane: end u64, tag [16], acked u64, tag [16], pending records u64, commits u64, bytes u64, oldest
 * ms u64, received store [16], position u64, tag [16]. */
size_t layout_neighbour_write(const struct neighbour *neighbour, const struct subject *backfill,
                              uint8_t out[NEIGHBOUR_VALUE_MAX]);
MUST_USE bool layout_neighbour_read(struct bytes_view octets, struct neighbour *out,
                                    struct subject *backfill);

/* ---- quarantine, refused ---- */
#define QUARANTINE_KEY_SIZE (2 + LOG_ID_SIZE)
#define QUARANTINE_VALUE_SIZE 37 /* one place */
#define QUARANTINE_VALUE_WIDE 53
#define REFUSED_VALUE_SIZE 17
/* number u32, seq u64, verdict u8, first ms u64, last ms u64, count u64; where more than `seq` was
 * refused, or some of it made good: low u64, high u64 */
struct quarantine_value {
  uint32_t number;
  uint64_t seq;
  uint8_t verdict;
  struct wall_ms first_at;
  struct wall_ms last_at;
  uint64_t count;
  uint64_t low; /* the lowest place that is not made good */
  uint64_t high;
};
void layout_quarantine_key(uint16_t neighbour, const struct log_id *log,
                           uint8_t out[QUARANTINE_KEY_SIZE]);
size_t layout_quarantine_write(const struct quarantine_value *value,
                               uint8_t out[QUARANTINE_VALUE_WIDE]);
MUST_USE bool layout_quarantine_read(struct bytes_view octets, struct quarantine_value *out);

/* ---- tombstones ---- */
#define TOMBSTONE_KEY_SIZE 33

/* ---- floors ---- */
/* seq u64, id [32], at ms u64, count u8, size u16 of the commit, the commit, then each cosignature
 * with its size u8 before it */
#define FLOOR_HEAD_SIZE 51
#define FLOOR_COMMIT_MAX (COMMIT_HEADER_MAX + 128)
#define FLOOR_VALUE_MAX                                                                            \
  (FLOOR_HEAD_SIZE + FLOOR_COMMIT_MAX + TRIM_FLOOR_PROOFS_MAX * (1 + TRIM_PROOF_BYTES_MAX))
size_t layout_floor_write(const struct log_floor *floor, uint8_t out[FLOOR_VALUE_MAX]);
MUST_USE bool layout_floor_read(struct bytes_view octets, struct log_floor *out);

#endif
