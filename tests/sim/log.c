/* The daemon's log lines go into the trace, and some of them must never be written. */
#include <string.h>

#include "noded/log.h"
#include "sim.h"

/* Ends that two honest nodes may meet; all else is a broken promise of the protocol. */
static const char *const fair_ends[] = {
    "closed by the other end",
    "the line broke",
    "the other end takes nothing",
    "no handshake in time",
    "nobody listens there",
    "the neighbour connected anew",
    "the store failed, starting over",
    "nothing heard",
    "no hello in time",
    "no heads in time",
    "room again, starting over from the cursor",
    "handshake failed",
    "its output is full",
    "gone",
};

static bool is_fair(const struct world *world, struct bytes_view reason)
{
  if (world->clocks_wrong && reason.size > 31 &&
      memcmp(reason.data, "its certificate is not valid now", 32) == 0) {
    return true;
  }
  /* What the lost device had sent of its handshake may come after its place was taken. */
  if (world->fault_counts[FAULT_REPLACE] > 0 &&
      bytes_view_equal(reason, bytes_view_text("this device was replaced: another key holds its "
                                               "address"))) {
    return true;
  }
  for (size_t i = 0; i < sizeof(fair_ends) / sizeof(fair_ends[0]); i++) {
    if (bytes_view_equal(reason, bytes_view_text(fair_ends[i]))) {
      return true;
    }
  }
  return false;
}

/* By a wrong clock a certificate has expired, and what comes next then follows a gap. */
static bool is_fair_refusal(const struct world *world, const struct log_field *fields, size_t count)
{
  for (size_t i = 0; i < count; i++) {
    if (strcmp(fields[i].name, "verdict") == 0) {
      return world->clocks_wrong && (bytes_view_equal(fields[i].text, bytes_view_text("expired")) ||
                                     bytes_view_equal(fields[i].text, bytes_view_text("gap")));
    }
  }
  return false;
}

static void judge(struct world *world, const char *event, const struct log_field *fields,
                  size_t count)
{
  for (size_t i = 0; i < count; i++) {
    if (strcmp(event, "link_closed") == 0 && strcmp(fields[i].name, "reason") == 0 &&
        !is_fair(world, fields[i].text)) {
      world_fail(world, "a link of %s ended: %.*s", world->nodes[world->current].address.text,
                 (int)fields[i].text.size, (const char *)fields[i].text.data);
    }
  }
  if (strcmp(event, "commit_refused") == 0 && !world->hostile &&
      !is_fair_refusal(world, fields, count)) {
    world_fail(world, "%s refused an honest commit", world->nodes[world->current].address.text);
  }
  if (strcmp(event, "core_failed") == 0 || strcmp(event, "read_failed") == 0) {
    world_fail(world, "%s: %s", world->nodes[world->current].address.text, event);
  }
}

void log_write(enum log_level level, const char *event, const struct log_field *fields,
               size_t count)
{
  struct world *world = sim_world;
  char text[160] = "";
  size_t size = 0;
  if (level == LOG_DEBUG || world == NULL || world->current == SIM_NONE) {
    return;
  }
  for (size_t i = 0; i < count && size < sizeof(text) - 1; i++) {
    int written = 0;
    if (fields[i].type == LOG_FIELD_TEXT && fields[i].text.size > 0) {
      written = snprintf(text + size, sizeof(text) - size, " %s=%.*s", fields[i].name,
                         (int)fields[i].text.size, (const char *)fields[i].text.data);
    } else if (fields[i].type == LOG_FIELD_UINT) {
      written = snprintf(text + size, sizeof(text) - size, " %s=%llu", fields[i].name,
                         (unsigned long long)fields[i].number);
    }
    size += (size_t)written;
  }
  world_trace(world, "%s%s", event, text);
  judge(world, event, fields, count);
}

void log_event(enum log_level level, const char *event)
{
  log_write(level, event, NULL, 0);
}

void log_configure(enum log_format format, enum log_level level)
{
  (void)format;
  (void)level;
}

bool log_enabled(enum log_level level)
{
  return level > LOG_DEBUG;
}

void log_set_output(int descriptor)
{
  (void)descriptor;
}
