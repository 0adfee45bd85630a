#!/usr/bin/python3
"""Who may be at the other end of a link: not a key that its parent has replaced, and nobody who
only holds connections open."""
import socket
import time

from support import TreeTest, main
from harness.tree import PORTS, Node  # after support, which says where it is


class ReplacedKeyTest(TreeTest):
    def test_replaced_device_stays_out(self):
        self.whole_tree()
        street, old = self.tree["d/s"], self.tree["d/s/c"]
        self.tree["d/s/c/g"].stop()
        old.stop()
        fresh = Node(self.tree, "d/s/c", street, f"tcp://127.0.0.1:{PORTS.take()}", old.settings)
        fresh.directory = self.tree.directory / "replacement"
        self.tree.nodes["replacement"] = fresh
        fresh.make()
        fresh.certify()
        fresh.start()
        self.tree.wait_linked([fresh])
        self.until_case(street, fresh.report("by the new device"))
        old.start()
        self.until(lambda: "link_refused" in street.log_text(), "the street refuses the old device")
        secret = street.report("for the new device alone", down=["d/s/c"])
        self.until_case(fresh, secret)
        time.sleep(1)
        self.assertFalse(old.linked())
        self.assertNotIn(secret, old.subjects())
        self.assertTrue(fresh.linked())


class IdleConnectionsTest(TreeTest):
    def test_idle_connections_keep_nobody_out(self):
        district, street = self.tree.add("d"), self.tree.add("d/s")
        street.settings["limits"] = {"children": 1}
        self.tree.build()
        community = self.tree.add("d/s/c")
        host, port = street.listen.removeprefix("tcp://").split(":")
        held = [socket.create_connection((host, int(port))) for _ in range(8)]
        try:
            began = time.monotonic()
            self.tree.build()
            self.until_case(district, community.report("while others idle"))
            self.assertLess(time.monotonic() - began, 10)
        finally:
            for one in held:
                one.close()


if __name__ == "__main__":
    main()
