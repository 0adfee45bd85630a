"""The demo's last step: every row of the CSV against what each tier shows."""
import collections

TIERS = ("grid", "community", "street", "district")
SHOWN = 14
PLACE = ("address", "latitude", "longitude")


def tier_of(address):
    return TIERS[3 - address.count("/")]


def on_path(row, address):
    """Whether the row's case must be known at this node."""
    return row.node == address or row.node.startswith(address + "/") or row.unit == address


def at_node(node, rows, problems):
    """Each row's case exactly once with the right state and category, and no other case; returns
    the subjects by row."""
    found = collections.defaultdict(list)
    for case in node.cases():
        found[case["body"].get("id")].append(case)
    for row in rows:
        cases = found.pop(row.number, [])
        if len(cases) != 1:
            problems.append(f"{node.address}: row {row.number} is there {len(cases)} times")
            continue
        case = cases[0]
        expected = {"state": row.state, "category": row.category, "founder": row.node}
        for field, value in expected.items():
            if case[field] != value:
                problems.append(f"{node.address}: row {row.number} has {field} "
                                f"{case[field]!r}, not {value!r}")
        if case["body"].get("agency") != row.agency:
            problems.append(f"{node.address}: row {row.number} names agency "
                            f"{case['body'].get('agency')!r}, not {row.agency!r}")
        found[row.number] = cases
    known = {row.number for row in rows}
    for number in set(found) - known:
        problems.append(f"{node.address}: has a case {number!r} that does not belong there")
    return {number: cases[0]["subject"] for number, cases in found.items() if number in known}


def history(district, row, subject, urged, problems):
    """Each step exactly once, by whom it was done, at the district."""
    expected = [("case.report", row.node)]
    if row.state != "reported":
        expected.append(("case.dispatch", row.street))
    if row.state == "closed":
        expected += [("case.resolve", row.unit), ("case.close", row.street)]
    answer = district.call("case", subject=subject)
    got = [(r["kind"], r["origin"]) for r in answer["records"]]
    urges = [step for step in got if step == ("case.urge", district.address)]
    if len(urges) != urged:
        problems.append(f"row {row.number}: urged {len(urges)} times, not {int(urged)}")
    got = [step for step in got if step not in urges]
    if got != expected:
        problems.append(f"row {row.number}: the district shows {got}, not {expected}")
    for shown in answer["records"]:
        if shown["kind"] == "case.dispatch" and list(shown["down"]) != [row.unit]:
            problems.append(f"row {row.number}: dispatched to {shown['down']}, not {row.unit}")
        for item in shown["items"]:
            if item.get("name") in PLACE:
                problems.append(f"row {row.number}: the district shows the place")


def check(tree, plan, urged, progress):
    """All nodes and rows; returns (counts by (tier, category), problems)."""
    problems, counts = [], collections.Counter()
    total = len(plan.nodes) + len(plan.rows)
    for done, address in enumerate(plan.nodes):
        progress(done, total, address)
        unit = "@" in address
        rows = [r for r in plan.rows if on_path(r, address)
                and not (unit and r.state == "reported")]
        subjects = at_node(tree[address], rows, problems)
        tier = "unit" if unit else tier_of(address)
        counts.update((tier, row.category) for row in rows if row.number in subjects)
        if address.count("/") == 0:
            for number, row in enumerate(plan.rows):
                progress(done + number, total, "histories at the district")
                if row.number in subjects:
                    history(tree[address], row, subjects[row.number], row.number in urged,
                            problems)
    return counts, problems


def print_table(show, plan, counts):
    expected, by_category = expected_counts(plan)
    order = sorted(by_category, key=lambda c: (-by_category[c], c))
    columns = ("unit", "grid", "community", "street", "district")
    rows = []
    for category in order[:SHOWN]:
        rows.append([category, by_category[category]] + [counts[t, category] for t in columns])
    rest = order[SHOWN:]
    rows.append([f"{len(rest)} other categories", sum(by_category[c] for c in rest)]
                + [sum(counts[t, c] for c in rest) for t in columns])
    rows.append(["all", sum(by_category.values())]
                + [sum(counts[t, c] for c in order) for t in columns])
    rows.append(["expected", sum(by_category.values())]
                + [sum(expected[t, c] for c in order) for t in columns])
    show.table(["category", "CSV", *(f"{t}" for t in columns)], rows)
    return all(counts[key] == expected[key] for key in set(counts) | set(expected))


def expected_counts(plan):
    """What the CSV alone says each tier must count."""
    expected, by_category = collections.Counter(), collections.Counter()
    for row in plan.rows:
        by_category[row.category] += 1
        depth = row.node.count("/")
        for tier in TIERS[3 - depth:]:
            expected[tier, row.category] += 1
        if row.state != "reported":
            expected["unit", row.category] += 1
    return expected, by_category
