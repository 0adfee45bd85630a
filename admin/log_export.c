/* log export: pieces one after another into one file, with one head. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client.h"
#include "json.h"
#include "log.h"
#include "record/bundle.h"
#include "text.h"
#include "value.h"

struct export
{
  FILE *file;
  uint64_t octets;
  uint64_t commits;
  uint64_t certificates;
};

static bool put(struct export *export, struct bytes_view octets)
{
  export->octets += octets.size;
  return octets.size == 0 || fwrite(octets.data, octets.size, 1, export->file) == 1;
}

/* A piece may start with a head of its own; only ours, the first, goes into the file. */
static enum status put_piece(struct export *export, struct bytes_view piece)
{
  struct bytes_view rest = piece, entry;
  enum bundle_entry type;
  if (piece.size == 0)
    return STATUS_OK;
  if (bundle_read_head(&rest) != STATUS_OK)
    rest = piece;
  struct bytes_view entries = rest;
  for (;;) {
    enum status status = bundle_read(&rest, &type, &entry);
    if (status != STATUS_OK)
      return status;
    if (type == BUNDLE_END)
      break;
    export->commits += type == BUNDLE_COMMIT;
    export->certificates += type == BUNDLE_CERTIFICATE;
  }
  return put(export, entries) ? STATUS_OK : STATUS_IO;
}

/* Keeps the cursor's octets: it goes back as it came. */
static enum status keep_cursor(const msgpack_object *next, struct bytes *cursor)
{
  struct writer writer;
  bytes_clear(cursor);
  if (value_is_nil(next))
    return STATUS_OK;
  writer_init(&writer, cursor);
  if (msgpack_pack_object(&writer.packer, *next) != 0)
    return STATUS_NO_MEMORY;
  return writer_finish(&writer);
}

static enum ctl_exit export_piece(struct ctl *ctl, uint64_t log, const char *subject,
                                  struct bytes *cursor, struct export *export)
{
  struct query query;
  struct reply reply;
  query_init(&query);
  query_uint(&query, "log", log);
  if (subject != NULL)
    query_text(&query, "subject", subject);
  if (cursor->size > 0)
    query_raw(&query, "from", bytes_as_view(cursor));
  enum ctl_exit code = ctl_call(ctl, "log.export", &query, &reply);
  if (code == CTL_DONE) {
    enum status status = put_piece(export, value_bin(value_get(reply.result, "octets")));
    if (status == STATUS_OK)
      status = keep_cursor(value_get(reply.result, "next"), cursor);
    if (status != STATUS_OK) {
      ctl_complain(ctl, "exporting: %s", status_text(status));
      code = CTL_REFUSED;
    }
  }
  reply_close(&reply);
  query_close(&query);
  return code;
}

static enum ctl_exit export_all(struct ctl *ctl, uint64_t log, const char *subject,
                                struct export *export)
{
  struct bytes head = {0}, cursor = {0};
  enum ctl_exit code = CTL_REFUSED;
  if (bundle_write_head(&head) == STATUS_OK && put(export, bytes_as_view(&head))) {
    do
      code = export_piece(ctl, log, subject, &cursor, export);
    while (code == CTL_DONE && cursor.size > 0);
  } else {
    ctl_complain(ctl, "the bundle's head could not be written");
  }
  bytes_close(&head);
  bytes_close(&cursor);
  return code;
}

static void report_export(const struct ctl *ctl, const struct export *export, const char *path)
{
  char size[TEXT_SHORT_MAX], commits[TEXT_SHORT_MAX], certificates[TEXT_SHORT_MAX];
  if (ctl->json) {
    cJSON *json = cJSON_CreateObject();
    cJSON_AddStringToObject(json, "file", path);
    cJSON_AddItemToObject(json, "commits", json_of_uint(export->commits));
    cJSON_AddItemToObject(json, "certificates", json_of_uint(export->certificates));
    cJSON_AddItemToObject(json, "bytes", json_of_uint(export->octets));
    json_print(ctl->view.out, json);
    return;
  }
  fprintf(ctl->view.out, "%s: %s commits, %s certificates, %s\n", path,
          text_count(export->commits, commits), text_count(export->certificates, certificates),
          text_size(export->octets, size));
}

enum ctl_exit log_export(struct ctl *ctl, const struct ctl_args *args)
{
  const char *path = ctl_args_text(args, "output", NULL);
  struct export export = {0};
  uint64_t log;
  if (path == NULL) {
    ctl_complain(ctl, "log export needs -o FILE");
    return CTL_USAGE;
  }
  if (!ctl_args_uint(ctl, args, "log", 1, UINT32_MAX, 0, &log))
    return CTL_USAGE;
  char *temporary = text_format("%s.new-%ld", path, (long)getpid());
  enum ctl_exit code = CTL_REFUSED;
  export.file = fopen(temporary, "wxe");
  if (export.file == NULL) {
    ctl_complain(ctl, "writing %s: %s", temporary, strerror(errno));
    free(temporary);
    return CTL_REFUSED;
  }
  code = export_all(ctl, log, ctl_args_text(args, "subject", NULL), &export);
  bool written = fflush(export.file) == 0 && fsync(fileno(export.file)) == 0;
  written = fclose(export.file) == 0 && written;
  if (code == CTL_DONE && (!written || rename(temporary, path) != 0)) {
    ctl_complain(ctl, "writing %s: %s", path, strerror(errno));
    code = CTL_REFUSED;
  }
  if (code == CTL_DONE)
    report_export(ctl, &export, path);
  else
    unlink(temporary);
  free(temporary);
  return code;
}
