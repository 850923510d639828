"""One training of one network: its loop, and its choice of epoch."""

import contextlib
import copy

import torch
from skorch.callbacks import Callback

from skae._engine.families.moments import CodeMoments, join_bounds, measure_bounds
from skae._engine.fitting.callbacks import (
    AdaptiveLearningRate,
    BestEpoch,
    EpochHook,
    FiniteLoss,
    Patience,
    TrainingStopped,
    check_finite,
)
from skae._engine.fitting.cross_validation import CrossValidation
from skae._engine.fitting.net import AutoencoderNet
from skae._engine.fitting.result import Outcome, TrainedModel
from skae._engine.fitting.setup import Split, TrainingSetup
from skae._engine.judgement import mean_of_rows
from skae._engine.start.noise import InputNoise
from skae._engine.steps.optimizer import adamw_groups
from skae._engine.tables.batches import OrderedBatches, ShuffledBatches, WeightedRows, count_batches
from skae.modules import Autoencoder

_VALIDATION_BATCH_SIZE = 4096
# Errors of the start and of PCA, in units of the latter, differ by less than this.
_ROUNDING = 1e-5
# One draw in two thousand from the prior has a code beyond so many deviations.
_FARTHEST_DRAW = 3.5


class TrainingRun:
    """One training of one network on one split of a table.

    Parameters
    ----------
    setup : TrainingSetup
        The network and the loop that are asked for, and all rows.
    split : Split
        Rows to train on and rows to judge by.
    module : Autoencoder
        The network, from its start or an earlier training on.
    noise : InputNoise
        Between the rows and what the network sees of them.
    order_source : torch.Generator
        Source of the order of the rows.
    tasks : EpochTasks or None
        Told of each epoch; may end the training.
    n_earlier_fits : int
        Number of fits that this one goes on from.
    """

    def __init__(
        self,
        setup: TrainingSetup,
        split: Split,
        module: Autoencoder,
        noise: InputNoise,
        order_source: torch.Generator,
        *,
        tasks,
        n_earlier_fits: int,
    ):
        self.setup, self.tasks, self.n_earlier_fits = setup, tasks, n_earlier_fits
        self.family, self.loop, self.table = setup.family, setup.loop, setup.table
        self.earlier_bounds: list[torch.Tensor] = []
        batch_size = self.loop.resolve_batch_size(len(split.train))
        self.max_iter = self.loop.resolve_max_iter(count_batches(len(split.train), batch_size))
        self.train_set, held_out = self.table.dataset(split.train), split.held_out
        self.best_epoch = None if held_out is None else BestEpoch()
        self.callbacks = self._make_callbacks()
        self.net = make_net(
            setup,
            module,
            batch_size=batch_size,
            max_epochs=self.max_iter,
            generator=order_source,
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
            callbacks.append(EpochHook(self.tasks, self.snapshot, self.best_epoch))
        if self.best_epoch is not None:
            callbacks.append(Patience(self.best_epoch, self.loop.n_iter_no_change, self.loop.tol))
        return callbacks

    def train_all_epochs(self) -> TrainedModel:
        """Train on all rows; keep the start if PCA does better on them."""
        start = self.net.step_.copy_values()
        reference = self._judge(self.train_set) if self.family.starts_as_reference else None
        self._train(self.max_iter)
        return self._finish(self._check_training_rows(start, reference))

    def train_to_best_epoch(self) -> TrainedModel:
        """Train while held-out rows are judged, and go back to the epoch that did best on them."""
        best_epoch = self.best_epoch
        assert best_epoch is not None  # noqa: S101
        self._train(self.max_iter)
        best_iter, error = best_epoch.restore_(self.net)
        pca_error = best_epoch.start_error_
        if not self.family.starts_as_reference:
            pca_error = self._find_pca_error(self.net.validation_set)
        return self._finish(
            Outcome(self._measure(), error, pca_error, best_iter),
            valid_losses=best_epoch.losses_,
            judged=self.net.validation_set,
        )

    def train_chosen_epochs(self, chosen: CrossValidation) -> TrainedModel:
        """Train on all rows for as many epochs as cross-validation has chosen."""
        start = self.net.step_.copy_values()
        self._train(chosen.best_iter)
        outcome = self._check_training_rows(start)
        if len(self.net.history) < chosen.best_iter:
            # A callback has ended it, and cross-validation does not tell how good this epoch is.
            return self._finish(outcome)
        # The folds' networks may be better than PCA and this one not even on its own rows.
        error = chosen.error if outcome.best_iter == chosen.best_iter else chosen.pca_error
        return self._finish(
            Outcome(outcome.moments, error, chosen.pca_error, outcome.best_iter),
            losses=chosen.train_losses,
            valid_losses=chosen.valid_losses,
        )

    def train_epochs_of(self, judged: TrainedModel) -> TrainedModel:
        """Train on all rows for as many epochs as held-out rows have chosen for another model."""
        unit = self.family.find_unit(self.table, self.train_set)
        return self.train_chosen_epochs(
            CrossValidation(
                train_losses=judged.loss_curve,
                valid_losses=judged.validation_loss_curve or [],
                best_iter=judged.best_iter,
                error=judged.reconstruction_error / unit,
                pca_error=judged.pca_reconstruction_error / unit,
            )
        )

    def snapshot(self) -> TrainedModel:
        """Return the model as it is now, independent of what training does next."""
        run = copy.copy(self)
        run.net = self.net.copy_for_prediction()
        moments = run._measure()
        errors = moments.squared_error, self.table.pca_error
        if self.table.masked:
            errors = self._training_errors(moments)
        return run._finish(Outcome(moments, *errors, len(run.net.history)))

    def _train(self, n_epochs: int):
        """Run skorch's loop; `fit` would take an interruption by the user for an end."""
        net = self.net
        if self.tasks is not None:
            self.tasks.begin_fit(n_epochs)
        net.notify("on_train_begin", X=self.train_set, y=None)
        with contextlib.suppress(TrainingStopped):
            net.fit_loop(self.train_set, epochs=n_epochs)
        net.notify("on_train_end", X=self.train_set, y=None)

    def _measure(self) -> CodeMoments:
        self.family.settle_(self.net.module_, self.train_set)
        moments = self.family.measure_codes(self.net.module_, self.train_set)
        check_finite({"squared_error": moments.squared_error}, epoch=len(self.net.history))
        return moments

    def _check_training_rows(self, start, reference: float | None = None) -> Outcome:
        """Return what training rows tell, after going back to the start if PCA does better."""
        moments, best_iter = self._measure(), len(self.net.history)
        errors = self._training_errors(moments, reference)
        if self._must_beat_pca and errors[0] > errors[1]:
            self.net.step_.load_values_(start)
            moments, best_iter = self._measure(), 0
            errors = self._training_errors(moments, reference)
        return Outcome(moments, *errors, best_iter)

    def _training_errors(
        self, moments: CodeMoments, reference: float | None = None
    ) -> tuple[float, float]:
        """Return the errors of model and reference on the training rows."""
        if reference is not None:
            return self._judge(self.train_set), reference
        if self.net.noise.corruption is None and not self.table.masked:
            return moments.squared_error, self.table.pca_error
        return self._judge(self.train_set), self._find_pca_error(self.train_set)

    def _judge(self, dataset: WeightedRows) -> float:
        return mean_of_rows(self.net.judge(dataset).errors, dataset.own_weights)

    def _find_pca_error(self, dataset: WeightedRows) -> float:
        return self.family.find_pca_error(self.table, self.net.module_, dataset, self.net.noise)

    @property
    def _must_beat_pca(self) -> bool:
        """Whether a greater squared error than PCA's means that training has failed."""
        aims = self.family.aims_at_squared_error
        return self.setup.network.linear_path and aims and not self.n_earlier_fits

    def _finish(
        self,
        outcome: Outcome,
        *,
        losses: list[float] | None = None,
        valid_losses: list[float] | None = None,
        judged: WeightedRows | None = None,
    ) -> TrainedModel:
        """Order the codes, let go of everything that only training needs, and gather the results.

        The errors are those of the rows that were `judged`, of the training rows where None.
        """
        net, family, table = self.net, self.family, self.table
        self._set_reach(outcome.moments)
        rotate = net.module_.sparsity is None and net.criterion_.rotates
        ratios = family.order_codes_(
            net.module_,
            outcome.moments,
            table,
            self.train_set,
            whiten=self.setup.network.whiten,
            rotate=rotate,
        )
        losses = net.history[:, "train_loss"] if losses is None else losses
        error, pca_error = outcome.error, outcome.pca_error
        is_pca = outcome.best_iter == 0 and self.setup.network.linear_path
        tolerance = _ROUNDING * max(1, pca_error)
        if is_pca and not self.n_earlier_fits and abs(error - pca_error) <= tolerance:
            error = pca_error
        unit = family.find_unit(table, judged or self.train_set)
        return TrainedModel(
            net=net,
            plan=self.setup.plan,
            standardization=table.standardization,
            n_components=table.n_components,
            n_iter=len(losses),
            best_iter=outcome.best_iter,
            loss_curve=losses,
            validation_loss_curve=valid_losses,
            reconstruction_error=error * unit,
            pca_reconstruction_error=pca_error * unit,
            explained_variance_ratio=ratios,
            moments=net.release_training_state(self.callbacks),
            n_fits=self.n_earlier_fits + 1,
            description=family.describe(net.module_, self.train_set),
        )

    def _set_reach(self, moments: CodeMoments):
        """Tell the network the ranges of all rows that it was trained on or judged by.

        Without a PCA to fall back on, and for texts, there are none.
        """
        module = self.net.module_
        if module.linear_path is None or not moments.bounds:
            return
        bounds = join_bounds(moments.bounds, self.earlier_bounds)
        datasets = [self.net.validation_set]
        if self.net.noise.corruption is not None:
            datasets.append(self.train_set)
        for dataset in datasets:
            if dataset is not None:
                bounds = join_bounds(bounds, measure_bounds(module, dataset, self.net.noise))
        if self.family.draws_codes:
            limits = torch.stack([-module.code_scale, module.code_scale]) * _FARTHEST_DRAW
            bounds = join_bounds(bounds, [bounds[0], limits])
        module.set_reach_(*bounds)


def make_net(setup: TrainingSetup, module: Autoencoder, **params) -> AutoencoderNet:
    """Return an initialised skorch net for an autoencoder.

    Parameters
    ----------
    setup : TrainingSetup
        The loop that is asked for, whose `net_params` come last, and the rows.
    module : Autoencoder
        The network.
    **params
        `batch_size`, `max_epochs`, `generator` of the order of the rows, `noise`,
        `validation_set` and the `callbacks` that the training itself needs.

    Returns
    -------
    net : AutoencoderNet
        Ready for its loop.
    """
    loop, table = setup.loop, setup.table
    user = dict(loop.net_params or {})
    callbacks = params.pop("callbacks") + list(user.pop("callbacks", None) or [])
    optimizer: dict = {"optimizer": torch.optim.AdamW}
    if "optimizer" not in user:
        linear_path = setup.network.linear_path
        stacks, *others = adamw_groups(loop, table.n_features, linear_path=linear_path)
        optimizer |= {f"optimizer__{name}": value for name, value in stacks.items()}
        # The encoder and the decoder come first and have the optimiser's own settings.
        linear_paths = [("*linear_path.*", group) for group in others]
        optimizer["optimizer__param_groups"] = [("*coder.*", {}), *linear_paths]
    net = AutoencoderNet(
        module,
        family=setup.family,
        criterion=setup.family.make_objective(table, params["generator"]).to(table.device),
        iterator_train=ShuffledBatches,
        iterator_train__generator=params.pop("generator"),
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
    return net.initialize()
