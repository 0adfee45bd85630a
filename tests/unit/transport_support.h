/*
 * What the transport's tests share: a frame handler that copies, waiting for events, frames.
 */
#ifndef TESTS_TRANSPORT_SUPPORT_H
#define TESTS_TRANSPORT_SUPPORT_H

#include <arpa/inet.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "transport/transport.h"

#define LENGTH_SIZE 4
#define PATIENCE_MS 8000

/* A frame as the handler hands it over. */
struct frame {
  uint32_t number; /* of the frame on its connection */
  size_t size;
  uint8_t octets[];
};

/* What a connection's handler keeps. */
struct peer {
  uint64_t conn;
  uint32_t handled; /* NNG's threads */
  uint32_t taken;
  uint32_t wanted;
  bool dialed;
};

static atomic_uint handler_calls;

/* Copies the frame; a frame that starts with 'X' is refused, one with 'N' gives nothing. */
static inline enum status frame_copy(void *context, uint8_t *octets, size_t size, void **result)
{
  struct peer *peer = context;
  struct frame *frame;

  atomic_fetch_add(&handler_calls, 1);
  if (octets[0] == 'X')
    return STATUS_BAD_SIGNATURE;
  if (octets[0] == 'N')
    return STATUS_OK;
  frame = malloc(sizeof(*frame) + size);
  if (frame == NULL)
    return STATUS_NO_MEMORY;
  frame->number = peer->handled++;
  frame->size = size;
  memcpy(frame->octets, octets, size);
  *result = frame;
  return STATUS_OK;
}

static inline int64_t now_ms(void)
{
  struct timespec time;

  clock_gettime(CLOCK_MONOTONIC, &time);
  return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

static inline struct transport_settings settings_make(void)
{
  struct transport_settings settings;

  transport_settings_default(&settings);
  settings.frame = frame_copy;
  settings.result_free = free;
  return settings;
}

static inline struct transport *transport_make(const struct transport_settings *settings)
{
  struct transport *transport = NULL;

  assert_int_equal(transport_new(settings, &transport), STATUS_OK);
  return transport;
}

/* Next event within `wait_ms`, else false. */
static inline bool event_wait(struct transport *transport, struct transport_event *event,
                              int64_t wait_ms)
{
  int64_t end = now_ms() + wait_ms;

  while (!transport_next(transport, event)) {
    struct pollfd poll_fd = {.fd = transport_fd(transport), .events = POLLIN};
    int64_t left = end - now_ms();

    if (left <= 0)
      return false;
    poll(&poll_fd, 1, (int)left);
  }
  return true;
}

static inline struct transport_event event_expect(struct transport *transport,
                                                  enum transport_event_type type)
{
  struct transport_event event;

  assert_true(event_wait(transport, &event, PATIENCE_MS));
  assert_int_equal(event.type, type);
  return event;
}

static inline void frame_append(struct bytes *out, const void *octets, size_t size)
{
  uint8_t length[LENGTH_SIZE] = {(uint8_t)size, (uint8_t)(size >> 8), (uint8_t)(size >> 16),
                                 (uint8_t)(size >> 24)};

  assert_int_equal(bytes_append(out, length, sizeof(length)), STATUS_OK);
  assert_int_equal(bytes_append(out, octets, size), STATUS_OK);
}

static inline enum status frame_send(struct transport *transport, uint64_t conn, const void *octets,
                                     size_t size)
{
  struct bytes out = {0};
  enum status status;

  frame_append(&out, octets, size);
  status = transport_conn_send(transport, conn, &out);
  bytes_close(&out);
  return status;
}

#ifdef __SANITIZE_THREAD__
/* NNG orders the end of a dialer by an atomic count that the sanitizer, which sees only what it
 * compiled, doesn't know of. */
const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
  return "race:pthread_mutex_destroy\n";
}
#endif

#endif
