// links: transport
/*
 * The transport over real loopback TCP and IPC: well-behaved peers by the hundred, and every kind
 * of bad one, made of plain sockets. One thread is the core of both ends.
 */
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

#ifdef __SANITIZE_THREAD__
/* NNG orders the end of a dialer by an atomic count that the sanitizer, which sees only what it
 * compiled, doesn't know of. */
const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
  return "race:pthread_mutex_destroy\n";
}
#endif

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
static enum status frame_copy(void *context, uint8_t *octets, size_t size, void **result)
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

static int64_t now_ms(void)
{
  struct timespec time;

  clock_gettime(CLOCK_MONOTONIC, &time);
  return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

static struct transport_settings settings_make(void)
{
  struct transport_settings settings;

  transport_settings_default(&settings);
  settings.frame = frame_copy;
  settings.result_free = free;
  return settings;
}

static struct transport *transport_make(const struct transport_settings *settings)
{
  struct transport *transport = NULL;

  assert_int_equal(transport_new(settings, &transport), STATUS_OK);
  return transport;
}

/* Next event within `wait_ms`, else false. */
static bool event_wait(struct transport *transport, struct transport_event *event, int64_t wait_ms)
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

static struct transport_event event_expect(struct transport *transport,
                                           enum transport_event_type type)
{
  struct transport_event event;

  assert_true(event_wait(transport, &event, PATIENCE_MS));
  assert_int_equal(event.type, type);
  return event;
}

static void frame_append(struct bytes *out, const void *octets, size_t size)
{
  uint8_t length[LENGTH_SIZE] = {(uint8_t)size, (uint8_t)(size >> 8), (uint8_t)(size >> 16),
                                 (uint8_t)(size >> 24)};

  assert_int_equal(bytes_append(out, length, sizeof(length)), STATUS_OK);
  assert_int_equal(bytes_append(out, octets, size), STATUS_OK);
}

static enum status frame_send(struct transport *transport, uint64_t conn, const void *octets,
                              size_t size)
{
  struct bytes out = {0};
  enum status status;

  frame_append(&out, octets, size);
  status = transport_conn_send(transport, conn, &out);
  bytes_close(&out);
  return status;
}

/* --- plain sockets as bad peers --- */

static int raw_connect(uint16_t port)
{
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
  int fd = socket(AF_INET, SOCK_STREAM, 0);

  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  assert_true(fd >= 0);
  assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
  return fd;
}

static void raw_send(int fd, const void *octets, size_t size)
{
  assert_int_equal(send(fd, octets, size, MSG_NOSIGNAL), (ssize_t)size);
}

static void raw_send_frame(int fd, const void *octets, size_t size)
{
  struct bytes frame = {0};

  frame_append(&frame, octets, size);
  raw_send(fd, frame.data, frame.size);
  bytes_close(&frame);
}

/* Whether the other end closed within the time. */
static bool raw_closed(int fd)
{
  struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
  uint8_t block[4096];

  while (poll(&poll_fd, 1, PATIENCE_MS) > 0) {
    if (recv(fd, block, sizeof(block), 0) <= 0)
      return true;
  }
  return false;
}

/* A listener, and a plain socket that it has let in with `peer` as context. */
struct raw_link {
  struct transport *transport;
  uint16_t port;
  int fd;
  struct peer peer;
};

static void raw_link_open(struct raw_link *link, const struct transport_settings *settings)
{
  struct transport_event event;

  memset(link, 0, sizeof(*link));
  link->transport = transport_make(settings);
  assert_int_equal(transport_listen(link->transport, "tcp://127.0.0.1:0", &link->port, NULL),
                   STATUS_OK);
  link->fd = raw_connect(link->port);
  raw_send_frame(link->fd, "hello", 5);
  link->peer.conn = event_expect(link->transport, TRANSPORT_ACCEPTED).conn;
  event = event_expect(link->transport, TRANSPORT_FRAME);
  assert_int_equal(event.conn, link->peer.conn);
  assert_true(bytes_view_equal(event.frame, bytes_view_text("hello")));
  transport_conn_open(link->transport, link->peer.conn, &link->peer);
}

static void raw_link_close(struct raw_link *link)
{
  if (link->fd >= 0)
    close(link->fd);
  transport_free(link->transport);
}

static void closed_expect(struct raw_link *link, enum status status)
{
  struct transport_event event = event_expect(link->transport, TRANSPORT_CLOSED);

  assert_int_equal(event.conn, link->peer.conn);
  assert_int_equal(event.status, status);
  assert_non_null(event.reason);
  assert_int_equal(transport_conn_send(link->transport, event.conn, &(struct bytes){0}),
                   STATUS_CLOSED);
}

/* --- many good peers --- */

#define MANY 200

struct crowd {
  struct transport *transport;
  struct peer peers[2 * MANY]; /* both ends */
  unsigned count;
  unsigned open;
  unsigned closed;
  unsigned echoes_left;
  bool closing; /* connections end under our hands, so sending may come too late */
};

static struct peer *crowd_peer(struct crowd *crowd, uint64_t conn)
{
  for (unsigned i = 0; i < crowd->count; i++) {
    if (crowd->peers[i].conn == conn)
      return &crowd->peers[i];
  }
  assert_true(crowd->count < 2 * MANY);
  crowd->peers[crowd->count].conn = conn;
  return &crowd->peers[crowd->count++];
}

static void crowd_send(struct crowd *crowd, uint64_t conn, const void *octets, size_t size)
{
  enum status status = frame_send(crowd->transport, conn, octets, size);

  assert_true(status == STATUS_OK || (crowd->closing && status == STATUS_CLOSED));
}

static size_t frame_size_of(uint32_t number)
{
  static const size_t sizes[] = {1, 1019, 1020, 1021, 65535, 3, 20000};

  return sizes[number % (sizeof(sizes) / sizeof(sizes[0]))];
}

static void pattern_send(struct crowd *crowd, struct peer *peer, uint32_t number)
{
  uint8_t *octets = malloc(TRANSPORT_FRAME_MAX);

  assert_non_null(octets);
  memset(octets, (int)('a' + number % 10), TRANSPORT_FRAME_MAX);
  crowd_send(crowd, peer->conn, octets, frame_size_of(number));
  free(octets);
}

/* The dialing end checks what comes back and asks again; the other end returns what it gets. */
static void crowd_result(struct crowd *crowd, struct peer *peer, struct frame *frame)
{
  assert_int_equal(frame->number, peer->taken);
  peer->taken++;
  if (!peer->dialed) {
    crowd_send(crowd, peer->conn, frame->octets, frame->size);
  } else {
    assert_int_equal(frame->size, frame_size_of(frame->number));
    assert_int_equal(frame->octets[0], 'a' + frame->number % 10);
    assert_int_equal(frame->octets[frame->size - 1], 'a' + frame->number % 10);
    crowd->echoes_left--;
    if (peer->taken < peer->wanted)
      pattern_send(crowd, peer, peer->taken);
  }
  free(frame);
}

/* Dialer says "1", listener "2", dialer opens and sends; the listener opens on "1". */
static void crowd_event(struct crowd *crowd, const struct transport_event *event)
{
  struct peer *peer = crowd_peer(crowd, event->conn);

  switch (event->type) {
  case TRANSPORT_CONNECTED:
    crowd_send(crowd, event->conn, "1", 1);
    break;
  case TRANSPORT_FRAME:
    crowd->open++;
    transport_conn_open(crowd->transport, event->conn, peer);
    if (peer->dialed)
      pattern_send(crowd, peer, 0);
    else
      crowd_send(crowd, event->conn, "2", 1);
    break;
  case TRANSPORT_RESULT:
    crowd_result(crowd, peer, event->result);
    break;
  case TRANSPORT_CLOSED:
    crowd->closed++;
    peer->conn = 0;
    break;
  default:
    assert_int_equal(event->type, TRANSPORT_ACCEPTED);
    break;
  }
}

static void crowd_dial(struct crowd *crowd, const char *url, unsigned count, uint32_t echoes)
{
  for (unsigned i = 0; i < count; i++) {
    struct peer *peer;
    uint64_t conn;

    assert_int_equal(transport_dial(crowd->transport, url, &conn), STATUS_OK);
    peer = crowd_peer(crowd, conn);
    peer->dialed = true;
    peer->wanted = echoes;
    crowd->echoes_left += echoes;
  }
}

static struct crowd *crowd_open(char tcp_url[64], char ipc_url[64])
{
  struct transport_settings settings = settings_make();
  struct crowd *crowd = calloc(1, sizeof(*crowd));
  uint16_t port = 0;

  assert_non_null(crowd);
  crowd->transport = transport_make(&settings);
  assert_int_equal(transport_listen(crowd->transport, "tcp://127.0.0.1:0", &port, NULL), STATUS_OK);
  assert_true(port > 0);
  snprintf(tcp_url, 64, "tcp://127.0.0.1:%u", port);
  snprintf(ipc_url, 64, "ipc:///tmp/transport_test.%d", (int)getpid());
  assert_int_equal(transport_listen(crowd->transport, ipc_url, NULL, NULL), STATUS_OK);
  return crowd;
}

static void test_many_peers_echo(void **state)
{
  char tcp_url[64];
  char ipc_url[64];
  char peer[TRANSPORT_PEER_SIZE];
  struct crowd *crowd = crowd_open(tcp_url, ipc_url);
  struct transport_event event;

  (void)state;
  /* IPC in steps, as the kernel refuses what is beyond the listener's backlog. */
  crowd_dial(crowd, tcp_url, MANY / 2, 14);
  for (unsigned i = 0; i < 4; i++) {
    crowd_dial(crowd, ipc_url, MANY / 8, 14);
    while (crowd->open < 2 * (MANY / 2 + (i + 1) * MANY / 8)) {
      assert_true(event_wait(crowd->transport, &event, PATIENCE_MS));
      crowd_event(crowd, &event);
    }
  }
  while (crowd->echoes_left > 0) {
    assert_true(event_wait(crowd->transport, &event, PATIENCE_MS));
    crowd_event(crowd, &event);
  }
  assert_int_equal(crowd->open, 2 * MANY);
  assert_int_equal(crowd->closed, 0);
  transport_conn_peer(crowd->transport, crowd->peers[0].conn, peer);
  assert_string_equal(peer, tcp_url + strlen("tcp://"));
  transport_conn_peer(crowd->transport, 77, peer);
  assert_string_equal(peer, "");
  transport_free(crowd->transport);
  free(crowd);
}

/* Closes connections of either end, at any stage, while all of them are busy. */
static void test_closing_under_load(void **state)
{
  char tcp_url[64];
  char ipc_url[64];
  struct crowd *crowd = crowd_open(tcp_url, ipc_url);
  struct transport_event event;
  uint32_t random = 1;
  int64_t end = now_ms() + PATIENCE_MS;

  (void)state;
  crowd->closing = true;
  crowd_dial(crowd, tcp_url, 100, 1000000);
  for (unsigned gone = 0, step = 0; gone < 100 && now_ms() < end;) {
    if (!event_wait(crowd->transport, &event, 100)) {
      step = 3;
    } else if (event.type == TRANSPORT_CLOSED || event.type == TRANSPORT_DIAL_FAILED) {
      crowd_peer(crowd, event.conn)->conn = 0;
    } else {
      crowd_event(crowd, &event);
      step++;
    }
    random = random * 1664525 + 1013904223;
    if (step > 2) {
      uint64_t victim = crowd->peers[(random >> 16) % crowd->count].conn;

      step = 0;
      if (victim == 0)
        continue;
      transport_conn_close(crowd->transport, victim);
      transport_conn_close(crowd->transport, victim);
      transport_conn_resume(crowd->transport, victim);
      assert_int_equal(frame_send(crowd->transport, victim, "x", 1), STATUS_CLOSED);
      crowd_peer(crowd, victim)->conn = 0;
      gone++;
    }
  }
  /* And the rest at once, dials included. */
  crowd_dial(crowd, tcp_url, 20, 1);
  transport_free(crowd->transport);
  free(crowd);
}

/* --- bad peers --- */

static void test_peer_that_never_reads(void **state)
{
  struct transport_settings settings = settings_make();
  struct bytes block = {0};
  struct raw_link link;
  struct peer other = {0};
  int other_fd;
  unsigned sent = 0;
  enum status status;

  (void)state;
  settings.unread_output_ms = 700;
  settings.output_max = 6 * 1024 * 1024;
  raw_link_open(&link, &settings);
  for (status = STATUS_OK; status == STATUS_OK && sent < 64; sent++) {
    assert_int_equal(bytes_reserve(&block, 1 << 20), STATUS_OK);
    memset(block.data, 0, 1 << 20);
    block.size = 1 << 20;
    status = transport_conn_send(link.transport, link.peer.conn, &block);
  }
  assert_int_equal(status, STATUS_BUSY);
  assert_int_equal(block.size, 1 << 20);
  assert_true(transport_conn_unsent(link.transport, link.peer.conn) > 5 << 20);
  transport_conn_notify_drained(link.transport, link.peer.conn);
  /* Meanwhile another one is served. */
  other_fd = raw_connect(link.port);
  raw_send_frame(other_fd, "hello", 5);
  other.conn = event_expect(link.transport, TRANSPORT_ACCEPTED).conn;
  event_expect(link.transport, TRANSPORT_FRAME);
  transport_conn_open(link.transport, other.conn, &other);
  for (unsigned i = 0; i < 20; i++) {
    raw_send_frame(other_fd, "ping", 4);
    free(event_expect(link.transport, TRANSPORT_RESULT).result);
  }
  closed_expect(&link, STATUS_TIMEOUT);
  close(other_fd);
  bytes_close(&block);
  raw_link_close(&link);
}

static void test_slow_reader_drains(void **state)
{
  struct transport_settings settings = settings_make();
  struct bytes block = {0};
  uint8_t *sink = malloc(1 << 20);
  struct raw_link link;
  size_t left = 6 << 20;

  (void)state;
  assert_non_null(sink);
  raw_link_open(&link, &settings);
  transport_conn_notify_drained(link.transport, link.peer.conn);
  event_expect(link.transport, TRANSPORT_DRAINED);
  assert_int_equal(bytes_reserve(&block, left), STATUS_OK);
  for (size_t i = 0; i < left; i++)
    block.data[i] = (uint8_t)(i * 7 >> 3);
  block.size = left;
  assert_int_equal(transport_conn_send(link.transport, link.peer.conn, &block), STATUS_OK);
  assert_int_equal(block.size, 0);
  transport_conn_notify_drained(link.transport, link.peer.conn);
  for (size_t at = 0; left > 0;) {
    ssize_t size = recv(link.fd, sink, left < 1 << 20 ? left : 1 << 20, 0);

    assert_true(size > 0);
    for (ssize_t i = 0; i < size; i++, at++)
      assert_true(sink[i] == (uint8_t)(at * 7 >> 3));
    left -= (size_t)size;
  }
  event_expect(link.transport, TRANSPORT_DRAINED);
  assert_int_equal(transport_conn_unsent(link.transport, link.peer.conn), 0);
  bytes_close(&block);
  free(sink);
  raw_link_close(&link);
}

static void test_half_a_frame(void **state)
{
  struct transport_settings settings = settings_make();
  struct raw_link link;
  int64_t start;

  (void)state;
  settings.partial_frame_ms = 300;
  raw_link_open(&link, &settings);
  /* Silence between frames is no fault. */
  usleep(500 * 1000);
  raw_send_frame(link.fd, "abc", 3);
  free(event_expect(link.transport, TRANSPORT_RESULT).result);
  /* An octet now and then doesn't move the deadline. */
  start = now_ms();
  raw_send(link.fd, "\x20\0\0\0", 4);
  for (unsigned i = 0; i < 4; i++) {
    usleep(60 * 1000);
    raw_send(link.fd, "x", 1);
  }
  closed_expect(&link, STATUS_TIMEOUT);
  assert_true(now_ms() - start >= 290 && now_ms() - start < 3000);
  assert_true(raw_closed(link.fd));
  raw_link_close(&link);
}

static void test_lengths_out_of_bounds(void **state)
{
  static const char *const lengths[] = {"\0\0\0\0", "\0\0\1\0", "\xff\xff\xff\xff"};
  struct transport_settings settings = settings_make();
  struct raw_link link;

  (void)state;
  for (unsigned i = 0; i < 3; i++) {
    raw_link_open(&link, &settings);
    raw_send(link.fd, lengths[i], 4);
    closed_expect(&link, STATUS_MALFORMED);
    assert_true(raw_closed(link.fd));
    raw_link_close(&link);
  }
}

static void test_strangers_are_bounded(void **state)
{
  struct transport_settings settings = settings_make();
  struct transport_event event;
  struct raw_link link;
  int fds[3];

  (void)state;
  settings.handshake_ms = 300;
  settings.handshake_frame_max = 100;
  settings.pending_max = 2;
  raw_link_open(&link, &settings);
  for (unsigned i = 0; i < 2; i++) {
    fds[i] = raw_connect(link.port);
    event_expect(link.transport, TRANSPORT_ACCEPTED);
  }
  /* A third stranger is turned away; of the others one says too much, one nothing. */
  fds[2] = raw_connect(link.port);
  assert_false(event_wait(link.transport, &event, 50));
  assert_true(raw_closed(fds[2]));
  raw_send(fds[0], "\x65\0\0\0", 4);
  event = event_expect(link.transport, TRANSPORT_CLOSED);
  assert_int_equal(event.status, STATUS_MALFORMED);
  event = event_expect(link.transport, TRANSPORT_CLOSED);
  assert_int_equal(event.status, STATUS_TIMEOUT);
  /* Their places are free again, and who was let in stays. */
  close(fds[0]);
  fds[0] = raw_connect(link.port);
  event_expect(link.transport, TRANSPORT_ACCEPTED);
  raw_send_frame(link.fd, "abc", 3);
  event = event_expect(link.transport, TRANSPORT_RESULT);
  assert_int_equal(event.conn, link.peer.conn);
  free(event.result);
  for (unsigned i = 0; i < 3; i++)
    close(fds[i]);
  raw_link_close(&link);
}

static void test_connections_max(void **state)
{
  struct transport_settings settings = settings_make();
  struct transport_event event;
  struct raw_link link;
  uint64_t conn;
  int fd;

  (void)state;
  settings.connections_max = 1;
  raw_link_open(&link, &settings);
  fd = raw_connect(link.port);
  assert_false(event_wait(link.transport, &event, 50));
  assert_true(raw_closed(fd));
  assert_int_equal(transport_dial(link.transport, "tcp://127.0.0.1:9", &conn), STATUS_BUSY);
  transport_conn_close(link.transport, link.peer.conn);
  close(fd);
  fd = raw_connect(link.port);
  event = event_expect(link.transport, TRANSPORT_ACCEPTED);
  assert_int_not_equal(event.conn, link.peer.conn);
  close(fd);
  raw_link_close(&link);
}

static void test_reading_stops_when_results_wait(void **state)
{
  struct transport_settings settings = settings_make();
  struct raw_link link;

  (void)state;
  settings.results_max = 3;
  raw_link_open(&link, &settings);
  atomic_store(&handler_calls, 0);
  for (unsigned i = 0; i < 100; i++)
    raw_send_frame(link.fd, "abc", 3);
  raw_send_frame(link.fd, "N", 1);
  raw_send_frame(link.fd, "abcd", 4);
  close(link.fd);
  link.fd = -1;
  usleep(200 * 1000);
  assert_int_equal(atomic_load(&handler_calls), 3);
  for (unsigned i = 0; i <= 100; i++) {
    struct frame *frame = event_expect(link.transport, TRANSPORT_RESULT).result;

    assert_int_equal(frame->number, i);
    assert_int_equal(frame->size, i < 100 ? 3 : 4);
    free(frame);
  }
  closed_expect(&link, STATUS_CLOSED);
  raw_link_close(&link);
}

static void test_reading_stops_when_octets_wait(void **state)
{
  struct transport_settings settings = settings_make();
  uint8_t *octets = calloc(1, 60000);
  struct raw_link link;

  (void)state;
  assert_non_null(octets);
  settings.results_bytes_max = 100000;
  raw_link_open(&link, &settings);
  atomic_store(&handler_calls, 0);
  for (unsigned i = 0; i < 6; i++)
    raw_send_frame(link.fd, octets, 60000);
  usleep(200 * 1000);
  assert_int_equal(atomic_load(&handler_calls), 2);
  for (unsigned i = 0; i < 6; i++) {
    struct frame *frame = event_expect(link.transport, TRANSPORT_RESULT).result;

    assert_int_equal(frame->number, i);
    assert_int_equal(frame->size, 60000);
    free(frame);
  }
  free(octets);
  raw_link_close(&link);
}

static void test_handler_refuses(void **state)
{
  struct transport_settings settings = settings_make();
  struct raw_link link;
  struct frame *frame;

  (void)state;
  raw_link_open(&link, &settings);
  raw_send_frame(link.fd, "good", 4);
  raw_send_frame(link.fd, "X", 1);
  raw_send_frame(link.fd, "late", 4);
  frame = event_expect(link.transport, TRANSPORT_RESULT).result;
  assert_memory_equal(frame->octets, "good", 4);
  free(frame);
  closed_expect(&link, STATUS_BAD_SIGNATURE);
  assert_true(raw_closed(link.fd));
  raw_link_close(&link);
}

static void test_untaken_results_are_freed(void **state)
{
  struct transport_settings settings = settings_make();
  struct raw_link link;

  (void)state;
  raw_link_open(&link, &settings);
  for (unsigned i = 0; i < 5; i++)
    raw_send_frame(link.fd, "abc", 3);
  usleep(50 * 1000);
  transport_conn_close(link.transport, link.peer.conn);
  assert_true(raw_closed(link.fd));
  raw_link_close(&link);
}

static void test_dials_that_fail(void **state)
{
  struct transport_settings settings = settings_make();
  struct transport *transport = transport_make(&settings);
  struct transport_event event;
  const char *reason = NULL;
  char url[64];
  uint16_t port;
  uint64_t conn;

  (void)state;
  /* A port that was just free. */
  assert_int_equal(transport_listen(transport, "tcp://127.0.0.1:0", &port, NULL), STATUS_OK);
  snprintf(url, sizeof(url), "tcp://127.0.0.1:%u", port);
  assert_int_equal(transport_listen(transport, url, NULL, &reason), STATUS_IO);
  assert_non_null(reason);
  transport_free(transport);
  transport = transport_make(&settings);
  assert_int_equal(transport_dial(transport, url, &conn), STATUS_OK);
  assert_int_equal(frame_send(transport, conn, "x", 1), STATUS_CLOSED);
  event = event_expect(transport, TRANSPORT_DIAL_FAILED);
  assert_int_equal(event.conn, conn);
  assert_non_null(event.reason);
  assert_int_equal(transport_dial(transport, "ipc:///tmp/no-such-socket-there", &conn), STATUS_OK);
  event_expect(transport, TRANSPORT_DIAL_FAILED);
  assert_int_equal(transport_dial(transport, "nonsense", &conn), STATUS_INVALID_ARGUMENT);
  assert_int_equal(transport_dial(transport, "bogus://x:1", &conn), STATUS_INVALID_ARGUMENT);
  assert_int_equal(transport_listen(transport, "bogus://x:1", NULL, NULL), STATUS_INVALID_ARGUMENT);
  transport_free(transport);
  settings.results_max = 0;
  assert_int_equal(transport_new(&settings, &transport), STATUS_INVALID_ARGUMENT);
}

#define FILLERS 16

/* A listener whose backlog is full and that nobody takes from: the dial ends by its deadline. */
static void test_dial_takes_too_long(void **state)
{
  struct transport_settings settings = settings_make();
  struct sockaddr_in address = {.sin_family = AF_INET};
  socklen_t size = sizeof(address);
  struct transport *transport;
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  char url[64];
  uint64_t conn;
  int fillers[FILLERS];

  (void)state;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
  assert_int_equal(listen(listener, 0), 0);
  assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &size), 0);
  for (unsigned i = 0; i < FILLERS; i++) {
    fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    (void)!connect(fillers[i], (struct sockaddr *)&address, sizeof(address));
  }
  /* Until the kernel has put those in the backlog that have their place in it. */
  usleep(150 * 1000);
  snprintf(url, sizeof(url), "tcp://127.0.0.1:%u", ntohs(address.sin_port));
  settings.dial_ms = 200;
  transport = transport_make(&settings);
  assert_int_equal(transport_dial(transport, url, &conn), STATUS_OK);
  assert_int_equal(event_expect(transport, TRANSPORT_DIAL_FAILED).status, STATUS_TIMEOUT);
  transport_free(transport);
  for (unsigned i = 0; i < FILLERS; i++)
    close(fillers[i]);
  close(listener);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_many_peers_echo),
      cmocka_unit_test(test_closing_under_load),
      cmocka_unit_test(test_peer_that_never_reads),
      cmocka_unit_test(test_slow_reader_drains),
      cmocka_unit_test(test_half_a_frame),
      cmocka_unit_test(test_lengths_out_of_bounds),
      cmocka_unit_test(test_strangers_are_bounded),
      cmocka_unit_test(test_connections_max),
      cmocka_unit_test(test_reading_stops_when_results_wait),
      cmocka_unit_test(test_reading_stops_when_octets_wait),
      cmocka_unit_test(test_handler_refuses),
      cmocka_unit_test(test_untaken_results_are_freed),
      cmocka_unit_test(test_dials_that_fail),
      cmocka_unit_test(test_dial_takes_too_long),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
