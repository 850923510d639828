"""Moments of codes and errors of a data set."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from skae._engine.compute.ranks import Alone
from skae._engine.judgement import find_row_errors
from skae._engine.start.noise import InputNoise
from skae._engine.tables.batches import OrderedBatches, WeightedRows
from skae._engine.tables.rows import sample_evenly
from skae.modules import ODD_LIMIT, Autoencoder, Reach

_BATCH_SIZE = 4096
# Share of the values of a column that are unusual, at each end, and the rows that show them.
_SHARE_UNUSUAL = 0.01
_MOST_SAMPLED = 2000


@dataclass(frozen=True)
class CodeMoments:
    """Weighted moments of raw codes, in double precision, and the error of the model."""

    mean: torch.Tensor
    """Mean of the codes, of shape (n_components,)."""

    covariance: torch.Tensor
    """Covariance of the codes, of shape (n_components, n_components)."""

    cross_covariance: torch.Tensor
    """Covariance of the standardised rows with the codes, of shape (n_features, n_components)."""

    squared_error: float
    """Mean squared error per cell, in standardised units. Missing cells count as zero."""

    mean_square: float
    """Mean square per cell of the standardised rows. Missing cells count as zero."""

    bounds: list[torch.Tensor]
    """Minima and maxima of scaled rows, of shape (2, n_features), and of scaled codes. Those of
    rows alone for sparse codes, and none for texts and without a linear path."""

    @property
    def of_codes(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Arguments of the functions that order codes."""
        return self.mean, self.covariance, self.cross_covariance


@torch.no_grad()
def measure_codes(module: Autoencoder, dataset: WeightedRows) -> CodeMoments:
    """Return the moments of the codes and the errors of a data set."""
    sums: list[torch.Tensor] = []
    bounds: list[torch.Tensor] = []
    origin = torch.zeros(())
    for rows, weights in OrderedBatches(dataset, batch_size=_BATCH_SIZE):
        code = module.encode_raw(rows)
        reconstruction = module.output(module.decode_raw(code))
        error = find_row_errors(reconstruction, rows)
        bounds = join_bounds(bounds, _find_bounds(module, rows, code))
        square = find_row_errors(torch.zeros_like(rows), rows)
        if (missing := rows.isnan()).any():
            # Missing cells have no error: they take the values of their reconstructions.
            rows = torch.where(missing, reconstruction, rows)
        # Sums of products lose less precision for codes near the origin.
        if not sums:
            origin = code.mean(0)
            dataset.ranks.spread_([origin])
        weights = torch.ones_like(error) if weights is None else weights
        products = _sum_products(code - origin, rows, weights, error)
        parts = [weights.sum(), weights @ rows, weights @ square, *products]
        sums = _add(sums, parts)
    mass, row, square, code, code_code, row_code, error = _add_ranks(sums, dataset.ranks)
    code, row = code / mass, row / mass
    return CodeMoments(
        mean=code + origin.cpu().double(),
        covariance=code_code / mass - torch.outer(code, code),
        cross_covariance=row_code / mass - torch.outer(row, code),
        squared_error=float(error / mass),
        mean_square=float(square / mass),
        bounds=_join_ranks(bounds, dataset.ranks),
    )


@torch.no_grad()
def correct_moments(
    module: Autoencoder, reach: Reach, dataset: WeightedRows, moments: CodeMoments
) -> CodeMoments:
    """Return the moments of codes that ignore odd cells, given those of codes that do not.

    Only rows with odd cells are encoded. No cell may be missing.
    """
    sums: list[torch.Tensor] = []
    for rows, weights in OrderedBatches(dataset, batch_size=_BATCH_SIZE):
        weights = rows.new_ones(len(rows)) if weights is None else weights
        odd = reach.find_odd(module.scale_rows(rows))
        changes = _find_changes(module, reach, rows[odd], weights[odd], moments.mean.to(rows))
        sums = _add(sums, [weights.sum(), weights @ rows, *changes])
    mass, row, code, code_code, row_code, error = _add_ranks(sums, dataset.ranks)
    code, row = code / mass, row / mass
    return replace(
        moments,
        mean=moments.mean + code,
        covariance=moments.covariance + code_code / mass - torch.outer(code, code),
        cross_covariance=moments.cross_covariance + row_code / mass - torch.outer(row, code),
        squared_error=moments.squared_error + float(error / mass),
    )


def _find_changes(module: Autoencoder, reach: Reach, rows, weights, origin) -> list[torch.Tensor]:
    """Return by how much the sums of products change if codes ignore odd cells."""
    none = _sum_products(rows.new_zeros(0, len(origin)), rows[:0], weights[:0], weights[:0])
    if len(rows) == 0:
        # Networks of users may not take tables without rows.
        return none
    after = module.encode_raw(rows)
    with reach.keep_odd_cells():
        before = module.encode_raw(rows)
    changed = (after != before).any(1)
    if not changed.any():
        return none
    rows, weights = rows[changed], weights[changed]
    products = [
        _measure_products(module, code[changed], rows, weights, origin) for code in (after, before)
    ]
    return [new - old for new, old in zip(*products, strict=True)]


def _measure_products(module: Autoencoder, code, rows, weights, origin) -> list[torch.Tensor]:
    error = find_row_errors(module.output(module.decode_raw(code)), rows)
    return _sum_products(code - origin, rows, weights, error)


def _sum_products(code, rows, weights, error) -> list[torch.Tensor]:
    """Return weighted sums of codes, of their products with codes and rows, and of errors."""
    weighted = code * weights[:, None]
    return [weighted.sum(0), weighted.T @ code, rows.T @ weighted, weights @ error]


def _add(sums: list[torch.Tensor], parts: list[torch.Tensor]) -> list[torch.Tensor]:
    """Return sums, in double precision, to which those of a batch are added."""
    # Sums stay on a GPU to avoid synchronisation.
    parts = [part.double() if part.is_cuda else part.cpu().double() for part in parts]
    return [a + b for a, b in zip(sums, parts, strict=True)] if sums else parts


def _add_ranks(sums: list[torch.Tensor], ranks: Alone) -> list[torch.Tensor]:
    """Return the sums over all ranks."""
    return [ranks.add(own).cpu() for own in sums]


@torch.no_grad()
def measure_bounds(
    module: Autoencoder, dataset: WeightedRows, noise: InputNoise
) -> list[torch.Tensor]:
    """Return the ranges of scaled rows and codes of a data set with noise."""
    bounds: list[torch.Tensor] = []
    noise.restart_judging()
    for rows, _ in OrderedBatches(dataset, batch_size=_BATCH_SIZE):
        seen = noise.for_judging(rows)
        bounds = join_bounds(bounds, _find_bounds(module, seen, module.encode_raw(seen)))
    return _join_ranks(bounds, dataset.ranks)


@torch.no_grad()
def find_usual(module: Autoencoder, table, bounds: torch.Tensor) -> torch.Tensor | None:
    """Return the range of usual values of scaled rows, (2, n_features).

    None if no column has values so far from its mean that they are odd.
    """
    if float(bounds.abs().max()) <= ODD_LIMIT:
        return None
    all_rows = table.dataset()
    weights = None if all_rows.all_weights is None else all_rows.all_weights.double().numpy()
    drawn = torch.from_numpy(sample_evenly(all_rows.n_rows, _MOST_SAMPLED, weights))
    dataset = table.dataset(all_rows.ranks.localize(drawn, len(all_rows)))
    batches = OrderedBatches(dataset, batch_size=_BATCH_SIZE)
    scaled = torch.cat([module.scale_rows(rows) for rows, _ in batches])
    gathered = dataset.ranks.gather(scaled[: len(dataset.places)])
    # NumPy sorts columns several times as fast as PyTorch.
    rows = np.sort(gathered.cpu().numpy(), axis=0)
    n_left_out = int(_SHARE_UNUSUAL * len(rows))
    return torch.from_numpy(rows[[n_left_out, -1 - n_left_out]]).to(gathered.device)


def _join_ranks(bounds: list[torch.Tensor], ranks: Alone) -> list[torch.Tensor]:
    """Return ranges that contain those of all ranks."""
    pairs = [(ranks.least(lowest), ranks.greatest(highest)) for lowest, highest in bounds]
    return [torch.stack(pair).to(own) for pair, own in zip(pairs, bounds, strict=True)]


def join_bounds(some: list[torch.Tensor], others: list[torch.Tensor]) -> list[torch.Tensor]:
    """Return ranges that contain both. Either list may be empty."""
    if not some or not others:
        return some or others
    pairs = zip(some, others, strict=True)
    return [torch.stack([a[0].minimum(b[0]), a[1].maximum(b[1])]) for a, b in pairs]


def _find_bounds(module: Autoencoder, rows, code) -> list[torch.Tensor]:
    """Return minima and maxima of scaled rows and of scaled codes, including those of PCA."""
    if module.linear_path is None:
        return []
    scaled = module.scale_rows(rows)
    own, codes, first = map(find_range, (scaled, code * module.code_scale, module.project(scaled)))
    return [own, *join_bounds([codes], [first])]


def find_range(values: torch.Tensor) -> torch.Tensor:
    """Return the minima and maxima of columns, of shape (2, n_columns)."""
    return torch.stack([values.amin(0), values.amax(0)])


@torch.no_grad()
def measure_error(
    reconstruct: Callable[[torch.Tensor], torch.Tensor], dataset: WeightedRows, noise: InputNoise
) -> float:
    """Return the mean squared error per cell, in standardised units, given rows with noise."""
    noise.restart_judging()
    return _average(
        dataset, lambda rows: find_row_errors(reconstruct(noise.for_judging(rows)), rows)
    )


def find_observed_share(dataset: WeightedRows, cell_shares: Sequence[float] | None = None) -> float:
    """Return the weighted share of the cells of a data set that are not missing.

    `cell_shares` has the weight of each column; None means equal weights.
    """

    def count(rows: torch.Tensor) -> torch.Tensor:
        missing = rows.isnan().to(rows.dtype)
        if cell_shares is None:
            return 1 - missing.mean(1)
        counts = rows.new_tensor(cell_shares)
        return 1 - missing @ counts / counts.sum()

    return _average(dataset, count)


def _average(dataset: WeightedRows, measure: Callable[[torch.Tensor], torch.Tensor]) -> float:
    """Return the weighted mean over a data set of a function with one result per row."""
    total = mass = 0.0
    for rows, weights in OrderedBatches(dataset, batch_size=_BATCH_SIZE):
        values = measure(rows)
        weights = torch.ones_like(values) if weights is None else weights
        total += float(values @ weights)
        mass += float(weights.sum())
    return dataset.ranks.add(total) / dataset.ranks.add(mass)
