"""Nested autoencoders: plain autoencoders whose first codes can be used alone."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from skae._engine.families.family import share_variance
from skae._engine.families.parts import make_parts
from skae._engine.families.plain import Plain
from skae._engine.settings import AutomaticLoop
from skae._engine.steps.nested import NestedAutogradStep, NestedDenseStep, is_nested_dense
from skae.modules import NestedAutoencoder, NestedDecoder, list_levels, order_nested_codes_

# Errors with few codes are large and hard to lower. Each number of codes is weighted by the inverse
# of PCA's error to this power. With 1, errors of all numbers fall by about equal shares.
_EXPONENT = 1.0
_LEAST_SHARE_OF_VARIANCE = 1e-6


@dataclass(frozen=True)
class Nested(Plain):
    """Plain autoencoders that are trained for all numbers of codes at once.

    References
    ----------
    Rippel, O., Gelbart, M. and Adams, R. (2014). Learning ordered representations with nested
    dropout. ICML. https://proceedings.mlr.press/v32/rippel14.html

    Kusupati, A. et al. (2022). Matryoshka representation learning. NeurIPS.
    https://doi.org/10.48550/arXiv.2205.13147
    """

    # Fitting all numbers of codes takes more epochs than few rows allow without overfitting.
    automatic = AutomaticLoop(decay_rows=140)
    # All numbers of codes share the linear path, which starts further from its optimum than others.
    linear_path_rate = 3.0

    @property
    def is_nested(self) -> bool:
        return True

    @property
    def spreads(self) -> bool:  # type: ignore[override]
        return False

    def network_options(self) -> dict[str, Any]:
        return {**super().network_options(), "nested": True}

    def build(self, plan, generator) -> NestedAutoencoder:
        parts = make_parts(plan, generator)
        stack_plan = plan.stack_plan(1, generator)
        others = [
            plan.architecture.make_stacks(stack_plan)[1] for _ in list_levels(plan.n_components)[1:]
        ]
        parts["decoder"] = NestedDecoder([*others, parts["decoder"]], plan.n_components)
        return NestedAutoencoder(
            **parts, code_scale=torch.ones(plan.n_components, dtype=plan.torch_dtype)
        )

    @torch.no_grad()
    def start_(self, module, table, components):
        """Initialise the network as PCA if it has a linear path, and weight numbers of codes."""
        super().start_(module, table, components)
        total = float(table.statistics.variance.sum())
        explained = np.zeros(table.n_components)
        explained[: len(components.explained_variance)] = components.explained_variance
        left = (total - explained.cumsum()).clip(min=total * _LEAST_SHARE_OF_VARIANCE)
        if total > 0:
            weights = (left[-1] / left) ** _EXPONENT
            module.prefix_weights.copy_(torch.from_numpy(weights))

    def find_explicit_step(self, modules, objective, groups):
        if all(is_nested_dense(module, objective) for module in modules):
            return NestedDenseStep(objective.generator, modules, objective, groups)
        return None

    def make_autograd_step(self, modules, objective, optimizers, *, precision):
        generator = objective.generator
        return NestedAutogradStep(generator, modules, objective, optimizers, precision=precision)

    def order_codes_(self, module, moments, table, *, whiten, rotate, find_rotation=None):
        """Make the codes uncorrelated by removing from each its regression on earlier codes."""
        explained = order_nested_codes_(
            module.basis,
            *moments.of_codes,
            unit=table.standardization.scale,
            whiten=whiten,
        )
        return share_variance(explained, moments)
