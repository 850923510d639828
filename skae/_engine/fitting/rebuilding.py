"""Rebuilding of networks from their plan, without memory until their values are loaded."""

from typing import Any

import numpy as np
import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from skae._engine.compute.seeds import ordinary_torch_state
from skae._engine.families.family import Family
from skae._engine.families.plan import NetworkPlan
from skae.architectures import Architecture
from skae.architectures._own import Checked, Own
from skae.modules import Reach, RowRange, global_generator

# Building a network of skae takes a few dozen calls of torch for each array.
_CALLS = 1000
_CALLS_PER_ARRAY = 200
# No size in a plan exceeds the number of bytes of the arrays, except in tiny networks.
_LEAST_LIMIT = 4096
_SEED = 0


def rebuild(family: Family, plan: NetworkPlan, arrays: dict[str, np.ndarray]) -> nn.Module:
    """Return the network of a plan, whose values are not set yet.

    It has no memory, except for submodules defined by the user. Of the parameters and buffers in
    `arrays`, only the sizes are used: a plan of a much larger network is refused.
    """
    with ordinary_torch_state(), global_generator(_SEED):
        generator = torch.Generator(device="cpu").manual_seed(_SEED)
        if isinstance(plan.architecture, Checked) or not _is_ours(plan):
            module = family.build(plan, generator)
        else:
            _check_size(plan, sum(array.nbytes for array in arrays.values()))
            calls = _CALLS + _CALLS_PER_ARRAY * len(arrays)
            with torch.device("meta"), _WithoutMemory(calls):
                module = family.build(plan, generator)
    module.reach = _make_reach(arrays)
    return module


def can_rebuild(family, plan, module: nn.Module, arrays: dict[str, np.ndarray]) -> bool:
    """Whether `rebuild` returns an identical structure; parameters as in `rebuild`."""
    if plan is None or isinstance(plan.architecture, Own):
        return False
    return _describe(rebuild(family, plan, arrays)) == _describe(module)


def _describe(module: nn.Module) -> tuple[dict, dict]:
    parts = {name: type(part) for name, part in module.named_modules()}
    state = module.state_dict()
    return parts, {name: (value.shape, value.dtype) for name, value in state.items()}


def _make_reach(arrays: dict[str, np.ndarray]) -> Reach | RowRange | None:
    names = ("row_bounds", "code_bounds", "row_unit", "leverage", "code_unit")
    if "reach.row_bounds" not in arrays:
        return None
    if "reach.code_bounds" not in arrays:
        return RowRange(_make_blank(arrays["reach.row_bounds"]))
    own = [_make_blank(arrays[f"reach.{name}"]) for name in names]
    # Not in all networks, and not in files of earlier releases.
    others = {
        name: _make_blank(arrays[f"reach.{name}"])
        for name in ("yielding_limits", "usual", "improving")
        if f"reach.{name}" in arrays
    }
    return Reach(*own, **others)


def _make_blank(array: np.ndarray) -> torch.Tensor:
    """Return a tensor with the shape and type of an array, without memory."""
    dtype = torch.from_numpy(np.zeros(0, array.dtype)).dtype
    return torch.empty(array.shape, dtype=dtype, device="meta")


def _is_ours(plan: NetworkPlan) -> bool:
    """Whether the plan names nothing that the user defined."""
    values = [plan.architecture, *dict(plan.options).values()]
    objects = [value for value in values if hasattr(value, "get_params")]
    return all(type(value).__module__.startswith("skae.") for value in objects)


def _check_size(plan: NetworkPlan, n_bytes: int) -> None:
    """Raise an error if the sizes in a plan cannot belong to arrays of this many bytes."""
    greatest = max(map(abs, _list_whole_numbers(vars(plan))), default=0)
    if greatest > max(n_bytes, _LEAST_LIMIT):
        raise ValueError(
            f"The plan of the network must fit its arrays. Got the number {greatest} in the plan "
            f"beside arrays of {n_bytes} bytes. The file or pickle has been changed."
        )


def _list_whole_numbers(value: Any):
    """Yield all integers in nested values, and the products of shapes."""
    if isinstance(value, Architecture) or hasattr(value, "get_params"):
        yield from _list_whole_numbers(value.get_params(deep=False))
    elif isinstance(value, dict):
        yield from _list_whole_numbers(list(value.values()))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _list_whole_numbers(item)
    elif isinstance(value, int | float):
        yield int(min(abs(value), 2**62))


class _WithoutMemory(TorchFunctionMode):
    """Context in which torch creates tensors without memory, up to a number of calls.

    Seeds, which are drawn as numbers, are not affected.
    """

    def __init__(self, n_calls: int):
        super().__init__()
        self.n_left = n_calls

    def __torch_function__(self, func, types, args=(), kwargs=None):
        self.n_left -= 1
        if self.n_left < 0:
            raise ValueError(
                "The plan of the network must fit its arrays. Got a plan of a far deeper network. "
                "The file or pickle has been changed."
            )
        kwargs = dict(kwargs or {})
        if kwargs.get("device") is not None and func is not torch.randint:
            kwargs["device"] = torch.device("meta")
        return func(*args, **kwargs)
