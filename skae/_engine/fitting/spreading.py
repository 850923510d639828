"""Check whether a fit can be distributed over several processes."""

import torch

from skae._engine.compute.ranks import Alone
from skae._engine.families.family import Family
from skae._engine.fitting.splitting import Separation
from skae._engine.settings import LoopSettings, NetworkSettings

# The covariance of wider tables is not summed over ranks.
_MOST_COLUMNS = 2000


def check_spreading(
    ranks: Alone,
    shape: tuple[int, int],
    family: Family,
    network: NetworkSettings,
    loop: LoopSettings,
    separation: Separation,
) -> None:
    """Raise an error if a fit needs more than sums over rows, so that processes cannot share it.

    `shape` is that of the rows of all ranks together.
    """
    found = _find_unspreadable(family, network, loop, shape)
    remedy = "Change that, or fit in one process."
    if found is None and not ranks.shared:
        found = _find_what_needs_all_rows(network, separation, shape)
        remedy = "Give every process all rows with rows='shared', or fit in one process."
    if found is not None:
        raise ValueError(
            f"Fits by several processes must be made of sums over rows. Got {found}. {remedy}"
        )


def _find_unspreadable(family, network, loop, shape) -> str | None:
    """Return the part of the fit that cannot be distributed, or None."""
    if not family.spreads:
        return (
            f"a network of the kind {type(family).__name__!r}, or a penalty, whose loss depends on "
            "the other rows of a batch"
        )
    if network.normalization == "batch":
        return "normalization='batch'"
    if not family.loss.tells_rows_apart(shape[1], network.torch_dtype):
        return "a loss that returns a single number for all rows"
    optimizer = (loop.net_params or {}).get("optimizer")
    if isinstance(optimizer, type) and issubclass(optimizer, torch.optim.LBFGS):
        return "an optimiser that asks for the loss again within a step"
    return None


def _find_what_needs_all_rows(network, separation, shape) -> str | None:
    """Return the part that requires all rows in every process, or None."""
    n_samples, n_features = shape
    if network.masked:
        return "missing='mask'"
    if network.rotation == "ica":
        return "rotation='ica'"
    if separation.groups is not None or separation.split is not None:
        return "`groups`, or a splitter as `validation_fraction`"
    if n_features > min(_MOST_COLUMNS, max(2 * n_samples, 64)):
        return f"a table of {n_features} columns"
    return None
