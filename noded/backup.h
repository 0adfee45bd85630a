/*
 * Backups (docs/OPERATIONS.md): a folder with a compacted copy of the store, the certificates, the
 * configuration and a manifest that says what it is; on request the secret key. Made beside its
 * name and renamed when it is durable and was read back, so that what bears the name is whole.
 */
#ifndef NODED_BACKUP_H
#define NODED_BACKUP_H

#include "noded/core.h"

#define BACKUP_REASON_MAX 768
#define BACKUP_MANIFEST "manifest.json"
#define BACKUP_MANIFEST_MAX (64u * 1024 * 1024)
#define BACKUP_DATA "store/data.mdb"
#define BACKUP_PART ".part" /* what is not whole yet has this behind its name */

struct backup_counts {
  uint64_t logs;
  uint64_t commits;
  uint64_t records;
  uint64_t subjects;
};

struct backup_head {
  struct log_id id;
  uint64_t seq;
  struct hash commit_id;
};

struct backup_manifest {
  struct store_identity identity;
  int64_t at_ms;
  uint64_t octets;  /* of the copy */
  struct hash hash; /* BLAKE2b-256 of it */
  bool secret_key;
  uint64_t findings; /* of verify; 0: the copy is good */
  struct backup_counts counts;
  struct backup_head *heads; /* `counts.logs` of them */
};
void backup_manifest_close(struct backup_manifest *manifest);
/* STATUS_NOT_FOUND, STATUS_MALFORMED, STATUS_WRONG_VERSION, STATUS_IO, STATUS_NO_MEMORY. */
MUST_USE enum status backup_manifest_read(const char *backup, struct backup_manifest *out);
MUST_USE enum status backup_manifest_write(const char *backup,
                                           const struct backup_manifest *manifest);
/* What an open store holds; fills identity, counts and heads. */
MUST_USE enum status backup_manifest_fill(struct store *store, struct backup_manifest *manifest);

/* The same after verifying all of it; fills `findings` too. */
MUST_USE enum status backup_store_check(struct store *store, struct backup_manifest *manifest);

struct backup_settings {
  struct store *store;
  const char *directory; /* the node's */
  const char *path;
  int64_t at_ms;
  bool with_key;
};
/* On a thread that may block. `reason` (BACKUP_REASON_MAX
 * octets) says what is wrong. STATUS_EXISTS when the name is taken. */
MUST_USE enum status backup_write(const struct backup_settings *settings,
                                  struct backup_manifest *manifest, char *reason);

/* ---- files ---- */
/* Copies durably, with that mode, and says the hash and size; STATUS_EXISTS when `to` does. */
MUST_USE enum status backup_file_copy(const char *from, const char *to, unsigned mode,
                                      struct hash *hash, uint64_t *octets);
/* As it can be read back from the disk. */
MUST_USE enum status backup_file_hash(const char *path, struct hash *hash, uint64_t *octets);
MUST_USE enum status backup_directory_sync(const char *path);
/* With all that is in it; nothing there is fine. */
void backup_tree_remove(const char *path);

#endif
