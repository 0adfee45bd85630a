/*
 * The replication core of one node: its links to the parent and the children, and what it must
 * know to judge what they say (DESIGN section 6). A pure state machine: events and time in,
 * effects out. It knows no socket, thread, clock or store; the daemon's driver and a simulator
 * carry the effects out. What an event points to is borrowed for that step, except messages, of
 * which effects hold references of their own.
 */
#ifndef REPLICATION_NODE_H
#define REPLICATION_NODE_H

#include "replication/message.h"

#define REPL_NEIGHBOUR_NONE 0 /* a bundle carried by hand */
#define REPL_NEIGHBOUR_PARENT 1
#define REPL_NEIGHBOURS_MAX 4096
#define REPL_LOADED_MAX MESSAGE_COMMITS_MAX
#define REPL_QUARANTINED_MAX 256 /* a link; what we ask for again */
#define REPL_CERTIFICATES_MAX 65536

struct repl_node;

struct repl_settings {
  struct address self;
  struct store_id store;
  struct hash root;       /* id of the root certificate */
  uint64_t window_octets; /* sent and not yet acknowledged, a lane of a link */
  uint64_t rate_octets_s; /* 0: no limit of ours */
  uint32_t idle_ms;
  uint32_t dead_ms;  /* nothing heard at all */
  uint32_t stall_ms; /* nothing heard while an answer is due */
  uint32_t hello_ms;
  const char *software; /* told in hello; borrowed for good */
};
/* window 4 MiB, idle 60 s, dead 150 s, stall 30 s, hello 20 s; the rest stays zero. */
void repl_settings_default(struct repl_settings *settings);

/* STATUS_NO_MEMORY. */
MUST_USE enum status repl_node_new(const struct repl_settings *settings, struct repl_node **out);
void repl_node_free(struct repl_node *node);

struct repl_refused {
  struct log_name log;
  uint64_t seq;
  enum verdict verdict;
  uint64_t want_seq; /* where the log must go on */
};

/* Filling at start, from the store. Certificates come issuers first, the root's at the very
 * beginning; they are judged like those from a link: VERDICT_OK, VERDICT_BAD_CHAIN, ... */
MUST_USE enum verdict repl_node_add_certificate(struct repl_node *node, struct bytes_view octets);
/* The certificate by id, or the first that came of a key; NULL when unknown. Valid until the next
 * step. */
const struct certificate *repl_node_certificate(const struct repl_node *node,
                                                const struct hash *id);
const struct certificate *repl_node_certificate_of_key(const struct repl_node *node,
                                                       const struct node_key *key);
/* Walks all certificates, issuers first: index from 0; NULL at the end. */
const struct certificate *repl_node_certificate_at(const struct repl_node *node, size_t index);
void repl_node_add_quarantined(struct repl_node *node, uint16_t neighbour,
                               const struct repl_refused *refused);

/* ---- events ---- */
enum repl_event_type {
  REPL_PEER_UP,    /* a connection to a neighbour finished its handshake */
  REPL_PEER_DOWN,  /* it ended; everything of it that is under way is void */
  REPL_MESSAGE,    /* from a neighbour, or from a bundle (REPL_NEIGHBOUR_NONE) */
  REPL_TICK,       /* a deadline passed */
  REPL_CURSORS,    /* answers REPL_CHECK_CURSORS */
  REPL_LOADED,     /* answers REPL_LOAD and REPL_LOAD_LOG */
  REPL_HEADS_READ, /* answers REPL_READ_HEADS */
  REPL_PLANNED,    /* answers REPL_PLAN_RESYNC */
  REPL_PERSISTED,  /* a REPL_PERSIST_COMMITS or REPL_PERSIST_CURSOR is durable */
  REPL_OUTBOX,     /* an outbox grew */
  REPL_ROOM,       /* whether new records can be stored */
  REPL_HIDE,       /* whether what is held may be shown to neighbours: lanes hold still */
  REPL_ASK,        /* send a query */
  REPL_REPLY,      /* answers REPL_QUERY */
  REPL_RETRY,      /* ask a neighbour for its quarantined logs again */
};

struct repl_peer_up {
  uint32_t generation;    /* a new number for each connection */
  struct address address; /* the peer's, proven in the handshake */
  bool is_parent;
  struct link_cursor received[LANE_COUNT]; /* our durable cursors in its outbox */
  uint64_t ends[LANE_COUNT];               /* of our outbox for it */
  uint64_t acked[LANE_COUNT];
  struct idle_head own_heads[LANE_COUNT];
  bool dropped; /* what waited for it was dropped */
};

/* One entry of an outbox or a log as it goes out. */
struct repl_outgoing {
  uint64_t position; /* 0 when from a log */
  struct hash certificate;
  uint32_t raw_size;
  struct bytes_view zstd;
};

struct repl_loaded {
  uint32_t generation;
  uint8_t lane;
  bool from_log;
  uint64_t next_seq;       /* from_log: where to go on, 0 at the end */
  struct bytes_view floor; /* from_log: the commit up to which it is gone here; empty: none */
  size_t proof_count;
  const struct bytes_view *proofs;
  size_t count;
  const struct repl_outgoing *entries;
};

struct repl_replay {
  struct log_name log;
  uint64_t from_seq;
  uint64_t until_seq; /* what stands behind it need not come; 0: all does */
};

struct repl_planned {
  uint32_t generation;
  size_t count;
  const struct repl_replay *replays;
  struct link_cursor cursors[LANE_COUNT]; /* ends of our outbox, read with the plan */
};

struct repl_persisted {
  uint32_t generation;
  uint8_t lane;
  uint64_t position;       /* 0: without one */
  struct message *message; /* NULL for a cursor alone; items hold the final verdicts */
  size_t refused_count;
  const struct repl_refused *refused;
};

struct repl_event {
  enum repl_event_type type;
  uint16_t neighbour;
  union {
    struct repl_peer_up up;
    struct message *message;
    struct {
      uint32_t generation;
      bool matches[LANE_COUNT];
    } cursors;
    struct repl_loaded loaded;
    struct {
      uint32_t generation;
      const struct heads_entry *entries;
      uint16_t count;
      bool final;
      uint32_t next; /* to pass to the next REPL_READ_HEADS */
    } heads;
    struct repl_planned planned;
    struct repl_persisted persisted;
    struct {
      uint64_t ends[LANE_COUNT];
      struct idle_head own_heads[LANE_COUNT];
    } outbox;
    bool room;
    bool hidden;
    struct message_query ask;
    struct message_answer reply;
  };
};

/* ---- effects ---- */
enum repl_effect_type {
  REPL_SEND,            /* `octets` is one frame's plaintext; the carrier closes it */
  REPL_DISCONNECT,      /* `text` says why */
  REPL_PERSIST_COMMITS, /* apply those with VERDICT_OK, quarantine the others, set the cursor */
  REPL_PERSIST_CERTIFICATE,
  REPL_PERSIST_ACK,      /* the neighbour holds our outbox up to `position`; may wait a while */
  REPL_PERSIST_REFUSALS, /* what the neighbour refused (message ack); may wait a while */
  REPL_PERSIST_CURSOR,   /* adopt */
  REPL_PERSIST_PASSED,   /* what was refused of `log` below `position` is made good */
  REPL_PERSIST_FLOOR,    /* a log begins late at the neighbour (message floor) */
  REPL_LOAD,             /* outbox entries from `position` on, at most `count` */
  REPL_LOAD_LOG,      /* a log from `position` (a seq) on, as the neighbour may see it; likewise */
  REPL_CHECK_CURSORS, /* do `cursors` stand in our outbox? */
  REPL_READ_HEADS,    /* of logs that come from this neighbour, from `position` on */
  REPL_PLAN_RESYNC,   /* compare `heads`, `count` with what we show it */
  REPL_QUERY,         /* a neighbour asks; answer by REPL_REPLY */
  REPL_ANSWERED,      /* to our REPL_ASK */
  REPL_NOTICE,        /* for the log: `text` */
  REPL_UP,            /* the link is up: hello came and is accepted */
  REPL_BEHIND, /* what waited was dropped, `position` 1: what lacks is sent again; 0: it came */
  REPL_HOLD,   /* the peer is busy: `position` ms */
};

struct repl_effect {
  enum repl_effect_type type;
  uint16_t neighbour;
  uint32_t generation;
  uint8_t lane;
  uint64_t position;
  size_t octets_max;
  bool has_cursor;
  struct link_cursor cursor;
  struct bytes octets;
  struct message *message; /* the effect holds a reference */
  struct log_name log;
  const char *text;          /* static */
  struct heads_entry *heads; /* `count` of them, the effect's own */
  size_t count;
  struct link_cursor cursors[LANE_COUNT];
};

/* Effects in order. The carrier takes them and calls repl_effects_clear. */
struct repl_effects {
  struct repl_effect *items;
  size_t count;
  size_t capacity;
};
/* Releases what effects still hold (octets that the carrier took must be zeroed by it). */
void repl_effects_clear(struct repl_effects *effects);
void repl_effects_close(struct repl_effects *effects);

/* Takes one event. Effects are appended. STATUS_NO_MEMORY: the node's state is no longer to be
 * trusted, start it again from the store. */
MUST_USE enum status repl_step(struct repl_node *node, const struct repl_event *event,
                               struct instant now, struct repl_effects *effects);
/* When to send REPL_TICK next; INT64_MAX: no need. */
struct mono_ms repl_next_deadline(const struct repl_node *node);

/* For people: what a link measured. False when it has no connection. */
struct repl_link_figures {
  bool up;
  struct wall_ms last_heard;
  uint64_t rate_octets_s;
  uint64_t sent_octets;
  uint64_t received_octets;
};
bool repl_link_figures(const struct repl_node *node, uint16_t neighbour,
                       struct repl_link_figures *out);

#endif
