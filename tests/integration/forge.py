"""Writes commits in the name of nodes whose keys the test has: good ones and bad ones."""
import os
import time

import noded_format as form


class Forger:
    """A node that is certified but whose daemon never runs; its logs are written here."""

    def __init__(self, node):
        self.address = node.address
        self.secret = bytes.fromhex((node.directory / "node.key").read_text().strip())[:32]
        chain = form.unpack((node.directory / "chain.cert").read_bytes(), "chain")
        self.chain = [form.unpack(c, "certificate") if isinstance(c, bytes) else c for c in chain]
        self.store = os.urandom(16)
        self.heads = {}
        self.ticks = 0

    @property
    def key(self):
        return form.Certificate(self.chain[-1]).key

    def hlc(self):
        self.ticks += 1
        return (int(time.time() * 1000) << 16) + self.ticks

    def report(self, category="forged", up=4, down=(), hlc=None):
        hlc = hlc or self.hlc()
        return form.make_record("case.report", form.founding_subject(self.key, hlc), 1, hlc,
                                [("", {"category": category}, 31)], up=up, down=down)

    def commit(self, *records, lane=1, keep=True, **changes):
        """The next commit of that lane; with keep=False the next one takes the same place."""
        seq, prev = self.heads.get(lane, (0, form.ZERO))
        values = {"seq": seq + 1, "prev": prev, "store": self.store, "hlc": self.hlc(),
                  "certificate": form.digest(self.chain[-1][0]), **changes}
        made = form.make_commit(self.secret, values["store"], lane, values["seq"], values["prev"],
                                values["hlc"], values["certificate"],
                                list(records) or [self.report()])
        if keep:
            self.heads[lane] = (values["seq"], form.Commit(made).id)
        return made

    def bundle(self, *commits, chain=None):
        certificates = (self.chain if chain is None else chain)[1:]
        return form.write_bundle([("certificate", c) for c in certificates]
                                 + [("commit", c) for c in commits])


def certified(tree, address):
    """A Forger for an address below a running node."""
    node = tree.add(address)
    node.outside = True
    node.make()
    node.certify()
    return Forger(node)
