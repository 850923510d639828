"""Choice of the number of epochs for a small table by cross-validation."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch

from skae._engine.fitting.callbacks import check_finite
from skae._engine.fitting.checkpoints import unpack_step_
from skae._engine.fitting.columns import measure_columns
from skae._engine.fitting.prefixes import JudgedRows, measure_prefixes
from skae._engine.fitting.result import ChosenEpochs
from skae._engine.fitting.resumption import Resumption
from skae._engine.fitting.setup import TrainingSetup
from skae._engine.judgement import (
    Judgement,
    find_clearest_improvement,
    find_rises,
    find_row_errors,
    is_clear_improvement,
    is_nowhere_worse,
    mean_of_rows,
)
from skae._engine.start.noise import InputNoise
from skae._engine.start.odd_cells import OddCells, OddDraws
from skae._engine.start.prepared_table import describe_table
from skae._engine.steps.averaging import AveragedWeights
from skae._engine.steps.epoch import Batch, Costs, Epoch, Epochs, add_up, run_epochs
from skae._engine.steps.optimizer import make_adamw
from skae._engine.steps.schedules import LearningRates
from skae._engine.steps.step import Step
from skae._engine.tables.batches import batch_sizes, count_batches, move_epochs
from skae._engine.tables.epochs_ahead import EpochsAhead
from skae._shared.progress import WORK, show_progress

N_FOLDS = 5


class FoldNetworks:
    """One network for each fold of a table, trained on the rows of the others.

    Rows are centred by the mean of all rows, which favours neither the networks nor their PCA.

    `X` is the table in its own unit, and `setup` has the same table prepared in memory. `folds` are
    the rows of each fold. The learning rate schedule has `max_iter` epochs. `generator` is the
    source of the initial networks and of the order of the rows.
    """

    def __init__(
        self,
        X,
        setup: TrainingSetup,
        folds: list[torch.Tensor],
        max_iter: int,
        noise: InputNoise,
        generator: torch.Generator,
        odd_cells: OddCells | None,
    ):
        self.setup, table, family, loop = setup, setup.table, setup.family, setup.loop
        self.table, self.noise, self.generator = table, noise, generator
        self.rows, self.folds = table.rows.take(torch.arange(len(X))), folds
        others = [
            torch.cat([fold for fold in self.folds if fold is not left_out])
            for left_out in self.folds
        ]
        longest = max(map(len, self.folds))
        # Shorter folds wrap around.
        self.judged_indices = torch.stack(
            [fold[torch.arange(longest) % len(fold)] for fold in self.folds]
        )
        # Networks train side by side on the same number of rows; longer parts leave some out.
        n_train = min(map(len, others))
        places = torch.arange(n_train)
        self.train_indices = torch.stack([rows[places * len(rows) // n_train] for rows in others])
        batch_size = loop.resolve_batch_size(n_train, setup.family.automatic)
        self.n_batches, self.n_steps = count_batches(n_train, batch_size), 0
        self.n_steps_in_all = max_iter * self.n_batches
        self.odd_cells = odd_cells if self.n_batches > 1 else None
        n_cells = self.train_indices.numel() * table.n_features
        self.epochs = EpochsAhead([generator], n_cells, self._list_sources())

        components = [_find_components(X, setup, rows.numpy()) for rows in others]
        self.axes = [table.units.tensor(own.components).to(table.device) for own in components]
        self.modules = [
            family.make_module(setup.plan, table, own, generator).to(table.device)
            for own in components
        ]
        self.objective: Any = family.make_objective(table, generator).to(table.device)
        self.step = self._make_step()
        self.step.averaged = AveragedWeights(max_iter)
        self.step.share_groups_()
        self.groups = [group for own in self.step.groups for group in own]
        end = self.step.averaged.find_end_of_rates(self.step)
        self.rates = LearningRates(self.groups, loop.learning_rate, end)

    def _make_step(self) -> Step:
        groups = self.setup.list_adamw_groups(self.train_indices.shape[1])
        return self.setup.family.make_step(
            self.modules,
            self.objective,
            [make_adamw(module, groups) for module in self.modules],
            by_autograd=False,
            precision=contextlib.nullcontext,
        )

    def _list_sources(self) -> list[torch.Tensor | None] | None:
        """Return everything on which epochs depend, or None where users may change rows."""
        if self.odd_cells is None:
            return None
        return [self.rows, self.train_indices, self.table.weights, *self.odd_cells.sources]

    def draw_epoch(self) -> Epoch:
        """Return the next epoch of every network."""
        inputs, rows, weights = self.epochs.take(self._draw_epoch, self._take_rows)
        parts: Sequence[torch.Tensor | None] = [None] * self.n_batches
        if weights is not None:
            parts = weights.split(self.batch_sizes, 1)
        own_rows = rows.split(self.batch_sizes, 1)
        own_inputs = own_rows if inputs is rows else inputs.split(self.batch_sizes, 1)
        batches = (
            Batch(self.noise(seen), own, own_weights)
            for seen, own, own_weights in zip(own_inputs, own_rows, parts, strict=True)
        )
        return Epoch(batches, self._begin_step, self.rows_to_judge, shows_networks=False)

    @property
    def batch_sizes(self) -> list[int]:
        return batch_sizes(self.train_indices.shape[1], self.n_batches)

    def find_mean_loss(self, losses: list[torch.Tensor]) -> float:
        """Return the mean of the losses of an epoch over its rows and all networks."""
        return float(add_up(losses, self.batch_sizes).mean()) / self.train_indices.shape[1]

    def _draw_epoch(self) -> tuple[torch.Tensor, OddDraws | None]:
        """Return the rows of each network in a new order, and the draws of the odd cells."""
        shape = *self.train_indices.shape, self.table.n_features
        orders = [torch.randperm(shape[1], generator=self.generator) for _ in range(shape[0])]
        draws = None if self.odd_cells is None else self.odd_cells.draw(shape)
        return self.train_indices.gather(1, torch.stack(orders)), draws

    def _take_rows(self, drawn: list[tuple[torch.Tensor, Any]]) -> Iterator[tuple]:
        """Return inputs of several epochs, the rows to reconstruct, and their weights."""
        orders, draws = zip(*drawn, strict=True)
        shuffled, all_weights = torch.stack(orders), self.table.weights
        rows = self.rows.index_select(0, shuffled.view(-1)).view(*shuffled.shape, -1)
        weights = None if all_weights is None else all_weights[shuffled].to(rows)
        return move_epochs(rows, weights, self.odd_cells, draws)

    def _begin_step(self):
        """Update the schedule and the objective with the share of steps done."""
        progress = min(1.0, self.n_steps / max(1, self.n_steps_in_all - 1))
        self.objective.set_progress(progress)
        self.rates.set_(progress)
        self.n_steps += 1

    def judge(self) -> Judgement:
        """Return the loss and the error of each row under the network not trained on it."""
        return self.arrange(self.step.judge(*self.rows_to_judge))

    def arrange(self, judged: Sequence[torch.Tensor]) -> Judgement:
        """Return a result of `Step.judge` for each fold in the order of the rows."""
        return Judgement(*(own.flatten(0, 1).index_select(0, self._places) for own in judged))

    @cached_property
    def _places(self) -> torch.Tensor:
        """Place of each row among the judged rows of all folds."""
        places = self.judged_indices.new_empty(len(self.rows))
        places[self.judged_indices.view(-1)] = torch.arange(self.judged_indices.numel())
        return places.to(self.rows.device)

    def judge_reference(self, start: Judgement) -> torch.Tensor:
        """Return the error of each row under the PCA of the other folds, or under the start."""
        if self.setup.family.starts_as_reference:
            return start.errors
        errors = self.rows.new_empty(len(self.rows))
        folds = zip(self.judged_indices, *self.rows_to_judge, self.axes, self.modules, strict=True)
        for indices, inputs, rows, axes, module in folds:
            seen = module.fill(inputs)
            errors[indices] = find_row_errors((seen @ axes.T) @ axes, rows)
        return errors

    def list_judged(self, values) -> Iterator[JudgedRows]:
        """Yield each fold with the network that was not trained on it, which gets given values."""
        self.step.load_values_(values)
        parts: Any = zip(*self.rows_to_judge, self.folds, self.axes, self.modules, strict=True)
        for inputs, rows, fold, axes, module in parts:
            n_rows = len(fold)
            own = None if self.table.weights is None else self.table.weights[fold]
            yield JudgedRows(module.eval(), axes, inputs[:n_rows], rows[:n_rows], own)

    def copy_judged(self):
        """Return the values of the networks, or None for networks evaluated only once."""
        return self.step.copy_values() if self.keeps_values else None

    @property
    def keeps_values(self) -> bool:
        """Whether the networks of the best epoch are evaluated again."""
        return self.setup.family.is_nested or self.setup.family.column_loss is not None

    @cached_property
    def rows_to_judge(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Inputs of the networks, and rows (m, b, p) of the fold that each was not trained on."""
        rows = self.rows[self.judged_indices]
        self.noise.restart_judging()
        return self.noise.for_judging(rows), rows

    @property
    def unit(self) -> float:
        """Factor that converts the mean errors of rows into errors per value."""
        return self.setup.family.find_error_unit(self.table, self.table.dataset())

    def mean(self, values: torch.Tensor) -> float:
        return mean_of_rows(values, self.table.weights)


@dataclass
class _Progress:
    """State of the choice of an epoch."""

    start: Judgement
    best: Judgement
    least: float
    values: list
    """Values of networks at the start and at their best, where they are judged again."""

    train_losses: list[float]
    valid_losses: list[float]
    best_iter: int = 0
    emphasis: torch.Tensor | None = None
    """Emphasis of the step in the best epoch."""

    judgements: list[Judgement] = field(default_factory=list)
    """All epochs, unless networks of the chosen one are needed, which only the best one keeps."""

    def find_clearest(
        self, weights: torch.Tensor | None, groups: torch.Tensor | None
    ) -> tuple[Judgement, int]:
        """Return the epoch up to the best that is most clearly better than the start, or 0."""
        epochs = [own.losses for own in self.judgements[: self.best_iter]]
        clearest = find_clearest_improvement(self.start.losses, epochs, weights, groups)
        return (self.start, 0) if clearest is None else (self.judgements[clearest], clearest + 1)

    def copy(self) -> "_Progress":
        """Return a copy that further epochs do not change."""
        return replace(
            self,
            values=[*self.values],
            train_losses=[*self.train_losses],
            valid_losses=[*self.valid_losses],
            judgements=[*self.judgements],
        )


def cross_validate(
    networks: FoldNetworks,
    max_iter: int,
    n_iter_no_change: int,
    resumption: Resumption,
    groups: torch.Tensor | None,
) -> ChosenEpochs:
    """Train one network per fold, side by side, and evaluate every epoch on all rows.

    The epoch with the lowest loss is chosen if it is clearly better than the start, row by row, or
    group by group if `groups` has the group number of each row. Otherwise, an earlier epoch is
    chosen if it is, since changes of rows differ more from each other the longer networks are
    trained. Training stops after `n_iter_no_change` epochs without progress.
    """
    progress = _train_folds(networks, max_iter, n_iter_no_change, resumption)
    start, best, best_iter = progress.start, progress.best, progress.best_iter
    values, setup = progress.values, networks.setup
    if not is_clear_improvement(start.losses, best.losses, networks.table.weights, groups):
        best, best_iter = progress.find_clearest(networks.table.weights, groups)
        values[1] = values[0]
    prefixes = measure_prefixes(setup.family, networks.list_judged(values[1]))
    if best_iter > 0 and setup.must_beat_pca and prefixes is not None and prefixes.exceed_pca:
        best, best_iter = start, 0
        prefixes = measure_prefixes(setup.family, networks.list_judged(values[0]))
    return ChosenEpochs(
        train_losses=progress.train_losses,
        valid_losses=progress.valid_losses,
        best_iter=best_iter,
        error=networks.mean(best.errors) * networks.unit,
        pca_error=networks.mean(networks.judge_reference(start)) * networks.unit,
        prefixes=prefixes,
        column_losses=measure_columns(setup.family, networks.list_judged(values[best_iter > 0])),
        emphasis=progress.emphasis,
    )


def _train_folds(
    networks: FoldNetworks, max_iter: int, n_iter_no_change: int, resumption: Resumption
) -> _Progress:
    """Train until no further improvement is likely; parameters as in `cross_validate`."""
    state = resumption.find(max_iter)
    if state is None:
        progress = _begin(networks)
    else:
        progress, networks.n_steps = state.progress.copy(), state.n_steps
        unpack_step_(networks.step, networks.groups, resumption.sources, state.training)
    n_resumed = len(progress.train_losses)
    n_rows = networks.train_indices.numel()
    epochs = _list_epochs(networks, progress, max_iter, n_iter_no_change)
    with show_progress(max_iter * n_rows, "Folds", n_before=n_resumed * n_rows):
        run_epochs(networks.step, epochs, n_rows * networks.table.n_features)
    if len(progress.train_losses) > n_resumed:
        resumption.keep_folds(
            networks.step, networks.groups, n_steps=networks.n_steps, progress=progress
        )
    return progress


def _list_epochs(
    networks: FoldNetworks, progress: _Progress, max_iter: int, n_iter_no_change: int
) -> Epochs:
    """Yield epochs until no further improvement is likely, and record their costs."""
    work = WORK.get()
    while (
        len(progress.train_losses) < max_iter
        and len(progress.train_losses) - progress.best_iter < n_iter_no_change
    ):
        _record(networks, progress, (yield networks.draw_epoch()))
        work.add(networks.train_indices.numel())


def _begin(networks: FoldNetworks) -> _Progress:
    start = networks.judge()
    loss = networks.mean(start.losses)
    return _Progress(start, start, loss, [networks.copy_judged()] * 2, [], [loss])


def _record(networks: FoldNetworks, progress: _Progress, costs: Costs):
    """Record the losses of an epoch, and whether it is the best so far."""
    assert costs.judged is not None  # noqa: S101
    progress.train_losses.append(networks.find_mean_loss(costs.losses))
    n_epochs = len(progress.train_losses)
    judgement = networks.arrange(costs.judged)
    loss = networks.mean(judgement.losses)
    check_finite({"train_loss": progress.train_losses[-1], "valid_loss": loss}, epoch=n_epochs)
    is_best = loss < progress.least
    if is_best and is_nowhere_worse(progress.start, judgement, networks.table.weights):
        progress.best, progress.best_iter, progress.least = judgement, n_epochs, loss
        progress.values[1], progress.emphasis = networks.copy_judged(), networks.step.emphasis
    progress.valid_losses.append(loss)
    if not networks.keeps_values:
        progress.judgements.append(judgement)
    networks.step.heed_(find_rises(progress.start, judgement, networks.table.weights))


def _find_components(X, setup: TrainingSetup, rows):
    table = setup.table
    weights = np.ones(len(X)) if table.weights is None else table.weights.numpy()
    shares = weights[rows] / weights[rows].sum()
    settings = replace(setup.network, n_components=table.n_components, dtype="float64")
    return describe_table(X[rows], shares, settings)[1]
