#!/usr/bin/python3
"""Hostile octets at the admin socket and at the listening port: refused, and the node goes on."""
import os
import random
import socket
import stat
import struct
import time

import msgpack

from support import GREETING_REQ, AdminGone, TreeTest, encode, main

BAD_PAYLOADS = {
    "empty": b"",
    "not msgpack": b"\xc1",
    "truncated": encode("status")[:-1],
    "trailing": encode("status") + b"\x00",
    "not a map": msgpack.packb([1, "status", {}]),
    "deep": b"\x91" * 5000 + b"\xc0",
    "deep args": b"\x83\xa1v\x01\xa7command\xa6status\xa4args" + b"\x81\xa1a" * 4000 + b"\xc0",
    "long array": b"\xdd\xff\xff\xff\xff",
    "long bin": b"\xc6\xff\xff\xff\xff",
    "long map": b"\xdf\xff\xff\xff\xff",
    "no command": msgpack.packb({"v": 1, "args": {}}),
    "no version": msgpack.packb({"command": "status", "args": {}}),
    "version": encode("status", version=2),
    "unknown command": encode("stauts"),
    "unknown arg": encode("status", {"verbose": True}),
    "wrong type": encode("cases", {"limit": "many"}),
    "negative": encode("cases", {"limit": -1}),
    "too many": encode("cases", {"limit": 1 << 40}),
    "command twice": b"\x84\xa1v\x01\xa7command\xa6status\xa7command\xa6status\xa4args\x80",
    "bad utf-8": b"\x83\xa1v\x01\xa7command\xa2\xff\xfe\xa4args\x80",
    "bad subject": encode("case", {"subject": "no ulid"}),
    "bad request": encode("certify", {"request": b"\x00" * 40}),
}

BAD_DRAFTS = {
    "no kind": {"items": [{"name": "", "value": {}}]},
    "empty kind": {"kind": "", "items": [{"name": "", "value": {}}]},
    "long kind": {"kind": "k" * 65, "items": [{"name": "", "value": {}}]},
    "no items": {"kind": "case.report", "items": []},
    "same item twice": {"kind": "case.report", "items": [{"name": "a", "value": 1}] * 2},
    "too many items": {"kind": "case.report",
                       "items": [{"name": str(i), "value": i} for i in range(65)]},
    "lane": {"kind": "case.report", "lane": "fast", "items": [{"name": "", "value": {}}]},
    "up": {"kind": "case.report", "up": 5, "items": [{"name": "", "value": {}}]},
    "see": {"kind": "case.report", "items": [{"name": "", "value": {}, "see": 32}]},
    "typo": {"kind": "case.report", "itmes": []},
    "target": {"kind": "case.report", "down": ["not an address!"],
               "items": [{"name": "", "value": {}}]},
    "foreign target": {"kind": "case.report", "down": ["d/other"],
                       "items": [{"name": "", "value": {}}]},
    "unknown subject": {"kind": "case.comment", "subject": "01ARZ3NDEKTSV4RRFFQ69G5FAV",
                        "items": [{"name": "", "value": {}}]},
    "too large": {"kind": "case.report", "items": [{"name": "", "value": "x" * 33000}]},
}


class HostileTest(TreeTest):
    def setUp(self):
        super().setUp()
        self.nodes = self.whole_tree()

    def assert_alive(self):
        for node in self.nodes:
            self.assertTrue(node.alive, f"{node}: {node.log_text()[-2000:]}")
        self.until_case(self.nodes[0], self.nodes[3].report("still here"))

    def test_bad_requests(self):
        node = self.nodes[2]
        for name, payload in BAD_PAYLOADS.items():
            with self.subTest(name), node.connect(10) as admin:
                reply = admin.call_raw(payload)
                self.assertNotEqual(reply["status"], "ok", reply)
                self.assertTrue(reply["reason"], reply)
        self.assert_alive()

    def test_bad_drafts(self):
        grid = self.nodes[3]
        before = grid.call("status")["records"]
        for name, draft in BAD_DRAFTS.items():
            with self.subTest(name):
                self.assert_refused(("invalid_argument", "not_found", "not_allowed", "malformed",
                                     "too_large"), grid.call, "append", records=[draft])
        good = {"kind": "case.report", "items": [{"name": "", "value": {"category": "x"}}]}
        error = self.assert_refused(("invalid_argument", "not_allowed"), grid.call, "append",
                                    records=[good, good, BAD_DRAFTS["foreign target"], good])
        self.assertIn("2", error.reason, "the reason names the position")
        self.assertEqual(grid.call("status")["records"], before, "all or nothing")
        self.assert_refused("invalid_argument", grid.call, "append", records=[])
        self.assert_alive()

    def test_too_large_request_and_many_connections(self):
        node = self.nodes[2]
        try:
            with node.connect(10) as admin:
                reply = admin.call_raw(encode("log.import", {"octets": bytes(5 << 20)}))
                self.assertNotEqual(reply["status"], "ok")
        except AdminGone:
            pass
        held = []
        for _ in range(200):
            try:
                held.append(node.connect(2))
            except AdminGone:
                break
        print(f"{len(held)} connections held")
        for admin in held:
            admin.close()
        self.assert_alive()

    def test_raw_octets_at_the_admin_socket(self):
        path = str(self.nodes[2].directory / "admin.sock")
        mode = os.stat(path).st_mode
        self.assertTrue(stat.S_ISSOCK(mode))
        self.assertEqual(mode & 0o077, 0, "only the owner may speak to it")
        attempts = [b"", b"GET / HTTP/1.0\r\n\r\n", b"\x00SP\x00\x00\x50\x00\x00", os.urandom(4096),
                    GREETING_REQ + b"\x01" + struct.pack(">Q", 1 << 60),
                    GREETING_REQ + b"\x01" + struct.pack(">Q", 3) + b"abc",
                    GREETING_REQ + b"\x02" + struct.pack(">Q", 8) + bytes(8),
                    GREETING_REQ + b"\x01" + struct.pack(">Q", 4096) + b"half"]
        for octets in attempts:
            with socket.socket(socket.AF_UNIX) as raw:
                raw.connect(path)
                try:
                    raw.sendall(octets)
                    raw.settimeout(0.2)
                    raw.recv(64)
                except OSError:
                    pass
        self.assert_alive()

    def test_raw_octets_at_the_listening_port(self):
        host, port = self.nodes[2].listen.removeprefix("tcp://").split(":")
        seed = random.randrange(1 << 32)
        print(f"seed {seed}")
        chance = random.Random(seed)
        handshake = struct.pack("<I", 32) + chance.randbytes(32)
        attempts = [b"", b"GET / HTTP/1.0\r\n\r\n", struct.pack("<I", 0xFFFFFFFF),
                    struct.pack("<I", 0) * 100, struct.pack("<I", 65535) + b"half", handshake,
                    handshake * 50, struct.pack("<I", 65535) + chance.randbytes(65535)]
        attempts += [chance.randbytes(chance.randrange(1, 3000)) for _ in range(30)]
        kept = []
        for octets in attempts:
            raw = socket.create_connection((host, int(port)), 5)
            kept.append(raw)
            try:
                raw.sendall(octets)
            except OSError:
                pass
        self.assert_alive()
        time.sleep(0.2)
        for raw in kept:
            raw.close()
        self.nodes[3].kill()
        self.nodes[3].start()
        self.tree.wait_linked()
        self.assert_alive()
        self.assert_verified()


if __name__ == "__main__":
    main()
