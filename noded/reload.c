#include "noded/reload.h"

#include <string.h>

static void name_add(char *keys, const char *name, bool differs)
{
  size_t size = strlen(keys);
  size_t more = strlen(name) + (size > 0);
  if (!differs || size + more >= RELOAD_KEYS_MAX) {
    return;
  }
  if (size > 0) {
    keys[size++] = ' ';
  }
  memcpy(keys + size, name, strlen(name) + 1);
}

static bool text_differs(const char *a, const char *b)
{
  return a == NULL || b == NULL ? a != b : strcmp(a, b) != 0;
}

static bool listen_differs(const struct config *a, const struct config *b)
{
  bool differs = a->listen_count != b->listen_count;
  for (uint32_t i = 0; !differs && i < a->listen_count; i++) {
    differs = strcmp(a->listen[i], b->listen[i]) != 0;
  }
  return differs;
}

void config_reload(struct config *running, const struct config *fresh, char *keys)
{
  keys[0] = 0;
  name_add(keys, "parent", text_differs(running->parent_url, fresh->parent_url));
  name_add(keys, "listen", listen_differs(running, fresh));
  name_add(keys, "admin", text_differs(running->admin_url, fresh->admin_url));
  name_add(keys, "store.path", text_differs(running->store_path, fresh->store_path));
  name_add(keys, "store.map_gib", running->map_bytes != fresh->map_bytes);
  name_add(keys, "store.quota_mib", running->quota_bytes != fresh->quota_bytes);
  name_add(keys, "limits.children", running->children_max != fresh->children_max);
  name_add(keys, "limits.window_kib", running->window_bytes != fresh->window_bytes);
  name_add(keys, "limits.rate_kbit", running->rate_bytes_s != fresh->rate_bytes_s);
  name_add(keys, "limits.handshakes", running->handshakes_max != fresh->handshakes_max);
  name_add(keys, "limits.admit_per_second", running->admit_per_second != fresh->admit_per_second);
  name_add(keys, "link.idle_seconds", running->idle_ms != fresh->idle_ms);
  name_add(keys, "link.dead_seconds", running->dead_ms != fresh->dead_ms);
  name_add(keys, "link.retry_min_ms", running->retry_min_ms != fresh->retry_min_ms);
  name_add(keys, "link.retry_max_ms", running->retry_max_ms != fresh->retry_max_ms);
  name_add(keys, "retention.days", running->retention_days != fresh->retention_days);
  name_add(keys, "retention.keep_mib", running->keep_bytes != fresh->keep_bytes);
  name_add(keys, "outbox.max_mib", running->outbox_max_bytes != fresh->outbox_max_bytes);
  name_add(keys, "outbox.max_days", running->outbox_max_days != fresh->outbox_max_days);
  running->log_format = fresh->log_format;
  running->log_level = fresh->log_level;
}
