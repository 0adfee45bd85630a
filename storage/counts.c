/* How much the store holds, without a walk. */
#include "state.h"
#include "storage/store.h"

void store_counts(const struct store_txn *txn, struct store_counts *counts)
{
  counts->commits = db_count(txn, TABLE_COMMITS);
  counts->subjects = db_count(txn, TABLE_SUBJECTS);
  counts->records = store_meta_get(txn, STORE_COUNTER_RECORDS);
}
