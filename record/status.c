#include "record/status.h"

#include <errno.h>

enum status status_of_errno(int number)
{
  switch (number) {
  case ENOENT:
  case ENOTDIR:
    return STATUS_NOT_FOUND;
  case EEXIST:
  case ENOTEMPTY:
    return STATUS_EXISTS;
  case EACCES:
  case EPERM:
  case EROFS:
    return STATUS_NOT_ALLOWED;
  case ENOSPC:
  case EDQUOT:
    return STATUS_DISK_FULL;
  case ENOMEM:
    return STATUS_NO_MEMORY;
  default:
    return STATUS_IO;
  }
}

const char *status_text(enum status status)
{
  switch (status) {
#define X(name, text)                                                                              \
  case name:                                                                                       \
    return text;
    STATUS_TABLE(X)
#undef X
  }
  return "unknown status";
}

const char *verdict_text(enum verdict verdict)
{
  switch (verdict) {
#define X(name, text)                                                                              \
  case name:                                                                                       \
    return text;
    VERDICT_TABLE(X)
#undef X
  }
  return "unknown verdict";
}

/* A switch, so that the compiler names a verdict that is missing here. */
const char *verdict_name(enum verdict verdict)
{
  switch (verdict) {
  case VERDICT_OK:
    return "ok";
  case VERDICT_DUPLICATE:
    return "duplicate";
  case VERDICT_MALFORMED:
    return "malformed";
  case VERDICT_BAD_ROOT:
    return "bad_root";
  case VERDICT_BAD_SIGNATURE:
    return "bad_signature";
  case VERDICT_UNKNOWN_CERTIFICATE:
    return "unknown_certificate";
  case VERDICT_BAD_CHAIN:
    return "bad_chain";
  case VERDICT_EXPIRED:
    return "expired";
  case VERDICT_OUT_OF_SUBTREE:
    return "out_of_subtree";
  case VERDICT_GAP:
    return "gap";
  case VERDICT_BAD_PREVIOUS:
    return "bad_previous";
  case VERDICT_FORK:
    return "fork";
  case VERDICT_REVOKED:
    return "revoked";
  }
  return "unknown";
}
