"""scripts/bench: the pipeline, the bare cascade and the machine's own limits, alternately in one
run, so that every figure has its ratio to what this machine could do at that time."""
import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from bench import endurance  # noqa: E402
from bench.pipeline import SETTINGS, Pipeline, children_memory  # noqa: E402
from harness.tree import Failure, Tree, find_binaries  # noqa: E402

# What the figures are meant to be, for 2 shared cores.
AIMS = {
    "steady_per_s": (100000, "at least"), "ratio_limit": (0.6, "at least"),
    "p50_ms": (4, "at most"), "p99_ms": (10, "at most"), "catch_up_s": (3, "at most"),
    "cpu_s_per_100k": (1.8, "at most"), "disk_per_record": (180, "at most"),
    "wire_per_record": (130, "at most"), "top_rss_anon_mib": (30, "at most"),
    "children_mib": (10, "at most"),
}


def arguments():
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small numbers: about a minute")
    parser.add_argument("--rounds", type=int, help="how often the three alternate (default 5)")
    parser.add_argument("--records", type=int, help="records of one round (default 200000)")
    parser.add_argument("--children", type=int, metavar="N",
                        help="how many children to measure the memory of (default 500, quick 0)")
    parser.add_argument("--endurance", action="store_true",
                        help="instead: how a backlog (--records, default 1000000, quick 100000) "
                        "behind a cut link drains, and what is urgent meanwhile")
    parser.add_argument("--dir", help="where the stores go; a disk, not memory")
    parser.add_argument("--json", action="store_true", help="the figures as JSON, at the end")
    options = parser.parse_args()
    options.rounds = options.rounds or (2 if options.quick else 5)
    if options.endurance:
        options.records = options.records or (100000 if options.quick else 1000000)
    options.records = options.records or (50000 if options.quick else 200000)
    if options.children is None:
        options.children = 0 if options.quick else 500
    return options


def say(text):
    print(text, file=sys.stderr, flush=True)


def run_json(name, *words):
    """One of the C programs beside the daemon; what it prints as JSON."""
    done = subprocess.run([str(find_binaries() / name), "--json", *map(str, words)],
                          capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Failure(f"{name}: exit {done.returncode}: {done.stderr}")
    return json.loads(done.stdout)


def directory_of(options):
    base = pathlib.Path(options.dir or tempfile.gettempdir()).resolve()
    kind = subprocess.run(["stat", "-f", "-c", "%T", str(base)], capture_output=True, text=True,
                          check=True).stdout.strip()
    if kind in ("tmpfs", "ramfs"):
        say(f"warning: {base} is {kind}: fsync costs nothing there; give --dir on a disk")
    return pathlib.Path(tempfile.mkdtemp(prefix="noded-bench-", dir=base)), kind


def measure(options, base):
    """All rounds; the tree grows over them, as a node's store does."""
    rounds = {"limit": [], "pipeline": [], "machine": []}
    with Tree(base / "tree", settings=SETTINGS) as tree:
        pipeline = Pipeline(tree)
        for number in range(options.rounds):
            limit = run_json("limit", "--records", options.records, "--dir", base)
            rounds["limit"].append(limit)
            say(f"round {number + 1}: bare cascade {limit['records_per_s']:,.0f} records/s")
            steady = pipeline.steady(options.records)
            rounds["pipeline"].append(steady)
            say(f"round {number + 1}: noded {steady['records_per_s']:,.0f} records/s, "
                f"{steady['cpu_s_per_100k']:.2f} s of processor per 100,000")
            rounds["machine"].append(run_json("machine", "--dir", base))
        seconds = 5 if options.quick else 30
        say("latency, the bare cascade's and noded's ...")
        bare = run_json("limit", "--latency", seconds, "--dir", base)
        latency = pipeline.latency(seconds)
        latency.update({f"bare_{name}": bare[name] for name in ("p50_ms", "p99_ms")})
        say("catch-up ...")
        catch_up = pipeline.catch_up(50000 if options.quick else 200000)
    return rounds, latency, catch_up


def middle(rows, name):
    return statistics.median(row[name] for row in rows)


def summarise(options, rounds, latency, catch_up, children):
    pipeline, limit = rounds["pipeline"], rounds["limit"]
    last = pipeline[-1]
    figures = {
        "records_per_s": middle(pipeline, "records_per_s"),
        "steady_per_s": middle(pipeline, "steady_per_s"),
        "limit_per_s": middle(limit, "records_per_s"),
        "ratio_limit": statistics.median(p["steady_per_s"] / r["records_per_s"]
                                         for p, r in zip(pipeline, limit)),
        **{name: latency[name] for name in ("p50_ms", "p99_ms", "bare_p50_ms", "bare_p99_ms")},
        "limit_cpu_s_per_100k": middle(limit, "cpu_s_per_100k"),
        "limit_disk_per_record": middle(limit, "disk_per_record"),
        "catch_up_s": catch_up["seconds"], "catch_up_records": catch_up["records"],
        "cpu_s_per_100k": middle(pipeline, "cpu_s_per_100k"),
        "cpu_by_node": last["cpu_by_node"],
        "disk_per_record": statistics.mean(last["disk_per_record"]),
        "disk_by_node": last["disk_per_record"],
        "wire_per_record": middle(pipeline, "wire_per_record"),
        "top_rss_anon_mib": last["top_rss_anon_mib"], "top_rss_mib": last["top_rss_mib"],
        "records_at_top": options.rounds * options.records,
    }
    if children:
        figures["children_mib"] = children["mib"]
    machine = {name: middle(rounds["machine"], name) for name in rounds["machine"][0]
               if isinstance(rounds["machine"][0][name], (int, float))}
    return figures, machine


LINES = (
    ("steady, at the top", "steady_per_s", "{:,.0f} records/s"),
    ("  from first append to last record at the top", "records_per_s", "{:,.0f} records/s"),
    ("  bare cascade, alternately", "limit_per_s", "{:,.0f} records/s"),
    ("  ratio to it", "ratio_limit", "{:.2f}"),
    ("latency grid to district at 100/s, p50", "p50_ms", "{:.2f} ms"),
    ("latency grid to district at 100/s, p99", "p99_ms", "{:.2f} ms"),
    ("  bare cascade, p50", "bare_p50_ms", "{:.2f} ms"),
    ("  bare cascade, p99", "bare_p99_ms", "{:.2f} ms"),
    ("catch-up after a cut", "catch_up_s", "{:.2f} s"),
    ("processor over four nodes, per 100,000", "cpu_s_per_100k", "{:.2f} s"),
    ("  bare cascade", "limit_cpu_s_per_100k", "{:.2f} s"),
    ("on disk, a record and node", "disk_per_record", "{:.0f} octets"),
    ("  bare cascade", "limit_disk_per_record", "{:.0f} octets"),
    ("on the wire, a record and link", "wire_per_record", "{:.0f} octets"),
    ("private memory at the top", "top_rss_anon_mib", "{:.1f} MiB"),
    ("private memory of the children", "children_mib", "{:.1f} MiB"),
)


def print_figures(figures, machine):
    for text, name, form in LINES:
        if name not in figures:
            continue
        line = f"{text:<46} {form.format(figures[name]):>20}"
        if name in AIMS:
            aim, sense = AIMS[name]
            met = figures[name] >= aim if sense == "at least" else figures[name] <= aim
            line += f"   aim {sense} {aim:,g}: {'met' if met else 'MISSED'}"
        print(line)
    print(f"  processor by node (grid last): {figures['cpu_by_node']} s per 100,000")
    print(f"  on disk by node (grid last): {figures['disk_by_node']} octets a record")
    print(f"  catch-up of {figures['catch_up_records']:,} records; "
          f"{figures['records_at_top']:,} records at the top in the rounds")
    print("this machine, in the same run, and the steady rate's ratio to it:")
    for name, value in machine.items():
        ratio = f"{figures['steady_per_s'] / value:>10.3g}" if name.endswith("_per_s") else ""
        print(f"  {name:<44} {value:>20,.0f}{ratio}")


def run_endurance(options, base):
    with Tree(base / "tree", settings=SETTINGS) as tree:
        figures = endurance.measure(tree, options.records, say)
    endurance.print_figures(figures)
    if options.json:
        print(json.dumps(figures))
    return 0 if endurance.passed(figures) else 1


def main():
    options = arguments()
    base, kind = directory_of(options)
    try:
        say(f"stores in {base} ({kind})")
        if options.endurance:
            return run_endurance(options, base)
        rounds, latency, catch_up = measure(options, base)
        children = None
        if options.children:
            say(f"{options.children} children ...")
            with Tree(base / "children", settings=SETTINGS) as tree:
                children = children_memory(tree, options.children, lambda *_: None)
        figures, machine = summarise(options, rounds, latency, catch_up, children)
        print_figures(figures, machine)
        if options.json:
            print(json.dumps({"figures": figures, "machine": machine, "rounds": rounds}))
    except Failure as failure:
        say(f"FAILED: {failure}")
        return 1
    finally:
        subprocess.run(["rm", "-rf", str(base)], check=False)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
