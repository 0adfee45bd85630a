"""Limits on what waits for a child that is away, and its return; logs that begin late."""
import os
import pathlib
import shutil
import time

from support import SANITIZED, Proxy, TreeTest, main

FAKETIME = next(iter(sorted(pathlib.Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))), None)
DAY_S = 86400


def link_to(node, address):
    return [link for link in node.call("status")["children"] if link["address"] == address][0]


def tree_row(node, address):
    return [row for row in node.call("tree")["rows"] if row["address"] == address][0]


def pending(node, address):
    return sum(lane["commits"] for lane in link_to(node, address)["lanes"])


class OutboxTest(TreeTest):
    def test_a_dead_child_is_dropped_and_served_again(self):
        district, street, community, grid = self.whole_tree(
            settings={"d/s": {"outbox": {"max_mib": 1}}})
        self.tree.wait_level()
        kept = street.report("Notice", "before")
        street.tell("case.comment", kept, "to all", down=["d/s/*"])
        self.until_case(grid, kept, records=2)
        community.stop()
        subjects = []
        for i in range(90):
            subject = street.report("Notice", os.urandom(20000).hex()[:28000])
            street.tell("case.comment", subject, f"number {i}", down=["d/s/*"])
            subjects.append(subject)
        grid_case = grid.report("Noise", "while it was away")
        self.until(lambda: link_to(street, "d/s/c")["needs_snapshot"], "the outbox is dropped", 60)
        self.until(lambda: pending(street, "d/s/c") == 0, "nothing waits any more", 60)
        self.assertTrue(tree_row(district, "d/s/c")["needs_snapshot"])
        self.assertIn("event=outbox_dropped neighbour=d/s/c", street.log_text())
        self.assertIn("needs snapshot", street.ctl("status").stdout)
        self.assertIn("needs snapshot", district.ctl("tree").stdout)
        self.assert_verified(district, street)
        # What comes now waits for nothing either.
        more = street.report("Notice", "after")
        street.tell("case.comment", more, "late", down=["d/s/*"])
        street.kill()
        street.start()
        self.assertTrue(link_to(street, "d/s/c")["needs_snapshot"])
        community.start()
        for node in (community, grid):
            for subject in (kept, *subjects, more):
                self.until_case(node, subject, records=2, seconds=60)
        self.until_case(district, grid_case)
        self.assertIn("event=needs_snapshot neighbour=d/s ", community.log_text())
        self.assertIn("event=needs_snapshot neighbour=d/s/c ", street.log_text())
        self.until(lambda: not link_to(street, "d/s/c")["needs_snapshot"], "it is level again", 30)
        self.assertFalse(tree_row(district, "d/s/c")["needs_snapshot"])
        self.assertFalse(community.call("status")["parent"]["needs_snapshot"])
        self.tree.wait_level()
        for node, neighbour in ((community, "d/s"), (street, "d/s/c")):
            self.assertIn(f"event=level_again neighbour={neighbour}", node.log_text())
        self.assert_verified()
        last = street.report("Notice", "as ever")
        street.tell("case.comment", last, "go on", down=["d/s/*"])
        self.until_case(grid, last, records=2)

    def step_days(self, node, days):
        """Puts the node's clock that far ahead, and waits until it has seen so."""
        offset = node.directory / "offset"
        fresh = node.directory / "offset.new"
        fresh.write_text(f"+{days * DAY_S}\n")
        fresh.rename(offset)
        self.until(lambda: abs(node.call("status")["now"] / 1000 - time.time() - days * DAY_S) < 60,
                   f"{node.address}'s clock steps")

    def test_dropped_after_days(self):
        """By what waits longest, and only for a child that is away."""
        if FAKETIME is None or SANITIZED:
            print("SKIP days: no libfaketime here, or a build that it doesn't go with", flush=True)
            self.skipTest("no libfaketime")
        _, street, community, grid = self.whole_tree("d/s/e")
        beside = self.tree["d/s/e"]
        self.tree.wait_level()
        street.stop()
        street.settings["outbox"] = {"max_days": 3}
        street.write_settings()
        (street.directory / "offset").write_text("+0\n")
        street.environment = {
            "LD_PRELOAD": str(FAKETIME), "FAKETIME_NO_CACHE": "1",
            "FAKETIME_TIMESTAMP_FILE": str(street.directory / "offset"),
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        street.start()
        self.tree.wait_linked()
        community.stop()
        first = street.report("Notice", "first", down=["d/s/*"])
        self.until_case(beside, first)
        self.step_days(street, 2)
        second = street.report("Notice", "second", down=["d/s/*"])
        self.until_case(beside, second)
        since = time.monotonic()
        self.until(lambda: time.monotonic() - since > 4.5, "the limits are looked at twice")
        self.assertFalse(link_to(street, "d/s/c")["needs_snapshot"])
        self.assertEqual(pending(street, "d/s/c"), 2)
        self.step_days(street, 4)
        self.until(lambda: link_to(street, "d/s/c")["needs_snapshot"], "it is dropped")
        self.until(lambda: pending(street, "d/s/c") == 0, "both, as one can't go without the other")
        self.assertFalse(link_to(street, "d/s/e")["needs_snapshot"])
        self.assertEqual(street.log_text().count("event=outbox_dropped"), 1)
        third = street.report("Notice", "third", down=["d/s/*"])
        self.until(lambda: pending(street, "d/s/c") == 0, "nor does what comes then wait")
        community.start()
        for subject in (first, second, third):
            self.until_case(grid, subject)
        self.until(lambda: not link_to(street, "d/s/c")["needs_snapshot"], "it is level")
        self.assertFalse(link_to(street, "d/s/e")["needs_snapshot"])
        self.tree.wait_level()
        self.assert_verified()

    def dropped(self, proxy_rate, count=90):
        """A community whose outbox at the street was dropped, and that is to return through a slow
        relay; the relay, what it lacks, and how many octets that is."""
        _, street, community, _ = self.whole_tree(settings={"d/s": {"outbox": {"max_mib": 1}}})
        self.tree.wait_level()
        community.stop()
        subjects, octets = [], 0
        for i in range(count):
            text = os.urandom(14000)
            octets += len(text)
            subjects.append(street.append({"kind": "case.report", "down": ["d/s/c"], "items": [
                {"name": "", "value": {"category": "Notice", "octets": text}}]})[0]["subject"])
        self.until(lambda: link_to(street, "d/s/c")["needs_snapshot"], "the outbox is dropped", 60)
        self.until(lambda: pending(street, "d/s/c") == 0, "nothing waits any more", 60)
        proxy = Proxy(street.listen, rate=proxy_rate)
        self.addCleanup(proxy.close)
        path = community.directory / "noded.yaml"
        path.write_text(path.read_text().replace(street.listen, proxy.url))
        return proxy, subjects, octets

    def test_served_over_a_link_that_breaks(self):
        """Each connection goes on about where the last one ended; both sides say what is lacking
        until it has come, over restarts too."""
        proxy, subjects, octets = self.dropped(proxy_rate=400_000)
        street, community = self.tree["d/s"], self.tree["d/s/c"]
        community.start()
        cuts = 0
        for part in (1, 2, 3, 4):
            self.until(lambda: proxy.octets["down"] > part * octets // 6, "some of it came")
            self.assertTrue(link_to(street, "d/s/c")["needs_snapshot"])
            self.assertTrue(community.call("status")["parent"]["needs_snapshot"])
            self.assertIn("needs snapshot", community.ctl("status").stdout)
            proxy.cut()
            if part == 2:
                community.kill()
                community.start()
            if part == 3:
                street.kill()
                street.start()
            self.assertTrue(community.call("status")["parent"]["needs_snapshot"])
            proxy.mend()
            cuts += 1
        self.until(lambda: set(subjects) <= community.subjects(), "all came")
        self.until(lambda: not community.call("status")["parent"]["needs_snapshot"], "it says so")
        self.until(lambda: not link_to(street, "d/s/c")["needs_snapshot"], "the parent, too")
        print(f"{octets} octets in {proxy.octets['down']} on the wire, {cuts} cuts")
        self.assertLess(proxy.octets["down"], 1.6 * octets)
        self.tree.wait_level()
        self.assert_verified()

    def test_a_log_that_differs_early_comes_over_many_links(self):
        """The child holds the log's end, and was shown more of its middle while it was away: no
        connection lasts for all of it, and each must bring another part."""
        _, street, community, _ = self.whole_tree(settings={"d/s": {"outbox": {"max_mib": 1}}})
        drafts = [{"kind": "case.report", "up": 0, "items": [
            {"name": "", "value": {"category": "Notice", "octets": os.urandom(14000)}}]}
            for _ in range(120)]
        subjects = [street.append(draft)[0]["subject"] for draft in drafts]
        self.until_case(community, street.report("Notice", "the last", down=["d/s/c"]))
        self.tree.wait_level()
        community.stop()
        for subject in subjects:
            street.tell("case.comment", subject, "yours too", down=["d/s/c"])
        self.until(lambda: link_to(street, "d/s/c")["needs_snapshot"], "the outbox is dropped", 60)
        proxy = Proxy(street.listen, rate=2_000_000)
        self.addCleanup(proxy.close)
        path = community.directory / "noded.yaml"
        path.write_text(path.read_text().replace(street.listen, proxy.url))
        community.start()
        cuts, total = 0, 120 * 14000
        while link_to(street, "d/s/c")["needs_snapshot"] and cuts < 20:
            reached = proxy.octets["down"] + total // 4
            self.until(lambda: proxy.octets["down"] > reached or
                       not link_to(street, "d/s/c")["needs_snapshot"], "a part came")
            proxy.drop()
            cuts += 1
        print(f"{cuts} connections, {proxy.octets['down']} octets for {total}")
        self.assertLess(cuts, 20)
        self.assertLessEqual(set(subjects), community.subjects())
        self.tree.wait_linked()
        self.tree.wait_level()
        self.assert_verified()

    def test_urgent_overtakes_what_is_sent_again(self):
        proxy, subjects, _ = self.dropped(proxy_rate=150_000)
        street, community = self.tree["d/s"], self.tree["d/s/c"]
        community.start()
        self.until(lambda: proxy.octets["down"] > 100_000, "it has begun")
        urgent = street.report("Fire", "now", lane="urgent", down=["d/s/c"])
        self.until_case(community, urgent)
        missing = len(set(subjects) - community.subjects())
        print(f"urgent came while {missing} of {len(subjects)} were missing")
        self.assertGreater(missing, len(subjects) // 3)
        self.assertTrue(community.call("status")["parent"]["needs_snapshot"])
        proxy.rate = None
        self.until(lambda: set(subjects) <= community.subjects(), "all came")
        self.until(lambda: not link_to(street, "d/s/c")["needs_snapshot"], "it is level")
        self.assert_verified()

    def test_the_parents_outbox_is_never_dropped(self):
        _, street, community, grid = self.whole_tree(
            settings={"d/s/c/g": {"outbox": {"max_mib": 1}}})
        self.tree.wait_level()
        community.stop()
        subjects = [grid.report("Noise", os.urandom(20000).hex()[:28000]) for _ in range(100)]
        waiting = grid.call("status")["parent"]
        self.assertGreater(sum(lane["bytes"] for lane in waiting["lanes"]), 1 << 20)
        # Longer than the limits are looked at.
        self.until(lambda: grid.call("status")["now"] - waiting["since"] > 5000, "time", 20)
        waiting = grid.call("status")["parent"]
        self.assertEqual(sum(lane["records"] for lane in waiting["lanes"]), 100)
        community.start()
        for subject in subjects:
            self.until_case(street, subject, seconds=60)
        self.assert_verified()

    def test_a_parent_that_lost_everything_begins_at_the_floor(self):
        district, street, community, grid = self.whole_tree()
        subjects = [grid.report("Noise", f"number {i}") for i in range(20)]
        self.tree.wait_level()
        done = grid.call("trim", days=0)
        self.assertEqual(done["commits"], 19, done)
        community.stop()
        shutil.rmtree(community.directory / "store")
        community.start()
        late = grid.report("Noise", "after the loss")
        self.until_case(community, late, seconds=60)
        self.until_case(district, late, seconds=60)
        self.assertIn("event=log_begins_late", community.log_text())
        log = [log for log in community.call("log.list")["logs"] if log["address"] == grid.address
               and log["lane"] == "normal"][0]
        self.assertEqual((log["floor"], log["seq"]), (19, 21))
        self.assertNotIn(subjects[0], community.subjects())
        self.assertIn(subjects[0], street.subjects())
        self.assert_verified()


if __name__ == "__main__":
    main()
