#!/usr/bin/python3
"""SIGSTOP for longer than link.dead_seconds: a process that neither answers nor goes away."""
import time

from common import FULL, FaultTest, Writer, main

COMPRESSED = {"link": {"idle_seconds": 1, "dead_seconds": 2, "retry_max_ms": 400}}
FROZEN_S = 30 if FULL else 3


class StopTest(FaultTest):
    settings = COMPRESSED

    def test_stop(self):
        nodes = self.whole_tree("d/s/c2")
        self.other = self.tree["d/s/c2"]
        writer = Writer(nodes[3], "stop", pause=0.01, urgent_every=9)
        writer.start()
        for node in nodes[:3]:
            self.freeze(node)
        acknowledged = writer.finish()
        self.assertEqual(writer.trouble, [])
        self.tell(acknowledged=len(acknowledged), level_s_after_last=self.timed(
            self.has(nodes[0], acknowledged), "the district has all"))
        self.all_is_well(nodes, acknowledged, writer.asked)

    def freeze(self, node):
        """The children's links are given up, what waits below waits, and comes afterwards."""
        children = [n for n in self.tree.nodes.values() if n.parent is node]
        node.hang_up()
        node.freeze()
        began = time.monotonic()
        noticed = self.timed(lambda: not any(child.linked() for child in children),
                             f"the children of {node.address} give the link up")
        time.sleep(max(0.0, began + FROZEN_S - time.monotonic()))
        node.thaw()
        self.tell(**{f"{node.address}_given_up_after_s": noticed, "linked_again_s": self.timed(
            lambda: all(child.linked() for child in children), "children are linked again")})


if __name__ == "__main__":
    main()
