/*
 * Seeded randomness for property tests (splitmix64). NODED_TEST_SEED replays a run; the seed is
 * printed by every test that uses it.
 */
#ifndef TESTS_RANDOM_SOURCE_H
#define TESTS_RANDOM_SOURCE_H

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

struct random_source {
  uint64_t state;
};

static inline struct random_source random_source_start(const char *test)
{
  const char *text = getenv("NODED_TEST_SEED");
  uint64_t seed = text == NULL ? 20180105 : strtoull(text, NULL, 10);
  printf("%s: NODED_TEST_SEED=%" PRIu64 "\n", test, seed);
  return (struct random_source){seed};
}

static inline uint64_t random_next(struct random_source *source)
{
  uint64_t z = (source->state += 0x9e3779b97f4a7c15u);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

/* 0 to below `bound`. */
static inline uint64_t random_below(struct random_source *source, uint64_t bound)
{
  return random_next(source) % bound;
}

static inline void random_fill(struct random_source *source, uint8_t *out, size_t size)
{
  for (size_t i = 0; i < size; i++) {
    out[i] = (uint8_t)random_next(source);
  }
}

#endif
