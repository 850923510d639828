"""Plain autoencoders, trained to reconstruct rows from their codes."""

import copy
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn

from skae._engine.families.family import Family
from skae._engine.families.parts import make_loss, make_parts, start_linear_path_, start_parts_
from skae._engine.families.plan import NetworkPlan
from skae._engine.settings import AutomaticLoop
from skae._engine.start.noise import find_input_scale
from skae._engine.start.odd_cells import OddCells
from skae._engine.steps.code_costs import PenaltyStep, has_penalty_of_codes
from skae._engine.steps.dense import DenseStep, is_dense
from skae._engine.steps.graphed import GraphedStep, is_replayable
from skae.architectures import Sparsity
from skae.corruption import Corruption
from skae.modules import Autoencoder
from skae.objectives import Penalty, ReconstructionLoss, ReconstructionObjective

# Codes whose spread is above this multiple of PCA's error per cell all count as equally wide.
_GREATEST_SPREAD = 100.0


@dataclass(frozen=True)
class Plain(Family):
    """Autoencoders with a reconstruction loss, and optionally a penalty, sparse codes and noise.

    Attributes
    ----------
    loss : ReconstructionLoss
        Loss of the reconstructions.
    penalty : Penalty or None
        Term added to the loss.
    alpha : float
        Factor of the penalty.
    sparsity : Sparsity or None
        Part of the network that sets codes to zero.
    corruption : Corruption or None
        Noise on the rows in training.

    Examples
    --------
    >>> from skae.base import Plain
    >>> from skae.objectives import HuberLoss
    >>> Plain(HuberLoss(delta=2.0)).aims_at_squared_error
    False
    """

    loss: ReconstructionLoss
    penalty: Penalty | None = None
    alpha: float = 0.0
    sparsity: Sparsity | None = None
    corruption: Corruption | None = None
    automatic: ClassVar[AutomaticLoop] = AutomaticLoop(stopping_factor=1.5)

    @property
    def aims_at_squared_error(self) -> bool:
        return self.loss.must_beat_pca and not self._shapes_codes

    @property
    def ignores_odd_cells(self) -> bool:
        return self.aims_at_squared_error or self.loss.link == "identity"

    @property
    def spreads(self) -> bool:  # type: ignore[override]
        return self.penalty is None

    @property
    def may_copy(self) -> bool:
        return self.corruption is None and not self._shapes_codes

    @property
    def _shapes_codes(self) -> bool:
        """Whether anything besides the reconstruction loss acts on the codes."""
        return self.penalty is not None or self.sparsity is not None

    def network_options(self) -> dict[str, Any]:
        return {**super().network_options(), "penalty": self.sparsity}

    def build(self, plan, generator) -> Autoencoder:
        return Autoencoder(
            **make_parts(plan, generator),
            code_scale=torch.ones(plan.n_components, dtype=plan.torch_dtype),
            sparsity=_make_sparsity(dict(plan.options)["penalty"], plan),
        )

    @torch.no_grad()
    def start_(self, module, table, components):
        """Initialise the network as PCA if it has a linear path."""
        input_scale = find_input_scale(table, self.corruption)
        start_parts_(module, table, components, input_scale, self.loss.link)
        if module.linear_path is not None:
            axes = table.units.tensor(components.components)
            scale = self._find_code_scale(table, components)
            module.code_scale[: len(axes)] = scale
            start_linear_path_(module, axes, axes / scale[:, None])

    def _find_code_scale(self, table, components) -> torch.Tensor:
        """Return factors that give the widest code unit spread and keep the ratios of the others.

        Narrow codes that stay narrow make smoother decoders, which do better on new rows. With a
        penalty or sparse codes, all codes get unit spread.
        """
        spread = np.sqrt(components.explained_variance) / table.standardization.scale
        if not self._shapes_codes:
            spread = spread.clip(min=min(spread.max(initial=0.0), _GREATEST_SPREAD))
        return table.units.tensor(1 / spread)

    def make_objective(self, table, generator) -> ReconstructionObjective:
        return ReconstructionObjective(
            make_loss(self.loss, table.units, masked=table.masked),
            penalty=copy.deepcopy(self.penalty),
            alpha=self.alpha,
            generator=generator,
        )

    def make_odd_cells(self, table, generator) -> OddCells | None:
        """Return the object that shifts single cells if only the squared error counts."""
        if not self.aims_at_squared_error or self.corruption is not None or table.masked:
            return None
        units, device = table.units, table.device
        axes = units.tensor(table.principal_components.components)
        deviations = table.deviations
        if self.loss.holds_numbers is not None:
            deviations = deviations * torch.tensor(self.loss.holds_numbers)
        lower, upper = units.limits
        bounded = None if lower is None else (lower.isfinite() & upper.isfinite()).to(device)
        return OddCells(
            deviations=deviations.to(device),
            lowest=units.standardised(table.statistics.lowest).to(device),
            highest=units.standardised(table.statistics.highest).to(device),
            leverage=axes.square().sum(0).to(device),
            generator=generator,
            has_two_ends=bounded,
        )

    def find_explicit_step(self, modules, objective, groups):
        if all(is_dense(module, objective) for module in modules):
            on_gpu = next(modules[0].parameters()).is_cuda and is_replayable(objective.loss)
            return (GraphedStep if on_gpu else DenseStep)(modules, objective, groups)
        if all(has_penalty_of_codes(module, objective) for module in modules):
            return PenaltyStep(modules, objective, groups)
        return None


@torch.no_grad()
def _make_sparsity(sparsity: Sparsity | None, plan: NetworkPlan) -> nn.Module | None:
    """Return the part that sets codes to zero, if any."""
    if sparsity is None:
        return None
    module = sparsity.make_module(plan.n_components)
    if not isinstance(module, nn.Module):
        raise ValueError(
            f"{sparsity!r} must make a torch module. Got {type(module).__name__}. Derive the class "
            "of the returned object from torch.nn.Module."
        )
    module = module.to(plan.torch_dtype)
    codes = torch.zeros(2, plan.n_components, dtype=plan.torch_dtype)
    found = getattr(module(codes), "shape", None)
    if found != codes.shape:
        raise ValueError(
            f"{sparsity!r} must make a module that returns codes of shape (n, {codes.shape[1]}). "
            f"Got {found if found is None else ('n', *found[1:])}. Set codes to zero without "
            "changing their number."
        )
    return module
