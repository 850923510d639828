"""Joint training of the networks of many threads, in few calls."""

import contextlib
import itertools
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

import joblib
import torch

from skae._engine.compute.threads import one_thread
from skae._engine.fitting.resumption import KEPT_STATES, KeptStates
from skae._engine.steps.epoch import TRAINER, Epochs, Training
from skae._engine.steps.joint import JointNetworks, can_join, join
from skae._engine.steps.joint_kinds import count_bytes, count_joint_bytes, find_kind
from skae._engine.steps.step import Step
from skae._engine.tables.epochs_ahead import SHARED_EPOCHS, SharedEpochs

# The batches of an epoch are kept in memory until it is trained, so tables must not be large.
_MOST_CELLS = 2**20
# Larger models do not fit into the cache of a core, and are not faster in one call.
_MOST_BYTES = 2**22
# Memory for prepared epochs that tasks with equal tables and seeds have in common.
_MOST_SHARED_BYTES = 2**26
# Joint memory that is kept for other trainings.
_MOST_KEPT_BYTES = 2**27
# A training needs memory for parameters, gradients, moments, the best and perhaps the initial
# parameters; and for rows, a noisy copy, and the user's table in double precision.
_COPIES_OF_PARAMETERS, _COPIES_OF_ROWS = 6, 6


class TrainingCancelled(BaseException):
    """Raised in cancelled tasks. Not an Exception, so that no handler of errors catches it."""


class Scheduler:
    """Tasks in threads of this process, whose trainings run together if they wait at the same time.

    A training waits until all running tasks wait or train, and a core is free. Trainings of one
    kind then run together, a few models at a time, and each task resumes when its training ends. At
    most one thread per core computes at a time: each call of torch releases Python's lock, and
    further threads would take turns at every call.

    To limit memory to `most_bytes`, a task starts only if there is memory for one more task of the
    largest size so far. Until the first size is known, there are at most as many tasks as cores.
    Later trainings continue from `kept_states`.
    """

    def __init__(
        self,
        n_tasks: int,
        most_bytes: int,
        kept_states: KeptStates | None = None,
        n_cores: int | None = None,
    ):
        self.n_tasks, self.n_cores = n_tasks, n_cores or joblib.cpu_count()
        shared, self.most_kept = (
            min(most, most_bytes // 8) for most in (_MOST_SHARED_BYTES, _MOST_KEPT_BYTES)
        )
        self.most_bytes, self.kept_states = most_bytes - shared - self.most_kept, kept_states
        self.shared_epochs = SharedEpochs(shared)
        self.n_admitted = self.n_alone = self.greatest_size = 0
        self.n_training = self.n_groups = 0
        self.waiting: deque[threading.Event] = deque()
        self.queue: list[_Request] = []
        self.cancelled = False
        self.lock = threading.Lock()
        self.tasks = ThreadPoolExecutor(n_tasks, "skae-task")
        self.workers = ThreadPoolExecutor(
            self.n_cores, "skae-training", initializer=torch.get_num_threads
        )
        self.cores = threading.Semaphore(self.n_cores)
        self.kept: dict[Any, list[JointNetworks]] = defaultdict(list)

    def submit(self, task: Callable[[], Any]) -> Future:
        """Start a task as soon as there is a thread and memory for it."""
        ticket = threading.Event()
        with self.lock:
            self.waiting.append(ticket)
            self._admit()
        return self.tasks.submit(self._run_task, ticket, task)

    def _run_task(self, ticket: threading.Event, task: Callable[[], Any]):
        """Run a task once its ticket is set, and return the result."""
        # torch fixes the number of threads that a new thread uses at the first query.
        torch.get_num_threads()
        ticket.wait()
        context = copy_context()
        context.run(TRAINER.set, self)
        context.run(KEPT_STATES.set, self.kept_states)
        context.run(SHARED_EPOCHS.set, self.shared_epochs)
        try:
            with self.cores:
                self._check_cancelled()
                return context.run(task)
        finally:
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

    def _measure(self, step: Step, n_cells: int, n_joint_bytes: int):
        """Record the memory of a training, including joint memory of `n_joint_bytes`."""
        parameters = [own for module in step.modules for own in module.parameters()]
        n_bytes = _COPIES_OF_PARAMETERS * sum(own.nbytes for own in parameters)
        n_bytes += _COPIES_OF_ROWS * n_cells * parameters[0].element_size() + n_joint_bytes
        with self.lock:
            self.greatest_size = max(self.greatest_size, n_bytes)
            self._admit()

    def run(self, step: Step, epochs: Epochs, n_cells: int):
        """Train all epochs, if possible together with other tasks."""
        training, kind = Training(step, epochs), None
        if can_join(step) and n_cells <= _MOST_CELLS and not self._has_no_company():
            training.advance()
            training.list_batches()
            kind = None if training.epoch is None else find_kind(training)
        self._measure(step, n_cells, 0 if kind is None else count_joint_bytes(training))
        if kind is None:
            with self._alone():
                training.run(self._check_cancelled)
        else:
            self._wait_for(_Request(training, kind))
        if training.error is not None:
            raise training.error

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Let the trainings of other tasks start without waiting for this task."""
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
        """End all tasks; trainings end after their current epoch."""
        with self.lock:
            self.cancelled, queue, self.queue = True, self.queue, []
            self._admit()
        for request in queue:
            request.done.set()
        self.tasks.shutdown(wait=False, cancel_futures=True)
        self.workers.shutdown(wait=False)

    def close(self):
        """Release all threads when they are idle."""
        self.tasks.shutdown(wait=False)
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

    def _start_if_all_wait(self):
        """Start the waiting trainings if a core is free and no running task might join them."""
        with self.lock:
            n_running = self.n_admitted - len(self.queue) - self.n_alone - self.n_training
            n_free = self.n_cores - self.n_groups
            # Otherwise tasks would start at different times and form ever smaller groups.
            if n_running > 0 or n_free <= 0 or not self.queue:
                return
            queue, self.queue = self.queue, []
            groups = _divide(queue, n_free)
            self.n_training += len(queue)
            self.n_groups += len(groups)
            # Without the lock, `close` might come first, and the tasks would wait forever.
            for requests in groups:
                self.workers.submit(self._train, requests)

    def _train(self, requests: Sequence["_Request"]):
        """Run trainings of one kind, and resume each task when its training has ended."""
        try:
            with self.cores, one_thread():
                while requests:
                    requests = self._train_until_one_ends(requests)
        except BaseException as error:
            for request in requests:
                request.training.fail(error)
            self._resume_ended(requests)
        with self.lock:
            self.n_groups -= 1
        self._start_if_all_wait()

    def _train_until_one_ends(self, requests: Sequence["_Request"]) -> Sequence["_Request"]:
        """Return the trainings that are left."""
        trainings = [request.training for request in requests]
        if len(trainings) == 1:
            trainings[0].run(self._check_cancelled)
        else:
            key = requests[0].kind, sum(len(own.step.modules) for own in trainings)
            networks = self._take_networks(key) or join(trainings)
            networks.train(trainings, self._check_cancelled)
            self._keep_networks(key, networks)
        return self._resume_ended(requests)

    def _resume_ended(self, requests: Sequence["_Request"]) -> Sequence["_Request"]:
        """Resume tasks whose trainings have ended, and return the others."""
        for request in requests:
            if request.training.epoch is None:
                with self.lock:
                    self.n_training -= 1
                request.done.set()
        return [request for request in requests if request.training.epoch is not None]

    def _take_networks(self, key) -> JointNetworks | None:
        with self.lock:
            return self.kept[key].pop() if self.kept.get(key) else None

    def _keep_networks(self, key, networks: JointNetworks):
        with self.lock:
            n_kept = sum(own.n_bytes for alike in self.kept.values() for own in alike)
            if n_kept + networks.n_bytes > self.most_kept:
                self.kept.clear()
            if networks.n_bytes <= self.most_kept:
                self.kept[key].append(networks)


class _Request:
    """Training that a thread waits for."""

    def __init__(self, training: Training, kind: Any):
        self.training, self.kind, self.done = training, kind, threading.Event()
        self.step: Any = training.step


def _divide(requests: Sequence[_Request], n_cores: int) -> list[list[_Request]]:
    """Return groups of one kind, which fit into caches and are enough for all cores."""
    kinds: dict[Any, list[_Request]] = defaultdict(list)
    for request in requests:
        kinds[request.kind].append(request)
    groups = []
    for alike in kinds.values():
        n_bytes = sum(count_bytes(request.step) for request in alike)
        n_groups = -(-n_bytes // _MOST_BYTES)
        if len(kinds) < n_cores:
            n_groups = max(n_groups, n_cores)
        n_groups = min(n_groups, len(alike))
        # Models with equal learning rates are updated in one call.
        alike.sort(key=lambda request: request.step.groups[0][0]["lr"])
        ends = [len(alike) * group // n_groups for group in range(n_groups + 1)]
        groups += [alike[first:end] for first, end in itertools.pairwise(ends)]
    return groups
