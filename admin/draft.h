/*
 * Drafts of records as `append` takes them (docs/ADMIN.md, "Draft map"): the open body is the item
 * named "", the others are named and say who may see them.
 */
#ifndef CTL_DRAFT_H
#define CTL_DRAFT_H

#include "client.h"
#include "record/record.h"

/* Collects a draft field by field. The draft must not move while in use. */
struct draft {
  struct query fields;
  struct query body;  /* the open body's map */
  struct query items; /* encoded items; `count` of them, the body not among them */
};
void draft_init(struct draft *draft, const char *kind);
void draft_close(struct draft *draft);
/* Empty again, for the next record. */
void draft_reset(struct draft *draft, const char *kind);
/* Starts a named item; its value comes next through the writer. */
struct writer *draft_item(struct draft *draft, const char *name, unsigned see);
/* Adds a named item whose value is text. */
void draft_add_item(struct draft *draft, const char *name, struct bytes_view text, unsigned see);
/* Appends the whole draft map. */
MUST_USE enum status draft_finish(struct draft *draft, struct bytes *out);

/* "NAME=VALUE[:see]" where see is class names joined by '+', or "all"; what follows the last ':'
 * and is no such list belongs to the value. False when there is no '=' or no name. */
struct draft_item {
  char name[RECORD_ITEM_NAME_MAX + 1];
  struct bytes_view value; /* borrowed */
  unsigned see;
};
bool draft_parse_item(const char *text, struct draft_item *out);
/* Bits of "grid+community"; 0 when it is no such list. */
unsigned draft_parse_see(struct bytes_view text);

#endif
