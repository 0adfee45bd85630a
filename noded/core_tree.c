/*
 * The tree: what each node says of itself and its links, gathered by asking down. A node that
 * can't be asked is still named, from the certificates known here, with what its parent knows.
 */
#include <stdlib.h>
#include <string.h>

#include "noded/core_internal.h"
#include "record/codec.h"

#define TREES_MAX 16
#define HOP_MS 150 /* what a tier keeps of the time it was given */
#define TREE_MS_MAX 60000

struct tree_child {
  uint16_t neighbour;
  uint64_t query; /* 0: not asked or answered */
  bool answered;
};

struct tree_query {
  struct tree_query *next;
  struct core_tree *local; /* asked here, or */
  uint16_t from;           /* by this neighbour (the parent) */
  uint64_t from_id;
  struct mono_ms deadline;
  struct bytes rows; /* rows that children sent */
  uint32_t row_count;
  struct tree_child *children;
  size_t child_count;
};

/* ---- rows ---- */

static void write_lane(struct writer *writer, unsigned number, const struct neighbour_lane *lane)
{
  writer_map(writer, 7);
  writer_text(writer, "lane");
  writer_text(writer, lane_name(number));
  writer_text(writer, "records");
  writer_uint(writer, lane->pending_records);
  writer_text(writer, "commits");
  writer_uint(writer, lane->pending_commits);
  writer_text(writer, "bytes");
  writer_uint(writer, lane->pending_bytes);
  writer_text(writer, "oldest_at");
  writer_int(writer, lane->oldest_at.ms);
  writer_text(writer, "position");
  writer_uint(writer, lane->end_position);
  writer_text(writer, "acked");
  writer_uint(writer, lane->acked_position);
}

static void write_lanes(struct writer *writer, const char *name, const struct neighbour *neighbour)
{
  writer_text(writer, name);
  writer_array(writer, neighbour == NULL ? 0 : LANE_COUNT);
  for (unsigned lane = 0; lane < LANE_COUNT && neighbour != NULL; lane++) {
    write_lane(writer, lane, &neighbour->lanes[lane]);
  }
}

struct row {
  const struct address *address;
  const char *state;
  int64_t last_heard;
  const struct neighbour *up;
  const struct neighbour *down;
  const char *version;
  bool needs_snapshot;
};

static void write_row(struct writer *writer, const struct row *row)
{
  struct address parent = {0};
  (void)address_parent(row->address, &parent);
  writer_map(writer, 9);
  writer_text(writer, "address");
  writer_text(writer, row->address->text);
  writer_text(writer, "class");
  writer_text(writer, address_class_name(row->address));
  writer_text(writer, "parent");
  writer_text(writer, parent.text);
  writer_text(writer, "state");
  writer_text(writer, row->state);
  writer_text(writer, "last_heard");
  writer_int(writer, row->last_heard);
  write_lanes(writer, "up", row->up);
  write_lanes(writer, "down", row->down);
  writer_text(writer, "version");
  writer_text(writer, row->version);
  writer_text(writer, "needs_snapshot");
  writer_bool(writer, row->needs_snapshot);
}

static const struct neighbour *parent_row(const struct core *core)
{
  return core->config->parent_url == NULL ? NULL : store_neighbour(core->store, NEIGHBOUR_PARENT);
}

static bool child_is_up(const struct core *core, uint16_t number)
{
  struct repl_link_figures figures;
  return repl_link_figures(core->node, number, &figures) && figures.up;
}

static void write_self(struct core *core, struct writer *writer, uint32_t *count)
{
  struct row row = {.address = &core->identity->address,
                    .state = "self",
                    .last_heard = core_now().wall.ms,
                    .up = parent_row(core),
                    .version = NODED_VERSION};
  write_row(writer, &row);
  (*count)++;
}

/* A child that did not answer, as this node knows it. */
static void write_child(struct core *core, const struct neighbour *child, struct writer *writer,
                        uint32_t *count)
{
  struct core_link_figures link = {0};
  (void)core_get_link(core, child->number, &link);
  struct row row = {.address = &child->address,
                    .state = child_is_up(core, child->number) ? "up" : "down",
                    .last_heard = link.last_heard.ms,
                    .down = child,
                    .version = "",
                    .needs_snapshot = child->dropped};
  write_row(writer, &row);
  (*count)++;
}

struct below {
  struct address address;
  size_t index; /* of the certificate: the last one for an address holds */
};

static int below_compare(const void *a, const void *b)
{
  const struct below *x = a;
  const struct below *y = b;
  int order = address_compare(&x->address, &y->address);
  return order != 0 ? order : (x->index > y->index) - (x->index < y->index);
}

/* Nodes below a child that could not be asked, by address, as the certificates known here name
 * them. */
static void write_unknown_below(struct core *core, const struct address *top, struct writer *writer,
                                uint32_t *count)
{
  const struct certificate *certificate;
  size_t found = 0, total = 0;
  while (repl_node_certificate_at(core->node, total) != NULL) {
    total++;
  }
  struct below *below = calloc(total + 1, sizeof(*below));
  for (size_t i = 0; below != NULL && i < total; i++) {
    certificate = repl_node_certificate_at(core->node, i);
    if (certificate->address.size != 0 && address_within(&certificate->address, top) &&
        !address_equal(&certificate->address, top)) {
      below[found++] = (struct below){certificate->address, i};
    }
  }
  if (found > 0) {
    qsort(below, found, sizeof(*below), below_compare);
  }
  for (size_t i = 0; i < found; i++) {
    if (i > 0 && address_equal(&below[i].address, &below[i - 1].address)) {
      continue;
    }
    struct row row = {.address = &below[i].address, .state = "unknown", .version = ""};
    write_row(writer, &row);
    (*count)++;
  }
  free(below);
}

/* ---- answers ---- */

/* A child's answer begins with its own row, which says "self" and knows nothing of its downlink:
 * the parent says "up" and adds what waits here for it. */
static bool patch_first_row(struct core *core, const struct neighbour *child, struct reader *reader,
                            struct writer *writer)
{
  uint32_t fields;
  struct bytes_view key, value;
  if (!reader_map(reader, &fields) || fields > 32) {
    return false;
  }
  writer_map(writer, fields);
  for (uint32_t i = 0; i < fields; i++) {
    if (!reader_str(reader, &key) || !reader_skip(reader, true, &value)) {
      return false;
    }
    if (bytes_view_equal(key, bytes_view_text("state"))) {
      writer_str(writer, key);
      writer_text(writer, "up");
    } else if (bytes_view_equal(key, bytes_view_text("down"))) {
      write_lanes(writer, "down", child);
    } else if (bytes_view_equal(key, bytes_view_text("needs_snapshot"))) {
      writer_str(writer, key);
      writer_bool(writer, child->dropped);
    } else if (bytes_view_equal(key, bytes_view_text("last_heard"))) {
      struct core_link_figures link = {0};
      (void)core_get_link(core, child->number, &link);
      writer_str(writer, key);
      writer_int(writer, link.last_heard.ms);
    } else {
      writer_str(writer, key);
      writer_raw(writer, value);
    }
  }
  return true;
}

/* Rows of one child's subtree, checked: form, and that each speaks of the child's subtree. */
static bool take_rows(struct core *core, struct tree_query *query, const struct neighbour *child,
                      struct bytes_view body)
{
  struct reader reader = reader_of(body);
  struct writer writer;
  uint32_t count;
  size_t before = query->rows.size;
  writer_init(&writer, &query->rows);
  if (!reader_array(&reader, &count) || count == 0 ||
      !patch_first_row(core, child, &reader, &writer)) {
    query->rows.size = before;
    return false;
  }
  for (uint32_t i = 1; i < count; i++) {
    struct bytes_view row;
    if (!reader_skip(&reader, true, &row)) {
      query->rows.size = before;
      return false;
    }
    writer_raw(&writer, row);
  }
  if (!reader_at_end(&reader) || writer_finish(&writer) != STATUS_OK) {
    query->rows.size = before;
    return false;
  }
  query->row_count += count;
  return true;
}

static enum status write_answer(struct core *core, struct tree_query *query, struct bytes *out)
{
  struct bytes own = {0};
  struct writer writer;
  uint32_t count = query->row_count;
  writer_init(&writer, &own);
  write_self(core, &writer, &count);
  for (size_t i = 0; i < query->child_count; i++) {
    const struct neighbour *child = store_neighbour(core->store, query->children[i].neighbour);
    if (!query->children[i].answered) {
      write_child(core, child, &writer, &count);
      write_unknown_below(core, &child->address, &writer, &count);
    }
  }
  enum status status = writer_finish(&writer);
  struct writer whole;
  writer_init(&whole, out);
  writer_array(&whole, count);
  writer_raw(&whole, bytes_as_view(&own));
  writer_raw(&whole, bytes_as_view(&query->rows));
  if (status == STATUS_OK) {
    status = writer_finish(&whole);
  }
  bytes_close(&own);
  return status;
}

static void free_query(struct tree_query *query)
{
  bytes_close(&query->rows);
  free(query->children);
  free(query);
}

static void finish(struct core *core, struct tree_query *query)
{
  struct bytes rows = {0};
  enum status status = write_answer(core, query, &rows);
  if (query->local != NULL) {
    query->local->rows = rows;
    query->local->done(core, query->local, status);
  } else {
    struct repl_event event = {.type = REPL_REPLY, .neighbour = query->from};
    event.reply.id = query->from_id;
    event.reply.status = (uint8_t)status;
    event.reply.body = bytes_as_view(&rows);
    core_step(core, &event);
    bytes_close(&rows);
  }
  free_query(query);
}

static bool is_complete(const struct tree_query *query)
{
  for (size_t i = 0; i < query->child_count; i++) {
    if (query->children[i].query != 0) {
      return false;
    }
  }
  return true;
}

static void finish_due(struct core *core, int64_t now_ms)
{
  struct tree_query **at = &core->trees;
  while (*at != NULL) {
    struct tree_query *query = *at;
    if (is_complete(query) || query->deadline.ms <= now_ms) {
      *at = query->next;
      finish(core, query);
    } else {
      at = &query->next;
    }
  }
}

/* ---- asking ---- */

static void ask_children(struct core *core, struct tree_query *query, uint32_t timeout_ms)
{
  uint16_t count = store_neighbour_count(core->store);
  query->children = calloc((size_t)count + 1, sizeof(*query->children));
  if (query->children == NULL) {
    return;
  }
  uint32_t theirs = timeout_ms > 2 * HOP_MS ? timeout_ms - HOP_MS : timeout_ms / 2;
  for (uint16_t number = NEIGHBOUR_PARENT + 1; number <= count; number++) {
    struct tree_child *child = &query->children[query->child_count++];
    child->neighbour = number;
    if (child_is_up(core, number)) {
      struct repl_event event = {.type = REPL_ASK, .neighbour = number};
      child->query = ++core->query_id;
      event.ask = (struct message_query){
          .id = child->query, .kind = bytes_view_text("tree"), .timeout_ms = theirs};
      core_step(core, &event);
    }
  }
}

static struct tree_query *start(struct core *core, uint32_t timeout_ms)
{
  size_t under_way = 0;
  for (struct tree_query *query = core->trees; query != NULL; query = query->next) {
    under_way++;
  }
  struct tree_query *query = under_way >= TREES_MAX ? NULL : calloc(1, sizeof(*query));
  if (query == NULL) {
    return NULL;
  }
  timeout_ms = timeout_ms > TREE_MS_MAX ? TREE_MS_MAX : timeout_ms;
  query->deadline.ms = core_now().mono.ms + timeout_ms;
  query->next = core->trees;
  core->trees = query;
  ask_children(core, query, timeout_ms);
  return query;
}

void core_tree(struct core *core, struct core_tree *tree)
{
  struct tree_query *query = start(core, tree->timeout_ms);
  if (query == NULL) {
    tree->done(core, tree, STATUS_BUSY);
    return;
  }
  query->local = tree;
  core_wake(core);
}

void tree_query(struct core *core, const struct repl_effect *effect)
{
  const struct message_query *asked = &effect->message->query;
  struct tree_query *query = NULL;
  enum status status = STATUS_NOT_FOUND;
  if (effect->neighbour != NEIGHBOUR_PARENT) {
    status = STATUS_NOT_ALLOWED; /* a child has no business with what is above it */
  } else if (bytes_view_equal(asked->kind, bytes_view_text("tree"))) {
    query = start(core, asked->timeout_ms);
    status = STATUS_BUSY;
  }
  if (query == NULL) {
    struct repl_event event = {.type = REPL_REPLY, .neighbour = effect->neighbour};
    event.reply.id = asked->id;
    event.reply.status = (uint8_t)status;
    core_step(core, &event);
    return;
  }
  query->from = effect->neighbour;
  query->from_id = asked->id;
}

void tree_answered(struct core *core, const struct repl_effect *effect)
{
  uint64_t id = effect->message == NULL ? effect->position : effect->message->answer.id;
  for (struct tree_query *query = core->trees; query != NULL; query = query->next) {
    for (size_t i = 0; i < query->child_count; i++) {
      struct tree_child *child = &query->children[i];
      if (child->query != id || child->neighbour != effect->neighbour || id == 0) {
        continue;
      }
      child->query = 0;
      if (effect->message != NULL && effect->message->answer.status == STATUS_OK) {
        child->answered = take_rows(core, query, store_neighbour(core->store, child->neighbour),
                                    effect->message->answer.body);
      }
      return;
    }
  }
}

void tree_tick(struct core *core, struct mono_ms now)
{
  finish_due(core, now.ms);
}

int64_t tree_deadline(const struct core *core)
{
  int64_t deadline = INT64_MAX;
  for (const struct tree_query *query = core->trees; query != NULL; query = query->next) {
    deadline = query->deadline.ms < deadline ? query->deadline.ms : deadline;
  }
  return deadline;
}

void tree_close(struct core *core)
{
  while (core->trees != NULL) {
    struct tree_query *query = core->trees;
    core->trees = query->next;
    if (query->local != NULL) {
      query->local->done(core, query->local, STATUS_CLOSED);
    }
    free_query(query);
  }
}
