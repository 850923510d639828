"""Loss and matching output of the network, in the units of a table."""

from torch import nn

from skae._engine.tables.units import Units
from skae.modules import ExponentialOutput, LinearOutput, LogisticOutput, MixedOutput
from skae.objectives import ColumnUnits, PreparedLoss, ReconstructionLoss

# Outputs of the network in the units of X, by the link of the loss.
_OUTPUTS: dict[str, type[nn.Module]] = {
    "logistic": LogisticOutput,
    "exponential": ExponentialOutput,
    "mixed": MixedOutput,
}


def make_output(link: str | tuple, units: Units) -> nn.Module:
    """Return the part of the network that turns the decoder's output into reconstructions."""
    name, *structure = (link,) if isinstance(link, str) else link
    if name in _OUTPUTS:
        return _OUTPUTS[name](units.mean, units.scale, *structure)
    return LinearOutput(*units.limits)


def make_loss(loss: ReconstructionLoss, units: Units, *, masked: bool) -> PreparedLoss:
    """Return the loss prepared for a table, whose cells may be missing if `masked`."""
    lower, upper = units.limits if loss.link == "identity" else (None, None)
    return loss.prepare(ColumnUnits(units.mean, units.scale, lower, upper), masked=masked)
