/*
 * A snapshot is written beside its name and renamed when it is durable. What came into the store
 * meanwhile may be in it or not: the link brings it again, from the position that is covered.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include "admin/node_files.h"
#include "noded/certificate_writer.h"
#include "noded/snapshot.h"
#include "record/bundle.h"

#define FLUSH_BYTES (512 * 1024)
#define PIECE_BYTES (256 * 1024)

struct writing {
  const struct snapshot_settings *settings;
  struct snapshot_result *result;
  int file;
  struct bytes out;
  struct snapshot_hash hash;
  struct arena kept; /* certificates */
  struct arena arena;
  struct certificate_writer certificates;
  uint8_t raw[COMMIT_BYTES_MAX];
  enum status failed; /* in a visit */
};

static enum status flush(struct writing *writing, size_t at_least)
{
  struct bytes_view view = bytes_as_view(&writing->out);
  if (view.size < at_least || view.size == 0) {
    return STATUS_OK;
  }
  snapshot_hash_add(&writing->hash, view);
  writing->result->octets += view.size;
  enum status status = node_file_put(writing->file, view);
  bytes_clear(&writing->out);
  return status;
}

static enum status certificate_put(struct writing *writing, const struct store_txn *txn,
                                   const struct hash *id)
{
  struct certificate_writer *writer = &writing->certificates;
  enum status status = STATUS_OK;
  if (!certificate_writer_knows(writer, id)) { /* it came meanwhile */
    status = certificate_writer_load(writer, txn, writing->settings->identity);
  }
  return status == STATUS_OK ? certificate_writer_put(writer, id, &writing->out) : status;
}

static enum status commit_put(struct writing *writing, const struct store_txn *txn,
                              const struct outgoing *outgoing)
{
  size_t size =
      ZSTD_decompress(writing->raw, sizeof(writing->raw), outgoing->zstd.data, outgoing->zstd.size);
  if (ZSTD_isError(size) || size != outgoing->raw_size) {
    return STATUS_CORRUPT;
  }
  enum status status = certificate_put(writing, txn, &outgoing->certificate);
  if (status == STATUS_OK) {
    status = bundle_write(BUNDLE_COMMIT, bytes_view_of(writing->raw, size), &writing->out);
  }
  writing->result->commits++;
  writing->result->records += outgoing->records;
  return status == STATUS_OK ? flush(writing, FLUSH_BYTES) : status;
}

/* Where a log of the child's own subtree begins here: its copy must be gapless. Of other logs any
 * commit may be missing. */
static enum status floor_put(struct writing *writing, const struct store_txn *txn,
                             const struct log_head *head)
{
  struct log_floor floor;
  struct commit_header header;
  struct hash id;
  if (head->floor == 0 || !address_within(&head->address, &writing->settings->head.child)) {
    return STATUS_OK;
  }
  enum status status = store_floor_get(txn, head->number, &floor);
  if (status == STATUS_NOT_FOUND) {
    return STATUS_OK;
  }
  if (status == STATUS_OK && commit_read_header(floor.commit, &header, &id) != STATUS_OK) {
    status = STATUS_CORRUPT;
  }
  if (status == STATUS_OK) {
    status = certificate_put(writing, txn, &header.certificate);
  }
  if (status == STATUS_OK) {
    status = snapshot_write_floor(floor.commit, floor.proofs, floor.proof_count, &writing->out);
    writing->result->floors++;
  }
  return status;
}

static enum status piece_put(struct writing *writing, const struct log_head *head, uint64_t *seq)
{
  struct outgoing outgoing[OUTGOING_MAX];
  struct store_txn *txn;
  uint64_t from = *seq;
  size_t count = 0;
  enum status status = store_read_begin(writing->settings->store, &txn);
  if (status != STATUS_OK) {
    return status;
  }
  arena_reset(&writing->arena);
  status = from == 1 ? floor_put(writing, txn, head) : STATUS_OK;
  if (status == STATUS_OK) {
    status = store_log_read(txn, head->number, from, writing->settings->neighbour, PIECE_BYTES,
                            OUTGOING_MAX, &writing->arena, outgoing, &count, seq);
  }
  for (size_t i = 0; i < count && status == STATUS_OK; i++) {
    status = commit_put(writing, txn, &outgoing[i]);
  }
  store_read_end(txn);
  return status;
}

static enum status logs_put(struct writing *writing)
{
  struct store *store = writing->settings->store;
  struct log_head head;
  enum status status = STATUS_OK;
  for (uint32_t log = 1; status == STATUS_OK && log <= store_log_count(store); log++) {
    uint64_t seq = 1;
    while (status == STATUS_OK && seq != 0 && store_log_at(store, log, &head) && head.seq > 0) {
      status = piece_put(writing, &head, &seq);
    }
  }
  return status;
}

static bool on_tombstone(void *context, const struct tombstone *tombstone)
{
  struct writing *writing = context;
  writing->result->tombstones++;
  writing->failed = snapshot_write_tombstone(&tombstone->leaf, tombstone->position,
                                             &tombstone->subject, &writing->out);
  if (writing->failed == STATUS_OK) {
    writing->failed = flush(writing, FLUSH_BYTES);
  }
  return writing->failed == STATUS_OK;
}

static enum status tombstones_put(struct writing *writing)
{
  struct store_txn *txn;
  struct tombstone last;
  bool more;
  enum status status = store_read_begin(writing->settings->store, &txn);
  if (status != STATUS_OK) {
    return status;
  }
  status = store_tombstone_each(txn, writing->settings->neighbour, NULL, SIZE_MAX, on_tombstone,
                                writing, &last, &more);
  store_read_end(txn);
  return status == STATUS_OK ? writing->failed : status;
}

static enum status head_put(struct writing *writing)
{
  struct store_txn *txn;
  enum status status = store_read_begin(writing->settings->store, &txn);
  if (status != STATUS_OK) {
    return status;
  }
  status = certificate_writer_load(&writing->certificates, txn, writing->settings->identity);
  store_read_end(txn);
  if (status == STATUS_OK) {
    status = bundle_write_head(&writing->out);
  }
  if (status == STATUS_OK) {
    status = snapshot_write_head(&writing->settings->head, &writing->out);
  }
  return status == STATUS_OK
             ? certificate_writer_put(&writing->certificates,
                                      &writing->settings->identity->certificate, &writing->out)
             : status;
}

static enum status end_put(struct writing *writing)
{
  enum status status = flush(writing, 0);
  struct hash hash = snapshot_hash_final(&writing->hash);
  if (status == STATUS_OK) {
    status = snapshot_write_end(&hash, writing->settings->identity->secret_key, &writing->out);
  }
  if (status == STATUS_OK) {
    writing->result->octets += writing->out.size;
    status = node_file_put(writing->file, bytes_as_view(&writing->out));
  }
  return status;
}

/* Tombstones come before the commits, so that a reader never holds what they erase. */
static enum status fill(struct writing *writing)
{
  snapshot_hash_init(&writing->hash);
  writing->certificates.arena = &writing->kept;
  enum status status = head_put(writing);
  if (status == STATUS_OK) {
    status = tombstones_put(writing);
  }
  if (status == STATUS_OK) {
    status = logs_put(writing);
  }
  if (status == STATUS_OK) {
    status = end_put(writing);
  }
  for (size_t i = 0; i < writing->certificates.count; i++) {
    writing->result->certificates += writing->certificates.known[i].written;
  }
  bytes_close(&writing->out);
  arena_close(&writing->kept);
  arena_close(&writing->arena);
  return status;
}

__attribute__((format(printf, 3, 4))) static enum status explain(char *reason, enum status status,
                                                                 const char *format, ...)
{
  va_list arguments;
  va_start(arguments, format);
  (void)vsnprintf(reason, SNAPSHOT_REASON_MAX, format, arguments);
  va_end(arguments);
  return status;
}

static enum status file_write(const struct snapshot_settings *settings, const char *part,
                              struct snapshot_result *result, char *reason)
{
  struct writing *writing = calloc(1, sizeof(*writing));
  if (writing == NULL) {
    return STATUS_NO_MEMORY;
  }
  writing->settings = settings;
  writing->result = result;
  (void)unlink(part); /* of one that was cut off */
  writing->file = open(part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  enum status status = writing->file < 0 ? status_of_errno(errno) : fill(writing);
  if (status == STATUS_OK && fsync(writing->file) != 0) {
    status = status_of_errno(errno);
  }
  if (writing->file >= 0) {
    close(writing->file);
  }
  free(writing);
  return status == STATUS_OK
             ? status
             : explain(reason, status, "writing %.600s: %s", part, status_text(status));
}

enum status snapshot_write(const struct snapshot_settings *settings, struct snapshot_result *result,
                           char *reason)
{
  char part[PATH_MAX];
  struct stat about;
  *result = (struct snapshot_result){0};
  int size = snprintf(part, sizeof(part), "%s" SNAPSHOT_PART, settings->path);
  if (settings->path[0] != '/' || size < 0 || (size_t)size >= sizeof(part)) {
    return explain(reason, STATUS_INVALID_ARGUMENT, "the snapshot's path must be absolute");
  }
  if (lstat(settings->path, &about) == 0) {
    return explain(reason, STATUS_EXISTS, "%.600s exists; a snapshot never replaces anything",
                   settings->path);
  }
  enum status status = file_write(settings, part, result, reason);
  if (status == STATUS_OK && rename(part, settings->path) != 0) {
    status = explain(reason, status_of_errno(errno), "renaming %.600s: %s", part, strerror(errno));
  }
  if (status == STATUS_OK) {
    status = node_file_sync_directory_of(settings->path);
  }
  if (status != STATUS_OK) {
    (void)unlink(part);
  }
  return status;
}
