/*
 * One link: the protocol with one neighbour over one connection, both ends the same code (DESIGN
 * section 6). Private to the replication core; node.c owns the links and judges what they carry.
 *
 * Outgoing: control messages go at once; then lanes in order, urgent first. A lane sends, one
 * message after another, first what is to be sent again (`replays`), then its outbox. What is
 * on the way is bounded three ways: octets not yet reported as received (`window`, which follows
 * the measured rate and delay, so that control messages never wait long behind bulk), octets not
 * yet acknowledged as durable (settings.window_octets), and a configured rate.
 */
#ifndef REPLICATION_LINK_H
#define REPLICATION_LINK_H

#include "replication/node.h"

#define LINK_UNACKED_MAX 256 /* messages on the way in a lane */
#define LINK_REPLAYS_MAX 65536
#define LINK_WANTS_MAX 1024
#define LINK_ANSWERS_MAX 16
#define LINK_ANSWERS_OCTETS_MAX (8 * 1024 * 1024)
#define LINK_WINDOW_MIN (2 * 1024)
#define LINK_WINDOW_FIRST (4 * 1024)
#define LINK_WINDOW_MAX (2 * 1024 * 1024)
#define LINK_FRAME_MIN 512
#define LINK_FRAME_FIRST (2 * 1024)
#define LINK_FRAME_MS 250
#define LINK_REPORT_MS 20
#define LINK_REPORT_AT_ONCE (256 * 1024) /* in a connection's first octets */

enum link_state { LINK_DOWN, LINK_HELLO, LINK_UP };

struct link_unacked {
  uint64_t position; /* of the last commit in it */
  uint32_t octets;
};

struct link_lane {
  /* sending */
  uint64_t end;  /* last position taken in the outbox */
  uint64_t next; /* next position to load */
  uint64_t acked;
  bool loading;
  bool resync; /* a cursor is to be adopted before the outbox goes on */
  struct link_cursor adopt;
  uint64_t adopting; /* position of an adopted cursor until it is acknowledged; 0: none */
  struct repl_replay *replays;
  size_t replay_count;
  size_t replay_at;
  struct repl_replay mark;    /* where sending again was, when so many octets had been sent: */
  uint64_t mark_octets;       /* 0: no mark is set */
  struct repl_replay reached; /* the last mark that the peer has reported; or zeros */
  bool replay_before;         /* the last load was of a replay: the outbox is next, if it may go */
  struct bytes message;       /* being sent */
  size_t offset;
  struct link_unacked *unacked; /* ring of LINK_UNACKED_MAX, made at first use */
  uint16_t unacked_first;
  uint16_t unacked_count;
  uint64_t unacked_octets;
  /* receiving */
  struct link_cursor received; /* as far as handed on to be made durable */
  bool adopts; /* the peer compares heads: its cursor for this lane is yet to come */
  bool ack_due;
  uint64_t ack_position;
};

struct link {
  uint16_t neighbour;
  enum link_state state;
  uint32_t generation;
  bool is_parent;
  struct address address;
  struct store_id peer_store;
  bool hello_taken;    /* its hello came; ours is judged next */
  bool dropped;        /* commits came while there was no room: start over when there is */
  bool outbox_dropped; /* what waited for the peer was dropped before: say when it is level */
  struct repl_replay reached[LANE_COUNT]; /* how far earlier connections got in a log; or zeros */
  bool peer_dropped; /* the peer dropped what waited for us: note when we are level */
  struct link_lane lanes[LANE_COUNT];
  struct bytes answers[LINK_ANSWERS_MAX]; /* queue; the first is being sent */
  uint8_t answer_count;
  size_t answer_offset;
  uint8_t *certificates_sent; /* a bit per certificate index */
  size_t certificates_room;
  struct heads_entry *heads; /* the peer's, collected until final */
  size_t head_count;
  bool resync_asked;
  struct mono_ms resync_heard_at; /* asked, or the last page came */
  bool heads_asked;               /* the peer compares, which it may once a connection */
  bool heads_due;                 /* the next page is to be read when there is room to send it */
  uint64_t heads_next;
  struct idle_head own_heads[LANE_COUNT];
  struct refusal refusals[MESSAGE_REFUSALS_MAX]; /* to list in the next ack */
  uint16_t refusal_count;
  /* flow */
  uint64_t sent;          /* octets, all frames */
  uint64_t sent_reported; /* of these, reported back */
  uint64_t received;
  uint64_t received_told;
  uint64_t window;
  uint64_t rate;        /* octets a second, 0: unknown */
  uint64_t mark_octets; /* a probe is on the way: `sent` after it; 0: none */
  uint64_t mark_ahead;  /* octets on the way when it left, itself included */
  struct mono_ms mark_at;
  struct mono_ms rate_from; /* octets reported since then: `rate_octets` */
  uint64_t rate_octets;
  bool rate_limited;     /* the window held us back since then */
  bool limited;          /* ... and since the last probe came back */
  int64_t delay_base_ms; /* lowest delay seen; -1: none */
  uint8_t crowded;       /* measurements in a row with a queue, though the window is the least */
  int64_t crowded_ms;    /* lowest delay in these */
  double tokens;         /* of the configured rate */
  struct mono_ms tokens_at;
  struct mono_ms tokens_due; /* sending waits for tokens until then; 0: it doesn't */
  /* time */
  struct mono_ms opened_at;
  struct mono_ms heard_at;
  struct wall_ms heard_wall;
  struct mono_ms sent_at;
  struct mono_ms report_at;    /* INT64_MAX: nothing to report */
  struct mono_ms hold_until;   /* the peer is busy; 0: it isn't */
  struct mono_ms busy_told_at; /* we said busy; 0: not busy */
};

/* Everything below appends to node_step's effects; see node_internal.h. */
struct step;

void link_open(struct link *link, const struct repl_peer_up *up, struct step *step);
void link_close(struct link *link);
void link_message(struct link *link, struct message *message, struct step *step);
void link_cursors(struct link *link, const bool matches[LANE_COUNT], struct step *step);
void link_loaded(struct link *link, const struct repl_loaded *loaded, struct step *step);
void link_heads_read(struct link *link, const struct repl_event *event, struct step *step);
void link_planned(struct link *link, const struct repl_planned *planned, struct step *step);
void link_persisted(struct link *link, const struct repl_persisted *persisted, struct step *step);
void link_outbox(struct link *link, const struct repl_event *event, struct step *step);
void link_room(struct link *link, struct step *step);
void link_tick(struct link *link, struct step *step);
/* Control messages go out at once. */
void link_send_control(struct link *link, struct bytes *message, struct step *step);
void link_send_want(struct link *link, const struct message_want *want, struct step *step);
void link_queue_answer(struct link *link, const struct message_answer *answer, struct step *step);
/* Sends what may go. */
void link_pump(struct link *link, struct step *step);
/* The receiver's part of flow: what came, and when to tell. */
void link_flow_received(struct link *link, size_t octets, struct step *step);
void link_flow_sent(struct link *link, size_t octets, struct step *step);
void link_flow_reported(struct link *link, uint64_t received, struct step *step);
/* How many octets may be sent now, and how large a frame may be. */
size_t link_flow_room(struct link *link, struct step *step);
size_t link_flow_frame_max(const struct link *link);
void link_flush_ack(struct link *link, struct step *step);
/* Ends the connection; the carrier answers with REPL_PEER_DOWN. */
void link_fail(struct link *link, const char *why, struct step *step);
struct mono_ms link_deadline(const struct link *link, const struct step *step);
/* Queues a part of a log to be sent again; dropped when `limit` are waiting (0: no limit). What a
 * peer wants has one, and it asks again at the next hello; what a plan holds is as many as our own
 * logs, and the adopted cursor counts on all of it. */
void link_queue_replay(struct link *link, const struct repl_replay *replay, size_t limit,
                       struct step *step);

#endif
