/*
 * The transport over simulated wires: the functions of transport/transport.h, with the daemon's
 * own peers, channel and frames above. Streams as TCP gives them: octets in order or not at all;
 * a connection may die in the middle of a frame, or be dead without anyone being told.
 */
#include <stdlib.h>
#include <string.h>

#include "sim.h"
#include "transport/transport.h"

#define FRAME_LENGTH_SIZE 4
#define COMPACT_OCTETS (256 * 1024)

enum end_phase { END_DIALING, END_HANDSHAKE, END_OPEN };

struct chunk {
  struct bytes octets;
  int64_t at_us;
};

struct wire_end {
  uint64_t id;
  uint64_t peer; /* 0: none yet */
  uint32_t node;
  uint32_t link;
  struct transport *owner; /* NULL: closed at this end */
  enum end_phase phase;
  void *context;
  struct bytes input;
  size_t input_at;
  bool queued;
  bool came_due; /* ACCEPTED or CONNECTED */
  bool dialed;
  bool frame_given;
  bool failed;
  enum status failure;
  const char *reason;
  int64_t born_us;
  struct chunk *chunks; /* on the way to the other end */
  size_t chunk_first;
  size_t chunk_count;
  size_t chunk_capacity;
  size_t unsent;
  int64_t free_at_us; /* the wire is busy until then */
  int64_t arrival_us; /* of the last chunk */
  int64_t progress_us;
  bool delivering;
  bool watched;
  bool ends; /* closed here: the other end learns of it behind the last chunk */
};

struct transport {
  struct world *world;
  uint32_t node;
  struct transport_settings settings;
  uint64_t *ready;
  size_t ready_first;
  size_t ready_count;
  size_t ready_capacity;
};

struct sim_wires {
  struct wire_end **ends; /* by id - 1 */
  size_t count;
  size_t capacity;
  uint64_t cuts;
};

static struct sim_wires *wires_of(struct world *world)
{
  if (world->wires == NULL) {
    world->wires = calloc(1, sizeof(*world->wires));
    CHECK(world->wires != NULL);
  }
  return world->wires;
}

static struct wire_end *end_find(const struct world *world, uint64_t id)
{
  const struct sim_wires *wires = world->wires;
  return wires == NULL || id == 0 || id > wires->count ? NULL : wires->ends[id - 1];
}

static struct wire_end *end_of(struct transport *transport, uint64_t id)
{
  struct wire_end *end = end_find(transport->world, id);
  return end != NULL && end->owner == transport ? end : NULL;
}

static struct wire_end *end_new(struct transport *owner, uint32_t link)
{
  struct sim_wires *wires = wires_of(owner->world);
  if (wires->count == wires->capacity) {
    wires->capacity = wires->capacity == 0 ? 256 : wires->capacity * 2;
    wires->ends = realloc(wires->ends, wires->capacity * sizeof(*wires->ends));
    CHECK(wires->ends != NULL);
  }
  struct wire_end *end = calloc(1, sizeof(*end));
  CHECK(end != NULL);
  wires->ends[wires->count++] = end;
  end->id = wires->count;
  end->node = owner->node;
  end->owner = owner;
  end->link = link;
  end->born_us = owner->world->now_us;
  return end;
}

static void chunks_drop(struct wire_end *end)
{
  for (size_t i = end->chunk_first; i < end->chunk_count; i++) {
    bytes_close(&end->chunks[i].octets);
  }
  end->chunk_first = end->chunk_count = 0;
  end->unsent = 0;
}

/* Freed when nothing of it is needed any more: no owner, and nothing on the way. */
static void end_free(struct world *world, struct wire_end *end)
{
  chunks_drop(end);
  free(end->chunks);
  bytes_close(&end->input);
  world->wires->ends[end->id - 1] = NULL;
  free(end);
}

static void end_ready(struct wire_end *end)
{
  struct transport *transport = end->owner;
  if (transport == NULL) {
    return;
  }
  if (!end->queued) {
    end->queued = true;
    if (transport->ready_first + transport->ready_count == transport->ready_capacity) {
      if (transport->ready_first > 0) {
        memmove(transport->ready, transport->ready + transport->ready_first,
                transport->ready_count * sizeof(*transport->ready));
      }
      transport->ready_first = 0;
      if (transport->ready_count == transport->ready_capacity) {
        transport->ready_capacity =
            transport->ready_capacity == 0 ? 32 : 2 * transport->ready_count;
        transport->ready =
            realloc(transport->ready, transport->ready_capacity * sizeof(*transport->ready));
        CHECK(transport->ready != NULL);
      }
    }
    transport->ready[transport->ready_first + transport->ready_count++] = end->id;
  }
  node_schedule(&transport->world->nodes[transport->node], transport->world->now_us);
}

static void end_fail(struct wire_end *end, enum status status, const char *reason)
{
  if (!end->failed) {
    end->failed = true;
    end->failure = status;
    end->reason = reason;
    end_ready(end);
  }
}

/* ---- delivery ---- */

static void deliver(struct world *world, uint32_t who, uint64_t what);

/* The other end learns that this one is closed; not while the line is down. */
static void end_arrives(struct world *world, uint32_t who, uint64_t what)
{
  struct wire_end *end = end_find(world, what);
  (void)who;
  if (end == NULL) {
    return;
  }
  struct wire_end *peer = end_find(world, end->peer);
  if (peer != NULL && world->links[end->link].blocked_until_us <= world->now_us) {
    end_fail(peer, STATUS_CLOSED, "closed by the other end");
  }
  end_free(world, end);
}

static void deliver_next(struct world *world, struct wire_end *end)
{
  if (end->delivering) {
    return;
  }
  if (end->chunk_first < end->chunk_count) {
    end->delivering = true;
    world_after(world, end->chunks[end->chunk_first].at_us, deliver, end->node, end->id);
    return;
  }
  end->chunk_first = end->chunk_count = 0;
  if (end->ends) {
    end->delivering = true;
    world_after(world, world->now_us + world->links[end->link].delay_us, end_arrives, end->node,
                end->id);
  }
}

static void deliver(struct world *world, uint32_t who, uint64_t what)
{
  struct wire_end *end = end_find(world, what);
  (void)who;
  if (end == NULL) {
    return;
  }
  end->delivering = false;
  const struct sim_link *link = &world->links[end->link];
  struct wire_end *peer = end_find(world, end->peer);
  if (end->chunk_first == end->chunk_count) {
    deliver_next(world, end);
    return;
  }
  if (link->blocked_until_us > world->now_us || peer == NULL || peer->owner == NULL) {
    /* Nobody takes it: it waits, and the sender is told after a while (watch). */
    int64_t again = link->blocked_until_us > world->now_us ? link->blocked_until_us + link->delay_us
                                                           : INT64_MAX;
    if (again == INT64_MAX || end->owner == NULL) {
      chunks_drop(end);
      if (end->owner == NULL) {
        end->ends = false;
        end_free(world, end);
      }
      return;
    }
    end->chunks[end->chunk_first].at_us = again;
    deliver_next(world, end);
    return;
  }
  struct chunk *chunk = &end->chunks[end->chunk_first++];
  world_mix(world, (uint64_t)chunk->octets.size << 20 | end->id);
  end->unsent -= chunk->octets.size;
  end->progress_us = world->now_us;
  CHECK(bytes_append(&peer->input, chunk->octets.data, chunk->octets.size) == STATUS_OK);
  bytes_close(&chunk->octets);
  end_ready(peer);
  deliver_next(world, end);
}

/* A connection on which nothing that was sent is taken for a minute ends. */
static void watch(struct world *world, uint32_t who, uint64_t what)
{
  struct wire_end *end = end_find(world, what);
  (void)who;
  if (end == NULL || end->owner == NULL) {
    return;
  }
  int64_t limit = (int64_t)end->owner->settings.unread_output_ms * 1000;
  end->watched = end->unsent > 0;
  if (!end->watched) {
    return;
  }
  if (end->progress_us + limit <= world->now_us) {
    end_fail(end, STATUS_TIMEOUT, "the other end takes nothing");
  } else {
    world_after(world, end->progress_us + limit, watch, end->node, end->id);
  }
}

static void handshake_late(struct world *world, uint32_t who, uint64_t what)
{
  struct wire_end *end = end_find(world, what);
  (void)who;
  if (end != NULL && end->owner != NULL && end->phase != END_OPEN) {
    end_fail(end, STATUS_TIMEOUT, "no handshake in time");
  }
}

/* ---- what happens to links ---- */

void wire_block(struct world *world, uint32_t child, int64_t until_us)
{
  struct sim_link *link = &world->links[child];
  link->blocked_until_us = until_us > link->blocked_until_us ? until_us : link->blocked_until_us;
  link->disturbed_us = until_us;
}

void wire_cut(struct world *world, uint32_t child)
{
  struct sim_wires *wires = wires_of(world);
  world->links[child].disturbed_us = world->now_us;
  for (size_t i = 0; i < wires->count; i++) {
    struct wire_end *end = wires->ends[i];
    if (end == NULL || end->link != child) {
      continue;
    }
    struct wire_end *peer = end_find(world, end->peer);
    if (end->chunk_first < end->chunk_count && peer != NULL && peer->owner != NULL) {
      const struct bytes *octets = &end->chunks[end->chunk_first].octets;
      size_t part = random_below(&world->random, octets->size + 1);
      CHECK(bytes_append(&peer->input, octets->data, part) == STATUS_OK);
      end_ready(peer);
    }
    chunks_drop(end);
    end->ends = false;
    if (end->owner == NULL) {
      end_free(world, end);
    } else {
      end_fail(end, STATUS_CLOSED, "the line broke");
    }
  }
}

void wire_node_gone(struct world *world, uint32_t node, bool silent)
{
  struct sim_wires *wires = wires_of(world);
  for (size_t i = 0; i < wires->count; i++) {
    struct wire_end *end = wires->ends[i];
    if (end == NULL || end->node != node || end->owner == NULL) {
      continue;
    }
    end->owner = NULL;
    if (silent) {
      end_free(world, end);
    } else {
      end->ends = true;
      deliver_next(world, end);
    }
  }
}

void wire_close_all(struct world *world)
{
  if (world->wires == NULL) {
    return;
  }
  for (size_t i = 0; i < world->wires->count; i++) {
    if (world->wires->ends[i] != NULL) {
      end_free(world, world->wires->ends[i]);
    }
  }
  free(world->wires->ends);
  free(world->wires);
  world->wires = NULL;
}

size_t wire_unsent_max(const struct world *world)
{
  size_t most = 0;
  for (size_t i = 0; world->wires != NULL && i < world->wires->count; i++) {
    const struct wire_end *end = world->wires->ends[i];
    most = end != NULL && end->unsent > most ? end->unsent : most;
  }
  return most;
}

/* ---- transport.h ---- */

enum status transport_new(const struct transport_settings *settings, struct transport **out)
{
  struct transport *transport = calloc(1, sizeof(*transport));
  CHECK(transport != NULL);
  transport->world = sim_world;
  transport->node = sim_world->current;
  transport->settings = *settings;
  sim_world->nodes[transport->node].transport = transport;
  *out = transport;
  return STATUS_OK;
}

void transport_free(struct transport *transport)
{
  if (transport != NULL) {
    wire_node_gone(transport->world, transport->node, false);
    transport->world->nodes[transport->node].transport = NULL;
    free(transport->ready);
    free(transport);
  }
}

int transport_fd(const struct transport *transport)
{
  (void)transport;
  return -1;
}

enum status transport_listen(struct transport *transport, const char *url, uint16_t *port,
                             const char **reason)
{
  (void)transport;
  (void)url;
  (void)port;
  (void)reason;
  return STATUS_OK;
}

static void dial_arrives(struct world *world, uint32_t who, uint64_t what)
{
  struct wire_end *end = end_find(world, what);
  if (end == NULL || end->owner == NULL || end->failed) {
    return;
  }
  const struct sim_link *link = &world->links[end->link];
  if (link->blocked_until_us > world->now_us) {
    world_after(world, link->blocked_until_us + link->delay_us, dial_arrives, who, what);
    return;
  }
  uint32_t parent = world->nodes[who].parent;
  struct transport *listener = world->nodes[parent].transport;
  if (listener == NULL) {
    end_fail(end, STATUS_CLOSED, "nobody listens there");
    return;
  }
  struct wire_end *other = end_new(listener, end->link);
  other->phase = END_HANDSHAKE;
  other->peer = end->id;
  other->came_due = true;
  end->peer = other->id;
  end->phase = END_HANDSHAKE;
  end->came_due = true;
  world_after(world, world->now_us + (int64_t)listener->settings.handshake_ms * 1000,
              handshake_late, parent, other->id);
  end_ready(other);
  end_ready(end);
}

enum status transport_dial(struct transport *transport, const char *url, uint64_t *conn)
{
  struct world *world = transport->world;
  struct wire_end *end = end_new(transport, transport->node);
  (void)url;
  end->phase = END_DIALING;
  end->dialed = true;
  *conn = end->id;
  world_after(world, world->now_us + 2 * world->links[end->link].delay_us, dial_arrives, end->node,
              end->id);
  world_after(world, world->now_us + (int64_t)transport->settings.dial_ms * 1000, handshake_late,
              end->node, end->id);
  return STATUS_OK;
}

/* Length of the next whole frame; 0: it isn't whole yet. */
static size_t frame_size(struct wire_end *end, size_t most)
{
  const uint8_t *at = end->input.data + end->input_at;
  size_t left = end->input.size - end->input_at;
  if (left < FRAME_LENGTH_SIZE) {
    return 0;
  }
  size_t size = at[0] | (size_t)at[1] << 8 | (size_t)at[2] << 16 | (size_t)at[3] << 24;
  if (size == 0 || size > most) {
    end_fail(end, STATUS_MALFORMED, "a frame of no allowed length");
    return 0;
  }
  return left >= FRAME_LENGTH_SIZE + size ? size : 0;
}

static void frame_skip(struct wire_end *end, size_t size)
{
  end->input_at += FRAME_LENGTH_SIZE + size;
  if (end->input_at == end->input.size) {
    end->input_at = end->input.size = 0;
  } else if (end->input_at > COMPACT_OCTETS) {
    memmove(end->input.data, end->input.data + end->input_at, end->input.size - end->input_at);
    end->input.size -= end->input_at;
    end->input_at = 0;
  }
}

/* The next frame that gives the core something. */
static bool take_result(struct wire_end *end, struct transport_event *event)
{
  size_t size;
  while (end->phase == END_OPEN && (size = frame_size(end, TRANSPORT_FRAME_MAX)) > 0) {
    uint8_t *octets = end->input.data + end->input_at + FRAME_LENGTH_SIZE;
    event->result = NULL;
    enum status status = end->owner->settings.frame(end->context, octets, size, &event->result);
    frame_skip(end, size);
    if (status != STATUS_OK) {
      end_fail(end, status, "a frame that can't be read");
      end->input_at = end->input.size = 0;
      return false;
    }
    if (event->result != NULL) {
      event->type = TRANSPORT_RESULT;
      return true;
    }
  }
  return false;
}

static bool take_event(struct wire_end *end, struct transport_event *event)
{
  *event = (struct transport_event){.conn = end->id};
  if (end->came_due) {
    end->came_due = false;
    event->type = end->dialed ? TRANSPORT_CONNECTED : TRANSPORT_ACCEPTED;
    return true;
  }
  if (end->phase == END_HANDSHAKE && !end->frame_given) {
    size_t size = frame_size(end, end->owner->settings.handshake_frame_max);
    if (size > 0) {
      end->frame_given = true;
      event->type = TRANSPORT_FRAME;
      event->frame = bytes_view_of(end->input.data + end->input_at + FRAME_LENGTH_SIZE, size);
      return true;
    }
  }
  if (take_result(end, event)) {
    return true;
  }
  if (end->failed) {
    event->type = end->phase == END_DIALING ? TRANSPORT_DIAL_FAILED : TRANSPORT_CLOSED;
    event->status = end->failure;
    event->reason = end->reason;
    return true;
  }
  return false;
}

static void end_leave(struct world *world, struct wire_end *end)
{
  end->owner = NULL;
  end->ends = true;
  deliver_next(world, end);
}

bool transport_next(struct transport *transport, struct transport_event *event)
{
  while (transport->ready_count > 0) {
    uint64_t id = transport->ready[transport->ready_first++];
    struct wire_end *end = end_of(transport, id);
    transport->ready_count--;
    if (end == NULL) {
      continue;
    }
    end->queued = false;
    if (take_event(end, event)) {
      if (event->type == TRANSPORT_CLOSED || event->type == TRANSPORT_DIAL_FAILED) {
        end_leave(transport->world, end);
      } else {
        end_ready(end);
      }
      return true;
    }
  }
  return false;
}

static void frame_done(struct wire_end *end)
{
  if (end->frame_given) {
    const uint8_t *at = end->input.data + end->input_at;
    end->frame_given = false;
    frame_skip(end, at[0] | (size_t)at[1] << 8 | (size_t)at[2] << 16 | (size_t)at[3] << 24);
    end_ready(end);
  }
}

void transport_conn_resume(struct transport *transport, uint64_t conn)
{
  struct wire_end *end = end_of(transport, conn);
  if (end != NULL) {
    frame_done(end);
  }
}

void transport_conn_open(struct transport *transport, uint64_t conn, void *context)
{
  struct wire_end *end = end_of(transport, conn);
  if (end != NULL) {
    frame_done(end);
    end->phase = END_OPEN;
    end->context = context;
    end_ready(end);
  }
}

static void chunk_add(struct wire_end *end, struct bytes *octets, int64_t at_us)
{
  if (end->chunk_count == end->chunk_capacity) {
    size_t live = end->chunk_count - end->chunk_first;
    if (end->chunk_first > 0) {
      memmove(end->chunks, end->chunks + end->chunk_first, live * sizeof(*end->chunks));
    }
    end->chunk_first = 0;
    end->chunk_count = live;
    if (2 * live >= end->chunk_capacity) {
      end->chunk_capacity = end->chunk_capacity == 0 ? 16 : end->chunk_capacity * 2;
      end->chunks = realloc(end->chunks, end->chunk_capacity * sizeof(*end->chunks));
      CHECK(end->chunks != NULL);
    }
  }
  end->chunks[end->chunk_count++] = (struct chunk){*octets, at_us};
  *octets = (struct bytes){0};
}

enum status transport_conn_send(struct transport *transport, uint64_t conn, struct bytes *octets)
{
  struct world *world = transport->world;
  struct wire_end *end = end_of(transport, conn);
  if (end == NULL || end->phase == END_DIALING || end->failed) {
    return STATUS_CLOSED;
  }
  if (octets->size == 0) {
    return STATUS_OK;
  }
  if (end->unsent + octets->size > transport->settings.output_max) {
    return STATUS_BUSY;
  }
  const struct sim_link *link = &world->links[end->link];
  int64_t from = world->nodes[end->node].busy_until_us;
  from = from < world->now_us ? world->now_us : from;
  from = from < end->free_at_us ? end->free_at_us : from;
  if (link->octets_s > 0) {
    from += (int64_t)(octets->size * 1000000 / link->octets_s);
  }
  end->free_at_us = from;
  int64_t at = from + link->delay_us + random_between(&world->random, 0, link->jitter_us);
  end->arrival_us = at < end->arrival_us ? end->arrival_us : at;
  if (end->unsent == 0) {
    end->progress_us = world->now_us;
  }
  end->unsent += octets->size;
  chunk_add(end, octets, end->arrival_us);
  deliver_next(world, end);
  if (!end->watched) {
    end->watched = true;
    world_after(world, world->now_us + (int64_t)transport->settings.unread_output_ms * 1000, watch,
                end->node, end->id);
  }
  return STATUS_OK;
}

size_t transport_conn_unsent(struct transport *transport, uint64_t conn)
{
  const struct wire_end *end = end_of(transport, conn);
  return end == NULL ? 0 : end->unsent;
}

void transport_conn_notify_drained(struct transport *transport, uint64_t conn)
{
  (void)transport;
  (void)conn;
}

void transport_conn_peer(struct transport *transport, uint64_t conn, char out[TRANSPORT_PEER_SIZE])
{
  (void)transport;
  snprintf(out, TRANSPORT_PEER_SIZE, "wire %llu", (unsigned long long)conn);
}

void transport_conn_close(struct transport *transport, uint64_t conn)
{
  struct wire_end *end = end_of(transport, conn);
  if (end != NULL) {
    end_leave(transport->world, end);
  }
}
