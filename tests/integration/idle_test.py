#!/usr/bin/python3
"""What a node costs while nothing happens: memory and processor time of a grid."""
import os
import time

from support import SANITIZED, TreeTest, cpu_ticks, main, memory_kib

RSS_MAX_KIB = 12 * 1024
SECONDS = 5
SHARE_MAX = 0.01


class IdleTest(TreeTest):
    def test_idle_memory_and_cpu(self):
        nodes = self.whole_tree()
        grid = nodes[3]
        for number in range(20):
            grid.report(f"{number}")
        self.tree.wait_level()
        time.sleep(1)
        before = {node: cpu_ticks(node.pid) for node in nodes}
        time.sleep(SECONDS)
        tick = os.sysconf("SC_CLK_TCK")
        for node in nodes:
            spent = (cpu_ticks(node.pid) - before[node]) / tick
            rss = memory_kib(node.pid)
            print(f"{node.address}: RSS {rss} KiB (anonymous {memory_kib(node.pid, 'RssAnon')}), "
                  f"{spent:.2f} s of processor in {SECONDS} s")
            if not SANITIZED:
                self.assertLessEqual(spent, SECONDS * SHARE_MAX, node.address)
        if not SANITIZED:
            self.assertLessEqual(memory_kib(grid.pid), RSS_MAX_KIB)


if __name__ == "__main__":
    main()
