"""A tree of noded processes in one directory.

Every node gets a directory made by `nodectl init` and certified by its parent's daemon, as an
operator would do it. Processes are known by the Popen object alone and are always ended when the
tree closes: at the end of a `with` block, on an exception, on a signal, at exit.
"""
import atexit
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from harness.admin import Admin, AdminError, AdminGone

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
READY_SECONDS = float(os.environ.get("NODED_TEST_PATIENCE", "30"))
WORKERS = 8


def find_binaries():
    """Where noded and nodectl are: $NODED_BIN, else the release build."""
    return pathlib.Path(os.environ.get("NODED_BIN", REPOSITORY / "build/release/bin"))


class Failure(Exception):
    """Something that the harness did failed; the text says what."""


def wait_until(condition, seconds, what, pause=0.02):
    """Calls `condition` until it gives something true, and returns that."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise Failure(f"after {seconds:.0f} s still not: {what}")
        time.sleep(pause)


class Ports:
    """Free loopback ports below the range from which the system takes outgoing ones."""

    def __init__(self):
        self.next = 20000 + (os.getpid() * 37) % 9000
        self.lock = threading.Lock()

    def take(self):
        with self.lock:
            while True:
                self.next = self.next + 1 if self.next < 32000 else 20000
                with socket.socket() as probe:
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    try:
                        probe.bind(("127.0.0.1", self.next))
                    except OSError:
                        continue
                return self.next


PORTS = Ports()


class Node:
    """One node: its directory, its process, and ways to speak to it."""

    def __init__(self, tree, address, parent, listen, settings):
        self.tree = tree
        self.address = address
        self.parent = parent
        self.listen = listen
        self.settings = dict(settings)
        self.directory = tree.directory / address.replace("/", ".")
        self.process = None
        self.outside = False  # `build` leaves it alone
        self.prefix = []  # words before the daemon's command, such as `ip netns exec NAME`
        self.environment = {}  # beside what this process has
        self.client = None
        self.lock = threading.Lock()

    def __repr__(self):
        return f"<{self.address}>"

    # --- its files

    def make(self):
        """Keys, request and configuration; at the district the chain too."""
        command = ["init"]
        if self.parent is None:
            command += ["--root", self.address]
        else:
            command += ["--child", self.address, "--root-cert", str(self.tree.root_certificate())]
            command += ["--parent", self.parent.listen]
        if self.listen:
            command += ["--listen", self.listen]
        self.ctl(*command, check=True)
        self.write_settings()

    def write_settings(self):
        """Adds `settings` ({"link": {"retry_max_ms": 500}}) to the configuration."""
        path = self.directory / "noded.yaml"
        if not self.settings:
            return
        lines = path.read_text().splitlines()
        kept, skipping = [], False
        for line in lines:
            if line and not line[0].isspace() and not line.startswith("#"):
                skipping = line.split(":")[0] in self.settings
            if not skipping:
                kept.append(line)
        for section, values in self.settings.items():
            kept.append(f"{section}:")
            kept += [f"  {name}: {value}" for name, value in values.items()]
        path.write_text("\n".join(kept) + "\n")

    def certify(self):
        """The parent's daemon, which runs, signs this node's request."""
        chain = self.directory / "chain.new"
        self.parent.ctl("certify", str(self.directory / "request"), "-o", str(chain), check=True)
        self.ctl("init", "--install", str(chain), check=True)
        chain.unlink()

    # --- its process

    @property
    def alive(self):
        return self.process is not None and self.process.poll() is None

    @property
    def pid(self):
        return self.process.pid

    @property
    def log_path(self):
        return self.directory / "log"

    def log_text(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def daemon_command(self, *more):
        return [*self.prefix, str(self.tree.binaries / "noded"), "--dir", str(self.directory),
                *more]

    def start(self, wait=True):
        if self.alive:
            raise Failure(f"{self.address} runs already")
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(self.daemon_command(), stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, start_new_session=True,
                                            env={**os.environ, **self.environment})
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self):
        def ready():
            if not self.alive:
                raise Failure(f"{self.address} ended with {self.process.returncode}:\n"
                              f"{self.log_text()[-2000:]}")
            try:
                return self.call("status")
            except (AdminGone, AdminError):
                return None
        wait_until(ready, READY_SECONDS, f"{self.address} answers")

    def _end(self, number, seconds):
        self.hang_up()
        if self.process is None:
            return None
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise Failure(f"{self.address} did not end within {seconds} s of signal {number}")

    def stop(self):
        """SIGTERM; the exit code."""
        return self._end(signal.SIGTERM, READY_SECONDS)

    def kill(self):
        """SIGKILL."""
        return self._end(signal.SIGKILL, READY_SECONDS)

    def freeze(self):
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)

    # --- speaking to it

    def connect(self, timeout=60.0):
        return Admin(self.directory / "admin.sock", timeout)

    def hang_up(self):
        with self.lock:
            if self.client is not None:
                self.client.close()
                self.client = None

    def call(self, command, **args):
        """One admin command over a connection that is kept."""
        with self.lock:
            try:
                if self.client is None:
                    self.client = self.connect()
                return self.client.call(command, **args)
            except AdminGone:
                if self.client is not None:
                    self.client.close()
                    self.client = None
                raise

    def pages(self, command, field, start=None, **args):
        """All rows of a command whose results are paged by `after` and `next`."""
        after = start
        while True:
            page = self.call(command, **args, **({} if after in (None, "") else {"after": after}))
            yield from page[field]
            if not page[field] or page["next"] in ("", 0, None, after):
                return
            after = page["next"]

    def cases(self):
        return list(self.pages("cases", "cases", limit=1000))

    def ctl(self, *args, check=False, **options):
        """Runs nodectl on this node's directory."""
        return self.tree.ctl("--dir", str(self.directory), *args, check=check, **options)

    def append(self, *drafts):
        return self.call("append", records=list(drafts))["records"]

    def report(self, category, text="", **fields):
        """A new case; its subject."""
        body = {"category": category, "text": text}
        draft = {"kind": "case.report", "items": [{"name": "", "value": body}], **fields}
        return self.append(draft)[0]["subject"]

    def tell(self, kind, subject, text="", **fields):
        draft = {"kind": kind, "subject": subject,
                 "items": [{"name": "", "value": {"text": text}}], **fields}
        return self.append(draft)[0]

    def subjects(self):
        return {case["subject"] for case in self.cases()}

    def waiting(self):
        """Records that wait here for all neighbours."""
        status = self.call("status")
        links = ([status["parent"]] if status["parent"] else []) + status["children"]
        return sum(lane["commits"] for link in links for lane in link["lanes"])

    def linked(self):
        parent = self.call("status")["parent"]
        return bool(parent and parent["connected"])


class Tree:
    """All nodes, by address; `with Tree() as tree:` ends them whatever happens."""

    def __init__(self, directory=None, keep=False, binaries=None, settings=None):
        self.binaries = pathlib.Path(binaries) if binaries else find_binaries()
        self.keep = keep
        self.settings = settings or {}
        self.nodes = {}
        if directory:
            self.directory = pathlib.Path(directory).resolve()
            self.directory.mkdir(parents=True)
        else:
            self.directory = pathlib.Path(tempfile.mkdtemp(prefix="noded-"))
        self.closed = False
        self.left_running = False
        atexit.register(self.close)
        for number in (signal.SIGTERM, signal.SIGHUP):
            if threading.current_thread() is threading.main_thread():
                signal.signal(number, lambda number, frame: sys.exit(128 + number))

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if kind is not None and issubclass(kind, Exception) and os.environ.get("NODED_TEST_KEEP"):
            self.keep = True
            print(f"kept: {self.directory}", file=sys.stderr)
        self.close()

    def __getitem__(self, address):
        return self.nodes[address]

    def close(self):
        if self.closed:
            return
        self.closed = True
        atexit.unregister(self.close)
        running = [] if self.left_running else [n for n in self.nodes.values() if n.alive]
        for node in running:
            node.process.send_signal(signal.SIGCONT)
            node.process.terminate()
        deadline = time.monotonic() + 10
        for node in running:
            try:
                node.process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                node.process.kill()
                node.process.wait()
        for node in self.nodes.values():
            node.hang_up()
        if not self.keep:
            shutil.rmtree(self.directory, ignore_errors=True)

    def leave_running(self):
        """--keep: daemons and directory outlive this process."""
        self.left_running = True
        self.keep = True

    def ctl(self, *args, check=False, **options):
        done = subprocess.run([str(self.binaries / "nodectl"), *map(str, args)],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=options.pop("timeout", 120), **options)
        if check and done.returncode != 0:
            raise Failure(f"nodectl {' '.join(map(str, args))}: exit {done.returncode}\n"
                          f"{done.stdout}{done.stderr}")
        return done

    def root_certificate(self):
        return next(iter(self.nodes.values())).directory / "root.cert"

    def add(self, address, leaf=None, settings=None):
        """Declares a node below one that is declared already; `build` makes it."""
        leaf = leaf if leaf is not None else ("@" in address or address.count("/") == 3)
        parent = self.nodes[address.rsplit("/", 1)[0]] if "/" in address else None
        listen = None if leaf else f"tcp://127.0.0.1:{PORTS.take()}"
        node = Node(self, address, parent, listen, {**self.settings, **(settings or {})})
        self.nodes[address] = node
        return node

    def build(self, progress=None):
        """Makes, certifies and starts all nodes that don't run, tier by tier, then waits until
        every link stands. Returns self."""
        fresh = [node for node in self.nodes.values() if node.process is None and not node.outside]
        depth = lambda node: node.address.count("/")
        done = 0
        with ThreadPoolExecutor(WORKERS) as pool:
            for level in sorted({depth(node) for node in fresh}):
                for node in pool.map(self._raise, [n for n in fresh if depth(n) == level]):
                    done += 1
                    if progress:
                        progress(done, len(fresh), node.address)
        self.wait_linked(fresh)
        return self

    def _raise(self, node):
        node.make()
        if node.parent is not None:
            node.certify()
        return node.start()

    def wait_linked(self, nodes=None, seconds=READY_SECONDS):
        for node in nodes if nodes is not None else self.nodes.values():
            if node.parent is not None and node.alive:
                wait_until(node.linked, seconds, f"{node.address} is linked to its parent")

    def wait_level(self, seconds=READY_SECONDS, nodes=None):
        """Until nothing waits at any node for any neighbour, twice in a row."""
        watched = [n for n in (nodes or self.nodes.values()) if n.alive]

        def level():
            return all(node.waiting() == 0 for node in watched)
        wait_until(lambda: level() and level(), seconds, "all is level")


def four_tiers(tree, units=()):
    """The smallest whole tree, as the tests use it: d, d/s, d/s/c, d/s/c/g."""
    nodes = [tree.add(address) for address in ("d", "d/s", "d/s/c", "d/s/c/g")]
    nodes += [tree.add(address) for address in units]
    return nodes
