"""When a lower loss on a few rows is taken for a better model."""

import torch

# The mean improvement must be so many times its own standard error.
_STANDARD_ERRORS = 2.5


def is_clear_improvement(before: torch.Tensor, after: torch.Tensor, weights=None) -> bool:
    """Tell whether losses of the same rows have fallen by more than chance would let them.

    Parameters
    ----------
    before, after : Tensor of shape (n_samples,)
        Loss of each row under the two models.
    weights : Tensor of shape (n_samples,), default=None
        Weights of the rows; equal where None.

    Returns
    -------
    is_clear : bool
        Whether the mean of the differences exceeds 2.5 times its standard error.
    """
    difference = (before - after).double().cpu()
    weights = torch.ones_like(difference) if weights is None else weights.double().cpu()
    shares = weights / weights.sum()
    mean = shares @ difference
    # n / (n - 1) with the effective number of rows in the place of n.
    n_effective = 1 / (shares @ shares)
    if n_effective < 1.5:
        return False
    variance = (shares @ (difference - mean).square()) / (n_effective - 1)
    return bool(mean > _STANDARD_ERRORS * variance.sqrt())
