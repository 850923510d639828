"""What training minimises, as plain torch modules that know nothing of training."""

from skae.objectives._criterion import CriterionLoss
from skae.objectives._errors import AbsoluteError, HuberLoss, SquaredError
from skae.objectives._likelihoods import BinaryCrossEntropy, PoissonLoss
from skae.objectives._objective import Objective
from skae.objectives._penalties import (
    PENALTIES,
    Contractive,
    KLSparsity,
    L1Sparsity,
    OrthogonalDecoder,
    Penalty,
)
from skae.objectives._reconstruction import ReconstructionLoss

LOSSES: dict[str, type[ReconstructionLoss]] = {
    "squared_error": SquaredError,
    "absolute_error": AbsoluteError,
    "huber": HuberLoss,
    "binary_cross_entropy": BinaryCrossEntropy,
    "poisson": PoissonLoss,
}

__all__ = [
    "LOSSES",
    "PENALTIES",
    "AbsoluteError",
    "BinaryCrossEntropy",
    "Contractive",
    "CriterionLoss",
    "HuberLoss",
    "KLSparsity",
    "L1Sparsity",
    "Objective",
    "OrthogonalDecoder",
    "Penalty",
    "PoissonLoss",
    "ReconstructionLoss",
    "SquaredError",
]
