#!/usr/bin/python3
"""Holds the house rules (rules.py) over the whole project; prints file:line: text [rule] for each
finding, and exits 1 if there is one.

usage: tidy.py [ROOT]
"""
import pathlib
import sys

import rules
from c_text import code_only
from sources import project_files, project_root

CODE_SUFFIXES = {".py", ".sh", ".cmake"}
CODE_FOLDERS = {"scripts", ".ci"}
TEXT_SUFFIXES = {".md", ".txt", ".yaml", ".yml", ".json", ".in", ".1", ".5", ".8"}


class File:
    """One file as the rules see it: raw lines, and for C the same lines without comments."""

    def __init__(self, root, relative):
        self.path = root / relative
        self.relative = relative
        self.text = self.path.read_text(encoding="utf-8", errors="replace")
        self.lines = self.text.split("\n")[:-1] if self.text.endswith("\n") \
            else self.text.split("\n")
        self.is_c = relative.suffix in (".c", ".h")
        self.code = code_only(self.text).split("\n")[:len(self.lines)] if self.is_c else []
        self.layer = self._layer()

    def _layer(self):
        parts = self.relative.parts
        if parts[:2] == ("replication", "transport"):
            return "transport"
        return parts[0] if parts[0] in rules.LAYERS else None

    def guards(self):
        """Guards that this header may have, the preferred one first."""
        stem = self.relative.stem.upper()
        folders = [self.relative.parent.name.upper(), self.relative.parts[0].upper()]
        if self.relative.parts[0] == "admin":
            folders.append("CTL")
        names = [f"{folder}_{stem}_H" for folder in folders]
        names += [f"{stem}_H" for folder in folders if stem.split("_")[0] == folder]
        return names

    def rules(self):
        if self.is_c:
            return rules.C_RULES
        if self.relative.suffix in CODE_SUFFIXES or self.relative.name == "CMakeLists.txt":
            return rules.CODE_RULES
        if self.relative.parts[0] in CODE_FOLDERS and not self.relative.suffix:
            return rules.CODE_RULES
        return rules.TEXT_RULES if self.relative.suffix in TEXT_SUFFIXES else ()


def findings(root, relatives):
    """(relative path, line, rule name, text) of all findings, in order."""
    for relative in relatives:
        file = File(root, relative)
        found = [(line, rule.__name__, text) for rule in file.rules() for line, text in rule(file)]
        for line, name, text in sorted(found):
            yield relative, line, name, text


def main(arguments):
    root = pathlib.Path(arguments[0]).resolve() if arguments else project_root()
    relatives = project_files(root)
    count = 0
    for relative, line, name, text in findings(root, relatives):
        print(f"{relative}:{line}: {text} [{name}]")
        count += 1
    print(f"tidy: {len(relatives)} files, {count} findings")
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
