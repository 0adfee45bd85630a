#!/usr/bin/python3
"""Snapshots: all that one child may see, made by its parent, carried by hand."""
import os
import pathlib
import stat
import subprocess

import msgpack
from nacl.signing import VerifyKey
from noded_format import digest, verify_bundle

from support import TreeTest, ctl_json, main


def entries_of(octets):
    """(offset, entry) of each value of a snapshot's file."""
    unpacker = msgpack.Unpacker(raw=False, strict_map_key=False, max_buffer_size=0)
    unpacker.feed(octets)
    at = 0
    for entry in unpacker:
        yield at, entry
        at = unpacker.tell()


def read_snapshot(node, path):
    """Verifies it by docs/FORMAT.md alone; the fields of its head, and entries by name."""
    octets = path.read_bytes()
    verify_bundle((node.directory / "root.cert").read_bytes(), octets, sparse=True)
    entries = list(entries_of(octets))
    end, last = entries[-1]
    assert last[0] == "snapshot-end", last
    name, version, child, parent, store, at, lanes = entries[1][1]
    assert (name, version) == ("snapshot", 1)
    VerifyKey(parent).verify(b"noded-snapshot-v1\0" + digest(b"\x09", octets[:end]), last[1])
    named = {}
    for _, entry in entries[2:-1]:
        named.setdefault(entry[0], []).append(entry[1:])
    return {"child": child, "parent": parent.hex(), "store": store.hex(), "at": at,
            "lanes": lanes}, named


def link_to(node, address):
    return [link for link in node.call("status")["children"] if link["address"] == address][0]


class SnapshotTest(TreeTest):
    def snapshot(self, parent, child, name="child.snapshot"):
        """nodectl makes one; its file."""
        path = self.tree.directory / name
        code, result = ctl_json(parent, "snapshot", "--child", child.address, path)
        self.assertEqual(code, 0, result)
        self.assertEqual(result["size"], path.stat().st_size)
        self.assertFalse(pathlib.Path(f"{path}.part").exists())
        return path

    def spawn(self, *words):
        return subprocess.Popen(list(map(str, words)), stdout=subprocess.DEVNULL,
                                stderr=subprocess.DEVNULL)


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


if __name__ == "__main__":
    main()
