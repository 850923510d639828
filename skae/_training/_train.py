"""From a table to a trained autoencoder: the outline of every fit."""

import contextlib
import copy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from scipy import sparse
from skorch.callbacks import Callback

from skae._training._batches import OrderedBatches, ShuffledBatches, count_batches
from skae._training._callbacks import (
    AdaptiveLearningRate,
    BestEpoch,
    EpochHook,
    EpochTasks,
    FiniteLoss,
    Patience,
    TrainingStopped,
)
from skae._training._cross_validation import CrossValidation, cross_validate
from skae._training._device import resolve_device
from skae._training._moments import CodeMoments, mean_squared_errors, measure_codes
from skae._training._net import AutoencoderNet
from skae._training._optimizer import adamw_groups
from skae._training._problem import TrainingProblem, make_problem
from skae._training._random import make_generators
from skae._training._rows import is_large_map
from skae._training._settings import TrainingSettings
from skae._training._standardization import Standardization
from skae.modules import Autoencoder, order_codes_

# Tables with fewer rows are cross-validated: a tenth of them would judge badly and be missed. Very
# wide ones are not, since five networks more would take too long.
_MAX_CROSS_VALIDATED_ROWS = 1000
_MAX_CROSS_VALIDATED_CELLS = 250_000
_VALIDATION_BATCH_SIZE = 4096


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


@dataclass(frozen=True)
class StartingPoint:
    """A network that training goes on from."""

    module: Autoencoder
    standardization: Standardization
    n_components: int
    optimizer_state: Any


@dataclass(frozen=True)
class _Split:
    """Which rows are trained on and which are held out, None where none are."""

    train: torch.Tensor
    held_out: torch.Tensor | None


def train_autoencoder(
    X,
    weights: np.ndarray | None,
    settings: TrainingSettings,
    random_state,
    *,
    start: StartingPoint | None = None,
    tasks: EpochTasks | None = None,
) -> TrainedModel:
    """Train an autoencoder on a table.

    Parameters
    ----------
    X : ndarray or CSR matrix of shape (n_samples, n_features)
        The table, of finite numbers.
    weights : ndarray of shape (n_samples,) or None
        Positive weights of the rows; equal where None.
    settings : TrainingSettings
        Parameters of the estimator.
    random_state : int, RandomState instance or None
        Seeds the split, the network and the order of the rows.
    start : StartingPoint, default=None
        A network to go on from; a new one where None.
    tasks : EpochTasks, default=None
        Told of each epoch; may end the training.

    Returns
    -------
    model : TrainedModel
        The trained network and how it did.
    """
    device = resolve_device(settings.device, settings.dtype)
    split_source, network_source, order_source, fold_source = make_generators(random_state, 4)
    cross_validates = start is None and _cross_validates(X, settings)
    split = _split_rows(X.shape[0], settings, cross_validates, split_source)
    problem = _make_problem(X, weights, split, settings, device, start)
    if start is None:
        module = problem.make_module(problem.principal_components, network_source)
    else:
        _check_continuation(start.module, problem)
        module = copy.deepcopy(start.module)

    run = _Run(problem, split, module, order_source, tasks=tasks, continues=start is not None)
    if start is not None:
        run.net.load_optimizer_state(start.optimizer_state)
    if cross_validates:
        return run.train_chosen_epochs(cross_validate(X, problem, run.max_iter, fold_source))
    if split.held_out is not None:
        return run.train_to_best_epoch()
    return run.train_all_epochs()


class _Run:
    """One training of one network on one split of a table."""

    def __init__(
        self, problem: TrainingProblem, split: _Split, module, order_source, *, tasks, continues
    ):
        self.problem, self.tasks, self.continues = problem, tasks, continues
        settings = problem.settings
        batch_size = settings.resolve_batch_size(len(split.train))
        self.max_iter = settings.resolve_max_iter(count_batches(len(split.train), batch_size))
        self.train_set = problem.dataset(split.train)
        self.callbacks: list[Callback] = [FiniteLoss()]
        if settings.learning_rate == "adaptive":
            self.callbacks.append(AdaptiveLearningRate(settings.tol))
        hooks = [] if tasks is None else [EpochHook(tasks, self.snapshot)]
        validation_set = None
        if split.held_out is not None:
            validation_set = problem.dataset(split.held_out)
            self.best_epoch = BestEpoch()
            patience = Patience(self.best_epoch, settings.n_iter_no_change, settings.tol)
            self.callbacks += [self.best_epoch, *hooks, patience]
        else:
            self.callbacks += hooks
        self.net = make_net(
            problem,
            module,
            batch_size=batch_size,
            max_epochs=self.max_iter,
            generator=order_source,
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
        best_iter = self.best_epoch.restore_(self.net)
        axes = self.problem.tensor(self.problem.principal_components.components)
        errors = mean_squared_errors(
            self.net.module_, axes.to(self.problem.device), self.net.validation_set
        )
        return self._finish(
            self._measure(), errors, best_iter=best_iter, valid_losses=self.best_epoch.losses_
        )

    def train_chosen_epochs(self, chosen: CrossValidation) -> TrainedModel:
        """Train on all rows for as many epochs as cross-validation has chosen."""
        start = self.net.copy_state()
        self._train(chosen.best_iter)
        if len(self.net.history) < chosen.best_iter:
            # A callback has ended it, and cross-validation does not tell how good this epoch is.
            return self._finish_by_training_rows(start)
        return self._finish(
            self._measure(),
            (chosen.error, chosen.pca_error),
            best_iter=chosen.best_iter,
            losses=chosen.train_losses,
            valid_losses=chosen.valid_losses,
        )

    def snapshot(self) -> TrainedModel:
        """Return the model as it is now, independent of what training does next."""
        run = copy.copy(self)
        run.net = self.net.copy_for_prediction()
        moments = run._measure()
        errors = moments.squared_error, self.problem.pca_error
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
        return measure_codes(self.net.module_, self.train_set)

    def _finish_by_training_rows(self, start: dict) -> TrainedModel:
        """Go back to the start if PCA does better on the training rows."""
        best_iter, moments = len(self.net.history), self._measure()
        error, pca_error = moments.squared_error, self.problem.pca_error
        if self.problem.settings.init == "pca" and error > pca_error and not self.continues:
            self.net.module_.load_state_dict(start)
            best_iter, moments = 0, self._measure()
            error = min(moments.squared_error, pca_error)
        return self._finish(moments, (error, pca_error), best_iter=best_iter)

    def _finish(
        self, moments: CodeMoments, errors, *, best_iter, losses=None, valid_losses=None
    ) -> TrainedModel:
        """Order the codes, let go of what only training needs, and gather the results."""
        net, standardization = self.net, self.problem.standardization
        ratios = self._order_codes(moments)
        losses = net.history[:, "train_loss"] if losses is None else losses
        optimizer_state = net.release_training_state(self.callbacks)
        error, pca_error = (error * standardization.scale**2 for error in errors)
        return TrainedModel(
            net=net,
            standardization=standardization,
            n_components=self.problem.n_components,
            n_iter=len(losses),
            best_iter=best_iter,
            loss_curve=losses,
            validation_loss_curve=valid_losses,
            reconstruction_error=error,
            pca_reconstruction_error=pca_error,
            explained_variance_ratio=ratios,
            optimizer_state=optimizer_state,
        )

    def _order_codes(self, moments: CodeMoments) -> np.ndarray:
        """Put the codes in order; return the share of variance that each accounts for."""
        problem = self.problem
        explained = order_codes_(
            self.net.module_.basis,
            moments.mean,
            moments.covariance,
            moments.cross_covariance,
            unit=problem.standardization.scale,
            whiten=problem.settings.whiten,
        )
        variance = float(problem.statistics.variance.mean()) / problem.standardization.scale**2
        share = max(0.0, 1 - moments.squared_error / variance) if variance > 0 else 0.0
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
        `batch_size`, `max_epochs`, `generator` of the order of the rows, `validation_set` and the
        `callbacks` that the training itself needs.

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
        linear_paths = [("linear_path.*", group) for group in others]
        optimizer["optimizer__param_groups"] = [("*coder.*", {}), *linear_paths]
    net = AutoencoderNet(
        module,
        criterion=problem.make_loss(),
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


def _cross_validates(X, settings: TrainingSettings) -> bool:
    """Tell whether the number of epochs is to be chosen by cross-validation.

    Networks are trained side by side for that, so it takes a table in memory and skae's own step.
    """
    return (
        settings.early_stopping
        and X.shape[0] < _MAX_CROSS_VALIDATED_ROWS
        and X.shape[0] * X.shape[1] <= _MAX_CROSS_VALIDATED_CELLS
        and not sparse.issparse(X)
        and not is_large_map(X)
        and not settings.net_params
        and not settings.mixed_precision
        and settings.learning_rate != "adaptive"
    )


def _split_rows(n_samples, settings: TrainingSettings, cross_validates: bool, generator) -> _Split:
    """Hold out rows at random, unless all are trained on."""
    everything = torch.arange(n_samples)
    if not settings.early_stopping or cross_validates or n_samples < 2:
        return _Split(everything, None)
    n_held_out = min(max(1, round(n_samples * settings.validation_fraction)), n_samples - 1)
    order = torch.randperm(n_samples, generator=generator)
    return _Split(order[n_held_out:].sort().values, order[:n_held_out].sort().values)


def _make_problem(X, weights, split, settings, device, start) -> TrainingProblem:
    in_training = np.zeros(X.shape[0], dtype=bool)
    in_training[split.train.numpy()] = True
    if start is None:
        return make_problem(X, weights, in_training, settings, device)
    if isinstance(settings.n_components, float):
        settings = replace(settings, n_components=start.n_components)
    return make_problem(
        X, weights, in_training, settings, device, standardization=start.standardization
    )


def _check_continuation(module: Autoencoder, problem: TrainingProblem):
    """Refuse to go on with a network that is not the one described by the parameters."""
    settings = problem.settings
    wanted = problem.make_module(problem.principal_components, torch.Generator())
    shapes = [{k: tuple(v.shape) for k, v in m.state_dict().items()} for m in (module, wanted)]
    if shapes[0] != shapes[1] or type(module.output) is not type(wanted.output):
        raise ValueError(
            "With `warm_start=True` and in `partial_fit`, parameters that make the network must "
            "be those of the fit before: `n_components`, `hidden_layer_sizes`, `init`, `loss`, "
            f"`output_range`. Got n_components={settings.n_components}, hidden_layer_sizes="
            f"{settings.hidden_layer_sizes}, init={settings.init!r}, loss={settings.loss!r}, "
            f"output_range={settings.output_range!r}. Set warm_start=False, or clone the "
            "estimator for a new start."
        )
