/*
 * What an open store holds in memory, and the calls between the files of this folder. Mirrors of
 * logs, certificates and neighbours belong to the writer's thread, which alone changes them;
 * functions that a reader's transaction may reach read the tables instead. Before a mirror is
 * changed its old state goes to the transaction's undo list, so that an abort is exact.
 */
#ifndef STORAGE_STATE_H
#define STORAGE_STATE_H

#include <lmdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <zstd.h>

#include "layout.h"
#include "record/audience.h"
#include "record/certificate.h"
#include "record/check.h"
#include "storage/subjects.h"

/* A log as mirrored; what struct log_head says, without what its certificate says. */
struct log_slot {
  struct log_id id;
  bool dirty;         /* in this transaction's undo list */
  uint16_t direction; /* neighbour towards the origin; NEIGHBOUR_NONE: our own, or none known */
  uint32_t certificate;
  uint64_t seq;
  uint64_t seq_parent; /* the parent has acknowledged every commit up to here */
  struct hash commit_id;
  uint64_t commits;
  struct wall_ms arrived_at;
  uint64_t floor; /* commits up to here were let go; 0: none */
  struct hash floor_id;
  uint64_t pin;        /* nothing below it waits in an outbox; 0: not known, so anything may */
  uint64_t backed;     /* a confirmed backup holds all up to here */
  uint64_t backed_max; /* ... and one begun since can hold no more than this; 0: none was begun */
  uint64_t pin_next;   /* the same, of the walk over the outboxes under way */
};

struct certificate_slot {
  struct hash id;
  struct node_key key;
  struct address address;
};

struct neighbour_slot {
  struct neighbour state;
  struct subject backfill; /* subjects up to here have been queued */
  unsigned class_bit;
  uint8_t level; /* lanes, a bit each, that were acknowledged since it was dropped */
  bool dirty;
};

/* Finds numbers 1 to count by their octets: open addressing, powers of two, at most half full. */
struct number_map {
  uint32_t *slots;
  size_t capacity;
};

/* Who an audience concerns, as cached: numbers in ascending order. */
#define AUDIENCE_VIEW_INLINE 6
struct audience_view {
  uint32_t audience;
  uint16_t count;
  uint16_t few[AUDIENCE_VIEW_INLINE];
  uint16_t *many; /* owned; instead of `few` when there are more */
};

/* What one record makes of an audience, as cached. */
#define TRANSITION_DOWN_MAX 48
struct transition {
  uint32_t from;
  uint32_t log;
  uint32_t to;
  uint8_t used;
  uint8_t founder;
  uint8_t up;
  uint8_t down_size;
  uint8_t effective;
  uint8_t refused;  /* some target outside the author's authority */
  uint8_t names_us; /* as a target */
  uint8_t down[TRANSITION_DOWN_MAX];
};

#define AUDIENCE_VIEWS 1024
#define AUDIENCE_VIEWS_BYTES_MAX (1024 * 1024)
#define TRANSITIONS 2048
struct audience_cache {
  struct audience_view *views;
  size_t views_bytes; /* in `many` of all */
  struct transition *transitions;
  struct audience scratch;
  struct bytes octets;
};

/* One record on its way to one neighbour, outside the commit's own turn. */
struct history_item {
  uint64_t seq;
  uint32_t log;
  uint16_t neighbour;
  uint8_t lane;
  uint8_t index;
};
#define HISTORY_ITEMS_MAX 65536
struct history {
  struct history_item *items;
  size_t count;
  size_t capacity;
};

/* Which records of the commit at hand go to which neighbour. */
struct plan_entry {
  uint16_t neighbour;
  uint8_t shown[COMMIT_BITMAP_SIZE];
};
struct plan {
  struct plan_entry *entries;
  size_t count;
  size_t capacity;
  uint16_t *places; /* neighbour number to place in entries plus 1; 0: none */
  size_t places_capacity;
};

/* A commit out of the store, parsed; the last one stays for the next call. */
struct loader {
  uint32_t log;
  uint64_t seq; /* 0: none */
  struct arena arena;
  struct commit commit;
};

/* Room to work in; each transaction has one, the writer keeps its own between transactions. */
struct scratch {
  ZSTD_DCtx *inflate;
  ZSTD_CCtx *deflate;
  struct arena arena;
  struct bytes octets;
  struct bytes frame;
  struct loader loader;
  struct audience audience; /* of a reader */
};

struct log_undo {
  uint32_t number;
  struct log_slot slot;
};
struct neighbour_undo {
  uint16_t number;
  struct neighbour_slot slot;
};

/* Last number or key in use; brought back whole by an abort. */
struct counters {
  uint32_t audience_last;
  uint64_t inbox_last;
  uint32_t quarantine_last;
  uint64_t quarantined;
  uint64_t tombstones;
  uint16_t backfilling; /* neighbours not yet backfilled */
  struct subject subject_last;
  bool subject_any;
};

struct store_txn {
  struct store *store;
  MDB_txn *mdb;
  bool writes;
  struct instant now;
  enum status failed; /* a write went wrong: nothing of this transaction may stand */
  MDB_cursor *cursors[TABLE_COUNT];
  struct scratch *scratch;
  struct counters counters_before;
  uint32_t logs_before;
  uint32_t certificates_before;
  uint16_t neighbours_before;
};

struct store {
  MDB_env *env;
  MDB_dbi tables[TABLE_COUNT];
  int lock_file;
  bool read_only;
  bool floors_missing; /* an older store, opened for reading alone */
  bool no_sync;
  int zstd_level;
  uint64_t quota_bytes;
  uint64_t map_bytes;
  char *path;
  struct store_identity identity;
  bool has_parent;

  pthread_mutex_t logs_lock; /* over logs, log_map and certificates, against readers' threads */
  struct log_slot *logs;     /* number n at n - 1 */
  uint32_t log_count;
  uint32_t logs_capacity;
  struct number_map log_map;
  struct certificate_slot *certificates; /* number n at n - 1 */
  uint32_t certificate_count;
  uint32_t certificates_capacity;
  struct number_map certificate_map;
  struct neighbour_slot **neighbours; /* number n at n - 1 */
  uint16_t neighbour_count;
  struct number_map neighbour_map;
  uint64_t hash_seed;

  struct counters counters;
  struct audience_cache audiences;
  struct plan plan;
  struct history history;
  struct scratch scratch;
  struct arena arena; /* of one call that changes something */

  struct log_undo *log_undos;
  size_t log_undo_count;
  size_t log_undo_capacity;
  struct neighbour_undo *neighbour_undos;
  size_t neighbour_undo_count;
  size_t neighbour_undo_capacity;

  struct store_txn write_txn;
  bool writing;
  _Atomic uint64_t used_bytes;
  _Atomic uint64_t file_bytes;
  _Atomic uint64_t disk_free_bytes;
  uint64_t short_histories;
  _Atomic uint64_t stuck_bytes; /* free pages that were no use when last asked */
  bool room_checked;
  int64_t room_checked_ms;
};

/* ---- txn.c: LMDB, in our words ---- */
enum status db_status(int code);
/* Notes a failed write. */
enum status db_failed(struct store_txn *txn, int code);
/* STATUS_NOT_FOUND. */
MUST_USE enum status db_get(const struct store_txn *txn, enum table table, const void *key,
                            size_t key_size, struct bytes_view *value);
MUST_USE enum status db_put(struct store_txn *txn, enum table table, const void *key,
                            size_t key_size, const void *value, size_t value_size);
/* As db_put; the caller knows that the key is above the table's last. */
MUST_USE enum status db_append(struct store_txn *txn, enum table table, const void *key,
                               size_t key_size, const void *value, size_t value_size);
/* As db_put, but the caller writes the value at once. */
MUST_USE enum status db_reserve(struct store_txn *txn, enum table table, const void *key,
                                size_t key_size, size_t value_size, uint8_t **value);
/* STATUS_NOT_FOUND. */
MUST_USE enum status db_delete(struct store_txn *txn, enum table table, const void *key,
                               size_t key_size);
uint64_t db_count(const struct store_txn *txn, enum table table);
/* A walk by key; db_walk_close ends it whatever happened. A walk that stands on a key deletes it
 * by db_walk_delete and then stands before the next. */
struct walk {
  MDB_cursor *cursor;
  struct bytes_view key;
  struct bytes_view value;
};
/* STATUS_NOT_FOUND past the end. `key` NULL: the first (the last for db_walk_last). */
MUST_USE enum status db_walk_open(const struct store_txn *txn, enum table table, struct walk *walk);
MUST_USE enum status db_walk_from(struct walk *walk, const void *key, size_t key_size);
MUST_USE enum status db_walk_next(struct walk *walk);
MUST_USE enum status db_walk_back(struct walk *walk);
MUST_USE enum status db_walk_last(struct walk *walk);
MUST_USE enum status db_walk_delete(struct store_txn *txn, struct walk *walk);
void db_walk_close(struct walk *walk);

void scratch_close(struct scratch *scratch);

/* ---- room.c: what store_room and store_usage say ---- */
void room_note_disk(struct store *store, struct instant now);
/* Nothing is left on the file system: asked when a write failed. */
bool room_is_used_up(struct store *store);
/* Before a commit, when all is written. */
void room_note_used(const struct store_txn *txn);
/* After it. */
void room_note_file(struct store *store);
/* After opening, when nothing is known of what is free: a part of it is. */
void room_assume(struct store *store);
/* What is free just now can't be used. */
void room_note_stuck(struct store *store);

/* ---- numbers.c: maps from octets to numbers ---- */
typedef bool (*number_equal)(const struct store *store, uint32_t number, const void *key);
uint64_t number_hash(const struct store *store, const void *key, size_t size);
uint32_t number_find(const struct store *store, const struct number_map *map, uint64_t hash,
                     number_equal equal, const void *key);
/* The caller made room (number_reserve). */
void number_add(struct number_map *map, uint64_t hash, uint32_t number);
/* Room for `count` numbers. `*rehash`: the map is now empty, add all again. STATUS_NO_MEMORY. */
MUST_USE enum status number_reserve(struct number_map *map, size_t count, bool *rehash);

/* ---- mirrors: loaded at open, brought back by an abort ---- */
MUST_USE enum status certificates_load(const struct store_txn *txn);
void certificates_rollback(struct store_txn *txn);
/* 0 when unknown. */
uint32_t certificate_number(const struct store *store, const struct hash *id);
MUST_USE enum status certificate_id(const struct store_txn *txn, uint32_t number, struct hash *id);

MUST_USE enum status logs_load(const struct store_txn *txn);
void logs_rollback(struct store_txn *txn);
/* Writes heads of dirty logs. */
MUST_USE enum status logs_flush(struct store_txn *txn);
/* 0 when unknown. */
uint32_t log_number(const struct store *store, const struct log_id *id);
struct log_slot *log_slot(const struct store *store, uint32_t number);
const struct address *log_address(const struct store *store, const struct log_slot *slot);
/* Makes it known, with its first certificate. */
MUST_USE enum status log_put(struct store_txn *txn, const struct log_id *id, uint32_t certificate,
                             uint32_t *number);
/* Before any change. STATUS_NO_MEMORY. */
MUST_USE enum status log_touch(struct store_txn *txn, uint32_t number);
/* After neighbours came or went. */
void logs_direct(struct store *store);
bool log_flows_up(const struct store *store, const struct log_slot *slot);
/* As seen in this transaction, a reader's too. STATUS_NOT_FOUND, STATUS_CORRUPT. */
MUST_USE enum status log_get(const struct store_txn *txn, uint32_t number, struct log_head *out);

MUST_USE enum status neighbours_load(const struct store_txn *txn);
void neighbours_rollback(struct store_txn *txn);
MUST_USE enum status neighbours_flush(struct store_txn *txn);
struct neighbour_slot *neighbour_slot(const struct store *store, uint16_t number);
MUST_USE enum status neighbour_touch(struct store_txn *txn, uint16_t number);
MUST_USE enum status neighbour_get(const struct store_txn *txn, uint16_t number,
                                   struct neighbour *out);
/* Appends the parent's row to a new store. */
MUST_USE enum status neighbours_found(struct store_txn *txn);
/* The neighbour towards an address, NEIGHBOUR_NONE for our own or where no child is known. */
uint16_t neighbour_toward(const struct store *store, const struct address *address);

MUST_USE enum status counters_load(const struct store_txn *txn);

/* ---- commits.c: commits as held ---- */
/* STATUS_NOT_FOUND, STATUS_CORRUPT. */
MUST_USE enum status commit_value_get(const struct store_txn *txn, uint32_t log, uint64_t seq,
                                      struct commit_value *out);
/* Decompresses into the arena. */
MUST_USE enum status commit_value_inflate(const struct store_txn *txn,
                                          const struct commit_value *value, struct arena *arena,
                                          struct bytes_view *octets);
/* Compresses into scratch->frame; good until the next call. */
MUST_USE enum status commit_deflate(const struct store_txn *txn, struct bytes_view octets,
                                    int level, struct bytes_view *frame);
/* Writes a commit's value from what it shows; `trimmed` is COMMIT_TRIMMED or 0. */
MUST_USE enum status commit_value_put(struct store_txn *txn, uint32_t log,
                                      const struct commit *commit, uint32_t certificate,
                                      struct wall_ms arrived_at, uint8_t trimmed,
                                      struct bytes_view frame);
/* COMMIT_EMPTY when no shown item has a value, else 0. */
uint8_t commit_empty_flag(const struct commit *commit);
/* The parsed commit, kept until the next call. */
MUST_USE enum status commit_parsed(const struct store_txn *txn, uint32_t log, uint64_t seq,
                                   const struct commit **out);
/* Forgets what commit_parsed keeps, after a change. */
void commit_parsed_forget(const struct store_txn *txn);
/* Place of a record in indexes and records; false when it isn't shown. */
bool commit_place(const struct commit *commit, unsigned index, size_t *place);
/* Octets with `records` (one view each, parallel to commit->records) in place of its own. */
MUST_USE enum status commit_rewrite(const struct commit *commit, const struct bytes_view *records,
                                    struct bytes *out);

/* ---- erase.c ---- */
/* Hides items that tombstones name; `*changed` says whether any was, then `out` is what is left,
 * parsed, in the store's arena. */
MUST_USE enum status tombstones_bind(struct store_txn *txn, const struct commit *commit,
                                     struct commit *out, bool *changed);

/* Positions of items that are shown, a bit each. */
uint64_t record_shown(const struct record *record);
/* The record's octets without those items, in the arena. */
MUST_USE enum status record_hide(const struct record *record, uint64_t positions,
                                 struct arena *arena, struct bytes_view *octets);
/* Parses what a commit is with those record octets, in the arena. */
MUST_USE enum status commit_replace(const struct store_txn *txn, const struct commit *commit,
                                    const struct bytes_view *records, struct arena *arena,
                                    struct commit *out);

/* ---- backed.c ---- */
MUST_USE enum status backed_load(const struct store_txn *txn);
/* A commit at that place shows more than before. */
MUST_USE enum status backed_lower(struct store_txn *txn, uint32_t log, uint64_t seq);

/* ---- history.c ---- */
/* Somebody new is concerned by a subject of which something was let go. */
MUST_USE enum status history_want(struct store_txn *txn, const struct subject *subject);

/* ---- floors.c ---- */
MUST_USE enum status floors_load(const struct store_txn *txn);
/* Takes a commit of which nothing is left to keep out of the store. */
MUST_USE enum status commit_remove(struct store_txn *txn, uint32_t log, const struct commit *commit,
                                   const struct trim_holder *holders, size_t holder_count);
/* Refs to commits that are gone, from the start of the inbox on, at most that many. */
MUST_USE enum status inbox_prune(struct store_txn *txn, size_t count_max);

/* ---- audiences.c ---- */
MUST_USE enum status audience_cache_init(struct audience_cache *cache);
void audience_cache_close(struct audience_cache *cache);
void audience_cache_clear(struct audience_cache *cache);
/* 0 gives the empty one. `out` is initialised and the caller's to close. */
MUST_USE enum status audience_load(const struct store_txn *txn, uint32_t number,
                                   struct audience *out);
MUST_USE enum status audience_intern(struct store_txn *txn, const struct audience *audience,
                                     uint32_t *number);
/* Neighbours concerned; good until the next call. */
MUST_USE enum status audience_neighbours(struct store_txn *txn, uint32_t audience,
                                         const uint16_t **numbers, size_t *count);
/* For any transaction. */
MUST_USE enum status audience_concerns(const struct store_txn *txn, uint32_t audience,
                                       const struct neighbour *neighbour, bool *concerned);
/* What a record of that log makes of the audience. */
MUST_USE enum status audience_step(struct store_txn *txn, uint32_t from, uint32_t log, bool founder,
                                   const struct record_header *header, struct transition *out);
bool audience_names(const struct record_header *header, const struct address *address);

/* ---- subject_rows.c ---- */
/* STATUS_NOT_FOUND leaves an empty row. */
MUST_USE enum status subject_row_get(const struct store_txn *txn, const struct subject *subject,
                                     struct subject_row *out);
MUST_USE enum status subject_row_put(struct store_txn *txn, const struct subject *subject,
                                     const struct subject_row *row);
/* Moves a full tail to a chunk first. `*full`: SUBJECT_RECORDS_MAX reached, nothing was added. */
MUST_USE enum status subject_row_add(struct store_txn *txn, const struct subject *subject,
                                     struct subject_row *row, const struct ref *ref, bool *full);
/* All refs in order, in the arena. */
MUST_USE enum status subject_refs_load(const struct store_txn *txn, const struct subject *subject,
                                       const struct subject_row *row, struct arena *arena,
                                       struct ref **refs);
/* Leaves only those refs. */
MUST_USE enum status subject_refs_replace(struct store_txn *txn, const struct subject *subject,
                                          struct subject_row *row, const struct ref *refs,
                                          size_t count);
/* Writes flags back to the chunks and the row's tail. */
MUST_USE enum status subject_refs_save(struct store_txn *txn, const struct subject *subject,
                                       struct subject_row *row, const struct ref *refs);
/* Whether the ref is there, and marked. */
MUST_USE enum status subject_ref_find(const struct store_txn *txn, const struct subject *subject,
                                      const struct subject_row *row, const struct ref *like,
                                      bool *found, bool *marked);

/* ---- route.c, route_grow.c, plan.c ---- */
/* A commit being taken in. */
struct arrival {
  uint32_t log;
  const struct log_slot *slot;
  const struct commit *commit;
  const uint8_t *fresh; /* records shown for the first time, by index */
  bool back;            /* it was here before and was let go: those above hold it */
  struct applied *applied;
};
/* Puts records into their subjects and plans where they go. */
MUST_USE enum status route_records(struct store_txn *txn, const struct arrival *arrival);
/* Plans records of which more items are shown now. */
MUST_USE enum status route_items(struct store_txn *txn, const struct arrival *arrival,
                                 const struct commit *before, const uint8_t *gained);
/* A record, the last in the row, made the audience grow: tries marked records again, which may
 * grow `to` and changes the row's refs and flags, and spreads history. */
struct growth {
  struct subject subject;
  uint32_t from; /* audience before */
  uint32_t to;   /* after */
  struct subject_row *row;
};
MUST_USE enum status route_grow(struct store_txn *txn, const struct arrival *arrival,
                                struct growth *growth, unsigned index);

MUST_USE enum status plan_begin(struct store_txn *txn);
MUST_USE enum status plan_add(struct store_txn *txn, uint16_t neighbour, const uint8_t *shown);
/* Queues what was planned. `always_up`: the parent gets an entry also without records. */
MUST_USE enum status plan_queue(struct store_txn *txn, const struct arrival *arrival,
                                bool always_up);
/* Whether a record of that subject goes to the neighbour directly (not left to the backfill). */
bool neighbour_takes(const struct neighbour_slot *slot, const struct subject *subject);

/* In `lane`, that of the widening; but a commit that the parent may not hold yet must not overtake
 * those before it in its log, and stays in its own. Nothing goes back to where it came from; a
 * record of the arrival's own commit (NULL: none) goes to the plan instead. */
MUST_USE enum status history_add(struct store_txn *txn, const struct arrival *arrival,
                                 uint16_t neighbour, const struct ref *ref, unsigned lane);
/* Queues what was added. */
MUST_USE enum status history_queue(struct store_txn *txn);

/* ---- outbox.c, outgoing.c ---- */
MUST_USE enum status outbox_push(struct store_txn *txn, uint16_t neighbour, unsigned lane,
                                 uint32_t log, uint64_t seq, const struct commit_value *value,
                                 const uint8_t *shown);
/* Something of the log from `seq` on waits in an outbox. */
void pins_lower(struct store *store, uint32_t log, uint64_t seq);
/* At open: what the parent holds of each log, from what is still pending for it. */
MUST_USE enum status outbox_load(const struct store_txn *txn);
/* What goes out of a held commit: those records (`shown` NULL: all that are shown), those items
 * that the class may see. Position and tag are the caller's. */
MUST_USE enum status outgoing_write(const struct store_txn *txn, const struct commit_value *value,
                                    const uint8_t *shown, unsigned class_bit, struct arena *arena,
                                    struct outgoing *out);

/* ---- log_read.c ---- */
/* Which of its shown records the neighbour is in the audience of. */
MUST_USE enum status commit_shown_to(const struct store_txn *txn, uint32_t log,
                                     const struct commit *commit, uint16_t neighbour,
                                     uint8_t shown[COMMIT_BITMAP_SIZE]);

/* ---- inbox.c ---- */
MUST_USE enum status inbox_put(struct store_txn *txn, const struct ref *ref);
/* ---- quarantine.c ---- */
MUST_USE enum status quarantine_passed(struct store_txn *txn, const struct log_slot *slot,
                                       uint64_t seq);
/* ---- subjects.c ---- */
/* The record stands in the arena. */
MUST_USE enum status held_record_read(const struct store_txn *txn, const struct ref *ref,
                                      struct arena *arena, struct held_record *out);

static inline unsigned bitmap_count(const uint8_t *bitmap)
{
  unsigned count = 0;

  for (size_t i = 0; i < COMMIT_BITMAP_SIZE; i++)
    count += (unsigned)__builtin_popcount(bitmap[i]);
  return count;
}

#endif
