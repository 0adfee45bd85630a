#!/usr/bin/python3
"""A restored node shows no item before it has its parent's tombstones."""
import time

from nacl.signing import SigningKey
from snapshots import SnapshotTest, read_snapshot
from support import ctl_json, main

SHOWING = (("cases", {}), ("inbox", {}), ("log.export", {}), ("log.show", {"log": 1, "seq": 1}))


def values_of(node, subject):
    records = node.call("case", subject=subject)["records"]
    return str([item.get("value") for record in records for item in record["items"]])


class HiddenTest(SnapshotTest):
    def backup(self, node, name):
        path = self.tree.directory / name
        code, _ = ctl_json(node, "backup", path)
        self.assertEqual(code, 0)
        return path

    def restore_backup(self, node, path):
        node.stop()
        done = node.ctl("restore", "--replace", path)
        self.assertEqual(done.returncode, 0, done.stderr)

    def erase(self, above, node, subject, needle):
        """As if the item had been erased at `node`: its parent's snapshot says so."""
        path = self.snapshot(above, node, f"erased-{time.monotonic_ns()}")
        _, entries = read_snapshot(above, path)
        key = SigningKey(bytes.fromhex((above.directory / "node.key").read_text())[:32])
        stone = ["tombstone", self.leaf_of(entries, needle), 1, self.subject_octets(subject)]
        signed = self.signed(path.read_bytes(), key, more=[stone])
        path.write_bytes(signed)
        node.stop()
        self.restored(node, path)
        node.start()

    def with_item(self, street, community, text):
        subject = street.append({"kind": "case.report", "down": ["d/s/c", "d/s/c/g"], "items": [
            {"name": "", "value": {"category": "Noise", "text": "stays"}},
            {"name": "contact", "value": text}]})[0]["subject"]
        self.until_case(community, subject)
        return subject

    def assert_hidden(self, node):
        status = node.call("status")
        self.assertTrue(status["hidden"])
        self.assertIn("no item is shown", node.ctl("status").stdout)
        for command, args in SHOWING:
            error = self.assert_refused("not_allowed", node.call, command, **args)
            self.assertIn("tombstones", error.reason)
        done = node.ctl("cases")
        self.assertEqual(done.returncode, 1)
        self.assertIn("nodectl unhide", done.stderr)

    def shown(self, node):
        self.until(lambda: not node.call("status")["hidden"], f"{node.address} shows its items")

    def test_erased_meanwhile(self):
        """What was erased after the backup is never shown again, not even for a moment."""
        _, street, community, grid = self.whole_tree()
        subject = self.with_item(street, community, "to be erased")
        self.until_case(grid, subject)
        self.tree.wait_level()
        self.assertIn("to be erased", values_of(grid, subject))
        path = self.backup(grid, "backup")
        street.report("Notice", "newer", down=["d/s/c"])
        self.tree.wait_level()
        self.erase(street, community, subject, b"to be erased")
        self.assertNotIn("to be erased", values_of(community, subject))
        community.stop()
        self.restore_backup(grid, path)
        grid.start()
        self.assert_hidden(grid)
        own = grid.report("Noise", "it still writes")
        self.assert_refused("not_allowed", grid.call, "case", subject=subject)
        grid.kill()
        grid.start()
        self.assert_hidden(grid)
        community.start()
        self.shown(grid)
        self.assertIn("stays", values_of(grid, subject))
        self.assertNotIn("to be erased", values_of(grid, subject))
        self.assertIn("event=items_shown tombstones=1 ", grid.log_text())
        self.until_case(community, own)
        self.tree.wait_level()
        self.assert_verified()

    def test_children_see_nothing_before(self):
        """What waited for a child in the restored store waits on, until the tombstones are in."""
        district, street, community, grid = self.whole_tree()
        self.tree.wait_level()
        grid.stop()
        subject = self.with_item(street, community, "to be erased")
        path = self.backup(community, "backup")
        street.report("Notice", "newer", down=["d/s/c"])
        self.until(lambda: len(community.cases()) == 2, "it has both")
        self.tree.wait_level(nodes=[district, street])
        community.stop()
        self.erase(district, street, subject, b"to be erased")
        street.stop()
        self.restore_backup(community, path)
        community.start()
        self.assert_hidden(community)
        grid.start()
        self.tree.wait_linked([grid])
        own = grid.report("Noise", "up goes what it likes")
        self.until(lambda: community.call("status")["loop"]["commits_in"] > 0, "it came")
        since = time.monotonic()
        self.until(lambda: time.monotonic() - since > 1.5, "time to show something")
        self.assertEqual(grid.subjects(), {own})
        street.start()
        self.shown(community)
        self.until_case(grid, subject)
        self.assertIn("stays", values_of(grid, subject))
        self.assertNotIn("to be erased", values_of(grid, subject))
        self.until_case(district, own)
        self.tree.wait_level()
        self.assert_verified()

    def test_shown_by_order(self):
        """Without a link it stays hidden, and somebody may take it on himself."""
        _, _, community, grid = self.whole_tree()
        subject = grid.report("Noise", "here")
        self.tree.wait_level()
        path = self.backup(grid, "backup")
        community.stop()
        self.restore_backup(grid, path)
        grid.start()
        self.assert_hidden(grid)
        done = grid.ctl("unhide")
        self.assertEqual(done.returncode, 2)
        self.assertIn("--without-tombstones", done.stderr)
        self.assert_refused("invalid_argument", grid.call, "unhide", without_tombstones=False)
        self.assert_hidden(grid)
        done = grid.ctl("unhide", "--without-tombstones")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(subject, grid.subjects())
        self.assertIn("by=\"nodectl unhide\"", grid.log_text())
        grid.kill()
        grid.start()
        self.assertIn(subject, grid.subjects())
        self.assertIn("nothing was hidden", grid.ctl("unhide", "--without-tombstones").stdout)
        community.start()
        self.tree.wait_linked()
        self.tree.wait_level()
        self.assert_verified()

    def test_a_district_has_nobody_to_wait_for(self):
        district, _, _, grid = self.whole_tree()
        subject = grid.report("Noise", "here")
        self.until_case(district, subject)
        path = self.backup(district, "backup")
        self.restore_backup(district, path)
        district.start()
        self.assertFalse(district.call("status")["hidden"])
        self.assertIn(subject, district.subjects())

if __name__ == "__main__":
    main()
