"""Scores of predictions of the target from the codes of both methods, with intervals."""

from dataclasses import dataclass

import numpy as np

from skae.comparison._repeats import find_interval, list_splits
from skae.metrics._predictor import make_predictor
from skae.metrics._transformer import encode, to_array

_N_DRAWS = 1000
_QUANTILES = (0.025, 0.975)


@dataclass(frozen=True)
class Interval:
    """A figure and its 95 % interval."""

    value: float
    low: float
    high: float

    def __str__(self):
        """Return the figure with its interval in brackets."""
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"


@dataclass(frozen=True)
class ScoreIntervals:
    """Scores of a predictor on the codes of both methods, and their difference."""

    autoencoder: Interval
    pca: Interval
    difference: Interval


def measure_scores(comparison, n_codes):
    """Return the scores of both methods with 95 % intervals.

    They are mean scores over the splits if there are several. With a single split, intervals are
    for other held-out rows of the same distribution and the same models, from a bootstrap.
    """
    if comparison.repeats:
        return _measure_splits(comparison, n_codes)
    task, models = comparison.evidence.task, comparison.evidence.models
    methods = "autoencoder", comparison.reference
    predictions = {name: _predict(task, models[n_codes, name], name) for name in methods}
    score = measure_r2 if task.score_name == "R2" else measure_accuracy
    y, rng = np.asarray(task.y_test), np.random.default_rng(0)
    draws = [np.arange(len(y)), *(rng.integers(len(y), size=len(y)) for _ in range(_N_DRAWS))]
    scores = {
        name: np.array([score(y[rows], values[rows]) for rows in draws])
        for name, values in predictions.items()
    }
    scores["difference"] = scores["autoencoder"] - scores[comparison.reference]
    autoencoder, pca, difference = map(_summarize, scores.values())
    return ScoreIntervals(autoencoder, pca, difference)


# Scores as in scikit-learn, whose checks of each of a thousand draws take longer than all else.
def measure_accuracy(y, values):
    return np.mean(y == values)


def measure_r2(y, values):
    if len(y) < 2:
        return np.nan
    error, spread = np.square(y - values).sum(), np.square(y - y.mean()).sum()
    return 1 - error / spread if spread else float(error == 0)


def _measure_splits(comparison, n_codes):
    test_share = comparison.n_test / comparison.n_train
    autoencoder, pca = (
        list_splits(comparison, method, n_codes, "downstream_score")
        for method in ("autoencoder", comparison.reference)
    )
    return ScoreIntervals(
        *(
            Interval(float(scores.mean()), *find_interval(scores, test_share))
            for scores in (autoencoder, pca, autoencoder - pca)
        )
    )


def _predict(task, model, method):
    codes = to_array(encode(model, task.shape(task.X_train, method)))
    predictor = make_predictor(quantities=task.score_name == "R2").fit(codes, task.y_train)
    return predictor.predict(to_array(encode(model, task.shape(task.X_test, method))))


def _summarize(scores):
    low, high = np.nanquantile(scores[1:], _QUANTILES)
    return Interval(float(scores[0]), float(low), float(high))
