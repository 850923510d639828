"""Tasks side by side in the threads of one process."""

import traceback
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from skae._engine.fitting.resumption import KeptStates
from skae.parallel._scheduler import Scheduler

# Result of a task, and its error; one of them is None.
Outcome = tuple[Any, BaseException | None]


class Threads:
    """Threads of this process whose networks are trained together; parameters as of `Scheduler`."""

    def __init__(
        self,
        n_tasks: int,
        most_bytes: int,
        kept_states: KeptStates | None = None,
        n_cores: int | None = None,
    ):
        self._scheduler = Scheduler(n_tasks, most_bytes, kept_states, n_cores)
        self._pool = ThreadPoolExecutor(n_tasks, "skae-task")

    def submit(self, task: Callable[[], Any]) -> Future:
        """Start a task as soon as there is a thread and memory for it."""
        ticket = self._scheduler.expect_task()
        return self._pool.submit(self._scheduler.run_task, ticket, task)

    def close(self):
        """Release all threads when they are idle."""
        self._pool.shutdown(wait=False)
        self._scheduler.close()

    def cancel(self):
        """End all tasks; trainings end after their current epoch."""
        self._scheduler.cancel()
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._scheduler.close()


def run_together(
    tasks: Sequence[Callable[[], Any]], most_bytes: int, n_cores: int, filters: Sequence[Any]
) -> list[Outcome]:
    """Return the outcomes of tasks that run side by side in a worker process.

    `filters` are those of warnings in the main process. Tasks that set filters for themselves
    cannot be trusted to reset them in order, as all threads of a process share its filters.
    """
    threads = Threads(len(tasks), most_bytes, n_cores=n_cores)
    try:
        with warnings.catch_warnings():
            warnings.filters = [*filters]
            return [_await(future) for future in [threads.submit(task) for task in tasks]]
    finally:
        threads.cancel()


def _await(future: Future) -> Outcome:
    error = future.exception()
    if error is None:
        return future.result(), None
    # A pickled error has no traceback.
    error.add_note("".join(["In a worker process:\n", *traceback.format_exception(error)]))
    return None, error
