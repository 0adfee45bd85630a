#!/usr/bin/python3
"""Wall clocks that step a year ahead and back while the daemons run (libfaketime, whose offset is
read from a file): nothing is lost, and right clocks make all level again by themselves."""
import pathlib
import time

from common import FULL, SANITIZED, FaultTest, Writer, main

LIBRARY = next(iter(sorted(pathlib.Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))), None)
YEAR_S = 400 * 86400  # past the end of certificates of a year
ROUNDS = 4 if FULL else 1


class ClockTest(FaultTest):
    def fake(self, node):
        """From its next start on this node's clock stands where `step` puts it."""
        offset = node.directory / "offset"
        offset.write_text("+0\n")
        node.environment = {
            "LD_PRELOAD": str(LIBRARY), "FAKETIME_TIMESTAMP_FILE": str(offset),
            "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        node.stop()
        node.start()

    def step(self, node, seconds):
        path = node.directory / "offset.new"
        path.write_text(f"{seconds:+d}\n")
        path.rename(node.directory / "offset")
        self.until(lambda: abs(self.ahead(node) - seconds) < 60, f"{node.address}'s clock steps")

    @staticmethod
    def ahead(node):
        return node.call("status")["now"] / 1000 - time.time()

    def order(self, nodes, orders):
        orders.add(nodes[0].append({"kind": "case.report", "down": ["d/s/c/g"], "items": [
            {"name": "", "value": {"category": "order"}}]})[0]["subject"])

    def test_clock(self):
        if LIBRARY is None or SANITIZED:
            print("SKIP clock: no libfaketime here, or a build that it doesn't go with", flush=True)
            self.skipTest("no libfaketime")
        nodes = self.whole_tree()
        for node in nodes:
            self.fake(node)
        self.tree.wait_linked()
        writer = Writer(nodes[3], "clock", pause=0.02, urgent_every=5)
        writer.start()
        orders, steps = set(), 0
        for _ in range(ROUNDS):
            for node, seconds in zip(nodes + nodes[::-1], (YEAR_S, -YEAR_S) * len(nodes)):
                self.step(node, seconds)
                self.order(nodes, orders)
                time.sleep(0.3)
                steps += 1
            nodes[1].kill()  # and links have to be made while clocks are wrong
            nodes[1].start()
            time.sleep(1.5)
        for node in nodes:
            self.step(node, 0)
        acknowledged = writer.finish()
        self.assertEqual(writer.trouble, [])
        self.tell(steps=steps, acknowledged=len(acknowledged), level_s_with_right_clocks=self.timed(
            self.has(nodes[0], acknowledged), "the district has all"))
        self.until(self.has(nodes[3], orders), "the grid has all orders")
        self.all_is_well(nodes, acknowledged | orders)


if __name__ == "__main__":
    main()
