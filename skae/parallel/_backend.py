"""Joblib backend that trains networks of several tasks side by side."""

import contextlib
import threading
from concurrent.futures import Future
from numbers import Integral
from typing import Any

import joblib
from joblib.parallel import LokyBackend, SequentialBackend

from skae._engine.fitting.resumption import KeptStates
from skae._shared.checks import check_count
from skae._shared.memory import find_free_memory
from skae._shared.progress import Progress
from skae.parallel._scheduler import Scheduler
from skae.parallel._workers import Workers

_DEFAULT_N_TASKS = 64
_SHARE_OF_MEMORY = 1 / 2


class SideBySideBackend(LokyBackend):
    """Joblib backend that trains networks of the same shape together in one batch.

    Each task runs in its own thread, in this process or in one of several. Importing `skae`
    registers the backend under the name "skae". The results are identical to those of one fit after
    the other, to the last bit.

    Parameters
    ----------
    resume_until : int, default=None
        Number of epochs of a complete training, for halving searches. If given, a fit with a
        smaller `max_iter` is the beginning of a fit with `resume_until` epochs: learning rates and
        other schedules are planned for `resume_until` epochs. A later fit in the same context with
        the same rows, seed and parameters but a larger `max_iter` continues from where the earlier
        one stopped. Once `max_iter` equals `resume_until`, the result is identical to that of a fit
        without this backend. Fits can continue if `random_state` is an integer, `net_params` is not
        set, and the table has at most 16 million cells; other fits start again, with the same
        results.
    max_models : int, default=None
        Largest number of tasks, such as fits, that run at the same time, each with its table and
        its networks in memory. None is 64. Whatever the number, tasks wait if as many trainings of
        the size of the largest so far would need more than half of the free memory. If joblib's
        `n_jobs` is positive as well, the smaller number holds.
    n_processes : int, default=1
        Number of processes over which the tasks are distributed. With 1, all tasks run in this
        process. Otherwise, they run in joblib's worker processes, which stay ready for the next
        call; -1 is one process per core. Several processes are faster for searches on tables of
        fewer than a few thousand rows, where much of the time is spent outside of the training
        steps. Estimators that cannot be pickled are fitted in this process. Results do not depend
        on the number of processes.
    **backend_kwargs
        Options that joblib passes to backends. With several processes, these are the options of
        the backend "loky".

    Raises
    ------
    ValueError
        If `resume_until` or `max_models` is not a positive integer, `n_processes` is 0 or not an
        integer, or `resume_until` is given and `n_processes` is not 1. Fits of one process cannot
        continue in another.

    Examples
    --------
    >>> import joblib
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.model_selection import GridSearchCV
    >>> from skae import AutoencoderTransformer
    >>> search = GridSearchCV(
    ...     AutoencoderTransformer(2, max_iter=3, random_state=0),
    ...     {"learning_rate_init": [0.001, 0.01, 0.1]},
    ...     cv=2,
    ... )
    >>> with joblib.parallel_config(backend="skae"):
    ...     search = search.fit(load_iris().data)
    >>> len(search.cv_results_["params"])
    3
    """

    supports_retrieve_callback = True
    default_n_jobs = -1
    _workers: Any = None

    def __init__(
        self,
        *,
        resume_until: int | None = None,
        max_models: int | None = None,
        n_processes: int = 1,
        **backend_kwargs,
    ):
        super().__init__(**backend_kwargs)
        _check_n_processes(n_processes, resume_until)
        if max_models is not None:
            check_count("max_models", max_models, "Leave it out for as many as are useful.")
        self.max_models = max_models
        self.n_processes = n_processes
        self.supports_sharedmem = self.uses_threads = n_processes == 1
        self.supports_inner_max_num_threads = n_processes != 1
        self._kept_states = None
        if resume_until is not None:
            remedy = "Use the greatest `max_iter` of the search."
            resume_until = check_count("resume_until", resume_until, remedy)
            most_bytes = int(find_free_memory() * _SHARE_OF_MEMORY / 2)
            self._kept_states = KeptStates(resume_until, most_bytes)

    def effective_n_jobs(self, n_jobs):
        """Return the number of tasks that run at the same time.

        Parameters
        ----------
        n_jobs : int or None
            Number of tasks, not 0. Negative numbers and None are `max_models`, or 64 if that is
            None. It does not influence results, and does not depend on the number of cores.

        Returns
        -------
        n_tasks : int
            Maximum number of tasks that run at the same time.

        Raises
        ------
        ValueError
            If `n_jobs` is 0.
        """
        if n_jobs == 0:
            raise ValueError("`n_jobs` must not be 0. Got 0. Use -1 for as many as are useful.")
        if n_jobs is None or n_jobs < 0:
            return self.max_models or _DEFAULT_N_TASKS
        return min(n_jobs, self.max_models or n_jobs)

    def compute_batch_size(self):
        """Return the number of calls in a task."""
        return 1

    def configure(self, n_jobs=1, parallel=None, **backend_kwargs):
        """Prepare a parallel call, and return the number of tasks that run side by side."""
        self.parallel, self._n_tasks = parallel, self.effective_n_jobs(n_jobs)
        self._options = backend_kwargs
        self._work, self._lock = Progress(0, unit="tasks"), threading.Lock()
        self._work.start()
        self._open()
        return self._n_tasks

    def _open(self):
        most_bytes = int(find_free_memory() * _SHARE_OF_MEMORY)
        self._threads = Scheduler(self._n_tasks, most_bytes, self._kept_states)
        self._elsewhere = None
        n_processes = 1 if self._n_tasks == 1 else super().effective_n_jobs(self.n_processes)
        if n_processes > 1:
            super().configure(n_processes, self.parallel, **self._options)
            self._elsewhere = Workers(
                self._workers.submit,
                n_processes=n_processes,
                n_tasks=self._n_tasks,
                most_bytes=most_bytes,
                n_cores=self.inner_max_num_threads or max(1, joblib.cpu_count() // n_processes),
                here=self._threads,
            )

    def submit(self, func, callback=None) -> Future:
        """Start a task as soon as there is memory for it."""
        self._work.n_all += 1
        future = (self._elsewhere or self._threads).submit(func)
        future.add_done_callback(self._count)
        if callback is not None:
            future.add_done_callback(callback)
        return future

    @contextlib.contextmanager
    def retrieval_context(self):
        """Start the tasks submitted so far; joblib submits no others before one has ended."""
        if self._elsewhere is not None:
            self._elsewhere.flush()
        yield

    def _count(self, _):
        with self._lock:
            self._work.add(1)

    def retrieve_result_callback(self, future):
        """Return the result of a task, or raise its error."""
        return future.result()

    def terminate(self):
        """Release all threads. Processes stay ready for the next call."""
        with self._lock:
            self._work.close()
        self._threads.close()
        super().terminate()

    def abort_everything(self, ensure_ready=True):
        """End all tasks; trainings in this process end after their current epoch."""
        self._threads.cancel()
        if self._elsewhere is not None:
            self._elsewhere.cancel()
            super().abort_everything(ensure_ready=False)
        if ensure_ready:
            self._open()

    def get_nested_backend(self):
        """Run parallel calls inside a task one after the other, in its thread."""
        return SequentialBackend(nesting_level=(self.nesting_level or 0) + 1), None


def _check_n_processes(n_processes: int, resume_until: int | None):
    if not isinstance(n_processes, Integral) or n_processes == 0:
        raise ValueError(
            f"`n_processes` must be an integer other than 0. Got {n_processes!r}. Use -1 for one "
            "process per core."
        )
    if n_processes != 1 and resume_until is not None:
        raise ValueError(
            f"`n_processes` must be 1 if `resume_until` is given. Got {n_processes!r}. Fits of one "
            "process cannot continue in another."
        )
