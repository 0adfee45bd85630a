#include "bench.h"
#include "machine.h"

#define RECORD_SIZE 250
#define MAP_BYTES ((uint64_t)16 << 30)

struct appending {
  struct bench_store store;
  unsigned batch;
  uint8_t record[RECORD_SIZE];
};

static void transaction_step(void *context)
{
  struct appending *work = context;
  for (unsigned i = 0; i < work->batch; i++) {
    bench_store_append(&work->store, work->record, sizeof(work->record));
  }
  bench_store_commit(&work->store);
}

static double transactions_per_s(const struct machine_options *options, const char *name,
                                 unsigned batch)
{
  struct appending work = {.batch = batch};
  char path[BENCH_PATH_MAX];
  bench_path_join(path, options->folder, name);
  bench_store_open(&work.store, path, MAP_BYTES);
  double rate = machine_rate(options->step_ns, transaction_step, &work);
  bench_store_close(&work.store);
  bench_folder_remove(path);
  return rate;
}

void machine_measure_store(const struct machine_options *options, struct machine_figures *figures)
{
  machine_figure_add(figures, "fsync_per_s", "durable LMDB transactions/s, one record each",
                     transactions_per_s(options, "one", 1));
  machine_figure_add(figures, "append_256_per_s", "LMDB appends/s, 256 a durable transaction",
                     256 * transactions_per_s(options, "batch", 256));
  machine_figure_add(figures, "append_4096_per_s", "LMDB appends/s, 4,096 a durable transaction",
                     4096 * transactions_per_s(options, "large", 4096));
}
