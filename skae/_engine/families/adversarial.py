"""Adversarial autoencoders: codes that cannot be told from draws of a prior."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from skae._engine.families.family import Family
from skae._engine.families.parts import make_loss, make_parts, start_linear_path_, start_parts_
from skae._engine.start.noise import find_input_scale
from skae._engine.steps.adversarial import AdversarialStep
from skae._engine.steps.autograd import AutogradStep
from skae._engine.steps.code_costs import (
    DiscriminatorStep,
    PenaltyStep,
    has_penalty_of_codes,
    is_adversarial,
)
from skae.modules import AdversarialAutoencoder, Autoencoder, DenseStack
from skae.objectives import (
    AdversarialObjective,
    MaximumMeanDiscrepancy,
    ReconstructionLoss,
    ReconstructionObjective,
)

_DISCRIMINATOR_SIZES = (128, 128)


@dataclass(frozen=True)
class Adversarial(Family):
    """Autoencoders whose codes follow a prior, enforced by a discriminator or by a distance."""

    loss: ReconstructionLoss
    prior: str | Callable
    divergence: str
    alpha: float | None
    keeps_scale = True
    draws_codes = True

    @property
    def keeps_order(self) -> bool:  # type: ignore[override]
        """Whether codes must stay in order. Only those of a Gaussian prior are exchangeable."""
        return self.prior != "gaussian"

    @property
    def _has_discriminator(self) -> bool:
        return self.divergence == "adversarial"

    @property
    def ignores_odd_cells(self) -> bool:
        """Whether codes ignore single odd cells, where reconstructions are in the unit of rows."""
        return self.loss.link == "identity"

    def make_objective(self, table, generator):
        """Return the loss and the cost of codes that differ from draws of the prior."""
        loss = make_loss(self.loss, table.units, masked=table.masked)
        prior = DrawnPrior(self.prior) if callable(self.prior) else draw_normal
        given = {} if self.alpha is None else {"alpha": float(self.alpha)}
        if self._has_discriminator:
            return AdversarialObjective(loss, prior, generator, **given)
        penalty = MaximumMeanDiscrepancy(prior)
        given = {"alpha": penalty.default_alpha, **given}
        return ReconstructionObjective(loss, penalty=penalty, generator=generator, **given)

    def network_options(self) -> dict[str, Any]:
        return {**super().network_options(), "divergence": self.divergence}

    def build(self, plan, generator) -> Autoencoder:
        parts = make_parts(plan, generator)
        parts["code_scale"] = torch.ones(plan.n_components, dtype=plan.torch_dtype)
        if not self._has_discriminator:
            return Autoencoder(**parts)
        sizes = [plan.n_components, *_DISCRIMINATOR_SIZES, 1]
        discriminator = DenseStack(sizes, dtype=plan.torch_dtype, generator=generator)
        return AdversarialAutoencoder(**parts, discriminator=discriminator)

    def start_(self, module, table, components):
        """Initialise the network as PCA with whitened codes if it has a linear path."""
        start_parts_(module, table, components, find_input_scale(table, None), self.loss.link)
        if module.linear_path is not None:
            spread = np.sqrt(components.explained_variance) / table.standardization.scale
            axes = components.components, spread[:, None]
            start_linear_path_(
                module, table.units.tensor(axes[0] / axes[1]), table.units.tensor(axes[0] * axes[1])
            )

    def find_explicit_step(self, modules, objective, groups):
        if all(has_penalty_of_codes(module, objective) for module in modules):
            return PenaltyStep(modules, objective, groups)
        if all(is_adversarial(module, objective) for module in modules):
            return DiscriminatorStep(modules, objective, groups)
        return None

    def make_autograd_step(self, modules, objective, optimizers, *, precision):
        kind = AdversarialStep if self._has_discriminator else AutogradStep
        return kind(modules, objective, optimizers, precision=precision)

    def list_own_parameters(self, module):
        return list(module.discriminator.parameters()) if self._has_discriminator else []


def draw_normal(n_draws: int, n_components: int, generator: torch.Generator) -> torch.Tensor:
    """Return draws from the standard normal distribution."""
    # Another default type would draw other numbers.
    shape = (n_draws, n_components)
    return torch.randn(shape, generator=generator, dtype=torch.float32, device="cpu")


@dataclass(frozen=True)
class DrawnPrior:
    """User's function that draws codes, called with a new seed each time."""

    draw: Callable[[int, np.random.RandomState], Any]

    def __call__(self, n_draws: int, n_components: int, generator: torch.Generator) -> torch.Tensor:
        """Return draws of the prior. Raise ValueError for a wrong shape or non-finite values."""
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
