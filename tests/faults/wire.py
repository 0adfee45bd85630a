"""Two network namespaces and a wire between them that can be bad: lose, delay, be narrow, be cut.

What is on the wire are real packets of two real TCP stacks. Where the kernel has `netem`, a veth
pair carries them and `tc` spoils them; where it has not, two TUN devices do, and a thread here
passes on, delays and drops what it reads from them, each direction for itself.
"""
import atexit
import fcntl
import heapq
import json
import os
import pathlib
import random
import select
import struct
import subprocess
import threading
import time

TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000
QUEUE_MAX = 100  # packets that wait in one direction before the wire drops new ones
NEAR, FAR = "10.77.0.1", "10.77.0.2"
NAMESPACES = pathlib.Path("/var/run/netns")


class NotPermitted(Exception):
    """This machine does not let us make namespaces or devices; the text says what it said."""


def run(*words, check=True):
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=30)
    except OSError as error:
        raise NotPermitted(f"{words[0]}: {error.strerror}") from error
    if check and done.returncode != 0:
        raise NotPermitted(f"{' '.join(words)}: {(done.stderr or done.stdout).strip()}")
    return done


def remove_left_over():
    """Namespaces of test processes that were killed."""
    for path in NAMESPACES.glob("noded-*") if NAMESPACES.is_dir() else []:
        pid = path.name.split("-")[1]
        if pid.isdigit() and not pathlib.Path("/proc", pid).exists():
            run("ip", "netns", "del", path.name, check=False)


def as_seen(namespace, *words):
    return run("ip", "netns", "exec", namespace, *words).stdout


class Direction:
    """What is on its way from one end to the other, as the thread of `Relay` keeps it."""

    def __init__(self, source, sink):
        self.source, self.sink = source, sink
        self.waiting = []
        self.free_at = 0.0
        self.dropped = 0

    def take(self, packet, now, fault, chance):
        if fault["cut"] or chance.random() < fault["loss"] or len(self.waiting) >= QUEUE_MAX:
            self.dropped += 1
            return
        self.free_at = max(self.free_at, now)
        if fault["rate_kbit"]:
            self.free_at += len(packet) * 8 / (fault["rate_kbit"] * 1000)
        due = max(self.free_at + fault["delay_s"], self.waiting[-1][0] if self.waiting else 0.0)
        heapq.heappush(self.waiting, (due, packet))

    def give(self, now):
        while self.waiting and self.waiting[0][0] <= now:
            try:
                os.write(self.sink, heapq.heappop(self.waiting)[1])
            except OSError:
                pass  # the other end's device is going away


class Relay:
    """The wire in a thread, between two TUN devices."""

    name = "tun"

    def __init__(self, ends):
        self.fault = {"loss": 0.0, "delay_s": 0.0, "rate_kbit": 0, "cut": False}
        self.chance = random.Random(7)
        self.descriptors = [self._tun(*end) for end in ends]
        first, second = self.descriptors
        self.directions = [Direction(first, second), Direction(second, first)]
        self.closing = False
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    @staticmethod
    def _tun(namespace, device, here, there):
        try:
            descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
            fcntl.ioctl(descriptor, TUNSETIFF,
                        struct.pack("16sH22x", device.encode(), IFF_TUN | IFF_NO_PI))
        except OSError as error:
            raise NotPermitted(f"/dev/net/tun: {error.strerror}") from error
        run("ip", "link", "set", device, "netns", namespace)
        as_seen(namespace, "ip", "address", "add", here, "peer", there, "dev", device)
        as_seen(namespace, "ip", "link", "set", device, "up")
        return descriptor

    def set(self, fault):
        self.fault = fault

    def dropped(self):
        return sum(direction.dropped for direction in self.directions)

    def _run(self):
        while not self.closing:
            now = time.monotonic()
            for direction in self.directions:
                direction.give(now)
            due = [d.waiting[0][0] for d in self.directions if d.waiting]
            wait = min([0.1, *(max(0.0, at - now) for at in due)])
            for source in select.select(self.descriptors, [], [], wait)[0]:
                direction = self.directions[self.descriptors.index(source)]
                self._read(direction)

    def _read(self, direction):
        for _ in range(64):
            try:
                packet = os.read(direction.source, 65536)
            except OSError:
                return
            direction.take(packet, time.monotonic(), self.fault, self.chance)

    def close(self):
        self.closing = True
        self.thread.join()
        for descriptor in self.descriptors:
            os.close(descriptor)


class Netem:
    """The wire as a veth pair, spoilt by the kernel's own queueing discipline."""

    name = "netem"

    def __init__(self, ends):
        self.ends = ends
        (first, device, *_), (second, other, *_) = ends
        run("ip", "link", "add", device, "netns", first, "type", "veth", "peer", "name", other,
            "netns", second)
        for namespace, name, here, there in ends:
            as_seen(namespace, "ip", "address", "add", here, "peer", there, "dev", name)
            as_seen(namespace, "ip", "link", "set", name, "up")
        self.set({"loss": 0.0, "delay_s": 0.0, "rate_kbit": 0, "cut": False})

    def set(self, fault):
        loss = 100 if fault["cut"] else fault["loss"] * 100
        words = ["limit", str(QUEUE_MAX), "delay", f"{fault['delay_s'] * 1000:.0f}ms",
                 "loss", f"{loss:g}%"]
        if fault["rate_kbit"]:
            words += ["rate", f"{fault['rate_kbit']}kbit"]
        for namespace, name, *_ in self.ends:
            as_seen(namespace, "tc", "qdisc", "replace", "dev", name, "root", "netem", *words)

    def dropped(self):
        total = 0
        for namespace, name, *_ in self.ends:
            rows = json.loads(as_seen(namespace, "tc", "-s", "-j", "qdisc", "show", "dev", name))
            total += sum(row.get("drops", 0) for row in rows)
        return total

    def close(self):
        pass


class Wire:
    """`near` and `far` are the namespaces; NEAR and FAR their addresses on the wire."""

    count = 0

    def __init__(self):
        remove_left_over()
        Wire.count += 1
        mark = f"noded-{os.getpid()}-{Wire.count}"
        self.near, self.far = f"{mark}-near", f"{mark}-far"
        self.medium = None
        atexit.register(self.close)
        try:
            for namespace in (self.near, self.far):
                run("ip", "netns", "add", namespace)
                as_seen(namespace, "ip", "link", "set", "lo", "up")
            device = f"nd{os.getpid()}"[-12:]
            self.ends = [(self.near, f"{device}n{Wire.count}", NEAR, FAR),
                         (self.far, f"{device}f{Wire.count}", FAR, NEAR)]
            self.medium = self._medium()
        except NotPermitted:
            self.close()
            raise

    def _medium(self):
        known = as_seen(self.near, "sh", "-c", "tc qdisc add dev lo root netem delay 0ms && "
                        "tc qdisc del dev lo root && echo yes || true")
        return Netem(self.ends) if "yes" in known else Relay(self.ends)

    def set(self, loss=0.0, delay_s=0.0, rate_kbit=0, cut=False):
        """From now on, in each direction; what is not named is as it should be."""
        self.medium.set({"loss": loss, "delay_s": delay_s, "rate_kbit": rate_kbit, "cut": cut})

    def inside(self, namespace):
        """Words to put before a command."""
        return ["ip", "netns", "exec", namespace]

    def figures(self):
        """So far, both directions: octets that the ends gave to the wire, packets that the wire
        dropped, segments that TCP sent again."""
        octets, again = 0, 0
        for namespace, device, *_ in self.ends:
            rows = json.loads(as_seen(namespace, "ip", "-s", "-j", "link", "show", "dev", device))
            octets += rows[0]["stats64"]["tx"]["bytes"]
            names, values = [line.split() for line in as_seen(
                namespace, "grep", "^Tcp:", "/proc/net/snmp").splitlines()]
            again += int(values[names.index("RetransSegs")])
        return {"octets": octets, "dropped": self.medium.dropped(), "segments_again": again}

    def close(self):
        atexit.unregister(self.close)
        if self.medium is not None:
            self.medium.close()
            self.medium = None
        for namespace in (self.near, self.far):
            run("ip", "netns", "del", namespace, check=False)
