/*
 * A store that was put back shows no item before it has its parent's tombstones (DESIGN section 5):
 * something in it may have been erased since. The parent is asked for them, a page after another;
 * until all are in, commands that show items are refused and the lanes of all links hold still.
 */
#include <stdlib.h>
#include <string.h>

#include "noded/core_internal.h"
#include "noded/log.h"
#include "record/codec.h"

#define ASK_MS 30000
#define RETRY_MS 5000
#define ROWS_MAX 2048 /* looked at for one page, and erased in one transaction */
#define PLACE_SIZE (HASH_SIZE + 1)
#define TOMBSTONE_FIELDS 3

struct hiding {
  uint64_t query; /* 0: nothing is asked */
  struct mono_ms due;
  bool any; /* pages have come, up to `last` */
  struct tombstone last;
  struct bytes page; /* to be taken in */
  uint64_t erased;
  bool ending; /* in the transaction under way */
};

bool core_is_hidden(const struct core *core)
{
  return atomic_load(&core->hidden);
}

static struct hiding *hiding_of(struct core *core)
{
  if (core->hiding == NULL) {
    core->hiding = calloc(1, sizeof(*core->hiding));
  }
  return core->hiding;
}

static void show(struct core *core, bool hidden)
{
  struct repl_event event = {.type = REPL_HIDE, .hidden = hidden};
  atomic_store(&core->hidden, hidden);
  core_step(core, &event);
}

void hidden_load(struct core *core, const struct store_txn *txn)
{
  hidden_close(core);
  bool hidden = store_meta_get(txn, CORE_COUNTER_HIDDEN) != 0;
  if (hidden && !core_is_hidden(core)) {
    log_event(LOG_WARN, "items_hidden");
  }
  show(core, hidden);
}

void hidden_close(struct core *core)
{
  if (core->hiding != NULL) {
    bytes_close(&core->hiding->page);
    free(core->hiding);
    core->hiding = NULL;
  }
}

/* ---- a child asks ---- */

struct page {
  struct writer writer;
  struct bytes rows;
  uint32_t count;
};

static bool on_tombstone(void *context, const struct tombstone *tombstone)
{
  struct page *page = context;
  writer_array(&page->writer, TOMBSTONE_FIELDS);
  writer_bin(&page->writer, tombstone->leaf.octets, HASH_SIZE);
  writer_uint(&page->writer, tombstone->position);
  writer_bin(&page->writer, tombstone->subject.octets, SUBJECT_SIZE);
  page->count++;
  return true;
}

static enum status page_write(struct core *core, const struct repl_effect *effect,
                              struct bytes *out)
{
  struct bytes_view body = effect->message->query.body;
  struct page page = {0};
  struct tombstone after = {0};
  struct tombstone last = {0};
  struct store_txn *txn;
  struct writer writer;
  uint8_t place[PLACE_SIZE];
  bool more = false;
  enum status status = store_read_begin(core->store, &txn);
  if (status != STATUS_OK) {
    return status;
  }
  if (body.size == PLACE_SIZE) {
    memcpy(after.leaf.octets, body.data, HASH_SIZE);
    after.position = body.data[HASH_SIZE];
  }
  writer_init(&page.writer, &page.rows);
  status = store_tombstone_each(txn, effect->neighbour, body.size == 0 ? NULL : &after, ROWS_MAX,
                                on_tombstone, &page, &last, &more);
  store_read_end(txn);
  if (status == STATUS_OK) {
    status = writer_finish(&page.writer);
  }
  memcpy(place, last.leaf.octets, HASH_SIZE);
  place[HASH_SIZE] = (uint8_t)last.position;
  writer_init(&writer, out);
  writer_array(&writer, 2);
  writer_bin(&writer, place, more ? PLACE_SIZE : 0);
  writer_array(&writer, page.count);
  writer_raw(&writer, bytes_as_view(&page.rows));
  bytes_close(&page.rows);
  return status == STATUS_OK ? writer_finish(&writer) : status;
}

void hidden_query(struct core *core, const struct repl_effect *effect)
{
  struct bytes octets = {0};
  struct repl_event event = {.type = REPL_REPLY, .neighbour = effect->neighbour};
  size_t size = effect->message->query.body.size;
  enum status status = STATUS_OK;
  if (effect->neighbour == NEIGHBOUR_PARENT) {
    status = STATUS_NOT_ALLOWED;
  } else if (size != 0 && size != PLACE_SIZE) {
    status = STATUS_MALFORMED;
  } else if (core_is_hidden(core)) {
    status = STATUS_BUSY; /* it lacks its own parent's */
  }
  if (status == STATUS_OK) {
    status = page_write(core, effect, &octets);
  }
  event.reply.id = effect->message->query.id;
  event.reply.status = (uint8_t)status;
  event.reply.body = status == STATUS_OK ? bytes_as_view(&octets) : (struct bytes_view){0};
  core_step(core, &event);
  bytes_close(&octets);
}

/* ---- we ask ---- */

static bool parent_is_up(const struct core *core)
{
  struct repl_link_figures figures;
  return repl_link_figures(core->node, NEIGHBOUR_PARENT, &figures) && figures.up;
}

static void ask(struct core *core, struct hiding *hiding, struct mono_ms now)
{
  struct repl_event event = {.type = REPL_ASK, .neighbour = NEIGHBOUR_PARENT};
  uint8_t place[PLACE_SIZE];
  memcpy(place, hiding->last.leaf.octets, HASH_SIZE);
  place[HASH_SIZE] = (uint8_t)hiding->last.position;
  hiding->query = ++core->query_id;
  hiding->due.ms = now.ms + ASK_MS + RETRY_MS;
  event.ask = (struct message_query){
      .id = hiding->query,
      .kind = bytes_view_text(HIDDEN_KIND),
      .timeout_ms = ASK_MS,
      .body = bytes_view_of(place, hiding->any ? PLACE_SIZE : 0),
  };
  core_step(core, &event);
}

void hidden_tick(struct core *core, struct mono_ms now)
{
  if (!core_is_hidden(core) || !parent_is_up(core) || hiding_of(core) == NULL) {
    return;
  }
  struct hiding *hiding = core->hiding;
  if (hiding->page.size == 0 && hiding->due.ms <= now.ms) {
    ask(core, hiding, now);
  }
}

int64_t hidden_deadline(const struct core *core)
{
  bool waits = core_is_hidden(core) && core->hiding != NULL && parent_is_up(core);
  return waits && core->hiding->page.size == 0 ? core->hiding->due.ms : INT64_MAX;
}

bool hidden_answered(struct core *core, const struct repl_effect *effect)
{
  struct hiding *hiding = core->hiding;
  uint64_t id = effect->message == NULL ? effect->position : effect->message->answer.id;
  if (hiding == NULL || hiding->query == 0 || hiding->query != id ||
      effect->neighbour != NEIGHBOUR_PARENT) {
    return false;
  }
  hiding->query = 0;
  hiding->due.ms = core_now().mono.ms + RETRY_MS;
  if (effect->message != NULL && effect->message->answer.status == STATUS_OK &&
      bytes_append(&hiding->page, effect->message->answer.body.data,
                   effect->message->answer.body.size) == STATUS_OK) {
    core_wake(core);
  }
  return true;
}

static bool tombstone_read(struct reader *reader, struct tombstone *out)
{
  const uint8_t *leaf;
  const uint8_t *subject;
  uint64_t position;
  uint32_t fields;
  if (!reader_array(reader, &fields) || fields != TOMBSTONE_FIELDS ||
      !reader_bin_exact(reader, HASH_SIZE, &leaf) ||
      !reader_uint_max(reader, RECORD_ITEMS_MAX - 1, &position) ||
      !reader_bin_exact(reader, SUBJECT_SIZE, &subject)) {
    return false;
  }
  memcpy(out->leaf.octets, leaf, HASH_SIZE);
  out->position = (unsigned)position;
  memcpy(out->subject.octets, subject, SUBJECT_SIZE);
  return true;
}

/* `*good` false: it isn't what a parent answers; asked for again later. */
static enum status page_take(struct hiding *hiding, struct store_txn *txn, bool *good)
{
  struct reader reader = reader_of(bytes_as_view(&hiding->page));
  struct bytes_view place;
  struct tombstone tombstone;
  uint32_t fields;
  uint32_t count;
  enum status status = STATUS_OK;
  *good = reader_array(&reader, &fields) && fields == 2 && reader_bin(&reader, &place) &&
          (place.size == 0 || place.size == PLACE_SIZE) && reader_array(&reader, &count) &&
          count <= ROWS_MAX;
  for (uint32_t i = 0; *good && status == STATUS_OK && i < count; i++) {
    *good = tombstone_read(&reader, &tombstone);
    if (*good) {
      status = store_erase(txn, &tombstone.leaf, tombstone.position, &tombstone.subject);
      hiding->erased++;
    }
  }
  if (*good && place.size == PLACE_SIZE) {
    hiding->any = true;
    memcpy(hiding->last.leaf.octets, place.data, HASH_SIZE);
    hiding->last.position = place.data[HASH_SIZE];
  }
  hiding->ending = *good && place.size == 0;
  return status;
}

bool hidden_waits(const struct core *core)
{
  return core->unhide_first != NULL || (core->hiding != NULL && core->hiding->page.size > 0);
}

enum status hidden_run(struct core *core, struct store_txn *txn)
{
  struct hiding *hiding = core->hiding;
  enum status status = STATUS_OK;
  bool ending = core->unhide_first != NULL;
  if (hiding != NULL && hiding->page.size > 0) {
    bool good;
    status = page_take(hiding, txn, &good);
    bytes_clear(&hiding->page);
    hiding->due.ms = core_now().mono.ms + (good ? 0 : RETRY_MS);
    ending = ending || hiding->ending;
  }
  return status == STATUS_OK && ending ? store_meta_put(txn, CORE_COUNTER_HIDDEN, 0) : status;
}

void hidden_finish(struct core *core, enum status status)
{
  struct core_unhide *unhide = core->unhide_first;
  bool ending = core->hiding != NULL && core->hiding->ending;
  core->unhide_first = NULL;
  if (status == STATUS_OK && core_is_hidden(core) && (ending || unhide != NULL)) {
    struct log_field fields[] = {
        log_uint("tombstones", core->hiding == NULL ? 0 : core->hiding->erased),
        log_text("by", ending ? "the parent's tombstones" : "nodectl unhide"),
    };
    log_write(ending ? LOG_INFO : LOG_WARN, "items_shown", fields, 2);
    show(core, false);
  }
  if (core->hiding != NULL) {
    core->hiding->ending = false;
  }
  while (unhide != NULL) {
    struct core_unhide *next = unhide->next;
    unhide->done(core, unhide, status);
    unhide = next;
  }
}

void core_unhide(struct core *core, struct core_unhide *unhide)
{
  unhide->next = core->unhide_first;
  core->unhide_first = unhide;
  core_wake(core);
}
