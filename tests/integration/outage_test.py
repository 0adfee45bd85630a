#!/usr/bin/python3
"""A tier that is away: everyone below works on, the lag is shown, and all is level afterwards."""
from support import TreeTest, main


class OutageTest(TreeTest):
    def test_street_is_away_and_returns(self):
        nodes = self.whole_tree("d/t", "d/t/c", "d/t/c/g")
        district, street, community, grid = nodes
        self.tree["d/t/c/g"].report("before")
        self.tree.wait_level()
        self.assertEqual(street.stop(), 0)
        below = {grid.report(f"during {i}") for i in range(50)}
        beside = {self.tree["d/t/c/g"].report(f"beside {i}") for i in range(5)}
        self.until(lambda: below <= community.subjects(), "the community has what the grid wrote")
        self.until(lambda: beside <= district.subjects(), "the other street goes on")
        self.assertFalse(below & district.subjects())
        self.lag_is_shown(district, community)
        street.start()
        self.until(lambda: below <= district.subjects(), "the district has all")
        self.tree.wait_level()
        for node in (street, community, grid):
            self.assertEqual(node.subjects() & below, below)
        lanes = community.call("status")["parent"]["lanes"]
        self.assertEqual(sum(lane["records"] for lane in lanes), 0)
        self.assert_verified()

    def lag_is_shown(self, district, community):
        parent = community.call("status")["parent"]
        self.assertFalse(parent["connected"])
        self.assertEqual(sum(lane["records"] for lane in parent["lanes"]), 50)
        self.assertTrue(sum(lane["bytes"] for lane in parent["lanes"]) > 0)
        self.assertTrue(any(lane["oldest_at"] for lane in parent["lanes"]))
        rows = {row["address"]: row for row in district.call("tree", timeout_ms=1500)["rows"]}
        self.assertEqual(rows["d/s"]["state"], "down")
        self.assertTrue(rows["d/s"]["last_heard"] > 0)
        self.assertEqual(rows["d/t/c/g"]["state"], "up")
        shown = district.ctl("--color", "never", "tree", check=True).stdout
        self.assertIn("down", shown)
        self.assertIn("50", community.ctl("--color", "never", "tree", check=True).stdout)

    def test_what_waits_downwards_arrives_after_the_outage(self):
        district, street, community, grid = self.whole_tree()
        community.stop()
        subject = district.report("order")
        district.tell("case.dispatch", subject, "yours", down=["d/s/c/g"])
        self.until_case(street, subject, records=2)
        down = {link["address"]: link for link in street.call("status")["children"]}
        self.until(lambda: sum(lane["records"] for lane in link_of(street, "d/s/c")["lanes"]) >= 2,
                   f"two records wait for the community: {down}")
        community.start()
        self.until_case(grid, subject, records=2, state="dispatched")
        self.tree.wait_level()
        self.assert_verified()

    def test_every_tier_is_away_in_turn_and_together(self):
        nodes = self.whole_tree()
        grid, subjects = nodes[3], set()
        for node in nodes[:3]:
            node.stop()
            subjects |= {grid.report(f"without {node.address}") for _ in range(10)}
            node.start()
        for node in nodes[:3]:
            node.stop()
        subjects |= {grid.report("alone") for _ in range(10)}
        grid.stop()
        for node in reversed(nodes):
            node.start()
        self.until(lambda: district_has(nodes[0], subjects), "the district has all")
        self.tree.wait_level()
        self.assert_same_everywhere(nodes, subjects)
        self.assert_verified()

    def test_frozen_neighbour_holds_nobody_up(self):
        district, street, community, grid = self.whole_tree("d/s/c/h")
        frozen, other = grid, self.tree["d/s/c/h"]
        frozen.freeze()
        subjects = {other.report(f"{i}") for i in range(20)}
        self.until(lambda: subjects <= district.subjects(), "its neighbour's reports arrive")
        frozen.thaw()
        last = frozen.report("thawed")
        self.until_case(district, last)
        self.tree.wait_level()
        self.assert_verified()

    def test_clean_shutdown_by_command(self):
        district, _, _, grid = self.whole_tree()
        self.assertEqual(grid.ctl("shutdown").returncode, 0)
        self.until(lambda: not grid.alive, "the grid ended")
        self.assertEqual(grid.process.returncode, 0)
        self.assertEqual(grid.ctl("status").returncode, 3, "no daemon at the socket")
        grid.hang_up()
        grid.start()
        self.until_case(district, grid.report("again"))


def link_of(node, address):
    return next(link for link in node.call("status")["children"] if link["address"] == address)


def district_has(district, subjects):
    return subjects <= district.subjects()


if __name__ == "__main__":
    main()
