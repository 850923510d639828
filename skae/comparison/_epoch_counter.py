"""Count of epochs in a terminal during a fit."""

import sys
from contextlib import contextmanager
from time import monotonic

# Least number of seconds between two updates.
_INTERVAL = 0.1


class EpochCounter:
    """Callback of scikit-learn that shows the number of epochs during a fit, and erases it after.

    `stream` is the terminal to write to.
    """

    def __init__(self, stream) -> None:
        self.stream = stream
        self._shown, self._next = "", -float("inf")

    def setup(self, estimator, context) -> None:
        """Do nothing; part of scikit-learn's protocol for callbacks."""

    def on_fit_task_begin(self, estimator, context) -> None:
        """Do nothing; part of scikit-learn's protocol for callbacks."""

    def on_fit_task_end(self, estimator, context) -> None:
        """Show the number of the epoch that has ended."""
        if context.task_name == "epoch" and monotonic() >= self._next:
            self._replace(f" epoch {context.task_id + 1} of {context.parent.max_subtasks}")
            self._next = monotonic() + _INTERVAL

    def teardown(self, estimator, context) -> None:
        """Erase the count."""
        self._replace("")

    def _replace(self, text):
        back, blank = "\b" * len(self._shown), " " * (len(self._shown) - len(text))
        self.stream.write(f"{back}{text}{blank}{chr(8) * len(blank)}")
        self.stream.flush()
        self._shown = text


@contextmanager
def epochs_counted(estimator, wanted):
    """Show the epochs of the estimator's fits if `wanted` and standard output is a terminal."""
    is_seen = sys.stdout is not None and sys.stdout.isatty()
    countable = wanted and is_seen and hasattr(estimator, "set_callbacks")
    if not countable or getattr(estimator, "_skl_callbacks", None):
        # Callbacks that the user has set stay as they are.
        yield
        return
    estimator.set_callbacks(EpochCounter(sys.stdout))
    try:
        yield
    finally:
        estimator.set_callbacks()
