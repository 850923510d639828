"""Training steps of nested autoencoders: each row of a batch is decoded from some of its codes.

Each decoder gets a part of the rows, or most or all rows of small batches.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from skae._engine.judgement import find_row_errors
from skae._engine.steps.autograd import AutogradStep
from skae._engine.steps.dense import DenseStep
from skae._engine.steps.flat import FlatParameters
from skae._engine.steps.passes import StackStep
from skae._engine.steps.stacks import is_plain_dense
from skae._engine.steps.step import Step
from skae.modules import NestedAutoencoder
from skae.objectives import ReconstructionObjective

# Share of the rows of a stage that are decoded from its largest number of codes.
_SHARE_OF_ALL = 0.5
# Fewer rows make the gradient of a stage noisy and save little time.
_LEAST_ROWS = 64
_BATCHES_AT_ONCE = 32
# In each epoch, the weight of numbers of codes that do worse than at the start grows by the first
# factor, up to the second factor times the least weight.
_MORE_EMPHASIS = 2.0
_MOST_EMPHASIS = 8.0
# Memory for judging grows with the number of rows judged at once, and is kept.
_JUDGED_CELLS = 2**20


@dataclass(frozen=True)
class Layout:
    """Rows of a batch that each stage decodes.

    Stages go through the batch in turn, so that each row belongs to at least one of them.
    """

    places: Tensor
    """Indices of the rows, of shape (n_levels, n_rows)."""

    own_stage: Tensor
    """Stage of each row of the batch, of shape (batch_size,)."""

    own_place: Tensor
    """Position of each row among those of its stage, of shape (batch_size,)."""


def lay_out(n_levels: int, batch_size: int, device: torch.device) -> Layout:
    """Return the rows of each stage for batches of one size."""
    starts = torch.arange(n_levels) * batch_size // n_levels
    n_rows = max(-(-batch_size // n_levels), min(_LEAST_ROWS, batch_size))
    rows = torch.arange(batch_size)
    own_stage = torch.searchsorted(starts, rows, right=True) - 1
    places = (starts[:, None] + torch.arange(n_rows)) % batch_size
    parts = places, own_stage, rows - starts[own_stage]
    return Layout(*(part.to(device) for part in parts))


def draw_numbers(levels: Sequence[int], shape, generator: torch.Generator) -> Tensor:
    """Draw numbers of codes, of shape (n_batches, n_levels, n_rows), for the rows of each stage.

    `levels` has the largest number of codes of each stage. A stage decodes half of its rows from
    that number of codes, and the others from any number above that of the stage before.
    """
    most = torch.tensor(levels)[:, None]
    least = torch.tensor([0, *levels[:-1]])[:, None] + 1
    n_batches, n_rows = shape
    draws = torch.rand(n_batches, len(levels), n_rows, generator=generator, dtype=torch.float64)
    below = least + ((most - least + 1) * draws / (1 - _SHARE_OF_ALL)).long()
    return torch.where(draws < 1 - _SHARE_OF_ALL, below, most)


class PrefixSource:
    """Random numbers of codes, drawn for many batches at a time by a generator on the CPU.

    `levels` has the largest number of codes of each stage. `like` has the data type and the device
    of the codes.
    """

    def __init__(self, levels: Sequence[int], generator: torch.Generator, like: Tensor):
        self.levels, self.generator, self.like = levels, generator, like
        self.layouts: dict[int, Layout] = {}
        self.drawn: dict[int, list[Tensor]] = {}
        self.tables = torch.ones(levels[-1], levels[-1]).tril().to(like)

    def take(self, batch_size: int) -> tuple[Layout, Tensor, Tensor]:
        """Return the rows of each stage, their numbers of codes minus one, and masks of the codes.

        The numbers have shape (n_levels, n_rows). The masks have shape (n_levels, n_rows,
        n_components), with 1 for codes that are decoded and 0 for others.
        """
        if batch_size not in self.layouts:
            device = self.like.device
            self.layouts[batch_size] = lay_out(len(self.levels), batch_size, device)
        layout = self.layouts[batch_size]
        if not self.drawn.get(batch_size):
            shape = _BATCHES_AT_ONCE, layout.places.shape[1]
            last = draw_numbers(self.levels, shape, self.generator).to(self.like.device) - 1
            self.drawn[batch_size] = list(last)
        last = self.drawn[batch_size].pop()
        return layout, last, self.tables[last]


class NestedStep(Step):
    """Base class of the steps of nested autoencoders: draws of numbers of codes, and judging.

    Subclasses set `modules`, `objective` and `source`.
    """

    source: PrefixSource

    @property
    def levels(self) -> tuple[int, ...]:
        """Largest number of codes of each stage."""
        return self.modules[0].decoder.levels

    def heed_(self, rises: Tensor):
        """Increase the weight of numbers of codes that do worse than at the start."""
        if self.emphasis is None and not (rises > 0).any():
            return
        sizes = torch.tensor(self.levels).diff(prepend=torch.zeros(1, dtype=torch.long))
        risen, like = (rises > 0).repeat_interleave(sizes), self.source.like
        # Values from checkpoints are on the CPU.
        emphasis = torch.ones_like(like) if self.emphasis is None else self.emphasis.to(like)
        emphasis = torch.where(risen.to(like.device), _MORE_EMPHASIS * emphasis, emphasis)
        emphasis = emphasis.clamp_max(_MOST_EMPHASIS * emphasis.min())
        self.emphasis = emphasis / emphasis.mean()

    def weigh(self, prefix_weights: Tensor) -> Tensor:
        """Return the training weights (..., n_components) of numbers of codes."""
        if self.emphasis is None:
            return prefix_weights
        return prefix_weights * self.emphasis.to(prefix_weights)

    def copy_draws(self):
        return {size: list(drawn) for size, drawn in self.source.drawn.items()}

    def load_draws_(self, draws):
        device = self.source.like.device
        self.source.drawn = {
            size: [own.to(device) for own in drawn] for size, drawn in draws.items()
        }

    @torch.no_grad()
    def judge(self, inputs: Tensor, rows: Tensor) -> tuple[Tensor, ...]:
        """Return loss and error of each row, and its loss with the codes of each stage.

        The losses with as many codes as each stage decodes have shape (m, b, n_levels), and the
        loss is their weighted mean. The error is the mean squared error with all codes.
        """
        self.objective.eval()
        triples = zip(self.modules, inputs, rows, strict=True)
        parts = [self._judge(module.eval(), *own) for module, *own in triples]
        losses, errors, stage_losses = map(torch.stack, zip(*parts, strict=True))
        return losses, errors, stage_losses

    def _judge(self, module: NestedAutoencoder, inputs: Tensor, rows: Tensor):
        code = module.encode_raw(inputs)
        outputs = [module.decode_first(code, n_codes) for n_codes in self.levels]
        self.outputs = outputs[-1:]
        losses = torch.stack([self.objective.loss.rows(own, rows) for own in outputs], -1)
        weights = module.prefix_weights[torch.tensor(self.levels) - 1]
        errors = find_row_errors(module.output(outputs[-1]), rows)
        return losses @ weights / len(self.levels), errors, losses


class NestedAutogradStep(NestedStep, AutogradStep):
    """Training step for nested autoencoders by autograd and torch's optimisers.

    The generator is that of the numbers of codes; further parameters are those of `AutogradStep`.
    """

    def __init__(self, generator: torch.Generator, modules, objective, optimizers, *, precision):
        AutogradStep.__init__(self, modules, objective, optimizers, precision=precision)
        self.source = PrefixSource(self.levels, generator, modules[0].code_scale)

    def accumulate_(self, inputs: Tensor, rows: Tensor, weights: Tensor | None = None) -> Tensor:
        self.prefixes = self.source.take(rows.shape[1])
        return super().accumulate_(inputs, rows, weights)

    def judge(self, inputs: Tensor, rows: Tensor) -> tuple[Tensor, ...]:
        with self.precision():
            return NestedStep.judge(self, inputs, rows)

    def _find_loss(self, module, inputs, rows, weights) -> tuple[Tensor, Tensor]:
        own, last, is_kept = self.prefixes
        code = module.encode_raw(inputs)[own.places]
        output = module.decode_groups(code, is_kept)
        factors = self.weigh(module.prefix_weights)[last]
        if weights is not None:
            factors = factors * weights[own.places]
        flat = output.flatten(0, 1), rows[own.places].flatten(0, 1), factors.flatten()
        return self.objective.loss(*flat), output[own.own_stage, own.own_place]


class NestedDenseStep(NestedStep, DenseStep):
    """Training step for m nested dense autoencoders with explicit gradients.

    The stages of all networks are computed side by side, as m times n_levels decoders. The
    generator is that of the numbers of codes; further parameters are those of `DenseStep`.
    """

    def __init__(self, generator: torch.Generator, modules, objective, groups):
        DenseStep.__init__(self, modules, objective, groups)
        self.source = PrefixSource(self.levels, generator, modules[0].code_scale)
        self.prefix_weights = torch.stack([module.prefix_weights for module in modules])

    def take_stacks(self) -> tuple[list[FlatParameters], tuple[StackStep, StackStep]]:
        encoders = [module.encoder for module in self.modules]
        stages = [stage for module in self.modules for stage in module.decoder.stages]
        flat = [
            FlatParameters([list(stack.parameters()) for stack in own])
            for own in (encoders, stages)
        ]
        steps = [StackStep(own.views, own.gradient_views, encoders[0].activation) for own in flat]
        return flat, (steps[0], steps[1])

    @torch.no_grad()
    def accumulate_(self, inputs: Tensor, rows: Tensor, weights: Tensor | None = None) -> Tensor:
        layout, last, self.is_kept = self.source.take(rows.shape[1])
        self.places = layout.places.flatten()
        factors = self.weigh(self.prefix_weights)[:, last.flatten()]
        if weights is not None:
            factors = factors * weights.index_select(1, self.places)
        grouped = rows.index_select(1, self.places)
        losses, gradient = self.losses_and_gradient_(self.forward(inputs), grouped, factors)
        self.backward(gradient)
        return losses

    @torch.no_grad()
    def judge(self, inputs: Tensor, rows: Tensor) -> tuple[Tensor, ...]:
        n_models, _, n_features = rows.shape
        n_rows = max(1, _JUDGED_CELLS // (n_models * len(self.levels) * n_features))
        chunks = zip(inputs.split(n_rows, 1), rows.split(n_rows, 1), strict=True)
        parts = [self._judge_chunk(*chunk) for chunk in chunks]
        losses, errors, stage_losses = (torch.cat(own, 1) for own in zip(*parts, strict=True))
        return losses, errors, stage_losses

    def _judge_chunk(self, inputs: Tensor, rows: Tensor) -> tuple[Tensor, ...]:
        code, last = self.encode(inputs), torch.tensor(self.levels) - 1
        shape = len(code), len(last), rows.shape[1]
        code = code[:, None] * self.source.tables[last][:, None]
        output = self.decoder.forward(code.flatten(0, 1)).reshape(shape[0], -1, rows.shape[-1])
        output = self.add_linear_path_(output, code.flatten(1, 2))
        losses = self.loss.rows(output, rows.repeat(1, len(last), 1)).view(shape)
        errors = find_row_errors(self.output(output.view(*shape, -1)[:, -1]), rows)
        weights = self.prefix_weights[:, last, None] / len(last)
        return (losses * weights).sum(1), errors, losses.mT

    def decode(self, code: Tensor) -> Tensor:
        """Return the concatenated outputs (m, n, p) of all stages for scaled codes."""
        n_models, self.n_rows, _ = code.shape
        code = code.index_select(1, self.places).view(n_models, *self.is_kept.shape) * self.is_kept
        output = self.decoder.forward(code.flatten(0, 1))
        return self.add_linear_path_(
            output.reshape(n_models, -1, output.shape[-1]), code.flatten(1, 2)
        )

    def decode_backward(self, gradient: Tensor) -> Tensor:
        """Store the gradients of the stages. Return the gradient by the codes of the batch."""
        n_models = len(gradient)
        grouped = gradient.reshape(-1, self.is_kept.shape[1], gradient.shape[-1])
        code_gradient = self.decoder.backward(grouped, to_inputs=True)
        code_gradient = code_gradient.reshape(n_models, -1, code_gradient.shape[-1])
        code_gradient = self.add_linear_gradient_(code_gradient, gradient)
        code_gradient = code_gradient * self.is_kept.flatten(0, 1)
        total = code_gradient.new_zeros(n_models, self.n_rows, code_gradient.shape[-1])
        return total.index_add_(1, self.places, code_gradient)

    def list_groups(self) -> list[Sequence[dict]]:
        """Return the settings of each part. Stages have those of their encoder."""
        stacks, *paths = super().list_groups()
        return [stacks, [own for own in stacks for _ in range(len(self.levels))], *paths]


def is_nested_dense(module: nn.Module, objective: Any) -> bool:
    """Return whether `NestedDenseStep` can train a module for an objective."""
    return (
        type(module) is NestedAutoencoder
        and all(is_plain_dense(stack) for stack in (module.encoder, *module.decoder.stages))
        and module.sparsity is None
        and type(objective) is ReconstructionObjective
        and objective.penalty is None
        and objective.loss.has_gradient
    )
