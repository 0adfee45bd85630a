// links: record PkgConfig::CJSON sodium -Wl,--wrap=malloc -Wl,--wrap=realloc
/* Every writer with every allocation failing in turn: it says so and leaves `out` as it was. */
#include "vectors.h"

#include <sodium.h>

#include "record/audience.h"
#include "record/bundle.h"
#include "record/codec.h"
#include "record/receipt.h"

/* How many allocations still succeed; negative: all. */
static long allowed = -1;

/* Names that the linker's --wrap prescribes. */
// NOLINTBEGIN(cert-dcl37-c)
void *__real_malloc(size_t size);
void *__real_realloc(void *data, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_realloc(void *data, size_t size);
// NOLINTEND(cert-dcl37-c)

static bool allocation_allowed(void)
{
  if (allowed > 0) {
    allowed--;
    return true;
  }
  return allowed < 0;
}

void *__wrap_malloc(size_t size)
{
  return allocation_allowed() ? __real_malloc(size) : NULL;
}

void *__wrap_realloc(void *data, size_t size)
{
  return allocation_allowed() ? __real_realloc(data, size) : NULL;
}

/* What the writers are given; made while allocations succeed. */
struct given {
  uint8_t secret_key[64];
  struct node_key key;
  struct arena arena;
  struct bytes record_octets;
  struct bytes commit_octets;
  struct bytes partial_octets;
  struct bytes certificate;
  struct record record;
  struct commit commit;
  struct commit partial;
  struct certificate_draft draft;
};

static struct item_draft item_of(const char *name, uint8_t see)
{
  static const uint8_t value[200] = {0xc4, 197};
  struct item_draft item = {.name = name, .value = {value, 199}, .see = see};
  memset(item.salt, see, sizeof(item.salt));
  return item;
}

static enum status record_make(struct bytes *out)
{
  struct item_draft items[2] = {item_of("", SEE_ALL), item_of("contact", SEE_GRID)};
  struct record_draft draft = {.kind = "report", .author = "op", .item_count = 2, .items = items};
  return record_write(&draft, out);
}

static enum status commit_make(const struct given *given, struct bytes *out)
{
  struct commit_builder builder = {0};
  struct commit_header header = {.origin = given->key, .seq = 1};
  enum status status = STATUS_OK;
  for (size_t i = 0; i < 5 && status == STATUS_OK; i++) {
    status = commit_builder_add(&builder, bytes_as_view(&given->record_octets));
  }
  if (status == STATUS_OK) {
    status = commit_builder_finish(&builder, &header, given->secret_key, out, NULL);
  }
  commit_builder_close(&builder);
  return status;
}

static void given_make(struct given *given)
{
  static const uint8_t seed[32] = {3};
  static const uint8_t keep[COMMIT_BITMAP_SIZE] = {0x15};
  memset(given, 0, sizeof(*given));
  crypto_sign_seed_keypair(given->key.octets, given->secret_key, seed);
  given->draft = (struct certificate_draft){.key = given->key, .not_after = 9};
  assert_int_equal(record_make(&given->record_octets), STATUS_OK);
  assert_int_equal(record_read(bytes_as_view(&given->record_octets), &given->record), STATUS_OK);
  assert_int_equal(commit_make(given, &given->commit_octets), STATUS_OK);
  assert_int_equal(commit_read(bytes_as_view(&given->commit_octets), &given->arena, &given->commit),
                   VERDICT_OK);
  assert_int_equal(commit_write_partial(&given->commit, keep, SEE_DISTRICT, &given->arena,
                                        &given->partial_octets),
                   STATUS_OK);
  assert_int_equal(
      commit_read(bytes_as_view(&given->partial_octets), &given->arena, &given->partial),
      VERDICT_OK);
  assert_int_equal(certificate_write(&given->draft, given->secret_key, &given->certificate),
                   STATUS_OK);
}

static void given_close(struct given *given)
{
  arena_close(&given->arena);
  bytes_close(&given->record_octets);
  bytes_close(&given->commit_octets);
  bytes_close(&given->partial_octets);
  bytes_close(&given->certificate);
}

enum writing {
  WRITE_RECORD,
  WRITE_CLASS,
  WRITE_ERASED,
  WRITE_COMMIT,
  WRITE_PARTIAL,
  WRITE_MERGE,
  WRITE_CERTIFICATE,
  WRITE_COSIGNATURE,
  WRITE_RECEIPT,
  WRITE_BUNDLE_HEAD,
  WRITE_BUNDLE,
  WRITE_AUDIENCE,
  WRITING_COUNT
};

static enum status audience_make(struct bytes *out)
{
  struct audience audience = {0};
  struct address founder = {0};
  struct record_header header = {.up = 4};
  bool effective = false;
  bool grew = false;
  unsigned refused = 0;
  enum status status = address_parse(bytes_view_text("d/s/c/g"), false, &founder);
  if (status == STATUS_OK) {
    status = audience_found(&audience, &founder);
  }
  if (status == STATUS_OK) {
    status = audience_add_record(&audience, &founder, &header, &effective, &refused, &grew);
  }
  if (status == STATUS_OK) {
    status = audience_write(&audience, out);
  }
  audience_close(&audience);
  return status;
}

static enum status write_one(enum writing writing, const struct given *given, struct bytes *out)
{
  static const uint8_t keep[COMMIT_BITMAP_SIZE] = {0x0a};
  struct arena arena = {0};
  struct bytes_view certificate = bytes_as_view(&given->certificate);
  struct wall_ms at = {1};
  uint8_t gained[COMMIT_BITMAP_SIZE];
  bool gain = false;
  enum status status = STATUS_OK;
  switch (writing) {
  case WRITE_RECORD:
    return record_make(out);
  case WRITE_CLASS:
    return record_write_for_class(&given->record, SEE_DISTRICT, out);
  case WRITE_ERASED:
    return record_write_erased(&given->record, 0, out);
  case WRITE_COMMIT:
    return commit_make(given, out);
  case WRITE_CERTIFICATE:
    return certificate_write(&given->draft, given->secret_key, out);
  case WRITE_COSIGNATURE:
    return cosignature_write(&given->key, given->secret_key, &given->commit.id, at,
                             bytes_view_of(keep, 1), out);
  case WRITE_BUNDLE_HEAD:
    return bundle_write_head(out);
  case WRITE_BUNDLE:
    return bundle_write(BUNDLE_CERTIFICATE, certificate, out);
  case WRITE_AUDIENCE:
    return audience_make(out);
  case WRITE_PARTIAL:
    status = commit_write_partial(&given->commit, keep, SEE_DISTRICT, &arena, out);
    break;
  case WRITE_MERGE:
    status = commit_merge(&given->partial, &given->commit, &arena, out, gained);
    break;
  case WRITE_RECEIPT:
    status = receipt_write(&given->commit, 1, &certificate, 1, NULL, 0, &arena, out);
    break;
  default:
    status = record_merge(&given->record, &given->record, out, &gain);
    break;
  }
  arena_close(&arena);
  return status;
}

static void test_every_allocation_fails_in_turn(void **state)
{
  (void)state;
  struct given given;
  given_make(&given);
  for (enum writing writing = 0; writing <= WRITING_COUNT; writing++) {
    enum status status = STATUS_NO_MEMORY;
    long count = 0;
    for (; status == STATUS_NO_MEMORY; count++) {
      struct bytes out = {0};
      assert_int_equal(bytes_append(&out, "kept", 4), STATUS_OK);
      allowed = count;
      status = write_one(writing, &given, &out);
      allowed = -1;
      assert_memory_equal(out.data, "kept", 4);
      assert_true(status == STATUS_OK ? out.size > 4 : out.size == 4);
      bytes_close(&out);
      assert_true(count < 1000);
    }
    assert_int_equal(status, STATUS_OK);
    /* a head of 15 octets fits in what is there; everything else allocates */
    assert_true(count > 1 || writing == WRITE_BUNDLE_HEAD);
  }
  given_close(&given);
}

static void test_reading_without_memory(void **state)
{
  (void)state;
  struct given given;
  given_make(&given);
  struct arena arena = {0};
  struct commit commit;
  struct audience audience = {0};
  allowed = 0;
  enum verdict verdict = commit_read(bytes_as_view(&given.commit_octets), &arena, &commit);
  enum status status = audience_read(bytes_view_of("\x91\xa1\x64", 3), &audience);
  allowed = -1;
  assert_int_equal(verdict, VERDICT_MALFORMED);
  assert_int_equal(status, STATUS_NO_MEMORY);
  arena_close(&arena);
  audience_close(&audience);
  given_close(&given);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_every_allocation_fails_in_turn),
      cmocka_unit_test(test_reading_without_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
