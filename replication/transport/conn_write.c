/* Writing: what is queued while a write is under way goes out together in the next. */
#include <string.h>

#include "record/check.h"
#include "transport_internal.h"

static void write_submit(struct conn *conn)
{
  size_t size = conn->flight.size - conn->flight_at;
  nng_iov iov = {conn->flight.data + conn->flight_at, size < OUTPUT_STEP ? size : OUTPUT_STEP};
  uint32_t timeout_ms = conn->transport->settings.unread_output_ms;

  conn->write_deadline = nng_clock() + timeout_ms;
  nng_aio_set_timeout(conn->write_aio, (nng_duration)timeout_ms);
  CHECK(nng_aio_set_iov(conn->write_aio, 1, &iov) == 0);
  nng_stream_send(conn->stream, conn->write_aio);
}

static void bytes_swap(struct bytes *a, struct bytes *b)
{
  struct bytes c = *a;

  *a = *b;
  *b = c;
}

/* Output lock held: the queue becomes the flight. */
static void flight_fill(struct conn *conn)
{
  bytes_clear(&conn->flight);
  conn->flight_at = 0;
  bytes_swap(&conn->queue, &conn->flight);
}

static void buffer_trim(struct bytes *buffer)
{
  bytes_clear(buffer);
  if (buffer->capacity > OUTPUT_KEEP)
    bytes_close(buffer);
}

enum status conn_write(struct conn *conn, struct bytes *octets)
{
  size_t output_max = conn->transport->settings.output_max;
  enum status status = STATUS_OK;
  bool submit = false;
  size_t unsent;

  pthread_mutex_lock(&conn->output_lock);
  unsent = conn->queue.size + conn->flight.size - conn->flight_at;
  if (conn->broken)
    status = STATUS_CLOSED;
  else if (octets->size > output_max || unsent > output_max - octets->size)
    status = STATUS_BUSY;
  else if (conn->queue.size == 0)
    bytes_swap(&conn->queue, octets);
  else
    status = bytes_append(&conn->queue, octets->data, octets->size);
  if (status == STATUS_OK) {
    bytes_clear(octets);
    submit = !conn->writing && conn->queue.size > 0;
  }
  if (submit) {
    conn->writing = true;
    flight_fill(conn);
  }
  pthread_mutex_unlock(&conn->output_lock);
  if (submit)
    write_submit(conn);
  return status;
}

static void drained_report(struct conn *conn)
{
  pthread_mutex_lock(&conn->transport->lock);
  conn->drained_due = true;
  ready_enqueue(conn->transport, &conn->ready);
  pthread_mutex_unlock(&conn->transport->lock);
}

/* Takes the next flight or gives up `writing`. */
static void flight_next(struct conn *conn)
{
  bool drained = false;
  bool more;

  pthread_mutex_lock(&conn->output_lock);
  more = conn->queue.size > 0;
  if (more) {
    flight_fill(conn);
  } else {
    conn->flight_at = 0;
    buffer_trim(&conn->flight);
    buffer_trim(&conn->queue);
    conn->writing = false;
    drained = conn->drained_wanted;
    conn->drained_wanted = false;
  }
  pthread_mutex_unlock(&conn->output_lock);
  if (more)
    write_submit(conn);
  if (drained)
    drained_report(conn);
}

void conn_write_done(void *argument)
{
  struct conn *conn = argument;
  int result = nng_aio_result(conn->write_aio);
  size_t written = result == 0 ? nng_aio_count(conn->write_aio) : 0;

  if (atomic_load(&conn->closing))
    return;
  /* As in reading, a timeout counts only when the time is up. */
  if (result == NNG_ETIMEDOUT && nng_clock() >= conn->write_deadline) {
    conn_fail(conn, false, STATUS_TIMEOUT, "peer did not read what was sent");
    return;
  }
  if (result != 0 && result != NNG_ETIMEDOUT) {
    conn_fail_nng(conn, false, result);
    return;
  }
  pthread_mutex_lock(&conn->output_lock);
  conn->flight_at += written;
  pthread_mutex_unlock(&conn->output_lock);
  if (conn->flight_at < conn->flight.size)
    write_submit(conn);
  else
    flight_next(conn);
}
