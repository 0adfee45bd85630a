#include "record/record.h"

#include <string.h>

#include "record/clock.h"

struct subject subject_found(const uint8_t origin[32], uint64_t hlc)
{
  uint8_t octets[32 + 8];
  memcpy(octets, origin, 32);
  for (size_t i = 0; i < 8; i++) {
    octets[32 + i] = (uint8_t)(hlc >> (8 * i));
  }
  struct hash hash = hash_of(HASH_SUBJECT, bytes_view_of(octets, sizeof(octets)));
  struct subject subject;
  uint64_t ms = clock_hlc_ms(hlc);
  for (size_t i = 0; i < 6; i++) {
    subject.octets[i] = (uint8_t)(ms >> (8 * (5 - i)));
  }
  memcpy(subject.octets + 6, hash.octets, 10);
  return subject;
}

bool subject_is_founder(const struct subject *subject, const uint8_t origin[32], uint64_t hlc)
{
  struct subject founded = subject_found(origin, hlc);
  return memcmp(founded.octets, subject->octets, SUBJECT_SIZE) == 0;
}

/* 26 digits of 5 bits hold 130; the first two bits are zero. */
static const char subject_digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

void subject_to_text(const struct subject *subject, char out[SUBJECT_TEXT_SIZE])
{
  unsigned bits = 2;
  uint32_t pending = 0;
  size_t place = 0;
  for (size_t i = 0; i < SUBJECT_SIZE; i++) {
    pending = pending << 8 | subject->octets[i];
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      out[place++] = subject_digits[pending >> bits & 31];
    }
    pending &= (1u << bits) - 1;
  }
  out[place] = '\0';
}

static int subject_digit(char c)
{
  char upper = c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
  const char *digit = upper == '\0' ? NULL : strchr(subject_digits, upper);
  return digit == NULL ? -1 : (int)(digit - subject_digits);
}

enum status subject_from_text(const char *text, struct subject *out)
{
  if (strnlen(text, SUBJECT_TEXT_SIZE) != SUBJECT_TEXT_SIZE - 1 || subject_digit(text[0]) > 7) {
    return STATUS_MALFORMED;
  }
  struct subject subject;
  uint32_t pending = 0;
  unsigned bits = 0;
  size_t place = 0;
  for (size_t i = 0; i < SUBJECT_TEXT_SIZE - 1; i++) {
    int digit = subject_digit(text[i]);
    if (digit < 0) {
      return STATUS_MALFORMED;
    }
    pending = pending << 5 | (uint32_t)digit;
    bits += i == 0 ? 3 : 5;
    if (bits >= 8) {
      bits -= 8;
      subject.octets[place++] = (uint8_t)(pending >> bits);
      pending &= (1u << bits) - 1;
    }
  }
  *out = subject;
  return STATUS_OK;
}
