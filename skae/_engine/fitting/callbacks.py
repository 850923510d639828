"""Callbacks between epochs: validation, best weights, early stopping, learning rate.

`lasting` names the attributes of a callback that change from epoch to epoch; checkpoints keep them.
"""

import math
import sys
from collections.abc import Callable
from typing import Protocol

import torch
from skorch.callbacks import Callback, PrintLog

from skae._engine.compute.ranks import Alone
from skae._engine.judgement import find_rises, is_clear_improvement, is_nowhere_worse, mean_of_rows
from skae.exceptions import NonFiniteLossError

LossCurves = tuple[list[float], list[float] | None]


class TrainingStopped(Exception):
    """Raised between epochs to leave skorch's loop; never reaches the user."""


class EpochLog(PrintLog):
    """Print one line per epoch; the lowest losses are coloured, at a terminal only."""

    def format_row(self, row, key, color):
        if not sys.stdout.isatty():
            row = {name: value for name, value in row.items() if not name.endswith("_best")}
        return super().format_row(row, key, color)

    def on_epoch_end(self, net, **kwargs):
        """Print the line of an epoch, unless there is no standard output, as in services."""
        if sys.stdout is not None:
            super().on_epoch_end(net, **kwargs)


class FiniteLoss(Callback):
    """Abort training when the loss is not finite."""

    def on_epoch_end(self, net, **kwargs):
        losses = {key: net.history[-1].get(key) for key in ("train_loss", "valid_loss")}
        check_finite(losses, epoch=len(net.history))


def check_finite(losses: dict[str, float | None], *, epoch: int):
    """Raise an error if a loss, given by name, is not finite."""
    for name, loss in losses.items():
        if loss is not None and not math.isfinite(loss):
            raise NonFiniteLossError(
                f"The loss must stay finite. Got {name}={loss} in epoch {epoch}. "
                "Lower `learning_rate_init`, or scale features that differ by many orders of "
                "magnitude, for instance with StandardScaler."
            )


class EpochTasks(Protocol):
    """Receiver of epoch events outside skorch."""

    def begin_fit(self, max_epochs: int) -> None:
        """Record the start of training and its maximum number of epochs."""

    def begin_epoch(self) -> None:
        """Record the start of an epoch."""

    def end_epoch(self, snapshot: Callable[[], object], losses: Callable[[], LossCurves]) -> bool:
        """Record the end of an epoch; return whether training should stop.

        When called, `snapshot` returns the current model, and `losses` the losses so far, of
        training and of held-out rows.
        """


class EpochHook(Callback):
    """Pass epoch events on to an `EpochTasks` object."""

    lasting = ("train_losses",)

    def __init__(self, tasks: EpochTasks, snapshot: Callable[[], object], best_epoch, ranks: Alone):
        self.tasks, self.snapshot = tasks, snapshot
        self.best_epoch, self.ranks = best_epoch, ranks

    def on_train_begin(self, net, **kwargs):
        self.train_losses: list[float] = []

    def on_epoch_begin(self, net, **kwargs):
        self.tasks.begin_epoch()

    def on_epoch_end(self, net, **kwargs):
        self.train_losses.append(net.history[-1]["train_loss"])
        # All processes stop together; otherwise some would wait for the others forever.
        if self.ranks.add(float(self.tasks.end_epoch(self.snapshot, self.list_losses))):
            raise TrainingStopped

    def on_train_end(self, net, **kwargs):
        """Release the training, so that the memory of its rows can be reused."""
        del self.snapshot

    def list_losses(self) -> LossCurves:
        """Return the losses so far, of training and, if any rows are held out, of validation."""
        judged = None if self.best_epoch is None else list(self.best_epoch.losses_)
        return list(self.train_losses), judged


class BestEpoch(Callback):
    """Evaluate the start and every epoch on the held-out rows, and keep the best weights.

    `groups` has the group number of each held-out row. If None, each row is its own group.

    Attributes
    ----------
    losses_ : list of float
        Mean loss of the held-out rows at the start and after each epoch.
    emphasis_ : Tensor or None
        Emphasis of the training step in the best epoch.
    start_error_ : float
        Mean error of the held-out rows at the start.
    """

    lasting = ("losses_", "emphasis_", "_least", "_best", "_best_iter")

    def __init__(self, groups: torch.Tensor | None):
        self.groups = groups

    def on_train_begin(self, net, **kwargs):
        self._start = self._best = net.step_.copy_values()
        self._start_judgement = net.judge(net.validation_set)
        weights = net.validation_set.all_weights
        loss = mean_of_rows(self._start_judgement.losses, weights)
        self.losses_, self._least, self._best_iter = [loss], loss, 0
        self.emphasis_ = None
        self.start_error_ = mean_of_rows(self._start_judgement.errors, weights)

    def on_epoch_end(self, net, **kwargs):
        loss = net.history[-1]["valid_loss"]
        weights = net.validation_set.all_weights
        if loss < self._least and is_nowhere_worse(self._start_judgement, net.judgement_, weights):
            self._best, self._best_iter = net.step_.copy_values(), len(self.losses_)
            self._least, self.emphasis_ = loss, net.step_.emphasis
        self.losses_.append(loss)
        net.step_.heed_(find_rises(self._start_judgement, net.judgement_, weights))

    def restore_(self, net) -> tuple[int, float]:
        """Restore the weights of the best epoch; return its number and its squared error.

        The best epoch is 0, the start, unless another one is clearly better on the held-out rows.
        """
        net.step_.load_values_(self._best)
        best_iter, judgement = self._best_iter, net.judge(net.validation_set)
        weights = net.validation_set.all_weights
        losses = self._start_judgement.losses, judgement.losses
        if not is_clear_improvement(*losses, weights, self.groups):
            return self.restore_start_(net)
        return best_iter, mean_of_rows(judgement.errors, weights)

    def restore_start_(self, net) -> tuple[int, float]:
        """Restore the weights from before training; return 0 and their squared error."""
        net.step_.load_values_(self._start)
        return 0, self.start_error_


class Patience(Callback):
    """Stop when the loss on the held-out rows has not improved for too many epochs.

    `tol` is the relative decrease of the loss that counts as progress. This callback comes after
    all callbacks that must see the last epoch, too.
    """

    lasting = ("_progress", "_progress_iter")

    def __init__(self, best_epoch: BestEpoch, n_iter_no_change: int, tol: float):
        self.best_epoch = best_epoch
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol

    def on_train_begin(self, net, **kwargs):
        self._progress, self._progress_iter = self.best_epoch.losses_[0], 0

    def on_epoch_end(self, net, **kwargs):
        loss, epoch = self.best_epoch.losses_[-1], len(self.best_epoch.losses_) - 1
        if loss < self._progress * (1 - self.tol):
            self._progress, self._progress_iter = loss, epoch
        elif epoch - self._progress_iter >= self.n_iter_no_change:
            raise TrainingStopped


class AdaptiveLearningRate(Callback):
    """Divide the learning rate by five when the training loss stalls for two epochs."""

    lasting = ("_best", "_n_no_change")

    def __init__(self, tol: float):
        self.tol = tol

    def on_train_begin(self, net, **kwargs):
        self._best, self._n_no_change = math.inf, 0

    def on_epoch_end(self, net, **kwargs):
        loss = net.history[-1]["train_loss"]
        self._n_no_change = 0 if loss < self._best * (1 - self.tol) else self._n_no_change + 1
        self._best = min(self._best, loss)
        if self._n_no_change >= 2:
            self._n_no_change = 0
            for group in net.optimizer_.param_groups:
                group["lr"] /= 5
