"""What people would do: streets dispatch and close, units resolve, each at its own node, by what
that node shows them."""
from harness.admin import AdminGone

BATCH = 128


class Desks:
    """Works on all cases of the plan as they become visible where the work is done."""

    def __init__(self, tree, plan):
        self.tree = tree
        self.rows = {row.number: row for row in plan.rows}
        self.streets = sorted({row.street for row in plan.rows})
        self.units = sorted({row.unit for row in plan.rows})
        self.done = {"case.dispatch": set(), "case.resolve": set(), "case.close": set()}
        self.urged = set()
        self.wanted = {
            "case.dispatch": {n for n, row in self.rows.items() if row.state != "reported"},
            "case.resolve": {n for n, row in self.rows.items() if row.state == "closed"},
            "case.close": {n for n, row in self.rows.items() if row.state == "closed"},
        }

    def total(self):
        return sum(len(wanted) for wanted in self.wanted.values())

    def count(self):
        return sum(len(done) for done in self.done.values())

    def finished(self):
        return self.count() == self.total()

    def _act(self, address, kind, state, draft):
        """Appends one record of `kind` to each case that stands in `state` here."""
        node = self.tree[address]
        todo = []
        for case in node.pages("cases", "cases", limit=1000, state=state):
            number = case["body"].get("id")
            if number in self.wanted[kind] and number not in self.done[kind]:
                todo.append((number, case["subject"]))
        for start in range(0, len(todo), BATCH):
            part = todo[start:start + BATCH]
            node.append(*[draft(self.rows[number], subject) for number, subject in part])
            self.done[kind].update(number for number, _ in part)
        return len(todo)

    def round(self):
        """Every desk that can be reached looks once; returns how many records were written."""
        written = 0
        for street in self.streets:
            try:
                written += self._act(street, "case.dispatch", "reported", dispatch)
                written += self._act(street, "case.close", "resolved", close)
            except AdminGone:
                continue
        for unit in self.units:
            written += self._act(unit, "case.resolve", "dispatched", resolve)
        return written


    def urge(self, district, street, count):
        """The district asks after some of a street's open cases, whether or not the street can
        be reached."""
        node = self.tree[district]
        for case in node.pages("cases", "cases", limit=1000):
            row = self.rows[case["body"]["id"]]
            if row.street == street and case["state"] != "closed" and len(self.urged) < count:
                node.append(record("case.urge", case["subject"], {"text": "what became of it?"}))
                self.urged.add(row.number)


def record(kind, subject, body, **fields):
    return {"kind": kind, "subject": subject, "author": "desk",
            "items": [{"name": "", "value": body}], **fields}


def dispatch(row, subject):
    return record("case.dispatch", subject, {"text": f"for {row.agency}"}, down=[row.unit])


def resolve(row, subject):
    return record("case.resolve", subject, {"text": row.line["resolution"][:400]})


def close(row, subject):
    return record("case.close", subject, {"text": row.line["closed"]})
