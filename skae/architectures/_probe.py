"""Two samples through a module, to meet wrong shapes before any training."""

import torch
from torch import Tensor, nn

# What wrong shapes, and what layers return beside tensors, make layers raise.
_ERRORS = (RuntimeError, ValueError, TypeError, LookupError, AttributeError, AssertionError)
# What layers call the size of the axis that they expect.
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
    """Raise an error for a module with unsuitable inputs or outputs.

    Parameters
    ----------
    role : {"encoder", "decoder"}
        Role of the module.
    module : Module
        The user's module.
    shape : tuple of int
        Shape of a sample that it is given.
    wanted : tuple of int
        Shape to return for each sample, or a row of as many numbers.
    dtype : torch.dtype
        Type of the samples.

    Raises
    ------
    ValueError
        If it raises an error, or returns something else.
    """
    trace = _Trace(module)
    samples = torch.zeros(2, *shape, dtype=dtype, device="cpu")
    training = module.training
    try:
        # Statistics of batches stay as they are.
        outputs = module.eval()(samples)
    except _ERRORS as error:
        raise ValueError(
            f"`architecture` must make {_with_article(role)} that takes tensors of shape "
            f"{_show(shape)}. Got an error {trace.describe()}: {error} "
            "Change that layer, or what comes before it."
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
    """Knows in which layer of a module an error was raised, and what the layer was given."""

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
        """Return the words for the layer that was left by an error."""
        name, layer, shapes = self.running[-1] if self.running else ("", None, [])
        given = f", given {' and '.join(_show(shape[1:]) for shape in shapes)}" if shapes else ""
        expected = [f"{key}={getattr(layer, key)}" for key in _EXPECTED if hasattr(layer, key)]
        if layer is None or not (name or expected):
            return f"in its `forward`{given}"
        place = f"in its layer `{name}`" if name else "in it"
        kind = f"{type(layer).__name__}, which expects {', '.join(expected)}"
        return f"{place} ({kind if expected else type(layer).__name__}){given}"

    def remove(self):
        """Take the hooks away again."""
        for handle in self.handles:
            handle.remove()
