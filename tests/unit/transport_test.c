// links: transport
/*
 * The transport over real loopback TCP and IPC with well-behaved peers by the hundred, at rest and
 * while they are closed. One thread is the core of both ends.
 */
#include "transport_support.h"

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

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_many_peers_echo),
      cmocka_unit_test(test_closing_under_load),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
