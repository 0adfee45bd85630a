#include "client.h"

#include <nng/nng.h>
#include <nng/protocol/reqrep0/req.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "value.h"

struct ctl_client {
  nng_socket socket;
  nng_aio *receive;
  atomic_bool gone; /* set by NNG's thread when the pipe is no more */
};

#define CLIENT_RECONNECT_MS (24 * 3600 * 1000)

void query_init(struct query *query)
{
  memset(query, 0, sizeof *query);
  writer_init(&query->writer, &query->fields);
}

void query_close(struct query *query)
{
  bytes_close(&query->fields);
}

struct writer *query_field(struct query *query, const char *name)
{
  query->count++;
  writer_text(&query->writer, name);
  return &query->writer;
}

void query_text(struct query *query, const char *name, const char *text)
{
  writer_text(query_field(query, name), text);
}

void query_uint(struct query *query, const char *name, uint64_t value)
{
  writer_uint(query_field(query, name), value);
}

void query_bin(struct query *query, const char *name, struct bytes_view octets)
{
  writer_bin(query_field(query, name), octets.data, octets.size);
}

void query_raw(struct query *query, const char *name, struct bytes_view encoded)
{
  writer_raw(query_field(query, name), encoded);
}

static enum status write_envelope(const char *command, const struct query *query, struct bytes *out)
{
  struct writer writer;
  if (query != NULL && writer_finish(&query->writer) != STATUS_OK)
    return STATUS_NO_MEMORY;
  writer_init(&writer, out);
  writer_map(&writer, 3);
  writer_text(&writer, "v");
  writer_uint(&writer, 1);
  writer_text(&writer, "command");
  writer_text(&writer, command);
  writer_text(&writer, "args");
  writer_map(&writer, query != NULL ? query->count : 0);
  if (query != NULL)
    writer_raw(&writer, bytes_as_view(&query->fields));
  enum status status = writer_finish(&writer);
  if (status == STATUS_OK && out->size > CLIENT_REQUEST_MAX)
    status = STATUS_TOO_LARGE;
  return status;
}

void reply_close(struct reply *reply)
{
  msgpack_unpacked_destroy(&reply->unpacked);
  if (reply->message != NULL)
    nng_msg_free(reply->message);
  memset(reply, 0, sizeof *reply);
}

bool reply_read(struct bytes_view octets, struct reply *reply)
{
  size_t offset = 0;
  if (msgpack_unpack_next(&reply->unpacked, (const char *)octets.data, octets.size, &offset) !=
          MSGPACK_UNPACK_SUCCESS ||
      offset != octets.size)
    return false;
  const msgpack_object *envelope = &reply->unpacked.data;
  reply->result = value_get(envelope, "result");
  value_copy_text(value_get(envelope, "status"), reply->status, sizeof reply->status);
  value_copy_text(value_get(envelope, "reason"), reply->reason, sizeof reply->reason);
  return value_uint(value_get(envelope, "v")) == 1 && reply->status[0] != '\0';
}

/* When the pipe goes, the call ends: REQ would send again on the next pipe, and what was carried
 * out already must not be carried out twice. */
static void on_pipe_gone(nng_pipe pipe, nng_pipe_ev event, void *argument)
{
  struct ctl_client *client = argument;
  (void)pipe;
  (void)event;
  atomic_store(&client->gone, true);
  nng_aio_cancel(client->receive);
}

static int set_options(const struct ctl *ctl, struct ctl_client *client)
{
  nng_duration timeout = (nng_duration)ctl->timeout_ms;
  int error = nng_socket_set_ms(client->socket, NNG_OPT_REQ_RESENDTIME, NNG_DURATION_INFINITE);
  if (error == 0)
    error = nng_socket_set_ms(client->socket, NNG_OPT_SENDTIMEO, timeout);
  if (error == 0) /* never a second pipe */
    error = nng_socket_set_ms(client->socket, NNG_OPT_RECONNMINT, CLIENT_RECONNECT_MS);
  if (error == 0)
    error = nng_socket_set_ms(client->socket, NNG_OPT_RECONNMAXT, CLIENT_RECONNECT_MS);
  if (error == 0)
    error = nng_socket_set_size(client->socket, NNG_OPT_RECVMAXSZ, CLIENT_REPLY_MAX);
  if (error == 0)
    error = nng_pipe_notify(client->socket, NNG_PIPE_EV_REM_POST, on_pipe_gone, client);
  nng_aio_set_timeout(client->receive, timeout);
  return error;
}

static int open_client(const struct ctl *ctl, struct ctl_client *client)
{
  int error = nng_aio_alloc(&client->receive, NULL, NULL);
  if (error != 0)
    return error;
  error = nng_req0_open(&client->socket);
  if (error != 0) {
    nng_aio_free(client->receive);
    return error;
  }
  error = set_options(ctl, client);
  if (error == 0)
    error = nng_dial(client->socket, ctl->url, NULL, 0);
  if (error != 0) {
    nng_close(client->socket);
    nng_aio_free(client->receive);
  }
  return error;
}

static enum client_outcome client_connect(struct ctl *ctl, struct reply *reply)
{
  if (ctl->client != NULL)
    return CLIENT_ANSWERED;
  struct ctl_client *client = calloc(1, sizeof *client);
  if (client == NULL) {
    snprintf(reply->reason, sizeof reply->reason, "out of memory");
    return CLIENT_FAILED;
  }
  int error = open_client(ctl, client);
  if (error != 0) {
    free(client);
    snprintf(reply->reason, sizeof reply->reason, "%s: %s", ctl->url, nng_strerror(error));
    return error == NNG_ENOMEM ? CLIENT_FAILED : CLIENT_NO_DAEMON;
  }
  ctl->client = client;
  return CLIENT_ANSWERED;
}

void client_free(struct ctl_client *client)
{
  if (client == NULL)
    return;
  nng_close(client->socket);
  nng_aio_free(client->receive);
  free(client);
}

bool client_probe(struct ctl *ctl)
{
  struct reply reply = {0};
  bool up = client_connect(ctl, &reply) == CLIENT_ANSWERED;
  reply_close(&reply);
  return up;
}

static int exchange(struct ctl_client *client, const struct bytes *request, nng_msg **answer)
{
  nng_msg *message = NULL;
  int error = nng_msg_alloc(&message, 0);
  if (error == 0)
    error = nng_msg_append(message, request->data, request->size);
  if (error == 0)
    error = nng_sendmsg(client->socket, message, 0);
  if (error != 0) {
    nng_msg_free(message);
    return error;
  }
  nng_recv_aio(client->socket, client->receive);
  if (atomic_load(&client->gone)) /* it went before there was anything to cancel */
    nng_aio_cancel(client->receive);
  nng_aio_wait(client->receive);
  error = nng_aio_result(client->receive);
  if (error == 0)
    *answer = nng_aio_get_msg(client->receive);
  return error;
}

enum client_outcome client_call(struct ctl *ctl, const char *command, const struct query *query,
                                struct reply *reply)
{
  struct bytes request = {0};
  nng_msg *answer = NULL;
  memset(reply, 0, sizeof *reply);
  msgpack_unpacked_init(&reply->unpacked);
  enum client_outcome outcome = CLIENT_FAILED;
  enum status status = write_envelope(command, query, &request);
  if (status != STATUS_OK) {
    snprintf(reply->reason, sizeof reply->reason, "the request is %s", status_text(status));
    goto out;
  }
  outcome = client_connect(ctl, reply);
  if (outcome != CLIENT_ANSWERED)
    goto out;
  int error = exchange(ctl->client, &request, &answer);
  if (error != 0) {
    snprintf(reply->reason, sizeof reply->reason, "%s",
             error == NNG_ETIMEDOUT ? "no answer within the time (--timeout)"
                                    : "the connection was lost before the answer came");
    outcome = CLIENT_LOST;
    goto out;
  }
  reply->message = answer;
  if (!reply_read(bytes_view_of(nng_msg_body(answer), nng_msg_len(answer)), reply)) {
    snprintf(reply->reason, sizeof reply->reason, "the answer is not of a known form");
    outcome = CLIENT_LOST;
  }
out:
  if (outcome == CLIENT_LOST) {
    client_free(ctl->client);
    ctl->client = NULL;
  }
  bytes_close(&request);
  return outcome;
}

enum ctl_exit ctl_complain_outcome(struct ctl *ctl, enum client_outcome outcome,
                                   const struct reply *reply)
{
  enum ctl_exit code = CTL_REFUSED;
  const char *status = "failed";
  if (outcome == CLIENT_ANSWERED) {
    status = reply->status;
    ctl_complain(ctl, "%s", reply->reason[0] != '\0' ? reply->reason : reply->status);
  } else if (outcome == CLIENT_NO_DAEMON) {
    code = CTL_NO_DAEMON;
    status = "no_daemon";
    ctl_complain(ctl, "no daemon answers at %s", reply->reason);
    fprintf(ctl->err,
            "  Is noded running for this directory? Start it (noded --dir %s), or name another\n"
            "  one by --dir DIR or $NODED_DIR, or its socket by --socket URL.\n",
            ctl->directory);
  } else if (outcome == CLIENT_LOST) {
    code = CTL_NO_DAEMON;
    status = "lost";
    ctl_complain(ctl, "%s: %s; what was asked may have been done", ctl->url, reply->reason);
  } else {
    ctl_complain(ctl, "%s", reply->reason);
  }
  if (ctl->json)
    json_print_failure(ctl->view.out, status, reply->reason);
  return code;
}

enum ctl_exit ctl_call(struct ctl *ctl, const char *command, const struct query *query,
                       struct reply *reply)
{
  enum client_outcome outcome = client_call(ctl, command, query, reply);
  if (outcome == CLIENT_ANSWERED && reply_ok(reply))
    return CTL_DONE;
  return ctl_complain_outcome(ctl, outcome, reply);
}
