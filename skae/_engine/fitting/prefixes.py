"""Errors of a nested autoencoder by number of codes, and those of PCA."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from skae._engine.families.family import Family
from skae._engine.judgement import TOLERATED_RISE, find_row_errors
from skae.modules import NestedAutoencoder

# Above this number of codes, only a few numbers in each octave are evaluated.
_ALL_NUMBERS = 64
_NUMBERS_PER_OCTAVE = 8
# Rounding error of an error, relative to the mean square of the rows.
_ROUNDING = 1e-6


class JudgedRows(NamedTuple):
    """Rows, and the network that evaluates them."""

    module: NestedAutoencoder
    axes: Tensor
    """Principal axes of the rows that it was trained on, of shape (n_found, n_features)."""

    inputs: Tensor
    """Rows as the network sees them."""

    rows: Tensor
    weights: Tensor | None


@dataclass(frozen=True)
class PrefixErrors:
    """Mean squared errors per value of the same rows, in standardised units."""

    errors: np.ndarray
    """Errors of the network by number of codes, of shape (n_components,)."""

    pca_errors: np.ndarray
    """Errors of PCA."""

    mean_square: float
    """Error of the mean alone."""

    n_decoded: np.ndarray
    """Numbers of codes that are decoded for these errors, of shape (n_components,)."""

    @property
    def exceed_pca(self) -> bool:
        """Whether any number of codes has an error more than 1 % above PCA's."""
        limits = (1 + TOLERATED_RISE) * self.pca_errors + _ROUNDING * self.mean_square
        return bool((self.errors > limits).any())

    @property
    def of_pca(self) -> "PrefixErrors":
        """Errors of a network that stayed PCA."""
        every = np.arange(1, len(self.errors) + 1)
        return PrefixErrors(self.pca_errors, self.pca_errors, self.mean_square, every)

    def find_scores(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the shares of variance explained by the network and by PCA."""
        unit = self.mean_square or 1.0
        return 1 - self.errors / unit, 1 - self.pca_errors / unit


@torch.no_grad()
def measure_prefixes(family: Family, parts: Iterable[JudgedRows]) -> PrefixErrors | None:
    """Return the mean errors over one or more parts of rows, for every number of codes.

    Above 64 codes, some errors are interpolated. None if codes are not nested.
    """
    if not family.is_nested:
        return None
    total, mass = np.zeros(0), 0.0
    for part in parts:
        n_components = len(part.module.code_scale)
        numbers = list_numbers(n_components)
        columns = [*_judge_network(part, numbers), *_judge_pca(part, numbers)]
        columns.append(find_row_errors(torch.zeros_like(part.rows), part.rows))
        values = torch.stack(columns).cpu().double()
        weights = torch.ones(len(part.rows)) if part.weights is None else part.weights
        weights = weights.cpu().double()
        own = (values @ weights).numpy()
        total = own if mass == 0 else total + own
        mass += float(weights.sum())
    own, pca, (mean_square,) = np.split(total / mass, [len(numbers), 2 * len(numbers)])
    n_decoded = choose_numbers(own, numbers)
    own[:-1] = np.minimum.accumulate(own)[:-1]
    every = np.arange(1, n_components + 1)
    errors, pca_errors = (np.interp(every, numbers, values) for values in (own, pca))
    return PrefixErrors(errors, pca_errors, float(mean_square), n_decoded)


def choose_numbers(errors: np.ndarray, numbers: list[int]) -> np.ndarray:
    """Return the number of codes to decode for each number of available codes.

    It is the number itself, or a smaller one with a lower error, and always all for the last.
    `errors` are those of the `numbers` of codes that were evaluated, the last of which is that of
    all codes.
    """
    n_decoded = np.arange(1, numbers[-1] + 1)
    for number in n_decoded[:-1]:
        n_judged = np.searchsorted(numbers, number, side="right")
        best = numbers[int(np.argmin(errors[:n_judged]))]
        if best != numbers[n_judged - 1]:
            n_decoded[number - 1] = best
    return n_decoded


def list_numbers(n_components: int) -> list[int]:
    """Return the numbers of codes to evaluate; the last one is that of all codes."""
    if n_components <= _ALL_NUMBERS:
        return list(range(1, n_components + 1))
    n_octaves = np.log2(n_components / _ALL_NUMBERS)
    n_more = max(2, int(np.ceil(n_octaves * _NUMBERS_PER_OCTAVE)))
    more = np.geomspace(_ALL_NUMBERS, n_components, n_more).round().astype(int)
    return sorted({*range(1, _ALL_NUMBERS + 1), *more.tolist()})


def _judge_network(part: JudgedRows, numbers: list[int]) -> list[Tensor]:
    """Return errors of the rows for each number of codes."""
    module = part.module
    code = module.encode_raw(part.inputs)
    outputs = (module.output(module.decode_first(code, number)) for number in numbers)
    return [find_row_errors(output, part.rows) for output in outputs]


def _judge_pca(part: JudgedRows, numbers: list[int]) -> list[Tensor]:
    """Return errors of the rows under PCA, which may have fewer components."""
    inputs = part.module.fill(part.inputs)
    reconstruction, errors, n_done = torch.zeros_like(inputs), [], 0
    for number in numbers:
        axes = part.axes[n_done:number]
        reconstruction += (inputs @ axes.T) @ axes
        errors.append(find_row_errors(reconstruction.clone(), part.rows))
        n_done = number
    return errors
