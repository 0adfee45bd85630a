/*
 * Meta, as opening and creating a store need it.
 */
#ifndef STORAGE_META_H
#define STORAGE_META_H

#include "state.h"

/* STATUS_NOT_FOUND when there is no store here yet. */
MUST_USE enum status meta_format_get(const struct store_txn *txn, uint64_t *version);
/* Programs of the first version can't read what has floors, and are told so. */
MUST_USE enum status meta_format_raise(struct store_txn *txn);
MUST_USE enum status meta_identity_put(struct store_txn *txn,
                                       const struct store_identity *identity);
MUST_USE enum status meta_identity_get(const struct store_txn *txn, struct store_identity *out);

#endif
