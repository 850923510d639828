"""Autoencoders of sparse codes that start from rows of the table."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from skae._engine.families.family import Family
from skae._engine.families.moments import CodeMoments, find_range, join_bounds
from skae._engine.judgement import find_row_errors
from skae._engine.start.prepared_table import PreparedTable
from skae._engine.steps.unit_rows import UnitRowStep
from skae._engine.tables.batches import OrderedBatches, WeightedRows
from skae.modules import PursuitAutoencoder
from skae.objectives import PursuitObjective, ReconstructionLoss, SquaredError

# Most scores computed at once when thresholds are set.
_CELLS = 2**23
# Rows with lower weights, where 1 is the mean, are not known.
_LEAST_WEIGHT = 1e-4
# With fewer active codes, thresholds of held-out rows are mixed with those of training.
_ENOUGH_CODES = 500


@dataclass(frozen=True)
class PreparedForPursuit(PreparedTable):
    """Table prepared for training, with a number of codes that differs from that of its PCA."""

    training_rows: torch.Tensor
    """Indices of the training rows, of shape (n_training,)."""


@dataclass(frozen=True)
class CodeUse:
    """How often codes are active."""

    shares: np.ndarray
    """Share of all rows in which each code is active, of shape (n_components,)."""

    n_active: float
    """Mean number of active codes per held-out row, or per row if no rows are held out."""

    @property
    def dead(self) -> np.ndarray:
        """Indices of the codes that are never active."""
        return np.arange(len(self.shares))[self.shares == 0]


@dataclass(frozen=True)
class SparseCodes(Family):
    """Autoencoders of sparse codes with a dictionary.

    They are compared with PCA that has as many components as codes are active.
    """

    n_codes: int
    n_active: int
    """Mean number of active codes per row."""

    n_rounds: int
    """Number of rounds of the pursuit that finds active codes."""

    nested: tuple[int, ...] = ()
    """Smaller numbers of codes, in ascending order, from which rows are also reconstructed."""

    loss: ReconstructionLoss = field(default_factory=SquaredError)
    cross_validates = False
    keeps_order = True

    def prepare(self, X, weights, in_training, settings, device, units=None):
        """Return a table whose PCA has as many components as codes are active."""
        n_components = min(self.n_active, X.shape[1])
        settings = replace(settings, n_components=n_components)
        table = super().prepare(X, weights, in_training, settings, device, units)
        own = {**vars(table), "n_components": self.n_codes}
        return PreparedForPursuit(**own, training_rows=torch.tensor(np.flatnonzero(in_training)))

    def network_options(self) -> dict[str, Any]:
        names = ("n_active", "n_rounds", "nested")
        return {name: getattr(self, name) for name in names}

    def build(self, plan, generator) -> PursuitAutoencoder:
        return PursuitAutoencoder(
            plan.n_features,
            plan.n_components,
            self.n_active,
            n_rounds=self.n_rounds,
            dtype=plan.torch_dtype,
            generator=generator,
        )

    def make_module(self, plan, table, components, generator):
        """Return a network that starts from randomly drawn rows."""
        module = self.build(plan, generator)
        rows = table.rows.take(_draw_rows(table, plan.n_components, generator))
        rows = _spread(rows.cpu())
        module.start_(rows, float(table.deviations.square().mean().sqrt()) or 1.0)
        return module

    def make_objective(self, table, generator) -> PursuitObjective:
        """Return the squared error with all codes and with nested numbers of codes."""
        return PursuitObjective((*self.nested, self.n_codes))

    def make_autograd_step(self, modules, objective, optimizers, *, precision):
        return UnitRowStep(modules, objective, optimizers, precision=precision)

    @torch.no_grad()
    def settle_(self, module, dataset, held_out):
        """Set thresholds with which held-out rows have the requested number of active codes.

        Training rows then have fewer, as the dictionary fits them better. Without held-out rows,
        the thresholds of the last batches stay, which is only right after a single epoch.
        """
        if held_out is None:
            return
        n_rows = min(len(held_out), max(2, _CELLS // self.n_codes))
        places = torch.linspace(0, len(held_out) - 1, n_rows, dtype=torch.float64).long()
        rows, weights = held_out.batch(places)
        share = min(1.0, len(rows) * self.n_active / _ENOUGH_CODES)
        module.follow_(module.pursue(rows, weights)[1], share)

    @torch.no_grad()
    def measure_codes(self, module, dataset) -> CodeMoments:
        """Return moments, with mean squares of the codes instead of their covariance."""
        sums = torch.zeros(2, self.n_codes, dtype=torch.float64)
        error = square = mass = 0.0
        bounds: list[torch.Tensor] = []
        for rows, weights in self._batches(dataset):
            code = module.encode_raw(rows)
            weights = torch.ones_like(rows[:, 0]) if weights is None else weights
            own = torch.stack([weights @ code, weights @ code.square()])
            sums += own.cpu().double()
            error += float(weights @ find_row_errors(module.decode_raw(code), rows))
            square += float(weights @ find_row_errors(torch.zeros_like(rows), rows))
            mass += float(weights.sum())
            if len(known := rows[weights > _LEAST_WEIGHT]):
                bounds = join_bounds(bounds, [find_range(known)])
        mean, squares = sums / mass
        return CodeMoments(mean, squares, torch.zeros(0), error / mass, square / mass, bounds)

    def order_codes_(self, module, moments, table, *, whiten, rotate, find_rotation=None):
        """Return the codes' shares of the variance, without ordering the codes."""
        share = 1 - moments.squared_error / moments.mean_square if moments.mean_square else 0.0
        total = max(float(moments.covariance.sum()), 1e-300)
        return (moments.covariance * (max(0.0, share) / total)).numpy()

    def describe(self, module, dataset, held_out) -> CodeUse:
        shares = self._count(module, dataset)
        judged = shares if held_out is None else self._count(module, held_out)
        return CodeUse(shares.numpy(), float(judged.sum()))

    @torch.no_grad()
    def _count(self, module, dataset: WeightedRows) -> torch.Tensor:
        """Return the share of rows in which each code is active."""
        counts = torch.zeros(self.n_codes, dtype=torch.float64)
        for rows, _ in self._batches(dataset):
            counts += (module.encode_raw(rows) > 0).sum(0).cpu().double()
        return counts / len(dataset)

    def _batches(self, dataset: WeightedRows) -> OrderedBatches:
        return OrderedBatches(dataset, batch_size=max(2, min(4096, _CELLS // self.n_codes)))


def _draw_rows(table: PreparedForPursuit, n_rows: int, generator: torch.Generator) -> torch.Tensor:
    """Return indices of training rows, drawn without replacement by weight."""
    own = table.training_rows
    draws = torch.rand(len(own), generator=generator, dtype=torch.float64, device="cpu").log()
    if table.weights is not None:
        draws /= table.weights[own].cpu()
    return own[draws.topk(min(n_rows, len(own))).indices]


def _spread(rows: torch.Tensor) -> torch.Tensor:
    """Return rows with the square roots of their deviations along the main axes.

    Where a few parts are in many rows, rows resemble each other, and so would the dictionary rows
    that start from them: several would learn one part.
    """
    left, deviations, axes = torch.linalg.svd(rows, full_matrices=False)
    return (left * deviations.sqrt()) @ axes
