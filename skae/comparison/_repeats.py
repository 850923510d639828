"""Results of a comparison on several random splits of the rows."""

import numpy as np
from scipy import stats

from skae.comparison._results import count_codes, format_ratio


def list_splits(comparison, method, n_codes, figure):
    """Return a figure (an attribute of `MethodResult`) of a method on every split, as an array."""
    return np.array(
        [
            getattr(result, figure)
            for results in (comparison.results, *comparison.repeats)
            for result in results
            if result.method == method and result.n_components == n_codes
        ]
    )


def find_interval(values, test_share, confidence_level=0.95):
    """Return the confidence interval of the mean of scores on random splits.

    Splits share most of their training rows, so the variance is corrected as in [1]_. `test_share`
    is the number of test rows divided by that of training rows. With a single split, both ends are
    NaN.

    References
    ----------
    .. [1] Nadeau, C. and Bengio, Y. (2003). Inference for the generalization error. Machine
       Learning 52. https://doi.org/10.1023/A:1024068626366
    """
    if len(values) < 2:
        return float("nan"), float("nan")
    spread = np.sqrt((1 / len(values) + test_share) * values.var(ddof=1))
    half = spread * stats.t.ppf((1 + confidence_level) / 2, df=len(values) - 1)
    return float(values.mean() - half), float(values.mean() + half)


def describe_splits(comparison):
    """Return a sentence on the error ratios of all splits, empty if there is only one."""
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
    """Return whether the rounded error ratios of all splits are on the same side of 1."""
    (method,) = {result.method for result in comparison.results} - {comparison.reference}
    ratios = list_splits(comparison, method, n_codes, "error_ratio").round(2)
    return len(set(np.sign(ratios - 1))) == 1
