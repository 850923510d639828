"""How many threads compute: one where several would wait for each other most of the time.

And one in a process that was forked from one that has computed. The threads of OpenMP do not
survive a fork, and the thread that forked would wait for them for ever.
"""

import contextlib
import ctypes
import functools
import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path

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
    with one_thread() if is_small else contextlib.nullcontext():
        yield


def _count_products(module: torch.nn.Module, batch_size: int, sample_shape) -> int:
    """Return about how many multiplications the largest product of a step takes."""
    n_places = math.prod(sample_shape[1:])
    return max((_count_own(p, batch_size, n_places) for p in module.parameters()), default=0)


def _count_own(weights: torch.nn.Parameter, batch_size: int, n_places: int) -> int:
    if weights.ndim <= 2:
        return batch_size * weights.numel()
    # In double precision, torch convolves one row after the other.
    n_rows = 1 if weights.dtype == torch.float64 else batch_size
    return n_rows * n_places * weights.numel()


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Let the calling thread compute on its own."""
    set_mkl = find_mkl()
    before = set_mkl(1)
    try:
        with find_openmp().limit(limits=1):
            yield
    finally:
        set_mkl(before)


@functools.cache
def find_mkl() -> Callable[[int], int]:
    """Return MKL's function that sets the number of threads for the calling one.

    It returns the number before, 0 for MKL's own, which torch sets as it starts and OpenMP's does
    not change.
    """
    library = Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"
    try:
        return ctypes.CDLL(str(library)).MKL_Set_Num_Threads_Local
    except (OSError, AttributeError):
        # This build of torch has no MKL, or does not show it.
        return lambda n_threads: n_threads


@functools.cache
def find_openmp() -> ThreadpoolController:
    """Return what sets the threads of torch and scikit-learn.

    Called before anything is computed, so that a forked process knows that there may have been
    threads, and need not look for the libraries itself. Looking takes longer than an epoch.
    """
    find_mkl()
    return ThreadpoolController().select(user_api="openmp")


def _use_one_thread_after_fork():
    """Let the thread that has forked compute on its own from now on, where it may have had help.

    Threads that the new process starts get helpers of their own, and compute as usual.
    """
    if find_openmp.cache_info().currsize:
        find_openmp().limit(limits=1)
        find_mkl()(1)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_use_one_thread_after_fork)
