"""Groups of categories that are alike, for columns with many of them."""

from collections.abc import Sequence
from math import ceil, log2

import numpy as np
from scipy import sparse

from skae._engine import describe_columns, draw_rows, find_principal_components
from skae._estimators.column_encoding import MOST_INDICATORS, LevelGrid, Levels, find_moments

# Number of components of the table by which categories are compared.
_N_COMPONENTS = 16
# Mean scores of categories are shrunk towards 0 as by this number of rows.
_PRIOR_ROWS = 10
# Number of rows that are used, in all or per category, whichever is greater.
_MOST_ROWS, _ROWS_PER_LEVEL = 20_000, 30
# Standardised numbers are cut off at this value.
_FARTHEST = 5.0


def group_levels(columns, levels: Sequence[Levels | None]) -> list[Levels | None]:
    """Divide the categories of columns that have many into groups of those that are alike.

    Two categories are alike if their rows are, seen from all other columns: if their mean scores in
    a factor analysis of mixed data (FAMD) are close to each other. Columns are floats, or numbers
    of categories, with NaN for missing cells. A `LevelGrid` replaces more categories than there are
    indicators.
    """
    many = {
        index: own
        for index, own in enumerate(levels)
        if own is not None and len(own.categories) > MOST_INDICATORS
    }
    grouped = list(levels)
    if many:
        positions = _find_positions(columns, levels, many)
        for index, own in many.items():
            numbers = columns[index][~np.isnan(columns[index])]
            counts = np.bincount(numbers.astype(np.intp), minlength=own.n_levels)
            places = _arrange(positions[index], counts)
            grouped[index] = LevelGrid(own.categories, own.pools, places)
    return grouped


def _find_positions(columns, levels, many: dict[int, Levels]) -> dict[int, np.ndarray]:
    """Return mean scores of the categories of some columns, (n_levels, n_components)."""
    n_levels = max(own.n_levels for own in many.values())
    rows = draw_rows(len(columns[0]), max(_MOST_ROWS, _ROWS_PER_LEVEL * n_levels))
    table, starts, units = _indicate([own[rows] for own in columns], levels)
    shares = np.full(len(rows), 1 / len(rows))
    statistics = describe_columns(table, shares)
    found = find_principal_components(table, statistics, shares, _N_COMPONENTS)
    positions = {}
    for index, known in many.items():
        own = slice(starts[index], starts[index] + known.n_levels)
        scores = found.components[:, own].T * found.explained_variance * units[index]
        # Divided by the share of a category, this is its mean score, which few rows estimate badly.
        of_rows = statistics.mean[own, None] * units[index]
        positions[index] = scores / (of_rows + _PRIOR_ROWS / len(rows))
    return positions


def _indicate(columns, levels) -> tuple[sparse.csr_matrix, np.ndarray, list[float]]:
    """Return standardised numbers and scaled indicators, their first columns, and their units."""
    sizes = [1 if own is None else own.n_levels for own in levels]
    starts = np.concatenate([[0], np.cumsum(sizes)])
    cells = np.zeros((len(columns[0]), len(columns)))
    places = np.empty(cells.shape, dtype=np.int64)
    units = []
    for index, (column, own) in enumerate(zip(columns, levels, strict=True)):
        there = ~np.isnan(column)
        places[:, index] = starts[index]
        if own is None:
            unit = 1.0
            cells[there, index] = _standardise(column[there])
        else:
            numbers = column[there].astype(np.intp)
            shares = np.bincount(numbers) / max(1, len(numbers))
            unit = max(float(shares @ (1 - shares)), 1 / len(column)) ** 0.5
            places[there, index] += numbers
            cells[there, index] = 1 / unit
        units.append(unit)
    ends = np.arange(0, cells.size + 1, len(columns))
    shape = (len(cells), int(starts[-1]))
    return sparse.csr_matrix((cells.ravel(), places.ravel(), ends), shape=shape), starts, units


def _standardise(values: np.ndarray) -> np.ndarray:
    """Return observed numbers, standardised and cut off."""
    if not len(values):
        return values
    (mean,), (deviation,) = find_moments(values[:, None], None)
    return ((values - mean) / (deviation or 1.0)).clip(-_FARTHEST, _FARTHEST)


def _arrange(positions: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the group of each category and its place in it, the most frequent ones first."""
    places = np.empty((len(counts), 2), dtype=np.int64)
    n_groups = 1 << ceil(log2(len(counts)) / 2)
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
