/* Accepting: one stream at a time waits for the core, so a flood of them is paced by it. */
#include <stdlib.h>
#include <string.h>

#include "transport_internal.h"

static void accept_done(void *argument)
{
  struct listener *listener = argument;
  struct transport *transport = listener->transport;
  int result = nng_aio_result(listener->aio);

  if (result == NNG_ECLOSED || result == NNG_ECANCELED)
    return;
  if (listener->pausing) {
    listener->pausing = false;
    nng_stream_listener_accept(listener->stream, listener->aio);
  } else if (result != 0) {
    /* Out of descriptors or the like: it may pass, so go on after a while. */
    listener->pausing = true;
    nng_sleep_aio(ACCEPT_PAUSE_MS, listener->aio);
  } else {
    pthread_mutex_lock(&transport->lock);
    listener->accepted = nng_aio_get_output(listener->aio, 0);
    ready_enqueue(transport, &listener->ready);
    pthread_mutex_unlock(&transport->lock);
  }
}

nng_stream *listener_take(struct listener *listener)
{
  nng_stream *stream;

  pthread_mutex_lock(&listener->transport->lock);
  stream = listener->accepted;
  listener->accepted = NULL;
  pthread_mutex_unlock(&listener->transport->lock);
  nng_stream_listener_accept(listener->stream, listener->aio);
  return stream;
}

static enum status status_of(int result)
{
  switch (result) {
  case 0:
    return STATUS_OK;
  case NNG_ENOMEM:
    return STATUS_NO_MEMORY;
  case NNG_EINVAL:
  case NNG_EADDRINVAL:
  case NNG_ENOTSUP:
    return STATUS_INVALID_ARGUMENT;
  default:
    return STATUS_IO;
  }
}

static int stream_listen(struct listener *listener, const char *url, uint16_t *port)
{
  int bound = 0;
  int result = nng_stream_listener_alloc(&listener->stream, url);

  if (result != 0)
    return result;
  /* Each kind of stream refuses the other's options. Nagle would hold small frames back. */
  (void)nng_stream_listener_set_bool(listener->stream, NNG_OPT_TCP_NODELAY, true);
  (void)nng_stream_listener_set_bool(listener->stream, NNG_OPT_TCP_KEEPALIVE, true);
  (void)nng_stream_listener_set_int(listener->stream, NNG_OPT_IPC_PERMISSIONS, 0600);
  result = nng_stream_listener_listen(listener->stream);
  if (result == 0 && port != NULL) {
    if (nng_stream_listener_get_int(listener->stream, NNG_OPT_TCP_BOUND_PORT, &bound) != 0)
      bound = 0;
    *port = (uint16_t)bound;
  }
  return result;
}

enum status listener_open(struct transport *transport, const char *url, uint16_t *port,
                          const char **reason)
{
  struct listener *listener = calloc(1, sizeof(*listener));
  int result = NNG_ENOMEM;

  if (listener != NULL) {
    listener->transport = transport;
    listener->ready.kind = READY_LISTENER;
    result = nng_aio_alloc(&listener->aio, accept_done, listener);
  }
  if (result == 0)
    result = stream_listen(listener, url, port);
  if (result == 0) {
    transport->listeners[transport->listener_count++] = listener;
    nng_stream_listener_accept(listener->stream, listener->aio);
  } else {
    if (reason != NULL)
      *reason = nng_strerror(result);
    if (listener != NULL)
      listener_close(listener);
  }
  return status_of(result);
}

void listener_close(struct listener *listener)
{
  struct transport *transport = listener->transport;

  if (listener->stream != NULL)
    nng_stream_listener_close(listener->stream);
  if (listener->aio != NULL) {
    nng_aio_stop(listener->aio);
    nng_aio_free(listener->aio);
  }
  nng_stream_listener_free(listener->stream);
  pthread_mutex_lock(&transport->lock);
  if (listener->ready.queued)
    TAILQ_REMOVE(&transport->queue, &listener->ready, link);
  pthread_mutex_unlock(&transport->lock);
  nng_stream_free(listener->accepted);
  free(listener);
}
