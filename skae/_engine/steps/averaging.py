"""Averages of the weights over past epochs, which stand in for the last ones between epochs."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

# Weight of the average so far when an epoch is added to it. The last five epochs make up two thirds
# of the average.
_DECAY = 0.8


class AveragedWeights:
    """Exponential moving average of the weights of a step after each epoch.

    Training goes on from the weights themselves. Between epochs the networks have the averages, so
    that everything that judges, copies or stores them takes these. After the first epoch both are
    equal. Weights that somebody else sets between two epochs are taken over, and begin a new
    average.
    """

    def __init__(self) -> None:
        self.n_epochs = 0
        self.last: Any = None
        """Weights at the end of the last epoch, as `Step.copy_values` returns them."""

        self.average: Any = None

    @contextmanager
    def train(self, step) -> Iterator[None]:
        """Return the context of an epoch of a step.

        Parameters
        ----------
        step : Step
            Has its weights within the context, and the average after it.
        """
        self._go_on(step)
        yield
        if not step.averages_weights:
            return
        self.n_epochs += 1
        self.last = step.copy_values()
        if self.n_epochs == 1:
            self.average = self.last
            return
        share = (1 - _DECAY) / (1 - _DECAY**self.n_epochs)
        self.average = _mix(self.average, self.last, share)
        step.load_values_(self.average)

    def _go_on(self, step):
        """Give a step its weights after the last epoch, unless others have been set."""
        if self.n_epochs == 0:
            return
        if _are_equal(self.average, step.copy_values()):
            step.load_values_(self.last)
        else:
            self.n_epochs = 0

    def copy(self) -> dict[str, Any]:
        """Return the state beside the averages, which the networks have."""
        return {"n_epochs": self.n_epochs, "last": self.last}

    def load_(self, state: dict[str, Any], step) -> None:
        """Take over a state that `copy` has returned, for a step that has the averages."""
        self.n_epochs, self.last = state["n_epochs"], state["last"]
        self.average = step.copy_values()


def _mix(average: Any, last: Any, share: float) -> Any:
    """Return nested averages moved towards the last values by a share of the way."""
    if isinstance(last, dict):
        return {name: _mix(average[name], own, share) for name, own in last.items()}
    if isinstance(last, list | tuple):
        return [_mix(*own, share) for own in zip(average, last, strict=True)]
    if isinstance(last, Tensor) and last.is_floating_point():
        return average.lerp(last, share)
    return last


def _are_equal(one: Any, other: Any) -> bool:
    """Tell whether nested values are equal."""
    if isinstance(one, dict):
        return all(_are_equal(one[name], other[name]) for name in one)
    if isinstance(one, list | tuple):
        return all(map(_are_equal, one, other))
    return not isinstance(one, Tensor) or torch.allclose(one, other, 0, 0, equal_nan=True)
