/*
 * Reading the maps of a request strictly: each field at most once, of the right type, none that
 * isn't known. Private to the commands.
 */
#ifndef NODED_COMMAND_FIELDS_H
#define NODED_COMMAND_FIELDS_H

#include "noded/command.h"

enum field_type {
  FIELD_UINT,    /* uint64_t, at least `min`, at most `max` */
  FIELD_BOOL,    /* bool */
  FIELD_TEXT,    /* struct bytes_view, borrowed */
  FIELD_NAME,    /* const char *, a copy with terminator of `min` to `max` octets */
  FIELD_OCTETS,  /* struct bytes_view of a bin of `min` to `max` octets, borrowed */
  FIELD_SUBJECT, /* struct subject, from its text */
  FIELD_VALUE,   /* struct bytes_view, one msgpack value as it stands */
  FIELD_NESTED,  /* `nested` reads it */
};

struct field {
  const char *name;
  enum field_type type;
  void *out;
  uint64_t min;
  uint64_t max;
  bool *given; /* may be NULL */
  bool required;
  bool (*nested)(struct command_call *call, struct reader *reader, void *out);
};

#define FIELDS_MAX 16

/* Takes one map; false by command_refuse, with the field's name in the reason. */
bool fields_read(struct command_call *call, struct reader *reader, const struct field *fields,
                 size_t count);
/* Takes a text and copies it; octets of zero are refused. */
bool field_read_name(struct command_call *call, struct reader *reader, uint64_t min, uint64_t max,
                     const char **out);

#endif
