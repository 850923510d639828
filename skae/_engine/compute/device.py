"""The device of a network."""

import functools
from collections.abc import Callable

import torch

from skae.modules import RecurrentLayers

# NVIDIA GPUs multiply in bfloat16 from this generation on; on earlier ones, torch emulates it.
_CUDA_WITH_BFLOAT16 = 8, 0
_AVAILABLE: dict[str, Callable[[], bool]] = {
    "cpu": lambda: True,
    "cuda": torch.cuda.is_available,
    "mps": torch.backends.mps.is_available,
}


def resolve_device(device: str, dtype: str) -> torch.device:
    """Return the device with the given name, or raise an error if it is unknown or unavailable.

    The name is "auto", "cpu", "cuda" or "mps", the last three also with a number as in "cuda:1".
    "auto" is CUDA where torch finds it, else the CPU. A device without double precision is refused
    for networks of float64.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    name = device.partition(":")[0]
    if name not in _AVAILABLE:
        raise ValueError(
            f"`device` must be 'auto', 'cpu', 'cuda' or 'mps'. Got {device!r}. "
            "Use 'auto' for a GPU if there is one."
        )
    if not _AVAILABLE[name]():
        raise ValueError(
            f"`device` must be one that torch can use here. Got {device!r}, and torch "
            f"{torch.__version__} finds none. Use device='auto' to fall back to the CPU."
        )
    if name == "mps" and dtype == "float64":
        raise ValueError(
            "`dtype` must be 'float32' on device='mps'. Got 'float64', which that device lacks. "
            "Use device='cpu' for double precision."
        )
    try:
        return torch.device(device)
    except RuntimeError as error:
        raise ValueError(
            "`device` must be a name such as 'cpu', or one with a number such as 'cuda:1'. "
            f"Got {device!r}. Use 'auto' for a GPU if there is one."
        ) from error


@functools.cache
def multiplies_in_bfloat16(device: torch.device) -> bool:
    """Return whether networks can be trained on a device with products in bfloat16.

    This is tested on a small network with the most demanding layers, because the flags of a
    processor do not show which derivatives torch's libraries support on it.
    """
    if device.type == "cuda" and torch.cuda.get_device_capability(device) < _CUDA_WITH_BFLOAT16:
        return False
    try:
        _train_in_bfloat16(device)
    except RuntimeError:
        return False
    return True


@torch.enable_grad()
def _train_in_bfloat16(device: torch.device):
    """Compute the output and the gradients of a small network; torch raises if unsupported."""
    generator = torch.Generator(device="cpu").manual_seed(0)
    layers = RecurrentLayers(2, 2, cell="lstm", generator=generator).to(device)
    with torch.autocast(device.type, torch.bfloat16):
        outputs = layers(torch.ones(2, 2, 2, device=device))
    outputs.sum().backward()
