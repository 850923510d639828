"""How many threads compute: one where several would wait for each other most of the time."""

import contextlib
import functools
import math
from collections.abc import Iterator

import torch
from threadpoolctl import ThreadpoolController

from skae.modules._products import LARGE_PRODUCT


@contextlib.contextmanager
def threads_for(module: torch.nn.Module, batch_size: int, sample_shape) -> Iterator[None]:
    """Compute with one thread while the steps of a network are small.

    Threads that have nothing left to do wait busily: where others want the cores, sharing small
    products takes many times as long as one thread. Only the calling thread is told, and what it
    had before holds again afterwards.

    Parameters
    ----------
    module : Module
        The network.
    batch_size : int
        Rows in a step.
    sample_shape : tuple of int
        Shape of a row as the network sees it; weights of convolutions are used all over it.
    """
    is_small = _count_products(module, batch_size, sample_shape) < LARGE_PRODUCT
    with _find_openmp().limit(limits=1) if is_small else contextlib.nullcontext():
        yield


def _count_products(module: torch.nn.Module, batch_size: int, sample_shape) -> int:
    """Return about how many multiplications the largest product of a step takes."""
    n_places = math.prod(sample_shape[1:])
    sizes = (p.numel() * (n_places if p.ndim > 2 else 1) for p in module.parameters())
    return batch_size * max(sizes, default=0)


@functools.cache
def _find_openmp() -> ThreadpoolController:
    """Return what sets the threads of torch; looking for it takes longer than an epoch."""
    return ThreadpoolController().select(user_api="openmp")
