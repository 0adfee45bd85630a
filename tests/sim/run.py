#!/usr/bin/python3
"""Runs the simulator over many seeds, several processes at once, and sums up.

usage: run.py [--seeds N] [--from S] [--seed S] [--trace] [--nodes N] [--fault NAME]
              [--check-replay] [--jobs N] [--quiet] [--known] [--planted [NAME]]
  --seeds N        how many seeds (default 300), from --from on (default 1)
  --seed S         that one alone; with --trace each step of it
  --nodes N        trees of N nodes instead of a size by the seed
  --fault NAME     that kind of fault alone; `sim --help` lists them
  --check-replay   each seed twice: both runs must give the same trace
  --known          the seeds that once showed a fault of the product (seeds.txt), before the others
  --planted [NAME] programs with one bug planted each (planted/*.txt): each must be caught within
                   1,000 seeds
Exits 1 when a seed failed; its last events and the command that replays it are printed.
"""
import argparse
import os
import pathlib
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

HERE = pathlib.Path(__file__).resolve().parent
CHUNK = 10  # seeds a process takes at once


def arguments():
    parser = argparse.ArgumentParser(usage=__doc__.split("usage: run.py ")[1].split("\n  --")[0],
                                     description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=300)
    parser.add_argument("--from", type=int, default=1, dest="first")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--nodes", type=int)
    parser.add_argument("--fault")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--trace", action="store_true")
    parser.add_argument("--quiet", action="store_true")
    parser.add_argument("--known", action="store_true")
    parser.add_argument("--planted", nargs="?", const="*")
    parser.add_argument("--check-replay", action="store_true")
    return parser.parse_args()


def program():
    return pathlib.Path(os.environ["NODED_BIN"]) / "sim"


def common(options):
    words = [str(program())]
    if options.nodes:
        words += ["--nodes", str(options.nodes)]
    if options.fault:
        words += ["--fault", options.fault]
    for name in ("trace", "quiet", "check_replay"):
        if getattr(options, name):
            words.append("--" + name.replace("_", "-"))
    return words


def known_jobs():
    """Lines of seeds.txt: the words for one run each, then what it showed."""
    for line in (HERE / "seeds.txt").read_text().splitlines():
        words = line.split("#")[0].split()
        if words:
            yield [str(program()), "--quiet", *words]


def jobs_of(options):
    if options.known:
        yield from known_jobs()
    for first in range(options.first, options.first + options.seeds, CHUNK):
        count = min(CHUNK, options.first + options.seeds - first)
        yield [*common(options), "--from", str(first), "--seeds", str(count)]


class Sum:
    """Of the lines `total ...` that each process ends with."""

    def __init__(self):
        self.numbers = {}
        self.broken = 0

    def take(self, text, code):
        found = re.search(r"^total (.*)$", text, re.MULTILINE)
        if code not in (0, 1) or not found:
            self.broken += 1
            return
        words = found.group(1).split()
        for name, number in zip(words[::2], words[1::2]):
            self.numbers[name] = self.numbers.get(name, 0) + int(number)

    def failed(self):
        return self.broken or self.numbers.get("failed", 0)

    def tell(self, seconds):
        numbers = dict(self.numbers)
        print(f"{numbers.pop('seeds', 0)} seeds, {numbers.pop('failed', 0)} failed, "
              f"{numbers.pop('events', 0):,} events, {seconds:.0f} s")
        print("injected: " + ", ".join(f"{name} {number}" for name, number in numbers.items()
                                       if number))
        if self.broken:
            print(f"{self.broken} processes ended without a word")


def run_all(jobs, limit):
    """Up to `limit` processes at once; their output is shown in the order in which they end."""
    total = Sum()
    begin = time.monotonic()
    running = []
    jobs = iter(jobs)
    job = next(jobs, None)
    while running or job:
        while job and len(running) < limit:
            running.append((job, subprocess.Popen(job, stdout=subprocess.PIPE, text=True,
                                                  stderr=subprocess.STDOUT)))
            job = next(jobs, None)
        words, process = running.pop(0)
        output = process.communicate()[0]
        shown = [line for line in output.splitlines() if not line.startswith("total ")]
        if shown:
            print("\n".join(shown), flush=True)
        if process.returncode not in (0, 1):
            print(f"{' '.join(words)} ended with {process.returncode}", flush=True)
        total.take(output, process.returncode)
    total.tell(time.monotonic() - begin)
    return 1 if total.failed() else 0


PLANTED_SEEDS_MAX = 1000


def catch(name):
    """The first seed that shows the planted bug, and what it shows; None when there is none."""
    first = re.search(r"^from (\d+)$", (HERE / "planted" / f"{name}.txt").read_text(), re.MULTILINE)
    words = [str(program().parent / f"sim-{name}"), "--quiet", "--until-failure",
             "--from", first.group(1) if first else "1", "--seeds", str(PLANTED_SEEDS_MAX)]
    output = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                            check=False).stdout
    found = re.search(r"^seed (\d+) failed: (.*)$", output, re.MULTILINE)
    if found:
        return int(found.group(1)), found.group(2)
    check = re.search(r"check failed: .*", output)
    return (0, check.group(0)) if check else None


def run_planted(pattern, limit):
    names = sorted(path.stem for path in (HERE / "planted").glob(f"{pattern}.txt"))
    missed = 0
    with ThreadPoolExecutor(limit) as pool:
        for name, caught in zip(names, pool.map(catch, names)):
            missed += caught is None
            print(f"{name:24} " + (f"seed {caught[0]:4}: {caught[1]}" if caught
                                   else f"NOT caught in {PLANTED_SEEDS_MAX} seeds"), flush=True)
    print(f"{len(names)} planted, {missed} not caught")
    return 1 if missed or not names else 0


def main():
    options = arguments()
    if options.planted:
        return run_planted(options.planted, options.jobs)
    if options.seed is not None:
        return subprocess.run([*common(options), "--seed", str(options.seed)],
                              check=False).returncode
    return run_all(jobs_of(options), options.jobs)


if __name__ == "__main__":
    sys.exit(main())
