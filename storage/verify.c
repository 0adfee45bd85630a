#include "storage/verify.h"

#include <stdarg.h>
#include <stdio.h>

#include "verify_state.h"

#define FINDING_TEXT_MAX 320

void verify_find(struct verify *verify, const char *format, ...)
{
  char text[FINDING_TEXT_MAX];
  va_list arguments;

  va_start(arguments, format);
  (void)vsnprintf(text, sizeof(text), format, arguments);
  va_end(arguments);
  verify->report->findings++;
  if (verify->finding != NULL)
    verify->finding(verify->context, text);
}

enum status verify_fault(struct verify *verify, enum status status, const char *what,
                         uint64_t number)
{
  if (status != STATUS_CORRUPT && status != STATUS_NOT_FOUND)
    return status;
  verify_find(verify, "%s %llu: %s", what, (unsigned long long)number, status_text(status));
  return STATUS_OK;
}

static bool root_trusted(const struct verify *verify, const struct certificate *certificate)
{
  return hash_equal(&certificate->id, &verify->txn->store->identity.root) &&
         certificate_check(certificate, NULL) == VERDICT_OK;
}

/* Issuers stand before what they issued. */
static bool certificate_trusted(const struct verify *verify, uint32_t place)
{
  const struct certificate *certificate = &verify->certificates[place];

  if (certificate->address.size == 0)
    return root_trusted(verify, certificate);
  for (uint32_t i = 0; i < place; i++) {
    const struct certificate *issuer = &verify->certificates[i];
    if (verify->trusted[i] &&
        memcmp(issuer->key.octets, certificate->issuer.octets, KEY_SIZE) == 0 &&
        certificate_check(certificate, issuer) == VERDICT_OK)
      return true;
  }
  return false;
}

static bool certificate_keep(void *context, const struct certificate *certificate)
{
  struct verify *verify = context;

  verify->certificates[verify->certificate_count++] = *certificate;
  return true;
}

enum status verify_certificates(struct verify *verify)
{
  uint64_t count = db_count(verify->txn, TABLE_CERTIFICATES);
  enum status status;

  verify->certificates = arena_alloc(&verify->kept, (count + 1) * sizeof(struct certificate));
  verify->trusted = arena_alloc(&verify->kept, (count + 1) * sizeof(bool));
  if (verify->certificates == NULL || verify->trusted == NULL)
    return STATUS_NO_MEMORY;
  status = store_certificate_each(verify->txn, certificate_keep, verify);
  status = verify_fault(verify, status, "certificate", verify->certificate_count + 1);
  for (uint32_t i = 0; i < verify->certificate_count; i++) {
    verify->trusted[i] = certificate_trusted(verify, i);
    if (!verify->trusted[i])
      verify_find(verify, "certificate %u (%s): no chain leads to the root", i + 1,
                  verify->certificates[i].address.text);
  }
  return status;
}

enum status store_verify(const struct store_txn *txn, struct verify_report *report,
                         void (*finding)(void *context, const char *text), void *context)
{
  struct verify verify = {.txn = txn, .report = report, .finding = finding, .context = context};
  enum status status;

  *report = (struct verify_report){0};
  status = verify_certificates(&verify);
  if (status == STATUS_OK)
    status = verify_logs(&verify);
  if (status == STATUS_OK)
    status = verify_subjects(&verify);
  if (status == STATUS_OK)
    status = verify_outboxes(&verify);
  if (status == STATUS_OK && verify.refs != report->records)
    verify_find(&verify, "%llu records are shown, but subjects list %llu",
                (unsigned long long)report->records, (unsigned long long)verify.refs);
  arena_close(&verify.arena);
  arena_close(&verify.kept);
  return status;
}
