/*
 * Transport: carries frames (`u32 length ‖ octets`, docs/PROTOCOL.md) over NNG byte streams. It
 * owns listeners, dials and connections, each with buffers and deadlines of its own, so that one
 * that floods, stalls or dies costs the others nothing.
 *
 * Two sides meet here. NNG's threads read frames and, once a connection is open, call the frame
 * handler, which decrypts and verifies. The core thread calls everything below, watches
 * transport_fd and takes events. All functions here are for that one thread; none waits for a peer.
 */
#ifndef TRANSPORT_TRANSPORT_H
#define TRANSPORT_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "record/bytes.h"

#define TRANSPORT_FRAME_MAX 65535 /* octets after the length */
#define TRANSPORT_LISTENERS_MAX 8
#define TRANSPORT_PEER_SIZE 64

struct transport;

/* Called in NNG's threads with a frame's octets, which it may change and which are gone when it
 * returns; for one connection in order and never twice at a time. `*result` is what the core will
 * get, or NULL for nothing. Any status but STATUS_OK ends the connection with that status. It must
 * not call the transport. */
typedef enum status transport_frame_handler(void *context, uint8_t *octets, size_t size,
                                            void **result);

struct transport_settings {
  uint32_t connections_max;     /* dials included; default 1024 */
  uint32_t pending_max;         /* accepted and not yet open; default 256 */
  uint32_t results_max;         /* per connection, not yet taken: reading stops; default 32 */
  size_t results_bytes_max;     /* octets of the frames that these come from; default 512 KiB */
  uint32_t handshake_frame_max; /* octets of a frame before transport_conn_open; default 4096 */
  size_t output_max;            /* octets per connection, not yet written; default 8 MiB */
  uint32_t dial_ms;             /* default 15,000 */
  uint32_t handshake_ms;        /* from connection to transport_conn_open; default 15,000 */
  uint32_t partial_frame_ms;    /* from a frame's first octet to its last; default 60,000 */
  uint32_t unread_output_ms;    /* output waiting and nothing taken; default 60,000 */
  transport_frame_handler *frame;
  void (*result_free)(void *result); /* for results that nobody will take; any thread's memory */
};

/* Fills in the defaults; the two functions are left NULL. */
void transport_settings_default(struct transport_settings *settings);

/* `settings` is copied. STATUS_INVALID_ARGUMENT (a bound of 0 or no function), STATUS_NO_MEMORY,
 * STATUS_IO (no eventfd). */
MUST_USE enum status transport_new(const struct transport_settings *settings,
                                   struct transport **out);
/* Ends everything; no handler runs any more afterwards. NULL is allowed. */
void transport_free(struct transport *transport);

/* Readable when transport_next has something; level-triggered until it returned false. */
int transport_fd(const struct transport *transport);

/* Listens on `tcp://host:port` or `ipc://path` until transport_free. `port` (may be NULL) gets the
 * port bound, 0 for ipc; `reason` (may be NULL) a static text for people on failure.
 * STATUS_INVALID_ARGUMENT (no such URL, or TRANSPORT_LISTENERS_MAX), STATUS_IO,
 * STATUS_NO_MEMORY. */
MUST_USE enum status transport_listen(struct transport *transport, const char *url, uint16_t *port,
                                      const char **reason);

/* Starts one attempt; its end is TRANSPORT_CONNECTED or TRANSPORT_DIAL_FAILED. `*conn` names the
 * connection from now on, never 0. STATUS_INVALID_ARGUMENT (URL), STATUS_BUSY (connections_max),
 * STATUS_NO_MEMORY. */
MUST_USE enum status transport_dial(struct transport *transport, const char *url, uint64_t *conn);

enum transport_event_type {
  TRANSPORT_ACCEPTED,    /* a new connection; it reads its first frame */
  TRANSPORT_CONNECTED,   /* a dial came through; likewise */
  TRANSPORT_DIAL_FAILED, /* status, reason; the connection is gone */
  TRANSPORT_FRAME,       /* before transport_conn_open: `frame`, good until resume, open or close;
                            nothing more is read until then */
  TRANSPORT_RESULT,      /* `result` of the frame handler, now the caller's */
  TRANSPORT_DRAINED,     /* what transport_conn_notify_drained asked for */
  TRANSPORT_CLOSED,      /* status, reason; the connection is gone */
};

struct transport_event {
  enum transport_event_type type;
  uint64_t conn;
  struct bytes_view frame;
  void *result;
  enum status
      status; /* STATUS_CLOSED, STATUS_TIMEOUT, STATUS_MALFORMED, STATUS_IO, STATUS_NO_MEMORY
                         or the frame handler's */
  const char *reason; /* static text for people */
};

/* Takes the next event, connections in turn. False when there is none. After DIAL_FAILED and CLOSED
 * the name is void and the handler's context is no longer used. */
bool transport_next(struct transport *transport, struct transport_event *event);

/* All below take a connection's name; one that is gone is answered as such and harms nothing. */

/* After TRANSPORT_FRAME: read the next one. */
void transport_conn_resume(struct transport *transport, uint64_t conn);
/* After TRANSPORT_FRAME, instead of resume: from now on frames go to the frame handler with
 * `context`, which must live until the connection is gone. */
void transport_conn_open(struct transport *transport, uint64_t conn, void *context);
/* Queues octets, whole frames, taking them out of `octets` (emptied, still the caller's to close).
 * What is queued together is written together. On failure `octets` is unchanged: STATUS_BUSY above
 * output_max, STATUS_CLOSED, STATUS_NO_MEMORY. */
MUST_USE enum status transport_conn_send(struct transport *transport, uint64_t conn,
                                         struct bytes *octets);
/* Octets queued and not yet taken by the system. 0 when gone. */
size_t transport_conn_unsent(struct transport *transport, uint64_t conn);
/* Asks for one TRANSPORT_DRAINED as soon as nothing is unsent, which may be now. */
void transport_conn_notify_drained(struct transport *transport, uint64_t conn);
/* The other end for people: "192.0.2.1:4242", "[2001:db8::1]:4242", "ipc", or "" when gone. */
void transport_conn_peer(struct transport *transport, uint64_t conn, char out[TRANSPORT_PEER_SIZE]);
/* Ends it without an event; unsent output and untaken results are dropped. On return no handler
 * runs for it any more, so this waits for at most the frame in work. */
void transport_conn_close(struct transport *transport, uint64_t conn);

#endif
