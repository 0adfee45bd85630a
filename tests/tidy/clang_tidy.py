#!/usr/bin/python3
"""clang-tidy over every C file of ours that the build compiles; prints each finding once.

usage: clang_tidy.py BUILD_FOLDER [PATH_PART...]
With path parts, only files whose path below the project contains one of them.
"""
import json
import pathlib
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from sources import FOLDERS, project_root

TOOL = "clang-tidy"
JOBS = 2
FINDING = re.compile(r"^(?P<path>/[^:\n]+):(?P<rest>\d+:\d+: (?:error|warning): .*)$")


def compiled(build, root, parts):
    """Our files in the compile database, the largest first so that both jobs end together."""
    out = set()
    for entry in json.loads((build / "compile_commands.json").read_text()):
        path = pathlib.Path(entry["directory"], entry["file"]).resolve()
        if root in path.parents and path.relative_to(root).parts[0] in FOLDERS:
            out.add(path)
    wanted = [path for path in out
              if not parts or any(part in str(path.relative_to(root)) for part in parts)]
    return sorted(wanted, key=lambda path: -path.stat().st_size)


def check(build, path):
    run = subprocess.run([TOOL, "--quiet", "-p", str(build), str(path)], text=True, check=False,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    found = [match for match in map(FINDING.match, run.stdout.splitlines()) if match]
    if run.returncode and not found:
        return [(str(path), "1:1: " + (run.stdout + run.stderr).strip()[:2000])]
    return [(match["path"], match["rest"]) for match in found]


def main(arguments):
    if not arguments:
        print(__doc__, file=sys.stderr)
        return 2
    root = project_root()
    build = pathlib.Path(arguments[0]).resolve()
    files = compiled(build, root, arguments[1:])
    with ThreadPoolExecutor(JOBS) as pool:
        found = {entry for found in pool.map(lambda path: check(build, path), files)
                 for entry in found}
    for path, rest in sorted(found):
        print(f"{path.removeprefix(str(root) + '/')}:{rest.replace(',-warnings-as-errors', '')}")
    print(f"clang-tidy: {len(files)} files, {len(found)} findings")
    return 1 if found or not files else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
