"""Checks of fits by several processes."""

from typing import Any

from skae._engine import RANKS, Separation
from skae._estimators.checkpoints import describe_fit


def check_agreement(estimator, rows, weights, separation: Separation | None) -> None:
    """Raise an error if several processes do not agree on a fit.

    They must have equal estimators, parameters, versions and kinds of tables.
    """
    ranks = RANKS.get()
    if ranks.size == 1:
        return
    fit = describe_fit(estimator, rows, weights, separation)
    if not ranks.shared:
        fit["table"] = {"columns": rows.shape[1], "type": str(rows.dtype)}
        fit["given"] = {name: value is not None for name, value in fit["given"].items()}
    fits = ranks.list_all(fit)
    for rank, other in enumerate(fits):
        differences = [name for name in fit if other[name] != fits[0][name]]
        if differences:
            raise ValueError(
                "All processes must fit the same estimator to tables of the same columns, or to "
                f"the same table with rows='shared'. Got another {differences[0]} on rank {rank} "
                f"than on rank 0: {_show(other[differences[0]], fits[0][differences[0]])}. Give "
                "all processes the same."
            )


def _show(one: Any, other: Any) -> str:
    if isinstance(one, dict) and isinstance(other, dict):
        names = [name for name in one if one[name] != other.get(name)]
        return ", ".join(f"{name} {one[name]!r} and {other.get(name)!r}" for name in names[:3])
    return f"{one!r} and {other!r}"


def refuse_continuation() -> None:
    """Raise an error for a fit that continues an earlier one in several processes."""
    if RANKS.get().size > 1:
        raise ValueError(
            "Fits by several processes must start from the beginning. Got one that continues an "
            "earlier fit, by `warm_start` or `partial_fit`. Use `fit` with warm_start=False, or a "
            "single process."
        )


def refuse_parts(what: str) -> None:
    """Raise an error if each process has its own rows, as `what` needs all rows."""
    ranks = RANKS.get()
    if ranks.size > 1 and not ranks.shared:
        raise ValueError(
            f"{what} must see all rows. Got several processes, each with its own rows. Give every "
            "process all rows with rows='shared', or fit in one process."
        )
