"""The number of threads: one if several would mostly wait for each other.

A process forked after its parent has computed also uses one thread: the threads of OpenMP do not
survive a fork, and the forked thread would wait for them forever.
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
    """Compute with one thread in this context if the steps of a network are small.

    Idle threads wait busily: if other programs need the cores, sharing small products takes many
    times as long as one thread. Only the calling thread is affected, and its previous setting is
    restored afterwards. `sample_shape` counts because convolutions apply their weights at every
    position.
    """
    is_small = _count_products(module, batch_size, sample_shape) < LARGE_PRODUCT
    with one_thread() if is_small else contextlib.nullcontext():
        yield


def _count_products(module: torch.nn.Module, batch_size: int, sample_shape) -> int:
    """Return the approximate number of multiplications in the largest product of a step."""
    n_places = math.prod(sample_shape[1:])
    return max((_count_own(p, batch_size, n_places) for p in module.parameters()), default=0)


def _count_own(weights: torch.nn.Parameter, batch_size: int, n_places: int) -> int:
    if weights.ndim <= 2:
        return batch_size * weights.numel()
    # In double precision, torch computes convolutions row by row.
    n_rows = 1 if weights.dtype == torch.float64 else batch_size
    return n_rows * n_places * weights.numel()


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Let the calling thread compute alone in this context."""
    set_mkl = find_mkl()
    before = set_mkl(1)
    try:
        with find_openmp().limit(limits=1):
            yield
    finally:
        set_mkl(before)


@functools.cache
def find_mkl() -> Callable[[int], int]:
    """Return MKL's function that sets the number of threads of the calling thread.

    The function returns the previous number, or 0 for MKL's own setting, which torch sets at start
    and which OpenMP does not change.
    """
    library = Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"
    try:
        return ctypes.CDLL(str(library)).MKL_Set_Num_Threads_Local
    except (OSError, AttributeError):
        # This build of torch has no MKL, or does not expose it.
        return lambda n_threads: n_threads


@functools.cache
def find_openmp() -> ThreadpoolController:
    """Return the controller of the threads of torch and scikit-learn.

    Called before anything is computed, so that a forked process knows that threads may exist and
    need not search for the libraries itself. A search takes longer than an epoch.
    """
    find_mkl()
    return ThreadpoolController().select(user_api="openmp")


def _use_one_thread_after_fork():
    """Make the forked thread compute alone from now on, if it may have had helper threads.

    Threads started by the new process get helper threads of their own, and compute as usual.
    """
    if find_openmp.cache_info().currsize:
        find_openmp().limit(limits=1)
        find_mkl()(1)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_use_one_thread_after_fork)
