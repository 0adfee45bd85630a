/*
 * What the measuring programs share: time, a folder that is gone afterwards, an LMDB table that
 * records are appended to, and the one way to give up. They are tools: any failure ends the
 * program with a message.
 */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include <lmdb.h>
#include <stddef.h>
#include <stdint.h>

#define BENCH_PATH_MAX 1024

/* Prints "program: what: detail" and exits with 1; `detail` may be NULL. */
__attribute__((noreturn)) void bench_fail(const char *what, const char *detail);
/* The same with errno's text. */
__attribute__((noreturn)) void bench_fail_errno(const char *what);

/* Nanoseconds of the clock that all processes of this machine share. */
uint64_t bench_now_ns(void);

/* Makes a new folder in `base`, or below the build folder when that is NULL; `path` holds
 * BENCH_PATH_MAX. */
void bench_folder_make(const char *base, char *path);
/* Joins folder and name; `out` holds BENCH_PATH_MAX. */
void bench_path_join(char *out, const char *folder, const char *name);
/* Removes the folder and all below it. */
void bench_folder_remove(const char *path);

/* A number from `min` to `max` out of the text of an option; fails otherwise. */
uint64_t bench_number(const char *option, const char *text, uint64_t min, uint64_t max);

/* One LMDB environment, full durability, one table keyed by a growing number. */
struct bench_store {
  MDB_env *env;
  MDB_dbi table;
  MDB_txn *txn;
  uint64_t next;
};

/* Makes the folder and the store in it. */
void bench_store_open(struct bench_store *store, const char *path, uint64_t map_bytes);
/* Appends one value; begins a transaction where none is open. */
void bench_store_append(struct bench_store *store, const void *data, size_t size);
/* Ends the transaction; returns when it is durable. */
void bench_store_commit(struct bench_store *store);
/* Octets on disk. */
uint64_t bench_store_size(const char *path);
void bench_store_close(struct bench_store *store);

#endif
