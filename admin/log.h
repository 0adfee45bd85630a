/* Bundles: out of a node and into one (DESIGN section 3, "Bundle"). */
#ifndef CTL_LOG_H
#define CTL_LOG_H

#include "ctl.h"
#include "record/bytes.h"

/* Octets of whole entries in one request; the head comes on top. */
#define LOG_IMPORT_PIECE_BYTES (2u * 1024 * 1024)

enum ctl_exit log_export(struct ctl *ctl, const struct ctl_args *args);
enum ctl_exit log_import(struct ctl *ctl, const struct ctl_args *args);

/* Cuts the next piece off a bundle's entries: a view of whole entries, at most
 * LOG_IMPORT_PIECE_BYTES but at least one entry; empty at the end. `*entries` counts them.
 * STATUS_MALFORMED when what follows is cut off or damaged; the piece then holds what is whole
 * before that, and `rest` stands at the damage. */
MUST_USE enum status log_piece_next(struct bytes_view *rest, struct bytes_view *piece,
                                    size_t *entries);

#endif
