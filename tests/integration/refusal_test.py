#!/usr/bin/python3
"""Logs that lie, each judged by its own fault while the others flow on."""
import os
import random

import nacl.signing

import noded_format as form
from forge import Forger, certified
from support import TreeTest, ctl_json, encode, main


class RefusalTest(TreeTest):
    def setUp(self):
        super().setUp()
        self.nodes = self.whole_tree()
        self.community = self.nodes[2]
        self.honest = certified(self.tree, "d/s/c/honest")
        self.subjects = set()

    def offer(self, octets, node=None):
        return (node or self.community).call("log.import", octets=octets)

    def assert_verdict(self, answer, verdict, count=1):
        verdicts = [refusal["verdict"] for refusal in answer["refusals"]]
        allowed = (verdict,) if isinstance(verdict, str) else verdict
        self.assertEqual(len([v for v in verdicts if v in allowed]), count, answer)

    def assert_honest_flows(self):
        """A log beside the bad ones is taken and reaches the district."""
        record = self.honest.report("honest")
        answer = self.offer(self.honest.bundle(self.honest.commit(record)))
        self.assertEqual((answer["taken"], answer["refused"]), (1, 0), answer)
        grid = self.nodes[3].report("by link")
        district = self.nodes[0]
        self.until_case(district, grid)
        self.until(lambda: sum(c["category"] == "honest" for c in district.cases()) >= 1,
                   "the honest log reached the district")
        self.assert_verified(*self.nodes)

    def entry_of(self, forger, verdict, node=None):
        """The quarantine entry of this origin."""
        entries = (node or self.community).call("quarantine.list")["entries"]
        found = [e for e in entries if e["origin"] == forger.key.hex()]
        self.assertEqual(len(found), 1, entries)
        self.assertEqual(found[0]["verdict"], verdict)
        self.assertTrue(found[0]["reason"])
        return found[0]

    def test_forged_signature(self):
        bad = certified(self.tree, "d/s/c/bad")
        good = bad.commit()
        forged = bad.commit(keep=False)
        forged[1] = bytes([forged[1][0] ^ 1]) + forged[1][1:]
        answer = self.offer(bad.bundle(good, forged))
        self.assertEqual(answer["taken"], 1)
        self.assert_verdict(answer, "bad_signature")
        entry = self.entry_of(bad, "bad_signature")
        shown = self.community.call("quarantine.show", number=entry["number"])
        self.assertEqual(shown["octets"], form.pack(forged))
        self.assert_honest_flows()
        # The true one at that place is taken all the same.
        answer = self.offer(bad.bundle(bad.commit()))
        self.assertEqual((answer["taken"], answer["refused"]), (1, 0), answer)

    def test_changed_record(self):
        bad = certified(self.tree, "d/s/c/bad")
        commit = bad.commit(bad.report("a"), bad.report("b"))
        commit[2][0][1] = bad.report("other")
        self.assert_verdict(self.offer(bad.bundle(commit)), "bad_root")
        self.entry_of(bad, "bad_root")
        self.assert_honest_flows()

    def test_wrong_chain(self):
        bad = certified(self.tree, "d/s/c/bad")
        secrets = [os.urandom(32) for _ in range(2)]
        keys = [bytes(nacl.signing.SigningKey(s).verify_key) for s in secrets]
        bad.secret = secrets[1]
        root = form.make_certificate(secrets[0], keys[0], "")
        bad.chain = [root, form.make_certificate(secrets[0], keys[1], "d/s/c/bad")]
        self.assertIn(self.verdict_of(bad.bundle(bad.commit())),
                      ("bad_chain", "unknown_certificate"))
        # Signed by a true node, but one that is no ancestor of the address.
        liar = certified(self.tree, "d/s/c/liar")
        liar.chain = liar.chain[:1] + liar.chain[1:] + [form.make_certificate(
            liar.secret, keys[1], "d/s/c/bad")]
        liar.secret = secrets[1]
        self.assertIn(self.verdict_of(liar.bundle(liar.commit())),
                      ("bad_chain", "unknown_certificate"))
        # Not sent with a certificate at all.
        lost = certified(self.tree, "d/s/c/lost")
        lost.chain = lost.chain[:-1] + [form.make_certificate(secrets[0], lost.key, "d/s/c/lost")]
        self.assertEqual(self.verdict_of(lost.bundle(lost.commit(), chain=[])),
                         "unknown_certificate")
        self.assert_honest_flows()

    def verdict_of(self, octets, node=None):
        answer = self.offer(octets, node)
        self.assertEqual(answer["taken"], 0, answer)
        self.assertEqual(len(answer["refusals"]), 1, answer)
        return answer["refusals"][0]["verdict"]

    def test_expired_certificate(self):
        bad = certified(self.tree, "d/s/c/bad")
        issuer = Forger(self.community)
        bad.chain[-1] = form.make_certificate(issuer.secret, bad.key, bad.address,
                                              not_before=10, not_after=20, epoch=1)
        self.assertEqual(self.verdict_of(bad.bundle(bad.commit())), "expired")
        self.assert_honest_flows()

    def test_origin_beside_the_importer(self):
        self.tree.add("d/s/c2")
        self.tree.build()
        other = certified(self.tree, "d/s/c2/x")
        # By hand it may come from above; but then it goes to nobody above, who would have to
        # refuse it from here.
        self.offer(other.bundle(other.commit()))
        self.assert_honest_flows()
        self.tree.wait_level(nodes=[self.nodes[0], self.nodes[1]])
        for node in self.nodes[:2]:
            self.assertNotIn(other.key.hex(), [log["origin"]
                                               for log in node.call("log.list")["logs"]])
        answer = self.offer(other.bundle(other.commit()), self.nodes[1])
        self.assertEqual((answer["taken"], answer["refused"]), (0, 1), "a gap, in its own subtree")

    def test_hole_in_a_log(self):
        bad = certified(self.tree, "d/s/c/bad")
        commits = [bad.commit() for _ in range(4)]
        answer = self.offer(bad.bundle(commits[0], commits[2], commits[3]))
        self.assertEqual(answer["taken"], 1, answer)
        self.assertTrue(answer["refused"] >= 1)
        self.assertEqual(answer["refusals"][0]["verdict"], "gap")
        self.assert_honest_flows()
        self.assertEqual(self.offer(bad.bundle(commits[1]))["taken"], 1)
        self.community.call("quarantine.retry", number=0)
        self.offer(bad.bundle(*commits))
        log = self.until(lambda: self.log_at(self.nodes[0], bad, 4), "all four at the district")
        self.assertEqual(log["seq"], 4)
        self.assert_verified(*self.nodes)

    def log_at(self, node, forger, seq):
        """The log of the forger's normal lane at `node`, once it stands at `seq`."""
        for log in node.call("log.list")["logs"]:
            if log["origin"] == forger.key.hex() and log["lane"] == "normal" and log["seq"] >= seq:
                return log
        return None

    def test_fork(self):
        bad = certified(self.tree, "d/s/c/bad")
        first = bad.commit()
        one, two = bad.commit(bad.report("one"), keep=False), bad.commit(bad.report("two"))
        self.assertEqual(self.offer(bad.bundle(first, one))["taken"], 2)
        answer = self.offer(bad.bundle(two))
        self.assert_verdict(answer, "fork")
        self.entry_of(bad, "fork")
        self.assert_honest_flows()

    def test_wrong_previous(self):
        bad = certified(self.tree, "d/s/c/bad")
        answer = self.offer(bad.bundle(bad.commit(), bad.commit(keep=False, prev=os.urandom(32))))
        self.assertEqual(answer["taken"], 1)
        self.assert_verdict(answer, ("bad_previous", "fork"))
        self.assert_honest_flows()

    def test_target_outside_authority(self):
        self.tree.add("d/t")
        self.tree.build()
        bad = certified(self.tree, "d/s/c/bad")
        answer = self.offer(bad.bundle(bad.commit(bad.report("reaching", down=["d/t"]))))
        self.assertEqual(answer["taken"], 1)
        self.until(lambda: any(c["category"] == "reaching" for c in self.nodes[0].cases()),
                   "the district sees it")
        self.tree.wait_level(nodes=[self.nodes[0], self.tree["d/t"]])
        self.assertEqual(self.tree["d/t"].cases(), [])
        self.assert_refused(("not_allowed", "invalid_argument"), self.nodes[3].report, "x",
                            down=["d/t"])
        self.assert_honest_flows()

    def test_mangled_octets_never_harm(self):
        bad = certified(self.tree, "d/s/c/bad")
        octets = bad.bundle(bad.commit(bad.report("a"), bad.report("b")), bad.commit())
        seed = random.randrange(1 << 32)
        print(f"seed {seed}")
        chance = random.Random(seed)
        for _ in range(150):
            mangled = bytearray(octets)
            for _ in range(chance.randrange(1, 4)):
                mangled[chance.randrange(len(mangled))] = chance.randrange(256)
            if chance.random() < 0.3:
                del mangled[chance.randrange(len(mangled)):]
            reply = self.community.connect()
            with reply:
                answer = reply.call_raw(encode("log.import", {"octets": bytes(mangled)}))
                self.assertIn("status", answer)
        self.assertTrue(self.community.alive)
        answer = self.offer(octets)
        self.assertEqual(answer["refused"], 0, answer)
        self.assert_honest_flows()

    def test_nodectl_steers_the_quarantine(self):
        bad = certified(self.tree, "d/s/c/bad")
        path = self.tree.directory / "bad"
        forged = bad.commit()
        forged[1] = bytes(64)
        path.write_bytes(bad.bundle(forged))
        done = self.community.ctl("log", "import", str(path))
        self.assertEqual(done.returncode, 4, done.stdout + done.stderr)
        code, answer = ctl_json(self.community, "quarantine", "list")
        self.assertEqual((code, len(answer["entries"])), (0, 1))
        number = str(answer["entries"][0]["number"])
        self.assertEqual(self.community.call("status")["quarantine"], 1)
        out = self.tree.directory / "kept"
        for words in (["show", number], ["show", number, "-o", str(out)], ["retry", number],
                      ["retry", "--all"], ["drop", number]):
            self.assertEqual(self.community.ctl("quarantine", *words).returncode, 0, words)
        self.assertEqual(out.read_bytes(), form.pack(forged))
        self.assertEqual(self.community.call("quarantine.list")["entries"], [])
        self.assertEqual(self.community.ctl("quarantine", "drop", number).returncode, 1)


if __name__ == "__main__":
    main()
