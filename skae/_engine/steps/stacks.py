"""Choice of the forward and backward passes of encoders and decoders."""

from collections.abc import Hashable
from typing import Any

from torch import nn

from skae._engine.steps.passes import StackStep
from skae._engine.steps.recurrent import RecurrentDecoderStep, RecurrentEncoderStep
from skae.modules import DenseStack, RecurrentDecoder, RecurrentEncoder, RecurrentLayers

_STEPS: dict[type[nn.Module], Any] = {
    RecurrentEncoder: RecurrentEncoderStep,
    RecurrentDecoder: RecurrentDecoderStep,
}


def make_stack_step(stack: Any, views, gradient_views) -> Any:
    """Return the passes of encoders or decoders of the form of `stack`, given their parameters."""
    if type(stack) in _STEPS:
        return _STEPS[type(stack)](stack, views, gradient_views)
    return StackStep(views, gradient_views, stack.activation)


def describe_stack(stack: Any) -> Hashable:
    """Return a value that is equal for stacks that differ at most in the sizes of parameters."""
    if type(stack) not in _STEPS:
        return len(stack.linears)
    own = [getattr(stack, name, None) for name in ("sample_shape", "masked", "directions")]
    return type(stack), *map(str, own), len([*stack.parameters()])


def is_plain_dense(stack: nn.Module) -> bool:
    """Return whether a stack is dense, without normalisation and dropout."""
    return type(stack) is DenseStack and len(stack.norms) == 0 and stack.dropout is None


def is_plain(stack: Any) -> bool:
    """Return whether a stack has explicit gradients."""
    if type(stack) not in _STEPS:
        return is_plain_dense(stack)
    parts = [*stack.children()]
    layers = [own for own in stack.modules() if isinstance(own, RecurrentLayers)]
    return (
        stack.dropout is None
        and all(is_plain_dense(own) for own in parts if isinstance(own, DenseStack))
        and all(own.cell == "gru" for own in layers)
        and next(stack.parameters()).device.type == "cpu"
    )
