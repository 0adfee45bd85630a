#!/usr/bin/python3
"""Configurations and stores that don't fit: refused at the start, with words that help."""
import shutil
import subprocess

from support import TreeTest, main


class ConfigTest(TreeTest):
    def lone(self):
        node = self.tree.add("d")
        self.tree.build()
        return node

    def run_daemon(self, node, *more):
        return subprocess.run(node.daemon_command(*more), capture_output=True, text=True,
                              timeout=20, check=False)

    def test_check_config(self):
        node = self.lone()
        done = self.run_daemon(node, "--check-config")
        self.assertEqual(done.returncode, 0, done.stderr)
        path = node.directory / "noded.yaml"
        good = path.read_text()
        line = len(good.splitlines()) + 2
        for name, text in (("typo", "limits:\n  childern: 5\n"),
                           ("section", "\nlimit:\n  children: 5\n"),
                           ("range", "limits:\n  children: 0\n"),
                           ("number", "limits:\n  children: many\n"),
                           ("list", "limits:\n  - children\n"),
                           ("yaml", "limits:\n  children: [1\n")):
            with self.subTest(name):
                path.write_text(good + text)
                done = self.run_daemon(node, "--check-config")
                self.assertNotEqual(done.returncode, 0, done.stdout)
                self.assertRegex(done.stdout + done.stderr, r"noded\.yaml:\d+: ")
                if name == "typo":
                    self.assertIn(f"noded.yaml:{line}: ", done.stdout + done.stderr)
                    self.assertIn("children", done.stdout + done.stderr, "what was meant")
        node.stop()
        done = self.run_daemon(node)
        self.assertNotEqual(done.returncode, 0, "it does not start with a bad file either")
        self.assertRegex(done.stdout + done.stderr, r"noded\.yaml:\d+: ")
        path.write_text(good)
        node.start()

    def test_version_and_missing_file(self):
        node = self.lone()
        done = subprocess.run([str(self.tree.binaries / "noded"), "--version"],
                              capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0)
        self.assertRegex(done.stdout, r"\d+\.\d+\.\d+")
        node.stop()
        (node.directory / "noded.yaml").unlink()
        done = self.run_daemon(node)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("noded.yaml", done.stdout + done.stderr)

    def test_two_daemons_on_one_store(self):
        node = self.lone()
        done = self.run_daemon(node)
        self.assertNotEqual(done.returncode, 0)
        self.assertTrue(done.stderr + done.stdout)
        self.assertEqual(node.call("status")["address"], "d")

    def test_store_of_another_node(self):
        nodes = self.whole_tree()
        street, community = nodes[1], nodes[2]
        street.report("mine")
        street.stop()
        community.stop()
        shutil.rmtree(community.directory / "store")
        shutil.copytree(street.directory / "store", community.directory / "store")
        done = self.run_daemon(community)
        self.assertNotEqual(done.returncode, 0)
        self.assertRegex(done.stdout + done.stderr, "another node|other node")
        street.start()

    def test_store_of_a_newer_version(self):
        node = self.lone()
        node.stop()
        path = node.directory / "store" / "data.mdb"
        octets = path.read_bytes()
        known = b"format" + (1).to_bytes(8, "little")
        self.assertIn(known, octets)
        path.write_bytes(octets.replace(known, b"format" + (99).to_bytes(8, "little")))
        done = self.run_daemon(node)
        self.assertNotEqual(done.returncode, 0)
        self.assertRegex(done.stdout + done.stderr, "version 99")

    def test_uncertified_node_does_not_start(self):
        self.lone()
        node = self.tree.add("d/s")
        node.make()
        done = self.run_daemon(node)
        self.assertNotEqual(done.returncode, 0)
        self.assertRegex(done.stdout + done.stderr, "chain.cert|certif")

    def test_key_that_others_may_read(self):
        node = self.lone()
        node.stop()
        (node.directory / "node.key").chmod(0o644)
        done = self.run_daemon(node)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("node.key", done.stdout + done.stderr)

    def test_nodectl_usage(self):
        node = self.lone()
        for words in (["stauts"], [], ["case"], ["cases", "--limit", "x"], ["report"]):
            done = node.ctl(*words)
            self.assertEqual(done.returncode, 2, words)
            self.assertTrue(done.stderr, words)
        self.assertEqual(node.ctl("--help").returncode, 0)
        self.assertIn("example", node.ctl("report", "--help").stdout.lower())
        done = node.ctl("case", "01ARZ3NDEKTSV4RRFFQ69G5FAV")
        self.assertEqual(done.returncode, 1)


if __name__ == "__main__":
    main()
