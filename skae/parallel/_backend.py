"""Joblib backend that trains networks of several tasks side by side."""

import threading
from concurrent.futures import ThreadPoolExecutor
from numbers import Integral

from joblib.parallel import ParallelBackendBase, SequentialBackend

from skae._engine.fitting.resumption import KeptStates
from skae._shared.memory import find_free_memory
from skae._shared.progress import Progress
from skae.parallel._scheduler import Scheduler

_DEFAULT_N_TASKS = 64
_SHARE_OF_MEMORY = 1 / 2


class SideBySideBackend(ParallelBackendBase):
    """Joblib backend that trains networks of the same shape together in one batch.

    Each task runs in its own thread. Importing `skae` registers the backend under the name "skae".
    The results are identical to those of one fit after the other, to the last bit.

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
    **backend_kwargs
        Options that joblib passes to backends.

    Raises
    ------
    ValueError
        If `resume_until` is not a positive integer.

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
    supports_sharedmem = True
    uses_threads = True
    default_n_jobs = -1

    def __init__(self, *, resume_until: int | None = None, **backend_kwargs):
        super().__init__(**backend_kwargs)
        self._kept_states = None
        if resume_until is not None:
            if not isinstance(resume_until, Integral) or resume_until < 1:
                raise ValueError(
                    f"`resume_until` must be a positive integer. Got {resume_until!r}. Use the "
                    "greatest `max_iter` of the search."
                )
            most_bytes = int(find_free_memory() * _SHARE_OF_MEMORY / 2)
            self._kept_states = KeptStates(int(resume_until), most_bytes)

    def effective_n_jobs(self, n_jobs):
        """Return the number of tasks that run at the same time.

        Parameters
        ----------
        n_jobs : int or None
            Number of tasks, not 0. Negative numbers and None are 64. It does not influence results,
            and does not depend on the number of cores. Tasks wait if as many trainings of the size
            of the largest would need more than half of the free memory.

        Returns
        -------
        n_tasks : int
            Maximum number of tasks that run at the same time.
        """
        if n_jobs == 0:
            raise ValueError("`n_jobs` must not be 0. Got 0. Use -1 for as many as are useful.")
        return _DEFAULT_N_TASKS if n_jobs is None or n_jobs < 0 else n_jobs

    def configure(self, n_jobs=1, parallel=None, **backend_kwargs):
        """Prepare a parallel call; return the number of tasks that run side by side."""
        self.parallel, self._n_tasks = parallel, self.effective_n_jobs(n_jobs)
        self._work, self._lock = Progress(0, unit="tasks"), threading.Lock()
        self._work.start()
        self._open()
        return self._n_tasks

    def _open(self):
        most_bytes = int(find_free_memory() * _SHARE_OF_MEMORY)
        self._scheduler = Scheduler(self._n_tasks, most_bytes, self._kept_states)
        self._tasks = ThreadPoolExecutor(self._n_tasks, "skae-task")

    def submit(self, func, callback=None):
        """Start a task as soon as a thread is available."""
        ticket = self._scheduler.expect_task()
        self._work.n_all += 1
        future = self._tasks.submit(self._scheduler.run_task, ticket, func)
        future.add_done_callback(self._count)
        if callback is not None:
            future.add_done_callback(callback)
        return future

    def _count(self, _):
        with self._lock:
            self._work.add(1)

    def retrieve_result_callback(self, future):
        """Return the result of a task, or raise its error."""
        return future.result()

    def terminate(self):
        """Release all threads."""
        with self._lock:
            self._work.close()
        self._tasks.shutdown(wait=False)
        self._scheduler.close()

    def abort_everything(self, ensure_ready=True):
        """End all tasks; trainings end after their current epoch."""
        self._scheduler.cancel()
        self._tasks.shutdown(wait=False, cancel_futures=True)
        self._scheduler.close()
        if ensure_ready:
            self._open()

    def get_nested_backend(self):
        """Run parallel calls inside a task one after the other, in its thread."""
        return SequentialBackend(nesting_level=(self.nesting_level or 0) + 1), None
