#!/usr/bin/python3
"""nodectl import: rows become cases; a malformed row is named with its line, the rest goes on."""
import pathlib
import shutil

from support import TreeTest, ctl_json, main

TESTS = pathlib.Path(__file__).resolve().parents[1]
MAP = TESTS / "demo" / "311.map.yaml"
DATA = TESTS / "data" / "nyc311-2018.csv"


class ImportTest(TreeTest):
    def setUp(self):
        super().setUp()
        self.nodes = self.whole_tree()

    def test_all_rows(self):
        district, grid = self.nodes[0], self.nodes[3]
        done = grid.ctl("import", str(DATA), "--map", str(MAP), "--progress", "never")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.until(lambda: len(district.cases()) == 1000, "1,000 cases at the top")
        numbers = [case["body"]["id"] for case in district.cases()]
        self.assertEqual(len(set(numbers)), 1000)
        self.tree.wait_level()
        self.assert_verified()

    def test_bad_rows_are_named_and_the_rest_goes_on(self):
        grid = self.nodes[3]
        path = self.tree.directory / "bad.csv"
        lines = DATA.read_text(encoding="utf-8").splitlines()[:6]
        lines.insert(3, "too,few,fields")
        lines.insert(5, lines[1] + ",one more")
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        done = grid.ctl("import", str(path), "--map", str(MAP), "--progress", "never")
        self.assertEqual(done.returncode, 4, done.stdout + done.stderr)
        for line in ("4", "6"):
            self.assertRegex(done.stderr, rf"\b{line}\b")
        self.assertEqual(len(grid.cases()), 5)
        code, _ = ctl_json(grid, "import", str(path), "--map", str(MAP), "--from-line", "7")
        self.assertEqual(code, 0)

    def test_no_row_at_all(self):
        grid = self.nodes[3]
        path = self.tree.directory / "x.csv"
        for text in ("", "a,b,c\n1,2,3\n", "\x00\xff\x00"):
            path.write_text(text, encoding="latin-1")
            done = grid.ctl("import", str(path), "--map", str(MAP))
            self.assertIn(done.returncode, (1, 2, 4), text)
            self.assertTrue(done.stderr, text)
        done = grid.ctl("import", "/nonexistent.csv", "--map", str(MAP))
        self.assertEqual(done.returncode, 1)
        typo = self.tree.directory / "typo.yaml"
        shutil.copy(MAP, typo)
        typo.write_text(typo.read_text() + "\nitmes: {}\n")
        done = grid.ctl("import", str(DATA), "--map", str(typo))
        self.assertIn(done.returncode, (1, 2))
        self.assertRegex(done.stderr, r"typo\.yaml:\d+")
        self.assertEqual(grid.cases(), [])


if __name__ == "__main__":
    main()
