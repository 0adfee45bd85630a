// links: storage PkgConfig::ZSTD PkgConfig::SODIUM
/*
 * A whole tree of stores under random talk, random carrying and late children: once all is
 * carried, every node holds exactly what the audience says, whatever the order was.
 */
#include "store_world.h"

#include "random_source.h"

#define SUBJECTS_MAX 40
#define SAID_MAX 400

struct said {
  size_t subject;
  size_t actor;
  uint8_t up;
  const char *down[2];
  bool effective;
};

struct tree {
  struct world world;
  struct random_source random;
  struct subject subjects[SUBJECTS_MAX];
  size_t founders[SUBJECTS_MAX];
  size_t subject_count;
  struct said said[SAID_MAX];
  size_t said_count;
  size_t duplicates;
};

static const char *const places[] = {"d",      "d/s",   "d/t",     "d/s/c",   "d/s/k",
                                     "d/s/@u", "d/t/m", "d/s/c/g", "d/s/c/h", "d/s/c/@v"};
#define PLACES (sizeof(places) / sizeof(places[0]))

static int setup(void **state)
{
  struct tree *tree = test_calloc(1, sizeof(*tree));
  world_open(&tree->world);
  for (size_t i = 0; i < PLACES; i++) {
    actor_add(&tree->world, places[i]);
  }
  for (size_t i = 0; i < PLACES; i++) {
    actor_open(&tree->world, &tree->world.actors[i]);
  }
  *state = tree;
  return 0;
}

static int teardown(void **state)
{
  struct tree *tree = *state;
  world_close(&tree->world);
  test_free(tree);
  return 0;
}

static struct actor *parent_of(struct tree *tree, const struct actor *actor)
{
  struct address parent;
  assert_true(address_parent(&actor->address, &parent));
  return parent.size == 0 ? NULL : actor_find(&tree->world, parent.text);
}

static void backfill(struct tree *tree, struct actor *actor, size_t subjects_max)
{
  bool done = false;
  struct store_txn *txn = txn_begin(&tree->world, actor);
  assert_ok(store_backfill_step(txn, subjects_max, &done));
  assert_ok(store_commit(txn));
}

/* Up and down between a child and its parent, where they know each other. */
static size_t carry(struct tree *tree, struct actor *child, bool up)
{
  struct actor *parent = parent_of(tree, child);
  struct shipped shipped;
  if (parent == NULL || (!up && neighbour_of(parent, child) == 0)) {
    return 0;
  }
  shipped = up ? ship(&tree->world, child, parent) : ship(&tree->world, parent, child);
  tree->duplicates += shipped.duplicates;
  return shipped.commits;
}

static const char *target_random(struct tree *tree)
{
  static const char *const targets[] = {"d/s",   "d/t/m", "d/s/@u", "d/s/c/g", "d/s/c/*",
                                        "d/s/k", "d/*",   "d/s/*",  "d/t",     "d/s/c/@v"};
  size_t count = sizeof(targets) / sizeof(targets[0]);
  return random_below(&tree->random, 3) == 0 ? targets[random_below(&tree->random, count)] : NULL;
}

/* One or several records in one commit, on new subjects or on such as the speaker holds. */
static void speak(struct tree *tree)
{
  size_t speaker = random_below(&tree->random, PLACES);
  struct actor *actor = &tree->world.actors[speaker];
  struct say says[4];
  size_t count = 0;
  for (size_t wanted = 1 + random_below(&tree->random, 4); wanted > 0; wanted--) {
    bool found = tree->subject_count < SUBJECTS_MAX && random_below(&tree->random, 3) == 0;
    size_t subject = found ? tree->subject_count : random_below(&tree->random, SUBJECTS_MAX);
    if (tree->said_count == SAID_MAX || (!found && subject >= tree->subject_count)) {
      continue;
    }
    if (!found && subject_count(&tree->world, actor, &tree->subjects[subject]).records == 0 &&
        random_below(&tree->random, 10) != 0) {
      continue;
    }
    struct said *said = &tree->said[tree->said_count++];
    *said = (struct said){subject, speaker, (uint8_t)random_below(&tree->random, 5), {NULL}, false};
    said->down[0] = target_random(tree);
    says[count++] = (struct say){.subject = &tree->subjects[subject],
                                 .found = found,
                                 .up = said->up,
                                 .down = {said->down[0]}};
    if (found) {
      tree->founders[tree->subject_count++] = speaker;
    }
  }
  if (count > 0) {
    actor_say(&tree->world, actor, (unsigned)random_below(&tree->random, 3), says, count);
  }
}

static void settle(struct tree *tree)
{
  size_t moved = 1;
  for (size_t i = 0; i < PLACES; i++) {
    struct actor *parent = parent_of(tree, &tree->world.actors[i]);
    if (parent != NULL) {
      neighbour_add(&tree->world, parent, &tree->world.actors[i]);
    }
  }
  for (size_t turn = 0; moved > 0; turn++) {
    assert_true(turn < 100);
    moved = 0;
    for (size_t i = 0; i < PLACES; i++) {
      backfill(tree, &tree->world.actors[i], 1000);
      moved += carry(tree, &tree->world.actors[i], true);
      moved += carry(tree, &tree->world.actors[i], false);
    }
  }
}

/* The audience that all records give, from a god's eye. */
static void audience_of_all(struct tree *tree, size_t subject, struct audience *out)
{
  bool again = true;
  assert_ok(audience_found(out, &tree->world.actors[tree->founders[subject]].address));
  while (again) {
    again = false;
    for (size_t i = 0; i < tree->said_count; i++) {
      struct said *said = &tree->said[i];
      struct bytes down = {0};
      struct record_header header = {.up = said->up};
      unsigned refused = 0;
      bool grew = false;
      if (said->subject != subject || said->effective) {
        continue;
      }
      if (said->down[0] != NULL) {
        struct writer writer;
        writer_init(&writer, &down);
        writer_text(&writer, said->down[0]);
        header.down_count = 1;
        header.down = bytes_as_view(&down);
      }
      assert_ok(audience_add_record(out, &tree->world.actors[said->actor].address, &header,
                                    &said->effective, &refused, &grew));
      again = again || grew;
      bytes_close(&down);
    }
  }
}

static void subject_check(struct tree *tree, size_t subject)
{
  struct audience audience = {0};
  audience_of_all(tree, subject, &audience);
  for (size_t i = 0; i < PLACES; i++) {
    struct actor *actor = &tree->world.actors[i];
    bool reader = audience_has_reader(&audience, &actor->address);
    size_t expected = 0;
    size_t held = subject_count(&tree->world, actor, &tree->subjects[subject]).records;
    for (size_t j = 0; j < tree->said_count; j++) {
      const struct said *said = &tree->said[j];
      expected += said->subject == subject && (said->actor == i || (said->effective && reader));
    }
    if (held != expected) {
      fail_msg("subject %zu at %s: %zu records held, %zu expected", subject, places[i], held,
               expected);
    }
  }
  audience_close(&audience);
}

static void test_tree(void **state)
{
  struct tree *tree = *state;
  tree->random = random_source_start("store_tree");
  for (size_t step = 0; step < 500; step++) {
    struct actor *actor = &tree->world.actors[random_below(&tree->random, PLACES)];
    struct actor *parent = parent_of(tree, actor);
    switch (random_below(&tree->random, 10)) {
    case 0:
      if (parent != NULL) {
        neighbour_add(&tree->world, parent, actor);
      }
      break;
    case 1:
      backfill(tree, actor, 1 + random_below(&tree->random, 3));
      break;
    case 2:
    case 3:
    case 4:
      carry(tree, actor, true);
      break;
    case 5:
    case 6:
      carry(tree, actor, false);
      break;
    default:
      speak(tree);
      break;
    }
  }
  settle(tree);
  for (size_t i = 0; i < tree->subject_count; i++) {
    subject_check(tree, i);
  }
  print_message("%zu records, %zu subjects\n", tree->said_count, tree->subject_count);
  assert_int_equal(tree->duplicates, 0);
  world_verify(&tree->world);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_tree, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
