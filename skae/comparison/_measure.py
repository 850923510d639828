"""Error, score and time of one method with one number of codes."""

from time import perf_counter

import numpy as np

from skae.comparison._results import MethodResult
from skae.comparison._task import ROUNDING
from skae.metrics._predictor import make_predictor
from skae.metrics._transformer import to_array


def measure(task, model, n_components, method, pca_error):
    """Fit a model in place and measure it on the held-out rows of the task.

    `pca_error` is the error per cell of PCA with as many codes, or None if the model is PCA.
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


def _divide_errors(error, other, variance):
    floor = max(ROUNDING * variance, np.finfo(np.float64).tiny)
    return max(error, floor) / max(other, floor)


def _score_downstream(task, model, method, codes_test):
    if task.score_name is None:
        return None
    predictor = make_predictor(quantities=task.score_name == "R2")
    codes = to_array(model.transform(task.shape(task.X_train, method)))
    predictor.fit(codes, task.y_train)
    return float(predictor.score(codes_test, task.y_test))
