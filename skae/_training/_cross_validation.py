"""The number of epochs for a small table, chosen on all of its rows."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from skae._training._autograd_step import AutogradStep
from skae._training._batches import batch_sizes, count_batches
from skae._training._callbacks import check_finite
from skae._training._dense_step import DenseStep, is_dense
from skae._training._judgement import (
    Judgement,
    find_row_errors,
    is_clear_improvement,
    mean_of_rows,
)
from skae._training._losses import make_objective
from skae._training._networks import make_module
from skae._training._noise import InputNoise
from skae._training._optimizer import adamw_groups
from skae._training._problem import TrainingProblem, describe_table
from skae._training._schedules import set_learning_rates

_N_FOLDS = 5


@dataclass(frozen=True)
class CrossValidation:
    """How networks did on rows that they had not seen."""

    train_losses: list[float]
    """Training loss of each epoch, averaged over the folds."""

    valid_losses: list[float]
    """Loss at the start and after each epoch, every row judged by the network without it."""

    best_iter: int
    """Epoch to train to; 0 where none is clearly better than the start."""

    error: float
    """Mean squared error per cell after that epoch, in standardised units."""

    pca_error: float
    """The same for the PCA of the folds."""


class FoldNetworks:
    """One network for each fold of a table, trained on the rows of the others.

    Rows are centred by the mean of all, which favours neither the networks nor their PCA.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        The table, in its own unit.
    problem : TrainingProblem
        The same table made ready, in memory.
    max_iter : int
        Number of epochs, for the learning rate's schedule.
    noise : InputNoise
        Between the rows and what the networks see of them.
    generator : torch.Generator
        Source of the folds, the networks and the order of the rows.
    """

    def __init__(
        self,
        X,
        problem: TrainingProblem,
        max_iter: int,
        noise: InputNoise,
        generator: torch.Generator,
    ):
        self.problem, self.max_iter, self.noise = problem, max_iter, noise
        self.generator = generator
        self.rows, n_samples = problem.rows.take(torch.arange(len(X))), len(X)
        order = torch.randperm(n_samples, generator=generator)
        self.folds = order.tensor_split(min(_N_FOLDS, n_samples))
        others = [
            torch.cat([fold for fold in self.folds if fold is not left_out])
            for left_out in self.folds
        ]
        components = [_components_of(X, problem, rows.numpy()) for rows in others]
        device = problem.device
        self.axes = [problem.tensor(found.components).to(device) for found in components]
        self.modules = [make_module(problem, found, generator).to(device) for found in components]
        self.groups = adamw_groups(problem.settings, problem.n_features)
        self.rates = [group["lr"] for group in self.groups]
        self.objective = make_objective(problem, generator)
        self.step = _make_step(self.modules, self.objective, self.groups)
        # Folds differ by one row at most; the longer ones go without it.
        n_train = min(map(len, others))
        self.train_indices = torch.stack([rows[:n_train] for rows in others])
        batch_size = problem.settings.resolve_batch_size(n_train)
        self.n_batches, self.n_steps = count_batches(n_train, batch_size), 0

    @torch.no_grad()
    def train_epoch(self) -> float:
        """Train every network on all its rows once; return their mean loss."""
        n_folds, n_train = self.train_indices.shape
        orders = [torch.randperm(n_train, generator=self.generator) for _ in range(n_folds)]
        shuffled = self.train_indices.gather(1, torch.stack(orders))
        # Taken for all batches at once, since each taking has a price of its own.
        rows, weights = self.rows[shuffled], self.problem.weights
        sizes = batch_sizes(n_train, self.n_batches)
        parts: Sequence[torch.Tensor | None] = [None] * self.n_batches
        if weights is not None:
            parts = weights[shuffled].to(rows).split(sizes, 1)
        total = rows.new_zeros(n_folds)
        for batch, own_weights in zip(rows.split(sizes, 1), parts, strict=True):
            self._set_learning_rate()
            losses = self.step(self.noise(batch), batch, own_weights)
            total.add_(losses, alpha=batch.shape[1] / n_train)
        return float(total.mean())

    def _set_learning_rate(self):
        progress = self.n_steps / max(1, self.max_iter * self.n_batches - 1)
        self.objective.set_progress(min(1.0, progress))
        schedule = self.problem.settings.learning_rate
        set_learning_rates(self.groups, self.rates, schedule, progress)
        self.n_steps += 1

    def judge(self) -> Judgement:
        """Return loss and error of each row by the network that has not seen it."""
        losses, errors = self.rows.new_empty(2, len(self.rows))
        indices, inputs, rows = self._folds_to_judge()
        losses[indices], errors[indices] = self.step.judge(inputs, rows)
        return Judgement(losses, errors)

    def judge_pca(self) -> torch.Tensor:
        """Return the error of each row by the PCA of the rows outside of its fold."""
        errors = self.rows.new_empty(len(self.rows))
        folds = zip(*self._folds_to_judge(), self.axes, self.modules, strict=True)
        for indices, inputs, rows, axes, module in folds:
            seen = module.fill(inputs)
            errors[indices] = find_row_errors((seen @ axes.T) @ axes, rows)
        return errors

    def _folds_to_judge(self):
        """Return indices of the rows (m, b) in each fold, what is seen of them, and the rows.

        Shorter folds begin again at their end.
        """
        longest = max(map(len, self.folds))
        indices = torch.stack([fold[torch.arange(longest) % len(fold)] for fold in self.folds])
        rows = self.rows[indices]
        self.noise.restart_judging()
        return indices, self.noise.for_judging(rows), rows

    def mean(self, values: torch.Tensor) -> float:
        """Return the weighted mean over the rows."""
        return mean_of_rows(values, self.problem.weights)


def _make_step(modules, objective, groups) -> DenseStep | AutogradStep:
    if all(is_dense(module, objective) for module in modules):
        return DenseStep(modules, objective.loss, groups)
    return AutogradStep(modules, objective, groups)


def cross_validate(
    X, problem: TrainingProblem, max_iter: int, noise: InputNoise, generator
) -> CrossValidation:
    """Train a network without each fold, side by side, and judge every epoch by all rows.

    The epoch of the least loss is chosen if it is clearly better than the start, row by row.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        The table, in its own unit.
    problem : TrainingProblem
        The same table made ready, in memory.
    max_iter : int
        Greatest number of epochs.
    noise : InputNoise
        Between the rows and what the networks see of them.
    generator : torch.Generator
        Source of the folds, the networks and the order of the rows.

    Returns
    -------
    result : CrossValidation
        Losses and the choice.
    """
    networks = FoldNetworks(X, problem, max_iter, noise, generator)
    start = best = networks.judge()
    train_losses: list[float] = []
    valid_losses, best_iter = [networks.mean(start.losses)], 0
    while len(train_losses) < max_iter:
        train_losses.append(networks.train_epoch())
        judgement = networks.judge()
        loss = networks.mean(judgement.losses)
        check_finite({"train_loss": train_losses[-1], "valid_loss": loss}, epoch=len(train_losses))
        if loss < min(valid_losses):
            best, best_iter = judgement, len(train_losses)
        valid_losses.append(loss)
        if len(train_losses) - best_iter >= problem.settings.n_iter_no_change:
            break
    if not is_clear_improvement(start.losses, best.losses, problem.weights):
        best, best_iter = start, 0
    return CrossValidation(
        train_losses=train_losses,
        valid_losses=valid_losses,
        best_iter=best_iter,
        error=networks.mean(best.errors),
        pca_error=networks.mean(networks.judge_pca()),
    )


def _components_of(X, problem: TrainingProblem, rows):
    """Return the principal components of some rows."""
    weights = np.ones(len(X)) if problem.weights is None else problem.weights.numpy()
    part, shares = X[rows], weights[rows] / weights[rows].sum()
    settings = replace(problem.settings, n_components=problem.n_components, dtype="float64")
    return describe_table(part, shares, settings)[1]
