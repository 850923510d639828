"""Architectures of encoders and decoders, and modules that make codes sparse."""

from skae.architectures._base import Architecture
from skae.architectures._convolutional import Convolutional
from skae.architectures._dense import Dense
from skae.architectures._recurrent import Recurrent
from skae.architectures._sparsity import Sparsity

__all__ = [
    "Architecture",
    "Convolutional",
    "Dense",
    "Recurrent",
    "Sparsity",
]
