"""scripts/faults: real daemons under real faults, the quiet ones side by side."""
import argparse
import os
import pathlib
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

HERE = pathlib.Path(__file__).resolve().parent
SKIP = 77
# name: (file, test, quiet). Quiet tests mostly wait and run side by side; the others one by one.
SCENARIOS = {
    "loss": ("links_test.py", "LinksTest.test_loss", True),
    "delay": ("links_test.py", "LinksTest.test_delay", True),
    "slow": ("links_test.py", "LinksTest.test_slow", True),
    "partition": ("links_test.py", "LinksTest.test_partition", True),
    "flapping": ("links_test.py", "LinksTest.test_flapping", True),
    "stop": ("stop_test.py", "StopTest.test_stop", True),
    "clock": ("clock_test.py", "ClockTest.test_clock", True),
    "urgent": ("storm_test.py", "StormTest.test_urgent_first", True),
    "crowd": ("storm_test.py", "StormTest.test_crowd", True),
    "disk": ("disk_test.py", "DiskTest", False),
    "storm": ("storm_test.py", "StormTest.test_storm", False),
    "kill": ("kill_test.py", "KillTest.test_kill", False),
}


def arguments():
    parser = argparse.ArgumentParser(
        prog="scripts/faults", description=__doc__,
        epilog="names: " + ", ".join(SCENARIOS))
    parser.add_argument("names", nargs="*", metavar="NAME", help="which; left out: all")
    parser.add_argument("--full", action="store_true", help="the long forms: a few minutes")
    options = parser.parse_args()
    unknown = set(options.names) - set(SCENARIOS)
    if unknown:
        parser.error(f"no fault named {', '.join(sorted(unknown))}; there are: "
                     f"{', '.join(SCENARIOS)}")
    return options


def run(name, full):
    """(exit code, seconds, what it wrote)."""
    file, test, _ = SCENARIOS[name]
    environment = {**os.environ, "NODED_FAULTS_FULL": "1" if full else ""}
    began = time.monotonic()
    done = subprocess.run([sys.executable, str(HERE / file), test], env=environment, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    return done.returncode, time.monotonic() - began, done.stdout


def report(name, result):
    code, seconds, text = result
    lines = text.replace(" ...   ", "\n  ").splitlines()
    if "SKIP" in text and code == 0:
        print("\n".join(line[line.index("SKIP"):] for line in lines if "SKIP" in line))
        return SKIP
    print(f"{name}: {'passed' if code == 0 else 'FAILED'} in {seconds:.1f} s")
    print("\n".join(lines if code else [line for line in lines if line.startswith("  ")]),
          flush=True)
    return code


def main():
    options = arguments()
    names = options.names or list(SCENARIOS)
    began = time.monotonic()
    codes = []
    quiet = [name for name in names if SCENARIOS[name][2]]
    with ThreadPoolExecutor(max(1, len(quiet))) as pool:
        results = pool.map(lambda name: run(name, options.full), quiet)
        codes += [report(name, result) for name, result in zip(quiet, results)]
    codes += [report(name, run(name, options.full)) for name in names if name not in quiet]
    print(f"{codes.count(0)} of {len(codes)} passed, {codes.count(SKIP)} skipped, "
          f"{time.monotonic() - began:.0f} s", flush=True)
    if any(code not in (0, SKIP) for code in codes):
        return 1
    return SKIP if codes.count(SKIP) == len(codes) else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
