"""Joint training of the networks of many threads, in few calls."""

import contextlib
import itertools
import threading
import weakref
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import joblib
import torch

from skae._engine.compute.threads import one_thread
from skae._engine.fitting.resumption import KEPT_STATES, KeptStates
from skae._engine.steps.epoch import TRAINER, Batch, train_alone
from skae._engine.steps.joint import EpochOfOne, JointNetworks, can_join, find_kind, join
from skae._engine.steps.step import Step

# The batches of an epoch are kept in memory until it is trained, so tables must not be large.
_MOST_CELLS = 2**20
# Larger models do not fit into the cache of a core, and are not faster in one call.
_MOST_BYTES = 2**22
# Maximum number of joint networks whose memory is kept for the next epoch.
_MOST_KEPT = 32
# A training needs memory for parameters, gradients, moments, the best and perhaps the initial
# parameters; and for rows, a noisy copy, and the user's table in double precision.
_COPIES_OF_PARAMETERS, _COPIES_OF_ROWS = 6, 6


class TrainingCancelled(BaseException):
    """Raised in cancelled tasks. Not an Exception, so that no handler of errors catches it."""


class Scheduler:
    """Scheduler that trains epochs together which wait at the same time.

    An epoch waits until all running tasks wait. Epochs of one kind are then trained together, a few
    models at a time, on all cores. At most one thread per core computes at a time: each call of
    torch releases Python's lock, and further threads would take turns at every call.

    To limit memory, a task starts only if there is memory for one more task of the largest size so
    far. Until the first size is known, there are at most as many tasks as cores.

    Parameters
    ----------
    n_tasks : int
        Maximum number of tasks that run at the same time.
    most_bytes : int
        Memory for all tasks, in bytes.
    kept_states : KeptStates, default=None
        States of trainings from which later trainings continue.
    n_cores : int, default=None
        Number of cores to use. None is the number of cores of the machine.
    """

    def __init__(
        self,
        n_tasks: int,
        most_bytes: int,
        kept_states: KeptStates | None = None,
        n_cores: int | None = None,
    ):
        self.n_tasks, self.n_cores = n_tasks, n_cores or joblib.cpu_count()
        self.most_bytes, self.kept_states = most_bytes, kept_states
        self.n_admitted = self.n_alone = self.greatest_size = 0
        self.waiting: deque[threading.Event] = deque()
        self.measured: weakref.WeakSet[Step] = weakref.WeakSet()
        self.queue: list[_Request] = []
        self.cancelled = False
        self.lock = threading.Lock()
        self.workers = ThreadPoolExecutor(
            self.n_cores, "skae-training", initializer=torch.get_num_threads
        )
        self.cores = threading.Semaphore(self.n_cores)
        self.kept: dict[Any, list[JointNetworks]] = defaultdict(list)

    def expect_task(self) -> threading.Event:
        """Return a ticket for a task, which is set once there is memory for the task."""
        ticket = threading.Event()
        with self.lock:
            self.waiting.append(ticket)
            self._admit()
        return ticket

    def run_task(self, ticket: threading.Event, task: Callable[[], Any]):
        """Run a task once its ticket is set, and return the result."""
        # torch fixes the number of threads that a new thread uses at the first query.
        torch.get_num_threads()
        ticket.wait()
        token, own_token = TRAINER.set(self), KEPT_STATES.set(self.kept_states)
        try:
            with self.cores:
                self._check_cancelled()
                return task()
        finally:
            TRAINER.reset(token)
            KEPT_STATES.reset(own_token)
            with self.lock:
                self.n_admitted -= 1
                self._admit()
            self._start_if_all_wait()

    def _admit(self):
        """Start waiting tasks for which there is memory."""
        most = self.n_cores
        if self.greatest_size > 0:
            most = max(1, self.most_bytes // self.greatest_size)
        while self.waiting and (self.cancelled or self.n_admitted < min(most, self.n_tasks)):
            self.n_admitted += 1
            self.waiting.popleft().set()

    def _measure(self, step: Step, n_cells: int):
        """Record the memory of a training at its first epoch."""
        if step in self.measured:
            return
        parameters = [own for module in step.modules for own in module.parameters()]
        n_bytes = _COPIES_OF_PARAMETERS * sum(own.nbytes for own in parameters)
        n_bytes += _COPIES_OF_ROWS * n_cells * parameters[0].element_size()
        with self.lock:
            self.measured.add(step)
            self.greatest_size = max(self.greatest_size, n_bytes)
            self._admit()

    def train_epoch(
        self, step: Step, batches: Iterable[Batch], begin_step: Callable[[], None], n_cells: int
    ):
        """Train an epoch, if possible together with epochs of other tasks."""
        self._measure(step, n_cells)
        if self._has_no_company():
            return train_alone(step, batches, begin_step)
        request = None
        if can_join(step) and n_cells <= _MOST_CELLS:
            request = _Request(step, list(batches), begin_step)
            batches = request.epoch.batches
        if request is None or request.kind is None:
            with self.alone():
                return train_alone(step, batches, begin_step)
        return self._wait_for(request)

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Let the epochs of other tasks start without waiting for this task."""
        with self.lock:
            self._check_cancelled()
            self.n_alone += 1
        self._start_if_all_wait()
        try:
            yield
        finally:
            with self.lock:
                self.n_alone -= 1

    def cancel(self):
        """End all tasks at their next epoch."""
        with self.lock:
            self.cancelled, queue, self.queue = True, self.queue, []
            self._admit()
        for request in queue:
            request.done.set()

    def close(self):
        """Release the threads when they are idle."""
        self.workers.shutdown(wait=False)

    def _check_cancelled(self):
        if self.cancelled:
            raise TrainingCancelled

    def _has_no_company(self) -> bool:
        """Return whether there is only one task, which then trains in its own thread."""
        with self.lock:
            self._check_cancelled()
            return self.n_admitted == 1 and not self.waiting

    def _wait_for(self, request: "_Request"):
        with self.lock:
            self._check_cancelled()
            self.queue.append(request)
        self._start_if_all_wait()
        self.cores.release()
        request.done.wait()
        self.cores.acquire()
        self._check_cancelled()
        if request.epoch.error is not None:
            raise request.epoch.error
        return request.epoch.losses

    def _start_if_all_wait(self):
        """Start the waiting epochs if no running task might join them."""
        with self.lock:
            n_running = self.n_admitted - len(self.queue) - self.n_alone
            # Tasks whose epochs are being trained count as running. Otherwise tasks would start at
            # different times and form ever smaller groups.
            if n_running > 0 or not self.queue:
                return
            queue, self.queue = self.queue, []
            # Without the lock, `close` might come first, and the tasks would wait forever.
            for requests in _divide(queue, self.n_cores):
                self.workers.submit(self._train, requests)

    def _train(self, requests: Sequence["_Request"]):
        """Train epochs of one kind, and resume their tasks."""
        try:
            with self.cores, one_thread():
                self._train_together([request.epoch for request in requests], requests[0].kind)
        except BaseException as error:
            for request in requests:
                request.epoch.error = request.epoch.error or error
        for request in requests:
            request.done.set()

    def _train_together(self, epochs: Sequence[EpochOfOne], kind):
        if len(epochs) == 1:
            (own,) = epochs
            own.losses = train_alone(own.step, own.batches, own.begin_step)
            return
        key = kind, sum(epoch.n_models for epoch in epochs)
        networks = self._take_networks(key) or join(epochs)
        networks.train(epochs)
        self._keep_networks(key, networks)

    def _take_networks(self, key) -> JointNetworks | None:
        with self.lock:
            return self.kept[key].pop() if self.kept.get(key) else None

    def _keep_networks(self, key, networks: JointNetworks):
        with self.lock:
            if sum(map(len, self.kept.values())) >= _MOST_KEPT:
                self.kept.clear()
            self.kept[key].append(networks)


class _Request:
    """Epoch that a thread waits for."""

    def __init__(self, step, batches: list[Batch], begin_step: Callable[[], None]):
        self.epoch = EpochOfOne(step, batches, begin_step)
        self.kind, self.done = find_kind(self.epoch), threading.Event()


def _divide(requests: Sequence[_Request], n_cores: int) -> list[list[_Request]]:
    """Return groups of one kind, which fit into caches and are enough for all cores."""
    kinds: dict[Any, list[_Request]] = defaultdict(list)
    for request in requests:
        kinds[request.kind].append(request)
    groups = []
    for alike in kinds.values():
        n_bytes = sum(request.epoch.n_bytes for request in alike)
        n_groups = -(-n_bytes // _MOST_BYTES)
        if len(kinds) < n_cores:
            n_groups = max(n_groups, n_cores)
        n_groups = min(n_groups, len(alike))
        # Models with equal learning rates are updated in one call.
        alike.sort(key=lambda request: request.epoch.rate)
        ends = [len(alike) * group // n_groups for group in range(n_groups + 1)]
        groups += [alike[first:end] for first, end in itertools.pairwise(ends)]
    return groups
