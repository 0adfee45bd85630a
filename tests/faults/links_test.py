#!/usr/bin/python3
"""A bad line between a community and its street: each test spoils it in one way while both sides
write, mends it, and asks whether all tiers show the same.

A partition lasts an hour in compressed time: with link.dead_seconds 2 instead of 150, and so on,
48 s stand for it (8 s in the short form: ten minutes)."""
import time

from common import FULL, FaultTest, Writer, draft, main
from wire import NEAR, NotPermitted, Wire

SLOW_LINE_S = {"link": {"retry_max_ms": 1000}}
COMPRESSED = {"link": {"idle_seconds": 1, "dead_seconds": 2, "retry_max_ms": 400}}
PARTITION_S = 48 if FULL else 8
FLAPS = 20 if FULL else 2
FLAP_S = 3


class LinksTest(FaultTest):
    def line(self, settings):
        """District and street in one namespace, community and grid in the other."""
        try:
            self.wire = Wire()
        except NotPermitted as reason:
            print(f"SKIP {self._testMethodName.removeprefix('test_')}: no network namespaces of "
                  f"our own here: {reason}", flush=True)
            self.skipTest("not permitted")
        self.addCleanup(self.wire.close)
        self.tree.settings = settings
        urls = {"d": "tcp://127.0.0.1:7310", "d/s": f"tcp://{NEAR}:7311",
                "d/s/c": "tcp://127.0.0.1:7312", "d/s/c/g": None}
        for address, url in urls.items():
            node = self.tree.add(address)
            node.listen = url
            node.prefix = self.wire.inside(self.wire.far if "c" in address else self.wire.near)
        self.tree.build()
        self.nodes = list(self.tree.nodes.values())
        self.district, self.street, self.community, self.grid = self.nodes
        self.orders = set()
        self.before = self.wire.figures()
        print(f"  {self._testMethodName.removeprefix('test_')}: wire by {self.wire.medium.name}",
              flush=True)

    def order(self, count):
        """The district founds cases and sends them down to the grid."""
        for number in range(count):
            subject = self.district.report("order", f"{number}")
            self.district.tell("case.dispatch", subject, "yours", down=["d/s/c/g"])
            self.orders.add(subject)

    def reconnect(self):
        """The community's daemon starts anew on the bad line; seconds until the link stands."""
        self.community.stop()
        self.community.start()
        return self.timed(self.community.linked, "the community is linked again")

    def finish_line(self, acknowledged):
        mended = time.monotonic()
        self.wire.set()
        self.until(self.has(self.district, acknowledged), "the district has all reports", 240)
        self.until(self.has(self.grid, self.orders), "the grid has all orders", 240)
        self.tree.wait_level(240)
        level = time.monotonic() - mended
        figures = {name: value - self.before[name] for name, value in self.wire.figures().items()}
        self.tell(level_s_after_mended=level, wire_octets=figures["octets"],
                  packets_dropped=figures["dropped"],
                  tcp_segments_sent_again=figures["segments_again"])
        self.all_is_well(self.nodes, set(acknowledged) | self.orders)

    def test_loss(self):
        """30 % of the packets are lost: slow, but it goes on, a new handshake included."""
        self.line(SLOW_LINE_S)
        self.wire.set(loss=0.3)
        writer = Writer(self.grid, "loss", pause=0.05, urgent_every=5)
        writer.start()
        self.order(5)
        self.until(lambda: len(writer.acknowledged) >= 60, "60 reports", 120)
        acknowledged = writer.finish()
        self.tell(reports=len(acknowledged), arrived_s=self.timed(
            self.has(self.district, acknowledged), "all arrive on the lossy line"))
        self.tell(orders_arrived_s=self.timed(self.has(self.grid, self.orders), "orders arrive"))
        self.tell(linked_again_s=self.reconnect())
        last = self.grid.report("after the handshake")
        self.tell(report_s=self.timed(self.has(self.district, {last}), "it arrives"))
        self.finish_line(acknowledged | {last})

    def test_delay(self):
        """2 s each way: four to an answer, twelve to a link."""
        self.line(SLOW_LINE_S)
        first = {self.grid.report(f"sudden {number}") for number in range(5)}
        self.wire.set(delay_s=2.0)
        first |= {self.grid.report(f"sudden {number}") for number in range(5, 10)}
        self.tell(linked_again_s=self.reconnect())
        first |= {record["subject"] for record in
                  self.grid.append(*[draft(f"delay-{i}", size=200) for i in range(200)])}
        urgent = self.grid.append(draft("delay-urgent", "urgent"))[0]["subject"]
        self.order(5)
        self.tell(urgent_s=self.timed(self.has(self.district, {urgent}), "the urgent one arrives"))
        self.tell(all_s=self.timed(self.has(self.district, first), "the others arrive"))
        self.finish_line(first | {urgent})

    def test_slow(self):
        """50 kbit/s with a backlog both ways: what is urgent passes it, and the backlog shrinks
        bit by bit, as acknowledgements are not stuck behind it."""
        self.line(SLOW_LINE_S)
        self.wire.set(rate_kbit=50)
        size = 600 if FULL else 60  # KB of backlog, 16 s each 100
        for _ in range(size):
            self.grid.append(draft("", "bulk", 1000))
        for _ in range(size // 4):
            self.district.append(draft("", "bulk", 1000, down=["d/s/c/g"]))
        self.until(lambda: self.community.waiting() >= size * 0.7, "the backlog waits", 60)
        urgent = self.grid.append(draft("slow-urgent", "urgent"))[0]["subject"]
        down = self.district.append(draft("slow-down", "urgent", down=["d/s/c/g"]))[0]["subject"]
        urgent_s = self.timed(self.has(self.district, {urgent}), "what is urgent arrives")
        behind = self.community.waiting()
        self.assertGreater(behind, 0, "the urgent report came after the whole backlog")
        self.tell(urgent_up_s=urgent_s, still_behind_it=behind)
        self.tell(urgent_down_s=self.timed(self.has(self.grid, {down}), "the urgent order arrives"))
        steps = set()
        drained = self.timed(lambda: self.watch(steps), "the backlog drains")
        self.tell(drained_s=drained, steps_seen=len(steps))
        self.assertGreater(len(steps), 4, f"acknowledgements came all at once: {sorted(steps)}")
        everything = self.grid.subjects() | self.district.subjects()
        self.finish_line(everything)

    def watch(self, steps):
        waiting = self.community.waiting()
        steps.add(waiting)
        return waiting == 0

    def test_partition(self):
        """Nothing passes for long; both sides notice, write on, and are level afterwards."""
        self.line(COMPRESSED)
        reports = Writer(self.grid, "apart", pause=0.05)
        reports.start()
        self.wire.set(cut=True)
        cut = time.monotonic()
        self.tell(child_noticed_s=self.timed(lambda: not self.community.linked(), "child notices"))
        self.tell(parent_noticed_s=self.timed(
            lambda: not self.child_linked("d/s/c"), "parent notices"))
        self.order(20)
        time.sleep(max(0.0, cut + PARTITION_S - time.monotonic()))
        self.assertFalse(self.community.linked())
        acknowledged = reports.finish()
        self.tell(apart_s=time.monotonic() - cut, reports=len(acknowledged))
        self.finish_line(acknowledged)

    def child_linked(self, address):
        children = self.street.call("status")["children"]
        return next(child["connected"] for child in children if child["address"] == address)

    def test_flapping(self):
        """Every 3 s the line comes or goes, under load."""
        self.line(COMPRESSED)
        writer = Writer(self.grid, "flap", pause=0.02, urgent_every=10)
        writer.start()
        for _ in range(FLAPS):
            self.wire.set(cut=True)
            self.order(2)
            time.sleep(FLAP_S)
            self.wire.set()
            time.sleep(FLAP_S)
        acknowledged = writer.finish()
        self.assertEqual(writer.trouble, [])
        links = self.community.log_text().count("event=link_up")
        self.tell(flaps=FLAPS, reports=len(acknowledged), links_made=links)
        self.finish_line(acknowledged)


if __name__ == "__main__":
    main()
