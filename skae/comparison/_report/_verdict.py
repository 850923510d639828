"""Verdict of a comparison: number of codes to report, and number of components PCA needs."""

from dataclasses import dataclass

import numpy as np
from sklearn.decomposition import PCA

from skae.comparison._results import MethodResult

# Differences of shares below this are rounding errors of single precision.
_ROUNDING = 1e-6


@dataclass(frozen=True, eq=False)
class Verdict:
    """Number of codes at which the autoencoder does best, and number of components PCA needs.

    `pca` and `autoencoder` are the results of both methods with this number of codes. `pca_curve`
    is the share of the held-out rows' variance that PCA keeps with 1, 2, ... components, up to the
    greatest possible number; None for tables with missing values or columns of several kinds.
    `n_needed` is the least number of components with which PCA keeps as much variance as the codes;
    None if PCA keeps less even with all components, or if there is no curve. `matched` is the
    result of PCA with the greatest number of components that was compared and that the autoencoder
    matches with fewer codes, if any.
    """

    pca: MethodResult
    autoencoder: MethodResult
    pca_curve: np.ndarray | None
    n_needed: int | None
    matched: MethodResult | None = None


def reach_verdict(comparison):
    """Return the verdict for the number of codes to report.

    This is the smallest number that matches PCA with the greatest number of components for which
    fewer codes suffice. If no number of codes matches more components of PCA, it is that with the
    lowest error ratio, rounded as in the table, and among ties the smallest.
    """
    results = comparison.results
    pairs = list(zip(results[::2], results[1::2], strict=True))
    pca, autoencoder = min(pairs, key=lambda pair: round(pair[1].error_ratio, 2))
    matched = None
    if found := _find_match(pairs):
        (pca, autoencoder), matched = found
    if not comparison.evidence.task.is_plain:
        return Verdict(pca, autoencoder, None, None, matched)
    curve = measure_pca_curve(comparison.evidence.task)
    enough = np.flatnonzero(curve >= autoencoder.explained_variance - _ROUNDING)
    n_needed = int(enough[0]) + 1 if len(enough) else None
    return Verdict(pca, autoencoder, curve, n_needed, matched)


def _find_match(pairs):
    """Return the results of the fewest codes that match more components of PCA, and PCA's."""
    for pca, _ in reversed(pairs):
        for pair in pairs:
            fewer = pair[1].n_components < pca.n_components
            if fewer and pair[1].explained_variance >= pca.explained_variance - _ROUNDING:
                return pair, pca
    return None


def measure_pca_curve(task):
    """Return the share of the held-out variance that PCA keeps with 1, 2, ... components.

    The variance is about the training mean. The curve does not decrease, and is at most 1.
    """
    # Components are orthonormal and nested, so a single fit gives all numbers of components.
    pca = PCA().set_output(transform="default").fit(task.X_train)
    kept = np.square(pca.transform(task.X_test), dtype=np.float64).sum(axis=0).cumsum()
    total = np.square(task.X_test - pca.mean_, dtype=np.float64).sum()
    return np.minimum(kept / total, 1) if total > 0 else np.ones(len(kept))
