/*
 * The admin server: NNG REP on an ipc:// socket that its owner alone may open (DESIGN section 6).
 * A fixed number of workers, each with one request at a time, is all the memory and work that
 * clients can ask for; who comes later waits in NNG.
 *
 * To end: admin_server_stop, then let the core's loop run until admin_server_idle, then free the
 * core, then admin_server_free. So every request taken is answered, and the store outlives its
 * readers.
 */
#ifndef NODED_ADMIN_SERVER_H
#define NODED_ADMIN_SERVER_H

#include "noded/core.h"

#define ADMIN_WORKERS 8
#define ADMIN_REASON_MAX 256

struct admin_server;

struct admin_settings {
  const char *url;
  struct core *core;
  void (*shut_down)(void *opaque); /* `shutdown` was answered; called from any thread */
  void *opaque;
};

/* Listens. STATUS_BUSY when another process does there, STATUS_IO, STATUS_NO_MEMORY; `reason`
 * (ADMIN_REASON_MAX octets) in words. */
MUST_USE enum status admin_server_new(const struct admin_settings *settings,
                                      struct admin_server **out, char *reason);
/* Takes no new requests; those taken go on. */
void admin_server_stop(struct admin_server *server);
/* Whether all requests taken are answered. After admin_server_stop. */
bool admin_server_idle(struct admin_server *server);
/* Must be idle. NULL is nothing. */
void admin_server_free(struct admin_server *server);

#endif
