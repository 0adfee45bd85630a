"""Load on a node: cases founded one after another, whatever happens to it."""
import random
import threading

from harness.admin import AdminError, AdminGone


def draft(mark, lane="normal", size=0, kind="case.report", **fields):
    """`size` octets that don't compress make the record as long on the wire."""
    value = {"category": "load", "mark": mark, "octets": random.randbytes(size)}
    return {"kind": kind, "lane": lane, "items": [{"name": "", "value": value}], **fields}


class Writer(threading.Thread):
    """Founds cases at one node, one after another with `pause` seconds between, whatever happens
    to that node; keeps what was acknowledged."""

    def __init__(self, node, name, pause=0.02, size=100, batch=1, urgent_every=0):
        super().__init__(daemon=True)
        self.node, self.name, self.pause = node, name, pause
        self.size, self.batch, self.urgent_every = size, batch, urgent_every
        self.stopping = threading.Event()
        self.acknowledged = {}
        self.asked = set()
        self.trouble = []
        self.refused = 0

    def run(self):
        connection, number = None, 0
        while not self.stopping.is_set():
            marks = [f"{self.name}-{number + i}" for i in range(self.batch)]
            urgent = self.urgent_every and number // self.batch % self.urgent_every == 0
            number += self.batch
            self.asked.update(marks)
            drafts = [draft(mark, "urgent" if urgent else "normal", self.size) for mark in marks]
            try:
                connection = connection or self.node.connect(60)
                written = connection.call("append", records=drafts)["records"]
                self.acknowledged.update((m, w["subject"]) for m, w in zip(marks, written))
            except AdminGone:
                if connection:
                    connection.close()
                connection = None
                self.stopping.wait(max(self.pause, 0.02))
            except AdminError as error:
                self.refused += 1
                if error.status != "disk_full":
                    self.trouble.append(str(error))
                    return
            self.stopping.wait(self.pause)
        if connection:
            connection.close()

    def finish(self):
        self.stopping.set()
        self.join(90)
        return set(self.acknowledged.values())
