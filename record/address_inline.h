/*
 * The form of addresses without a copy, for the walk over records.
 */
#ifndef RECORD_ADDRESS_INLINE_H
#define RECORD_ADDRESS_INLINE_H

#include "record/address.h"

/* What a well-formed address text says. */
struct address_form {
  uint8_t segments;
  bool unit;
};

/* Whether `text` is an address (not the root's). */
bool address_form_read(struct bytes_view text, struct address_form *form);
/* Whether `text` is a target; `size` is that of the address in it. */
bool address_target_read(struct bytes_view text, struct address_form *form, size_t *size);

#endif
