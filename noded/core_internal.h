/*
 * What the core's files share. One struct, one thread; each file owns the part that is marked as
 * its own.
 */
#ifndef NODED_CORE_INTERNAL_H
#define NODED_CORE_INTERNAL_H

#include <event2/event.h>
#include <pthread.h>

#include "noded/core.h"
#include "noded/peers.h"
#include "record/check.h"
#include "storage/neighbours.h"

#define CORE_SOFTWARE "noded " NODED_VERSION
#define CORE_BACKFILL_SUBJECTS 500 /* a transaction */
#define CORE_PENDING_MAX 512       /* messages that wait for one transaction */
#define CORE_LAZY_MS 250           /* acknowledgements of outboxes may wait so long */
#define CORE_SALT_POOL 4096
#define CORE_COUNTER_HLC "hlc"
#define COSIGN_KIND "cosignatures"

/* Something that the next transaction does. */
enum pending_type { PENDING_EFFECT, PENDING_CHILD };
struct pending {
  enum pending_type type;
  struct repl_effect effect;  /* holds its message */
  struct core_import *import; /* whose verdicts are counted there; may be NULL */
  uint32_t peer;              /* PENDING_CHILD: the connection that waits for its number */
  struct address address;
  struct repl_refused *refused; /* filled by the transaction */
  size_t refused_count;
};

struct lazy_ack {
  uint64_t position[LANE_COUNT]; /* 0: none waits */
};

struct core {
  const struct config *config;
  const struct core_identity *identity;
  struct event_base *base;
  struct store *store;
  struct repl_node *node;
  struct peers *peers;
  struct repl_effects effects; /* of the step under way */
  struct clock_hlc hlc;
  uint64_t hlc_stored;   /* as it stands in the store */
  uint64_t records_held; /* counted with what each transaction takes in */
  uint64_t records_stored;
  struct arena arena; /* of one turn */
  struct core_figures figures;
  bool has_previous; /* the store was put back: what it was before */
  struct store_id previous;
  bool room;
  bool broken; /* the store failed: start again from it */
  bool stopping;

  struct event *turn_event; /* something to do */
  struct event *timer;
  struct event *inbox_event; /* the transport has something */
  struct event *wake_event;  /* tasks were posted */
  int wake_fd;
  pthread_mutex_t task_lock;
  struct core_task *task_first;
  struct core_task *task_last;

  struct pending *pending; /* core_txn.c */
  size_t pending_count;
  size_t pending_capacity;
  struct lazy_ack *lazy; /* by neighbour number */
  size_t lazy_count;
  bool lazy_waits;
  struct mono_ms lazy_at;
  bool backfill;                                      /* some neighbour lacks history */
  uint64_t told_ends[NEIGHBOURS_MAX + 1][LANE_COUNT]; /* last told to the node */

  struct core_append *append_first; /* core_append.c */
  struct core_append *append_last;
  struct commit_builder *builders;  /* one a lane, made at first use */
  struct subject *builder_subjects; /* LANE_COUNT x COMMIT_RECORDS_MAX */
  struct core_appended **builder_appended;
  struct bytes scratch;
  uint8_t salts[CORE_SALT_POOL];
  size_t salts_left;

  struct core_import *import_first; /* core_bundle.c */
  struct core_import *import_last;
  struct core_retry *drop_first;

  struct core_backup *backup_first; /* core_backup.c: to be confirmed */

  struct resync *resync_first; /* core_resync.c */

  struct cosigning *cosigning; /* core_cosign.c */
  struct trimming *trimming;   /* core_trim.c */
  uint64_t short_histories;    /* ... as last told */

  struct histories *histories; /* core_history.c */

  struct core_snapshot *snapshot_first;    /* core_snapshot.c */
  int64_t snapshot_at[NEIGHBOURS_MAX + 1]; /* ms, 0: none counts */
  bool behind; /* the parent dropped what waited for us, and we are not level yet */
  bool behind_stored;

  atomic_bool hidden;    /* core_hidden.c: no item is shown */
  struct hiding *hiding; /* NULL: nothing is asked for yet */
  struct core_unhide *unhide_first;

  uint16_t drop_neighbour; /* core_outbox.c: what waits for this child is being dropped; 0: none */
  struct mono_ms drop_check_at;

  struct tree_query *trees; /* core_tree.c */
  uint64_t query_id;
};

struct instant core_now(void);
/* Something was queued: a turn comes soon. */
void core_wake(struct core *core);
/* Takes an event to the node and carries out what follows, but for what waits for the next
 * transaction. */
void core_step(struct core *core, const struct repl_event *event);
/* core_turn.c: one turn, and when the next is due if nothing comes before (core_wake asks for one
 * at once). */
void core_turn(struct core *core);
int64_t core_deadline(const struct core *core, struct mono_ms now);
/* At the end: what waits is made durable and answered, links end. */
void core_settle(struct core *core);
/* Drops all that core_turn works on; nothing more is made durable. */
void core_release(struct core *core);
/* Starts over from the store: links end, what waited is answered with `status`. */
void core_restart(struct core *core, enum status status);

/* core_txn.c */
void txn_add_effect(struct core *core, struct repl_effect *effect, struct core_import *import);
void txn_add_child(struct core *core, uint32_t peer, const struct address *address);
/* Work is left for a transaction, beside what came from neighbours. */
bool txn_has_work(const struct core *core);
bool txn_is_due(const struct core *core, struct mono_ms now);
void txn_run(struct core *core);
void txn_drop_pending(struct core *core);

/* core_append.c: within the transaction, then after it. */
MUST_USE enum status append_run(struct core *core, struct store_txn *txn);
void append_finish(struct core *core, enum status status);
bool append_waits(const struct core *core);
void append_close(struct core *core);

/* core_bundle.c */
void bundle_queue(struct core *core);
MUST_USE enum status bundle_run(struct core *core, struct store_txn *txn);
void bundle_finish(struct core *core, enum status status);
bool bundle_waits(const struct core *core);

/* core_backup.c */
bool backup_waits(const struct core *core);
MUST_USE enum status backup_run(struct core *core, struct store_txn *txn);
void backup_finish(struct core *core, enum status status);

/* core_load.c: effects that read. */
void load_outbox(struct core *core, const struct repl_effect *effect);
void load_log(struct core *core, const struct repl_effect *effect);
void load_check_cursors(struct core *core, const struct repl_effect *effect);
void load_heads(struct core *core, const struct repl_effect *effect);
/* Whether the log's origin stands in that neighbour's direction. */
bool load_stands_toward(const struct core *core, const struct log_head *head, uint16_t neighbour);
/* Heads of this node's own logs, for idle. */
void load_own_heads(struct core *core, struct idle_head heads[LANE_COUNT]);
/* From where a log of which `refused->seq` was refused is wanted again. */
void load_refused(const struct core *core, const struct log_id *id, struct repl_refused *refused);
/* Opens the store, or makes an empty one; `reason` as in core_new. */
MUST_USE enum status load_store(struct core *core, const struct store_settings *settings,
                                char *reason);
/* Fills a new repl node from the store. */
MUST_USE enum status load_node(struct core *core, char *reason);

/* core_resync.c: what a neighbour's heads say is to be sent again. */
void resync_add(struct core *core, struct repl_effect *effect);
bool resync_waits(const struct core *core);
void resync_run(struct core *core);
void resync_close(struct core *core);

/* core_cosign.c: what we and those above us vouch for, when a child asks, or our own trimming. */
/* Asks the parent; the answer comes to trim_answered with the same id. 0: it can't be asked. */
uint64_t cosign_ask(struct core *core, const struct trim_ask *asks, size_t count);
void cosign_query(struct core *core, const struct repl_effect *effect);
/* False when it answers something else. */
bool cosign_answered(struct core *core, const struct repl_effect *effect);
void cosign_tick(struct core *core, struct mono_ms now);
int64_t cosign_deadline(const struct core *core);
void cosign_close(struct core *core);

/* core_history.c: what was let go here, asked for again where somebody came late to it. */
#define HISTORY_KIND "history"
void history_query(struct core *core, const struct repl_effect *effect);
/* False when it answers something else. */
bool history_answered(struct core *core, const struct repl_effect *effect);
void history_tick(struct core *core, struct mono_ms now);
int64_t history_deadline(const struct core *core);
bool history_waits(const struct core *core);
/* Something more is wanted. */
void history_wake(struct core *core);
MUST_USE enum status history_run(struct core *core, struct store_txn *txn);
void history_close(struct core *core);

/* core_outbox.c: limits on what waits for children that are away. */
void outbox_tick(struct core *core, struct instant now);
int64_t outbox_deadline(const struct core *core, struct mono_ms now);
MUST_USE enum status outbox_run(struct core *core, struct store_txn *txn);

/* core_snapshot.c: snapshots begun for children. */
bool snapshot_waits(const struct core *core);
MUST_USE enum status snapshot_run(struct core *core, struct store_txn *txn);
void snapshot_finish(struct core *core, enum status status);
/* What waited for the child since is dropped: it no longer counts. */
MUST_USE enum status snapshot_forget(struct core *core, struct store_txn *txn, uint16_t neighbour);
void snapshot_load(struct core *core, const struct store_txn *txn);
/* A link says that what was dropped is sent again, or has come. */
void snapshot_note(struct core *core, const struct repl_effect *effect);
MUST_USE enum status snapshot_put_behind(struct core *core, struct store_txn *txn);
/* What the child's outbox lacked has come there. */
void snapshot_tell_level(const struct core *core, uint16_t neighbour);
#define CORE_COUNTER_BEHIND "behind"

/* core_hidden.c: a restored store waits for the parent's tombstones. */
#define HIDDEN_KIND "tombstones"
#define CORE_COUNTER_HIDDEN "hidden" /* 1 from a restore on */
void hidden_load(struct core *core, const struct store_txn *txn);
void hidden_query(struct core *core, const struct repl_effect *effect);
/* False when it answers something else. */
bool hidden_answered(struct core *core, const struct repl_effect *effect);
void hidden_tick(struct core *core, struct mono_ms now);
int64_t hidden_deadline(const struct core *core);
bool hidden_waits(const struct core *core);
MUST_USE enum status hidden_run(struct core *core, struct store_txn *txn);
void hidden_finish(struct core *core, enum status status);
void hidden_close(struct core *core);

/* core_floor.c: a neighbour's copy of a log begins late. */
MUST_USE enum status floor_apply(struct core *core, struct store_txn *txn,
                                 const struct repl_effect *effect);
/* Who holds each address above us, by the certificates known here; how many. */
#define CORE_ABOVE_MAX (ADDRESS_SEGMENTS_MAX + 1)
struct core_above {
  struct address address;
  struct node_key key;
};
size_t floor_find_above(const struct core *core, struct core_above above[CORE_ABOVE_MAX]);

/* core_trim.c */
/* What one tier says to the ask at that place. */
struct cosign_said {
  size_t place;
  struct bytes_view cosignature;
};
void trim_answered(struct core *core, uint64_t id, const struct cosign_said *said, size_t count);
void trim_tick(struct core *core, struct mono_ms now);
int64_t trim_deadline(const struct core *core);
bool trim_waits(const struct core *core);
MUST_USE enum status trim_run(struct core *core, struct store_txn *txn);
void trim_finish(struct core *core, enum status status);
void trim_close(struct core *core);

/* core_tree.c */
void tree_query(struct core *core, const struct repl_effect *effect);
void tree_answered(struct core *core, const struct repl_effect *effect);
void tree_tick(struct core *core, struct mono_ms now);
int64_t tree_deadline(const struct core *core);
void tree_close(struct core *core);

#endif
