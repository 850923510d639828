"""From a table to a trained autoencoder: the outline of every fit."""

import copy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from scipy import sparse

from skae._training._callbacks import EpochTasks
from skae._training._cross_validation import cross_validate
from skae._training._device import resolve_device
from skae._training._networks import make_module
from skae._training._noise import make_noise
from skae._training._problem import TrainingProblem, Units, make_problem
from skae._training._random import make_generators
from skae._training._rows import is_large_map
from skae._training._run import Split, TrainedModel, TrainingRun
from skae._training._settings import TrainingSettings
from skae._training._standardization import Standardization
from skae._training._threads import threads_for
from skae.modules import Autoencoder, LinearOutput

# Tables with fewer rows are cross-validated: a tenth of them would judge badly and be missed. Very
# wide ones are not, since five networks more would take too long.
_MAX_CROSS_VALIDATED_ROWS = 1000
_MAX_CROSS_VALIDATED_CELLS = 250_000
_NETWORK_PARAMETERS = (
    "n_components",
    "architecture",
    "sample_shape",
    "hidden_layer_sizes",
    "activation",
    "normalization",
    "tied_weights",
    "init",
    "loss",
    "missing",
    "dtype",
)


@dataclass(frozen=True)
class StartingPoint:
    """A network that training goes on from."""

    module: Autoencoder
    standardization: Standardization
    n_components: int
    n_fits: int
    optimizer_state: Any

    @property
    def units(self) -> Units:
        """Units and range of the network, which do not change any more."""
        output = self.module.output
        if not isinstance(output, LinearOutput) or output.lower is None or output.upper is None:
            return Units(self.standardization, None)
        invert = self.standardization.invert
        return Units(self.standardization, (invert(output.lower), invert(output.upper)))


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
    n_fits = 0 if start is None else start.n_fits
    split_source, network_source, order_source, fold_source, noise_source = make_generators(
        random_state, 5, stream=n_fits
    )
    cross_validates = start is None and _cross_validates(X, settings)
    split = split_rows(X.shape[0], settings, cross_validates, split_source)
    problem = _make_problem(X, weights, split, settings, device, start)
    if start is None:
        module = make_module(problem, problem.principal_components, network_source)
    else:
        module = copy.deepcopy(start.module)
        module.reach = None
        _check_continuation(module, problem)

    noise = make_noise(problem, noise_source)
    run = TrainingRun(
        problem, split, module, noise, order_source, tasks=tasks, n_earlier_fits=n_fits
    )
    if start is not None:
        if start.module.reach is not None:
            run.earlier_bounds = [start.module.reach.row_bounds, start.module.reach.code_bounds]
        run.net.load_optimizer_state(start.optimizer_state)
    batch_size = settings.resolve_batch_size(len(split.train))
    with threads_for(module, batch_size, settings.sample_shape or (problem.n_features,)):
        if cross_validates:
            chosen = cross_validate(X, problem, run.max_iter, noise, fold_source)
            return run.train_chosen_epochs(chosen)
        if split.held_out is not None:
            return run.train_to_best_epoch()
        return run.train_all_epochs()


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


def split_rows(n_samples, settings: TrainingSettings, cross_validates: bool, generator) -> Split:
    """Hold out rows at random, unless all are trained on."""
    everything = torch.arange(n_samples)
    if not settings.early_stopping or cross_validates or n_samples < 2:
        return Split(everything, None)
    n_held_out = min(max(1, round(n_samples * settings.validation_fraction)), n_samples - 1)
    order = torch.randperm(n_samples, generator=generator)
    return Split(order[n_held_out:].sort().values, order[:n_held_out].sort().values)


def _make_problem(X, weights, split, settings, device, start) -> TrainingProblem:
    in_training = np.zeros(X.shape[0], dtype=bool)
    in_training[split.train.numpy()] = True
    if start is None:
        return make_problem(X, weights, in_training, settings, device)
    if isinstance(settings.n_components, float):
        settings = replace(settings, n_components=start.n_components)
    return make_problem(X, weights, in_training, settings, device, start.units)


def _check_continuation(module: Autoencoder, problem: TrainingProblem):
    """Refuse to go on with a network that is not the one described by the parameters."""
    settings = problem.settings
    wanted = make_module(problem, problem.principal_components, torch.Generator())
    shapes = [{k: tuple(v.shape) for k, v in m.state_dict().items()} for m in (module, wanted)]
    kinds = [[type(part) for part in m.modules()] for m in (module, wanted)]
    dtypes = [m.input_scale.dtype for m in (module, wanted)]
    if shapes[0] != shapes[1] or kinds[0] != kinds[1] or dtypes[0] != dtypes[1]:
        names = ", ".join(f"`{name}`" for name in _NETWORK_PARAMETERS)
        values = ", ".join(f"{name}={getattr(settings, name)!r}" for name in _NETWORK_PARAMETERS)
        raise ValueError(
            "With `warm_start=True` and in `partial_fit`, parameters that make the network must "
            f"be those of the fit before: {names}. Got {values}. Set warm_start=False, or clone "
            "the estimator for a new start."
        )
