#!/usr/bin/python3
"""A file system that is really full (a small tmpfs), at the grid and at the street: first by the
node's own records, then by somebody else's file, so that writes fail in the middle of it all."""
import os
import subprocess

from common import AdminError, AdminGone, FaultTest, draft, main

SIZE_MIB = 12
BALLAST = "somebody-else"


class DiskTest(FaultTest):
    def mount(self, node):
        """The node's store gets a file system of its own."""
        store = node.directory / "store"
        node.stop()
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE_MIB}m", "noded-test",
                               str(store)], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            print(f"SKIP disk: no file system of our own here: {done.stderr.strip()}", flush=True)
            self.skipTest("not permitted")
        self.addCleanup(subprocess.run, ["umount", "-l", str(store)], check=False)
        return store

    def small_disk(self, address):
        """A tree in which one node has little room; it starts on an empty store."""
        nodes = self.whole_tree()
        node = self.tree[address]
        store = self.mount(node)
        node.start()
        self.tree.wait_linked()
        return nodes, node, store

    @staticmethod
    def fill(store):
        """Somebody else takes what is left."""
        with open(store / BALLAST, "wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4096))
            except OSError:
                pass
        return os.statvfs(store).f_bavail

    def write_until_refused(self, node, limit=4000):
        acknowledged = set()
        for number in range(limit):
            try:
                acknowledged.add(node.append(draft(f"disk-{number}", size=20000))[0]["subject"])
            except AdminError as error:
                return acknowledged, error
            except AdminGone:
                node.hang_up()
        raise AssertionError("it was never full")

    def test_disk_grid(self):
        nodes, grid, store = self.small_disk("d/s/c/g")
        acknowledged, refusal = self.write_until_refused(grid)
        self.assertEqual(refusal.status, "disk_full", refusal)
        self.assertEqual(self.fill(store), 0)
        for _ in range(10):
            try:
                acknowledged.add(grid.append(draft("", size=20000))[0]["subject"])
            except AdminError as error:
                self.assertIn(error.status, ("disk_full", "io"), error)
        nodes[2].stop()  # links break and come back while nothing can be written
        nodes[2].start()
        self.assertTrue(grid.alive)
        os.unlink(store / BALLAST)
        self.tell(acknowledged=len(acknowledged), level_s_with_room=self.timed(
            self.has(nodes[0], acknowledged), "the district has all"))
        self.all_is_well(nodes, acknowledged)

    def test_disk_street(self):
        nodes, street, store = self.small_disk("d/s")
        grid = nodes[3]
        acknowledged = {grid.append(draft(f"a{i}", size=5000))[0]["subject"] for i in range(50)}
        self.until(lambda: len(street.subjects()) > 20, "the street takes some")
        self.assertEqual(self.fill(store), 0)
        acknowledged |= {grid.append(draft(f"b{i}", size=20000))[0]["subject"] for i in range(50)}
        self.until(self.has(nodes[2], acknowledged), "the community has all")
        self.until(lambda: "event=disk_low" in street.log_text() or
                   "event=transaction_failed" in street.log_text(), "the street notices")
        self.assertFalse(acknowledged <= nodes[0].subjects())
        self.assertTrue(street.alive)
        self.assert_verified(street)
        street.kill()  # and it must come up on a full disk too
        street.start()
        os.unlink(store / BALLAST)
        self.tell(acknowledged=len(acknowledged), level_s_with_room=self.timed(
            self.has(nodes[0], acknowledged), "the district has all"))
        self.all_is_well(nodes, acknowledged)


if __name__ == "__main__":
    main()
