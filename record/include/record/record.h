/*
 * A record: one fact, written once, never changed (DESIGN section 3). Reading borrows from the
 * octets given; writing appends canonical octets.
 */
#ifndef RECORD_RECORD_H
#define RECORD_RECORD_H

#include "record/address.h"
#include "record/bytes.h"
#include "record/hash.h"

#define RECORD_BYTES_MAX (32 * 1024)
#define RECORD_GEN_MAX 65535
#define RECORD_ITEMS_MAX 64
#define RECORD_DOWN_MAX 64
#define RECORD_KIND_MAX 64
#define RECORD_AUTHOR_MAX 128
#define RECORD_ITEM_NAME_MAX 64
#define SUBJECT_SIZE 16
#define SALT_SIZE 16

enum lane { LANE_URGENT = 0, LANE_NORMAL = 1, LANE_BULK = 2 };
#define LANE_COUNT 3
/* "urgent", "normal", "bulk". */
const char *lane_name(unsigned lane);

struct subject {
  uint8_t octets[SUBJECT_SIZE];
};

/* Fields of a record's header; views borrow. `down` is the encoded array's elements, walked with
 * record_down_next. */
struct record_header {
  struct bytes_view kind;
  struct subject subject;
  uint32_t gen;
  uint64_t hlc;
  uint8_t up;
  uint8_t down_count;
  struct bytes_view down; /* `down_count` msgpack strs, each a valid target */
  struct bytes_view author;
};

/* A record as read. */
struct record {
  struct bytes_view octets; /* the whole record */
  struct bytes_view header_octets;
  struct bytes_view items_octets; /* `item_count` items, msgpack, one after another */
  struct record_header header;
  uint8_t item_count;
  uint8_t see_all;      /* AND of `see` over items shown as values; SEE_ALL when none is */
  uint8_t hidden_count; /* items that stand as commitment */
  /* Octets of the largest showing of it known here: an item counts as 34 at least, which is what
   * its commitment takes. Limits apply to this, so that what passes at one hop passes at all. */
  uint32_t size_max;
};

/* One item as read: either a value or a commitment. */
struct item {
  bool shown;
  uint8_t see;
  struct bytes_view octets; /* the item's own octets (shown) */
  struct bytes_view salt;
  struct bytes_view name;
  struct bytes_view value; /* one msgpack value, the bin's content */
  struct hash commitment;  /* computed when shown */
};

/* Reads one whole record; every rule of DESIGN section 3 is checked, item values included.
 * STATUS_MALFORMED, STATUS_TOO_LARGE. */
MUST_USE enum status record_read(struct bytes_view octets, struct record *out);
/* As record_read, and computes the leaf in the same walk. */
MUST_USE enum status record_read_leaf(struct bytes_view octets, struct record *out,
                                      struct hash *leaf);
/* Walks targets: start with *rest = header.down. False at the end. */
bool record_down_next(struct bytes_view *rest, struct address *target, bool *subtree);
/* Walks items of a record that record_read accepted: start with *rest = items_octets. Does not
 * compute the commitment of shown items (item_commitment does). */
bool record_item_next(struct bytes_view *rest, struct item *item);
struct hash item_commitment(struct bytes_view item_octets);
/* The shown item of that name, false when absent or withheld; "" is the open body. */
bool record_item_find(const struct record *record, const char *name, struct item *item);

/* What a writer gives for one item. `value` is encoded msgpack. */
struct item_draft {
  const char *name;
  struct bytes_view value;
  uint8_t see;
  uint8_t salt[SALT_SIZE];
};

struct record_draft {
  const char *kind;
  struct subject subject;
  uint32_t gen;
  uint64_t hlc;
  uint8_t up;
  uint8_t down_count;
  const char *const *down;
  const char *author;
  uint8_t item_count;
  const struct item_draft *items;
};

/* Appends the canonical octets. STATUS_INVALID_ARGUMENT names a draft that record_read would not
 * accept; STATUS_TOO_LARGE, STATUS_NO_MEMORY. `out` is unchanged on failure. */
MUST_USE enum status record_write(const struct record_draft *draft, struct bytes *out);

/* As record_write, and gives what commit_builder_add_written needs to add the record without
 * reading it again. `record` borrows from `out`: once that grows only its numbers are good. */
MUST_USE enum status record_write_leaf(const struct record_draft *draft, struct bytes *out,
                                       struct record *record, struct hash *leaf);

/* Appends the record with items hidden that a node of class `class_bit` may not see; pass SEE_ALL
 * bits as one class to keep all. STATUS_NO_MEMORY. */
MUST_USE enum status record_write_for_class(const struct record *record, unsigned class_bit,
                                            struct bytes *out);
/* Appends the union of two showings of one record (same leaf). `gained` says whether the union
 * shows more than `a`. STATUS_NO_MEMORY. */
MUST_USE enum status record_merge(const struct record *a, const struct record *b, struct bytes *out,
                                  bool *gained);
/* Appends the record with the item at `position` replaced by its commitment (erasure). */
MUST_USE enum status record_write_erased(const struct record *record, unsigned position,
                                         struct bytes *out);

/* Subjects (DESIGN section 3): ms (6 octets, big-endian) ‖ first 10 octets of
 * H(0x07 ‖ origin ‖ u64le hlc). */
struct subject subject_found(const uint8_t origin[32], uint64_t hlc);
/* Whether a record with this origin and hlc founded the subject. */
bool subject_is_founder(const struct subject *subject, const uint8_t origin[32], uint64_t hlc);
/* ULID text: 26 characters of Crockford's base32 and a terminator. */
#define SUBJECT_TEXT_SIZE 27
void subject_to_text(const struct subject *subject, char out[SUBJECT_TEXT_SIZE]);
/* Either case; STATUS_MALFORMED. */
MUST_USE enum status subject_from_text(const char *text, struct subject *out);

#endif
