"""scripts/bench --endurance: a large backlog waits behind a cut link; when the link is back it
drains, and what is urgent and new must not wait for it."""
import os
import threading
import time

from bench.load import Load, draft, make_requests, texts
from bench.pipeline import BATCH, CONNECTIONS, PATIENCE, Pipeline, memory_mib, quantile
from harness.tree import Failure, wait_until

CHUNK = 64 * BATCH  # records that are encoded at a time
URGENT_PER_S = 50
URGENT_P99_MAX_MS = 2000
SAMPLE_S = 0.25
ROWS = 12  # of the table over time


class Urgent(threading.Thread):
    """One urgent record each 1/URGENT_PER_S s at the grid, whatever became of those before; ms from
    when it was due to when the district shows it."""

    def __init__(self, grid, district):
        super().__init__(daemon=True)
        self.grid, self.district = grid, district
        self.stopping = threading.Event()
        self.due = []  # (seq in the grid's urgent log, when it was due), not yet seen
        self.lock = threading.Lock()
        self.waits = []
        self.looker = threading.Thread(target=self._look, daemon=True)

    def run(self):
        self.looker.start()
        source, number, began = texts(), 0, time.monotonic()
        with self.grid.connect(120) as grid:
            while not self.stopping.is_set():
                due = began + number / URGENT_PER_S
                number += 1
                time.sleep(max(0.0, due - time.monotonic()))
                record = {**draft(*next(source)), "lane": "urgent"}
                seq = grid.call("append", records=[record])["records"][0]["seq"]
                with self.lock:
                    self.due.append((seq, due))

    def _look(self):
        """How far the grid's urgent log stands at the district: one question for all that wait."""
        with self.district.connect(120) as district:
            while self.is_alive() or self.due:
                logs = district.call("log.list", limit=1000)["logs"]
                seen = max((log["seq"] for log in logs if log["lane"] == "urgent"
                            and log["address"] == self.grid.address), default=0)
                now = time.monotonic()
                with self.lock:
                    while self.due and self.due[0][0] <= seen:
                        self.waits.append((now - self.due.pop(0)[1]) * 1000)
                time.sleep(0.005)

    def finish(self):
        self.stopping.set()
        self.join(PATIENCE)
        self.looker.join(PATIENCE)
        if self.due:
            raise Failure(f"{len(self.due)} urgent records did not arrive")
        return sorted(self.waits)


def pile_up(pipeline, count):
    """`count` records at grid and community, none above."""
    for start in range(0, count, CHUNK):
        size = min(CHUNK, count - start)
        load = Load(pipeline.grid, CONNECTIONS, size + BATCH)
        load.run(make_requests(size, BATCH), BATCH, size, lambda: 0, lambda: None)
        load.close()
    wait_until(lambda: pipeline.community.call("status")["records"] >= count, PATIENCE,
               "the community has the backlog")


def memory_row(pipeline, began):
    return [time.monotonic() - began, pipeline.look(),
            *(memory_mib(node.pid, "RssAnon") for node in pipeline.nodes),
            memory_mib(pipeline.district.pid, "VmRSS")]


def drain(pipeline, count):
    """Rows over time until the district has all of the backlog."""
    began = time.monotonic()
    rows = [memory_row(pipeline, began)]
    while rows[-1][1] < count:
        if time.monotonic() - began > PATIENCE:
            raise Failure(f"the top has {rows[-1][1]} of {count} records")
        time.sleep(SAMPLE_S)
        rows.append(memory_row(pipeline, began))
    return rows


def records_held(pipeline):
    return [node.call("status")["records"] for node in pipeline.nodes]


def measure(tree, count, say):
    pipeline = Pipeline(tree)
    street = pipeline.nodes[1]
    empty, own = pipeline.disk(), records_held(pipeline)
    say("the link between community and street is cut; the backlog grows ...")
    street.stop()
    pile_up(pipeline, count)
    piled = [pipeline.nodes[i].call("status")["disk"]["used"] for i in (2, 3)]
    say("the link is back ...")
    street.start()
    urgent = Urgent(pipeline.grid, pipeline.district)
    urgent.start()
    rows = drain(pipeline, count)
    waits = urgent.finish()
    pipeline.level()
    held = [now - before for now, before in zip(records_held(pipeline), own)]
    if set(held) != {count + len(waits)}:
        raise Failure(f"{count + len(waits)} records were written, held are {held}")
    low, high = (next(r for r in rows if r[1] >= count * share) for share in (0.1, 0.9))
    return {
        "records": count, "seconds": rows[-1][0],
        "drain_per_s": count / rows[-1][0],
        "drain_middle_per_s": (high[1] - low[1]) / max(high[0] - low[0], 1e-3),
        "urgent": len(waits), "urgent_p50_ms": quantile(waits, 0.5),
        "urgent_p99_ms": quantile(waits, 0.99), "urgent_max_ms": waits[-1],
        "backlog_disk_per_record": [round((now - before) / count, 1)
                                    for now, before in zip(piled, empty[2:])],
        "disk_per_record": [round((now - before) / held[0], 1)
                            for now, before in zip(pipeline.disk(), empty)],
        "rows": rows,
    }


def print_figures(figures):
    print(f"backlog                          {figures['records']:>12,} records")
    print(f"drained in                       {figures['seconds']:>12.1f} s")
    print(f"drain rate                       {figures['drain_per_s']:>12,.0f} records/s")
    print(f"  between a tenth and nine       {figures['drain_middle_per_s']:>12,.0f} records/s")
    print(f"urgent and new meanwhile         {figures['urgent']:>12,} records")
    for name in ("p50", "p99", "max"):
        print(f"  grid to district, {name}         {figures[f'urgent_{name}_ms']:>12,.0f} ms")
    print(f"on disk, octets a record: backlog at community and grid "
          f"{figures['backlog_disk_per_record']}, afterwards, top first, "
          f"{figures['disk_per_record']}")
    print("MiB of private memory while it drains, and the district's with its map's pages:")
    print("     s    at the top  district  street  community   grid   district, all")
    rows = figures["rows"]
    step = max(1, -(-len(rows) // ROWS))
    for row in rows[::step] + ([] if (len(rows) - 1) % step == 0 else rows[-1:]):
        print(f"{row[0]:>6.1f} {row[1]:>12,} {row[2]:>9.1f} {row[3]:>7.1f} {row[4]:>10.1f} "
              f"{row[5]:>6.1f} {row[6]:>12.1f}")


def passed(figures):
    """What is urgent must not starve; under a sanitizer times say nothing."""
    if not os.environ.get("NODED_SANITIZED") and figures["urgent_p99_ms"] > URGENT_P99_MAX_MS:
        print(f"MISSED: p99 of urgent records above {URGENT_P99_MAX_MS} ms")
        return False
    return True
