"""Groups of categories that are alike, for columns with many of them."""

from collections.abc import Sequence
from math import ceil, log2

import numpy as np
from scipy import sparse

from skae._engine import describe_columns, find_principal_components
from skae._estimators.column_encoding import MOST_INDICATORS, LevelGrid, Levels

# Categories are told apart by so many components of the table.
_N_COMPONENTS = 16
# Positions of categories are drawn to the middle as by so many rows.
_PRIOR_ROWS = 10
# So many rows, or rows for each category, are looked at.
_MOST_ROWS, _ROWS_PER_LEVEL = 20_000, 30
_FARTHEST = 5.0


def group_levels(columns, levels: Sequence[Levels | None]) -> list[Levels | None]:
    """Divide the categories of columns that have many into groups of those that are alike.

    Two categories are alike if their rows are, seen from all other columns: if their mean scores in
    a factor analysis of mixed data (FAMD) are close to each other.

    Parameters
    ----------
    columns : list of ndarray of shape (n_samples,)
        Floats, or numbers of categories, NaN where a cell is missing.
    levels : list of (Levels or None)
        Categories of each column, None for numbers.

    Returns
    -------
    levels : list of (Levels or None)
        With a `LevelGrid` in place of more categories than there are indicators.
    """
    grouped = list(levels)
    many = [
        index
        for index, own in enumerate(levels)
        if own is not None and len(own.categories) > MOST_INDICATORS
    ]
    if many:
        positions = _find_positions(columns, levels, many)
        for index, own in zip(many, positions, strict=True):
            known, numbers = levels[index], columns[index]
            counts = np.bincount(
                numbers[~np.isnan(numbers)].astype(np.intp), minlength=known.n_levels
            )
            grouped[index] = LevelGrid(known.categories, known.pools, _arrange(own, counts))
    return grouped


def _find_positions(columns, levels, many: list[int]) -> list[np.ndarray]:
    """Return mean scores of the categories of some columns, (n_levels, n_components)."""
    n_levels = max(levels[index].n_levels for index in many)
    rows = _choose_rows(len(columns[0]), max(_MOST_ROWS, _ROWS_PER_LEVEL * n_levels))
    table, starts, units = _indicate([own[rows] for own in columns], levels)
    shares = np.full(len(rows), 1 / len(rows))
    statistics = describe_columns(table, shares)
    found = find_principal_components(table, statistics, shares, _N_COMPONENTS)
    positions = []
    for index in many:
        own = slice(starts[index], starts[index] + levels[index].n_levels)
        of_rows = statistics.mean[own, None] * units[index]
        scores = found.components[:, own].T * found.explained_variance * units[index]
        # Dividing by the share gives the mean score; shares of few rows are too uncertain for that.
        positions.append(scores / (of_rows + _PRIOR_ROWS / len(rows)))
    return positions


def _choose_rows(n_rows: int, most: int) -> np.ndarray:
    if n_rows <= most:
        return np.arange(n_rows)
    return np.sort(np.random.default_rng(0).choice(n_rows, most, replace=False))


def _indicate(columns, levels) -> tuple[sparse.csr_matrix, np.ndarray, list[float]]:
    """Return standardised numbers and scaled indicators, their first columns, and their units."""
    sizes = [1 if own is None else own.n_levels for own in levels]
    starts = np.concatenate([[0], np.cumsum(sizes)])
    parts, units = [], []
    for column, own, start in zip(columns, levels, starts[:-1], strict=True):
        there = ~np.isnan(column)
        cells, places = np.zeros(len(column)), np.full(len(column), start)
        if own is None:
            unit = np.std(column[there]) or 1.0
            cells[there] = ((column[there] - column[there].mean()) / unit).clip(
                -_FARTHEST, _FARTHEST
            )
        else:
            numbers = column[there].astype(np.intp)
            places[there] += numbers
            shares = np.bincount(numbers) / max(1, len(numbers))
            unit = np.sqrt(max(shares @ (1 - shares), 1 / len(column)))
            cells[there] = 1 / unit
        parts.append((cells, places))
        units.append(float(unit))
    cells, places = (np.column_stack(own) for own in zip(*parts, strict=True))
    ends = np.arange(0, cells.size + 1, len(columns))
    shape = (len(cells), int(starts[-1]))
    return sparse.csr_matrix((cells.ravel(), places.ravel(), ends), shape=shape), starts, units


def _arrange(positions: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the group of each category and its place in it, the most frequent ones first."""
    places = np.empty((len(counts), 2), dtype=np.int64)
    n_groups = 2 ** ceil(log2(len(counts)) / 2)
    for number, group in enumerate(_divide(np.arange(len(counts)), positions, n_groups)):
        ranked = group[np.argsort(-counts[group], kind="stable")]
        places[ranked, 0] = number
        places[ranked, 1] = np.arange(len(ranked))
    return places


def _divide(own: np.ndarray, positions: np.ndarray, n_groups: int) -> list[np.ndarray]:
    """Halve a set at its median along its first principal axis until there are enough groups."""
    if n_groups == 1:
        return [own]
    centred = positions[own] - positions[own].mean(axis=0)
    axis = np.linalg.eigh(centred.T @ centred)[1][:, -1]
    ranked = own[np.argsort(centred @ axis, kind="stable")]
    halves = np.array_split(ranked, 2)
    return [group for half in halves for group in _divide(half, positions, n_groups // 2)]
