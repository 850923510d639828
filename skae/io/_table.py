"""Table read from a file."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True, eq=False)
class Table:
    """Columns of a file, and its target.

    Attributes
    ----------
    X : ndarray or pandas.DataFrame of shape (n_samples, n_features)
        Numeric columns, with NaN for missing values if these are kept, and finite otherwise; in
        float32 if it represents the types of all columns exactly, and in float64 otherwise. A
        data frame with columns of all kinds if the file was read with ``numeric_only=False``.
    y : ndarray of shape (n_samples,) or None
        Target. None if there is none.
    feature_names : tuple of str, of length n_features
        Names of the columns of `X`.
    drop_reasons : dict of str to str
        Reason for each column that was left out: ``{"colour": "text, such as 'red'"}``.
    remarks : tuple of str
        Remarks on the file and on changes made, such as unexpected separators, decimal commas, and
        rows that were left out.

    Examples
    --------
    >>> import numpy as np
    >>> from skae.io import Table
    >>> table = Table(np.eye(2), None, ("height", "width"), {"name": "text"})
    >>> table.X.shape, table.dropped_columns
    ((2, 2), ('name',))
    """

    X: Any
    y: np.ndarray | None
    feature_names: tuple[str, ...]
    drop_reasons: Mapping[str, str] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()

    @property
    def dropped_columns(self):
        """Names of the columns that were left out, as a tuple of str."""
        return tuple(self.drop_reasons)
