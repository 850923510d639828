"""Rows of the next epochs, which are prepared together, as each call of torch has a fixed cost."""

import hashlib
import threading
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Sequence
from contextvars import ContextVar
from functools import cached_property
from typing import Any

import torch

# Rows of more cells take longer than the calls, and would leave the cache before their epoch.
_MOST_CELLS = 2**18
_MOST_EPOCHS = 16


# Prepared epochs, each with the states of the generators after it.
_Prepared = Sequence[tuple[Any, list[torch.Tensor]]]


class SharedEpochs:
    """Prepared epochs of several fits, such as those of the candidates of a search.

    When the memory of `most_bytes` is full, those that were used last are kept.
    """

    def __init__(self, most_bytes: int):
        self.most_bytes, self.n_bytes = most_bytes, 0
        self._parts: dict[Hashable, tuple[_Prepared, int]] = {}
        self._lock = threading.Lock()

    def find(self, key: Hashable) -> _Prepared | None:
        """Return the epochs under a key, or None."""
        with self._lock:
            if key not in self._parts:
                return None
            self._parts[key] = self._parts.pop(key)
            return self._parts[key][0]

    def keep(self, key: Hashable, prepared: _Prepared):
        """Store epochs, which nothing may change from now on."""
        n_bytes = sum(own.nbytes for epoch, states in prepared for own in (*epoch, *states))
        with self._lock:
            if key in self._parts:
                return
            self._parts[key] = prepared, n_bytes
            self.n_bytes += n_bytes
            while self.n_bytes > self.most_bytes:
                self.n_bytes -= self._parts.pop(next(iter(self._parts)))[1]


# Set in threads whose fits have epochs in common.
SHARED_EPOCHS: ContextVar[SharedEpochs | None] = ContextVar("skae_shared_epochs", default=None)


class EpochsAhead:
    """Queue of epochs that are drawn one by one and prepared several at a time.

    Random generators are in the same states as if each epoch were drawn when it is taken. If
    anything else draws from them, or sets their states, epochs in the queue are drawn again. The
    more cells an epoch has, the fewer epochs are prepared together.

    `sources` is everything on which epochs depend, besides the states of the generators. Epochs are
    then tuples of tensors that nothing changes, and are shared by fits with equal sources and
    states. None means that they are not shared.
    """

    def __init__(
        self,
        generators: Sequence[torch.Generator],
        n_cells: int,
        sources: Sequence[torch.Tensor | None] | None = None,
    ):
        self.generators, self.sources = generators, sources
        self.most_at_once = max(1, min(_MOST_EPOCHS, _MOST_CELLS // max(1, n_cells)))
        self.n_at_once = 1
        self.states: list[torch.Tensor] = []
        self.queue: deque[tuple[Any, list[torch.Tensor]]] = deque()

    # The functions are not kept: their owner, which holds the table, would be kept by them in turn.
    def take(self, draw: Callable[[], Any], prepare: Callable[[list], Iterable]) -> Any:
        """Return the next epoch.

        `draw` returns the random numbers of one epoch. `prepare` takes a list of these and returns
        as many prepared epochs, which must not depend on the other epochs of the list.
        """
        if self.queue and not all(map(torch.equal, self.states, self._copy_states())):
            self.queue.clear()
            self.n_at_once = self.most_at_once = 1
        if not self.queue:
            self._extend(draw, prepare)
        epoch, self.states = self.queue.popleft()
        for generator, state in zip(self.generators, self.states, strict=True):
            generator.set_state(state)
        return epoch

    def _extend(self, draw, prepare):
        shared = None if self.sources is None else SHARED_EPOCHS.get()
        prepared, key = None, None
        if shared is not None:
            states = (own.numpy().tobytes() for own in self._copy_states())
            key = self._digest, self.n_at_once, *states
            prepared = shared.find(key)
        if prepared is None:
            prepared = self._prepare(draw, prepare)
            if shared is not None:
                shared.keep(key, prepared)
        self.queue.extend(prepared)
        # Many trainings have few epochs.
        self.n_at_once = min(2 * self.n_at_once, self.most_at_once)

    def _prepare(self, draw, prepare) -> _Prepared:
        drawn, states = [], []
        for _ in range(self.n_at_once):
            drawn.append(draw())
            states.append(self._copy_states())
        return list(zip(prepare(drawn), states, strict=True))

    @cached_property
    def _digest(self) -> bytes:
        digest = hashlib.blake2b()
        for own in self.sources or ():
            digest.update(repr(None if own is None else (own.shape, own.dtype)).encode())
            if own is not None:
                digest.update(own.cpu().numpy().tobytes())
        return digest.digest()

    def _copy_states(self) -> list[torch.Tensor]:
        return [generator.get_state() for generator in self.generators]
