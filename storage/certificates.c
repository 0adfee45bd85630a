/* Certificates: kept forever, numbered by arrival. What routing needs of each is mirrored. */
#include <stdlib.h>

#include "state.h"

static bool certificate_is(const struct store *store, uint32_t number, const void *key)
{
  return memcmp(store->certificates[number - 1].id.octets, key, HASH_SIZE) == 0;
}

uint32_t certificate_number(const struct store *store, const struct hash *id)
{
  return number_find(store, &store->certificate_map, number_hash(store, id->octets, HASH_SIZE),
                     certificate_is, id->octets);
}

static void map_fill(struct store *store)
{
  if (store->certificate_map.slots != NULL)
    memset(store->certificate_map.slots, 0,
           store->certificate_map.capacity * sizeof(*store->certificate_map.slots));
  for (uint32_t i = 0; i < store->certificate_count; i++)
    number_add(&store->certificate_map,
               number_hash(store, store->certificates[i].id.octets, HASH_SIZE), i + 1);
}

/* Under logs_lock: readers look addresses up here. */
static enum status mirror_add(struct store *store, const struct certificate *certificate)
{
  struct certificate_slot *slots = store->certificates;
  uint32_t capacity = store->certificates_capacity;
  bool rehash;
  enum status status =
      number_reserve(&store->certificate_map, store->certificate_count + 1u, &rehash);

  if (status != STATUS_OK)
    return status;
  if (rehash)
    map_fill(store);
  if (store->certificate_count == capacity) {
    capacity = capacity == 0 ? 8 : capacity * 2;
    slots = realloc(slots, capacity * sizeof(*slots));
    if (slots == NULL)
      return STATUS_NO_MEMORY;
    store->certificates = slots;
    store->certificates_capacity = capacity;
  }
  slots[store->certificate_count++] = (struct certificate_slot){
      .id = certificate->id,
      .key = certificate->key,
      .address = certificate->address,
  };
  number_add(&store->certificate_map, number_hash(store, certificate->id.octets, HASH_SIZE),
             store->certificate_count);
  return STATUS_OK;
}

enum status certificates_load(const struct store_txn *txn)
{
  struct store *store = txn->store;
  struct certificate certificate;
  struct walk walk;
  enum status status = db_walk_open(txn, TABLE_CERTIFICATES, &walk);

  if (status == STATUS_OK)
    status = db_walk_from(&walk, NULL, 0);
  while (status == STATUS_OK) {
    if (walk.key.size != 4 || be32_get(walk.key.data) != store->certificate_count + 1 ||
        certificate_read(walk.value, &certificate) != STATUS_OK)
      status = STATUS_CORRUPT;
    else
      status = mirror_add(store, &certificate);
    if (status == STATUS_OK)
      status = db_walk_next(&walk);
  }
  db_walk_close(&walk);
  return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}

void certificates_rollback(struct store_txn *txn)
{
  struct store *store = txn->store;

  if (store->certificate_count == txn->certificates_before)
    return;
  pthread_mutex_lock(&store->logs_lock);
  store->certificate_count = txn->certificates_before;
  map_fill(store);
  pthread_mutex_unlock(&store->logs_lock);
}

enum status store_certificate_put(struct store_txn *txn, const struct certificate *certificate)
{
  struct store *store = txn->store;
  uint8_t key[4];
  uint8_t number[4];
  enum status status;

  if (certificate_number(store, &certificate->id) != 0)
    return STATUS_OK;
  be32_put(key, store->certificate_count + 1);
  le_put(number, store->certificate_count + 1, 4);
  status =
      db_put(txn, TABLE_CERTIFICATES, key, 4, certificate->octets.data, certificate->octets.size);
  if (status == STATUS_OK)
    status = db_put(txn, TABLE_CERTIFICATE_IDS, certificate->id.octets, HASH_SIZE, number, 4);
  if (status != STATUS_OK)
    return status;
  pthread_mutex_lock(&store->logs_lock);
  status = mirror_add(store, certificate);
  pthread_mutex_unlock(&store->logs_lock);
  if (status != STATUS_OK)
    txn->failed = status;
  return status;
}

static enum status read_back(const struct store_txn *txn, uint32_t number, struct certificate *out)
{
  struct bytes_view octets;
  uint8_t key[4];
  enum status status;

  be32_put(key, number);
  status = db_get(txn, TABLE_CERTIFICATES, key, 4, &octets);
  if (status != STATUS_OK)
    return status == STATUS_NOT_FOUND ? STATUS_CORRUPT : status;
  return certificate_read(octets, out) == STATUS_OK ? STATUS_OK : STATUS_CORRUPT;
}

enum status store_certificate_get(const struct store_txn *txn, const struct hash *id,
                                  struct certificate *out)
{
  struct bytes_view value;
  enum status status = db_get(txn, TABLE_CERTIFICATE_IDS, id->octets, HASH_SIZE, &value);

  if (status != STATUS_OK)
    return status;
  if (value.size != 4)
    return STATUS_CORRUPT;
  return read_back(txn, (uint32_t)le_get(value.data, 4), out);
}

enum status certificate_id(const struct store_txn *txn, uint32_t number, struct hash *id)
{
  struct certificate certificate;
  enum status status;

  if (txn->writes) {
    if (number == 0 || number > txn->store->certificate_count)
      return STATUS_CORRUPT;
    *id = txn->store->certificates[number - 1].id;
    return STATUS_OK;
  }
  status = read_back(txn, number, &certificate);
  if (status == STATUS_OK)
    *id = certificate.id;
  return status;
}

enum status store_certificate_each(const struct store_txn *txn,
                                   bool (*visit)(void *context,
                                                 const struct certificate *certificate),
                                   void *context)
{
  struct certificate certificate;
  struct walk walk;
  enum status status = db_walk_open(txn, TABLE_CERTIFICATES, &walk);

  if (status == STATUS_OK)
    status = db_walk_from(&walk, NULL, 0);
  while (status == STATUS_OK) {
    if (certificate_read(walk.value, &certificate) != STATUS_OK) {
      status = STATUS_CORRUPT;
      break;
    }
    if (!visit(context, &certificate))
      break;
    status = db_walk_next(&walk);
  }
  db_walk_close(&walk);
  return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}
