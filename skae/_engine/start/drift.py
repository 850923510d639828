"""Warning about rows of a partial fit that differ from those of the first fit."""

import numpy as np
import torch

from skae._engine.start.prepared_table import PreparedTable
from skae._shared.warning import warn_user
from skae.exceptions import DriftWarning
from skae.modules import INPUT_LIMIT


def warn_of_drift(table: PreparedTable, input_scale: torch.Tensor):
    """Warn if rows lie beyond the range to which the encoder clips its input.

    The new rows are in the units of the first fit, in which `input_scale` gave columns about unit
    size.
    """
    units, scale = table.units, input_scale.cpu().double().numpy()
    shift = units.standardised(table.statistics.mean).double().numpy() * scale
    spread = table.deviations.double().numpy() * scale
    distances = np.hypot(shift, spread)
    worst = int(distances.argmax())
    if distances[worst] <= INPUT_LIMIT:
        return
    n_others = int((distances > INPUT_LIMIT).sum()) - 1
    others = f" and {n_others} more of X are up to" if n_others else " of X is"
    warn_user(
        f"Column {worst}{others} {distances[worst]:.3g} units of the network from the mean of the "
        "first rows, as a root mean square. One unit is about a standard deviation of the first "
        "rows, by which X is still centred and scaled, and the encoder clips its input at "
        f"{INPUT_LIMIT:g} units. Begin with rows drawn from the whole table, or fit a new model.",
        DriftWarning,
    )
