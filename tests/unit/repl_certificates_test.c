// links: record replication sodium PkgConfig::ZSTD
/* One key certified at more than one address: what an issuer says of it below itself must not
 * touch what holds elsewhere. */
#include "repl_world.h"

#define PAST_S 1000
#define FUTURE_S 4000000000u

/* A street that judges, and two communities below it, the first of which is hostile. */
struct tree {
  struct world world;
  struct world_node *district;
  struct world_node *street;
  struct world_node *hostile;
  struct world_node *honest;
};

static void tree_open(struct tree *tree, const char *test)
{
  world_open(&tree->world, test);
  tree->district = node_add(&tree->world, "d", true);
  tree->street = node_add(&tree->world, "d/s", false);
  tree->hostile = node_add(&tree->world, "d/s/a", true);
  tree->honest = node_add(&tree->world, "d/s/b", true);
  node_start(tree->street);
}

/* What the street says of a certificate that `issuer` wrote. */
static enum verdict offer(struct tree *tree, const struct world_node *issuer,
                          const struct node_key *key, const char *address, uint64_t epoch,
                          uint64_t not_after)
{
  struct certificate_draft draft = {*key, address_of(address), epoch, 1, not_after};
  struct bytes octets = {0};
  assert_ok(certificate_write(&draft, issuer->secret, &octets));
  enum verdict verdict = repl_node_add_certificate(tree->street->node, bytes_as_view(&octets));
  bytes_close(&octets);
  return verdict;
}

static enum verdict judge(struct tree *tree, struct world_node *origin)
{
  struct commit_wish wish = {.lane = LANE_NORMAL};
  struct repl_event event = {.type = REPL_MESSAGE};
  struct repl_effects *effects = &tree->street->effects;
  assert_ok(message_of_commit(commit_make(origin, &wish)->octets, &event.message));
  node_step(tree->street, &event);
  message_release(event.message);
  assert_int_equal(effects->count, 1);
  assert_int_equal(effects->items[0].type, REPL_PERSIST_COMMITS);
  enum verdict verdict = effects->items[0].message->commits.items[0].verdict;
  repl_effects_clear(effects);
  return verdict;
}

/* The honest one's key stands below the hostile one too, in a higher epoch and long expired. */
static void test_key_of_another_child(void **state)
{
  static struct tree tree;
  struct node_key grid = {{7}};
  (void)state;
  tree_open(&tree, "key of another child");
  assert_int_equal(judge(&tree, tree.honest), VERDICT_OK);
  assert_int_equal(offer(&tree, tree.hostile, &tree.honest->key, "d/s/a/x", 1000, PAST_S),
                   VERDICT_OK);
  assert_int_equal(judge(&tree, tree.honest), VERDICT_OK);
  assert_int_equal(offer(&tree, tree.honest, &grid, "d/s/b/01", 0, FUTURE_S), VERDICT_OK);
  /* And it gains no place of its own to speak for. */
  assert_int_equal(offer(&tree, tree.honest, &grid, "d/s/a/y", 0, FUTURE_S),
                   VERDICT_UNKNOWN_CERTIFICATE);
  world_close(&tree.world);
}

/* Neither the street nor the district loses its place by what is said of their keys below. */
static void test_key_of_an_ancestor(void **state)
{
  static struct tree tree;
  struct node_key child = {{8}};
  struct node_key root;
  (void)state;
  tree_open(&tree, "key of an ancestor");
  memcpy(root.octets, tree.world.root_secret + 32, KEY_SIZE);
  assert_int_equal(offer(&tree, tree.hostile, &tree.street->key, "d/s/a/x", 1000, FUTURE_S),
                   VERDICT_OK);
  assert_int_equal(offer(&tree, tree.hostile, &tree.district->key, "d/s/a/y", 1000, FUTURE_S),
                   VERDICT_OK);
  assert_int_equal(offer(&tree, tree.hostile, &root, "d/s/a/z", 1000, FUTURE_S), VERDICT_OK);
  assert_int_equal(offer(&tree, tree.street, &child, "d/s/c", 0, FUTURE_S), VERDICT_OK);
  assert_int_equal(offer(&tree, tree.district, &child, "d/t", 0, FUTURE_S), VERDICT_OK);
  assert_int_equal(judge(&tree, tree.hostile), VERDICT_OK);
  world_close(&tree.world);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_key_of_another_child),
      cmocka_unit_test(test_key_of_an_ancestor),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
