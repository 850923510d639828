"""Noise between the rows and what the network sees of them."""

import copy

import torch
from torch import Tensor

from skae._engine.start.prepared_table import PreparedTable
from skae.corruption import Columns, Corruption

# MNIST, clean, 3000 images: noise of 0.1 made 3.5 times PCA's error without it, 0.6 with it.
_LEAST_SHARE_OF_COMMON_DEVIATION = 0.3
# No feature is scaled to nothing: what fills missing cells divides by the factors.
_NEGLIGIBLE_SHARE = 1e-3


class InputNoise:
    """Noise with its source of draws: new ones in training, the same ones in judging.

    Parameters
    ----------
    corruption : Corruption or None
        Noise on the rows; none where None.
    columns : Columns or None
        The features, None without noise.
    generator : torch.Generator
        Source of the draws.
    """

    def __init__(
        self, corruption: Corruption | None, columns: Columns | None, generator: torch.Generator
    ):
        self.corruption, self.columns, self.generator = corruption, columns, generator
        self.judging_generator = torch.Generator()

    def __call__(self, rows: Tensor) -> Tensor:
        """Return rows of shape (..., n_samples, n_features) with noise that was not seen before."""
        return self._corrupt(rows, self.generator)

    def restart_judging(self):
        """Begin anew with the draws of `for_judging`."""
        self.judging_generator.manual_seed(self.generator.initial_seed())

    def for_judging(self, rows: Tensor) -> Tensor:
        """Return rows with the noise that they had when they were judged before."""
        return self._corrupt(rows, self.judging_generator)

    def _corrupt(self, rows: Tensor, generator: torch.Generator) -> Tensor:
        if self.corruption is None or self.columns is None:
            return rows
        noisy = self.corruption(rows, self.columns, generator)
        if getattr(noisy, "shape", None) != rows.shape:
            raise ValueError(
                f"`corruption` must return rows of shape {tuple(rows.shape)}. Got "
                f"{getattr(noisy, 'shape', type(noisy).__name__)}. Change cells, not their number."
            )
        return noisy


def make_noise(
    corruption: Corruption | None, table: PreparedTable, generator: torch.Generator
) -> InputNoise:
    """Return the noise on the rows of a table; the corruption stays the user's."""
    return InputNoise(copy.deepcopy(corruption), _describe_columns(table, table.device), generator)


def find_input_scale(table: PreparedTable, corruption: Corruption | None) -> Tensor:
    """Return factors that scale columns to about unit size as the network sees them, with noise.

    Parameters
    ----------
    table : PreparedTable
        The table.
    corruption : Corruption or None
        Noise on its rows.

    Returns
    -------
    input_scale : Tensor of shape (n_features,)
        Factors for standardised features, positive, on the CPU.
    """
    deviations = table.deviations
    if corruption is not None:
        deviations = corruption.spread(deviations, _describe_columns(table, torch.device("cpu")))
    return scale_deviations(deviations)


def scale_deviations(deviations: Tensor) -> Tensor:
    """Return factors that scale columns with these standard deviations to about unit size.

    A column that hardly varies stays small: were it blown up, a new value many of its deviations
    off would drown all others. Below a share `c` of the common deviation, its size falls with the
    deviation, ``deviation / c**2`` instead of ``1 / deviation``.

    Parameters
    ----------
    deviations : Tensor of shape (n_features,)
        Standard deviations.

    Returns
    -------
    input_scale : Tensor of shape (n_features,)
        Positive factors.
    """
    common = float(deviations.square().mean().sqrt()) or 1.0
    least = deviations.clamp_min(_LEAST_SHARE_OF_COMMON_DEVIATION * common)
    return deviations.clamp_min(_NEGLIGIBLE_SHARE * common) / least**2


def _describe_columns(table: PreparedTable, device: torch.device) -> Columns:
    return Columns(
        scale=table.standardization.scale,
        lowest=table.units.standardised(table.statistics.lowest).to(device),
        highest=table.units.standardised(table.statistics.highest).to(device),
    )
