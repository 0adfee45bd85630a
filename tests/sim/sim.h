/*
 * The simulator: a whole tree of nodes in one process, on a simulated network, clock and disk, all
 * from one seed. Everything below the transport is the daemon's own code; what stands here is the
 * world around it: time (world.c), wires (wire.c), nodes and their machines (node.c, machine.c),
 * work (work.c), faults (fault.c), and what must hold (model.c, check.c).
 */
#ifndef SIM_SIM_H
#define SIM_SIM_H

#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "noded/core_internal.h"
#include "record/codec.h"

#define SIM_NODES_MAX 420
#define SIM_PATH_MAX 128
#define SIM_SECOND 1000000LL
#define SIM_MINUTE (60 * SIM_SECOND)
#define SIM_NONE UINT32_MAX
#define SIM_START_MS 1764000000000LL /* virtual wall time at the start */

struct world;
struct sim_node;

/* ---- random octets from the seed (random.c) ---- */
struct sim_random {
  uint64_t state[4];
};
void random_seed(struct sim_random *random, uint64_t seed);
uint64_t random_next(struct sim_random *random);
/* 0 to below - 1. */
uint64_t random_below(struct sim_random *random, uint64_t below);
int64_t random_between(struct sim_random *random, int64_t least, int64_t most);
bool random_chance(struct sim_random *random, unsigned percent);
/* libsodium draws from the seed from now on. */
void random_install(uint64_t seed);

/* ---- time and trace (world.c) ---- */
typedef void sim_action(struct world *world, uint32_t who, uint64_t what);
struct sim_event {
  int64_t at_us;
  uint64_t tie;
  sim_action *run;
  uint32_t who;
  uint64_t what;
};

#define TRACE_LINES 80
#define TRACE_WIDTH 200
struct sim_trace {
  uint64_t hash;
  uint64_t count;
  char lines[TRACE_LINES][TRACE_WIDTH];
};

enum sim_fault {
  FAULT_DELAY,
  FAULT_SLOW_LINK,
  FAULT_PIPE,      /* a connection dies, often in the middle of a frame */
  FAULT_PARTITION, /* nothing passes for a while, nobody is told */
  FAULT_FLAP,
  FAULT_CRASH,        /* between two turns */
  FAULT_CRASH_COMMIT, /* before or after a transaction stands */
  FAULT_SLOW_DISK,
  FAULT_DISK_FULL, /* transactions fail */
  FAULT_DISK_LOW,  /* little room: nothing new is taken */
  FAULT_CLOCK,     /* jumps, drift */
  FAULT_JOIN,      /* a child that comes late */
  FAULT_REPLACE,   /* a device is lost, another takes its address */
  FAULT_FORGE,     /* a child sends what must be refused */
  FAULT_RESTORE,   /* restart from an old copy of the store */
  FAULT_COUNT
};
extern const char *const fault_names[FAULT_COUNT];

/* ---- wires (wire.c) ---- */
struct sim_link { /* from a node to its parent, by the child's index */
  int64_t delay_us;
  int64_t jitter_us;
  uint64_t octets_s; /* 0: no limit */
  int64_t blocked_until_us;
  int64_t disturbed_us; /* last time that something happened to it */
};
void wire_block(struct world *world, uint32_t child, int64_t until_us);
/* Every connection of that link dies, in the middle of what is on the way. */
void wire_cut(struct world *world, uint32_t child);
/* Ends of all connections of a node that is gone; `silent`: the others are not told. */
void wire_node_gone(struct world *world, uint32_t node, bool silent);
void wire_close_all(struct world *world);
size_t wire_unsent_max(const struct world *world);

/* ---- nodes (node.c) ---- */
struct sim_node {
  struct world *world;
  uint32_t index;
  uint32_t parent; /* SIM_NONE: the district */
  struct address address;
  struct config config;
  char path[SIM_PATH_MAX];
  char parent_url[24];
  char listen_url[24];
  struct core_identity identity;
  struct core *core; /* NULL: not running */
  struct transport *transport;
  bool joined;  /* has a certificate */
  bool joining; /* waits for one */
  bool lost;    /* a device was lost here: what it alone held is gone */
  unsigned boots;
  uint64_t epoch;
  uint64_t turn_token;
  uint64_t turns;
  int64_t turn_at_us;
  int64_t busy_until_us; /* the machine works until then */
  int64_t mono_base_ms;
  int64_t wall_offset_ms;
  int64_t drift_ppm;
  int64_t drift_from_us;
  int64_t disk_us; /* a transaction takes so long */
  bool disk_full;
  bool disk_low;
  unsigned crash_in; /* commits until it crashes; 0: it doesn't */
  bool crash_after;  /* the transaction stands, nobody was told */
  uint64_t acked_seq[LANE_COUNT];
  struct store_id acked_store;
  uint64_t crashes;
  int64_t trouble_us; /* last time that something happened to it */
};

void node_init(struct world *world, uint32_t index, const char *address, uint32_t parent);
/* Gives it a key and a certificate by the parent's key, without asking the parent. */
void node_certify(struct world *world, uint32_t index);
void node_key_new(struct sim_node *node);
void node_start(struct world *world, uint32_t index);
/* The process dies: what isn't in a transaction that stands is gone. */
void node_crash(struct world *world, uint32_t index, bool silent);
void node_forget(struct sim_node *node);
struct sim_node *node_of(const struct core *core);
/* Microseconds of world time until the node's clock shows `mono`. */
int64_t node_time_of(const struct sim_node *node, int64_t mono_ms);
void node_clock_set(struct sim_node *node, int64_t offset_ms, int64_t drift_ppm);
void node_store_settings(const struct sim_node *node, struct store_settings *settings);
void node_schedule(struct sim_node *node, int64_t at_us);

/* ---- what was written, and who should have it (model.c) ---- */
enum write_state { WRITE_UNKNOWN, WRITE_ACKED, WRITE_REFUSED, WRITE_LOST };
#define MODEL_DOWN_MAX 4
#define MODEL_ITEMS_MAX 3
struct model_target {
  uint32_t node;
  bool subtree;
};
struct model_record {
  uint32_t writer;
  uint32_t subject; /* in the model's table; SIM_NONE until the founding was acked or seen */
  bool founds;
  uint8_t lane;
  uint8_t up;
  uint8_t down_count;
  struct model_target down[MODEL_DOWN_MAX];
  uint8_t item_count;
  uint8_t see[MODEL_ITEMS_MAX];
  enum write_state state;
  enum write_state was; /* before its device was lost */
  bool by_lost;         /* written by a device that is lost */
  bool exists;          /* some node holds it: found by the last look */
  struct store_id store;
  uint64_t seq;
  uint64_t hlc;
  uint32_t gen;
  int64_t at_us;
};
struct model_subject {
  struct subject id;
  uint32_t founder;
  bool loose; /* some of it was lost with a device: not all need have what is left */
};
struct model {
  struct model_record *records;
  size_t count;
  size_t capacity;
  struct model_subject *subjects;
  size_t subject_count;
  size_t subject_capacity;
};
struct model_record *model_add(struct world *world);
uint32_t model_subject_add(struct world *world, const struct subject *id, uint32_t founder);
/* Who may see a subject, by the plain reading of the rule: `full` and `reads` have a flag a node.*/
void model_audience(const struct world *world, uint32_t subject, bool *full, bool *reads);
bool model_item_reaches(const struct world *world, const struct model_record *record, unsigned item,
                        uint32_t node);
void model_close(struct model *model);

/* ---- work, faults, checks ---- */
struct sim_write;
void work_start(struct world *world);
void fault_start(struct world *world);
/* All faults end: links whole, disks and clocks good, everyone runs. */
void fault_heal(struct world *world);
void fault_count(struct world *world, enum sim_fault fault);
/* A child that isn't there yet gets its certificate; a device is lost and another comes; all
 * that are still missing come. */
void join_one(struct world *world);
void join_replace(struct world *world);
void join_rest(struct world *world);
/* A child sends its parent what must be refused. */
void forge_one(struct world *world);
/* What that node shows of lost devices is not lost. */
void check_kept(struct world *world, uint32_t index);
/* A node that just started: what its neighbours were told by it is durable. */
void check_told_at_start(struct world *world, const struct sim_node *node);
void check_urgent_later(struct world *world, size_t number);
bool check_is_quiet(struct world *world);
/* After a restart: what was acknowledged is still there. */
void check_own_log(struct world *world, struct sim_node *node);
/* Before and after some quiet seconds: nobody is busy with nothing. */
void check_idle_begin(struct world *world);
void check_idle_end(struct world *world);
void check_all(struct world *world);

/* ---- the world ---- */
struct sim_settings {
  uint64_t seed;
  unsigned nodes;      /* 0: by the seed */
  unsigned fault_mask; /* bits of enum sim_fault that may happen */
  bool only;           /* and do, in every run */
  bool trace;          /* print as it goes */
  const char *directory;
};
struct sim_wires;
struct world {
  struct sim_settings settings;
  struct sim_random random;
  int64_t now_us;
  uint64_t tie;
  struct sim_event *heap;
  size_t heap_count;
  size_t heap_capacity;
  uint64_t events;
  struct sim_trace trace;
  struct sim_node *nodes;
  uint32_t node_count;
  uint32_t current; /* the node whose code runs */
  jmp_buf crash;
  bool crash_armed;
  struct sim_link *links;
  struct sim_wires *wires;
  struct model model;
  bool healed;
  int64_t faults_end_us;
  uint64_t fault_counts[FAULT_COUNT];
  uint64_t writes;
  uint64_t acked;
  uint64_t urgent_checked;
  unsigned quiet_looks;
  uint64_t quiet_taken;
  bool clocks_wrong;
  bool hostile; /* somebody sends what must be refused */
  uint8_t root_secret[64];
  struct bytes root_certificate;
  struct hash root;
  bool failed;
  char failure[400];
};
extern struct world *sim_world; /* the one that runs: the daemon's code asks for the time */

void world_after(struct world *world, int64_t at_us, sim_action *run, uint32_t who, uint64_t what);
/* One line of the trace. */
__attribute__((format(printf, 2, 3))) void world_trace(struct world *world, const char *format,
                                                       ...);
void world_mix(struct world *world, uint64_t number);
/* An invariant does not hold: the run ends. */
__attribute__((format(printf, 2, 3))) void world_fail(struct world *world, const char *format, ...);
/* Runs one seed; false when something did not hold. */
bool world_run(struct world *world, const struct sim_settings *settings);
void world_close(struct world *world);
void world_print_trace(const struct world *world, FILE *out);

#endif
