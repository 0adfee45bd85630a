// links: record replication sodium PkgConfig::ZSTD
/* What a node judges and refuses, asks for again, and answers; and a node without room. */
#include "repl_world.h"

/* A street with a parent above and a community below; either may be a puppet. */
struct tree {
  struct world world;
  struct world_node *parent;
  struct world_node *node;
  struct world_node *child;
  struct world_conn *up;
  struct world_conn *down;
};

static void tree_open(struct tree *tree, const char *test, bool puppet)
{
  world_open(&tree->world, test);
  tree->parent = node_add(&tree->world, "d", puppet);
  tree->node = node_add(&tree->world, "d/s", false);
  tree->child = node_add(&tree->world, "d/s/c", puppet);
  tree->up = conn_add(&tree->world, tree->node, tree->parent);
  tree->down = conn_add(&tree->world, tree->child, tree->node);
  for (size_t i = 0; i < tree->world.node_count; i++) {
    if (!tree->world.nodes[i].puppet) {
      node_start(&tree->world.nodes[i]);
    }
  }
}

/* With both puppets up and acquainted. */
static void puppets_open(struct tree *tree, const char *test)
{
  tree_open(tree, test, true);
  conn_up(tree->up);
  conn_up(tree->down);
  puppet_hello(tree->parent, ROLE_PARENT);
  puppet_hello(tree->child, ROLE_CHILD);
  world_run(&tree->world, 20);
  assert_int_equal(tree->node->ups, 2);
}

static struct kept_commit *commit_of(struct world_node *node, unsigned lane)
{
  struct commit_wish wish = {.lane = lane};
  return commit_make(node, &wish);
}

static size_t wants_of_log(const struct world_node *puppet)
{
  size_t count = 0;
  for (size_t i = 0; i < puppet->inbox_count; i++) {
    const struct message *message = puppet->inbox[i];
    count += message->type == MESSAGE_WANT && message->want.what == WANT_LOG;
  }
  return count;
}

/* Refusals in all acks that the puppet got. */
static size_t refusals_told(const struct world_node *puppet)
{
  size_t count = 0;
  for (size_t i = 0; i < puppet->inbox_count; i++) {
    if (puppet->inbox[i]->type == MESSAGE_ACK) {
      count += puppet->inbox[i]->ack.refusal_count;
    }
  }
  return count;
}

static uint64_t acked_position(const struct world_node *puppet, unsigned lane)
{
  uint64_t position = 0;
  for (size_t i = 0; i < puppet->inbox_count; i++) {
    const struct message_ack *ack = &puppet->inbox[i]->ack;
    for (unsigned j = 0; puppet->inbox[i]->type == MESSAGE_ACK && j < ack->lane_count; j++) {
      position = ack->lanes[j].lane == lane ? ack->lanes[j].position : position;
    }
  }
  return position;
}

static void send_certificate(struct world_node *puppet, const struct bytes *certificate)
{
  struct bytes octets = {0};
  assert_ok(message_write_certificate(bytes_as_view(certificate), &octets));
  puppet_send(puppet, &octets);
}

static void test_three_tiers(void **state)
{
  static struct tree tree;
  struct commit_wish wish = {.lane = LANE_NORMAL};
  (void)state;
  tree_open(&tree, "three tiers", false);
  conn_up(tree.up);
  conn_up(tree.down);
  for (unsigned i = 0; i < 50; i++) {
    node_say(tree.child, &wish);
    node_say(tree.parent, &wish);
    world_run(&tree.world, 3);
  }
  world_run(&tree.world, 200);
  assert_int_equal(node_holds(tree.parent, tree.child, LANE_NORMAL), 50);
  assert_int_equal(node_holds(tree.child, tree.parent, LANE_NORMAL), 50);
  world_close(&tree.world);
}

/* ---- authority ---- */

static void test_origin_outside_the_subtree(void **state)
{
  static struct tree tree;
  (void)state;
  puppets_open(&tree, "outside");
  struct kept_commit *theirs = commit_of(tree.parent, LANE_NORMAL);
  struct kept_commit *own = commit_of(tree.child, LANE_NORMAL);
  struct kept_commit *both[2] = {theirs, own};
  puppet_commits(tree.child, LANE_NORMAL, 1, both, 2);
  world_run(&tree.world, 20);
  assert_int_equal(tree.node->refused_count, 1);
  assert_int_equal(tree.node->refused[0].verdict, VERDICT_OUT_OF_SUBTREE);
  assert_int_equal(node_holds(tree.node, tree.child, LANE_NORMAL), 1); /* the rest flows on */
  assert_int_equal(refusals_told(tree.child), 1);
  assert_int_equal(acked_position(tree.child, LANE_NORMAL), 2);
  /* The parent may bring its own, but nothing of ours or below us. */
  struct kept_commit *below = commit_of(tree.child, LANE_NORMAL);
  puppet_commits(tree.parent, LANE_NORMAL, 1, &theirs, 1);
  puppet_commits(tree.parent, LANE_NORMAL, 2, &below, 1);
  world_run(&tree.world, 20);
  assert_int_equal(node_holds(tree.node, tree.parent, LANE_NORMAL), 1);
  assert_int_equal(tree.node->refused_count, 2);
  assert_int_equal(tree.node->refused[1].verdict, VERDICT_OUT_OF_SUBTREE);
  world_close(&tree.world);
}

/* A signature with one bit turned: refused, and asked for again at the next hello. */
static void test_forged_signature(void **state)
{
  static struct tree tree;
  uint8_t forged[4096];
  (void)state;
  puppets_open(&tree, "forged");
  struct kept_commit *good = commit_of(tree.child, LANE_NORMAL);
  struct commit commit;
  assert_int_equal(commit_read(good->octets, &tree.world.arena, &commit), VERDICT_OK);
  assert_true(good->octets.size <= sizeof(forged));
  memcpy(forged, good->octets.data, good->octets.size);
  forged[commit.signature.data - good->octets.data + 5] ^= 1;
  struct kept_commit *bad = commit_keep(&tree.world, bytes_view_of(forged, good->octets.size));
  puppet_commits(tree.child, LANE_NORMAL, 1, &bad, 1);
  world_run(&tree.world, 20);
  assert_int_equal(tree.node->refused[0].verdict, VERDICT_BAD_SIGNATURE);
  assert_int_equal(wants_of_log(tree.child), 0);
  conn_drop(tree.down);
  world_carry(&tree.world);
  conn_up(tree.down);
  puppet_hello(tree.child, ROLE_CHILD);
  world_run(&tree.world, 20);
  assert_int_equal(wants_of_log(tree.child), 1);
  assert_int_equal(puppet_last(tree.child, MESSAGE_WANT)->want.seq, 1);
  puppet_commits(tree.child, LANE_NORMAL, 0, &good, 1);
  world_run(&tree.world, 20);
  assert_int_equal(node_holds(tree.node, tree.child, LANE_NORMAL), 1);
  conn_drop(tree.down);
  world_carry(&tree.world);
  conn_up(tree.down);
  puppet_hello(tree.child, ROLE_CHILD);
  world_run(&tree.world, 20);
  assert_int_equal(wants_of_log(tree.child), 1); /* it is settled */
  world_close(&tree.world);
}

/* ---- certificates ---- */

/* A grid below the puppet, of which the node knows nothing. */
static struct world_node *stranger(struct tree *tree)
{
  return node_add(&tree->world, "d/s/c/g", true);
}

static void test_unknown_certificate_then_it_comes(void **state)
{
  static struct tree tree;
  (void)state;
  puppets_open(&tree, "unknown certificate");
  struct world_node *grid = stranger(&tree);
  struct kept_commit *commit = commit_of(grid, LANE_NORMAL);
  puppet_commits(tree.child, LANE_NORMAL, 1, &commit, 1);
  world_run(&tree.world, 50);
  assert_int_equal(tree.node->refused[0].verdict, VERDICT_UNKNOWN_CERTIFICATE);
  assert_int_equal(refusals_told(tree.child), 1);
  const struct message *want = puppet_last(tree.child, MESSAGE_WANT);
  assert_non_null(want);
  assert_int_equal(want->want.what, WANT_CERTIFICATE);
  assert_true(hash_equal(&want->want.certificate, &grid->certificate_id));
  assert_int_equal(wants_of_log(tree.child), 0);
  send_certificate(tree.child, &grid->certificate);
  world_run(&tree.world, 50);
  assert_int_equal(wants_of_log(tree.child), 1);
  puppet_commits(tree.child, LANE_NORMAL, 0, &commit, 1);
  world_run(&tree.world, 50);
  assert_int_equal(node_holds(tree.node, grid, LANE_NORMAL), 1);
  world_close(&tree.world);
}

/* It comes while the refusal is on its way to the disk: the log is wanted when that is done. */
static void test_certificate_overtakes_the_refusal(void **state)
{
  static struct tree tree;
  (void)state;
  puppets_open(&tree, "overtaken");
  struct world_node *grid = stranger(&tree);
  struct kept_commit *commit = commit_of(grid, LANE_NORMAL);
  tree.node->fsync_us = 500000;
  puppet_commits(tree.child, LANE_NORMAL, 1, &commit, 1);
  send_certificate(tree.child, &grid->certificate);
  world_run(&tree.world, 300);
  assert_int_equal(wants_of_log(tree.child), 0);
  world_run(&tree.world, 300);
  assert_int_equal(wants_of_log(tree.child), 1);
  world_close(&tree.world);
}

static void test_certificate_of_nobody(void **state)
{
  static struct tree tree;
  static const uint8_t junk[] = {1, 2, 3};
  struct bytes certificate = {0};
  struct hash id;
  uint8_t secret[64];
  struct node_key key;
  (void)state;
  puppets_open(&tree, "nobody");
  keypair_make(&tree.world, &key, secret);
  struct address address = address_of("d/s/c/g");
  certificate_make(&certificate, &id, &key, &address, secret); /* issued by itself */
  send_certificate(tree.child, &certificate);
  certificate.size = 0;
  assert_ok(bytes_append(&certificate, junk, sizeof(junk)));
  send_certificate(tree.child, &certificate);
  world_run(&tree.world, 50);
  assert_int_equal(tree.node->notices, 2);
  assert_null(repl_node_certificate(tree.node->node, &id));
  assert_int_equal(tree.node->disconnects, 0);
  bytes_close(&certificate);
  world_close(&tree.world);
}

/* A certificate travels before the first commit that names it, once a connection. */
static void test_certificate_before_first_use(void **state)
{
  static struct tree tree;
  struct commit_wish wish = {.lane = LANE_NORMAL};
  (void)state;
  puppets_open(&tree, "first use");
  node_say(tree.node, &wish);
  node_say(tree.node, &wish);
  world_run(&tree.world, 50);
  size_t certificate = 0, commits = 0;
  for (size_t i = tree.child->inbox_count; i > 0; i--) {
    const struct message *message = tree.child->inbox[i - 1];
    if (message->type == MESSAGE_COMMITS) {
      commits = i;
    } else if (message->type == MESSAGE_CERTIFICATE && certificate == 0) {
      certificate = i;
    }
  }
  assert_true(certificate > 0 && certificate < commits);
  assert_int_equal(puppet_count(tree.child, MESSAGE_CERTIFICATE), 3); /* root's, d's, d/s's */
  world_close(&tree.world);
}

static void test_certificate_is_wanted(void **state)
{
  static struct tree tree;
  struct message_want want = {.what = WANT_CERTIFICATE};
  struct bytes octets = {0};
  (void)state;
  puppets_open(&tree, "want certificate");
  want.certificate = tree.parent->certificate_id;
  assert_ok(message_write_want(&want, &octets));
  puppet_send(tree.child, &octets);
  memset(want.certificate.octets, 7, HASH_SIZE); /* nobody's: no answer */
  assert_ok(message_write_want(&want, &octets));
  puppet_send(tree.child, &octets);
  world_run(&tree.world, 20);
  assert_int_equal(puppet_count(tree.child, MESSAGE_CERTIFICATE), 1);
  assert_true(bytes_view_equal(puppet_last(tree.child, MESSAGE_CERTIFICATE)->certificate,
                               bytes_as_view(&tree.parent->certificate)));
  world_close(&tree.world);
}

/* ---- quarantine ---- */

/* A hole is asked for at once, and once a connection. */
static void test_gap(void **state)
{
  static struct tree tree;
  struct kept_commit *commits[4];
  (void)state;
  puppets_open(&tree, "gap");
  for (unsigned i = 0; i < 4; i++) {
    commits[i] = commit_of(tree.child, LANE_NORMAL);
  }
  puppet_commits(tree.child, LANE_NORMAL, 1, commits + 1, 3);
  world_run(&tree.world, 50);
  assert_int_equal(tree.node->refused_count, 3);
  assert_int_equal(wants_of_log(tree.child), 1);
  assert_int_equal(puppet_last(tree.child, MESSAGE_WANT)->want.seq, 1);
  assert_int_equal(acked_position(tree.child, LANE_NORMAL), 3);
  puppet_commits(tree.child, LANE_NORMAL, 0, commits, 4);
  world_run(&tree.world, 50);
  assert_int_equal(node_holds(tree.node, tree.child, LANE_NORMAL), 4);
  assert_int_equal(wants_of_log(tree.child), 1);
  world_close(&tree.world);
}

/* Refused commits of 300 logs in one transaction: each is listed before its position is
 * acknowledged, and 256 of the logs are kept in mind. */
static void test_quarantine_is_bounded(void **state)
{
  static struct tree tree;
  struct commit_wish wish = {.lane = LANE_NORMAL};
  (void)state;
  puppets_open(&tree, "bounded");
  tree.node->fsync_us = 300000;
  for (unsigned i = 0; i < 300; i++) {
    random_fill(&tree.world.random, tree.parent->store.octets, STORE_ID_SIZE);
    struct kept_commit *commit = commit_make(tree.parent, &wish);
    puppet_commits(tree.child, LANE_NORMAL, i + 1, &commit, 1);
  }
  world_run(&tree.world, 1000);
  assert_int_equal(tree.node->refused_count, 300);
  assert_int_equal(refusals_told(tree.child), 300);
  assert_int_equal(acked_position(tree.child, LANE_NORMAL), 300);
  /* The acknowledgement comes in the last ack that lists. */
  const struct message *last = puppet_last(tree.child, MESSAGE_ACK);
  assert_int_equal(last->ack.lane_count, 1);
  struct repl_event retry = {.type = REPL_RETRY, .neighbour = 2};
  node_event(tree.node, &retry);
  world_run(&tree.world, 100);
  assert_int_equal(wants_of_log(tree.child), REPL_QUARANTINED_MAX);
  world_close(&tree.world);
}

/* Remembered at start; forgotten when the log goes on from somewhere else. */
static void test_quarantine_at_start(void **state)
{
  static struct tree tree;
  (void)state;
  tree_open(&tree, "at start", true);
  struct kept_commit *commit = commit_of(tree.child, LANE_BULK);
  struct log_name name = name_of(&commit->header);
  struct repl_refused refused = {.log = name, .seq = 1, .want_seq = 1};
  repl_node_add_quarantined(tree.node->node, 2, &refused);
  conn_up(tree.down);
  puppet_hello(tree.child, ROLE_CHILD);
  world_run(&tree.world, 20);
  assert_int_equal(wants_of_log(tree.child), 1);
  puppet_commits(tree.child, LANE_BULK, 1, &commit, 1);
  world_run(&tree.world, 20);
  struct repl_event retry = {.type = REPL_RETRY, .neighbour = 2};
  node_event(tree.node, &retry);
  world_run(&tree.world, 20);
  assert_int_equal(wants_of_log(tree.child), 1);
  world_close(&tree.world);
}

/* Places 2 and 4 were refused: that 4 comes by itself does not make 2 good, what is asked for and
 * comes in order does. */
static void test_quarantine_has_a_range(void **state)
{
  static struct tree tree;
  struct kept_commit *commits[4];
  struct repl_event retry = {.type = REPL_RETRY, .neighbour = 2};
  (void)state;
  puppets_open(&tree, "range");
  for (unsigned i = 0; i < 4; i++) {
    commits[i] = commit_of(tree.child, LANE_NORMAL);
  }
  puppet_commits(tree.child, LANE_NORMAL, 1, commits, 4);
  world_run(&tree.world, 50);
  struct repl_refused refused = {
      .log = name_of(&commits[0]->header), .seq = 4, .want_seq = 4, .verdict = VERDICT_BAD_CHAIN};
  repl_node_add_quarantined(tree.node->node, 2, &refused);
  refused.seq = refused.want_seq = 2;
  repl_node_add_quarantined(tree.node->node, 2, &refused);
  puppet_commits(tree.child, LANE_NORMAL, 5, commits + 3, 1);
  world_run(&tree.world, 50);
  assert_int_equal(tree.node->passed_seq, 0);
  node_event(tree.node, &retry);
  world_run(&tree.world, 50);
  assert_int_equal(puppet_last(tree.child, MESSAGE_WANT)->want.seq, 2);
  puppet_commits(tree.child, LANE_NORMAL, 0, commits + 2, 1); /* 2 is not shown to us any more */
  world_run(&tree.world, 50);
  assert_int_equal(tree.node->passed_seq, 4);
  puppet_commits(tree.child, LANE_NORMAL, 0, commits + 3, 1);
  world_run(&tree.world, 50);
  assert_int_equal(tree.node->passed_seq, 5);
  node_event(tree.node, &retry);
  world_run(&tree.world, 50);
  assert_int_equal(wants_of_log(tree.child), 1);
  world_close(&tree.world);
}

/* A clock that was wrong judged; once it is set right, what it refused is asked for again. */
static void test_quarantine_after_clock_is_set(void **state)
{
  static struct tree tree;
  struct repl_event tick = {.type = REPL_TICK};
  (void)state;
  puppets_open(&tree, "clock is set");
  tree.world.wall_step_ms = INT64_C(100) * 366 * 86400 * 1000; /* past any certificate */
  struct kept_commit *commit = commit_of(tree.child, LANE_NORMAL);
  puppet_commits(tree.child, LANE_NORMAL, 1, &commit, 1);
  world_run(&tree.world, 50);
  assert_int_equal(tree.node->refused_count, 1);
  assert_int_equal(wants_of_log(tree.child), 0);
  tree.world.wall_step_ms += 50000; /* drift */
  node_event(tree.node, &tick);
  world_run(&tree.world, 50);
  assert_int_equal(wants_of_log(tree.child), 0);
  tree.world.wall_step_ms = 0;
  node_event(tree.node, &tick);
  world_run(&tree.world, 50);
  assert_int_equal(wants_of_log(tree.child), 1);
  puppet_commits(tree.child, LANE_NORMAL, 0, &commit, 1);
  world_run(&tree.world, 50);
  assert_int_equal(node_holds(tree.node, tree.child, LANE_NORMAL), 1);
  world_close(&tree.world);
}

static void test_bundle(void **state)
{
  static struct tree tree;
  struct repl_event event = {.type = REPL_MESSAGE};
  (void)state;
  tree_open(&tree, "bundle", true);
  struct world_node *grid = stranger(&tree);
  struct kept_commit *commit = commit_of(grid, LANE_NORMAL);
  assert_ok(message_of_certificate(bytes_as_view(&grid->certificate), &event.message));
  node_event(tree.node, &event);
  message_release(event.message);
  assert_ok(message_of_commit(commit->octets, &event.message));
  node_event(tree.node, &event);
  message_release(event.message);
  world_run(&tree.world, 50);
  assert_int_equal(node_holds(tree.node, grid, LANE_NORMAL), 1);
  world_close(&tree.world);
}

static void test_refusals_are_persisted(void **state)
{
  static struct tree tree;
  struct message_ack ack = {.refusal_count = 2};
  struct refusal refusals[2] = {{.seq = 4, .verdict = VERDICT_FORK}, {.seq = 9, .verdict = 200}};
  struct bytes octets = {0};
  (void)state;
  puppets_open(&tree, "refusals");
  ack.refusals = refusals;
  assert_ok(message_write_ack(&ack, &octets));
  puppet_send(tree.child, &octets);
  world_run(&tree.world, 20);
  assert_int_equal(tree.node->refusals_told, 2);
  world_close(&tree.world);
}

/* ---- room ---- */

static void set_room(struct world_node *node, bool room)
{
  struct repl_event event = {.type = REPL_ROOM, .room = room};
  node_event(node, &event);
}

/* Without room nothing new is taken, the connections stand, what goes the other way goes on; with
 * room again everything comes, once. */
static void test_no_room_and_room_again(void **state)
{
  static struct tree tree;
  struct commit_wish wish = {.lane = LANE_NORMAL, .octets = 2000};
  (void)state;
  tree_open(&tree, "room", false);
  conn_up(tree.up);
  conn_up(tree.down);
  world_run(&tree.world, 20);
  set_room(tree.node, false);
  for (unsigned i = 0; i < 30; i++) {
    node_say(tree.child, &wish); /* the first of these cross with our busy */
  }
  node_say(tree.node, &wish);
  world_run(&tree.world, 120000);
  assert_int_equal(tree.node->disconnects + tree.child->disconnects, 0);
  assert_int_equal(node_holds(tree.node, tree.child, LANE_NORMAL), 0);
  assert_int_equal(node_holds(tree.child, tree.node, LANE_NORMAL), 1);
  assert_int_equal(tree.child->hold_ms, 30000);
  set_room(tree.node, true);
  world_run(&tree.world, 20);
  if (!tree.down->up) { /* it starts over where commits were left */
    conn_up(tree.down);
  }
  world_run(&tree.world, 500);
  assert_int_equal(node_holds(tree.node, tree.child, LANE_NORMAL), 30);
  assert_int_equal(node_holds(tree.parent, tree.child, LANE_NORMAL), 30);
  assert_int_equal(tree.node->refused_count, 0);
  world_close(&tree.world);
}

/* A neighbour that comes while there is no room: its backlog crosses with our busy, and that must
 * not end the connection again and again. */
static void test_connects_without_room(void **state)
{
  static struct tree tree;
  struct commit_wish wish = {.lane = LANE_NORMAL, .octets = 2000};
  (void)state;
  tree_open(&tree, "connects without room", false);
  set_room(tree.node, false);
  for (unsigned i = 0; i < 30; i++) {
    node_say(tree.child, &wish);
  }
  conn_up(tree.down);
  world_run(&tree.world, 60000);
  assert_true(tree.down->up);
  assert_int_equal(tree.node->disconnects, 0);
  assert_int_equal(node_holds(tree.node, tree.child, LANE_NORMAL), 0);
  set_room(tree.node, true);
  assert_false(tree.down->up);
  assert_string_equal(tree.node->reason, "room again, starting over from the cursor");
  conn_up(tree.down);
  world_run(&tree.world, 500);
  assert_int_equal(node_holds(tree.node, tree.child, LANE_NORMAL), 30);
  world_close(&tree.world);
}

/* The peer's busy runs out by itself: sending goes on at that moment, with nothing heard. */
static void test_hold_runs_out(void **state)
{
  static struct tree tree;
  struct commit_wish wish = {.lane = LANE_NORMAL};
  struct bytes octets = {0};
  (void)state;
  puppets_open(&tree, "hold");
  assert_ok(message_write_busy(5000, &octets));
  puppet_send(tree.child, &octets);
  world_run(&tree.world, 20);
  assert_int_equal(tree.node->hold_ms, 5000);
  node_say(tree.node, &wish);
  world_run(&tree.world, 4900);
  assert_int_equal(puppet_count(tree.child, MESSAGE_COMMITS), 0);
  world_run(&tree.world, 200);
  assert_int_equal(puppet_count(tree.child, MESSAGE_COMMITS), 1);
  world_close(&tree.world);
}

static void test_hold_is_lifted(void **state)
{
  static struct tree tree;
  struct commit_wish wish = {.lane = LANE_NORMAL};
  struct bytes octets = {0};
  (void)state;
  puppets_open(&tree, "lifted");
  assert_ok(message_write_busy(3600000, &octets));
  puppet_send(tree.child, &octets);
  world_run(&tree.world, 20);
  node_say(tree.node, &wish);
  world_run(&tree.world, 100);
  assert_int_equal(puppet_count(tree.child, MESSAGE_COMMITS), 0);
  assert_ok(message_write_busy(0, &octets));
  puppet_send(tree.child, &octets);
  world_run(&tree.world, 20);
  assert_int_equal(puppet_count(tree.child, MESSAGE_COMMITS), 1);
  world_close(&tree.world);
}

/* ---- questions ---- */

static void ask(struct world_node *node, uint16_t neighbour, uint64_t id)
{
  struct repl_event event = {.type = REPL_ASK, .neighbour = neighbour};
  event.ask = (struct message_query){id, bytes_view_text("tree"), 5000, bytes_view_text("body")};
  node_event(node, &event);
}

/* A large answer on its way; an urgent commit passes it. */
static void test_large_answer_and_urgent(void **state)
{
  static struct tree tree;
  struct commit_wish wish = {.lane = LANE_URGENT};
  (void)state;
  tree_open(&tree, "answer", false);
  conn_speed(tree.down, 200000, 10);
  conn_up(tree.down);
  world_run(&tree.world, 100);
  tree.child->answer_octets = 1024 * 1024;
  ask(tree.node, 2, 77);
  world_run(&tree.world, 2000);
  assert_int_equal(tree.child->queries, 1);
  assert_int_equal(tree.node->answers, 0);
  node_say(tree.child, &wish);
  int64_t took = world_run_until(&tree.world, 5000, tree.node, tree.child, LANE_URGENT, 1);
  assert_in_range(took, 1, 700);
  assert_int_equal(tree.node->answers, 0);
  world_run(&tree.world, 15000);
  assert_int_equal(tree.node->answers, 1);
  assert_int_equal(tree.node->answer_size, 1024 * 1024);
  world_close(&tree.world);
}

/* An answer beyond the limit is said to be, instead of ending the connection. */
static void test_answer_too_large(void **state)
{
  static struct tree tree;
  (void)state;
  tree_open(&tree, "too large", false);
  conn_up(tree.down);
  world_run(&tree.world, 100);
  tree.child->answer_octets = ANSWER_BYTES_MAX - 32;
  ask(tree.node, 2, 1);
  world_run(&tree.world, 30000);
  assert_int_equal(tree.node->answers, 1);
  assert_int_equal(tree.node->answer_status, STATUS_OK);
  assert_int_equal(tree.node->answer_size, ANSWER_BYTES_MAX - 32);
  tree.child->answer_octets = ANSWER_BYTES_MAX;
  ask(tree.node, 2, 2);
  world_run(&tree.world, 1000);
  assert_int_equal(tree.node->answers, 2);
  assert_int_equal(tree.node->answer_status, STATUS_TOO_LARGE);
  assert_int_equal(tree.node->answer_size, 0);
  world_close(&tree.world);
}

/* Who asks and doesn't read is answered up to the limits. */
static void test_answers_are_bounded(void **state)
{
  static struct tree tree;
  (void)state;
  puppets_open(&tree, "answers bounded");
  tree.node->answer_octets = 3 * 1024 * 1024;
  for (unsigned i = 0; i < 40; i++) {
    struct message_query query = {i, bytes_view_text("tree"), 5000, {0}};
    struct bytes octets = {0};
    assert_ok(message_write_query(&query, &octets));
    puppet_send(tree.child, &octets);
  }
  world_run(&tree.world, 100);
  assert_int_equal(tree.node->queries, 40);
  struct repl_link_figures figures;
  assert_true(repl_link_figures(tree.node->node, 2, &figures));
  assert_true(figures.sent_octets < 64 * 1024); /* the window; two of them wait */
  assert_int_equal(tree.node->disconnects, 0);
  world_close(&tree.world);
}

static void test_nobody_to_ask(void **state)
{
  static struct tree tree;
  (void)state;
  tree_open(&tree, "nobody to ask", true);
  ask(tree.node, 2, 5);
  assert_int_equal(tree.node->answers_missing, 1);
  world_close(&tree.world);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_three_tiers),
      cmocka_unit_test(test_origin_outside_the_subtree),
      cmocka_unit_test(test_forged_signature),
      cmocka_unit_test(test_unknown_certificate_then_it_comes),
      cmocka_unit_test(test_certificate_overtakes_the_refusal),
      cmocka_unit_test(test_certificate_of_nobody),
      cmocka_unit_test(test_certificate_before_first_use),
      cmocka_unit_test(test_certificate_is_wanted),
      cmocka_unit_test(test_gap),
      cmocka_unit_test(test_quarantine_is_bounded),
      cmocka_unit_test(test_quarantine_at_start),
      cmocka_unit_test(test_quarantine_has_a_range),
      cmocka_unit_test(test_quarantine_after_clock_is_set),
      cmocka_unit_test(test_bundle),
      cmocka_unit_test(test_refusals_are_persisted),
      cmocka_unit_test(test_no_room_and_room_again),
      cmocka_unit_test(test_connects_without_room),
      cmocka_unit_test(test_hold_runs_out),
      cmocka_unit_test(test_hold_is_lifted),
      cmocka_unit_test(test_large_answer_and_urgent),
      cmocka_unit_test(test_answer_too_large),
      cmocka_unit_test(test_answers_are_bounded),
      cmocka_unit_test(test_nobody_to_ask),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
