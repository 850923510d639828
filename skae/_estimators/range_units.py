"""Rows in units of the ranges of their features, and the excess of values far beyond these."""

import numpy as np
from scipy import sparse

from skae._engine import find_ends

# Inputs of autoencoders are clipped to this number of ranges from the training rows, because
# squares may overflow in single precision; the excess is added in double precision.
FARTHEST = 1e6
GREATEST_DISTANCE = 1e140
_DOUBLES = np.finfo(np.float64).min, np.finfo(np.float64).max


def find_ranges(X) -> tuple[np.ndarray, np.ndarray]:
    """Return the shift and the scale of each feature."""
    lowest, highest = (end.astype(np.float64) for end in find_ends(X))
    with np.errstate(over="ignore"):
        ranges = np.minimum(highest - lowest, _DOUBLES[1])
    varies = ranges > 0
    # A constant feature has no scale; that of the others is the best guess.
    ranges[~varies] = np.median(ranges[varies]) if varies.any() else 1
    return (np.zeros_like(lowest) if sparse.issparse(X) else lowest), ranges


def scale_by_ranges(X, lowest: np.ndarray, ranges: np.ndarray):
    """Return rows less `lowest` and divided by `ranges`, clipped to `FARTHEST`, and the excess.

    The excess is a mostly empty sparse array of squared distances of X beyond the limit, in double
    precision.
    """
    if sparse.issparse(X) and lowest.any():
        X = X.toarray()
    scaled = X.astype(np.float64)
    with np.errstate(over="ignore"):
        if sparse.issparse(scaled):
            cells, columns = scaled.data, scaled.indices
            cells /= ranges[columns]
        else:
            cells = scaled
            cells -= lowest
            np.clip(cells, *_DOUBLES, out=cells)
            cells /= ranges
    beyond = _find_excess(scaled)
    np.clip(cells, -FARTHEST, FARTHEST, out=cells)
    return scaled.astype(X.dtype, copy=False), beyond


def _find_excess(scaled):
    """Return squared distances of values beyond the limit of the autoencoder's inputs."""
    if sparse.issparse(scaled):
        table = scaled.tocoo()
        cells, rows, columns = table.data, table.row, table.col
    else:
        rows, columns = np.nonzero(np.abs(scaled) > FARTHEST)
        cells = scaled[rows, columns]
    distances = (np.abs(cells) - FARTHEST).clip(0, GREATEST_DISTANCE)
    beyond = sparse.coo_array((np.square(distances), (rows, columns)), shape=scaled.shape)
    beyond.eliminate_zeros()
    return beyond
