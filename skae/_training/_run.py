"""One training of one network: its loop, its choice of epoch, and what it leaves behind."""

import contextlib
import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from skorch.callbacks import Callback

from skae._training._batches import (
    OrderedBatches,
    ShuffledBatches,
    WeightedRows,
    count_batches,
)
from skae._training._callbacks import (
    AdaptiveLearningRate,
    BestEpoch,
    EpochHook,
    FiniteLoss,
    Patience,
    TrainingStopped,
    check_finite,
)
from skae._training._cross_validation import CrossValidation
from skae._training._judgement import mean_of_rows
from skae._training._losses import make_objective
from skae._training._moments import (
    CodeMoments,
    find_observed_share,
    join_bounds,
    measure_bounds,
    measure_codes,
    measure_pca,
)
from skae._training._net import AutoencoderNet
from skae._training._noise import InputNoise
from skae._training._optimizer import adamw_groups
from skae._training._problem import TrainingProblem
from skae._training._standardization import Standardization
from skae.modules import Autoencoder, order_codes_

_VALIDATION_BATCH_SIZE = 4096
# Errors of the start and of PCA, in units of the latter, differ by less than this.
_ROUNDING = 1e-5
# One draw in two thousand from the prior has a code beyond so many deviations.
_FARTHEST_DRAW = 3.5


@dataclass(frozen=True)
class TrainedModel:
    """What training leaves behind."""

    net: AutoencoderNet
    standardization: Standardization
    n_components: int
    n_iter: int
    best_iter: int
    loss_curve: list[float]
    validation_loss_curve: list[float] | None
    reconstruction_error: float
    pca_reconstruction_error: float
    explained_variance_ratio: np.ndarray
    optimizer_state: Any
    n_fits: int
    """This fit and those before it that it went on from."""

    latent: Any
    """What the settings' `latent` has to say of the codes of the training rows, else None."""


@dataclass(frozen=True)
class Split:
    """Which rows are trained on and which are held out, None where none are."""

    train: torch.Tensor
    held_out: torch.Tensor | None


class TrainingRun:
    """One training of one network on one split of a table."""

    def __init__(
        self,
        problem: TrainingProblem,
        split: Split,
        module,
        noise: InputNoise,
        order_source,
        *,
        tasks,
        n_earlier_fits,
    ):
        self.problem, self.tasks, self.n_earlier_fits = problem, tasks, n_earlier_fits
        self.earlier_bounds: list[torch.Tensor] = []
        settings = problem.settings
        batch_size = settings.resolve_batch_size(len(split.train))
        self.max_iter = settings.resolve_max_iter(count_batches(len(split.train), batch_size))
        self.train_set = problem.dataset(split.train)
        self.callbacks: list[Callback] = [FiniteLoss()]
        if settings.learning_rate == "adaptive":
            self.callbacks.append(AdaptiveLearningRate(settings.tol))
        validation_set, best_epoch = None, None
        if split.held_out is not None:
            validation_set = problem.dataset(split.held_out)
            self.best_epoch = best_epoch = BestEpoch()
            self.callbacks.append(best_epoch)
        if tasks is not None:
            self.callbacks.append(EpochHook(tasks, self.snapshot, best_epoch))
        if best_epoch is not None:
            self.callbacks.append(Patience(best_epoch, settings.n_iter_no_change, settings.tol))
        self.net = make_net(
            problem,
            module,
            batch_size=batch_size,
            max_epochs=self.max_iter,
            generator=order_source,
            noise=noise,
            validation_set=validation_set,
            callbacks=self.callbacks,
        )

    def train_all_epochs(self) -> TrainedModel:
        """Train on all rows; keep the start if PCA does better on them."""
        start = self.net.copy_state()
        self._train(self.max_iter)
        return self._finish_by_training_rows(start)

    def train_to_best_epoch(self) -> TrainedModel:
        """Train while held-out rows are judged, and go back to the epoch that did best on them."""
        self._train(self.max_iter)
        best_iter, error = self.best_epoch.restore_(self.net)
        errors = error, self._pca_error(self.net.validation_set)
        return self._finish(
            self._measure(),
            errors,
            best_iter=best_iter,
            valid_losses=self.best_epoch.losses_,
            judged=self.net.validation_set,
        )

    def train_chosen_epochs(self, chosen: CrossValidation) -> TrainedModel:
        """Train on all rows for as many epochs as cross-validation has chosen."""
        start = self.net.copy_state()
        self._train(chosen.best_iter)
        if len(self.net.history) < chosen.best_iter:
            # A callback has ended it, and cross-validation does not tell how good this epoch is.
            return self._finish_by_training_rows(start)
        moments, _, best_iter = self._check_training_rows(start)
        # The folds' networks may be better than PCA and this one not even on its own rows.
        error = chosen.error if best_iter == chosen.best_iter else chosen.pca_error
        return self._finish(
            moments,
            (error, chosen.pca_error),
            best_iter=best_iter,
            losses=chosen.train_losses,
            valid_losses=chosen.valid_losses,
        )

    def snapshot(self) -> TrainedModel:
        """Return the model as it is now, independent of what training does next."""
        run = copy.copy(self)
        run.net = self.net.copy_for_prediction()
        moments = run._measure()
        errors = moments.squared_error, self.problem.pca_error
        if self.problem.settings.masked:
            errors = run._training_errors(moments)
        return run._finish(moments, errors, best_iter=len(run.net.history))

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
        if self.problem.settings.latent is not None:
            self.problem.settings.latent.settle_(self.net.module_, self.train_set)
        moments = measure_codes(self.net.module_, self.train_set)
        check_finite({"squared_error": moments.squared_error}, epoch=len(self.net.history))
        return moments

    def _finish_by_training_rows(self, start) -> TrainedModel:
        """Finish with what the training rows tell about the errors."""
        moments, errors, best_iter = self._check_training_rows(start)
        return self._finish(moments, errors, best_iter=best_iter)

    def _check_training_rows(self, start):
        """Go back to the start if PCA does better on the training rows.

        Returns
        -------
        moments : CodeMoments
            Those of the codes.
        errors : tuple of two floats
            Mean squared error per cell of the model and of PCA, in standardised units.
        best_iter : int
            The epoch whose weights the network has now.
        """
        moments, best_iter = self._measure(), len(self.net.history)
        errors = self._training_errors(moments)
        if self._must_beat_pca() and errors[0] > errors[1]:
            self.net.load_state_(start)
            moments, best_iter = self._measure(), 0
            errors = self._training_errors(moments)
        return moments, errors, best_iter

    def _training_errors(self, moments: CodeMoments) -> tuple[float, float]:
        """Return the squared errors of model and PCA on the training rows."""
        if self.net.noise.corruption is None and not self.problem.settings.masked:
            return moments.squared_error, self.problem.pca_error
        errors = self.net.judge(self.train_set).errors
        return mean_of_rows(errors, self.train_set.own_weights), self._pca_error(self.train_set)

    def _pca_error(self, dataset: WeightedRows) -> float:
        axes = self.problem.tensor(self.problem.principal_components.components)
        axes = axes.to(self.problem.device)
        return measure_pca(axes, self.net.module_, dataset, self.net.noise)

    def _observed_share(self, dataset: WeightedRows) -> float:
        return find_observed_share(dataset) if self.problem.settings.masked else 1.0

    def _must_beat_pca(self) -> bool:
        """Tell whether a greater squared error than PCA's means that training has failed."""
        settings = self.problem.settings
        return settings.init == "pca" and settings.aims_at_squared_error and not self.n_earlier_fits

    def _finish(
        self,
        moments: CodeMoments,
        errors,
        *,
        best_iter,
        losses=None,
        valid_losses=None,
        judged: WeightedRows | None = None,
    ) -> TrainedModel:
        """Order the codes, let go of what only training needs, and gather the results.

        The errors are those of the rows that were `judged`, of the training rows where None.
        """
        net, standardization = self.net, self.problem.standardization
        self._set_reach(moments)
        ratios, latent = self._order_codes(moments), self.problem.settings.latent
        losses = net.history[:, "train_loss"] if losses is None else losses
        optimizer_state = net.release_training_state(self.callbacks)
        error, pca_error = errors
        if best_iter == 0 and self._must_beat_pca() and abs(error - pca_error) < _ROUNDING:
            error = pca_error
        # Errors of rows count missing cells as zeros.
        unit = standardization.scale**2 / self._observed_share(judged or self.train_set)
        return TrainedModel(
            net=net,
            standardization=standardization,
            n_components=self.problem.n_components,
            n_iter=len(losses),
            best_iter=best_iter,
            loss_curve=losses,
            validation_loss_curve=valid_losses,
            reconstruction_error=error * unit,
            pca_reconstruction_error=pca_error * unit,
            explained_variance_ratio=ratios,
            optimizer_state=optimizer_state,
            n_fits=self.n_earlier_fits + 1,
            latent=None if latent is None else latent.measure(net.module_, self.train_set),
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
                seen = measure_bounds(module, dataset, self.net.noise)
                bounds = join_bounds(bounds, seen)
        if self.problem.settings.latent is not None:
            # Codes are drawn from the prior, too.
            limits = torch.stack([-module.code_scale, module.code_scale]) * _FARTHEST_DRAW
            bounds = join_bounds(bounds, [bounds[0], limits])
        module.set_reach_(*bounds)

    def _order_codes(self, moments: CodeMoments) -> np.ndarray:
        """Put the codes in order; return the share of variance that each accounts for."""
        problem, latent = self.problem, self.problem.settings.latent
        explained = order_codes_(
            self.net.module_.basis,
            moments.mean,
            moments.covariance,
            moments.cross_covariance,
            unit=problem.standardization.scale,
            whiten=problem.settings.whiten,
            rotate=self.net.module_.sparsity is None and self.net.criterion_.rotates,
            keep_scale=latent is not None,
            keep_order=latent is not None and latent.keeps_order,
        )
        variance = float(problem.statistics.variance.mean()) / problem.standardization.scale**2
        error = moments.squared_error / self._observed_share(self.train_set)
        share = max(0.0, 1 - error / variance) if variance > 0 else 0.0
        return (explained * (share / max(float(explained.sum()), 1e-300))).numpy()


def make_net(problem: TrainingProblem, module: Autoencoder, **params) -> AutoencoderNet:
    """Return an initialised skorch net for an autoencoder.

    Parameters
    ----------
    problem : TrainingProblem
        What it is to be trained on; the `net_params` of its settings come last.
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
    settings = problem.settings
    user = dict(settings.net_params or {})
    callbacks = params.pop("callbacks") + list(user.pop("callbacks", None) or [])
    optimizer: dict[str, Any] = {"optimizer": torch.optim.AdamW}
    if "optimizer" not in user:
        stacks, *others = adamw_groups(settings, problem.n_features)
        optimizer |= {f"optimizer__{name}": value for name, value in stacks.items()}
        # The encoder and the decoder come first and have the optimiser's own settings.
        linear_paths = [("*linear_path.*", group) for group in others]
        optimizer["optimizer__param_groups"] = [("*coder.*", {}), *linear_paths]
    net_class = AutoencoderNet if settings.latent is None else settings.latent.net_class
    net = net_class(
        module,
        criterion=make_objective(problem, params["generator"]),
        iterator_train=ShuffledBatches,
        iterator_train__generator=params.pop("generator"),
        iterator_valid=OrderedBatches,
        iterator_valid__batch_size=_VALIDATION_BATCH_SIZE,
        train_split=None,
        lr=settings.learning_rate_init,
        device=problem.device,
        verbose=int(settings.verbose),
        schedule=settings.learning_rate,
        mixed_precision=settings.mixed_precision,
        callbacks=callbacks,
        **params,
        **{**optimizer, **user},
    )
    return net.initialize()
