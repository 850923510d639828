"""Training steps of dense autoencoders with an additional cost of the codes.

Shapes are those of `skae._engine.steps.dense`. The cost depends only on the codes, so its gradient
by the codes is added to that of the reconstruction loss.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from skae._engine.judgement import find_row_errors
from skae._engine.steps.adversarial import make_discriminator_groups, take_losses_
from skae._engine.steps.dense import DenseNetworks, DenseStep, has_classes
from skae._engine.steps.flat import FlatParameters, FlatTensors
from skae._engine.steps.passes import StackStep
from skae._engine.steps.products import make_stack
from skae._engine.steps.stacks import is_plain
from skae.modules import AdversarialAutoencoder, Autoencoder, DenseStack
from skae.objectives import (
    AdversarialObjective,
    KLSparsity,
    L1Sparsity,
    MaximumMeanDiscrepancy,
    ReconstructionObjective,
)

_PENALTIES_OF_CODES = {KLSparsity, L1Sparsity, MaximumMeanDiscrepancy}


class CodeCostStep(DenseStep):
    """Base class of steps with a cost of the codes. Parameters as in `DenseStep`."""

    def accumulate_(self, inputs: Tensor, rows: Tensor, weights: Tensor | None = None) -> Tensor:
        code = self.encode(inputs)
        costs, by_code = self.find_costs_(code, inputs, weights)
        losses, by_output = self.losses_and_gradient_(self.decode(code), rows, weights)
        self.encode_backward(self.decode_backward(by_output).add_(by_code))
        return losses + costs[:, None]

    def find_costs_(
        self, code: Tensor, inputs: Tensor, weights: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Return the cost (m,) of the scaled codes of a batch, and its gradient."""
        raise NotImplementedError

    def judge_rows(self, inputs: Tensor, rows: Tensor) -> tuple[Tensor, ...]:
        code = self.encode(inputs)
        costs = self.judge_codes(code, inputs)
        output = self.decode(code)
        losses = self.loss.rows(output, rows) + costs
        return losses, find_row_errors(self.output(output), rows)

    def judge_codes(self, code: Tensor, inputs: Tensor) -> Tensor:
        """Return the cost of the scaled codes of each row, of shape (m, b) or (m, 1)."""
        raise NotImplementedError


class PenaltyStep(CodeCostStep):
    """Training step with a penalty on the codes, whose gradient autograd computes."""

    objective: ReconstructionObjective

    def find_costs_(self, code, inputs, weights):
        with torch.enable_grad():
            leaf = code.detach().clone().requires_grad_()
            costs = self._penalise(leaf, inputs, self.objective.generator)
            (by_code,) = torch.autograd.grad(costs.sum(), leaf)
        return costs.detach(), by_code

    def judge_codes(self, code, inputs):
        return self._penalise(code, inputs, None)[:, None]

    def _penalise(self, code: Tensor, inputs: Tensor, generator) -> Tensor:
        penalty: Any = self.objective.penalty
        parts = zip(self.modules, inputs, code, strict=True)
        costs = [penalty(*own, generator=generator) for own in parts]
        return torch.stack(costs) * self.objective.alpha


class DiscriminatorNetworks(DenseNetworks):
    """Dense networks with discriminators of their codes."""

    discriminator: StackStep

    def charge_(
        self, code: Tensor, draws: Tensor, shares: Tensor, factors: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Train the discriminators, and return the costs of scaled codes that they tell apart.

        `draws` (m, b, k) are from the prior, `shares` (m, b) are weights of the rows, and `factors`
        (m,) those of the cost of a row. Returns the costs (m,), their gradient by the codes, and
        the losses (m,) of the discriminators.
        """
        raw = code / self.code_scale
        losses = self._learn(raw, draws, shares)
        logits = self.discriminator.forward(raw)[..., 0]
        negative = _keep_apart(-logits)
        costs = (F.softplus(negative) * shares).sum(1) * factors
        by_logits = -torch.sigmoid(negative) * shares * factors[:, None]
        by_code = self.discriminator.backward(by_logits[..., None], to_inputs=True)
        return costs, by_code / self.code_scale, losses

    def _learn(self, raw: Tensor, draws: Tensor, shares: Tensor) -> Tensor:
        """Train each discriminator on raw codes (m, b, k) and as many draws of the prior."""
        logits = self.discriminator.forward(torch.cat([draws, raw], 1))[..., 0]
        # Negative for draws, which should have high logits.
        signed = torch.cat([torch.full_like(shares, -1), shares], 1) / (2 * raw.shape[1])
        directed = _keep_apart(logits * signed.sign())
        losses = (F.softplus(directed) * signed.abs()).sum(1)
        by_logits = torch.sigmoid(directed) * signed
        self.discriminator.backward(by_logits[..., None], to_inputs=False)
        self.update_discriminators_()
        return losses

    def update_discriminators_(self) -> None:
        """Make one AdamW step of the discriminators."""
        raise NotImplementedError


class DiscriminatorStep(DiscriminatorNetworks, CodeCostStep):
    """Training step that updates a discriminator first, then the autoencoder.

    The parameters are those of `DenseStep`, with an `AdversarialObjective`.
    """

    objective: AdversarialObjective
    modules: Sequence[AdversarialAutoencoder]

    def __init__(self, modules, objective, groups):
        super().__init__(modules, objective, groups)
        parts = [module.discriminator for module in modules]
        own = self.own_parameters = FlatParameters([list(part.parameters()) for part in parts])
        self.discriminator = make_discriminators(parts[0], own)
        self._greatest_rates = [own[0]["lr"] for own in groups]
        self.losses: list[Tensor] = []

    def list_parameters(self) -> list[FlatParameters]:
        """Return all parameters, with those of the discriminators last."""
        return [*self.parameters, self.own_parameters]

    def find_costs_(self, code, inputs, weights):
        costs, by_code, losses = self.charge_(code, *self.prepare(code, weights))
        self.losses += losses.unbind()
        return costs, by_code

    def prepare(self, code: Tensor, weights: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Return the last arguments of `charge_` for a batch."""
        prior, generator = self.objective.prior, self.objective.generator
        n_models, n_rows, n_codes = code.shape
        draws = torch.stack([prior(n_rows, n_codes, generator) for _ in range(n_models)]).to(code)
        shares = code.new_ones(code.shape[:2]) if weights is None else weights
        return draws, shares, code.new_full((n_models,), self.objective.alpha / n_rows)

    def update_discriminators_(self):
        self.exchange_([self.own_parameters.gradients])
        self.own_parameters.step_(self.list_discriminator_groups())

    def list_discriminator_groups(self) -> list[dict]:
        """Return AdamW's settings for the discriminators: one per network, or one for all."""
        rates = [own[0]["lr"] for own in self.groups]
        return make_discriminator_groups(rates, self._greatest_rates)

    def judge_codes(self, code, inputs):
        logits = self.discriminator.forward(code / self.code_scale)[..., 0]
        return F.softplus(_keep_apart(-logits)) * self.objective.alpha

    def take_records(self) -> dict[str, float]:
        return take_losses_(self.losses)


def make_discriminators(module: DenseStack, own: FlatTensors) -> StackStep:
    """Return the passes of discriminators of the form of `module`, given their parameters."""
    return StackStep(own.views, own.gradient_views, module.activation, limits=False)


def _keep_apart(values: Tensor) -> Tensor:
    """Return values (m, b) in memory that gives each network the same remainder of cells."""
    return make_stack((*values.shape, 1), values)[..., 0].copy_(values)


def is_adversarial(module: Any, objective: Any) -> bool:
    """Return whether `DiscriminatorStep` can train a module for an objective."""
    known = has_classes(module, AdversarialAutoencoder, objective, AdversarialObjective)
    return known and is_plain(module.discriminator)


def has_penalty_of_codes(module: nn.Module, objective: Any) -> bool:
    """Return whether `PenaltyStep` can train a module for an objective."""
    known = has_classes(module, Autoencoder, objective, ReconstructionObjective)
    return known and type(objective.penalty) in _PENALTIES_OF_CODES
