/* nodectl against a daemon that answers from a script: transport, exit codes, paging, import. */
// links: ctl_lib noded_nng Threads::Threads
#include "ctl_test.h"

#include <locale.h>
#include <nng/nng.h>
#include <nng/protocol/reqrep0/rep.h>
#include <pthread.h>
#include <sodium.h>
#include <time.h>

#include "client.h"
#include "log.h"
#include "record/bundle.h"
#include "value.h"

/* Answers a request: writes the whole envelope. False: hangs up without an answer. */
struct server;
typedef bool answer_function(struct server *server, const msgpack_object *request,
                             struct writer *out);

struct server {
  answer_function *answer;
  nng_socket socket;
  pthread_t thread;
  char directory[64];
  char url[128];
  size_t calls;
  char commands[4096]; /* every command asked for, each with a space behind */
  uint64_t records;
  struct bytes taken; /* octets given to log.import, without heads */
};

static void *serve(void *argument)
{
  struct server *server = argument;
  nng_msg *message;
  while (nng_recvmsg(server->socket, &message, 0) == 0) {
    struct bytes octets = {0};
    struct writer writer;
    msgpack_unpacked unpacked;
    msgpack_unpacked_init(&unpacked);
    assert_int_equal(
        msgpack_unpack_next(&unpacked, nng_msg_body(message), nng_msg_len(message), NULL),
        MSGPACK_UNPACK_SUCCESS);
    struct bytes_view command = value_get_text(&unpacked.data, "command");
    snprintf(server->commands + strlen(server->commands),
             sizeof server->commands - strlen(server->commands), "%.*s ", VIEW_ARGUMENTS(command));
    server->calls++;
    writer_init(&writer, &octets);
    bool answered = server->answer(server, &unpacked.data, &writer);
    msgpack_unpacked_destroy(&unpacked);
    nng_msg_clear(message);
    if (!answered) {
      nng_pipe_close(nng_msg_get_pipe(message));
      nng_msg_free(message);
    } else {
      assert_int_equal(nng_msg_append(message, octets.data, octets.size), 0);
      if (nng_sendmsg(server->socket, message, 0) != 0)
        nng_msg_free(message);
    }
    bytes_close(&octets);
  }
  return NULL;
}

static void server_start(struct server *server, answer_function *answer)
{
  memset(server, 0, sizeof *server);
  server->answer = answer;
  make_directory(server->directory);
  snprintf(server->url, sizeof server->url, "ipc://%s/admin.sock", server->directory);
  assert_int_equal(nng_rep0_open(&server->socket), 0);
  assert_int_equal(nng_socket_set_size(server->socket, NNG_OPT_RECVMAXSZ, 8 << 20), 0);
  assert_int_equal(nng_listen(server->socket, server->url, NULL, 0), 0);
  assert_int_equal(pthread_create(&server->thread, NULL, serve, server), 0);
}

static void server_stop(struct server *server)
{
  nng_close(server->socket);
  pthread_join(server->thread, NULL);
  bytes_close(&server->taken);
  remove_directory(server->directory);
}

/* Head of an envelope; the result's value comes next. */
static void begin(struct writer *out, const char *status, const char *reason)
{
  writer_map(out, 4);
  writer_text(out, "v");
  writer_uint(out, 1);
  writer_text(out, "status");
  writer_text(out, status);
  writer_text(out, "reason");
  writer_text(out, reason);
  writer_text(out, "result");
}

static const msgpack_object *args_of(const msgpack_object *request)
{
  return value_get(request, "args");
}

static void expect(struct run run, enum ctl_exit code, const char *out, const char *err)
{
  if (run.code != code || strstr(run.out, out) == NULL || strstr(run.err, err) == NULL)
    fail_msg("exit %d, expected %d with '%s' and '%s'\nout: %s\nerr: %s", run.code, code, out, err,
             run.out, run.err);
  run_close(&run);
}

static bool answer_refusal(struct server *server, const msgpack_object *request, struct writer *out)
{
  (void)server;
  (void)request;
  begin(out, "not_found", "no such case");
  writer_map(out, 0);
  return true;
}

static void a_refusal_exits_1(void **state)
{
  struct server server;
  (void)state;
  server_start(&server, answer_refusal);
  expect(run_ctl("--dir", server.directory, "case", "X", NULL), CTL_REFUSED, "", "no such case");
  expect(run_ctl("--socket", server.url, "--json", "case", "X", NULL), CTL_REFUSED,
         "{\"status\":\"not_found\",\"reason\":\"no such case\"}", "no such case");
  server_stop(&server);
}

static bool hang_up(struct server *server, const msgpack_object *request, struct writer *out)
{
  (void)server;
  (void)request;
  (void)out;
  return false;
}

/* A request that may have been carried out is never sent a second time. */
static void a_lost_connection_exits_3_at_once(void **state)
{
  struct server server;
  struct timespec before, after;
  (void)state;
  server_start(&server, hang_up);
  clock_gettime(CLOCK_MONOTONIC, &before);
  expect(run_ctl("--dir", server.directory, "report", "--category", "x", NULL), CTL_NO_DAEMON, "",
         "connection was lost");
  clock_gettime(CLOCK_MONOTONIC, &after);
  assert_true(after.tv_sec - before.tv_sec < 10);
  assert_int_equal(server.calls, 1);
  server_stop(&server);
}

static void no_daemon_exits_3(void **state)
{
  char directory[64];
  (void)state;
  make_directory(directory);
  expect(run_ctl("--dir", directory, "status", NULL), CTL_NO_DAEMON, "", "Is noded running");
  expect(run_ctl("--dir", directory, "status", "--json", NULL), CTL_NO_DAEMON,
         "{\"status\":\"no_daemon\"", "no daemon answers");
  remove_directory(directory);
}

static bool answer_rubbish(struct server *server, const msgpack_object *request, struct writer *out)
{
  (void)request;
  if (server->calls % 2 == 0)
    writer_text(out, "hello");
  else
    writer_raw(out, bytes_view_text("\xc1"));
  return true;
}

static void rubbish_is_no_answer(void **state)
{
  struct server server;
  (void)state;
  server_start(&server, answer_rubbish);
  expect(run_ctl("--dir", server.directory, "status", NULL), CTL_NO_DAEMON, "", "known form");
  expect(run_ctl("--dir", server.directory, "status", NULL), CTL_NO_DAEMON, "", "known form");
  server_stop(&server);
}

/* 2,400 cases in pages; the subjects are numbers. */
#define PAGED_CASES 2400
static bool answer_cases(struct server *server, const msgpack_object *request, struct writer *out)
{
  char after[32], next[32];
  uint64_t limit = value_get_uint(args_of(request), "limit");
  (void)server;
  value_copy_text(value_get(args_of(request), "after"), after, sizeof after);
  uint64_t first = after[0] != '\0' ? strtoull(after, NULL, 10) : 0;
  uint64_t end = first + limit < PAGED_CASES ? first + limit : PAGED_CASES;
  begin(out, "ok", "");
  writer_map(out, 2);
  writer_text(out, "cases");
  writer_array(out, (uint32_t)(end - first));
  for (uint64_t i = first; i < end; i++) {
    snprintf(next, sizeof next, "%llu", (unsigned long long)(i + 1));
    writer_map(out, 1);
    writer_text(out, "subject");
    writer_text(out, next);
  }
  writer_text(out, "next");
  writer_text(out, end < PAGED_CASES ? next : "");
  return true;
}

/* A filter that passes over all that the first pages looked at. */
static bool answer_filtered(struct server *server, const msgpack_object *request,
                            struct writer *out)
{
  static const char *const nexts[] = {"3", "2", ""};
  (void)request;
  bool last = server->calls >= 3;
  begin(out, "ok", "");
  writer_map(out, 2);
  writer_text(out, "cases");
  writer_array(out, last ? 1 : 0);
  if (last) {
    writer_map(out, 1);
    writer_text(out, "subject");
    writer_text(out, "1");
  }
  writer_text(out, "next");
  writer_text(out, nexts[last ? 2 : server->calls - 1]);
  return true;
}

static size_t count_of(const char *text, const char *what)
{
  size_t count = 0;
  for (; (text = strstr(text, what)) != NULL; text++)
    count++;
  return count;
}

static void pages_are_put_together(void **state)
{
  struct server server;
  (void)state;
  server_start(&server, answer_cases);
  struct run run = run_ctl("--dir", server.directory, "cases", "--limit", "0", "--json", NULL);
  assert_int_equal(run.code, CTL_DONE);
  assert_int_equal(count_of(run.out, "\"subject\""), PAGED_CASES);
  assert_int_equal(server.calls, 3);
  assert_non_null(strstr(run.out, "\"next\":\"\""));
  run_close(&run);
  run = run_ctl("--dir", server.directory, "cases", NULL);
  assert_int_equal(count_of(run.out, "\n"), 102);
  assert_non_null(strstr(run.out, "There may be more"));
  run_close(&run);
  run = run_ctl("--dir", server.directory, "cases", "--limit", "2400", NULL);
  assert_int_equal(count_of(run.out, "\n"), 2401);
  run_close(&run);
  server_stop(&server);
}

static void an_empty_page_is_not_the_end(void **state)
{
  struct server server;
  (void)state;
  server_start(&server, answer_filtered);
  struct run run = run_ctl("--dir", server.directory, "cases", "--state", "closed", "--json", NULL);
  assert_string_equal(run.out, "{\"cases\":[{\"subject\":\"1\"}],\"next\":\"\"}\n");
  assert_int_equal(server.calls, 3);
  run_close(&run);
  server_stop(&server);
}

/* Takes records whose open body's `id` isn't "bad"; one bad one refuses the whole request. */
static bool answer_append(struct server *server, const msgpack_object *request, struct writer *out)
{
  const msgpack_object *records = value_get(args_of(request), "records");
  for (size_t i = 0; i < value_count(records); i++) {
    const msgpack_object *items = value_get(value_at(records, i), "items");
    const msgpack_object *body = value_get(value_at(items, 0), "value");
    if (value_is_text(value_get(body, "id"), "hang up"))
      return false;
    if (value_is_text(value_get(body, "id"), "busy") && server->calls < 4) {
      begin(out, "busy", "later");
      writer_map(out, 0);
      return true;
    }
    if (value_is_text(value_get(body, "id"), "bad")) {
      begin(out, "invalid_argument", "record 0: bad");
      writer_map(out, 0);
      return true;
    }
  }
  server->records += value_count(records);
  begin(out, "ok", "");
  writer_map(out, 1);
  writer_text(out, "records");
  writer_array(out, (uint32_t)value_count(records));
  for (size_t i = 0; i < value_count(records); i++) {
    writer_map(out, 1);
    writer_text(out, "subject");
    writer_text(out, "01CGYA3BHG0000000000000000");
  }
  return true;
}

static struct run run_import(struct server *server, const char *csv, const char *option,
                             const char *value)
{
  char table[128], map[128];
  snprintf(table, sizeof table, "%s/t.csv", server->directory);
  snprintf(map, sizeof map, "%s/map", server->directory);
  write_text_file(table, csv);
  write_text_file(map, "version: 1\nkind: case.report\nbody:\n  - {field: id, column: id}\n");
  return run_ctl("--dir", server->directory, "import", table, "--map", map, "--progress", "never",
                 option, value, NULL);
}

static void import_goes_on_past_refused_rows(void **state)
{
  struct server server;
  (void)state;
  server_start(&server, answer_append);
  expect(run_import(&server, "id,x\n1,\n2,\nbad,\n4,\n5\n6,\n", "--batch", "4"), CTL_PARTLY,
         "4 imported, 0 passed over by the filter, 2 refused", "t.csv:4: record 0: bad\n");
  assert_int_equal(server.records, 4);
  expect(run_import(&server, "id,x\n1,\n2,\n3,\n", "--from-line", "3"), CTL_DONE, "2 imported", "");
  server.calls = 0;
  expect(run_import(&server, "id,x\nbusy,\n", NULL, NULL), CTL_DONE, "1 imported", "");
  assert_int_equal(server.calls, 4);
  expect(run_import(&server, "id,x\n1,\n2,\n", "--json", NULL), CTL_DONE,
         "{\"imported\":2,\"skipped\":0,\"refused\":0}", "");
  server_stop(&server);
}

static void import_says_where_to_resume(void **state)
{
  struct server server;
  (void)state;
  server_start(&server, answer_append);
  expect(run_import(&server, "id,x\n1,\n2,\n3,\nhang up,\n5,\n", "--batch", "2"), CTL_NO_DAEMON,
         "2 imported", "Resume with --from-line 4.\nThe rows of lines 4 to 5 were sent");
  server_stop(&server);
}

static void report_prints_the_subject(void **state)
{
  struct server server;
  (void)state;
  server_start(&server, answer_append);
  struct run run = run_ctl("--dir", server.directory, "report", "--category", "Noise", "--item",
                           "a=b:grid", "--up", "2", "--urgent", NULL);
  assert_int_equal(run.code, CTL_DONE);
  assert_string_equal(run.out, "01CGYA3BHG0000000000000000\n");
  run_close(&run);
  expect(run_ctl("--dir", server.directory, "dispatch", "01CGYA3BHG0000000000000000",
                 "310104/@police", "310104/012/*", "--text", "go", NULL),
         CTL_DONE, "dispatched 01CGYA3BHG0000000000000000\n", "");
  expect(run_ctl("--dir", server.directory, "dispatch", "01CGYA3BHG0000000000000000", "a//b", NULL),
         CTL_USAGE, "", "is no address");
  expect(run_ctl("--dir", server.directory, "report", "--category", "x", "--field", "a=1",
                 "--field", "a=2", NULL),
         CTL_USAGE, "", "has 'a' already");
  expect(run_ctl("--dir", server.directory, "report", "--category", "x", "--field", "category=y",
                 NULL),
         CTL_USAGE, "", "has 'category' already");
  expect(run_ctl("--dir", server.directory, "report", "--category", "\xff", NULL), CTL_USAGE, "",
         "not UTF-8");
  server_stop(&server);
}

/* Exports three pieces, the first with a head; takes imports and keeps their entries. */
static bool answer_logs(struct server *server, const msgpack_object *request, struct writer *out)
{
  const msgpack_object *args = args_of(request);
  struct bytes octets = {0};
  begin(out, "ok", "");
  if (value_is_text(value_get(request, "command"), "log.import")) {
    struct bytes_view rest = value_bin(value_get(args, "octets"));
    assert_true(rest.size < 3u << 20);
    assert_int_equal(bundle_read_head(&rest), STATUS_OK);
    assert_int_equal(bytes_append(&server->taken, rest.data, rest.size), STATUS_OK);
    writer_map(out, 2);
    writer_text(out, "taken");
    writer_uint(out, 1);
    writer_text(out, "refused");
    writer_uint(out, 0);
    return true;
  }
  uint64_t at = value_get_uint(value_get(args, "from"), "seq");
  if (at == 0)
    assert_int_equal(bundle_write_head(&octets), STATUS_OK);
  assert_int_equal(bundle_write(BUNDLE_COMMIT, bytes_view_text("\x93\x01\x02\x03"), &octets),
                   STATUS_OK);
  writer_map(out, 2);
  writer_text(out, "octets");
  writer_bin(out, octets.data, octets.size);
  writer_text(out, "next");
  if (at < 2) {
    writer_map(out, 2);
    writer_text(out, "log");
    writer_uint(out, 1);
    writer_text(out, "seq");
    writer_uint(out, at + 1);
  } else {
    writer_raw(out, bytes_view_text("\xc0"));
  }
  bytes_close(&octets);
  return true;
}

static void export_has_one_head(void **state)
{
  struct server server;
  char path[128];
  (void)state;
  server_start(&server, answer_logs);
  snprintf(path, sizeof path, "%s/bundle", server.directory);
  expect(run_ctl("--dir", server.directory, "log", "export", "-o", path, NULL), CTL_DONE,
         "3 commits, 0 certificates", "");
  char *text = read_text_file(path);
  assert_int_equal(count_of(text, "noded-bundle"), 1);
  assert_int_equal(count_of(text, "commit"), 3);
  free(text);
  expect(run_ctl("--dir", server.directory, "log", "import", path, NULL), CTL_DONE,
         "commits: 1 taken", "");
  expect(run_ctl("--dir", server.directory, "log", "import", "/nonexistent", NULL), CTL_REFUSED, "",
         "not found");
  write_text_file(path, "no bundle");
  expect(run_ctl("--dir", server.directory, "log", "import", path, NULL), CTL_REFUSED, "",
         "is no bundle");
  server_stop(&server);
}

/* Many entries, cut into requests; then the same file cut off in the middle of one. */
static void import_is_cut_at_entries(void **state)
{
  struct server server;
  struct bytes bundle = {0}, entry = {0};
  struct writer writer;
  char path[128];
  (void)state;
  server_start(&server, answer_logs);
  uint8_t *octets = calloc(1, 50000);
  writer_init(&writer, &entry);
  writer_array(&writer, 1);
  writer_bin(&writer, octets, 50000);
  assert_int_equal(bundle_write_head(&bundle), STATUS_OK);
  size_t head = bundle.size;
  for (int i = 0; i < 100; i++)
    assert_int_equal(bundle_write(BUNDLE_COMMIT, bytes_as_view(&entry), &bundle), STATUS_OK);
  snprintf(path, sizeof path, "%s/bundle", server.directory);
  FILE *file = fopen(path, "wb");
  assert_int_equal(fwrite(bundle.data, bundle.size, 1, file), 1);
  fclose(file);
  expect(run_ctl("--dir", server.directory, "log", "import", path, NULL), CTL_DONE, "3 taken", "");
  assert_int_equal(server.calls, 3);
  assert_int_equal(server.taken.size, bundle.size - head);
  assert_memory_equal(server.taken.data, bundle.data + head, bundle.size - head);
  file = fopen(path, "wb");
  assert_int_equal(fwrite(bundle.data, bundle.size - 7, 1, file), 1);
  fclose(file);
  expect(run_ctl("--dir", server.directory, "log", "import", path, NULL), CTL_PARTLY, "taken",
         "cut off or damaged");
  bytes_close(&bundle);
  bytes_close(&entry);
  free(octets);
  server_stop(&server);
}

static void usage_exits_2(void **state)
{
  (void)state;
  expect(run_ctl("statsu", NULL), CTL_USAGE, "", "did you mean 'status'");
  expect(run_ctl("log", "exprot", NULL), CTL_USAGE, "", "did you mean 'log export'");
  expect(run_ctl("quarantine", NULL), CTL_USAGE, "", "nodectl quarantine retry N | --all\n");
  expect(run_ctl("xyzzy", NULL), CTL_USAGE, "", "nodectl --help lists them");
  expect(run_ctl(NULL, NULL), CTL_USAGE, "", "usage: nodectl");
  expect(run_ctl("status", "--jsn", NULL), CTL_USAGE, "", "'--jsn'");
  expect(run_ctl("status", "now", NULL), CTL_USAGE, "", "too many");
  expect(run_ctl("case", NULL), CTL_USAGE, "", "too few");
  expect(run_ctl("--color", "blue", "status", NULL), CTL_USAGE, "", "--color takes");
  expect(run_ctl("cases", "--limit", NULL), CTL_USAGE, "", "needs a value");
  expect(run_ctl("cases", "--limit", "-1", NULL), CTL_USAGE, "", "whole number");
  expect(run_ctl("log", "show", "1", "x", NULL), CTL_USAGE, "", "SEQ takes");
  expect(run_ctl("quarantine", "retry", NULL), CTL_USAGE, "", "either N or --all");
}

static void every_command_has_help_with_an_example(void **state)
{
  const struct ctl_command *command;
  (void)state;
  for (size_t i = 0; (command = ctl_command_at(i)) != NULL; i++) {
    char first[32] = "", second[32] = "", example[64];
    sscanf(command->name, "%31s %31s", first, second);
    struct run run =
        second[0] != '\0' ? run_ctl(first, second, "--help", NULL) : run_ctl(first, "--help", NULL);
    snprintf(example, sizeof example, "%s", command->name);
    assert_int_equal(run.code, CTL_DONE);
    const char *at = strstr(run.out, "\nexample:\n  nodectl ");
    assert_non_null(at);
    assert_non_null(strstr(at, example));
    run_close(&run);
  }
  struct run run = run_ctl("--help", NULL);
  assert_golden("help", run.out);
  run_close(&run);
}

int main(void)
{
  setlocale(LC_CTYPE, "C.UTF-8");
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_refusal_exits_1),
      cmocka_unit_test(a_lost_connection_exits_3_at_once),
      cmocka_unit_test(no_daemon_exits_3),
      cmocka_unit_test(rubbish_is_no_answer),
      cmocka_unit_test(pages_are_put_together),
      cmocka_unit_test(an_empty_page_is_not_the_end),
      cmocka_unit_test(import_goes_on_past_refused_rows),
      cmocka_unit_test(import_says_where_to_resume),
      cmocka_unit_test(report_prints_the_subject),
      cmocka_unit_test(export_has_one_head),
      cmocka_unit_test(import_is_cut_at_entries),
      cmocka_unit_test(usage_exits_2),
      cmocka_unit_test(every_command_has_help_with_an_example),
  };
  return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
