"""Forward and backward passes of the dense stacks and linear paths of several networks at once.

Shapes are those of `skae._engine.steps.dense`.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor

from skae._engine.steps.products import (
    GradientProducts,
    KeptCalls,
    choose_products,
    make_memory,
    make_stack,
)
from skae.modules import INPUT_LIMIT

_aten = torch.ops.aten

# Each activation, written to a buffer, and its backward function, which changes the gradient in
# place, given the input and the output.
_ACTIVATIONS: dict[str, tuple[Callable, Callable]] = {
    "gelu": (_aten.gelu.out, lambda g, x, y: _aten.gelu_backward.grad_input(g, x, grad_input=g)),
    "identity": (lambda x, out: out.copy_(x), lambda g, x, y: g),
    "logistic": (
        torch.sigmoid,
        lambda g, x, y: _aten.sigmoid_backward.grad_input(g, y, grad_input=g),
    ),
    "relu": (
        lambda x, out: torch.clamp(x, min=0, out=out),
        lambda g, x, y: _aten.threshold_backward.grad_input(g, y, 0, grad_input=g),
    ),
    "silu": (_aten.silu.out, lambda g, x, y: _aten.silu_backward.grad_input(g, x, grad_input=g)),
    "tanh": (torch.tanh, lambda g, x, y: _aten.tanh_backward.grad_input(g, y, grad_input=g)),
}


class _Layer:
    """Linear layer of m stacks for batches of one size.

    Memory is reused in all steps, as allocating it costs more than filling it. Layers share
    `memory` for intermediate results, as in `GradientProducts`. Weights are of shape
    (m, n_out, n_in) and biases of shape (m, n_out); gradients are stored in the tensors given.
    """

    def __init__(self, weight, bias, weight_gradient, bias_gradient, n_rows: int, memory: Tensor):
        n_models, n_outputs, n_inputs = weight.shape
        self.weight, self.transposed, self.bias = weight, weight.mT, bias[:, None]
        self.bias_gradient = bias_gradient
        self.inputs = make_stack((n_models, n_rows, n_inputs), weight)
        self.outputs = make_stack((n_models, n_rows, n_outputs), weight)
        self.input_gradient = make_stack((n_models, n_rows, n_inputs), weight)
        self.products = choose_products(n_rows, weight)
        self.gradients = GradientProducts(weight_gradient, self.products, memory)

    def bind_forward(self) -> Callable[[], Any]:
        """Return a function that computes `outputs` from `inputs`."""
        own = self.bias, self.inputs, self.transposed
        call = self.products.multiply_add(*own, out=self.outputs)
        return call if self.products.writes_to_out else partial(self._keep, "outputs", call)

    def bind_gradients(self, gradient: Tensor) -> Iterator[Callable[[], Any]]:
        """Yield calls that store the gradients of the parameters, given that by the outputs."""
        yield from self.gradients.list_calls(gradient, self.inputs)
        yield partial(torch.sum, gradient, 1, out=self.bias_gradient)

    def bind_backward(self, gradient: Tensor) -> Callable[[], Any]:
        """Return a function that computes `input_gradient`, given the gradient by the outputs."""
        call = self.products.multiply(gradient, self.weight, out=self.input_gradient)
        return call if self.products.writes_to_out else partial(self._keep, "input_gradient", call)

    def _keep(self, name: str, call: Callable[[], Tensor]):
        setattr(self, name, call())


class _StackPasses:
    """Forward and backward passes of m stacks for batches of one size.

    `function` and `derivative` are the activation and its backward function, as in `_ACTIVATIONS`.
    """

    def __init__(self, layers: list[_Layer], function: Callable, derivative: Callable):
        self.layers, self.function, self.derivative = layers, function, derivative
        self.forward_calls, self.backward_calls = KeptCalls(), KeptCalls()
        self.keeps_calls = all(layer.products.writes_to_out for layer in layers)

    def forward(self) -> Tensor:
        """Return the outputs for inputs in the memory of the first layer."""
        self._run(self.forward_calls, self._list_forward)
        return self.layers[-1].outputs

    def backward(self, gradient: Tensor, inputs: Tensor | None, *, to_inputs: bool) -> Tensor:
        """Store the gradients of the parameters. Return that by the inputs if `to_inputs`.

        Inputs are given if they were clamped.
        """
        self._run(self.backward_calls, self._list_backward, gradient, inputs, to_inputs)
        return self.layers[0].input_gradient

    def _run(self, kept: KeptCalls, list_calls: Callable, *arguments):
        if self.keeps_calls:
            kept.run(list_calls, *arguments)
            return
        for call in list_calls(*arguments):
            call()

    # Each call is made before the next is listed, as it may replace the memory of its layer.
    def _list_forward(self) -> Iterator[Callable[[], Any]]:
        first, *others = self.layers
        yield first.bind_forward()
        for previous, layer in zip(self.layers, others, strict=False):
            yield partial(self.function, previous.outputs, out=layer.inputs)
            yield layer.bind_forward()

    def _list_backward(
        self, gradient: Tensor, inputs: Tensor | None, to_inputs: bool
    ) -> Iterator[Callable[[], Any]]:
        for position in reversed(range(len(self.layers))):
            layer = self.layers[position]
            yield from layer.bind_gradients(gradient)
            if position == 0 and not to_inputs:
                return
            yield layer.bind_backward(gradient)
            gradient = layer.input_gradient
            if position > 0:
                outputs = self.layers[position - 1].outputs
                yield partial(self.derivative, gradient, outputs, layer.inputs)
        if inputs is not None:
            own: Any = gradient, inputs, -INPUT_LIMIT, INPUT_LIMIT
            yield partial(_aten.hardtanh_backward.grad_input, *own, grad_input=gradient)


class StackStep:
    """Forward and backward passes of m `DenseStack` at once.

    `views` are weight (m, n_out, n_in) and bias (m, n_out) of each layer in turn. Their gradients
    are stored in `gradient_views`. If `limits`, inputs are clamped, as in encoders and decoders.
    """

    keeps: bool = True
    """Whether a backward pass may follow. Results are the same without it, in less memory."""

    def __init__(self, views, gradient_views, activation: str, *, limits: bool = True):
        self.limits = limits
        self.tensors = list(
            zip(views[0::2], views[1::2], gradient_views[0::2], gradient_views[1::2], strict=True)
        )
        self.activation = _ACTIVATIONS[activation]
        self.memory = make_memory(gradient_views[0::2])
        self.passes_by_size: dict[int, _StackPasses] = {}

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the outputs (m, b, n_out). Keeps intermediate results for the backward pass."""
        n_rows = inputs.shape[1]
        if n_rows not in self.passes_by_size:
            layers = [_Layer(*own, n_rows, self.memory) for own in self.tensors]
            self.passes_by_size[n_rows] = _StackPasses(layers, *self.activation)
        self.inputs, self.passes = inputs, self.passes_by_size[n_rows]
        own = self.passes.layers[0].inputs
        if self.limits:
            torch.clamp(inputs, -INPUT_LIMIT, INPUT_LIMIT, out=own)
        else:
            own.copy_(inputs)
        return self.passes.forward()

    def backward(self, gradient: Tensor, *, to_inputs: bool) -> Tensor:
        """Store the gradients of the parameters. Return that by the inputs if `to_inputs`."""
        inputs = self.inputs if self.limits else None
        return self.passes.backward(gradient, inputs, to_inputs=to_inputs)


class _PathPasses:
    """Products of m `LinearPath` for batches of one size; parameters as in `LinearPathStep`."""

    def __init__(self, views, gradient_views, n_rows: int, memory: Tensor):
        self.products = choose_products(n_rows, views[0])
        self.gradients = [GradientProducts(own, self.products, memory) for own in gradient_views]
        self.encoding, self.decoding, self.returning = KeptCalls(), KeptCalls(), KeptCalls()
        self.linear: Tensor | None = None
        """Outputs of the paths, where these are not added to those of the decoders."""

    def add_(self, kept: KeptCalls, target: Tensor, left: Tensor, right: Tensor) -> Tensor:
        """Add products to a target, which is returned."""
        kept.run(self._list_calls, target, left, right)
        return target

    def _list_calls(self, *arguments: Tensor) -> Iterator[Callable[[], Tensor]]:
        yield self.products.add_(*arguments)

    def multiply(self, left: Tensor, right: Tensor, like: Tensor) -> Tensor:
        """Return products of the shape of `like`, valid until the next call."""
        if self.linear is None or self.linear.shape != like.shape:
            self.linear = make_stack(like.shape, like)
        result = self.products.multiply(left, right, out=self.linear)()
        return self.linear if self.products.writes_to_out else result


class LinearPathStep:
    """Forward and backward passes of m `LinearPath` at once.

    `views` are projection and back-projection (m, k, p), whose gradients are stored in
    `gradient_views`.
    """

    def __init__(self, views, gradient_views):
        self.views, self.gradient_views = views, gradient_views
        self.projection, self.back_projection = views
        self.projection_transposed, self.back_transposed = (view.mT for view in views)
        self.memory = make_memory(gradient_views)
        self.passes_by_size: dict[int, _PathPasses] = {}

    def encode_(self, code: Tensor, inputs: Tensor) -> Tensor:
        """Add the projections of scaled inputs (m, b, p) to codes (m, b, k)."""
        n_rows = inputs.shape[1]
        if n_rows not in self.passes_by_size:
            own = self.views, self.gradient_views, n_rows, self.memory
            self.passes_by_size[n_rows] = _PathPasses(*own)
        self.inputs, self.passes = inputs, self.passes_by_size[n_rows]
        return self.passes.add_(self.passes.encoding, code, inputs, self.projection_transposed)

    def decode_(self, output: Tensor, code: Tensor, add_link_: Callable | None) -> Tensor:
        """Add the back-projections of scaled codes to outputs, through the link if any."""
        self.code = code
        if add_link_ is None:
            return self.passes.add_(self.passes.decoding, output, code, self.back_projection)
        self.linear = self.passes.multiply(code, self.back_projection, output)
        return add_link_(output, self.linear)

    def decode_backward_(self, code_gradient: Tensor, gradient: Tensor) -> Tensor:
        """Store the gradient of the back-projection, and add that by the codes.

        `gradient` is the gradient by the output of the path.
        """
        self.passes.gradients[1].store(self.code, gradient)
        own = code_gradient, gradient, self.back_transposed
        return self.passes.add_(self.passes.returning, *own)

    def encode_backward(self, code_gradient: Tensor):
        """Store the gradient of the projection, given that by the codes."""
        self.passes.gradients[0].store(code_gradient, self.inputs)
