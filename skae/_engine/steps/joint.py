"""Steps of several dense trainings at once, with the results of each alone.

Products and activations are computed for the models of all trainings together, and so are losses
that treat every column alike. AdamW takes all models whose settings are equal at this step in one
call. Everything else that differs from training to training, such as ranges and links, acts on its
own slice, by the very calls that it makes alone. Networks that fill missing cells train by
themselves.
"""

import itertools
from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from skae._engine.steps.dense import (
    DenseNetworks,
    DenseStep,
    FlatTensors,
    call_adamw,
    list_settings,
    make_stack_steps,
)
from skae._engine.steps.epoch import Batch
from skae._engine.steps.step import Step, leave_gradients
from skae.modules._products import LARGE_PRODUCT
from skae.objectives import AbsoluteError, HuberLoss, PreparedLoss, SquaredError

_ALIKE_IN_ALL_COLUMNS = {AbsoluteError, HuberLoss, SquaredError}


@dataclass
class EpochOfOne:
    """An epoch of one training among others."""

    step: DenseStep
    batches: list[Batch]
    begin_step: Callable[[], None]
    losses: list[Tensor] = field(default_factory=list)
    """Loss of each of its models on each batch so far."""

    error: BaseException | None = None
    """The reason why it has ended early."""

    @property
    def n_models(self) -> int:
        """Number of models of the training."""
        return len(self.step.modules)

    @property
    def n_bytes(self) -> int:
        """Memory of the parameters and their gradients."""
        return sum(2 * own.values.nbytes for own in self.step.parameters)

    @property
    def rate(self) -> float:
        """Learning rate of the first model at the last step."""
        return self.step.groups[0][0]["lr"]


def can_join(step: Step) -> bool:
    """Tell whether trainings with this step can share their steps with others."""
    return (
        type(step) is DenseStep
        and not step.fills
        and step.exchange_ is leave_gradients
        and step.parameters[0].values.device.type == "cpu"
    )


def find_kind(epoch: EpochOfOne) -> Any:
    """Return a value that is equal for epochs that can be trained together.

    None where products are so large that a model alone uses other products, or several threads,
    and has no need of company.
    """
    step, first = epoch.step, epoch.step.modules[0]
    shapes = [tuple(view.shape[1:]) for own in step.parameters for view in own.views]
    sizes = [batch.rows.shape[1] for batch in epoch.batches]
    largest = max(shape.numel() for shape in map(torch.Size, shapes))
    if largest * max(sizes) >= LARGE_PRODUCT or torch.get_num_threads() > 1:
        return None
    return (
        tuple(shapes),
        tuple(sizes),
        len(step.parameters),
        len(first.encoder.linears),
        first.encoder.activation,
        first.decoder.activation,
        step.has_link,
        step.parameters[0].values.dtype,
        _find_loss(step.loss),
        tuple(batch.weights is None for batch in epoch.batches),
    )


def _find_loss(prepared: PreparedLoss) -> Hashable:
    """Return a value that is equal for losses that do the same; None if it depends on the table."""
    loss, units = prepared.loss, prepared.units
    if type(prepared) is not PreparedLoss or type(loss) not in _ALIKE_IN_ALL_COLUMNS:
        return None
    if prepared.masked or units.lower is not None or units.upper is not None:
        return None
    return type(loss), *vars(loss).items()


@dataclass
class _Member:
    """An epoch in the memory that it shares with others."""

    epoch: EpochOfOne
    own: slice
    buffers: list[list[Tensor]]
    """For each group of parameters their values, their gradients, and AdamW's moments."""


class JointNetworks(DenseNetworks):
    """The models of several trainings, in memory of their own.

    Parameters
    ----------
    epochs : list of EpochOfOne
        Epochs of one kind. Others of that kind, with as many models in all, can follow.
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

    @torch.no_grad()
    def train(self, epochs: Sequence[EpochOfOne]):
        """Train each to the end of its epoch, and leave losses and errors with it."""
        ends = list(itertools.accumulate(epoch.n_models for epoch in epochs))
        self.members = [
            self._admit(epoch, slice(end - epoch.n_models, end))
            for epoch, end in zip(epochs, ends, strict=True)
        ]
        self.loss = _find_loss(epochs[0].step.loss)
        self.input_scale = torch.cat([epoch.step.input_scale for epoch in epochs])
        self.code_scale = torch.cat([epoch.step.code_scale for epoch in epochs])
        for position, tensors in enumerate(self.tensors):
            own = [epoch.step.parameters[position].values for epoch in epochs]
            torch.cat(own, out=tensors.values)
        for position in range(len(epochs[0].batches)):
            self._train_batch([epoch.batches[position] for epoch in epochs])
        self._hand_back()

    def _admit(self, epoch: EpochOfOne, own: slice) -> _Member:
        parts = zip(self.tensors, epoch.step.parameters, strict=True)
        buffers = [
            [tensors.values[own], tensors.gradients[own], *parameters.moments]
            for tensors, parameters in parts
        ]
        return _Member(epoch, own, buffers)

    def _train_batch(self, batches: Sequence[Batch]):
        """Make a step of every training that has not failed."""
        inputs = torch.cat([batch.inputs for batch in batches])
        self._for_each(lambda member: member.epoch.begin_step())
        output = self.forward(inputs)
        if self.loss is None:
            parts = dict(zip(map(id, self.members), batches, strict=True))
            self._for_each(lambda member: _lose_(member, output, parts[id(member)]))
            self.backward(output)
        else:
            self.backward(self._lose_together_(output, inputs, batches))
        self._update_()

    def _for_each(self, act: Callable[[_Member], object]):
        """Let each training act; an error ends that training alone."""
        for member in self.members:
            if member.epoch.error is None:
                try:
                    act(member)
                except Exception as error:
                    member.epoch.error = error

    def _lose_together_(self, output: Tensor, inputs: Tensor, batches: Sequence[Batch]) -> Tensor:
        """Note the losses of all models, and turn their outputs into the gradient."""
        is_noisy = any(batch.inputs is not batch.rows for batch in batches)
        rows = torch.cat([batch.rows for batch in batches]) if is_noisy else inputs
        given = [batch.weights for batch in batches if batch.weights is not None]
        step = self.members[0].epoch.step
        losses, gradient = step.losses_and_gradient_(
            output, rows, torch.cat(given) if given else None
        )
        for member in self.members:
            member.epoch.losses.append(losses[member.own])
        return gradient

    def _update_(self):
        """Make one AdamW step of every model, in one call for all of equal settings."""
        calls: dict[tuple, tuple[dict, list]] = defaultdict(lambda: ({}, []))
        self._for_each(lambda member: _list_updates(member, calls))
        for settings, tensors in calls.values():
            call_adamw([list(own) for own in zip(*tensors, strict=True)], settings)

    def _hand_back(self):
        """Give each training its parameters, and let go of all of them."""
        for member in self.members:
            parts = zip(member.buffers, member.epoch.step.parameters, strict=True)
            for (values, *_), theirs in parts:
                theirs.values.copy_(values)
        self.members = []

    def add_link_(self, output: Tensor, linear: Tensor) -> Tensor:
        """Add the link of what the linear paths have made to the outputs."""
        for member in self.members:
            member.epoch.step.add_link_(output[member.own], linear[member.own])
        return output

    def link_gradient_(self, gradient: Tensor, linear: Tensor) -> None:
        """Turn the gradient by the outputs into that by what the linear paths have made."""
        for member in self.members:
            member.epoch.step.link_gradient_(gradient[member.own], linear[member.own])


def _lose_(member: _Member, output: Tensor, batch: Batch):
    """Note the losses of one training's models, and turn their outputs into the gradient."""
    own = output[member.own]
    losses, gradient = member.epoch.step.losses_and_gradient_(own, batch.rows, batch.weights)
    if gradient.data_ptr() != own.data_ptr():
        own.copy_(gradient)
    member.epoch.losses.append(losses)


def _list_updates(member: _Member, calls: dict):
    """Add the tensors of one training to the calls of AdamW with their settings."""
    step = member.epoch.step
    parts = zip(member.buffers, step.parameters, step.list_groups(), strict=True)
    for buffers, parameters, groups in parts:
        parameters.n_steps += 1
        settings = list_settings(groups)
        single = [buffers]
        if len(settings) > 1:
            single = [[buffer[model] for buffer in buffers] for model in range(len(settings))]
        for own, tensors in zip(settings, single, strict=True):
            found, listed = calls[tuple(own.values())]
            found.update(own)
            listed.append((*tensors, parameters.n_steps))
