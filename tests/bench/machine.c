#include "machine.h"

#include <getopt.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench.h"

static const char usage[] =
    "usage: machine [--ms MILLISECONDS] [--dir FOLDER] [--csv FILE] [--json]\n"
    "This machine's own limits, each on one core.\n"
    "  --ms MILLISECONDS  how long each figure is measured (default 500)\n"
    "  --dir FOLDER       where the stores go while it runs (default: the build folder)\n"
    "  --csv FILE         realistic records for zstd (default: tests/data/nyc311-2018.csv)\n";

void machine_figure_add(struct machine_figures *figures, const char *name, const char *text,
                        double value)
{
  if (figures->count == MACHINE_FIGURES_MAX) {
    bench_fail("more figures than room", name);
  }
  figures->all[figures->count++] = (struct machine_figure){name, text, value};
}

double machine_rate(uint64_t step_ns, void (*step)(void *context), void *context)
{
  uint64_t begin = bench_now_ns();
  uint64_t end = begin;
  uint64_t done = 0;
  uint64_t stride = 1; /* steps between two looks at the clock: about a thousandth of the time */
  while (end - begin < step_ns) {
    for (uint64_t i = 0; i < stride; i++) {
      step(context);
    }
    done += stride;
    end = bench_now_ns();
    if (end - begin < step_ns / 1000) {
      stride *= 2;
    }
  }
  return (double)done * 1e9 / (double)(end - begin);
}

static void figures_print(const struct machine_figures *figures, bool json)
{
  for (size_t i = 0; i < figures->count; i++) {
    const struct machine_figure *figure = &figures->all[i];
    if (json) {
      printf("%s\"%s\": %.3f", i == 0 ? "{" : ", ", figure->name, figure->value);
    } else {
      printf("%-44s %14.0f\n", figure->text, figure->value);
    }
  }
  printf("%s", json ? "}\n" : "");
}

int main(int argc, char **argv)
{
  enum { MS = 1, DIR, CSV, JSON, HELP };
  static const struct option known[] = {
      {"ms", required_argument, NULL, MS},   {"dir", required_argument, NULL, DIR},
      {"csv", required_argument, NULL, CSV}, {"json", no_argument, NULL, JSON},
      {"help", no_argument, NULL, HELP},     {NULL, 0, NULL, 0}};
  struct machine_options options = {.step_ns = 500000000, .csv = BENCH_CSV};
  struct machine_figures figures = {0};
  char folder[BENCH_PATH_MAX];
  const char *base = NULL;
  bool json = false;
  int found;
  while ((found = getopt_long(argc, argv, "", known, NULL)) != -1) {
    switch (found) {
    case MS:
      options.step_ns = bench_number("--ms", optarg, 1, 60000) * 1000000;
      break;
    case DIR:
      base = optarg;
      break;
    case CSV:
      options.csv = optarg;
      break;
    case JSON:
      json = true;
      break;
    case HELP:
      fputs(usage, stdout);
      return 0;
    default:
      fputs(usage, stderr);
      return 2;
    }
  }
  if (optind != argc) {
    bench_fail("unexpected argument", argv[optind]);
  }
  if (sodium_init() < 0) {
    bench_fail("libsodium does not start", NULL);
  }
  bench_folder_make(base, folder);
  options.folder = folder;
  machine_measure_store(&options, &figures);
  machine_measure_crypto(&options, &figures);
  machine_measure_zstd(&options, &figures);
  bench_folder_remove(folder);
  figures_print(&figures, json);
  return 0;
}
