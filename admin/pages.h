/*
 * Results that come in pages: asks for one after another until there is no more, and keeps the
 * replies, because the rows borrow from them.
 */
#ifndef CTL_PAGES_H
#define CTL_PAGES_H

#include "client.h"
#include "render.h"

struct pages {
  struct reply *replies;
  size_t count;
  struct rows rows;
};

/* What to ask for. `fields` holds the args that stay the same (may be NULL). The cursor `next` of
 * a reply becomes the arg `after`; it is text or a number, and "" or 0 ends. */
struct pages_request {
  const char *command;
  const char *array;          /* the result's field that holds the rows */
  const struct query *fields; /* without `after` and `limit` */
  const char *after;          /* text cursor to begin with; NULL: none */
  uint64_t after_number;      /* number cursor, when `numbered` */
  bool numbered;
  bool limited; /* whether the command knows `limit` */
  size_t limit; /* rows wanted; SIZE_MAX: all */
};

/* CTL_DONE, or what ctl_call says. Close in every case. `*more` (may be NULL) says whether rows
 * were left behind the limit. */
enum ctl_exit pages_read(struct ctl *ctl, const struct pages_request *request, struct pages *pages,
                         bool *more);
void pages_close(struct pages *pages);
/* {"ARRAY": [every row], "next": the last page's next}. */
enum ctl_exit pages_print_json(struct ctl *ctl, const struct pages_request *request,
                               const struct pages *pages);

#endif
