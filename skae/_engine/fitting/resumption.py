"""Fits that continue from the state of a shorter fit.

A halving search fits its better candidates again, for more epochs. Here such a fit starts from
the state that the shorter fit left, and has the same result as a fit from the beginning, to the
last bit: schedules are set for the longest fit from the first epoch on.
"""

import copy
import pickle
import threading
from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass, replace
from numbers import Integral
from typing import Any

import joblib
import torch
from skorch.callbacks import Callback

from skae._engine.families.family import Family
from skae._engine.fitting.checkpoints import pack_step, pack_training
from skae._engine.settings import LoopSettings, NetworkSettings
from skae._engine.steps.step import Step

# Recognising a table takes longer the larger it is.
_MOST_CELLS = 2**24


@dataclass(frozen=True)
class TrainingState:
    """Immutable state of training at its end."""

    n_epochs: int
    training: dict[str, Any]
    """Everything that is copied by `pack_training` or `pack_step`."""

    progress: Any = None
    """Losses and choices so far of a cross-validation."""

    n_steps: int = 0
    """Number of steps of a cross-validation."""

    is_over: bool = False
    """Whether the training has ended before its last epoch, and would so again."""

    @property
    def n_bytes(self) -> int:
        return _count_bytes(self.training)


def _count_bytes(value: Any) -> int:
    if isinstance(value, dict):
        return _count_bytes(list(value.values()))
    if isinstance(value, list | tuple):
        return sum(map(_count_bytes, value))
    return getattr(value, "nbytes", 0)


class KeptStates:
    """Training states of many fits whose schedules are set for `n_epochs`.

    When the memory of `most_bytes` is full, the oldest states are dropped, and their fits restart.
    """

    def __init__(self, n_epochs: int, most_bytes: int):
        self.n_epochs, self.most_bytes = n_epochs, most_bytes
        self._states: dict[str, TrainingState] = {}
        self._n_bytes = 0
        self._lock = threading.Lock()

    def find(self, key: str) -> TrainingState | None:
        """Return the state under a key, or None."""
        with self._lock:
            return self._states.get(key)

    def keep(self, key: str, state: TrainingState):
        """Store a state, replacing an earlier one."""
        with self._lock:
            if key in self._states:
                self._n_bytes -= self._states.pop(key).n_bytes
            self._states[key] = state
            self._n_bytes += state.n_bytes
            while self._n_bytes > self.most_bytes:
                self._n_bytes -= self._states.pop(next(iter(self._states))).n_bytes


# Set in threads whose fits continue each other.
KEPT_STATES: ContextVar[KeptStates | None] = ContextVar("skae_kept_states", default=None)


class Resumption:
    """One fit, and the training state from which it can continue.

    `kept` has the states of other fits, None if fits do not continue each other. `key` is shared by
    all fits that continue each other, None for a fit whose results are not determined by its
    arguments. `sources` are the random generators of the fit.
    """

    def __init__(
        self, kept: KeptStates | None, key: str | None, sources: Sequence[torch.Generator]
    ):
        self.kept, self.key, self.sources = kept, key, sources

    def count_scheduled(self, max_iter: int) -> int:
        """Return the number of epochs for which the schedules of a fit are set."""
        return max_iter if self.kept is None else max(max_iter, self.kept.n_epochs)

    def find(self, max_iter: int) -> TrainingState | None:
        """Return the state of an earlier fit with no more epochs, or None."""
        if self.kept is None or self.key is None:
            return None
        state = self.kept.find(self.key)
        return None if state is None or state.n_epochs > max_iter else state

    def keep_net(self, net, callbacks: Sequence[Callback], *, is_over: bool):
        """Store the state of a net and of its callbacks."""
        if self.kept is not None and self.key is not None:
            training = copy.deepcopy(pack_training(net, callbacks, self.sources))
            state = TrainingState(len(net.history), training, is_over=is_over)
            self.kept.keep(self.key, state)

    def keep_folds(self, step: Step, groups: Sequence[dict], *, n_steps: int, progress):
        """Store the state of a cross-validation."""
        if self.kept is not None and self.key is not None:
            training = copy.deepcopy(pack_step(step, groups, self.sources))
            n_epochs = len(progress.train_losses)
            state = TrainingState(n_epochs, training, progress.copy(), n_steps)
            self.kept.keep(self.key, state)


def find_resumption(asked: tuple | None, sources: Sequence[torch.Generator]) -> Resumption:
    """Return the `Resumption` of a fit.

    `asked` has rows, weights, family, network, loop, random state and groups, as in
    `train_autoencoder`. It is None for a fit with further inputs, which neither continues others
    nor is continued.
    """
    kept = None if asked is None else KEPT_STATES.get()
    key = None if kept is None or asked is None else _make_key(*asked)
    return Resumption(kept, key, sources)


def _make_key(
    X,
    weights,
    family: Family,
    network: NetworkSettings,
    loop: LoopSettings,
    random_state,
    groups: torch.Tensor | None,
) -> str | None:
    """Return a key shared by fits that differ only in their number of epochs.

    Return None if the key is unknown, or if the arguments do not determine the results.
    """
    is_known = isinstance(random_state, Integral) and not loop.net_params
    if not is_known or X.shape[0] * X.shape[1] > _MOST_CELLS:
        return None
    own_groups = None if groups is None else groups.numpy()
    asked = replace(loop, max_iter=0, verbose=False)
    try:
        return joblib.hash((X, weights, family, network, asked, int(random_state), own_groups))
    except (pickle.PicklingError, AttributeError, TypeError):
        return None
