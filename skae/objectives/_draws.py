"""Random numbers where no generator is given: the same ones at each call."""

import torch

_SEED = 0


def fresh_generator() -> torch.Generator:
    """Return a generator that has drawn nothing yet."""
    return torch.Generator(device="cpu").manual_seed(_SEED)
