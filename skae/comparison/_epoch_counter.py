"""A count of epochs that a terminal shows while a fit trains."""

import sys
from contextlib import contextmanager
from time import monotonic

# Seconds between two counts that are written.
_INTERVAL = 0.1


class EpochCounter:
    """Callback of scikit-learn that writes how many epochs have passed, and takes it back.

    Parameters
    ----------
    stream : text stream
        A terminal.
    """

    def __init__(self, stream) -> None:
        self.stream = stream
        self._shown, self._next = "", -float("inf")

    def setup(self, estimator, context) -> None:
        """Do nothing; scikit-learn wants to call it."""

    def on_fit_task_begin(self, estimator, context) -> None:
        """Do nothing; scikit-learn wants to call it."""

    def on_fit_task_end(self, estimator, context) -> None:
        """Write the number of an epoch that ends."""
        if context.task_name == "epoch" and monotonic() >= self._next:
            self._replace(f" epoch {context.task_id + 1} of {context.parent.max_subtasks}")
            self._next = monotonic() + _INTERVAL

    def teardown(self, estimator, context) -> None:
        """Leave the line as it was."""
        self._replace("")

    def _replace(self, text):
        back, blank = "\b" * len(self._shown), " " * (len(self._shown) - len(text))
        self.stream.write(f"{back}{text}{blank}{chr(8) * len(blank)}")
        self.stream.flush()
        self._shown = text


@contextmanager
def epochs_counted(estimator, wanted):
    """Count the epochs of fits of the estimator, where a terminal shows that.

    Parameters
    ----------
    estimator : estimator
        Estimator to be fitted.
    wanted : bool
        Whether to count at all.
    """
    countable = wanted and sys.stdout.isatty() and hasattr(estimator, "set_callbacks")
    if not countable or getattr(estimator, "_skl_callbacks", None):
        # Callbacks of the user's own stay as they are.
        yield
        return
    estimator.set_callbacks(EpochCounter(sys.stdout))
    try:
        yield
    finally:
        estimator.set_callbacks()
