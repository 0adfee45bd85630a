#include <string.h>

#include "node_internal.h"

/* DESIGN section 4, "Authority": from a child, only origins standing in its subtree are taken;
 * from the parent, only origins that don't stand in ours. */
static bool comes_from_there(const struct repl_node *node, const struct link *from,
                             const struct address *origin)
{
  if (from == NULL) {
    return true; /* a bundle: the origin's own direction is the sender's */
  }
  if (from->is_parent) {
    return !address_within(origin, &node->settings.self);
  }
  return address_within(origin, &from->address);
}

enum verdict node_judge_commit(const struct repl_node *node, const struct link *from,
                               const struct commit *commit, struct wall_ms wall)
{
  size_t index = certificates_find(&node->certificates, &commit->header.certificate);
  if (index == 0) {
    return VERDICT_UNKNOWN_CERTIFICATE;
  }
  const struct certificate *certificate = &node->certificates.items[index - 1]->certificate;
  if (memcmp(certificate->key.octets, commit->header.origin.octets, KEY_SIZE) != 0 ||
      certificate->address.size == 0) {
    return VERDICT_BAD_CHAIN;
  }
  if (!comes_from_there(node, from, &certificate->address)) {
    return VERDICT_OUT_OF_SUBTREE;
  }
  /* Certificates are judged once, by the origin's parent and its clock. A backlog signed under one
   * that has expired passes when the same key has been renewed meanwhile. */
  if (address_is_child(&certificate->address, &node->settings.self)) {
    const struct certificate *holds =
        certificates_of_key(&node->certificates, &certificate->key, &certificate->address);
    uint64_t now_s = wall.ms < 0 ? 0 : (uint64_t)wall.ms / 1000;
    return certificate_check_time(holds != NULL ? holds : certificate, now_s);
  }
  return VERDICT_OK;
}
