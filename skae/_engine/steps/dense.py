"""Training step of dense autoencoders with explicit gradients.

The step does what autograd and AdamW would do with an `skae.modules.Autoencoder` made of two
`DenseStack`. All parameters are stored in two flat buffers, one for the stacks and one for the
linear path, so that the optimiser needs two calls. Every product is batched over a leading axis of
networks, so that several networks of the same shape train side by side. For a single network, this
axis has length one.

Shapes: m networks, b rows in a batch, p features, k codes. Gradients are those of the sum of the
losses of all networks, so that networks do not affect each other.
"""

import copy
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from skae._engine.steps.averaging import are_equal
from skae._engine.steps.products import (
    GradientProducts,
    KeptCalls,
    choose_products,
    make_memory,
    make_stack,
    make_wide_stack,
    round_up,
)
from skae._engine.steps.step import Step
from skae.modules import INPUT_LIMIT, Autoencoder, DenseStack, GaussianFilling, LinearOutput
from skae.objectives import PreparedLoss, ReconstructionObjective
from skae.objectives._units import as_tensor

_aten = torch.ops.aten
# AdamW on a GPU uses few processors per tensor, and takes up to this many tensors at a time.
_N_PIECES_ON_GPU = 32

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


class FlatTensors:
    """Parameters of m networks of one shape, their gradients and AdamW's moments in flat buffers.

    Parameters
    ----------
    n_models : int
        Number of networks.
    parameters : list of Tensor
        Parameters of one network, which give shapes, data type and device.
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

    The parameters of the modules become views of the buffer of values.

    Parameters
    ----------
    parameters : list of list of Parameter
        Parameters of each network, of equal shapes in the same order.
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
    # For a thousand networks, making dictionaries would take longer than the step.
    if len(groups) > 1 and len({read_values(group) for group in groups}) == 1:
        groups = groups[:1]
    return [read_settings(group) for group in groups]


def read_values(group: dict) -> tuple:
    """Return the AdamW settings of a parameter group as a tuple."""
    return group["lr"], group["weight_decay"], group["eps"], *group["betas"]


def read_settings(group: dict) -> dict[str, Any]:
    """Return the AdamW settings of a parameter group as arguments of the fused step."""
    beta1, beta2 = group["betas"]
    return {
        "lr": group["lr"],
        "weight_decay": group["weight_decay"],
        "eps": group["eps"],
        "beta1": beta1,
        "beta2": beta2,
    }


class _Layer:
    """Linear layer of m stacks for batches of one size.

    Memory is reused in all steps, as allocating it costs more than filling it.

    Parameters
    ----------
    weight, bias : Tensor of shape (m, n_out, n_in) and (m, n_out)
        Parameters.
    weight_gradient, bias_gradient : Tensor of the same shapes
        Tensors in which the gradients are stored.
    n_rows : int
        Number of rows in a batch.
    memory : Tensor
        Memory for intermediate results that layers share, as in `GradientProducts`.
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

    Parameters
    ----------
    layers : list of _Layer
        Layers.
    function, derivative : callable
        Activation and its backward function, as in `_ACTIVATIONS`.
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

    Parameters
    ----------
    views, gradient_views : list of Tensor
        Weight (m, n_out, n_in) and bias (m, n_out) of each layer in turn, and tensors in which
        their gradients are stored.
    activation : str
        Name of the activation.
    limits : bool, default=True
        Whether inputs are clamped, as in encoders and decoders.
    """

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
    """Products of m `LinearPath` for batches of one size; parameters as in `_LinearPathStep`."""

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


class _LinearPathStep:
    """Forward and backward passes of m `LinearPath` at once.

    Parameters
    ----------
    views, gradient_views : list of Tensor of shape (m, k, p)
        Projection and back-projection, and tensors in which their gradients are stored.
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


class DenseNetworks:
    """Forward and backward passes of m dense autoencoders of one shape.

    Parameters
    ----------
    module : Autoencoder
        One of the networks.
    stacks : tuple of two StackStep
        Encoders and decoders.
    paths : FlatTensors or None
        Parameters of the linear paths, if any.
    """

    input_scale: Tensor
    code_scale: Tensor

    def __init__(
        self, module: Autoencoder, stacks: tuple[StackStep, StackStep], paths: FlatTensors | None
    ):
        self.encoder, self.decoder = stacks
        self.scaled_by_size: dict[int, Tensor] = {}
        self.wide_stacks: dict[tuple[str, int], Tensor] = {}
        self.linear_path = (
            None if paths is None else _LinearPathStep(paths.views, paths.gradient_views)
        )
        has_link = paths is not None and not isinstance(module.output, LinearOutput)
        self.has_link, self.fills = has_link, module.filling is not None

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the outputs (m, b, p) for rows (m, b, p), valid until the next call."""
        return self.decode(self.encode(inputs))

    def encode(self, inputs: Tensor) -> Tensor:
        """Return the scaled codes (m, b, k) of rows (m, b, p), valid until the next call."""
        n_rows = inputs.shape[1]
        if n_rows not in self.scaled_by_size:
            self.scaled_by_size[n_rows] = make_stack(inputs.shape, inputs)
        self.scaled_inputs = self.scaled_by_size[n_rows]
        torch.mul(inputs, self.input_scale, out=self.scaled_inputs)
        encoder_inputs = self.scaled_inputs
        if self.fills:
            missing = self.scaled_inputs.isnan().to(inputs.dtype)
            self.scaled_inputs = self.fill(self.scaled_inputs)
            encoder_inputs = torch.cat([self.scaled_inputs, missing], -1)
        code = self.encoder.forward(encoder_inputs)
        if self.linear_path is not None:
            code = self.linear_path.encode_(code, self.scaled_inputs)
        return torch.mul(code, self.code_scale, out=self._take_wide("codes", code))

    def _take_wide(self, name: str, like: Tensor) -> Tensor:
        """Return the wide stack of the shape of `like` that is kept under a name."""
        key = name, like.shape[1]
        if key not in self.wide_stacks:
            n_features = self.input_scale.shape[-1]
            self.wide_stacks[key] = make_wide_stack(like.shape, like, n_features)
        return self.wide_stacks[key]

    def decode(self, code: Tensor) -> Tensor:
        """Return the outputs (m, b, p) for scaled codes (m, b, k), valid until the next call."""
        return self.add_linear_path_(self.decoder.forward(code), code)

    def add_linear_path_(self, output: Tensor, code: Tensor) -> Tensor:
        """Add the back-projections of scaled codes to the outputs of the decoders."""
        if self.linear_path is None:
            return output
        link = self.add_link_ if self.has_link else None
        return self.linear_path.decode_(output, code, link)

    def backward(self, gradient: Tensor):
        """Store the gradients of all parameters, given the gradient by the outputs."""
        self.encode_backward(self.decode_backward(gradient))

    def decode_backward(self, gradient: Tensor) -> Tensor:
        """Store the gradients of the decoder. Return the gradient by the scaled codes."""
        return self.add_linear_gradient_(self.decoder.backward(gradient, to_inputs=True), gradient)

    def add_linear_gradient_(self, code_gradient: Tensor, gradient: Tensor) -> Tensor:
        """Store the gradient of the back-projection, and add that by the scaled codes."""
        if self.linear_path is None:
            return code_gradient
        if self.has_link:
            self.link_gradient_(gradient, self.linear_path.linear)
        return self.linear_path.decode_backward_(code_gradient, gradient)

    def encode_backward(self, code_gradient: Tensor):
        """Store the gradients of the encoder, given the gradient by the scaled codes."""
        wide = self._take_wide("gradients", code_gradient)
        code_gradient = torch.mul(code_gradient, self.code_scale, out=wide)
        if self.linear_path is not None:
            self.linear_path.encode_backward(code_gradient)
        self.encoder.backward(code_gradient, to_inputs=False)

    def fill(self, rows: Tensor) -> Tensor:
        """Return scaled rows (m, b, p) without missing cells."""
        raise NotImplementedError

    def add_link_(self, output: Tensor, linear: Tensor) -> Tensor:
        """Add the link of the outputs of the linear paths to the outputs."""
        raise NotImplementedError

    def link_gradient_(self, gradient: Tensor, linear: Tensor) -> None:
        """Turn the gradient by the outputs into that by the outputs of the linear paths."""
        raise NotImplementedError


def find_losses_(
    loss: PreparedLoss, output: Tensor, rows: Tensor, weights: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Return the loss (m,) of each network and its gradient, which may overwrite `output`.

    Shapes are those of `Step.accumulate_`.
    """
    _, n_rows, n_features = rows.shape
    if weights is None:
        losses, gradient = loss.rows_and_gradient_(output, rows, 1 / (n_rows * n_features))
    else:
        factors = weights.div(as_tensor(n_rows * n_features, weights.dtype)).unsqueeze(-1)
        losses, gradient = loss.rows_and_gradient_(output, rows, factors)
        losses = losses * weights
    # As `mean`, which would convert the number to a tensor.
    return losses.sum(1).div_(as_tensor(n_rows, losses.dtype)), gradient


def make_stack_steps(module: Autoencoder, stacks: FlatTensors) -> tuple[StackStep, StackStep]:
    """Return encoders and decoders whose parameters follow each other in a buffer."""
    views, gradient_views = stacks.views, stacks.gradient_views
    split = 2 * len(module.encoder.linears)
    encoder, decoder = slice(split), slice(split, split + 2 * len(module.decoder.linears))
    return (
        StackStep(views[encoder], gradient_views[encoder], module.encoder.activation),
        StackStep(views[decoder], gradient_views[decoder], module.decoder.activation),
    )


class DenseStep(DenseNetworks, Step):
    """Training step for m dense autoencoders of one shape.

    Parameters
    ----------
    modules : list of Autoencoder
        Networks. Their parameters become views of the buffers of this step.
    objective : ReconstructionObjective
        Objective of each network, without a penalty.
    groups : list of list of dict
        Settings of AdamW for each network: those of the stacks and, if there is one, of the linear
        path. Each has `lr`, `betas`, `eps` and `weight_decay`, as in the `param_groups` of the
        optimiser.
    loss : PreparedLoss, default=None
        Loss that compares outputs with rows. None means that of the objective.

    Attributes
    ----------
    kind : tuple or None
        Description by which joint training finds networks of equal form, once it has been made.
    """

    kind: tuple | None = None

    def __init__(
        self,
        modules: Sequence[Autoencoder],
        objective: Any,
        groups,
        loss: PreparedLoss | None = None,
    ):
        Step.__init__(self, modules, objective, groups)
        self.loss: PreparedLoss = objective.loss if loss is None else loss
        self.output = modules[0].output
        self.input_scale = torch.stack([module.input_scale for module in modules])[:, None]
        self.code_scale = torch.stack([module.code_scale for module in modules])[:, None]
        self.filling = _stack_fillings([module.filling for module in modules])
        self.parameters, stacks = self.take_stacks()
        paths = None
        if modules[0].linear_path is not None:
            paths = FlatParameters([list(module.linear_path.parameters()) for module in modules])
            self.parameters.append(paths)
        DenseNetworks.__init__(self, modules[0], stacks, paths)

    def take_stacks(self) -> tuple[list[FlatParameters], tuple[StackStep, StackStep]]:
        """Return the parameters of encoders and decoders in flat buffers, and their passes."""
        flat = FlatParameters(
            [
                [*module.encoder.parameters(), *module.decoder.parameters()]
                for module in self.modules
            ]
        )
        return [flat], make_stack_steps(self.modules[0], flat)

    def accumulate_(self, inputs: Tensor, rows: Tensor, weights: Tensor | None = None) -> Tensor:
        losses, gradient = self.losses_and_gradient_(self.forward(inputs), rows, weights)
        self.backward(gradient)
        return losses

    def losses_and_gradient_(
        self, output: Tensor, rows: Tensor, weights: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Return the loss (m,) of each network and its gradient, which may overwrite `output`."""
        return find_losses_(self.loss, output, rows, weights)

    def update_(self):
        self.exchange_([parameters.gradients for parameters in self.parameters])
        for parameters, groups in zip(self.parameters, self.list_groups(), strict=True):
            parameters.step_(groups)

    def list_groups(self) -> list[Sequence[dict]]:
        """Return the settings for each of `parameters`: one per network, or one for all."""
        return list(zip(*self.groups, strict=True))

    def share_groups_(self):
        self.groups = self.groups[:1]

    @torch.no_grad()
    def judge(self, inputs: Tensor, rows: Tensor) -> tuple[Tensor, ...]:
        return self.judge_output(self.forward(inputs), rows)

    def judge_output(self, output: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss and the error of each row, given the outputs of the networks."""
        losses = self.loss.rows(output, rows)
        return losses, self._find_errors(self, losses, output, rows)

    def fill(self, rows: Tensor) -> Tensor:
        assert self.filling is not None  # noqa: S101
        return self.filling(rows)

    def add_link_(self, output: Tensor, linear: Tensor) -> Tensor:
        return output.add_(self.output.link(linear))

    def link_gradient_(self, gradient: Tensor, linear: Tensor) -> None:
        self.output.link_gradient_(gradient, linear)

    def list_parameters(self) -> list[FlatParameters]:
        return self.parameters

    def copy_values(self) -> list[Tensor]:
        return [parameters.values.clone() for parameters in self.list_parameters()]

    def has_values(self, values) -> bool:
        return are_equal(values, [parameters.values for parameters in self.list_parameters()])

    def load_values_(self, values):
        for parameters, own in zip(self.list_parameters(), values, strict=True):
            parameters.values.copy_(own)

    def copy_moments(self):
        return DenseStep, [parameters.copy_moments() for parameters in self.list_parameters()]

    def load_moments_(self, moments):
        kind, own = (None, []) if moments is None else moments
        if kind is DenseStep:
            for parameters, state in zip(self.list_parameters(), own, strict=True):
                parameters.load_moments(state)


def _stack_fillings(fillings: Sequence) -> GaussianFilling | None:
    """Return one filling for m networks. None if the networks have no filling."""
    if fillings[0] is None:
        return None
    means, precisions = zip(*((own.mean, own.precision) for own in fillings), strict=True)
    known = precisions[0] is not None
    return GaussianFilling(torch.stack(means), torch.stack(precisions) if known else None)


def is_plain(stack: nn.Module) -> bool:
    return type(stack) is DenseStack and len(stack.norms) == 0 and stack.dropout is None


def has_classes(module: Any, kind: Any, objective: Any, kind_of_objective: Any) -> bool:
    """Return whether a module and its objective are of these classes, and have dense gradients."""
    return (
        type(module) is kind
        and all(is_plain(stack) for stack in (module.encoder, module.decoder))
        and module.sparsity is None
        and type(objective) is kind_of_objective
        and objective.loss.has_gradient
    )


def is_dense(module: nn.Module, objective: Any) -> bool:
    """Return whether `DenseStep` can train a module for an objective."""
    known = has_classes(module, Autoencoder, objective, ReconstructionObjective)
    return known and objective.penalty is None
