"""The loss and the output that fits it, in the units of a table."""

from torch import nn

from skae._engine.tables.units import Units
from skae.modules import ExponentialOutput, LinearOutput, LogisticOutput
from skae.objectives import ColumnUnits, PreparedLoss, ReconstructionLoss

# Outputs of the network in the unit of X, by the link of the loss.
_OUTPUTS: dict[str, type[nn.Module]] = {
    "logistic": LogisticOutput,
    "exponential": ExponentialOutput,
}


def make_output(link: str, units: Units) -> nn.Module:
    """Return the part of the network that turns the decoder's output into reconstructions."""
    if link in _OUTPUTS:
        return _OUTPUTS[link](units.mean, units.scale)
    return LinearOutput(*units.limits)


def make_loss(loss: ReconstructionLoss, units: Units, *, masked: bool) -> PreparedLoss:
    """Return a loss ready for a table, in which cells may be missing if it is masked."""
    lower, upper = (None, None) if loss.link in _OUTPUTS else units.limits
    return loss.prepare(ColumnUnits(units.mean, units.scale, lower, upper), masked=masked)
