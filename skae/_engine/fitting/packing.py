"""Modules and skorch nets as structure and NumPy arrays, for pickles."""

import copy

import torch
from skorch.history import History
from torch import nn

# What a net that only predicts still tells of its training.
_NET_PARAMS = ("max_epochs", "batch_size", "lr", "schedule", "verbose")


def pack_net(net) -> dict:
    """Return a net's module as arrays, with its history and plain parameters.

    Arrays, unlike torch's pickles, are equal byte for byte where the weights are.
    """
    return {
        "module": pack_module(net.module_),
        "history": [{**epoch, "batches": []} for epoch in net.history_],
        "params": {name: getattr(net, name) for name in _NET_PARAMS},
    }


def unpack_net(state: dict) -> tuple[nn.Module, History, dict]:
    """Return the module, the history and the parameters that `pack_net` took apart."""
    return unpack_module(state["module"]), History(state["history"]), state["params"]


def pack_module(module: nn.Module) -> tuple[nn.Module, dict]:
    """Return a copy of a module without its numbers, and the numbers as arrays.

    Parameters
    ----------
    module : Module
        Any module, on any device.

    Returns
    -------
    structure : Module
        Copy whose parameters and buffers have a shape and no memory.
    arrays : dict of str to ndarray
        Parameters and buffers under their names.
    """
    tensors = [*module.parameters(), *module.buffers()]
    shadows = {id(tensor): _without_memory(tensor) for tensor in tensors}
    structure = copy.deepcopy(module, shadows)
    arrays = {name: value.cpu().numpy() for name, value in module.state_dict().items()}
    return structure, arrays


def unpack_module(packed: tuple[nn.Module, dict]) -> nn.Module:
    """Return the module that `pack_module` took apart, on the CPU."""
    structure, arrays = packed
    module = copy.deepcopy(structure).to_empty(device="cpu")
    # Copied, because arrays may be read-only maps of a file.
    module.load_state_dict({name: torch.tensor(array) for name, array in arrays.items()})
    return module


def _without_memory(tensor: torch.Tensor) -> torch.Tensor:
    shadow = torch.empty_like(tensor, device="meta", memory_format=torch.contiguous_format)
    if isinstance(tensor, nn.Parameter):
        return nn.Parameter(shadow, requires_grad=tensor.requires_grad)
    return shadow
