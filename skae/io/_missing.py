"""Treatment of missing values in a table."""

from dataclasses import dataclass

import numpy as np

MISSING = ("error", "drop", "keep")
_SHOWN_NAMES = 10
_REMEDY = (
    "Fill them in, leave out these rows with missing='drop' (on the command line: "
    "--drop-missing), or keep them with missing='keep'."
)


@dataclass(frozen=True, eq=False)
class Kept:
    """Parts of a table that are kept.

    Attributes
    ----------
    rows : ndarray of bool of shape (n_samples,)
        The rows.
    columns : ndarray of bool of shape (n_features,)
        The columns.
    remarks : tuple of str
        Sentences on everything that was left out.
    """

    rows: np.ndarray
    columns: np.ndarray
    remarks: tuple[str, ...]


def settle_missing(lacks, infinite, target_lacks, names, path, target, missing):
    """Find out what of a table to keep, or refuse it.

    Parameters
    ----------
    lacks : ndarray of bool of shape (n_samples, n_features)
        Where features are missing.
    infinite : ndarray of bool of shape (n_samples, n_features)
        Where features are infinite.
    target_lacks : ndarray of bool of shape (n_samples,)
        Where the target is missing.
    names : sequence of str
        Names of the features.
    path : pathlib.Path
        The file, for messages.
    target : str or None
        Name of the target, for messages.
    missing : {"error", "drop", "keep"}
        Sentence that says what to do.

    Returns
    -------
    kept : Kept
        The rows and columns.

    Raises
    ------
    ValueError
        If values are missing that must not be, infinite, or missing in every row.
    """
    columns = np.ones(len(names), dtype=bool)
    if missing == "error":
        _refuse_missing(target_lacks, path, target)
        _refuse(lacks | infinite, names, path, "missing or infinite", _REMEDY)
        return Kept(~target_lacks, columns, ())
    _refuse(infinite, names, path, "infinite", "Replace them, or drop these columns or rows.")
    lost = target_lacks
    if missing == "drop":
        # A column without any value would cost all rows.
        columns = ~lacks.all(axis=0)
        lost = lost | lacks[:, columns].any(axis=1)
    if lost.all():
        raise ValueError(
            f"`path` must hold a row without missing values. Got {str(path)!r} with none: of "
            f"{len(lacks)} rows, values are missing in {_count(lacks, names)}. "
            "Drop the columns that lack most, or fill them in."
        )
    remarks = [f"Rows left out, for missing values: {lost.sum()} of {len(lost)}"] * bool(lost.any())
    return Kept(~lost, columns, tuple(remarks))


def _refuse_missing(target_lacks, path, target):
    if target_lacks.any():
        raise ValueError(
            f"The target {target!r} must hold no missing or infinite values. Got "
            f"{target_lacks.sum()} of them in {str(path)!r}. {_REMEDY}"
        )


def _refuse(bad, names, path, what, remedy):
    if bad.any():
        raise ValueError(
            f"`path` must hold no {what} values. Got {str(path)!r} with some in "
            f"{_count(bad, names)}. {remedy}"
        )


def _count(bad, names):
    counts = zip(names, bad.sum(axis=0), strict=True)
    return list_names(f"{name} ({count})" for name, count in counts if count)


def list_names(names):
    """Return names in a row, the first of many.

    Parameters
    ----------
    names : iterable of str
        The names.

    Returns
    -------
    listed : str
        Up to ten of them, and how many more there are.
    """
    names = list(names)
    listed = ", ".join(map(str, names[:_SHOWN_NAMES])) or "none"
    more = len(names) - _SHOWN_NAMES
    return f"{listed} and {more} more" if more > 0 else listed
