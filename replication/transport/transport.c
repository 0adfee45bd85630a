#include "transport/transport.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "record/check.h"
#include "transport_internal.h"

static bool settings_good(const struct transport_settings *settings)
{
  return settings->connections_max > 0 && settings->pending_max > 0 && settings->results_max > 0 &&
         settings->results_bytes_max > 0 && settings->handshake_frame_max > 0 &&
         settings->handshake_frame_max <= TRANSPORT_FRAME_MAX && settings->output_max > 0 &&
         settings->dial_ms > 0 && settings->dial_ms <= INT32_MAX && settings->handshake_ms > 0 &&
         settings->handshake_ms <= INT32_MAX && settings->partial_frame_ms > 0 &&
         settings->partial_frame_ms <= INT32_MAX && settings->unread_output_ms > 0 &&
         settings->unread_output_ms <= INT32_MAX && settings->frame != NULL &&
         settings->result_free != NULL;
}

enum status transport_new(const struct transport_settings *settings, struct transport **out)
{
  struct transport *transport;
  enum status status = STATUS_NO_MEMORY;

  if (!settings_good(settings))
    return STATUS_INVALID_ARGUMENT;
  transport = calloc(1, sizeof(*transport));
  if (transport == NULL)
    return STATUS_NO_MEMORY;
  transport->settings = *settings;
  TAILQ_INIT(&transport->queue);
  transport->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  transport->conns = calloc(settings->connections_max, sizeof(*transport->conns));
  if (transport->fd < 0)
    status = STATUS_IO;
  else if (transport->conns != NULL && pthread_mutex_init(&transport->lock, NULL) == 0)
    status = STATUS_OK;
  if (status == STATUS_OK) {
    *out = transport;
  } else {
    if (transport->fd >= 0)
      close(transport->fd);
    free(transport->conns);
    free(transport);
  }
  return status;
}

void transport_free(struct transport *transport)
{
  if (transport == NULL)
    return;
  for (unsigned i = 0; i < transport->listener_count; i++)
    listener_close(transport->listeners[i]);
  for (uint32_t i = 0; i < transport->settings.connections_max; i++) {
    if (transport->conns[i] != NULL)
      conn_destroy(transport->conns[i]);
  }
  pthread_mutex_destroy(&transport->lock);
  close(transport->fd);
  free(transport->conns);
  free(transport);
}

int transport_fd(const struct transport *transport)
{
  return transport->fd;
}

void ready_enqueue(struct transport *transport, struct ready *ready)
{
  static const uint64_t one = 1;

  if (!ready->queued) {
    ready->queued = true;
    TAILQ_INSERT_TAIL(&transport->queue, ready, link);
  }
  if (!transport->signaled) {
    transport->signaled = true;
    /* Can't fail: the count is at most 1, as it is read before `signaled` is taken back. */
    CHECK(write(transport->fd, &one, sizeof(one)) == (ssize_t)sizeof(one));
  }
}

static struct ready *ready_take(struct transport *transport)
{
  struct ready *ready = TAILQ_FIRST(&transport->queue);
  uint64_t count;

  if (ready != NULL) {
    TAILQ_REMOVE(&transport->queue, ready, link);
    ready->queued = false;
  } else if (transport->signaled) {
    transport->signaled = false;
    CHECK(read(transport->fd, &count, sizeof(count)) == (ssize_t)sizeof(count));
  }
  return ready;
}

/* What to do for a connection once the lock is free. */
enum after { AFTER_NOTHING, AFTER_KICK, AFTER_CONNECTED, AFTER_DESTROY };

static enum after result_take(struct conn *conn, struct transport_event *event)
{
  const struct transport_settings *settings = &conn->transport->settings;

  event->type = TRANSPORT_RESULT;
  event->result = conn->results[conn->result_first].result;
  conn->result_bytes -= conn->results[conn->result_first].size;
  conn->result_first = (conn->result_first + 1) % settings->results_max;
  conn->result_count--;
  if (!conn->stalled || conn->failed || conn->result_count > settings->results_max / 2 ||
      conn->result_bytes > settings->results_bytes_max / 2)
    return AFTER_NOTHING;
  conn->stalled = false;
  conn->reading = true;
  return AFTER_KICK;
}

/* Lock held: the connection's next event, oldest kind first and its end last. False when there is
 * none. */
static bool event_take(struct conn *conn, struct transport_event *event, enum after *after)
{
  *event = (struct transport_event){.conn = conn->id};
  *after = AFTER_NOTHING;
  if (conn->connected_due) {
    conn->connected_due = false;
    event->type = TRANSPORT_CONNECTED;
    *after = AFTER_CONNECTED;
  } else if (conn->frame_due) {
    conn->frame_due = false;
    event->type = TRANSPORT_FRAME;
    event->frame =
        bytes_view_of(conn->input + conn->input_start + LENGTH_SIZE, input_frame_size(conn));
  } else if (conn->result_count > 0) {
    *after = result_take(conn, event);
  } else if (conn->drained_due) {
    conn->drained_due = false;
    event->type = TRANSPORT_DRAINED;
  } else if (conn->failed_due) {
    conn->failed_due = false;
    event->type = conn->dialer != NULL ? TRANSPORT_DIAL_FAILED : TRANSPORT_CLOSED;
    event->status = conn->failure;
    event->reason = conn->reason;
    *after = AFTER_DESTROY;
  } else {
    return false;
  }
  if (conn->frame_due || conn->result_count > 0 || conn->drained_due || conn->failed_due)
    ready_enqueue(conn->transport, &conn->ready);
  return true;
}

static void after_do(struct conn *conn, enum after after)
{
  switch (after) {
  case AFTER_NOTHING:
    break;
  case AFTER_KICK:
    conn_read_kick(conn);
    break;
  case AFTER_CONNECTED:
    nng_stream_dialer_free(conn->dialer);
    conn->dialer = NULL;
    break;
  case AFTER_DESTROY:
    conn_destroy(conn);
    break;
  }
}

/* False when the stream had to be turned away. */
static bool accepted_take(struct transport *transport, struct listener *listener,
                          struct transport_event *event)
{
  nng_stream *stream = listener_take(listener);
  struct conn *conn = NULL;

  if (stream == NULL)
    return false;
  if (transport->pending_count < transport->settings.pending_max)
    conn = conn_new(transport);
  if (conn == NULL) {
    nng_stream_close(stream);
    nng_stream_free(stream);
    return false;
  }
  *event = (struct transport_event){.type = TRANSPORT_ACCEPTED, .conn = conn->id};
  conn->stream = stream;
  conn->phase = CONN_HANDSHAKE;
  conn->pending = true;
  transport->pending_count++;
  conn->reading = true;
  conn_read_start(conn);
  return true;
}

bool transport_next(struct transport *transport, struct transport_event *event)
{
  for (;;) {
    enum after after = AFTER_NOTHING;
    struct conn *conn = NULL;
    struct ready *ready;
    bool taken = false;

    pthread_mutex_lock(&transport->lock);
    ready = ready_take(transport);
    if (ready != NULL && ready->kind == READY_CONN) {
      /* `ready` is the first member of both. */
      conn = (struct conn *)ready;
      taken = event_take(conn, event, &after);
    }
    pthread_mutex_unlock(&transport->lock);
    if (ready == NULL)
      return false;
    if (conn != NULL)
      after_do(conn, after);
    else
      taken = accepted_take(transport, (struct listener *)ready, event);
    if (taken)
      return true;
  }
}

enum status transport_listen(struct transport *transport, const char *url, uint16_t *port,
                             const char **reason)
{
  if (transport->listener_count == TRANSPORT_LISTENERS_MAX) {
    if (reason != NULL)
      *reason = "too many listeners";
    return STATUS_INVALID_ARGUMENT;
  }
  return listener_open(transport, url, port, reason);
}

enum status transport_dial(struct transport *transport, const char *url, uint64_t *conn_id)
{
  struct conn *conn;
  enum status status;

  if (transport->conn_count == transport->settings.connections_max)
    return STATUS_BUSY;
  conn = conn_new(transport);
  if (conn == NULL)
    return STATUS_NO_MEMORY;
  *conn_id = conn->id;
  status = conn_dial(conn, url);
  if (status != STATUS_OK)
    conn_destroy(conn);
  return status;
}

/* Core takes up reading after a frame that it was given. False when that isn't the case. */
static bool frame_done(struct conn *conn)
{
  struct transport *transport = conn->transport;
  bool take;

  pthread_mutex_lock(&transport->lock);
  take = !conn->reading && !conn->frame_due && !conn->failed && conn->phase == CONN_HANDSHAKE &&
         conn->input_end - conn->input_start > LENGTH_SIZE;
  conn->reading |= take;
  pthread_mutex_unlock(&transport->lock);
  if (take) {
    conn->input_start += LENGTH_SIZE + input_frame_size(conn);
    conn->frame_deadline = 0;
  }
  return take;
}

void transport_conn_resume(struct transport *transport, uint64_t conn_id)
{
  struct conn *conn = conn_find(transport, conn_id);

  if (conn != NULL && frame_done(conn))
    conn_read_kick(conn);
}

void transport_conn_open(struct transport *transport, uint64_t conn_id, void *context)
{
  struct conn *conn = conn_find(transport, conn_id);

  if (conn == NULL || !frame_done(conn))
    return;
  if (conn->pending) {
    conn->pending = false;
    transport->pending_count--;
  }
  conn->context = context;
  conn->phase = CONN_OPEN;
  conn_read_kick(conn);
}

enum status transport_conn_send(struct transport *transport, uint64_t conn_id, struct bytes *octets)
{
  struct conn *conn = conn_find(transport, conn_id);

  /* A dial that hasn't come through has no stream to write to. */
  if (conn == NULL || conn->dialer != NULL)
    return STATUS_CLOSED;
  return conn_write(conn, octets);
}

size_t transport_conn_unsent(struct transport *transport, uint64_t conn_id)
{
  struct conn *conn = conn_find(transport, conn_id);
  size_t unsent = 0;

  if (conn != NULL) {
    pthread_mutex_lock(&conn->output_lock);
    unsent = conn->queue.size + conn->flight.size - conn->flight_at;
    pthread_mutex_unlock(&conn->output_lock);
  }
  return unsent;
}

void transport_conn_notify_drained(struct transport *transport, uint64_t conn_id)
{
  struct conn *conn = conn_find(transport, conn_id);
  bool drained;

  if (conn == NULL)
    return;
  pthread_mutex_lock(&conn->output_lock);
  drained = !conn->writing;
  conn->drained_wanted = !drained;
  pthread_mutex_unlock(&conn->output_lock);
  if (drained) {
    pthread_mutex_lock(&transport->lock);
    conn->drained_due = true;
    ready_enqueue(transport, &conn->ready);
    pthread_mutex_unlock(&transport->lock);
  }
}

static void address_write(const nng_sockaddr *address, char out[TRANSPORT_PEER_SIZE])
{
  char host[INET6_ADDRSTRLEN] = "";

  switch (address->s_family) {
  case NNG_AF_INET:
    inet_ntop(AF_INET, &address->s_in.sa_addr, host, sizeof(host));
    snprintf(out, TRANSPORT_PEER_SIZE, "%s:%u", host, ntohs(address->s_in.sa_port));
    break;
  case NNG_AF_INET6:
    inet_ntop(AF_INET6, address->s_in6.sa_addr, host, sizeof(host));
    snprintf(out, TRANSPORT_PEER_SIZE, "[%s]:%u", host, ntohs(address->s_in6.sa_port));
    break;
  default:
    snprintf(out, TRANSPORT_PEER_SIZE, "ipc");
    break;
  }
}

void transport_conn_peer(struct transport *transport, uint64_t conn_id,
                         char out[TRANSPORT_PEER_SIZE])
{
  struct conn *conn = conn_find(transport, conn_id);
  nng_sockaddr address;

  out[0] = '\0';
  if (conn == NULL || conn->dialer != NULL)
    return;
  if (nng_stream_get_addr(conn->stream, NNG_OPT_REMADDR, &address) == 0)
    address_write(&address, out);
}

void transport_conn_close(struct transport *transport, uint64_t conn_id)
{
  struct conn *conn = conn_find(transport, conn_id);

  if (conn != NULL)
    conn_destroy(conn);
}
