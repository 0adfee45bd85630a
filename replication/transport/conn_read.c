/* Reading: octets in, whole frames out, to the core before a connection is open, then to the frame
 * handler. Runs in NNG's threads. */
#include <stdlib.h>
#include <string.h>

#include "record/check.h"
#include "transport_internal.h"

/* Whether a frame of `*size` octets stands whole at the start of the input. */
enum frame_found { FRAME_NONE, FRAME_WHOLE, FRAME_BAD };

static enum frame_found frame_find(const struct conn *conn, size_t *size)
{
  size_t held = conn->input_end - conn->input_start;
  size_t frame_max = conn->phase == CONN_OPEN ? TRANSPORT_FRAME_MAX
                                              : conn->transport->settings.handshake_frame_max;

  if (held < LENGTH_SIZE)
    return FRAME_NONE;
  *size = input_frame_size(conn);
  if (*size == 0 || *size > frame_max)
    return FRAME_BAD;
  return held >= LENGTH_SIZE + *size ? FRAME_WHOLE : FRAME_NONE;
}

static void frame_consume(struct conn *conn, size_t size)
{
  conn->input_start += LENGTH_SIZE + size;
  conn->frame_deadline = 0;
}

/* Hands the frame to the core and stops reading until it resumes. */
static void frame_to_core(struct conn *conn)
{
  pthread_mutex_lock(&conn->transport->lock);
  conn->frame_due = true;
  conn->reading = false;
  ready_enqueue(conn->transport, &conn->ready);
  pthread_mutex_unlock(&conn->transport->lock);
}

/* Puts a result into the ring; false when there is enough for the core to take, and reading
 * stops. */
static bool result_push(struct conn *conn, void *result, size_t size)
{
  const struct transport_settings *settings = &conn->transport->settings;
  bool room;

  pthread_mutex_lock(&conn->transport->lock);
  CHECK(conn->result_count < settings->results_max);
  conn->results[(conn->result_first + conn->result_count) % settings->results_max] =
      (struct result){result, (uint32_t)size};
  conn->result_count++;
  conn->result_bytes += size;
  room = conn->result_count < settings->results_max &&
         conn->result_bytes < settings->results_bytes_max;
  if (!room) {
    conn->stalled = true;
    conn->reading = false;
    ready_enqueue(conn->transport, &conn->ready);
  }
  pthread_mutex_unlock(&conn->transport->lock);
  return room;
}

/* Wakes the core once for all results of one read. */
static void results_announce(struct conn *conn)
{
  pthread_mutex_lock(&conn->transport->lock);
  if (conn->result_count > 0)
    ready_enqueue(conn->transport, &conn->ready);
  pthread_mutex_unlock(&conn->transport->lock);
}

/* False when `reading` was given up. */
static bool frame_handle(struct conn *conn, size_t size)
{
  uint8_t *octets = conn->input + conn->input_start + LENGTH_SIZE;
  void *result = NULL;
  enum status status = conn->transport->settings.frame(conn->context, octets, size, &result);

  frame_consume(conn, size);
  if (status != STATUS_OK) {
    if (result != NULL)
      conn->transport->settings.result_free(result);
    conn_fail(conn, true, status, status_text(status));
    return false;
  }
  return result == NULL || result_push(conn, result, size);
}

/* All whole frames in the input. False when `reading` was given up. */
static bool frames_handle(struct conn *conn)
{
  enum frame_found found;
  size_t size;

  while ((found = frame_find(conn, &size)) == FRAME_WHOLE) {
    if (conn->phase != CONN_OPEN) {
      frame_to_core(conn);
      return false;
    }
    if (atomic_load(&conn->closing) || !frame_handle(conn, size))
      return false;
  }
  if (found == FRAME_BAD) {
    conn_fail(conn, true, STATUS_MALFORMED, "frame of a length that isn't allowed");
    return false;
  }
  if (conn->phase == CONN_OPEN)
    results_announce(conn);
  return true;
}

/* Moves what is left to the front and sizes the buffer by what came: it grows only as octets fill
 * it, whatever length a peer claims, and shrinks when the peer falls silent. */
static bool input_make_room(struct conn *conn, size_t received)
{
  size_t held = conn->input_end - conn->input_start;
  size_t capacity = conn->input_capacity;
  uint8_t *input;

  if (conn->input_start > 0)
    memmove(conn->input, conn->input + conn->input_start, held);
  conn->input_start = 0;
  if (capacity == 0 || (held == 0 && received <= INPUT_SMALL))
    capacity = INPUT_SMALL;
  else if (held == capacity || conn->input_end == capacity)
    capacity = capacity * 8 < INPUT_MAX ? capacity * 8 : INPUT_MAX;
  conn->input_end = held;
  if (capacity == conn->input_capacity)
    return true;
  input = realloc(conn->input, capacity);
  if (input == NULL)
    return false;
  conn->input = input;
  conn->input_capacity = capacity;
  return true;
}

/* The nearest deadline, 0 for none. Starts the partial frame's. */
static nng_time read_deadline(struct conn *conn)
{
  nng_time deadline = conn->phase == CONN_OPEN ? 0 : conn->handshake_deadline;

  if (conn->input_end > 0 && conn->frame_deadline == 0)
    conn->frame_deadline = nng_clock() + conn->transport->settings.partial_frame_ms;
  if (conn->frame_deadline != 0 && (deadline == 0 || conn->frame_deadline < deadline))
    deadline = conn->frame_deadline;
  return deadline;
}

static const char *timeout_reason(const struct conn *conn)
{
  return conn->phase == CONN_OPEN ? "rest of a frame did not come in time"
                                  : "handshake took too long";
}

static void read_submit(struct conn *conn)
{
  nng_time deadline = read_deadline(conn);
  nng_duration timeout = NNG_DURATION_INFINITE;
  nng_iov iov = {conn->input + conn->input_end, conn->input_capacity - conn->input_end};

  if (deadline != 0) {
    nng_time now = nng_clock();

    if (now >= deadline) {
      conn_fail(conn, true, STATUS_TIMEOUT, timeout_reason(conn));
      return;
    }
    timeout = (nng_duration)(deadline - now);
  }
  CHECK(iov.iov_len > 0);
  nng_aio_set_timeout(conn->read_aio, timeout);
  CHECK(nng_aio_set_iov(conn->read_aio, 1, &iov) == 0);
  nng_stream_recv(conn->stream, conn->read_aio);
}

void conn_read_start(struct conn *conn)
{
  conn->handshake_deadline = nng_clock() + conn->transport->settings.handshake_ms;
  if (input_make_room(conn, 0))
    read_submit(conn);
  else
    conn_fail(conn, true, STATUS_NO_MEMORY, status_text(STATUS_NO_MEMORY));
}

void conn_read_kick(struct conn *conn)
{
  /* Completes the aio with nothing received: its callback takes up what is buffered. */
  if (nng_aio_begin(conn->read_aio))
    nng_aio_finish(conn->read_aio, 0);
}

void conn_read_done(void *argument)
{
  struct conn *conn = argument;
  int result = nng_aio_result(conn->read_aio);
  size_t received = result == 0 ? nng_aio_count(conn->read_aio) : 0;

  if (atomic_load(&conn->closing) && conn->phase != CONN_DIALING)
    return;
  if (conn->phase == CONN_DIALING) {
    conn_dialed(conn);
    return;
  }
  /* NNG 1.5.2 can time an aio out for the operation before; read_submit looks at the clock. */
  if (result != 0 && result != NNG_ETIMEDOUT) {
    conn_fail_nng(conn, true, result);
    return;
  }
  conn->input_end += received;
  if (!frames_handle(conn))
    return;
  if (!input_make_room(conn, received)) {
    conn_fail(conn, true, STATUS_NO_MEMORY, status_text(STATUS_NO_MEMORY));
    return;
  }
  read_submit(conn);
}
