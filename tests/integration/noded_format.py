"""The formats of docs/FORMAT.md once more, written from that text alone and sharing nothing with
the daemon's code: what these two agree on is what the text says. It reads and verifies bundles,
and writes records, commits, certificates and bundles, good and bad ones, for tests."""
import hashlib
import os
import re
import struct

import msgpack
import nacl.exceptions
import nacl.signing

COMMIT_CONTEXT = b"noded-commit-v1\x00"
CERTIFICATE_CONTEXT = b"noded-cert-v1\x00"
ZERO = bytes(32)
RECORDS_MAX = 256
COMMIT_MAX = 60 * 1024
RECORD_MAX = 32 * 1024
NAME = "[0-9A-Za-z_-]{1,16}"
ADDRESS = re.compile(f"|{NAME}(/{NAME}){{0,3}}(/@{NAME})?")
TARGET = re.compile(f"{NAME}(/{NAME}){{0,3}}(/@{NAME}|/\\*)?")


class Wrong(Exception):
    """What was read does not verify; the text says why."""


def need(condition, text):
    if not condition:
        raise Wrong(text)


def digest(*parts):
    return hashlib.blake2b(b"".join(parts), digest_size=32).digest()


def pack(value):
    return msgpack.packb(value, use_bin_type=True)


def check_value(value, loose, what, depth=0):
    """The types that section 1 allows; nil, booleans and floats only where `loose`."""
    need(depth <= 16, f"{what}: too deep")
    if isinstance(value, list):
        for element in value:
            check_value(element, loose, what, depth + 1)
    elif isinstance(value, dict):
        need(len(value) <= 1024, f"{what}: map too large")
        for key, element in value.items():
            need(isinstance(key, str) or is_integer(key), f"{what}: map key")
            check_value(element, loose, what, depth + 1)
    elif not isinstance(value, (str, bytes)) and not is_integer(value):
        need(loose and (value is None or isinstance(value, (bool, float))),
             f"{what}: {type(value).__name__} has no place here")


def is_integer(value):
    return isinstance(value, int) and not isinstance(value, bool)


def pairs_once(pairs):
    made = dict(pairs)
    need(len(made) == len(pairs), "map: a key stands twice")
    return made


def unpack(octets, what, loose=False):
    """One msgpack value in its only form, without anything after it."""
    try:
        value = msgpack.unpackb(octets, raw=False, strict_map_key=False, use_list=True,
                                object_pairs_hook=pairs_once)
        packed = pack(value)
    except Exception as error:
        raise Wrong(f"{what}: {error}") from error
    need(packed == bytes(octets), f"{what}: not in canonical form")
    check_value(value, loose, what)
    return value


def fields_of(value, count, what):
    """The fields of a structure that starts with its version: exactly `count` in version 1, at
    least as many in a later one."""
    need(isinstance(value, list) and value and is_uint(value[0]) and 1 <= value[0] <= 255,
         f"{what}: version")
    need(len(value) == count or (value[0] > 1 and len(value) > count), f"{what}: fields")
    return value[1:count]


def is_octets(value, size):
    return isinstance(value, bytes) and len(value) == size


def is_uint(value):
    return is_integer(value) and value >= 0


# --- records

def item_commitment(octets):
    return digest(b"\x02", octets)


def leaf(header, commitments):
    return digest(b"\x00", struct.pack("<I", len(header)), header, *commitments)


def founding_subject(origin, hlc):
    return (hlc >> 16).to_bytes(6, "big") + digest(b"\x07", origin, struct.pack("<Q", hlc))[:10]


def counted_size(record):
    """Octets of a record with each item counted as at least its commitment."""
    return len(pack(record)) + sum(max(0, 34 - len(pack(item))) for item in record[1])


def read_record(record):
    """(header fields, leaf, shown items) of a decoded `[header bin, items array]`."""
    need(isinstance(record, list) and len(record) == 2, "record: not two elements")
    header_octets, items = record
    need(isinstance(header_octets, bytes) and isinstance(items, list) and items,
         "record: wrong types")
    need(1 <= len(items) <= 64, "record: number of items")
    need(counted_size(record) <= RECORD_MAX, "record: too large")
    header = unpack(header_octets, "record header", loose=True)
    kind, subject, gen, hlc, up, down, author = fields_of(header, 8, "record header")
    need(isinstance(kind, str) and is_octets(subject, 16) and isinstance(author, str)
         and all(map(is_uint, (gen, hlc, up))), "record header: types")
    need(gen <= 65535 and up <= 4 and 1 <= len(kind.encode()) <= 64
         and len(author.encode()) <= 128, "record header: bounds")
    need(isinstance(down, list) and len(down) <= 64
         and all(isinstance(t, str) and TARGET.fullmatch(t) for t in down), "record header: down")
    commitments, shown, names = [], [], set()
    for item in items:
        if isinstance(item, bytes):
            need(len(item) == 32, "item: commitment is not 32 octets")
            commitments.append(item)
            continue
        need(isinstance(item, list) and len(item) == 4, "item: not four elements")
        salt, name, value, see = item
        need(is_octets(salt, 16) and isinstance(name, str) and isinstance(value, bytes)
             and is_uint(see) and 1 <= see <= 31, "item: types")
        need(len(name.encode()) <= 64, "item: name too long")
        need(name not in names, "item: name twice")
        names.add(name)
        unpack(value, "item value", loose=True)
        commitments.append(item_commitment(pack(item)))
        shown.append((name, value, see))
    return header, leaf(header_octets, commitments), shown


def make_record(kind, subject, gen, hlc, items, up=4, down=(), author=""):
    """The decoded form; `items` is [(name, value, see)...]."""
    header = pack([1, kind, subject, gen, hlc, up, list(down), author])
    return [header, [[os.urandom(16), name, pack(value), see] for name, value, see in items]]


# --- the tree

def split(count):
    half = 1
    while half * 2 < count:
        half *= 2
    return half


def partial_root(leaves, low, high, hashes):
    """Root over [low, high) from the shown `leaves` (by index) and `hashes`, an iterator that
    gives those of the hidden subtrees in order."""
    if not any(low <= index < high for index in leaves):
        try:
            return next(hashes)
        except StopIteration:
            raise Wrong("tree: too few hashes") from None
    if high - low == 1:
        return leaves[low]
    middle = low + split(high - low)
    left = partial_root(leaves, low, middle, hashes)
    return digest(b"\x01", left, partial_root(leaves, middle, high, hashes))


# --- certificates

class Certificate:
    def __init__(self, octets):
        value = unpack(octets, "certificate") if isinstance(octets, bytes) else octets
        need(isinstance(value, list) and len(value) == 2 and is_octets(value[1], 64)
             and isinstance(value[0], bytes), "certificate: fields")
        self.value = value
        self.body, self.signature = value
        self.id = digest(self.body)
        fields = unpack(self.body, "certificate body", loose=True)
        (self.key, self.address, self.epoch, self.not_before, self.not_after,
         self.issuer) = fields_of(fields, 7, "certificate body")
        need(is_octets(self.key, 32) and is_octets(self.issuer, 32)
             and isinstance(self.address, str) and ADDRESS.fullmatch(self.address)
             and all(map(is_uint, (self.epoch, self.not_before, self.not_after)))
             and self.not_before <= self.not_after and len(pack(value)) <= 512,
             "certificate body: types and bounds")

    def verify(self, issuer_key):
        verify_signature(issuer_key, CERTIFICATE_CONTEXT + self.body, self.signature,
                         f"certificate of {self.address or 'the root'}")


def verify_signature(key, message, signature, what):
    try:
        nacl.signing.VerifyKey(key).verify(message, signature)
    except nacl.exceptions.BadSignatureError as error:
        raise Wrong(f"{what}: signature") from error


def make_certificate(issuer_secret, key, address, epoch=1, not_before=0, not_after=2**33):
    issuer = nacl.signing.SigningKey(issuer_secret)
    body = pack([1, key, address, epoch, not_before, not_after, bytes(issuer.verify_key)])
    return [body, issuer.sign(CERTIFICATE_CONTEXT + body).signature]


class Certificates:
    """All certificates known so far; each leads to the one root."""

    def __init__(self, root_octets):
        self.root = Certificate(root_octets)
        need(self.root.address == "" and self.root.issuer == self.root.key,
             "root certificate: not a root's")
        self.root.verify(self.root.key)
        self.by_id = {self.root.id: self.root}
        self.address_of = {self.root.key: ""}

    def add(self, value):
        certificate = Certificate(value)
        if certificate.id in self.by_id:
            return
        need(certificate.issuer in self.address_of, "certificate: its issuer is not known")
        certificate.verify(certificate.issuer)
        above = self.address_of[certificate.issuer]
        parent = certificate.address.rpartition("/")[0]
        need(certificate.address and parent == above and "@" not in above,
             f"certificate of {certificate.address}: not directly below {above!r}")
        self.by_id[certificate.id] = certificate
        self.address_of[certificate.key] = certificate.address


# --- commits

class Commit:
    def __init__(self, value):
        need(isinstance(value, list) and len(value) == 4, "commit: fields")
        self.value = value
        self.header, self.signature, self.records, self.hashes = value
        need(isinstance(self.header, bytes) and is_octets(self.signature, 64)
             and isinstance(self.records, list) and isinstance(self.hashes, list), "commit: types")
        size = len(pack(value)) + sum(
            counted_size(entry[1]) - len(pack(entry[1])) for entry in self.records
            if isinstance(entry, list) and len(entry) == 2 and isinstance(entry[1], list)
            and len(entry[1]) == 2 and isinstance(entry[1][1], list))
        need(size <= COMMIT_MAX, "commit: too large")
        fields = unpack(self.header, "commit header", loose=True)
        (self.origin, self.store, self.lane, self.seq, self.prev, self.hlc, self.certificate,
         self.count, self.root) = fields_of(fields, 10, "commit header")
        need(is_octets(self.origin, 32) and is_octets(self.store, 16) and is_octets(self.prev, 32)
             and is_octets(self.certificate, 32) and is_octets(self.root, 32)
             and is_uint(self.lane) and self.lane <= 2 and is_uint(self.seq) and self.seq >= 1
             and is_uint(self.hlc) and is_uint(self.count) and 1 <= self.count <= RECORDS_MAX
             and len(self.header) <= 512, "commit header: types and bounds")
        self.id = digest(b"\x03", self.header)

    def log(self):
        return self.origin, self.store, self.lane

    def verify(self, certificates):
        """Signature, certificate and root; the shown records' headers."""
        certificate = certificates.by_id.get(self.certificate)
        need(certificate is not None, "commit: its certificate is not known")
        need(certificate.key == self.origin, "commit: certificate of another key")
        verify_signature(self.origin, COMMIT_CONTEXT + self.header, self.signature, "commit")
        leaves, headers, last = {}, [], -1
        for entry in self.records:
            need(isinstance(entry, list) and len(entry) == 2 and is_uint(entry[0]),
                 "commit: record entry")
            index, record = entry
            need(last < index < self.count, "commit: indexes not ascending")
            last = index
            header, leaves[index], _ = read_record(record)
            headers.append(header)
        need(all(is_octets(h, 32) for h in self.hashes), "commit: hashes")
        rest = iter(self.hashes)
        need(partial_root(leaves, 0, self.count, rest) == self.root, "commit: Merkle root")
        need(next(rest, None) is None, "commit: too many hashes")
        return headers


def make_commit(secret, store, lane, seq, prev, hlc, certificate, records):
    """The decoded form, whole; `certificate` is the id of the origin's certificate."""
    signer = nacl.signing.SigningKey(secret)
    leaves = {i: read_record(record)[1] for i, record in enumerate(records)}
    root = partial_root(leaves, 0, len(records), iter(()))
    header = pack([1, bytes(signer.verify_key), store, lane, seq, prev, hlc, certificate,
                   len(records), root])
    return [header, signer.sign(COMMIT_CONTEXT + header).signature,
            [[i, record] for i, record in enumerate(records)], []]


# --- bundles

def read_bundle(octets):
    """[(type, value)...] of a bundle, the head left out."""
    unpacker = msgpack.Unpacker(raw=False, strict_map_key=False, max_buffer_size=len(octets) + 1)
    unpacker.feed(octets)
    entries, position = [], 0
    while position < len(octets):
        try:
            value = unpacker.unpack()
        except Exception as error:
            raise Wrong(f"bundle: cut off or damaged at octet {position}") from error
        unpack(octets[position:unpacker.tell()], "bundle entry", loose=True)
        position = unpacker.tell()
        need(isinstance(value, list) and value and isinstance(value[0], str), "bundle: entry")
        need(len(value) == 2 or value[0] not in ("noded-bundle", "certificate", "commit"),
             "bundle: entry")
        entries.append(value)
    need(entries and entries[0] == ["noded-bundle", 1], "bundle: head")
    return [entry for entry in entries[1:] if entry[0] in ("certificate", "commit")]


def write_bundle(entries):
    return pack(["noded-bundle", 1]) + b"".join(pack([kind, value]) for kind, value in entries)


def verify_bundle(root_octets, octets, sparse=False):
    """Verifies all of it; a summary. Raises Wrong. `sparse`: commits may be missing."""
    certificates = Certificates(root_octets)
    heads, logs, records, withheld, commits = {}, set(), 0, 0, 0
    for kind, value in read_bundle(octets):
        if kind == "certificate":
            certificates.add(value)
            continue
        if kind != "commit":
            continue
        commit = Commit(value)
        headers = commit.verify(certificates)
        log = commit.log()
        if log in heads and not (sparse and commit.seq > heads[log].seq + 1):
            need(commit.seq == heads[log].seq + 1, "log: not gapless")
            need(commit.prev == heads[log].id, "log: does not follow the commit before it")
        heads[log] = commit
        logs.add(log)
        commits += 1
        records += len(headers)
        withheld += commit.count - len(headers)
        for header in headers:
            need(header[3] > 1 or header[2] == founding_subject(commit.origin, header[4]),
                 "record: the first of its subject, but the subject is not its own")
    return {"certificates": len(certificates.by_id) - 1, "commits": commits, "records": records,
            "withheld": withheld, "logs": len(logs)}
