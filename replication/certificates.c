#include <stdlib.h>
#include <string.h>

#include "node_internal.h"

static size_t slot_of(const uint8_t *octets, size_t slots)
{
  uint64_t word;
  memcpy(&word, octets, sizeof(word));
  return (size_t)(word % slots);
}

static size_t slot_of_place(const struct node_key *key, const struct address *address, size_t slots)
{
  uint64_t hash;
  memcpy(&hash, key->octets, sizeof(hash));
  for (size_t i = 0; i < address->size; i++) {
    hash = (hash ^ (uint8_t)address->text[i]) * 0x100000001b3ULL;
  }
  return (size_t)(hash % slots);
}

void certificates_close(struct certificate_table *table)
{
  for (size_t i = 0; i < table->count; i++) {
    free(table->items[i]->octets);
    free(table->items[i]);
  }
  free(table->items);
  free(table->by_id);
  free(table->by_key);
  memset(table, 0, sizeof(*table));
}

size_t certificates_find(const struct certificate_table *table, const struct hash *id)
{
  if (table->slots == 0) {
    return 0;
  }
  for (size_t slot = slot_of(id->octets, table->slots);; slot = (slot + 1) % table->slots) {
    uint32_t index = table->by_id[slot];
    if (index == 0 || hash_equal(&table->items[index - 1]->certificate.id, id)) {
      return index;
    }
  }
}

static bool key_equal(const struct node_key *a, const struct node_key *b)
{
  return memcmp(a->octets, b->octets, KEY_SIZE) == 0;
}

static bool stands_at(const struct certificate *certificate, const struct node_key *key,
                      const struct address *address)
{
  return key_equal(&certificate->key, key) && address_equal(&certificate->address, address);
}

const struct certificate *certificates_of_key(const struct certificate_table *table,
                                              const struct node_key *key,
                                              const struct address *address)
{
  if (table->slots == 0) {
    return NULL;
  }
  for (size_t slot = slot_of_place(key, address, table->slots);; slot = (slot + 1) % table->slots) {
    uint32_t index = table->by_key[slot];
    if (index == 0) {
      return NULL;
    }
    const struct certificate *held = &table->items[index - 1]->certificate;
    if (stands_at(held, key, address)) {
      return held;
    }
  }
}

const struct certificate *certificates_issuer(const struct certificate_table *table,
                                              const struct certificate *certificate)
{
  struct address above;
  return address_parent(&certificate->address, &above)
             ? certificates_of_key(table, &certificate->issuer, &above)
             : NULL;
}

const struct certificate *certificates_any_of_key(const struct certificate_table *table,
                                                  const struct node_key *key)
{
  for (size_t i = 0; i < table->count; i++) {
    if (key_equal(&table->items[i]->certificate.key, key)) {
      return &table->items[i]->certificate;
    }
  }
  return NULL;
}

/* The highest (epoch, not_before) of a key at an address holds (DESIGN section 4). */
static bool supersedes(const struct certificate *a, const struct certificate *b)
{
  return a->epoch != b->epoch ? a->epoch > b->epoch : a->not_before > b->not_before;
}

static void place(struct certificate_table *table, uint32_t index)
{
  const struct certificate *certificate = &table->items[index - 1]->certificate;
  size_t slot = slot_of(certificate->id.octets, table->slots);
  while (table->by_id[slot] != 0) {
    slot = (slot + 1) % table->slots;
  }
  table->by_id[slot] = index;
  slot = slot_of_place(&certificate->key, &certificate->address, table->slots);
  for (; table->by_key[slot] != 0; slot = (slot + 1) % table->slots) {
    const struct certificate *held = &table->items[table->by_key[slot] - 1]->certificate;
    if (stands_at(held, &certificate->key, &certificate->address)) {
      if (supersedes(certificate, held)) {
        table->by_key[slot] = index;
      }
      return;
    }
  }
  table->by_key[slot] = index;
}

static bool grow(struct certificate_table *table)
{
  size_t capacity = table->capacity == 0 ? 16 : table->capacity * 2;
  size_t slots = capacity * 2;
  struct known_certificate **items =
      realloc(table->items, capacity * sizeof(struct known_certificate *));
  if (items == NULL) {
    return false;
  }
  table->items = items;
  uint32_t *by_id = calloc(slots, sizeof(*by_id));
  uint32_t *by_key = calloc(slots, sizeof(*by_key));
  if (by_id == NULL || by_key == NULL) {
    free(by_id);
    free(by_key);
    return false;
  }
  free(table->by_id);
  free(table->by_key);
  table->by_id = by_id;
  table->by_key = by_key;
  table->slots = slots;
  table->capacity = capacity;
  for (uint32_t i = 1; i <= table->count; i++) {
    place(table, i);
  }
  return true;
}

static enum verdict judge(const struct certificate_table *table, const struct hash *root,
                          const struct certificate *certificate)
{
  if (hash_equal(&certificate->id, root)) {
    return certificate_check(certificate, NULL);
  }
  const struct certificate *issuer = certificates_issuer(table, certificate);
  if (issuer == NULL) {
    return VERDICT_UNKNOWN_CERTIFICATE;
  }
  return certificate_check(certificate, issuer);
}

enum verdict certificates_add(struct certificate_table *table, const struct hash *root,
                              struct bytes_view octets, bool *added)
{
  struct certificate certificate;
  *added = false;
  if (octets.size > CERTIFICATE_BYTES_MAX || certificate_read(octets, &certificate) != STATUS_OK) {
    return VERDICT_MALFORMED;
  }
  if (certificates_find(table, &certificate.id) != 0) {
    return VERDICT_OK;
  }
  enum verdict verdict = judge(table, root, &certificate);
  if (verdict == VERDICT_OK && table->count == REPL_CERTIFICATES_MAX) {
    verdict = VERDICT_UNKNOWN_CERTIFICATE;
  }
  if (verdict != VERDICT_OK) {
    return verdict;
  }
  struct known_certificate *known = calloc(1, sizeof(*known));
  uint8_t *copy = malloc(octets.size);
  if (known == NULL || copy == NULL || (table->count == table->capacity && !grow(table))) {
    free(known);
    free(copy);
    return VERDICT_UNKNOWN_CERTIFICATE; /* asked for again later */
  }
  memcpy(copy, octets.data, octets.size);
  known->octets = copy;
  enum status status = certificate_read(bytes_view_of(copy, octets.size), &known->certificate);
  (void)status; /* the same octets were just read */
  table->items[table->count++] = known;
  place(table, (uint32_t)table->count);
  *added = true;
  return VERDICT_OK;
}
