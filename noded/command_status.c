/* `status`, `tree`, `shutdown`. */
#include <unistd.h>

#include "noded/command_fields.h"
#include "noded/command_handlers.h"
#include "noded/command_write.h"
#include "storage/neighbours.h"

#define TREE_TIMEOUT_DEFAULT_MS 2000
#define TREE_TIMEOUT_MAX_MS 60000

struct status_state {
  struct core_figures figures;
  struct core_trim_figures trim;
  struct bytes parent;
  struct bytes children;
  uint32_t child_count;
  enum status status;
};

static void write_link(struct writer *writer, const struct core *core,
                       const struct neighbour *neighbour)
{
  struct core_link_figures figures = {0};
  bool known = core_get_link(core, neighbour->number, &figures);
  writer_map(writer, 9);
  write_text(writer, "address", neighbour->address.text);
  write_text(writer, "class", address_class_name(&neighbour->address));
  write_bool(writer, "connected", known && figures.connected);
  write_int(writer, "since", figures.since.ms);
  write_int(writer, "last_heard", figures.last_heard.ms);
  write_uint(writer, "rate_bytes_s", figures.rate_bytes_s);
  write_bool(writer, "needs_snapshot", known && figures.needs_snapshot);
  write_int(writer, "snapshot_at",
            neighbour->dropped ? core_get_snapshot_at(core, neighbour->number).ms : 0);
  writer_text(writer, "lanes");
  writer_array(writer, LANE_COUNT);
  for (unsigned lane = 0; lane < LANE_COUNT; lane++) {
    write_lane(writer, lane, &neighbour->lanes[lane]);
  }
}

static void links_write(struct core *core, struct status_state *state)
{
  static const uint8_t nil[] = {0xc0};
  const struct store *store = core_store(core);
  const struct address *self = &core_get_identity(core)->address;
  const struct neighbour *parent = store_neighbour(store, NEIGHBOUR_PARENT);
  struct writer writer;
  writer_init(&writer, &state->parent);
  if (parent == NULL || (self->segments == 1 && !self->unit)) {
    writer_raw(&writer, bytes_view_of(nil, 1));
  } else {
    write_link(&writer, core, parent);
  }
  state->status = writer_finish(&writer);
  writer_init(&writer, &state->children);
  uint16_t count = store_neighbour_count(store);
  for (uint16_t number = NEIGHBOUR_PARENT + 1; number <= count; number++) {
    const struct neighbour *child = store_neighbour(store, number);
    if (child != NULL) {
      write_link(&writer, core, child);
      state->child_count++;
    }
  }
  if (state->status == STATUS_OK) {
    state->status = writer_finish(&writer);
  }
}

static bool count_quarantined(void *context, const struct quarantine_entry *entry)
{
  (void)entry;
  (*(uint64_t *)context)++;
  return true;
}

static bool count_refused(void *context, const struct refused_entry *entry)
{
  (void)entry;
  (*(uint64_t *)context)++;
  return true;
}

static void write_disk(struct writer *writer, const struct store *store)
{
  static const char *const states[] = {"ok", "tight", "full"};
  struct store_usage usage;
  store_usage(store, &usage);
  writer_text(writer, "disk");
  writer_map(writer, 5);
  write_uint(writer, "used", usage.used_bytes);
  write_uint(writer, "file", usage.file_bytes);
  write_uint(writer, "limit", usage.limit_bytes);
  write_uint(writer, "room",
             usage.limit_bytes > usage.used_bytes ? usage.limit_bytes - usage.used_bytes : 0);
  write_text(writer, "state", states[store_room(store)]);
}

static void write_loop(struct writer *writer, const struct core_figures *figures)
{
  uint64_t transactions = figures->transactions;
  writer_text(writer, "loop");
  writer_map(writer, 5);
  write_uint(writer, "transactions", transactions);
  write_uint(writer, "commits_in", figures->commits_in);
  write_uint(writer, "records_in", figures->records_in);
  write_uint(writer, "records_own", figures->records_own);
  write_uint(writer, "fsync_us_mean",
             transactions == 0 ? 0 : figures->fsync_us_total / transactions);
}

static void write_trim(struct writer *writer, const struct core_trim_figures *trim)
{
  writer_text(writer, "trim");
  writer_map(writer, 7);
  write_bool(writer, "configured", trim->configured);
  write_int(writer, "last_at", trim->last_at.ms);
  write_uint(writer, "items", trim->items);
  write_uint(writer, "commits", trim->commits);
  write_uint(writer, "records", trim->records);
  write_uint(writer, "short_histories", trim->short_histories);
  write_text(writer, "reason", trim->reason);
}

/* logs, commits, records, subjects, quarantine, refused: six pairs. */
static enum status write_counts(struct writer *writer, const struct store *store,
                                const struct store_txn *txn)
{
  struct store_counts counts;
  uint64_t quarantined = 0;
  uint64_t refused = 0;
  store_counts(txn, &counts);
  enum status status = store_quarantine_each(txn, count_quarantined, &quarantined);
  if (status == STATUS_OK) {
    status = store_refused_each(txn, count_refused, &refused);
  }
  write_uint(writer, "logs", store_log_count(store));
  write_uint(writer, "commits", counts.commits);
  write_uint(writer, "records", counts.records);
  write_uint(writer, "subjects", counts.subjects);
  write_uint(writer, "quarantine", quarantined);
  write_uint(writer, "refused", refused);
  return status;
}

static enum status status_write(struct command_call *call, const struct status_state *state,
                                const struct store_txn *txn)
{
  struct core *core = call->context->core;
  const struct store *store = core_store(core);
  const struct core_identity *identity = core_get_identity(core);
  struct writer writer;
  writer_init(&writer, &call->result);
  writer_map(&writer, 21);
  write_text(&writer, "address", identity->address.text);
  write_text(&writer, "class", address_class_name(&identity->address));
  write_hex(&writer, "node", identity->key.octets, KEY_SIZE);
  write_hex(&writer, "store", store_identity(store)->store.octets, STORE_ID_SIZE);
  write_text(&writer, "version", NODED_VERSION);
  write_uint(&writer, "pid", (uint64_t)getpid());
  write_int(&writer, "started_at", state->figures.started_at.ms);
  write_int(&writer, "now", state->figures.now.ms);
  writer_text(&writer, "parent");
  writer_raw(&writer, bytes_as_view(&state->parent));
  writer_text(&writer, "children");
  writer_array(&writer, state->child_count);
  writer_raw(&writer, bytes_as_view(&state->children));
  enum status status = write_counts(&writer, store, txn);
  write_disk(&writer, store);
  write_int(&writer, "hlc_ahead_ms", state->figures.hlc_ahead_ms);
  write_loop(&writer, &state->figures);
  write_trim(&writer, &state->trim);
  write_bool(&writer, "hidden", core_is_hidden(core));
  return status == STATUS_OK ? writer_finish(&writer) : status;
}

static void status_read(struct command_call *call)
{
  struct status_state *state = call->state;
  struct store_txn *txn = NULL;
  enum status status = state->status;
  if (status == STATUS_OK) {
    status = store_read_begin(core_store(call->context->core), &txn);
  }
  if (status == STATUS_OK) {
    status = status_write(call, state, txn);
    store_read_end(txn);
  }
  bytes_close(&state->parent);
  bytes_close(&state->children);
  command_finish(call, status);
}

void command_status_run(struct command_call *call)
{
  struct status_state *state = command_alloc(call, sizeof(*state));
  if (state == NULL) {
    command_finish(call, call->status);
    return;
  }
  call->state = state;
  core_get_figures(call->context->core, &state->figures);
  core_get_trim(call->context->core, &state->trim);
  links_write(call->context->core, state);
  command_go(call, COMMAND_ON_READER, status_read);
}

struct tree_state {
  struct core_tree tree; /* first, so that it leads back */
  struct command_call *call;
  uint64_t timeout_ms;
};

bool command_tree_args(struct command_call *call, struct reader *args)
{
  struct tree_state *state = command_alloc(call, sizeof(*state));
  if (state == NULL) {
    return false;
  }
  state->call = call;
  state->timeout_ms = TREE_TIMEOUT_DEFAULT_MS;
  call->state = state;
  const struct field fields[] = {
      {.name = "timeout_ms",
       .type = FIELD_UINT,
       .out = &state->timeout_ms,
       .min = 1,
       .max = TREE_TIMEOUT_MAX_MS},
  };
  return fields_read(call, args, fields, 1);
}

static void on_tree(struct core *core, struct core_tree *tree, enum status status)
{
  (void)core;
  struct command_call *call = ((struct tree_state *)tree)->call;
  struct writer writer;
  if (status != STATUS_OK) {
    command_refuse(call, status, "the tree can't be gathered: %s", status_text(status));
  }
  writer_init(&writer, &call->result);
  writer_map(&writer, 1);
  writer_text(&writer, "rows");
  writer_raw(&writer, bytes_as_view(&tree->rows));
  bytes_close(&tree->rows);
  command_finish_writer(call, &writer);
}

void command_tree_run(struct command_call *call)
{
  struct tree_state *state = call->state;
  state->tree.timeout_ms = (uint32_t)state->timeout_ms;
  state->tree.done = on_tree;
  core_tree(call->context->core, &state->tree);
}

void command_shutdown_run(struct command_call *call)
{
  struct writer writer;
  call->shut_down = true;
  writer_init(&writer, &call->result);
  writer_map(&writer, 0);
  command_finish_writer(call, &writer);
}
