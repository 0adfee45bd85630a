"""The work that the pipeline is measured with: records of about 250 octets, made of the real
requests in tests/data, encoded before the clock starts so that the generator costs little."""
import csv
import itertools
import pathlib
import selectors
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness.admin import AdminError, encode  # noqa: E402

DATA = pathlib.Path(__file__).resolve().parents[1] / "data" / "nyc311-2018.csv"
RECORD_SIZE = 250
# A record's octets beside its text: header, subject, clock, salt and the names around them.
OVERHEAD = 95


def texts():
    """Endless bodies, each different from the others."""
    with open(DATA, newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    for number in itertools.count():
        line = lines[number % len(lines)]
        text = f"{number} {line['descriptor']}, {line['address']}: {line['resolution']}"
        category = line["complaint_type"]
        room = RECORD_SIZE - OVERHEAD - len(category.encode())
        yield category, text.encode()[:room].decode(errors="ignore").ljust(room, ".")


def draft(category, text):
    return {"kind": "case.report", "author": "op-17",
            "items": [{"name": "", "value": {"category": category, "text": text}}]}


def make_requests(count, batch):
    """Encoded `append` requests with `count` records in all."""
    source = texts()
    return [encode("append", {"records": [draft(*next(source))
                                          for _ in range(min(batch, count - start))]})
            for start in range(0, count, batch)]


class Load:
    """Sends requests over several connections, one at a time on each, and keeps at most `lead`
    records ahead of `seen()`, what has arrived at the top."""

    def __init__(self, node, connections, lead):
        self.admins = [node.connect(120) for _ in range(connections)]
        self.lead = lead

    def close(self):
        for admin in self.admins:
            admin.close()

    def run(self, requests, batch, count, seen, look):
        """Until all are acknowledged. `look` is called about every 20 ms. Returns how many
        records were acknowledged."""
        selector = selectors.DefaultSelector()
        pending, sent, acknowledged, idle = iter(requests), 0, 0, list(self.admins)
        next_look = 0.0
        while acknowledged < count:
            while idle and sent < count and sent - seen() < self.lead:
                admin = idle.pop()
                admin.send(next(pending))
                sent = min(sent + batch, count)
                selector.register(admin, selectors.EVENT_READ)
            for key, _ in selector.select(0.01):
                admin = key.fileobj
                check_reply(admin.receive())
                selector.unregister(admin)
                idle.append(admin)
                acknowledged = min(acknowledged + batch, count)
            if time.monotonic() >= next_look:
                look()
                next_look = time.monotonic() + 0.02
        selector.close()
        return acknowledged


def check_reply(octets):
    """Status ok, without decoding the thousands of results that follow."""
    if b"\xa6status\xa2ok" not in octets[:64]:
        raise AdminError("refused", repr(octets[:200]))
