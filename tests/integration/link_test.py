#!/usr/bin/python3
"""Bad links between good nodes: slow, cut again and again, replaying, flipping bits."""
import os
import random
import time

from support import Proxy, TreeTest, main

SLOW = 50_000 // 8  # octets a second


class LinkTest(TreeTest):
    def tree_with_proxy(self, **options):
        """The grid reaches its parent through a relay only."""
        nodes = self.whole_tree()
        grid, community = nodes[3], nodes[2]
        proxy = Proxy(community.listen, **options)
        self.addCleanup(proxy.close)
        grid.stop()
        path = grid.directory / "noded.yaml"
        path.write_text(path.read_text().replace(community.listen, proxy.url))
        grid.start()
        return nodes, proxy

    def test_urgent_overtakes_bulk_on_a_slow_link(self):
        nodes, proxy = self.tree_with_proxy(rate=SLOW)
        district, _, community, grid = nodes
        self.until(grid.linked, "linked over the slow link")
        drafts = [{"kind": "case.report", "lane": "bulk", "items": [
            {"name": "", "value": {"category": "bulk", "octets": os.urandom(900)}}]}
            for _ in range(120)]
        bulk = {r["subject"] for r in grid.append(*drafts)}
        time.sleep(2)
        started = time.monotonic()
        urgent = grid.report("Fire", lane="urgent")
        self.until_case(district, urgent, "overtaking", seconds=10)
        took = time.monotonic() - started
        missing = len(bulk - district.subjects())
        print(f"urgent took {took:.2f} s while {missing} of {len(bulk)} bulk records waited")
        self.assertTrue(missing, "bulk should still be on its way")
        self.assertLess(took, 4)
        started = time.monotonic()
        rows = {row["address"]: row for row in community.call("tree", timeout_ms=4000)["rows"]}
        print(f"tree took {time.monotonic() - started:.2f} s")
        self.assertEqual(rows["d/s/c/g"]["state"], "up")
        downward = community.report("order", down=["d/s/c/g"])
        self.until_case(grid, downward, "against the stream", seconds=10)
        self.until(lambda: bulk <= district.subjects(), "all bulk", seconds=90)
        self.assertEqual(proxy.connections, 1, "the link held")
        self.tree.wait_level()
        self.assert_verified()

    def test_cut_again_and_again(self):
        nodes, proxy = self.tree_with_proxy(rate=200_000)
        grid, district = nodes[3], nodes[0]
        seed = random.randrange(1 << 32)
        print(f"seed {seed}")
        chance = random.Random(seed)
        subjects = set()
        for _ in range(25):
            drafts = [{"kind": "case.report", "lane": chance.choice(("urgent", "normal", "bulk")),
                       "items": [{"name": "", "value": {"octets": os.urandom(200)}}]}
                      for _ in range(20)]
            subjects |= {r["subject"] for r in grid.append(*drafts)}
            time.sleep(chance.uniform(0.02, 0.2))
            proxy.drop()
        self.until(lambda: subjects <= district.subjects(), "all at the district")
        self.tree.wait_linked()
        self.tree.wait_level()
        self.assert_same_everywhere(nodes, subjects)
        self.assert_verified()
        print(f"{proxy.connections} connections")

    def hostile(self, mangle):
        """`mangle` harms some frames of the first connections; all arrives all the same."""
        def first(proxy, direction, number, frame):
            return mangle(direction, number, frame) if proxy.connections <= 4 else frame
        nodes, proxy = self.tree_with_proxy(mangle=first)
        grid, district = nodes[3], nodes[0]
        subjects = set()
        for _ in range(20):
            subjects |= {grid.report("through it") for _ in range(5)}
            time.sleep(0.05)
        self.until(lambda: subjects <= district.subjects(), "all at the district")
        self.assertGreater(proxy.connections, 1, "the connection ended and came back")
        self.tree.wait_level()
        self.assert_same_everywhere(nodes, subjects)
        self.assert_verified()
        for node in nodes:
            self.assertEqual(node.call("quarantine.list")["entries"], [])

    def test_replayed_frames(self):
        self.hostile(lambda direction, number, frame: frame * 2 if number == 6 else frame)

    def test_flipped_bit(self):
        def flip(direction, number, frame):
            if direction == "up" and number in (1, 5):
                return frame[:-1] + bytes([frame[-1] ^ 1])
            return frame
        self.hostile(flip)

    def test_swapped_and_dropped_frames(self):
        kept = []

        def swap(direction, number, frame):
            if direction == "up" and number == 5:
                kept.append(frame)
                return b""
            return frame
        self.hostile(swap)

    def test_dead_link_is_noticed(self):
        """Nothing is heard though the connection stands: the child finds out and dials again."""
        nodes, proxy = self.tree_with_proxy()
        grid, community = nodes[3], nodes[2]
        for node in (grid, community):
            node.stop()
            node.settings["link"] = {"retry_max_ms": 500, "idle_seconds": 1, "dead_seconds": 3}
            node.write_settings()
        path = grid.directory / "noded.yaml"
        path.write_text(path.read_text().replace(community.listen, proxy.url))
        community.start()
        grid.start()
        self.tree.wait_linked()
        self.assertTrue(grid.linked())
        community.freeze()
        self.until(lambda: not grid.linked(), "the grid notices", seconds=20)
        community.thaw()
        self.until(grid.linked, "and is linked again", seconds=20)
        self.until_case(nodes[0], grid.report("after"))


if __name__ == "__main__":
    main()
