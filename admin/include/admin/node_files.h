/*
 * Files of a node's directory (docs/ADMIN.md, "A node's directory"): read whole within a bound,
 * written so that a crash leaves either the old file or the new one, never half of it.
 */
#ifndef ADMIN_NODE_FILES_H
#define ADMIN_NODE_FILES_H

#include <limits.h>

#include "record/bytes.h"

#define NODE_FILE_CONFIG "noded.yaml"
#define NODE_FILE_KEY "node.key"
#define NODE_FILE_ROOT_KEY "root.key"
#define NODE_FILE_ROOT_CERTIFICATE "root.cert"
#define NODE_FILE_CHAIN "chain.cert"
#define NODE_FILE_REQUEST "request"
#define NODE_FILE_SOCKET "admin.sock"
#define NODE_SECRET_KEY_SIZE 64

/* DIRECTORY/NAME. STATUS_TOO_LARGE when it doesn't fit. */
MUST_USE enum status node_file_path(const char *directory, const char *name, char out[PATH_MAX]);

/* Appends the file's octets. STATUS_NOT_FOUND, STATUS_NOT_ALLOWED, STATUS_TOO_LARGE above
 * `size_max`, STATUS_IO, STATUS_NO_MEMORY. */
MUST_USE enum status node_file_read(const char *path, size_t size_max, struct bytes *out);

/* Writes a temporary file beside it, syncs, and renames; then syncs the directory. Without
 * `replace` an existing file is left alone: STATUS_EXISTS. STATUS_NOT_FOUND (no such directory),
 * STATUS_NOT_ALLOWED, STATUS_DISK_FULL, STATUS_IO. */
MUST_USE enum status node_file_write(const char *path, struct bytes_view octets, unsigned mode,
                                     bool replace);
bool node_file_exists(const char *path);
/* Writes all of it to an open file; not durable yet. STATUS_DISK_FULL, STATUS_IO. */
MUST_USE enum status node_file_put(int fd, struct bytes_view octets);
/* A rename of the path is durable once its directory is. As node_file_write. */
MUST_USE enum status node_file_sync_directory_of(const char *path);

/* Ed25519 secret key as 128 hex digits and a newline, mode 0600; never replaces. As
 * node_file_write. */
MUST_USE enum status node_key_write(const char *path, const uint8_t key[NODE_SECRET_KEY_SIZE]);
/* STATUS_NOT_ALLOWED when others than the owner may read the file, STATUS_MALFORMED when it holds
 * no key whose halves belong together; else as node_file_read. */
MUST_USE enum status node_key_read(const char *path, uint8_t key[NODE_SECRET_KEY_SIZE]);

#endif
