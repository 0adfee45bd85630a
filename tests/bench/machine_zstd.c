#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "bench.h"
#include "machine.h"

#define RECORD_SIZE 250
#define BLOCK_SIZE (256 * RECORD_SIZE) /* about a full commit */
#define BLOCKS_MAX 64

/* Blocks of the CSV's rows, and each of them compressed; one step takes the next. */
struct pressing {
  ZSTD_CCtx *press;
  ZSTD_DCtx *restore;
  int level;
  size_t count;
  size_t next;
  uint8_t plain[BLOCKS_MAX][BLOCK_SIZE];
  uint8_t pressed[BLOCKS_MAX][ZSTD_COMPRESSBOUND(BLOCK_SIZE)];
  size_t sizes[BLOCKS_MAX];
};

static void zstd_check(size_t result)
{
  if (ZSTD_isError(result)) {
    bench_fail("zstd", ZSTD_getErrorName(result));
  }
}

static void press_step(void *context)
{
  struct pressing *work = context;
  size_t i = work->next++ % work->count;
  work->sizes[i] = ZSTD_compressCCtx(work->press, work->pressed[i], sizeof(work->pressed[i]),
                                     work->plain[i], BLOCK_SIZE, work->level);
  zstd_check(work->sizes[i]);
}

static void restore_step(void *context)
{
  static uint8_t out[BLOCK_SIZE];
  struct pressing *work = context;
  size_t i = work->next++ % work->count;
  zstd_check(
      ZSTD_decompressDCtx(work->restore, out, sizeof(out), work->pressed[i], work->sizes[i]));
}

/* Fills blocks with the rows after the title row; a last, partial block is left out. */
static void blocks_read(struct pressing *work, FILE *file)
{
  int octet;
  do {
    octet = getc(file);
  } while (octet != '\n' && octet != EOF);
  while (work->count < BLOCKS_MAX && fread(work->plain[work->count], BLOCK_SIZE, 1, file) == 1) {
    work->count++;
  }
}

static void level_measure(const struct machine_options *options, struct pressing *work, int level,
                          const char *const names[3], const char *const texts[3],
                          struct machine_figures *figures)
{
  work->level = level;
  work->next = 0;
  double pressed = machine_rate(options->step_ns, press_step, work);
  while (work->next < work->count) { /* a short run may not have come round */
    press_step(work);
  }
  double restored = machine_rate(options->step_ns, restore_step, work);
  size_t size = 0;
  for (size_t i = 0; i < work->count; i++) {
    size += work->sizes[i];
  }
  machine_figure_add(figures, names[0], texts[0], pressed * BLOCK_SIZE / 1e6);
  machine_figure_add(figures, names[1], texts[1], restored * BLOCK_SIZE / 1e6);
  machine_figure_add(figures, names[2], texts[2],
                     (double)size * RECORD_SIZE / ((double)work->count * BLOCK_SIZE));
}

void machine_measure_zstd(const struct machine_options *options, struct machine_figures *figures)
{
  static const char *const fast_names[] = {"zstd1_compress_mb_s", "zstd1_decompress_mb_s",
                                           "zstd1_octets_per_250"};
  static const char *const fast_texts[] = {"zstd level 1, compress, MB/s",
                                           "zstd level 1, decompress, MB/s",
                                           "zstd level 1, 250 octets become"};
  static const char *const dense_names[] = {"zstd3_compress_mb_s", "zstd3_decompress_mb_s",
                                            "zstd3_octets_per_250"};
  static const char *const dense_texts[] = {"zstd level 3, compress, MB/s",
                                            "zstd level 3, decompress, MB/s",
                                            "zstd level 3, 250 octets become"};
  struct pressing *work = calloc(1, sizeof(*work));
  FILE *file = fopen(options->csv, "rb");
  if (work == NULL) {
    bench_fail("out of memory", NULL);
  }
  if (file != NULL) {
    blocks_read(work, file);
    fclose(file);
  }
  if (work->count == 0) {
    fprintf(stderr, "machine: no rows in %s; zstd is not measured\n", options->csv);
    free(work);
    return;
  }
  work->press = ZSTD_createCCtx();
  work->restore = ZSTD_createDCtx();
  level_measure(options, work, 1, fast_names, fast_texts, figures);
  level_measure(options, work, 3, dense_names, dense_texts, figures);
  ZSTD_freeCCtx(work->press);
  ZSTD_freeDCtx(work->restore);
  free(work);
}
