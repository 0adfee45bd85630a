/*
 * The bare cascade: what four tiers can do at most when they only move records over TCP, hash
 * each, verify one signature a commit, append to LMDB, fsync and acknowledge. No msgpack, no
 * encryption, no routing. The daemons are compared with it.
 */
#ifndef BENCH_LIMIT_H
#define BENCH_LIMIT_H

#include <sodium.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bench.h"

#define LIMIT_TIERS 4
#define LIMIT_RECORD_SIZE 250
#define LIMIT_BATCH_MAX 256
#define LIMIT_HASH_SIZE 32

/* The start of a commit on the wire; `count` records of LIMIT_RECORD_SIZE follow. Both ends are
 * one program, so that the struct itself can travel. */
struct limit_head {
  uint64_t seq;     /* from 1 */
  uint64_t made_ns; /* when its first record was there */
  uint64_t count;
  uint8_t previous[LIMIT_HASH_SIZE]; /* id of the commit before */
  uint8_t root[LIMIT_HASH_SIZE];     /* hash over the records' hashes */
  uint8_t signature[crypto_sign_BYTES];
};

#define LIMIT_SIGNED_SIZE offsetof(struct limit_head, signature)
#define LIMIT_COMMIT_MAX (sizeof(struct limit_head) + LIMIT_BATCH_MAX * LIMIT_RECORD_SIZE)

/* Where a log stands: what the next commit has to follow. */
struct limit_chain {
  uint64_t seq;
  uint8_t id[LIMIT_HASH_SIZE];
};

struct limit_keys {
  uint8_t public_key[crypto_sign_PUBLICKEYBYTES];
  uint8_t secret_key[crypto_sign_SECRETKEYBYTES];
};

/* What one run does; the same for all four processes. */
struct limit_run {
  uint64_t records;
  uint64_t batch;       /* records a commit */
  uint64_t window;      /* commits sent and not acknowledged */
  uint64_t interval_ns; /* between commits; 0: as fast as the window allows */
  bool whole;           /* one value a commit in LMDB, instead of one a record */
  const char *folder;
  struct limit_keys keys;
};

/* Shared by the processes. */
struct limit_shared {
  atomic_uint ready;
  _Atomic uint64_t start_ns;
  _Atomic uint64_t end_ns;        /* the last record is durable at the top */
  _Atomic uint64_t records;       /* durable at the top */
  _Atomic uint64_t latency_count; /* of latency_ns; counted only with an interval */
  uint64_t latency_ns[];          /* one a commit, made at the grid to durable at the district */
};

/* Octets of a commit of `count` records. */
static inline size_t limit_commit_size(uint64_t count)
{
  return sizeof(struct limit_head) + (size_t)count * LIMIT_RECORD_SIZE;
}

/* Writes the next commit of `count` records, the first of them numbered `first`, to `out`, which
 * holds limit_commit_size(count): hashes each record, signs once. Moves the chain on. */
void limit_commit_make(struct limit_chain *chain, const struct limit_keys *keys, uint64_t first,
                       uint64_t count, uint64_t made_ns, uint8_t *out);
/* Hashes each record, checks root, chain and signature; fails on a mismatch. Moves the chain on. */
void limit_commit_verify(struct limit_chain *chain, const struct limit_keys *keys,
                         const uint8_t *octets);

/* Runs one tier's process until all is done: tier 0 is the grid, which makes the records, tier 3
 * the district. `below` and `above` are connected sockets, -1 where there is none. */
void limit_node_run(const struct limit_run *run, struct limit_shared *shared, unsigned tier,
                    int below, int above);
/* Folder of a tier's store; `out` holds BENCH_PATH_MAX. */
void limit_store_path(const struct limit_run *run, unsigned tier, char *out);

#endif
