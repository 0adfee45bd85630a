/*
 * The open body of a case's event: one msgpack map, the item named "". Names and limits are in
 * docs/CASEWORK.md; names that aren't known there are passed over, so a later version may add some.
 */
#ifndef CASEWORK_CASE_BODY_H
#define CASEWORK_CASE_BODY_H

#include <stdbool.h>
#include <stdint.h>

#include "casework/case_table.h"
#include "record/codec.h"
#include "record/record.h"

/* Octets of UTF-8. */
#define CASE_TEXT_MAX 8192
#define CASE_CATEGORY_MAX 128
#define CASE_PLACE_MAX 512
#define CASE_CHANNEL_MAX 64
#define CASE_SCORE_MAX 5

/* What a body says. Texts borrow and are empty when absent. */
struct case_body {
  struct bytes_view text; /* words for people, may have line feeds and tabs */
  struct bytes_view category;
  struct bytes_view place;
  struct bytes_view channel;
  uint64_t policy; /* version that the case runs by; 0: none is named */
  uint64_t until;  /* unix ms, of an extension or suspension; 0: none */
  uint8_t score;   /* 1 to CASE_SCORE_MAX; 0: none */
  bool with_other;
  struct subject other; /* the other case, of a merge or link */
  enum case_step step;  /* for extend: which of its three it is; else the step asked for */
};

/* Reads the body of `step`. False when it is malformed: no map, a known name with a value of
 * another type or beyond its limits, a control character, or without what the step needs (rate: a
 * score; merge and link: the other case; extend: a step; amend: something to amend). Then `wrong`,
 * which may be NULL, names the field ("" for the whole). */
MUST_USE bool case_body_read(enum case_step step, struct bytes_view octets, struct case_body *out,
                             const char **wrong);
/* Appends the map; `body->step` says which event it is for. STATUS_INVALID_ARGUMENT when
 * case_body_read would not take it (`out` is then unchanged), STATUS_NO_MEMORY. */
MUST_USE enum status case_body_write(const struct case_body *body, struct bytes *out);

/* Text under `name` in a body, which is one msgpack map as record_read accepted it; false when the
 * body is no map or has no such text. */
bool case_body_text(struct bytes_view body, const char *name, struct bytes_view *out);

#endif
