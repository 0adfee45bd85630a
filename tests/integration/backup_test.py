#!/usr/bin/python3
"""Backups of running daemons, drills, and stores that are put back by them."""
import json
import os
import shutil
import signal
import stat
import subprocess
import time

from support import TreeTest, main


class BackupTest(TreeTest):
    def backup(self, node, name="backup", *options):
        path = self.tree.directory / name
        node.ctl("backup", *options, str(path), check=True)
        return path

    def restore(self, node, path, *options):
        return node.ctl("restore", *options, str(path))

    def drill(self, node, path):
        return node.ctl("--json", "restore", "--drill", str(path))

    def test_manifest_and_drill(self):
        nodes = self.whole_tree()
        grid = nodes[3]
        for i in range(20):
            grid.report(f"first {i}")
        self.tree.wait_level()
        path = self.backup(nodes[0])
        manifest = json.loads((path / "manifest.json").read_text())
        status = nodes[0].call("status")
        self.assertEqual((manifest["address"], manifest["store"], manifest["records"]),
                         ("d", status["store"], status["records"]))
        self.assertEqual(sorted(p.name for p in path.iterdir()),
                         ["chain.cert", "manifest.json", "noded.yaml", "root.cert", "store"])
        self.assertEqual([p.name for p in (path / "store").iterdir()], ["data.mdb"])
        done = self.drill(nodes[0], path)
        self.assertEqual(done.returncode, 0, done.stderr)
        report = json.loads(done.stdout)
        self.assertEqual((report["records"], report["drill"]), (status["records"], True))
        again = nodes[0].ctl("backup", str(path))
        self.assertEqual(again.returncode, 1)
        self.assertIn("never replaces", again.stderr)

    def test_key_only_when_asked(self):
        nodes = self.whole_tree()
        path = self.backup(nodes[3], "with", "--with-key")
        self.assertEqual(stat.S_IMODE((path / "node.key").stat().st_mode), 0o600)
        fresh = self.tree.directory / "elsewhere"
        done = self.tree.ctl("--dir", str(fresh), "restore", str(path))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue((fresh / "store" / "data.mdb").exists())
        without = self.backup(nodes[3], "without")
        done = self.tree.ctl("--dir", str(self.tree.directory / "none"), "restore", str(without))
        self.assertEqual(done.returncode, 1)
        self.assertIn("node.key", done.stderr)

    def test_damage_is_seen(self):
        nodes = self.whole_tree()
        for i in range(50):
            nodes[3].report(f"case {i}")
        path = self.backup(nodes[3])
        data = path / "store" / "data.mdb"
        octets = bytearray(data.read_bytes())
        octets[len(octets) // 2] ^= 1
        data.write_bytes(octets)
        done = self.drill(nodes[3], path)
        self.assertEqual(done.returncode, 1)
        self.assertIn("damaged", done.stderr)
        nodes[3].stop()
        done = self.restore(nodes[3], path, "--replace")
        self.assertEqual(done.returncode, 1)
        nodes[3].start()
        self.assertEqual(len(nodes[3].cases()), 50)

    def test_wrong_node_and_running(self):
        nodes = self.whole_tree()
        path = self.backup(nodes[3])
        done = self.restore(nodes[3], path, "--replace")
        self.assertEqual(done.returncode, 1)
        self.assertIn("another process has the store", done.stderr)
        nodes[2].stop()
        done = self.restore(nodes[2], path, "--replace")
        self.assertEqual(done.returncode, 1)
        self.assertIn("of another node", done.stderr)
        nodes[2].start()
        nodes[3].stop()
        done = self.restore(nodes[3], path)
        self.assertEqual(done.returncode, 1)
        self.assertIn("--replace", done.stderr)
        nodes[3].start()

    def test_kill_in_the_middle(self):
        """A backup or a restore that is cut off leaves nothing that looks whole, and the next
        one succeeds."""
        nodes = self.whole_tree()
        grid = nodes[3]
        for i in range(40):
            grid.append(*[{"kind": "case.report", "up": 0, "items": [
                {"name": "", "value": {"category": "c", "text": os.urandom(400).hex()}}]}
                for _ in range(50)])
        path = self.tree.directory / "cut"
        part = self.tree.directory / "cut.part"
        command = [str(self.tree.binaries / "nodectl"), "--dir", str(grid.directory), "backup",
                   str(path)]
        for pause in (0.0, 0.01, 0.03):
            asker = subprocess.Popen(command, stdout=subprocess.DEVNULL,
                                     stderr=subprocess.DEVNULL)
            self.until(lambda: part.exists() or path.exists(), "it began")
            time.sleep(pause)
            grid.kill()
            asker.kill()
            asker.wait()
            if path.exists():
                self.assertEqual(self.drill(grid, path).returncode, 0)
                shutil.rmtree(path)
            grid.start()
        self.backup(grid, "cut")
        self.assertFalse(part.exists())
        self.assertEqual(self.drill(grid, path).returncode, 0)
        grid.stop()
        before = grid.directory / "store"
        for pause in (0.0, 0.01, 0.03, 0.1):
            cut = subprocess.Popen([str(self.tree.binaries / "noded"), "--dir",
                                    str(grid.directory), "--restore", str(path), "--replace"],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(pause)
            cut.send_signal(signal.SIGKILL)
            cut.wait()
            self.assertTrue((before / "data.mdb").exists(), "one of both is always in place")
        done = self.restore(grid, path, "--replace")
        self.assertEqual(done.returncode, 0, done.stderr)
        grid.start()
        self.assertEqual(len(grid.cases()), 2000)
        self.tree.wait_linked()
        self.assert_verified(grid)


if __name__ == "__main__":
    main()
