/* Meta: whose store this is, its format version, and the daemon's counters. */
#include <stdio.h>

#include "meta.h"

#define COUNTER_PREFIX "counter."
#define COUNTER_NAME_MAX 64

static enum status meta_get(const struct store_txn *txn, const char *name, size_t size,
                            uint8_t *out)
{
  struct bytes_view value;
  enum status status = db_get(txn, TABLE_META, name, strlen(name), &value);

  if (status != STATUS_OK)
    return status;
  if (value.size != size)
    return STATUS_CORRUPT;
  memcpy(out, value.data, size);
  return STATUS_OK;
}

static enum status meta_put(struct store_txn *txn, const char *name, const void *value, size_t size)
{
  return db_put(txn, TABLE_META, name, strlen(name), value, size);
}

enum status meta_format_get(const struct store_txn *txn, uint64_t *version)
{
  uint8_t octets[8];
  enum status status = meta_get(txn, META_FORMAT, sizeof(octets), octets);

  if (status == STATUS_OK)
    *version = le_get(octets, sizeof(octets));
  return status;
}

enum status meta_format_raise(struct store_txn *txn)
{
  uint8_t octets[8];
  uint64_t version = 0;
  enum status status = meta_format_get(txn, &version);

  if (status != STATUS_OK || version >= STORE_FORMAT_VERSION)
    return status;
  le_put(octets, STORE_FORMAT_VERSION, sizeof(octets));
  return meta_put(txn, META_FORMAT, octets, sizeof(octets));
}

enum status meta_identity_put(struct store_txn *txn, const struct store_identity *identity)
{
  uint8_t version[8];
  enum status status;

  le_put(version, STORE_FORMAT_FIRST, sizeof(version));
  status = meta_put(txn, META_FORMAT, version, sizeof(version));
  if (status == STATUS_OK)
    status = meta_put(txn, META_NODE, identity->node.octets, KEY_SIZE);
  if (status == STATUS_OK)
    status = meta_put(txn, META_ADDRESS, identity->address.text, identity->address.size);
  if (status == STATUS_OK)
    status = meta_put(txn, META_STORE, identity->store.octets, STORE_ID_SIZE);
  if (status == STATUS_OK)
    status = meta_put(txn, META_ROOT, identity->root.octets, HASH_SIZE);
  return status;
}

enum status meta_identity_get(const struct store_txn *txn, struct store_identity *out)
{
  struct bytes_view address;
  enum status status = meta_get(txn, META_NODE, KEY_SIZE, out->node.octets);

  if (status == STATUS_OK)
    status = meta_get(txn, META_STORE, STORE_ID_SIZE, out->store.octets);
  if (status == STATUS_OK)
    status = meta_get(txn, META_ROOT, HASH_SIZE, out->root.octets);
  if (status == STATUS_OK)
    status = db_get(txn, TABLE_META, META_ADDRESS, strlen(META_ADDRESS), &address);
  if (status == STATUS_OK && address_parse(address, false, &out->address) != STATUS_OK)
    status = STATUS_CORRUPT;
  return status == STATUS_NOT_FOUND ? STATUS_CORRUPT : status;
}

static size_t counter_key(const char *name, char out[COUNTER_NAME_MAX + 16])
{
  int size = snprintf(out, COUNTER_NAME_MAX + 16, COUNTER_PREFIX "%s", name);

  CHECK(size > 0 && size < COUNTER_NAME_MAX + 16);
  return (size_t)size;
}

enum status store_meta_put(struct store_txn *txn, const char *name, uint64_t value)
{
  char key[COUNTER_NAME_MAX + 16];
  uint8_t octets[8];

  le_put(octets, value, sizeof(octets));
  return db_put(txn, TABLE_META, key, counter_key(name, key), octets, sizeof(octets));
}

uint64_t store_meta_get(const struct store_txn *txn, const char *name)
{
  char key[COUNTER_NAME_MAX + 16];
  struct bytes_view value;

  if (db_get(txn, TABLE_META, key, counter_key(name, key), &value) != STATUS_OK || value.size != 8)
    return 0;
  return le_get(value.data, 8);
}

/* Last number used in a table whose keys end in a number of `size` octets. */
static enum status last_key(const struct store_txn *txn, enum table table, uint8_t *key,
                            size_t size)
{
  struct walk walk;
  enum status status = db_walk_open(txn, table, &walk);

  if (status == STATUS_OK)
    status = db_walk_last(&walk);
  if (status == STATUS_OK && walk.key.size != size)
    status = STATUS_CORRUPT;
  if (status == STATUS_OK)
    memcpy(key, walk.key.data, size);
  db_walk_close(&walk);
  return status;
}

enum status counters_load(const struct store_txn *txn)
{
  struct counters *counters = &txn->store->counters;
  uint8_t key[SUBJECT_SIZE];
  enum status status = last_key(txn, TABLE_AUDIENCES, key, 4);

  if (status == STATUS_OK)
    counters->audience_last = be32_get(key);
  if (status == STATUS_OK || status == STATUS_NOT_FOUND)
    status = last_key(txn, TABLE_INBOX, key, 8);
  if (status == STATUS_OK)
    counters->inbox_last = be64_get(key);
  if (status == STATUS_OK || status == STATUS_NOT_FOUND)
    status = last_key(txn, TABLE_QUARANTINE_OCTETS, key, 4);
  if (status == STATUS_OK)
    counters->quarantine_last = be32_get(key);
  if (status == STATUS_OK || status == STATUS_NOT_FOUND)
    status = last_key(txn, TABLE_SUBJECTS, key, SUBJECT_SIZE);
  if (status == STATUS_OK) {
    memcpy(counters->subject_last.octets, key, SUBJECT_SIZE);
    counters->subject_any = true;
  }
  counters->quarantined = db_count(txn, TABLE_QUARANTINE);
  counters->tombstones = db_count(txn, TABLE_TOMBSTONES);
  return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}
