/*
 * Flow of one link: how much may be on the way, and how large a frame may be. The peer tells how
 * many octets it took; from these we know the rate and the delay. The window grows while the
 * delay stays near the lowest one seen and shrinks when octets pile up somewhere on the way, so
 * that on a link of 50 kbit/s an acknowledgement or an urgent record waits for one frame, not for
 * a full socket buffer.
 */
#include "link.h"
#include "node_internal.h"

#define QUEUE_LOW_MS 100
#define QUEUE_HIGH_MS 400
#define RATE_INTERVAL_MS 50
#define CROWDED_MAX 4

static uint64_t smaller(uint64_t a, uint64_t b)
{
  return a < b ? a : b;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
  return a > b ? a : b;
}

void link_flow_received(struct link *link, size_t octets, struct step *step)
{
  link->received += octets;
  int64_t due = step->now.mono.ms + LINK_REPORT_MS;
  if (link->received < LINK_REPORT_AT_ONCE) {
    due = step->now.mono.ms;
  }
  if (due < link->report_at.ms) {
    link->report_at.ms = due;
  }
}

void link_flow_sent(struct link *link, size_t octets, struct step *step)
{
  if (link->sent == link->sent_reported) {
    link->rate_from = step->now.mono; /* nothing was on the way: a new interval */
    link->rate_octets = 0;
  }
  link->sent += octets;
  /* The probe is the last frame of those that went at once: they come back in one report. */
  if (link->mark_octets == 0 || link->mark_at.ms == step->now.mono.ms) {
    link->mark_octets = link->sent;
    link->mark_ahead = link->sent - link->sent_reported;
    link->mark_at = step->now.mono;
  }
  link->tokens -= (double)octets;
}

/* Reports may come in bursts, so that the time between two says nothing: octets are counted over
 * an interval that began while something was on the way. */
static void measure_rate(struct link *link, uint64_t octets, struct mono_ms now)
{
  int64_t elapsed = now.ms - link->rate_from.ms;
  link->rate_octets += octets;
  link->rate_limited = link->rate_limited || link->limited;
  if (elapsed < RATE_INTERVAL_MS) {
    return;
  }
  uint64_t sample = link->rate_octets * 1000 / (uint64_t)elapsed;
  if (link->rate == 0) {
    link->rate = sample;
  } else if (link->rate_limited || sample > link->rate) {
    /* Only when the window held us back does a low sample speak of the link. */
    link->rate = (link->rate + sample) / 2;
  }
  link->rate_from = now;
  link->rate_octets = 0;
  link->rate_limited = false;
}

/* The least window leaves no queue of ours: where the delay stays high all the same, again and
 * again, the way has become longer. */
static void judge_crowded(struct link *link, int64_t delay)
{
  if (link->window > LINK_WINDOW_MIN) {
    link->crowded = 0;
    return;
  }
  if (link->crowded == 0 || delay < link->crowded_ms) {
    link->crowded_ms = delay;
  }
  if (++link->crowded == CROWDED_MAX) {
    link->delay_base_ms = link->crowded_ms;
    link->crowded = 0;
  }
}

static void adapt_window(struct link *link, struct mono_ms now)
{
  int64_t delay = now.ms - link->mark_at.ms;
  link->mark_octets = 0;
  if (link->delay_base_ms < 0 || delay < link->delay_base_ms) {
    link->delay_base_ms = delay;
  }
  int64_t queued = delay - link->delay_base_ms;
  /* A probe with little before it comes back soon on any link: that says nothing of the window. */
  if (queued <= QUEUE_LOW_MS && link->limited && link->mark_ahead * 2 >= link->window) {
    link->window = smaller(link->window * 2, LINK_WINDOW_MAX);
  } else if (queued >= QUEUE_HIGH_MS) {
    judge_crowded(link, delay);
    uint64_t fits = link->rate * (uint64_t)(link->delay_base_ms + LINK_FRAME_MS) / 1000;
    link->window = smaller(larger(fits, LINK_WINDOW_MIN), link->window);
  }
  if (queued < QUEUE_HIGH_MS) {
    link->crowded = 0;
  }
  link->limited = false;
}

/* The probe isn't back and has already been away too long. */
static bool is_late(const struct link *link, struct mono_ms now)
{
  return link->delay_base_ms >= 0 &&
         now.ms - link->mark_at.ms >= link->delay_base_ms + QUEUE_HIGH_MS;
}

void link_flow_reported(struct link *link, uint64_t received, struct step *step)
{
  if (received > link->sent || received < link->sent_reported) {
    link_fail(link, "peer reports more octets than were sent", step);
    return;
  }
  uint64_t octets = received - link->sent_reported;
  if (octets == 0) {
    return;
  }
  measure_rate(link, octets, step->now.mono);
  link->sent_reported = received;
  if (link->mark_octets != 0 && (received >= link->mark_octets || is_late(link, step->now.mono))) {
    adapt_window(link, step->now.mono);
  }
}

static void refill_tokens(struct link *link, uint64_t rate, struct mono_ms now)
{
  double most = (double)rate * LINK_FRAME_MS / 1000.0;
  link->tokens += (double)rate * (double)(now.ms - link->tokens_at.ms) / 1000.0;
  link->tokens_at = now;
  if (link->tokens > most) {
    link->tokens = most;
  }
}

size_t link_flow_room(struct link *link, struct step *step)
{
  uint64_t rate = step->node->settings.rate_octets_s;
  if (rate != 0) {
    refill_tokens(link, rate, step->now.mono);
    link->tokens_due.ms = 0;
    if (link->tokens <= 0) {
      int64_t wait = (int64_t)(-link->tokens * 1000.0 / (double)rate) + 1;
      link->tokens_due.ms = step->now.mono.ms + wait;
      return 0;
    }
  }
  uint64_t on_the_way = link->sent - link->sent_reported;
  if (on_the_way >= link->window) {
    link->limited = true;
    return 0;
  }
  return (size_t)(link->window - on_the_way);
}

size_t link_flow_frame_max(const struct link *link)
{
  if (link->rate == 0) {
    return LINK_FRAME_FIRST;
  }
  uint64_t fits = link->rate * LINK_FRAME_MS / 1000;
  return (size_t)smaller(larger(fits, LINK_FRAME_MIN), FRAME_PLAIN_MAX);
}
