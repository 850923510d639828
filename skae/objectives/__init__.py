"""Losses, penalties and objectives, independent of the training loop."""

from skae.objectives._adversarial import AdversarialObjective
from skae.objectives._criterion import CriterionLoss
from skae.objectives._densities import (
    LIKELIHOODS,
    BernoulliLikelihood,
    GaussianLikelihood,
    LaplaceLikelihood,
    Likelihood,
    MixedLikelihood,
    NoisyLikelihood,
)
from skae.objectives._divergences import MaximumMeanDiscrepancy, gaussian_divergence
from skae.objectives._elbo import NegativeELBO
from skae.objectives._errors import AbsoluteError, HuberLoss, SquaredError
from skae.objectives._likelihoods import BinaryCrossEntropy, PoissonLoss
from skae.objectives._mixed import MixedLoss
from skae.objectives._neighbors import NeighborLoss, NeighborObjective
from skae.objectives._objective import Objective, ReconstructionObjective
from skae.objectives._penalties import (
    PENALTIES,
    Contractive,
    KLSparsity,
    L1Sparsity,
    OrthogonalDecoder,
    Penalty,
)
from skae.objectives._pursuit import PursuitObjective
from skae.objectives._reconstruction import PreparedLoss, ReconstructionLoss
from skae.objectives._tokens import TokenCrossEntropy
from skae.objectives._units import ColumnUnits

LOSSES: dict[str, type[ReconstructionLoss]] = {
    "squared_error": SquaredError,
    "absolute_error": AbsoluteError,
    "huber": HuberLoss,
    "binary_cross_entropy": BinaryCrossEntropy,
    "poisson": PoissonLoss,
}

# Losses of the codes, which need their own family.
CODE_LOSSES: dict[str, type[NeighborLoss]] = {"neighbors": NeighborLoss}

__all__ = [
    "CODE_LOSSES",
    "LIKELIHOODS",
    "LOSSES",
    "PENALTIES",
    "AbsoluteError",
    "AdversarialObjective",
    "BernoulliLikelihood",
    "BinaryCrossEntropy",
    "ColumnUnits",
    "Contractive",
    "CriterionLoss",
    "GaussianLikelihood",
    "HuberLoss",
    "KLSparsity",
    "L1Sparsity",
    "LaplaceLikelihood",
    "Likelihood",
    "MaximumMeanDiscrepancy",
    "MixedLikelihood",
    "MixedLoss",
    "NegativeELBO",
    "NeighborLoss",
    "NeighborObjective",
    "NoisyLikelihood",
    "Objective",
    "OrthogonalDecoder",
    "Penalty",
    "PoissonLoss",
    "PreparedLoss",
    "PursuitObjective",
    "ReconstructionLoss",
    "ReconstructionObjective",
    "SquaredError",
    "TokenCrossEntropy",
    "gaussian_divergence",
]
