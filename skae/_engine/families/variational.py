"""Variational autoencoders: codes with a posterior that is close to a prior."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from skae._engine.families.family import Family
from skae._engine.families.parts import make_loss, make_parts, start_linear_path_, start_parts_
from skae._engine.start.noise import scale_deviations
from skae._engine.start.prepared_table import PreparedTable
from skae._engine.steps.variational import VariationalStep, is_variational
from skae._engine.tables.batches import OrderedBatches, WeightedRows
from skae._engine.tables.units import Units, make_blank_units
from skae.modules import VariationalAutoencoder
from skae.objectives import (
    LIKELIHOODS,
    Likelihood,
    MixedLikelihood,
    NegativeELBO,
    NoisyLikelihood,
    ReconstructionLoss,
    gaussian_divergence,
)

_BATCH_SIZE = 4096
_LIKELIHOODS: dict[str, type[Likelihood]] = {**LIKELIHOODS, "mixed": MixedLikelihood}
# Seed of the draws of rows that set the scale of the codes.
_SEED_OF_DRAWS = 0


@dataclass(frozen=True)
class PosteriorMoments:
    """Moments of the posteriors of the training rows, in the order that users see."""

    variance: np.ndarray
    """Variance of each code's posterior mean over the rows, of shape (n_components,)."""

    divergence: np.ndarray
    """Mean divergence of each code's posterior from the prior in nats, of shape (n_components,)."""


@dataclass(frozen=True)
class Variational(Family):
    """Variational autoencoders that start as probabilistic PCA.

    References
    ----------
    Tipping, M. E. and Bishop, C. M. (1999). Probabilistic principal component analysis.
    https://doi.org/10.1111/1467-9868.00196
    """

    loss: ReconstructionLoss
    """Loss from which the likelihood is made."""

    likelihood: str
    beta: float
    warm_up: float
    n_outputs = 2
    keeps_scale = True
    draws_codes = True
    spreads = True

    @property
    def ignores_odd_cells(self) -> bool:
        """Whether codes ignore single odd cells, where reconstructions are in the unit of rows."""
        return self.loss.link == "identity"

    def make_objective(self, table, generator) -> NegativeELBO:
        error = None
        if self.loss.is_error:
            error = make_loss(self.loss, table.units, masked=table.masked)
        return NegativeELBO(self.beta, warm_up=self.warm_up, generator=generator, error=error)

    def for_columns(self, loss):
        """Return the family for columns of several kinds, with Gaussian noise on numbers."""
        return replace(self, loss=loss, likelihood="mixed")

    def network_options(self):
        return {**super().network_options(), "likelihood": self.likelihood}

    def build(self, plan, generator) -> VariationalAutoencoder:
        units = make_blank_units(plan.n_features, plan.torch_dtype, bounded=plan.bounded)
        masked = plan.filling is not None
        return VariationalAutoencoder(
            **make_parts(plan, generator, self.n_outputs),
            log_variance=torch.zeros(plan.n_components, dtype=plan.torch_dtype),
            likelihood=self._make_likelihood(units, masked=masked),
        )

    @torch.no_grad()
    def start_(self, module, table, components):
        """Initialise the network as probabilistic PCA if it has a linear path.

        With Bernoulli noise, the variance of the draws adds to that of the noise.
        """
        unit, variance, draws = table.standardization.scale, table.statistics.variance, 0.0
        if self.likelihood == "bernoulli":
            of_draws = table.statistics.mean * (1 - table.statistics.mean)
            draws = float((of_draws - variance).clip(0).mean()) / unit**2
            variance = of_draws
        input_scale = scale_deviations(table.units.tensor(np.sqrt(variance) / unit))
        start_parts_(module, table, components, input_scale, self.loss.link)
        left = _residual_variance(table)
        likelihood = self._make_likelihood(table.units, masked=table.masked)
        if isinstance(likelihood, NoisyLikelihood):
            likelihood.set_deviation_(float(np.sqrt(left)))
        module.likelihood.load_state_dict(likelihood.state_dict())
        if module.linear_path is None:
            return
        signal = (components.explained_variance / unit**2 - left).clip(0)
        noise = left + draws
        module.log_variance[: len(signal)] = table.units.tensor(np.log(noise / (signal + noise)))
        axes = components.components * np.sqrt(signal)[:, None]
        there = axes / (signal + noise)[:, None]
        start_linear_path_(module, table.units.tensor(there), table.units.tensor(axes))

    def find_explicit_step(self, modules, objective, groups):
        if all(is_variational(module, objective) for module in modules):
            return VariationalStep(modules, objective, groups)
        return None

    def _make_likelihood(self, units: Units, *, masked: bool) -> Likelihood:
        kind: Any = _LIKELIHOODS[self.likelihood]
        likelihood = kind(make_loss(self.loss, units, masked=masked))
        return likelihood.to(units.standardization.dtype)

    @torch.no_grad()
    def settle_(self, module, dataset, held_out):
        """Rescale the codes so that their divergence from the prior is least, by one pass.

        Training may have left the codes too wide. The divergence is least where the mean square of
        each code is 1. Reconstructions do not change.
        """
        generator = torch.Generator(device="cpu").manual_seed(_SEED_OF_DRAWS)

        def describe(rows):
            mean, log_variance = module.find_posterior(module.likelihood.observe(rows, generator))
            return [mean.square() + log_variance.exp()]

        (square,) = _average(describe, dataset)
        module.code_scale.mul_(square.sqrt().to(module.code_scale))

    @torch.no_grad()
    def describe(self, module, dataset, held_out) -> PosteriorMoments:
        def describe(rows):
            mean, log_variance = module.find_posterior(rows)
            return [mean, mean.square(), gaussian_divergence(mean, log_variance)]

        permutation = module.basis.forward_map.abs().double().cpu()
        mean, square, divergence = _average(describe, dataset).cpu() @ permutation
        return PosteriorMoments((square - mean.square()).clamp_min(0).numpy(), divergence.numpy())


def _average(describe, dataset: WeightedRows) -> torch.Tensor:
    """Return weighted means over the rows of the tensors that `describe` returns for a batch."""
    totals, masses = [], []
    for rows, weights in OrderedBatches(dataset, batch_size=_BATCH_SIZE):
        weights = torch.ones_like(rows[:, 0]) if weights is None else weights.to(rows)
        totals.append((weights @ torch.stack(describe(rows))).double())
        masses.append(weights.sum().double())
    total, mass = torch.stack(totals).sum(0), torch.stack(masses).sum()
    return dataset.ranks.add(total) / dataset.ranks.add(mass)


def _residual_variance(table: PreparedTable) -> float:
    """Return the variance per axis of the residuals of PCA, in standardised units.

    The result is at least 1: where the residuals almost vanish, the unit is larger than they are.
    """
    n_left = table.n_features - len(table.principal_components.components)
    return max(table.pca_error * table.n_features / max(1, n_left), 1.0)
