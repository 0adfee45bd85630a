#include "noded/peers.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "noded/admission.h"
#include "noded/core_internal.h"
#include "noded/log.h"
#include "replication/channel.h"
#include "transport/transport.h"

#define BUCKETS 256
#define TAKE_EVENTS_MAX 128
#define REKEY_MS (3600 * 1000)

#define SILENT_MAX 256    /* connections that have not said anything yet, or too late */
#define ADMITTED_A_TURN 8 /* handshakes begun, so that links that stand are not kept waiting */
#define URGENT_RETRY_MAX_MS 2000 /* between dials while something urgent waits for the parent */

enum peer_state { PEER_DIALING, PEER_IN_LINE, PEER_HANDSHAKE, PEER_WAITS, PEER_LINKED };

/* What NNG's thread owns of a connection once it is open. */
struct reader_side {
  struct channel_opener opener;
  struct inbound inbound;
};

struct peer {
  uint32_t id;
  uint64_t conn;
  enum peer_state state;
  bool is_parent;
  uint16_t neighbour;
  uint32_t generation;
  struct address address;
  struct admission_entry admission;
  struct bytes_view first_frame; /* PEER_IN_LINE: the transport's */
  struct channel channel;
  struct channel_sealer sealer;
  struct reader_side reader;
  struct bytes out; /* sealed in this turn, not yet handed to the transport */
  struct mono_ms rekey_at;
  struct peer *next_in_bucket;
  struct peer *next_dirty;
  bool dirty;
};

struct neighbour_state {
  struct peer *peer;
  struct wall_ms since;
};

struct peers {
  struct transport *transport;
  uint8_t static_secret[NOISE_KEY_SIZE];
  struct peer *buckets[BUCKETS];
  struct peer *dirty;
  struct neighbour_state neighbours[NEIGHBOURS_MAX + 1];
  uint32_t last_id;
  uint32_t generation;
  bool dialing; /* an attempt or a connection to the parent exists */
  struct mono_ms dial_at;
  uint32_t pause_ms;
  struct mono_ms rekey_check_at;
  struct admission admission;
};

/* ---- the table of connections ---- */

static struct peer *find(const struct peers *peers, uint64_t conn)
{
  struct peer *peer = peers->buckets[conn % BUCKETS];
  while (peer != NULL && peer->conn != conn) {
    peer = peer->next_in_bucket;
  }
  return peer;
}

static struct peer *add(struct peers *peers, uint64_t conn, enum peer_state state, bool is_parent)
{
  struct peer *peer = calloc(1, sizeof(*peer));
  if (peer == NULL) {
    return NULL;
  }
  peer->id = ++peers->last_id;
  peer->conn = conn;
  peer->state = state;
  peer->is_parent = is_parent;
  peer->next_in_bucket = peers->buckets[conn % BUCKETS];
  peers->buckets[conn % BUCKETS] = peer;
  return peer;
}

static void unlink_dirty(struct peers *peers, struct peer *peer)
{
  struct peer **at = &peers->dirty;
  while (*at != NULL && *at != peer) {
    at = &(*at)->next_dirty;
  }
  if (*at == peer) {
    *at = peer->next_dirty;
  }
}

static bool urgent_waits(const struct core *core)
{
  const struct neighbour *parent = store_neighbour(core->store, NEIGHBOUR_PARENT);
  return parent != NULL &&
         parent->lanes[LANE_URGENT].end_position > parent->lanes[LANE_URGENT].acked_position;
}

/* A child with something urgent dials more often, and so comes first when the parent returns. */
static void plan_dial(const struct core *core, struct peers *peers)
{
  const struct config *config = core->config;
  uint32_t pause = peers->pause_ms;
  if (pause > URGENT_RETRY_MAX_MS && urgent_waits(core)) {
    pause = URGENT_RETRY_MAX_MS;
  }
  peers->dialing = false;
  /* Full jitter in the upper half: a parent's return is not met by all children at once. */
  peers->dial_at.ms = core_now().mono.ms + pause / 2 + randombytes_uniform(pause / 2 + 1);
  pause = pause > config->retry_max_ms / 2 ? config->retry_max_ms : pause * 2;
  peers->pause_ms = pause;
}

/* The transport has forgotten the connection; so do we. */
static void drop(struct core *core, struct peers *peers, struct peer *peer)
{
  struct peer **at = &peers->buckets[peer->conn % BUCKETS];
  while (*at != peer) {
    at = &(*at)->next_in_bucket;
  }
  *at = peer->next_in_bucket;
  unlink_dirty(peers, peer);
  if (peer->state == PEER_LINKED) {
    struct neighbour_state *state = &peers->neighbours[peer->neighbour];
    struct repl_event event = {.type = REPL_PEER_DOWN, .neighbour = peer->neighbour};
    state->peer = NULL;
    state->since = core_now().wall;
    core_step(core, &event);
  }
  if (peer->is_parent) {
    plan_dial(core, peers);
  }
  admission_leave(&peers->admission, &peer->admission);
  channel_close(&peer->channel);
  channel_sealer_close(&peer->sealer);
  channel_opener_close(&peer->reader.opener);
  inbound_close(&peer->reader.inbound);
  bytes_close(&peer->out);
  free(peer);
}

static void log_peer(enum log_level level, const char *event, struct peers *peers,
                     const struct peer *peer, const char *reason)
{
  char remote[TRANSPORT_PEER_SIZE] = "";
  transport_conn_peer(peers->transport, peer->conn, remote);
  struct log_field fields[] = {
      log_text("peer", peer->address.text),
      log_text("remote", remote),
      log_text("reason", reason),
  };
  log_write(level, event, fields, 3);
}

static void close_peer(struct core *core, struct peers *peers, struct peer *peer,
                       const char *reason)
{
  log_peer(LOG_INFO, "link_closed", peers, peer, reason);
  transport_conn_close(peers->transport, peer->conn);
  drop(core, peers, peer);
}

/* ---- handshake ---- */

static void start_channel(struct core *core, struct peers *peers, struct peer *peer)
{
  struct channel_settings settings = {
      .role = peer->is_parent ? CHANNEL_CHILD : CHANNEL_PARENT,
      .root_id = core->identity->root,
      .chain = bytes_as_view(&core->identity->chain),
  };
  memcpy(settings.static_secret, peers->static_secret, NOISE_KEY_SIZE);
  memcpy(settings.node_secret_key, core->identity->secret_key, sizeof(settings.node_secret_key));
  randombytes_buf(settings.ephemeral_secret, NOISE_KEY_SIZE);
  channel_init(&peer->channel, &settings);
  sodium_memzero(&settings, sizeof(settings));
  peer->state = PEER_HANDSHAKE;
}

static bool write_handshake(struct peers *peers, struct peer *peer)
{
  struct bytes frame = {0};
  bool sent = channel_handshake_write(&peer->channel, &frame) == STATUS_OK &&
              transport_conn_send(peers->transport, peer->conn, &frame) == STATUS_OK;
  bytes_close(&frame);
  return sent;
}

/* Another key has taken its place at the address: the device was replaced (DESIGN section 4: the
 * highest epoch holds). */
static bool is_replaced(const struct core *core, const struct certificate *leaf)
{
  const struct certificate *held;
  for (size_t i = 0; (held = repl_node_certificate_at(core->node, i)) != NULL; i++) {
    if (held->epoch > leaf->epoch && address_equal(&held->address, &leaf->address) &&
        memcmp(held->key.octets, leaf->key.octets, KEY_SIZE) != 0) {
      return true;
    }
  }
  return false;
}

/* May a node with this certificate be at the other end (DESIGN section 4)? NULL when it may. */
static const char *refusal_of(const struct core *core, const struct peer *peer,
                              const struct certificate *chain, size_t count)
{
  const struct address *self = &core->identity->address;
  const struct certificate *leaf = &chain[count - 1];
  if (is_replaced(core, leaf)) {
    return "this device was replaced: another key holds its address";
  }
  uint64_t now_s = (uint64_t)core_now().wall.ms / 1000;
  if (peer->is_parent ? !address_is_child(self, &leaf->address)
                      : !address_is_child(&leaf->address, self)) {
    return peer->is_parent ? "the node that listens there is not our parent"
                           : "it is not a child of this node";
  }
  /* A parent judges its child by its own clock; a child without a clock can't judge. */
  if (!peer->is_parent && certificate_check_time(leaf, now_s) != VERDICT_OK) {
    return "its certificate is not valid now; renew it by nodectl certify";
  }
  return NULL;
}

static void take_chain(struct core *core, const struct certificate *chain, size_t count)
{
  for (size_t i = 0; i < count; i++) {
    struct message *message;
    if (message_of_certificate(chain[i].octets, &message) != STATUS_OK) {
      core->broken = true;
      return;
    }
    struct repl_event event = {.type = REPL_MESSAGE, .message = message};
    core_step(core, &event);
    message_release(message);
  }
}

static void fill_up(struct core *core, const struct neighbour *neighbour, struct repl_peer_up *up)
{
  for (unsigned i = 0; i < LANE_COUNT; i++) {
    const struct neighbour_lane *lane = &neighbour->lanes[i];
    up->ends[i] = lane->end_position;
    up->acked[i] = lane->acked_position;
    up->received[i].store = lane->received.store;
    up->received[i].position = lane->received.position;
    memcpy(up->received[i].tag, lane->received.tag, sizeof(up->received[i].tag));
  }
  up->dropped = neighbour->dropped;
  load_own_heads(core, up->own_heads);
}

static void link_peer(struct core *core, struct peers *peers, struct peer *peer,
                      const struct neighbour *neighbour)
{
  struct neighbour_state *state = &peers->neighbours[neighbour->number];
  if (state->peer != NULL) {
    close_peer(core, peers, state->peer, "the neighbour connected anew");
  }
  admission_leave(&peers->admission, &peer->admission);
  peer->state = PEER_LINKED;
  peer->neighbour = neighbour->number;
  peer->generation = ++peers->generation;
  peer->rekey_at.ms = core_now().mono.ms + REKEY_MS;
  state->peer = peer;
  state->since = core_now().wall;
  struct repl_event event = {.type = REPL_PEER_UP, .neighbour = neighbour->number};
  event.up.generation = peer->generation;
  event.up.address = peer->address;
  event.up.is_parent = peer->is_parent;
  fill_up(core, neighbour, &event.up);
  core_step(core, &event);
  transport_conn_open(peers->transport, peer->conn, &peer->reader);
}

static void finish_handshake(struct core *core, struct peers *peers, struct peer *peer)
{
  size_t count;
  const struct certificate *chain = channel_peer(&peer->channel, &count);
  CHECK(chain != NULL && count > 0);
  peer->address = chain[count - 1].address;
  const char *refusal = refusal_of(core, peer, chain, count);
  if (refusal != NULL) {
    log_peer(LOG_WARN, "link_refused", peers, peer, refusal);
    close_peer(core, peers, peer, refusal);
    return;
  }
  take_chain(core, chain, count);
  channel_split(&peer->channel, &peer->sealer, &peer->reader.opener);
  channel_close(&peer->channel);
  const struct neighbour *neighbour = peer->is_parent
                                          ? store_neighbour(core->store, NEIGHBOUR_PARENT)
                                          : store_neighbour_find(core->store, &peer->address);
  if (neighbour != NULL) {
    link_peer(core, peers, peer, neighbour);
  } else {
    peer->state = PEER_WAITS;
    txn_add_child(core, peer->id, &peer->address);
  }
}

void peers_child_known(struct core *core, struct peers *peers, uint32_t id, uint16_t neighbour)
{
  const struct neighbour *known = store_neighbour(core->store, neighbour);
  for (size_t i = 0; i < BUCKETS; i++) {
    for (struct peer *peer = peers->buckets[i]; peer != NULL; peer = peer->next_in_bucket) {
      if (peer->id == id && peer->state == PEER_WAITS && known != NULL) {
        link_peer(core, peers, peer, known);
        return;
      }
    }
  }
}

static void take_frame(struct core *core, struct peers *peers, struct peer *peer,
                       struct bytes_view frame)
{
  enum verdict verdict = VERDICT_OK;
  if (channel_handshake_read(&peer->channel, frame, &verdict) != STATUS_OK ||
      verdict != VERDICT_OK) {
    log_peer(LOG_WARN, "handshake_failed", peers, peer, verdict_text(verdict));
    close_peer(core, peers, peer, "handshake failed");
    return;
  }
  if (channel_is_our_turn(&peer->channel) && !write_handshake(peers, peer)) {
    close_peer(core, peers, peer, "handshake failed");
    return;
  }
  if (channel_is_established(&peer->channel)) {
    finish_handshake(core, peers, peer);
  } else {
    transport_conn_resume(peers->transport, peer->conn);
  }
}

/* ---- admission ---- */

/* A child's first words: it waits in line until the pace lets it in. */
static void stand_in_line(struct core *core, struct peers *peers, struct peer *peer,
                          struct bytes_view frame)
{
  peer->first_frame = frame;
  if (!admission_join(&peers->admission, &peer->admission, core_now().mono)) {
    transport_conn_close(peers->transport, peer->conn);
    drop(core, peers, peer);
  }
}

static void tell_line_passed(struct peers *peers)
{
  struct admission_figures figures;
  if (admission_line_passed(&peers->admission, &figures)) {
    struct log_field fields[] = {
        log_uint("admitted", figures.admitted),
        log_uint("at_once", figures.at_once_max),
        log_uint("line", figures.line_max),
        log_uint("longest_wait_ms", (uint64_t)figures.wait_ms_max),
        log_uint("turned_away", figures.turned_away),
    };
    log_write(LOG_INFO, "children_admitted", fields, sizeof(fields) / sizeof(fields[0]));
  }
}

static void admit(struct core *core, struct peers *peers)
{
  struct mono_ms now = core_now().mono;
  for (unsigned i = 0; i < ADMITTED_A_TURN; i++) {
    struct admission_entry *entry = admission_next(&peers->admission, now);
    if (entry == NULL) {
      break;
    }
    struct peer *peer = (struct peer *)((char *)entry - offsetof(struct peer, admission));
    start_channel(core, peers, peer);
    take_frame(core, peers, peer, peer->first_frame);
  }
  tell_line_passed(peers);
}

/* ---- events ---- */

/* In NNG's threads: decrypt, decompress, verify. */
static enum status on_frame(void *context, uint8_t *octets, size_t size, void **result)
{
  struct reader_side *reader = context;
  struct bytes_view plain;
  *result = NULL;
  enum status status = channel_opener_open(&reader->opener, octets, size, &plain);
  if (status != STATUS_OK || plain.size == 0) {
    return status;
  }
  struct message *message = NULL;
  status = inbound_frame(&reader->inbound, plain, &message);
  *result = message;
  return status;
}

static void free_result(void *result)
{
  message_release(result);
}

static void take_result(struct core *core, struct peer *peer, struct message *message)
{
  if (peer->state == PEER_LINKED) {
    struct repl_event event = {.type = REPL_MESSAGE, .neighbour = peer->neighbour};
    event.message = message;
    core_step(core, &event);
  }
  message_release(message);
}

static void take_event(struct core *core, struct peers *peers, const struct transport_event *event)
{
  struct peer *peer = find(peers, event->conn);
  if (event->type == TRANSPORT_ACCEPTED) {
    if (add(peers, event->conn, PEER_IN_LINE, false) == NULL) {
      transport_conn_close(peers->transport, event->conn);
    }
    return;
  }
  if (peer == NULL) {
    if (event->type == TRANSPORT_RESULT) {
      message_release(event->result);
    }
    return;
  }
  switch (event->type) {
  case TRANSPORT_CONNECTED:
    start_channel(core, peers, peer);
    if (!write_handshake(peers, peer)) {
      close_peer(core, peers, peer, "handshake failed");
    }
    break;
  case TRANSPORT_FRAME:
    if (peer->state == PEER_IN_LINE) {
      stand_in_line(core, peers, peer, event->frame);
    } else {
      take_frame(core, peers, peer, event->frame);
    }
    break;
  case TRANSPORT_RESULT:
    take_result(core, peer, event->result);
    break;
  case TRANSPORT_DIAL_FAILED:
    log_peer(LOG_DEBUG, "dial_failed", peers, peer, event->reason);
    drop(core, peers, peer);
    break;
  case TRANSPORT_CLOSED:
    log_peer(LOG_INFO, "link_closed", peers, peer, event->reason);
    drop(core, peers, peer);
    break;
  default:
    break;
  }
}

bool peers_take(struct core *core, struct peers *peers)
{
  struct transport_event event;
  bool more = true;
  for (unsigned i = 0; i < TAKE_EVENTS_MAX && more; i++) {
    more = transport_next(peers->transport, &event);
    if (more) {
      take_event(core, peers, &event);
    }
  }
  admit(core, peers);
  return more;
}

/* ---- effects ---- */

static struct peer *of_effect(const struct peers *peers, const struct repl_effect *effect)
{
  struct peer *peer = peers->neighbours[effect->neighbour].peer;
  return peer != NULL && peer->generation == effect->generation ? peer : NULL;
}

void peers_send(struct core *core, struct peers *peers, const struct repl_effect *effect,
                struct bytes *octets)
{
  struct peer *peer = of_effect(peers, effect);
  if (peer == NULL) {
    return;
  }
  if (channel_sealer_seal(&peer->sealer, bytes_as_view(octets), &peer->out) != STATUS_OK) {
    core->broken = true;
    return;
  }
  if (!peer->dirty) {
    peer->dirty = true;
    peer->next_dirty = peers->dirty;
    peers->dirty = peer;
  }
}

void peers_flush(struct core *core, struct peers *peers)
{
  while (peers->dirty != NULL) {
    struct peer *peer = peers->dirty;
    peers->dirty = peer->next_dirty;
    peer->dirty = false;
    if (transport_conn_send(peers->transport, peer->conn, &peer->out) != STATUS_OK) {
      close_peer(core, peers, peer, "its output is full");
    } else {
      bytes_close(&peer->out);
    }
  }
}

void peers_disconnect(struct core *core, struct peers *peers, const struct repl_effect *effect)
{
  struct peer *peer = of_effect(peers, effect);
  if (peer != NULL) {
    close_peer(core, peers, peer, effect->text);
  }
}

void peers_link_up(struct core *core, struct peers *peers, const struct repl_effect *effect)
{
  struct peer *peer = of_effect(peers, effect);
  if (peer == NULL) {
    return;
  }
  log_peer(LOG_INFO, "link_up", peers, peer, "");
  if (peer->is_parent) {
    peers->pause_ms = core->config->retry_min_ms;
  }
}

void peers_disconnect_all(struct core *core, struct peers *peers, const char *why)
{
  for (size_t i = 0; i < BUCKETS; i++) {
    while (peers->buckets[i] != NULL) {
      close_peer(core, peers, peers->buckets[i], why);
    }
  }
}

struct wall_ms peers_since(const struct peers *peers, uint16_t neighbour, bool *connected)
{
  *connected = peers->neighbours[neighbour].peer != NULL;
  return peers->neighbours[neighbour].since;
}

/* ---- time ---- */

static void dial(struct core *core, struct peers *peers)
{
  uint64_t conn;
  if (transport_dial(peers->transport, core->config->parent_url, &conn) != STATUS_OK ||
      add(peers, conn, PEER_DIALING, true) == NULL) {
    plan_dial(core, peers);
    return;
  }
  peers->dialing = true;
}

static bool wants_dial(const struct core *core, const struct peers *peers)
{
  return core->config->parent_url != NULL && !peers->dialing && !core->stopping;
}

static void rekey_due(struct core *core, struct peers *peers, struct mono_ms now)
{
  for (uint16_t i = 1; i <= store_neighbour_count(core->store); i++) {
    struct peer *peer = peers->neighbours[i].peer;
    if (peer != NULL && peer->rekey_at.ms <= now.ms) {
      struct bytes frame = {0};
      peer->rekey_at.ms = now.ms + REKEY_MS;
      if (channel_sealer_rekey(&peer->sealer, &frame) != STATUS_OK ||
          transport_conn_send(peers->transport, peer->conn, &frame) != STATUS_OK) {
        close_peer(core, peers, peer, "rekey failed");
      }
      bytes_close(&frame);
    }
  }
}

void peers_tick(struct core *core, struct peers *peers, struct mono_ms now)
{
  if (wants_dial(core, peers) && peers->dial_at.ms <= now.ms) {
    dial(core, peers);
  }
  if (peers->rekey_check_at.ms <= now.ms) {
    peers->rekey_check_at.ms = now.ms + REKEY_MS / 60;
    rekey_due(core, peers, now);
  }
}

int64_t peers_deadline(const struct core *core, const struct peers *peers)
{
  int64_t admission = admission_deadline(&peers->admission);
  return wants_dial(core, peers) && peers->dial_at.ms < admission ? peers->dial_at.ms : admission;
}

int peers_fd(const struct peers *peers)
{
  return transport_fd(peers->transport);
}

/* ---- life ---- */

static enum status listen_all(struct core *core, struct peers *peers, char *reason)
{
  for (uint32_t i = 0; i < core->config->listen_count; i++) {
    const char *why = "";
    enum status status = transport_listen(peers->transport, core->config->listen[i], NULL, &why);
    if (status != STATUS_OK) {
      snprintf(reason, STORE_REASON_MAX, "can't listen on %s: %s", core->config->listen[i], why);
      return status;
    }
  }
  return STATUS_OK;
}

enum status peers_new(struct core *core, struct peers **out, char *reason)
{
  struct transport_settings settings;
  struct peers *peers = calloc(1, sizeof(*peers));
  if (peers == NULL) {
    return STATUS_NO_MEMORY;
  }
  transport_settings_default(&settings);
  admission_init(&peers->admission, core->config->handshakes_max, core->config->admit_per_second);
  settings.connections_max = core->config->children_max + 1;
  settings.pending_max =
      admission_line_limit(&peers->admission) + core->config->handshakes_max + SILENT_MAX;
  settings.frame = on_frame;
  settings.result_free = free_result;
  randombytes_buf(peers->static_secret, sizeof(peers->static_secret));
  peers->pause_ms = core->config->retry_min_ms;
  enum status status = transport_new(&settings, &peers->transport);
  if (status == STATUS_OK) {
    status = listen_all(core, peers, reason);
  } else {
    snprintf(reason, STORE_REASON_MAX, "can't start the transport: %s", status_text(status));
  }
  *out = peers;
  return status;
}

void peers_free(struct peers *peers)
{
  if (peers == NULL) {
    return;
  }
  transport_free(peers->transport);
  sodium_memzero(peers->static_secret, sizeof(peers->static_secret));
  free(peers);
}
