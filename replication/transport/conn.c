/* A connection's life: made, dialed, failed, destroyed. */
#include <stdlib.h>
#include <string.h>

#include "record/check.h"
#include "transport_internal.h"

struct conn *conn_find(struct transport *transport, uint64_t id)
{
  uint32_t slot = (uint32_t)id;
  struct conn *conn = NULL;

  if (slot < transport->settings.connections_max)
    conn = transport->conns[slot];
  return conn != NULL && conn->id == id ? conn : NULL;
}

static struct conn *conn_alloc(struct transport *transport)
{
  size_t results = transport->settings.results_max * sizeof(struct result);
  struct conn *conn = calloc(1, sizeof(*conn) + results);

  if (conn == NULL)
    return NULL;
  if (nng_aio_alloc(&conn->read_aio, conn_read_done, conn) != 0 ||
      nng_aio_alloc(&conn->write_aio, conn_write_done, conn) != 0 ||
      pthread_mutex_init(&conn->output_lock, NULL) != 0) {
    nng_aio_free(conn->read_aio);
    nng_aio_free(conn->write_aio);
    free(conn);
    return NULL;
  }
  conn->ready.kind = READY_CONN;
  conn->transport = transport;
  return conn;
}

struct conn *conn_new(struct transport *transport)
{
  uint32_t slot = 0;
  struct conn *conn;

  if (transport->conn_count == transport->settings.connections_max)
    return NULL;
  conn = conn_alloc(transport);
  if (conn == NULL)
    return NULL;
  while (transport->conns[slot] != NULL)
    slot++;
  /* Never 0, and not the same again before 2^32 connections more. */
  transport->generation = transport->generation == UINT32_MAX ? 1 : transport->generation + 1;
  conn->id = (uint64_t)transport->generation << 32 | slot;
  transport->conns[slot] = conn;
  transport->conn_count++;
  return conn;
}

static void results_drop(struct conn *conn)
{
  const struct transport_settings *settings = &conn->transport->settings;

  for (uint32_t i = 0; i < conn->result_count; i++)
    settings->result_free(conn->results[(conn->result_first + i) % settings->results_max].result);
}

void conn_destroy(struct conn *conn)
{
  struct transport *transport = conn->transport;

  atomic_store(&conn->closing, true);
  /* The read aio may bring the stream of a dial until it is stopped, so it goes first. */
  nng_aio_stop(conn->read_aio);
  if (conn->stream != NULL)
    nng_stream_close(conn->stream);
  nng_aio_stop(conn->write_aio);
  pthread_mutex_lock(&transport->lock);
  if (conn->ready.queued)
    TAILQ_REMOVE(&transport->queue, &conn->ready, link);
  pthread_mutex_unlock(&transport->lock);
  nng_stream_dialer_free(conn->dialer);
  nng_stream_free(conn->stream);
  nng_aio_free(conn->read_aio);
  nng_aio_free(conn->write_aio);
  results_drop(conn);
  transport->conns[(uint32_t)conn->id] = NULL;
  transport->conn_count--;
  if (conn->pending)
    transport->pending_count--;
  pthread_mutex_destroy(&conn->output_lock);
  bytes_close(&conn->queue);
  bytes_close(&conn->flight);
  free(conn->input);
  free(conn);
}

void conn_fail(struct conn *conn, bool reader, enum status status, const char *reason)
{
  struct transport *transport = conn->transport;

  pthread_mutex_lock(&transport->lock);
  if (reader)
    conn->reading = false;
  if (!conn->failed) {
    conn->failed = true;
    conn->failed_due = true;
    conn->failure = status;
    conn->reason = reason;
    ready_enqueue(transport, &conn->ready);
  }
  pthread_mutex_unlock(&transport->lock);
  pthread_mutex_lock(&conn->output_lock);
  conn->broken = true;
  pthread_mutex_unlock(&conn->output_lock);
  if (conn->stream != NULL)
    nng_stream_close(conn->stream);
}

void conn_fail_nng(struct conn *conn, bool reader, int result)
{
  enum status status = STATUS_IO;

  if (result == NNG_ETIMEDOUT)
    status = STATUS_TIMEOUT;
  else if (result == NNG_ENOMEM)
    status = STATUS_NO_MEMORY;
  else if (result == NNG_ECONNSHUT || result == NNG_ECONNRESET || result == NNG_ECLOSED)
    status = STATUS_CLOSED;
  conn_fail(conn, reader, status, nng_strerror(result));
}

enum status conn_dial(struct conn *conn, const char *url)
{
  int result = nng_stream_dialer_alloc(&conn->dialer, url);

  if (result != 0)
    return result == NNG_ENOMEM ? STATUS_NO_MEMORY : STATUS_INVALID_ARGUMENT;
  (void)nng_stream_dialer_set_bool(conn->dialer, NNG_OPT_TCP_NODELAY, true);
  (void)nng_stream_dialer_set_bool(conn->dialer, NNG_OPT_TCP_KEEPALIVE, true);
  conn->phase = CONN_DIALING;
  conn->dial_deadline = nng_clock() + conn->transport->settings.dial_ms;
  conn->reading = true;
  nng_aio_set_timeout(conn->read_aio, (nng_duration)conn->transport->settings.dial_ms);
  nng_stream_dialer_dial(conn->dialer, conn->read_aio);
  return STATUS_OK;
}

/* NNG 1.5.2 may report a TCP dial as done while it is still under way: a socket that isn't yet
 * connected looks hung up to its poller, and no error is pending. Writing nothing completes only
 * once the connection stands, and fails when it comes to nothing. */
static void dial_probe(struct conn *conn)
{
  nng_time now = nng_clock();
  nng_iov none = {0};

  nng_aio_set_timeout(conn->read_aio,
                      conn->dial_deadline > now ? (nng_duration)(conn->dial_deadline - now) : 1);
  CHECK(nng_aio_set_iov(conn->read_aio, 0, &none) == 0);
  nng_stream_send(conn->stream, conn->read_aio);
}

void conn_dialed(struct conn *conn)
{
  struct transport *transport = conn->transport;
  int result = nng_aio_result(conn->read_aio);

  if (result != 0) {
    conn_fail_nng(conn, true, result);
    return;
  }
  if (conn->stream == NULL) {
    conn->stream = nng_aio_get_output(conn->read_aio, 0);
    dial_probe(conn);
    return;
  }
  conn->phase = CONN_HANDSHAKE;
  pthread_mutex_lock(&transport->lock);
  conn->connected_due = true;
  ready_enqueue(transport, &conn->ready);
  pthread_mutex_unlock(&transport->lock);
  conn_read_start(conn);
}
