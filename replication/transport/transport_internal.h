/*
 * The transport's parts and who may touch them.
 *
 * - Core: only the core thread.
 * - Lock: under transport->lock, which is held for a few instructions and never across NNG calls.
 * - Reader: whoever holds `reading`: an NNG thread while a read or its callback is under way, the
 *   core otherwise. `reading` itself changes under the lock.
 * - Output: under conn->output_lock, with `writing` in the role of `reading` for `flight`.
 *
 * Lifetime: the core alone creates and destroys. Destroying stops both aios, which waits for their
 * callbacks and makes later submissions void, before anything is released. NNG 1.5.2: a receive
 * that is submitted to a closed stream never completes by itself; stopping its aio ends it.
 */
#ifndef TRANSPORT_INTERNAL_H
#define TRANSPORT_INTERNAL_H

#include <nng/nng.h>
#include <nng/supplemental/util/platform.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>

#include "transport/transport.h"

#define LENGTH_SIZE 4
#define INPUT_SMALL 1024
#define INPUT_MAX (LENGTH_SIZE + TRANSPORT_FRAME_MAX)
#define OUTPUT_KEEP 2048         /* buffers above this aren't kept by an idle connection */
#define OUTPUT_STEP (256 * 1024) /* octets given to one write */
#define ACCEPT_PAUSE_MS 100

enum ready_kind { READY_CONN, READY_LISTENER };

/* Place in the queue of those that have something for the core. Lock. */
struct ready {
  TAILQ_ENTRY(ready) link;
  enum ready_kind kind;
  bool queued;
};

struct listener {
  struct ready ready;
  struct transport *transport;
  nng_stream_listener *stream;
  nng_aio *aio;
  nng_stream *accepted; /* Lock; at most one waits for the core */
  bool pausing;         /* callback only */
};

struct result {
  void *result;
  uint32_t size; /* of the frame that it comes from */
};

enum conn_phase { CONN_DIALING, CONN_HANDSHAKE, CONN_OPEN };

struct conn {
  struct ready ready;
  struct transport *transport;
  uint64_t id;
  bool pending;              /* Core: counts against pending_max */
  nng_stream_dialer *dialer; /* Core: until TRANSPORT_CONNECTED is taken */
  nng_stream *stream;        /* set before the first read, then constant */
  nng_aio *read_aio;         /* dialing uses it too */
  nng_aio *write_aio;
  atomic_bool closing;

  /* Reader */
  enum conn_phase phase;
  void *context;
  uint8_t *input;
  size_t input_capacity;
  size_t input_start; /* first octet not yet consumed */
  size_t input_end;
  nng_time frame_deadline; /* 0: no partial frame */
  nng_time dial_deadline;
  nng_time handshake_deadline;

  /* Lock */
  bool reading;
  bool stalled; /* stopped reading because the core has enough results to take */
  bool connected_due;
  bool frame_due;
  bool drained_due;
  bool failed;
  bool failed_due;
  enum status failure;
  const char *reason;
  uint32_t result_first;
  uint32_t result_count;
  size_t result_bytes;

  /* Output */
  pthread_mutex_t output_lock;
  bool writing;
  bool drained_wanted;
  bool broken;
  struct bytes queue;
  struct bytes flight;
  size_t flight_at;
  nng_time write_deadline; /* whoever holds `writing` */

  struct result results[]; /* Lock; a ring of results_max */
};

TAILQ_HEAD(ready_queue, ready);

struct transport {
  struct transport_settings settings;
  int fd;
  pthread_mutex_t lock;
  struct ready_queue queue; /* Lock */
  bool signaled;            /* Lock: the eventfd has been written */
  /* Core */
  struct conn **conns; /* connections_max */
  uint32_t conn_count;
  uint32_t pending_count;
  uint32_t generation;
  struct listener *listeners[TRANSPORT_LISTENERS_MAX];
  unsigned listener_count;
};

/* transport.c: with the lock held, has the core look at this. */
void ready_enqueue(struct transport *transport, struct ready *ready);

/* Reader: the octets that the length at the start of the input claims. */
static inline size_t input_frame_size(const struct conn *conn)
{
  const uint8_t *at = conn->input + conn->input_start;

  return at[0] | (size_t)at[1] << 8 | (size_t)at[2] << 16 | (size_t)at[3] << 24;
}

/* conn.c. A conn without stream; NULL at connections_max or out of memory. */
struct conn *conn_new(struct transport *transport);
struct conn *conn_find(struct transport *transport, uint64_t id);
/* Stops everything, then releases. */
void conn_destroy(struct conn *conn);
/* Any thread: the connection is over; only the first reason counts. `reader` says that the caller
 * gives up `reading`. */
void conn_fail(struct conn *conn, bool reader, enum status status, const char *reason);
/* The same for a result of NNG's. */
void conn_fail_nng(struct conn *conn, bool reader, int result);
enum status conn_dial(struct conn *conn, const char *url);
void conn_dialed(struct conn *conn);

/* conn_read.c. The first read, by whoever brought the stream. */
void conn_read_start(struct conn *conn);
/* Core, after it took `reading`: goes on with what is buffered, in an NNG thread. */
void conn_read_kick(struct conn *conn);
void conn_read_done(void *argument);

/* conn_write.c */
enum status conn_write(struct conn *conn, struct bytes *octets);
void conn_write_done(void *argument);

/* listener.c */
enum status listener_open(struct transport *transport, const char *url, uint16_t *port,
                          const char **reason);
void listener_close(struct listener *listener);
/* Core: the stream that was accepted; accepting goes on. */
nng_stream *listener_take(struct listener *listener);

#endif
