#!/usr/bin/python3
"""A parent is killed and returns, and all of its 500 children dial in the same moment: they are let
in at a bounded pace, none runs into a timeout, and what is urgent is served meanwhile."""
import re
import subprocess
import threading
import time

from common import FULL, SANITIZED, AdminGone, FaultTest, draft, main

CHILDREN = 2000 if FULL else 100 if SANITIZED else 500
PACE = 100  # limits.admit_per_second, as it is unless configured
AT_ONCE = 32
CROWD, CROWD_PACE = 120, 10
URGENT_MAX_S = 5.0
AWAY_S = 14  # then pauses are 6 to 13 s
URGENT_DIAL_S = 3.0  # peers.c says 2
PASSED = re.compile(r"event=children_admitted admitted=(\d+) at_once=(\d+) line=(\d+) "
                    r"longest_wait_ms=(\d+) turned_away=(\d+)")


class Storm:
    """The children; see storm.c."""

    def __init__(self, parent, count):
        self.process = subprocess.Popen(
            [str(parent.tree.binaries / "storm"), str(parent.directory), parent.listen, str(count)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "ready\n"

    def blow(self):
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def figures(self):
        """Waits until all are linked."""
        words = self.process.stdout.readline().split()
        return {name: int(value) for name, value in (word.split("=") for word in words)}

    def close(self):
        self.process.communicate(timeout=30)
        return self.process.returncode


class Urgent(threading.Thread):
    """Writes an urgent record each 100 ms at the child and waits until the parent shows it."""

    def __init__(self, child, parent):
        super().__init__(daemon=True)
        self.child, self.parent = child, parent
        self.stopping = threading.Event()
        self.waits = []

    def run(self):
        while not self.stopping.is_set():
            subject = self.child.append(draft("", "urgent"))[0]["subject"]
            began = time.monotonic()
            while not self.shown(subject) and not self.stopping.is_set():
                time.sleep(0.01)
            self.waits.append(time.monotonic() - began)
            time.sleep(0.1)

    def shown(self, subject):
        try:
            return subject in self.parent.subjects()
        except AdminGone:
            return False


class StormTest(FaultTest):
    def admitted(self, parent):
        """Lines that passed: admitted, most at once, longest line, longest wait ms, turned away."""
        return [tuple(map(int, found)) for found in PASSED.findall(parent.log_text())]

    def test_urgent_first(self):
        """Pauses between dials grow to half a minute, but not while something urgent waits."""
        parent = self.tree.add("d")
        child = self.tree.add("d/first", leaf=True)
        child.settings["link"] = {"retry_max_ms": 30000}
        self.tree.build()
        parent.stop()
        child.append(draft("", "urgent"))
        time.sleep(AWAY_S)
        parent.start()
        linked_s = self.timed(child.linked, "the child is back")
        self.tell(linked_s=linked_s)
        self.assertLess(linked_s, URGENT_DIAL_S)

    def test_crowd(self):
        """More than the line holds: some are turned away, and get in by their own pauses."""
        parent = self.tree.add("d", settings={
            "limits": {"handshakes": 4, "admit_per_second": CROWD_PACE}})
        self.tree.build()
        storm = Storm(parent, CROWD)
        self.addCleanup(storm.process.kill)
        storm.blow()
        figures = storm.figures()
        self.assertEqual((figures["linked"], figures["timeouts"]), (CROWD, 0), figures)
        lines = self.admitted(parent)
        turned_away = sum(line[4] for line in lines)
        self.tell(children=CROWD, turned_away=turned_away, dials=figures["dials"],
                  all_linked_s=figures["took_ms"] / 1000)
        self.assertGreaterEqual(turned_away, CROWD - CROWD_PACE * 8 - 4 - 1)
        self.assertEqual(turned_away, figures["closed"])
        self.assertEqual(figures["dials"], CROWD + figures["closed"])
        self.assertLessEqual(max(line[1] for line in lines), 4)
        self.assertLessEqual(max(line[2] for line in lines), CROWD_PACE * 8)
        self.assertGreater(figures["took_ms"] / 1000, (CROWD - 4) / CROWD_PACE - 1, "no pace")
        self.assertEqual(storm.close(), 0)

    def test_storm(self):
        parent = self.tree.add("d")
        parent.settings["limits"] = {"children": CHILDREN + 100}
        child = self.tree.add("d/first", leaf=True)
        self.tree.build()
        storm = Storm(parent, CHILDREN)
        self.addCleanup(storm.process.kill)
        storm.blow()
        first = storm.figures()
        self.assertEqual(first["linked"], CHILDREN, first)
        before = len(self.admitted(parent))
        parent.kill()
        parent.start()
        self.tree.wait_linked()  # the first child, before the others
        urgent = Urgent(child, parent)
        urgent.start()
        storm.blow()
        again = storm.figures()
        urgent.stopping.set()
        urgent.join(30)
        self.tell(children=CHILDREN, first_time_s=first["took_ms"] / 1000,
                  all_linked_s=again["took_ms"] / 1000, dials=again["dials"],
                  turned_away=again["closed"], timeouts=again["timeouts"])
        self.assertEqual(again["linked"], CHILDREN, again)
        self.assertEqual(again["timeouts"], 0, "a handshake ran into its deadline")
        lines = self.admitted(parent)[before:]
        self.tell(handshakes_at_once=max(line[1] for line in lines),
                  longest_line=max(line[2] for line in lines),
                  longest_wait_s=max(line[3] for line in lines) / 1000)
        self.assertLessEqual(max(line[1] for line in lines), AT_ONCE)
        self.assertGreater(max(line[2] for line in lines), AT_ONCE, "there was no storm")
        if CHILDREN <= PACE * 8:
            self.assertEqual(again["dials"], CHILDREN, "some had to dial twice")
        self.tell(urgent_records=len(urgent.waits), urgent_worst_s=max(urgent.waits))
        self.assertLess(max(urgent.waits), URGENT_MAX_S)
        children = parent.call("status")["children"]
        self.assertEqual(sum(row["connected"] for row in children), CHILDREN + 1)
        self.assertEqual(storm.close(), 0)
        self.assert_verified()


if __name__ == "__main__":
    main()
