// links: transport
/*
 * The transport against every kind of bad peer, made of plain sockets, and dials that come to
 * nothing.
 */
#include "transport_support.h"

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
