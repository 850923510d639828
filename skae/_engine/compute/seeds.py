"""Seeds and torch's ambient state, without touching anything global."""

import contextlib

import numpy as np
import torch
from sklearn.utils import check_random_state

from skae._engine.compute.threads import find_openmp


def draw_seed(random_state) -> int:
    """Return a seed, by one draw.

    Parameters
    ----------
    random_state : int, RandomState instance or None
        As everywhere in scikit-learn; an instance advances by one draw.

    Returns
    -------
    seed : int
        Input of `make_generators`.
    """
    return int(check_random_state(random_state).randint(2**31 - 1))


def make_generators(
    seed: int, count: int, *, stream: int = 0, rank: int | None = None
) -> list[torch.Generator]:
    """Return independent generators, all determined by one seed.

    Parameters
    ----------
    seed : int
        Seed that `draw_seed` has returned.
    count : int
        How many generators to make.
    stream : int, default=0
        Number of the fits before this one that it goes on from, so that they differ.
    rank : int, default=None
        Number of the process whose draws are to differ from those of others; equal where None.

    Returns
    -------
    generators : list of torch.Generator
        On the CPU, whatever device trains: the same draws everywhere.
    """
    entropy = [seed, stream] if rank is None else [seed, stream, rank]
    seeds = np.random.SeedSequence(entropy).generate_state(count)
    return [torch.Generator(device="cpu").manual_seed(int(seed)) for seed in seeds]


@contextlib.contextmanager
def ordinary_torch_state():
    """Record gradients on ordinary CPU tensors, whatever modes the caller is in.

    `torch.inference_mode`, `torch.no_grad`, `torch.autocast` and a default device are all local to
    the thread, and are as they were afterwards.
    """
    find_openmp()
    with contextlib.ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        # A device as context slows every call of torch, so there is one only where it is needed.
        if torch.get_default_device().type != "cpu":
            stack.enter_context(torch.device("cpu"))
        for device in ("cpu", "cuda"):
            if torch.is_autocast_enabled(device):
                stack.enter_context(torch.autocast(device, enabled=False))
        yield
