/*
 * The two vocabularies of trouble. `enum status` says why an operation here could not be done;
 * `enum verdict` says what we judge of somebody else's data. They never mix: a verdict is kept
 * and shown, a status is handled. One table each, so that name and text can't drift apart.
 */
#ifndef RECORD_STATUS_H
#define RECORD_STATUS_H

#define MUST_USE __attribute__((warn_unused_result))

/* name, text for people */
#define STATUS_TABLE(X)                                                                            \
  X(STATUS_OK, "ok")                                                                               \
  X(STATUS_MALFORMED, "malformed input")                                                           \
  X(STATUS_TOO_LARGE, "larger than the limit")                                                     \
  X(STATUS_NO_MEMORY, "out of memory")                                                             \
  X(STATUS_NOT_FOUND, "not found")                                                                 \
  X(STATUS_EXISTS, "exists already")                                                               \
  X(STATUS_DISK_FULL, "disk or quota full")                                                        \
  X(STATUS_IO, "input/output error")                                                               \
  X(STATUS_BAD_SIGNATURE, "signature does not verify")                                             \
  X(STATUS_NOT_ALLOWED, "not allowed here")                                                        \
  X(STATUS_WRONG_VERSION, "format version not supported")                                          \
  X(STATUS_WRONG_NODE, "belongs to another node")                                                  \
  X(STATUS_BUSY, "busy, try again later")                                                          \
  X(STATUS_TIMEOUT, "timed out")                                                                   \
  X(STATUS_CLOSED, "connection closed")                                                            \
  X(STATUS_INVALID_ARGUMENT, "invalid argument")                                                   \
  X(STATUS_CORRUPT, "stored data is damaged")

/* Judgement on remote data (DESIGN section 6, "Faults stay small"). */
#define VERDICT_TABLE(X)                                                                           \
  X(VERDICT_OK, "accepted")                                                                        \
  X(VERDICT_DUPLICATE, "already held, reveals nothing new")                                        \
  X(VERDICT_MALFORMED, "malformed")                                                                \
  X(VERDICT_BAD_ROOT, "records do not match the Merkle root")                                      \
  X(VERDICT_BAD_SIGNATURE, "signature does not verify")                                            \
  X(VERDICT_UNKNOWN_CERTIFICATE, "certificate not known here")                                     \
  X(VERDICT_BAD_CHAIN, "certificate chain does not lead to the root")                              \
  X(VERDICT_EXPIRED, "certificate not valid at the time")                                          \
  X(VERDICT_OUT_OF_SUBTREE, "origin does not stand in the sender's subtree")                       \
  X(VERDICT_GAP, "a commit before this one is missing")                                            \
  X(VERDICT_BAD_PREVIOUS, "does not follow the commit before it")                                  \
  X(VERDICT_FORK, "another commit stands at this place of the log")                                \
  X(VERDICT_REVOKED, "origin is revoked")

enum status {
#define X(name, text) name,
  STATUS_TABLE(X)
#undef X
};

enum verdict {
#define X(name, text) name,
  VERDICT_TABLE(X)
#undef X
};

/* What a failed call on files means, by its errno; STATUS_IO where nothing better is known. */
enum status status_of_errno(int number);

/* Text for people; static, never NULL. */
const char *status_text(enum status status);
/* "bad_signature" for VERDICT_BAD_SIGNATURE: the name in output and JSON; static, never NULL. */
const char *verdict_name(enum verdict verdict);
const char *verdict_text(enum verdict verdict);

#endif
