"""How far codes are the same after a fit with another seed."""

from dataclasses import dataclass
from itertools import permutations
from numbers import Integral

import numpy as np
from joblib import Parallel, delayed
from scipy.optimize import linear_sum_assignment
from sklearn.base import clone
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score
from sklearn.model_selection import train_test_split

from skae.metrics._transformer import to_array


@dataclass(frozen=True)
class CodeStability:
    """Coefficients of determination between the codes of fits with different seeds.

    `code_stability` makes one.

    Attributes
    ----------
    from_all : ndarray of shape (n_components,)
        R2 of a linear regression of each code on all codes of another seed, averaged over the pairs
        of seeds. At most 1, which says that the other seed's codes hold the same, however rotated.
    from_one : ndarray of shape (n_components,)
        R2 of a linear regression of each code on the one code of another seed that goes with it,
        averaged likewise. At most 1, which says that the code itself has come back. Codes go
        together in pairs, such that the sum of their R2 is greatest.

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
    """Return how well the codes of one seed can be told from those of another, code by code.

    Copies of the estimator are fitted to the same rows with different seeds. Regressions of the
    codes of each on those of each other are fitted to these rows, and judged on the others.

    Parameters
    ----------
    estimator : transformer
        An autoencoder, another transformer that takes `random_state`, or a pipeline with any.
        Copies are fitted, and the estimator itself stays as it is.
    X : array-like of shape (n_samples, n_features)
        Rows, in any form that the estimator takes and that can be split.
    n_seeds : int, default=5
        Number of fits, at least two. Their seeds are 0, 1, 2 and so on, in the place of every
        `random_state` of the estimator and its parts.
    test_size : float in (0, 1), default=0.25
        Share of the rows that judge.
    random_state : int, RandomState instance or None, default=0
        Seeds the choice of these rows.
    n_jobs : int, default=None
        Number of fits at a time, as for `joblib.Parallel`.

    Returns
    -------
    stability : CodeStability
        R2 of each code from all codes of another seed, and from one.

    Raises
    ------
    ValueError
        If there are fewer than two seeds, or fits differ in their number of codes.

    Notes
    -----
    The rows are the same for all seeds. That codes come back on other rows is another question, and
    harder.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.decomposition import PCA
    >>> from skae.metrics import code_stability
    >>> code_stability(PCA(2, svd_solver="full"), load_iris().data, n_seeds=2).from_one.round(3)
    array([1., 1.])
    """
    if not isinstance(n_seeds, Integral) or n_seeds < 2:
        raise ValueError(
            f"`n_seeds` must be a whole number of fits, at least 2. Got {n_seeds!r}. Stability is "
            "that of one fit beside another."
        )
    train, test = train_test_split(X, test_size=test_size, random_state=random_state)
    codes = Parallel(n_jobs=n_jobs)(
        delayed(_find_codes)(estimator, train, test, seed) for seed in range(n_seeds)
    )
    _check_numbers([own.shape[1] for own, _ in codes])
    pairs = list(permutations(codes, 2))
    from_all = np.mean([_judge_all(*pair) for pair in pairs], axis=0)
    return CodeStability(from_all, np.mean([_judge_pairs(*pair) for pair in pairs], axis=0))


def _find_codes(estimator, train, test, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return codes of both parts of the rows after a fit to the first, in double precision."""
    model = clone(estimator)
    seeds = [name for name in model.get_params() if name.split("__")[-1] == "random_state"]
    model.set_params(**dict.fromkeys(seeds, seed)).fit(train)
    first, second = (to_array(model.transform(part)) for part in (train, test))
    return first.astype(np.float64), second.astype(np.float64)


def _check_numbers(n_codes: list[int]):
    if len(set(n_codes)) > 1:
        raise ValueError(
            f"All fits must have as many codes. Got {n_codes}. Set `n_components` to a whole "
            "number, which does not depend on the seed."
        )


def _judge_all(own, other) -> np.ndarray:
    """Return the R2 of each code from all codes of another fit."""
    model = LinearRegression().fit(other[0], own[0])
    predicted = model.predict(other[1]).reshape(own[1].shape)
    return r2_score(own[1], predicted, multioutput="raw_values")


def _judge_pairs(own, other) -> np.ndarray:
    """Return the R2 of each code from the code of another fit that goes with it."""
    n_codes = own[0].shape[1]
    single = [_judge_all(own, [part[:, [code]] for part in other]) for code in range(n_codes)]
    values = np.array(single).T
    rows, columns = linear_sum_assignment(values, maximize=True)
    return values[rows, columns]
