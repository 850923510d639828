"""Training step of dense autoencoders with explicit gradients.

The step does what autograd and AdamW would do with an `skae.modules.Autoencoder` made of two
`DenseStack`. All parameters are stored in two flat buffers, one for the stacks and one for the
linear path, so that the optimiser needs two calls. Every product is batched over a leading axis of
networks, so that several networks of the same shape train side by side. For a single network, this
axis has length one.

Shapes: m networks, b rows in a batch, p features, k codes. Gradients are those of the sum of the
losses of all networks, so that networks do not affect each other.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from skae._engine.steps.averaging import are_equal
from skae._engine.steps.flat import FlatParameters, FlatTensors
from skae._engine.steps.passes import LinearPathStep, StackStep
from skae._engine.steps.products import make_stack, make_wide_stack
from skae._engine.steps.stacks import is_plain, make_stack_step
from skae._engine.steps.step import Step
from skae.modules import Autoencoder, GaussianFilling, LinearOutput
from skae.objectives import PreparedLoss, ReconstructionObjective
from skae.objectives._units import as_tensor


class DenseNetworks:
    """Forward and backward passes of m dense autoencoders of one shape.

    `module` is one of them, `stacks` are the encoders and the decoders, and `paths` the parameters
    of the linear paths, if any.
    """

    input_scale: Tensor
    code_scale: Tensor

    def __init__(self, module: Autoencoder, stacks: tuple[Any, Any], paths: FlatTensors | None):
        self.encoder, self.decoder = stacks
        self.scaled_by_size: dict[int, Tensor] = {}
        self.wide_stacks: dict[tuple[str, int], Tensor] = {}
        self.linear_path = (
            None if paths is None else LinearPathStep(paths.views, paths.gradient_views)
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
            self.scaled_inputs.copy_(self.fill(self.scaled_inputs))
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
    """Return losses (m, b) and the gradient of their mean, which may overwrite `output`.

    Arguments and losses are those of `Step.accumulate_`.
    """
    _, n_rows, n_features = rows.shape
    if weights is None:
        return loss.rows_and_gradient_(output, rows, 1 / (n_rows * n_features))
    factors = weights.div(as_tensor(n_rows * n_features, weights.dtype)).unsqueeze(-1)
    losses, gradient = loss.rows_and_gradient_(output, rows, factors)
    return losses * weights, gradient


def make_stack_steps(module: Autoencoder, stacks: FlatTensors) -> tuple[Any, Any]:
    """Return the passes of encoders and decoders whose parameters follow each other in a buffer."""
    n_own = [sum(1 for _ in stack.parameters()) for stack in (module.encoder, module.decoder)]
    own = slice(n_own[0]), slice(n_own[0], sum(n_own))
    encoder, decoder = [(stacks.views[part], stacks.gradient_views[part]) for part in own]
    return make_stack_step(module.encoder, *encoder), make_stack_step(module.decoder, *decoder)


class DenseStep(DenseNetworks, Step):
    """Training step for m dense autoencoders of one shape.

    Their parameters become views of the buffers of this step. The groups of each network are
    AdamW's settings of the stacks and, if there is one, of the linear path. `loss` compares outputs
    with rows, by default as the objective does, which has no penalty.
    """

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
        """Return losses (m, b) and the gradient of their mean, which may overwrite `output`."""
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
        self.encoder.keeps = self.decoder.keeps = False
        try:
            return self.judge_rows(inputs, rows)
        finally:
            self.encoder.keeps = self.decoder.keeps = True

    def judge_rows(self, inputs: Tensor, rows: Tensor) -> tuple[Tensor, ...]:
        """Return what `judge` returns. No backward pass follows."""
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
