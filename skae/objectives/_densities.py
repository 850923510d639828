"""Likelihoods of rows given their codes, including normalising constants."""

import math

import torch
from torch import Tensor, nn

from skae.objectives._mixed import PreparedMixedLoss
from skae.objectives._reconstruction import PreparedLoss

# Noise scales are at least this share of the standardised unit, which is PCA's error.
_LEAST_LOG_SCALE = math.log(1e-3)


class Likelihood(nn.Module):
    """Base class of likelihoods, the distributions of a row given the output of the decoder.

    The cells of a row are independent given the output. Densities are those of standardised rows.

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
            Log-density in nats, summed over the observed features.
        """
        raise NotImplementedError

    def observe(self, rows: Tensor, generator: torch.Generator) -> Tensor:
        """Return the target of a training step: the rows, or draws with the rows as mean.

        Parameters
        ----------
        rows : Tensor of shape (n_samples, n_features)
            Standardised rows.
        generator : torch.Generator
            Generator of the draws, on the CPU.

        Returns
        -------
        observed : Tensor of shape (n_samples, n_features)
            Standardised rows.
        """
        return rows


class NoisyLikelihood(Likelihood):
    """Base class of likelihoods with one learned noise scale for all cells.

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
        """Set the standard deviation of the noise, in standardised units and greater than 0."""
        self.log_scale.fill_(math.log(deviation / self.deviation_of_unit))

    @property
    def scale(self) -> Tensor:
        """Scale of the noise in standardised units, of shape ()."""
        return self.bounded_log_scale.exp()

    @property
    def bounded_log_scale(self) -> Tensor:
        """Logarithm of the scale, bounded below because the likelihood is unbounded otherwise."""
        return self.log_scale.clamp_min(self.least_log_scale)

    def log_density(self, output: Tensor, rows: Tensor) -> Tensor:
        constant = self.log_constant + self.bounded_log_scale
        return -self._distance(output, rows).sum(-1) - self._count_cells(rows) * constant

    def _count_cells(self, rows: Tensor) -> Tensor | int:
        """Return the number of observed cells of each row."""
        return (~rows.isnan()).sum(-1) if self.loss.masked else rows.shape[-1]

    def _distance(self, output: Tensor, rows: Tensor) -> Tensor:
        """Return the negative exponent of the density of each cell."""
        scale = torch.exp(-self.power * self.bounded_log_scale)
        return self.loss.cells(output, rows) * (scale / self.power)


class GaussianLikelihood(NoisyLikelihood):
    """Normally distributed noise with one learned standard deviation for all cells.

    Parameters
    ----------
    loss : PreparedLoss
        Squared error of each cell.

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
    """Laplace noise with one learned scale for all cells.

    The scale is the mean absolute deviation.

    Parameters
    ----------
    loss : PreparedLoss
        Absolute error of each cell.

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
    """Bernoulli distribution of cells that are 0 or 1; the output is the logit of a 1.

    Values in between are probabilities of a 1: in each training step, zeros and ones are drawn from
    them, and the log-density is the mean over such draws.

    Parameters
    ----------
    loss : PreparedLoss
        Binary cross-entropy, with the units of the columns.

    References
    ----------
    Salakhutdinov, R. and Murray, I. (2008). On the quantitative analysis of deep belief networks.
    ICML, with grey values as probabilities. https://doi.org/10.1145/1390156.1390266

    Examples
    --------
    >>> import torch
    >>> from skae.objectives import BernoulliLikelihood, BinaryCrossEntropy
    >>> likelihood = BernoulliLikelihood(BinaryCrossEntropy().prepare())
    >>> round(likelihood.log_density(torch.zeros(1, 2), torch.ones(1, 2)).item(), 4)
    -1.3863
    """

    def log_density(self, output: Tensor, rows: Tensor) -> Tensor:
        return -self.loss.cells(output, rows).sum(-1)

    def observe(self, rows: Tensor, generator: torch.Generator) -> Tensor:
        """Return standardised draws of zeros and ones with the rows as mean."""
        units = self.loss.units
        probability = units.restore(rows)
        draws = torch.rand(rows.shape, generator=generator, dtype=rows.dtype, device="cpu")
        observed = ((draws.to(rows.device) < probability).to(rows.dtype) - units.mean) / units.scale
        return torch.where(rows.isnan(), rows, observed) if self.loss.masked else observed


class MixedLikelihood(NoisyLikelihood):
    """Normal noise of numbers, with a learned deviation for each, and probabilities of levels.

    Parameters
    ----------
    loss : PreparedMixedLoss
        Loss of numbers and categories, with their columns.

    Examples
    --------
    >>> import torch
    >>> from skae.objectives import MixedLikelihood, MixedLoss
    >>> likelihood = MixedLikelihood(MixedLoss(levels=(0, 2), factors=(1.0, 1.0)).prepare())
    >>> rows = torch.tensor([[0.0, 1.0, 0.0]])
    >>> likelihood.log_density(torch.zeros(1, 3), rows).round(decimals=4)
    tensor([-1.6121], grad_fn=<RoundBackward1>)
    """

    log_constant = math.log(2 * math.pi) / 2
    deviation_of_unit = 1.0
    loss: PreparedMixedLoss

    def __init__(self, loss: PreparedMixedLoss) -> None:
        super().__init__(loss)
        self.log_scale = nn.Parameter(torch.zeros_like(loss.factor))

    def log_density(self, output: Tensor, rows: Tensor) -> Tensor:
        """Return the log-density of rows: densities of numbers, and probabilities of levels."""
        missing, blocks = rows.isnan(), self.loss.blocks
        rows, output = rows.masked_fill(missing, 0), output.masked_fill(missing, 0)
        constant = self.log_constant + self.bounded_log_scale
        exponent = (output - rows).square() * torch.exp(-2 * self.bounded_log_scale) / 2
        of_levels = self.loss.restore_shares(rows) * blocks.log_softmax(output)
        cells = torch.where(blocks.is_level, of_levels, -exponent - constant)
        return cells.masked_fill(missing, 0).sum(-1)


LIKELIHOODS: dict[str, type[Likelihood]] = {
    "gaussian": GaussianLikelihood,
    "laplace": LaplaceLikelihood,
    "bernoulli": BernoulliLikelihood,
}
