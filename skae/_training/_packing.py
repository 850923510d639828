"""Torch modules as structure and NumPy arrays, for pickles."""

import copy

import torch
from torch import nn


def pack_module(module: nn.Module) -> tuple[nn.Module, dict]:
    """Return a copy of a module without its numbers, and the numbers as arrays.

    Parameters
    ----------
    module : Module
        Any module, on any device.

    Returns
    -------
    structure : Module
        The same module with parameters and buffers that have a shape and no memory.
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
