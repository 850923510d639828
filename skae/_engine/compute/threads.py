"""How many threads compute: one where several would wait for each other most of the time.

And one in a process that was forked from one that has computed. The threads of OpenMP do not
survive a fork, and the thread that forked would wait for them for ever.
"""

import contextlib
import functools
import math
import os
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
    with find_openmp().limit(limits=1) if is_small else contextlib.nullcontext():
        yield


def _count_products(module: torch.nn.Module, batch_size: int, sample_shape) -> int:
    """Return about how many multiplications the largest product of a step takes."""
    n_places = math.prod(sample_shape[1:])
    sizes = (p.numel() * (n_places if p.ndim > 2 else 1) for p in module.parameters())
    return batch_size * max(sizes, default=0)


@functools.cache
def find_openmp() -> ThreadpoolController:
    """Return what sets the threads of torch and scikit-learn.

    Called before anything is computed, so that a forked process knows that there may have been
    threads, and need not look for the libraries itself. Looking takes longer than an epoch.
    """
    return ThreadpoolController().select(user_api="openmp")


def _use_one_thread_after_fork():
    """Let the thread that has forked compute on its own from now on, where it may have had help.

    Threads that the new process starts get helpers of their own, and compute as usual.
    """
    if find_openmp.cache_info().currsize:
        find_openmp().limit(limits=1)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_use_one_thread_after_fork)
