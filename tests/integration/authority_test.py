#!/usr/bin/python3
"""Who may speak for an address: the device that was certified last, and nobody else."""
import shutil

from support import TreeTest, main


class AuthorityTest(TreeTest):
    def replace_device(self, node):
        """A new device takes the place of `node`; where the old device's files went."""
        node.stop()
        old = self.tree.directory / "old-device"
        shutil.move(node.directory, old)
        node.make()
        node.certify()
        node.start()
        return old

    def test_replaced_device_stays_out(self):
        nodes = self.whole_tree("d/s/c/h")
        district, community, grid = nodes[0], nodes[2], nodes[3]
        beside = self.tree["d/s/c/h"]
        before = grid.report("by the old device")
        self.tree.wait_level()
        old = self.replace_device(grid)
        self.tree.wait_linked()
        after = grid.report("by the new device")
        self.until_case(district, after)

        # The old device comes back with its key and store, and something to say.
        grid.stop()
        new, returned = self.tree.directory / "new-device", grid.directory
        shutil.move(returned, new)
        shutil.move(old, returned)
        refusals = community.log_text().count("event=link_refused")
        grid.start()
        late = grid.report("by the old device, replaced meanwhile")
        self.until(lambda: community.log_text().count("event=link_refused") > refusals + 1,
                   "the community turns it away, each time")
        other = beside.report("beside it")
        self.until_case(district, other)
        for node in nodes[:3]:
            self.assertNotIn(late, node.subjects(), node.address)
        self.assertFalse(community.call("quarantine.list")["entries"])

        # The new device goes on.
        grid.stop()
        shutil.move(returned, old)
        shutil.move(new, returned)
        grid.start()
        last = grid.report("by the new device again")
        self.until_case(district, last)
        self.tree.wait_level()
        self.assert_same_everywhere(nodes[:3], {before, after, other, last})
        self.assert_verified()


if __name__ == "__main__":
    main()
