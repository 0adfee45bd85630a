/*
 * The way to the daemon: one request, one reply, msgpack over NNG (docs/ADMIN.md). A request is
 * never sent twice: when the connection goes, the call fails and the caller decides.
 */
#ifndef CTL_CLIENT_H
#define CTL_CLIENT_H

#include <msgpack.h>

#include "ctl.h"
#include "record/bytes.h"
#include "record/codec.h"

#define CLIENT_REPLY_MAX (8u * 1024 * 1024)
#define CLIENT_REQUEST_MAX (4u * 1024 * 1024)

/* The args of a request, collected one by one. Close with query_close. */
struct query {
  struct bytes fields;
  struct writer writer; /* for values that the functions below don't cover */
  uint32_t count;
};
/* The query must not move while in use. */
void query_init(struct query *query);
void query_close(struct query *query);
/* Starts a field; its value comes next through query->writer. */
struct writer *query_field(struct query *query, const char *name);
void query_text(struct query *query, const char *name, const char *text);
void query_uint(struct query *query, const char *name, uint64_t value);
void query_bin(struct query *query, const char *name, struct bytes_view octets);
void query_raw(struct query *query, const char *name, struct bytes_view encoded);

/* A reply: `result` and `reason` borrow from it until reply_close. */
struct reply {
  void *message; /* nng_msg */
  msgpack_unpacked unpacked;
  const msgpack_object *result; /* never NULL after CLIENT_ANSWERED */
  char status[48];
  char reason[1024];
};
void reply_close(struct reply *reply);
/* Reads an envelope from `octets`, which must outlive it. False when it is none. */
bool reply_read(struct bytes_view octets, struct reply *reply);

enum client_outcome {
  CLIENT_ANSWERED,  /* look at reply->status */
  CLIENT_NO_DAEMON, /* could not connect */
  CLIENT_LOST,      /* connected, but no answer came; the request may have been carried out */
  CLIENT_FAILED,    /* local trouble: too large, no memory */
};

void client_free(struct ctl_client *client);
/* Whether somebody listens at the socket. */
bool client_probe(struct ctl *ctl);

/* Carries out one call; dials at the first one. Says nothing on stderr, but leaves `reason`. The
 * reply is to be closed in every case. */
enum client_outcome client_call(struct ctl *ctl, const char *command, const struct query *query,
                                struct reply *reply);
/* As above, and says on stderr (and as JSON with --json) what is wrong; query NULL: no args.
 * CTL_DONE only with an `ok` reply. */
enum ctl_exit ctl_call(struct ctl *ctl, const char *command, const struct query *query,
                       struct reply *reply);
/* What ctl_call says, for an outcome that the caller saw itself. */
enum ctl_exit ctl_complain_outcome(struct ctl *ctl, enum client_outcome outcome,
                                   const struct reply *reply);
static inline bool reply_ok(const struct reply *reply)
{
  return reply->status[0] == 'o' && reply->status[1] == 'k' && reply->status[2] == '\0';
}

#endif
