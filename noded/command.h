/*
 * Commands of the admin interface (docs/ADMIN.md): a request is read on the socket's thread and
 * then carried out in steps, each on the core thread or on a reader thread, until it is finished.
 * The server gives the envelope in and takes the reply out; handlers know nothing of sockets.
 */
#ifndef NODED_COMMAND_H
#define NODED_COMMAND_H

#include <stdatomic.h>

#include "noded/core.h"
#include "record/codec.h"

#define COMMAND_REQUEST_MAX (4 * 1024 * 1024)
#define COMMAND_REPLY_MAX (4 * 1024 * 1024)
#define COMMAND_PAGE_BYTES (3 * 1024 * 1024) /* a paged result goes on in the next request */
#define COMMAND_ARENA_MAX (64 * 1024 * 1024) /* what one request may make us hold */
#define COMMAND_REASON_MAX 1200
#define COMMAND_READERS 2

struct command_call;
struct command_readers;

/* What all handlers share. */
struct command_context {
  struct core *core;
  struct command_readers *readers;
  atomic_bool verifying;
  atomic_bool copying;             /* a backup or snapshot is being written */
  void (*shut_down)(void *opaque); /* called once the reply is sent; any thread */
  void *opaque;
};

/* One request being carried out. */
struct command_call {
  struct core_task task; /* first, so that a task leads back to its call */
  struct command_context *context;
  const struct command *command;
  struct arena arena;  /* lives until the call is over */
  struct bytes result; /* msgpack */
  enum status status;
  char reason[COMMAND_REASON_MAX];
  bool shut_down; /* end the daemon after the reply */
  void *state;    /* the handler's, in the arena */
  void (*step)(struct command_call *call);
  struct command_call *next; /* the readers' queue */
  atomic_uint holds;         /* the reply, and what else still uses the call's memory */
  void (*finished)(struct command_call *call); /* the server's: send the reply; any thread */
  void (*released)(struct command_call *call); /* the server's: nothing uses the call any more */
};

enum command_place { COMMAND_ON_READER, COMMAND_ON_CORE };

struct command {
  const char *name;
  /* Reads the args, which borrow from the request; false by command_refuse. */
  bool (*read_args)(struct command_call *call, struct reader *args);
  /* First step. */
  enum command_place place;
  void (*run)(struct command_call *call);
};

/* NULL when there is none of that name. */
const struct command *command_find(struct bytes_view name);

/* Empty call, ready for command_start. `context`, `finished` and `released` are given. */
void command_call_reset(struct command_call *call);
void command_call_close(struct command_call *call);
/* Reads the request, which must live until the call is released, and starts the command. What is
 * wrong with it is answered like any other refusal. */
void command_start(struct command_call *call, struct bytes_view request);
/* Appends the reply's envelope. A result past COMMAND_REPLY_MAX becomes STATUS_TOO_LARGE.
 * STATUS_NO_MEMORY. */
MUST_USE enum status command_write_reply(const struct command_call *call, struct bytes *out);

/* ---- for handlers ---- */
/* Sets status and reason and returns false; the first refusal stands. */
__attribute__((format(printf, 3, 4))) bool command_refuse(struct command_call *call,
                                                          enum status status, const char *format,
                                                          ...);
/* Puts text before a refusal's reason. */
__attribute__((format(printf, 2, 3))) void command_refuse_at(struct command_call *call,
                                                             const char *format, ...);
/* Carries on with `step` there. */
void command_go(struct command_call *call, enum command_place place,
                void (*step)(struct command_call *call));
/* The last step: answers with the result, or with what was refused. STATUS other than OK without
 * a reason gets its text. */
void command_finish(struct command_call *call, enum status status);
/* As above, with what a writer over call->result came to. */
void command_finish_writer(struct command_call *call, const struct writer *writer);
/* Keeps the call's memory past its reply; each hold is released once. */
void command_hold(struct command_call *call);
void command_release(struct command_call *call);
/* Zeroed memory that lives as long as the call; NULL after a refusal. */
void *command_alloc(struct command_call *call, size_t size);
/* Arguments of commands that have none. */
bool command_no_args(struct command_call *call, struct reader *args);

/* "not_found" for STATUS_NOT_FOUND; static. */
const char *command_status_name(enum status status);

/* ---- the reader threads ---- */
MUST_USE enum status command_readers_new(struct command_readers **out);
void command_readers_post(struct command_readers *readers, struct command_call *call);
/* The queue must be empty: every call finished. */
void command_readers_free(struct command_readers *readers);

#endif
