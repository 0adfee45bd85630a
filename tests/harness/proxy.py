"""A TCP relay between a child and its parent that can be slow, cut, or hostile."""
import socket
import struct
import threading
import time

CHUNK = 2048
BUFFER = 4096


class Proxy:
    """Listens on a port of its own and relays to `target` ("tcp://host:port").

    `rate` is octets a second in each direction, None for no limit. `mangle(proxy, direction,
    number, frame)` gives the octets to send instead of a frame; direction is "up" (from who dialed)
    or "down", number counts a connection's frames."""

    def __init__(self, target, rate=None, mangle=None):
        host, port = target.removeprefix("tcp://").rsplit(":", 1)
        self.target = host, int(port)
        self.rate = rate
        self.mangle = mangle
        self.octets = {"up": 0, "down": 0}
        self.connections = 0
        self.closing = False
        self.open = True
        self.sockets = set()
        self.lock = threading.Lock()
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(16)
        self.url = "tcp://127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self.closing = True
        self.cut()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def cut(self):
        """Ends all connections and takes no new ones until `mend`."""
        self.open = False
        with self.lock:
            ended, self.sockets = self.sockets, set()
        for one in ended:
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def mend(self):
        self.open = True

    def drop(self):
        """Ends what is connected; it may come back at once."""
        self.cut()
        self.mend()

    def _accept(self):
        while not self.closing:
            try:
                child, _ = self.listener.accept()
            except OSError:
                return
            if not self.open:
                child.close()
                continue
            try:
                parent = socket.socket()
                parent.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
                parent.connect(self.target)
            except OSError:
                child.close()
                continue
            self.connections += 1
            with self.lock:
                self.sockets |= {child, parent}
            for direction, source, sink in (("up", child, parent), ("down", parent, child)):
                sink.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=self._relay, args=(direction, source, sink),
                                 daemon=True).start()

    def _relay(self, direction, source, sink):
        try:
            if self.mangle:
                self._relay_frames(direction, source, sink)
            else:
                self._relay_octets(direction, source, sink)
        except OSError:
            pass
        for one in (source, sink):
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def _relay_octets(self, direction, source, sink):
        size = CHUNK if self.rate is None else max(64, min(CHUNK, int(self.rate / 20)))
        while octets := source.recv(size if self.rate else 65536):
            if self.rate:
                time.sleep(len(octets) / self.rate)
            sink.sendall(octets)
            self.octets[direction] += len(octets)

    def _relay_frames(self, direction, source, sink):
        kept, number = b"", 0
        while octets := source.recv(65536):
            kept += octets
            while len(kept) >= 4:
                end = 4 + struct.unpack("<I", kept[:4])[0]
                if len(kept) < end:
                    break
                frame, kept = kept[:end], kept[end:]
                sink.sendall(self.mangle(self, direction, number, frame))
                number += 1
