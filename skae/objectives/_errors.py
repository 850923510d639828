"""Losses of the difference between output and target."""

import math
import numbers

import torch
from torch import Tensor

from skae.objectives._reconstruction import ReconstructionLoss
from skae.objectives._units import ColumnUnits, as_tensor


class _DifferenceLoss(ReconstructionLoss):
    """Base class of losses that depend only on the difference."""

    def _of_difference(self, difference: Tensor) -> Tensor:
        """Return the loss of each cell."""
        raise NotImplementedError

    def _rows_and_derivative_(self, difference: Tensor, factor) -> tuple[Tensor, Tensor]:
        """Return the losses of rows, and turn the difference into `factor` times the gradient."""
        raise NotImplementedError

    def cells(self, output: Tensor, target: Tensor, units: ColumnUnits) -> Tensor:
        return self._of_difference(output - target)

    def rows_and_gradient_(
        self, output: Tensor, target: Tensor, factor, units: ColumnUnits
    ) -> tuple[Tensor, Tensor]:
        return self._rows_and_derivative_(output.sub_(target), factor)


class SquaredError(_DifferenceLoss):
    """Squared difference in standardised units.

    If columns have a range, the output is clipped to it before the comparison, but the gradient
    ignores the clipping. An output beyond a bound has zero loss if the target lies on the bound,
    and is pulled back otherwise.

    Examples
    --------
    >>> import torch
    >>> from skae.objectives import SquaredError
    >>> SquaredError().prepare()(torch.tensor([[1.0, 3.0]]), torch.tensor([[1.0, 1.0]]))
    tensor(2.)
    """

    must_beat_pca = True

    def _of_difference(self, difference: Tensor) -> Tensor:
        return difference.square()

    def _rows_and_derivative_(self, difference: Tensor, factor) -> tuple[Tensor, Tensor]:
        norms = torch.linalg.vector_norm(difference, dim=-1)
        n_cells = as_tensor(difference.shape[-1], difference.dtype)
        return norms.square_().div_(n_cells), difference.mul_(factor + factor)


class AbsoluteError(_DifferenceLoss):
    """Absolute difference in standardised units, minimised by the median.

    Large errors count by their size rather than its square, so a few outliers have less influence
    on the network.

    Examples
    --------
    >>> import torch
    >>> from skae.objectives import AbsoluteError
    >>> AbsoluteError().prepare()(torch.tensor([[1.0, 4.0]]), torch.tensor([[1.0, 1.0]]))
    tensor(1.5000)
    """

    def _of_difference(self, difference: Tensor) -> Tensor:
        return difference.abs()

    def _rows_and_derivative_(self, difference: Tensor, factor) -> tuple[Tensor, Tensor]:
        norms = torch.linalg.vector_norm(difference, ord=1, dim=-1)
        return norms.div_(difference.shape[-1]), difference.sign_().mul_(factor)


class HuberLoss(_DifferenceLoss):
    """Half the squared difference up to a threshold, and linear beyond it.

    Parameters
    ----------
    delta : float, default=1.35
        Threshold in standardised units, greater than 0. One unit is PCA's root mean squared error
        per cell, so the default treats errors above 1.35 times that value as outliers. Huber chose
        1.35 for an efficiency of 95 % with normally distributed errors. Use a smaller value if
        there are many outliers.

    Raises
    ------
    ValueError
        If `delta` is not a positive number. Raised when the loss is used.

    References
    ----------
    Huber, P. J. (1964). Robust estimation of a location parameter. Annals of Mathematical
    Statistics 35(1), 73-101. https://doi.org/10.1214/aoms/1177703732

    Examples
    --------
    >>> import torch
    >>> from skae.objectives import HuberLoss
    >>> loss = HuberLoss(delta=1.0).prepare()
    >>> loss(torch.tensor([[1.0, 4.0]]), torch.tensor([[0.0, 0.0]]))
    tensor(2.)
    """

    def __init__(self, delta: float = 1.35) -> None:
        self.delta = delta

    def check(self) -> None:
        """Raise an error if `delta` is not a positive number."""
        is_number = isinstance(self.delta, numbers.Real) and not isinstance(self.delta, bool)
        if not (is_number and 0 < self.delta < math.inf):
            raise ValueError(
                "`delta` must be a finite number above 0, in standardised units. "
                f"Got {self.delta!r}. The usual value is 1.35."
            )

    def _of_difference(self, difference: Tensor) -> Tensor:
        # Inside the threshold, `clipped` equals `difference`, which gives half the square.
        clipped = difference.clamp(-self.delta, self.delta)
        return clipped * (difference - clipped / 2)

    def _rows_and_derivative_(self, difference: Tensor, factor) -> tuple[Tensor, Tensor]:
        rows = self._of_difference(difference).mean(-1)
        return rows, difference.clamp_(-self.delta, self.delta).mul_(factor)
