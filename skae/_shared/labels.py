"""Labels and quantities of rows, some of which may be missing."""

import numpy as np
from sklearn.utils import _safe_indexing, check_consistent_length, column_or_1d

from skae._shared.warning import warn_user
from skae.exceptions import SkaeWarning


def keep_labelled(y, *tables):
    """Return the labels that are not missing, and the corresponding rows of tables.

    NaN, None, pandas' missing values and masked cells are missing labels. Warns if rows are left
    out, and raises an error if none is left or the lengths differ.
    """
    y = column_or_1d(np.array(y, dtype=object) if isinstance(y, list | tuple) else unmask(y))
    check_consistent_length(y, *tables)
    there = find_labelled(y)
    if not there.any():
        raise ValueError("`y` must have a label. Got only missing ones. Leave out `y`.")
    labels = np.array(y[there].tolist()) if y.dtype == object else y[there]
    if there.all():
        return labels, *tables
    warn_user(
        f"Left out {np.count_nonzero(~there)} of {len(y)} rows, which have no label.",
        SkaeWarning,
    )
    return labels, *(_safe_indexing(table, np.flatnonzero(there)) for table in tables)


def unmask(values):
    """Return a masked array as an ordinary one, with None in masked cells, and others unchanged."""
    is_masked = np.ma.is_masked(values)
    return np.where(np.ma.getmaskarray(values), None, values.data) if is_masked else values


def find_labelled(y) -> np.ndarray:
    """Return the mask of labels that are not NaN, None, NaT or pandas' NA."""
    if y.dtype.kind in "fcmM":
        return ~np.isnan(y) if y.dtype.kind in "fc" else ~np.isnat(y)
    if y.dtype != object:
        return np.ones(len(y), dtype=bool)
    return np.array([_is_there(label) for label in y], dtype=bool)


def _is_there(label) -> bool:
    # A missing value differs from itself or, like pandas' NA, does not compare.
    try:
        return label is not None and bool(label == label)
    except TypeError:
        return False
