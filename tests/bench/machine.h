/*
 * What this machine can do at most: fsync, signatures, hashes, ciphers, LMDB appends, compression,
 * each alone and on one core. The daemons' figures are given as ratios to these.
 */
#ifndef BENCH_MACHINE_H
#define BENCH_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MACHINE_FIGURES_MAX 24

/* One measured figure; `name` is static. */
struct machine_figure {
  const char *name; /* key in the JSON; _per_s: events a second, _mb_s: 10^6 octets a second */
  const char *text;
  double value;
};

struct machine_figures {
  struct machine_figure all[MACHINE_FIGURES_MAX];
  size_t count;
};

struct machine_options {
  uint64_t step_ns;   /* how long each figure is measured */
  const char *folder; /* for stores; exists */
  const char *csv;    /* for realistic records; may be missing */
};

void machine_figure_add(struct machine_figures *figures, const char *name, const char *text,
                        double value);

/* Calls `step` until the time is over; how often a second it went. */
double machine_rate(uint64_t step_ns, void (*step)(void *context), void *context);

/* Each measures one kind and adds its figures. */
void machine_measure_store(const struct machine_options *options, struct machine_figures *figures);
void machine_measure_crypto(const struct machine_options *options, struct machine_figures *figures);
/* Adds nothing, and says so on stderr, where the CSV is missing. */
void machine_measure_zstd(const struct machine_options *options, struct machine_figures *figures);

#endif
