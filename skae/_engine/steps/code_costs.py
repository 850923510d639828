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
from skae._engine.steps.dense import (
    DenseStep,
    FlatParameters,
    StackStep,
    has_classes,
    is_plain,
)
from skae._engine.steps.products import make_stack
from skae.modules import AdversarialAutoencoder, Autoencoder
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
        return losses + costs

    def find_costs_(
        self, code: Tensor, inputs: Tensor, weights: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Return the cost (m,) of the scaled codes of a batch, and its gradient."""
        raise NotImplementedError

    @torch.no_grad()
    def judge(self, inputs: Tensor, rows: Tensor) -> tuple[Tensor, ...]:
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


class DiscriminatorStep(CodeCostStep):
    """Training step that updates a discriminator first, then the autoencoder.

    The parameters are those of `DenseStep`, with an `AdversarialObjective`.
    """

    objective: AdversarialObjective
    modules: Sequence[AdversarialAutoencoder]

    def __init__(self, modules, objective, groups):
        super().__init__(modules, objective, groups)
        parts = [module.discriminator for module in modules]
        own = self.own_parameters = FlatParameters([list(part.parameters()) for part in parts])
        activation = parts[0].activation
        self.discriminator = StackStep(own.views, own.gradient_views, activation, limits=False)
        self._greatest_rates = [own[0]["lr"] for own in groups]
        self._losses: list[Tensor] = []

    def list_parameters(self) -> list[FlatParameters]:
        """Return all parameters, with those of the discriminators last."""
        return [*self.parameters, self.own_parameters]

    def find_costs_(self, code, inputs, weights):
        raw = code / self.code_scale
        shares = raw.new_ones(raw.shape[:2]) if weights is None else weights
        self._learn(raw, shares)
        logits = self.discriminator.forward(raw)[..., 0]
        factor = self.objective.alpha / raw.shape[1]
        negative = _keep_apart(-logits)
        costs = (F.softplus(negative) * shares).sum(1) * factor
        by_logits = -torch.sigmoid(negative) * shares * factor
        by_code = self.discriminator.backward(by_logits[..., None], to_inputs=True)
        return costs, by_code / self.code_scale

    def _learn(self, raw: Tensor, shares: Tensor):
        """Train each discriminator on raw codes (m, b, k) and as many draws of the prior."""
        _, n_rows, n_codes = raw.shape
        prior, generator = self.objective.prior, self.objective.generator
        draws = torch.stack([prior(n_rows, n_codes, generator) for _ in self.modules])
        logits = self.discriminator.forward(torch.cat([draws.to(raw), raw], 1))[..., 0]
        # Negative for draws, which should have high logits.
        signed = torch.cat([torch.full_like(shares, -1), shares], 1) / (2 * n_rows)
        directed = _keep_apart(logits * signed.sign())
        losses = (F.softplus(directed) * signed.abs()).sum(1)
        by_logits = torch.sigmoid(directed) * signed
        self.discriminator.backward(by_logits[..., None], to_inputs=False)
        self.exchange_([self.own_parameters.gradients])
        rates = [own[0]["lr"] for own in self.groups]
        self.own_parameters.step_(make_discriminator_groups(rates, self._greatest_rates))
        self._losses += losses.unbind()

    def judge_codes(self, code, inputs):
        logits = self.discriminator.forward(code / self.code_scale)[..., 0]
        return F.softplus(_keep_apart(-logits)) * self.objective.alpha

    def take_records(self) -> dict[str, float]:
        return take_losses_(self._losses)


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
