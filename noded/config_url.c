#include "noded/config_url.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* sun_path of a Unix socket, with its terminator. */
#define IPC_PATH_MAX 107
#define TCP_TEXT_MAX 120

static void say(char *why, const char *text)
{
  snprintf(why, CONFIG_URL_WHY_MAX, "%s", text);
}

static bool port_is_good(const char *text)
{
  size_t size = strlen(text);
  if (size == 0 || size > 5 || strspn(text, "0123456789") != size) {
    return false;
  }
  unsigned long port = strtoul(text, NULL, 10);
  return port >= 1 && port <= 65535;
}

/* Name or IPv4 address, or an IPv6 address in brackets. */
static bool host_is_good(const char *host, size_t size, bool listens)
{
  static const char name_characters[] =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";
  static const char v6_characters[] = "0123456789abcdefABCDEF:.";
  if (size == 0 || (size == 1 && host[0] == '*')) {
    return listens;
  }
  if (host[0] == '[') {
    return size > 3 && host[size - 1] == ']' && strspn(host + 1, v6_characters) == size - 2;
  }
  return strspn(host, name_characters) >= size;
}

static char *tcp_make(const char *text, bool listens, char *why)
{
  const char *host = text + strlen("tcp://");
  const char *colon = strrchr(host, ':');
  if (strlen(text) > TCP_TEXT_MAX) {
    say(why, "is too long");
    return NULL;
  }
  if (colon == NULL || !port_is_good(colon + 1)) {
    say(why, "needs a port from 1 to 65535: tcp://host:port");
    return NULL;
  }
  if (!host_is_good(host, (size_t)(colon - host), listens)) {
    say(why, "needs a host name or address: tcp://host:port");
    return NULL;
  }
  char *url = strdup(text);
  if (url == NULL) {
    say(why, "found no memory");
  }
  return url;
}

static char *ipc_make(const char *directory, const char *text, char *why)
{
  const char *path = text + strlen("ipc://");
  char *url = NULL;
  if (path[0] == 0) {
    say(why, "needs a path: ipc://path");
    return NULL;
  }
  int size = path[0] == '/' ? asprintf(&url, "ipc://%s", path)
                            : asprintf(&url, "ipc://%s/%s", directory, path);
  if (size < 0) {
    say(why, "found no memory");
    return NULL;
  }
  if ((size_t)size - strlen("ipc://") > IPC_PATH_MAX) {
    snprintf(why, CONFIG_URL_WHY_MAX,
             "comes to a path of %zu octets, but a socket's path holds at most %d: use a shorter "
             "absolute one",
             (size_t)size - strlen("ipc://"), IPC_PATH_MAX);
    free(url);
    return NULL;
  }
  return url;
}

char *config_url_make(const char *directory, const char *text, bool listens,
                      char why[CONFIG_URL_WHY_MAX])
{
  why[0] = 0;
  if (strncmp(text, "tcp://", 6) == 0) {
    return tcp_make(text, listens, why);
  }
  if (strncmp(text, "ipc://", 6) == 0) {
    return ipc_make(directory, text, why);
  }
  say(why, "must begin with tcp:// or ipc://");
  return NULL;
}
