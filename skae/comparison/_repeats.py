"""Figures of a comparison on several random splits of the same rows."""

import numpy as np
from scipy.stats import t

from skae.comparison._results import count_codes, format_ratio

_CONFIDENCE = 0.95


def list_splits(comparison, method, n_codes, figure):
    """Return a figure of a method on every split.

    Parameters
    ----------
    comparison : PCAComparison
        The figures.
    method : str
        Name of the method.
    n_codes : int
        Number of codes.
    figure : str
        Attribute of `MethodResult`.

    Returns
    -------
    values : ndarray of shape (n_splits,)
        The figure, the first split first.
    """
    return np.array(
        [
            getattr(result, figure)
            for results in (comparison.results, *comparison.repeats)
            for result in results
            if result.method == method and result.n_components == n_codes
        ]
    )


def find_interval(values, n_train, n_test):
    """Return the mean of scores on random splits, and its confidence interval.

    Splits share rows, so the variance is corrected after [1]_.

    Parameters
    ----------
    values : ndarray of shape (n_splits,)
        The scores.
    n_train, n_test : int
        Number of training rows and of held-out rows of a split.

    Returns
    -------
    mean, low, high : float
        The mean, and the ends of its 95 % interval.

    References
    ----------
    .. [1] C. Nadeau and Y. Bengio, "Inference for the Generalization Error", Machine Learning 52,
       2003.
    """
    n_splits = len(values)
    deviation = np.sqrt(np.var(values, ddof=1) * (1 / n_splits + n_test / n_train))
    reach = t.ppf((1 + _CONFIDENCE) / 2, n_splits - 1) * deviation
    mean = np.mean(values)
    return float(mean), float(mean - reach), float(mean + reach)


def describe_splits(comparison):
    """Return a sentence on the error ratios of all splits; nothing where there is one split."""
    if not comparison.repeats:
        return ""
    parts = []
    for result in comparison.results[1::2]:
        ratios = list_splits(comparison, result.method, result.n_components, "error_ratio")
        span = f"{format_ratio(ratios.min())} to {format_ratio(ratios.max())}"
        parts.append(f"{span} with {count_codes(result.n_components)}")
    n_splits = len(comparison.repeats) + 1
    return f"Ratios over {n_splits} random splits: {', '.join(parts)}."


def all_splits_agree(comparison, n_codes):
    """Return whether the error ratio is on the same side of 1 on all splits, as rounded."""
    (method,) = {result.method for result in comparison.results} - {comparison.reference}
    ratios = list_splits(comparison, method, n_codes, "error_ratio").round(2)
    return len(set(np.sign(ratios - 1))) == 1
