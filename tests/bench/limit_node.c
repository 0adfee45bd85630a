#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "limit.h"

/* Room for what came and is not stored yet, and for what is stored and not yet sent. A node whose
 * queue is full stops reading, so that a slow tier slows those below it. */
#define IN_MAX (4u * 1024 * 1024)
#define QUEUE_MAX (16u * 1024 * 1024)
#define WINDOW_PARTS 4

/* Octets from `begin` to `end` wait. */
struct buffer {
  uint8_t *data;
  size_t begin;
  size_t end;
  size_t capacity;
};

struct node {
  const struct limit_run *run;
  struct limit_shared *shared;
  int below;
  int above;
  bool below_ended;
  bool ack_due;
  struct bench_store store;
  struct limit_chain chain; /* its seq: stored durably, once the step is over */
  struct buffer in;
  struct buffer queue;
  size_t allowed; /* octets of the queue, from its begin, that the window lets out */
  uint64_t sent;  /* seq of the last commit that the window let out */
  uint64_t acked; /* seq that the tier above holds durably */
  uint64_t made;  /* the grid's records so far */
  uint64_t due_ns;
};

static void buffer_open(struct buffer *buffer, size_t capacity)
{
  *buffer = (struct buffer){.data = malloc(capacity), .capacity = capacity};
  if (buffer->data == NULL) {
    bench_fail("out of memory", NULL);
  }
}

/* Room for `size` more at the end, by moving what waits to the front; false when there is none. */
static bool buffer_room(struct buffer *buffer, size_t size)
{
  if (buffer->capacity - buffer->end < size) {
    memmove(buffer->data, buffer->data + buffer->begin, buffer->end - buffer->begin);
    buffer->end -= buffer->begin;
    buffer->begin = 0;
  }
  return buffer->capacity - buffer->end >= size;
}

static bool queue_full(const struct node *node)
{
  return node->queue.capacity - (node->queue.end - node->queue.begin) < IN_MAX;
}

static void commit_append(struct node *node, const uint8_t *octets)
{
  struct limit_head head;
  memcpy(&head, octets, sizeof(head));
  if (node->run->whole) {
    bench_store_append(&node->store, octets, limit_commit_size(head.count));
    return;
  }
  bench_store_append(&node->store, octets, sizeof(head));
  for (uint64_t i = 0; i < head.count; i++) {
    bench_store_append(&node->store, octets + limit_commit_size(i), LIMIT_RECORD_SIZE);
  }
}

static void commit_queue(struct node *node, const uint8_t *octets, size_t size)
{
  if (node->above >= 0) {
    if (!buffer_room(&node->queue, size)) {
      bench_fail("the queue is smaller than what one step takes in", NULL);
    }
    memcpy(node->queue.data + node->queue.end, octets, size);
    node->queue.end += size;
  }
}

/* At the district: counts what the transaction just made durable. */
static void arrival_note(struct node *node, uint64_t records, const uint64_t *made_ns,
                         size_t commits)
{
  uint64_t now = bench_now_ns();
  for (size_t i = 0; i < commits && node->run->interval_ns > 0; i++) {
    node->shared->latency_ns[node->shared->latency_count++] = now - made_ns[i];
  }
  node->shared->records += records;
  if (node->shared->records == node->run->records) {
    node->shared->end_ns = now;
  }
}

/* Everything that waits: verified, appended, one transaction, then owed an ack. */
static void store_waiting(struct node *node)
{
  uint64_t made_ns[IN_MAX / (sizeof(struct limit_head) + LIMIT_RECORD_SIZE) + 1];
  size_t commits = 0;
  uint64_t records = 0;
  for (;;) {
    const uint8_t *octets = node->in.data + node->in.begin;
    size_t waiting = node->in.end - node->in.begin;
    struct limit_head head;
    if (waiting < sizeof(head)) {
      break;
    }
    memcpy(&head, octets, sizeof(head));
    if (head.count < 1 || head.count > LIMIT_BATCH_MAX) {
      bench_fail("a commit of an impossible size came", NULL);
    }
    size_t size = limit_commit_size(head.count);
    if (waiting < size) {
      break;
    }
    limit_commit_verify(&node->chain, &node->run->keys, octets);
    commit_append(node, octets);
    commit_queue(node, octets, size);
    made_ns[commits++] = head.made_ns;
    records += head.count;
    node->in.begin += size;
  }
  if (commits > 0) {
    bench_store_commit(&node->store);
    node->ack_due = true;
    if (node->above < 0) {
      arrival_note(node, records, made_ns, commits);
    }
  }
}

static void below_read(struct node *node)
{
  while (buffer_room(&node->in, 1)) {
    ssize_t size = recv(node->below, node->in.data + node->in.end, node->in.capacity - node->in.end,
                        MSG_DONTWAIT);
    if (size == 0) {
      node->below_ended = true;
    }
    if (size < 0 && errno != EAGAIN && errno != EINTR) {
      bench_fail_errno("recv");
    }
    if (size <= 0) {
      break;
    }
    node->in.end += (size_t)size;
  }
}

static void ack_send(struct node *node)
{
  uint64_t seq = node->chain.seq;
  ssize_t size = send(node->below, &seq, sizeof(seq), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (size == sizeof(seq)) {
    node->ack_due = false;
  } else if (size >= 0 || (errno != EAGAIN && errno != EINTR)) {
    bench_fail("cannot acknowledge", NULL);
  }
}

static void acks_read(struct node *node)
{
  uint64_t seq = 0;
  while (recv(node->above, &seq, sizeof(seq), MSG_DONTWAIT | MSG_PEEK) == sizeof(seq)) {
    if (recv(node->above, &seq, sizeof(seq), MSG_DONTWAIT) == sizeof(seq)) {
      node->acked = seq;
    }
  }
}

static void above_send(struct node *node)
{
  while (node->sent < node->chain.seq && node->sent - node->acked < node->run->window) {
    struct limit_head head;
    memcpy(&head, node->queue.data + node->queue.begin + node->allowed, sizeof(head));
    node->allowed += limit_commit_size(head.count);
    node->sent = head.seq;
  }
  while (node->allowed > 0) {
    ssize_t size = send(node->above, node->queue.data + node->queue.begin, node->allowed,
                        MSG_DONTWAIT | MSG_NOSIGNAL);
    if (size < 0 && (errno == EAGAIN || errno == EINTR)) {
      return;
    }
    if (size < 0) {
      bench_fail_errno("send");
    }
    node->queue.begin += (size_t)size;
    node->allowed -= (size_t)size;
  }
}

static bool commit_due(const struct node *node)
{
  return node->made < node->run->records && node->chain.seq - node->acked < node->run->window &&
         (node->run->interval_ns == 0 || bench_now_ns() >= node->due_ns);
}

/* At the grid: what the window allows and time asks for, in one transaction, but at most a part of
 * the window, so that the tiers above have work while this one waits for its disk. */
static void make_commits(struct node *node)
{
  uint8_t octets[LIMIT_COMMIT_MAX];
  uint64_t commits = 0;
  uint64_t commits_max = (node->run->window + WINDOW_PARTS - 1) / WINDOW_PARTS;
  while (commits < commits_max && commit_due(node)) {
    uint64_t left = node->run->records - node->made;
    uint64_t count = left < node->run->batch ? left : node->run->batch;
    uint64_t made_ns = node->run->interval_ns > 0 ? node->due_ns : bench_now_ns();
    limit_commit_make(&node->chain, &node->run->keys, node->made, count, made_ns, octets);
    commit_append(node, octets);
    commit_queue(node, octets, limit_commit_size(count));
    node->made += count;
    node->due_ns += node->run->interval_ns;
    commits++;
  }
  if (commits > 0) {
    bench_store_commit(&node->store);
  }
}

static void wait_for_work(const struct node *node)
{
  struct pollfd fds[2] = {{.fd = node->below}, {.fd = node->above}};
  struct timespec *timeout = NULL;
  struct timespec left = {0};
  if (!node->below_ended && !queue_full(node)) {
    fds[0].events |= POLLIN;
  }
  fds[0].events |= node->ack_due ? POLLOUT : 0;
  if (fds[0].events == 0) {
    fds[0].fd = -1;
  }
  fds[1].events = POLLIN;
  if (node->allowed > 0) {
    fds[1].events |= POLLOUT;
  }
  if (node->below < 0 && node->made < node->run->records &&
      node->chain.seq - node->acked < node->run->window) {
    uint64_t now = bench_now_ns();
    uint64_t wait_ns = node->run->interval_ns > 0 && node->due_ns > now ? node->due_ns - now : 0;
    left = (struct timespec){.tv_sec = (time_t)(wait_ns / 1000000000),
                             .tv_nsec = (long)(wait_ns % 1000000000)};
    timeout = &left;
  }
  if (ppoll(fds, 2, timeout, NULL) < 0 && errno != EINTR) {
    bench_fail_errno("poll");
  }
}

static bool node_done(const struct node *node)
{
  bool all_in = node->below >= 0 ? node->below_ended && node->in.begin == node->in.end
                                 : node->made == node->run->records;
  return all_in && (node->above < 0 || node->acked == node->chain.seq);
}

/* The grid starts the clock once every tier is there. */
static void wait_for_tiers(struct node *node)
{
  node->shared->ready++;
  while (node->shared->ready < LIMIT_TIERS) {
    usleep(1000);
  }
  if (node->below < 0) {
    node->due_ns = bench_now_ns() + node->run->interval_ns;
    node->shared->start_ns = bench_now_ns();
  }
}

void limit_store_path(const struct limit_run *run, unsigned tier, char *out)
{
  static const char *const names[LIMIT_TIERS] = {"grid", "community", "street", "district"};
  bench_path_join(out, run->folder, names[tier]);
}

void limit_node_run(const struct limit_run *run, struct limit_shared *shared, unsigned tier,
                    int below, int above)
{
  struct node node = {.run = run, .shared = shared, .below = below, .above = above};
  char path[BENCH_PATH_MAX];
  limit_store_path(run, tier, path);
  bench_store_open(&node.store, path, (uint64_t)1 << 30 | run->records * 4096);
  buffer_open(&node.in, IN_MAX);
  buffer_open(&node.queue, QUEUE_MAX + 2 * IN_MAX);
  wait_for_tiers(&node);
  while (!node_done(&node)) {
    wait_for_work(&node);
    if (above >= 0) {
      acks_read(&node);
    }
    if (below >= 0 && !queue_full(&node)) {
      below_read(&node);
      store_waiting(&node);
    } else if (below < 0) {
      make_commits(&node);
    }
    if (node.ack_due) {
      ack_send(&node);
    }
    if (above >= 0) {
      above_send(&node);
    }
  }
  bench_store_close(&node.store);
  free(node.in.data);
  free(node.queue.data);
}
