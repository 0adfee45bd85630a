#!/usr/bin/python3
"""Random work and random faults from one seed; in the end everyone in a case's audience shows the
same records, and nobody else shows any."""
import os
import random
import time

from support import AdminError, AdminGone, TreeTest, main

SECONDS = float(os.environ.get("NODED_SOAK_SECONDS", "10"))
ADDRESSES = ("d", "d/s1", "d/s2", "d/s1/@u", "d/s2/@u", "d/s1/c1", "d/s1/c2", "d/s2/c1",
             "d/s1/c1/g1", "d/s1/c1/g2", "d/s1/c2/g1", "d/s2/c1/g1", "d/s2/c1/g2", "d/s2/c1/@v")


class SoakTest(TreeTest):
    def setUp(self):
        super().setUp()
        self.seed = int(os.environ.get("NODED_SEED", random.randrange(1 << 32)))
        print(f"seed {self.seed}")
        self.chance = random.Random(self.seed)
        for address in ADDRESSES:
            self.tree.add(address)
        self.tree.build()
        self.acknowledged = {}
        self.frozen = None
        self.counts = {"written": 0, "refused": 0, "faults": 0}

    def body(self):
        text = "x" * self.chance.randrange(400)
        return [{"name": "", "value": {"category": "soak", "text": text}}]

    def write(self, node, draft):
        try:
            done = node.append(draft)[0]
            self.acknowledged.setdefault(done["subject"], set()).add(done["hlc"])
            self.counts["written"] += 1
        except AdminError as error:
            self.counts["refused"] += 1
            if error.status not in ("not_allowed", "not_found", "invalid_argument"):
                raise
        except AdminGone:
            pass

    def found(self, node):
        lane = self.chance.choice(("urgent", "normal", "normal", "bulk"))
        self.write(node, {"kind": "case.report", "lane": lane, "up": self.chance.randrange(5),
                          "items": self.body()})

    def add_to(self, node, kind, **fields):
        """To a case that this node shows."""
        cases = node.call("cases", limit=1000)["cases"]
        if cases:
            subject = self.chance.choice(cases)["subject"]
            self.write(node, {"kind": kind, "subject": subject, "items": self.body(), **fields})

    def target(self, node):
        below = [a for a in ADDRESSES if a.startswith(node.address + "/")]
        above = [a for a in ADDRESSES if node.address.startswith(a + "/")]
        chosen = self.chance.choice(below + above)
        if chosen in below and "@" not in chosen and self.chance.random() < 0.2:
            return chosen + "/*"
        return chosen

    def work(self):
        node = self.tree[self.chance.choice(ADDRESSES)]
        if node is self.frozen or not node.alive:
            return
        act = self.chance.random()
        if act < 0.4:
            self.found(node)
        elif act < 0.6:
            self.add_to(node, "case.comment")
        elif act < 0.9:
            self.add_to(node, "case.dispatch", down=[self.target(node)],
                        lane=self.chance.choice(("urgent", "normal", "bulk")))
        else:
            self.add_to(node, "case.escalate", up=self.chance.randrange(5))

    def fault(self):
        self.counts["faults"] += 1
        node = self.tree[self.chance.choice(ADDRESSES)]
        if self.frozen is not None:
            self.frozen.thaw()
            self.frozen = None
        elif not node.alive:
            node.start()
        elif self.chance.random() < 0.3:
            self.frozen = node
            node.hang_up()
            node.freeze()
        else:
            node.kill() if self.chance.random() < 0.7 else node.stop()
            if self.chance.random() < 0.5:
                node.start()

    def test_everyone_agrees(self):
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            if self.chance.random() < 0.03:
                self.fault()
            else:
                try:
                    self.work()
                except AdminGone:
                    pass
        if self.frozen is not None:
            self.frozen.thaw()
        for node in self.tree.nodes.values():
            if not node.alive:
                node.start()
        self.tree.wait_linked()
        self.tree.wait_level(120)
        print(self.counts, f"{len(self.acknowledged)} cases")
        self.compare()
        self.assert_verified()
        for node in self.tree.nodes.values():
            self.assertEqual(node.call("quarantine.list")["entries"], [], node.address)

    def compare(self):
        seen = {}
        for node in self.tree.nodes.values():
            for case in node.cases():
                answer = node.call("case", subject=case["subject"])
                records = sorted((r["hlc"], r["origin"], r["kind"], r["gen"])
                                 for r in answer["records"])
                seen.setdefault(case["subject"], {})[node.address] = (
                    records, sorted(answer["audience"]), answer["case"]["state"])
        for subject, written in self.acknowledged.items():
            views = seen.pop(subject)
            first = next(iter(views.values()))
            for address, view in views.items():
                self.assertEqual(view, first, f"seed {self.seed}: {subject} at {address} and at "
                                              f"{next(iter(views))}")
            hlcs = [record[0] for record in first[0]]
            self.assertEqual(len(hlcs), len(set(hlcs)), f"seed {self.seed}: {subject} doubled")
            self.assertTrue(written <= set(hlcs), f"seed {self.seed}: {subject} lost records")
            expected = {a for a in ADDRESSES if any(
                a == m or (m.endswith("/*") and (a + "/").startswith(m[:-1])) for m in first[1])}
            self.assertEqual(set(views), expected, f"seed {self.seed}: {subject}: {first[1]}")


if __name__ == "__main__":
    main()
