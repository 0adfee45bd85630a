#!/usr/bin/python3
"""Bundles: a log carried by hand across a dead link, and verified by a program of another hand."""
import json
import pathlib
import subprocess
import sys

from support import TreeTest, ctl_json, main

VERIFIER = pathlib.Path(__file__).resolve().with_name("verify_bundle.py")
NOBODY = "tcp://127.0.0.1:1"


class BundleTest(TreeTest):
    def point_parent(self, node, url):
        """Restarts the node with another parent URL."""
        node.stop()
        path = node.directory / "noded.yaml"
        lines = [f"parent: {url}" if line.startswith("parent:") else line
                 for line in path.read_text().splitlines()]
        path.write_text("\n".join(lines) + "\n")
        node.start()

    def verify(self, bundle):
        done = subprocess.run([sys.executable, str(VERIFIER), str(self.tree.root_certificate()),
                               str(bundle)], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def test_carried_across_a_dead_link(self):
        nodes = self.whole_tree()
        district, street, community, grid = nodes
        before = grid.report("before")
        self.tree.wait_level()
        self.point_parent(grid, NOBODY)
        subjects = {grid.report(f"carried {i}", lane=lane)
                    for i in range(10) for lane in ("urgent", "normal", "bulk")}
        bundle = self.tree.directory / "carried"
        self.assertEqual(grid.ctl("log", "export", "-o", bundle).returncode, 0)
        summary = self.verify(bundle)
        self.assertEqual(summary["withheld"], 0)
        self.assertTrue(summary["records"] >= 31)
        code, answer = ctl_json(community, "log", "import", str(bundle))
        self.assertEqual(code, 0, answer)
        self.until(lambda: subjects <= district.subjects(), "the district has what was carried")
        self.nothing_changes(community, bundle)
        self.point_parent(grid, community.listen)
        self.tree.wait_linked()
        after = grid.report("after")
        self.until_case(district, after)
        self.tree.wait_level()
        self.assert_same_everywhere(nodes, subjects | {before, after})
        self.assert_verified()
        self.assertEqual(street.call("quarantine.list")["entries"], [])

    def nothing_changes(self, community, bundle):
        """Imported a second time."""
        def figures():
            status = community.call("status")
            return [status[name] for name in ("logs", "commits", "records", "subjects",
                                              "quarantine", "refused")]
        self.tree.wait_level(nodes=[node for node in self.tree.nodes.values()
                                    if node.address != "d/s/c/g"])
        before = figures()
        code, answer = ctl_json(community, "log", "import", str(bundle))
        self.assertEqual((code, answer["taken"], answer["refused"]), (0, 0, 0), answer)
        self.assertTrue(answer["duplicate"] > 0)
        self.assertEqual(figures(), before)

    def test_every_tier_exports_what_verifies(self):
        nodes = self.whole_tree("d/s/@u")
        grid, street = nodes[3], nodes[1]
        for up in (1, 2, 3, 4):
            for number in range(5):
                grid.report(f"{up} {number}", up=up)
        grid.append(*[{"kind": "case.report", "up": 1 + i % 4, "items": [
            {"name": "", "value": {"category": "mixed"}},
            {"name": "contact", "value": "x", "see": 3}]} for i in range(9)])
        subject = street.report("for the unit", down=["d/s/@u"])
        self.until_case(self.tree["d/s/@u"], subject)
        self.tree.wait_level()
        for node in self.tree.nodes.values():
            bundle = self.tree.directory / "bundle"
            self.assertEqual(node.ctl("log", "export", "-o", bundle).returncode, 0)
            summary = self.verify(bundle)
            self.assertEqual(summary["commits"], node.call("status")["commits"], node.address)
            print(f"{node.address}: {summary}")
            bundle.unlink()
        self.assertTrue(summary["records"])

    def test_one_case_and_one_log(self):
        nodes = self.whole_tree()
        district, grid = nodes[0], nodes[3]
        subject = grid.report("this one")
        for number in range(10):
            grid.report(f"others {number}")
        grid.tell("case.comment", subject, "more")
        self.until_case(district, subject, records=2)
        bundle = self.tree.directory / "case"
        self.assertEqual(district.ctl("log", "export", "--subject", subject, "-o",
                                      bundle).returncode, 0)
        log = next(log["number"] for log in district.call("log.list")["logs"]
                   if log["address"] == "d/s/c/g")
        one = self.tree.directory / "log"
        self.assertEqual(district.ctl("log", "export", "--log", str(log), "-o", one).returncode, 0)
        self.assertEqual(self.verify(one)["logs"], 1)

    def test_a_damaged_bundle_is_refused(self):
        nodes = self.whole_tree()
        community, grid = nodes[2], nodes[3]
        for number in range(20):
            grid.report(f"{number}")
        self.tree.wait_level()
        bundle = self.tree.directory / "bundle"
        grid.ctl("log", "export", "-o", bundle, check=True)
        octets = bundle.read_bytes()
        for name, damaged in (("cut", octets[:-7]), ("garbage", octets + b"\xc1garbage"),
                              ("head", b"\x00" + octets[1:]), ("empty", b""),
                              ("text", b"not a bundle\n")):
            bundle.write_bytes(damaged)
            done = community.ctl("log", "import", str(bundle))
            self.assertIn(done.returncode, (1, 4), f"{name}: {done.stdout}{done.stderr}")
            self.assertTrue(done.stderr or done.stdout, name)
        self.assertEqual(community.ctl("log", "import", "/nonexistent").returncode, 1)
        self.assertTrue(community.alive)
        self.until_case(nodes[0], grid.report("goes on"))
        self.assert_verified()


if __name__ == "__main__":
    main()
