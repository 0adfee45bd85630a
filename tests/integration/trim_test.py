"""Trimming on real daemons: what two nodes above hold goes, and nothing else."""
import os
import pathlib

from support import TreeTest, ctl_json, main


def values_of(node, subject):
    """Values that the node still has of a case, by name."""
    return {item["name"]: item["value"]
            for record in node.call("case", subject=subject)["records"]
            for item in record["items"] if not item.get("withheld")}


def trim(node, **args):
    return node.call("trim", days=0, **args)


class TrimTest(TreeTest):
    def whole_tree(self, *more, **options):
        """Without what was said of nodes when they joined."""
        nodes = super().whole_tree(*more, **options)
        self.level()
        for node in nodes[2:]:
            trim(node)
        return nodes

    def level(self):
        self.tree.wait_level()

    def test_goes_when_two_above_hold_it(self):
        district, street, community, grid = self.whole_tree()
        subjects = [grid.report("Noise", "all night " * 40) for _ in range(60)]
        self.level()
        records = grid.call("status")["records"]
        dry = trim(grid, dry_run=True)
        self.assertEqual((dry["items"], dry["commits"]), (60, 59), dry)
        self.assertIn("all night", values_of(grid, subjects[0])[""]["text"])
        done = trim(grid)
        self.assertEqual((done["items"], done["commits"], done["reason"]), (60, 59, ""), done)
        self.assertEqual(grid.call("status")["records"], records - 59)
        log = [log for log in grid.call("log.list")["logs"] if log["address"] == grid.address
               and log["lane"] == "normal"][0]
        self.assertEqual((log["floor"], log["commits"], log["seq"]), (59, 1, 60))
        for node in (community, street, district):
            self.assertIn("all night", values_of(node, subjects[0])[""]["text"], node.address)
        self.assertEqual(trim(grid)["items"], 0)
        self.assert_verified()
        # The log goes on, over a restart too, and the floor stays.
        grid.kill()
        grid.start()
        more = grid.report("Noise", "again")
        self.until_case(district, more)
        grid.tell("case.comment", subjects[0], "still there?")
        self.until_case(district, subjects[0], records=2)
        self.assert_verified()

    def test_never_when_the_link_above_is_cut(self):
        district, street, community, grid = self.whole_tree()
        subject = grid.report("Fire", "market")
        self.level()
        street.stop()
        late = grid.report("Fire", "stairs")
        self.until_case(community, late)
        done = trim(grid)
        self.assertEqual(done["items"], 0, done)
        self.assertIn("fewer than two", done["reason"])
        self.assertEqual(values_of(grid, subject)[""]["text"], "market")
        # With nobody to ask at all, nothing goes either.
        community.stop()
        done = trim(grid)
        self.assertEqual((done["items"], done["reason"]), (0, "the parent can't be asked now"))
        community.start()
        street.start()
        self.until_case(district, late)
        self.level()
        self.assertEqual(trim(grid)["items"], 2)
        self.assert_verified()

    def test_what_few_may_see_stays(self):
        _, street, community, grid = self.whole_tree()
        draft = {"kind": "case.report", "items": [
            {"name": "", "value": {"category": "Noise", "text": "loud"}},
            {"name": "contact", "value": "555 0100", "see": 1 | 2 | 16}]}
        subject = grid.append(draft)[0]["subject"]
        near = grid.append({"kind": "case.report", "up": 2, "items": [
            {"name": "", "value": {"category": "Noise", "text": "near"}}]})[0]["subject"]
        grid.report("Noise")
        self.level()
        done = trim(grid)
        self.assertEqual((done["items"], done["stay_few"], done["commits"]), (2, 1, 0), done)
        self.assertEqual(set(values_of(grid, subject)), {"contact"})
        self.assertEqual(values_of(grid, near)[""]["text"], "near")
        # A street has one above, and keeps everything; a community has two.
        self.assertEqual(trim(street)["items"], 0)
        self.assertGreater(trim(community)["items"], 0)
        self.assert_verified()

    def test_who_let_go_says_so(self):
        _, _, community, grid = self.whole_tree()
        grid.report("Noise", "one")
        grid.report("Noise", "two")
        self.level()
        self.assertEqual(trim(community)["items"], 2)
        # Street and district still hold it: that is two.
        self.assertEqual(trim(grid)["items"], 2)
        self.assert_verified()

    def test_assignments_go_at_the_grid(self):
        district, street, community, grid = self.whole_tree()
        subject = street.report("Hydrant", "broken")
        street.tell("case.dispatch", subject, "yours", down=["d/s/c/g"])
        self.until_case(grid, subject, records=2)
        self.level()
        entries = len(grid.call("inbox")["entries"])
        done = trim(grid)
        self.assertEqual(done["items"], 2, done)
        self.assertLessEqual(len(grid.call("inbox")["entries"]), entries)
        grid.tell("case.resolve", subject, "mended")
        self.until_case(street, subject, state="resolved", records=3)
        self.assert_verified()

    def test_late_member_gets_what_was_let_go(self):
        district, street, community, grid = self.whole_tree("d/s/c/h")
        other = self.tree["d/s/c/h"]
        subject = grid.report("Hydrant", "broken")
        grid.report("Hydrant", "another")
        self.level()
        self.assertEqual(trim(community)["commits"], 1)
        self.assertEqual(community.call("case", subject=subject)["records"], [])
        # A year later somebody else is to see to it, below a node that kept nothing of it.
        street.tell("case.dispatch", subject, "yours now", down=["d/s/c/h"])
        self.until_case(other, subject, state="dispatched", records=2)
        self.assertEqual(values_of(other, subject)[""]["text"], "yours now")
        self.assertIn("broken", str(other.call("case", subject=subject)["records"]))
        self.assertIn("event=history_came", community.log_text())
        other.tell("case.resolve", subject, "mended")
        self.until_case(district, subject, state="resolved", records=3)
        self.level()
        self.assert_verified()

    def test_by_itself_when_old_enough(self):
        library = next(iter(sorted(pathlib.Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))),
                       None)
        if library is None or os.environ.get("NODED_SANITIZED", "").lower() not in ("", "off", "0"):
            self.skipTest("no libfaketime here, or a build that it doesn't go with")
        district, _, _, grid = self.whole_tree(settings={"d/s/c/g": {"retention": {"days": 30}}})
        subjects = [grid.report("Noise", "old " * 50) for _ in range(30)]
        self.level()
        grid.stop()
        grid.environment = {"LD_PRELOAD": str(library), "FAKETIME": "+31d",
                            "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
        grid.start()
        young = grid.report("Noise", "young")
        self.until_case(district, young)
        self.until(lambda: grid.call("status")["trim"]["items"] >= 30, "it trims by itself", 60)
        self.assertEqual(values_of(grid, young)[""]["text"], "young")
        self.assertIn("old", values_of(district, subjects[0])[""]["text"])
        self.assertIn("event=trimmed", grid.log_text())
        self.assert_verified()

    def test_nodectl(self):
        _, _, _, grid = self.whole_tree()
        grid.report("Noise", "one")
        self.level()
        result = grid.ctl("trim")
        self.assertEqual(result.returncode, 1)
        self.assertIn("retention.days is not configured", result.stderr)
        code, answer = ctl_json(grid, "trim", "--days", "0", "--dry-run")
        self.assertEqual((code, answer["items"]), (0, 1))
        result = grid.ctl("trim", "--days", "0")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("1 values went", result.stdout)
        self.assertIn("values and 0 commits let go", grid.ctl("status").stdout)
        self.assertEqual(grid.ctl("trim", "--days", "-1").returncode, 2)

    def test_the_store_gets_smaller(self):
        district, _, _, grid = self.whole_tree()
        for _ in range(40):
            grid.append(*[{"kind": "case.report", "items": [
                {"name": "", "value": {"category": "Noise", "text": f"{i} " * 60}}]}
                for i in range(100)])
        self.level()
        before = grid.call("status")["disk"]["used"]
        done = trim(grid)
        self.assertEqual(done["items"], 4000, done)
        after = grid.call("status")["disk"]["used"]
        self.assertLess(after, before * 0.7, f"{before} octets before, {after} after")
        self.assert_verified()


if __name__ == "__main__":
    main()
