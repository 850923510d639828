"""Missing values filled from the nearest training rows."""

import numpy as np
from sklearn.neighbors import NearestNeighbors
from sklearn.utils import gen_batches

from skae._engine import draw_rows

_MOST_KEPT_ROWS, _LEAST_KEPT_ROWS = 5000, 1000
_MOST_KEPT_CELLS = 1_000_000
# The neighbours of a value are the nearest rows that have it, among this number of rows.
N_NEIGHBORS, N_CANDIDATES = 5, 50
# Lower bound of squared distances per column, for identical rows.
LEAST_SQUARE = 1e-6
_CELLS_AT_ONCE = 2**22


def choose_kept(n_rows: int, n_columns: int) -> np.ndarray:
    """Return ascending indices of rows to keep: all of a small table, a sample of a large one."""
    most = min(_MOST_KEPT_ROWS, max(_LEAST_KEPT_ROWS, _MOST_KEPT_CELLS // n_columns))
    return draw_rows(n_rows, most)


def find_neighbor_changes(filled, missing, known, has) -> np.ndarray:
    """Return the differences between means over the nearest rows and the given fills.

    Distances are computed between filled rows, and means are weighted by inverse squared distances.
    Only rows in which the value is observed take part (`has`, of the training rows `known`), so no
    row is its own neighbour. The differences are zero for observed values, in empty rows, and if no
    near row has the value.
    """
    changes = np.zeros(filled.shape)
    gappy = np.flatnonzero(missing.any(axis=1) & ~missing.all(axis=1))
    if not len(gappy):
        return changes
    n_candidates = min(N_CANDIDATES, len(known))
    nearest = NearestNeighbors(n_neighbors=n_candidates).fit(known)
    for part in gen_batches(len(gappy), max(1, _CELLS_AT_ONCE // (n_candidates * known.shape[1]))):
        rows = gappy[part]
        distances, places = nearest.kneighbors(filled[rows])
        weights = 1 / (np.square(distances) + LEAST_SQUARE * known.shape[1])
        counts = has[places]
        counts &= np.cumsum(counts, axis=1) <= N_NEIGHBORS
        shares = weights[:, :, None] * counts
        total = shares.sum(axis=1)
        sums = np.einsum("rnc,rnc->rc", shares, known[places])
        means = np.divide(sums, total, out=filled[rows].copy(), where=total > 0)
        changes[rows] = np.where(missing[rows], means - filled[rows], 0)
    return changes
