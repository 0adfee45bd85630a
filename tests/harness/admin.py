"""A client of the admin protocol (docs/ADMIN.md) that needs no NNG binding.

It speaks the scalability protocols' REQ over an ipc:// socket itself, which is little: a greeting
of 8 octets, then messages `0x01, u64 length, u32 request id, payload`. Tests and the load
generator use it where a process for each call would be slow or would hide what is on the wire.
"""
import socket
import struct

import msgpack

GREETING_REQ = b"\x00SP\x00\x00\x30\x00\x00"
GREETING_REP = b"\x00SP\x00\x00\x31\x00\x00"


class AdminError(Exception):
    """The daemon answered with a status other than ok."""

    def __init__(self, status, reason, result=None):
        super().__init__(f"{status}: {reason}")
        self.status = status
        self.reason = reason
        self.result = result


class AdminGone(Exception):
    """No daemon at the socket, or it went away before it answered."""


def encode(command, args=None, version=1):
    return msgpack.packb({"v": version, "command": command, "args": args or {}},
                         use_bin_type=True)


class Admin:
    """One connection; requests one after another, or pipelined by `send` and `receive`."""

    def __init__(self, path, timeout=30.0):
        self.path = str(path)
        self.request = 0x80000001
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(timeout)
        try:
            self.socket.connect(self.path)
            self.socket.sendall(GREETING_REQ)
            if self._read(8) != GREETING_REP:
                raise AdminGone(f"{self.path}: not an admin socket")
        except OSError as error:
            self.socket.close()
            raise AdminGone(f"{self.path}: {error}") from error

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()

    def fileno(self):
        return self.socket.fileno()

    def _read(self, count):
        parts = []
        while count:
            try:
                part = self.socket.recv(min(count, 1 << 20))
            except OSError as error:
                raise AdminGone(f"{self.path}: {error}") from error
            if not part:
                raise AdminGone(f"{self.path}: closed")
            parts.append(part)
            count -= len(part)
        return b"".join(parts)

    def send(self, payload):
        self.request = 0x80000000 | ((self.request + 1) & 0x7FFFFFFF)
        head = struct.pack(">BQI", 1, len(payload) + 4, self.request)
        try:
            self.socket.sendall(head + payload)
        except OSError as error:
            raise AdminGone(f"{self.path}: {error}") from error

    def receive(self):
        """The reply's octets, not decoded."""
        while True:
            kind, length = struct.unpack(">BQ", self._read(9))
            body = self._read(length)
            if kind == 1 and struct.unpack(">I", body[:4])[0] == self.request:
                return body[4:]

    def call_raw(self, payload):
        self.send(payload)
        return msgpack.unpackb(self.receive(), raw=False, strict_map_key=False)

    def call(self, command, **args):
        reply = self.call_raw(encode(command, args))
        if reply["status"] != "ok":
            raise AdminError(reply["status"], reply["reason"], reply.get("result"))
        return reply["result"]
