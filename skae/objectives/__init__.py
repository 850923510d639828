"""What training minimises, as plain torch modules that know nothing of training."""

from skae.objectives._objective import Objective
from skae.objectives._reconstruction import BinaryCrossEntropy, ReconstructionLoss, SquaredError

__all__ = ["BinaryCrossEntropy", "Objective", "ReconstructionLoss", "SquaredError"]
