"""Where the network computes."""

from collections.abc import Callable

import torch

_AVAILABLE: dict[str, Callable[[], bool]] = {
    "cpu": lambda: True,
    "cuda": torch.cuda.is_available,
    "mps": torch.backends.mps.is_available,
}


def resolve_device(device: str, dtype: str) -> torch.device:
    """Return the device that a name stands for.

    Parameters
    ----------
    device : str
        "auto", "cpu", "cuda" or "mps", the last three also with a number as in "cuda:1". "auto" is
        CUDA where torch finds it, else the CPU.
    dtype : {"float32", "float64"}
        Precision that the network is to have.

    Returns
    -------
    device : torch.device
        The device.

    Raises
    ------
    ValueError
        If the device is unknown, not there, or lacks the precision.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    name = device.partition(":")[0]
    if name not in _AVAILABLE:
        raise ValueError(
            f"`device` must be 'auto', 'cpu', 'cuda' or 'mps'. Got {device!r}. "
            "Use 'auto' to take a GPU where there is one."
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
    return torch.device(device)
