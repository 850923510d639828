"""Densities of codes, for drawing new codes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from sklearn.utils import check_consistent_length, column_or_1d
from sklearn.utils.multiclass import check_classification_targets

from skae._shared.labels import find_labelled, unmask

if TYPE_CHECKING:
    from sklearn.mixture import GaussianMixture

_COMPONENTS_OF_A_CLASS = 5
# With fewer rows per component, covariances would overfit.
_ROWS_PER_COMPONENT = 50
# Enough to converge in all cases that were tried.
_MAX_ITER = 1000
# Added to the variances, relative to the mean variance of the codes.
_LEAST_SHARE_OF_VARIANCE = 1e-4


def fit_mixture(codes: np.ndarray, n_components: int, random_state) -> GaussianMixture:
    """Fit a mixture of at most `n_components` normal distributions to codes, one code per column.

    There are fewer if there would be fewer than fifty rows for each, or fewer distinct rows than
    distributions.
    """
    # Imported here because it loads a large part of scikit-learn.
    from sklearn.mixture import GaussianMixture

    codes = codes.astype(np.float64)
    floor = max(_LEAST_SHARE_OF_VARIANCE * codes.var(axis=0).mean(), np.finfo(np.float64).tiny)
    n_distinct = len(np.unique(np.rint((codes - codes.mean(axis=0)) / np.sqrt(floor)), axis=0))
    n_components = max(1, min(n_components, len(codes) // _ROWS_PER_COMPONENT, n_distinct))
    mixture = GaussianMixture(
        n_components, reg_covar=floor, max_iter=_MAX_ITER, random_state=random_state
    )
    return mixture.fit(codes)


def draw_from_mixture(
    mixture: GaussianMixture | Mixture, n_samples: int, random_state
) -> np.ndarray:
    """Return draws from a fitted mixture, one per row, in random order."""
    components = random_state.choice(len(mixture.weights_), size=n_samples, p=mixture.weights_)
    draws = random_state.standard_normal((n_samples, mixture.means_.shape[1]))
    for component in range(len(mixture.weights_)):
        chosen = components == component
        factor = np.linalg.cholesky(mixture.covariances_[component])
        draws[chosen] = mixture.means_[component] + draws[chosen] @ factor.T
    return draws


class MixturePrior:
    """Mixture of normal distributions, as a prior of codes.

    Parameters
    ----------
    means : array-like of shape (n_mixture_components, n_codes)
        Their means.
    deviation : float, default=1.0
        Standard deviation of each, in all directions; greater than 0.
    weights : array-like of shape (n_mixture_components,), default=None
        Weights of the distributions, which sum to 1. None gives equal weights.

    Examples
    --------
    >>> import numpy as np
    >>> from skae.generate import MixturePrior
    >>> prior = MixturePrior([[3.0, 0.0], [-3.0, 0.0]], deviation=0.5)
    >>> prior(5, np.random.RandomState(0)).shape
    (5, 2)
    """

    def __init__(self, means, deviation=1.0, weights=None):
        self.means, self.deviation, self.weights = np.asarray(means, float), deviation, weights

    def __call__(self, n_draws, random_state):
        """Return draws.

        Parameters
        ----------
        n_draws : int
            Number of draws.
        random_state : RandomState instance
            Source of the draws.

        Returns
        -------
        codes : ndarray of shape (n_draws, n_codes)
            The draws.
        """
        chosen = random_state.choice(len(self.means), size=n_draws, p=self.weights)
        return random_state.normal(self.means[chosen], self.deviation)

    def __repr__(self):
        return (
            f"MixturePrior({self.means.tolist()}, deviation={self.deviation}, "
            f"weights={self.weights})"
        )


@dataclass(frozen=True)
class Mixture:
    """Parameters of a fitted mixture of normal distributions, with scikit-learn's names."""

    weights_: np.ndarray
    means_: np.ndarray
    covariances_: np.ndarray


@dataclass(frozen=True)
class ClassDensities:
    """A density of codes for each class."""

    classes: np.ndarray
    """Their labels, sorted."""

    mixtures: list[Mixture]

    def draw(self, label, n_samples: int, random_state) -> np.ndarray:
        """Return codes of a class, of shape (n_samples, n_codes). An unknown class is refused."""
        found = np.flatnonzero(np.size(label) == 1 and self.classes == label)
        if len(found) != 1:
            raise ValueError(
                f"`y` must be one of the classes seen in fit, {self.classes.tolist()}. "
                f"Got {label!r}. For several classes call `sample` for each."
            )
        return draw_from_mixture(self.mixtures[found[0]], n_samples, random_state)


def fit_classes(codes: np.ndarray, labels: np.ndarray, random_state) -> ClassDensities:
    """Fit a density to the codes of each class; `labels` has one class per row."""
    classes = np.unique(labels)
    mixtures = [
        fit_mixture(codes[labels == label], _COMPONENTS_OF_A_CLASS, random_state)
        for label in classes
    ]
    kept = [Mixture(own.weights_, own.means_, own.covariances_) for own in mixtures]
    return ClassDensities(classes, kept)


def draw_between(law, centers: np.ndarray, scale: float | np.ndarray, limits, source) -> np.ndarray:
    """Return draws around `centers` from a symmetric distribution truncated to `limits`.

    `law` is the standard form of the distribution (of scipy.stats), and `scale` its unit, for all
    columns or each of them. The lower and upper limits may be infinite. NaN in `centers` stays NaN.
    """
    low, high = limits
    below, above = law.cdf((low - centers) / scale), law.cdf((high - centers) / scale)
    share = below + (above - below) * source.random_sample(centers.shape)
    draws = centers + scale * law.ppf(share)
    return np.clip(draws, low, high).astype(centers.dtype)


def read_labels(X, y, name: str) -> np.ndarray:
    """Return the labels of rows, and raise an error if some are missing or their number differs."""
    if y is None:
        raise ValueError(
            f"This {name} requires y to be passed, but the target y is None. "
            "Pass class labels, or set conditional=False."
        )
    labels = column_or_1d(unmask(y), warn=True)
    check_consistent_length(X, labels)
    missing = np.flatnonzero(~find_labelled(labels))
    if len(missing):
        raise ValueError(
            f"`y` must have a label for every row. Got none for {len(missing)} rows, the first of "
            f"them row {missing[0]}. Leave these rows out, or set conditional=False."
        )
    check_classification_targets(labels)
    return labels
