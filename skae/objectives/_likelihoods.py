"""Losses whose output is the parameter of a distribution, in the units of X."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from skae._shared.constants import GREATEST_LOG_RATE
from skae.objectives._reconstruction import ReconstructionLoss
from skae.objectives._units import ColumnUnits


class BinaryCrossEntropy(ReconstructionLoss):
    """Cross-entropy in nats of each cell, which is a probability in the units of X.

    Examples
    --------
    >>> import torch
    >>> from skae.objectives import BinaryCrossEntropy
    >>> loss = BinaryCrossEntropy().prepare()
    >>> loss(torch.tensor([[0.0]]), torch.tensor([[1.0]]))
    tensor(0.6931)
    """

    link = "logistic"
    domain = (0.0, 1.0)
    must_beat_pca = True

    def cells(self, output: Tensor, target: Tensor, units: ColumnUnits) -> Tensor:
        """Return the cross-entropy of each cell."""
        return F.binary_cross_entropy_with_logits(output, units.restore(target), reduction="none")

    def rows_and_gradient_(
        self, output: Tensor, target: Tensor, factor, units: ColumnUnits
    ) -> tuple[Tensor, Tensor]:
        probability = units.restore(target)
        rows = F.binary_cross_entropy_with_logits(output, probability, reduction="none").mean(-1)
        return rows, output.sigmoid_().sub_(probability).mul_(factor)


class PoissonLoss(ReconstructionLoss):
    """Half the Poisson deviance in nats of each cell, which is a count in the units of X.

    The output is the logarithm of the rate. Half the deviance is the negative log-likelihood minus
    that of a rate equal to the count. It is 0 if the reconstruction is exact, and about 1/2 if the
    reconstruction is the rate from which the count was drawn.

    Notes
    -----
    Above ``exp(30)``, the rate is continued linearly, so that loss and gradient are finite for any
    output.

    References
    ----------
    McCullagh, P., Nelder, J. A. (1989). Generalized Linear Models, second edition.
    https://doi.org/10.1007/978-1-4899-3242-6

    Examples
    --------
    >>> import torch
    >>> from skae.objectives import PoissonLoss
    >>> loss = PoissonLoss().prepare()
    >>> loss(torch.tensor([[0.0, 0.0]]), torch.tensor([[0.0, 1.0]]))
    tensor(0.5000)
    """

    link = "exponential"
    domain = (0.0, math.inf)

    def cells(self, output: Tensor, target: Tensor, units: ColumnUnits) -> Tensor:
        """Return half the deviance of each cell."""
        rate = torch.exp(output.clamp_max(GREATEST_LOG_RATE))
        return _half_deviance(output, rate, _restore_counts(target, units))

    def rows_and_gradient_(
        self, output: Tensor, target: Tensor, factor, units: ColumnUnits
    ) -> tuple[Tensor, Tensor]:
        count, rate = _restore_counts(target, units), output.clamp_max(GREATEST_LOG_RATE).exp()
        rows = _half_deviance(output, rate, count).mean(-1)
        return rows, torch.sub(rate, count, out=output).mul_(factor)


def _restore_counts(target: Tensor, units: ColumnUnits) -> Tensor:
    # Standardising and back may turn zeros into small negative values.
    return units.restore(target).clamp_min_(0)


def _half_deviance(output: Tensor, rate: Tensor, count: Tensor) -> Tensor:
    """Return half the deviance, given outputs and clipped rates."""
    least = torch.xlogy(count, count) - count
    beyond = (output - GREATEST_LOG_RATE).clamp_min(0)
    return rate * (1 + beyond) - count * output + least
