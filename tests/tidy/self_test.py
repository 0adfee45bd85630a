#!/usr/bin/python3
"""Proves that the tidy test can fail: every bad line of fixtures/ is caught by the rule that it
names in `expect: RULE...` (or, for a line elsewhere, `expect@LINE: RULE`), and nothing else is.
A file that is too long and one without a last newline are made here."""
import pathlib
import re
import sys
import tempfile

import rules
import tidy

FIXTURES = pathlib.Path(__file__).resolve().parent / "fixtures"
EXPECT = re.compile(r"expect(?:@(\d+))?:((?: [a-z_]+)+)")
RULE_NAMES = {rule.__name__ for rule in rules.C_RULES}


def expected(root, relatives):
    out = []
    for relative in relatives:
        for number, line in enumerate((root / relative).read_text().split("\n"), 1):
            match = EXPECT.search(line)
            for name in match.group(2).split() if match else ():
                if name in RULE_NAMES:
                    out.append((str(relative), int(match.group(1) or number), name))
    return out


def made(root):
    """Findings that no fixture on disk can show well."""
    limit = "int a;\n" * rules.LINES_MAX
    (root / "noded").mkdir()
    (root / "noded" / "at_limit.c").write_text(limit)
    (root / "noded" / "past_limit.c").write_text(limit + "int b;\n")
    (root / "noded" / "no_newline.c").write_text("int a;")
    return [("noded/past_limit.c", rules.LINES_MAX + 1, "file_size"),
            ("noded/no_newline.c", 1, "white_space")]


def differences(root, relatives, wanted):
    found = [(str(path), line, name) for path, line, name, _ in tidy.findings(root, relatives)]
    for entry in set(wanted) | set(found):
        missing = wanted.count(entry) - found.count(entry)
        if missing:
            path, line, name = entry
            yield f"{path}:{line}: {'not caught' if missing > 0 else 'caught wrongly'} [{name}]"


def main():
    relatives = sorted(path.relative_to(FIXTURES) for path in FIXTURES.rglob("*")
                       if path.is_file() and path.name != "README.md")
    wanted = expected(FIXTURES, relatives)
    problems = list(differences(FIXTURES, relatives, wanted))
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        wanted += made(root)
        relatives = sorted(path.relative_to(root) for path in root.rglob("*.c"))
        problems += differences(root, relatives, wanted[-2:])
    unproven = RULE_NAMES - {name for _, _, name in wanted}
    problems += [f"no fixture breaks the rule {name}" for name in sorted(unproven)]
    print("\n".join(problems + [f"tidy self test: {len(wanted)} findings expected, "
                                f"{len(problems)} problems"]))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
