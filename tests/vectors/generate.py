#!/usr/bin/python3
"""Writes the test vectors of docs/FORMAT.md beside this file, independently of the C code.

Everything is derived from fixed seeds: run again, it writes the same files. Needs python3-nacl
and python3-msgpack.
"""
import hashlib
import json
import os
import struct

import msgpack
from nacl.signing import SigningKey

HERE = os.path.dirname(os.path.abspath(__file__))
pack = lambda value: msgpack.packb(value, use_bin_type=True)


def h(data):
    return hashlib.blake2b(data, digest_size=32).digest()


def octets(label, size):
    """Deterministic octets that look random."""
    return hashlib.shake_256(b"noded vectors " + label.encode()).digest(size)


def key(label):
    return SigningKey(octets("key " + label, 32))


def public(signer):
    return bytes(signer.verify_key)


def sign(signer, prefix, content):
    return signer.sign(prefix.encode() + b"\0" + content).signature


def write(name, value):
    with open(os.path.join(HERE, name), "w", encoding="utf-8") as out:
        json.dump(value, out, indent=1, ensure_ascii=True, default=lambda b: b.hex())
        out.write("\n")


def array(parts):
    """An array of values that are msgpack already."""
    count = len(parts)
    if count < 16:
        head = bytes([0x90 | count])
    elif count < 65536:
        head = b"\xdc" + struct.pack(">H", count)
    else:
        head = b"\xdd" + struct.pack(">I", count)
    return head + b"".join(parts)


# ---- records

def subject(origin, hlc):
    return (hlc >> 16).to_bytes(6, "big") + h(b"\x07" + origin + struct.pack("<Q", hlc))[:10]


def ulid(octets16):
    digits = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
    number = int.from_bytes(octets16, "big")
    return "".join(digits[number >> (5 * i) & 31] for i in range(25, -1, -1))


def header(kind="report", subj=None, gen=1, hlc=0x18C5_0000_0000_0001, up=4, down=(), author="op-7",
           version=1, extra=()):
    subj = octets("subject", 16) if subj is None else subj
    return pack([version, kind, subj, gen, hlc, up, list(down), author, *extra])


def item(name, value, see=31, label=None, salt=None):
    salt = octets("salt " + (label or name), 16) if salt is None else salt
    return pack([salt, name, pack(value), see])


def commitment(item_octets):
    return h(b"\x02" + item_octets)


def record(head, items, hidden=()):
    """`items` in their open form; those at `hidden` stand as commitments."""
    shown = [pack(commitment(i)) if n in hidden else i for n, i in enumerate(items)]
    return array([pack(head), array(shown)])


def leaf(head, items):
    return h(b"\0" + struct.pack("<I", len(head)) + head + b"".join(map(commitment, items)))


def size_max(head, items, hidden=()):
    whole = len(record(head, items, hidden))
    return whole + sum(max(0, 34 - len(i)) for n, i in enumerate(items) if n not in hidden)


def see_all(items, hidden=()):
    result = 31
    for n, i in enumerate(items):
        if n not in hidden:
            result &= msgpack.unpackb(i)[3]
    return result


def valid_records():
    everything = {"": None, "yes": True, "no": False, "n": [0, 127, 128, 65535, 65536, 2**32, 2**64 - 1],
                  "m": [-1, -32, -33, -128, -129, -32768, -32769, -2**31 - 1, -2**63],
                  "f": 1.5, "bin": b"\0\1", "text": "消防栓破损", "deep": [[[[{}]]]], 7: {"a": 1, "b": 2}}
    deep = 1
    for _ in range(16):
        deep = [deep]
    open_body = item("", {"category": "hydrant", "place": "310104/012/003/05"})
    contact = item("contact", {"phone": "555-0100"}, see=3)
    photo = item("photo", b"\xff" * 300, see=7)
    cases = {
        "smallest": (header(kind="k", up=0, author=""), [item("", None)], ()),
        "typical": (header(down=["310104/012/@fire"]), [open_body, contact], ()),
        "contact withheld": (header(down=["310104/012/@fire"]), [open_body, contact], (1,)),
        "all withheld": (header(down=["310104/012/@fire"]), [open_body, contact], (0, 1)),
        "three items": (header(gen=2), [open_body, contact, photo], ()),
        "three items, middle withheld": (header(gen=2), [open_body, contact, photo], (1,)),
        "every type of value": (header(), [item("", everything)], ()),
        "keys out of order": (header(), [item("", {"b": 1, "a": 2, "c": {}, "": 0})], ()),
        "deepest value": (header(), [item("", deep)], ()),
        "most items": (header(), [item("i%d" % n, n, see=1 + n % 31) for n in range(64)], ()),
        "most targets": (header(down=["310104/%03d/*" % n for n in range(64)]), [open_body], ()),
        "longest fields": (header(kind="k" * 64, gen=65535, hlc=2**64 - 1, author="a" * 128),
                           [item("n" * 64, 0)], ()),
        "longest address": (header(down=["/".join(["A" * 16] * 4 + ["@" + "u" * 16])]), [open_body], ()),
        "a later version": (header(version=2, extra=[None, {"x": 1.5}]), [open_body], ()),
        "most keys": (header(), [item("", {n * 7919 % 1024: 0 for n in range(1024)})], ()),
    }
    room = 32768 - len(record(header(), [item("", b"\0" * 30000)]))
    cases["largest"] = (header(), [item("", b"\0" * (30000 + room))], ())
    return cases


def bad_items():
    salt = octets("salt", 16)
    good = item("", 1)
    deep = 1
    for _ in range(17):
        deep = [deep]
    raw = lambda value: pack([salt, "", value, 31])
    return {
        "no item": [],
        "too many items": [item("i%d" % n, n) for n in range(65)],
        "salt of 15": [item("", 1, salt=salt[:15])],
        "name twice": [item("a", 1), item("", 1), item("a", 2, label="b")],
        "name of 65": [item("n" * 65, 1)],
        "name not UTF-8": [b"\x94" + pack(salt) + b"\xa1\xff" + pack(b"\1") + b"\x1f"],
        "see of nobody": [item("", 1, see=0)],
        "see of an unknown class": [item("", 1, see=32)],
        "see not shortest": [b"\x94" + pack(salt) + b"\xa0" + pack(b"\1") + b"\xcc\x1f"],
        "item of three": [pack([salt, "", pack(1)])],
        "item of five": [pack([salt, "", pack(1), 31, 0])],
        "commitment of 31": [pack(b"\0" * 31)],
        "item is nil": [pack(None)],
        "value missing": [raw(b"")],
        "two values": [raw(b"\1\1")],
        "value cut off": [raw(b"\xd9\x20aaa")],
        "value ext": [raw(b"\xd4\1\1")],
        "value float32": [raw(b"\xca\0\0\0\0")],
        "value reserved tag": [raw(b"\xc1")],
        "value too deep": [item("", deep)],
        "value not shortest": [raw(b"\xcc\x01")],
        "value positive in a signed form": [raw(b"\xd1\x01\x2c")],
        "value negative not shortest": [raw(b"\xd0\xff")],
        "value key twice": [raw(b"\x82\xa1a\1\xa1a\2")],
        "value key twice, apart": [raw(b"\x83\xa1b\1\xa1a\2\xa1b\3")],
        "value key twice, inside": [raw(b"\x91\x82\xa1a\x82\1\1\1\1\xa1b\1")],
        "value key twice among many": [raw(b"\xde\0\x28" + b"".join(
            bytes([n, 0]) for n in [*range(100, 61, -1), 80]))],
        "value str key twice among many": [raw(b"\xde\0\x11" + b"".join(
            pack("k%d" % n) + b"\xc0" for n in [*range(16, 0, -1), 16]))],
        "value key nil": [raw(b"\x81\xc0\1")],
        "value key array": [raw(b"\x81\x90\1")],
        "value too many keys": [item("", {n: 0 for n in range(1025)})],
        "value surrogate": [raw(b"\xa3\xed\xa0\x80")],
        "value overlong": [raw(b"\xa2\xc0\x80")],
        "value above U+10FFFF": [raw(b"\xa4\xf4\x90\x80\x80")],
        "value huge array": [raw(b"\xdd\xff\xff\xff\xff")],
        "value huge str": [raw(b"\xdb\xff\xff\xff\xff")],
        "trailing octets of an item": [good + b"\0"],
    }


def bad_headers():
    fields = [1, "report", octets("subject", 16), 1, 5, 4, [], "op"]

    def changed(place, value):
        return pack(fields[:place] + [value] + fields[place + 1:])

    def spliced(place, encoded):
        return array([encoded if n == place else pack(f) for n, f in enumerate(fields)])

    return {
        "header of seven": pack(fields[:7]),
        "header of nine in version 1": pack(fields + [0]),
        "version 0": changed(0, 0),
        "version 2 of seven": pack([2] + fields[1:7]),
        "kind empty": changed(1, ""),
        "kind of 65": changed(1, "k" * 65),
        "kind is bin": changed(1, b"report"),
        "kind not UTF-8": spliced(1, b"\xa2\xc3\x28"),
        "kind not shortest": spliced(1, b"\xd9\x06report"),
        "subject of 15": changed(2, b"\0" * 15),
        "gen of 65536": changed(3, 65536),
        "gen not shortest": spliced(3, b"\xcd\0\1"),
        "gen negative": changed(3, -1),
        "gen float": changed(3, 1.0),
        "hlc nil": changed(4, None),
        "hlc not shortest": spliced(4, b"\xcf\0\0\0\0\0\0\0\5"),
        "up of 5": changed(5, 5),
        "down nil": changed(6, None),
        "down of 65": changed(6, ["310104"] * 65),
        "down empty address": changed(6, [""]),
        "down long segment": changed(6, ["A" * 17]),
        "down five segments": changed(6, ["1/2/3/4/5"]),
        "down below a unit": changed(6, ["1/@u/2"]),
        "down subtree of a unit": changed(6, ["1/@u/*"]),
        "down unit without host": changed(6, ["@u"]),
        "down root's subtree": changed(6, ["/*"]),
        "down star": changed(6, ["*"]),
        "down slash at the end": changed(6, ["1/"]),
        "down bad character": changed(6, ["1/a.b"]),
        "down not shortest": spliced(6, b"\x91\xd9\x011"),
        "author of 129": changed(7, "a" * 129),
        "author nil": changed(7, None),
        "trailing octets in the header": pack(fields) + b"\0",
        "header is a map": pack({1: 2}),
        "header empty": b"",
    }


def records_json():
    valid = []
    for name, (head, items, hidden) in valid_records().items():
        valid.append({"name": name, "octets": record(head, items, hidden), "header": head,
                      "commitments": [commitment(i) for i in items], "leaf": leaf(head, items),
                      "see_all": see_all(items, hidden), "hidden": list(hidden),
                      "size_max": size_max(head, items, hidden)})
    good = item("", 1)
    invalid = [{"name": n, "octets": record(hd, [good]), "status": "malformed"}
               for n, hd in bad_headers().items()]
    invalid += [{"name": n, "octets": record(header(), its), "status": "malformed"}
                for n, its in bad_items().items()]
    plain = record(header(), [good])
    room = 32768 - len(record(header(), [item("", b"\0" * 30000)]))
    big = item("", b"\0" * (30001 + room))
    short = [item("%c" % (48 + n), 0) for n in range(20)]
    fill = 32768 - len(record(header(), [item("", b"\0" * 30000)] + short)) - 100
    weighty = [item("", b"\0" * (30000 + fill))] + short
    others = {
        "empty": b"", "nil": b"\xc0", "trailing octet": plain + b"\0",
        "of three": b"\x93" + plain[1:] + b"\0", "array16 for two": b"\xdc\0\2" + plain[1:],
        "header bin not shortest": b"\x92\xc5" + struct.pack(">H", len(header())) + plain[3:],
        "header is str": array([pack(header().decode("latin-1")), array([good])]),
    }
    invalid += [{"name": n, "octets": o, "status": "malformed"} for n, o in others.items()]
    invalid.append({"name": "too large", "octets": record(header(), [big]), "status": "too_large"})
    invalid.append({"name": "too large once withheld", "octets": record(header(), weighty),
                    "status": "too_large"})
    write("records.json", {"valid": valid, "invalid": invalid})


# ---- Merkle trees

def split(count):
    left = 1
    while left * 2 < count:
        left *= 2
    return left


def root(leaves):
    if len(leaves) == 1:
        return leaves[0]
    left = split(len(leaves))
    return h(b"\1" + root(leaves[:left]) + root(leaves[left:]))


def partial(leaves, shown):
    """Hashes of the largest subtrees without a shown leaf, from left to right."""
    if not any(shown):
        return [root(leaves)]
    if len(leaves) == 1:
        return []
    left = split(len(leaves))
    return partial(leaves[:left], shown[:left]) + partial(leaves[left:], shown[left:])


def path(leaves, index):
    if len(leaves) == 1:
        return []
    left = split(len(leaves))
    if index < left:
        return path(leaves[:left], index) + [root(leaves[left:])]
    return path(leaves[left:], index - left) + [root(leaves[:left])]


def bits(shown):
    out = bytearray((len(shown) + 7) // 8)
    for i, bit in enumerate(shown):
        out[i // 8] |= bool(bit) << (i % 8)
    return bytes(out)


def shapes(count):
    noise = octets("shape %d" % count, count)
    yield [False] * count
    yield [True] * count
    yield [i == 0 for i in range(count)]
    yield [i == count - 1 for i in range(count)]
    yield [i != count // 2 for i in range(count)]
    yield [n & 1 for n in noise]
    yield [n % 8 == 0 for n in noise]


def merkle_json():
    trees = []
    for count in [1, 2, 3, 4, 5, 6, 7, 8, 9, 15, 16, 17, 31, 33, 100, 255, 256]:
        leaves = [h(b"leaf %d of %d" % (i, count)) for i in range(count)]
        places = sorted({0, count // 3, count - 1})
        trees.append({"count": count, "leaf_text": "leaf I of %d" % count, "root": root(leaves),
                      "partial": [{"shown": bits(s), "hashes": partial(leaves, s)}
                                  for s in shapes(count)],
                      "paths": [{"index": i, "path": path(leaves, i)} for i in places]})
    write("merkle.json", trees)


# ---- certificates

def certificate_body(k, address, issuer, epoch=1, start=1_700_000_000, end=1_900_000_000, version=1,
                     extra=()):
    return pack([version, public(k), address, epoch, start, end, public(issuer), *extra])


def certificate(body, issuer):
    return pack([body, sign(issuer, "noded-cert-v1", body)])


PLACES = ["", "310104", "310104/012", "310104/012/003", "310104/012/003/05", "310104/012/003/05/@desk"]
KEYS = [key("place " + p) for p in PLACES]


def chain():
    result = []
    for i, place in enumerate(PLACES):
        issuer = KEYS[max(0, i - 1)]
        result.append(certificate(certificate_body(KEYS[i], place, issuer), issuer))
    return result


def certificate_id(octets_):
    return h(msgpack.unpackb(octets_)[0])


def certificates_json():
    good = chain()
    entries = []
    for place, c in zip(PLACES, good):
        body = msgpack.unpackb(c)[0]
        fields = msgpack.unpackb(body)
        entries.append({"octets": c, "id": h(body), "address": place, "key": fields[1], "epoch": 1,
                        "not_before": fields[4], "not_after": fields[5], "issuer": fields[6]})
    stranger = key("stranger")
    forged = certificate(certificate_body(KEYS[2], PLACES[2], KEYS[1]), stranger)
    skipped = certificate(certificate_body(KEYS[3], PLACES[3], KEYS[1]), KEYS[1])
    other = certificate(certificate_body(KEYS[2], "310105/012", KEYS[1]), KEYS[1])
    unit = certificate(certificate_body(stranger, "310104/@fire", KEYS[1]), KEYS[1])
    own_root = certificate(certificate_body(stranger, "", stranger), stranger)
    later = certificate(certificate_body(KEYS[2], PLACES[2], KEYS[1], version=2, extra=["new"]), KEYS[1])
    chains = [
        {"name": "root alone", "chain": good[:1], "verdict": "ok"},
        {"name": "down to a grid's unit", "chain": good, "verdict": "ok"},
        {"name": "unit of a district", "chain": good[:2] + [unit], "verdict": "ok"},
        {"name": "a later version", "chain": good[:2] + [later], "verdict": "ok"},
        {"name": "forged", "chain": good[:2] + [forged], "verdict": "bad_signature"},
        {"name": "skips a tier", "chain": good[:2] + [skipped], "verdict": "bad_chain"},
        {"name": "another district's", "chain": good[:2] + [other], "verdict": "bad_chain"},
        {"name": "another root", "chain": [own_root], "verdict": "bad_chain"},
        {"name": "without the root", "chain": good[1:], "verdict": "bad_chain"},
        {"name": "out of order", "chain": [good[0], good[2], good[1]], "verdict": "bad_chain"},
        {"name": "empty", "chain": [], "verdict": "malformed"},
        {"name": "too long", "chain": good + [good[5]], "verdict": "malformed"},
    ]
    for c in chains:
        c["octets"] = array(c.pop("chain"))
    k = KEYS[1]
    raw = lambda *fields: certificate(pack(list(fields)), KEYS[0])
    fine = (1, public(k), "310104", 1, 5, 6, public(KEYS[0]))
    invalid = {
        "of three": b"\x93" + good[1][1:] + b"\0", "trailing octet": good[1] + b"\0",
        "signature of 63": pack([msgpack.unpackb(good[1])[0], b"\0" * 63]),
        "body of six": raw(*fine[:6]), "body of eight in version 1": raw(*fine, 0),
        "version 0": raw(0, *fine[1:]), "key of 31": raw(1, b"\0" * 31, *fine[2:]),
        "address bad": raw(1, public(k), "310104/", *fine[3:]),
        "address of a subtree": raw(1, public(k), "310104/*", *fine[3:]),
        "epoch negative": raw(1, public(k), "310104", -1, *fine[4:]),
        "ends before it starts": raw(1, public(k), "310104", 1, 7, 6, public(KEYS[0])),
        "issuer missing": raw(*fine[:6], None),
        "too large": certificate(certificate_body(k, "310104", KEYS[0], version=2, extra=["x" * 400]),
                                 KEYS[0]),
    }
    write("certificates.json", {
        "seeds": [bytes(k_) for k_ in KEYS], "certificates": entries, "chains": chains,
        "root_id": certificate_id(good[0]),
        "invalid": [{"name": n, "octets": o} for n, o in invalid.items()]})


# ---- commits

GRID = KEYS[4]
STORE = octets("store", 16)


def commit_header(count, root_, seq=1, prev=b"\0" * 32, lane=1, hlc=0x18C5_0000_0000_0002, version=1,
                  extra=(), store=STORE):
    return pack([version, public(GRID), store, lane, seq, prev, hlc, certificate_id(chain()[4]), count,
                 root_, *extra])


def commit(head, records, hashes, signer=GRID, signature=None):
    signature = sign(signer, "noded-commit-v1", head) if signature is None else signature
    return array([pack(head), pack(signature), array(records), array([pack(x) for x in hashes])])


def pair(index, record_octets):
    return array([pack(index), record_octets])


def sample(count):
    """Records as (header, items): a district report with a contact each."""
    result = []
    for n in range(count):
        head = header(subj=subject(public(GRID), (0x18C5_0000_0000 << 16) + n),
                      hlc=(0x18C5_0000_0000 << 16) + n)
        items = [item("", {"category": "noise", "number": n}, label="open %d" % n),
                 item("contact", "c%d" % n, see=3, label="contact %d" % n)]
        result.append((head, items))
    return result


def showing(records, shown, hide=lambda n: ()):
    leaves = [leaf(*r) for r in records]
    head = commit_header(len(records), root(leaves))
    pairs = [pair(n, record(*r, hidden=hide(n))) for n, r in enumerate(records) if shown[n]]
    return commit(head, pairs, partial(leaves, shown)), head, leaves


def commit_entry(name, octets_, head, leaves, shown, hidden):
    return {"name": name, "octets": octets_, "id": h(b"\3" + head), "count": len(leaves),
            "root": root(leaves), "shown": bits(shown), "items_hidden": hidden,
            "leaves": [x for x, s in zip(leaves, shown) if s]}


def valid_commits():
    result = []
    for count in [1, 2, 3, 5, 7, 11]:
        records = sample(count)
        for n, shown in enumerate(shapes(count)):
            for hide in (False, True):
                octets_, head, leaves = showing(records, shown, lambda i: (1,) if hide else ())
                result.append(commit_entry("%d records, shape %d%s" % (count, n, ", items" * hide),
                                           octets_, head, leaves, shown, hide and any(shown)))
    most = [(header(kind="k", up=0, author="", hlc=n), [item("", n, label=str(n))]) for n in range(256)]
    octets_, head, leaves = showing(most, [True] * 256)
    result.append(commit_entry("most records", octets_, head, leaves, [True] * 256, False))
    shown = [n % 37 == 5 for n in range(256)]
    octets_, head, leaves = showing(most, shown)
    result.append(commit_entry("most records, few shown", octets_, head, leaves, shown, False))
    records = sample(3)
    leaves = [leaf(*r) for r in records]
    head = commit_header(3, root(leaves), seq=2**64 - 1, prev=octets("prev", 32), lane=2, version=3,
                         extra=["more", None])
    octets_ = commit(head, [pair(n, record(*r)) for n, r in enumerate(records)], [])
    result.append(commit_entry("a later version", octets_, head, leaves, [True] * 3, False))
    return result


def filler(size):
    """One record of exactly `size` octets."""
    over = len(record(header(), [item("", b"\0" * 20000)])) - 20000
    return header(), [item("", b"\0" * (size - over))]


def bad_commits():
    records = sample(5)
    leaves = [leaf(*r) for r in records]
    head = commit_header(5, root(leaves))
    pairs = [pair(n, record(*r)) for n, r in enumerate(records)]
    two = [True, False, True, False, False]
    some = [p for p, s in zip(pairs, two) if s]
    hashes = partial(leaves, two)
    lied = [pairs[0], pair(1, record(*sample(9)[8]))] + pairs[2:]
    m = "malformed"
    yield "no record", commit(commit_header(0, root(leaves)), [], []), m
    yield "count of 257", commit(commit_header(257, root(leaves)), [], [root(leaves)]), m
    yield "lane of 3", commit(commit_header(5, root(leaves), lane=3), pairs, []), m
    yield "seq of 0", commit(commit_header(5, root(leaves), seq=0), pairs, []), m
    yield "store of 15", commit(commit_header(5, root(leaves), store=STORE[:15]), pairs, []), m
    yield "header of 11 in version 1", commit(commit_header(5, root(leaves), extra=[0]), pairs, []), m
    yield "header of 513", commit(commit_header(5, root(leaves), version=2, extra=[b"\0" * 400]),
                                  pairs, []), m
    yield "version 0", commit(commit_header(5, root(leaves), version=0), pairs, []), m
    yield "index twice", commit(head, [pairs[0], pairs[0]] + some[1:], hashes), m
    yield "indexes descending", commit(head, pairs[1::-1] + pairs[2:], []), m
    yield "index of 5", commit(head, pairs[:4] + [pair(5, record(*records[4]))], []), m
    yield "index negative", commit(head, [pair(-1, record(*records[0]))] + pairs[1:], []), m
    yield "too many records", commit(head, pairs + [pair(5, record(*records[4]))], []), m
    yield "a hash too many", commit(head, pairs, [leaves[0]]), m
    yield "a hash too few", commit(head, some, hashes[:-1]), m
    yield "hashes missing", commit(head, some, []), m
    yield "hash of a hidden pair split", commit(head, some, [leaves[1], leaves[3], leaves[4], leaves[0]]), m
    yield "hash of 31", array([pack(head), pack(sign(GRID, "noded-commit-v1", head)), array(some),
                               array([pack(x[:31]) for x in hashes])]), m
    yield "signature of 63", commit(head, pairs, [], signature=b"\0" * 63), m
    yield "trailing octet", commit(head, pairs, []) + b"\0", m
    yield "a record malformed", commit(head, pairs[:4] + [pair(4, b"\x92\xc0\x90")], []), m
    yield "a pair of three", commit(head, pairs[:4] + [array([pack(4), record(*records[4]), pack(0)])], []), m
    b = "bad_root"
    yield "another record", commit(head, lied, []), b
    yield "hashes exchanged", commit(head, some, hashes[::-1]), b
    yield "leaf exchanged", commit(head, [pair(1, record(*records[0])), pairs[2]],
                                   partial(leaves, [False, True, True, False, False])), b
    yield "all withheld, another root", commit(head, [], [octets("root", 32)]), b
    yield "forged", commit(head, pairs, [], signer=key("stranger")), "bad_signature"
    yield "signed without the prefix", commit(head, pairs, [], signature=GRID.sign(head).signature), \
        "bad_signature"
    big = [filler(30000), filler(31000)]
    big_leaves = [leaf(*r) for r in big]
    size = len(commit(commit_header(2, root(big_leaves)), [pair(n, record(*r)) for n, r in enumerate(big)],
                      []))
    for name, over, verdict in [("largest", 0, "ok"), ("too large", 1, m)]:
        rs = [filler(30000), filler(31000 + 61440 - size + over)]
        ls = [leaf(*r) for r in rs]
        yield name, commit(commit_header(2, root(ls)), [pair(n, record(*r)) for n, r in enumerate(rs)],
                           []), verdict
    rs = [(header(), [item("", 0)]), filler(30000), filler(31000 - 130)]
    ls = [leaf(*r) for r in rs]
    whole = commit(commit_header(3, root(ls)), [pair(n, record(*r)) for n, r in enumerate(rs)], [])
    rs[2] = filler(31000 - 130 + 61440 - len(whole))
    ls = [leaf(*r) for r in rs]
    yield "too large once withheld", commit(
        commit_header(3, root(ls)), [pair(n, record(*r)) for n, r in enumerate(rs)], []), m


def commits_json():
    write("commits.json", {
        "seed": bytes(GRID), "store": STORE, "valid": valid_commits(),
        "judged": [{"name": n, "octets": o, "verdict": v} for n, o, v in bad_commits()]})


# ---- cosignatures, receipts, bundles

def cosignature(signer, commit_id, ms, shown):
    text = commit_id + struct.pack("<Q", ms) + shown
    return pack([public(signer), ms, shown, sign(signer, "noded-ack-v1", text)])


def receipts_json():
    records = sample(5)
    complete, head, leaves = showing(records, [True] * 5)
    part, _, _ = showing(records, [False, False, True, True, False], lambda n: (1,))
    signature = msgpack.unpackb(complete)[1]
    commit_id = h(b"\3" + head)
    certificates = chain()
    shown = b"\x1f"
    cosigners = [cosignature(KEYS[n], commit_id, 1_750_000_000_000 + n, shown) for n in (1, 2, 3)]

    def receipt(index=2, certs=certificates[:5], cos=cosigners, hd=head, sig=signature, version=1,
                rec=None, path_=None, commitments=None, extra=()):
        rec_head, items = records[index if index < 5 else 0]
        commitments = [commitment(i) for i in items] if commitments is None else commitments
        path_ = path(leaves, index if index < 5 else 0) if path_ is None else path_
        return array([pack(version), pack(hd), pack(sig), pack(index), pack(rec or rec_head),
                      pack(commitments), pack(path_), array(certs), array(cos)] +
                     [pack(e) for e in extra])

    bad_bit = cosignature(KEYS[2], commit_id, 1, b"\x1b")
    stray_bit = cosignature(KEYS[2], commit_id, 1, b"\x3f")
    judged = [("record %d" % n, receipt(index=n), "ok") for n in range(5)] + [
        ("without cosignatures", receipt(cos=[]), "ok"),
        ("a later version", receipt(version=2, extra=[None]), "ok"),
        ("renewed certificate beside the old", receipt(certs=certificates[:5] + [
            certificate(certificate_body(KEYS[4], PLACES[4], KEYS[3], start=1_800_000_000), KEYS[3])]), "ok"),
        ("another record", receipt(rec=records[3][0]), "bad_root"),
        ("another commitment", receipt(commitments=[h(b"x")]), "bad_root"),
        ("path exchanged", receipt(path_=path(leaves, 2)[::-1]), "bad_root"),
        ("path too short", receipt(path_=path(leaves, 2)[:-1]), "bad_root"),
        ("path too long", receipt(path_=path(leaves, 2) + [leaves[0]]), "bad_root"),
        ("commit's signature forged", receipt(sig=key("stranger").sign(head).signature), "bad_signature"),
        ("cosignature forged", receipt(cos=[cosignature(KEYS[1], h(b""), 1, shown)]), "bad_signature"),
        ("cosigner unknown", receipt(cos=[cosignature(key("stranger"), commit_id, 1, shown)]),
         "unknown_certificate"),
        ("origin's certificate missing", receipt(certs=certificates[:4]), "unknown_certificate"),
        ("chain broken", receipt(certs=certificates[:2] + certificates[3:5]), "bad_chain"),
        ("root missing", receipt(certs=certificates[1:5]), "bad_chain"),
        ("no certificate", receipt(certs=[]), "malformed"),
        ("index of 5", receipt(index=5), "malformed"),
        ("no commitment", receipt(commitments=[]), "malformed"),
        ("cosignature doesn't show it", receipt(cos=[bad_bit]), "malformed"),
        ("cosignature shows too much", receipt(cos=[stray_bit]), "malformed"),
        ("too many cosignatures", receipt(cos=cosigners * 3), "malformed"),
        ("ten fields in version 1", receipt(extra=[0]), "malformed"),
        ("version 0", receipt(version=0), "malformed"),
        ("trailing octet", receipt() + b"\0", "malformed"),
    ]
    write("receipts.json", {
        "root_id": certificate_id(certificates[0]), "commit": complete, "partial_commit": part,
        "commit_id": commit_id, "certificates": certificates[:5],
        "cosignatures": [{"octets": c, "seed": bytes(KEYS[n]), "unix_ms": 1_750_000_000_000 + n,
                          "shown": shown} for c, n in zip(cosigners, (1, 2, 3))],
        "receipts": [{"index": n, "octets": receipt(index=n)} for n in range(5)],
        "judged": [{"name": n, "octets": o, "verdict": v} for n, o, v in judged]})
    bundle = pack(["noded-bundle", 1])
    entries = [("certificate", c) for c in certificates[:5]] + [("commit", complete), ("commit", part)]
    for name, octets_ in entries:
        bundle += array([pack(name), octets_])
    write("bundles.json", {
        "octets": bundle, "entries": [{"type": n, "octets": o} for n, o in entries],
        "with_unknown": pack(["noded-bundle", 1]) + pack(["later", None, 1.5]) + pack(["later"]) +
        array([pack("commit"), part]),
        "heads": [{"octets": pack(v), "status": s} for v, s in [
            (["noded-bundle", 2], "wrong_version"), (["noded-bundle", 0], "malformed"),
            (["noded-bundle"], "malformed"), (["noded-bundle", 1, 1], "malformed"),
            (["bundle", 1], "malformed"), ([], "malformed"), (1, "malformed")]]})


# ---- snapshots

def snapshots_json():
    """For a community, by its street: what the grid below it wrote, of which some is withheld."""
    records = sample(5)
    first, head, _ = showing(records, [False] * 5)
    part, _, _ = showing(records, [False, True, True, False, False], lambda n: (1,))
    commit_id = h(b"\3" + head)
    proofs = [cosignature(KEYS[n], commit_id, 1_750_000_000_000 + n, b"\x1f") for n in (1, 2)]
    lanes = [[0, octets("tag 0", 16)], [300, octets("tag 1", 16)], [2**40, octets("tag 2", 16)]]
    fields = ["snapshot", 1, PLACES[3], public(KEYS[2]), STORE, 1_750_000_000_000, lanes]
    tombstone = [leaf(*records[1]), 63, subject(public(GRID), 5)]
    body = pack(["noded-bundle", 1]) + pack(fields)
    for certificate_ in chain()[:5]:
        body += array([pack("certificate"), certificate_])
    body += pack(["tombstone", *tombstone]) + array([pack("floor"), first, array(proofs)])
    body += array([pack("commit"), part])
    signature = sign(KEYS[2], "noded-snapshot-v1", h(b"\x09" + body))

    def head_with(place, value):
        return pack([*fields[:place], value, *fields[place + 1:]])

    write("snapshots.json", {
        "octets": body + pack(["snapshot-end", signature]), "signed": len(body),
        "seed": bytes(KEYS[2]), "parent": public(KEYS[2]), "child": PLACES[3], "store": STORE,
        "unix_ms": 1_750_000_000_000,
        "lanes": [{"position": position, "tag": tag} for position, tag in lanes],
        "certificates": chain()[:5], "floor": first, "proofs": proofs, "commit": part,
        "tombstone": {"leaf": tombstone[0], "position": 63, "subject": tombstone[2]},
        "entries": [{"name": n, "octets": o, "status": s} for n, o, s in [
            ("a later version", pack(["snapshot", 2, *fields[2:], "more"]), "ok"),
            ("another entry", pack(["later", 1.5]), "ok"),
            ("version 0", head_with(1, 0), "malformed"),
            ("more fields in version 1", pack([*fields, 0]), "malformed"),
            ("fewer fields", pack(fields[:6]), "malformed"),
            ("child is a root", head_with(2, ""), "malformed"),
            ("child is no address", head_with(2, "a//b"), "malformed"),
            ("a short key", head_with(3, public(KEYS[2])[:31]), "malformed"),
            ("a time before 1970", head_with(5, -1), "malformed"),
            ("two lanes", head_with(6, lanes[:2]), "malformed"),
            ("a long tag", head_with(6, [[0, b"0" * 17], *lanes[1:]]), "malformed"),
            ("item 64", pack(["tombstone", tombstone[0], 64, tombstone[2]]), "malformed"),
            ("nine cosignatures", array([pack("floor"), first, array(proofs[:1] * 9)]), "malformed"),
            ("a short signature", pack(["snapshot-end", signature[:63]]), "malformed"),
        ]]})


# ---- subjects, single values, audiences

def subjects_json():
    out = []
    for n, hlc in enumerate([0, 1, 65536, 0x0193_5A2B_7C8D_0003, 2**64 - 1]):
        origin = public(KEYS[n])
        out.append({"origin": origin, "hlc": str(hlc), "subject": subject(origin, hlc),
                    "text": ulid(subject(origin, hlc))})
    write("subjects.json", {
        "subjects": out,
        "invalid_texts": ["", "0" * 25, "0" * 27, "8" + "0" * 25, "0" * 25 + "U", "0" * 25 + "I",
                          "0" * 25 + "-"]})


def values_json():
    """Single values: taken everywhere, inside item values only, or nowhere."""
    everywhere = ["00", "7f", "cc80", "ccff", "cd0100", "cdffff", "ce00010000", "ceffffffff",
                  "cf0000000100000000", "cfffffffffffffffff", "ff", "e0", "d0df", "d080", "d1ff7f",
                  "d18000", "d2ffff7fff", "d280000000", "d3ffffffff7fffffff", "d38000000000000000",
                  "a0", "a161", "bf" + "61" * 31, "d920" + "61" * 32, "d9ff" + "61" * 255,
                  "da0100" + "61" * 256, "c400", "c4ff" + "00" * 255, "c50100" + "00" * 256, "90",
                  "9f" + "00" * 15, "dc0010" + "00" * 16, "80", "810000", "82ff00e000",
                  "de0010" + "".join("%02x00" % n for n in range(15, -1, -1)),
                  "a2c280", "a3e0a080", "a3ed9fbf", "a4f0908080", "a4f48fbfbf"]
    inside = ["c0", "c2", "c3", "cb0000000000000000", "cb7ff8000000000000", "91c0", "8100c3"]
    nowhere = ["", "c1", "cc7f", "cc", "cd00ff", "cd01", "ce0000ffff", "cf00000000ffffffff", "d000",
               "d07f", "d0e0", "d0ff", "d1ff80", "d10080", "d1012c", "d2ffff8000", "d200010000",
               "d3ffffffff80000000", "d30000000100000000", "d900", "d91f" + "61" * 31, "da0020" + "61" * 32,
               "da00ff" + "61" * 255, "db00000001", "db0000ffff", "c50000", "c500ff" + "00" * 255,
               "c60000ffff", "a1", "a2c3", "c401", "dc000f" + "00" * 15, "dd00000001" + "00", "91", "de0001"
               + "0000", "df00000001" + "0000", "81", "8100", "82000000" + "00", "81c000", "818000", "819000",
               "81c20000", "81c4000000", "81cb000000000000000000", "ca00000000", "c70000", "c80000", "c900000000",
               "d40000", "d5000000", "d6ffffffffff", "a180", "a1c3", "a2c080", "a2c1bf", "a3e08080", "a3eda080",
               "a4f08080" + "80", "a4f4908080", "a4f5808080", "a3e282", "a1ff"]
    write("values.json", {"everywhere": everywhere, "item_values": inside, "nowhere": nowhere})


def parent(address):
    return address.rpartition("/")[0]


def ancestors(address):
    out = []
    while parent(address):
        address = parent(address)
        out.append(address)
    return out


def tier(address):
    return 5 - len([s for s in address.split("/") if not s.startswith("@")])


def within(address, top):
    return address == top or address.startswith(top + "/")


def tree_path(a, b):
    up_a, up_b = [a] + ancestors(a), [b] + ancestors(b)
    common = set(up_a) & set(up_b)
    return {x for x in up_a + up_b if x not in common} | {max(common, key=len)}


def audience(founder, records):
    """The least fixed point, by brute force: all of section 9 of docs/FORMAT.md, until nothing changes."""
    members, subtrees = {founder}, set()
    while True:
        before = len(members) + len(subtrees)
        for author, up, down in records:
            if author not in members:
                continue
            members |= {a for a in ancestors(author) if tier(a) <= up}
            for target in down:
                if target.endswith("/*"):
                    if within(target[:-2], author):
                        subtrees.add(target[:-2])
                        if target[:-2] != author:
                            members |= tree_path(author, parent(target[:-2]))
                elif within(target, author) or within(author, target):
                    members.add(target)
        members |= {n for a in members for b in members for n in tree_path(a, b)}
        if len(members) + len(subtrees) == before:
            break
    return sorted(list(members) + [s + "/*" for s in subtrees], key=str.encode)


def audiences_json():
    g, c, s, d = "d/s/c/g", "d/s/c", "d/s", "d"
    cases = [
        ("founder alone", g, []),
        ("up to the street", g, [(g, 3, [])]),
        ("up at one's own tier", c, [(c, 2, [])]),
        ("a unit's host by up", "d/s/@fire", [("d/s/@fire", 3, [])]),
        ("a unit up to the district", "d/s/@fire", [("d/s/@fire", 4, [])]),
        ("a unit below its host's tier", "d/s/@fire", [("d/s/@fire", 2, [])]),
        ("dispatch to a unit", g, [(g, 3, []), (s, 0, ["d/s/@fire"])]),
        ("dispatch before the report", g, [(s, 0, ["d/s/@fire"]), (g, 3, [])]),
        ("not a member", g, [("d/t", 4, [])]),
        ("a foreign target", c, [(c, 0, ["d/t/c"])]),
        ("down skips tiers", d, [(d, 0, [g])]),
        ("across by the district", g, [(g, 4, []), (d, 0, ["d/t/c/@water"])]),
        ("policy for all", d, [(d, 0, ["d/*"])]),
        ("a street's subtree", d, [(d, 0, ["d/s/*"])]),
        ("a deep subtree", d, [(d, 0, ["d/s/c/*"])]),
        ("readers by subtree don't write", d, [(d, 0, ["d/s/*"]), (s, 0, ["d/s/@fire"])]),
        ("subtree above the author", c, [(c, 0, ["d/s/*"])]),
        ("own subtree", c, [(c, 0, ["d/s/c/*"])]),
        ("ancestor as target", g, [(g, 0, [d])]),
        ("chain of widenings", g, [("d/t/c", 0, ["d/t/c/h"]), ("d/t", 0, ["d/t/c"]), (d, 0, ["d/t"]),
                                   (s, 4, []), (c, 3, []), (g, 2, [])]),
        ("names that are prefixes", "d/s", [("d/s", 0, ["d/s/c", "d/s/c-1", "d/s/c1", "d/s/c/*", "d/s/c-1/*"])]),
    ]
    write("audiences.json", [{"name": n, "founder": f, "records": [
        {"author": a, "up": u, "down": dn} for a, u, dn in rs], "audience": audience(f, rs)}
        for n, f, rs in cases])


if __name__ == "__main__":
    records_json()
    merkle_json()
    certificates_json()
    commits_json()
    receipts_json()
    snapshots_json()
    subjects_json()
    values_json()
    audiences_json()
