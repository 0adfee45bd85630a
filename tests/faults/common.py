"""What the fault tests share: a tree under load, and what must hold once the fault is over."""
import os
import pathlib
import random
import sys
import threading
import time

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS), str(TESTS / "integration")]
from support import (SANITIZED, AdminError, AdminGone, Failure, TreeTest,  # noqa: E402,F401
                     four_tiers, main, wait_until)

FULL = bool(os.environ.get("NODED_FAULTS_FULL"))
# Far above what any of this takes; only a link that stands still gets there.
PATIENCE = float(os.environ.get("NODED_TEST_PATIENCE", "240"))


def draft(mark, lane="normal", size=0, kind="case.report", **fields):
    """`size` octets that don't compress make the record as long on the wire."""
    value = {"category": "load", "mark": mark, "octets": random.randbytes(size)}
    return {"kind": kind, "lane": lane, "items": [{"name": "", "value": value}], **fields}


class Writer(threading.Thread):
    """Founds cases at one node, one after another with `pause` seconds between, whatever happens
    to that node; keeps what was acknowledged."""

    def __init__(self, node, name, pause=0.02, size=100, batch=1, urgent_every=0):
        super().__init__(daemon=True)
        self.node, self.name, self.pause = node, name, pause
        self.size, self.batch, self.urgent_every = size, batch, urgent_every
        self.stopping = threading.Event()
        self.acknowledged = {}
        self.asked = set()
        self.trouble = []
        self.refused = 0

    def run(self):
        connection, number = None, 0
        while not self.stopping.is_set():
            marks = [f"{self.name}-{number + i}" for i in range(self.batch)]
            urgent = self.urgent_every and number // self.batch % self.urgent_every == 0
            number += self.batch
            self.asked.update(marks)
            drafts = [draft(mark, "urgent" if urgent else "normal", self.size) for mark in marks]
            try:
                connection = connection or self.node.connect(60)
                written = connection.call("append", records=drafts)["records"]
                self.acknowledged.update((m, w["subject"]) for m, w in zip(marks, written))
            except AdminGone:
                if connection:
                    connection.close()
                connection = None
            except AdminError as error:
                self.refused += 1
                if error.status != "disk_full":
                    self.trouble.append(str(error))
                    return
            self.stopping.wait(self.pause)
        if connection:
            connection.close()

    def finish(self):
        self.stopping.set()
        self.join(90)
        return set(self.acknowledged.values())


class FaultTest(TreeTest):
    """One fault a test; figures are printed as `name: value` lines for scripts/faults."""

    def tell(self, **figures):
        for name, value in figures.items():
            shown = f"{value:.2f}" if isinstance(value, float) else f"{value:,}"
            print(f"  {self._testMethodName.removeprefix('test_')}: "
                  f"{name.replace('_', ' ')} {shown}", flush=True)

    def timed(self, condition, what):
        """Seconds until it holds."""
        began = time.monotonic()
        self.until(condition, what, PATIENCE)
        return time.monotonic() - began

    def has(self, node, subjects):
        return lambda: set(subjects) <= self.subjects_of(node)

    @staticmethod
    def subjects_of(node):
        try:
            return node.subjects()
        except AdminGone:
            return set()

    def all_is_well(self, nodes, acknowledged, asked=None):
        """Everything acknowledged stands once on each of these nodes, they agree on the rest, and
        no node's store shows damage or holds anything back."""
        self.tree.wait_linked(seconds=PATIENCE)
        self.until(self.has(nodes[0], acknowledged), "the top has all", PATIENCE)
        self.tree.wait_level(PATIENCE)
        top = nodes[0].cases()
        marks = [case["body"]["mark"] for case in top if case["body"].get("mark")]
        self.assertEqual(len(marks), len(set(marks)), "a report stands twice")
        if asked is not None:
            self.assertTrue(set(marks) <= asked, "a report that nobody wrote")
        shown = {(case["subject"], case["records"]) for case in top}
        self.assertTrue(acknowledged <= {subject for subject, _ in shown}, "lost")
        for node in nodes[1:]:
            self.assertEqual({(case["subject"], case["records"]) for case in node.cases()}, shown,
                             node.address)
        self.assert_verified()
        for node in self.tree.nodes.values():
            self.assertEqual(node.call("quarantine.list")["entries"], [], node.address)
        self.tell(cases_on_every_tier=len(shown),
                  records_on_every_tier=sum(count for _, count in shown))
