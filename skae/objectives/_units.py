"""Units and ranges of columns, for losses."""

import functools

import torch
from torch import Tensor, nn


@functools.lru_cache(256)
def as_tensor(number: float, dtype: torch.dtype) -> Tensor:
    """Return a tensor of a number, which nothing may change.

    PyTorch converts a number in each operation, which takes longer than an operation on few cells.
    """
    return torch.tensor(number, dtype=dtype, device="cpu")


class ColumnUnits(nn.Module):
    """Units and ranges of the columns, for losses in the units of X.

    Its tensors are buffers, so they follow the network to its device and its precision.

    Parameters
    ----------
    mean : Tensor of shape (n_features,), default=None
        Mean of each column in the units of X. None is 0.
    scale : Tensor of shape (), default=None
        Size of one standardised unit in the units of X, greater than 0. None is 1.
    lower, upper : Tensor of shape (n_features,), default=None
        Range of the reconstructions in standardised units. None is unbounded.

    Examples
    --------
    >>> import torch
    >>> from skae.objectives import ColumnUnits
    >>> units = ColumnUnits(torch.tensor([1.0, 5.0]), torch.tensor(2.0))
    >>> units.restore(torch.tensor([[0.0, -1.0]]))
    tensor([[1., 3.]])
    """

    mean: Tensor
    scale: Tensor
    lower: Tensor | None
    upper: Tensor | None

    def __init__(
        self,
        mean: Tensor | None = None,
        scale: Tensor | None = None,
        lower: Tensor | None = None,
        upper: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros((), device="cpu") if mean is None else mean)
        self.register_buffer("scale", torch.ones((), device="cpu") if scale is None else scale)
        self.register_buffer("lower", lower)
        self.register_buffer("upper", upper)

    def restore(self, rows: Tensor) -> Tensor:
        """Return standardised rows in the units of X.

        Parameters
        ----------
        rows : Tensor of shape (..., n_features)
            Standardised rows.

        Returns
        -------
        restored : Tensor of shape (..., n_features)
            Rows in the units of X.
        """
        return torch.addcmul(self.mean, rows, self.scale)

    def clip(self, output: Tensor) -> Tensor:
        """Return outputs clipped to the range of the columns.

        The gradient ignores the clipping, so that an output beyond a bound is pulled back unless
        the target lies on the bound. Only a gradient that would move it further away becomes zero.

        Parameters
        ----------
        output : Tensor of shape (..., n_features)
            Standardised reconstructions.

        Returns
        -------
        clipped : Tensor of shape (..., n_features)
            Reconstructions within the range.
        """
        if self.lower is None:
            return output
        clipped = torch.clamp(output, self.lower, self.upper)
        if not (torch.is_grad_enabled() and output.requires_grad):
            return clipped
        fixed = output.detach()
        excess = fixed - clipped.detach()
        clipped = clipped.detach() + (output - fixed)
        # Losses with a kink at zero may have a gradient there, which nothing would ever stop.
        clipped.register_hook(lambda gradient: gradient.masked_fill(gradient * excess < 0, 0))
        return clipped

    def clip_(self, output: Tensor) -> Tensor:
        """Clip outputs in place, for explicit gradients."""
        # PyTorch takes a microsecond to find each by its name.
        lower, upper = self._buffers["lower"], self._buffers["upper"]
        return output if lower is None else torch.clamp(output, lower, upper, out=output)
