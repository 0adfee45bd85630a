/*
 * Addresses (DESIGN section 2): 1 to 4 segments, optionally a unit `@name` as the last one, and
 * `A/\*` as a target that means A, its units and all below it.
 */
#ifndef RECORD_ADDRESS_H
#define RECORD_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "record/bytes.h"

#define ADDRESS_SEGMENT_MAX 16
#define ADDRESS_SEGMENTS_MAX 4
#define ADDRESS_TEXT_MAX (4 * 16 + 4 + 17) /* without terminator */

enum tier { TIER_NONE = 0, TIER_GRID = 1, TIER_COMMUNITY = 2, TIER_STREET = 3, TIER_DISTRICT = 4 };

/* Class bits of an item's `see` (DESIGN section 3). */
enum see { SEE_GRID = 1, SEE_COMMUNITY = 2, SEE_STREET = 4, SEE_DISTRICT = 8, SEE_UNIT = 16 };
#define SEE_ALL 31

/* A node's address; text is kept as given, with terminator. The root (size 0, tier NONE) is the
 * issuer of the district. Compare with address_equal. */
struct address {
  uint8_t size;     /* octets of text */
  uint8_t segments; /* without the unit */
  bool unit;
  char text[ADDRESS_TEXT_MAX + 1];
};

/* STATUS_MALFORMED unless `text` is an address; the empty text gives the root's only where
 * `root_allowed`. */
MUST_USE enum status address_parse(struct bytes_view text, bool root_allowed, struct address *out);
/* As above for a target, which may end in "/\*"; `subtree` says whether it did. */
MUST_USE enum status address_parse_target(struct bytes_view text, struct address *out,
                                          bool *subtree);
bool address_equal(const struct address *a, const struct address *b);
/* Octet order of the text. */
int address_compare(const struct address *a, const struct address *b);
/* Tier of the node; a unit has the tier of its host. */
enum tier address_tier(const struct address *address);
/* The `see` bit of a node standing here: its tier's, or SEE_UNIT for a unit. */
unsigned address_class(const struct address *address);
/* "district", "street", "community", "grid", "unit". */
const char *address_class_name(const struct address *address);
/* Parent; the district's is the root's empty address. False for the root itself. `parent` may be
 * `address`. */
bool address_parent(const struct address *address, struct address *parent);
/* Whether `address` is `top` or lies below it (`top`'s subtree); every address lies below root. */
bool address_within(const struct address *address, const struct address *top);
/* Whether `child` stands directly below `parent`. */
bool address_is_child(const struct address *child, const struct address *parent);
/* The child of `top` on the way to `address`, which must lie strictly below `top`. */
struct address address_step_toward(const struct address *top, const struct address *address);

#endif
