#!/usr/bin/python3
"""kill -9 of random tiers under load, often two at once: nothing acknowledged is lost or doubled.
12 kills in the short form, 200 in the long one; NODED_SEED repeats a choice of victims."""
import os
import random
import time

from common import FULL, FaultTest, Writer, main

KILLS = 200 if FULL else 12


class KillTest(FaultTest):
    def test_kill(self):
        seed = int(os.environ.get("NODED_SEED", random.randrange(1 << 32)))
        print(f"  kill: seed {seed}")
        chance = random.Random(seed)
        nodes = self.whole_tree()
        writers = [Writer(nodes[3], "a", pause=0.005, batch=8, urgent_every=7),
                   Writer(nodes[3], "b", pause=0.01, size=3000)]
        for writer in writers:
            writer.start()
        done = 0
        while done < KILLS:
            victims = chance.sample(nodes, chance.choice((1, 1, 2)))
            time.sleep(chance.uniform(0.0, 0.3))
            for node in victims:
                node.kill()
            time.sleep(chance.uniform(0.0, 0.1))
            for node in victims:
                node.start()
            done += len(victims)
        acknowledged = set().union(*(writer.finish() for writer in writers))
        self.assertEqual([text for writer in writers for text in writer.trouble], [])
        self.tell(kills=done, acknowledged=len(acknowledged), level_s_after_last=self.timed(
            self.has(nodes[0], acknowledged), "the district has all"))
        self.all_is_well(nodes, acknowledged, set().union(*(w.asked for w in writers)))


if __name__ == "__main__":
    main()
