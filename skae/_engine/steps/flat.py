"""Parameters of several networks of one shape in flat buffers, which AdamW updates in one call."""

import copy
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from skae._engine.steps.products import round_up

# AdamW on a GPU uses few processors per tensor, and takes up to this many tensors at a time.
_N_PIECES_ON_GPU = 32


class FlatTensors:
    """Parameters of m networks of one shape, their gradients and AdamW's moments in flat buffers.

    The parameters of one network give shapes, data type and device.
    """

    def __init__(self, n_models: int, parameters: Sequence[Tensor]):
        shapes = [parameter.shape for parameter in parameters]
        sizes = [shape.numel() for shape in shapes]
        n_cells = sum(map(round_up, sizes))
        self.values = parameters[0].detach().new_zeros(n_models, n_cells)
        self.gradients = torch.zeros_like(self.values)
        self.moments = torch.zeros_like(self.values), torch.zeros_like(self.values)
        self.views = self._views(self.values, shapes, sizes)
        self.gradient_views = self._views(self.gradients, shapes, sizes)

    @property
    def buffers(self) -> list[Tensor]:
        """Values, gradients and two moments, each of shape (m, n_cells)."""
        return [self.values, self.gradients, *self.moments]

    def make_twin(self) -> "FlatTensors":
        """Return tensors with values of their own, and the same gradients and moments."""
        twin = copy.copy(self)
        twin.values = torch.empty_like(self.values)
        shapes = [view.shape[1:] for view in self.views]
        twin.views = self._views(twin.values, shapes, [shape.numel() for shape in shapes])
        return twin

    @staticmethod
    def _views(buffer: Tensor, shapes, sizes) -> list[Tensor]:
        parts = buffer.split([round_up(size) for size in sizes], dim=1)
        return [
            part[:, :size].view(-1, *shape)
            for part, size, shape in zip(parts, sizes, shapes, strict=True)
        ]


class FlatParameters(FlatTensors):
    """Flat buffers of m modules of one shape, and the number of steps so far.

    The given parameters of each module, of equal shapes in the same order, become views of the
    buffer of values.
    """

    def __init__(self, parameters: Sequence[Sequence[nn.Parameter]]):
        super().__init__(len(parameters), parameters[0])
        self.n_steps = torch.zeros((), device=self.values.device)
        # Adding a number would convert it to a tensor in each step.
        self._one = torch.ones_like(self.n_steps)
        pieces = split_buffers(self.buffers, _N_PIECES_ON_GPU if self.values.is_cuda else 1)
        self._step_ = bind_adamw([*pieces, [self.n_steps] * len(pieces[0])])
        for model, own in enumerate(parameters):
            for view, parameter in zip(self.views, own, strict=True):
                view[model] = parameter.detach()
                parameter.data = view[model]

    def copy_moments(self):
        """Return the moments and the number of steps of the optimiser."""
        return [moment.clone() for moment in self.moments], self.n_steps.clone()

    def load_moments(self, state):
        moments, n_steps = state
        for mine, theirs in zip(self.moments, moments, strict=True):
            mine.copy_(theirs)
        self.n_steps.copy_(n_steps)

    def step_(self, groups: Sequence[dict]):
        """Make one AdamW step, with settings for each network or one for all networks."""
        self.apply_(list_settings(groups))

    def apply_(self, settings: Sequence[dict]):
        """Make one AdamW step with settings returned by `list_settings`."""
        self.n_steps += self._one
        if len(settings) == 1:
            self._step_(**settings[0])
            return
        for model, own in enumerate(settings):
            parts = [[buffer[model]] for buffer in self.buffers]
            bind_adamw([*parts, [self.n_steps]])(**own)


def bind_adamw(tensors: Sequence[list[Tensor]]) -> Callable[..., Any]:
    """Return a function of settings that makes one AdamW step of each of several tensors.

    The fused step on flat buffers is private in torch, and its public wrapper costs more than the
    step itself. `tensors` are lists of parameters, their gradients, AdamW's two moments, and
    numbers of steps including this one. Settings are keywords from `list_settings`.
    """
    *buffers, n_steps = tensors
    return partial(torch._fused_adamw_, *buffers, [], n_steps, amsgrad=False, maximize=False)


def split_buffers(buffers: Sequence[Tensor], n_pieces: int) -> list[list[Tensor]]:
    """Split each buffer into at most `n_pieces` pieces that start at vector boundaries."""
    if n_pieces == 1:
        return [[buffer] for buffer in buffers]
    size = 64 * -(-buffers[0].numel() // (64 * n_pieces))
    return [[*buffer.view(-1).split(size)] for buffer in buffers]


def list_settings(groups: Sequence[dict]) -> list[dict[str, Any]]:
    """Return the settings of AdamW for each network, or one for all if they are equal."""
    first, *others = map(read_values, groups)
    # For a thousand networks, making dictionaries would take longer than the step.
    differ = any(own != first for own in others)
    return [name_settings(own) for own in (first, *others)] if differ else [name_settings(first)]


def read_values(group: dict) -> tuple:
    """Return the AdamW settings of a parameter group as a tuple."""
    return group["lr"], group["weight_decay"], group["eps"], *group["betas"]


def name_settings(values: Sequence) -> dict[str, Any]:
    """Return settings that `read_values` returns as arguments of the fused step."""
    return dict(zip(("lr", "weight_decay", "eps", "beta1", "beta2"), values, strict=True))
