/* Reader threads: what reads the store at length must stand in nobody's way, neither the core's
 * nor the threads of the links. */
#include <pthread.h>
#include <stdlib.h>

#include "noded/command.h"

#define STACK_SIZE (1024 * 1024)

struct command_readers {
  pthread_mutex_t lock;
  pthread_cond_t posted;
  struct command_call *first;
  struct command_call *last;
  bool ending;
  pthread_t threads[COMMAND_READERS];
  size_t thread_count;
};

static struct command_call *call_take(struct command_readers *readers)
{
  pthread_mutex_lock(&readers->lock);
  while (readers->first == NULL && !readers->ending) {
    pthread_cond_wait(&readers->posted, &readers->lock);
  }
  struct command_call *call = readers->first;
  if (call != NULL) {
    readers->first = call->next;
    if (readers->first == NULL) {
      readers->last = NULL;
    }
    call->next = NULL;
  }
  pthread_mutex_unlock(&readers->lock);
  return call;
}

static void *reader_main(void *opaque)
{
  struct command_readers *readers = opaque;
  for (struct command_call *call = call_take(readers); call != NULL; call = call_take(readers)) {
    call->step(call);
  }
  return NULL;
}

enum status command_readers_new(struct command_readers **out)
{
  pthread_attr_t attributes;
  struct command_readers *readers = calloc(1, sizeof(*readers));
  enum status status = STATUS_OK;
  *out = NULL;
  if (readers == NULL || pthread_attr_init(&attributes) != 0) {
    free(readers);
    return STATUS_NO_MEMORY;
  }
  pthread_mutex_init(&readers->lock, NULL);
  pthread_cond_init(&readers->posted, NULL);
  pthread_attr_setstacksize(&attributes, STACK_SIZE);
  while (status == STATUS_OK && readers->thread_count < COMMAND_READERS) {
    if (pthread_create(&readers->threads[readers->thread_count], &attributes, reader_main,
                       readers) == 0) {
      readers->thread_count++;
    } else {
      status = STATUS_NO_MEMORY;
    }
  }
  pthread_attr_destroy(&attributes);
  if (status != STATUS_OK) {
    command_readers_free(readers);
    return status;
  }
  *out = readers;
  return STATUS_OK;
}

void command_readers_post(struct command_readers *readers, struct command_call *call)
{
  pthread_mutex_lock(&readers->lock);
  call->next = NULL;
  if (readers->last != NULL) {
    readers->last->next = call;
  } else {
    readers->first = call;
  }
  readers->last = call;
  pthread_cond_signal(&readers->posted);
  pthread_mutex_unlock(&readers->lock);
}

void command_readers_free(struct command_readers *readers)
{
  if (readers == NULL) {
    return;
  }
  pthread_mutex_lock(&readers->lock);
  readers->ending = true;
  pthread_cond_broadcast(&readers->posted);
  pthread_mutex_unlock(&readers->lock);
  for (size_t i = 0; i < readers->thread_count; i++) {
    pthread_join(readers->threads[i], NULL);
  }
  pthread_cond_destroy(&readers->posted);
  pthread_mutex_destroy(&readers->lock);
  free(readers);
}
