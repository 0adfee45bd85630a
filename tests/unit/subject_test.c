// links: record PkgConfig::CJSON
#include "vectors.h"

#include "record/record.h"

static void test_vectors(void **state)
{
  (void)state;
  cJSON *root = vectors_load("subjects.json");
  const cJSON *entry = NULL;
  cJSON_ArrayForEach(entry, vectors_get(root, "subjects"))
  {
    uint8_t origin[32];
    struct subject expected;
    struct subject parsed;
    char text[SUBJECT_TEXT_SIZE];
    char lower[SUBJECT_TEXT_SIZE];
    uint64_t hlc = strtoull(vectors_text(entry, "hlc"), NULL, 10);
    vectors_exact(vectors_get(entry, "origin"), origin, sizeof(origin));
    vectors_exact(vectors_get(entry, "subject"), expected.octets, SUBJECT_SIZE);
    struct subject found = subject_found(origin, hlc);
    assert_memory_equal(&found, &expected, sizeof(found));
    assert_true(subject_is_founder(&found, origin, hlc));
    assert_false(subject_is_founder(&found, origin, hlc ^ 1));
    origin[31] ^= 1;
    assert_false(subject_is_founder(&found, origin, hlc));
    subject_to_text(&found, text);
    assert_string_equal(text, vectors_text(entry, "text"));
    for (size_t i = 0; i < SUBJECT_TEXT_SIZE; i++) {
      lower[i] = text[i] >= 'A' && text[i] <= 'Z' ? (char)(text[i] + 32) : text[i];
    }
    assert_int_equal(subject_from_text(text, &parsed), STATUS_OK);
    assert_memory_equal(&parsed, &expected, sizeof(parsed));
    assert_int_equal(subject_from_text(lower, &parsed), STATUS_OK);
    assert_memory_equal(&parsed, &expected, sizeof(parsed));
  }
  cJSON_Delete(root);
}

static void test_invalid_texts(void **state)
{
  (void)state;
  cJSON *root = vectors_load("subjects.json");
  const cJSON *text = NULL;
  cJSON_ArrayForEach(text, vectors_get(root, "invalid_texts"))
  {
    struct subject subject;
    assert_int_equal(subject_from_text(text->valuestring, &subject), STATUS_MALFORMED);
  }
  cJSON_Delete(root);
}

static void test_lanes(void **state)
{
  (void)state;
  assert_string_equal(lane_name(LANE_URGENT), "urgent");
  assert_string_equal(lane_name(LANE_NORMAL), "normal");
  assert_string_equal(lane_name(LANE_BULK), "bulk");
  assert_string_equal(lane_name(LANE_COUNT), "unknown");
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_vectors),
      cmocka_unit_test(test_invalid_texts),
      cmocka_unit_test(test_lanes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
