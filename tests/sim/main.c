/* Runs seeds one after another and says of each what came of it. */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sim.h"

struct options {
  uint64_t from;
  uint64_t count;
  struct sim_settings settings;
  bool replay;
  bool until_failure;
  bool quiet;
  const char *fault;
  uint64_t totals[FAULT_COUNT];
  uint64_t events;
  uint64_t failed;
};

static void usage(FILE *out)
{
  fprintf(out, "usage: sim [--from SEED] [--seeds N] [--seed SEED] [--trace] [--nodes N]\n"
               "           [--fault NAME] [--check-replay] [--until-failure] [--quiet]\n"
               "Runs trees of real nodes on a simulated network, clock and disk, one a seed.\n"
               "  --fault NAME      only this kind of fault, in every run; `none`: none at all\n"
               "  --check-replay    each seed twice: both must give the same trace\n"
               "  --until-failure   end at the first seed that fails\n"
               "faults:");
  for (unsigned i = 0; i < FAULT_COUNT; i++) {
    fprintf(out, " %s", fault_names[i]);
  }
  fputc('\n', out);
}

static bool fault_find(const char *name, struct sim_settings *settings)
{
  settings->only = true;
  settings->fault_mask = 0;
  if (strcmp(name, "none") == 0) {
    return true;
  }
  for (unsigned i = 0; i < FAULT_COUNT; i++) {
    if (strcmp(fault_names[i], name) == 0) {
      settings->fault_mask = 1u << i;
      return true;
    }
  }
  return false;
}

static bool number_of(const char *text, uint64_t *out)
{
  char *end;
  errno = 0;
  *out = strtoull(text, &end, 10);
  return errno == 0 && end != text && *end == '\0';
}

static bool option_with_value(struct options *options, const char *name, const char *value)
{
  uint64_t number = 0;
  if (strcmp(name, "--fault") == 0) {
    options->fault = value;
    return fault_find(value, &options->settings);
  }
  if (!number_of(value, &number)) {
    return false;
  }
  if (strcmp(name, "--from") == 0) {
    options->from = number;
  } else if (strcmp(name, "--seeds") == 0) {
    options->count = number;
  } else if (strcmp(name, "--seed") == 0) {
    options->from = number;
    options->count = 1;
  } else if (strcmp(name, "--nodes") == 0 && number <= SIM_NODES_MAX) {
    options->settings.nodes = (unsigned)number;
  } else {
    return false;
  }
  return true;
}

static bool options_read(struct options *options, int count, char **words)
{
  for (int i = 1; i < count; i++) {
    if (strcmp(words[i], "--trace") == 0) {
      options->settings.trace = true;
    } else if (strcmp(words[i], "--check-replay") == 0) {
      options->replay = true;
    } else if (strcmp(words[i], "--until-failure") == 0) {
      options->until_failure = true;
    } else if (strcmp(words[i], "--quiet") == 0) {
      options->quiet = true;
    } else if (i + 1 < count && option_with_value(options, words[i], words[i + 1])) {
      i++;
    } else {
      return false;
    }
  }
  return true;
}

static uint64_t faults_of(const struct world *world)
{
  uint64_t sum = 0;
  for (unsigned i = 0; i < FAULT_COUNT; i++) {
    sum += world->fault_counts[i];
  }
  return sum;
}

static void print_run(const struct options *options, const struct world *world, bool good)
{
  if (good && options->quiet) {
    return;
  }
  printf("seed %" PRIu64 " nodes %u events %" PRIu64 " faults %" PRIu64 " records %" PRIu64
         " acked %" PRIu64 " virtual %" PRId64 "s hash %016" PRIx64 " %s\n",
         world->settings.seed, world->node_count, world->events, faults_of(world), world->writes,
         world->acked, (int64_t)(world->now_us / SIM_SECOND), world->trace.hash,
         good ? "ok" : "FAILED");
  if (!good) {
    world_print_trace(world, stdout);
    printf("seed %" PRIu64 " failed: %s\nreplay: scripts/sim --seed %" PRIu64 " --trace",
           world->settings.seed, world->failure, world->settings.seed);
    if (options->settings.nodes != 0) {
      printf(" --nodes %u", options->settings.nodes);
    }
    printf("%s%s\n", options->fault == NULL ? "" : " --fault ",
           options->fault == NULL ? "" : options->fault);
  }
  fflush(stdout);
}

static bool run_once(struct options *options, uint64_t seed, uint64_t *hash)
{
  struct world *world = malloc(sizeof(*world));
  CHECK(world != NULL);
  options->settings.seed = seed;
  bool good = world_run(world, &options->settings);
  *hash = world->trace.hash;
  for (unsigned i = 0; i < FAULT_COUNT; i++) {
    options->totals[i] += world->fault_counts[i];
  }
  options->events += world->events;
  print_run(options, world, good);
  world_close(world);
  free(world);
  return good;
}

static bool run_seed(struct options *options, uint64_t seed)
{
  uint64_t first = 0;
  uint64_t second = 0;
  bool good = run_once(options, seed, &first);
  if (options->replay) {
    good = run_once(options, seed, &second) && good;
    if (first != second) {
      printf("seed %" PRIu64 " gave two traces: %016" PRIx64 " and %016" PRIx64 "\n", seed, first,
             second);
      good = false;
    }
  }
  return good;
}

static void run_all(struct options *options)
{
  for (uint64_t i = 0; i < options->count; i++) {
    if (!run_seed(options, options->from + i)) {
      options->failed++;
      if (options->until_failure) {
        options->count = i + 1;
      }
    }
  }
  printf("total seeds %" PRIu64 " failed %" PRIu64 " events %" PRIu64, options->count,
         options->failed, options->events);
  for (unsigned i = 0; i < FAULT_COUNT; i++) {
    printf(" %s %" PRIu64, fault_names[i], options->totals[i]);
  }
  putchar('\n');
}

static void raise_files(void)
{
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
  }
}

int main(int count, char **words)
{
  struct options options = {.from = 1, .count = 1};
  char directory[64];
  options.settings.fault_mask = ((1u << FAULT_COUNT) - 1) & ~(1u << FAULT_RESTORE);
  if (count > 1 && (strcmp(words[1], "--help") == 0 || strcmp(words[1], "-h") == 0)) {
    usage(stdout);
    return 0;
  }
  if (!options_read(&options, count, words)) {
    usage(stderr);
    return 2;
  }
  raise_files();
  snprintf(directory, sizeof(directory), "%s/noded-sim-XXXXXX",
           access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
  random_install(0);
  if (mkdtemp(directory) == NULL || sodium_init() < 0) {
    fprintf(stderr, "sim: no room for stores in %s: %s\n", directory, strerror(errno));
    return 2;
  }
  options.settings.directory = directory;
  run_all(&options);
  rmdir(directory);
  return options.failed == 0 ? 0 : 1;
}
