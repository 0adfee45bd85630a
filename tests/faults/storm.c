/*
 * Many children of one parent in one process: each with a key and a certificate of its own, the
 * real channel, replication core and transport, and the pauses of the daemon's own redialing.
 *
 *   storm PARENT_DIR URL COUNT
 *
 * The parent's key in PARENT_DIR certifies them. Each line on stdin lets all that are not linked
 * dial at the same moment; when all are linked a line of figures is printed. Until the next line
 * whoever loses its link stays away.
 */
#include <poll.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "noded/identity.h"
#include "replication/channel.h"
#include "replication/node.h"
#include "transport/transport.h"

#define COUNT_MAX 4000
#define PAUSE_MIN_MS 100
#define PAUSE_MAX_MS 30000
#define GIVE_UP_MS 120000

enum state { AWAY, DIALING, HANDSHAKE, OPEN, LINKED };

/* What NNG's thread owns of a connection once it is open. */
struct reader_side {
  struct channel_opener opener;
  struct inbound inbound;
};

struct child {
  enum state state;
  uint64_t conn;
  uint32_t generation;
  int64_t dial_at_ms;
  uint32_t pause_ms;
  struct address address;
  uint8_t secret_key[64];
  struct bytes chain;
  struct channel channel;
  struct channel_sealer sealer;
  struct reader_side reader;
  struct repl_node *node;
  struct repl_effects effects;
};

struct figures {
  unsigned dials;
  unsigned refused; /* nobody listened */
  unsigned closed;  /* by the parent, before the link stood */
  unsigned timeouts;
};

struct storm {
  struct core_identity identity;
  struct transport *transport;
  const char *url;
  uint8_t static_secret[NOISE_KEY_SIZE];
  struct child *children;
  unsigned count;
  unsigned linked;
  bool blowing;
  int64_t began_ms;
  struct figures figures;
};

_Noreturn static void fail(const char *what)
{
  fprintf(stderr, "storm: %s\n", what);
  exit(1);
}

static void need(enum status status, const char *what)
{
  if (status != STATUS_OK) {
    fprintf(stderr, "storm: %s: %s\n", what, status_text(status));
    exit(1);
  }
}

static struct instant now(void)
{
  struct timespec mono;
  struct timespec wall;
  clock_gettime(CLOCK_MONOTONIC, &mono);
  clock_gettime(CLOCK_REALTIME, &wall);
  return (struct instant){{(int64_t)mono.tv_sec * 1000 + mono.tv_nsec / 1000000},
                          {(int64_t)wall.tv_sec * 1000 + wall.tv_nsec / 1000000}};
}

/* ---- keys and certificates ---- */

/* The parent's chain and one certificate more, by the parent's key. */
static void certify(struct storm *storm, struct child *child, unsigned number)
{
  struct certificate above[CERTIFICATE_CHAIN_MAX];
  size_t count = 0;
  char text[sizeof(child->address.text) + 16];
  struct certificate_draft draft = {.not_before = (uint64_t)now().wall.ms / 1000 - 60,
                                    .not_after = (uint64_t)now().wall.ms / 1000 + 86400};
  snprintf(text, sizeof(text), "%s/w%u", storm->identity.address.text, number);
  need(address_parse(bytes_view_text(text), false, &child->address), "address");
  crypto_sign_keypair(draft.key.octets, child->secret_key);
  draft.address = child->address;
  if (certificate_read_chain(bytes_as_view(&storm->identity.chain), &storm->identity.root, above,
                             &count) != VERDICT_OK) {
    fail("the parent's chain");
  }
  uint8_t head = (uint8_t)(0x90 | (count + 1)); /* msgpack: an array of so many */
  need(bytes_append(&child->chain, &head, 1), "chain");
  for (size_t i = 0; i < count; i++) {
    need(bytes_append(&child->chain, above[i].octets.data, above[i].octets.size), "chain");
  }
  need(certificate_write(&draft, storm->identity.secret_key, &child->chain), "certificate");
}

static void make_node(struct storm *storm, struct child *child)
{
  struct certificate chain[CERTIFICATE_CHAIN_MAX];
  struct repl_settings settings;
  size_t count = 0;
  repl_settings_default(&settings);
  settings.self = child->address;
  settings.root = storm->identity.root;
  settings.software = "storm";
  randombytes_buf(settings.store.octets, sizeof(settings.store.octets));
  need(repl_node_new(&settings, &child->node), "node");
  if (certificate_read_chain(bytes_as_view(&child->chain), &storm->identity.root, chain, &count) !=
      VERDICT_OK) {
    fail("a child's chain");
  }
  for (size_t i = 0; i < count; i++) {
    if (repl_node_add_certificate(child->node, chain[i].octets) != VERDICT_OK) {
      fail("a child's certificate");
    }
  }
}

/* ---- connections ---- */

static void give_up_link(struct storm *storm, struct child *child)
{
  if (child->state == LINKED) {
    storm->linked--;
  }
  if (child->state >= OPEN) {
    struct repl_event event = {.type = REPL_PEER_DOWN, .neighbour = REPL_NEIGHBOUR_PARENT};
    need(repl_step(child->node, &event, now(), &child->effects), "step");
    repl_effects_clear(&child->effects);
  }
  channel_close(&child->channel);
  channel_sealer_close(&child->sealer);
  channel_opener_close(&child->reader.opener);
  inbound_close(&child->reader.inbound);
  memset(&child->reader, 0, sizeof(child->reader));
  child->state = AWAY;
  child->conn = 0;
  child->dial_at_ms =
      now().mono.ms + child->pause_ms / 2 + randombytes_uniform(child->pause_ms / 2 + 1);
  child->pause_ms = child->pause_ms > PAUSE_MAX_MS / 2 ? PAUSE_MAX_MS : child->pause_ms * 2;
}

static void dial(struct storm *storm, struct child *child)
{
  need(transport_dial(storm->transport, storm->url, &child->conn), "dial");
  child->state = DIALING;
  storm->figures.dials++;
}

static void shake_hands(struct storm *storm, struct child *child)
{
  struct bytes out = {0};
  if (channel_is_our_turn(&child->channel)) {
    need(channel_handshake_write(&child->channel, &out), "handshake");
    (void)!transport_conn_send(storm->transport, child->conn, &out); /* an event tells its end */
    bytes_close(&out);
  }
}

static void start_handshake(struct storm *storm, struct child *child)
{
  struct channel_settings settings = {.role = CHANNEL_CHILD,
                                      .root_id = storm->identity.root,
                                      .chain = bytes_as_view(&child->chain)};
  memcpy(settings.static_secret, storm->static_secret, NOISE_KEY_SIZE);
  memcpy(settings.node_secret_key, child->secret_key, sizeof(settings.node_secret_key));
  randombytes_buf(settings.ephemeral_secret, NOISE_KEY_SIZE);
  channel_init(&child->channel, &settings);
  child->state = HANDSHAKE;
  shake_hands(storm, child);
}

/* ---- the core's effects; this child has nothing to say and a store that forgets ---- */

static void answer(struct child *child, const struct repl_effect *effect)
{
  struct repl_event event = {.neighbour = REPL_NEIGHBOUR_PARENT};
  switch (effect->type) {
  case REPL_CHECK_CURSORS:
    event.type = REPL_CURSORS;
    event.cursors.generation = effect->generation;
    memset(event.cursors.matches, 1, sizeof(event.cursors.matches));
    break;
  case REPL_READ_HEADS:
    event.type = REPL_HEADS_READ;
    event.heads.generation = effect->generation;
    event.heads.final = true;
    break;
  case REPL_PLAN_RESYNC:
    event.type = REPL_PLANNED;
    event.planned.generation = effect->generation;
    break;
  case REPL_PERSIST_COMMITS:
  case REPL_PERSIST_CURSOR:
    event.type = REPL_PERSISTED;
    event.persisted.generation = effect->generation;
    event.persisted.lane = effect->lane;
    event.persisted.position = effect->position;
    event.persisted.message = effect->message;
    break;
  default:
    return;
  }
  need(repl_step(child->node, &event, now(), &child->effects), "step");
}

static void send_frame(struct storm *storm, struct child *child, struct repl_effect *effect)
{
  struct bytes out = {0};
  need(channel_sealer_seal(&child->sealer, bytes_as_view(&effect->octets), &out), "seal");
  (void)!transport_conn_send(storm->transport, child->conn, &out);
  bytes_close(&out);
}

static void carry(struct storm *storm, struct child *child)
{
  bool over = false;
  while (child->effects.count > 0) {
    struct repl_effects taken = child->effects;
    memset(&child->effects, 0, sizeof(child->effects));
    for (size_t i = 0; i < taken.count; i++) {
      struct repl_effect *effect = &taken.items[i];
      if (effect->type == REPL_SEND) {
        send_frame(storm, child, effect);
      } else if (effect->type == REPL_UP) {
        child->state = LINKED;
        child->pause_ms = PAUSE_MIN_MS;
        storm->linked++;
      } else if (effect->type == REPL_DISCONNECT) {
        fprintf(stderr, "storm: %s: %s\n", child->address.text, effect->text);
        over = true;
      } else {
        answer(child, effect);
      }
    }
    repl_effects_clear(&taken);
    repl_effects_close(&taken);
  }
  if (over) {
    transport_conn_close(storm->transport, child->conn);
    give_up_link(storm, child);
  }
}

static void step(struct storm *storm, struct child *child, const struct repl_event *event)
{
  need(repl_step(child->node, event, now(), &child->effects), "step");
  carry(storm, child);
}

static void open_link(struct storm *storm, struct child *child)
{
  struct repl_event event = {.type = REPL_PEER_UP, .neighbour = REPL_NEIGHBOUR_PARENT};
  channel_split(&child->channel, &child->sealer, &child->reader.opener);
  channel_close(&child->channel);
  child->state = OPEN;
  event.up.generation = ++child->generation;
  event.up.address = storm->identity.address;
  event.up.is_parent = true;
  transport_conn_open(storm->transport, child->conn, &child->reader);
  step(storm, child, &event);
}

/* ---- events ---- */

/* In NNG's threads. */
static enum status on_frame(void *context, uint8_t *octets, size_t size, void **result)
{
  struct reader_side *reader = context;
  struct bytes_view plain;
  struct message *message = NULL;
  enum status status = channel_opener_open(&reader->opener, octets, size, &plain);
  if (status != STATUS_OK || plain.size == 0) {
    return status;
  }
  status = inbound_frame(&reader->inbound, plain, &message);
  *result = message;
  return status;
}

static void free_result(void *result)
{
  message_release(result);
}

static struct child *child_of(struct storm *storm, uint64_t conn)
{
  for (unsigned i = 0; i < storm->count; i++) {
    if (storm->children[i].conn == conn) {
      return &storm->children[i];
    }
  }
  return NULL;
}

static void take_frame(struct storm *storm, struct child *child, struct bytes_view frame)
{
  enum verdict verdict = VERDICT_OK;
  if (channel_handshake_read(&child->channel, frame, &verdict) != STATUS_OK ||
      verdict != VERDICT_OK) {
    fail("the parent's handshake");
  }
  shake_hands(storm, child);
  if (channel_is_established(&child->channel)) {
    open_link(storm, child);
  } else {
    transport_conn_resume(storm->transport, child->conn);
  }
}

static void note_end(struct storm *storm, const struct child *child,
                     const struct transport_event *event)
{
  if (event->status == STATUS_TIMEOUT) {
    storm->figures.timeouts++;
  } else if (event->type == TRANSPORT_DIAL_FAILED) {
    storm->figures.refused++;
  } else if (child->state < LINKED) {
    storm->figures.closed++;
  }
}

static void take_event(struct storm *storm, const struct transport_event *event)
{
  struct child *child = child_of(storm, event->conn);
  struct repl_event said = {.type = REPL_MESSAGE, .neighbour = REPL_NEIGHBOUR_PARENT};
  switch (event->type) {
  case TRANSPORT_CONNECTED:
    start_handshake(storm, child);
    break;
  case TRANSPORT_FRAME:
    take_frame(storm, child, event->frame);
    break;
  case TRANSPORT_RESULT:
    said.message = event->result;
    if (child != NULL) {
      step(storm, child, &said);
    }
    message_release(event->result);
    break;
  case TRANSPORT_DIAL_FAILED:
  case TRANSPORT_CLOSED:
    note_end(storm, child, event);
    give_up_link(storm, child);
    break;
  default:
    break;
  }
}

static void dial_due(struct storm *storm)
{
  int64_t at = now().mono.ms;
  for (unsigned i = 0; i < storm->count; i++) {
    struct child *child = &storm->children[i];
    if (storm->blowing && child->state == AWAY && child->dial_at_ms <= at) {
      dial(storm, child);
    } else if (child->state >= OPEN && repl_next_deadline(child->node).ms <= at) {
      struct repl_event tick = {.type = REPL_TICK};
      step(storm, child, &tick);
    }
  }
}

static void tell_when_over(struct storm *storm)
{
  int64_t took_ms = now().mono.ms - storm->began_ms;
  if (storm->blowing && (storm->linked == storm->count || took_ms > GIVE_UP_MS)) {
    storm->blowing = false;
    printf("linked=%u took_ms=%lld dials=%u refused=%u closed=%u timeouts=%u\n", storm->linked,
           (long long)took_ms, storm->figures.dials, storm->figures.refused, storm->figures.closed,
           storm->figures.timeouts);
    fflush(stdout);
  }
}

/* False at the end of stdin. */
static bool take_word(struct storm *storm)
{
  char line[64];
  if (read(STDIN_FILENO, line, sizeof(line)) <= 0) {
    return false;
  }
  memset(&storm->figures, 0, sizeof(storm->figures));
  storm->blowing = true;
  storm->began_ms = now().mono.ms;
  for (unsigned i = 0; i < storm->count; i++) {
    storm->children[i].dial_at_ms = 0;
    storm->children[i].pause_ms = PAUSE_MIN_MS;
  }
  return true;
}

static void run(struct storm *storm)
{
  struct pollfd fds[2] = {{transport_fd(storm->transport), POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}};
  for (;;) {
    struct transport_event event;
    dial_due(storm);
    tell_when_over(storm);
    poll(fds, 2, 20);
    while (transport_next(storm->transport, &event)) {
      take_event(storm, &event);
    }
    if (fds[1].revents != 0 && !take_word(storm)) {
      return;
    }
  }
}

static void close_all(struct storm *storm)
{
  transport_free(storm->transport);
  for (unsigned i = 0; i < storm->count; i++) {
    struct child *child = &storm->children[i];
    channel_close(&child->channel);
    channel_opener_close(&child->reader.opener);
    inbound_close(&child->reader.inbound);
    repl_effects_close(&child->effects);
    repl_node_free(child->node);
    bytes_close(&child->chain);
  }
  free(storm->children);
  identity_close(&storm->identity);
}

int main(int argc, char **argv)
{
  struct storm storm = {0};
  char reason[IDENTITY_REASON_MAX] = "";
  struct transport_settings settings;
  if (argc != 4 || sodium_init() < 0) {
    fail("usage: storm PARENT_DIR URL COUNT");
  }
  storm.url = argv[2];
  storm.count = (unsigned)strtoul(argv[3], NULL, 10);
  if (storm.count == 0 || storm.count > COUNT_MAX ||
      identity_load(argv[1], &storm.identity, reason) != STATUS_OK) {
    fail(reason[0] != 0 ? reason : "the count");
  }
  transport_settings_default(&settings);
  settings.connections_max = storm.count;
  settings.frame = on_frame;
  settings.result_free = free_result;
  need(transport_new(&settings, &storm.transport), "transport");
  randombytes_buf(storm.static_secret, sizeof(storm.static_secret));
  storm.children = calloc(storm.count, sizeof(*storm.children));
  for (unsigned i = 0; storm.children != NULL && i < storm.count; i++) {
    storm.children[i].pause_ms = PAUSE_MIN_MS;
    certify(&storm, &storm.children[i], i);
    make_node(&storm, &storm.children[i]);
  }
  printf("ready\n");
  fflush(stdout);
  run(&storm);
  close_all(&storm);
  return 0;
}
