/*
 * A whole file, mapped for reading: bundles and tables may be far larger than memory.
 */
#ifndef ADMIN_MAPPING_H
#define ADMIN_MAPPING_H

#include "record/bytes.h"

struct mapping {
  struct bytes_view octets;
};
/* STATUS_NOT_FOUND, STATUS_NOT_ALLOWED, STATUS_INVALID_ARGUMENT (no regular file), STATUS_IO. */
MUST_USE enum status mapping_open(const char *path, struct mapping *mapping);
void mapping_close(struct mapping *mapping);

#endif
