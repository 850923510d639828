"""How well the target is predicted from the codes of both methods, with intervals."""

from dataclasses import dataclass

import numpy as np
from sklearn.metrics import accuracy_score, r2_score

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
    """Scores of the same model on the codes of both methods, and their difference."""

    autoencoder: Interval
    pca: Interval
    difference: Interval


def measure_scores(comparison, n_codes):
    """Find how sure the scores of the target are.

    By the splits where there are several, else by a bootstrap of the held-out rows.

    Parameters
    ----------
    comparison : PCAComparison
        The figures, and the data and models that they come from.
    n_codes : int
        Number of codes.

    Returns
    -------
    scores : ScoreIntervals
        Scores and 95 % intervals: of the mean over splits, or for other rows like those held out,
        with the models as they are.
    """
    if comparison.repeats:
        return _measure_splits(comparison, n_codes)
    task, models = comparison.evidence.task, comparison.evidence.models
    methods = "autoencoder", comparison.reference
    guesses = {name: _predict(task, models[n_codes, name], name) for name in methods}
    score = r2_score if task.score_name == "R2" else accuracy_score
    y, rng = task.y_test, np.random.default_rng(0)
    draws = [np.arange(len(y)), *(rng.integers(len(y), size=len(y)) for _ in range(_N_DRAWS))]
    scores = {
        name: np.array([score(y[rows], values[rows]) for rows in draws])
        for name, values in guesses.items()
    }
    scores["difference"] = scores["autoencoder"] - scores[comparison.reference]
    autoencoder, pca, difference = map(_summarize, scores.values())
    return ScoreIntervals(autoencoder, pca, difference)


def _measure_splits(comparison, n_codes):
    sizes = comparison.n_train, comparison.n_test
    autoencoder, pca = (
        list_splits(comparison, method, n_codes, "downstream_score")
        for method in ("autoencoder", comparison.reference)
    )
    values = autoencoder, pca, autoencoder - pca
    return ScoreIntervals(*(Interval(*find_interval(own, *sizes)) for own in values))


def _predict(task, model, method):
    codes = to_array(encode(model, task.shape(task.X_train, method)))
    predictor = make_predictor(quantities=task.score_name == "R2").fit(codes, task.y_train)
    return predictor.predict(to_array(encode(model, task.shape(task.X_test, method))))


def _summarize(scores):
    low, high = np.nanquantile(scores[1:], _QUANTILES)
    return Interval(float(scores[0]), float(low), float(high))
