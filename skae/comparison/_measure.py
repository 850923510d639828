"""Figures of one method with one number of codes."""

from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np

from skae._estimators.frames import ColumnSummary
from skae.comparison._results import MethodResult
from skae.metrics._predictor import make_predictor
from skae.metrics._transformer import decode, is_image_shape, to_array

# Share of the variance below which two errors are rounding, and their ratio says nothing.
_ROUNDING = 1e-10


@dataclass(frozen=True, eq=False)
class Task:
    """Rows to fit on and rows held out, with what to predict from the codes, if anything."""

    X_train: Any
    X_test: Any
    y_train: np.ndarray | None
    y_test: np.ndarray | None
    score_name: str | None
    sample_shape: tuple[int, ...] = ()
    reference: str = "PCA"
    """Linear method beside the autoencoder: "PCA", or "FAMD" for frames of several kinds."""
    n_missing: int = 0
    """Number of missing cells that models see."""
    columns: tuple[ColumnSummary, ...] = ()
    """Columns of a frame of several kinds, with those that models are fitted without."""

    @property
    def is_plain(self):
        """Whether rows are complete rows of numbers."""
        return self.reference == "PCA" and not self.n_missing

    @property
    def drop_reasons(self):
        """Reasons for columns that models are fitted without, by name."""
        return {str(own.name): own.reason for own in self.columns if own.reason is not None}

    def shape(self, rows, method):
        """Return rows with the axes that samples had, for any method but PCA."""
        if method == "PCA" or len(self.sample_shape) < 2:
            return rows
        return rows.reshape(-1, *self.sample_shape)

    def measure_error(self, model, codes):
        """Return the mean error per held-out cell of a model, and that of the baseline."""
        if self.reference == "FAMD":
            error = np.nanmean(np.asarray(model.reconstruction_errors(self.X_test), dtype=float))
            return float(error), float(error) / max(1 - model.score(self.X_test), _ROUNDING)
        variance = _mean_square(self.X_test - np.nanmean(self.X_train, axis=0, dtype=np.float64))
        return _mean_square(self.X_test - decode(model, codes)), variance

    def measure_nats(self, model):
        """Return the mean nats of the held-out cells of a data frame, None for other tables."""
        if self.reference != "FAMD":
            return None
        nats = model.reconstruction_errors(self.X_test, unit="nats")
        return float(np.nanmean(np.asarray(nats, dtype=float)))

    def find_image_shape(self):
        """Return (channels, height, width) where samples are images, else None."""
        return self.sample_shape if is_image_shape(self.sample_shape) else None

    def count(self):
        """Return the numbers of rows to fit on, of rows held out, and of columns."""
        n_features = len(self.columns) - len(self.drop_reasons) or self.X_test.shape[1]
        return len(self.X_train), len(self.X_test), n_features


@dataclass(frozen=True, eq=False)
class Evidence:
    """Data and models that the figures of a comparison come from.

    Attributes
    ----------
    task : Task
        The data, standardized if that was asked for.
    models : dict of (int, str) to transformer
        The fitted models by number of codes and method.
    feature_names : list of str
        Names of the columns.
    options : dict
        Options of `compare_with_pca`.
    """

    task: Task
    models: dict
    feature_names: list[str]
    options: dict


def measure(task, model, n_components, method, pca_error):
    """Fit a model and measure it on the held-out rows.

    Parameters
    ----------
    task : Task
        The data.
    model : transformer with ``inverse_transform``
        Model to measure; it is fitted in place.
    n_components : int
        Its number of codes.
    method : str
        Its name.
    pca_error : float or None
        Error per cell to compare with; None compares with the model's own.

    Returns
    -------
    MethodResult
        The figures.
    """
    _, fit_seconds = _time(model.fit, task.shape(task.X_train, method))
    codes, transform_seconds = _time(model.transform, task.shape(task.X_test, method))
    codes = to_array(codes)
    error, variance = task.measure_error(model, codes)
    return MethodResult(
        n_components=n_components,
        method=method,
        squared_error=error,
        error_ratio=_divide_errors(error, error if pca_error is None else pca_error, variance),
        explained_variance=1 - error / variance if variance > 0 else float(error == 0),
        downstream_score=_score_downstream(task, model, method, codes),
        fit_seconds=fit_seconds,
        transform_seconds=transform_seconds,
        nats=task.measure_nats(model),
    )


def _time(function, *arguments):
    start = perf_counter()
    result = function(*arguments)
    return result, perf_counter() - start


def _mean_square(values):
    return float(np.nanmean(np.square(values, dtype=np.float64)))


def _divide_errors(error, other, variance):
    floor = max(_ROUNDING * variance, np.finfo(np.float64).tiny)
    return max(error, floor) / max(other, floor)


def _score_downstream(task, model, method, codes_test):
    if task.score_name is None:
        return None
    predictor = make_predictor(quantities=task.score_name == "R2")
    codes = to_array(model.transform(task.shape(task.X_train, method)))
    predictor.fit(codes, task.y_train)
    return float(predictor.score(codes_test, task.y_test))
