"""What training has to know of adversarial autoencoders: the network, the prior and the loss."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from skae._training._adversarial_net import AdversarialNet
from skae._training._batches import WeightedRows
from skae._training._losses import make_loss, make_output
from skae._training._net import AutoencoderNet
from skae._training._noise import find_input_scale
from skae._training._principal_components import PrincipalComponents
from skae._training._problem import TrainingProblem
from skae.modules import AdversarialAutoencoder, Autoencoder, CodeBasis, DenseStack, LinearPath
from skae.objectives import AdversarialObjective, MaximumMeanDiscrepancy, ReconstructionObjective

_DISCRIMINATOR_SIZES = (128, 128)


@dataclass(frozen=True)
class Adversarial:
    """The parameters of an adversarial autoencoder, beside those of all autoencoders."""

    prior: str | Callable
    divergence: str
    alpha: float | None
    n_outputs = 1
    """Outputs of the encoder for each code."""

    @property
    def keeps_order(self) -> bool:
        """Whether codes must stay in the order of the prior's: only the Gaussian has none."""
        return self.prior != "gaussian"

    @property
    def net_class(self) -> type[AutoencoderNet]:
        """What trains the network."""
        return AdversarialNet if self.divergence == "adversarial" else AutoencoderNet

    def make_objective(self, problem: TrainingProblem, generator: torch.Generator):
        """Return what training minimises."""
        loss = make_loss(problem)
        prior = DrawnPrior(self.prior) if callable(self.prior) else draw_normal
        given = {} if self.alpha is None else {"alpha": float(self.alpha)}
        if self.divergence == "adversarial":
            return AdversarialObjective(loss, prior, generator, **given)
        penalty = MaximumMeanDiscrepancy(prior)
        given = {"alpha": penalty.default_alpha, **given}
        return ReconstructionObjective(loss, penalty=penalty, generator=generator, **given)

    def make_module(
        self,
        problem: TrainingProblem,
        components: PrincipalComponents,
        stacks,
        generator: torch.Generator,
    ) -> Autoencoder:
        """Return a new network, which starts as PCA with codes of unit variance.

        Parameters
        ----------
        problem : TrainingProblem
            The table, and the settings that describe the network.
        components : PrincipalComponents
            Those of the table.
        stacks : tuple of two Modules
            The encoder and the decoder.
        generator : torch.Generator
            Source of the discriminator's weights.

        Returns
        -------
        module : Autoencoder
            On the CPU; with a discriminator where there is one.
        """
        n_components, dtype = problem.n_components, problem.settings.torch_dtype
        input_scale = find_input_scale(problem)
        linear_path = None
        if problem.settings.init == "pca":
            spread = np.sqrt(components.explained_variance) / problem.standardization.scale
            axes = np.zeros((2, n_components, problem.n_features))
            axes[0, : len(spread)] = components.components / spread[:, None]
            axes[1, : len(spread)] = components.components * spread[:, None]
            there, back = problem.tensor(axes)
            linear_path = LinearPath(there / input_scale, back.clone())
        parts = [
            *stacks,
            CodeBasis(n_components, dtype=dtype),
            input_scale,
            torch.ones(n_components, dtype=dtype),
        ]
        params = {"linear_path": linear_path, "output": make_output(problem)}
        if self.divergence == "mmd":
            return Autoencoder(*parts, **params)
        sizes = [n_components, *_DISCRIMINATOR_SIZES, 1]
        discriminator = DenseStack(sizes, dtype=dtype, generator=generator)
        return AdversarialAutoencoder(*parts, discriminator=discriminator, **params)

    def settle_(self, module: Autoencoder, dataset: WeightedRows) -> None:
        """Leave the codes where training has brought them."""

    def measure(self, module: Autoencoder, dataset: WeightedRows) -> None:
        """Return nothing: codes that follow the prior need no further description."""


def draw_normal(n_draws: int, n_components: int, generator: torch.Generator) -> torch.Tensor:
    """Return draws from the standard normal distribution."""
    return torch.randn(n_draws, n_components, generator=generator, device="cpu")


@dataclass(frozen=True)
class DrawnPrior:
    """A user's function that draws codes, with a seed of its own for each call."""

    draw: Callable[[int, np.random.RandomState], Any]

    def __call__(self, n_draws: int, n_components: int, generator: torch.Generator) -> torch.Tensor:
        """Return draws of the prior; refuse those of another shape, or that are not finite."""
        seed = int(torch.randint(2**31 - 1, (), generator=generator, device="cpu"))
        draws = np.asarray(self.draw(n_draws, np.random.RandomState(seed)), dtype=np.float64)
        if draws.shape != (n_draws, n_components) or not np.isfinite(draws).all():
            raise ValueError(
                f"`prior` must return finite numbers of shape ({n_draws}, {n_components}), a row "
                f"for each draw and a column for each code. Got an array of shape {draws.shape}"
                f"{'' if np.isfinite(draws).all() else ', not finite'}. It is called with the "
                "number of draws and a RandomState."
            )
        return torch.from_numpy(draws)
