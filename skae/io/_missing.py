"""Treatment of missing values in a table."""

from dataclasses import dataclass

import numpy as np

from skae._shared.names import list_names

MISSING = ("error", "drop", "keep")
_REMEDY = (
    "Fill them in, leave out these rows with missing='drop' (on the command line: "
    "--drop-missing), or keep them with missing='keep'."
)


@dataclass(frozen=True, eq=False)
class Kept:
    """Masks of the rows and columns of a table that are kept, with remarks on rows left out."""

    rows: np.ndarray
    columns: np.ndarray
    remarks: tuple[str, ...]

    def take(self, X):
        """Return the part of a table that is kept."""
        if self.rows.all() and self.columns.all():
            return X
        if not isinstance(X, np.ndarray):
            return X.loc[self.rows, self.columns].reset_index(drop=True)
        return X[self.rows][:, self.columns]


def settle_missing(lacks, infinite, target_lacks, names, request):
    """Choose the rows and columns to keep, or raise an error.

    The masks are of missing and of infinite features, and of rows with a missing target. Infinite
    values are refused, as are missing values unless they are dropped or kept, and tables of which
    no row is left. Rows with a missing target are never kept.
    """
    columns = np.ones(len(names), dtype=bool)
    if request.missing == "error":
        _refuse_missing(target_lacks, request)
        _refuse(lacks | infinite, names, request.path, "missing or infinite", _REMEDY)
        return Kept(~target_lacks, columns, ())
    _refuse(
        infinite, names, request.path, "infinite", "Replace them, or drop these rows or columns."
    )
    lost = target_lacks
    if request.missing == "drop":
        # A column without any value would remove all rows.
        columns = ~lacks.all(axis=0)
        lost = lost | lacks[:, columns].any(axis=1)
    if lost.all():
        raise ValueError(
            f"`path` must have a row without missing values. Got {str(request.path)!r}, where "
            f"values are missing in all {len(lacks)} rows, in the columns {_count(lacks, names)}. "
            "Drop the columns with most missing values, or fill them in."
        )
    remarks = [f"Rows with missing values left out: {lost.sum()} of {len(lost)}"] * bool(lost.any())
    return Kept(~lost, columns, tuple(remarks))


def _refuse_missing(target_lacks, request):
    if target_lacks.any():
        raise ValueError(
            f"The target {request.target!r} must have no missing or infinite values. Got "
            f"{target_lacks.sum()} of them in {str(request.path)!r}. {_REMEDY}"
        )


def _refuse(bad, names, path, kind, remedy):
    if bad.any():
        raise ValueError(
            f"`path` must have no {kind} values. Got {str(path)!r} with some in "
            f"{_count(bad, names)}. {remedy}"
        )


def _count(bad, names):
    counts = zip(names, bad.sum(axis=0), strict=True)
    return list_names(f"{name} ({count})" for name, count in counts if count)
