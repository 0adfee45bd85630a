#!/usr/bin/python3
"""Writes the copy of one product source file that a planted bug is built from.

usage: plant.py PLANT.txt ROOT OUT.c
A plant names in its first lines what it breaks and the file, maybe ("from N") the seed to begin
with where many others show nothing, then the text that must stand there
exactly once ("--- old") and what comes in its place ("--- new"). Exits 1 when it doesn't.
"""
import pathlib
import sys


def main(plant, root, out):
    head, rest = pathlib.Path(plant).read_text().split("--- old\n")
    old, new = (text.removesuffix("\n") for text in rest.split("--- new\n"))
    source = head.splitlines()[1]
    text = (pathlib.Path(root) / source).read_text()
    if text.count(old) != 1:
        print(f"{plant}: what it changes stands {text.count(old)} times in {source}; once is due")
        return 1
    pathlib.Path(out).parent.mkdir(parents=True, exist_ok=True)
    pathlib.Path(out).write_text(text.replace(old, new))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
