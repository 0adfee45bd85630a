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

    def shown(self, node):
        """The parent's tombstones are in."""
        self.until(lambda: not node.call("status")["hidden"], f"{node.address} shows its items")

    def own_logs(self, node):
        """Of the node itself, by store."""
        logs = node.call("log.list")["logs"]
        return {log["store"]: log for log in logs
                if log["address"] == node.address and log["lane"] == "normal"}

    def test_restored_grid_goes_on(self):
        """What it wrote after the backup stands above; what it writes now is a log of a new
        store, which names the last commit that it knows of the former."""
        nodes = self.whole_tree()
        grid = nodes[3]
        first = {grid.report(f"first {i}") for i in range(5)}
        self.tree.wait_level()
        path = self.backup(grid)
        later = {grid.report(f"later {i}") for i in range(5)}
        self.tree.wait_level()
        former = grid.call("status")["store"]
        grid.stop()
        done = grid.ctl("--json", "restore", "--replace", str(path))
        self.assertEqual(done.returncode, 0, done.stderr)
        store = json.loads(done.stdout)["store"]
        self.assertNotEqual(store, former)
        grid.start()
        self.assertEqual(grid.call("status")["store"], store)
        self.shown(grid)
        self.assertLessEqual(first, grid.subjects())
        last = self.own_logs(grid)[former]
        fresh = {grid.report(f"after {i}") for i in range(5)}
        self.until(lambda: first | later | fresh <= nodes[0].subjects(), "the district has all")
        self.tree.wait_level()
        log = self.own_logs(grid)[store]
        shown = grid.call("log.show", log=log["number"], seq=1)
        self.assertEqual(shown["prev"], last["id"])
        for node in nodes[:3]:
            self.assertTrue(all(case["records"] == 1 for case in node.cases()))
        self.assertEqual(nodes[2].call("quarantine.list")["entries"], [])
        self.assert_verified()

    def fill_again(self, which):
        """Children offer again what a restored parent lost, by themselves, and what had come down
        from above comes down again."""
        nodes = self.whole_tree()
        node, grid = nodes[which], nodes[3]
        subjects = {grid.report(f"first {i}") for i in range(5)}
        self.tree.wait_level()
        path = self.backup(node)
        subjects |= {grid.report(f"later {i}") for i in range(5)}
        if which != 0:
            subjects.add(nodes[0].report("from above", down=["d/s/c/g"]))
        self.until(lambda: subjects <= nodes[0].subjects(), "the district has all")
        self.tree.wait_level()
        node.stop()
        done = self.restore(node, path, "--replace")
        self.assertEqual(done.returncode, 0, done.stderr)
        node.start()
        self.tree.wait_linked()
        self.shown(node)
        self.until(lambda: subjects <= node.subjects(), f"{node.address} has all again")
        subjects.add(grid.report("after"))
        self.until(lambda: subjects <= nodes[0].subjects(), "it goes on")
        self.tree.wait_level()
        for each in nodes:
            self.assertTrue(all(case["records"] == 1 for case in each.cases()), each)
        self.assert_verified()

    def test_restored_district(self):
        self.fill_again(0)

    def test_restored_street(self):
        self.fill_again(1)

    def test_restored_community(self):
        self.fill_again(2)

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
        self.tree.wait_linked()
        self.shown(grid)
        self.assertEqual(len(grid.cases()), 2000)
        self.assert_verified(grid)


if __name__ == "__main__":
    main()
