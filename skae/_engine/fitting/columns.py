"""Mean losses of the columns of a frame on the rows that judge."""

from collections.abc import Iterable

import numpy as np
import torch

from skae._engine.families.family import Family
from skae._engine.fitting.prefixes import JudgedRows
from skae._engine.judgement import find_column_losses


@torch.no_grad()
def measure_columns(family: Family, parts: Iterable[JudgedRows]) -> np.ndarray | None:
    """Return the weighted mean loss of each column over rows that come in parts.

    Losses are in units of the columns' baselines; 1 for columns that are missing in all rows. None
    for tables of numbers alone.
    """
    loss = family.column_loss
    if loss is None:
        return None
    total = mass = torch.zeros(len(loss.sizes), dtype=torch.float64)
    for part in parts:
        losses = find_column_losses(part.module, part.rows, loss)[..., 0].cpu()
        weights = torch.ones(len(losses)) if part.weights is None else part.weights.cpu()
        own = torch.where(losses.isnan(), 0.0, weights.double()[:, None])
        total = total + (own * losses.nan_to_num(0.0)).sum(0)
        mass = mass + own.sum(0)
    return torch.where(mass > 0, total / mass.clamp_min(1e-300), 1.0).numpy()
