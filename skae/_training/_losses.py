"""The loss that an estimator's parameters name, and the output of the network that fits it."""

import torch

from skae._training._problem import TrainingProblem
from skae.modules import LinearOutput, LogisticOutput
from skae.objectives import BinaryCrossEntropy, Objective, ReconstructionLoss, SquaredError


def make_objective(problem: TrainingProblem) -> Objective:
    """Return what training minimises, on the device of the training."""
    return Objective(_make_loss(problem)).to(problem.device)


def make_output(problem: TrainingProblem):
    """Return the part of the network that turns the decoder's output into reconstructions."""
    if problem.settings.loss == "squared_error":
        return LinearOutput(*_standardised_bounds(problem))
    return LogisticOutput(*_standardization_tensors(problem))


def _make_loss(problem: TrainingProblem) -> ReconstructionLoss:
    if problem.settings.loss == "squared_error":
        return SquaredError(*_standardised_bounds(problem))
    return BinaryCrossEntropy(*_standardization_tensors(problem))


def _standardization_tensors(problem: TrainingProblem):
    """Return the mean of X and what it was divided by."""
    mean = problem.tensor(problem.standardization.mean)
    return mean, torch.tensor(problem.standardization.scale, dtype=mean.dtype)


def _standardised_bounds(problem: TrainingProblem):
    """Return the range of the reconstructions in the units of the network, None where none is."""
    if problem.units.bounds is None:
        return None, None
    lower, upper = problem.units.bounds
    return problem.standardised(lower), problem.standardised(upper)
