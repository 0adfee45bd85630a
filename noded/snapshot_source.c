/*
 * A snapshot carried here: nothing of it is used before all of it was verified.
 */
#include <stdarg.h>
#include <string.h>

#include "noded/snapshot.h"
#include "record/bundle.h"
#include "record/receipt.h"

#define AGAIN "copy it again from where it was made, or have the parent make another"

struct checking {
  const char *path;
  const struct core_identity *identity;
  struct snapshot_source *source;
  struct arena arena;
  uint64_t own_hlc;
  char *reason;
};

__attribute__((format(printf, 2, 3))) static bool explain(const struct checking *checking,
                                                          const char *format, ...)
{
  char words[SNAPSHOT_REASON_MAX - 256];
  va_list arguments;
  va_start(arguments, format);
  (void)vsnprintf(words, sizeof(words), format, arguments);
  va_end(arguments);
  (void)snprintf(checking->reason, SNAPSHOT_REASON_MAX, "%.200s %s. Nothing was changed",
                 checking->path, words);
  return false;
}

/* ---- the file as a whole ---- */

/* Finds the head, the end, and hashes what the end's signature is over. */
static bool frame_find(struct checking *checking, struct snapshot_entry *end, struct hash *hash)
{
  struct snapshot_source *source = checking->source;
  struct bytes_view rest = source->mapping.octets;
  struct snapshot_entry entry;
  struct snapshot_hash hashing;
  enum status status = bundle_read_head(&rest);
  source->entries = rest;
  if (status == STATUS_OK) {
    status = snapshot_read(&rest, &entry);
  }
  if (status != STATUS_OK || entry.type != SNAPSHOT_HEAD) {
    return explain(checking, "is no snapshot, or is cut off (bundles are for nodectl log import)");
  }
  source->head = entry.head;
  for (;;) {
    size_t at = source->mapping.octets.size - rest.size;
    if (snapshot_read(&rest, &entry) != STATUS_OK || entry.type == SNAPSHOT_NOTHING) {
      return explain(checking, "was cut off or is damaged: " AGAIN);
    }
    if (entry.type == SNAPSHOT_END) {
      snapshot_hash_init(&hashing);
      snapshot_hash_add(&hashing, bytes_view_of(source->mapping.octets.data, at));
      *hash = snapshot_hash_final(&hashing);
      *end = entry;
      return rest.size == 0 || explain(checking, "has something behind its end: " AGAIN);
    }
  }
}

static bool signature_check(struct checking *checking)
{
  const struct snapshot_head *head = &checking->source->head;
  struct snapshot_entry end = {0};
  struct hash hash;
  if (!frame_find(checking, &end, &hash)) {
    return false;
  }
  if (!address_equal(&head->child, &checking->identity->address)) {
    return explain(checking, "is for %s, and this node is %s: have the node above make one for it",
                   head->child.text, checking->identity->address.text);
  }
  return snapshot_check(&hash, end.signature, &head->parent) == VERDICT_OK ||
         explain(checking, "is not what its parent signed: " AGAIN);
}

/* ---- what is in it ---- */

static bool certificate_take(struct checking *checking, struct bytes_view octets)
{
  enum verdict verdict = repl_node_add_certificate(checking->source->node, octets);
  return verdict == VERDICT_OK || verdict == VERDICT_DUPLICATE ||
         explain(checking,
                 "holds a certificate that doesn't lead to this node's root.cert (%s): "
                 "it is of another tree",
                 verdict_text(verdict));
}

/* What an origin's parent judged valid stands: expiry is not asked for here. */
static enum verdict origin_judge(const struct checking *checking,
                                 const struct commit_header *header)
{
  const struct certificate *certificate =
      repl_node_certificate(checking->source->node, &header->certificate);
  if (certificate == NULL) {
    return VERDICT_UNKNOWN_CERTIFICATE;
  }
  return memcmp(certificate->key.octets, header->origin.octets, KEY_SIZE) == 0 &&
                 certificate->address.size > 0
             ? VERDICT_OK
             : VERDICT_BAD_CHAIN;
}

static bool commit_check(struct checking *checking, struct bytes_view octets, bool counted)
{
  struct snapshot_source *source = checking->source;
  struct commit commit;
  arena_reset(&checking->arena);
  enum verdict verdict = commit_read(octets, &checking->arena, &commit);
  if (verdict == VERDICT_OK) {
    verdict = commit_check_signature(&commit);
  }
  if (verdict == VERDICT_OK) {
    verdict = origin_judge(checking, &commit.header);
  }
  if (verdict != VERDICT_OK) {
    return explain(checking, "holds a commit that doesn't verify (%s): " AGAIN,
                   verdict_text(verdict));
  }
  if (counted &&
      memcmp(commit.header.origin.octets, checking->identity->key.octets, KEY_SIZE) == 0 &&
      (!source->own || commit.header.hlc > checking->own_hlc)) {
    source->own = true;
    source->own_store = commit.header.store;
    checking->own_hlc = commit.header.hlc;
  }
  source->commits += counted;
  return true;
}

static bool entries_check(struct checking *checking)
{
  struct bytes_view rest = checking->source->entries;
  struct snapshot_entry entry = {0};
  bool good = true;
  while (good && entry.type != SNAPSHOT_END) {
    if (snapshot_read(&rest, &entry) != STATUS_OK) {
      return explain(checking, "was cut off or is damaged: " AGAIN);
    }
    if (entry.type == SNAPSHOT_CERTIFICATE) {
      good = certificate_take(checking, entry.octets);
    } else if (entry.type == SNAPSHOT_COMMIT || entry.type == SNAPSHOT_FLOOR) {
      good = commit_check(checking, entry.octets, entry.type == SNAPSHOT_COMMIT);
    }
  }
  return good;
}

/* Whoever signed it stands directly above this node. */
static bool parent_check(struct checking *checking)
{
  const struct snapshot_head *head = &checking->source->head;
  const struct certificate *certificate;
  for (size_t i = 0; (certificate = repl_node_certificate_at(checking->source->node, i)) != NULL;
       i++) {
    if (memcmp(certificate->key.octets, head->parent.octets, KEY_SIZE) == 0 &&
        address_is_child(&head->child, &certificate->address)) {
      return true;
    }
  }
  return explain(checking, "was not made by the node above %s", head->child.text);
}

static bool own_chain_take(struct checking *checking)
{
  struct certificate chain[CERTIFICATE_CHAIN_MAX];
  size_t count;
  const struct core_identity *identity = checking->identity;
  bool good = certificate_read_chain(bytes_as_view(&identity->chain), &identity->root, chain,
                                     &count) == VERDICT_OK;
  for (size_t i = 0; good && i < count; i++) {
    good = certificate_take(checking, chain[i].octets);
  }
  return good;
}

bool snapshot_source_open(const char *path, const struct core_identity *identity,
                          struct snapshot_source *source, char *reason)
{
  struct checking checking = {
      .path = path, .identity = identity, .source = source, .reason = reason};
  struct repl_settings settings;
  *source = (struct snapshot_source){0};
  reason[0] = 0;
  enum status status = mapping_open(path, &source->mapping);
  if (status != STATUS_OK) {
    return explain(&checking, "can't be read: %s", status_text(status));
  }
  repl_settings_default(&settings);
  settings.self = identity->address;
  settings.root = identity->root;
  status = repl_node_new(&settings, &source->node);
  bool good = status == STATUS_OK ? signature_check(&checking) && own_chain_take(&checking) &&
                                        entries_check(&checking) && parent_check(&checking)
                                  : explain(&checking, "can't be read: %s", status_text(status));
  arena_close(&checking.arena);
  return good;
}

void snapshot_source_close(struct snapshot_source *source)
{
  mapping_close(&source->mapping);
  repl_node_free(source->node);
  source->node = NULL;
}

void snapshot_source_reach(const struct snapshot_source *source, const struct node_key *key,
                           const struct store_id *store, uint64_t seqs[LANE_COUNT])
{
  struct bytes_view rest = source->entries;
  struct snapshot_entry entry = {0};
  struct commit_header header;
  struct hash id;
  memset(seqs, 0, LANE_COUNT * sizeof(*seqs));
  while (snapshot_read(&rest, &entry) == STATUS_OK && entry.type != SNAPSHOT_END &&
         entry.type != SNAPSHOT_NOTHING) {
    if ((entry.type == SNAPSHOT_COMMIT || entry.type == SNAPSHOT_FLOOR) &&
        commit_read_header(entry.octets, &header, &id) == STATUS_OK &&
        memcmp(header.origin.octets, key->octets, KEY_SIZE) == 0 &&
        memcmp(header.store.octets, store->octets, STORE_ID_SIZE) == 0 &&
        header.seq > seqs[header.lane]) {
      seqs[header.lane] = header.seq;
    }
  }
}
