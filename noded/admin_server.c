#include "noded/admin_server.h"

#include <nng/nng.h>
#include <nng/protocol/reqrep0/rep.h>
#include <nng/supplemental/util/platform.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "noded/command.h"
#include "noded/log.h"

#define REQUEST_HEAD 16 /* what the protocol puts before a request */
#define GOODBYE_MS 50   /* for the last replies to leave */
#define KEEP_BYTES_MAX (256 * 1024)

enum worker_state { WORKER_IDLE, WORKER_RECEIVING, WORKER_RUNNING, WORKER_SENDING };

struct worker {
  struct command_call call; /* first, so that a call leads back to its worker */
  struct admin_server *server;
  nng_ctx context;
  nng_aio *aio;
  nng_msg *request;
  struct bytes reply;
  atomic_int state;
  bool opened;
};

struct admin_server {
  struct command_context context;
  nng_socket socket;
  bool socket_open;
  nng_listener listener;
  atomic_bool stopping;
  struct worker workers[ADMIN_WORKERS];
};

static void worker_receive(struct worker *worker)
{
  if (atomic_load(&worker->server->stopping)) {
    atomic_store(&worker->state, WORKER_IDLE);
    return;
  }
  atomic_store(&worker->state, WORKER_RECEIVING);
  nng_ctx_recv(worker->context, worker->aio);
}

/* Nothing uses the request's memory any more. */
static void on_released(struct command_call *call)
{
  struct worker *worker = (struct worker *)call;
  nng_msg_free(worker->request);
  worker->request = NULL;
  worker_receive(worker);
}

/* Without memory for a reply the client hears nothing and times out, but the server goes on. */
static void on_finished(struct command_call *call)
{
  struct worker *worker = (struct worker *)call;
  nng_msg *message = NULL;
  bytes_clear(&worker->reply);
  enum status status = command_write_reply(call, &worker->reply);
  if (status == STATUS_OK && nng_msg_alloc(&message, 0) == 0 &&
      nng_msg_append(message, worker->reply.data, worker->reply.size) == 0) {
    if (worker->reply.capacity > KEEP_BYTES_MAX) {
      bytes_close(&worker->reply);
    }
    atomic_store(&worker->state, WORKER_SENDING);
    nng_aio_set_msg(worker->aio, message);
    nng_ctx_send(worker->context, worker->aio);
    return;
  }
  log_event(LOG_ERROR, "admin_no_memory");
  nng_msg_free(message);
  command_release(call);
}

static void worker_sent(struct worker *worker, int result)
{
  struct admin_server *server = worker->server;
  bool shut_down = worker->call.shut_down;
  if (result != 0) {
    nng_msg_free(nng_aio_get_msg(worker->aio));
    nng_aio_set_msg(worker->aio, NULL);
  }
  command_release(&worker->call);
  if (shut_down) {
    server->context.shut_down(server->context.opaque);
  }
}

static void worker_received(struct worker *worker, int result)
{
  if (result != 0) {
    if (result == NNG_ECLOSED || result == NNG_ECANCELED) {
      atomic_store(&worker->state, WORKER_IDLE);
    } else {
      worker_receive(worker);
    }
    return;
  }
  atomic_store(&worker->state, WORKER_RUNNING);
  worker->request = nng_aio_get_msg(worker->aio);
  command_call_reset(&worker->call);
  command_start(&worker->call,
                bytes_view_of(nng_msg_body(worker->request), nng_msg_len(worker->request)));
}

static void on_aio(void *opaque)
{
  struct worker *worker = opaque;
  int result = nng_aio_result(worker->aio);
  if (atomic_load(&worker->state) == WORKER_SENDING) {
    worker_sent(worker, result);
  } else {
    worker_received(worker, result);
  }
}

/* The socket's mode keeps others out; this keeps out who got at it all the same (a descriptor
 * handed over, a file system without modes). */
static void on_pipe(nng_pipe pipe, nng_pipe_ev event, void *opaque)
{
  (void)event;
  (void)opaque;
  uint64_t user = 0;
  int result = nng_pipe_get_uint64(pipe, NNG_OPT_IPC_PEER_UID, &user);
  if (result == 0 && (user == (uint64_t)geteuid() || user == 0)) {
    return;
  }
  const struct log_field fields[] = {log_uint("user", user),
                                     log_text("fault", result == 0 ? "" : nng_strerror(result))};
  log_write(LOG_WARN, "admin_peer_refused", fields, 2);
  nng_pipe_close(pipe);
}

static enum status listen_at(struct admin_server *server, const char *url, char *reason)
{
  int result = nng_rep0_open(&server->socket);
  server->socket_open = result == 0;
  if (result == 0) {
    result =
        nng_socket_set_size(server->socket, NNG_OPT_RECVMAXSZ, COMMAND_REQUEST_MAX + REQUEST_HEAD);
  }
  if (result == 0) {
    result = nng_pipe_notify(server->socket, NNG_PIPE_EV_ADD_PRE, on_pipe, server);
  }
  if (result == 0) {
    result = nng_listener_create(&server->listener, server->socket, url);
  }
  if (result == 0) {
    result = nng_listener_set_int(server->listener, NNG_OPT_IPC_PERMISSIONS, 0600);
  }
  if (result == 0) {
    result = nng_listener_start(server->listener, 0);
  }
  if (result == 0) {
    return STATUS_OK;
  }
  snprintf(reason, ADMIN_REASON_MAX, "%s: %s%s", url, nng_strerror(result),
           result == NNG_EADDRINUSE ? "; does a daemon run in this directory already?" : "");
  return result == NNG_EADDRINUSE ? STATUS_BUSY : STATUS_IO;
}

static enum status worker_open(struct admin_server *server, struct worker *worker)
{
  worker->server = server;
  worker->call.context = &server->context;
  worker->call.finished = on_finished;
  worker->call.released = on_released;
  if (nng_ctx_open(&worker->context, server->socket) != 0) {
    return STATUS_NO_MEMORY;
  }
  worker->opened = true;
  return nng_aio_alloc(&worker->aio, on_aio, worker) == 0 ? STATUS_OK : STATUS_NO_MEMORY;
}

enum status admin_server_new(const struct admin_settings *settings, struct admin_server **out,
                             char *reason)
{
  struct admin_server *server = calloc(1, sizeof(*server));
  *out = NULL;
  reason[0] = 0;
  enum status status = server == NULL ? STATUS_NO_MEMORY : STATUS_OK;
  if (status != STATUS_OK) {
    goto out;
  }
  server->context.core = settings->core;
  server->context.shut_down = settings->shut_down;
  server->context.opaque = settings->opaque;
  status = command_readers_new(&server->context.readers);
  if (status == STATUS_OK) {
    status = listen_at(server, settings->url, reason);
  }
  for (size_t i = 0; status == STATUS_OK && i < ADMIN_WORKERS; i++) {
    status = worker_open(server, &server->workers[i]);
  }
  if (status != STATUS_OK) {
    goto out;
  }
  for (size_t i = 0; i < ADMIN_WORKERS; i++) {
    worker_receive(&server->workers[i]);
  }
  *out = server;
out:
  if (status != STATUS_OK) {
    if (reason[0] == 0) {
      snprintf(reason, ADMIN_REASON_MAX, "%s", status_text(status));
    }
    admin_server_free(server);
  }
  return status;
}

/* Cancels what waits for a request. One that comes in between is still carried out; its reply may
 * then be lost with the cancel, which to the client is a daemon that ended. */
static void receivers_cancel(struct admin_server *server)
{
  for (size_t i = 0; i < ADMIN_WORKERS; i++) {
    struct worker *worker = &server->workers[i];
    if (atomic_load(&worker->state) == WORKER_RECEIVING) {
      nng_aio_cancel(worker->aio);
    }
  }
}

void admin_server_stop(struct admin_server *server)
{
  atomic_store(&server->stopping, true);
  receivers_cancel(server);
}

bool admin_server_idle(struct admin_server *server)
{
  bool idle = true;
  receivers_cancel(server);
  for (size_t i = 0; i < ADMIN_WORKERS; i++) {
    if (atomic_load(&server->workers[i].state) != WORKER_IDLE) {
      idle = false;
    }
  }
  return idle;
}

void admin_server_free(struct admin_server *server)
{
  if (server == NULL) {
    return;
  }
  if (server->socket_open) {
    nng_msleep(atomic_load(&server->stopping) ? GOODBYE_MS : 0);
    nng_close(server->socket);
  }
  for (size_t i = 0; i < ADMIN_WORKERS; i++) {
    struct worker *worker = &server->workers[i];
    if (worker->aio != NULL) {
      nng_aio_stop(worker->aio);
      nng_aio_free(worker->aio);
    }
    nng_msg_free(worker->request);
    bytes_close(&worker->reply);
    command_call_close(&worker->call);
  }
  command_readers_free(server->context.readers);
  free(server);
}
