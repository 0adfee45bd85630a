/*
 * Peers: connections to the parent and from children, from dial or accept through the handshake
 * to the link; the one place where the replication core's frames meet the transport.
 */
#ifndef NODED_PEERS_H
#define NODED_PEERS_H

#include "noded/core.h"

struct peers;

/* Starts listening and dialing. `reason` as in core_new. */
MUST_USE enum status peers_new(struct core *core, struct peers **out, char *reason);
void peers_free(struct peers *peers);
/* Descriptor that becomes readable when there is something to take. */
int peers_fd(const struct peers *peers);
/* Takes what has come, at most a turn's worth; true when more is waiting. */
bool peers_take(struct core *core, struct peers *peers);
/* Redials and handshakes that took too long; and when to come back. */
void peers_tick(struct core *core, struct peers *peers, struct mono_ms now);
int64_t peers_deadline(const struct core *core, const struct peers *peers);

/* Carries out REPL_SEND; takes the octets. */
void peers_send(struct core *core, struct peers *peers, const struct repl_effect *effect,
                struct bytes *octets);
/* Hands what was sealed to the transport. */
void peers_flush(struct core *core, struct peers *peers);
/* Carries out REPL_DISCONNECT. */
void peers_disconnect(struct core *core, struct peers *peers, const struct repl_effect *effect);
/* The link said hello: the next failure is redialed from the shortest pause. */
void peers_link_up(struct core *core, struct peers *peers, const struct repl_effect *effect);
/* A child that waited for its number has it now. */
void peers_child_known(struct core *core, struct peers *peers, uint32_t id, uint16_t neighbour);
void peers_disconnect_all(struct core *core, struct peers *peers, const char *why);
/* Since when a neighbour is in its present state. */
struct wall_ms peers_since(const struct peers *peers, uint16_t neighbour, bool *connected);

#endif
