"""Noise between the rows and what the network sees of them."""

import copy

import numpy as np
import torch
from torch import Tensor

from skae._training._problem import TrainingProblem
from skae.corruption import Columns, Corruption

# Images with holes, 20,000: without it training diverged, with it a hole's error fell by a fifth.
_LEAST_SHARE_OF_COMMON_DEVIATION = 0.3


class InputNoise:
    """Noise with its source of draws: new ones in training, the same ones in judging.

    Parameters
    ----------
    corruption : Corruption or None
        Noise on the rows; none where None.
    columns : Columns
        The features.
    generator : torch.Generator
        Source of the draws.
    """

    def __init__(self, corruption: Corruption | None, columns: Columns, generator: torch.Generator):
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
        if self.corruption is None:
            return rows
        noisy = self.corruption(rows, self.columns, generator)
        if getattr(noisy, "shape", None) != rows.shape:
            raise ValueError(
                f"`corruption` must return rows of shape {tuple(rows.shape)}. Got "
                f"{getattr(noisy, 'shape', type(noisy).__name__)}. Change cells, not their number."
            )
        return noisy


def make_noise(problem: TrainingProblem, generator: torch.Generator) -> InputNoise:
    """Return the noise that the settings ask for."""
    corruption = copy.deepcopy(problem.settings.corruption)
    return InputNoise(corruption, _describe(problem, problem.device), generator)


def find_input_deviations(problem: TrainingProblem) -> Tensor:
    """Return how far features deviate from their means as the network sees them, noise included.

    In a table with missing cells no deviation counts as less than a share of the common one: the
    fill of a column that hardly varies may be many deviations off, and would be blown up.

    Parameters
    ----------
    problem : TrainingProblem
        The table, and the settings that describe the noise.

    Returns
    -------
    deviations : Tensor of shape (n_features,)
        Standard deviations, standardised, on the CPU.
    """
    scale = problem.standardization.scale
    deviations = problem.tensor(np.sqrt(problem.statistics.variance) / scale)
    if problem.settings.masked:
        common = deviations.square().mean().sqrt()
        deviations = deviations.clamp_min(_LEAST_SHARE_OF_COMMON_DEVIATION * common)
    corruption = problem.settings.corruption
    if corruption is None:
        return deviations
    return corruption.spread(deviations, _describe(problem, torch.device("cpu")))


def _describe(problem: TrainingProblem, device: torch.device) -> Columns:
    return Columns(
        scale=problem.standardization.scale,
        lowest=problem.standardised(problem.statistics.lowest).to(device),
        highest=problem.standardised(problem.statistics.highest).to(device),
    )
