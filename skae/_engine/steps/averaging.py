"""Averages of the weights over the last epochs, which stand in for the weights between epochs."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

# The average reaches back over this share of the planned epochs, but not over more than ten: where
# the learning rate falls to zero over few epochs, earlier weights are worse than the last ones.
_SHARE_OF_EPOCHS = 0.05
_MOST_EPOCHS = 10.0
# Averages do part of what low learning rates at the end of training do. Chosen on twelve tables.
_END_OF_RATES = 1 / 3


class AveragedWeights:
    """Exponential moving average of the weights of a step, with one term for each epoch.

    Training continues from the weights themselves. Between epochs the networks have the average, so
    that everything that judges, copies or stores the networks works with the average. Weights that
    a callback sets between two epochs are taken over, and the average starts anew.

    `n_epochs_planned` is the number of epochs for which the schedule of the training is laid out.
    With at most 20, the average is that of the last epoch alone, the weights themselves.
    """

    def __init__(self, n_epochs_planned: int = 1) -> None:
        n_averaged = min(_SHARE_OF_EPOCHS * n_epochs_planned, _MOST_EPOCHS)
        self.decay = 1 - 1 / max(n_averaged, 1.0)
        self.n_epochs = 0
        self.last: Any = None
        """Weights at the end of the last epoch, as returned by `Step.copy_values`."""

        self.average: Any = None

    @contextmanager
    def train(self, step) -> Iterator[None]:
        """Return a context in which a step has its weights. On exit, it gets the average."""
        if not self.averages(step):
            yield
            return
        self.go_on(step)
        yield
        self.end_epoch(step)

    def averages(self, step) -> bool:
        """Return whether the average of a step differs from its weights."""
        return self.decay > 0 and step.averages_weights

    def find_end_of_rates(self, step) -> float:
        """Return the share of the highest learning rate with which a schedule ends."""
        return _END_OF_RATES * self.decay if self.averages(step) else 0.0

    def go_on(self, step) -> None:
        """Load the weights of the end of the last epoch, unless others have been set."""
        if self.n_epochs == 0:
            return
        if step.has_values(self.average):
            step.load_values_(self.last)
        else:
            self.n_epochs = 0

    def end_epoch(self, step) -> None:
        """Add the weights of a step to the average, which the step gets."""
        share, last = self.count_epoch(), step.copy_values()
        self.keep(last, last if share == 1 else _mix_nested(self.average, last, share), step)

    def count_epoch(self) -> float:
        """Count an epoch, and return the share of its weights in the average."""
        self.n_epochs += 1
        # The first epoch has all the weight, not the start.
        return (1 - self.decay) / (1 - self.decay**self.n_epochs)

    def keep(self, last: Any, average: Any, step) -> None:
        """Keep the weights after an epoch and their average, which a step gets."""
        self.last, self.average = last, average
        step.load_values_(average)

    def copy(self) -> dict[str, Any]:
        """Return the state without the average, which the networks have."""
        return {"n_epochs": self.n_epochs, "last": self.last}

    def load_(self, state: dict[str, Any], step) -> None:
        """Load a state returned by `copy`. The networks of `step` must have the average."""
        self.n_epochs, self.last = state["n_epochs"], state["last"]
        self.average = step.copy_values() if self.n_epochs else None


def mix_(average: Tensor, last: Tensor, share: float) -> None:
    """Move averages towards the last values by a share of the way, in place."""
    if share < 1 and last.sum().isfinite():
        average.lerp_(last, share)
    else:
        average.copy_(last if share == 1 else _mix_nested(average, last, share))


def _mix_nested(average: Any, last: Any, share: float) -> Any:
    """Return nested averages, moved towards the last values by a share of the way."""
    if isinstance(last, dict):
        return {name: _mix_nested(average[name], own, share) for name, own in last.items()}
    if isinstance(last, list | tuple):
        return [_mix_nested(*own, share) for own in zip(average, last, strict=True)]
    if isinstance(last, Tensor) and last.is_floating_point():
        mixed = average.lerp(last, share)
        # Bounds of bounded columns do not change, and may be infinite.
        return mixed if mixed.sum().isfinite() else torch.where(average == last, last, mixed)
    return last


def are_equal(one: Any, other: Any) -> bool:
    """Return whether nested values are equal."""
    if isinstance(one, dict):
        return all(are_equal(one[name], other[name]) for name in one)
    if isinstance(one, list | tuple):
        return all(map(are_equal, one, other))
    if not isinstance(one, Tensor) or torch.equal(one, other):
        return True
    # Comparing cells that may be NaN takes several times as long.
    return torch.allclose(one, other, 0, 0, equal_nan=True)
