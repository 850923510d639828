"""Processes that train one model together, called ranks, and their communication."""

import contextlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from datetime import timedelta
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from skae.exceptions import LostRankError

# Time within which a live rank responds when another rank is missing.
_SECONDS_TO_ANSWER = 10
# Blocks are entered in the same order on all ranks.
_BLOCKS = itertools.count()


class Alone:
    """A single process; the base class of `Ranks`, with the same methods."""

    rank, size = 0, 1
    """Index of this process, from 0, and number of processes."""

    shared = True
    """Whether every rank holds all rows and takes its share, or holds rows of its own."""

    def own(self, n_rows: int) -> slice:
        """Return those of the given rows that this rank processes in passes over a table."""
        return slice(0, n_rows)

    def count(self, n_rows: int) -> int:
        """Return the number of rows of all ranks, given the number of local rows."""
        return n_rows

    def localize(self, indices: Tensor, n_rows: int) -> Tensor:
        """Return which of the local rows are among the global row `indices`."""
        return indices

    def add(self, value: Any) -> Any:
        """Return the sums over all ranks of an array or tensor of any type."""
        return value

    def least(self, value: Any) -> Any:
        """Return the elementwise minimum over all ranks."""
        return value

    def greatest(self, value: Any) -> Any:
        """Return the elementwise maximum over all ranks."""
        return value

    def gather(self, rows: Tensor) -> Tensor:
        """Return the concatenated rows of all ranks, each of shape (n_own, ...)."""
        return rows

    def list_all(self, value: Any) -> list:
        """Return a list of the values of all ranks, small objects of any kind."""
        return [value]

    def from_first(self, value: Any) -> Any:
        """Return the value of rank 0, an object of any kind."""
        return value

    def spread_(self, tensors: Sequence[Tensor]) -> None:
        """Copy the values of tensors from rank 0 to all ranks, in place."""

    def exchange_(self, gradients: Sequence[Tensor]) -> None:
        """Sum gradients over all ranks, in place."""

    @contextlib.contextmanager
    def stay(self) -> Iterator[None]:
        """Notify the other ranks if an error leaves the context."""
        yield


class Ranks(Alone):
    """Several processes that train one model together.

    Each waits up to `timeout` seconds for another, by default as long as torch does.
    """

    def __init__(self, *, shared: bool, timeout: float | None):
        self.shared = shared
        wait = None if timeout is None else timedelta(seconds=timeout)
        self.group: Any = dist.new_group(timeout=wait)
        self.rank, self.size = dist.get_rank(), dist.get_world_size()
        on_gpu = dist.get_backend(self.group) == "nccl"
        self.device = torch.device("cuda" if on_gpu else "cpu")
        # torch has no public name for the store of messages between processes.
        store = dist.distributed_c10d._get_default_store()
        self._store = dist.PrefixStore(f"skae/{next(_BLOCKS)}", store)

    def own(self, n_rows: int) -> slice:
        if not self.shared:
            return slice(0, n_rows)
        return slice(n_rows * self.rank // self.size, n_rows * (self.rank + 1) // self.size)

    def count(self, n_rows: int) -> int:
        return n_rows if self.shared else round(self.add(float(n_rows)))

    def localize(self, indices: Tensor, n_rows: int) -> Tensor:
        if self.shared:
            return indices
        first = sum(self.list_all(n_rows)[: self.rank])
        return indices[(indices >= first) & (indices < first + n_rows)] - first

    def add(self, value: Any) -> Any:
        """Return the sums over all ranks, in double precision."""
        return self._reduce(value, dist.ReduceOp.SUM)

    def least(self, value: Any) -> Any:
        return self._reduce(value, dist.ReduceOp.MIN)

    def greatest(self, value: Any) -> Any:
        return self._reduce(value, dist.ReduceOp.MAX)

    def _reduce(self, value: Any, operation) -> Any:
        is_tensor = isinstance(value, Tensor)
        array = value if is_tensor else torch.from_numpy(np.array(value, dtype=np.float64))
        total = array.to(self.device, torch.float64, copy=True).contiguous()
        self._call(dist.all_reduce, total, op=operation)
        if is_tensor:
            return total.to(value.device)
        return total.cpu().numpy() if isinstance(value, np.ndarray) else total.item()

    def gather(self, rows: Tensor) -> Tensor:
        sizes = self.list_all(len(rows))
        padded = rows.new_zeros(max(sizes), *rows.shape[1:], device=self.device)
        padded[: len(rows)] = rows
        parts = [torch.empty_like(padded) for _ in sizes]
        self._call(dist.all_gather, parts, padded)
        parts = [part[:size] for part, size in zip(parts, sizes, strict=True)]
        return torch.cat(parts).to(rows.device)

    def list_all(self, value: Any) -> list:
        values: list = [None] * self.size
        self._call(dist.all_gather_object, values, value)
        return values

    def from_first(self, value: Any) -> Any:
        values = [value]
        self._call(dist.broadcast_object_list, values, src=0)
        return values[0]

    def spread_(self, tensors: Sequence[Tensor]) -> None:
        for tensor in tensors:
            own = tensor.detach().to(self.device).contiguous()
            self._call(dist.broadcast, own, src=0)
            tensor.detach().copy_(own)

    def exchange_(self, gradients: Sequence[Tensor]) -> None:
        total = torch.cat([gradient.reshape(-1) for gradient in gradients]).to(self.device)
        self._call(dist.all_reduce, total)
        parts = total.split([gradient.numel() for gradient in gradients])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view_as(gradient))

    def _call(self, function: Callable, *args, **kwargs) -> None:
        """Communicate; if that fails, raise an error that names the missing rank."""
        if self.group is None:
            raise LostRankError(
                "All processes must be alive. One has failed before. Start a new block of "
                "`skae.parallel.across_processes`."
            )
        try:
            function(*args, group=self.group, **kwargs)
        except RuntimeError as error:
            raise LostRankError(self._explain(error)) from error

    def _explain(self, error: Exception) -> str:
        """Return a message about the ranks that failed or ended."""
        with contextlib.suppress(RuntimeError):
            self._store.set(str(self.rank), "")
        lost = [
            f"Rank {rank} {text}."
            for rank in range(self.size)
            if rank != self.rank and (text := self._ask(rank))
        ]
        reason = " ".join(lost) or f"All are alive, but an exchange has failed: {error}."
        return (
            f"All {self.size} processes must train to the end. {reason} Correct that, and start "
            "all of them again."
        )

    def _ask(self, rank: int) -> str:
        """Return how a rank ended, or an empty string if it is alive."""
        try:
            self._store.wait([str(rank)], timedelta(seconds=_SECONDS_TO_ANSWER))
            return self._store.get(str(rank)).decode()
        except RuntimeError:
            return "has ended without an error message"

    @contextlib.contextmanager
    def stay(self) -> Iterator[None]:
        """Notify the other ranks if an error leaves the context, and end their waiting."""
        try:
            yield
        except BaseException as error:
            if not isinstance(error, LostRankError):
                with contextlib.suppress(RuntimeError):
                    self._store.set(str(self.rank), f"has failed: {type(error).__name__}: {error}")
            self.leave()
            raise

    def leave(self) -> None:
        """End all communication with the other ranks."""
        group, self.group = self.group, None
        if group is not None:
            dist.destroy_process_group(group)


ALONE = Alone()
# A thread starts with its own context, so ranks serve the fits of one thread.
RANKS: ContextVar[Alone] = ContextVar("skae_ranks", default=ALONE)
