"""From a table to a trained autoencoder: the outline of every fit."""

import copy
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from scipy import sparse

from skae._engine.compute.device import resolve_device
from skae._engine.compute.seeds import make_generators
from skae._engine.compute.threads import threads_for
from skae._engine.families.family import Family
from skae._engine.fitting.callbacks import EpochTasks
from skae._engine.fitting.cross_validation import FoldNetworks, cross_validate
from skae._engine.fitting.result import TrainedModel
from skae._engine.fitting.run import TrainingRun
from skae._engine.fitting.setup import Split, StartingPoint, TrainingSetup
from skae._engine.settings import LoopSettings, NetworkSettings
from skae._engine.tables.rows import is_large_map

# Tables with fewer rows are cross-validated: a tenth of them would judge badly and be missed. Very
# wide ones are not, since five networks more would take too long.
_MAX_CROSS_VALIDATED_ROWS = 1000
_MAX_CROSS_VALIDATED_CELLS = 250_000
# With fewer rows for each column, a tenth of the rows that is held out is missed in the end.
_MIN_ROWS_PER_COLUMN = 10


def train_autoencoder(
    X,
    weights: np.ndarray | None,
    family: Family,
    network: NetworkSettings,
    loop: LoopSettings,
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
    family : Family
        Kind of the autoencoder, with its losses.
    network : NetworkSettings
        The network that is asked for.
    loop : LoopSettings
        The loop that is asked for.
    random_state : int, RandomState instance or None
        Seeds the split, the network and the order of the rows.
    start : StartingPoint, default=None
        A network to go on from; a new one where None.
    tasks : EpochTasks, default=None
        Told of each epoch; may end the training.

    Returns
    -------
    model : TrainedModel
        The trained network, its errors and curves.
    """
    sources = Sources(
        *make_generators(random_state, 5, stream=0 if start is None else start.n_fits)
    )
    cross_validates = start is None and _cross_validates(X, family, loop)
    split = _split_rows(X.shape[0], loop, cross_validates, sources.split)
    setup = set_up(X, weights, split, family, network, loop, start)
    run = _begin(setup, split, sources, start=start, tasks=tasks)
    with threads_for(run.net.module_, run.net.batch_size, setup.plan.sample_shape):
        if cross_validates:
            folds = FoldNetworks(X, setup, run.max_iter, run.net.noise, sources.folds)
            chosen = cross_validate(folds, run.max_iter, loop.n_iter_no_change)
            return run.train_chosen_epochs(chosen)
        if split.held_out is None:
            return run.train_all_epochs()
        model = run.train_to_best_epoch()
        if start is not None or not _misses_held_out_rows(model.best_iter, X, family, loop):
            return model
        everything = Split(torch.arange(X.shape[0]), None)
        setup = set_up(X, weights, everything, family, network, loop, None)
        return _begin(setup, everything, sources).train_epochs_of(model)


class Sources(NamedTuple):
    """Sources of everything random in a fit, each independent of the others."""

    split: torch.Generator
    network: torch.Generator
    order: torch.Generator
    folds: torch.Generator
    noise: torch.Generator


def _begin(
    setup: TrainingSetup,
    split: Split,
    sources: Sources,
    *,
    start: StartingPoint | None = None,
    tasks: EpochTasks | None = None,
) -> TrainingRun:
    """Build and start a network, or take the one to go on with; return its training."""
    family, table = setup.family, setup.table
    if start is None:
        module = family.make_module(setup.plan, table, table.principal_components, sources.network)
    else:
        module = copy.deepcopy(start.module)
        module.reach = None
    run = TrainingRun(
        setup,
        split,
        module,
        family.make_noise(table, sources.noise),
        sources.order,
        tasks=tasks,
        n_earlier_fits=0 if start is None else start.n_fits,
    )
    if start is not None:
        if start.module.reach is not None:
            run.earlier_bounds = [start.module.reach.row_bounds, start.module.reach.code_bounds]
        run.net.step_.load_moments_(start.moments)
    return run


def _cross_validates(X, family: Family, loop: LoopSettings) -> bool:
    """Tell whether the number of epochs is to be chosen by cross-validation.

    Networks are trained side by side for that, so it takes a table in memory and skae's own step.
    """
    return (
        family.cross_validates
        and loop.early_stopping
        and X.shape[0] < _MAX_CROSS_VALIDATED_ROWS
        and X.shape[0] * X.shape[1] <= _MAX_CROSS_VALIDATED_CELLS
        and not sparse.issparse(X)
        and not is_large_map(X)
        and not loop.net_params
        and not loop.mixed_precision
        and loop.learning_rate != "adaptive"
    )


def _misses_held_out_rows(best_iter: int, X, family: Family, loop: LoopSettings) -> bool:
    """Tell whether all rows are to be trained on once held-out rows have chosen the epoch.

    A model that stays PCA is the PCA of all rows. What else the user's own parts see of a training
    is not repeated.
    """
    n_samples, n_features = X.shape
    is_short = n_samples < _MIN_ROWS_PER_COLUMN * n_features
    return family.cross_validates and not loop.net_params and (best_iter == 0 or is_short)


def _split_rows(n_samples, loop: LoopSettings, cross_validates: bool, generator) -> Split:
    """Hold out rows at random, unless all are trained on."""
    everything = torch.arange(n_samples)
    if not loop.early_stopping or cross_validates or n_samples < 2:
        return Split(everything, None)
    n_held_out = min(max(1, round(n_samples * loop.validation_fraction)), n_samples - 1)
    order = torch.randperm(n_samples, generator=generator)
    return Split(order[n_held_out:].sort().values, order[:n_held_out].sort().values)


def set_up(
    X,
    weights: np.ndarray | None,
    split: Split,
    family: Family,
    network: NetworkSettings,
    loop: LoopSettings,
    start: StartingPoint | None,
) -> TrainingSetup:
    """Prepare the table and plan the network; parameters are those of `train_autoencoder`.

    Raises
    ------
    ValueError
        If the plan is not that of the network to go on from.
    """
    in_training = np.zeros(X.shape[0], dtype=bool)
    in_training[split.train.numpy()] = True
    units = None
    if start is not None:
        units = start.units
        if isinstance(network.n_components, float):
            network = replace(network, n_components=start.plan.n_components)
    device = resolve_device(loop.device, network.dtype)
    table = family.prepare(X, weights, in_training, network, device, units)
    plan = family.plan(network, table)
    if start is not None:
        _check_continuation(plan.find_differences(start.plan))
    return TrainingSetup(family, network, loop, table, plan)


def _check_continuation(differences: dict):
    """Refuse to go on with a network that is not the one described by the parameters."""
    if not differences:
        return
    names = ", ".join(f"`{name}`" for name in differences)
    raise ValueError(
        "With `warm_start=True` and in `partial_fit`, parameters that make the network must be "
        f"those of the fit before. Got other values of {names}. Set warm_start=False, or clone "
        "the estimator for a new start."
    )
