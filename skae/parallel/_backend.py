"""The joblib backend whose tasks train their networks side by side."""

from concurrent.futures import ThreadPoolExecutor

from joblib.parallel import ParallelBackendBase, SequentialBackend

from skae.parallel._scheduler import Scheduler

_DEFAULT_N_TASKS = 64


class SideBySideBackend(ParallelBackendBase):
    """Runs each task in a thread of its own, and trains networks of one shape in one batch.

    Importing `skae` makes it known to joblib under the name "skae". The results are those of fits
    one after the other, to the last bit.

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

    def effective_n_jobs(self, n_jobs):
        """Return the number of tasks that run side by side.

        Parameters
        ----------
        n_jobs : int or None
            This number, not 0; 64 where negative or None. It has no influence on results, and does
            not depend on the number of cores.

        Returns
        -------
        n_tasks : int
            Greatest number of tasks at the same time.
        """
        if n_jobs == 0:
            raise ValueError("`n_jobs` must not be 0. Got 0. Use -1 for as many as are useful.")
        return _DEFAULT_N_TASKS if n_jobs is None or n_jobs < 0 else n_jobs

    def configure(self, n_jobs=1, parallel=None, **backend_kwargs):
        """Prepare a parallel call; return the number of tasks that run side by side."""
        self.parallel, self._n_tasks = parallel, self.effective_n_jobs(n_jobs)
        self._open()
        return self._n_tasks

    def _open(self):
        self._scheduler = Scheduler(self._n_tasks)
        self._tasks = ThreadPoolExecutor(self._n_tasks, "skae-task")

    def submit(self, func, callback=None):
        """Start a task, as soon as there is a thread for it."""
        self._scheduler.expect_task()
        future = self._tasks.submit(self._scheduler.run_task, func)
        if callback is not None:
            future.add_done_callback(callback)
        return future

    def retrieve_result_callback(self, future):
        """Return the result of a task, or raise its error."""
        return future.result()

    def terminate(self):
        """Let go of all threads."""
        self._tasks.shutdown(wait=False)
        self._scheduler.close()

    def abort_everything(self, ensure_ready=True):
        """End all tasks: those that train end with their epoch."""
        self._scheduler.cancel()
        self._tasks.shutdown(wait=False, cancel_futures=True)
        self._scheduler.close()
        if ensure_ready:
            self._open()

    def get_nested_backend(self):
        """Run parallel calls of a task one after the other, in its thread."""
        return SequentialBackend(nesting_level=(self.nesting_level or 0) + 1), None
