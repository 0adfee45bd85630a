/*
 * Certificates of a bundle: each once, issuers first, before what it verifies.
 */
#ifndef NODED_CERTIFICATE_WRITER_H
#define NODED_CERTIFICATE_WRITER_H

#include "noded/core.h"

/* One that is known, in order of arrival: issuers before what they issued. */
struct known_link {
  struct hash id;
  struct node_key key;
  struct node_key issuer;
  struct address address;
  struct bytes_view octets;
  bool written;
};

struct certificate_writer {
  struct arena *arena;
  struct known_link *known;
  size_t count;
  size_t capacity;
  size_t stored;    /* how many of the store's are known */
  size_t passed;    /* of a walk under way */
  struct hash last; /* asked for last, and written */
  bool failed;
};

/* Knows our own chain first, so that the root's is there in any case, then all that the store
 * holds; called again it adds what has come since. Memory is the arena's, which outlives the
 * writer. STATUS_CORRUPT, STATUS_NO_MEMORY. */
MUST_USE enum status certificate_writer_load(struct certificate_writer *writer,
                                             const struct store_txn *txn,
                                             const struct core_identity *identity);
bool certificate_writer_knows(const struct certificate_writer *writer, const struct hash *id);
/* Appends what isn't written yet of the chain that ends in that certificate, root first. One that
 * isn't known is left out: the reader of the bundle may have it. STATUS_NO_MEMORY. */
MUST_USE enum status certificate_writer_put(struct certificate_writer *writer,
                                            const struct hash *id, struct bytes *out);

#endif
