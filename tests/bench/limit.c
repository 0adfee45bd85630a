#include "limit.h"

#include <arpa/inet.h>
#include <getopt.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define LATENCY_RATE 100
#define RECORDS_DEFAULT 200000
#define WINDOW_DEFAULT 64

static const char usage[] =
    "usage: limit [--records N] [--latency SECONDS] [--window COMMITS] [--whole] [--dir FOLDER]\n"
    "             [--json]\n"
    "The bare cascade of four tiers on loopback, for comparison.\n"
    "  --records N        this many records, 256 a commit (default 200000)\n"
    "  --latency SECONDS  instead, 100 records/s, one a commit, and how long each took\n"
    "  --window COMMITS   sent and not acknowledged (default 64)\n"
    "  --whole            one LMDB value a commit instead of one a record\n"
    "  --dir FOLDER       where the stores go while it runs (default: the build folder)\n";

struct options {
  uint64_t records;
  uint64_t latency_s;
  uint64_t window;
  bool whole;
  bool json;
  const char *base;
};

struct figures {
  double seconds;
  double records_per_s;
  double cpu_s_per_100k;
  double disk_per_record;
  double p50_ms;
  double p99_ms;
  double max_ms;
};

static struct options options_read(int argc, char **argv)
{
  enum { RECORDS = 1, LATENCY, WINDOW, WHOLE, DIR, JSON, HELP };
  static const struct option known[] = {{"records", required_argument, NULL, RECORDS},
                                        {"latency", required_argument, NULL, LATENCY},
                                        {"window", required_argument, NULL, WINDOW},
                                        {"whole", no_argument, NULL, WHOLE},
                                        {"dir", required_argument, NULL, DIR},
                                        {"json", no_argument, NULL, JSON},
                                        {"help", no_argument, NULL, HELP},
                                        {NULL, 0, NULL, 0}};
  struct options out = {.records = RECORDS_DEFAULT, .window = WINDOW_DEFAULT};
  int found;
  while ((found = getopt_long(argc, argv, "", known, NULL)) != -1) {
    switch (found) {
    case RECORDS:
      out.records = bench_number("--records", optarg, 1, 1000000000);
      break;
    case LATENCY:
      out.latency_s = bench_number("--latency", optarg, 1, 3600);
      break;
    case WINDOW:
      out.window = bench_number("--window", optarg, 1, 128);
      break;
    case WHOLE:
      out.whole = true;
      break;
    case DIR:
      out.base = optarg;
      break;
    case JSON:
      out.json = true;
      break;
    case HELP:
      fputs(usage, stdout);
      exit(0);
    default:
      fputs(usage, stderr);
      exit(2);
    }
  }
  if (optind != argc) {
    bench_fail("unexpected argument", argv[optind]);
  }
  return out;
}

static int listener_open(struct sockaddr_in *address)
{
  socklen_t size = sizeof(*address);
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  *address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  if (fd < 0 || bind(fd, (struct sockaddr *)address, sizeof(*address)) != 0 || listen(fd, 1) != 0 ||
      getsockname(fd, (struct sockaddr *)address, &size) != 0) {
    bench_fail_errno("listen");
  }
  return fd;
}

static int no_delay(int fd, const char *what)
{
  int on = 1;
  if (fd < 0 || setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0) {
    bench_fail_errno(what);
  }
  return fd;
}

/* In the process of one tier: dials the tier above, is dialled by the one below. */
static void tier_run(const struct limit_run *run, struct limit_shared *shared, unsigned tier,
                     const int listeners[LIMIT_TIERS],
                     const struct sockaddr_in addresses[LIMIT_TIERS])
{
  int below = -1;
  int above = -1;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (tier + 1 < LIMIT_TIERS) {
    above = no_delay(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
    const struct sockaddr_in *address = &addresses[tier + 1];
    if (connect(above, (const struct sockaddr *)address, sizeof(*address)) != 0) {
      bench_fail_errno("connect");
    }
  }
  if (tier > 0) {
    below = no_delay(accept4(listeners[tier], NULL, NULL, SOCK_CLOEXEC), "accept");
  }
  limit_node_run(run, shared, tier, below, above);
}

/* Runs the four processes to their end; their processor time in seconds, or -1 when one failed. */
static double cascade_run(const struct limit_run *run, struct limit_shared *shared)
{
  int listeners[LIMIT_TIERS];
  struct sockaddr_in addresses[LIMIT_TIERS];
  pid_t pids[LIMIT_TIERS];
  double cpu_s = 0;
  bool failed = false;
  for (unsigned i = 1; i < LIMIT_TIERS; i++) {
    listeners[i] = listener_open(&addresses[i]);
  }
  for (unsigned i = 0; i < LIMIT_TIERS; i++) {
    pids[i] = fork();
    if (pids[i] < 0) {
      bench_fail_errno("fork");
    }
    if (pids[i] == 0) {
      tier_run(run, shared, i, listeners, addresses);
      _exit(0);
    }
  }
  for (unsigned i = 0; i < LIMIT_TIERS; i++) {
    int how = 0;
    struct rusage usage_of;
    pid_t ended = wait4(-1, &how, 0, &usage_of);
    if (ended < 0) {
      bench_fail_errno("wait");
    }
    failed = failed || !WIFEXITED(how) || WEXITSTATUS(how) != 0;
    for (unsigned j = 0; j < LIMIT_TIERS; j++) {
      pids[j] = pids[j] == ended ? 0 : pids[j];
      if (failed && pids[j] > 0) {
        kill(pids[j], SIGKILL);
      }
    }
    cpu_s += (double)(usage_of.ru_utime.tv_sec + usage_of.ru_stime.tv_sec) +
             (double)(usage_of.ru_utime.tv_usec + usage_of.ru_stime.tv_usec) / 1e6;
  }
  for (unsigned i = 1; i < LIMIT_TIERS; i++) {
    close(listeners[i]);
  }
  return failed ? -1 : cpu_s;
}

static int number_compare(const void *a, const void *b)
{
  uint64_t left = *(const uint64_t *)a;
  uint64_t right = *(const uint64_t *)b;
  return left < right ? -1 : left > right;
}

static struct figures figures_of(const struct limit_run *run, struct limit_shared *shared,
                                 double cpu_s)
{
  struct figures out = {.seconds = (double)(shared->end_ns - shared->start_ns) / 1e9};
  uint64_t disk = 0;
  for (unsigned i = 0; i < LIMIT_TIERS; i++) {
    char path[BENCH_PATH_MAX];
    limit_store_path(run, i, path);
    disk += bench_store_size(path);
  }
  out.records_per_s = (double)run->records / out.seconds;
  out.cpu_s_per_100k = cpu_s * 100000 / (double)run->records;
  out.disk_per_record = (double)disk / LIMIT_TIERS / (double)run->records;
  size_t count = shared->latency_count;
  if (count > 0) {
    size_t middle = count / 2;
    size_t high = count * 99 / 100;
    qsort(shared->latency_ns, count, sizeof(uint64_t), number_compare);
    out.p50_ms = (double)shared->latency_ns[middle] / 1e6;
    out.p99_ms = (double)shared->latency_ns[high] / 1e6;
    out.max_ms = (double)shared->latency_ns[count - 1] / 1e6;
  }
  return out;
}

static void figures_print(const struct options *options, const struct figures *figures)
{
  bool latency = options->latency_s > 0;
  const struct {
    const char *name;
    const char *text;
    double value;
    bool shown;
  } rows[] = {
      {"seconds", "seconds", figures->seconds, true},
      {"records_per_s", "records/s at the top, durable", figures->records_per_s, true},
      {"cpu_s_per_100k", "processor seconds per 100,000, four nodes", figures->cpu_s_per_100k,
       !latency},
      {"disk_per_record", "octets on disk, a record and node", figures->disk_per_record, !latency},
      {"p50_ms", "p50 grid to district, ms", figures->p50_ms, latency},
      {"p99_ms", "p99 grid to district, ms", figures->p99_ms, latency},
      {"max_ms", "longest grid to district, ms", figures->max_ms, latency},
  };
  const char *separator = "{";
  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
    if (rows[i].shown && options->json) {
      printf("%s\"%s\": %.3f", separator, rows[i].name, rows[i].value);
      separator = ", ";
    } else if (rows[i].shown) {
      printf("%-44s %14.2f\n", rows[i].text, rows[i].value);
    }
  }
  printf("%s", options->json ? "}\n" : "");
}

int main(int argc, char **argv)
{
  struct options options = options_read(argc, argv);
  struct limit_run run = {.records = options.records,
                          .batch = LIMIT_BATCH_MAX,
                          .window = options.window,
                          .whole = options.whole};
  char folder[BENCH_PATH_MAX];
  if (options.latency_s > 0) {
    run.records = options.latency_s * LATENCY_RATE;
    run.batch = 1;
    run.interval_ns = 1000000000 / LATENCY_RATE;
  }
  if (sodium_init() < 0) {
    bench_fail("libsodium does not start", NULL);
  }
  crypto_sign_keypair(run.keys.public_key, run.keys.secret_key);
  size_t size = sizeof(struct limit_shared) + run.records * sizeof(uint64_t);
  struct limit_shared *shared =
      mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) {
    bench_fail_errno("mmap");
  }
  bench_folder_make(options.base, folder);
  run.folder = folder;
  double cpu_s = cascade_run(&run, shared);
  bool whole = cpu_s >= 0 && shared->records == run.records;
  if (whole) {
    struct figures figures = figures_of(&run, shared, cpu_s);
    figures_print(&options, &figures);
  }
  bench_folder_remove(folder);
  if (!whole) {
    bench_fail("a tier failed, or records are missing at the top", NULL);
  }
  return 0;
}
