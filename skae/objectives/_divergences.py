"""Divergences of the distribution of codes from a prior."""

import torch
from torch import Tensor

from skae.objectives._draws import fresh_generator
from skae.objectives._penalties import Penalty

# Widths of the kernels, as shares of the mean squared distance of two normal draws.
_KERNEL_WIDTHS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


def gaussian_divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Return the Kullback-Leibler divergence from the standard normal distribution.

    Parameters
    ----------
    mean, log_variance : Tensor of shape (..., n_components)
        Means and logarithms of the variances of independent normal distributions.

    Returns
    -------
    divergence : Tensor of shape (..., n_components)
        Divergence of each code in nats, at least 0.

    Examples
    --------
    >>> import torch
    >>> from skae.objectives import gaussian_divergence
    >>> gaussian_divergence(torch.tensor([0.0, 1.0]), torch.zeros(2))
    tensor([0.0000, 0.5000])
    """
    return (mean.square() + torch.expm1(log_variance) - log_variance) / 2


class MaximumMeanDiscrepancy(Penalty):
    """Squared maximum mean discrepancy of the codes from draws of a prior.

    As in Wasserstein autoencoders, the kernel is a sum of inverse multiquadrics ``c / (c + |a -
    b|^2)``, with seven values of `c` around the mean squared distance of two draws from the
    standard normal distribution.

    Parameters
    ----------
    prior : callable
        Function of the number of draws, the number of codes and a generator, which returns draws of
        shape (n_draws, n_components) on the CPU.

    References
    ----------
    Tolstikhin, I., Bousquet, O., Gelly, S. and Schölkopf, B. (2018). Wasserstein auto-encoders.
    https://doi.org/10.48550/arXiv.1711.01558

    Gretton, A. et al. (2012). A kernel two-sample test. Journal of Machine Learning Research 13,
    723-773. https://jmlr.org/papers/v13/gretton12a.html

    Examples
    --------
    >>> import torch
    >>> from skae.objectives import MaximumMeanDiscrepancy
    >>> penalty = MaximumMeanDiscrepancy(lambda n, k, generator: torch.zeros(n, k))
    >>> penalty(None, torch.zeros(5, 3), torch.zeros(5, 2)).item()
    0.0
    """

    default_alpha = 3.0
    rotates = False

    def __init__(self, prior) -> None:
        self.prior = prior

    def __call__(
        self, module, inputs: Tensor, code: Tensor, *, generator: torch.Generator | None = None
    ) -> Tensor:
        """Return the discrepancy (the biased estimate, which includes pairs of equal points)."""
        generator = fresh_generator() if generator is None else generator
        draws = self.prior(*code.shape, generator).to(code)
        among_codes, among_draws = _mean_kernel(code, code), _mean_kernel(draws, draws)
        return among_codes + among_draws - 2 * _mean_kernel(code, draws)


def _mean_kernel(one: Tensor, other: Tensor) -> Tensor:
    # Not by `torch.cdist`, as the derivative of a distance is not finite at zero.
    lengths = [table.square().sum(1) for table in (one, other)]
    distances = lengths[0][:, None] + lengths[1] - 2 * one @ other.T
    total: Tensor = torch.zeros((), dtype=one.dtype, device=one.device)
    for factor in _KERNEL_WIDTHS:
        width = 2 * one.shape[1] * factor
        total = total + (width / (width + distances.clamp_min(0))).mean()
    return total
