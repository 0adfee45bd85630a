#include "progress.h"

#include <string.h>
#include <unistd.h>

#include "text.h"

#define PROGRESS_WIDTH 30
#define PROGRESS_BAR_MS 100
#define PROGRESS_LINE_MS 1000

bool progress_init(struct progress *progress, FILE *out, const char *mode, uint64_t total,
                   int64_t mono_ms)
{
  int fd = fileno(out);
  bool terminal = fd >= 0 && isatty(fd);
  bool always = strcmp(mode, "always") == 0, never = strcmp(mode, "never") == 0;
  if (!always && !never && strcmp(mode, "auto") != 0)
    return false;
  *progress = (struct progress){
      .out = out,
      .bar = terminal && !never,
      .lines = !terminal && always,
      .total = total,
      .started_ms = mono_ms,
      .shown_ms = mono_ms,
  };
  return true;
}

void progress_show(struct progress *progress, uint64_t done, uint64_t rows, int64_t mono_ms)
{
  char bar[PROGRESS_WIDTH + 1], count[TEXT_SHORT_MAX], rate[TEXT_SHORT_MAX];
  int64_t passed_ms = mono_ms - progress->started_ms;
  if ((!progress->bar && !progress->lines) ||
      mono_ms - progress->shown_ms < (progress->bar ? PROGRESS_BAR_MS : PROGRESS_LINE_MS))
    return;
  progress->shown_ms = mono_ms;
  unsigned percent =
      progress->total > 0 ? (unsigned)(100.0 * (double)done / (double)progress->total) : 100;
  text_count(rows, count);
  text_count(passed_ms > 0 ? rows * 1000 / (uint64_t)passed_ms : 0, rate);
  if (progress->lines) {
    fprintf(progress->out, "%u %%, %s rows, %s rows/s\n", percent, count, rate);
    fflush(progress->out);
    return;
  }
  size_t full = (size_t)percent * PROGRESS_WIDTH / 100;
  memset(bar, '.', PROGRESS_WIDTH);
  memset(bar, '#', full < PROGRESS_WIDTH ? full : PROGRESS_WIDTH);
  bar[PROGRESS_WIDTH] = '\0';
  fprintf(progress->out, "\r\033[K[%s] %3u %%  %s rows  %s rows/s", bar, percent, count, rate);
  fflush(progress->out);
}

void progress_clear(struct progress *progress)
{
  if (progress->bar)
    fputs("\r\033[K", progress->out);
}
