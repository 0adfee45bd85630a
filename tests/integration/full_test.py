#!/usr/bin/python3
"""A full disk, by the store's quota: a clear error, nothing acknowledged lost, and it recovers."""
import os

from support import AdminError, TreeTest, main

QUOTA = {"store": {"quota_mib": 8}}
VALUE = 20 * 1024


def fill(node):
    """Founds big cases until the node refuses; (subjects acknowledged, the refusal)."""
    subjects = set()
    for _ in range(4000):
        try:
            body = {"category": "big", "octets": os.urandom(VALUE)}
            draft = {"kind": "case.report", "items": [{"name": "", "value": body}]}
            subjects.add(node.append(draft)[0]["subject"])
        except AdminError as error:
            return subjects, error
    raise AssertionError("the quota never bound")


class FullTest(TreeTest):
    def raise_quota(self, node):
        node.stop()
        node.settings["store"] = {"quota_mib": 512}
        node.write_settings()
        node.start()

    def test_full_grid_refuses_and_still_takes_acks(self):
        nodes = self.whole_tree(settings={"d/s/c/g": QUOTA})
        district, grid = nodes[0], nodes[3]
        nodes[2].stop()
        subjects, refusal = fill(grid)
        self.assertEqual(refusal.status, "disk_full")
        self.assertRegex(refusal.reason, "full|quota|room")
        print(f"{len(subjects)} acknowledged before: {refusal.reason}")
        self.assertTrue(subjects)
        self.assert_refused("disk_full", grid.report, "one more", "x" * VALUE)
        done = grid.ctl("report", "--category", "big", "--text", "x" * VALUE)
        self.assertEqual(done.returncode, 1)
        self.assertTrue(done.stderr)
        nodes[2].start()
        self.until(lambda: subjects <= district.subjects(), "all acknowledged are at the district")
        self.tree.wait_level()
        self.assertEqual(grid.subjects(), subjects)
        disk = grid.call("status")["disk"]
        self.assertTrue(disk["used"] <= disk["limit"] == 8 << 20, disk)
        grid.kill()
        grid.start()
        self.assertEqual(grid.subjects(), subjects)
        self.raise_quota(grid)
        self.until_case(district, grid.report("room again"))
        self.assert_verified()

    def test_full_street_holds_back_and_recovers(self):
        nodes = self.whole_tree(settings={"d/s": QUOTA})
        district, street, community, grid = nodes
        subjects = set()
        for _ in range(60):
            drafts = [{"kind": "case.report", "items": [
                {"name": "", "value": {"category": "big", "octets": os.urandom(VALUE)}}]}
                for _ in range(10)]
            subjects |= {r["subject"] for r in grid.append(*drafts)}
        self.until(lambda: subjects <= community.subjects(), "the community has all")
        self.assertTrue(street.alive)
        self.assertFalse(subjects <= street.subjects(), "12 MB do not fit in 8")
        self.assertTrue(community.waiting() > 0)
        self.assert_refused("disk_full", street.report, "own", "x" * VALUE)
        self.raise_quota(street)
        self.until(lambda: subjects <= district.subjects(), "the district has all")
        self.tree.wait_level()
        self.assert_verified()


if __name__ == "__main__":
    main()
