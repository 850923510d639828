"""Steps of several dense trainings at once, with the results of each alone.

Products and activations are computed for the models of all trainings together. Everything that
differs from training to training, such as losses, ranges, links and optimisers, acts on its own
slice, by the very calls that it makes alone. Networks that fill missing cells train by themselves.
"""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from skae._engine.steps.dense import DenseNetworks, DenseStep, FlatTensors, make_stack_steps
from skae._engine.steps.epoch import Batch
from skae._engine.steps.step import Step, leave_gradients
from skae.modules._products import LARGE_PRODUCT


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
    )


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
        slices = [slice(end - own.n_models, end) for own, end in zip(epochs, ends, strict=True)]
        self.members = list(zip(epochs, slices, strict=True))
        self.input_scale = torch.cat([epoch.step.input_scale for epoch in epochs])
        self.code_scale = torch.cat([epoch.step.code_scale for epoch in epochs])
        for position, tensors in enumerate(self.tensors):
            own = [epoch.step.parameters[position].values for epoch in epochs]
            torch.cat(own, out=tensors.values)
        for position in range(len(epochs[0].batches)):
            self._train_batch(position)
        self._hand_back()

    def _train_batch(self, position: int):
        """Make a step of every training that has not failed."""
        inputs = [epoch.batches[position].inputs for epoch, _ in self.members]
        self._for_each(lambda epoch, _: epoch.begin_step())
        gradient = self.forward(torch.cat(inputs))
        self._for_each(lambda epoch, own: _lose_(epoch, position, gradient[own]))
        self.backward(gradient)
        self._for_each(self._update_)

    def _for_each(self, act: Callable[[EpochOfOne, slice], object]):
        """Let each training act on its slice; an error ends that training alone."""
        for epoch, own in self.members:
            if epoch.error is None:
                try:
                    act(epoch, own)
                except Exception as error:
                    epoch.error = error

    def _update_(self, epoch: EpochOfOne, own: slice):
        values = [tensors.values[own] for tensors in self.tensors]
        gradients = [tensors.gradients[own] for tensors in self.tensors]
        epoch.step.update_elsewhere_(values, gradients)

    def _hand_back(self):
        """Give each training its parameters, and let go of all of them."""
        for epoch, own in self.members:
            for tensors, theirs in zip(self.tensors, epoch.step.parameters, strict=True):
                theirs.values.copy_(tensors.values[own])
        self.members = []

    def add_link_(self, output: Tensor, linear: Tensor) -> Tensor:
        """Add the link of what the linear paths have made to the outputs."""
        for epoch, own in self.members:
            epoch.step.add_link_(output[own], linear[own])
        return output

    def link_gradient_(self, gradient: Tensor, linear: Tensor) -> None:
        """Turn the gradient by the outputs into that by what the linear paths have made."""
        for epoch, own in self.members:
            epoch.step.link_gradient_(gradient[own], linear[own])


def _lose_(epoch: EpochOfOne, position: int, output: Tensor):
    """Note the losses of one training's models, and turn their outputs into the gradient."""
    batch = epoch.batches[position]
    losses, gradient = epoch.step.losses_and_gradient_(output, batch.rows, batch.weights)
    if gradient.data_ptr() != output.data_ptr():
        output.copy_(gradient)
    epoch.losses.append(losses)
