"""Which nodes the demo runs and which row goes where: pure, from the CSV alone."""
import collections
import csv
import dataclasses
import pathlib
import re

DATA = pathlib.Path(__file__).resolve().parents[1] / "data" / "nyc311-2018.csv"
DISTRICT = "nyc"

# How far a row's case goes: the row's last word on it.
STATES = {"Closed": "closed", "Assigned": "dispatched", "In Progress": "dispatched",
          "Pending": "dispatched", "Open": "reported", "Email Sent": "reported"}

# How many of the busiest below each parent are run by default.
BOARDS = 2
ZIPS = 1
UNITS = 2


@dataclasses.dataclass
class Row:
    """One service request and where the demo takes it."""
    number: str
    category: str
    agency: str
    state: str
    node: str      # the grid where it is reported
    street: str
    unit: str      # who handles it
    line: dict     # the CSV's fields


@dataclasses.dataclass
class Plan:
    rows: list
    nodes: list    # addresses, parents first


def segment(text):
    """A CSV value as an address segment: 1 to 16 of [0-9A-Za-z_-]."""
    return re.sub(r"[^0-9A-Za-z_-]", "_", text)[:16] or "none"


def board_name(line):
    return "board-" + segment(line["community_board"].split()[0])[:10]


def read_lines():
    with open(DATA, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def narrow(parents, names, count, other):
    """Each row's address `parent/name`, where only the `count` most frequent names below a parent
    stand and `other` takes the rest."""
    children = collections.defaultdict(collections.Counter)
    for parent, name in zip(parents, names):
        children[parent][name] += 1
    kept = {parent: sorted(counter, key=lambda name: (-counter[name], name))[:count]
            for parent, counter in children.items()}
    return [f"{parent}/{name if name in kept[parent] else other}"
            for parent, name in zip(parents, names)]


def make_plan(full=False):
    """By default the busiest boards, zips and agencies run, and one `other` beside them stands
    for the rest, so that every row still enters at a grid and goes to a unit."""
    lines = read_lines()
    many = len(lines) if full else 0
    streets = [f"{DISTRICT}/{segment(line['borough'])}" for line in lines]
    boards = narrow(streets, [board_name(line) for line in lines], many or BOARDS, "board-other")
    grids = narrow(boards, [segment(line["zip"] or "no-zip") for line in lines], many or ZIPS,
                   "other")
    units = narrow(streets, ["@" + segment(line["agency"]) for line in lines], many or UNITS,
                   "@other")
    rows = [Row(line["id"], line["complaint_type"], line["agency"], STATES[line["status"]],
                grid, street, unit, line)
            for line, grid, street, unit in zip(lines, grids, streets, units)]
    nodes = {DISTRICT, *streets, *boards, *grids, *units}
    return Plan(rows, sorted(nodes, key=lambda address: (address.count("/"), address)))


def write_part(path, rows):
    """The rows as a CSV of their own, as `nodectl import` reads it."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0].line))
        writer.writeheader()
        writer.writerows(row.line for row in rows)
