"""Training of one network: the loop and the choice of the epoch."""

import contextlib
import copy
from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any

import numpy as np
import torch
from skorch.callbacks import Callback

from skae._engine.compute.ranks import ALONE, Alone
from skae._engine.families.moments import (
    CodeMoments,
    correct_moments,
    find_usual,
    join_bounds,
    measure_bounds,
    measure_error,
)
from skae._engine.families.rotations import ROTATIONS
from skae._engine.fitting.callbacks import (
    AdaptiveLearningRate,
    BestEpoch,
    EpochHook,
    FiniteLoss,
    Patience,
    TrainingStopped,
    check_finite,
)
from skae._engine.fitting.checkpoints import Checkpoints, CheckpointWriter, unpack_training_
from skae._engine.fitting.columns import measure_columns
from skae._engine.fitting.net import AutoencoderNet
from skae._engine.fitting.prefixes import JudgedRows, PrefixErrors, measure_prefixes
from skae._engine.fitting.result import ChosenEpochs, JudgedEpoch, Outcome, TrainedModel
from skae._engine.fitting.resumption import Resumption
from skae._engine.fitting.setup import TrainingSetup
from skae._engine.fitting.splitting import Split
from skae._engine.judgement import mean_of_rows
from skae._engine.start.noise import InputNoise
from skae._engine.start.odd_cells import OddCells
from skae._engine.steps.optimizer import AdamW
from skae._engine.tables.batches import OrderedBatches, ShuffledBatches, WeightedRows, count_batches
from skae._engine.tables.spread_batches import SpreadBatches
from skae._shared.progress import WORK, Progress, show_progress
from skae.modules import Autoencoder

_VALIDATION_BATCH_SIZE = 4096
# Largest relative difference between the errors of the start and of PCA.
_ROUNDING = 1e-5
# One draw from the prior in two thousand has a code beyond this many standard deviations.
_FARTHEST_DRAW = 3.5


class TrainingRun:
    """Training of one network on one split of a table.

    The network, `module`, is new or from earlier fits, whose number is `n_earlier_fits`. The
    sources are those of the order of the rows and of the random draws of the objective. Training
    can continue from the states of related fits in `resumption`, and from the latest state in
    `checkpoints`, where it stores its own every few epochs. `tasks` can stop it.
    """

    def __init__(
        self,
        setup: TrainingSetup,
        split: Split,
        module: Autoencoder,
        noise: InputNoise,
        order_source: torch.Generator,
        draw_source: torch.Generator,
        resumption: Resumption,
        *,
        odd_cells: OddCells | None,
        tasks,
        n_earlier_fits: int,
        checkpoints: Checkpoints | None,
    ):
        self.setup, self.tasks, self.n_earlier_fits = setup, tasks, n_earlier_fits
        self.checkpoints = checkpoints
        self.family, self.loop, self.table = setup.family, setup.loop, setup.table
        self.earlier_bounds: list[torch.Tensor] = []
        self.earlier_usual: torch.Tensor | None = None
        self.resumption = resumption
        self.start_error: float | None = None
        self.train_set, held_out = self.table.dataset(split.train), split.held_out
        self.all_rows = self.table.dataset()
        automatic, n_train = self.family.automatic, self.train_set.n_rows
        batch_size = self.loop.resolve_batch_size(n_train, automatic)
        n_batches = count_batches(n_train, batch_size)
        self.max_iter = self.loop.resolve_max_iter(n_batches, automatic)
        self.best_epoch = None if held_out is None else BestEpoch(split.held_out_groups)
        self.callbacks = self._make_callbacks()
        self.net = make_net(
            setup,
            module,
            batch_size=batch_size,
            adamw=setup.list_adamw_groups(n_train * (1 + n_earlier_fits)),
            max_epochs=resumption.count_scheduled(self.max_iter),
            order_source=order_source,
            draw_source=draw_source,
            # In full batches, a row of weight 2 must be equivalent to two rows.
            odd_cells=odd_cells if n_batches > 1 else None,
            noise=noise,
            validation_set=None if held_out is None else self.table.dataset(held_out),
            callbacks=self.callbacks,
        )

    def _make_callbacks(self) -> list[Callback]:
        callbacks: list[Callback] = [FiniteLoss()]
        if self.loop.learning_rate == "adaptive":
            callbacks.append(AdaptiveLearningRate(self.loop.tol))
        if self.best_epoch is not None:
            callbacks.append(self.best_epoch)
        if self.tasks is not None:
            hook = EpochHook(self.tasks, self.snapshot, self.best_epoch, self.table.ranks)
            callbacks.append(hook)
        if self.best_epoch is not None:
            callbacks.append(Patience(self.best_epoch, self.loop.n_iter_no_change, self.loop.tol))
        if self.checkpoints is not None:
            callbacks.append(CheckpointWriter(self.checkpoints, list(callbacks)))
        return callbacks

    def train_all_epochs(self) -> TrainedModel:
        """Train on all rows; keep the start if PCA has a lower error on them."""
        start = self._copy_start()
        self._train(self.max_iter, self.resumption)
        return self._finish(self._check_training_rows(start))

    def train_to_best_epoch(self) -> ChosenEpochs:
        """Train with validation on held-out rows, and restore the best epoch."""
        best_epoch, held_out = self.best_epoch, self.net.validation_set
        assert best_epoch is not None  # noqa: S101
        self._train(self.max_iter, self.resumption)
        best_iter, error = best_epoch.restore_(self.net)
        prefixes = self._measure_prefixes(held_out)
        exceeds_pca = self._must_beat_pca and prefixes is not None and prefixes.exceed_pca
        if best_iter > 0 and exceeds_pca:
            best_iter, error = best_epoch.restore_start_(self.net)
            prefixes = self._measure_prefixes(held_out)
        pca_error = best_epoch.start_error_
        if not self.family.starts_as_reference:
            pca_error = self._find_pca_error(held_out)
        unit = self.family.find_error_unit(self.table, held_out)
        return ChosenEpochs(
            train_losses=[epoch["train_loss"] for epoch in self.net.history],
            valid_losses=best_epoch.losses_,
            best_iter=best_iter,
            error=error * unit,
            pca_error=pca_error * unit,
            prefixes=prefixes,
            column_losses=self._measure_columns(held_out),
            emphasis=best_epoch.emphasis_,
        )

    def keep(self, chosen: ChosenEpochs) -> TrainedModel:
        """Return the network in its current state, with the chosen number of epochs."""
        own = {field.name: getattr(chosen, field.name) for field in fields(JudgedEpoch)}
        return self._finish(Outcome(moments=self._measure(chosen.best_iter), **own), chosen)

    def train_chosen_epochs(self, chosen: ChosenEpochs) -> TrainedModel:
        """Train on all rows for the number of epochs that was chosen on held-out rows."""
        start = self._copy_start()
        self.net.step_.emphasis = chosen.emphasis
        self._train(chosen.best_iter)
        if chosen.best_iter == 0:
            return self.keep(chosen)
        outcome = self._check_training_rows(start)
        if len(self.net.history) < chosen.best_iter:
            # Stopped by a callback: the error of this epoch on other rows is unknown.
            return self._finish(outcome)
        # The other networks may beat PCA while this one does not, even on its training rows.
        error, prefixes, columns = chosen.error, chosen.prefixes, chosen.column_losses
        if outcome.best_iter != chosen.best_iter:
            error, prefixes = chosen.pca_error, None if prefixes is None else prefixes.of_pca
            columns = outcome.column_losses
        outcome = replace(outcome, error=error, pca_error=chosen.pca_error)
        return self._finish(replace(outcome, prefixes=prefixes, column_losses=columns), chosen)

    def snapshot(self) -> TrainedModel:
        """Return a copy of the current model, independent of further training."""
        run = copy.copy(self)
        run.net = self.net.copy_for_prediction()
        best_iter = len(run.net.history)
        moments = run._measure(best_iter)
        # The copy has no step for validation.
        errors = self._training_errors(moments, run.net.module_)
        return run._finish(run._make_outcome(moments, errors, best_iter))

    def _train(self, n_epochs: int, resumption: Resumption | None = None):
        """Run skorch's loop, whose own `fit` would treat an interrupt as a normal end."""
        net = self.net
        if self.tasks is not None:
            self.tasks.begin_fit(n_epochs)
        if n_epochs == 0 and self.best_epoch is None:
            return
        with self._show_progress(n_epochs):
            net.notify("on_train_begin", X=self.train_set, y=None)
            if self.checkpoints is not None:
                self.checkpoints.resume_(net, self.callbacks[:-1])
            if resumption is None:
                self._run_loop(n_epochs)
            else:
                self._go_on(n_epochs, resumption)
            net.notify("on_train_end", X=self.train_set, y=None)

    def _show_progress(self, n_epochs: int) -> contextlib.AbstractContextManager[Progress]:
        """Return the progress bar, if training prints no log."""
        n_of_start = self._n_rows_of_epoch - self.train_set.n_rows
        n_rows = n_of_start + n_epochs * self._n_rows_of_epoch
        return show_progress(n_rows, wanted=not self.loop.verbose and self.tasks is None)

    @property
    def _n_rows_of_epoch(self) -> int:
        """Number of training and held-out rows of an epoch."""
        held_out = self.net.validation_set
        return self.train_set.n_rows + (0 if held_out is None else held_out.n_rows)

    def _run_loop(self, n_epochs: int) -> bool:
        """Train for the remaining epochs; return whether training stopped early."""
        n_before = len(self.net.history)
        WORK.get().skip(n_before * self._n_rows_of_epoch)
        with contextlib.suppress(TrainingStopped):
            self.net.fit_loop(self.train_set, epochs=n_epochs - n_before)
            return False
        return True

    def _go_on(self, n_epochs: int, resumption: Resumption):
        """Continue from an earlier fit, if there is one."""
        state = resumption.find(n_epochs)
        if state is not None:
            unpack_training_(self.net, self.callbacks, resumption.sources, state.training)
            if state.is_over:
                return
        resumption.keep_net(self.net, self.callbacks, is_over=self._run_loop(n_epochs))

    def _copy_start(self):
        """Return the initial values, from which the error of the start is computed later."""
        if self.family.starts_as_reference:
            self.start_error = self._judge(self.train_set)
        return self.net.step_.copy_values()

    def _measure(self, best_iter: int) -> CodeMoments:
        """Set the ranges of the network, and return the moments of all rows."""
        self.net.module_.eval().reach = None
        # Processors of different kinds may round differently.
        self.table.ranks.spread_([*self.net.module_.state_dict().values()])
        self.family.settle_(self.net.module_, self.all_rows, self.net.validation_set)
        moments = self.family.measure_codes(self.net.module_, self.all_rows)
        check_finite({"squared_error": moments.squared_error}, epoch=len(self.net.history))
        self._set_reach(moments, learned=best_iter > 0 or self.n_earlier_fits > 0)
        return self._correct_moments(moments)

    def _check_training_rows(self, start) -> Outcome:
        """Evaluate the training rows, and restore the start if PCA has a lower error."""
        best_iter = len(self.net.history)
        moments = self._measure(best_iter)
        errors = self._training_errors(moments, self.net.module_)
        prefixes = self._measure_prefixes(self.train_set)
        is_above = errors[0] > errors[1] if prefixes is None else prefixes.exceed_pca
        if self._must_beat_pca and is_above:
            self.net.module_.reach = None  # The start has none.
            self.net.step_.load_values_(start)
            moments, best_iter = self._measure(0), 0
            errors = self._training_errors(moments, self.net.module_)
            prefixes = self._measure_prefixes(self.train_set)
        return replace(self._make_outcome(moments, errors, best_iter), prefixes=prefixes)

    def _measure_prefixes(self, dataset: WeightedRows) -> PrefixErrors | None:
        return measure_prefixes(self.family, self._list_judged(dataset))

    def _measure_columns(self, dataset: WeightedRows) -> np.ndarray | None:
        return measure_columns(self.family, self._list_judged(dataset))

    def _list_judged(self, dataset: WeightedRows) -> Iterator[JudgedRows]:
        module, noise, table = self.net.module_.eval(), self.net.noise, self.table
        axes = table.units.tensor(table.principal_components.components).to(table.device)
        noise.restart_judging()
        for rows, weights in OrderedBatches(dataset, batch_size=_VALIDATION_BATCH_SIZE):
            yield JudgedRows(module, axes, noise.for_judging(rows), rows, weights)

    def _make_outcome(self, moments: CodeMoments, errors: tuple, best_iter: int) -> Outcome:
        """Return an outcome with the errors of the training rows in standardised units."""
        unit = self.family.find_error_unit(self.table, self.train_set)
        return Outcome(
            moments=moments,
            best_iter=best_iter,
            error=errors[0] * unit,
            pca_error=errors[1] * unit,
            column_losses=self._measure_columns(self.train_set),
        )

    def _training_errors(self, moments: CodeMoments, module: Autoencoder) -> tuple[float, float]:
        """Return the errors of model and reference on the training rows."""
        if self.family.starts_as_reference:
            return self._judge(self.train_set), self._find_start_error()
        trains_on_all = self.train_set.n_rows == self.all_rows.n_rows
        if trains_on_all and self.net.noise.corruption is None and not self.table.masked:
            return moments.squared_error, self.table.pca_error
        if module.reach is not None and module.reach.usual is not None:
            # Steps ignore no odd cells.
            error = measure_error(module.reconstruct, self.train_set, self.net.noise)
        else:
            error = self._judge(self.train_set)
        return error, self._find_pca_error(self.train_set)

    def _find_start_error(self) -> float:
        """Return the error of the start on the training rows or on the held-out rows."""
        if self.start_error is not None:
            return self.start_error
        assert self.best_epoch is not None  # noqa: S101
        return self.best_epoch.start_error_

    def _judge(self, dataset: WeightedRows) -> float:
        return mean_of_rows(self.net.judge(dataset).errors, dataset.all_weights)

    def _find_pca_error(self, dataset: WeightedRows) -> float:
        return self.family.find_pca_error(self.table, self.net.module_, dataset, self.net.noise)

    @property
    def _must_beat_pca(self) -> bool:
        """Whether a squared error above PCA's means that training has failed."""
        return self.setup.must_beat_pca and not self.n_earlier_fits

    def _correct_moments(self, moments: CodeMoments) -> CodeMoments:
        """Return moments where the codes of rows with odd cells may have changed.

        Odd cells are kept if ignoring them would make the model worse than PCA.
        """
        module = self.net.module_
        if module.reach is None or module.reach.usual is None:
            return moments
        if module.filling is not None:
            corrected = self.family.measure_codes(module, self.all_rows)
        else:
            corrected = correct_moments(module, module.reach, self.all_rows, moments)
        if corrected.squared_error > max(moments.squared_error, self.table.pca_error):
            module.reach.usual = None
            return moments
        return corrected

    def _finish(self, outcome: Outcome, chosen: ChosenEpochs | None = None) -> TrainedModel:
        """Sort the codes, release everything that only training needs, and collect the results.

        `chosen` holds the losses that determined the number of epochs; by default, this run's.
        """
        net, family, table = self.net, self.family, self.table
        held_out = net.validation_set
        if outcome.prefixes is not None:
            net.module_.n_decoded.copy_(torch.from_numpy(outcome.prefixes.n_decoded))
        rotate = net.module_.sparsity is None and net.criterion_.rotates
        ratios = family.order_codes_(
            net.module_,
            outcome.moments,
            table,
            whiten=self.setup.network.whiten,
            rotate=rotate,
            find_rotation=ROTATIONS[self.setup.network.rotation](net.module_, table),
        )
        losses = [epoch["train_loss"] for epoch in net.history]
        losses = losses if chosen is None else chosen.train_losses
        error, pca_error = outcome.error, outcome.pca_error
        is_pca = outcome.best_iter == 0 and self.setup.network.linear_path
        tolerance = _ROUNDING * max(family.find_error_unit(table, self.train_set), pca_error)
        if is_pca and not self.n_earlier_fits and abs(error - pca_error) <= tolerance:
            error = pca_error
        # Moments of a training that was discarded do not belong to the start.
        moments = net.release_training_state(self.callbacks)
        return TrainedModel(
            net=net,
            plan=self.setup.plan,
            standardization=table.standardization,
            n_components=table.n_components,
            n_iter=len(losses),
            best_iter=outcome.best_iter,
            loss_curve=losses,
            validation_loss_curve=None if chosen is None else chosen.valid_losses,
            reconstruction_error=error,
            pca_reconstruction_error=pca_error,
            explained_variance=ratios * self._find_variance(outcome.moments),
            explained_variance_ratio=ratios,
            moments=None if outcome.best_iter == 0 else moments,
            prefixes=outcome.prefixes,
            column_losses=outcome.column_losses,
            n_fits=self.n_earlier_fits + 1,
            description=family.describe(net.module_, self.all_rows, held_out),
        )

    def _find_variance(self, moments: CodeMoments) -> float:
        """Return the total variance of all columns, unbiased, in units of X squared."""
        n_rows = self.all_rows.n_rows
        per_cell = moments.mean_square * self.family.find_unit(self.table, self.all_rows)
        return per_cell * self.table.n_features * n_rows / max(1, n_rows - 1)

    def _set_reach(self, moments: CodeMoments, *, learned: bool):
        """Set the ranges of the network to those of all rows, including held-out rows.

        Without a PCA to fall back on, and for texts, there are no ranges.
        """
        module = self.net.module_
        if not moments.bounds:
            return
        bounds = join_bounds(moments.bounds, self.earlier_bounds)
        if self.net.noise.corruption is not None:
            noisy = measure_bounds(module, self.all_rows, self.net.noise)
            bounds = join_bounds(bounds, noisy)
        if self.family.is_nested:
            # Omitted codes are zero.
            bounds = join_bounds(bounds, [bounds[0], torch.zeros_like(bounds[1])])
        if self.family.draws_codes:
            limits = torch.stack([-module.code_scale, module.code_scale]) * _FARTHEST_DRAW
            bounds = join_bounds(bounds, [bounds[0], limits])
        # Bounds that the user gives hold everywhere, and those that were detected as far as known.
        is_given = isinstance(self.setup.network.output_range, tuple | list)
        yields = not is_given and getattr(module.output, "lower", None) is not None
        ignores = learned and self.family.ignores_odd_cells
        usual = find_usual(module, self.table, bounds[0]) if ignores else None
        if usual is not None and self.earlier_usual is not None:
            usual = join_bounds([usual], [self.earlier_usual])[0]
        improves = ignores and module.sparsity is None
        own = {"learned": learned, "yields": yields, "usual": usual, "improves": improves}
        module.set_reach_(*bounds, **own)


def make_net(
    setup: TrainingSetup,
    module: Autoencoder,
    *,
    adamw: list[dict],
    order_source: torch.Generator,
    draw_source: torch.Generator,
    odd_cells: OddCells | None,
    callbacks: list[Callback],
    **params,
) -> AutoencoderNet:
    """Return an initialised skorch net for an autoencoder.

    The sources are those of the order of the rows and of the draws of the objective, and `adamw`
    has the settings of the optimiser for the stacks and the linear path. The user's `net_params`
    are applied last, and their callbacks come last. Further parameters are those of
    `AutoencoderNet`.
    """
    loop, table = setup.loop, setup.table
    user = dict(loop.net_params or {})
    callbacks = callbacks + list(user.pop("callbacks", None) or [])
    optimizer = {} if "optimizer" in user else _list_adamw_options(adamw)
    net = AutoencoderNet(
        module,
        family=setup.family,
        plan=setup.plan,
        criterion=setup.family.make_objective(table, draw_source).to(table.device),
        iterator_train=ShuffledBatches if table.ranks is ALONE else SpreadBatches,
        iterator_train__generator=order_source,
        iterator_train__odd_cells=odd_cells,
        iterator_valid=OrderedBatches,
        iterator_valid__batch_size=_VALIDATION_BATCH_SIZE,
        train_split=None,
        lr=loop.learning_rate_init,
        device=table.device,
        verbose=int(loop.verbose),
        schedule=loop.learning_rate,
        mixed_precision=loop.mixed_precision,
        callbacks=callbacks,
        **params,
        **{**optimizer, **user},
    )
    net.initialize()
    if table.ranks is not ALONE:
        _connect(net, table.ranks)
    return net


def _list_adamw_options(groups: list[dict]) -> dict[str, Any]:
    """Return skorch's options for AdamW, with a group for the linear path if there is one."""
    stacks, *others = groups
    # Encoder, decoder and likelihood come first, in one group, and have the optimiser's own
    # settings. A pattern has no alternatives except for single characters.
    patterns = [("*[ch]o[do][ed]*.*", {}), *(("*linear_path.*", group) for group in others)]
    options = {f"optimizer__{name}": value for name, value in stacks.items()}
    return {"optimizer": AdamW, **options, "optimizer__param_groups": patterns}


def _connect(net: AutoencoderNet, ranks: Alone):
    """Let a net sum its gradients over all processes; callbacks for batches are refused."""
    if net.listens_to_batches():
        raise ValueError(
            "Callbacks of fits by several processes must listen to epochs alone. Got one that "
            "listens to batches. Leave it out, or fit in one process."
        )
    net.step_.exchange_ = ranks.exchange_
