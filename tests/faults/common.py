"""What the fault tests share: a tree under load, and what must hold once the fault is over."""
import os
import pathlib
import sys
import time

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS), str(TESTS / "integration")]
from support import (SANITIZED, AdminError, AdminGone, Failure, TreeTest,  # noqa: E402,F401
                     four_tiers, main, wait_until)
from harness.load import Writer, draft  # noqa: E402,F401

FULL = bool(os.environ.get("NODED_FAULTS_FULL"))
# Far above what any of this takes; only a link that stands still gets there.
PATIENCE = float(os.environ.get("NODED_TEST_PATIENCE", "240"))


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
