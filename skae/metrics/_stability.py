"""Agreement of codes between fits with different seeds."""

from dataclasses import dataclass
from itertools import permutations

import numpy as np
from joblib import Parallel, delayed
from scipy.optimize import linear_sum_assignment
from sklearn.base import clone
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score
from sklearn.model_selection import train_test_split

from skae._shared.checks import check_count
from skae.metrics._transformer import to_array


@dataclass(frozen=True)
class CodeStability:
    """Coefficients of determination between the codes of fits with different seeds.

    Returned by `code_stability`.

    Attributes
    ----------
    from_all : ndarray of shape (n_components,)
        R2 of a linear regression of each code on all codes of another seed, averaged over pairs of
        seeds. At most 1, which means that the codes of both seeds contain the same information,
        possibly rotated.
    from_one : ndarray of shape (n_components,)
        R2 of a linear regression of each code on the matching code of another seed, averaged over
        pairs of seeds. At most 1, which means that both seeds have found the same code. Codes are
        matched one to one such that the sum of their R2 is largest.

    Examples
    --------
    >>> import numpy as np
    >>> from skae.metrics import CodeStability
    >>> CodeStability(np.array([0.9, 0.8]), np.array([0.75, 0.25])).from_one.mean().item()
    0.5
    """

    from_all: np.ndarray
    from_one: np.ndarray


def code_stability(
    estimator, X, n_seeds=5, *, test_size=0.25, random_state=0, n_jobs=None
) -> CodeStability:
    """Return how well each code can be predicted from the codes of another seed.

    Clones of the estimator are fitted to the same training rows with different seeds. For each pair
    of clones, the codes of one are predicted from the codes of the other by linear regressions,
    which are fitted to the training rows and scored on held-out rows.

    Parameters
    ----------
    estimator : transformer
        An autoencoder, another transformer with a `random_state`, or a pipeline with one. It is
        cloned and not changed.
    X : array-like of shape (n_samples, n_features)
        Rows, in any form that the estimator accepts and that can be split.
    n_seeds : int, default=5
        Number of fits, at least two. The seeds 0, 1, 2, ... replace every `random_state` of the
        estimator and of its steps.
    test_size : float in (0, 1), default=0.25
        Share of the rows that are held out for scoring.
    random_state : int, RandomState instance or None, default=0
        Seed of the choice of the held-out rows.
    n_jobs : int, default=None
        Number of fits that run at the same time, as in `joblib.Parallel`.

    Returns
    -------
    stability : CodeStability
        R2 of each code, predicted from all codes of another seed and from one code.

    Raises
    ------
    ValueError
        If there are fewer than two seeds, or fits differ in their number of codes.

    Notes
    -----
    All fits use the same rows, so the result does not show whether codes are stable across samples,
    which is a stricter requirement.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.decomposition import PCA
    >>> from skae.metrics import code_stability
    >>> code_stability(PCA(2, svd_solver="full"), load_iris().data, n_seeds=2).from_one.round(3)
    array([1., 1.])
    """
    check_count("n_seeds", n_seeds, "Stability compares pairs of fits.", least=2)
    train, test = train_test_split(X, test_size=test_size, random_state=random_state)
    codes = Parallel(n_jobs=n_jobs)(
        delayed(_find_codes)(estimator, train, test, seed) for seed in range(n_seeds)
    )
    _check_numbers([own.shape[1] for own, _ in codes])
    pairs = list(permutations(codes, 2))
    from_all = np.mean([_score_from_all(*pair) for pair in pairs], axis=0)
    return CodeStability(from_all, np.mean([_score_from_one(*pair) for pair in pairs], axis=0))


def _find_codes(estimator, train, test, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Fit to the training rows, and return the codes of training and test rows as float64."""
    model = clone(estimator)
    seeds = [name for name in model.get_params() if name.split("__")[-1] == "random_state"]
    model.set_params(**dict.fromkeys(seeds, seed)).fit(train)
    return tuple(to_array(model.transform(part)).astype(np.float64) for part in (train, test))


def _check_numbers(n_codes: list[int]):
    if len(set(n_codes)) > 1:
        raise ValueError(
            f"All fits must have the same number of codes. Got {n_codes}. Set `n_components` to a "
            "whole number, which does not depend on the seed."
        )


def _score_from_all(own, other) -> np.ndarray:
    """Return the R2 of each code from all codes of another fit."""
    model = LinearRegression().fit(other[0], own[0])
    predicted = model.predict(other[1]).reshape(own[1].shape)
    return r2_score(own[1], predicted, multioutput="raw_values")


def _score_from_one(own, other) -> np.ndarray:
    """Return the R2 of each code from the matching code of another fit."""
    n_codes = own[0].shape[1]
    single = [_score_from_all(own, [part[:, [code]] for part in other]) for code in range(n_codes)]
    values = np.array(single).T
    rows, columns = linear_sum_assignment(values, maximize=True)
    return values[rows, columns]
