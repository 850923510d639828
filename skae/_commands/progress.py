"""A line at a terminal that tells how far a long work is."""

import sys
from time import monotonic

# Seconds before the first line, and between two lines.
_PATIENCE = 2.0
_INTERVAL = 0.2
_WIDTH = 20


class Progress:
    """A bar with rows per second and the time left, on the standard error of a terminal.

    Nothing is written where that is no terminal, or before two seconds have passed.

    Parameters
    ----------
    n_rows : int
        Rows in all.
    n_done : int
        Rows that were done before.
    """

    def __init__(self, n_rows: int, n_done: int = 0):
        self.n_rows, self.n_before, self.n_done = n_rows, n_done, n_done
        self._began = monotonic()
        self._next = self._began + _PATIENCE
        self._is_shown = False

    def add(self, n_rows: int):
        """Count some more rows as done."""
        self.n_done += n_rows
        now = monotonic()
        if now >= self._next and sys.stderr.isatty():
            self._next, self._is_shown = now + _INTERVAL, True
            sys.stderr.write(f"\r{self._describe(now - self._began)}\033[K")
            sys.stderr.flush()

    def close(self):
        """Take the line back."""
        if self._is_shown:
            sys.stderr.write("\r\033[K")
            sys.stderr.flush()

    def _describe(self, seconds: float) -> str:
        speed = max(self.n_done - self.n_before, 1) / max(seconds, 1e-9)
        full = _WIDTH * self.n_done // self.n_rows
        left = round((self.n_rows - self.n_done) / speed)
        bar = "#" * full + "." * (_WIDTH - full)
        clock = f"{left // 3600}:{left // 60 % 60:02}:{left % 60:02}"
        return f"[{bar}] {self.n_done:,} of {self.n_rows:,} rows, {speed:,.0f}/s, {clock} left"
