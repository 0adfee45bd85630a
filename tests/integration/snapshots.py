"""What tests of snapshots share: making, reading by docs/FORMAT.md alone, forging, restoring."""
import json
import pathlib
import subprocess

import msgpack
from nacl.signing import VerifyKey
from noded_format import digest, item_commitment, leaf, verify_bundle

from support import TreeTest, ctl_json


def entries_of(octets):
    """(offset, entry) of each value of a snapshot's file."""
    unpacker = msgpack.Unpacker(raw=False, strict_map_key=False, max_buffer_size=0)
    unpacker.feed(octets)
    at = 0
    for entry in unpacker:
        yield at, entry
        at = unpacker.tell()


def read_snapshot(node, path):
    """Verifies it by docs/FORMAT.md alone; the fields of its head, and entries by name."""
    octets = path.read_bytes()
    verify_bundle((node.directory / "root.cert").read_bytes(), octets, sparse=True)
    entries = list(entries_of(octets))
    end, last = entries[-1]
    assert last[0] == "snapshot-end", last
    name, version, child, parent, store, at, lanes = entries[1][1]
    assert (name, version) == ("snapshot", 1)
    VerifyKey(parent).verify(b"noded-snapshot-v1\0" + digest(b"\x09", octets[:end]), last[1])
    named = {}
    for _, entry in entries[2:-1]:
        named.setdefault(entry[0], []).append(entry[1:])
    return {"child": child, "parent": parent.hex(), "store": store.hex(), "at": at,
            "lanes": lanes}, named


def link_to(node, address):
    return [link for link in node.call("status")["children"] if link["address"] == address][0]


class SnapshotTest(TreeTest):
    def snapshot(self, parent, child, name="child.snapshot"):
        """nodectl makes one; its file."""
        path = self.tree.directory / name
        code, result = ctl_json(parent, "snapshot", "--child", child.address, path)
        self.assertEqual(code, 0, result)
        self.assertEqual(result["size"], path.stat().st_size)
        self.assertFalse(pathlib.Path(f"{path}.part").exists())
        return path

    def spawn(self, *words):
        return subprocess.Popen(list(map(str, words)), stdout=subprocess.DEVNULL,
                                stderr=subprocess.DEVNULL)

    def restore(self, node, path, *more):
        return node.ctl("--json", "restore", "--snapshot", *more, path)

    def restored(self, node, path):
        done = self.restore(node, path)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    @staticmethod
    def signed(octets, key, child=None, parent=None, more=()):
        """The snapshot with other fields in its head and `more` entries, signed by `key`."""
        entries = [entry for _, entry in entries_of(octets)][:-1]
        head = entries[1]
        head[2], head[3] = child or head[2], parent or head[3]
        entries[2:2] = more
        body = b"".join(msgpack.packb(entry, use_bin_type=True) for entry in entries)
        signature = key.sign(b"noded-snapshot-v1\0" + digest(b"\x09", body)).signature
        return body + msgpack.packb(["snapshot-end", signature], use_bin_type=True)

    @staticmethod
    def subject_octets(text):
        number = 0
        for digit in text:
            number = number * 32 + "0123456789ABCDEFGHJKMNPQRSTVWXYZ".index(digit)
        return number.to_bytes(16, "big")

    @staticmethod
    def leaf_of(entries, needle):
        for (commit,) in entries["commit"]:
            for _, (header, items) in commit[2]:
                octets = [msgpack.packb(item, use_bin_type=True) for item in items]
                if any(needle in item for item in octets):
                    return leaf(header, [item_commitment(item) for item in octets])
        raise AssertionError("not there")
