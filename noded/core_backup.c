/*
 * What the core thread does for a backup: before it, how far each log goes is noted; after it, the
 * copy is confirmed in the store, by which trimming goes (storage/trim.h), and people.
 */
#include <stdlib.h>

#include "noded/core_internal.h"
#include "storage/backup.h"
#include "storage/trim.h"

const char *core_directory(const struct core *core)
{
  return core->config->directory;
}

enum status core_backup_begin(struct core *core, struct core_backup *backup)
{
  backup->at_ms = core_now().wall.ms;
  return store_backup_heads(core->store, &backup->seqs, &backup->count);
}

void core_backup_drop(struct core_backup *backup)
{
  free(backup->seqs);
  backup->seqs = NULL;
}

void core_backup_confirm(struct core *core, struct core_backup *backup)
{
  backup->next = core->backup_first;
  core->backup_first = backup;
  core_wake(core);
}

bool backup_waits(const struct core *core)
{
  return core->backup_first != NULL;
}

enum status backup_run(struct core *core, struct store_txn *txn)
{
  enum status status = STATUS_OK;
  for (struct core_backup *backup = core->backup_first; backup != NULL && status == STATUS_OK;
       backup = backup->next) {
    status = store_backup_confirm(txn, backup->seqs, backup->count);
    if (status == STATUS_OK) {
      status = store_meta_put(txn, STORE_COUNTER_BACKUP_AT, (uint64_t)backup->at_ms);
    }
    if (status == STATUS_OK) {
      status = store_meta_put(txn, STORE_COUNTER_BACKUP_SIZE, backup->octets);
    }
  }
  return status;
}

void backup_finish(struct core *core, enum status status)
{
  struct core_backup *backup = core->backup_first;
  core->backup_first = NULL;
  while (backup != NULL) {
    struct core_backup *next = backup->next;
    core_backup_drop(backup);
    backup->done(core, backup, status);
    backup = next;
  }
}
