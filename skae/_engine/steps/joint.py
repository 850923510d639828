"""Joint steps of several dense trainings, with the same results as if each ran alone.

Products and activations are computed for the networks of all trainings together, and so are losses
of differences, whatever the ranges of the columns. AdamW updates all networks with equal settings
in one call. Everything else that differs between trainings, such as links, is computed on the slice
of each training, by the same calls as alone; so are costs of the codes, with their discriminators.
Networks that fill missing cells train alone.
"""

import itertools
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from skae._engine.steps.code_costs import CodeCostStep, DiscriminatorStep, PenaltyStep
from skae._engine.steps.dense import (
    DenseNetworks,
    DenseStep,
    FlatTensors,
    call_adamw,
    make_stack_steps,
    read_settings,
    read_values,
)
from skae._engine.steps.epoch import Batch
from skae._engine.steps.step import Step, leave_gradients
from skae._engine.steps.variational import PosteriorNetworks, VariationalStep
from skae.modules._products import LARGE_PRODUCT
from skae.objectives import AbsoluteError, ColumnUnits, HuberLoss, PreparedLoss, SquaredError

_LOSSES_OF_DIFFERENCES = {AbsoluteError, HuberLoss, SquaredError}


@dataclass
class EpochOfOne:
    """Epoch of one of several trainings."""

    step: DenseStep
    batches: list[Batch]
    begin_step: Callable[[], None]
    losses: list[Tensor] = field(default_factory=list)
    """Loss of each network on each batch so far."""

    error: BaseException | None = None
    """Error that ended the epoch early."""

    @property
    def n_models(self) -> int:
        """Number of networks of the training."""
        return len(self.step.modules)

    @property
    def n_bytes(self) -> int:
        """Memory of the parameters and their gradients in bytes."""
        return sum(2 * own.values.nbytes for own in self.step.parameters)

    @property
    def rate(self) -> float:
        """Learning rate of the first network in the last step."""
        return self.step.groups[0][0]["lr"]


def can_join(step: Step) -> bool:
    """Return whether a training with this step can run together with others."""
    return (
        type(step) in _KINDS
        and isinstance(step, DenseStep)
        and not step.fills
        and step.exchange_ is leave_gradients
        and step.parameters[0].values.device.type == "cpu"
    )


def find_kind(epoch: EpochOfOne) -> Any:
    """Return a value that is equal for epochs that can be trained together.

    Returns None if products are so large that a network alone uses another library for them, or if
    there are several threads. Such networks gain nothing from being trained together.
    """
    step, sizes = epoch.step, tuple(batch.rows.shape[1] for batch in epoch.batches)
    if step.kind is None:
        step.kind = _describe(step)
    n_weights, kind = step.kind
    if n_weights * max(sizes) >= LARGE_PRODUCT or torch.get_num_threads() > 1:
        return None
    return kind, sizes, tuple(batch.weights is None for batch in epoch.batches)


def _describe(step: DenseStep) -> tuple[int, Hashable]:
    """Return the number of the largest weights, and a value that is equal for equal networks."""
    first = step.modules[0]
    shapes = [view.shape[1:] for own in step.parameters for view in own.views]
    likelihood = type(step.likelihood) if isinstance(step, VariationalStep) else None
    kind = (
        _KINDS[type(step)],
        likelihood,
        tuple(shapes),
        len(step.parameters),
        len(first.encoder.linears),
        first.encoder.activation,
        first.decoder.activation,
        step.has_link,
        step.parameters[0].values.dtype,
        _find_loss(step.loss),
    )
    return max(shape.numel() for shape in shapes), kind


def _find_loss(prepared: PreparedLoss) -> Hashable:
    """Return a value that is equal for equal losses.

    None if the loss depends on the table by more than the ranges of its columns.
    """
    loss, units = prepared.loss, prepared.units
    if type(prepared) is not PreparedLoss or type(loss) not in _LOSSES_OF_DIFFERENCES:
        return None
    if prepared.masked or (units.lower is None) != (units.upper is None):
        return None
    return type(loss), units.lower is not None, *vars(loss).items()


def _join_losses(steps: Sequence[DenseStep]) -> PreparedLoss | None:
    """Return a loss for the networks of all steps, or None if each step computes its own."""
    first = steps[0].loss
    if _find_loss(first) is None:
        return None
    if first.units.lower is None:
        return first
    sizes = [len(step.modules) for step in steps]
    lower = _repeat([step.loss.units.lower for step in steps], sizes)
    upper = _repeat([step.loss.units.upper for step in steps], sizes)
    return PreparedLoss(first.loss, ColumnUnits(lower=lower, upper=upper))


def _repeat(bounds: Sequence[Tensor | None], sizes: Sequence[int]) -> Tensor:
    """Return the bounds (p,) of each step for each of its networks."""
    pairs = zip(bounds, sizes, strict=True)
    return torch.cat([own.expand(size, 1, -1) for own, size in pairs if own is not None])


@dataclass
class _Member:
    """Epoch whose networks are a slice of joint memory."""

    epoch: EpochOfOne
    own: slice
    groups: list[Sequence[dict]]
    """Settings for each group of parameters: one per network, or one for all."""


class JointNetworks(DenseNetworks):
    """Networks of several trainings in joint memory.

    Parameters
    ----------
    epochs : list of EpochOfOne
        Epochs of one kind. Memory is reused for others of that kind with as many networks in all.
    """

    def __init__(self, epochs: Sequence[EpochOfOne]):
        first = epochs[0].step
        n_models = sum(epoch.n_models for epoch in epochs)
        self.tensors = [
            FlatTensors(n_models, [view[0] for view in own.views]) for own in first.parameters
        ]
        stacks, *paths = self.tensors
        own = make_stack_steps(first.modules[0], stacks)
        super().__init__(first.modules[0], own, paths[0] if paths else None)
        self.losses: list[Tensor] = []
        self.views: dict[tuple[int, int, int], list[Tensor]] = {}

    @torch.no_grad()
    def train(self, epochs: Sequence[EpochOfOne]):
        """Train each epoch to its end, and store its losses and errors."""
        ends = list(itertools.accumulate(epoch.n_models for epoch in epochs))
        self.members = [
            _Member(epoch, slice(end - epoch.n_models, end), epoch.step.list_groups())
            for epoch, end in zip(epochs, ends, strict=True)
        ]
        steps = [epoch.step for epoch in epochs]
        self.loss, self.losses = _join_losses(steps), []
        self.gather_constants(steps)
        self.views.clear()
        self._gather()
        for position in range(len(epochs[0].batches)):
            self._train_batch([epoch.batches[position] for epoch in epochs])
        self._hand_back()

    def gather_constants(self, steps: Sequence[Any]):
        """Join the tensors of the networks that steps do not change."""
        self.input_scale = torch.cat([step.input_scale for step in steps])
        self.code_scale = torch.cat([step.code_scale for step in steps])

    def _gather(self):
        """Copy parameters, moments and the distinct numbers of steps to joint memory."""
        steps = [member.epoch.step for member in self.members]
        for position, tensors in enumerate(self.tensors):
            own = [step.parameters[position] for step in steps]
            torch.cat([parameters.values for parameters in own], out=tensors.values)
            for moment, joint in enumerate(tensors.moments):
                torch.cat([parameters.moments[moment] for parameters in own], out=joint)
        self.n_steps = {
            float(parameters.n_steps): parameters.n_steps.clone()
            for step in steps
            for parameters in step.parameters
        }
        self.counts = [
            [float(parameters.n_steps) for parameters in step.parameters] for step in steps
        ]

    def _train_batch(self, batches: Sequence[Batch]):
        """Make a step of every training that has not failed."""
        inputs = torch.cat([batch.inputs for batch in batches])
        self._for_each(lambda member: member.epoch.begin_step())
        self.backward(self._lose_(self.forward(inputs), inputs, batches))
        self._update_()

    def _lose_(self, output: Tensor, inputs: Tensor, batches: Sequence[Batch]) -> Tensor:
        """Store the losses of all networks, and return the gradient by the outputs."""
        if self.loss is not None:
            return self._lose_together_(self.loss, output, inputs, batches)
        parts = dict(zip(map(id, self.members), batches, strict=True))
        self._for_each(lambda member: _lose_(member, output, parts[id(member)]))
        return output

    def _for_each(self, act: Callable[[_Member], object]):
        """Call a function for each training. An error ends only that training."""
        for member in self.members:
            if member.epoch.error is None:
                try:
                    act(member)
                except Exception as error:
                    member.epoch.error = error

    def _lose_together_(
        self, loss: PreparedLoss, output: Tensor, inputs: Tensor, batches: Sequence[Batch]
    ) -> Tensor:
        """Store the losses of all networks, and return the gradient by the outputs."""
        is_noisy = any(batch.inputs is not batch.rows for batch in batches)
        rows = torch.cat([batch.rows for batch in batches]) if is_noisy else inputs
        given = [batch.weights for batch in batches if batch.weights is not None]
        # As `DenseStep.losses_and_gradient_`.
        factors: Any = 1 / rows[0].numel()
        if given:
            weights = torch.cat(given)
            factors = (weights / rows[0].numel()).unsqueeze(-1)
        losses, gradient = loss.rows_and_gradient_(output, rows, factors)
        self.losses.append((losses * weights if given else losses).mean(1))
        return gradient

    def _update_(self):
        """Make one AdamW step of every network, in one call for all with equal settings."""
        for n_steps in self.n_steps.values():
            n_steps += 1
        for position in range(len(self.tensors)):
            for (count, *_), (settings, spans) in self._list_runs(position).items():
                views = [self._find_views(position, own) for own in spans]
                parts = [[*own] for own in zip(*views, strict=True)]
                call_adamw([*parts, [self.n_steps[count]] * len(spans)], settings)

    def _find_views(self, position: int, own: slice) -> list[Tensor]:
        """Return the parts of parameters and moments that belong to some networks."""
        key = position, own.start, own.stop
        if key not in self.views:
            self.views[key] = [buffer[own] for buffer in self.tensors[position].buffers]
        return self.views[key]

    def _list_runs(self, position: int) -> dict[tuple, tuple[dict, list[slice]]]:
        """Return distinct settings of AdamW for some parameters, each with its networks.

        Keys are the number of steps before this epoch, and the settings.
        """
        runs: dict[tuple, tuple[dict, list[slice]]] = {}
        for member, counts in zip(self.members, self.counts, strict=True):
            if member.epoch.error is not None:
                continue
            for own, group in _list_groups(member.own, member.groups[position]):
                key = counts[position], *read_values(group)
                if key not in runs:
                    runs[key] = read_settings(group), [own]
                    continue
                spans = runs[key][1]
                if spans[-1].stop == own.start:
                    spans[-1] = slice(spans[-1].start, own.stop)
                else:
                    spans.append(own)
        return runs

    def _hand_back(self):
        """Copy parameters, moments and losses back to each training, and release them."""
        n_batches = len(self.members[0].epoch.batches)
        losses = torch.stack(self.losses, 1) if self.losses else None
        for member in self.members:
            if losses is not None:
                member.epoch.losses += losses[member.own].unbind(1)
            for tensors, theirs in zip(self.tensors, member.epoch.step.parameters, strict=True):
                theirs.values.copy_(tensors.values[member.own])
                for mine, moment in zip(tensors.moments, theirs.moments, strict=True):
                    moment.copy_(mine[member.own])
                theirs.n_steps += n_batches
        self.members, self.losses = [], []

    def add_link_(self, output: Tensor, linear: Tensor) -> Tensor:
        """Add the link of the outputs of the linear paths to the outputs."""
        for member in self.members:
            member.epoch.step.add_link_(output[member.own], linear[member.own])
        return output

    def link_gradient_(self, gradient: Tensor, linear: Tensor) -> None:
        """Turn the gradient by the outputs into that by the outputs of the linear paths."""
        for member in self.members:
            member.epoch.step.link_gradient_(gradient[member.own], linear[member.own])


class JointPosteriors(JointNetworks, PosteriorNetworks):
    """Variational networks of several trainings in joint memory."""

    @property
    def posterior_views(self) -> tuple[list[Tensor], list[Tensor]]:
        """Parameters of stacks and likelihoods, and their gradients."""
        return self.tensors[0].views, self.tensors[0].gradient_views

    def gather_constants(self, steps: Sequence[VariationalStep]):
        """Join the tensors of the networks that steps do not change."""
        super().gather_constants(steps)
        self.likelihood = steps[0].likelihood
        self.log_variance = torch.cat([step.log_variance for step in steps])

    def _train_batch(self, batches: Sequence[Batch]):
        """Make a step of every training that has not failed."""
        self._for_each(lambda member: member.epoch.begin_step())
        steps: list[Any] = [member.epoch.step for member in self.members]
        drawn = [step.draw(batch.rows) for step, batch in zip(steps, batches, strict=True)]
        rows, noise = map(torch.cat, zip(*drawn, strict=True))
        given = [batch.weights for batch in batches if batch.weights is not None]
        shares = torch.cat(given) if given else rows.new_ones(rows.shape[:2])
        betas = [
            rows.new_full((len(batch.rows),), step.objective.present_beta)
            for step, batch in zip(steps, batches, strict=True)
        ]
        self.losses.append(self.bound_(rows, noise, shares, torch.cat(betas)))
        self._update_()

    def find_distances_(self, output: Tensor, rows: Tensor, factors) -> tuple[Tensor, Tensor]:
        """Return the mean distances of the cells of rows, and turn the outputs into gradients."""
        if self.loss is not None:
            return self.loss.rows_and_gradient_(output, rows, factors)
        distances = rows.new_empty(rows.shape[:2])
        for member in self.members:
            step: Any = member.epoch.step
            own = member.own
            distances[own], gradient = step.find_distances_(output[own], rows[own], factors[own])
            if gradient.data_ptr() != output[own].data_ptr():
                output[own] = gradient
        return distances, output


class JointCodeCosts(JointNetworks):
    """Networks of several trainings whose codes have a cost, which each training computes."""

    def _train_batch(self, batches: Sequence[Batch]):
        """Make a step of every training that has not failed."""
        inputs = torch.cat([batch.inputs for batch in batches])
        self._for_each(lambda member: member.epoch.begin_step())
        code = self.encode(inputs)
        costs, by_code = code.new_zeros(len(code)), torch.zeros_like(code)
        parts = dict(zip(map(id, self.members), batches, strict=True))

        def charge(member: _Member):
            own, batch, step = member.own, parts[id(member)], member.epoch.step
            assert isinstance(step, CodeCostStep)  # noqa: S101
            costs[own], by_code[own] = step.find_costs_(code[own], batch.inputs, batch.weights)

        self._for_each(charge)
        gradient = self._lose_(self.decode(code), inputs, batches)
        self.encode_backward(self.decode_backward(gradient).add_(by_code))
        self._add_costs(costs)
        self._update_()

    def _add_costs(self, costs: Tensor):
        """Add costs (m,) to the losses of the last batch."""
        if self.loss is not None:
            self.losses[-1] = self.losses[-1] + costs
            return
        for member in self.members:
            losses = member.epoch.losses
            if member.epoch.error is None:
                losses[-1] = losses[-1] + costs[member.own]


# Networks in joint memory by the kind of step whose work they do.
_KINDS: dict[type[Step], type[JointNetworks]] = {
    DenseStep: JointNetworks,
    VariationalStep: JointPosteriors,
    PenaltyStep: JointCodeCosts,
    DiscriminatorStep: JointCodeCosts,
}


def join(epochs: Sequence[EpochOfOne]) -> JointNetworks:
    """Return joint memory for epochs of one kind."""
    return _KINDS[type(epochs[0].step)](epochs)


def _lose_(member: _Member, output: Tensor, batch: Batch):
    """Store the losses of one training, and turn the outputs of its networks into the gradient."""
    own = output[member.own]
    losses, gradient = member.epoch.step.losses_and_gradient_(own, batch.rows, batch.weights)
    if gradient.data_ptr() != own.data_ptr():
        own.copy_(gradient)
    member.epoch.losses.append(losses)


def _list_groups(own: slice, groups: Sequence[dict]) -> list[tuple[slice, dict]]:
    """Return slices of networks that share settings, with the settings."""
    if len(groups) == 1:
        return [(own, groups[0])]
    models = range(own.start, own.stop)
    return [(slice(model, model + 1), group) for model, group in zip(models, groups, strict=True)]
