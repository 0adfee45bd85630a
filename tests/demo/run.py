"""scripts/demo: builds a tree, takes the CSV's rows through it, breaks a street, checks all."""
import argparse
import pathlib
import sys
import time
from concurrent.futures import ThreadPoolExecutor

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from demo import check, plan as planning  # noqa: E402
from demo.desk import Desks  # noqa: E402
from demo.show import Show  # noqa: E402
from harness.tree import Failure, Tree, wait_until  # noqa: E402

MAP = pathlib.Path(__file__).resolve().with_name("311.map.yaml")
BROKEN = "nyc/BROOKLYN"
IMPORTERS = 4
PATIENCE = 60
OUTAGE_SECONDS = 5
URGED = 25
SETTINGS = {"link": {"retry_max_ms": 2000}}


def arguments():
    parser = argparse.ArgumentParser(prog="scripts/demo", description=(
        "Runs 1,000 real service requests through a four-tier tree of real daemons on loopback, "
        "with a street that fails halfway, and checks the outcome row for row."))
    parser.add_argument("--full", action="store_true",
                        help="every board, zip and agency: about 400 processes")
    parser.add_argument("--keep", action="store_true", help="leave the tree running at the end")
    parser.add_argument("--dir", help="where the nodes' directories go (must not exist)")
    return parser.parse_args()


class Demo:
    def __init__(self, tree, plan, show):
        self.tree = tree
        self.plan = plan
        self.show = show
        self.desks = Desks(tree, plan)
        self.parts = tree.directory / "import"

    def raise_tree(self):
        self.show.step(f"{len(self.plan.nodes)} nodes: keys, certificates, daemons")
        for address in self.plan.nodes:
            self.tree.add(address)
        self.tree.build(self.show.progress)
        self.show.step("every node runs and is linked to its parent")

    def import_half(self, half):
        """Every node imports its own rows of one half of the CSV."""
        self.parts.mkdir(exist_ok=True)
        middle = len(self.plan.rows) // 2
        rows = self.plan.rows[:middle] if half == 1 else self.plan.rows[middle:]
        work = {}
        for row in rows:
            work.setdefault(row.node, []).append(row)
        done = 0
        with ThreadPoolExecutor(IMPORTERS) as pool:
            jobs = [pool.submit(self._import, node, part, half) for node, part in work.items()]
            for job in jobs:
                done += job.result()
                self.show.progress(done, len(rows), "rows imported")
        self.show.step(f"{done} rows imported at {len(work)} nodes")

    def _import(self, address, rows, half):
        path = self.parts / f"{address.replace('/', '.')}.{half}.csv"
        planning.write_part(path, rows)
        self.tree[address].ctl("import", str(path), "--map", str(MAP), "--progress", "never",
                               check=True)
        return len(rows)

    def work(self, finished, what):
        """Lets the desks work until `finished`."""
        deadline = time.monotonic() + PATIENCE
        while not finished():
            if self.desks.round():
                deadline = time.monotonic() + PATIENCE
            elif time.monotonic() > deadline:
                raise Failure(f"nothing moved for {PATIENCE} s: {what}")
            else:
                time.sleep(0.05)
            self.show.progress(self.desks.count(), self.desks.total(), what)

    def wait_reports(self, count):
        """Until the district knows so many cases."""
        district = self.tree[planning.DISTRICT]
        wait_until(lambda: len(district.cases()) >= count, PATIENCE,
                   f"the district knows {count} cases", pause=0.1)

    def others_go_on(self):
        """The desks that can be reached work for a while."""
        until = time.monotonic() + OUTAGE_SECONDS
        while time.monotonic() < until:
            if not self.desks.round():
                time.sleep(0.1)
            self.show.progress(self.desks.count(), self.desks.total(),
                               f"records by streets and units, without {BROKEN}")

    def tree_of(self, address, only=None):
        """`nodectl tree` as a user sees it at that node."""
        color = "always" if self.show.terminal else "never"
        text = self.tree[address].ctl("--color", color, "tree", check=True).stdout
        lines = text.splitlines()
        if only:
            kept = [line for line in lines[1:] if only in line]
            lines = lines[:1] + kept + [f"... and {len(lines) - 1 - len(kept)} rows more"]
        self.show.line(f"  $ nodectl --dir {self.tree[address].directory} tree")
        self.show.block("\n".join(lines))

    def break_street(self):
        """The street is away while its subtree and all others go on."""
        street = self.tree[BROKEN]
        street.stop()
        self.show.step(f"{BROKEN} was stopped; its communities and grids go on")
        self.import_half(2)
        self.desks.urge(planning.DISTRICT, BROKEN, URGED)
        self.others_go_on()
        below = next(a for a in self.plan.nodes if a.startswith(BROKEN + "/board"))
        self.show.step("the lag, as the community below sees it, and as the district does:")
        self.tree_of(below)
        self.tree_of(planning.DISTRICT, only="BROOKLYN")
        waiting = self.tree[below].waiting()
        if waiting == 0:
            raise Failure(f"{below} has nothing waiting though {BROKEN} is down")
        street.start()
        self.show.step(f"{BROKEN} is back; {waiting} commits waited at {below} alone")

    def run(self):
        self.raise_tree()
        self.import_half(1)
        self.wait_reports(len(self.plan.rows) // 2)
        self.show.step("the district knows them; streets dispatch, units resolve")
        self.desks.round()
        self.break_street()
        self.work(self.desks.finished, "records by streets and units")
        self.show.step(f"{self.desks.count()} dispatches, resolutions and closings written")
        self.tree.wait_level(PATIENCE)
        self.show.step("all is level again: nothing waits anywhere")
        counts, problems = check.check(self.tree, self.plan, self.desks.urged,
                                       self.show.progress)
        self.show.step(f"checked {len(self.plan.rows)} rows at {len(self.plan.nodes)} nodes")
        self.show.line()
        if not check.print_table(self.show, self.plan, counts):
            problems.append("the counts differ from the CSV's")
        return problems


def look_around(show, tree, keep):
    nodectl = tree.binaries / "nodectl"
    grid = next(a for a in tree.nodes if a.count("/") == 3)
    show.line()
    if not keep:
        show.line("To look around, run it with --keep. Every node is a directory then: "
                  "nodectl --dir DIRECTORY tree | cases | inbox | log list")
        return
    show.line(f"The tree runs on in {tree.directory}. Look around:")
    for address, words in ((planning.DISTRICT, "tree"), (planning.DISTRICT, "cases --limit 20"),
                           (BROKEN, "status"), (f"{BROKEN}/@NYPD", "inbox"), (grid, "cases"),
                           (grid, "report --category Noise --text 'a test'")):
        if address in tree.nodes:
            show.line(f"  {nodectl} --dir {tree[address].directory} {words}")
    show.line("End it:")
    show.line(f"  for d in {tree.directory}/nyc*; do {nodectl} --dir $d shutdown; done")


def main():
    options = arguments()
    show = Show()
    plan = planning.make_plan(options.full)
    with Tree(options.dir, keep=options.keep, settings=SETTINGS) as tree:
        try:
            problems = Demo(tree, plan, show).run()
        except Failure as failure:
            problems = [str(failure)]
        for problem in problems[:50]:
            show.line(f"WRONG: {problem}")
        if options.keep:
            tree.leave_running()
        look_around(show, tree, options.keep)
        show.line()
        show.step("FAILED" if problems else "every row is where it belongs, exactly once")
    return 1 if problems else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
