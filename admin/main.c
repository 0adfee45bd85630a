/* nodectl: inspects and steers a node (docs/NODECTL.md). */
#include <locale.h>
#include <sodium.h>
#include <stdio.h>

#include "ctl.h"

int main(int argc, char **argv)
{
  /* Widths are those of UTF-8 whatever the user's locale says; all else stays in "C", so that
   * numbers and times are read and written the same everywhere. */
  setlocale(LC_CTYPE, "C.UTF-8");
  if (sodium_init() < 0) {
    fprintf(stderr, "nodectl: libsodium can't be initialised\n");
    return CTL_REFUSED;
  }
  struct ctl ctl = {.view = {.out = stdout, .now_ms = ctl_clock_wall_ms()}, .err = stderr};
  enum ctl_exit code = ctl_main(&ctl, argc, argv);
  if (fflush(stdout) != 0 && code == CTL_DONE) {
    fprintf(stderr, "nodectl: the output could not be written\n");
    code = CTL_REFUSED;
  }
  return code;
}
