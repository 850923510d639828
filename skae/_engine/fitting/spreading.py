"""Which fits several processes can share, told before any of them trains."""

import torch

from skae._engine.compute.ranks import Alone
from skae._engine.families.family import Family
from skae._engine.fitting.splitting import Separation
from skae._engine.settings import LoopSettings, NetworkSettings

# The covariance of wider tables is not added up.
_MOST_COLUMNS = 2000


def check_spreading(
    ranks: Alone,
    shape: tuple[int, int],
    family: Family,
    network: NetworkSettings,
    loop: LoopSettings,
    separation: Separation,
) -> None:
    """Refuse fits that several processes cannot share.

    Parameters
    ----------
    ranks : Ranks
        The processes.
    shape : tuple of int
        Numbers of rows, of all ranks, and of columns.
    family : Family
        Kind of the autoencoder, with its losses.
    network : NetworkSettings
        The network that is asked for.
    loop : LoopSettings
        The loop that is asked for.
    separation : Separation
        Rows that must not stand on both sides of a split.

    Raises
    ------
    ValueError
        If something in the fit is not a sum over rows.
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
    """Return what no processes can share, None where there is nothing of the kind."""
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
    """Return what only processes with all rows can share."""
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
