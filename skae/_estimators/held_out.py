"""Held-out rows as specified by users: a share, a splitter, or groups."""

import numpy as np
import torch
from sklearn.utils import check_consistent_length, column_or_1d, indexable

from skae._engine import RANKS, Separation, Split
from skae._estimators.copied_rows import find_copies
from skae._shared.scikit_learn import keep_weighted_rows


def read_separation(X, y, weights, groups, loop) -> Separation:
    """Return how the rows of positive weight are to be separated, by the parameters of the user.

    Copies of rows are groups if the user gives none, except where several processes have shards.
    `loop.validation_fraction` may be a splitter, which may use y. Groups of another length than X
    or with a single label are refused, as is a split with an empty part.
    """
    if not loop.early_stopping:
        return Separation()
    if groups is not None:
        check_consistent_length(X, groups)
    kept = np.ones(X.shape[0], dtype=bool) if weights is None else weights > 0
    if hasattr(loop.validation_fraction, "split"):
        return Separation(split=_split(loop.validation_fraction, X, y, groups, kept))
    if groups is not None:
        return Separation(groups=number_groups(groups, kept))
    if _have_shards():
        return Separation()
    copies = find_copies(X if kept.all() else X[kept])
    return Separation(groups=None if copies is None else torch.from_numpy(copies))


def keep_rows(X, weights, fewest: int) -> tuple:
    """Return the rows of positive weight, and their weights.

    Equal weights are None, as from `keep_weighted_rows`, except where several processes have
    shards: rows of another process may have other weights.
    """
    rows, own = keep_weighted_rows(X, weights, fewest)
    if weights is not None and _have_shards():
        own = weights[weights > 0]
    return rows, own


def leave_out_giants(X, y, weights, groups, loop, kept: np.ndarray) -> tuple:
    """Return rows, weights and separation of those rows of positive weight that are in a mask."""
    shares = np.ones(X.shape[0]) if weights is None else weights
    shares[shares > 0] *= kept
    rows, own = keep_rows(X, shares, 1)
    own = None if weights is None else own
    return rows, own, read_separation(X, y, shares, groups, loop)


def _have_shards() -> bool:
    ranks = RANKS.get()
    return ranks.size > 1 and not ranks.shared


def read_groups(groups) -> np.ndarray:
    """Return groups as an array; missing labels and those that cannot be compared are refused."""
    is_masked = np.ma.is_masked(groups)
    groups = column_or_1d(groups)
    try:
        np.unique(groups)
    except TypeError as error:
        kinds = sorted({type(label).__name__ for label in groups})
        raise ValueError(
            "`groups` must have labels that can be compared with each other. Got values of type "
            f"{', '.join(kinds)}. Convert them to text, and name groups whose label is missing."
        ) from error
    # NaN and NaT differ from themselves.
    if is_masked or (groups != groups).any():
        raise ValueError(
            "`groups` must have a label for each row. Got missing ones. Name the groups of these "
            "rows, or leave the rows out."
        )
    return groups


def number_groups(groups, kept: np.ndarray) -> torch.Tensor:
    """Return groups of the kept rows as consecutive integers from 0; a single one is refused."""
    labels, numbers = np.unique(read_groups(groups)[kept], return_inverse=True)
    if len(labels) < 2:
        raise ValueError(
            "`groups` must have at least two labels, so that some groups can be held out. "
            f"Got {labels[0]!r} only. Leave `groups` out."
        )
    return torch.from_numpy(numbers.astype(np.int64).ravel())


def _split(splitter, X, y, groups, kept: np.ndarray) -> Split:
    nothing = np.zeros((2, 0), dtype=int)
    split = next(iter(splitter.split(*indexable(X, y, groups))), nothing)
    place = np.cumsum(kept) - 1
    parts = [np.unique(np.arange(len(kept))[part]) for part in split]
    parts = [place[part[kept[part]]] for part in parts]
    if not all(map(len, parts)) or np.intersect1d(parts[0], parts[1]).size:
        raise ValueError(
            "`validation_fraction` must be a splitter whose first split has rows to train on and "
            f"other rows to hold out. Got {len(parts[0])} and {len(parts[1])} rows of positive "
            f"weight from {splitter!r}. sklearn.model_selection.PredefinedSplit takes -1 for rows "
            "to train on and 0 for rows to hold out."
        )
    return Split(*map(torch.from_numpy, parts))
