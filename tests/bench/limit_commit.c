#include <stdio.h>
#include <string.h>

#include "limit.h"

static const char filler[] =
    "case.report at a street corner: street light out since last night, pole number noted by the "
    "caller, second call on the same matter, the crossing is dark, a school is near, please send "
    "the night crew; contact wishes to be told when it is done; channel phone";

_Static_assert(sizeof(filler) - 1 >= LIMIT_RECORD_SIZE, "a record is filled");

static void record_make(uint64_t number, uint8_t *out)
{
  memcpy(out, filler, LIMIT_RECORD_SIZE);
  memcpy(out, &number, sizeof(number));
}

static void root_of(const uint8_t *records, uint64_t count, uint8_t root[LIMIT_HASH_SIZE])
{
  uint8_t leaves[LIMIT_BATCH_MAX * LIMIT_HASH_SIZE];
  for (uint64_t i = 0; i < count; i++) {
    crypto_generichash(leaves + i * LIMIT_HASH_SIZE, LIMIT_HASH_SIZE,
                       records + i * LIMIT_RECORD_SIZE, LIMIT_RECORD_SIZE, NULL, 0);
  }
  crypto_generichash(root, LIMIT_HASH_SIZE, leaves, count * LIMIT_HASH_SIZE, NULL, 0);
}

static void chain_advance(struct limit_chain *chain, const struct limit_head *head)
{
  chain->seq = head->seq;
  crypto_generichash(chain->id, LIMIT_HASH_SIZE, (const uint8_t *)head, LIMIT_SIGNED_SIZE, NULL, 0);
}

void limit_commit_make(struct limit_chain *chain, const struct limit_keys *keys, uint64_t first,
                       uint64_t count, uint64_t made_ns, uint8_t *out)
{
  struct limit_head head = {.seq = chain->seq + 1, .made_ns = made_ns, .count = count};
  uint8_t *records = out + sizeof(head);
  for (uint64_t i = 0; i < count; i++) {
    record_make(first + i, records + i * LIMIT_RECORD_SIZE);
  }
  memcpy(head.previous, chain->id, LIMIT_HASH_SIZE);
  root_of(records, count, head.root);
  crypto_sign_detached(head.signature, NULL, (const uint8_t *)&head, LIMIT_SIGNED_SIZE,
                       keys->secret_key);
  memcpy(out, &head, sizeof(head));
  chain_advance(chain, &head);
}

void limit_commit_verify(struct limit_chain *chain, const struct limit_keys *keys,
                         const uint8_t *octets)
{
  struct limit_head head;
  uint8_t root[LIMIT_HASH_SIZE];
  memcpy(&head, octets, sizeof(head));
  root_of(octets + sizeof(head), head.count, root);
  if (memcmp(root, head.root, LIMIT_HASH_SIZE) != 0) {
    bench_fail("a commit's records do not match its root", NULL);
  }
  if (head.seq != chain->seq + 1 || memcmp(head.previous, chain->id, LIMIT_HASH_SIZE) != 0) {
    bench_fail("a commit does not follow the one before", NULL);
  }
  if (crypto_sign_verify_detached(head.signature, (const uint8_t *)&head, LIMIT_SIGNED_SIZE,
                                  keys->public_key) != 0) {
    bench_fail("a commit's signature does not verify", NULL);
  }
  chain_advance(chain, &head);
}
