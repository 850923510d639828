"""What an estimator's parameters say of the loss: the objective, and the output that fits it."""

import copy

import torch
from torch import nn

from skae._training._problem import TrainingProblem
from skae.modules import ExponentialOutput, LinearOutput, LogisticOutput
from skae.objectives import (
    LOSSES,
    PENALTIES,
    CriterionLoss,
    NegativeELBO,
    Objective,
    ReconstructionLoss,
)

# Losses in the unit of X, with the output whose link they go with.
_OUTPUTS: dict[str, type[nn.Module]] = {
    "binary_cross_entropy": LogisticOutput,
    "poisson": ExponentialOutput,
}


def make_objective(
    problem: TrainingProblem, generator: torch.Generator
) -> Objective | NegativeELBO:
    """Return what training minimises, on the device of the training.

    Parameters
    ----------
    problem : TrainingProblem
        The table, and the settings that describe the loss.
    generator : torch.Generator
        Source of what penalties draw.

    Returns
    -------
    objective : Objective
        Loss and penalty.
    """
    if problem.settings.latent is not None:
        return problem.settings.latent.make_objective(problem, generator).to(problem.device)
    penalty = _make_penalty(problem.settings.penalty)
    alpha = problem.settings.alpha
    if alpha is None:
        alpha = 0.0 if penalty is None else penalty.default_alpha
    objective = Objective(
        make_loss(problem), penalty=penalty, alpha=float(alpha), generator=generator
    )
    return objective.to(problem.device)


def make_output(problem: TrainingProblem) -> nn.Module:
    """Return the part of the network that turns the decoder's output into reconstructions."""
    loss = problem.settings.loss
    if isinstance(loss, str) and loss in _OUTPUTS:
        return _OUTPUTS[loss](*_standardization_tensors(problem))
    return LinearOutput(*_standardised_bounds(problem))


def make_loss(problem: TrainingProblem) -> ReconstructionLoss:
    """Return the loss that the settings name."""
    loss = _make_loss(problem)
    loss.masked = problem.settings.masked
    return loss


def _make_loss(problem: TrainingProblem) -> ReconstructionLoss:
    loss = problem.settings.loss
    if not isinstance(loss, str):
        # The user's own stays where it is, whatever device trains.
        return CriterionLoss(copy.deepcopy(loss))
    if loss in _OUTPUTS:
        return LOSSES[loss](*_standardization_tensors(problem))
    lower, upper = _standardised_bounds(problem)
    return LOSSES[loss](lower=lower, upper=upper)


def _make_penalty(penalty):
    """Return a penalty that training may change, None where there is none in the loss."""
    if penalty == "top_k":
        return None
    return PENALTIES[penalty]() if isinstance(penalty, str) else copy.deepcopy(penalty)


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
