#!/usr/bin/python3
"""kill -9 at each tier in turn under load: nothing that was acknowledged is lost or doubled."""
import os
import random
import time

from support import TreeTest, kinds_of, main
from harness.load import Writer

WRITERS = 3
BATCH = 4
ROUNDS = int(os.environ.get("NODED_KILL_ROUNDS", "2"))


class KillTest(TreeTest):
    def test_kill_each_tier_under_load(self):
        seed = random.randrange(1 << 32)
        print(f"seed {seed}")
        chance = random.Random(seed)
        nodes = self.whole_tree("d/s/c/h")
        sources = [nodes[3], self.tree["d/s/c/h"], nodes[2]]
        writers = [Writer(node, f"w{i}", pause=0, size=0, batch=BATCH)
                   for i, node in enumerate(sources)]
        for writer in writers:
            writer.start()
        try:
            for _ in range(ROUNDS):
                for node in reversed(nodes):
                    time.sleep(chance.uniform(0.1, 0.5))
                    node.kill()
                    time.sleep(chance.uniform(0.0, 0.3))
                    node.start()
            time.sleep(0.5)
        finally:
            for writer in writers:
                writer.stopping.set()
            for writer in writers:
                writer.finish()
        self.assertEqual([trouble for w in writers for trouble in w.trouble], [])
        self.assertEqual([w.refused for w in writers], [0] * WRITERS)
        self.tree.wait_linked()
        acknowledged = {s for w in writers for s in w.acknowledged.values()}
        print(f"{len(acknowledged)} acknowledged")
        self.assertTrue(acknowledged)
        self.until(lambda: acknowledged <= nodes[0].subjects(), "the district has all acknowledged")
        self.tree.wait_level(120)
        self.compare(nodes, sources, writers, acknowledged)
        self.assert_verified()
        for node in self.tree.nodes.values():
            self.assertEqual(node.call("quarantine.list")["entries"], [], node.address)

    def compare(self, nodes, sources, writers, acknowledged):
        district = nodes[0]
        marks = {}
        for case in district.cases():
            mark = case["body"]["mark"]
            self.assertNotIn(mark, marks, "doubled")
            self.assertEqual(case["records"], 1)
            marks[mark] = case["subject"]
        for writer in writers:
            for mark, subject in writer.acknowledged.items():
                self.assertEqual(marks.get(mark), subject, f"{mark} at the district")
        asked = set().union(*(writer.asked for writer in writers))
        self.assertTrue(set(marks) <= asked)
        self.assertEqual(district.subjects(), nodes[1].subjects())
        self.assertEqual(district.subjects(), nodes[2].subjects())
        own = {w.node.address: set(w.acknowledged.values()) for w in writers}
        for source in sources:
            self.assertTrue(own[source.address] <= source.subjects(), source.address)

    def test_kill_both_ends_of_a_dispatch(self):
        district, street, community, grid = self.whole_tree("d/s/@u")
        unit = self.tree["d/s/@u"]
        subjects = [grid.report(f"{i}") for i in range(20)]
        self.until(lambda: set(subjects) <= street.subjects(), "the street has them")
        street.append(*[{"kind": "case.dispatch", "subject": s, "down": ["d/s/@u"],
                         "items": [{"name": "", "value": {}}]} for s in subjects])
        street.kill()
        unit.kill()
        street.start()
        unit.start()
        for subject in subjects:
            self.until_case(unit, subject, state="dispatched", records=2)
            self.assertEqual(kinds_of(unit, subject), [("case.report", "d/s/c/g"),
                                                       ("case.dispatch", "d/s")])
        self.tree.wait_linked()
        self.tree.wait_level()
        self.assert_verified()


if __name__ == "__main__":
    main()
