"""Filling of missing cells by a normal distribution, to get complete rows for a network."""

import torch
from torch import Tensor, nn

from skae.modules._recording import is_recording

# Conjugate gradients are exact up to rounding after as many steps as a row has missing cells, and
# accurate enough after this many.
_N_STEPS = 12
_TINY = 1e-30


class GaussianFilling(nn.Module):
    """Fills missing cells with their expectation given the observed cells of the row.

    The expectation is that of a fixed normal distribution, so the network behind this module starts
    from a linear imputation.

    Parameters
    ----------
    mean : Tensor of shape (..., n_features)
        Mean of the rows.
    precision : Tensor of shape (..., n_features, n_features), default=None
        Inverse of the covariance of the rows, which must be positive definite. If None, missing
        cells are filled with the mean.

    Notes
    -----
    With the precision `K` partitioned into missing cells `m` and observed cells `o`, the
    expectation is the mean minus ``inv(K_mm) K_mo (x_o - mean_o)``. It is computed for all rows of
    a batch at once, by a fixed number of steps of conjugate gradients with a diagonal
    preconditioner, so the fill of a row does not depend on other rows. Axes before the last two are
    those of models side by side.

    Examples
    --------
    >>> import torch
    >>> from skae.modules import GaussianFilling
    >>> covariance = torch.tensor([[1.0, 0.5], [0.5, 1.0]])
    >>> filling = GaussianFilling(torch.zeros(2), torch.linalg.inv(covariance))
    >>> filling(torch.tensor([[2.0, torch.nan], [torch.nan, torch.nan]])).round(decimals=3)
    tensor([[2., 1.],
            [0., 0.]])
    """

    mean: Tensor
    precision: Tensor | None

    def __init__(self, mean: Tensor, precision: Tensor | None = None) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("precision", precision)

    @torch.no_grad()
    def forward(self, rows: Tensor) -> Tensor:
        """Return rows without missing cells.

        Parameters
        ----------
        rows : Tensor of shape (..., n_samples, n_features)
            Rows, with NaN for missing cells.

        Returns
        -------
        filled : Tensor of the same shape
            Rows with unchanged observed cells.
        """
        missing, mean = rows.isnan(), self.mean.unsqueeze(-2)
        # On a GPU, filling takes less time than waiting for the result of this check.
        if not (rows.is_cuda or is_recording()) and not missing.any():
            return rows
        if self.precision is None:
            return torch.where(missing, mean, rows)
        centred = (rows - mean).masked_fill(missing, 0)
        # Reduced precision is too low for solving equations.
        with torch.autocast(rows.device.type, enabled=False):
            expected = _expect(centred, missing.to(rows.dtype), self.precision)
        return torch.where(missing, mean + expected, rows)


def _expect(centred: Tensor, missing: Tensor, precision: Tensor) -> Tensor:
    """Return the expectation of centred rows where `missing` is 1, and 0 elsewhere."""
    scale = 1 / precision.diagonal(dim1=-2, dim2=-1).unsqueeze(-2)
    residual = -(centred @ precision) * missing
    solution = torch.zeros_like(residual)
    step = residual * scale
    square = (residual * step).sum(-1, keepdim=True)
    for _ in range(_N_STEPS):
        product = (step @ precision).mul_(missing)
        length = square / (step * product).sum(-1, keepdim=True).clamp_min_(_TINY)
        solution.addcmul_(length, step)
        residual.addcmul_(length, product, value=-1)
        scaled, last = residual * scale, square
        square = (residual * scaled).sum(-1, keepdim=True)
        step = scaled.addcmul_(square / last.clamp_min(_TINY), step)
    return solution
