"""Forward and backward passes of the recurrent encoders and decoders of several networks at once.

They do what torch's layers and autograd would do, in fewer calls, and in one for all networks.
Networks of long short-term memory have no passes here: those of oneDNN, which is part of torch, are
faster for one network, and for several with the usual number of units.

Shapes: m networks, b rows, l steps, p inputs of a step, h units of a layer. Tensors of all steps
have l * b rows, one step after the other.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, partial
from typing import Any

import torch
from torch import Tensor

from skae._engine.steps.passes import StackStep
from skae._engine.steps.products import GradientProducts, choose_products, make_memory, make_stack
from skae.modules import INPUT_LIMIT, RecurrentDecoder, RecurrentEncoder
from skae.modules._recurrent import reverse

_aten = torch.ops.aten
# Rows of each network that are judged at once, as all steps of all rows are held in memory.
_ROWS_AT_ONCE = 128
_N_GATES = 3
# Weights of inputs and states, and their biases.
_N_VIEWS = 4


class _Layer:
    """Layer of gated recurrent units of m networks, for batches of one size.

    `views` are the weights of the inputs (m, 3 h, p) and of the states (m, 3 h, h), and their
    biases (m, 3 h), for the gates reset, update and candidate. Their gradients are stored in
    `gradient_views`. The inputs have the shape (m, l b, p), or (m, b, p) in a layer that has the
    same inputs in each step. All memory is reused for each batch.
    """

    by_outputs: Tensor
    """Gradient (m, l b, h) by the states after each step."""

    def __init__(self, views, gradient_views, inputs: Tensor, length: int, n_rows: int):
        *self.weights, input_bias, bias = views
        self.biases, self.gradient_views = (input_bias[:, None], bias[:, None]), gradient_views
        self.n_models, _, self.n_units = self.weights[1].shape
        self.inputs, self.length, self.n_rows = inputs, length, n_rows
        self.repeats = inputs.shape[1] < length * n_rows
        # All sizes are left to one library, as the sizes of products differ in one layer.
        self.products = [choose_products(0, weight) for weight in self.weights]
        self.given = self._make(inputs.shape[1], _N_GATES)
        self.gates = [self._make(n_rows, _N_GATES) for _ in range(length)]
        self.candidates, self.states = self.make_all(), self._make((length + 1) * n_rows)
        own = self.biases[0], self.inputs, self.weights[0].mT
        self.give = self.products[0].multiply_add(*own, out=self.given)
        self.forward_calls = [[*self._list_step(step)] for step in range(length)]
        """Calls of each step, the same for all numbers of steps."""

        self.backward_calls: list[list[Callable[[], Any]]] = []

    def _make(self, n_rows: int, n_blocks: int = 1) -> Tensor:
        return make_stack((self.n_models, n_rows, n_blocks * self.n_units), self.weights[1])

    def make_all(self, n_blocks: int = 1) -> Tensor:
        """Return memory (m, l b, n_blocks h) for all steps."""
        return self._make(self.length * self.n_rows, n_blocks)

    def at(self, tensor: Tensor, step: int) -> Tensor:
        """Return the rows of a step."""
        return tensor[:, step * self.n_rows : (step + 1) * self.n_rows]

    def _split(self, gates: Tensor) -> tuple[Tensor, ...]:
        """Return both first gates together, and each gate."""
        return gates[..., : 2 * self.n_units], *gates.split(self.n_units, -1)

    @property
    def outputs(self) -> Tensor:
        """States (m, l b, h) after each step."""
        return self.states[:, self.n_rows :]

    def forward(self, n_steps: int) -> None:
        """Compute the states after the first steps; those after others are zero."""
        self.give()
        for call in itertools.chain.from_iterable(self.forward_calls[:n_steps]):
            call()
        self.outputs[:, n_steps * self.n_rows :].zero_()

    def _list_step(self, step: int) -> Iterator[Callable[[], Any]]:
        before, candidate = self.at(self.states, step), self.at(self.candidates, step)
        own = self.biases[1], before, self.weights[1].mT
        yield self.products[1].multiply_add(*own, out=self.gates[step])
        both, reset, update, hidden = self._split(self.gates[step])
        given, _, _, new = self._split(self.given if self.repeats else self.at(self.given, step))
        yield partial(both.add_, given)
        yield both.sigmoid_
        yield partial(torch.addcmul, new, reset, hidden, out=candidate)
        yield candidate.tanh_
        yield partial(torch.lerp, candidate, before, update, out=self.at(self.outputs, step))

    def backward(self, n_steps: int, *, to_inputs: bool) -> Tensor:
        """Store the gradients of the parameters. Return that by the first states (m, b, h).

        If `to_inputs`, that by the inputs is in `input_gradient`.
        """
        if not self.backward_calls:
            self._take_memory()
        self.by_states[n_steps % 2].zero_()
        for call in itertools.chain.from_iterable(reversed(self.backward_calls[:n_steps])):
            call()
        # Products have the same size for all numbers of steps, as rounding depends on it.
        self.by_gates[:, n_steps * self.n_rows :].zero_()
        self.by_given[:, n_steps * self.n_rows :].zero_()
        for call in self.last_calls if to_inputs else self.last_calls[:-1]:
            call()
        return self.by_states[0]

    def _take_memory(self):
        """Take the memory of the backward pass."""
        self.by_states = self._make(self.n_rows), self._make(self.n_rows)
        self.by_gates, self.by_given = self.make_all(_N_GATES), self.make_all(_N_GATES)
        self.total = self._make(self.n_rows, _N_GATES) if self.repeats else self.by_given
        self.input_gradient = make_stack(self.inputs.shape, self.inputs)
        memory = make_memory(self.gradient_views[:2])
        pairs = zip(self.gradient_views[:2], self.products, strict=True)
        self.gradients = [GradientProducts(*own, memory) for own in pairs]
        self.backward_calls = [[*self._list_step_gradients(step)] for step in range(self.length)]
        self.last_calls = [*self._list_last()]

    def _list_last(self) -> Iterator[Callable[[], Any]]:
        """Yield calls after those of all steps, the last of which is for the inputs."""
        yield partial(self._split(self.by_given)[0].copy_, self._split(self.by_gates)[0])
        if self.repeats:
            steps = self.by_given.unflatten(1, (self.length, self.n_rows))
            yield partial(torch.sum, steps, 1, out=self.total)
        yield from self.gradients[0].list_calls(self.total, self.inputs)
        yield from self.gradients[1].list_calls(self.by_gates, self.states[:, : -self.n_rows])
        yield partial(torch.sum, self.total, 1, out=self.gradient_views[2])
        yield partial(torch.sum, self.by_gates, 1, out=self.gradient_views[3])
        own = self.total, self.weights[0]
        yield self.products[0].multiply(*own, out=self.input_gradient)

    def _list_step_gradients(self, step: int) -> Iterator[Callable[[], Any]]:
        by_earlier, by_state = self.by_states[step % 2], self.by_states[1 - step % 2]
        before, candidate = self.at(self.states, step), self.at(self.candidates, step)
        both, reset, update, hidden = self._split(self.gates[step])
        by_gates = self.at(self.by_gates, step)
        by_both, by_reset, by_update, by_hidden = self._split(by_gates)
        *_, by_candidate = self._split(self.at(self.by_given, step))
        yield partial(by_state.add_, self.at(self.by_outputs, step))
        yield partial(torch.sub, before, candidate, out=by_update)
        yield partial(by_update.mul_, by_state)
        yield partial(torch.mul, by_state, update, out=by_earlier)
        yield partial(torch.sub, by_state, by_earlier, out=by_candidate)
        yield _bind_tanh(by_candidate, candidate)
        yield partial(torch.mul, by_candidate, hidden, out=by_reset)
        yield partial(torch.mul, by_candidate, reset, out=by_hidden)
        own = by_both, both
        yield partial(_aten.sigmoid_backward.grad_input, *own, grad_input=by_both)
        yield self.products[1].add_(by_earlier, by_gates, self.weights[1])


def _bind_tanh(gradient: Tensor, outputs: Tensor) -> Callable[[], Any]:
    """Return a call that turns the gradient by outputs of `tanh` into that by its inputs."""
    return partial(_aten.tanh_backward.grad_input, gradient, outputs, grad_input=gradient)


class _Layers:
    """Layers of m networks, one on top of the other. Parameters as in `_Layer`, by layers."""

    def __init__(self, views, gradient_views, inputs: Tensor, length: int, n_rows: int):
        self.inputs = inputs
        self.layers: list[_Layer] = []
        for first in range(0, len(views), _N_VIEWS):
            own = views[first : first + _N_VIEWS], gradient_views[first : first + _N_VIEWS]
            self.layers.append(_Layer(*own, inputs, length, n_rows))
            inputs = self.layers[-1].outputs

    @cached_property
    def by_outputs(self) -> Tensor:
        """Memory for the gradient (m, l b, h) by the states of the last layer."""
        return self.layers[-1].make_all()

    def start_(self, states: Tensor):
        """Set the states (m, b, n_layers * h) before the first step."""
        parts = states.chunk(len(self.layers), -1)
        for layer, own in zip(self.layers, parts, strict=True):
            layer.at(layer.states, 0).copy_(own)

    def forward(self, n_steps: int) -> Tensor:
        """Return the states (m, l b, h) of the last layer after each of the first steps."""
        for layer in self.layers:
            layer.forward(n_steps)
        return self.layers[-1].outputs

    def backward(self, by_outputs: Tensor, n_steps: int, *, to_inputs: bool) -> list[Tensor]:
        """Store the gradients of the parameters. Return those by the first states of the layers.

        The gradient by the outputs must be in the same memory in each call.
        """
        by_first = []
        for position, layer in reversed([*enumerate(self.layers)]):
            layer.by_outputs = by_outputs
            by_first.append(layer.backward(n_steps, to_inputs=to_inputs or position > 0))
            by_outputs = layer.input_gradient
        return by_first[::-1]


class _RecurrentStep:
    """Base class of the passes of m recurrent networks, which are used as `StackStep`."""

    keeps: bool = True
    n_cells: tuple[int, int]
    """Number of cells held for a row of a network in the forward pass, and in the backward pass."""

    def count_cells(self, n_trained: Sequence[int], n_judged: int) -> int:
        """Return the number of cells held for batches and judged rows of a network."""
        n_at_once = min(n_judged, _ROWS_AT_ONCE)
        return sum(n_trained) * sum(self.n_cells) + n_at_once * self.n_cells[0]

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the outputs (m, b, n_out), valid until the next call."""
        n_models, n_rows, _ = inputs.shape
        if self.keeps or n_rows <= _ROWS_AT_ONCE:
            return self.run(inputs)
        outputs: Any = None
        for first in range(0, n_rows, _ROWS_AT_ONCE):
            own = slice(first, first + _ROWS_AT_ONCE)
            found = self.run(inputs[:, own])
            if outputs is None:
                outputs = make_stack((n_models, n_rows, found.shape[-1]), found)
            outputs[:, own] = found
        return outputs

    def run(self, inputs: Tensor) -> Tensor:
        """Return the outputs, and keep intermediate results for the backward pass."""
        raise NotImplementedError


def _count_cells(views, length: int, n_given: int) -> tuple[int, int]:
    """Return the `n_cells` of layers that have as many different inputs."""
    forward = backward = 0
    for weight, state_weight in zip(views[::_N_VIEWS], views[1::_N_VIEWS], strict=True):
        n_inputs, n_units = weight.shape[-1], state_weight.shape[-1]
        forward += length * (_N_GATES + 2) * n_units + n_given * (_N_GATES * n_units + n_inputs)
        backward += length * (2 * _N_GATES + 1) * n_units + n_given * n_inputs
    return forward, backward


class RecurrentEncoderStep(_RecurrentStep):
    """Forward and backward passes of m `RecurrentEncoder`. Parameters as in `StackStep`."""

    def __init__(self, module: RecurrentEncoder, views, gradient_views):
        self.module, self.length = module, module.sample_shape[0]
        n_own = len([*module.readers[0].parameters()])
        firsts = range(0, n_own * len(module.readers), n_own)
        self.readers = [(views[i : i + n_own], gradient_views[i : i + n_own]) for i in firsts]
        self.n_cells = _count_cells(views[: n_own * len(firsts)], self.length, self.length)
        own = views[n_own * len(firsts) :], gradient_views[n_own * len(firsts) :]
        self.head = StackStep(*own, module.head.activation, limits=False)
        self.layers_by_size: dict[int, list[_Layers]] = {}

    def _make_layers(self, views, gradient_views, n_rows: int) -> _Layers:
        n_models, _, n_inputs = views[0].shape
        inputs = make_stack((n_models, self.length * n_rows, n_inputs), views[0])
        return _Layers(views, gradient_views, inputs, self.length, n_rows)

    def run(self, inputs: Tensor) -> Tensor:
        n_models, n_rows, _ = inputs.shape
        if n_rows not in self.layers_by_size:
            made = [self._make_layers(*own, n_rows) for own in self.readers]
            self.layers_by_size[n_rows] = made
        self.layers = self.layers_by_size[n_rows]
        clipped = inputs.clamp(-INPUT_LIMIT, INPUT_LIMIT)
        steps, lengths = self.module.unfold(clipped.flatten(0, 1))
        self.n_steps = len(steps)
        self.are_there = (lengths > 0).view(n_models, n_rows, 1).to(inputs.dtype)
        self.ends = (lengths - 1).clamp_min(0).view(n_models, 1, n_rows, 1)
        pairs = zip(self.layers, self.module.directions, strict=True)
        states = [
            self._read(layers, reverse(steps, lengths) if backwards else steps)
            for layers, backwards in pairs
        ]
        return self.head.forward(torch.cat(states, -1) if len(states) > 1 else states[0])

    def _read(self, layers: _Layers, steps: Tensor) -> Tensor:
        """Return the states (m, b, h) after the last step of each of m * b sequences."""
        own = steps.unflatten(1, (len(self.ends), -1)).transpose(0, 1)
        self._unfold(layers.inputs)[:, : self.n_steps].copy_(own)
        outputs = self._unfold(layers.forward(self.n_steps))
        return outputs.gather(1, self._find_places(outputs))[:, 0] * self.are_there

    def _unfold(self, steps: Tensor) -> Tensor:
        """Return a view (m, l, b, n) of the rows of all steps (m, l b, n)."""
        return steps.unflatten(1, (self.length, -1))

    def _find_places(self, outputs: Tensor) -> Tensor:
        return self.ends.expand(-1, -1, -1, outputs.shape[-1])

    def backward(self, gradient: Tensor, *, to_inputs: bool) -> None:
        """Store the gradients of the parameters; that by the inputs is never needed."""
        by_states = self.head.backward(gradient, to_inputs=True) * self.are_there
        parts = by_states.chunk(len(self.layers), -1)
        for layers, by_state in zip(self.layers, parts, strict=True):
            by_outputs = self._unfold(layers.by_outputs.zero_())
            by_outputs.scatter_(1, self._find_places(by_outputs), by_state[:, None])
            layers.backward(layers.by_outputs, self.n_steps, to_inputs=False)


class _Written:
    """Memory of m decoders for batches of one size. `views` are those of the recurrent layers."""

    def __init__(self, sample_shape, views, gradient_views, n_rows: int):
        length, n_features = sample_shape
        n_models, _, n_codes = views[0].shape
        n_states = views[1].shape[-1] * (len(views) // _N_VIEWS)

        def make(n_all: int, n_columns: int) -> Tensor:
            return make_stack((n_models, n_all, n_columns), views[0])

        self.code = make(n_rows, n_codes)
        self.layers = _Layers(views, gradient_views, self.code, length, n_rows)
        self.first, self.by_first = make(n_rows, n_states), make(n_rows, n_states)
        self.output = make(n_rows, length * n_features)
        self.by_steps = make(length * n_rows, n_features)


class RecurrentDecoderStep(_RecurrentStep):
    """Forward and backward passes of m `RecurrentDecoder`. Parameters as in `StackStep`."""

    def __init__(self, module: RecurrentDecoder, views, gradient_views):
        self.sample_shape = self.length, _ = module.sample_shape
        n_start = 2 * len(module.start.linears)
        end = len(views) - 2 * len(module.head.linears)
        parts = slice(n_start), slice(n_start, end), slice(end, None)
        start, self.writer, head = [(views[own], gradient_views[own]) for own in parts]
        forward, backward = _count_cells(self.writer[0], self.length, 1)
        n_head = self.length * (2 * module.writer.n_units + 3 * self.sample_shape[1])
        self.n_cells = forward + n_head, backward
        self.start = StackStep(*start, module.start.activation, limits=False)
        self.head = StackStep(*head, module.head.activation, limits=False)
        self.written_by_size: dict[int, _Written] = {}

    def run(self, inputs: Tensor) -> Tensor:
        n_rows = inputs.shape[1]
        if n_rows not in self.written_by_size:
            self.written_by_size[n_rows] = _Written(self.sample_shape, *self.writer, n_rows)
        self.inputs, self.written = inputs, self.written_by_size[n_rows]
        own = self.written
        torch.clamp(inputs, -INPUT_LIMIT, INPUT_LIMIT, out=own.code)
        own.layers.start_(torch.tanh(self.start.forward(own.code), out=own.first))
        steps = self.head.forward(own.layers.forward(self.length))
        self._unfold(own.output).copy_(self._unfold_steps(steps))
        return own.output

    def _unfold(self, rows: Tensor) -> Tensor:
        """Return a view (m, b, l, p) of rows (m, b, l p)."""
        return rows.unflatten(2, self.sample_shape)

    def _unfold_steps(self, steps: Tensor) -> Tensor:
        """Return a view (m, b, l, p) of the rows of all steps (m, l b, p)."""
        return steps.unflatten(1, (self.length, -1)).transpose(1, 2)

    def backward(self, gradient: Tensor, *, to_inputs: bool) -> Tensor:
        """Store the gradients of the parameters. Return that by the inputs."""
        own = self.written
        self._unfold_steps(own.by_steps).copy_(self._unfold(gradient))
        by_outputs = self.head.backward(own.by_steps, to_inputs=True)
        by_first = own.layers.backward(by_outputs, self.length, to_inputs=True)
        torch.cat(by_first, -1, out=own.by_first)
        _bind_tanh(own.by_first, own.first)()
        by_code = self.start.backward(own.by_first, to_inputs=True)
        by_code.add_(own.layers.layers[0].input_gradient)
        limits = -INPUT_LIMIT, INPUT_LIMIT
        return _aten.hardtanh_backward.grad_input(by_code, self.inputs, *limits, grad_input=by_code)
