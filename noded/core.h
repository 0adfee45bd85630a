/*
 * The core: the one thread that owns the write transaction and all protocol state (DESIGN section
 * 9). Other threads reach it by core_post; everything else here is for the core thread alone.
 * What waits when a turn of the loop ends goes into one transaction, one fsync, and one signature
 * a commit; callbacks come after it is durable.
 */
#ifndef NODED_CORE_H
#define NODED_CORE_H

#include <stdatomic.h>

#include "noded/config.h"
#include "record/certificate.h"
#include "record/snapshot.h"
#include "replication/node.h"
#include "storage/logs.h"
#include "storage/store.h"
#include "storage/trim.h"

struct core;
struct event_base;

/* Who this node is, as loaded from its directory. */
struct core_identity {
  struct node_key key;
  uint8_t secret_key[64];
  struct address address;
  struct hash root;        /* id of the root certificate */
  struct bytes chain;      /* array of certificates, root first */
  struct hash certificate; /* id of our own */
};

/* Opens (or makes) the store, fills the replication node, starts listening and dialing.
 * `reason` has STORE_REASON_MAX octets. The config and identity outlive the core. */
MUST_USE enum status core_new(const struct config *config, const struct core_identity *identity,
                              struct event_base *base, struct core **out, char *reason);
/* Finishes what waits, says goodbye to neighbours, closes the store. */
void core_free(struct core *core);

/* Runs task->run on the core thread, soon, in order of posting; any thread. The task is the
 * caller's memory until run is called. */
struct core_task {
  void (*run)(struct core *core, struct core_task *task);
  struct core_task *next; /* the core's */
};
void core_post(struct core *core, struct core_task *task);

/* For reader threads: the store may be read by any thread (store_read_begin). */
struct store *core_store(struct core *core);
const struct core_identity *core_get_identity(const struct core *core);

/* Appending records of this node. */
struct core_draft {
  const char *kind;
  bool found; /* a new subject is founded; `subject` is then filled in */
  struct subject subject;
  uint8_t lane;
  uint8_t up;
  uint8_t down_count;
  const char *const *down;
  const char *author;
  uint8_t item_count;
  const struct item_draft *items; /* salts are the core's to fill: may be zeros */
};
struct core_appended {
  struct subject subject;
  uint32_t log;
  uint64_t seq;
  uint8_t index;
  uint64_t hlc;
  uint32_t gen;
};
/* Several drafts that stand or fall together. Memory stays the caller's until `done` was called:
 * STATUS_OK after they are durable, with `appended` filled (parallel to drafts); or
 * STATUS_INVALID_ARGUMENT, STATUS_NOT_FOUND (subject unknown here), STATUS_NOT_ALLOWED (a target
 * outside our authority), STATUS_DISK_FULL; `reason` in words, and `bad` the draft's position. */
struct core_append {
  const struct core_draft *drafts;
  size_t count;
  struct core_appended *appended;
  size_t bad;
  char reason[256];
  void (*done)(struct core *core, struct core_append *append, enum status status);
  enum status state;        /* the core's */
  struct core_append *next; /* the core's */
};
void core_append(struct core *core, struct core_append *append);

/* Signs a certificate for a child of this node and appends `node.certify`. `done` gets the chain
 * (root first, the child's last) in `chain`. STATUS_INVALID_ARGUMENT when the address isn't
 * directly below us. */
struct core_certify {
  struct node_key key;
  struct address address;
  uint64_t days;
  struct bytes chain; /* filled; the caller closes */
  char reason[256];
  void (*done)(struct core *core, struct core_certify *certify, enum status status);
  struct core_append append;     /* the core's */
  struct core_draft draft;       /* the core's */
  struct item_draft item;        /* the core's */
  struct core_appended appended; /* the core's */
  struct bytes body;             /* the core's */
  const char *target;            /* the core's */
};
void core_certify(struct core *core, struct core_certify *certify);

/* Takes a bundle in by the path that a link uses. `octets` stays the caller's until done. */
struct core_import {
  struct bytes_view octets;
  uint64_t taken;
  uint64_t duplicate;
  uint64_t refused;
  uint64_t certificates;
  struct bytes refusals; /* msgpack array elements as in docs/ADMIN.md; `refusal_count` of them */
  uint32_t refusal_count;
  char reason[256];
  void (*done)(struct core *core, struct core_import *import, enum status status);
  enum status state;        /* the core's */
  struct core_import *next; /* the core's */
};
void core_import(struct core *core, struct core_import *import);

/* Judges a quarantined commit again (0: all) and asks the neighbour for what is missing. */
struct core_retry {
  uint32_t number;
  uint32_t retried;
  void (*done)(struct core *core, struct core_retry *retry, enum status status);
  enum status state;       /* the core's */
  struct core_retry *next; /* the core's */
};
void core_retry(struct core *core, struct core_retry *retry);
/* Drops a quarantine entry; `done` by the same struct. */
void core_drop(struct core *core, struct core_retry *drop);

/* The tree, gathered from all connected children until `timeout_ms`. `rows` is a msgpack array of
 * rows as in docs/ADMIN.md, whole. */
struct core_tree {
  uint32_t timeout_ms;
  struct bytes rows; /* filled; the caller closes */
  void (*done)(struct core *core, struct core_tree *tree, enum status status);
  void *state; /* the core's */
};
void core_tree(struct core *core, struct core_tree *tree);

/* Lets go what may go now, or only says what would (`dry`). `days`: how old it must be, else as
 * configured. STATUS_BUSY while another runs, STATUS_NOT_ALLOWED where nothing is configured or
 * nobody above could hold it; `reason` in words, also when it ended early. */
struct core_trim {
  bool dry;
  bool has_days;
  uint64_t days;
  struct trim_result result;
  char reason[256];
  void (*done)(struct core *core, struct core_trim *trim, enum status status);
};
void core_trim(struct core *core, struct core_trim *trim);

/* A backup is begun (how far each log goes is noted), and confirmed once the copy was read back and
 * found good: then it counts for trimming, and as the last one. */
struct core_backup {
  uint64_t *seqs; /* the core's until confirmed or dropped */
  uint32_t count;
  int64_t at_ms; /* filled */
  uint64_t octets;
  void (*done)(struct core *core, struct core_backup *backup, enum status status);
  struct core_backup *next; /* the core's */
};
MUST_USE enum status core_backup_begin(struct core *core, struct core_backup *backup);
void core_backup_confirm(struct core *core, struct core_backup *backup);
void core_backup_drop(struct core_backup *backup);
/* A snapshot for a child is begun: who the child is here, and where the outbox for it ends, both
 * durable, so that what comes from here on is kept for it by the limits of `outbox` also where what
 * waited before was dropped. STATUS_NOT_FOUND: no such child has ever linked here. */
struct core_snapshot {
  struct address child;
  uint16_t neighbour;        /* filled */
  struct snapshot_head head; /* filled */
  void (*done)(struct core *core, struct core_snapshot *snapshot, enum status status);
  enum status state;          /* the core's */
  struct core_snapshot *next; /* the core's */
};
void core_snapshot(struct core *core, struct core_snapshot *snapshot);
/* When the last one was begun, since when what waits for the child was not dropped; 0: never. */
struct wall_ms core_get_snapshot_at(const struct core *core, uint16_t neighbour);

/* A store that was put back shows no item before the parent's tombstones are in it; any thread. */
bool core_is_hidden(const struct core *core);
/* Shows items without them. */
struct core_unhide {
  void (*done)(struct core *core, struct core_unhide *unhide, enum status status);
  struct core_unhide *next; /* the core's */
};
void core_unhide(struct core *core, struct core_unhide *unhide);

/* The node's directory; any thread. */
const char *core_directory(const struct core *core);

/* Figures of trimming since the start. */
struct core_trim_figures {
  bool configured;
  struct wall_ms last_at; /* 0: no run has ended */
  uint64_t items;
  uint64_t commits;
  uint64_t records;
  uint64_t short_histories;
  const char *reason; /* why the last run ended early; static, "" when it didn't */
};
void core_get_trim(const struct core *core, struct core_trim_figures *out);

/* Figures for `status`, read on the core thread. */
struct core_link_figures {
  uint16_t neighbour;
  bool connected;
  struct wall_ms since;      /* of the present state */
  struct wall_ms last_heard; /* 0: never */
  uint64_t rate_bytes_s;     /* as measured, 0: unknown */
  bool needs_snapshot;       /* what waited was dropped, and has not all come yet */
};
struct core_figures {
  struct wall_ms started_at;
  struct wall_ms now;
  int64_t hlc_ahead_ms;
  uint64_t transactions;
  uint64_t commits_in;
  uint64_t records_in;
  uint64_t records_own;
  uint64_t fsync_us_total;
};
void core_get_figures(const struct core *core, struct core_figures *figures);
/* False when the neighbour is unknown. */
bool core_get_link(const struct core *core, uint16_t neighbour, struct core_link_figures *out);

#endif
