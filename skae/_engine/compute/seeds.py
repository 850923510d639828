"""Random seeds and torch's thread-local state, without changing global state."""

import contextlib

import numpy as np
import torch
from sklearn.utils import check_random_state

from skae._engine.compute.threads import find_openmp


def draw_seed(random_state) -> int:
    """Draw a seed; an instance of RandomState advances by one draw."""
    return int(check_random_state(random_state).randint(2**31 - 1))


def make_generators(
    seed: int, count: int, *, stream: int = 0, rank: int | None = None
) -> list[torch.Generator]:
    """Return independent generators determined by one seed.

    `stream` is the number of earlier fits of the same model, so that their draws differ, and `rank`
    the index of the process, if draws must differ between processes. The generators are on the CPU,
    so that draws are the same on every device.
    """
    entropy = [seed, stream] if rank is None else [seed, stream, rank]
    seeds = np.random.SeedSequence(entropy).generate_state(count)
    return [torch.Generator(device="cpu").manual_seed(int(seed)) for seed in seeds]


@contextlib.contextmanager
def ordinary_torch_state():
    """Compute with gradients and ordinary CPU tensors in this context, in any mode of the caller.

    `torch.inference_mode`, `torch.no_grad`, `torch.autocast` and the default device are local to
    the thread, and are restored afterwards.
    """
    find_openmp()
    with contextlib.ExitStack() as stack:
        # For a single row, contexts that change nothing take as long as a layer.
        if torch.is_inference_mode_enabled():
            stack.enter_context(torch.inference_mode(False))
        if not torch.is_grad_enabled():
            stack.enter_context(torch.enable_grad())
        # A device context slows down every call of torch, so it is entered only when needed. An
        # empty tensor tells the default device in a tenth of the time of torch's function.
        if torch.empty(0).device.type != "cpu":
            stack.enter_context(torch.device("cpu"))
        for device in ("cpu", "cuda"):
            if torch.is_autocast_enabled(device):
                stack.enter_context(torch.autocast(device, enabled=False))
        yield
