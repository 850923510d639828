"""Distributions of a row given its code: reconstruction losses with their normalising constants."""

import math

import torch
from torch import Tensor, nn

from skae.objectives._reconstruction import PreparedLoss

# Noise below this share of the standardised unit, which is PCA's own error, is none.
_LEAST_LOG_SCALE = math.log(1e-3)


class Likelihood(nn.Module):
    """Base of the distributions of a row given the output of the decoder.

    A row's cells are independent given the output. Densities are those of standardised rows.

    Parameters
    ----------
    loss : PreparedLoss
        Distance between output and row on which the density depends.

    Examples
    --------
    >>> from skae.objectives import GaussianLikelihood, Likelihood, SquaredError
    >>> isinstance(GaussianLikelihood(SquaredError().prepare()), Likelihood)
    True
    """

    def __init__(self, loss: PreparedLoss) -> None:
        super().__init__()
        self.loss = loss

    def log_density(self, output: Tensor, rows: Tensor) -> Tensor:
        """Return the log-density of rows.

        Parameters
        ----------
        output : Tensor of shape (..., n_features)
            Output of the decoder.
        rows : Tensor of shape (..., n_features)
            Standardised rows.

        Returns
        -------
        log_density : Tensor of shape (...)
            In nats, summed over the features; over those that are not missing where the loss is
            masked.
        """
        raise NotImplementedError

    def observe(self, rows: Tensor, generator: torch.Generator) -> Tensor:
        """Return what training observes: the rows, or draws whose mean they are.

        Parameters
        ----------
        rows : Tensor of shape (n_samples, n_features)
            Standardised rows.
        generator : torch.Generator
            Source of the draws, on the CPU.

        Returns
        -------
        observed : Tensor of shape (n_samples, n_features)
            Standardised rows.
        """
        return rows


class NoisyLikelihood(Likelihood):
    """Base of the likelihoods with one scale of the noise for all cells, which is learned.

    It starts at 1 in standardised units.

    Parameters
    ----------
    loss : PreparedLoss
        Distance of a cell from the output.

    Examples
    --------
    >>> from skae.objectives import GaussianLikelihood, SquaredError
    >>> likelihood = GaussianLikelihood(SquaredError().prepare())
    >>> likelihood.set_deviation_(0.5)
    >>> round(likelihood.scale.item(), 4)
    0.5
    """

    log_constant: float
    deviation_of_unit: float
    power: int
    least_log_scale = _LEAST_LOG_SCALE

    def __init__(self, loss: PreparedLoss) -> None:
        super().__init__(loss)
        self.log_scale = nn.Parameter(torch.zeros((), device="cpu"))

    @torch.no_grad()
    def set_deviation_(self, deviation: float):
        """Give the noise a standard deviation, in standardised units and greater than 0."""
        self.log_scale.fill_(math.log(deviation / self.deviation_of_unit))

    @property
    def scale(self) -> Tensor:
        """Scale of the noise in standardised units, of shape ()."""
        return self.bounded_log_scale.exp()

    @property
    def bounded_log_scale(self) -> Tensor:
        """Logarithm of the scale, kept from where the likelihood has no bound any more."""
        return self.log_scale.clamp_min(self.least_log_scale)

    def log_density(self, output: Tensor, rows: Tensor) -> Tensor:
        """Return the log-density of rows."""
        constant = self.log_constant + self.bounded_log_scale
        return -self._distance(output, rows).sum(-1) - self._count_cells(rows) * constant

    def _count_cells(self, rows: Tensor) -> Tensor | int:
        """Return how many cells of each row are there."""
        return (~rows.isnan()).sum(-1) if self.loss.masked else rows.shape[-1]

    def _distance(self, output: Tensor, rows: Tensor) -> Tensor:
        """Return the exponent of each cell's density, but for its sign."""
        scale = torch.exp(-self.power * self.bounded_log_scale)
        return self.loss.cells(output, rows) * (scale / self.power)


class GaussianLikelihood(NoisyLikelihood):
    """Normally distributed noise of one standard deviation for all cells, which is learned.

    Parameters
    ----------
    loss : PreparedLoss
        The squared error: squared distance of a cell from the output.

    Examples
    --------
    >>> import torch
    >>> from skae.objectives import GaussianLikelihood, SquaredError
    >>> likelihood = GaussianLikelihood(SquaredError().prepare())
    >>> round(likelihood.log_density(torch.zeros(1, 2), torch.zeros(1, 2)).item(), 4)
    -1.8379
    """

    log_constant = math.log(2 * math.pi) / 2
    deviation_of_unit = 1.0
    power = 2


class LaplaceLikelihood(NoisyLikelihood):
    """Noise with Laplace's distribution, of one scale for all cells, which is learned.

    The scale is the mean absolute deviation.

    Parameters
    ----------
    loss : PreparedLoss
        The absolute error: distance of a cell from the output.

    Examples
    --------
    >>> import torch
    >>> from skae.objectives import AbsoluteError, LaplaceLikelihood
    >>> likelihood = LaplaceLikelihood(AbsoluteError().prepare())
    >>> round(likelihood.log_density(torch.zeros(1, 2), torch.ones(1, 2)).item(), 4)
    -3.3863
    """

    log_constant = math.log(2)
    deviation_of_unit = math.sqrt(2)
    power = 1


class BernoulliLikelihood(Likelihood):
    """Cells are 0 or 1; the output is the logit of a 1.

    A cell in between is the probability of a 1: what is observed of it is a draw, another one each
    time. Its density is the mean over such draws of the log-density.

    Parameters
    ----------
    loss : PreparedLoss
        The binary cross-entropy, with the units of the columns.

    References
    ----------
    Salakhutdinov, R. and Murray, I. (2008). On the quantitative analysis of deep belief networks.
    ICML, where grey values are taken for probabilities. https://doi.org/10.1145/1390156.1390266

    Examples
    --------
    >>> import torch
    >>> from skae.objectives import BernoulliLikelihood, BinaryCrossEntropy
    >>> likelihood = BernoulliLikelihood(BinaryCrossEntropy().prepare())
    >>> round(likelihood.log_density(torch.zeros(1, 2), torch.ones(1, 2)).item(), 4)
    -1.3863
    """

    def log_density(self, output: Tensor, rows: Tensor) -> Tensor:
        """Return the log-density of rows."""
        return -self.loss.cells(output, rows).sum(-1)

    def observe(self, rows: Tensor, generator: torch.Generator) -> Tensor:
        """Return draws of zeros and ones with these rows as mean, standardised."""
        units = self.loss.units
        probability = units.restore(rows)
        draws = torch.rand(rows.shape, generator=generator, dtype=rows.dtype, device="cpu")
        observed = ((draws.to(rows.device) < probability).to(rows.dtype) - units.mean) / units.scale
        return torch.where(rows.isnan(), rows, observed) if self.loss.masked else observed


LIKELIHOODS: dict[str, type[Likelihood]] = {
    "gaussian": GaussianLikelihood,
    "laplace": LaplaceLikelihood,
    "bernoulli": BernoulliLikelihood,
}
