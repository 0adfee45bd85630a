#!/usr/bin/python3
"""Stores that went back in time, or were lost: what others hold comes back, nothing doubles."""
import shutil

from support import TreeTest, main


class RestoreTest(TreeTest):
    def copy_of(self, node):
        """The store as it is now, from a stopped daemon."""
        node.stop()
        copy = self.tree.directory / "copy"
        shutil.copytree(node.directory / "store", copy)
        node.start()
        return copy

    def put_back(self, node, copy):
        node.stop()
        shutil.rmtree(node.directory / "store")
        if copy is not None:
            shutil.copytree(copy, node.directory / "store")
        node.start()

    def goes_on(self, nodes, subjects, forgetful=None):
        """New reports reach every tier, and everything is there once; but what was before does
        not come back to the node that is `forgetful`."""
        grid = nodes[3]
        self.tree.wait_linked()
        subjects = subjects | {grid.report(f"after {i}") for i in range(5)}
        self.until(lambda: subjects <= nodes[0].subjects(), "the district has all")
        self.tree.wait_level()
        for node in nodes:
            have = [case["subject"] for case in node.cases()]
            self.assertEqual(len(have), len(set(have)), node.address)
            if node is not forgetful:
                self.assertEqual([s for s in subjects if s not in have], [], node.address)
            for case in node.cases():
                self.assertEqual(case["records"], 1, node.address)
        self.assert_verified()

    def restore(self, which):
        nodes = self.whole_tree()
        grid = nodes[3]
        subjects = {grid.report(f"first {i}") for i in range(5)}
        self.tree.wait_level()
        copy = self.copy_of(nodes[which])
        self.tree.wait_linked()
        subjects |= {grid.report(f"later {i}") for i in range(5)}
        self.tree.wait_level()
        self.put_back(nodes[which], copy)
        self.goes_on(nodes, subjects)

    def test_older_district(self):
        self.restore(0)

    def test_older_street(self):
        self.restore(1)

    def test_older_community(self):
        self.restore(2)

    def test_older_grid_is_found_out(self):
        """It would write other commits where its parent holds some already: a fork, refused, and
        its neighbours go on. With a new store it does too."""
        nodes = self.whole_tree("d/s/c/h")
        grid, beside = nodes[3], self.tree["d/s/c/h"]
        subjects = {grid.report("first")}
        self.tree.wait_level()
        copy = self.copy_of(grid)
        subjects |= {grid.report(f"later {i}") for i in range(3)}
        self.tree.wait_linked()
        self.tree.wait_level()
        self.put_back(grid, copy)
        grid.report("forked")
        entry = self.until(lambda: nodes[2].call("quarantine.list")["entries"], "the fork is seen")
        self.assertEqual((entry[0]["verdict"], entry[0]["address"]), ("fork", "d/s/c/g"))
        subjects |= {beside.report("beside")}
        self.until(lambda: subjects <= nodes[0].subjects(), "the others go on")
        self.put_back(grid, None)
        self.goes_on(nodes, subjects, forgetful=grid)

    def lose(self, which):
        nodes = self.whole_tree()
        grid = nodes[3]
        subjects = {grid.report(f"first {i}") for i in range(5)}
        self.tree.wait_level()
        self.put_back(nodes[which], None)
        self.goes_on(nodes, subjects, forgetful=grid if which == 3 else None)

    def test_lost_district(self):
        self.lose(0)

    def test_lost_street(self):
        self.lose(1)

    def test_lost_grid(self):
        self.lose(3)


if __name__ == "__main__":
    main()
