"""Distribution of tasks over worker processes, each of which runs several side by side."""

import functools
import threading
import traceback
import warnings
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pickle import PicklingError
from typing import Any

from skae.parallel._scheduler import Scheduler

# Result of a task, and its error; one of them is None.
_Outcome = tuple[Any, BaseException | None]
_Pending = tuple[Callable[[], Any], Future]


class Workers:
    """Queue of tasks, from which idle processes take chunks.

    Chunks become smaller towards the end, so that all processes end at about the same time. At most
    `n_tasks` run at the same time, in all processes together, and have `most_bytes` of memory. Each
    process uses `n_cores`. `submit` sends a function and its arguments to a process, and returns a
    future. Tasks that cannot be pickled run in `here`, threads of this process.
    """

    def __init__(
        self,
        submit: Callable[..., Future],
        *,
        n_processes: int,
        n_tasks: int,
        most_bytes: int,
        n_cores: int,
        here: Scheduler,
    ):
        self.n_processes, self.n_idle, self.here = n_processes, n_processes, here
        self.most_in_chunk = -(-n_tasks // n_processes)
        self.pending: deque[_Pending] = deque()
        self.lock, self.submit_chunk = threading.Lock(), submit
        self.settings = {"most_bytes": most_bytes // n_processes, "n_cores": n_cores}

    def submit(self, task: Callable[[], Any]) -> Future:
        """Add a task to the queue, where it waits for a full chunk or for `flush`."""
        future: Future = Future()
        with self.lock:
            self.pending.append((task, future))
            is_full = len(self.pending) >= self.most_in_chunk * self.n_processes
        if is_full:
            self.flush()
        return future

    def flush(self):
        """Send tasks in the queue to idle processes."""
        for chunk in self._take_chunks():
            tasks = [task for task, _ in chunk]
            try:
                sent = self.submit_chunk(
                    run_together, tasks, filters=[*warnings.filters], **self.settings
                )
            except Exception as error:
                # The processes have ended in the meantime.
                _finish(chunk, [(None, error)] * len(chunk))
                continue
            sent.add_done_callback(functools.partial(self._receive, chunk))

    def cancel(self):
        """Remove all tasks from the queue."""
        with self.lock:
            self.pending.clear()

    def _take_chunks(self) -> list[list[_Pending]]:
        with self.lock:
            size = min(self.most_in_chunk, -(-len(self.pending) // self.n_processes))
            n_chunks = min(self.n_idle, len(self.pending))
            n_tasks = min(n_chunks * size, len(self.pending))
            self.n_idle -= n_chunks
            tasks = [self.pending.popleft() for _ in range(n_tasks)]
        # Dealt in turn, as neighbouring tasks, such as folds of a candidate, take equally long.
        return [tasks[first::n_chunks] for first in range(n_chunks)]

    def _receive(self, chunk: Sequence[_Pending], sent: Future):
        """Set the results of a chunk, and then send the next chunk.

        Each result may add a task to the queue, so the next chunk is taken after the last result.
        """
        try:
            _finish(chunk, sent.result())
        except PicklingError:
            for task, future in chunk:
                self.here.submit(task).add_done_callback(functools.partial(_copy, future))
        except BaseException as error:
            _finish(chunk, [(None, error)] * len(chunk))
        with self.lock:
            self.n_idle += 1
        self.flush()


def _finish(chunk: Sequence[_Pending], outcomes: Sequence[_Outcome]):
    for (_, future), (result, error) in zip(chunk, outcomes, strict=True):
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)


def _copy(future: Future, done: Future):
    error = done.exception()
    if error is None:
        future.set_result(done.result())
    else:
        future.set_exception(error)


def run_together(
    tasks: Sequence[Callable[[], Any]], most_bytes: int, n_cores: int, filters: Sequence[Any]
) -> list[_Outcome]:
    """Return the outcomes of tasks that run side by side in a worker process.

    `filters` are those of warnings in the main process. Tasks that set filters for themselves
    cannot be trusted to reset them in order, as all threads of a process share its filters.
    """
    scheduler = Scheduler(len(tasks), most_bytes, n_cores=n_cores)
    try:
        with warnings.catch_warnings():
            warnings.filters = [*filters]
            return [_await(future) for future in [scheduler.submit(task) for task in tasks]]
    finally:
        scheduler.cancel()


def _await(future: Future) -> _Outcome:
    error = future.exception()
    if error is None:
        return future.result(), None
    # A pickled error has no traceback.
    error.add_note("".join(["In a worker process:\n", *traceback.format_exception(error)]))
    return None, error
