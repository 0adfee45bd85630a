"""What the demo prints: steps, progress, tables."""
import sys
import time

WIDTH = 34


class Show:
    """Progress on one line of a terminal; elsewhere a line a step, so that logs stay short."""

    def __init__(self, out=sys.stdout):
        self.out = out
        self.terminal = out.isatty()
        self.started = time.monotonic()
        self.open = False

    def _write(self, text):
        self.out.write(text)
        self.out.flush()

    def elapsed(self):
        return time.monotonic() - self.started

    def line(self, text=""):
        if self.open:
            self._write("\r\x1b[K")
            self.open = False
        self._write(text + "\n")

    def step(self, text):
        self.line(f"[{self.elapsed():6.1f} s] {text}")

    def progress(self, done, total, what):
        if not self.terminal:
            return
        filled = WIDTH * done // max(total, 1)
        self._write(f"\r  [{'#' * filled}{'.' * (WIDTH - filled)}] {done}/{total} {what}\x1b[K")
        self.open = True

    def block(self, text, indent="    "):
        for line in text.rstrip("\n").split("\n"):
            self.line(indent + line)

    def table(self, header, rows):
        """First column left, the others right."""
        cells = [header] + [[str(cell) for cell in row] for row in rows]
        widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
        for number, row in enumerate(cells):
            text = row[0].ljust(widths[0])
            text += "".join("  " + cell.rjust(width) for cell, width in zip(row[1:], widths[1:]))
            self.line("  " + text)
            if number == 0:
                self.line("  " + "-" * len(text))
