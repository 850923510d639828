"""Losses that take the output for the parameter of a distribution, in the unit of X."""

import torch
from torch import Tensor
from torch.nn import functional as F

from skae.objectives._reconstruction import ReconstructionLoss

# As in `skae.modules.ExponentialOutput`: beyond this logarithm a rate is next to no float32.
_GREATEST_LOG_RATE = 30.0


class _LikelihoodLoss(ReconstructionLoss):
    """Base of the losses that compare in the unit of X.

    Parameters
    ----------
    mean : Tensor of shape (n_features,)
        Mean of X.
    scale : Tensor of shape ()
        What X was divided by after centring.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, mean: Tensor, scale: Tensor):
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("scale", scale)

    def _unscale(self, target: Tensor) -> Tensor:
        """Return rows in the unit of X."""
        return torch.addcmul(self.mean, target, self.scale)


class BinaryCrossEntropy(_LikelihoodLoss):
    """Cross-entropy of each cell, taken as a probability in the unit of X, in nats.

    Parameters
    ----------
    mean : Tensor of shape (n_features,)
        Mean of X.
    scale : Tensor of shape ()
        What X was divided by after centring.

    Examples
    --------
    >>> import torch
    >>> from skae.objectives import BinaryCrossEntropy
    >>> loss = BinaryCrossEntropy(torch.zeros(1), torch.tensor(1.0))
    >>> loss(torch.tensor([[0.0]]), torch.tensor([[1.0]]))
    tensor(0.6931)
    """

    def _cells(self, output: Tensor, target: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(output, self._unscale(target), reduction="none")

    def _rows_and_gradient_(self, output: Tensor, target: Tensor, factor) -> tuple[Tensor, Tensor]:
        probability = self._unscale(target)
        rows = F.binary_cross_entropy_with_logits(output, probability, reduction="none").mean(-1)
        return rows, output.sigmoid_().sub_(probability).mul_(factor)


class PoissonLoss(_LikelihoodLoss):
    """Half the Poisson deviance of each cell, a count in the unit of X, in nats.

    The output is the logarithm of the rate. The deviance is the negative log-likelihood less that
    of a rate equal to the count, so that it is 0 where the reconstruction is exact and about 1/2
    where it is the rate that the count was drawn from.

    Parameters
    ----------
    mean : Tensor of shape (n_features,)
        Mean of X.
    scale : Tensor of shape ()
        What X was divided by after centring.

    Notes
    -----
    Rates above ``exp(30)`` are continued along a straight line, so that loss and gradient stay
    finite whatever the output.

    References
    ----------
    McCullagh, P., Nelder, J. A. (1989). Generalized Linear Models, second edition.
    https://doi.org/10.1007/978-1-4899-3242-6

    Examples
    --------
    >>> import torch
    >>> from skae.objectives import PoissonLoss
    >>> loss = PoissonLoss(torch.zeros(2), torch.tensor(1.0))
    >>> loss(torch.tensor([[0.0, 0.0]]), torch.tensor([[0.0, 1.0]]))
    tensor(0.5000)
    """

    def _count(self, target: Tensor) -> Tensor:
        # Standardising and back may leave a zero a little below.
        return self._unscale(target).clamp_min_(0)

    def _deviance(self, output: Tensor, rate: Tensor, count: Tensor) -> Tensor:
        """Return half the deviance, given the rate of outputs that are not too great."""
        least = torch.xlogy(count, count) - count
        beyond = (output - _GREATEST_LOG_RATE).clamp_min(0)
        return rate * (1 + beyond) - count * output + least

    def _cells(self, output: Tensor, target: Tensor) -> Tensor:
        rate = torch.exp(output.clamp_max(_GREATEST_LOG_RATE))
        return self._deviance(output, rate, self._count(target))

    def _rows_and_gradient_(self, output: Tensor, target: Tensor, factor) -> tuple[Tensor, Tensor]:
        count, rate = self._count(target), torch.exp(output.clamp_max(_GREATEST_LOG_RATE))
        rows = self._deviance(output, rate, count).mean(-1)
        return rows, torch.sub(rate, count, out=output).mul_(factor)
