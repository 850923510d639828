"""Losses of the difference between output and target."""

import math
import numbers

import torch
from torch import Tensor

from skae.objectives._reconstruction import ReconstructionLoss


class _DifferenceLoss(ReconstructionLoss):
    """Base of the losses of a difference, of which the output is first clipped to a range.

    The gradient passes as if it had not been clipped: an output beyond a bound costs nothing if
    the target lies on that bound, and is drawn back if it does not.
    """

    lower: Tensor | None
    upper: Tensor | None

    def __init__(self, lower: Tensor | None = None, upper: Tensor | None = None):
        super().__init__()
        self.register_buffer("lower", lower)
        self.register_buffer("upper", upper)

    def _of_difference(self, difference: Tensor) -> Tensor:
        """Return the loss of each cell."""
        raise NotImplementedError

    def _rows_and_derivative_(self, difference: Tensor, factor) -> tuple[Tensor, Tensor]:
        """Return the losses of rows, and turn the difference into `factor` times the gradient."""
        raise NotImplementedError

    def _cells(self, output: Tensor, target: Tensor) -> Tensor:
        if self.lower is not None:
            clipped = torch.clamp(output, self.lower, self.upper)
            differentiates = torch.is_grad_enabled()
            output = output + (clipped - output).detach() if differentiates else clipped
        return self._of_difference(output - target)

    def _rows_and_gradient_(self, output: Tensor, target: Tensor, factor) -> tuple[Tensor, Tensor]:
        if self.lower is not None:
            torch.clamp(output, self.lower, self.upper, out=output)
        return self._rows_and_derivative_(output.sub_(target), factor)


class SquaredError(_DifferenceLoss):
    """Squared difference in standardised units.

    Where features have a range the output is clipped to it before the comparison, while the
    gradient passes as if it had not been: an output beyond a bound costs nothing if the target
    lies on that bound, and is drawn back if it does not.

    Parameters
    ----------
    lower, upper : Tensor of shape (n_features,), default=None
        Range of the features in standardised units, as in `skae.modules.LinearOutput`.

    Examples
    --------
    >>> import torch
    >>> from skae.objectives import SquaredError
    >>> SquaredError()(torch.tensor([[1.0, 3.0]]), torch.tensor([[1.0, 1.0]]))
    tensor(2.)
    """

    def _of_difference(self, difference: Tensor) -> Tensor:
        return difference.square()

    def _rows_and_derivative_(self, difference: Tensor, factor) -> tuple[Tensor, Tensor]:
        norms = torch.linalg.vector_norm(difference, dim=-1)
        return norms.square_().div_(difference.shape[-1]), difference.mul_(2 * factor)


class AbsoluteError(_DifferenceLoss):
    """Absolute difference in standardised units: the reconstruction aims at medians.

    A cell that is far off counts by its distance, not by its square, so that a few of them do not
    decide what the network learns.

    Parameters
    ----------
    lower, upper : Tensor of shape (n_features,), default=None
        Range of the features in standardised units, as for `SquaredError`.

    Examples
    --------
    >>> import torch
    >>> from skae.objectives import AbsoluteError
    >>> AbsoluteError()(torch.tensor([[1.0, 4.0]]), torch.tensor([[1.0, 1.0]]))
    tensor(1.5000)
    """

    def _of_difference(self, difference: Tensor) -> Tensor:
        return difference.abs()

    def _rows_and_derivative_(self, difference: Tensor, factor) -> tuple[Tensor, Tensor]:
        norms = torch.linalg.vector_norm(difference, ord=1, dim=-1)
        return norms.div_(difference.shape[-1]), difference.sign_().mul_(factor)


class HuberLoss(_DifferenceLoss):
    """Half the squared difference up to a threshold, and a straight line beyond it.

    Parameters
    ----------
    delta : float, default=1.35
        The threshold in standardised units, greater than 0. One such unit is the root of PCA's
        mean squared error per cell, so the default counts as an outlier what is 1.35 times as far
        off as PCA is on average; Huber's own figure, for the efficiency of 95 % where errors are
        normally distributed. Make it smaller where many cells are wild.
    lower, upper : Tensor of shape (n_features,), default=None
        Range of the features in standardised units, as for `SquaredError`.

    Raises
    ------
    ValueError
        If `delta` is not a positive number.

    References
    ----------
    Huber, P. J. (1964). Robust estimation of a location parameter. Annals of Mathematical
    Statistics 35(1), 73-101. https://doi.org/10.1214/aoms/1177703732

    Examples
    --------
    >>> import torch
    >>> from skae.objectives import HuberLoss
    >>> HuberLoss(delta=1.0)(torch.tensor([[1.0, 4.0]]), torch.tensor([[0.0, 0.0]]))
    tensor(2.)
    """

    def __init__(
        self, delta: float = 1.35, lower: Tensor | None = None, upper: Tensor | None = None
    ):
        super().__init__(lower, upper)
        is_number = isinstance(delta, numbers.Real) and not isinstance(delta, bool)
        if not (is_number and 0 < delta < math.inf):
            raise ValueError(
                f"`delta` must be a finite number above 0, in standardised units. Got {delta!r}. "
                "1.35 is usual."
            )
        self.delta = delta

    def _of_difference(self, difference: Tensor) -> Tensor:
        # Half the square inside the threshold, where both are the same.
        clipped = difference.clamp(-self.delta, self.delta)
        return clipped * (difference - clipped / 2)

    def _rows_and_derivative_(self, difference: Tensor, factor) -> tuple[Tensor, Tensor]:
        rows = self._of_difference(difference).mean(-1)
        return rows, difference.clamp_(-self.delta, self.delta).mul_(factor)
