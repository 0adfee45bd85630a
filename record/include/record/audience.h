/*
 * Audiences (DESIGN section 4): who may see a subject, as the least fixed point over its records.
 * Pure: storage keeps the sets, this file says how they grow.
 */
#ifndef RECORD_AUDIENCE_H
#define RECORD_AUDIENCE_H

#include "record/address.h"
#include "record/bytes.h"
#include "record/record.h"

#define AUDIENCE_MEMBERS_MAX 4096

/* Sorted by text. `subtree` marks an `A/\*` entry: A and all below it read but don't write by it.
 * Members on the tree path between two members are in the set themselves. Zero-initialised is
 * empty. */
struct audience_entry {
  struct address address;
  bool subtree;
};
struct audience {
  struct audience_entry *entries;
  size_t count;
  size_t capacity;
};

void audience_close(struct audience *audience);
/* Canonical octets, a msgpack array of strs in order; and back. */
MUST_USE enum status audience_write(const struct audience *audience, struct bytes *out);
MUST_USE enum status audience_read(struct bytes_view octets, struct audience *out);

/* Full member: may write. */
bool audience_has_writer(const struct audience *audience, const struct address *address);
/* May see: a full member, within an `A/\*`, or a carrier. */
bool audience_has_reader(const struct audience *audience, const struct address *address);
/* Whether anything in the subtree of `top` may see. */
bool audience_reaches(const struct audience *audience, const struct address *top);

/* Starts with the founder's address. STATUS_NO_MEMORY. */
MUST_USE enum status audience_found(struct audience *audience, const struct address *founder);

/* What one record by `author` adds. A non-member adds nothing and `*effective` is false; a target
 * outside the author's authority is skipped and counted in `*refused_targets`. `*grew` says
 * whether the set changed (path closure included); the caller then tries the subject's
 * ineffective records again, until nothing changes. STATUS_NO_MEMORY, STATUS_TOO_LARGE. */
MUST_USE enum status audience_add_record(struct audience *audience, const struct address *author,
                                         const struct record_header *header, bool *effective,
                                         unsigned *refused_targets, bool *grew);

#endif
