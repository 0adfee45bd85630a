#!/usr/bin/python3
"""clang-tidy over every C file of ours that the build compiles; prints each finding once. A file
that was clean is looked at again only when it, a header that it includes, its compile command or
the configuration changed; BUILD_FOLDER/clang_tidy remembers.

usage: clang_tidy.py BUILD_FOLDER [PATH_PART...]
With path parts, only files whose path below the project contains one of them.
"""
import hashlib
import json
import pathlib
import re
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from sources import FOLDERS, project_root

TOOL = ("clang-tidy", "--quiet", "--extra-arg=-Wno-error")
JOBS = 2
FINDING = re.compile(r"^(?P<path>/[^:\n]+):(?P<rest>\d+:\d+: (?:error|warning): .*)$")


def compiled(build, root, parts):
    """Entries of the compile database that are ours, by path, the largest file first, so that both
    jobs end together."""
    out = {}
    for entry in json.loads((build / "compile_commands.json").read_text()):
        path = pathlib.Path(entry["directory"], entry["file"]).resolve()
        if root in path.parents and path.relative_to(root).parts[0] in FOLDERS:
            if not parts or any(part in str(path.relative_to(root)) for part in parts):
                out[path] = entry
    return sorted(out.items(), key=lambda item: -item[0].stat().st_size)


def fingerprint(root, entry):
    """Hash over all of ours that the result depends on; None when the compiler cannot tell."""
    words = shlex.split(entry["command"])
    if "-o" in words:
        del words[words.index("-o"):words.index("-o") + 2]
    run = subprocess.run([*words, "-MM", "-MF", "-", "-MT", "x"], cwd=entry["directory"],
                         capture_output=True, text=True, check=False)
    if run.returncode:
        return None
    files = shlex.split(run.stdout.replace("\\\n", " "))[1:]
    files += [root / ".clang-tidy", root / "tests" / ".clang-tidy"]
    digest = hashlib.sha256(entry["command"].encode())
    for path in files:
        digest.update(pathlib.Path(entry["directory"], path).read_bytes())
    return digest.hexdigest()


def check(build, root, path, entry):
    mark = fingerprint(root, entry)
    clean = build / "clang_tidy" / mark if mark else None
    if clean and clean.exists():
        return []
    run = subprocess.run([*TOOL, "-p", str(build), str(path)], text=True, check=False,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    found = [match for match in map(FINDING.match, run.stdout.splitlines()) if match]
    if run.returncode and not found:
        return [(str(path), "1:1: " + (run.stdout + run.stderr).strip()[:2000])]
    if clean and not found:
        clean.touch()
    return [(match["path"], match["rest"]) for match in found]


def main(arguments):
    if not arguments:
        print(__doc__, file=sys.stderr)
        return 2
    root = project_root()
    build = pathlib.Path(arguments[0]).resolve()
    (build / "clang_tidy").mkdir(exist_ok=True)
    files = compiled(build, root, arguments[1:])
    with ThreadPoolExecutor(JOBS) as pool:
        found = {entry for found in pool.map(lambda item: check(build, root, *item), files)
                 for entry in found}
    for path, rest in sorted(found):
        print(f"{path.removeprefix(str(root) + '/')}:{rest.replace(',-warnings-as-errors', '')}")
    print(f"clang-tidy: {len(files)} files, {len(found)} findings")
    return 1 if found or not files else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
