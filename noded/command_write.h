/*
 * What results are made of (docs/ADMIN.md): ids, lanes, record maps. Private to the commands.
 */
#ifndef NODED_COMMAND_WRITE_H
#define NODED_COMMAND_WRITE_H

#include "noded/command.h"
#include "storage/logs.h"
#include "storage/subjects.h"

/* A key of the map being written, then one value of its kind. */
void write_text(struct writer *writer, const char *key, const char *text);
void write_view(struct writer *writer, const char *key, struct bytes_view text);
void write_uint(struct writer *writer, const char *key, uint64_t value);
void write_int(struct writer *writer, const char *key, int64_t value);
void write_bool(struct writer *writer, const char *key, bool value);
void write_hex(struct writer *writer, const char *key, const void *data, size_t size);
void write_bin(struct writer *writer, const char *key, struct bytes_view octets);
void write_subject(struct writer *writer, const char *key, const struct subject *subject);
/* origin, store and lane of a log: three pairs. */
#define WRITE_LOG_PAIRS 3
void write_log_id(struct writer *writer, const struct log_id *id);

/* A record map, whole. */
void write_record(struct writer *writer, const struct held_record *held);
/* An element of `lanes`. */
void write_lane(struct writer *writer, unsigned lane, const struct neighbour_lane *state);

#endif
