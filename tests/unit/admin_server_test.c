// links: noded_lib
/* The admin server over a core that isn't one: requests good and hostile, answers that come later,
 * more clients than workers, and the end. */
#include "noded/admin_server.h"

#include <pthread.h>
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <nng/nng.h>
#include <nng/protocol/reqrep0/req.h>
#include <cmocka.h>

#include "noded/command.h"
#include "noded/log.h"
#include "record/codec.h"

/* ---- the core that isn't one: a thread that runs tasks ---- */

struct core {
  pthread_t thread;
  pthread_mutex_t lock;
  pthread_cond_t posted;
  struct core_task *first;
  struct core_task *last;
  bool ending;
  bool hold_appends; /* keep them until the next one that founds "release" */
  struct core_append *held[64];
  size_t held_count;
  size_t appended;
  size_t max_drafts;
};

static struct core core;
static struct core_identity identity;
static struct admin_server *server;
static char directory[64];
static char url[128];
static atomic_bool shut_down;

static void *core_main(void *opaque)
{
  (void)opaque;
  pthread_mutex_lock(&core.lock);
  while (!core.ending || core.first != NULL) {
    struct core_task *task = core.first;
    if (task == NULL) {
      pthread_cond_wait(&core.posted, &core.lock);
      continue;
    }
    core.first = task->next;
    core.last = core.first == NULL ? NULL : core.last;
    pthread_mutex_unlock(&core.lock);
    task->run(&core, task);
    pthread_mutex_lock(&core.lock);
  }
  pthread_mutex_unlock(&core.lock);
  return NULL;
}

void core_post(struct core *to, struct core_task *task)
{
  pthread_mutex_lock(&to->lock);
  task->next = NULL;
  if (to->last == NULL) {
    to->first = task;
  } else {
    to->last->next = task;
  }
  to->last = task;
  pthread_cond_signal(&to->posted);
  pthread_mutex_unlock(&to->lock);
}

static void append_answer(struct core_append *append)
{
  for (size_t i = 0; i < append->count; i++) {
    const struct core_draft *draft = &append->drafts[i];
    if (strcmp(draft->kind, "refuse") == 0) {
      append->bad = i;
      snprintf(append->reason, sizeof(append->reason), "not here");
      append->done(&core, append, STATUS_NOT_ALLOWED);
      return;
    }
    append->appended[i] = (struct core_appended){
        .subject = draft->subject, .log = 1, .seq = 7, .index = (uint8_t)i, .hlc = 99, .gen = 1};
  }
  core.appended += append->count;
  append->done(&core, append, STATUS_OK);
}

void core_append(struct core *to, struct core_append *append)
{
  if (append->count > to->max_drafts) {
    to->max_drafts = append->count;
  }
  if (to->hold_appends && strcmp(append->drafts[0].kind, "release") != 0) {
    to->held[to->held_count++] = append;
    return;
  }
  append_answer(append);
  while (to->held_count > 0) {
    append_answer(to->held[--to->held_count]);
  }
}

void core_certify(struct core *to, struct core_certify *certify)
{
  enum status status = bytes_append(&certify->chain, "chain", 5);
  certify->done(to, certify, certify->days == 1 ? STATUS_INVALID_ARGUMENT : status);
}

void core_import(struct core *to, struct core_import *import)
{
  import->taken = import->octets.size;
  import->done(to, import, STATUS_OK);
}

void core_retry(struct core *to, struct core_retry *retry)
{
  retry->retried = 3;
  retry->done(to, retry, STATUS_OK);
}

void core_drop(struct core *to, struct core_retry *drop)
{
  drop->done(to, drop, drop->number == 5 ? STATUS_OK : STATUS_NOT_FOUND);
}

void core_tree(struct core *to, struct core_tree *tree)
{
  tree->done(to, tree, bytes_append(&tree->rows, "\x90", 1));
}

void core_trim(struct core *to, struct core_trim *trim)
{
  trim->done(to, trim, STATUS_OK);
}

void core_get_trim(const struct core *of, struct core_trim_figures *out)
{
  (void)of;
  memset(out, 0, sizeof(*out));
  out->reason = "";
}

enum status core_backup_begin(struct core *to, struct core_backup *backup)
{
  (void)to;
  (void)backup;
  return STATUS_BUSY;
}

void core_backup_confirm(struct core *to, struct core_backup *backup)
{
  backup->done(to, backup, STATUS_BUSY);
}

void core_backup_drop(struct core_backup *backup)
{
  (void)backup;
}

void core_snapshot(struct core *to, struct core_snapshot *snapshot)
{
  snapshot->done(to, snapshot, STATUS_NOT_FOUND);
}

struct wall_ms core_get_snapshot_at(const struct core *of, uint16_t neighbour)
{
  (void)of;
  (void)neighbour;
  return (struct wall_ms){0};
}

bool core_is_hidden(const struct core *of)
{
  (void)of;
  return false;
}

void core_unhide(struct core *to, struct core_unhide *unhide)
{
  unhide->done(to, unhide, STATUS_OK);
}

const char *core_directory(const struct core *of)
{
  (void)of;
  return "";
}

struct store *core_store(struct core *of)
{
  (void)of;
  return NULL;
}

const struct core_identity *core_get_identity(const struct core *of)
{
  (void)of;
  return &identity;
}

void core_get_figures(const struct core *of, struct core_figures *figures)
{
  (void)of;
  memset(figures, 0, sizeof(*figures));
}

bool core_get_link(const struct core *of, uint16_t neighbour, struct core_link_figures *out)
{
  (void)of;
  (void)neighbour;
  (void)out;
  return false;
}

/* ---- fixture and client ---- */

static void on_shut_down(void *opaque)
{
  (void)opaque;
  atomic_store(&shut_down, true);
}

static int set_up(void **state)
{
  (void)state;
  char reason[ADMIN_REASON_MAX];
  snprintf(directory, sizeof(directory), "/tmp/admin_test.XXXXXX");
  if (sodium_init() < 0 || mkdtemp(directory) == NULL) {
    return -1;
  }
  snprintf(url, sizeof(url), "ipc://%s/admin.sock", directory);
  memset(&core, 0, sizeof(core));
  pthread_mutex_init(&core.lock, NULL);
  pthread_cond_init(&core.posted, NULL);
  pthread_create(&core.thread, NULL, core_main, NULL);
  atomic_store(&shut_down, false);
  const struct admin_settings settings = {.url = url, .core = &core, .shut_down = on_shut_down};
  return admin_server_new(&settings, &server, reason) == STATUS_OK ? 0 : -1;
}

static int tear_down(void **state)
{
  (void)state;
  admin_server_stop(server);
  while (!admin_server_idle(server)) {
    usleep(1000);
  }
  pthread_mutex_lock(&core.lock);
  core.ending = true;
  pthread_cond_signal(&core.posted);
  pthread_mutex_unlock(&core.lock);
  pthread_join(core.thread, NULL);
  admin_server_free(server);
  char path[160];
  snprintf(path, sizeof(path), "%s/admin.sock", directory);
  unlink(path);
  return rmdir(directory);
}

struct client {
  nng_socket socket;
};

static void client_open(struct client *client, int timeout_ms)
{
  assert_int_equal(nng_req0_open(&client->socket), 0);
  assert_int_equal(nng_socket_set_ms(client->socket, NNG_OPT_RECVTIMEO, timeout_ms), 0);
  assert_int_equal(nng_socket_set_ms(client->socket, NNG_OPT_SENDTIMEO, timeout_ms), 0);
  assert_int_equal(nng_socket_set_ms(client->socket, NNG_OPT_REQ_RESENDTIME, -1), 0);
  assert_int_equal(nng_socket_set_size(client->socket, NNG_OPT_RECVMAXSZ, 8 << 20), 0);
  assert_int_equal(nng_dial(client->socket, url, NULL, 0), 0);
}

struct answer {
  char *data;
  size_t size;
  char status[32];
  char reason[1024];
  struct bytes_view result;
};

static void answer_parse(struct answer *answer)
{
  struct reader reader = reader_of(bytes_view_of(answer->data, answer->size));
  uint32_t count = 0;
  uint64_t version = 0;
  struct bytes_view key;
  struct bytes_view text;
  assert_true(reader_map(&reader, &count) && count == 4);
  assert_true(reader_str(&reader, &key) && reader_uint(&reader, &version) && version == 1);
  assert_true(reader_str(&reader, &key) && reader_str(&reader, &text));
  snprintf(answer->status, sizeof(answer->status), "%.*s", (int)text.size, (const char *)text.data);
  assert_true(reader_str(&reader, &key) && reader_str(&reader, &text));
  snprintf(answer->reason, sizeof(answer->reason), "%.*s", (int)text.size, (const char *)text.data);
  assert_true(reader_str(&reader, &key) && reader_skip(&reader, true, &answer->result));
  assert_true(reader_at_end(&reader));
}

static int client_try(struct client *client, struct bytes_view request, struct answer *answer)
{
  union {
    const void *in;
    void *out;
  } data = {.in = request.data};
  int result = nng_send(client->socket, data.out, request.size, 0);
  memset(answer, 0, sizeof(*answer));
  if (result == 0) {
    result = nng_recv(client->socket, &answer->data, &answer->size, NNG_FLAG_ALLOC);
  }
  if (result == 0) {
    answer_parse(answer);
  }
  return result;
}

static void answer_close(struct answer *answer)
{
  if (answer->data != NULL) {
    nng_free(answer->data, answer->size);
  }
}

static void request_begin(struct writer *writer, struct bytes *out, const char *command)
{
  writer_init(writer, out);
  writer_map(writer, 3);
  writer_text(writer, "v");
  writer_uint(writer, 1);
  writer_text(writer, "command");
  writer_text(writer, command);
  writer_text(writer, "args");
}

static void draft_write(struct writer *writer, const char *kind)
{
  writer_map(writer, 3);
  writer_text(writer, "kind");
  writer_text(writer, kind);
  writer_text(writer, "lane");
  writer_text(writer, "bulk");
  writer_text(writer, "items");
  writer_array(writer, 1);
  writer_map(writer, 2);
  writer_text(writer, "name");
  writer_text(writer, "");
  writer_text(writer, "value");
  writer_map(writer, 1);
  writer_text(writer, "category");
  writer_text(writer, "hydrant");
}

/* An append of `count` drafts, the one at `odd` of kind `odd_kind`. */
static void append_write(struct bytes *out, uint32_t count, uint32_t odd, const char *odd_kind,
                         bool wait)
{
  struct writer writer;
  request_begin(&writer, out, "append");
  writer_map(&writer, 2);
  writer_text(&writer, "wait");
  writer_bool(&writer, wait);
  writer_text(&writer, "records");
  writer_array(&writer, count);
  for (uint32_t i = 0; i < count; i++) {
    draft_write(&writer, i == odd ? odd_kind : "case.report");
  }
  assert_int_equal(writer_finish(&writer), STATUS_OK);
}

/* One call on a connection of its own; the status must be `status` and the reason hold `words`. */
static void expect(struct bytes_view request, const char *status, const char *words)
{
  struct client client;
  struct answer answer;
  client_open(&client, 10000);
  assert_int_equal(client_try(&client, request, &answer), 0);
  if (strcmp(answer.status, status) != 0 || strstr(answer.reason, words) == NULL) {
    fail_msg("%s: %s (wanted %s: %s)", answer.status, answer.reason, status, words);
  }
  answer_close(&answer);
  nng_close(client.socket);
}

static void expect_text(const char *octets, size_t size, const char *status, const char *words)
{
  expect(bytes_view_of(octets, size), status, words);
}

static void expect_call(const char *command, const char *args, size_t size, const char *status,
                        const char *words)
{
  struct bytes request = {0};
  struct writer writer;
  request_begin(&writer, &request, command);
  writer_raw(&writer, bytes_view_of(args, size));
  assert_int_equal(writer_finish(&writer), STATUS_OK);
  expect(bytes_as_view(&request), status, words);
  bytes_close(&request);
}

#define TEXT(literal) literal, sizeof(literal) - 1

/* ---- tests ---- */

static void test_socket_is_ours_alone(void **state)
{
  (void)state;
  char path[160];
  struct stat about;
  snprintf(path, sizeof(path), "%s/admin.sock", directory);
  assert_int_equal(stat(path, &about), 0);
  assert_int_equal(about.st_mode & 0777, 0600);
  struct admin_server *second = NULL;
  char reason[ADMIN_REASON_MAX];
  const struct admin_settings settings = {.url = url, .core = &core, .shut_down = on_shut_down};
  assert_int_equal(admin_server_new(&settings, &second, reason), STATUS_BUSY);
  assert_non_null(strstr(reason, "already"));
}

static void test_append(void **state)
{
  (void)state;
  struct bytes request = {0};
  struct client client;
  struct answer answer;
  append_write(&request, 2, 9, "", true);
  client_open(&client, 10000);
  assert_int_equal(client_try(&client, bytes_as_view(&request), &answer), 0);
  assert_string_equal(answer.status, "ok");
  struct reader reader = reader_of(answer.result);
  uint32_t count = 0;
  struct bytes_view key;
  assert_true(reader_map(&reader, &count) && count == 1 && reader_str(&reader, &key) &&
              reader_array(&reader, &count) && count == 2);
  assert_int_equal(core.appended, 2);
  answer_close(&answer);
  bytes_clear(&request);
  append_write(&request, 5, 3, "refuse", true);
  assert_int_equal(client_try(&client, bytes_as_view(&request), &answer), 0);
  assert_string_equal(answer.status, "not_allowed");
  assert_string_equal(answer.reason, "records[3]: not here");
  answer_close(&answer);
  bytes_clear(&request);
  append_write(&request, 1, 9, "", false);
  assert_int_equal(client_try(&client, bytes_as_view(&request), &answer), 0);
  assert_string_equal(answer.status, "ok");
  answer_close(&answer);
  bytes_close(&request);
  nng_close(client.socket);
}

static void test_append_at_the_maximum(void **state)
{
  (void)state;
  struct bytes request = {0};
  append_write(&request, 4096, 5000, "", true);
  expect(bytes_as_view(&request), "ok", "");
  assert_int_equal(core.max_drafts, 4096);
  bytes_clear(&request);
  append_write(&request, 4097, 5000, "", true);
  expect(bytes_as_view(&request), "invalid_argument", "holds 4097, at most 4096");
  bytes_clear(&request);
  append_write(&request, 0, 5000, "", true);
  expect(bytes_as_view(&request), "invalid_argument", "at least one");
  bytes_close(&request);
}

static void test_hostile_envelopes(void **state)
{
  (void)state;
  expect_text(TEXT("\xc1"), "invalid_argument", "must be a map");
  expect_text(TEXT("\x91\x01"), "invalid_argument", "must be a map");
  expect_text(TEXT("\xdf\xff\xff\xff\xff"), "invalid_argument", "cut off");
  expect_text(TEXT("\x81\xa1v\x01"), "invalid_argument", "'command' is missing");
  expect_text(TEXT("\x81\xa7"
                   "command\xa6status"),
              "invalid_argument", "'v' is missing");
  expect_text(TEXT("\x82\xa1v\x02\xa7"
                   "command\xa6status"),
              "wrong_version", "version 1");
  expect_text(TEXT("\x82\xa1v\x01\xa7"
                   "command\xa6stauts"),
              "invalid_argument", "no command 'stauts'");
  expect_text(TEXT("\x82\xa1v\x01\xa1v\x01"), "invalid_argument", "'v' stands twice");
  expect_text(TEXT("\x82\xa1v\x01\xa7"
                   "command\xa6status\x00"),
              "malformed", "octets follow");
  expect_text(TEXT("\x81\xa1v\xcc\x01"), "invalid_argument", "v: must be a whole number");
  expect_text(TEXT("\x82\xa1v\x01\xa7"
                   "command\xa2\xff\xfe"),
              "invalid_argument", "command: must be a text");
  expect_text(TEXT("\x81\xd9\x21"
                   "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\xc3"),
              "invalid_argument", "");
  /* args before the command */
  expect_text(TEXT("\x83\xa4"
                   "args\x80\xa7"
                   "command\xa4tree\xa1v\x01"),
              "ok", "");
  expect_text(TEXT("\x83\xa4"
                   "args\x81\xa1x\x01\xa7"
                   "command\xa4tree\xa1v\x01"),
              "invalid_argument", "'x' is not known here");
}

static void test_hostile_args(void **state)
{
  (void)state;
  expect_call("tree", TEXT("\x81\xa7verbose\xc3"), "invalid_argument", "'verbose' is not known");
  expect_call("tree", TEXT("\x81\xaatimeout_ms\x00"), "invalid_argument", "from 1 to 60000");
  expect_call("tree", TEXT("\x81\xaatimeout_ms\xff"), "invalid_argument", "from 1 to 60000");
  expect_call("tree", TEXT("\xc0"), "invalid_argument", "args: must be a map");
  expect_call("case", TEXT("\x80"), "invalid_argument", "'subject' is missing");
  expect_call("case", TEXT("\x81\xa7subject\xa7no ulid"), "invalid_argument", "a subject");
  expect_call("cases", TEXT("\x81\xa5limit\xcd\x03\xe9"), "invalid_argument", "from 1 to 1000");
  expect_call("cases", TEXT("\x81\xa5state\xa4open"), "invalid_argument", "a case's state");
  expect_call("certify", TEXT("\x81\xa7request\xc4\x02\x90\x90"), "malformed", "no request file");
  expect_call("log.import", TEXT("\x81\xa6octets\xa1x"), "invalid_argument", "octets (bin)");
  expect_call("append", TEXT("\x81\xa7records\xdd\xff\xff\xff\xff"), "invalid_argument", "array");
  expect_call("append",
              TEXT("\x81\xa7records\x91\x81\xa4kind\xa3"
                   "a\x00"
                   "b"),
              "invalid_argument", "records: [0]: kind: must not hold a zero octet");
  expect_call("append", TEXT("\x81\xa7records\x91\x82\xa4kind\xa1k\xa5items\x90"),
              "invalid_argument", "[0]: items: a record holds at least one");
  expect_call("append", TEXT("\x81\xa7records\x91\x81\xa5itmes\x90"), "invalid_argument",
              "'itmes' is not known here");
  expect_call(
      "append",
      TEXT("\x81\xa7records\x91\x82\xa4kind\xa1k\xa5items\x91\x82\xa4name\xa0\xa5value\xc1"),
      "invalid_argument", "items: [0]: value: is not well-formed");
}

/* Every cut of a good request is refused in words, and none does harm. */
static void test_every_cut(void **state)
{
  (void)state;
  struct bytes request = {0};
  struct client client;
  struct answer answer;
  append_write(&request, 2, 9, "", true);
  client_open(&client, 10000);
  for (size_t size = 0; size < request.size; size++) {
    assert_int_equal(client_try(&client, bytes_view_of(request.data, size), &answer), 0);
    assert_string_not_equal(answer.status, "ok");
    assert_true(answer.reason[0] != 0);
    answer_close(&answer);
  }
  assert_int_equal(core.appended, 0);
  bytes_close(&request);
  nng_close(client.socket);
}

static void test_sizes(void **state)
{
  (void)state;
  struct bytes request = {0};
  struct writer writer;
  struct client client;
  struct answer answer;
  char *big = calloc(1, 5 << 20);
  assert_non_null(big);
  request_begin(&writer, &request, "log.import");
  writer_map(&writer, 1);
  writer_text(&writer, "octets");
  writer_bin(&writer, big, 3 << 20);
  assert_int_equal(writer_finish(&writer), STATUS_OK);
  expect(bytes_as_view(&request), "ok", "");
  bytes_clear(&request);
  request_begin(&writer, &request, "log.import");
  writer_map(&writer, 1);
  writer_text(&writer, "octets");
  writer_bin(&writer, big, (3 << 20) + 1);
  assert_int_equal(writer_finish(&writer), STATUS_OK);
  expect(bytes_as_view(&request), "invalid_argument", "1 to 3145728 octets");
  client_open(&client, 500);
  assert_int_not_equal(client_try(&client, bytes_view_of(big, 5 << 20), &answer), 0);
  answer_close(&answer);
  nng_close(client.socket);
  free(big);
  bytes_close(&request);
  expect_call("tree", TEXT("\x80"), "ok", "");
}

static void test_certify(void **state)
{
  (void)state;
  static const char context[] = "noded-request-v1";
  static const char address[] = "d/s/c";
  uint8_t key[32];
  uint8_t secret[64];
  uint8_t signature[64];
  uint8_t text[sizeof(context) + 32 + sizeof(address) - 1];
  crypto_sign_keypair(key, secret);
  memcpy(text, context, sizeof(context));
  memcpy(text + sizeof(context), key, 32);
  memcpy(text + sizeof(context) + 32, address, sizeof(address) - 1);
  crypto_sign_detached(signature, NULL, text, sizeof(text), secret);
  for (int round = 0; round < 3; round++) {
    struct bytes file = {0};
    struct bytes request = {0};
    struct writer writer;
    signature[0] ^= round == 2;
    writer_init(&writer, &file);
    writer_array(&writer, 5);
    writer_text(&writer, "noded-request");
    writer_uint(&writer, 1);
    writer_bin(&writer, key, 32);
    writer_text(&writer, address);
    writer_bin(&writer, signature, 64);
    request_begin(&writer, &request, "certify");
    writer_map(&writer, 2);
    writer_text(&writer, "request");
    writer_bin(&writer, file.data, file.size);
    writer_text(&writer, "days");
    writer_uint(&writer, round == 1 ? 1 : 30);
    assert_int_equal(writer_finish(&writer), STATUS_OK);
    expect(bytes_as_view(&request),
           round == 0   ? "ok"
           : round == 1 ? "invalid_argument"
                        : "bad_signature",
           "");
    bytes_close(&file);
    bytes_close(&request);
  }
}

static void test_quarantine_steering(void **state)
{
  (void)state;
  expect_call("quarantine.retry", TEXT("\x81\xa6number\x00"), "ok", "");
  expect_call("quarantine.drop", TEXT("\x81\xa6number\x05"), "ok", "");
  expect_call("quarantine.drop", TEXT("\x81\xa6number\x06"), "not_found", "entry 6");
}

struct held_client {
  pthread_t thread;
  struct bytes_view request;
  char status[32];
};

static void *held_main(void *opaque)
{
  struct held_client *held = opaque;
  struct client client;
  struct answer answer;
  client_open(&client, 20000);
  if (client_try(&client, held->request, &answer) == 0) {
    snprintf(held->status, sizeof(held->status), "%s", answer.status);
  }
  answer_close(&answer);
  nng_close(client.socket);
  return NULL;
}

/* As many requests as workers less one wait in the core; one more is served all the same, and
 * frees them. */
static void test_answers_that_come_later(void **state)
{
  (void)state;
  struct bytes waiting = {0};
  struct bytes releasing = {0};
  struct held_client clients[ADMIN_WORKERS - 1];
  append_write(&waiting, 3, 9, "", true);
  append_write(&releasing, 1, 0, "release", true);
  core.hold_appends = true;
  for (size_t i = 0; i < ADMIN_WORKERS - 1; i++) {
    clients[i] = (struct held_client){.request = bytes_as_view(&waiting)};
    assert_int_equal(pthread_create(&clients[i].thread, NULL, held_main, &clients[i]), 0);
  }
  while (true) {
    pthread_mutex_lock(&core.lock);
    size_t count = core.held_count;
    pthread_mutex_unlock(&core.lock);
    if (count == ADMIN_WORKERS - 1) {
      break;
    }
    usleep(1000);
  }
  expect(bytes_as_view(&releasing), "ok", "");
  for (size_t i = 0; i < ADMIN_WORKERS - 1; i++) {
    pthread_join(clients[i].thread, NULL);
    assert_string_equal(clients[i].status, "ok");
  }
  core.hold_appends = false;
  bytes_close(&waiting);
  bytes_close(&releasing);
}

static void test_shutdown(void **state)
{
  (void)state;
  expect_call("shutdown", TEXT("\x81\xa1x\x01"), "invalid_argument", "'x'");
  assert_false(atomic_load(&shut_down));
  expect_call("shutdown", TEXT("\x80"), "ok", "");
  for (int i = 0; i < 1000 && !atomic_load(&shut_down); i++) {
    usleep(1000);
  }
  assert_true(atomic_load(&shut_down));
  admin_server_stop(server);
  while (!admin_server_idle(server)) {
    usleep(1000);
  }
}

int main(void)
{
  log_configure(LOG_FORMAT_LOGFMT, LOG_ERROR);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_socket_is_ours_alone, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_append, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_append_at_the_maximum, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_hostile_envelopes, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_hostile_args, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_every_cut, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_sizes, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_certify, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_quarantine_steering, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_answers_that_come_later, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_shutdown, set_up, tear_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
