"""One training step of dense autoencoders, with the gradients written out.

The step does what autograd and AdamW would do to `skae.modules.Autoencoder` made of two
`DenseStack`, and nothing else. All parameters live in two flat buffers, one for the stacks and one
for the linear path, so that the optimiser makes two calls; every product is batched over a leading
axis of models, so that several networks of one shape train side by side. A single network is a
leading axis of one.

Shapes: m models, b rows in a batch, p features, k codes. Gradients are those of the sum of the
models' losses, so no model sees another.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from skae.modules import INPUT_LIMIT, Autoencoder, DenseStack
from skae.objectives import ReconstructionLoss

_aten = torch.ops.aten

# Each activation with its derivative: what to do to the gradient, given input and output.
_ACTIVATIONS: dict[str, tuple[Callable, Callable]] = {
    "gelu": (nn.functional.gelu, lambda g, x, y: _aten.gelu_backward(g, x)),
    "identity": (lambda x: x, lambda g, x, y: g),
    "logistic": (torch.sigmoid, lambda g, x, y: _aten.sigmoid_backward(g, y)),
    "relu": (torch.relu, lambda g, x, y: _aten.threshold_backward(g, y, 0)),
    "silu": (
        nn.functional.silu,
        lambda g, x, y: _aten.silu_backward.grad_input(g, x, grad_input=g),
    ),
    "tanh": (torch.tanh, lambda g, x, y: _aten.tanh_backward(g, y)),
}


class FlatParameters:
    """Parameters of m like modules in one buffer, with gradients and AdamW's moments.

    The modules' own parameters become views of the buffer, so they follow the training.

    Parameters
    ----------
    parameters : list of list of Parameter
        For each model its parameters, of the same shapes in the same order.
    """

    def __init__(self, parameters: Sequence[Sequence[nn.Parameter]]):
        shapes = [parameter.shape for parameter in parameters[0]]
        sizes = [shape.numel() for shape in shapes]
        first = parameters[0][0]
        self.values = first.new_empty(len(parameters), sum(sizes)).detach()
        self.gradients = torch.zeros_like(self.values)
        self.moments = torch.zeros_like(self.values), torch.zeros_like(self.values)
        self.n_steps = torch.zeros((), device=first.device)
        self.views = self._views(self.values, shapes, sizes)
        self.gradient_views = self._views(self.gradients, shapes, sizes)
        for model, own in enumerate(parameters):
            for view, parameter in zip(self.views, own, strict=True):
                view[model] = parameter.detach()
                parameter.data = view[model]

    @staticmethod
    def _views(buffer: Tensor, shapes, sizes) -> list[Tensor]:
        parts = buffer.split(sizes, dim=1)
        return [part.view(-1, *shape) for part, shape in zip(parts, shapes, strict=True)]

    def copy_moments(self):
        """Return the optimiser's moments and its number of steps."""
        return [moment.clone() for moment in self.moments], self.n_steps.clone()

    def load_moments(self, state):
        """Take over moments that `copy_moments` has returned."""
        moments, n_steps = state
        for mine, theirs in zip(self.moments, moments, strict=True):
            mine.copy_(theirs)
        self.n_steps.copy_(n_steps)

    def step(self, group: dict):
        """Make one AdamW step with the settings of an optimiser's parameter group.

        torch offers the fused step on flat buffers only under a private name; its public wrapper
        costs more than the step itself.
        """
        self.n_steps += 1
        torch._fused_adamw_(
            [self.values],
            [self.gradients],
            [self.moments[0]],
            [self.moments[1]],
            [],
            [self.n_steps],
            lr=group["lr"],
            beta1=group["betas"][0],
            beta2=group["betas"][1],
            weight_decay=group["weight_decay"],
            eps=group["eps"],
            amsgrad=False,
            maximize=False,
        )


class _StackStep:
    """Forward and backward of m `DenseStack` at once.

    Parameters
    ----------
    views, gradient_views : list of Tensor
        Weight (m, n_out, n_in) and bias (m, n_out) of each layer in turn, and where their
        gradients go.
    activation : str
        Name of the activation.
    """

    def __init__(self, views, gradient_views, activation: str):
        self.weights, self.biases = views[0::2], [bias[:, None] for bias in views[1::2]]
        self.weight_gradients, self.bias_gradients = gradient_views[0::2], gradient_views[1::2]
        self.function, self.derivative = _ACTIVATIONS[activation]

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the outputs (m, b, n_out), remembering what the backward pass needs."""
        self.layer_inputs = [inputs.clamp(-INPUT_LIMIT, INPUT_LIMIT)]
        self.preactivations: list[Tensor] = []
        for weight, bias in zip(self.weights, self.biases, strict=True):
            outputs = torch.baddbmm(bias, self.layer_inputs[-1], weight.mT)
            if len(self.layer_inputs) < len(self.weights):
                self.preactivations.append(outputs)
                self.layer_inputs.append(self.function(outputs))
        return outputs

    def backward(self, gradient: Tensor, *, to_inputs: bool) -> Tensor:
        """Store the parameters' gradients; return that by the inputs if it is wanted."""
        for layer in reversed(range(len(self.weights))):
            torch.bmm(gradient.mT, self.layer_inputs[layer], out=self.weight_gradients[layer])
            torch.sum(gradient, 1, out=self.bias_gradients[layer])
            if layer == 0 and not to_inputs:
                return gradient
            gradient = torch.bmm(gradient, self.weights[layer])
            if layer > 0:
                gradient = self.derivative(
                    gradient, self.preactivations[layer - 1], self.layer_inputs[layer]
                )
        return gradient


class DenseStep:
    """Training steps of m dense autoencoders of one shape.

    Parameters
    ----------
    modules : list of Autoencoder
        The models; their parameters become views of this object's buffers.
    loss : ReconstructionLoss
        The loss of each.
    groups : list of dict
        Settings of AdamW for the stacks and, where there is one, for the linear path: `lr`,
        `betas`, `eps`, `weight_decay`, as in the optimiser's `param_groups`. They are read at each
        step.
    """

    def __init__(self, modules: Sequence[Autoencoder], loss: ReconstructionLoss, groups):
        first = modules[0]
        self.loss, self.output, self.groups = loss, first.output, groups
        self.input_scale = torch.stack([module.input_scale for module in modules])[:, None]
        self.code_scale = torch.stack([module.code_scale for module in modules])[:, None]
        stacks = FlatParameters(
            [[*module.encoder.parameters(), *module.decoder.parameters()] for module in modules]
        )
        views, gradient_views = stacks.views, stacks.gradient_views
        split = 2 * len(first.encoder.linears)
        self.encoder = _StackStep(views[:split], gradient_views[:split], first.encoder.activation)
        self.decoder = _StackStep(views[split:], gradient_views[split:], first.decoder.activation)
        self.linear_path = None
        self.parameters = [stacks]
        if first.linear_path is not None:
            self.linear_path = FlatParameters(
                [list(module.linear_path.parameters()) for module in modules]
            )
            self.parameters.append(self.linear_path)

    @torch.no_grad()
    def __call__(self, inputs: Tensor, weights: Tensor | None = None) -> Tensor:
        """Make one step and return the losses before it.

        Parameters
        ----------
        inputs : Tensor of shape (m, b, p)
            Standardised rows, a batch for each model.
        weights : Tensor of shape (m, b), default=None
            Weights of the rows; equal where None.

        Returns
        -------
        losses : Tensor of shape (m,)
            Loss of each model on its batch.
        """
        output = self.forward(inputs)
        gradient = self.loss.gradient(output, inputs)
        losses = self._losses(output, gradient, inputs, weights)
        if weights is None:
            gradient /= inputs.shape[1] * inputs.shape[2]
        else:
            gradient *= (weights / (weights.sum(1, keepdim=True) * inputs.shape[2]))[..., None]
        self._backward(gradient)
        for parameters, group in zip(self.parameters, self.groups, strict=True):
            parameters.step(group)
        return losses

    def _losses(self, output, gradient, inputs, weights) -> Tensor:
        rows = self.loss.rows_from_gradient(output, gradient, inputs)
        return rows.mean(1) if weights is None else (rows * weights).sum(1) / weights.sum(1)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the outputs (m, b, p) for rows (m, b, p), remembering what `_backward` needs."""
        self.scaled_inputs = inputs * self.input_scale
        code = self.encoder.forward(self.scaled_inputs)
        if self.linear_path is None:
            self.scaled_code = code * self.code_scale
            return self.decoder.forward(self.scaled_code)
        projection, back_projection = self.linear_path.views
        code.baddbmm_(self.scaled_inputs, projection.mT)
        self.scaled_code = code.mul_(self.code_scale)
        self.linear = torch.bmm(self.scaled_code, back_projection)
        return self.decoder.forward(self.scaled_code).add_(self.output.link(self.linear))

    def _backward(self, gradient: Tensor):
        """Store the gradients of all parameters, given that of the losses by the outputs."""
        code_gradient = self.decoder.backward(gradient, to_inputs=True)
        code_gradient = _aten.hardtanh_backward(
            code_gradient, self.scaled_code, -INPUT_LIMIT, INPUT_LIMIT
        )
        if self.linear_path is None:
            self.encoder.backward(code_gradient.mul_(self.code_scale), to_inputs=False)
            return
        _, back_projection = self.linear_path.views
        projection_gradient, back_projection_gradient = self.linear_path.gradient_views
        linear_gradient = self.output.link_gradient_(gradient, self.linear)
        torch.bmm(self.scaled_code.mT, linear_gradient, out=back_projection_gradient)
        code_gradient.baddbmm_(linear_gradient, back_projection.mT).mul_(self.code_scale)
        torch.bmm(code_gradient.mT, self.scaled_inputs, out=projection_gradient)
        self.encoder.backward(code_gradient, to_inputs=False)

    def copy_moments(self):
        """Return the optimiser's moments, for `load_moments`."""
        return [parameters.copy_moments() for parameters in self.parameters]

    def load_moments(self, state):
        """Take over moments that `copy_moments` has returned."""
        for parameters, moments in zip(self.parameters, state, strict=True):
            parameters.load_moments(moments)


def is_dense(module: nn.Module, loss: nn.Module) -> bool:
    """Tell whether `DenseStep` can train this module with this loss."""
    return (
        type(module) is Autoencoder
        and type(module.encoder) is DenseStack
        and type(module.decoder) is DenseStack
        and isinstance(loss, ReconstructionLoss)
    )
