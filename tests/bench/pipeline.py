"""The four-tier pipeline under measurement: one node a tier, real daemons on loopback TCP, fsync
on, every signature and hash checked at every hop."""
import os
import pathlib
import re
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from bench.load import Load, draft, make_requests, texts  # noqa: E402
from harness.admin import encode  # noqa: E402
from harness.tree import Failure, four_tiers, wait_until  # noqa: E402

SETTINGS = {"link": {"retry_max_ms": 200}, "log": {"level": "warn"}}
BATCH = 1024
CONNECTIONS = 8
LEAD = 100000
PATIENCE = 300


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_mib(pid, name):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return int(re.search(rf"^{name}:\s+(\d+)", file.read(), re.M).group(1)) / 1024


def quantile(sorted_values, share):
    return sorted_values[min(len(sorted_values) - 1, int(share * len(sorted_values)))]


class Pipeline:
    def __init__(self, tree):
        self.tree = tree
        self.nodes = four_tiers(tree)
        self.district, _, self.community, self.grid = self.nodes
        tree.build()
        self.top = 0

    def look(self):
        """How many records stand at the top."""
        self.top = self.district.call("status")["records"]
        return self.top

    def cpu(self):
        return [cpu_seconds(node.pid) for node in self.nodes]

    def wire(self):
        """Octets that each parent's port took in and sent so far, by `ss`."""
        received, sent = 0, 0
        for node in self.nodes[:3]:
            port = node.listen.rpartition(":")[2]
            text = subprocess.run(["ss", "-tinH", "state", "established", f"( sport = :{port} )"],
                                  capture_output=True, text=True, check=True).stdout
            received += sum(map(int, re.findall(r"bytes_received:(\d+)", text)))
            sent += sum(map(int, re.findall(r"bytes_acked:(\d+)", text)))
        return received, sent

    def disk(self):
        return [node.call("status")["disk"]["used"] for node in self.nodes]

    def level(self):
        self.tree.wait_level(PATIENCE)

    # --- what is measured

    def steady(self, count):
        """`count` records from the grid to the top as fast as they go."""
        requests = make_requests(count, BATCH)
        start_records = self.look()
        goal = start_records + count
        samples = []

        def look():
            samples.append((time.monotonic(), self.look()))
        cpu, wire, disk = self.cpu(), self.wire(), self.disk()
        load = Load(self.grid, CONNECTIONS, LEAD)
        began = time.monotonic()
        load.run(requests, BATCH, count, lambda: self.top - start_records, look)
        appended = time.monotonic()
        while self.top < goal:
            if time.monotonic() - began > PATIENCE:
                raise Failure(f"the top has {self.top} of {goal} records")
            time.sleep(0.01)
            look()
        ended = samples[-1][0]
        load.close()
        self.level()
        spent = [after - before for before, after in zip(cpu, self.cpu())]
        grown = [after - before for before, after in zip(disk, self.disk())]
        received, sent = (after - before for before, after in zip(wire, self.wire()))
        return {
            "records": count,
            "records_per_s": count / (ended - began),
            "steady_per_s": self.middle_rate(samples, start_records, count),
            "grid_per_s": count / (appended - began),
            "cpu_s_per_100k": sum(spent) * 1e5 / count,
            "cpu_by_node": [round(s * 1e5 / count, 3) for s in spent],
            "disk_per_record": [round(octets / count, 1) for octets in grown],
            "wire_per_record": (received + sent) / 3 / count,
            "top_rss_anon_mib": memory_mib(self.district.pid, "RssAnon"),
            "top_rss_mib": memory_mib(self.district.pid, "VmRSS"),
        }

    @staticmethod
    def middle_rate(samples, start, count):
        """Rate between the first tenth and the last."""
        low = next(s for s in samples if s[1] - start >= count * 0.1)
        high = next(s for s in samples if s[1] - start >= count * 0.9)
        if high[0] <= low[0]:
            return 0.0
        return (high[1] - low[1]) / (high[0] - low[0])

    def latency(self, seconds, rate=100):
        """One record every 1/rate s; ms until the district shows it, durable there and, because
        each tier sends on only what it has made durable, at the tiers below."""
        source, waits = texts(), []
        with self.grid.connect() as grid, self.district.connect() as district:
            begin = time.monotonic()
            for number in range(int(seconds * rate)):
                due = begin + number / rate
                time.sleep(max(0.0, due - time.monotonic()))
                started = time.monotonic()
                written = grid.call("append", records=[draft(*next(source))])["records"]
                subject = written[0]["subject"]
                question = encode("case", {"subject": subject})
                while district.call_raw(question)["status"] != "ok":
                    if time.monotonic() - started > 30:
                        raise Failure("a record did not arrive within 30 s")
                    time.sleep(0.0005)  # asking takes processor time from who is measured
                waits.append((time.monotonic() - started) * 1000)
        waits.sort()
        return {"p50_ms": quantile(waits, 0.5), "p99_ms": quantile(waits, 0.99),
                "max_ms": waits[-1], "records": len(waits)}

    def catch_up(self, count):
        """Seconds from the return of the grid's parent until `count` waiting records are at the
        top, over all three links."""
        goal = self.look() + count
        self.community.stop()
        load = Load(self.grid, CONNECTIONS, count + BATCH)
        load.run(make_requests(count, BATCH), BATCH, count, lambda: 0, lambda: None)
        load.close()
        self.community.start()
        began = time.monotonic()
        wait_until(lambda: self.look() >= goal, PATIENCE, "caught up", pause=0.01)
        took = time.monotonic() - began
        self.level()
        return {"records": count, "seconds": took}


def children_memory(tree, count, progress):
    """MiB of private memory that `count` connected children cost at a district."""
    district = tree.add("d")
    tree.build()
    before = memory_mib(district.pid, "RssAnon")
    for number in range(count):
        tree.add(f"d/s{number}", leaf=True)
    tree.build(progress)
    time.sleep(1)
    return {"children": count, "mib": memory_mib(district.pid, "RssAnon") - before}
