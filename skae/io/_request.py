"""File to read, with the choices of the user."""

import difflib
from dataclasses import dataclass
from decimal import Decimal
from numbers import Real
from pathlib import Path

import numpy as np

from skae._shared.names import list_names

# Reason of columns in `drop`.
ASKED = "as asked for"
_TARGETS = (str, Real, Decimal, np.bool_)
_REMEDIES = {
    "numeric": "Encode them as numbers, read columns of all kinds with numeric_only=False, or "
    "check that the columns of the file are these.",
    "usable": "Check that the columns of the file are these.",
}


@dataclass(frozen=True)
class Request:
    """File to read, with its target, the treatment of missing values, and columns to leave out."""

    path: Path
    target: str | None
    missing: str
    drop: tuple[str, ...]

    def check_drop(self, names):
        """Raise an error if a column to leave out is not among the names."""
        for name in self.drop:
            if name not in names:
                raise self.make_name_error("drop", name, names)

    def check_target(self, y):
        """Raise an error for a target of other values than finite numbers, booleans and text."""
        others = _find_others(y)
        if others:
            raise ValueError(
                f"The target {self.target!r} must hold numbers, booleans or text. Got values of "
                f"type {others[0].__name__} in {str(self.path)!r}. Convert them, as to text."
            )
        if y is not None and y.dtype.kind == "f" and np.isinf(y).any():
            raise ValueError(
                f"The target {self.target!r} must have no infinite values. Got "
                f"{np.isinf(y).sum()} of them in {str(self.path)!r}. Replace them, or leave out "
                "these rows."
            )

    def check_shape(self, n_samples, n_features, columns=(), kind="numeric"):
        """Raise an error for tables without rows, or without columns of a kind.

        The columns of the file have the reasons to leave them out. `kind` is "numeric" or "usable".
        """
        if n_samples == 0:
            raise ValueError(
                f"`path` must have at least one row. Got {str(self.path)!r}, which has none. "
                "Check that there are lines below the first."
            )
        if n_features == 0:
            reasons = list_names(f"{column.name} ({column.reason})" for column in columns)
            raise ValueError(
                f"`path` must have at least one {kind} column. Got {str(self.path)!r} with the "
                f"columns {reasons}. {_REMEDIES[kind]}"
            )

    def make_name_error(self, parameter, name, names):
        """Return an error for a name that is not in the file, which suggests a similar one."""
        spelled = {str(known).casefold(): known for known in names}
        close = difflib.get_close_matches(str(name).casefold(), spelled, n=1, cutoff=0.7)
        remedy = "Check its spelling, capital letters included."
        if close:
            remedy = f"Did you mean {spelled[close[0]]!r}?"
        return ValueError(
            f"`{parameter}` must be one of {list_names(names)}. Got {name!r}, which "
            f"{str(self.path)!r} lacks. {remedy}"
        )


def _find_others(y):
    """Return the types of the values of a target that are no numbers, booleans or text."""
    if y is None:
        return []
    kind = y.dtype.kind
    if kind not in "biufUO":
        return [y.dtype.type]
    # Arrays of objects are never read.
    found = set(map(type, y.dropna())) if kind == "O" else set()
    return [own for own in found if not issubclass(own, _TARGETS)]
