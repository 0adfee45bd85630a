"""What the integration tests share: a tree for each test, and the questions they ask of it."""
import json
import os
import pathlib
import re
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness.admin import GREETING_REQ, AdminError, AdminGone, encode  # noqa: E402,F401
from harness.proxy import Proxy  # noqa: E402,F401
from harness.tree import Failure, Tree, four_tiers, wait_until  # noqa: E402,F401

SANITIZED = bool(os.environ.get("NODED_SANITIZED"))
PATIENCE = 60.0
TROUBLE = re.compile("Sanitizer|runtime error:|check failed", re.ASCII)
SETTINGS = {"link": {"retry_max_ms": 500}}


class TreeTest(unittest.TestCase):
    """Each test gets its own tree; daemons end with the test."""

    settings = SETTINGS

    def setUp(self):
        self.began = time.monotonic()
        self.tree = Tree(settings=self.settings)
        self.addCleanup(self.finish)

    def finish(self):
        result = self._outcome.result
        failed = any(getattr(test, "test_case", test) is self
                     for test, _ in result.failures + result.errors)
        if failed:
            for node in self.tree.nodes.values():
                print(f"--- {node.address}\n{node.log_text()[-1500:]}", file=sys.stderr)
            self.tree.keep = bool(os.environ.get("NODED_TEST_KEEP"))
        self.end_cleanly(failed)
        print(f"{self.id()}: {time.monotonic() - self.began:.1f} s", flush=True)

    def end_cleanly(self, failed):
        """Every daemon that still runs must end with 0, and none may have said that its own
        checks (CHECK, sanitizers) found something."""
        wrong = []
        try:
            for node in self.tree.nodes.values():
                if node.alive:
                    node.thaw()
                    code = node.stop()
                    if code != 0:
                        wrong.append(f"{node.address} ended with {code}")
                text = node.log_text()
                if TROUBLE.search(text):
                    wrong.append(f"{node.address}: {text[-3000:]}")
        finally:
            self.tree.close()
        if not failed:
            self.assertEqual(wrong, [], "\n".join(wrong))

    def whole_tree(self, *more, settings=None):
        """d, d/s, d/s/c, d/s/c/g and `more`, all running and linked; the four of them."""
        nodes = four_tiers(self.tree)
        for address in more:
            self.tree.add(address)
        for address, values in (settings or {}).items():
            self.tree[address].settings.update(values)
        self.tree.build()
        return nodes

    def until(self, condition, what, seconds=PATIENCE):
        return wait_until(condition, seconds, what)

    def until_case(self, node, subject, what="", seconds=PATIENCE, **fields):
        """Waits until `node` shows the case with these fields; the case."""
        def look():
            case = case_of(node, subject)
            if case is None or any(case[name] != value for name, value in fields.items()):
                return None
            return case
        return self.until(look, f"{node.address} shows {subject} {fields} {what}",
                          seconds)

    def assert_refused(self, status, call, *args, **fields):
        with self.assertRaises(AdminError) as caught:
            call(*args, **fields)
        self.assertIn(caught.exception.status, (status,) if isinstance(status, str) else status)
        self.assertTrue(caught.exception.reason)
        return caught.exception

    def assert_verified(self, *nodes):
        """`log verify` finds nothing on any of them."""
        for node in nodes or self.tree.nodes.values():
            done = node.ctl("--json", "log", "verify")
            self.assertEqual(done.returncode, 0, f"{node}: {done.stdout}{done.stderr}")
            self.assertEqual(node.call("log.verify")["findings"], [])

    def assert_same_everywhere(self, nodes, subjects):
        """Every node shows exactly these cases, each record once."""
        for node in nodes:
            cases = [case["subject"] for case in node.cases()]
            self.assertEqual(len(cases), len(set(cases)), f"{node}: a case is listed twice")
            self.assertEqual(set(cases), set(subjects), f"{node}: other cases")


def case_of(node, subject):
    try:
        return node.call("case", subject=subject)["case"]
    except AdminError as error:
        if error.status != "not_found":
            raise
        return None


def kinds_of(node, subject):
    """Kind and origin of each record of the case, in fold order."""
    records = node.call("case", subject=subject)["records"]
    return [(record["kind"], record["origin"]) for record in records]


def ctl_json(node, *args):
    done = node.ctl("--json", *args)
    return done.returncode, (json.loads(done.stdout) if done.stdout.strip() else None)


def cpu_ticks(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def memory_kib(pid, name="VmRSS"):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        for line in file:
            if line.startswith(name + ":"):
                return int(line.split()[1])
    raise Failure(f"no {name} of {pid}")


def main():
    unittest.main(verbosity=2)
