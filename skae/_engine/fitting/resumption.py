"""Fits that are the first epochs of longer ones, which go on from there later.

A search that halves its candidates fits the better ones again for more epochs. Here such a fit
takes over the state that the shorter one has left, and ends up where it would have from the start,
to the last bit: schedules are laid out for the longest fit from the beginning.
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

# Finding out whether a table is known takes longer with its size.
_MOST_CELLS = 2**24


@dataclass(frozen=True)
class TrainingState:
    """State of a training at its end, which nothing changes any more."""

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
        """Memory of the arrays."""
        return _count_bytes(self.training)


def _count_bytes(value: Any) -> int:
    if isinstance(value, dict):
        return _count_bytes(list(value.values()))
    if isinstance(value, list | tuple):
        return sum(map(_count_bytes, value))
    return getattr(value, "nbytes", 0)


class KeptStates:
    """States of the trainings of many fits.

    Parameters
    ----------
    n_epochs : int
        Number of epochs that schedules are laid out for.
    most_bytes : int
        Memory for all states; the oldest are given up where it is full, and their fits start anew.
    """

    def __init__(self, n_epochs: int, most_bytes: int):
        self.n_epochs, self.most_bytes = n_epochs, most_bytes
        self._states: dict[str, TrainingState] = {}
        self._n_bytes = 0
        self._lock = threading.Lock()

    def find(self, key: str) -> TrainingState | None:
        """Return the state under a key, None where there is none."""
        with self._lock:
            return self._states.get(key)

    def keep(self, key: str, state: TrainingState):
        """Keep a state in place of an earlier one."""
        with self._lock:
            if key in self._states:
                self._n_bytes -= self._states.pop(key).n_bytes
            self._states[key] = state
            self._n_bytes += state.n_bytes
            while self._n_bytes > self.most_bytes:
                self._n_bytes -= self._states.pop(next(iter(self._states))).n_bytes


# Set in threads whose fits go on from each other.
KEPT_STATES: ContextVar[KeptStates | None] = ContextVar("skae_kept_states", default=None)


class Resumption:
    """One fit, and the state of the training from which it can go on.

    Parameters
    ----------
    kept : KeptStates or None
        States of other fits; None where fits do not go on from each other.
    key : str or None
        Key that is equal for all fits that continue each other; None for a fit whose results are
        not determined by its arguments.
    sources : list of Generator
        Everything random in the fit.
    """

    def __init__(
        self, kept: KeptStates | None, key: str | None, sources: Sequence[torch.Generator]
    ):
        self.kept, self.key, self.sources = kept, key, sources

    def count_scheduled(self, max_iter: int) -> int:
        """Return the number of epochs for which the schedules of a fit are laid out."""
        return max_iter if self.kept is None else max(max_iter, self.kept.n_epochs)

    def find(self, max_iter: int) -> TrainingState | None:
        """Return the state of an earlier training of no more epochs, None where there is none."""
        if self.kept is None or self.key is None:
            return None
        state = self.kept.find(self.key)
        return None if state is None or state.n_epochs > max_iter else state

    def keep_net(self, net, callbacks: Sequence[Callback], *, is_over: bool):
        """Keep the state of a net and of the callbacks that belong to its training."""
        if self.kept is not None and self.key is not None:
            training = copy.deepcopy(pack_training(net, callbacks, self.sources))
            state = TrainingState(len(net.history), training, is_over=is_over)
            self.kept.keep(self.key, state)

    def keep_folds(self, step: Step, groups: Sequence[dict], *, n_steps: int, progress):
        """Keep the state of a cross-validation."""
        if self.kept is not None and self.key is not None:
            training = copy.deepcopy(pack_step(step, groups, self.sources))
            n_epochs = len(progress.train_losses)
            state = TrainingState(n_epochs, training, progress.copy(), n_steps)
            self.kept.keep(self.key, state)


def find_resumption(asked: tuple | None, sources: Sequence[torch.Generator]) -> Resumption:
    """Return the place of a fit among others.

    Parameters
    ----------
    asked : tuple or None
        Rows, weights, family, network, loop, random state and groups, as `train_autoencoder` has
        them; None for a fit that has more to it than these, and begins and ends by itself.
    sources : list of Generator
        Everything random in the fit.
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
    """Return what is equal for fits that differ in their number of epochs alone.

    None where it is not known, or where arguments do not determine the results.
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
