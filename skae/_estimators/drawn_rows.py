"""Training rows kept by an imputer, and draws of missing values based on them."""

from collections.abc import Iterator

import numpy as np

from skae._engine import Evidence, Feature, draw_tables, ordinary_torch_state
from skae._estimators.column_encoding import ColumnEncoding
from skae._estimators.filling_model import correct_rows
from skae._estimators.neighbor_fills import choose_kept

_MOST_ENCODED = 2000
# A column with a lower share of distinct values is discrete, or has repeated values.
_LEAST_SHARE_OF_DIFFERENT = 0.95


def keep_rows(numbers: list[np.ndarray]) -> np.ndarray:
    """Return the rows on which draws are based: all of a small table, a sample of a large one.

    Each of `numbers` is a column of floats, or numbers of categories, with NaN for missing cells.
    """
    table = np.column_stack(numbers)
    return table[choose_kept(*table.shape)]


def check_can_draw(encoding: ColumnEncoding, rows: np.ndarray | None):
    """Raise an error for imputers without stored rows, and for tables that are too wide."""
    if rows is None:
        raise ValueError(
            "An imputer must store rows of fit to draw from. Got one from a file of an earlier "
            "version, which has none. Fit it again."
        )
    n_encoded = len(encoding.groups)
    if n_encoded > _MOST_ENCODED:
        raise ValueError(
            f"X must have {_MOST_ENCODED} columns at most to draw from, with one for each category."
            f" Got {n_encoded}. Leave out columns, or fill with `transform`."
        )


def draw_columns(
    encoding: ColumnEncoding,
    autoencoder,
    share: float,
    kept: tuple[np.ndarray, int, float],
    numbers: list[np.ndarray],
    is_bounded: np.ndarray,
    n_draws: int,
    seed: int,
) -> Iterator[list[np.ndarray]]:
    """Yield columns in which missing values are replaced by draws, `n_draws` times.

    `numbers` are the columns to fill: floats, or numbers of categories, NaN where a cell is
    missing. Only the missing values of the yielded columns, of floats or categories, are
    meaningful. `share` is the weight of the network's correction. `kept` has rows of the training
    table, the number of all of its rows, and the factor of residuals. `is_bounded` marks columns
    with bounds.
    """
    rows, n_rows, spread = kept
    steps = [
        np.unique(column[~np.isnan(column)])
        if known is None and (bounded or _has_steps(column))
        else None
        for column, known, bounded in zip(rows.T, encoding.levels, is_bounded, strict=True)
    ]
    evidence = Evidence(
        encoding.encode(list(rows.T)),
        n_rows,
        lambda Z: correct_rows(autoencoder, Z, share),
        spread,
    )
    features = _describe(encoding, [own is not None for own in steps])
    tables = draw_tables(encoding.encode(numbers), features, evidence, n_draws, seed)
    for table in _compute_each(tables):
        decoded = encoding.decode(table)
        yield [
            column if own is None else _snap(column, own)
            for column, own in zip(decoded, steps, strict=True)
        ]


def _compute_each(tables: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    """Yield tables computed in torch's usual state, which is that of the caller between them."""
    while True:
        with ordinary_torch_state():
            table = next(tables, None)
        if table is None:
            return
        yield table


def _describe(encoding: ColumnEncoding, is_matched: list[bool]) -> list[Feature]:
    features = []
    for index, known in enumerate(encoding.levels):
        columns = np.flatnonzero(encoding.groups == index)
        if known is None:
            features.append(Feature(columns, is_matched=is_matched[index]))
            continue
        mean, scale = encoding.mean[columns], encoding.scale[columns]
        n_categories = len(known.categories)
        features.append(Feature(columns, n_categories, zero=-mean / scale, one=(1 - mean) / scale))
    return features


def _has_steps(column: np.ndarray) -> bool:
    """Return whether a column holds integers or repeated values."""
    there = column[~np.isnan(column)]
    is_whole = bool((there == np.round(there)).all())
    return is_whole or len(np.unique(there)) < _LEAST_SHARE_OF_DIFFERENT * len(there)


def _snap(column: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Return for each value of a column the nearest of the given values, unchanged."""
    if not len(steps):
        return column
    after = np.searchsorted(steps, column).clip(1, max(1, len(steps) - 1))
    low, high = steps[after - 1], steps[np.minimum(after, len(steps) - 1)]
    return np.where(column - low <= high - column, low, high)
