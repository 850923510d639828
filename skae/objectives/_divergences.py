"""How far codes are from the distribution that they are to have."""

import torch
from torch import Tensor


def gaussian_divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Return the Kullback-Leibler divergence of normal distributions from the standard one.

    Parameters
    ----------
    mean, log_variance : Tensor of shape (..., n_components)
        Of independent normal distributions.

    Returns
    -------
    divergence : Tensor of shape (..., n_components)
        Of each code, in nats.

    Examples
    --------
    >>> import torch
    >>> from skae.objectives import gaussian_divergence
    >>> gaussian_divergence(torch.tensor([0.0, 1.0]), torch.zeros(2))
    tensor([0.0000, 0.5000])
    """
    return (mean.square() + torch.expm1(log_variance) - log_variance) / 2
