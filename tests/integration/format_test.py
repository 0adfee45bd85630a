#!/usr/bin/python3
"""The Python reading of the formats against the vectors, so that the verifier is known to refuse
what it must."""
import json
import pathlib
import unittest

import noded_format as form

VECTORS = pathlib.Path(__file__).resolve().parents[1] / "vectors"


def load(name):
    return json.loads((VECTORS / f"{name}.json").read_text(encoding="utf-8"))


class FormatTest(unittest.TestCase):
    def refuses(self, read, octets, name):
        with self.subTest(name), self.assertRaises(form.Wrong):
            read(octets)

    def test_records(self):
        data = load("records")
        for row in data["valid"]:
            record = form.unpack(bytes.fromhex(row["octets"]), "record")
            _, leaf, _ = form.read_record(record)
            self.assertEqual(leaf.hex(), row["leaf"], row["name"])
        for row in data["invalid"]:
            self.refuses(lambda octets: form.read_record(form.unpack(octets, "record")),
                         bytes.fromhex(row["octets"]), row["name"])

    def test_subjects(self):
        for row in load("subjects")["subjects"]:
            made = form.founding_subject(bytes.fromhex(row["origin"]), int(row["hlc"]))
            self.assertEqual(made.hex(), row["subject"])

    def certificates(self):
        rows = load("certificates")["certificates"]
        known = form.Certificates(bytes.fromhex(rows[0]["octets"]))
        for row in rows[1:]:
            known.add(form.unpack(bytes.fromhex(row["octets"]), "certificate"))
        return known

    def test_certificates(self):
        known = self.certificates()
        for row in load("certificates")["certificates"]:
            self.assertIn(bytes.fromhex(row["id"]), known.by_id)
        for row in load("certificates")["invalid"]:
            self.refuses(form.Certificate, bytes.fromhex(row["octets"]), row["name"])
        for row in load("certificates")["chains"]:
            if row["verdict"] in ("ok", "malformed"):
                continue
            self.refuses(self.read_chain, bytes.fromhex(row["octets"]), row["name"])

    @staticmethod
    def read_chain(octets):
        chain = form.unpack(octets, "chain")
        known = form.Certificates(form.pack(chain[0]))
        form.need(known.root.id.hex() == load("certificates")["root_id"], "another root")
        for certificate in chain[1:]:
            known.add(certificate)

    def test_commits(self):
        data = load("commits")
        for row in data["valid"]:
            commit = form.Commit(form.unpack(bytes.fromhex(row["octets"]), "commit", loose=True))
            self.assertEqual(commit.id.hex(), row["id"], row["name"])
            commit.verify(KeyOf(commit))
        for row in data["judged"]:
            octets = bytes.fromhex(row["octets"])

            def judge(octets):
                commit = form.Commit(form.unpack(octets, "commit"))
                commit.verify(KeyOf(commit))
            if row["verdict"] == "ok":
                judge(octets)
            else:
                self.refuses(judge, octets, row["name"])

    def test_bundles(self):
        data = load("bundles")
        entries = form.read_bundle(bytes.fromhex(data["octets"]))
        self.assertEqual([kind for kind, _ in entries], [row["type"] for row in data["entries"]])
        for (_, value), row in zip(entries, data["entries"]):
            self.assertEqual(form.pack(value).hex(), row["octets"])
        form.read_bundle(bytes.fromhex(data["with_unknown"]))
        for row in data["heads"]:
            if row["status"] != "ok":
                self.refuses(form.read_bundle, bytes.fromhex(row["octets"]), row["status"])


class KeyOf:
    """Certificates, taken as known: any that a commit names is its origin's."""

    def __init__(self, commit):
        self.by_id = self
        self.key = commit.origin

    def get(self, _):
        return self


if __name__ == "__main__":
    unittest.main(verbosity=2)
