/*
 * What the files of the replication core share: the node's tables and one step's working state.
 */
#ifndef REPLICATION_NODE_INTERNAL_H
#define REPLICATION_NODE_INTERNAL_H

#include "link.h"

struct known_certificate {
  struct certificate certificate; /* views into `octets` */
  uint8_t *octets;
};

/* Certificates by index of arrival; two open-addressed tables find them by id and by
 * key and address. */
struct certificate_table {
  struct known_certificate **items;
  size_t count;
  size_t capacity;
  uint32_t *by_id; /* index + 1, 0: free */
  uint32_t *by_key;
  size_t slots;
};

/* What the wall clock may go astray without our asking again for what it had judged expired. */
#define NODE_CLOCK_STEP_MS 60000

struct quarantined {
  uint16_t neighbour;
  struct log_name log;
  uint64_t want_seq;  /* from here on it is asked for again */
  uint64_t asked_seq; /* from where it was asked for; UINT64_MAX: not since it was lowered */
  uint64_t last_seq;  /* highest that was refused */
  uint32_t wanted_generation; /* connection in which a gap was asked for */
};

struct repl_node {
  struct repl_settings settings;
  struct certificate_table certificates;
  struct link **links; /* by neighbour number; NULL: never connected */
  size_t link_slots;
  struct quarantined *quarantined;
  size_t quarantined_count;
  size_t quarantined_capacity;
  bool room;
  bool hidden; /* what is held is shown to nobody */
  struct mono_ms deadline;
  bool clock_known;
  int64_t clock_offset_ms; /* wall less monotonic time, as of the last step of the wall clock */
};

/* One call of repl_step. The first fault is kept and ends the step. */
struct step {
  struct repl_node *node;
  struct instant now;
  struct repl_effects *effects;
  enum status status;
  struct repl_effect spare; /* written, never read, when memory is out */
};

/* A zeroed effect at the end of the list, or a spare one when memory is out (the step then
 * fails). Never NULL. */
struct repl_effect *step_effect(struct step *step, enum repl_effect_type type,
                                const struct link *link);
/* Keeps the first fault. */
void step_check(struct step *step, enum status status);

/* certificates.c */
void certificates_close(struct certificate_table *table);
/* Judges and adds; `*added` is false for one that was known. VERDICT_UNKNOWN_CERTIFICATE: its
 * issuer is. */
MUST_USE enum verdict certificates_add(struct certificate_table *table, const struct hash *root,
                                       struct bytes_view octets, bool *added);
/* Index + 1 of the certificate with that id, 0 when unknown. */
size_t certificates_find(const struct certificate_table *table, const struct hash *id);
/* The one that holds for the key at that address: what is said of it elsewhere, by another issuer,
 * counts there alone. */
const struct certificate *certificates_of_key(const struct certificate_table *table,
                                              const struct node_key *key,
                                              const struct address *address);
/* The one that holds for whoever signed this one; NULL for the root's. */
const struct certificate *certificates_issuer(const struct certificate_table *table,
                                              const struct certificate *certificate);
/* Any of that key; walks all. */
const struct certificate *certificates_any_of_key(const struct certificate_table *table,
                                                  const struct node_key *key);

/* judge.c: may this commit be taken from that neighbour (NULL: from a bundle)? */
MUST_USE enum verdict node_judge_commit(const struct repl_node *node, const struct link *from,
                                        const struct commit *commit, struct wall_ms wall);

/* node.c */
void node_note_refused(struct repl_node *node, uint16_t neighbour,
                       const struct repl_refused *refused, struct step *step);
void node_ask_quarantined(struct repl_node *node, struct link *link, struct step *step);
/* Takes a certificate that a neighbour or a bundle brought. */
void node_take_certificate(struct repl_node *node, struct link *from, struct message *message,
                           struct step *step);
/* Hands commits on to be made durable, judged one by one. */
void node_take_commits(struct repl_node *node, struct link *from, struct message *message,
                       const struct link_cursor *cursor, struct step *step);

#endif
