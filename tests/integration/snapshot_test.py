#!/usr/bin/python3
"""Snapshots: all that one child may see, made by its parent, carried by hand."""
import os
import random
import shutil
import signal
import stat
import time

import msgpack
from nacl.signing import SigningKey

from snapshots import SnapshotTest, link_to, read_snapshot
from support import ctl_json, main


class MakeTest(SnapshotTest):
    def test_holds_what_the_child_may_see_and_no_more(self):
        _, street, community, grid = self.whole_tree("d/s/e", "d/s/@fire")
        beside = self.tree["d/s/e"]
        secret = {name: os.urandom(12).hex() for name in (
            "for all", "mine", "below", "beside", "street alone", "not community", "closed")}
        for_all = street.report("Notice", secret["for all"], down=["d/s/*"])
        mine = grid.append({"kind": "case.report", "items": [
            {"name": "", "value": {"category": "Noise", "text": secret["mine"]}},
            {"name": "contact", "value": secret["closed"], "see": 1 | 2}]})[0]["subject"]
        below = grid.report("Noise", secret["below"], up=2)
        other = beside.report("Noise", secret["beside"])
        street.report("Notice", secret["street alone"], up=0)
        street.append({"kind": "case.comment", "subject": mine, "items": [
            {"name": "", "value": {"text": "seen"}},
            {"name": "note", "value": secret["not community"], "see": 4 | 8 | 16}]})
        self.until_case(community, mine, records=2)
        self.until_case(street, other)
        self.tree.wait_level()
        path = self.snapshot(street, community)
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600)
        head, entries = read_snapshot(street, path)
        self.assertEqual(head["child"], "d/s/c")
        self.assertEqual(head["parent"], street.call("status")["node"])
        self.assertEqual(head["store"], street.call("status")["store"])
        self.assertEqual([lane[0] for lane in head["lanes"]],
                         [lane["position"] for lane in link_to(street, "d/s/c")["lanes"]])
        octets = path.read_bytes()
        for name in ("for all", "mine"):
            self.assertTrue(secret[name].encode() in octets, name)
        # What another case says, what an item's `see` keeps from a community, and what the street
        # itself was never shown.
        for name in ("beside", "street alone", "not community", "below", "closed"):
            self.assertFalse(secret[name].encode() in octets, name)
        logs = {}
        for (commit,) in entries["commit"]:
            header = msgpack.unpackb(commit[0], raw=False)
            logs.setdefault((header[1], header[2], header[3]), []).append(header[4])
        own = bytes.fromhex(grid.call("status")["node"])
        for (origin, _, _), seqs in logs.items():
            if origin == own:  # gapless, though not all of it is shown
                self.assertEqual(seqs, list(range(1, len(seqs) + 1)))
        self.assertIn(below, grid.subjects())
        self.assertNotIn(below, street.subjects())
        self.assertIn(for_all, community.subjects())
        # Whoever knows bundles alone can take it, too.
        code, result = ctl_json(community, "log", "import", path)
        self.assertEqual((code, result["taken"], result["refused"]), (0, 0, 0), result)
        self.assert_verified()

    def test_refused_with_a_reason(self):
        _, street, community, grid = self.whole_tree()
        path = self.tree.directory / "x.snapshot"
        for address, words in (("d/s/c/g", "not a child of d/s"), ("d", "not a child of d/s"),
                               ("d/s", "not a child of d/s"), ("d/s/x", "never linked"),
                               ("d//s", "no address")):
            done = street.ctl("snapshot", "--child", address, path)
            self.assertEqual(done.returncode, 1, address)
            self.assertIn(words, done.stderr)
        self.assertEqual(street.ctl("snapshot", path).returncode, 2)
        self.assertFalse(path.exists())
        path.write_text("mine")
        done = street.ctl("snapshot", "--child", community.address, path)
        self.assertEqual(done.returncode, 1)
        self.assertIn("never replaces", done.stderr)
        self.assertEqual(path.read_text(), "mine")
        done = grid.ctl("snapshot", "--child", "d/s/c/g/@u", self.tree.directory / "no" / "dir")
        self.assertEqual(done.returncode, 1)

    def test_trimmed_logs_come_with_their_floor(self):
        _, street, community, grid = self.whole_tree()
        subjects = [grid.report("Noise", "gone " * 20) for _ in range(30)]
        self.tree.wait_level()
        done = community.call("trim", days=0)
        self.assertGreater(done["commits"], 20, done)
        path = self.snapshot(community, grid)
        _, entries = read_snapshot(community, path)
        log = [log for log in community.call("log.list")["logs"]
               if log["address"] == grid.address and log["lane"] == "normal"][0]
        floors = [msgpack.unpackb(commit[0], raw=False) for commit, _ in entries["floor"]]
        self.assertIn((log["store"], log["floor"]), [(floor[2].hex(), floor[4])
                                                     for floor in floors if floor[3] == 1])
        self.assertTrue(all(len(proofs) >= 2 for _, proofs in entries["floor"]))
        self.assertEqual(len(subjects), 30)

    def test_killed_in_the_middle(self):
        """What is under its name is whole."""
        _, street, community, _ = self.whole_tree()
        for _ in range(40):
            street.append(*[{"kind": "case.report", "down": ["d/s/c"], "items": [
                {"name": "", "value": {"category": "c", "text": os.urandom(400).hex()}}]}
                for _ in range(50)])
        self.tree.wait_level()
        path, part = self.tree.directory / "cut", self.tree.directory / "cut.part"
        command = self.tree.binaries / "nodectl"
        for _ in range(3):
            asker = self.spawn(command, "--dir", street.directory, "snapshot", "--child",
                               community.address, path)
            self.until(lambda: part.exists() or path.exists(), "it began")
            street.kill()
            asker.wait()
            if path.exists():
                read_snapshot(street, path)
                path.unlink()
            street.start()
        read_snapshot(street, self.snapshot(street, community, "cut"))
        self.assertFalse(part.exists())


def make_bigger(node, count=90):
    """Cases for all below `node`, a megabyte and more."""
    subjects = []
    for i in range(count):
        subject = node.report("Notice", os.urandom(20000).hex()[:28000])
        node.tell("case.comment", subject, f"number {i}", down=[f"{node.address}/*"])
        subjects.append(subject)
    return subjects


class RestoreTest(SnapshotTest):
    def all_level(self, *nodes):
        self.tree.wait_linked()
        self.tree.wait_level()
        for node in nodes:
            self.assertTrue(all(case["records"] == len(
                node.call("case", subject=case["subject"])["records"]) for case in node.cases()))
        self.assert_verified()

    def test_a_dropped_child_goes_on_from_there(self):
        """What it wrote and has not sent stays, and the link brings only what came later."""
        district, street, community, grid = self.whole_tree(
            settings={"d/s": {"outbox": {"max_mib": 1}}})
        kept = street.report("Notice", "before", down=["d/s/*"])
        self.until_case(grid, kept)
        self.tree.wait_level()
        street.stop()
        unsent = [community.report("Noise", "unsent"), grid.report("Noise", "unsent too")]
        self.until_case(community, unsent[1])
        community.stop()
        street.start()
        subjects = make_bigger(street)
        self.until(lambda: link_to(street, "d/s/c")["needs_snapshot"], "it is dropped", 60)
        self.assertEqual(link_to(street, "d/s/c")["snapshot_at"], 0)
        path = self.snapshot(street, community)
        self.assertGreater(link_to(street, "d/s/c")["snapshot_at"], 0)
        self.assertIn("needs snapshot, made ", street.ctl("status").stdout)
        later = street.report("Notice", "after the snapshot", down=["d/s/*"])
        street.kill()
        street.start()
        waits = sum(lane["commits"] for lane in link_to(street, "d/s/c")["lanes"])
        self.assertEqual(waits, 1)
        self.assertEqual(self.restore(community, path, "--drill").returncode, 0)
        result = self.restored(community, path)
        self.assertEqual((result["refused"], result["new_id"]), (0, False), result)
        self.assertGreaterEqual(result["taken"], 180)
        community.start()
        for node in (community, grid):
            for subject in (kept, *subjects, later):
                self.until_case(node, subject)
        for subject in unsent:
            self.until_case(district, subject)
        self.until(lambda: not link_to(street, "d/s/c")["needs_snapshot"], "it is level")
        self.assertNotIn("comparing heads", street.log_text())
        self.all_level(community, grid)

    def test_dropped_once_more(self):
        """The older snapshot still saves most of the way; heads are compared for the rest."""
        _, street, community, _ = self.whole_tree(settings={"d/s": {"outbox": {"max_mib": 1}}})
        self.tree.wait_level()
        community.stop()
        subjects = make_bigger(street)
        self.until(lambda: link_to(street, "d/s/c")["needs_snapshot"], "it is dropped", 60)
        path = self.snapshot(street, community)
        self.assertGreater(link_to(street, "d/s/c")["snapshot_at"], 0)
        later = make_bigger(street)
        self.until(lambda: link_to(street, "d/s/c")["snapshot_at"] == 0, "dropped again", 60)
        self.assertTrue(link_to(street, "d/s/c")["needs_snapshot"])
        self.assertEqual(street.log_text().count("event=outbox_dropped"), 2)
        self.assertGreaterEqual(self.restored(community, path)["taken"], 180)
        community.start()
        self.until(lambda: set(subjects + later) <= community.subjects(), "all came")
        self.assertEqual(street.log_text().count("comparing heads"), 1)
        taken = community.call("status")["loop"]["records_in"]
        self.assertLess(taken, 2 * len(later) + len(subjects))
        self.until(lambda: not link_to(street, "d/s/c")["needs_snapshot"], "it is level")
        self.all_level(community)

    def test_a_lost_store_is_made_anew(self):
        """With what the node itself had written; it goes on as the lost one's next."""
        district, street, community, grid = self.whole_tree()
        subjects = {grid.report(f"first {i}") for i in range(5)}
        subjects |= {community.report(f"own {i}") for i in range(5)}
        subjects |= {street.report("from above", down=["d/s/*"])}
        near = grid.report("stays below", up=2)
        self.until_case(community, near)
        self.until(lambda: subjects <= community.subjects(), "it has all")
        self.tree.wait_level()
        former = community.call("status")["store"]
        community.stop()
        shutil.rmtree(community.directory / "store")
        path = self.snapshot(street, community)
        result = self.restored(community, path)
        self.assertTrue(result["new_id"])
        community.start()
        self.assertNotEqual(community.call("status")["store"], former)
        self.assertLessEqual(subjects, community.subjects())
        self.assertEqual(sum(lane["commits"] for lane in
                             community.call("status")["parent"]["lanes"]), 0)
        logs = {log["store"]: log for log in community.call("log.list")["logs"]
                if log["address"] == "d/s/c" and log["lane"] == "normal"}
        last = logs[former]["id"]
        after = community.report("after")
        self.until_case(district, after)
        self.until_case(community, near)
        number = [log["number"] for log in community.call("log.list")["logs"]
                  if log["store"] == result["store"] and log["lane"] == "normal"][0]
        self.assertEqual(community.call("log.show", log=number, seq=1)["prev"], last)
        self.assertEqual(street.call("quarantine.list")["entries"], [])
        self.all_level(*self.tree.nodes.values())

    def test_a_store_behind_its_own_log_gets_a_new_id(self):
        _, street, community, _ = self.whole_tree()
        community.report("first")
        self.tree.wait_level()
        community.stop()
        shutil.copytree(community.directory / "store", self.tree.directory / "copy")
        community.start()
        later = community.report("later")
        self.until_case(street, later)
        self.tree.wait_level()
        path = self.snapshot(street, community)
        community.stop()
        shutil.rmtree(community.directory / "store")
        shutil.copytree(self.tree.directory / "copy", community.directory / "store")
        result = self.restored(community, path)
        self.assertTrue(result["new_id"])
        community.start()
        self.assertIn(later, community.subjects())
        self.until_case(street, community.report("on it goes"))
        self.assertEqual(street.call("quarantine.list")["entries"], [])
        self.all_level(community)

    def test_what_does_not_fit_is_refused_and_changes_nothing(self):
        _, street, community, grid = self.whole_tree("d/s/e")
        for i in range(20):
            street.report("Notice", f"text {i} " * 50, down=["d/s/*"])
        self.until(lambda: len(community.cases()) == 20, "it has all")
        self.tree.wait_level()
        path = self.snapshot(street, community)
        other = self.snapshot(street, self.tree["d/s/e"], "other.snapshot")
        street.report("Notice", "after it", down=["d/s/*"])
        self.until(lambda: len(community.cases()) == 21, "it has more")
        done = self.restore(community, path)
        self.assertEqual(done.returncode, 1)
        self.assertIn("another process has the store", done.stderr)
        community.stop()
        data = community.directory / "store" / "data.mdb"
        before = data.read_bytes()
        whole = path.read_bytes()

        def refused(octets, *words, node=community):
            bad = self.tree.directory / "bad.snapshot"
            bad.write_bytes(octets)
            done = self.restore(node, bad)
            self.assertEqual(done.returncode, 1, words)
            for word in words:
                self.assertIn(word, done.stderr)
            self.assertIn("Nothing was changed", done.stderr)

        refused(other.read_bytes(), "is for d/s/e", "this node is d/s/c")
        refused(b"hello", "is no snapshot")
        refused(b"", "is no snapshot")
        bundle = self.tree.directory / "all.bundle"
        street.ctl("log", "export", "-o", bundle, check=True)
        refused(bundle.read_bytes(), "is no snapshot", "log import")
        chance = random.Random(7)
        for _ in range(12):
            refused(whole[:chance.randrange(300, len(whole))], "cut off", "copy it again")
        for _ in range(25):
            octets = bytearray(whole)
            octets[chance.randrange(len(octets))] ^= 1 << chance.randrange(8)
            refused(bytes(octets))
        refused(whole + b"\x90", "behind its end")
        refused(self.signed(whole, SigningKey.generate()), "is not what its parent signed")
        refused(whole, "older than what this node has", "have the parent make another")
        done = community.ctl("restore", "--snapshot", "--replace", path)
        self.assertEqual(done.returncode, 1)
        self.assertEqual(data.read_bytes(), before)
        community.start()
        self.assertEqual(len(community.cases()), 21)
        # What another key signed, though its form is good.
        key = SigningKey(bytes.fromhex((grid.directory / "node.key").read_text())[:32])
        grid.stop()
        refused(self.signed(whole, key, child="d/s/c/g", parent=bytes(key.verify_key)),
                "was not made by the node above", node=grid)
        grid.start()
        self.all_level(community)

    def test_tombstones_bind(self):
        """What the parent's tombstones name is erased in the store and never comes back."""
        _, street, community, _ = self.whole_tree()
        subject = street.append({"kind": "case.report", "down": ["d/s/c"], "items": [
            {"name": "", "value": {"category": "Noise", "text": "stays"}},
            {"name": "contact", "value": "to be erased"}]})[0]["subject"]
        self.until_case(community, subject)
        self.tree.wait_level()
        street.report("Notice", "newer", down=["d/s/c"])
        self.tree.wait_level()
        path = self.snapshot(street, community)
        _, entries = read_snapshot(street, path)
        erased = self.leaf_of(entries, b"to be erased")
        key = SigningKey(bytes.fromhex((street.directory / "node.key").read_text())[:32])
        tomb = ["tombstone", erased, 1, self.subject_octets(subject)]
        community.stop()
        shutil.rmtree(community.directory / "store")
        path.write_bytes(self.signed(path.read_bytes(), key, more=[tomb]))
        self.restored(community, path)
        community.start()
        self.all_level(community)

        def values():
            record = community.call("case", subject=subject)["records"][0]
            return [item.get("value") for item in record["items"]]
        self.assertIn("stays", str(values()))
        self.assertNotIn("to be erased", str(values()))
        community.call("log.import", octets=self.bundle(street))
        self.assertNotIn("to be erased", str(values()))

    def bundle(self, node):
        path = self.tree.directory / "again.bundle"
        node.ctl("log", "export", "-o", path, check=True)
        return path.read_bytes()

    def test_cut_off_it_is_run_again(self):
        _, street, community, _ = self.whole_tree()
        for _ in range(60):
            street.append(*[{"kind": "case.report", "down": ["d/s/c"], "items": [
                {"name": "", "value": {"category": "c", "text": os.urandom(200).hex()}}]}
                for _ in range(20)])
        for i in range(800):
            street.report("Notice", f"number {i}", down=["d/s/*"])
        self.until(lambda: community.call("status")["subjects"] > 2000, "it has all")
        self.tree.wait_level()
        path = self.snapshot(street, community)
        community.stop()
        shutil.rmtree(community.directory / "store")
        for pause in (0.0, 0.01, 0.03, 0.06, 0.1, 0.15):
            cut = self.spawn(self.tree.binaries / "noded", "--dir", community.directory,
                             "--restore", path, "--snapshot")
            time.sleep(pause)
            cut.send_signal(signal.SIGKILL)
            cut.wait()
        self.restored(community, path)
        self.assertEqual(self.restored(community, path)["taken"], 0)
        community.start()
        self.assertEqual(len(community.cases()), 2000)
        self.all_level()


if __name__ == "__main__":
    main()
