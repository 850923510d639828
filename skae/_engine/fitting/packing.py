"""Conversion of modules and skorch nets to plans and NumPy arrays, for pickles and files."""

import copy
import math
from itertools import accumulate
from typing import Any

import numpy as np
import torch
from skorch.history import History
from torch import nn

from skae._engine.fitting.rebuilding import can_rebuild, rebuild

# A net that only predicts still shows how it was trained.
_NET_PARAMS = ("max_epochs", "batch_size", "lr", "schedule", "verbose")
# Identical fits take different times.
_WALL_TIME = "dur"
# Whether a loss is the lowest so far follows from the losses.
_LOSSES = ("train_loss", "valid_loss")
_FOUND_ANEW = ("epoch", *(f"{name}_best" for name in _LOSSES))


def pack_net(net) -> dict[str, Any]:
    """Return a net as arrays, the plan of its module, its history and plain parameters.

    Unlike torch's pickles, the arrays of equal weights are equal byte for byte.
    """
    state = {
        "history": pack_history(net.history_),
        "params": {name: getattr(net, name) for name in _NET_PARAMS},
        "family": net.family,
        "plan": net.plan,
    }
    arrays = pack_arrays(net.module_)
    if can_rebuild(net.family, net.plan, net.module_, arrays):
        return {**state, "arrays": arrays}
    # Submodules differ from the plan, or come from a function of the user.
    structure, arrays = pack_module(net.module_)
    return {**state, "structure": structure, "arrays": arrays}


def unpack_net(state: dict[str, Any]) -> tuple[nn.Module, History, dict[str, Any]]:
    """Return the module, the history and the parameters from the result of `pack_net`."""
    history, params = unpack_history(state["history"]), state["params"]
    if "structure" in state:
        return unpack_module((state["structure"], state["arrays"])), history, params
    module = rebuild(state["family"], state["plan"], state["arrays"])
    return _fill(module, state["arrays"]), history, params


def pack_module(module: nn.Module) -> tuple[nn.Module, dict[str, np.ndarray]]:
    """Return a copy of a module without its values, and the values as arrays.

    Parameters and buffers of the copy have shapes but no memory, except for buffers that are not
    part of the module's state.
    """
    shadows = {id(buffer): buffer.detach().cpu().clone() for buffer in module.buffers()}
    for tensor in module.state_dict(keep_vars=True).values():
        shadows[id(tensor)] = _without_memory(tensor)
    return copy.deepcopy(module, shadows), pack_arrays(module)


def unpack_module(packed: tuple[nn.Module, dict[str, np.ndarray]]) -> nn.Module:
    """Return the module from the result of `pack_module`, on the CPU."""
    structure, arrays = packed
    return _fill(copy.deepcopy(structure), arrays)


def pack_arrays(module: nn.Module) -> dict[str, np.ndarray]:
    """Return parameters and buffers by name, and the states of random generators."""
    state = module.state_dict()
    return {**{name: value.cpu().numpy() for name, value in state.items()}, **pack_draws(module)}


def pack_draws(module: nn.Module) -> dict[str, np.ndarray]:
    """Return the states of a module's random generators by the names of its submodules."""
    return {f"{name}.draws": part.pack_draws() for name, part in find_drawing(module)}


def _fill(module: nn.Module, arrays: dict[str, np.ndarray]) -> nn.Module:
    """Load the values of a module into memory on the CPU."""
    left = dict(arrays)
    for name, part in find_drawing(module):
        part.unpack_draws_(left.pop(f"{name}.draws"))
    blank, values = module.state_dict(keep_vars=True), {}
    made: dict[int, torch.Tensor] = {}
    for name, array in left.items():
        # Copied, because arrays may be read-only memory maps.
        value, shadow = torch.tensor(array), blank.get(name)
        if isinstance(shadow, nn.Parameter):
            value = nn.Parameter(value, requires_grad=shadow.requires_grad)
        # Parameters that modules share stay shared.
        values[name] = value if shadow is None else made.setdefault(id(shadow), value)
    module.load_state_dict(values, assign=True)
    return module


def find_drawing(module: nn.Module) -> list[tuple[str, Any]]:
    """Return the submodules with a random generator, by name."""
    return [(name, part) for name, part in module.named_modules() if hasattr(part, "pack_draws")]


def _without_memory(tensor: torch.Tensor) -> torch.Tensor:
    shadow = torch.empty_like(tensor, device="meta", memory_format=torch.contiguous_format)
    if isinstance(tensor, nn.Parameter):
        return nn.Parameter(shadow, requires_grad=tensor.requires_grad)
    return shadow


def pack_history(history: History) -> dict[str, list]:
    """Return the values of all epochs by name; None marks a missing value."""
    names = dict.fromkeys(name for epoch in history for name in epoch)
    left_out = ("batches", _WALL_TIME, *_FOUND_ANEW)
    kept = [name for name in names if name not in left_out]
    return {name: [epoch.get(name) for epoch in history] for name in kept}


def unpack_history(columns: dict[str, list]) -> History:
    """Return the history from the result of `pack_history`."""
    n_epochs = len(next(iter(columns.values()), []))
    least = {f"{name}_best": _mark_least(columns[name]) for name in _LOSSES if name in columns}
    columns = {"epoch": list(range(1, n_epochs + 1)), **least, **columns}
    rows = zip(*columns.values(), strict=True)
    epochs = [dict(zip(columns, row, strict=True)) for row in rows]
    return History(
        {"batches": [], **{name: value for name, value in epoch.items() if value is not None}}
        for epoch in epochs
    )


def _mark_least(losses: list[float | None]) -> list[bool | None]:
    """Return whether each loss is the lowest so far; None where an epoch has no loss."""
    known = (math.inf if loss is None else loss for loss in losses)
    pairs = zip(losses, accumulate(known, min), strict=True)
    return [None if loss is None else loss <= least for loss, least in pairs]
