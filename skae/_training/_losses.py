"""What an estimator's parameters say of the loss: the objective, and the output that fits it."""

import copy

import torch
from torch import nn

from skae._training._problem import TrainingProblem
from skae.modules import ExponentialOutput, LinearOutput, LogisticOutput
from skae.objectives import ColumnUnits, Objective, PreparedLoss, ReconstructionObjective

# Outputs of the network in the unit of X, by the link of the loss.
_OUTPUTS: dict[str, type[nn.Module]] = {
    "logistic": LogisticOutput,
    "exponential": ExponentialOutput,
}


def make_objective(problem: TrainingProblem, generator: torch.Generator) -> Objective:
    """Return the objective of the training, on its device.

    Parameters
    ----------
    problem : TrainingProblem
        The table, and the settings that describe the loss.
    generator : torch.Generator
        Source of the penalty's draws.

    Returns
    -------
    objective : Objective
        Loss and penalty, on copies of the user's objects.
    """
    settings = problem.settings
    if settings.latent is not None:
        return settings.latent.make_objective(problem, generator).to(problem.device)
    objective = ReconstructionObjective(
        make_loss(problem),
        penalty=copy.deepcopy(settings.penalty),
        alpha=settings.alpha,
        generator=generator,
    )
    return objective.to(problem.device)


def make_output(problem: TrainingProblem) -> nn.Module:
    """Return the part of the network that turns the decoder's output into reconstructions."""
    link = problem.settings.loss.link
    if link in _OUTPUTS:
        return _OUTPUTS[link](*_standardization_tensors(problem))
    return LinearOutput(*_standardised_bounds(problem))


def make_loss(problem: TrainingProblem) -> PreparedLoss:
    """Return the loss of the settings, ready for the table."""
    loss = problem.settings.loss
    lower, upper = (None, None) if loss.link in _OUTPUTS else _standardised_bounds(problem)
    mean, scale = _standardization_tensors(problem)
    units = ColumnUnits(mean, scale, lower, upper)
    return loss.prepare(units, masked=problem.settings.masked)


def _standardization_tensors(problem: TrainingProblem) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the mean of X and the size of a standardised unit."""
    mean = problem.tensor(problem.standardization.mean)
    return mean, torch.tensor(problem.standardization.scale, dtype=mean.dtype)


def _standardised_bounds(problem: TrainingProblem):
    """Return the range of the reconstructions in the units of the network, None where none is."""
    if problem.units.bounds is None:
        return None, None
    lower, upper = problem.units.bounds
    return problem.standardised(lower), problem.standardised(upper)
