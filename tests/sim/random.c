/* The one source of chance: xoshiro256** from the seed, also for libsodium. */
#include <sodium.h>
#include <string.h>

#include "sim.h"

static struct sim_random octets;

static uint64_t mix(uint64_t *state)
{
  uint64_t z = (*state += 0x9e3779b97f4a7c15u);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

void random_seed(struct sim_random *random, uint64_t seed)
{
  for (unsigned i = 0; i < 4; i++) {
    random->state[i] = mix(&seed);
  }
}

static uint64_t rotate(uint64_t x, unsigned by)
{
  return (x << by) | (x >> (64 - by));
}

uint64_t random_next(struct sim_random *random)
{
  uint64_t *s = random->state;
  uint64_t result = rotate(s[1] * 5, 7) * 9;
  uint64_t t = s[1] << 17;
  s[2] ^= s[0];
  s[3] ^= s[1];
  s[1] ^= s[2];
  s[0] ^= s[3];
  s[2] ^= t;
  s[3] = rotate(s[3], 45);
  return result;
}

uint64_t random_below(struct sim_random *random, uint64_t below)
{
  return below == 0 ? 0 : random_next(random) % below;
}

int64_t random_between(struct sim_random *random, int64_t least, int64_t most)
{
  return least + (int64_t)random_below(random, (uint64_t)(most - least + 1));
}

bool random_chance(struct sim_random *random, unsigned percent)
{
  return random_below(random, 100) < percent;
}

/* ---- libsodium ---- */

static const char *name(void)
{
  return "sim";
}

static uint32_t draw(void)
{
  return (uint32_t)(random_next(&octets) >> 32);
}

static void stir(void)
{
}

static void fill(void *const out, const size_t size)
{
  uint8_t *at = out;
  for (size_t i = 0; i < size; i += 8) {
    uint64_t value = random_next(&octets);
    memcpy(at + i, &value, size - i < 8 ? size - i : 8);
  }
}

static int close_it(void)
{
  return 0;
}

void random_install(uint64_t seed)
{
  static randombytes_implementation implementation = {
      .implementation_name = name,
      .random = draw,
      .stir = stir,
      .buf = fill,
      .close = close_it,
  };
  random_seed(&octets, seed ^ 0x6f63746574737321u);
  CHECK(randombytes_set_implementation(&implementation) == 0);
}
