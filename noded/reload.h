/*
 * Reading the configuration again while running (SIGHUP): what can change live does, of the rest
 * it is told that a restart is needed.
 */
#ifndef NODED_RELOAD_H
#define NODED_RELOAD_H

#include "noded/config.h"

#define RELOAD_KEYS_MAX 512

/* Takes over log.format and log.level from `fresh`. `keys` (RELOAD_KEYS_MAX octets) gets the names
 * of other keys that differ, with spaces between; empty when there is none. */
void config_reload(struct config *running, const struct config *fresh, char *keys);

#endif
