"""Progress bars at a terminal and in notebooks."""

import io
import math
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache, lru_cache
from html import escape
from importlib import import_module
from multiprocessing import parent_process
from time import monotonic
from typing import Any

from skae._shared.config import get_config

# Seconds before a bar is shown, and between its updates.
_PATIENCE = 2.0
_INTERVAL = 0.2


class Unwatched:
    """Work whose progress is not shown."""

    description = ""

    def add(self, n_done: int) -> None:
        """Count further rows as done."""

    def skip(self, n_before: int) -> None:
        """Count rows as done that were done earlier, which do not count for the speed."""


class Progress(Unwatched):
    """Work on `n_all` rows or other items with a progress bar, from `start` to `close`.

    The bar is shown after two seconds and removed at the end. It shows rows per second and the time
    left. Pipes, worker processes and threads other than the main thread show nothing, and neither
    does work inside other work with a bar, or work whose bar is not wanted.

    `description` is the text before the bar, which can be changed at any time, `n_before` the
    number of items that were done before, and `unit` their plural noun.
    """

    def __init__(
        self,
        n_all: int,
        description: str = "",
        *,
        n_before: int = 0,
        unit: str = "rows",
        wanted: bool = True,
    ):
        self.n_all, self.n_done, self.n_before = n_all, n_before, n_before
        self.description, self.unit, self.wanted = description, unit, wanted
        self._bar: Any = None
        self._began, self._next = 0.0, math.inf

    def start(self) -> None:
        """Start the delay until the bar is shown."""
        self._began = monotonic()
        if self.wanted and WORK.get() is _NOTHING and _is_main_thread():
            self._next = self._began + _PATIENCE

    def close(self) -> None:
        """Remove the bar."""
        self._next = math.inf
        if self._bar is not None:
            self._bar.close()

    def add(self, n_done: int) -> None:
        """Count further rows as done, and update the bar from time to time."""
        self.n_done += n_done
        now = monotonic()
        if now >= self._next:
            self._next = now + _INTERVAL
            self._show(now - self._began)

    def skip(self, n_before: int) -> None:
        """Count rows as done that were done earlier, which do not count for the speed."""
        self.n_before += n_before
        self.n_done += n_before

    def _show(self, seconds: float) -> None:
        if self._bar is None:
            self._bar = self._make_bar(seconds) if _is_watched() else None
            if self._bar is None:
                self._next = math.inf
                return
        self._bar.total = self.n_all
        self._bar.set_description_str(self.description, refresh=False)
        self._bar.update(self.n_done - self._bar.n)

    def _make_bar(self, seconds: float) -> Any:
        """Return a bar for work that started earlier, or None if tqdm is disabled."""
        bar = _find_bar_class()(
            desc=self.description,
            total=self.n_all,
            initial=self.n_before,
            unit=f" {self.unit}",
            unit_scale=self.n_all >= 1000,
            dynamic_ncols=True,
            leave=False,
            mininterval=0,
            miniters=1,
            # Other output of tqdm would be a second output of a cell.
            **({"file": io.StringIO(), "ascii": False} if _is_in_notebook() else {}),
        )
        if bar.disable:
            return None
        bar.start_t -= seconds
        bar.last_print_t -= seconds
        return bar


_NOTHING = Unwatched()
# Current work; a thread starts with its own context.
WORK: ContextVar[Unwatched] = ContextVar("skae_work", default=_NOTHING)


@contextmanager
def show_progress(n_all: int, description: str = "", **options) -> Iterator[Progress]:
    """Show a bar during the `with` block; parameters as in `Progress`."""
    progress = Progress(n_all, description, **options)
    progress.start()
    token = WORK.set(progress)
    try:
        yield progress
    finally:
        WORK.reset(token)
        progress.close()


def _is_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


def _is_watched() -> bool:
    """Return whether a bar would be seen and is enabled."""
    is_worker = parent_process() is not None or os.environ.get("RANK", "0") != "0"
    if is_worker or not get_config()["progress"]:
        return False
    return _is_in_notebook() or (sys.stderr is not None and sys.stderr.isatty())


def _is_in_notebook() -> bool:
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return shell is not None and "IPKernelApp" in shell.config


@cache
def _find_bar_class() -> Any:
    """Return a class of bars without a thread, whose lock is local to this process."""
    body: dict[str, Any] = {"monitor_interval": 0}
    if _is_in_notebook():
        body["status_printer"] = staticmethod(_print_to_cell)
    bar_class: Any = type("_Bar", (import_module("tqdm").tqdm,), body)
    bar_class.set_lock(threading.RLock())
    return bar_class


def _print_to_cell(file: Any) -> Callable[[str], None]:
    """Return a function that shows a text in the output of the cell, in place of the last text."""
    output = _open_output(sys.modules["IPython"].get_ipython().execution_count)
    return lambda text: output.update(_render(text), raw=True)


@lru_cache(maxsize=1)
def _open_output(n_executed: int) -> Any:
    """Return the output of the cell that is executed; all bars of a cell follow each other there.

    A stream would keep all texts in the notebook, and a widget its description.
    """
    display = import_module("IPython.display").display
    return display(_render(""), raw=True, display_id=True)


def _render(text: str) -> dict[str, str]:
    """Return a text as the data of an output, which has no height if the text is empty."""
    return {"text/plain": text, "text/html": f"<pre>{escape(text)}</pre>" if text else ""}
