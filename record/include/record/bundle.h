/*
 * Bundles (DESIGN section 3): commits carried by hand, with the certificates that verify them;
 * msgpack values one after another.
 */
#ifndef RECORD_BUNDLE_H
#define RECORD_BUNDLE_H

#include "record/bytes.h"

enum bundle_entry { BUNDLE_END, BUNDLE_CERTIFICATE, BUNDLE_COMMIT };

/* Append the head, a certificate's octets, a commit's octets. STATUS_NO_MEMORY. */
MUST_USE enum status bundle_write_head(struct bytes *out);
MUST_USE enum status bundle_write(enum bundle_entry type, struct bytes_view octets,
                                  struct bytes *out);

/* Reads the head at the start of `rest` and moves past it. STATUS_MALFORMED,
 * STATUS_WRONG_VERSION. */
MUST_USE enum status bundle_read_head(struct bytes_view *rest);
/* Next entry, BUNDLE_END when nothing is left; entries of unknown type are skipped.
 * STATUS_MALFORMED names a file that was cut off or damaged. */
MUST_USE enum status bundle_read(struct bytes_view *rest, enum bundle_entry *type,
                                 struct bytes_view *octets);

#endif
