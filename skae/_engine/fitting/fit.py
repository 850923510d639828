"""From a table to a trained autoencoder: the outline of every fit."""

import copy
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch

from skae._engine.compute.device import resolve_device
from skae._engine.compute.ranks import ALONE, RANKS, Alone
from skae._engine.compute.seeds import draw_seed, make_generators
from skae._engine.compute.threads import threads_for
from skae._engine.families.family import Family
from skae._engine.fitting.callbacks import EpochTasks
from skae._engine.fitting.checkpoints import Checkpoints
from skae._engine.fitting.cross_validation import N_FOLDS, FoldNetworks, cross_validate
from skae._engine.fitting.packing import find_drawing
from skae._engine.fitting.result import ChosenEpochs, TrainedModel
from skae._engine.fitting.resumption import Resumption, find_resumption
from skae._engine.fitting.run import TrainingRun
from skae._engine.fitting.setup import StartingPoint, TrainingSetup
from skae._engine.fitting.splitting import Separation, Split, hold_out, make_folds
from skae._engine.fitting.spreading import check_spreading
from skae._engine.settings import LoopSettings, NetworkSettings
from skae._engine.start.drift import warn_of_drift
from skae._engine.start.prepared_table import PreparedTable, describe_table, share_weights
from skae._engine.start.principal_components import is_cheap
from skae._engine.tables.rows import densify
from skae.modules import Autoencoder

# Smaller tables are cross-validated: a tenth of their rows would judge badly, and be missed. Very
# wide tables are not, because five more networks would take too long.
_MAX_CROSS_VALIDATED_ROWS = 1000
_MAX_CROSS_VALIDATED_CELLS = 250_000
# With fewer rows per column, leaving out the held-out tenth of the rows costs accuracy.
_MIN_ROWS_PER_COLUMN = 10


def train_autoencoder(
    X,
    weights: np.ndarray | None,
    family: Family,
    network: NetworkSettings,
    loop: LoopSettings,
    random_state,
    *,
    separation: Separation | None = None,
    start: StartingPoint | None = None,
    tasks: EpochTasks | None = None,
    checkpoints: Checkpoints | None = None,
) -> TrainedModel:
    """Train an autoencoder on a table.

    Parameters
    ----------
    X : ndarray or CSR matrix of shape (n_samples, n_features)
        The table of finite numbers.
    weights : ndarray of shape (n_samples,) or None
        Positive weights of the rows; equal where None.
    family : Family
        Kind of the autoencoder, with its losses.
    network : NetworkSettings
        Settings of the network.
    loop : LoopSettings
        Settings of the training loop.
    random_state : int, RandomState instance or None
        Seeds the split, the network and the order of the rows.
    separation : Separation, default=None
        Rows that must not be on both sides of a split. If None, every row is independent.
    start : StartingPoint, default=None
        Network to continue from. If None, a new network is started.
    tasks : EpochTasks, default=None
        Receiver of epoch events, which can stop training.
    checkpoints : Checkpoints, default=None
        Storage of the training that chooses the epoch, which resumes from the latest state.
        Networks of a cross-validation, and the final training on all rows, start again.

    Returns
    -------
    model : TrainedModel
        The trained network, its errors and curves.
    """
    separation = separation or Separation()
    shape, loop = _prepare_ranks(X, family, network, loop, separation)
    if X.shape[0] * X.shape[1] <= _MAX_CROSS_VALIDATED_CELLS:
        X = densify(X)
    sources = _make_sources(random_state, 0 if start is None else start.n_fits, checkpoints)
    anew = start is None and separation.split is None
    cross_validates = anew and _cross_validates(shape, family, loop)
    split = _split_rows(X.shape[0], loop, separation, cross_validates, sources.split)
    may_resume = anew and tasks is None and checkpoints is None and RANKS.get() is ALONE
    asked = (X, weights, family, network, loop, random_state, separation.groups)
    resumption = find_resumption(asked if may_resume else None, sources)

    def prepare(split: Split, verdict=None, **observers) -> TrainingRun:
        setup = set_up(X, weights, split, family, network, loop, start).heed(verdict)
        return _begin(setup, split, sources, resumption, start=start, **observers)

    run = prepare(split, tasks=tasks, checkpoints=None if cross_validates else checkpoints)
    with threads_for(run.net.module_, run.net.batch_size, run.setup.plan.sample_shape):
        if cross_validates:
            chosen = _choose_by_folds(X, run, separation, sources, resumption)
        elif split.held_out is None:
            return run.train_all_epochs()
        else:
            chosen = run.train_to_best_epoch()
            if not anew or not _begins_again(chosen, shape, run.setup):
                return _keep(run, chosen, X, weights)
            verdict = run.table.verdict
            del run  # and its rows, before others are made
            run = prepare(Split(torch.arange(X.shape[0]), None), verdict)
        return run.train_chosen_epochs(chosen)


def _choose_by_folds(
    X, run: TrainingRun, separation, sources: "Sources", resumption: Resumption
) -> ChosenEpochs:
    rows = make_folds(X.shape[0], N_FOLDS, separation.groups, sources.folds)
    odd_cells = run.family.make_odd_cells(run.table, sources.folds)
    noise, groups = run.net.noise, separation.groups
    n_scheduled = resumption.count_scheduled(run.max_iter)
    folds = FoldNetworks(X, run.setup, rows, n_scheduled, noise, sources.folds, odd_cells)
    chosen = cross_validate(folds, run.max_iter, run.loop.n_iter_no_change, resumption, groups)
    if run.loop.verbose:
        print(f"{N_FOLDS} folds choose epoch {chosen.best_iter} of {chosen.n_iter}.")
    return chosen


class Sources(NamedTuple):
    """Independent random generators of a fit."""

    split: torch.Generator
    network: torch.Generator
    order: torch.Generator
    folds: torch.Generator
    noise: torch.Generator
    odd_cells: torch.Generator
    draws: torch.Generator


def _prepare_ranks(X, family, network, loop, separation) -> tuple[tuple[int, int], LoopSettings]:
    """Return the shape of the whole table and the loop; only one of several processes prints.

    Fits that cannot be distributed over processes raise an error.
    """
    ranks = RANKS.get()
    shape = ranks.count(X.shape[0]), X.shape[1]
    if ranks is not ALONE:
        check_spreading(ranks, shape, family, network, loop, separation)
        loop = replace(loop, verbose=loop.verbose if ranks.rank == 0 else False)
    return shape, loop


def _make_sources(random_state, n_earlier_fits: int, checkpoints: Checkpoints | None) -> Sources:
    """Return the generators of a fit; checkpoints store their states."""
    ranks = RANKS.get()
    seed = ranks.from_first(draw_seed(random_state))
    if checkpoints is not None:
        seed = checkpoints.settle_seed(seed)
    sources = _list_sources(make_generators(seed, 6, stream=n_earlier_fits))
    if ranks is not ALONE:
        sources = _tell_apart(sources, seed, ranks)
    if checkpoints is not None:
        checkpoints.generators = sources
    return sources


def _list_sources(generators: list[torch.Generator]) -> Sources:
    """Return sources for six generators; the objective shares that of the row order."""
    split, network, order, folds, noise, odd_cells = generators
    return Sources(split, network, order, folds, noise, odd_cells, draws=order)


def _tell_apart(sources: Sources, seed: int, ranks: Alone) -> Sources:
    """Return sources in which generators that may differ between ranks are this rank's own."""
    own = _list_sources(make_generators(seed, 6, rank=ranks.rank))
    sources = sources._replace(noise=own.noise, draws=own.draws)
    return sources if ranks.shared else sources._replace(order=own.order, odd_cells=own.odd_cells)


def _begin(
    setup: TrainingSetup,
    split: Split,
    sources: Sources,
    resumption: Resumption,
    *,
    start: StartingPoint | None = None,
    tasks: EpochTasks | None = None,
    checkpoints: Checkpoints | None = None,
) -> TrainingRun:
    """Build and start a network, or continue a given one; return its training."""
    family, table = setup.family, setup.table
    if start is None:
        module = family.make_module(setup.plan, table, table.principal_components, sources.network)
        for _, part in find_drawing(module):
            part.skip_to_(RANKS.get().rank)
    else:
        module = copy.deepcopy(start.module)
        module.reach = None
    run = TrainingRun(
        setup,
        split,
        module,
        family.make_noise(table, sources.noise),
        sources.order,
        sources.draws,
        resumption,
        odd_cells=family.make_odd_cells(table, sources.odd_cells),
        tasks=tasks,
        n_earlier_fits=0 if start is None else start.n_fits,
        checkpoints=checkpoints,
    )
    if start is not None:
        if start.module.reach is not None:
            # An earlier fit may have used another device, and loaded networks are on the CPU.
            reach = copy.deepcopy(start.module.reach).to(run.table.device)
            run.earlier_bounds = reach.bounds
            run.earlier_usual = reach.usual
        run.net.step_.load_moments_(start.moments)
    return run


def _keep(run: TrainingRun, chosen: ChosenEpochs, X, weights: np.ndarray | None) -> TrainedModel:
    """Return the network that was trained without the held-out rows."""
    _turn_start_(run, X, weights)
    return run.keep(chosen)


def _turn_start_(run: TrainingRun, X, weights: np.ndarray | None):
    """Make a new network fade to the PCA of all rows rather than of its training rows."""
    module, table = run.net.module_, run.table
    is_plain = isinstance(table, PreparedTable) and not table.masked
    if module.linear_path is None or not is_plain or run.n_earlier_fits:
        return
    if not is_cheap(run.all_rows.n_rows, X.shape[1]):
        # The PCA of a part is almost that of all rows.
        return
    shares = share_weights(weights, np.ones(X.shape[0], dtype=bool))[1]
    network = replace(run.setup.network, n_components=table.n_components)
    axes = describe_table(X, shares, network)[1].components
    if axes.shape == table.principal_components.components.shape:
        on_device = table.units.tensor(axes).to(table.device)
        module.linear_path.turn_start_(on_device, module.input_scale)


def _begins_again(chosen: ChosenEpochs, shape, setup: TrainingSetup) -> bool:
    """Whether to train again on all rows, including the held-out rows.

    This is cheap if the model stays PCA, and worthwhile if rows are few.
    """
    if chosen.best_iter == 0:
        return setup.network.linear_path
    family = setup.family
    are_few = family.cross_validates and shape[0] < _MIN_ROWS_PER_COLUMN * shape[1]
    return (are_few or shape[0] < family.fewest_rows) and not setup.loop.net_params


def _cross_validates(shape, family: Family, loop: LoopSettings) -> bool:
    """Whether the number of epochs is chosen by cross-validation.

    The networks of the folds are trained side by side, which requires a step of skae.
    """
    return (
        RANKS.get() is ALONE
        and family.cross_validates
        and loop.early_stopping
        and shape[0] < _MAX_CROSS_VALIDATED_ROWS
        and shape[0] * shape[1] <= _MAX_CROSS_VALIDATED_CELLS
        and not loop.net_params
        and not loop.mixed_precision
        and loop.learning_rate != "adaptive"
    )


def _split_rows(
    n_samples, loop: LoopSettings, separation: Separation, cross_validates: bool, generator
) -> Split:
    """Hold out rows, unless training uses all rows."""
    if not loop.early_stopping or cross_validates or n_samples < 2:
        return Split(torch.arange(n_samples), None)
    if separation.split is not None:
        return separation.split
    ranks, fraction = RANKS.get(), loop.validation_fraction
    split = hold_out(ranks.count(n_samples), fraction, separation.groups, generator)
    if split.held_out is None:
        return split
    train, held_out = (ranks.localize(own, n_samples) for own in (split.train, split.held_out))
    return replace(split, train=train, held_out=held_out)


def set_up(
    X,
    weights: np.ndarray | None,
    split: Split,
    family: Family,
    network: NetworkSettings,
    loop: LoopSettings,
    start: StartingPoint | None,
) -> TrainingSetup:
    """Prepare the table and plan the network; parameters as in `train_autoencoder`.

    A plan that differs from that of the network to continue from is refused.
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
        if isinstance(table, PreparedTable) and isinstance(start.module, Autoencoder):
            warn_of_drift(table, start.module.input_scale)
    return TrainingSetup(family, network, loop, table, plan)


def _check_continuation(differences: dict):
    """Raise an error if the network to continue from does not match the parameters."""
    if not differences:
        return
    names = ", ".join(f"`{name}`" for name in differences)
    raise ValueError(
        "With `warm_start=True` and in `partial_fit`, parameters that make the network must be "
        f"those of the fit before. Got other values of {names}. Set warm_start=False, or clone "
        "the estimator for a new start."
    )
