#!/usr/bin/python3
"""Every C file stands as clang-format leaves it. Prints file:line of each place that does not, and
exits 1 if there is one; `--fix` writes what clang-format wants instead."""
import subprocess
import sys

from sources import c_files, project_root

TOOL = "clang-format"


def main(arguments):
    root = project_root()
    files = [str(path) for path in c_files(root)]
    mode = ["-i"] if arguments == ["--fix"] else ["--dry-run", "--Werror", "--ferror-limit=20"]
    run = subprocess.run([TOOL, "--style=file", *mode, *files], cwd=root, text=True,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    lines = [line for line in run.stdout.splitlines() if ": error: " in line or "error:" in line]
    print("\n".join(lines or run.stdout.splitlines()[:20]))
    bad = len({line.split(":")[0] for line in lines})
    print(f"format: {len(files)} files, {bad} that tests/tidy/format.py --fix would change")
    return 1 if run.returncode else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
