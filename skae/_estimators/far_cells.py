"""Observed values too far from the training rows to predict missing values from them."""

import numpy as np

from skae._estimators.autoencoder import AutoencoderTransformer
from skae._estimators.column_encoding import ColumnEncoding

# Limits lie beyond the range of a column by this number of its widths.
_NEAR, _FAR = 1.0, 10.0
# Share of the variance of a column that the other columns must predict for the farther limit.
_TIED = 0.5
_EXPLAINED = 0.5


def find_limits(
    numbers: list[np.ndarray], encoding: ColumnEncoding, autoencoder: AutoencoderTransformer
) -> np.ndarray:
    """Return the least and greatest usable value of each column, infinite for categories.

    Far beyond its range, a column has an effect on others that is mostly the error of a correlation
    multiplied by a great distance. Columns that depend on others closely have wider limits, since
    their relations hold beyond the range, as in tables with heavy tails.
    """
    ties = _find_ties(encoding.encode(numbers), autoencoder)
    limits = np.full((2, len(numbers)), [[-np.inf], [np.inf]])
    for index, (column, known) in enumerate(zip(numbers, encoding.levels, strict=True)):
        if known is None:
            lowest, highest = np.nanmin(column), np.nanmax(column)
            tie = ties[np.argmax(encoding.groups == index)]
            with np.errstate(over="ignore"):
                margin = (highest - lowest) * (_FAR if tie > _TIED else _NEAR)
                limits[:, index] = lowest - margin, highest + margin
    return limits


def _find_ties(Z: np.ndarray, autoencoder: AutoencoderTransformer) -> np.ndarray:
    """Return the share of the variance of each encoded column that the others predict.

    The shares are adjusted for the number of columns, as in a linear regression.
    """
    module, standardization = autoencoder.net_.module_, autoencoder._standardization
    if module.filling.precision is None:
        return np.zeros(Z.shape[1])
    unit = module.input_scale.double().numpy() / standardization.scale
    inverse = module.filling.precision.diagonal().double().numpy()
    spread = np.nanvar(Z, axis=0) * np.square(unit)
    n_free = np.count_nonzero(~np.isnan(Z), axis=0) - 1
    factor = n_free / np.maximum(n_free - Z.shape[1] + 1, 1)
    return 1 - factor / np.maximum(spread * inverse, 1)


def hide_far_cells(numbers: list[np.ndarray], limits: np.ndarray, predict) -> list[np.ndarray]:
    """Return columns with NaN for values beyond the limits that the rest of the row contradicts.

    A value stays if the others predict at least half of its distance from the limit, or if no other
    is within its limits. `predict` returns the columns with NaN replaced by expectations.
    """
    table = np.column_stack(numbers)
    far = (table < limits[0]) | (table > limits[1])
    near = ~far & ~np.isnan(table)
    rows = np.flatnonzero(far.any(axis=1) & near.any(axis=1))
    if not len(rows):
        return numbers
    values, far = table[rows], far[rows]
    expected = predict(list(np.where(far, np.nan, values).T))
    for index in np.flatnonzero(far.any(axis=0)):
        own = values[:, index]
        with np.errstate(over="ignore", invalid="ignore"):
            rest = np.abs(own - expected[index])
            excess = np.abs(own - own.clip(*limits[:, index]))
            hidden = far[:, index] & ~(rest < (1 - _EXPLAINED) * excess)
        table[rows[hidden], index] = np.nan
    return list(table.T)
