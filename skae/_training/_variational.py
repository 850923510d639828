"""What training has to know of variational autoencoders: the network, its start and its loss."""

from dataclasses import dataclass, replace

import numpy as np
import torch

from skae._training._batches import OrderedBatches, WeightedRows
from skae._training._losses import make_loss, make_output
from skae._training._net import AutoencoderNet
from skae._training._noise import scale_deviations
from skae._training._principal_components import PrincipalComponents
from skae._training._problem import TrainingProblem
from skae.modules import CodeBasis, LinearPath, VariationalAutoencoder
from skae.objectives import (
    LIKELIHOODS,
    Likelihood,
    NegativeELBO,
    NoisyLikelihood,
    gaussian_divergence,
)

_BATCH_SIZE = 4096
# Of what is observed of the rows that settle the scale.
_SEED_OF_DRAWS = 0


@dataclass(frozen=True)
class PosteriorMoments:
    """What the posteriors of the training rows look like, in the order that users see."""

    variance: np.ndarray
    """Variance of each code's posterior mean over the rows, of shape (n_components,)."""

    divergence: np.ndarray
    """Mean divergence of each code's posterior from the prior in nats, of shape (n_components,)."""


@dataclass(frozen=True)
class Variational:
    """The parameters of a variational autoencoder, beside those of all autoencoders."""

    likelihood: str
    beta: float
    warm_up: float
    n_outputs = 2
    """Outputs of the encoder for each code."""

    net_class = AutoencoderNet
    """What trains the network."""

    keeps_order = False
    """Whether codes must stay in the network's order."""

    def make_objective(self, problem: TrainingProblem, generator: torch.Generator) -> NegativeELBO:
        """Return what training minimises."""
        return NegativeELBO(self.beta, warm_up=self.warm_up, generator=generator)

    def make_module(
        self,
        problem: TrainingProblem,
        components: PrincipalComponents,
        stacks,
        generator: torch.Generator,
    ) -> VariationalAutoencoder:
        """Return a new network, which starts as probabilistic PCA beside a linear path.

        With Bernoulli noise, that is the variance of the draws which adds to that of the noise.

        Parameters
        ----------
        problem : TrainingProblem
            The table, and the settings that describe the network.
        components : PrincipalComponents
            Those of the table, or of a part of it.
        stacks : tuple of two Modules
            The encoder, with two outputs for each code, and the decoder.
        generator : torch.Generator
            Not used: all other numbers are known.

        Returns
        -------
        module : VariationalAutoencoder
            On the CPU.

        References
        ----------
        Tipping, M. E. and Bishop, C. M. (1999). Probabilistic principal component analysis.
        https://doi.org/10.1111/1467-9868.00196
        """
        statistics, unit = problem.statistics, problem.standardization.scale
        draws = 0.0
        if self.likelihood == "bernoulli":
            of_draws = statistics.mean * (1 - statistics.mean)
            draws = float((of_draws - statistics.variance).clip(0).mean()) / unit**2
            statistics = replace(statistics, variance=of_draws)
        input_scale = scale_deviations(problem.tensor(np.sqrt(statistics.variance) / unit))
        left = _residual_variance(problem)
        log_variance, linear_path = torch.zeros(problem.n_components, dtype=input_scale.dtype), None
        if problem.settings.init == "pca":
            signal = (components.explained_variance / unit**2 - left).clip(0)
            noise = left + draws
            log_variance[: len(signal)] = problem.tensor(np.log(noise / (signal + noise)))
            axes = np.zeros((problem.n_components, problem.n_features))
            axes[: len(signal)] = components.components * np.sqrt(signal)[:, None]
            spread = np.append(signal, np.zeros(len(axes) - len(signal))) + noise
            linear_path = LinearPath(
                problem.tensor(axes / spread[:, None]) / input_scale, problem.tensor(axes)
            )
        encoder, decoder = stacks
        return VariationalAutoencoder(
            encoder,
            decoder,
            CodeBasis(problem.n_components, dtype=problem.settings.torch_dtype),
            input_scale,
            log_variance,
            self._make_likelihood(problem, left),
            linear_path=linear_path,
            output=make_output(problem),
        )

    def _make_likelihood(self, problem: TrainingProblem, noise_variance: float) -> Likelihood:
        likelihood = LIKELIHOODS[self.likelihood](make_loss(problem))
        if isinstance(likelihood, NoisyLikelihood):
            likelihood.set_deviation_(float(np.sqrt(noise_variance)))
        return likelihood.to(problem.settings.torch_dtype)

    @torch.no_grad()
    def settle_(self, module: VariationalAutoencoder, dataset: WeightedRows):
        """Give codes the scale that is the closest to the prior's, by one pass over a data set.

        The network may have found it easier to let codes spread than to write them small. No
        reconstruction changes, and the divergence from the prior is at its least where the mean
        square of each code is 1.
        """
        generator = torch.Generator(device="cpu").manual_seed(_SEED_OF_DRAWS)

        def describe(rows):
            mean, log_variance = module.find_posterior(module.likelihood.observe(rows, generator))
            return [mean.square() + log_variance.exp()]

        (square,) = _average(describe, dataset)
        module.code_scale.mul_(square.sqrt().to(module.code_scale))

    @torch.no_grad()
    def measure(self, module: VariationalAutoencoder, dataset: WeightedRows) -> PosteriorMoments:
        """Return the moments of the posteriors of a data set, by one pass over it."""

        def describe(rows):
            mean, log_variance = module.find_posterior(rows)
            return [mean, mean.square(), gaussian_divergence(mean, log_variance)]

        permutation = module.basis.forward_map.abs().double().cpu()
        mean, square, divergence = _average(describe, dataset).cpu() @ permutation
        return PosteriorMoments((square - mean.square()).clamp_min(0).numpy(), divergence.numpy())


def _average(describe, dataset: WeightedRows) -> torch.Tensor:
    """Return weighted means over the rows of what `describe` has to say of each."""
    totals, masses = [], []
    for rows, weights in OrderedBatches(dataset, batch_size=_BATCH_SIZE):
        weights = torch.ones_like(rows[:, 0]) if weights is None else weights.to(rows)
        totals.append((weights @ torch.stack(describe(rows))).double())
        masses.append(weights.sum().double())
    return torch.stack(totals).sum(0) / torch.stack(masses).sum()


def _residual_variance(problem: TrainingProblem) -> float:
    """Return the variance per axis of what PCA leaves over, in standardised units.

    Where that is next to nothing, the unit has been chosen to be more.
    """
    n_left = problem.n_features - len(problem.principal_components.components)
    return max(problem.pca_error * problem.n_features / max(1, n_left), 1.0)
