"""Check of a user's module with two samples, before training."""

import torch
from torch import Tensor, nn

# Errors that layers raise for inputs of wrong shapes or types.
_ERRORS = (RuntimeError, ValueError, TypeError, LookupError, AttributeError, AssertionError)
# Attributes of layers with the expected size of an axis.
_EXPECTED = (
    "in_features",
    "in_channels",
    "num_features",
    "normalized_shape",
    "num_channels",
    "input_size",
    "embed_dim",
)


@torch.no_grad()
def probe(role: str, module: nn.Module, shape, wanted, dtype: torch.dtype):
    """Raise an error for a module of the user, "encoder" or "decoder", with unsuitable shapes.

    It must take samples of a shape without errors and return those of the wanted shape, or rows of
    as many numbers.
    """
    trace = _Trace(module)
    samples = torch.zeros(2, *shape, dtype=dtype, device="cpu")
    training = module.training
    try:
        # In evaluation mode, statistics of batch normalization do not change.
        outputs = module.eval()(samples)
    except _ERRORS as error:
        raise ValueError(
            f"`architecture` must make {_with_article(role)} that takes tensors of shape "
            f"{_show(shape)}. Got an error {trace.describe()}: {error} "
            "Change that layer, or the layers before it."
        ) from error
    finally:
        trace.remove()
        module.train(training)
    found = tuple(outputs.shape) if isinstance(outputs, Tensor) else type(outputs).__name__
    n_cells = torch.Size(wanted).numel()
    if found not in ((2, *wanted), (2, n_cells)):
        shown = _show(found[1:]) if isinstance(found, tuple) and found[:1] == (2,) else found
        raise ValueError(
            f"`architecture` must make {_with_article(role)} that returns tensors of shape "
            f"{_show(wanted)} for inputs of shape {_show(shape)}. Got {shown}. "
            "Give its last layer as many outputs."
        )


def _with_article(role: str) -> str:
    return f"an {role}" if role == "encoder" else f"a {role}"


def _show(shape) -> str:
    return f"({', '.join(map(str, ('n', *shape)))})"


class _Trace:
    """Record of the running layers of a module, to locate an error."""

    def __init__(self, module: nn.Module) -> None:
        self.running: list[tuple[str, nn.Module, list]] = []
        self.handles = []
        for name, layer in module.named_modules():
            self.handles.append(layer.register_forward_pre_hook(self._enter(name)))
            self.handles.append(layer.register_forward_hook(self._leave))

    def _enter(self, name: str):
        def enter(layer, inputs):
            shapes = [tuple(value.shape) for value in inputs if isinstance(value, Tensor)]
            self.running.append((name, layer, shapes))

        return enter

    def _leave(self, layer, inputs, outputs):
        self.running.pop()

    def describe(self) -> str:
        """Return a description of the layer that raised the error."""
        name, layer, shapes = self.running[-1] if self.running else ("", None, [])
        given = f", given {' and '.join(_show(shape[1:]) for shape in shapes)}" if shapes else ""
        expected = [f"{key}={getattr(layer, key)}" for key in _EXPECTED if hasattr(layer, key)]
        if layer is None or not (name or expected):
            return f"in its `forward`{given}"
        place = f"in its layer `{name}`" if name else "in it"
        kind = f"{type(layer).__name__}, which expects {', '.join(expected)}"
        return f"{place} ({kind if expected else type(layer).__name__}){given}"

    def remove(self):
        """Remove the hooks."""
        for handle in self.handles:
            handle.remove()
