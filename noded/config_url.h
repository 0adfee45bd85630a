/* Urls of the configuration: tcp://host:port and ipc://path. Private to the config. */
#ifndef NODED_CONFIG_URL_H
#define NODED_CONFIG_URL_H

#include <stdbool.h>

#define CONFIG_URL_WHY_MAX 160

/* The url with a relative ipc path taken from `directory`; to be freed. `listens` allows a host
 * that stands for all interfaces. NULL with the reason in `why`, which continues a sentence that
 * began with the url. */
char *config_url_make(const char *directory, const char *text, bool listens,
                      char why[CONFIG_URL_WHY_MAX]);

#endif
